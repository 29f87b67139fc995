"""Periods, cells and scores against a plain loop over rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild import frames
from mlwild.clock import NEVER
from mlwild.errors import DataError
from mlwild.events import gather
from mlwild.losses import NAMED
from mlwild.triangle.fitting import training_rows
from mlwild.triangle.grid import lay_out
from mlwild.triangle.scores import score


def _events(seed, n=200, late=60):
    rng = np.random.default_rng(seed)
    when = np.sort(rng.integers(0, 100, n))
    known = pd.array(when + rng.integers(0, late + 1, n), dtype="Int64")
    known[rng.random(n) < 0.1] = pd.NA
    frame = pd.DataFrame({"t": when, "k": known, "y": rng.normal(size=n)})
    return gather(frames.eager(frame, "data"), time="t", label="y", known_at="k", delay=None)


EDGES = np.array([20, 35, 50, 65, 80, 95])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), late=st.sampled_from([0, 1, 15, 60]), name=st.sampled_from(["squared", "rmse"]))
def test_what_was_known_of_each_period_at_each_cutoff_is_what_a_loop_finds(seed, late, name):
    events = _events(seed, late=late)
    grid, loss = lay_out(events, EDGES), NAMED[name]
    first = int(grid.row_start[1])
    predictions = np.random.default_rng(seed).normal(size=len(events) - first).astype(np.float32)
    made = score(predictions, first, 1, events.label, loss, grid)
    for cutoff in range(1, grid.periods):
        cells = grid.last_known(cutoff)
        for period in range(1, cutoff):
            # A label is known after its own period's cutoff even where it came at that very instant.
            inside = (events.time >= EDGES[period]) & (events.time < EDGES[period + 1])
            rows = np.flatnonzero(inside & (events.known_at <= EDGES[cutoff]))
            if not len(rows):
                assert cells[period] == -1
                continue
            truth, guess = events.label[rows], predictions[rows - first]
            expected = loss.rows(truth, guess).sum() if name == "squared" else loss.of_set(truth, guess) * len(rows)
            assert made.total[cells[period]] == pytest.approx(expected)
            assert made.weight[cells[period]] == len(rows)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_halves_add_up_to_the_whole_and_take_rows_in_turn(seed):
    events = _events(seed)
    grid = lay_out(events, EDGES)
    first = int(grid.row_start[0])
    made = score(np.zeros(len(events) - first, np.float32), first, 0, events.label, NAMED["squared"], grid)
    whole = made.total[grid.last[grid.last >= 0]]
    assert np.allclose(made.half_total.sum(axis=0)[grid.last >= 0], whole)
    for period in range(grid.periods):
        inside = (events.time >= EDGES[period]) & (events.time < EDGES[period + 1])
        rows = np.flatnonzero(inside & (events.known_at != NEVER))
        for half in (0, 1):
            assert made.half_total[half, period] == pytest.approx((events.label[rows[half::2]] ** 2).sum())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), opens=st.integers(-10, 40), cutoff=st.integers(41, 120))
def test_training_rows_are_those_asked_before_and_known_by_the_cutoff(seed, opens, cutoff):
    events = _events(seed)
    picked = training_rows(events.time, events.known_at, opens, cutoff)
    expected = np.flatnonzero((events.time >= opens) & (events.time < cutoff) & (events.known_at <= cutoff))
    assert np.array_equal(np.arange(len(events))[picked], expected)
    assert not np.any(~events.known(cutoff)[expected])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), middle=st.integers(30, 70))
def test_an_update_learns_from_each_label_once(seed, middle):
    events = _events(seed)
    begin = np.iinfo(np.int64).min
    first = np.arange(len(events))[training_rows(events.time, events.known_at, begin, middle)]
    then = np.arange(len(events))[training_rows(events.time, events.known_at, begin, 90, after=middle)]
    whole = np.arange(len(events))[training_rows(events.time, events.known_at, begin, 90)]
    assert not set(first) & set(then)
    assert sorted([*first, *then]) == sorted(whole)


def test_a_label_known_at_the_cutoff_of_its_own_event_is_not_learned_from():
    frame = pd.DataFrame({"t": np.arange(100), "y": np.arange(100.0)})
    events = gather(frames.eager(frame, "data"), time="t", label="y", known_at=None, delay=0)
    picked = training_rows(events.time, events.known_at, 0, 50)
    assert np.arange(100)[picked].max() == 49


def test_fewer_than_three_cutoffs_are_refused():
    with pytest.raises(DataError, match="every: only 2 whole periods between 0 and 99"):
        lay_out(_events(0), np.array([20, 35, 50]))


def test_rows_side_by_side_cost_no_copy():
    frame = pd.DataFrame({"t": np.arange(100), "y": np.arange(100.0)})
    events = gather(frames.eager(frame, "data"), time="t", label="y", known_at=None, delay=3)
    assert training_rows(events.time, events.known_at, 10, 50) == slice(10, 48)
