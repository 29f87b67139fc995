"""A batch in which nothing is wrong goes a quicker way: what it may not pass over."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlwild.guards import Candidate, Known, learn_guard
from mlwild.guards.encoding import STRANGE
from mlwild.guards.fences import Fences
from mlwild.guards.watch import new_stream
from mlwild.losses import named

N = 2400
EDGE = np.array([np.nan, -np.inf, STRANGE, -1e308, 1e308, -1.0, -0.0, 0.5, 1.0, 2.0])


@settings(max_examples=300, deadline=None)
@given(
    rows=arrays(float, st.tuples(st.integers(0, 4), st.integers(0, 3)), elements=st.sampled_from(EDGE.tolist())),
    order=st.sampled_from("CF"),
    data=st.data(),
)
def test_a_value_breaks_a_limit_whatever_stands_beside_it(rows, order, data):
    n = rows.shape[1]
    low, high = (
        np.array(data.draw(st.lists(st.sampled_from(some), min_size=n, max_size=n)))
        for some in ([-np.inf, -1.0, 0.5], [0.5, 1.0, 1e308, np.inf])
    )
    gaps = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    none = np.full(n, np.nan)
    found = Fences(tuple(map(str, range(n))), low, high, gaps, gaps, none, none).broken(np.array(rows, order=order))
    wanted = [
        [
            not may if value != value else value < least or value > most
            for value, least, most, may in zip(row, low, high, gaps, strict=True)
        ]
        for row in rows.tolist()
    ]
    assert (found is None) == (not any(map(any, wanted)))
    assert found is None or found.tolist() == wanted


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    frame = pd.DataFrame({"x": x, "gaps": np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N))})
    frame["more"] = rng.normal(size=N)
    table, half = pa.Table.from_pandas(frame, preserve_index=False), N // 2
    chain = [Candidate("model", "1", lambda X: X["x"].fillna(0.0).to_numpy(float))]
    known = Known(table.slice(0, half), x[:half], table.slice(half), x[half:], "pandas", named("absolute"), "value", 0)
    return learn_guard(known, chain), [chain[0].predict], frame


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_feature_that_cannot_be_read_is_told_though_it_may_be_missing(made, n):
    guard, predict, frame = made
    said = guard.answer(frame[-n:].assign(gaps=["a word"] * n), predict, guard.watch())
    assert (said.status > 0).all()
    assert all(one.startswith("gaps ") for one in said.cause)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_feature_that_is_too_old_is_told_though_nothing_else_is_wrong(made, n):
    guard, predict, frame = made
    old = np.arange(n) % 2 == 0
    said = guard.answer(frame[-n:], predict, guard.watch(), stale={"gaps": (old, ["is two days old"] * n)})
    assert ["two days old" in one for one in said.cause] == old.tolist()
    assert said.value.tolist() == frame["x"][-n:].tolist()
    rows = guard.answer(frame[-n:], predict, guard.watch(), stale={"gaps": (~old & False, ["is two days old"] * n)})
    assert (rows.status == 0).all()


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_feature_that_stands_still_is_told_though_it_keeps_its_limits(made, n):
    guard, predict, frame = made
    watch, rows = guard.watch(), frame[-400:].assign(more=0.25)
    for at in range(0, 400, n):
        said = guard.answer(rows[at : at + n], predict, watch)
    assert (said.status > 0).all()
    assert all("more has stood still" in one for one in said.cause)


@pytest.mark.parametrize("n", [1, 40])
def test_rows_with_a_broken_feature_are_no_part_of_the_stream(made, n):
    guard, _, frame = made
    stream = new_stream(guard.stream.support, guard.stream.slack, guard.settings)
    rows, hurt = frame[-n:].to_numpy(), np.arange(n) % 4 == 0
    rows[hurt] = 1e6
    assert stream.feed(rows, hurt) == []
    assert stream.detector.rows == n - hurt.sum()
    fresh = new_stream(guard.stream.support, guard.stream.slack, guard.settings)
    assert fresh.feed(rows[~hurt]) == []
    assert fresh.detector == stream.detector
    assert fresh.feed(rows[~hurt][:1] if n > 1 else frame[-1:].to_numpy(), np.array([True])) == []
    assert fresh.detector == stream.detector  # nor one that is as usual but for what is broken
    assert [place for found, _ in fresh.feed(rows[hurt]) for place in found.tolist()]  # and it would have said so
