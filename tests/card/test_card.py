"""The card: self-contained, escaped, the same for identical rehearsals, and sane where nothing is known."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mlwild import card as card_package
from mlwild.card import card_html, write_card
from mlwild.errors import StoreError

VOID = {"meta", "br"}


class _Text(HTMLParser):
    """Collects the visible text, and checks that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def _text(html):
    parser = _Text()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return " ".join(parser.texts)


def _pictures(html):
    return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)]


def _without_prices(sheet):
    for row in sheet["rules"]:
        row["shadow_cost"] = None
    sheet["worst_period"] = None
    sheet["groups"] = []
    sheet["ageing"] = []
    sheet["overfitting_probability"] = None
    sheet["overfitting"] |= {"low": None, "high": None}
    sheet["split"] = {"difficulty": None, "staleness": None, "staleness_low": None, "staleness_high": None, "n": 0}
    sheet["strips"][0]["loss"][2] = None
    sheet["triangle"]["loss"][1][3] = None
    return sheet


def test_card_is_written_and_returned(make, tmp_path):
    path = write_card(make(), tmp_path / "card.html")
    raw = path.read_bytes()
    assert path == tmp_path / "card.html"
    assert raw.startswith(b"<!doctype html>")
    assert b"\r" not in raw
    raw.decode("utf-8")


@pytest.mark.parametrize("periods", [1, 2, 3, 12, 70])
@pytest.mark.parametrize("priced", [True, False])
def test_card_needs_nothing_from_outside(make, periods, priced):
    html = card_html(make(periods, priced=priced))
    for outside in ("http:", "https:", "src=", "url(", "@import", "<script", "<link", "xlink", "//www"):
        assert outside not in html


@pytest.mark.parametrize("periods", [1, 2, 3, 12, 70, 300])
@pytest.mark.parametrize("priced", [True, False])
def test_html_and_pictures_are_well_formed(make, periods, priced):
    html = card_html(make(periods, priced=priced))
    _text(html)
    pictures = _pictures(html)
    assert len(pictures) >= 8
    for picture in pictures:
        if picture.get("aria-hidden") == "true":
            continue
        assert picture.get("role") == "img"
        assert picture.get("aria-label")
        assert picture.find("desc").text == picture.get("aria-label")


@pytest.mark.parametrize("periods", [1, 3, 12, 70, 300])
@pytest.mark.parametrize("priced", [True, False])
def test_numbers_have_few_digits_and_nothing_is_called_none(make, periods, priced):
    text = _text(card_html(make(periods, priced=priced)))
    assert not re.search(r"\.\d{7,}", text)
    assert not re.search(r"\b(None|nan|NaN|inf)\b", text)
    assert not re.search(r"(?<![.\d])\d{5,}", text)


def test_coordinates_are_numbers(make):
    html = card_html(make(40))
    for picture in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        for path in re.findall(r' d="([^"]*)"', picture):
            assert re.fullmatch(r"[MLHVZhvz0-9 .\-]*", path)


def test_markup_in_names_is_escaped(make):
    sheet = make()
    bad = '<script>alert("x")</script>&\x00'
    sheet["app"] = sheet["model"] = sheet["prices"]["unit"] = bad
    sheet["loss"]["unit"] = sheet["unknown"][0] = sheet["limits"][0] = bad
    sheet["groups"][0]["value"] = sheet["models"][0]["name"] = bad
    for strip, row in zip(sheet["strips"], sheet["rules"], strict=True):
        for decision in strip["decisions"]:
            decision["reason"] = bad
        if strip["rule"] == "break-even":
            strip["rule"] = row["name"] = sheet["recommended"]["rule"] = sheet["chosen_as_you_go"]["rule"] = bad
    sheet["recommended"]["reason"] = sheet["oracle"]["note"] = bad
    html = card_html(sheet)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    _text(html)
    assert len(_pictures(html)) >= 8


def test_identical_rehearsals_give_identical_cards(make):
    first, second = make(), make()
    second["seconds"], second["fits"] = 99.0, {"made": 0, "reused": 12}
    before = copy.deepcopy(first)
    assert card_html(first) == card_html(second) == card_html(first)
    assert first == before


def test_without_seconds_and_fits(make):
    sheet = make()
    del sheet["seconds"], sheet["fits"]
    assert card_html(sheet) == card_html(make())


@pytest.mark.parametrize("priced", [True, False])
def test_what_is_not_known_is_said(make, priced):
    text = _text(card_html(_without_prices(make(12, priced=priced))))
    assert "not known" in text
    assert not re.search(r"\b(None|nan)\b", text)


def test_no_prices_means_no_money(make):
    text = _text(card_html(make(priced=False)))
    assert "No rule is recommended" in text
    assert "choose a point on the frontier" in text
    sheet = make(priced=False)
    sheet["overfitting_probability"] = 0.4
    luck = _text(card_html(sheet))
    assert "This history may not: what looks best on it may be so by luck." in luck
    assert "the rule recommended is the one" not in luck
    assert "Regret, " not in text
    assert "USD" not in text


def test_no_unit_leaves_no_blank_behind(make):
    html = card_html(make(unit="", loss_unit=""))
    text = re.sub("<style.*?</style>|<[^>]+>", "", html, flags=re.DOTALL)
    assert not re.search(r"\d +[,.;)]|\d  ", text)
    assert "USD" not in text
    assert "nats" not in text


