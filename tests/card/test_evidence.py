"""The card's evidence: splits that were auditioned and models that were compared, from a real rehearsal."""

from __future__ import annotations

import copy
import re

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

import mlwild as wild
from mlwild.card import card_html
from tests.card.test_card import _pictures, _text
from tests.support import drifting, small_app


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    models = {
        "line": LinearRegression(),
        "tree": DecisionTreeRegressor(max_depth=2),
        "other": LinearRegression(),
    }
    app = small_app(drifting(4000, drift=0.0), models=models)
    return wild.rehearse(app, splits="all", store=tmp_path_factory.mktemp("store")).sheet


def _marks(picture, name):
    return [node for node in picture.iter() if node.get("class") == name]


def test_promise_and_delivery_are_drawn_and_broken_promises_marked(sheet):
    html = card_html(sheet)
    chart = next(one for one in _pictures(html) if "promised before each period" in (one.get("aria-label") or ""))
    promise = sheet["split_audition"]["promise"]
    outside = sum(
        low is not None and came is not None and not low <= came <= high
        for low, high, came in zip(promise["promised_low"], promise["promised_high"], promise["came"], strict=True)
    )
    assert outside == promise["n"] - promise["kept"]
    # one more in the key
    assert len(_marks(chart, "dot bad")) == outside + 1
    assert len(_marks(chart, "dot chosen")) == 1  # the promise for the next period


def test_the_section_says_promise_coverage_and_leak_meter(sheet):
    text = " ".join(_text(card_html(sheet)).split())
    promise = sheet["split_audition"]["promise"]
    assert "What the next period will lose" in text
    assert f"held in {promise['kept']} of {promise['n']} periods" in text
    assert "Shuffled cross-validation promises" in text
    assert "fits" in text


def test_differences_of_models_are_paired_and_the_set_is_named(sheet):
    text = " ".join(_text(card_html(sheet)).split())
    assert "Against the one in place" in text
    assert sheet["best_set"]["why"] in text
    by_name = {row["name"]: row for row in sheet["models"]}
    # the same model under two names: no difference at all
    assert by_name["other"]["difference"] == 0
    assert set(sheet["best_set"]["models"]) <= set(by_name)


@pytest.mark.parametrize("gone", [("splits", "split_audition"), ("best_set",)])
def test_a_sheet_of_an_earlier_version_has_a_card_without_the_section(sheet, gone):
    older = copy.deepcopy(sheet)
    for key in gone:
        del older[key]
    for row in older["models"]:
        for key in ("difference", "difference_low", "difference_high", "in_best_set"):
            row.pop(key, None)
    _text(card_html(older))


def test_no_number_of_the_section_has_many_digits(sheet):
    text = _text(card_html(sheet))
    section = text[text.index("What the next period will lose") : text.index("What this rehearsal does not know")]
    assert not re.search(r"\d\.\d{6,}", section)
    assert not re.search(r"\bNone\b(?! of| seen)", section)
    assert "nan" not in section.split()
