"""Standard errors pooled over series: by plain loops, on long series, and how far they scatter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from mlwild.stats.pooled import lag_sums, mean_errors, normal_scores, of_each, of_pairs, over_mean


def _serial(rng, n, rho):
    """AR(1) series of unit innovations, one a coefficient."""
    noise = rng.normal(size=(n + 200, len(rho)))
    return np.stack([lfilter([1.0], [1.0, -r], column) for r, column in zip(rho, noise.T, strict=True)], axis=1)[200:]


def _covariance(x, lag):
    c, n = x - x.mean(), len(x)
    return sum(c[t] * c[t + lag] for t in range(n - lag)) / n


def test_sums_are_those_of_plain_loops():
    series = _serial(np.random.default_rng(0), 60, [0.0, 0.5, 0.8])
    found = lag_sums(series)
    made = {
        of_each: list(series.T),
        of_pairs: [a - b for a in series.T for b in series.T],
        over_mean: [a - series.mean(axis=1) for a in series.T],
    }
    for of, columns in made.items():
        assert of(found.zero).ravel() == pytest.approx([_covariance(x, 0) for x in columns], abs=1e-12)
        assert of(found.first).ravel() * (2 if of is of_pairs else 1) == pytest.approx(
            [(2 if of is of_pairs else 1) * _covariance(x, 1) for x in columns], abs=1e-12
        )
        near = [_covariance(x, 0) + 2 * sum(_covariance(x, k) for k in range(1, found.reach + 1)) for x in columns]
        assert of(found.near).ravel() == pytest.approx(near, abs=1e-12)
    some = lag_sums(series).among([0, 2])
    assert over_mean(some.zero) == pytest.approx(
        [_covariance(x - series[:, [0, 2]].mean(axis=1), 0) for x in series[:, [0, 2]].T]
    )


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_on_long_series_errors_are_those_of_theory(rho):
    series = _serial(np.random.default_rng(1), 40_000, [rho] * 6)
    errors, freedom = mean_errors(lag_sums(series), of_each, np.zeros(6), length=5, kind="stationary")
    assert errors == pytest.approx(np.full(6, 1 / (1 - rho) / 200), rel=0.1)
    assert freedom == pytest.approx(np.full(6, 0.7 * 40_000 * (1 - rho) / (1 + rho)), rel=0.2)


@pytest.mark.parametrize("draws", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_series_of_one_memory_lend_each_other_strength(draws):
    # AR(0.8), 100 rows, 20 series: pooled errors scatter by half as much as those of one series by itself.
    rng, alone, together = np.random.default_rng(2), [], []
    for _ in range(draws):
        series = _serial(rng, 100, [0.8] * 20)
        together.append(mean_errors(lag_sums(series), of_each, np.zeros(20), length=5, kind="stationary")[0][0])
        own = lag_sums(series[:, :1])
        alone.append(mean_errors(own, of_each, np.zeros(1), length=5, kind="stationary")[0][0])
    assert np.std(np.log(together)) < 0.6 * np.std(np.log(alone))
    assert np.median(together) == pytest.approx(5 / 10, rel=0.15)


def test_series_of_unlike_memory_keep_their_own():
    series = _serial(np.random.default_rng(3), 2000, [0.0] * 10 + [0.9] * 10)
    errors, _ = mean_errors(lag_sums(series), of_each, np.zeros(20), length=5, kind="stationary")
    theory = np.repeat([1.0, 10.0], 10) / math.sqrt(2000)
    # Ten times apart; each is drawn a little towards the others.
    assert 0.9 < np.median(errors[:10] / theory[:10]) < 1.5
    assert 0.75 < np.median(errors[10:] / theory[10:]) < 1.25


def test_a_pair_of_twins_is_not_taken_for_as_slow_as_the_rest():
    rng = np.random.default_rng(4)
    slow = _serial(rng, 1000, [0.95] * 6)
    series = np.column_stack([slow, slow[:, 0] + 0.5 * rng.normal(size=1000)])
    errors, _ = mean_errors(lag_sums(series), of_pairs, np.zeros((7, 7)), length=5, kind="stationary")
    assert errors[0, 6] < 3 * 0.5 / math.sqrt(1000)
    assert errors[0, 1] > 10 / math.sqrt(1000)


def test_series_that_stand_still_keep_what_was_seen():
    series = np.zeros((50, 3))
    seen = np.array([0.0, 0.1, 0.2])
    errors, freedom = mean_errors(lag_sums(series), of_each, seen, length=5, kind="stationary")
    assert errors.tolist() == seen.tolist()
    assert freedom.tolist() == [49.0] * 3
    series[:, 0] = np.random.default_rng(5).normal(size=50)
    errors, _ = mean_errors(lag_sums(series), of_each, seen, length=5, kind="stationary")
    assert errors[0] > 0
    assert errors[1:].tolist() == [0.1, 0.2]


def test_normal_scores_keep_the_probability():
    scores = np.array([-3.0, 0.0, 2.0])
    expected = stats.norm.ppf(stats.t(np.array([5.0, 5.0, 30.0])).cdf(scores))
    assert normal_scores(scores, np.array([5.0, 5.0, 30.0])) == pytest.approx(expected)
