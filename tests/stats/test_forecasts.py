"""Diebold-Mariano and Giacomini-White: by hand, and the share of false findings that is stated."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from mlwild.errors import DataError
from mlwild.stats.forecasts import diebold_mariano, giacomini_white


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def _overlapping(rng, n, horizon):
    return np.convolve(rng.normal(size=n + horizon - 1), np.ones(horizon), "valid")


# -- Diebold and Mariano -------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [2, 4])
@pytest.mark.parametrize("n", [80, 200])
def test_diebold_mariano_is_the_papers_statistic_times_its_correction(n, horizon):
    gap = 0.3 + _overlapping(np.random.default_rng(n), n, horizon)
    found = diebold_mariano(gap, np.zeros(n), horizon=horizon)
    mean = gap.mean()
    gamma = [sum((gap[i] - mean) * (gap[i - k] - mean) for i in range(k, n)) / n for k in range(horizon)]
    plain = mean / math.sqrt((gamma[0] + 2 * sum(gamma[1:])) / n)
    corrected = plain * math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    assert found.p_value == pytest.approx(2 * stats.t(n - 1).sf(abs(corrected)))
    assert found.high - found.estimate == pytest.approx(stats.t(n - 1).ppf(0.975) * mean / corrected)


def test_diebold_mariano_of_one_step_is_students_t_on_pairs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=60), rng.normal(size=60)
    theirs = stats.ttest_rel(a, b)
    interval = theirs.confidence_interval()
    found = diebold_mariano(a, b)
    assert (found.low, found.high, found.p_value) == pytest.approx((interval.low, interval.high, theirs.pvalue))


def test_diebold_mariano_takes_bartletts_weights_where_the_plain_sum_is_not_positive():
    gap = np.tile([1.0, -1.0], 30) + 0.01 * np.random.default_rng(0).normal(size=60)
    found = diebold_mariano(gap, np.zeros(60), horizon=2)
    assert found.method == "Diebold-Mariano, horizon 2, Bartlett weights"
    assert found.low < found.estimate < found.high


#: n, horizon, share of false findings at level 0.95 that the docstring states.
SIZES = [(30, 1, 0.048), (50, 4, 0.048), (200, 4, 0.056)]


@pytest.mark.parametrize("draws", [1_500, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "horizon", "stated"), SIZES)
def test_diebold_mariano_finds_as_little_as_stated_where_nothing_is(n, horizon, stated, draws):
    rng = np.random.default_rng([41, n, horizon])
    zeros = np.zeros(n)
    found = [
        diebold_mariano(_overlapping(rng, n, horizon), zeros, horizon=horizon).p_value < 0.05 for _ in range(draws)
    ]
    assert np.mean(found) == pytest.approx(stated, abs=_errors(stated, draws) + _errors(stated, 20_000))


@pytest.mark.parametrize("draws", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_diebold_mariano_is_fooled_by_dependence_beyond_its_horizon_as_stated(draws):
    rng = np.random.default_rng(42)
    zeros = np.zeros(200)
    gaps = (lfilter([1.0], [1.0, -0.8], rng.normal(size=400))[200:] for _ in range(draws))
    assert np.mean([diebold_mariano(gap, zeros).p_value < 0.05 for gap in gaps]) == pytest.approx(
        0.51, abs=_errors(0.51, draws) + 0.02
    )


# -- Giacomini and White -------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_giacomini_white_is_the_papers_wald_statistic(unit):
    rng = np.random.default_rng(2)
    gap = rng.normal(0.1, 1.0, 120)
    found = giacomini_white(unit * gap, np.zeros(120))
    z = np.array([[gap[t], gap[t - 1] * gap[t]] for t in range(1, 120)])
    mean = z.mean(axis=0)
    wald = 119 * mean @ np.linalg.inv(z.T @ z / 119) @ mean
    assert found.statistic == pytest.approx(wald)
    assert found.p_value == pytest.approx(stats.chi2(2).sf(wald))
    # The same number as n R^2 of the regression of ones on the products.
    fitted = z @ np.linalg.lstsq(z, np.ones(119), rcond=None)[0]
    assert found.statistic == pytest.approx(fitted @ fitted)
    assert found.n == 119
    slope, constant = np.polyfit(gap[:-1], gap[1:], 1)
    assert found.coefficients == pytest.approx((unit * constant, slope))


def test_giacomini_white_with_a_horizon_weighs_lags_as_bartlett():
    rng = np.random.default_rng(3)
    gap, known = rng.normal(size=80), np.column_stack([np.ones(80), rng.normal(size=80)])
    found = giacomini_white(gap, np.zeros(80), known, horizon=3)
    z = known * gap[:, None]
    omega = z.T @ z / 80
    for lag, weight in ((1, 2 / 3), (2, 1 / 3)):
        part = sum(np.outer(z[t], z[t - lag]) for t in range(lag, 80)) / 80
        omega += weight * (part + part.T)
    mean = z.mean(axis=0)
    assert found.statistic == pytest.approx(80 * mean @ np.linalg.inv(omega) @ mean)
    assert found.share_a == np.mean(found.predicted(known) < 0)


def _spread_by_the_past(rng, n):
    """Return differences that nothing foretells, but whose spread follows the size of the last one."""
    noise, gaps, last = rng.normal(size=n), np.empty(n), 0.0
    for t in range(n):
        gaps[t] = last = noise[t] * math.sqrt(0.5 + 0.4 * last**2)
    return gaps


@pytest.mark.parametrize("draws", [1_500, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("law", "stated"), [("normal", 0.049), ("spread by the past", 0.046)])
def test_giacomini_white_finds_as_little_as_stated_where_nothing_is(law, stated, draws):
    rng = np.random.default_rng([43, len(law)])
    zeros = np.zeros(200)
    found = 0
    for _ in range(draws):
        gap = rng.normal(size=200) if law == "normal" else _spread_by_the_past(rng, 200)
        found += giacomini_white(gap, zeros).p_value < 0.05
    assert found / draws == pytest.approx(stated, abs=_errors(stated, draws) + _errors(stated, 20_000))


@pytest.mark.parametrize("draws", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_giacomini_white_tells_when_to_prefer_which_where_means_are_equal(draws):
    # Each is better by 0.4 in its own half of the weeks; the mean difference is 0. n = 200.
    rng = np.random.default_rng(44)
    season = np.tile(np.repeat([0.0, 1.0], 5), 20)
    known = np.column_stack([np.ones(200), season])
    found = right = average = 0
    for _ in range(draws):
        gap = np.where(season == 1, -0.4, 0.4) + rng.normal(size=200)
        result = giacomini_white(gap, np.zeros(200), known)
        found += result.p_value < 0.05
        right += bool((result.predicted(known) < 0).tolist() == (season == 1).tolist())
        average += diebold_mariano(gap, np.zeros(200)).p_value < 0.05
    assert found / draws > 0.98 - _errors(0.98, draws)
    assert right / draws > 0.98 - _errors(0.98, draws)
    assert average / draws < 0.05 + _errors(0.05, draws)


# -- undecided and bad input ---------------------------------------------------------------------


def test_few_equal_or_repeating_rows_are_undecided():
    rng = np.random.default_rng(5)
    gap = rng.normal(size=60)
    short = giacomini_white(gap[:6], np.zeros(6))
    assert short.undecided
    assert math.isnan(short.p_value)
    assert giacomini_white(np.zeros(0), np.zeros(0)).undecided
    assert giacomini_white(gap[:3], np.zeros(3), horizon=5).undecided
    assert "identical models" in giacomini_white(gap, gap).reason
    twice = giacomini_white(gap, np.zeros(60), np.column_stack([np.ones(60), np.full(60, 2.0)]))
    assert "instruments repeat each other" in twice.reason
    assert giacomini_white(gap, np.zeros(60), np.zeros((60, 1))).undecided
    assert diebold_mariano(gap[:6], np.zeros(6)).undecided
    assert diebold_mariano(gap, gap).undecided


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diebold_mariano([1.0], [1.0], horizon=0), "horizon is 0"),
        (lambda: giacomini_white([1.0], [1.0], horizon=0), "horizon is 0"),
        (lambda: giacomini_white([1.0, 2.0], [1.0, 1.0], [1.0, 1.0]), re.escape("shape (2,), need (2, q)")),
        (lambda: giacomini_white([1.0], [1.0], [[np.nan]]), "instruments are nan in row 0, column 0"),
        (lambda: giacomini_white([1.0], [1.0], [["x"]]), "instruments hold something that is no number"),
        (lambda: diebold_mariano([np.nan], [1.0]), "loss_a is nan in row 0"),
    ],
)
def test_what_cannot_be_tested_is_said(call, message):
    with pytest.raises(DataError, match=message):
        call()
