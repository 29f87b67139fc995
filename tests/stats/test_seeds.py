"""Seeds: the tail mean by hand, and power as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from mlwild.errors import DataError
from mlwild.stats.seeds import lower_tail_mean, one_seed_spread, seeds_needed


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), share=st.floats(0.01, 1))
def test_tail_mean_is_the_optimum_of_rockafellar_and_uryasev(values, share):
    values = np.array(values)
    # max over z of z - E[(z - v)+] / share; it lies at one of the values.
    best = max(z - np.maximum(z - values, 0).mean() / share for z in values)
    assert lower_tail_mean(values, share) == pytest.approx(best, rel=1e-6, abs=1e-6)


def test_tail_mean_by_hand():
    assert lower_tail_mean(np.array([4.0, 0.0, 1.0]), share=0.5) == pytest.approx((0 * 1 + 1 * 0.5) / 1.5)
    with pytest.raises(DataError, match="share is 0"):
        lower_tail_mean(np.ones(3), 0)


def test_nine_seeds_settle_a_difference_as_large_as_the_spread():
    assert seeds_needed(0.052, 0.05) == 9
    assert seeds_needed(0.0, 0.05) == 2
    with pytest.raises(DataError, match="need above 0"):
        seeds_needed(0.1, 0.0)


def test_spread_shrinks_with_runs_as_seeds_needed_assumes():
    rng = np.random.default_rng(0)
    spread = one_seed_spread(*rng.normal(size=(2, 50, 20)), metric="mean")
    assert spread == pytest.approx(np.sqrt(2 / 20), rel=0.1)
    with pytest.raises(DataError, match="at least 2 a side"):
        one_seed_spread(np.ones((1, 3)), np.ones((2, 3)))


@pytest.mark.parametrize("draws", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_so_many_seeds_find_the_difference_with_the_stated_power(draws):
    runs = seeds_needed(np.sqrt(2), 0.6)  # 44 a side
    a, b = np.random.default_rng(0).normal(size=(2, runs, draws))
    found = (ttest_ind(a + 0.6, b).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.015 + 3 * np.sqrt(0.16 / draws))
