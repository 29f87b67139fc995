"""Sharpe ratios: the published check values, and how often luck is taken for skill."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kurtosis, norm, skew

from mlwild.errors import DataError
from mlwild.stats.sharpe import deflated_sharpe, expected_best_sharpe, probabilistic_sharpe


@pytest.mark.parametrize(("tries", "expected"), [(100, 0.9004), (46, 0.9505)])
def test_published_deflated_ratios(tries, expected):
    # Annual 2.5 over 1,250 days of 250 a year; variance of the tries 1/2, annual.
    threshold = expected_best_sharpe(0.5, tries)
    if tries == 100:
        assert threshold == pytest.approx(1.789, abs=5e-4)
    year = math.sqrt(250)
    found = probabilistic_sharpe(2.5 / year, 1250, threshold=threshold / year, skewness=-3, kurtosis=10)
    assert found == pytest.approx(expected, abs=5e-5)


def test_probability_of_normal_returns_by_hand():
    assert probabilistic_sharpe(0.2, 101) == pytest.approx(norm.cdf(0.2 * 10 / math.sqrt(1 + 0.02)))
    assert probabilistic_sharpe(0.2, 101, threshold=0.2) == 0.5


@given(tries=st.integers(2, 10_000), variance=st.floats(0, 10))
def test_best_of_more_tries_is_higher(tries, variance):
    assert expected_best_sharpe(variance, tries + 1) >= expected_best_sharpe(variance, tries)
    assert expected_best_sharpe(variance, 1) == 0.0


def test_best_of_many_tries_is_what_luck_gives():
    best = np.random.default_rng(0).normal(size=(4000, 100)).max(axis=1).mean()
    assert expected_best_sharpe(1.0, 100) == pytest.approx(best, abs=0.05)


def test_moments_are_scipys():
    returns = np.random.default_rng(0).exponential(size=300) - 0.8
    found = deflated_sharpe(returns, np.array([0.05, 0.1, 0.15]))
    sharpe = returns.mean() / returns.std(ddof=1)
    threshold = expected_best_sharpe(float(np.var([0.05, 0.1, 0.15], ddof=1)), 3)
    expected = probabilistic_sharpe(
        sharpe, 300, threshold=threshold, skewness=skew(returns), kurtosis=kurtosis(returns, fisher=False)
    )
    assert found.probability == pytest.approx(expected)
    assert (found.tries, found.n) == (3, 300)


def test_excess_kurtosis_is_refused():
    with pytest.raises(DataError, match="3 if normal, not 0"):
        probabilistic_sharpe(0.1, 100, kurtosis=0.0)
    with pytest.raises(DataError, match="values that vary"):
        deflated_sharpe(np.ones(10), np.ones(2))
    with pytest.raises(DataError, match="every strategy tried"):
        deflated_sharpe(np.arange(10.0), np.array([]))
    with pytest.raises(DataError, match="tries is 0"):
        expected_best_sharpe(1.0, 0)


@pytest.mark.parametrize("draws", [2000, pytest.param(50_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("true", [0.0, 0.1])
def test_probability_passes_95_percent_one_time_in_twenty_at_the_threshold(draws, true):
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(draws):
        returns = rng.standard_t(8, size=250) / math.sqrt(8 / 6) + true
        z = (returns - returns.mean()) / returns.std()
        passed += (
            probabilistic_sharpe(
                returns.mean() / returns.std(ddof=1),
                250,
                threshold=true,
                skewness=(z**3).mean(),
                kurtosis=(z**4).mean(),
            )
            > 0.95
        )
    assert passed / draws == pytest.approx(0.05, abs=0.01 + 3 * math.sqrt(0.05 * 0.95 / draws))


@pytest.mark.parametrize("draws", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_best_of_a_hundred_without_skill_is_seldom_taken_for_skill(draws):
    rng = np.random.default_rng(0)
    deflated = plain = 0
    for _ in range(draws):
        returns = rng.normal(size=(250, 100))
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        best = returns[:, np.argmax(ratios)]
        deflated += deflated_sharpe(best, ratios).probability > 0.95
        plain += deflated_sharpe(best, ratios[:1]).probability > 0.95
    assert deflated / draws <= 0.05
    assert plain / draws > 0.95
