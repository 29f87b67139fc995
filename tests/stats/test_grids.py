"""Functions by an even grid are close to what they stand for, never fall, and are the same for one row as for many."""

import numpy as np
import pytest

from mlwild.stats.even_grids import FARTHEST
from mlwild.stats.grids import MEAN_OFF, MOST_OFF, NEAR, Grids
from mlwild.stats.p_values import outlying_rows
from mlwild.stats.rank_curves import normal_score_curve, surprise_curve
from mlwild.stats.support import learn_support
from mlwild.stats.surprises import Surprises

RNG = np.random.default_rng(1)
FIRST = np.random.default_rng(0)
EVERY = {
    "normal": FIRST.normal(size=4000),
    "skewed": FIRST.lognormal(size=4000),
    "far skewed": FIRST.lognormal(0, 3, size=4000),
    "cauchy": FIRST.standard_cauchy(4000),
    "two values": FIRST.integers(0, 2, 4000).astype(float),
    "one value": np.full(4000, 3.0),
    "no value": np.full(4000, np.nan),
    "counts": FIRST.integers(0, 50, 4000).astype(float),
    "far from zero": 1e9 + FIRST.normal(size=4000),
    "times": 1.7e18 + FIRST.integers(0, 10**15, 4000).astype(float),
    "a spike": np.r_[np.zeros(3000), FIRST.normal(size=1000)],
    "few rows": np.array([1.0, 2.0]),
    "a sentinel far below": np.r_[np.full(10, -1e12), FIRST.integers(0, 3, 4000)].astype(float),
    "a sentinel far above": np.r_[np.full(10, 1e12), FIRST.integers(0, 3, 4000)].astype(float),
    "uniform": RNG.random(4000),
    "exponential": RNG.exponential(size=4000),
    "mostly none": np.r_[np.zeros(3500), RNG.exponential(size=500)],
    "prices": np.round(RNG.lognormal(3, 1.2, 4000), 2),
    "two clusters": np.r_[RNG.normal(size=2000), 50 + RNG.normal(size=2000)],
    "two narrow clusters": np.r_[RNG.normal(size=2000), 1e6 + RNG.normal(size=2000)],
    "fifty rows": RNG.normal(size=50),
}
CURVES = [normal_score_curve(column) for column in EVERY.values()]
MADE = Grids.of(CURVES)


def _places(column, curve):
    """Values of the column, its knots and just beside them, and far out."""
    known, knots = column[~np.isnan(column)], np.array(curve.knots)
    beside = [np.nextafter(knots, -np.inf), np.nextafter(knots, np.inf)]
    far = [np.inf, -np.inf, 1e300, -1e300, 0.0]
    return RNG.choice(np.concatenate([known, knots, *beside, far, knots[0] + RNG.normal(size=50) * 1e3]), 3000)


@pytest.fixture(scope="module")
def places():
    x = [_places(column, curve) for column, curve in zip(EVERY.values(), CURVES, strict=True)]
    return np.clip(np.array(x), -FARTHEST, FARTHEST)


def test_only_what_no_grid_shows_is_left_as_it_was():
    left = {list(EVERY)[place] for place in MADE.rest}
    assert {"no value", "two narrow clusters", "a sentinel far below", "a sentinel far above"} <= left
    assert not left & {"normal", "counts", "two values", "times", "uniform", "mostly none", "prices", "two clusters"}


def test_they_are_close_to_the_functions_and_never_fall(places):
    found = MADE.over(places)
    for name, curve, x, made in zip(EVERY, CURVES, places, found, strict=True):
        each, at = np.unique(x, return_index=True)
        wanted = curve.over(each)
        off = np.abs(made[at] - wanted)[np.abs(wanted) < NEAR]
        assert off.max(initial=0.0) <= MOST_OFF, name
        assert off.sum() <= MEAN_OFF * len(off), name
        in_order = made[x.argsort()]
        assert np.diff(in_order).min() >= -1e-12, name
        # Far out it goes as far as the function does.
        ends = MADE.over(np.full((len(CURVES), 2), [-FARTHEST, FARTHEST]))[list(EVERY).index(name)]
        assert ends == pytest.approx(curve.over(np.array([-FARTHEST, FARTHEST]))), name


def test_one_row_is_to_the_last_bit_what_many_are(places):
    places = np.where(RNG.random(places.shape) < 0.05, np.nan, places)
    together = MADE.over(np.where(np.isnan(places), 0.0, places))
    grid = [place for place in range(len(EVERY)) if place not in MADE.rest]
    for row in range(300):
        alone = np.array(MADE.of_row(places[:, row].tolist()))
        gaps = np.isnan(places[:, row])
        assert np.isnan(alone).tolist() == gaps.tolist()
        same = np.array([place for place in grid if not gaps[place]])
        assert alone[same].tolist() == together[same, row].tolist()
        assert alone[~gaps] == pytest.approx(together[~gaps, row], rel=1e-9, abs=1e-9)
    assert MADE.over(places[:, :0]).shape == (len(EVERY), 0)


