"""Settled periods: by delay where labels are chosen, by share where all come, and never by what comes later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor

import mlwild as wild
from mlwild.triangle.settled import complete, settled
from mlwild.triangle.survey import survey

DAYS = 210


def _survey(known_days, each=20):
    """Survey rows of 30 weeks, periods from the second on; `known_days` gives each row's delay, NaN for never."""
    day = np.repeat(np.arange(DAYS), each)
    late = known_days(day, np.random.default_rng(1))
    start = pd.Timestamp("2024-01-01")
    time = start + pd.to_timedelta(day, unit="D")
    frame = pd.DataFrame({"t": time, "known": time + pd.to_timedelta(late, unit="D"), "x": 0.5})
    frame["y"] = np.where(np.isnan(late), np.nan, (np.arange(len(day)) % 2).astype(float))
    app = wild.App(
        name="settling",
        data=lambda: frame,
        time="t",
        label="y",
        known_at="known",
        models={"mean": DummyRegressor()},
        loss="squared",
        every="7D",
        start="2024-01-08",
    )
    return survey(app)


def test_labels_for_few_rows_settle_by_their_delay():
    """From 15 to 85 % of rows get a label, by week; all after 10 days: by share, most weeks would be dropped."""

    def chosen(day, rng):
        share = rng.uniform(0.15, 0.85, DAYS // 7)[day // 7]
        return np.where(rng.random(len(day)) < share, 10.0, np.nan)

    found = _survey(chosen)
    for cutoff in (10, 20, found.grid.periods):
        ready = settled(found, cutoff)
        # Ten days after a week's last day are two weeks after its end.
        assert ready.tolist() == [True] * (cutoff - 2) + [False] * 2


def test_labels_that_came_after_the_end_complete_a_period_that_no_cutoff_saw_settled():
    """Half of the labels come after 25 days: the last weeks have all of theirs only if those of later are there too."""
    there = _survey(lambda day, rng: np.where(rng.random(len(day)) < 0.5, 0.0, 25.0))
    assert not settled(there, there.grid.periods)[-3:].any()
    assert complete(there).all()

    def until_now(day, rng):
        late = np.where(rng.random(len(day)) < 0.5, 0.0, 25.0)
        return np.where(day + late < DAYS, late, np.nan)

    cut = _survey(until_now)
    assert complete(cut).tolist() == settled(cut, cut.grid.periods).tolist()
    assert complete(cut)[:-4].all()
    assert not complete(cut)[-3:].any()


def test_half_known_weeks_wait_for_the_other_half():
    def halves(day, rng):
        return np.where(rng.random(len(day)) < 0.5, 0.0, 25.0)

    found = _survey(halves)
    ready = settled(found, 20)
    assert ready[:16].all()
    assert not ready[16:].any()


def test_a_week_that_is_known_whole_is_settled_however_late_others_were():
    """Labels come on the last day of each fourth week: the week before it is known at once, others wait."""

    def by_month(day, rng):
        return (27 - day % 28).astype(float)

    found = _survey(by_month)
    assert settled(found, 11).all()
    assert settled(found, 12).tolist() == [True] * 11 + [False]


def test_a_week_without_labels_is_not_settled():
    def broken(day, rng):
        return np.where(day // 7 == 6, np.nan, 1.0)

    assert np.flatnonzero(~settled(_survey(broken), 20)).tolist() == [5]


def test_a_week_in_which_labels_stopped_is_not_settled_by_the_one_that_came():
    def stopped(day, rng):
        late = np.where(rng.random(len(day)) < 0.4, 1.0, np.nan)
        late[(day // 7 == 6)] = np.nan
        late[np.flatnonzero(day // 7 == 6)[0]] = 1.0
        return late

    assert np.flatnonzero(~settled(_survey(stopped), 20)).tolist() == [5]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), cutoff=st.integers(3, 25))
def test_what_comes_later_changes_nothing(seed, cutoff):
    at = 7 * (cutoff + 1)

    def with_future(longer):
        def late(day, rng):
            mine = np.random.default_rng(seed)
            delay = mine.geometric(0.1, len(day)).astype(float)
            delay[mine.random(len(day)) < 0.3] = np.nan
            unseen = ~(day + delay <= at)
            return np.where(unseen, np.maximum(delay, at - day + 1) * longer, delay)

        return late

    one, other = _survey(with_future(1.0), 5), _survey(with_future(3.0), 5)
    assert np.array_equal(settled(one, cutoff), settled(other, cutoff))


@pytest.mark.parametrize("cutoff", [5, 17, 28])
def test_arrivals_are_what_a_loop_counts(cutoff):
    found = _survey(lambda day, rng: rng.geometric(0.05, len(day)).astype(float))
    period, arrival, counts = found.arrivals
    known = counts[arrival <= cutoff].sum()
    rows = found.grid.cell_rows
    assert known == (found.known_at[rows] <= found.grid.edges[cutoff]).sum()
    assert counts.sum() == len(rows)
    assert np.all(arrival > period)
