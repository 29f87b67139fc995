"""The page of a drill: the worst fault first, what is not known said, and nothing from outside."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mlwild.card import drill_html, write_drill
from mlwild.cli import cli
from mlwild.errors import StoreError

NAN = None


def _cell(fault, loss, **more):
    return {
        "fault": fault, "severity": 0.5, "of": "rows", "available": 1.0, "answered": 1.0, "loss": loss, "bare": 2.5,
        "bare_answered": 0.5, "clean": 1.0, "constant": 2.0, "detected": 3.0, "recovered": 0.0, "n": 1200,
    } | more  # fmt: skip


def _found(**more):
    cells = [
        _cell("unit slip", 2.4),
        _cell("sign flip", 1.5, detected=NAN, recovered=NAN),
        _cell("model raises", 1.1, bare=NAN, bare_answered=0.0, severity=1.0, of="calls", recovered=NAN),
    ]
    stages = [
        {"stage": "champion", "vintage": "7", "loss": 1.0, "n": 1000},
        {"stage": "constant", "vintage": "", "loss": 2.0, "n": 1000},
    ]
    return {
        "app": "churn", "loss": "squared_error", "cells": cells, "stages": stages, "clean_rows": 4000, "trips": 1,
        "away": 0.002, "replays": 6, "skipped": ["new category"], "streams": 2, "scale": 3.0,
    } | more  # fmt: skip


def _text(html):
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def test_the_worst_comes_first_with_what_it_is_beside():
    html = drill_html(_found())
    said = _text(html)
    assert "At worst answers lose 2.40 instead of 1.00 ; the constant would have lost 2.00" in said
    assert "The worst: unit slip, 50% of rows" in said
    assert html.index("unit slip") < html.index("sign flip") < html.index("model raises")
    assert "1 of 3 worse than the constant" in " ".join(said.split()) or "worse than the constant 1 of 3" in said
    assert "<b>2.40</b>" in html
    assert "<td>1.50</td>" in html
    assert "Not tried, as no feature gives them a hold: new category" in said
    assert "rows answered all" in said


def test_what_each_feature_is_missed_by_is_told_in_words():
    features = [
        {"feature": "load <kW>", "loss": 2.0, "stage": "constant", "fill": ""},
        {"feature": "heat", "loss": 1.234567, "stage": "champion", "fill": "imputed"},
    ]
    html = drill_html(_found(features=features))
    assert "load &lt;kW&gt; nothing is read constant 2.00" in _text(html)
    assert "heat what the rest of its row tells champion 1.23" in _text(html)
    assert "Without a feature" not in _text(drill_html(_found()))


def test_rows_without_an_answer_are_the_headline_and_are_not_rounded_away():
    found = _found()
    found["cells"][1] |= {"available": 0.99999, "loss": None}
    said = _text(drill_html(found))
    assert "There are faults under which rows get no answer at all." in said
    assert "sign flip, 50% of rows" in said
    assert "rows answered 99.99%" in said
    assert "none answered" in said
    assert "Every row was answered" not in said


def test_what_is_not_known_is_said_in_words():
    html = drill_html(_found())
    assert "None" not in html
    assert "nan" not in _text(html).lower()
    assert "no answer" in html
    assert html.count("not seen") == 2  # a fault that nothing tells, and a model that never comes back


def test_names_are_escaped():
    html = drill_html(_found(app="<script>alert(1)</script>"))
    assert "<script>" not in html


def test_it_needs_nothing_from_outside_and_is_well_formed():
    html = drill_html(_found())
    assert "http" not in html.replace("http://www.w3.org", "")
    opened = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br", "circle", "line", "path", "rect", "link"):
                opened.append(tag)

        def handle_endtag(self, tag):
            if tag not in ("circle", "line", "path", "rect"):
                assert opened.pop() == tag

    Reader().feed(html)
    assert opened == []


def test_a_folder_that_is_not_there_gets_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="could not be written"):
        write_drill(_found(), tmp_path / "none" / "drill.html")


APP = """
import numpy as np
import pandas as pd
import mlwild as wild

def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1500)
    return pd.DataFrame({"when": np.arange(1500), "x": x, "y": 2 * x + rng.normal(size=1500)})

def train(X, y):
    return lambda X: 2 * X["x"].to_numpy(dtype=float)

app = wild.App(
    name="line", data=rows, time="when", label="y", delay=0, models={"line": train}, loss="absolute", every=200, start=300
)
"""


def test_the_command_writes_it_and_the_same_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.py").write_text(APP)
    command = ["drill", "line.py", "--seeds", "1", "--cutoffs", "1", "--json", "drill.json"]
    for name in ("a.html", "b.html"):
        done = CliRunner().invoke(cli, [*command, "--card", name])
        assert done.exit_code == 0, done.output
        assert f"Card: {name}" in done.output
    html = (tmp_path / "a.html").read_text()
    assert html == (tmp_path / "b.html").read_text()
    found = json.loads((tmp_path / "drill.json").read_text())
    assert html == drill_html(found)
    lost = pd.DataFrame(found["cells"])
    assert np.isfinite(lost["clean"]).all()
    assert len(lost) == html.count("<tr>") - 3 - len(found["stages"]) - len(found["features"])  # three heads
    done = CliRunner().invoke(cli, [*command, "--card", "none/a.html"])
    assert done.exit_code == 2
    assert "--card" in done.output
