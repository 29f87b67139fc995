"""Ranks of what is most surprising: their level, what steps cost of it, and one row alone as among many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlwild.stats.rank_curves import surprise_curve
from mlwild.stats.surprises import Surprises, Tails

CURVES = [
    surprise_curve(np.random.default_rng(1).exponential(size=4000)),
    surprise_curve(np.random.default_rng(2).normal(size=4000) ** 2),
    surprise_curve(np.where(np.random.default_rng(3).random(4000) < 0.1, 2.3, 0.0)),
]
#: Two clusters that are narrow and far apart: no grid shows them.
CLUSTERS = surprise_curve(np.random.default_rng(4).choice([1.0, 1e9], size=4000) * np.linspace(1, 1 + 1e-9, 4000))
#: A value that is there is as rare as one that is not elsewhere: a row in which nothing is missing stands out.
MOSTLY_MISSING = surprise_curve(np.where(np.random.default_rng(5).random(4000) < 0.9, -1.0, 0.0))
SCORES = st.floats(min_value=0.0, max_value=12.0) | st.floats(min_value=0.0, max_value=1e150)
ROWS = st.tuples(SCORES, SCORES, st.sampled_from([0.0, 2.3, -1.0, 9.0]))


@pytest.mark.parametrize("last", [CURVES[2], MOSTLY_MISSING], ids=["seldom missing", "mostly missing"])
@pytest.mark.parametrize("first", [CURVES[0], CLUSTERS], ids=["grid", "search"])
@settings(max_examples=200, deadline=None)
@given(seen=st.lists(ROWS, min_size=1, max_size=40), asked=st.lists(ROWS, min_size=1, max_size=20))
@example(seen=[(0.0, 0.0, -1.0)], asked=[(0.0, 0.0, 0.0)])
def test_a_p_value_is_the_rank_of_the_greatest_surprise_and_falls_beyond_it(first, last, seen, asked):
    surprises = Surprises.of([first, CURVES[1], last])
    assert surprises.rest == ((0,) if first is CLUSTERS else ())
    greatest = surprises.greatest(np.array(seen).T)
    made = Tails(surprises, np.sort(greatest))
    rows = np.array([*seen, *asked])
    found = made.over(rows.T)
    assert [made.of_row(row) for row in rows.tolist()] == found.tolist()
    mine = [max(surprises.of_row(row)) for row in rows.tolist()]
    assert mine == pytest.approx(surprises.greatest(rows.T), rel=1e-12)
    at_least = [sum(other >= one - 1e-9 * (1 + one) for other in greatest.tolist()) for one in mine]
    beyond = np.exp(-np.maximum(np.array(mine) - greatest.max(), 0.0))
    assert found == pytest.approx((1 + np.array(at_least)) / (len(seen) + 1) * beyond, rel=1e-6)


@pytest.mark.parametrize("draws", [2000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_ranks_in_steps_keep_their_level_and_lose_little(draws):
    # 199 calibration rows and a new one, exponential surprises: at u = .05 and .2 ranks of a continuous score are
    # attained exactly; ties within steps cost a few in a thousand of that. Tolerance: four standard errors.
    rng = np.random.default_rng(0)
    shares = np.zeros(2)
    surprises = Surprises.of(CURVES[:1] + CURVES[2:])

    def scores(n):
        return np.array([rng.exponential(size=n), np.zeros(n)])

    for _ in range(draws // 20):
        made = Tails(surprises, np.sort(surprises.greatest(scores(199))))
        p = made.over(scores(20))
        shares += [(p <= u).mean() for u in (0.05, 0.2)]
    shares /= draws // 20
    wanted = np.array([0.05, 0.2])
    # Twenty rows share their calibration rows: their share is as uncertain as that of 20 / (1 + 19 / 201) = 18.
    error = np.sqrt(wanted * (1 - wanted) / (draws * 18 / 20))
    assert (shares <= wanted + 4 * error).all()
    assert (shares >= 0.99 * wanted - 4 * error).all()