def test_rules_that_cannot_be_ranked_are_not(make):
    sheet = make()
    reason = "labels depend on the model's own decisions and no propensities are given: not ranked"
    sheet["recommended"] |= {"rule": None, "cost": None, "low": None, "high": None, "n": 0, "reason": reason}
    text = _text(card_html(sheet))
    assert "Rules are not ranked here" in text
    assert "cheapest first" not in text
    assert "May this history choose" not in text
    assert "◆" not in text


def test_the_verdict_comes_first_with_its_interval(make):
    text = _text(card_html(make()))
    verdict, method = text.index("Run "), text.index("Method")
    assert verdict < text.index("The worst it did") < text.index("does not know") < method
    assert re.search(r"90% interval of [\d,]+ to [\d,]+", text)


def test_the_recommended_rule_is_marked_by_more_than_colour(make):
    html = card_html(make())
    assert re.search(r'<tr class="chosen"><th scope="row">◆ break-even', html)


def test_a_rule_chosen_as_one_goes_says_so(make):
    sheet = make()
    sheet["recommended"] |= {"rule": "every 4", "reason": "it came to lead; the cost is that of so choosing"}
    head = _text(card_html(sheet)).partition("The worst it did")[0]
    assert "choosing it as one went would have cost" in head
    assert "Cost, choosing as you go" in head
    assert "the cost is that of so choosing" in head
    assert "as one went" not in _text(card_html(make()))


def test_updates_and_fall_backs_are_shown_only_where_there_are_any(make):
    sheet = make()
    assert "Updates" not in _text(card_html(sheet))
    sheet["rules"][0]["updates"], sheet["rules"][0]["rollbacks"] = 2.0, 1.5
    sheet["strips"][0]["decisions"] += [
        {"period": 7, "at": "2013-04-09", "action": "update", "live": "6+7", "reason": ""},
        {"period": 8, "at": "2013-04-16", "action": "fall back", "live": "6", "reason": "vintage 6 would have saved 3"},
        {"period": 9, "at": "2013-04-23", "action": "refused", "live": "6", "reason": "the vintage could not be made"},
    ]
    text = _text(card_html(sheet))
    assert "Updates" in text
    assert "1.5" in text
    assert "refused" in text


def test_vintages_that_failed_leave_gaps(make):
    sheet = make(12)
    sheet["triangle"] = {"vintages": [2, 5, 6], "loss": [sheet["triangle"]["loss"][k] for k in (2, 5, 6)]}
    for strip in sheet["strips"]:
        strip["first"], strip["loss"] = 2, strip["loss"][2:]
        strip["decisions"] = [row for row in strip["decisions"] if row["period"] >= 2]
    html = card_html(sheet)
    _text(html)
    _pictures(html)


def test_a_triangle_of_nothing_but_gaps(make):
    sheet = make(6)
    sheet["triangle"]["loss"] = [[None] * 6 for _ in range(6)]
    text = _text(card_html(sheet))
    assert "How stale each rule" not in text


def test_ticks_and_hours_for_dates(make):
    sheet = make(12)
    sheet["cutoffs"], sheet["period_ends"] = [str(500 * k) for k in range(12)], "6000"
    sheet["data"] |= {"from": "0", "to": "6100"}
    sheet["every"] = "500 ticks"
    assert "12 periods of 500 ticks" in _text(card_html(sheet))
    sheet["cutoffs"] = [f"2013-02-{19 + k // 4} {6 * (k % 4):02d}:00" for k in range(12)]
    sheet["every"] = "6h"
    assert "12 periods of 6 hours" in _text(card_html(sheet))


@pytest.mark.parametrize("periods", [121, 300, 600])
def test_long_histories_stay_small(make, periods):
    html = card_html(make(periods))
    assert len(html.encode()) < 600_000
    assert f"{-(-periods // 120)} × {-(-periods // 120)} vintages" in _text(html)


def test_many_seeds_are_named(make):
    sheet = make()
    sheet["seeds"] = [0, 1, 2]
    text = _text(card_html(sheet))
    assert "Seeds: 0, 1, 2" in text
    assert "first of 3 seeds" in text


def test_a_metric_that_was_turned_round_says_so(make):
    sheet = make()
    sheet["loss"] = {"name": "auc", "unit": "", "per": "set", "better": "greater"}
    text = _text(card_html(sheet))
    assert "1 − auc" in text
    assert "per event" not in text


def test_remarks_stand_under_the_verdict_and_rules_are_explained(make):
    text = _text(card_html(make()))
    assert "within chance." in text.partition("The worst it did")[0]
    assert "keep the first vintage" in text


def test_a_life_better_than_the_freshest_is_drawn_in_another_colour(make):
    sheet = make()
    assert 'class="stale"' in card_html(sheet)
    sheet["strips"][0]["loss"] = [loss - 0.2 for loss in sheet["strips"][0]["loss"]]
    html = card_html(sheet)
    assert 'class="fresher"' in html
    assert 'class="stale"' not in html


def test_a_folder_that_is_not_there_is_a_clear_error(make, tmp_path):
    with pytest.raises(StoreError, match=r"could not be written to .*No such file"):
        write_card(make(), tmp_path / "nowhere" / "card.html")


def _luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_contrast_in_light_and_dark(scheme):
    style = (Path(card_package.__file__).parent / "style.html").read_text(encoding="utf-8")
    colours = dict(
        re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6});", re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[scheme])
    )
    for ground in ("page", "panel", "tint"):
        for ink in ("ink", "soft", "accent"):
            light, dark = sorted((_luminance(colours[ground]), _luminance(colours[ink])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, ink)
