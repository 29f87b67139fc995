"""Apps whose data grow with time, and what a rehearsal of the whole history says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

import mlwild as wild
from mlwild import frames
from mlwild.auditions import promised_of_life
from mlwild.ledger import Ledger
from mlwild.lives import first_vintage, fold
from mlwild.operating.lived import lived
from mlwild.records import Vintage
from mlwild.triangle import build
from mlwild.triangle.settled import settled
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey
from tests.support import drifting, small_app


class World:
    """A history that comes about: at each moment only what was there by then can be read."""

    def __init__(self, app):
        self.whole = frames.load(app.data, "data", root=app.root, kind="pandas").to_native()
        self.app, self.now = replace(app, data=self.read), None
        if app.known_at is None:
            delay = app.delay if isinstance(app.delay, int) else pd.Timedelta(app.delay)
            self.known = self.whole[app.time] + delay
        else:
            self.known = self.whole[app.known_at]

    def read(self):
        """Return the rows so far; labels and outcomes that have not come are missing."""
        if self.now is None:
            return self.whole
        seen = self.whole[self.app.time] < self.now
        rows, late = self.whole[seen].copy(), self.known[seen] > self.now
        hidden = {self.app.label, self.app.known_at, *self.app.outcomes} - {None}
        for name in hidden:
            column = rows[name]
            rows[name] = (column.astype("Int64") if column.dtype.kind in "ib" else column).mask(late)
        return rows


def world(seed=0, n=900, drift=1.5, delay=60, **fields) -> World:
    """Return a world whose slope changes half way."""
    return World(small_app(drifting(n, seed, drift, delay), **({"every": 50, "start": 100} | fields)))


def tick_by_tick(world, store, rule, *, moments=None, begin=250, **words):
    """Operate a world as time goes by; by default at every cutoff."""
    last = int(world.whole["when"].max()) + 1
    for moment in moments if moments is not None else range(begin + 1, last, 50):
        world.now = moment
        wild.operate(world.app, rule=rule, begin=begin, store=store, **words)
        begin, rule = None, None
    world.now = None
    return ledger_of(world, store)


def ledger_of(world, store) -> Ledger:
    """Return the ledger of an app in operation."""
    return Ledger(store / "operate" / world.app.name / "ledger.jsonl")


def bodies(ledger):
    """Return all facts but failures: what two ledgers must agree on."""
    return [(fact.kind, fact.cutoff, dict(fact.body)) for fact in ledger.facts if fact.kind != "failed"]


def rehearsed(world, store, rule, first):
    """Return the decisions, promises and outcomes that the whole history gives, by plain loops."""
    world.now = None
    read = survey(world.app)
    triangle = build(read, Store(store / "whole"), jobs=1)[0]
    life = fold(rule, triangle, Vintage(first, str(world.app.windows[0])))
    decided = [(fact.cutoff, fact.at, fact.action, fact.live, fact.reason, fact.price) for fact in life.facts]
    delay = next(fact for fact in ledger_of(world, store).facts if fact.kind == "opened").body["delay"]
    start = first_vintage(triangle)
    past = fold(rule, triangle, start).live[: first - start.cutoff]
    made = promised_of_life(triangle, (*past, *life.live), start.cutoff, delay=delay)
    names = ("cutoffs", "followed", "promised", "promised_low", "promised_high")
    series = zip(*(made[name] for name in names), strict=True)
    promises = {cutoff: tuple(promise) for cutoff, *promise in series if cutoff >= first}
    return decided, promises, _outcomes(triangle, life, first)


def _outcomes(triangle, life, first):
    """Return when each period's loss was told, and what it was: the first time that the period was settled."""
    survey, told, found = triangle.survey, set(), {}
    for cutoff in range(first + 1, survey.grid.periods):
        done = settled(survey, cutoff)
        for period in range(first, cutoff):
            rows = np.arange(survey.grid.row_start[period], survey.grid.row_start[period + 1])
            rows = rows[survey.known_at[rows] <= survey.grid.edges[cutoff]]
            if period in told or not done[period] or not len(rows):
                continue
            told.add(period)
            found[period] = (cutoff, _loss(triangle, life.live[period - first], rows))
    return found


def _loss(triangle, vintage, rows):
    survey = triangle.survey
    predicted = triangle.predictions(vintage)[rows - int(survey.grid.row_start[vintage.cutoff])]
    of = survey.loss.of_set if survey.loss.per == "set" else survey.loss.rows
    return float(np.mean(of(survey.labels[rows], predicted)))


def operated(ledger):
    """Return the same of a ledger."""
    life = lived(ledger)
    decided = [(one.cutoff, one.at, one.action, one.live, one.reason, one.price) for one in life.decided]
    promises = {
        fact.cutoff: tuple(fact.body[name] for name in ("split", "estimate", "low", "high"))
        for fact in life.facts
        if fact.kind == "promised" and fact.body["split"] is not None
    }
    outcomes = {
        one["period"]: (fact.cutoff, one["loss"])
        for fact in life.facts
        if fact.kind == "scored"
        for one in fact.body["periods"]
    }
    return decided, promises, outcomes
