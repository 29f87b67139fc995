"""Many curves at once are the curves one by one."""

import numpy as np
import pytest

from mlwild.stats.curve import Curve
from mlwild.stats.curves import Curves
from mlwild.stats.rank_curves import normal_score_curve

RNG = np.random.default_rng(0)
COLUMNS = {
    "normal": RNG.normal(size=4000),
    "skewed": RNG.lognormal(size=4000),
    "far skewed": RNG.lognormal(0, 3, size=4000),
    "cauchy": RNG.standard_cauchy(4000),
    "two values": RNG.integers(0, 2, 4000).astype(float),
    "one value": np.full(4000, 3.0),
    "no value": np.full(4000, np.nan),
    "counts": RNG.integers(0, 50, 4000).astype(float),
    "far from zero": 1e9 + RNG.normal(size=4000),
    "times": 1.7e18 + RNG.integers(0, 10**15, 4000).astype(float),
    "a spike": np.r_[np.zeros(3000), RNG.normal(size=1000)],
    "few rows": np.array([1.0, 2.0]),
    "a sentinel far below": np.r_[np.full(10, -1e12), RNG.integers(0, 3, 4000)].astype(float),
    "a sentinel far above": np.r_[np.full(10, 1e12), RNG.integers(0, 3, 4000)].astype(float),
}


def _places(column, curve):
    """Values of the column, its knots and just beside them, and far out."""
    known, knots = column[~np.isnan(column)], np.array(curve.knots)
    beside = [np.nextafter(knots, -np.inf), np.nextafter(knots, np.inf)]
    far = [np.inf, -np.inf, 1e300, -1e300, 0.0]
    return RNG.choice(np.concatenate([known, knots, *beside, far, knots[0] + RNG.normal(size=50) * 1e3]), 3000)


def test_all_at_once_they_are_as_one_by_one():
    curves = [normal_score_curve(column) for column in COLUMNS.values()]
    made = Curves.of(curves)
    # Some have knots too close for buckets, and most have not: both ways are tried.
    assert 0 < len(made.searched) < len(curves) / 2
    x = np.array([_places(column, curve) for column, curve in zip(COLUMNS.values(), curves, strict=True)])
    together = made.over(x)
    for name, curve, places, found in zip(COLUMNS, curves, x, together, strict=True):
        assert found == pytest.approx(curve.over(places), rel=1e-9, abs=1e-9), name
        assert found[:200] == pytest.approx([curve.at(place) for place in places[:200]], rel=1e-9, abs=1e-9), name
    assert made.over(x[:, :1]) == pytest.approx(together[:, :1], abs=0)


def test_what_ties_at_a_knot_ties_to_the_last_bit():
    curves = [normal_score_curve(column) for column in COLUMNS.values()]
    made = Curves.of(curves)
    most = max(len(curve.knots) for curve in curves)
    knots = np.array([np.resize(curve.knots[:-1] or curve.knots, most) for curve in curves])
    values = np.array([np.resize(curve.values[:-1] or curve.values, most) for curve in curves])
    assert made.over(knots).tolist() == values.tolist()


def test_a_curve_of_one_knot_and_one_that_falls():
    made = Curves.of([Curve((5.0,), (2.0,)), Curve((0.0, 1.0, 2.0, 7.0), (3.0, 1.0, 0.5, -4.0))])
    assert made.over(np.array([[1.0, 9.0, 5.0], [0.5, 1.5, 99.0]])).tolist() == [[2.0, 2.0, 2.0], [2.0, 0.75, -4.0]]
    assert made.over(np.zeros((2, 0))).shape == (2, 0)
