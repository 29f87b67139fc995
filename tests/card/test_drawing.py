"""Small parts of the card: numbers, ticks, dates, labels, colours and merging."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

import pytest

from mlwild.card import chart_curves, chart_rules, chart_triangle, facts, svg, words


@pytest.mark.parametrize(
    ("value", "decimals", "said"),
    [
        (0.0, 2, "0.00"),
        (-0.0001, 2, "0.00"),
        (-1234.5, 0, "−1,234"),
        (float("nan"), 2, "not known"),
        (float("inf"), 2, "not known"),
        (1.5e18, -16, "1.50 × 10¹⁸"),
        (0.0, 9, "0"),
    ],
)
def test_number(value, decimals, said):
    assert words.number(value, decimals) == said


def test_an_interval_is_rounded_by_its_width():
    low, high = 272417.11549748655, 302132.45946614887
    assert words.interval(low, high, words.decimals_for(words.half_width(low, high), 3)) == "272,400 to 302,100"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 7.9), (1e-9, 2e-9), (1e9, 3e9), (0.49, 0.52)])
def test_ticks_are_few_and_inside(low, high):
    found = svg.ticks(low, high, 6)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-12 <= value <= high + abs(high) * 1e-9 for value in found)


def test_a_range_of_one_value_has_width():
    low, high = svg.padded([0.5, 0.5, None])
    assert low < 0.5 < high
    assert svg.padded([]) == (-0.5, 0.5)
    assert svg.padded([0.2, 0.3], 0.0) == (0.2, 0.3)


def _box(element):
    x, y, wide = float(element.get("x")), float(element.get("y")), svg.width_of(element.text)
    left = x - {"middle": wide / 2, "end": wide}.get(element.get("text-anchor"), 0.0)
    return svg.Box(left, y - 0.8 * svg.SIZE, left + wide, y + 0.25 * svg.SIZE)


def test_labels_never_overlap_and_stay_inside():
    spots = [svg.Spot(20.0 + 9 * k, 50.0 + 3 * k, f"rule {k}") for k in range(30)]
    marks = [svg.Box(spot.x - 4, spot.y - 4, spot.x + 4, spot.y + 4) for spot in spots]
    bounds = svg.Box(0, 0, 400, 200)
    drawn = list(ET.fromstring(f"<g>{svg.labels(spots, marks, bounds, most=12)}</g>"))
    assert 3 <= len(drawn) <= 12
    assert drawn[0].text == "rule 0"
    boxes = [_box(element) for element in drawn]
    # Coordinates are written to a tenth of a pixel.
    shrunk = [svg.Box(box.left + 0.2, box.top + 0.2, box.right - 0.2, box.bottom - 0.2) for box in boxes]
    assert all(box.inside(bounds) for box in shrunk)
    for one, other in itertools.combinations(shrunk, 2):
        assert not one.meets(other)
    assert not any(box.meets(mark) for box in shrunk for mark in marks)


def test_tags_escape_attributes_and_texts():
    drawn = svg.tag("text", 'a "<b>" \x01', aria_label='"<&>"')
    assert drawn == '<text aria-label="&#34;&lt;&amp;&gt;&#34;">a &#34;&lt;b&gt;&#34; </text>'


@pytest.mark.parametrize("count", [1, 2, 8, 45, 120, 800])
def test_dates_are_few_and_rise(count):
    from datetime import date, timedelta

    cutoffs = [(date(2013, 2, 19) + timedelta(days=7 * k)).isoformat() for k in range(count)]
    labels = facts.time_labels(cutoffs, 8)
    places = [k for k, _ in labels]
    assert 1 <= len(labels) <= 8
    assert places == sorted(set(places))
    assert "20" in labels[0][1]


def test_colours_are_symmetrical_and_open_ended():
    assert [chart_triangle.colour(value, 1.0) for value in (-9, -0.5, 0, 0.5, 3.5, 9)] == [
        "n4",
        "n1",
        "z",
        "p1",
        "p4",
        "p4",
    ]
    assert chart_triangle.colour_step([(0.0, None), (None, 0.0)]) == 1.0


def test_merged_cells_are_means(make):
    sheet = make(240)
    made = chart_triangle.grid(facts.read(sheet))
    read = facts.read(sheet)
    assert made.size == 2
    assert len(made.difficulty) == len(made.cells) == 120
    assert made.difficulty[0] == pytest.approx((read.difficulty[0] + read.difficulty[1]) / 2)
    assert made.cells[0][0] == pytest.approx(sum([0.0, read.gaps[0][1], 0.0]) / 3, abs=2e-3)
    assert made.cells[-1][0] is None


def test_the_line_of_equal_cost_prices_a_retrain(make):
    sheet = make()
    read = facts.read(sheet)
    assert read.events == pytest.approx(sum(sheet["rows_by_period"]))
    assert chart_rules.same_cost_slope(read) == pytest.approx(300.0 / (2.0 * sum(sheet["rows_by_period"])))
    sheet["prices"] = None
    assert chart_rules.same_cost_slope(facts.read(sheet)) is None


def test_telling_rules_begin_with_the_one_shown(make):
    read = facts.read(make())
    assert chart_rules.telling(read)[:3] == ["break-even", "never", "always"]
    assert set(chart_rules.telling(read)) <= set(read.rules)


@pytest.mark.parametrize("width", [svg.WIDE, svg.NARROW])
def test_whiskers_of_severity_curves_stay_in_their_panels(width):
    points = [{"severity": s, "loss": 0.5, "low": 0.5 - s, "high": 0.5 + 2 * s, "fault": ""} for s in (0.01, 0.1, 0.3)]
    curve = {"stressor": "noise", "unit": "sd", "case": "a", "points": points, "fails_at": None}
    under = {"curves": [curve] * 4, "clean": {"loss": 0.5}, "limit": 0.55}
    drawn = ET.fromstring(str(chart_curves.curves(under, width)))
    lines = [one for one in drawn.iter() if one.get("class") == "whisker"]
    assert len(lines) == 12
    severities = [one for one in drawn.iter() if one.text == "0.30"]
    feet = sorted({float(one.get("y")) for one in severities})
    for one in lines:
        top, bottom = sorted(float(end.split(" ")[1]) for end in one.get("d").removeprefix("M").split("L"))
        foot = min(foot for foot in feet if foot > top)
        assert bottom < foot - svg.SIZE  # above the severities
        assert top > foot - 176 + 22 + 30  # below the names
