"""Intervals of sums and means: the block length of the literature, and the coverage that is stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, optimal_block_length
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import norm, t

from mlwild.stats.bootstrap import (
    autocorrelation,
    block_length,
    block_positions,
    mean_interval,
    resampled_interval,
    sum_interval,
)

SHORT = 1_000
LONG = 10_000


def _ar1(rng, n, rho, shocks="normal"):
    draw = rng.normal if shocks == "normal" else rng.exponential
    return lfilter([1.0], [1.0, -rho], draw(size=n + 200))[200:]


def _series(kind, rng, n):
    """Return a series and its mean."""
    if kind == "normal":
        return rng.normal(size=n), 0.0
    if kind == "exponential":
        return rng.exponential(size=n), 1.0
    return _ar1(rng, n, float(kind.removeprefix("ar "))), 0.0


def _tolerance(share, draws):
    """Three binomial standard errors, and half of the last digit that is stated."""
    return 3 * math.sqrt(share * (1 - share) / draws) + 0.005


# -- block length --------------------------------------------------------------------------------


def _politis_white(series):
    """The procedure in plain loops, as the paper numbers it."""
    n = len(series)
    x = series - series.mean()
    quiet, cv = max(5, int(math.log10(n))), 2 * math.sqrt(math.log10(n) / n)
    most = math.ceil(math.sqrt(n)) + quiet

    def covariance(k):
        return sum(x[i] * x[i + k] for i in range(n - k)) / n

    def correlation(k):
        early, late = x[: n - k], x[k:]
        return sum(early * late) / math.sqrt(sum(early**2) * sum(late**2))

    loud = [k for k in range(1, most + 1) if abs(correlation(k)) >= cv]
    calm = [k for k in range(1, most - quiet + 2) if not any(k <= lag < k + quiet for lag in loud)]
    m = min(2 * (calm[0] if calm else loud[-1]), most)
    g, spread = 0.0, covariance(0)
    for k in range(1, m + 1):
        taper = min(1.0, 2 * (1 - k / m))
        g += 2 * taper * k * covariance(k)
        spread += 2 * taper * covariance(k)
    if spread <= 0:
        return 1.0
    length = (2 * g**2 / (4 / 3 * spread**2)) ** (1 / 3) * n ** (1 / 3)
    return min(max(length, 1.0), math.ceil(min(3 * math.sqrt(n), n / 3)))


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [20, 45, 100])
def test_block_length_follows_the_papers_steps(rho, n):
    for seed in range(10):
        series = _ar1(np.random.default_rng([seed, n]), n, rho)
        assert block_length(series) == pytest.approx(_politis_white(series), rel=1e-9)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize(("n", "share"), [(60, 0.9), (400, 0.95), (2000, 0.95)])
def test_block_length_is_that_of_arch_but_for_its_two_quirks(rho, n, share):
    # arch norms lag k by the overlap of lag k + 1, and takes all lags where none is followed by a
    # calm stretch: in a few short series that turns the decision. 40 series each.
    ours, theirs = [], []
    for seed in range(40):
        series = _ar1(np.random.default_rng([seed, n, 1]), n, rho)
        ours.append(block_length(series))
        theirs.append(max(1.0, float(optimal_block_length(series)["circular"].iloc[0])))
    assert np.mean(np.isclose(ours, theirs, rtol=1e-9)) >= share
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.06)


@pytest.mark.parametrize("series", [np.ones(50), np.zeros(50), np.full(50, 0.1), np.arange(5.0), np.ones(1)])
def test_block_length_of_constant_or_tiny_series_is_one(series):
    assert block_length(series) == 1.0


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(6, 200), rho=st.floats(-0.9, 0.99))
def test_block_length_stays_between_one_and_a_third_and_ignores_units(seed, n, rho):
    series = _ar1(np.random.default_rng(seed), n, rho)
    length = block_length(series)
    assert 1.0 <= length <= math.ceil(n / 3)
    assert block_length(1000.0 * series) == pytest.approx(length, rel=1e-6)


def test_blocks_are_runs_of_neighbours_on_a_circle():
    rows = block_positions(10, 3.0, 500, np.random.default_rng(0))
    assert rows.shape == (500, 10)
    for start in (0, 3, 6):
        assert np.array_equal(rows[:, start + 1], (rows[:, start] + 1) % 10)
        assert np.array_equal(rows[:, start + 2], (rows[:, start] + 2) % 10)
    # Every row is as likely to begin a block as any other: 500 draws of 4 blocks, 3 standard errors.
    counts = np.bincount(rows[:, [0, 3, 6, 9]].ravel(), minlength=10)
    assert np.abs(counts - 200).max() < 3.5 * math.sqrt(2000 * 0.1 * 0.9)


# -- the interval --------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 4, 7])
def test_interval_is_the_percentile_interval_of_arch_stretched_by_its_formula(length):
    rng = np.random.default_rng(3)
    n, level = 60, 0.9
    series = _ar1(rng, n, 0.5)
    interval = mean_interval(series, level=level, reps=40_000, length=length)
    theirs = CircularBlockBootstrap(length, series, seed=1)
    low, high = theirs.conf_int(np.mean, reps=20_000, method="percentile", size=level)[:, 0]
    blocks = n / length
    centred = series - series.mean()
    rho = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    rho += (1 + 3 * rho) / n
    whole = (1 + rho) / (1 - rho)
    seen = 1 + 2 * sum((1 - k / length) * rho**k for k in range(1, length))
    stretch = t(blocks - 1).ppf(0.95) / norm.ppf(0.95) * math.sqrt(blocks / (blocks - 1) * whole / seen)
    middle = series.mean()
    width = interval.high - interval.low
    # A percentile of 20,000 draws has a standard error of about 0.7% of the interval's width.
    assert interval.estimate == pytest.approx(middle)
    assert interval.low == pytest.approx(middle + (low - middle) * stretch, abs=0.025 * width)
    assert interval.high == pytest.approx(middle + (high - middle) * stretch, abs=0.025 * width)


def test_interval_of_long_independent_series_is_students():
    series = np.random.default_rng(5).normal(3.0, 2.0, size=1000)
    interval = mean_interval(series, reps=10_000, length=1)
    low, high = t.interval(0.9, 999, series.mean(), series.std(ddof=1) / math.sqrt(1000))
    # Percentiles of 10,000 draws: 1% of the width; the correlation of 1,000 values: another 1.5%.
    assert interval.low == pytest.approx(low, abs=0.05 * (high - low))
    assert interval.high == pytest.approx(high, abs=0.05 * (high - low))


#: Coverage that the docstring of `sum_interval` states at level 0.9.
STATED = [
    ("normal", 20, 0.91),
    ("normal", 45, 0.90),
    ("normal", 100, 0.90),
    ("exponential", 20, 0.89),
    ("exponential", 45, 0.89),
    ("exponential", 100, 0.90),
    ("ar 0.5", 20, 0.86),
    ("ar 0.5", 45, 0.88),
    ("ar 0.5", 100, 0.89),
    ("ar 0.8", 20, 0.79),
    ("ar 0.8", 45, 0.85),
    ("ar 0.8", 100, 0.89),
]


@pytest.mark.parametrize("draws", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kind", "n", "stated"), STATED)
def test_interval_covers_as_often_as_stated(kind, n, stated, draws):
    hits = 0
    for i in range(draws):
        series, mean = _series(kind, np.random.default_rng([11, i, n]), n)
        interval = mean_interval(series, reps=400, seed=i)
        hits += interval.low <= mean <= interval.high
    assert hits / draws == pytest.approx(stated, abs=_tolerance(stated, draws))


def test_negative_correlation_leaves_the_interval_too_wide_rather_than_too_narrow():
    draws, n = SHORT, 45
    hits = 0
    for i in range(draws):
        interval = mean_interval(_ar1(np.random.default_rng([12, i]), n, -0.3), reps=400, seed=i)
        hits += interval.low <= 0.0 <= interval.high
    assert hits / draws >= 0.9 - _tolerance(0.9, draws)


@pytest.mark.parametrize("series", [np.full(30, 2.5), np.zeros(4), np.full(7, 0.1)])
def test_interval_of_a_constant_series_is_a_point(series):
    interval = sum_interval(series)
    assert interval.low == interval.estimate == interval.high == pytest.approx(series.sum())
    assert interval.n == len(series)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_interval_of_fewer_than_four_periods_cannot_be_had(n):
    series = np.arange(float(n))
    for interval in (sum_interval(series), mean_interval(series)):
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
        assert interval.n == n
    assert sum_interval(series).estimate == series.sum()


def test_same_seed_gives_same_interval_and_another_seed_nearly():
    series = _ar1(np.random.default_rng(0), 45, 0.5)
    first, again, other = sum_interval(series), sum_interval(series), sum_interval(series, seed=1)
    assert first == again
    assert first != other
    assert other.low == pytest.approx(first.low, abs=0.1 * (first.high - first.low))
    assert other.high == pytest.approx(first.high, abs=0.1 * (first.high - first.low))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_interval_moves_with_units_and_origin(seed, n, scale, shift):
    series = _ar1(np.random.default_rng(seed), n, 0.4)
    plain, moved = sum_interval(series, length=2), sum_interval(shift + scale * series, length=2)
    unit = scale * (plain.high - plain.low)
    assert moved.estimate == pytest.approx(n * shift + scale * plain.estimate, abs=1e-6 * unit + 1e-9)
    assert moved.low == pytest.approx(n * shift + scale * plain.low, abs=1e-6 * unit + 1e-9)
    assert moved.high == pytest.approx(n * shift + scale * plain.high, abs=1e-6 * unit + 1e-9)


def test_higher_level_gives_wider_interval_that_holds_the_estimate():
    series = _ar1(np.random.default_rng(1), 45, 0.5)
    narrow, wide = sum_interval(series, level=0.8), sum_interval(series, level=0.95)
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert (narrow.level, wide.level) == (0.8, 0.95)


def test_mean_is_the_sum_over_the_number_of_periods():
    series = _ar1(np.random.default_rng(2), 40, 0.2)
    whole, mean = sum_interval(series), mean_interval(series)
    assert (mean.estimate * 40, mean.low * 40, mean.high * 40) == pytest.approx((whole.estimate, whole.low, whole.high))


# -- statistics of rows --------------------------------------------------------------------------


def test_resampled_interval_is_the_percentile_interval_of_arch():
    series = _ar1(np.random.default_rng(4), 216, 0.5)
    ours = resampled_interval(lambda rows: float(series[rows].mean()), 216, reps=10_000)
    low, high = CircularBlockBootstrap(6, series, seed=2).conf_int(np.mean, reps=10_000, method="percentile", size=0.9)[
        :, 0
    ]
    # A percentile of 10,000 draws has a standard error of about 1% of the interval's width.
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.045 * (high - low))
    assert ours.estimate == series.mean()


@pytest.mark.parametrize("draws", [200, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "stated"), [(100, 0.875), (300, 0.875)])
def test_resampled_interval_of_a_median_covers_as_often_as_stated(n, stated, draws):
    hits = 0
    for i in range(draws):
        values = np.random.default_rng([13, i, n]).normal(size=n)
        interval = resampled_interval(lambda rows, values=values: float(np.median(values[rows])), n, seed=i)
        hits += interval.low <= 0.0 <= interval.high
    assert hits / draws == pytest.approx(stated, abs=_tolerance(stated, draws))


def test_replicates_that_are_not_defined_are_left_out():
    values = np.random.default_rng(0).normal(size=64)

    def statistic(rows):
        return math.nan if rows[0] % 4 == 1 else float(values[rows].mean())

    interval = resampled_interval(statistic, 64, reps=400, seed=3)
    draws = [statistic(rows) for rows in block_positions(64, 4.0, 400, np.random.default_rng(3))]
    assert 50 < np.isnan(draws).sum() < 150
    assert (interval.low, interval.high) == pytest.approx(tuple(np.nanquantile(draws, [0.05, 0.95])))


def test_statistic_that_is_seldom_defined_has_no_interval():
    interval = resampled_interval(lambda rows: 1.0 if np.array_equal(rows, np.arange(20)) else math.nan, 20)
    assert interval.estimate == 1.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


# -- first autocorrelation -----------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_autocorrelation_of_short_series_is_freed_of_its_bias(rho):
    draws = 4_000
    plain, freed = [], []
    for i in range(draws):
        series = _ar1(np.random.default_rng([5, i]), 60, rho)
        centred = series - series.mean()
        plain.append(centred[1:] @ centred[:-1] / (centred @ centred))
        freed.append(autocorrelation(series))
    assert np.mean(plain) < rho - 0.03
    assert abs(np.mean(freed) - rho) < (rho - np.mean(plain)) / 2


def test_autocorrelation_stays_between_nothing_and_nine_tenths():
    assert autocorrelation(np.tile([1.0, -1.0], 20)) == 0.0
    assert autocorrelation(np.arange(50.0)) == 0.9
    assert autocorrelation(np.full(7, 2.0)) == 0.0
