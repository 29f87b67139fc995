"""Error rates: published examples, scipy, exact coverage as a finite sum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, chi2_contingency, multinomial

from mlwild.errors import DataError
from mlwild.stats.proportions import (
    clopper_pearson,
    cohens_h,
    minimum_detectable_difference,
    newcombe_paired,
    proportion_difference,
    wilson,
)

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=200, deadline=None)
@given(count=counts, level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_intervals_are_scipys(count, level):
    errors, n = count
    for mine, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = binomtest(errors, n).proportion_ci(level, method=method)
        found = mine(errors, n, level=level)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
        assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("n", [20, 100])
def test_exact_interval_covers_always_and_wilson_on_average(rate, n):
    # No simulation: coverage is a finite sum.
    def coverage(method, at):
        inside = [method(k, n).low <= at <= method(k, n).high for k in range(n + 1)]
        return binom.pmf(np.arange(n + 1), n, at)[inside].sum()

    assert coverage(clopper_pearson, rate) >= 0.95
    around = np.linspace(rate * 0.8, rate * 1.2, 41)
    assert np.mean([coverage(wilson, at) for at in around]) >= 0.94


def test_raschkas_difference_two_sided_and_pooled():
    found = proportion_difference(16, 100, 8, 100)
    assert found.p_value == pytest.approx(0.0817, abs=5e-5)
    assert found.statistic == pytest.approx(1.7408, abs=5e-5)
    swapped = proportion_difference(8, 100, 16, 100)
    assert swapped.p_value == found.p_value
    assert swapped.difference.estimate == pytest.approx(-0.08)


@settings(max_examples=100, deadline=None)
@given(a=counts, b=counts)
def test_difference_is_the_chi_square_of_the_table_and_stays_in_range(a, b):
    found = proportion_difference(*a, *b)
    assert -1 <= found.difference.low <= found.difference.estimate <= found.difference.high <= 1
    table = np.array([[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]])
    if (table.sum(axis=0) > 0).all():
        assert found.p_value == pytest.approx(chi2_contingency(table, correction=False).pvalue, abs=1e-9)
    else:
        assert found.p_value == 1.0


@pytest.mark.parametrize(  # Newcombe (1998), tables II, method 10
    ("count", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((10, 10, 0, 10), 0.6075, 1.0)],
)
def test_newcombes_published_intervals(count, low, high):
    found = proportion_difference(*count).difference
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def _coverage_of_pairs(n, cells):
    """Exact: the sum over all tables of n pairs."""
    total, truth = 0.0, cells[1] - cells[2]
    for both in range(n + 1):
        for only_a in range(n + 1 - both):
            rest = n - both - only_a
            only_b = np.arange(rest + 1)
            table = np.stack([np.full_like(only_b, both), np.full_like(only_b, only_a), only_b, rest - only_b], axis=1)
            found = [newcombe_paired(both, only_a, int(k), n) for k in only_b]
            inside = [x.low <= truth <= x.high for x in found]
            total += multinomial.pmf(table, n, cells)[inside].sum()
    return total


@pytest.mark.parametrize("n", [20, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cells", [(0.1, 0.1, 0.1, 0.7), (0.05, 0.2, 0.05, 0.7), (0.3, 0.02, 0.08, 0.6)])
def test_paired_interval_covers(n, cells):
    assert _coverage_of_pairs(n, cells) >= 0.94


def test_equal_rates_are_called_different_at_most_about_one_time_in_twenty():
    # No simulation: all tables of 60 and 60 rows at a rate of 0.15.
    k, pmf = np.arange(61), binom.pmf(np.arange(61), 60, 0.15)
    refused = np.array([[proportion_difference(int(i), 60, int(j), 60).p_value <= 0.05 for j in k] for i in k])
    assert pmf @ refused @ pmf <= 0.055


def test_size_and_detectable_difference_by_hand():
    assert cohens_h(1.0, 0.0) == pytest.approx(math.pi)
    assert cohens_h(0.2, 0.1) == -cohens_h(0.1, 0.2)
    # n = 6.2 p_d / delta^2 one-sided at 5 % is the two-sided level of 90 %.
    assert minimum_detectable_difference(620, 0.1, paired=True, level=0.9) == pytest.approx(math.sqrt(0.001), rel=0.005)
    with pytest.raises(DataError, match="rate is 2"):
        cohens_h(2, 0)
    with pytest.raises(DataError, match="5 errors in 3 rows"):
        wilson(5, 3)


@pytest.mark.parametrize("draws", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_detectable_difference_is_detected_with_the_stated_power(draws):
    rng, n = np.random.default_rng(0), 800
    delta = minimum_detectable_difference(n, 0.2)
    a, b = rng.binomial(n, 0.2 + delta / 2, draws), rng.binomial(n, 0.2 - delta / 2, draws)
    found = np.mean([proportion_difference(int(x), n, int(y), n).p_value <= 0.05 for x, y in zip(a, b, strict=True)])
    assert found == pytest.approx(0.8, abs=0.02 + 3 * math.sqrt(0.16 / draws))
