"""Intervals of a life: counted again by hand, as stated on average, and the worst rows told beside it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import mlwild as wild
from mlwild import guarding
from mlwild.auditions import covering
from mlwild.auditions.covering import _said, covered
from mlwild.card import card_html
from mlwild.guards.following import follow
from mlwild.lives import led
from mlwild.records import Vintage
from mlwild.show import show_sheet
from mlwild.triangle import build
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey
from tests.auditions.test_abstaining import _app as _sure_app

N, PERIOD = 6000, 300


def _app(seed, delay=10, scale=None, **more):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    noise = rng.normal(size=N) * (0.5 + np.abs(x)) * (np.ones(N) if scale is None else scale)
    rows = pd.DataFrame({"when": np.arange(N), "x": x, "word": rng.choice(["a", "b"], size=N), "y": 3 * x + noise})
    if "propensity" in more:
        rows["seen"] = np.where(np.abs(x) > 1, 0.25, 1.0)
    fields = {"name": "wide", "data": lambda: rows, "time": "when", "label": "y", "delay": delay}
    models = {"line": _line}
    return wild.App(models=models, loss="absolute", every=PERIOD, start=PERIOD, guard=wild.Guard(), **fields, **more)


def _line(X, y):
    model = LinearRegression().fit(X[["x"]], y)
    return lambda X: model.predict(X[["x"]])


def _built(app, folder):
    read = survey(app)
    (triangle,) = build(read, Store(folder))
    return triangle, [Vintage(k, "all") for k in range(read.grid.periods)]


@pytest.mark.parametrize(("delay", "weighted"), [(10, False), (700, False), (10, True)])
def test_it_is_what_is_counted_by_hand(tmp_path, delay, weighted):
    feedback = {"feedback": "selective", "propensity": "seen"} if weighted else {}
    triangle, path = _built(_app(0, delay, **feedback), tmp_path)
    grid, labels = triangle.survey.grid, triangle.survey.labels
    began = min(one.cutoff for one in triangle.scores)
    found = covered(triangle, path[began:], began, level=0.9)
    x = triangle.survey.app.data()["x"].to_numpy()
    rows, value, period, told = [], [], [], []
    for k in range(began, grid.periods):
        first = int(grid.row_start[k])
        for row in range(first, int(grid.row_start[k + 1])):
            if np.isfinite(labels[row]):
                rows.append(row)
                value.append(float(triangle.predictions(Vintage(k, "all"))[row - first]))
                period.append(k)
                told.append(next((one for one, edge in enumerate(grid.edges) if edge >= row + delay), 99))
    rows, value = np.array(rows), np.array(value)
    scores = np.abs(labels[rows] - value)
    columns = [x[rows] if name == "x" else np.full(len(rows), np.nan) for name in triangle.survey.features.column_names]
    seen = np.column_stack([*columns, value])
    weights = 1 / triangle.survey.app.data()["seen"].to_numpy()[rows] if weighted else np.ones(len(rows))
    radii = follow(seen, scores, np.array(period), np.array(told), level=0.9, weights=weights)[1]
    counted = np.isfinite(radii)
    held, weight = scores[counted] <= radii[counted], weights[counted]
    assert found["n"] == counted.sum() < len(rows)
    assert found["share"] == pytest.approx((held * weight).sum() / weight.sum())
    assert found["width"] == pytest.approx(2 * np.median(radii[counted]))
    spans = (slice(first, first + 500) for first in range(len(held) - 499))
    least = min((held[span] * weight[span]).sum() / weight[span].sum() for span in spans)
    assert found["worst"]["share"] == pytest.approx(least)


def test_intervals_that_end_hold_as_much_and_are_told_as_narrow_as_they_are(tmp_path):
    """Outcomes of at least 0: what lies below is nothing that could be missed, and one that does is missed."""
    rows = _app(3).data()
    rows["y"] = np.maximum(rows["y"], 0.0)
    found = {}
    for name, how in {"plain": wild.Guard(), "ended": wild.Guard(low=0.0), "wrong": wild.Guard(low=2.0)}.items():
        triangle, path = _built(replace(_app(3), data=lambda: rows, guard=how), tmp_path / name)
        began = min(one.cutoff for one in triangle.scores)
        found[name] = covered(triangle, path[began:], began, level=0.9)
    assert found["ended"]["share"] == found["plain"]["share"]
    assert found["ended"]["width"] < 0.95 * found["plain"]["width"]
    assert found["wrong"]["share"] < found["plain"]["share"] - 0.2


def test_what_is_held_is_what_is_stated_and_the_worst_is_below_it(tmp_path):
    """Five draws of some 5,400 outcomes: four standard errors, and .01 for a change of widths once a period."""
    for seed in range(5):
        triangle, path = _built(_app(seed), tmp_path / str(seed))
        found = covered(triangle, path, 0, level=0.8)
        assert abs(found["share"] - 0.8) < 4 * np.sqrt(0.16 / found["n"]) + 0.01
        assert 0.7 < found["worst"]["share"] < found["share"]


def test_a_spell_of_great_errors_shows_in_the_worst_rows(tmp_path):
    scale = np.where((np.arange(N) >= 3000) & (np.arange(N) < 3300), 6.0, 1.0)
    triangle, path = _built(_app(0, scale=scale), tmp_path)
    found = covered(triangle, path, 0, level=0.9)
    assert found["share"] > 0.85
    assert found["worst"]["share"] < 0.7
    assert 2700 <= int(found["worst"]["from"]) <= 3000
    assert 3200 <= int(found["worst"]["to"]) <= 3600


def test_sets_of_classes_are_told_by_their_size(tmp_path):
    read = survey(_sure_app(0))
    (triangle,) = build(read, Store(tmp_path))
    found = covered(triangle, [Vintage(k, "all") for k in range(1, read.grid.periods)], 1, level=0.9)
    assert 0.88 < found["share"] < 0.96  # the likeliest is always in the set
    assert 1 < found["width"] < 2


def test_the_latest_rows_alone_are_looked_at_where_there_are_too_many(tmp_path, monkeypatch):
    triangle, path = _built(_app(0), tmp_path)
    whole = covered(triangle, path, 0, level=0.9)
    monkeypatch.setattr(guarding, "MOST_ROWS", 1000)
    found = covered(triangle, path, 0, level=0.9)
    assert found["n"] < 1300 < whole["n"]
    assert int(found["worst"]["to"]) > N - 1000


def test_periods_that_are_longer_than_all_that_is_looked_at_hide_none_before_them(tmp_path, monkeypatch):
    triangle, path = _built(_app(0), tmp_path)
    whole = covered(triangle, path[2:], 2, level=0.9)
    assert "evenly" not in whole["said"]
    monkeypatch.setattr(guarding, "MOST_ROWS", PERIOD)
    assert covered(triangle, path[2:], 2, level=0.9) is None  # as it was: of one period no outcome is known before it
    monkeypatch.setattr(guarding, "MOST_OF_PERIOD", PERIOD // 5)
    monkeypatch.setattr(covering, "MOST_OF_PERIOD", PERIOD // 5)
    found = covered(triangle, path[2:], 2, level=0.9)
    assert found["n"] == 4 * PERIOD // 5  # five periods, less the first
    assert abs(found["share"] - 0.9) < 4 * np.sqrt(0.09 / found["n"]) + 0.02
    assert found["said"].endswith("Of each period 60 rows at most, evenly spaced.")


def test_where_nothing_can_be_told_nothing_is(tmp_path):
    triangle, path = _built(_app(0), tmp_path)
    assert covered(triangle, path[:1], 0, level=0.9) is None  # no outcome was known before its rows
    short = covered(triangle, path[:2], 0, level=0.9)
    assert short["n"] == PERIOD
    assert short["worst"] is None


def test_every_rehearsal_says_what_intervals_of_served_answers_held(tmp_path, capsys):
    app = replace(_app(0), guard=None)
    made = wild.rehearse(app, store=tmp_path, jobs=1)
    each = made.sheet["intervals"]
    assert made.sheet["fallback"] is None
    life = led(made.sheet["recommended"]["rule"], made.lives)
    assert each == covered(made.triangles[0], life.live, life.first, level=0.9)
    show_sheet(made.sheet)
    said = " ".join(capsys.readouterr().out.split())
    assert f"If it had been served, {each['said']}" in said
    assert f"of the worst 500 on end {each['worst']['share']:.0%}, " in said
    assert f"If it had been served, {each['said']}" in card_html(made.sheet)
    assert (
        wild.rehearse(replace(app, guard=wild.Guard(level=0.8)), store=tmp_path, jobs=1).sheet["intervals"]["level"]
        == 0.8
    )


def test_a_period_that_nobody_answered_hides_none_of_those_before_it(tmp_path):
    triangle, path = _built(_app(0), tmp_path)
    whole = covered(triangle, path[2:], 2, level=0.9)
    del triangle.scores[Vintage(10, "all")]
    found = covered(triangle, path[2:], 2, level=0.9)
    assert found["n"] == whole["n"] - PERIOD


def test_a_width_in_thousands_is_told_as_other_numbers_are():
    found = {"level": 0.9, "share": 0.9, "n": 3087, "width": 2513.7, "worst": None}
    assert "2,510 wide in the median" in _said(found, numbers=True)
