"""The page of a comparison: self-contained, verdict first, the same for the same input, and never crowded."""

from __future__ import annotations

import copy
import csv
import itertools
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild.card import comparison_html, svg, write_comparison
from mlwild.card.chart_intervals import MOST, Bar, Plot, intervals
from mlwild.cli import cli
from mlwild.comparisons import Losses, Runs
from mlwild.comparisons.procedures import SITUATIONS
from mlwild.errors import StoreError
from tests.card.test_card import _pictures, _text
from tests.comparisons.test_compare import _given
from tests.comparisons.test_comparing import APP

OUTSIDE = ("http:", "https:", "src=", "url(", "@import", "<script", "<link", "xlink", "//www")


def _page(found, **more):
    return found.as_dict() | {"title": "runs.csv", "facts": "", "findings": [], "measure": {}} | more


@pytest.fixture(scope="module")
def agents():
    rng = np.random.default_rng(0)
    return wild.compare(Runs({name: rng.normal(k / 4, 1.0, (5, 8)) for k, name in enumerate(("old", "new", "newer"))}))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_has_a_page_that_needs_nothing_from_outside(situation):
    given, settings = _given(situation)
    found = wild.compare(given, **settings)
    html = comparison_html(_page(found))
    text = " ".join(_text(html).split())
    assert not any(outside in html for outside in OUTSIDE)
    assert not re.search(r"\.\d{7,}", text)
    assert not re.search(r"\b(None|nan|NaN|inf)\b", text)
    for picture in _pictures(html):
        assert picture.get("aria-hidden") == "true" or picture.find("desc").text == picture.get("aria-label")
    order = [found.said[0], "interval", "Why this procedure", found.why[1:], "Method", "byte for byte"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_input_findings_and_the_sign_table_stand_where_they_are_promised(agents):
    html = comparison_html(_page(agents, findings=["No column names the seed."], facts="15 runs."))
    heads = re.findall(r"<h2>(.*?)</h2>", html)
    assert heads == [
        f"How far each is from {agents.records[0]['name']}",
        "Which way of adding up decides?",
        "Why this procedure",
        "What to mind in the input",
        "Method",
    ]
    text = " ".join(_text(html).split())
    assert "No column names the seed." in text
    assert "15 runs." in text
    assert "chance of winning" in text
    assert "not clearly" in text


def test_a_sentence_is_said_once_and_the_living_model_is_the_line():
    rng = np.random.default_rng(1)
    hard = rng.normal(1.0, 0.3, (60, 1))
    losses = Losses(["old", "new"], hard + 0.1 * rng.normal(size=(60, 2)) + [0.2, 0.0], unit="day")
    html = comparison_html(_page(wild.compare(losses), measure={"name": "mean loss", "unit": "EUR per event"}))
    text = " ".join(_text(html).split())
    assert text.count("Whichever way days are added up, 'new' loses less than 'old'") == 1
    assert "the same as old" in text
    assert "mean loss less that of old, EUR per event" in text
    assert "worst day" in text
    assert "← old better" in text


def test_bars_are_on_one_scale_and_the_best_are_marked():
    bars = [
        Bar("a", 0.0, -0.1, 0.1, "0.0", chosen=True),
        Bar("b", 0.4, 0.2, 0.6, "0.4", chosen=False),
        Bar("c", None, None, None, "not known", chosen=False),
    ]
    for width in (svg.WIDE, svg.NARROW):
        drawn = ET.fromstring(str(intervals(Plot(bars, "loss", 0.0, "the same as x"), width)))
        whiskers = [node.get("d") for node in drawn if node.get("class") == "whisker"]
        assert len(whiskers) == 2 * 3  # a line and two ends each
        spans = [[float(x) for x in re.findall(r"[ML](-?[\d.]+) ", path)] for path in whiskers if path.count("L") == 1]
        wide = [abs(b - a) for a, b in spans if a != b]
        assert wide[1] == pytest.approx(2 * wide[0], abs=0.3)
        assert [node.get("class") for node in drawn if "dot" in (node.get("class") or "")] == [
            "dot chosen",
            "dot known",
        ]


@pytest.mark.parametrize("width", [svg.WIDE, svg.NARROW])
def test_texts_of_the_plot_do_not_meet(width):
    bars = [
        Bar(
            f"a model with a rather long name, number {k}",
            0.1 * k,
            0.1 * k - 1,
            0.1 * k + 1,
            "+0.123 (−0.877 to +1.123)",
            k == 0,
        )
        for k in range(40)
    ]
    drawn = ET.fromstring(str(intervals(Plot(bars, "mean loss less that of it", 0.0, "the same as it"), width)))
    boxes = []
    for node in drawn:
        if node.tag == "text":
            size = 12 if "tick" in (node.get("class") or "") else svg.SIZE
            x, y, wide = float(node.get("x")), float(node.get("y")), svg.width_of(node.text, size)
            left = x - {"middle": wide / 2, "end": wide}.get(node.get("text-anchor"), 0.0)
            assert left >= -0.5
            assert left + wide <= width + 0.5
            boxes.append(svg.Box(left + 0.5, y - 0.7 * size, left + wide - 0.5, y + 0.2 * size))
    assert len(boxes) >= 2 * MOST
    assert not any(one.meets(other) for one, other in itertools.combinations(boxes, 2))
    # On a phone no line runs through a text.
    if width == svg.NARROW:
        for node in drawn:
            if node.get("class") in ("hair", "zero"):
                (x, top), (_, foot) = re.findall(r"(-?[\d.]+) (-?[\d.]+)", node.get("d"))
                spot = svg.Box(float(x) - 0.5, float(top), float(x) + 0.5, float(foot))
                assert not any(spot.meets(box) for box in boxes)


def test_markup_in_names_is_escaped(agents):
    page = _page(agents)
    bad = '<script>alert("x")</script>&\x00'
    page["title"] = page["facts"] = bad
    page["findings"] = [bad]
    page["measure"] = {"name": bad, "unit": bad}
    page = copy.deepcopy(page)
    page["said"][0] = bad
    page["models"][0]["name"] = page["tables"]["signs"][0]["a"] = page["pairs"][0]["a"] = bad
    html = comparison_html(page)
    assert "<script" not in html
    _text(html)


def test_a_page_that_cannot_be_written_is_said(agents, tmp_path):
    with pytest.raises(StoreError, match="could not be written"):
        write_comparison(agents, tmp_path / "no" / "page.html", title="x")


def _sheet(path):
    rng = np.random.default_rng(2)
    rows = [["model", "seed", "accuracy"]]
    rows += [[m, s, round(0.7 + 0.05 * k + 0.01 * rng.normal(), 4)] for k, m in enumerate("ab") for s in range(10)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_the_command_writes_the_page_of_a_table_with_its_own_signs(tmp_path):
    path, out = _sheet(tmp_path / "runs.csv"), tmp_path / "page.html"
    done = CliRunner().invoke(cli, ["compare", str(path), "--card", str(out)])
    assert done.exit_code == 0, done.output
    assert f"Card: {out}" in done.output.replace("\n", "")
    first = out.read_bytes()
    assert b"\r" not in first
    text = " ".join(_text(first.decode()).split())
    assert (
        text.index("'b' is better than 'a'") < text.index("How far each is from a") < text.index("Why this procedure")
    )
    assert "Right of the line is better than a" in text
    assert "accuracy less that of a" in text
    assert "No column names the version of the data" in text
    assert re.search(r"\b0\.7\d+ \(0\.[67]", text)  # a score, not a loss below zero
    CliRunner().invoke(cli, ["compare", str(path), "--card", str(out)])
    assert out.read_bytes() == first
    refused = CliRunner().invoke(cli, ["compare", str(path), "--card", str(tmp_path)])
    assert refused.exit_code == 2
    assert "--card" in refused.output
    assert "is a folder" in refused.output


def test_the_command_writes_the_page_of_an_app(tmp_path):
    path, pages = tmp_path / "app.py", [tmp_path / "one.html", tmp_path / "two.html"]
    path.write_text(APP.replace("MODELS", '"line": Line(), "flat": Line(ridge=1e9)'))
    for page in pages:
        done = CliRunner().invoke(
            cli, ["compare", str(path), "--card", str(page), "--store", str(tmp_path / "store"), "--jobs", "1"]
        )
        assert done.exit_code == 0, done.output
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = " ".join(_text(pages[0].read_text()).split())
    assert "two · comparison" in text
    assert "mean loss (squared)" in text
    assert "per event" in text
