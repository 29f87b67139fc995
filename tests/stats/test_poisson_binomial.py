"""Law and range of a count: against all outcomes, the binomial law, and the whole law where a range does without."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from mlwild.stats.poisson_binomial import CUMULANTS, _smoothed_quantiles, central_range, poisson_binomial

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 10])
def test_poisson_binomial_is_that_of_all_outcomes(n):
    chances = np.random.default_rng(n).random(n)
    brute = np.zeros(n + 1)
    for flips in itertools.product([0, 1], repeat=n):
        brute[sum(flips)] += np.prod(np.where(flips, chances, 1 - chances))
    assert poisson_binomial(chances) == pytest.approx(brute, abs=1e-14)


def test_poisson_binomial_of_equal_chances_is_binomial():
    assert poisson_binomial(np.full(3_000, 0.13)) == pytest.approx(binom.pmf(np.arange(3_001), 3_000, 0.13), abs=1e-12)


def _families(n):
    """Yield chances of many shapes: skewed, mixed, equal, rare and nearly sure."""
    rng = np.random.default_rng(n)
    for a, b in ((0.5, 0.5), (2, 1), (0.05, 1), (20, 0.4), (1, 30)):
        yield rng.beta(a, b, n)
    yield np.full(n, 0.9)
    yield np.where(rng.random(n) < 0.5, 0.999, 0.02)
    rare = 1.01 * CUMULANTS / n / (1 - 1.1 * CUMULANTS / n)
    yield np.full(n, rare)  # about the most skewed that is allowed, near a Poisson law
    yield np.full(n, 1 - rare)


@pytest.mark.parametrize("n", [2_000, 6_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_range_from_cumulants_is_that_of_the_whole_law_to_a_few_hundredths_of_a_row(n):
    off, other, ends = 0.0, 0, 0
    for chances in _families(n):
        noise = chances * (1 - chances)
        if noise.sum() < CUMULANTS:
            continue
        total = np.cumsum(poisson_binomial(chances))
        for level in LEVELS:
            tails = np.array([(1 - level) / 2, (1 + level) / 2])
            # With a uniform number in (-1/2, 1/2) added, the law is linear between k - 1/2 and k + 1/2.
            smooth = np.interp(tails, np.concatenate([[0.0], total]), np.arange(n + 2) - 0.5)
            off = max(off, np.abs(_smoothed_quantiles(chances, noise, level) - smooth).max())
            gap = np.abs(central_range(chances, level) - np.searchsorted(total, tails))
            assert gap.max() <= 1
            other, ends = other + int(gap.sum()), ends + 2
    assert ends >= 5 * 2 * len(LEVELS)
    assert off <= 0.03
    assert other <= 0.05 * ends


@pytest.mark.parametrize("level", LEVELS)
def test_range_below_the_switch_is_exact(level):
    chances = np.full(600, 0.2)  # variance 96
    assert (chances * (1 - chances)).sum() < CUMULANTS
    assert central_range(chances, level) == binom.interval(level, 600, 0.2)
    rare = np.full(50_000, 1e-4)
    assert central_range(rare, level) == binom.interval(level, 50_000, 1e-4)


def test_range_of_sure_rows_is_their_number():
    assert central_range(np.ones(7), 0.95) == (7.0, 7.0)
    assert central_range(np.zeros(0), 0.95) == (0.0, 0.0)
