"""Step functions and ranks by steps: one place and many are one, and the definition holds."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlwild.stats.stepped_ranks import MIDDLE, STEPS, SteppedRanks
from mlwild.stats.steps import MOST, Steps

PLACES = st.floats(min_value=5e-324, max_value=1.7976931348623157e308)


@settings(max_examples=300, deadline=None)
@given(edges=st.lists(PLACES, max_size=30), more=st.lists(PLACES, max_size=20), data=st.data())
@example(edges=[1.0] * 3 + [2.0] * 20, more=[0.5, 3.0], data=None)
@example(edges=[1.0 + 1e-9 * place for place in range(3 * MOST)], more=[0.5, 1.0 + 2.5e-9, 3.0], data=None)
def test_a_step_function_is_the_search_wherever_edges_lie(edges, more, data):
    edges = sorted(edges)
    values = (
        [float(place) for place in range(len(edges) + 1)]
        if data is None
        else data.draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=len(edges) + 1, max_size=len(edges) + 1))
    )
    made = Steps(np.array(edges), np.array(values))
    places = np.array([*edges, *np.nextafter(edges, 0.0), *more])
    places = places[places > 0]
    wanted = [values[bisect_left(edges, one)] for one in places.tolist()]
    assert made.over(places).tolist() == wanted
    assert [made.at(one) for one in places.tolist()] == wanted


SCORES = st.floats(min_value=-1.0, max_value=1e307)


@settings(max_examples=200, deadline=None)
@given(seen=st.lists(SCORES, min_size=1, max_size=40), asked=st.lists(SCORES, min_size=1, max_size=20))
def test_ranks_in_steps_are_ranks_of_the_step(seen, asked):
    made = SteppedRanks.of(seen)
    asked = np.array([*seen, *asked])
    found = made.over(asked)
    assert [made.at(one) for one in asked.tolist()] == found.tolist()
    steps = [int(max(one, 0.0) / (max(one, 0.0) + MIDDLE) * STEPS) for one in (*seen, *asked.tolist())]
    mine, others = steps[len(seen) :], steps[: len(seen)]
    assert found.tolist() == [(1 + sum(one >= step for one in others)) / (len(seen) + 1) for step in mine]


@pytest.mark.parametrize("draws", [2000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_ranks_in_steps_keep_their_level_and_lose_little(draws):
    # 199 calibration rows and a new one, exponential surprises: at u = .05 and .2 ranks of a continuous score are
    # attained exactly; ties within steps cost a few in a thousand of that. Tolerance: four standard errors.
    rng = np.random.default_rng(0)
    shares = np.zeros(2)
    for _ in range(draws // 20):
        made = SteppedRanks.of(rng.exponential(size=199))
        p = made.over(rng.exponential(size=20))
        shares += [(p <= u).mean() for u in (0.05, 0.2)]
    shares /= draws // 20
    wanted = np.array([0.05, 0.2])
    # Twenty rows share their calibration rows: their share is as uncertain as that of 20 / (1 + 19 / 201) = 18.
    error = np.sqrt(wanted * (1 - wanted) / (draws * 18 / 20))
    assert (shares <= wanted + 4 * error).all()
    assert (shares >= 0.99 * wanted - 4 * error).all()