def test_what_is_infinite_is_as_far_out_as_can_be():
    far = MADE.of_row([np.inf] * len(EVERY))
    assert far == MADE.of_row([FARTHEST] * len(EVERY))
    assert MADE.of_row([-np.inf] * len(EVERY)) == MADE.of_row([-FARTHEST] * len(EVERY))


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_rows_of_all_such_columns_are_judged_alike_one_by_one_and_together(gaps):
    names = [name for name, column in EVERY.items() if len(column) >= 4000]
    rows = np.column_stack([RNG.permutation(EVERY[name])[:4000] for name in names])
    rows[RNG.random(rows.shape) < gaps] = np.nan
    support = learn_support(rows[:2000], rows[2000:])
    asked = rows[:200].copy()
    asked[::7, RNG.integers(len(names), size=len(asked[::7]))] = np.inf
    asked[3::7] *= 1000.0
    together = support.p_values(asked)
    assert [support.p_value(row) for row in asked.tolist()] == together.tolist()
    assert together[:1] == support.p_values(asked[:1])
    assert (together[::7] <= 2 / 2001).mean() > 0.9  # and it does see what is far out


def _scores(kind, rng, n):
    """Greatest normal scores of twenty columns, sums of squares, and what is seldom missing, as a support has them."""
    z = {"normal": rng.normal(size=(20, n)), "far out": rng.laplace(size=(20, n))}.get(kind)
    if kind == "ties":
        z = rng.integers(0, 3, size=(2, n)).astype(float)
    return np.array([(z * z).sum(axis=0), np.abs(z).max(axis=0), np.where(rng.random(n) < 0.02, 4.0, 0.0)])


@pytest.mark.parametrize("kind", ["normal", "far out", "ties"])
def test_surprises_are_the_logarithms_of_shares_and_never_fall(kind):
    learned, other = _scores(kind, RNG, 5000), _scores(kind, RNG, 5000)
    made = Surprises.of([surprise_curve(score) for score in learned])
    assert made.rest == ()
    found = made.steps[made.grids.over(other[:2])[1]]
    for before, asked, said in zip(learned[:2], other[:2], found, strict=True):
        # Counted: of the rows that were learned from, how many lie as far out.
        share = (1 + (before[None, :] >= asked[:, None]).sum(axis=1)) / (1 + len(before))
        assert np.abs(said + np.log(share)).mean() < 0.05
        assert np.diff(said[asked.argsort()]).min() >= -1e-12
    greatest = made.greatest(other)
    assert greatest.tolist() == [max(made.of_row(row)) for row in other.T.tolist()]
    assert made.greatest(other[:, other[-1] == 0]).tolist() == greatest[other[-1] == 0].tolist()


@pytest.mark.parametrize("rate", [0.0005, 0.002, 0.01])
def test_a_few_rows_far_out_in_one_way_do_not_hide_those_that_are_strange_in_another(rate):
    """Two columns say the same but for a few rows: most scores are small, and those few are a thousand times as far."""
    rng = np.random.default_rng(0)

    def rows(n):
        a = rng.normal(size=n)
        b = np.where(rng.random(n) < rate, rng.normal(size=n), a + 1e-3 * rng.normal(size=n))
        return np.column_stack([a, b, rng.normal(size=(n, 4))])

    support = learn_support(rows(20_000), rows(20_000))
    asked = rows(5000)
    asked[7, 4], asked[8, 3:], asked[9, 4] = 60.0, 5.0, 7.0
    assert {7, 8, 9} <= set(outlying_rows(support.tail(asked)).tolist())
    for score in (1.0, 3.0, 1e3):
        made = support._tails.surprises.of_row([score] * 4)[:3]
        wanted = [curve.at(score) for curve in support.surprise[:3]]
        assert np.minimum(made, 50.0) == pytest.approx(np.minimum(wanted, 50.0), rel=0.1)


@pytest.mark.parametrize("spread", [1.0, 1e140, 1e149])
@pytest.mark.parametrize("kind", ["grid", "search"])
def test_a_value_beyond_all_measure_is_judged_alike_alone_and_among_others(spread, kind):
    rng = np.random.default_rng(3)

    def rows(n):
        first = rng.choice([0.0, 1.0], size=n) + (1e-9 * rng.normal(size=n) if kind == "search" else rng.random(n))
        return np.column_stack([first * spread, rng.normal(size=n)])

    support = learn_support(rows(500), rows(200))
    assert support.scorer.grids.rest == ((0,) if kind == "search" or spread > 1e140 else ())
    far = np.array([1e149, 1e150, 1e151, 1e200, 1e308, np.inf])
    asked = np.column_stack([np.r_[far, -far], np.zeros(12)])
    assert [support.p_value(row) for row in asked.tolist()] == support.p_values(asked).tolist()
    alone = np.array([support.scorer.grids.of_row(row) for row in asked.tolist()])
    clipped = np.clip(asked, -FARTHEST, FARTHEST)
    assert alone.tolist() == support.scorer.grids.over(np.ascontiguousarray(clipped.T)).T.tolist()
