"""Quantile bound: scipy's exact interval, the closed form for the greatest value, and the chance of every case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, quantile_test

from mlwild.errors import DataError
from mlwild.stats.quantile_bound import quantile_bound


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(5, 800),
    share=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    level=st.sampled_from([0.8, 0.95, 0.99]),
    seed=st.integers(0, 1000),
)
def test_bound_is_scipys_exact_one(n, share, level, seed):
    values = np.random.default_rng(seed).lognormal(size=n)
    theirs = quantile_test(values, q=0, p=share, alternative="less").confidence_interval(level).high
    high = quantile_bound(values, share, level=level).high
    assert high == (math.inf if math.isnan(theirs) else theirs)


@pytest.mark.parametrize(("share", "level", "needed"), [(0.99, 0.95, 299), (0.95, 0.95, 59), (0.9, 0.9, 22)])
def test_fewest_values_are_the_closed_form(share, level, needed):
    # The greatest of n values is below the quantile with chance share^n.
    assert quantile_bound(np.arange(5.0), share, level=level).needed == needed
    assert quantile_bound(np.arange(float(needed)), share, level=level).high == needed - 1
    assert quantile_bound(np.arange(float(needed - 1)), share, level=level).high == math.inf


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [20, 60, 300, 1000])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_bound_holds_with_at_least_its_level_and_not_by_a_rank_more(share, n, level):
    # No simulation: the bound holds where fewer than its rank of the values lie below the quantile.
    rank = quantile_bound(np.arange(float(n)), share, level=level).rank
    assert binom.cdf(rank - 1, n, share) >= level or rank == n + 1
    assert binom.cdf(rank - 2, n, share) < level


@pytest.mark.parametrize("draws", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_bound_covers_the_quantile_of_skewed_and_of_tied_values(draws):
    rng = np.random.default_rng(0)
    tied = rng.poisson(3.0, size=(draws, 80))  # P(X <= 5) = 0.916, so the 0.9 quantile is 5
    skewed = rng.lognormal(size=(draws, 80))
    for values, quantile in ((tied, 5.0), (skewed, math.exp(1.2815515655446004))):
        held = np.mean([quantile_bound(row, 0.9).high >= quantile for row in values])
        assert held >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / draws)


def test_estimate_is_the_first_value_with_the_share_below_it():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert [quantile_bound(values, share).estimate for share in (0.5, 0.505, 0.99, 0.001)] == [50.0, 51.0, 99.0, 1.0]


def test_answers_that_never_came_count_as_infinite():
    assert quantile_bound(np.r_[np.ones(996), np.full(4, math.inf)], 0.99).high == 1.0
    assert quantile_bound(np.r_[np.ones(985), np.full(15, math.inf)], 0.99).estimate == math.inf


@pytest.mark.parametrize(
    ("values", "share", "level", "message"),
    [
        ([], 0.9, 0.95, r"shape \(0,\)"),
        ([1.0, math.nan], 0.9, 0.95, "row 1 is nan"),
        ([1.0], 1.0, 0.95, "share is 1.0"),
        ([1.0], 0.9, 95, "level is 95"),
    ],
)
def test_bad_values_are_refused(values, share, level, message):
    with pytest.raises(DataError, match=message):
        quantile_bound(np.array(values), share, level=level)
