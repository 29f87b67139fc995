"""How long features stand still is the same however rows come: one by one, in pieces, or all at once."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.guards import Candidate, Known, learn_guard
from mlwild.guards.encoding import STRANGE, Encoding
from mlwild.guards.fences import learn_fences
from mlwild.guards.runs import Runs
from mlwild.losses import named

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, np.nan, STRANGE, -1e308, 1e308])


def marked(pieces, longest):
    runs, made = Runs.of(len(longest)), []
    for piece in pieces:
        found = runs.feed(piece, longest)
        made.append(np.zeros(piece.shape, dtype=bool) if found is None else found)
    return np.concatenate(made).tolist(), runs.length.tolist()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), n=st.integers(1, 40), columns=st.integers(1, 3), longest=st.integers(1, 4))
def test_however_rows_come(data, n, columns, longest):
    rows = np.array(data.draw(st.lists(st.lists(VALUES, min_size=columns, max_size=columns), min_size=n, max_size=n)))
    cuts = sorted(set(data.draw(st.lists(st.integers(1, n), max_size=8))) - {n})
    limits = np.full(columns, float(longest))
    whole = marked([rows], limits)
    assert marked(np.split(rows, cuts), limits) == whole
    assert marked(np.split(rows, n), limits) == whole


@settings(max_examples=300, deadline=None)
@given(data=st.data(), n=st.integers(1, 40), columns=st.integers(2, 3), longest=st.integers(1, 4))
def test_what_has_not_lasted_for_long_has_not_stood_still(data, n, columns, longest):
    """By its definition, value by value; and the same however rows come."""
    rows = np.array(data.draw(st.lists(st.lists(VALUES, min_size=columns, max_size=columns), min_size=n, max_size=n)))
    times = np.cumsum(np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float))
    lasting = np.array(data.draw(st.lists(st.sampled_from([-1.0, 0.0, 2.0, 5.0]), min_size=columns, max_size=columns)))
    limits = np.full(columns, float(longest))
    wanted, since, length, last = [], [0.0] * columns, [0] * columns, [np.nan] * columns
    for row, at in zip(rows.tolist(), times.tolist(), strict=True):
        same = [
            length[place] > 0
            and ((one != STRANGE and one == last[place]) or (one != one and last[place] != last[place]))
            for place, one in enumerate(row)
        ]
        for place in range(columns):
            if not same[place]:
                since[place], length[place] = at, 1
            elif not all(same):  # the same request again makes no run longer
                length[place] += 1
        last = row
        wanted.append([length[p] > longest and at - since[p] > lasting[p] for p in range(columns)])
    cuts = sorted(set(data.draw(st.lists(st.integers(1, n), max_size=8))) - {n})
    for edges in ([], cuts, list(range(1, n))):
        runs, found = Runs.of(columns), []
        for piece, when in zip(np.split(rows, edges), np.split(times, edges), strict=True):
            marks = runs.feed(piece, limits, when, lasting)
            found.append(np.zeros(piece.shape, dtype=bool) if marks is None else marks)
        assert np.concatenate(found).tolist() == wanted


HOURS = np.arange(24.0 * 90)


def _learned(times):
    """Return a guard on an hourly history of a daily price, a load and a wind, and its model."""
    frame = _frame(HOURS)
    table, half = pa.Table.from_pandas(frame, preserve_index=False), len(frame) // 2
    y = frame["load"].to_numpy()
    chain = [Candidate("model", "1", lambda X: X["load"].to_numpy(float))]
    parts = table.slice(0, half), y[:half], table.slice(half), y[half:]
    known = Known(*parts, "pandas", named("absolute"), "value", 0, times=HOURS[:half] if times else None)
    return learn_guard(known, chain), [chain[0].predict]


def _frame(hours):
    rng = np.random.default_rng(1)
    price = rng.normal(50, 5, 200)  # of each day
    load, wind = rng.normal(size=(2, len(hours)))
    return pd.DataFrame({"price": price[(hours // 24).astype(int)], "load": load, "wind": wind})


@pytest.mark.parametrize("n", [1, 250])
def test_more_requests_than_the_history_has_rows_are_no_standing_still(n):
    """A hundred rows an hour, where the history has one: a price of the day is the same for 2,400 of them."""
    hours = 24 * 90 + np.arange(2 * 2400) / 100
    live = _frame(hours)
    guard, predict = _learned(times=True)
    assert guard.fences.lasting.tolist() == [71.0, 2.0, 2.0]
    watch = guard.watch()
    parts = [guard.answer(live[at : at + n], predict, watch, times=hours[at : at + n]) for at in range(0, len(live), n)]
    assert not any("still" in cause for part in parts for cause in part.cause)
    # Without times it stands still for all that anybody can tell.
    watch = guard.watch()
    said = guard.answer(live[:200], predict, watch)
    assert "price has stood still" in said.cause[-1]
    # What moved from hour to hour and stands still for some is told: here after two, with two hundred rows.
    stuck, watch = live.assign(load=0.25), guard.watch()
    said = guard.answer(stuck[:400], predict, watch, times=hours[:400])
    assert not any("still" in cause for cause in said.cause[:200])
    assert all("load has stood still" in cause for cause in said.cause[201:])


def test_where_no_times_are_known_rows_are_counted():
    guard, predict = _learned(times=False)
    assert guard.fences.lasting is None
    hours = 24 * 90 + np.arange(200) / 100
    said = guard.answer(_frame(hours), predict, guard.watch(), times=hours)
    assert "price has stood still" in said.cause[-1]


def test_times_that_are_coarser_than_rows_say_nothing():
    """A hundred rows a day, all of midnight: within a day any number of rows may come."""
    n = 4000
    x = np.random.default_rng(0).normal(size=n)
    table = pa.table({"x": x, "more": np.random.default_rng(1).normal(size=n)})
    fences = learn_fences(table, Encoding.of(table, "pandas"), times=np.arange(n) // 100 * 24.0)
    assert (fences.lasting < 0).all()
    still = learn_fences(table, Encoding.of(table, "pandas"), times=np.zeros(n))
    assert (still.lasting < 0).all()
