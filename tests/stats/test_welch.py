"""Welch's t: against SciPy, by its edges, and how often it finds what is not there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from mlwild.errors import DataError
from mlwild.stats.welch import welch


@pytest.mark.parametrize(("n_a", "n_b", "spread"), [(2, 2, 1.0), (3, 10, 3.0), (20, 5, 0.2)])
def test_it_is_scipys(n_a, n_b, spread):
    rng = np.random.default_rng(0)
    a, b = spread * rng.normal(size=n_a), rng.normal(size=n_b) + 0.5
    found, theirs = welch(a, b, level=0.9), ttest_ind(a, b, equal_var=False)
    bounds = theirs.confidence_interval(0.9)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))


def test_one_run_or_no_spread_is_undecided():
    assert "one run shows no spread" in welch(np.array([1.0]), np.array([1.0, 2.0])).reason
    found = welch(np.ones(3), np.zeros(3))
    assert found.undecided
    assert found.estimate == 1.0
    assert math.isnan(found.low)
    with pytest.raises(DataError, match="need one run a side"):
        welch(np.array([]), np.ones(2))


def _false(draws, n_a, n_b, spread):
    rng = np.random.default_rng(1)
    return np.mean([welch(spread * rng.normal(size=n_a), rng.normal(size=n_b)).p_value < 0.05 for _ in range(draws)])


@pytest.mark.parametrize(("n_a", "n_b", "spread", "rate"), [(3, 3, 1, 0.034), (5, 5, 1, 0.043), (3, 10, 3, 0.065)])
def test_size_is_the_stated_one(n_a, n_b, spread, rate):
    # 2,000 draws each
    assert _false(2000, n_a, n_b, spread) == pytest.approx(rate, abs=3 * math.sqrt(rate / 2000))


@pytest.mark.slow
@pytest.mark.parametrize(("n_a", "n_b", "spread", "rate"), [(3, 3, 1, 0.034), (5, 5, 1, 0.043), (3, 10, 3, 0.065)])
def test_size_is_the_stated_one_long(n_a, n_b, spread, rate):
    assert _false(20_000, n_a, n_b, spread) == pytest.approx(rate, abs=3 * math.sqrt(2 * rate / 20_000))
