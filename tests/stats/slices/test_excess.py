"""Bounds of a slice that was chosen on other rows: exact where they can be, and held at their level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, permutation_test

from mlwild.stats.bounds import betting_upper, clopper_pearson_upper
from mlwild.stats.slices import excess as module
from mlwild.stats.slices.excess import excess, loss_high
from tests.stats.slices.planted import SKEWED


def _slow(*given):
    return pytest.param(*given, marks=pytest.mark.slow)


def _first(n, total):
    return np.arange(total) < n


# -- error rates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.05, 0.01, 0.005])
@pytest.mark.parametrize(("n", "m"), [(8, 200), (32, 300), (60, 60), (300, 40)])
@pytest.mark.parametrize("gap", [0.0, 0.1, 0.3])
def test_lower_bound_of_a_rates_excess_is_above_the_truth_with_chance_delta_at_most(delta, n, m, gap):
    # No simulation: the probability is a finite sum.
    here, there = np.arange(n + 1), np.arange(m + 1)
    down = here / n - np.array([1 - clopper_pearson_upper(n - k, n, delta) for k in here])
    up = np.array([clopper_pearson_upper(k, m, delta) for k in there]) - there / m
    low = here[:, None] / n - there / m - np.hypot(down[:, None], up)
    for rate in np.linspace(0.01, 0.99 - gap, 25):
        chance = binom.pmf(here, n, rate + gap)[:, None] * binom.pmf(there, m, rate)
        assert chance[low > gap + 1e-12].sum() <= delta


@pytest.mark.parametrize(("wrong", "n", "other", "m"), [(7, 20, 30, 300), (0, 20, 0, 30), (20, 20, 30, 30)])
def test_lower_bound_of_a_rates_excess_joins_both_exact_bounds(wrong, n, other, m):
    losses = np.concatenate([np.arange(n) < wrong, np.arange(m) < other]).astype(float)
    [found] = excess(losses, [_first(n, n + m)], delta=0.03, rates=True)
    low, high = 1 - clopper_pearson_upper(n - wrong, n, 0.03), clopper_pearson_upper(other, m, 0.03)
    gap = wrong / n - other / m
    assert found.estimate == pytest.approx(gap)
    assert found.low == pytest.approx(gap - math.hypot(wrong / n - low, high - other / m))


# -- means ---------------------------------------------------------------------------------------


def _welch(a, b, axis=-1):
    error = a.var(axis=axis, ddof=1) / a.shape[axis] + b.var(axis=axis, ddof=1) / b.shape[axis]
    return (a.mean(axis=axis) - b.mean(axis=axis)) / np.sqrt(error)


@pytest.mark.parametrize("n", [4, 8])
def test_critical_value_is_that_of_all_permutations(n, monkeypatch):
    # 12 rows: 495 ways to choose 4 of them or 8, so that scipy can look at each.
    monkeypatch.setattr(module, "DRAWS", 40_000)
    losses = np.random.default_rng(n).exponential(size=12)
    inside = _first(n, 12)
    exact = permutation_test((losses[:n], losses[n:]), _welch, n_resamples=np.inf, vectorized=True)
    [found] = excess(losses, [inside], delta=0.1)
    gap = losses[:n].mean() - losses[n:].mean()
    error = gap / _welch(losses[:n], losses[n:])
    assert found.estimate == pytest.approx(gap)
    # A tenth of them lies beyond it; three standard errors of 40,000 draws are .0045.
    critical = (gap - found.low) / error
    assert (exact.null_distribution > critical * (1 + 1e-9)).mean() <= 0.1 + 0.0045
    assert (exact.null_distribution > critical * (1 - 1e-9)).mean() >= 0.1 - 0.0045


@pytest.mark.parametrize("law", sorted(SKEWED))
@pytest.mark.parametrize(("n", "draws"), [(30, 30), _slow(30, 400), _slow(260, 400)])
def test_where_losses_do_not_depend_on_the_slice_its_excess_is_above_zero_with_chance_delta_at_most(law, n, draws):
    delta, false = 0.05, 0
    for draw in range(draws):
        losses = SKEWED[law](np.random.default_rng([1, draw]), 300)
        false += excess(losses, [_first(n, 300)], delta=delta, seed=draw)[0].low > 0
    assert false / draws <= delta + 3 * math.sqrt(delta * (1 - delta) / draws)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["exponential", "log-normal"])
@pytest.mark.parametrize("n", [32, 125])
def test_bounds_cover_where_the_slice_is_twice_as_bad(law, n):
    draws, low, high = 400, 0, 0
    for draw in range(draws):
        rng = np.random.default_rng([2, draw])
        losses = np.concatenate([2 * SKEWED[law](rng, n), SKEWED[law](rng, 2500 - n)])
        inside = _first(n, 2500)
        low += excess(losses, [inside], delta=0.05, seed=draw)[0].low <= 1.0
        high += loss_high(losses, inside, delta=0.05, seed=draw) >= 2.0
    least = 0.95 - 3 * math.sqrt(0.05 * 0.95 / draws)
    assert low / draws >= least
    assert high / draws >= least


def test_a_shift_or_a_scale_of_the_losses_moves_the_bounds_with_them():
    losses = np.random.default_rng(0).exponential(size=400)
    inside = _first(50, 400)
    [plain], [moved] = (excess(some, [inside], delta=0.02) for some in (losses, 3 * losses + 5e5))
    assert (moved.estimate, moved.low) == pytest.approx((3 * plain.estimate, 3 * plain.low), rel=1e-6)
    high = loss_high(losses, inside, delta=0.02)
    assert loss_high(3 * losses + 7, inside, delta=0.02) == pytest.approx(3 * high + 7)


def test_many_rows_need_no_draws_and_agree_with_them(monkeypatch):
    losses = np.random.default_rng(1).exponential(size=4000)
    inside = _first(1500, 4000)
    drawn = excess(losses, [inside], delta=0.05)[0].low, loss_high(losses, inside, delta=0.05)
    monkeypatch.setattr(module, "MANY", 1000)
    normal = excess(losses, [inside], delta=0.05)[0].low, loss_high(losses, inside, delta=0.05)
    assert normal == pytest.approx(drawn, abs=0.01)
    assert normal != drawn


def test_without_rows_or_spread_there_is_no_bound():
    losses = np.random.default_rng(2).exponential(size=20)
    for inside in (_first(0, 20), _first(20, 20)):
        [found] = excess(losses, [inside], delta=0.05)
        assert math.isnan(found.estimate)
        assert found.low == -math.inf
        [found] = excess((losses > 1).astype(float), [inside], delta=0.05, rates=True)
        assert found.low == -math.inf
    [one] = excess(losses, [_first(1, 20)], delta=0.05)
    assert one.estimate == pytest.approx(losses[0] - losses[1:].mean())
    assert one.low == -math.inf
    assert loss_high(losses, _first(1, 20), delta=0.05) == math.inf
    assert loss_high(np.ones(20) * 0.5, _first(10, 20), delta=0.05) == math.inf
    assert loss_high(np.zeros(20), _first(0, 20), delta=0.05, rates=True) == 1.0
    assert excess(np.ones(20) * 0.5, [_first(10, 20)], delta=0.05)[0].low <= 0


def test_with_a_limit_the_upper_bound_is_the_betting_one():
    losses = np.random.default_rng(3).beta(1, 4, size=300) * 5
    inside = _first(80, 300)
    assert loss_high(losses, inside, delta=0.02, bound=5.0) == 5 * betting_upper(losses[:80] / 5, 0.02)
