"""A person clicks through the pages, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

import mlwild as wild
from mlwild import rules
from mlwild.operating import operate
from mlwild.versions import Made, record
from tests.operating.worlds import ledger_of, world

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture
def served(tmp_path):
    """Serve a workspace, and return its address and folder."""
    made = world()
    made.now = 701
    operate(made.app, rule=rules.Every(3), begin=250, store=tmp_path)
    made.now = None
    wild.rehearse(replace(made.app), store=tmp_path, jobs=1)
    for value in (1.0, 2.0, 3.0):
        record("small", "comparison", Made({"n": value}, params={"method": f"m{value:.0f}"}), store=tmp_path)
    command = [sys.executable, "-m", "mlwild.cli", "ui", "--port", "0", "--store", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = server.stdout.readline()
    yield re.match(r"http://127\.0\.0\.1:\d+/", said)[0], tmp_path
    server.send_signal(signal.SIGINT)
    _out, err = server.communicate(timeout=20)
    assert "Traceback" not in err
    assert server.returncode in (0, 130)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_click_through(served):
    address, folder = served
    status = ledger_of(world(), folder)
    kept = status.of("scored")[-1].body
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda problem: complaints.append(str(problem)))
        page.goto(address)
        page.get_by_role("link", name="small").first.click()
        page.wait_for_url("**/apps/small")
        assert page.locator("svg").first.is_visible()
        assert page.get_by_text(f"{kept['kept']} of {kept['of']}").first.is_visible()
        page.get_by_text("Every tick, the newest first").click()
        assert page.get_by_role("row").count() > len(status.of("ticked"))
        page.get_by_role("link", name="Runs", exact=True).click()
        page.wait_for_url("**/runs")
        page.get_by_label("Group by").select_option("method")  # the script sends the form
        page.wait_for_url("**by=method**")
        assert page.locator("#groups tbody tr").count() == 3
        assert page.get_by_role("button", name="Side by side").is_disabled()
        for box in page.locator("#runs input[type=checkbox]").all()[:2]:
            box.check()
        assert page.get_by_text("2 picked.").is_visible()
        page.get_by_role("button", name="Side by side").click()
        page.wait_for_url("**/runs/compare**")
        assert page.locator("#settings").get_by_text("m3").is_visible()
        page.get_by_role("link", name="Apps", exact=True).click()
        page.get_by_role("link", name="small").first.click()
        page.get_by_role("link", name="Card of its rehearsal").click()
        page.wait_for_url("**/cards/small")
        assert page.locator("svg").first.is_visible()
        browser.close()
    assert not complaints
    assert all(url.startswith((address, "data:")) for url in asked)


def test_a_port_that_is_taken_is_said(served):
    address, folder = served
    port = address.rsplit(":", 1)[1].strip("/")
    command = [sys.executable, "-m", "mlwild.cli", "ui", "--port", port, "--store", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=60)
    assert done.returncode == 2
    assert "cannot be listened at" in done.stderr
    assert "Traceback" not in done.stderr
