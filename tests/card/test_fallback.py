"""The fallback chain on a card: stages in order, what is worse than the constant, and what is not known."""

import re

import pytest

from mlwild.card import card_html


def _stage(name, vintage, estimate, **more):
    low, high = (None, None) if estimate is None else (estimate - 0.0412, estimate + 0.0389)
    return {
        "stage": name, "vintage": vintage, "loss": estimate, "n": 6300, "periods": 11,
        "worst": {"loss": 0.71234, "from": "2013-04-16", "to": "2013-04-23", "n": 570},
        "estimate": estimate, "low": low, "high": high, "kept": 8, "of": 9, "better": 10, "against": 11, "record": {},
    } | more  # fmt: skip


def _sheet(make, *stages, why=""):
    return make(12) | {"fallback": {"level": 0.9, "stages": list(stages), "why": why}}


def _section(html):
    found = re.search(r"<section>\s*<h2>Who answers if.*?</section>", html, flags=re.DOTALL)
    return None if found is None else " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", found[0], flags=re.DOTALL).split())


CHAIN = (_stage("champion", "9", 0.48), _stage("rate", "9", 0.61, better=4), _stage("constant", "", 0.6, better=0))


def test_each_stage_stands_with_interval_rows_worst_period_and_what_it_means(make):
    said = _section(card_html(_sheet(make, *CHAIN)))
    champion = said[said.index("champion 9") : said.index("rate 9")]
    assert "9 (fitted 23 Apr 2013)" in champion
    assert "0.439 to 0.519" in champion
    assert "0.712" in champion
    assert "16 Apr to 23 Apr 2013" in champion
    assert "20% less in 10 of 11 periods" in champion
    assert "8 of 9 6,300" in champion
    assert "1.7% more in 4 of 11 periods" in said
    assert "constant 0.600" in said
    assert "itself" in said
    assert "held in 24 of 27 stages and periods: 89%" in said


def test_what_the_intervals_of_answers_held_stands_with_the_worst_beside_it(make):
    each = {"level": 0.9, "share": 0.8987, "n": 6300, "width": 0.4, "said": "The 90% intervals held 89.9%; worst 71%."}
    ends = {"share": 0.714, "from": "2013-04-16", "to": "2013-04-23"}
    champion = _stage("champion", "9", 0.48, intervals=each | {"worst": ends})
    short = _stage("rate", "9", 0.55, intervals=each | {"worst": None})
    said = _section(card_html(_sheet(make, champion, short, CHAIN[2] | {"intervals": None})))
    assert "8 of 9 90% worst 71% 6,300" in said
    assert "8 of 9 90% 6,300" in said
    assert "8 of 9 not known 6,300" in said
    assert "Each answer’s" not in _section(card_html(_sheet(make, *CHAIN)))


def test_a_stage_that_is_worse_than_what_comes_after_it_is_called_out(make):
    assert "Promised to lose more than the constant, which comes after it: rate ." in _section(
        card_html(_sheet(make, *CHAIN))
    )
    assert "Promised to lose more" not in _section(card_html(_sheet(make, CHAIN[0], CHAIN[2])))


def test_what_is_not_known_is_said(make):
    unknown = {"loss": None, "worst": None, "kept": 0, "of": 0, "against": 0, "n": 0}
    for stages in ((_stage("champion", "9", None, **unknown), CHAIN[2]), (_stage("champion", "9", None, **unknown),)):
        said = _section(card_html(_sheet(make, *stages)))
        assert said.count("not known") >= 4
        assert "None" not in said
        assert "nan" not in said.lower()
    young = _stage("champion", "9", 0.48) | {"low": None, "high": None, "kept": 0, "of": 0}
    assert "interval not known" in _section(card_html(_sheet(make, young)))


@pytest.mark.parametrize("constant", [0.0, -2.0])
def test_beside_a_constant_without_a_share_the_difference_stands(make, constant):
    """Returns may be negative losses: a percentage of one says nothing."""
    said = _section(card_html(_sheet(make, _stage("champion", "9", -2.5), _stage("constant", "", constant))))
    assert {0.0: "−2.5", -2.0: "−0.50"}[constant] in said
    assert "%" not in said[said.index("champion") : said.index("constant")]


def test_names_are_escaped_and_a_chain_that_is_none_says_why(make):
    html = card_html(_sheet(make, _stage("<b>x</b>", "9", 0.5), CHAIN[2]))
    assert "<b>x</b>" not in html
    said = _section(card_html(_sheet(make, why="'said' is a published forecast, which no request holds")))
    assert said == (
        "Who answers if the model cannot, and what that loses There is no chain: 'said' is a published forecast, which "
        "no request holds."
    ).replace("'", "&#39;")


def test_sheets_without_it_show_nothing(make):
    assert _section(card_html(make(12))) is None
    assert _section(card_html(make(12) | {"fallback": None})) is None


def test_a_promise_outside_of_its_own_interval_is_explained(make):
    beside = CHAIN[2] | {"estimate": 0.714, "low": 0.629, "high": 0.686}
    said = "Promises of constant were too high so far: its interval lies below this one."
    assert said in _section(card_html(_sheet(make, *CHAIN[:2], beside)))
    assert "so far: its interval" not in _section(card_html(_sheet(make, *CHAIN)))
