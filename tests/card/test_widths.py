"""Tables of the card at several widths of the window, in a real browser."""

from __future__ import annotations

import shutil

import pytest

import mlwild as wild
from tests.gate.made import Logit, click_app, clicks

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")

#: By how many pixels each table is wider than what is seen of it.
HIDDEN = """() => Object.fromEntries([...document.querySelectorAll(".scroll")].map(
    one => [one.getAttribute("aria-label"), one.scrollWidth - one.clientWidth]))"""


class Dull(Logit):
    """Another model, so that splits choose."""

    def predict_proba(self, X):
        return 0.5 * super().predict_proba(X) + 0.25


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_all_columns_of_the_splits_are_in_sight_from_a_window_of_1000_pixels_on(tmp_path):
    app = click_app(clicks(3_000), models={"logit": Logit(), "dull": Dull()}, groups=[])
    card = wild.rehearse(app, splits="all", store=tmp_path / "s").card(tmp_path / "card.html")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"file://{card}")
        for width in (1000, 1079, 1080, 1239, 1240, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(HIDDEN)["Splits"] <= 0, width
        page.set_viewport_size({"width": 700, "height": 900})
        assert page.evaluate(HIDDEN)["Splits"] > 0  # there it scrolls: the page itself does not
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        browser.close()
