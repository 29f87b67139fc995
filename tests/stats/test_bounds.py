"""Upper bounds of a mean in [0, 1]: exact where losses are 0 and 1, valid at any size elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from mlwild.stats.bounds import betting_upper, clopper_pearson_upper, upper_bound


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


# -- Clopper and Pearson -------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 3000), share=st.floats(0, 1), delta=st.sampled_from([0.01, 0.05, 0.1, 0.5]))
def test_clopper_pearson_is_scipys_one_sided_exact_interval(n, share, delta):
    errors = round(n * share)
    theirs = binomtest(errors, n, alternative="less").proportion_ci(1 - delta, method="exact").high
    assert clopper_pearson_upper(errors, n, delta) == pytest.approx(theirs, rel=1e-9)


def test_clopper_pearson_of_no_error_is_the_closed_form():
    assert clopper_pearson_upper(0, 50, 0.05) == pytest.approx(1 - 0.05 ** (1 / 50))


@pytest.mark.parametrize(("errors", "n"), [(0, 0), (5, 5), (1, 1)])
def test_clopper_pearson_of_errors_only_is_one(errors, n):
    assert clopper_pearson_upper(errors, n) == 1.0


@pytest.mark.parametrize("n", [10, 50, 200])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.5, 0.9])
def test_clopper_pearson_lies_below_the_rate_with_probability_delta_at_most(n, rate):
    # No simulation: the probability is a finite sum.
    bounds = np.array([clopper_pearson_upper(k, n, 0.05) for k in range(n + 1)])
    assert binom.pmf(np.arange(n + 1), n, rate)[bounds < rate].sum() <= 0.05


# -- the betting bound ---------------------------------------------------------------------------


def _wealth(losses, m, delta):
    """The greatest logarithm of the capital against a mean of m, step by step."""
    n, log_capital, best = len(losses), 0.0, 0.0
    spread_before, total = 0.25, 0.0
    squares = 0.0
    for t, loss in enumerate(losses, start=1):
        stake = min(math.sqrt(2 * math.log(1 / delta) / (n * spread_before)), 0.75 / (1 - m))
        log_capital += math.log(1 - stake * (loss - m))
        best = max(best, log_capital)
        total += loss
        mean = (0.5 + total) / (t + 1)
        squares += (loss - mean) ** 2
        spread_before = (0.25 + squares) / (t + 1)
    return best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_betting_bound_is_the_smallest_mean_refuted_in_plain_loops(seed, delta):
    rng = np.random.default_rng(seed)
    losses = rng.beta(1, 4, size=60 + 20 * seed)
    bound = betting_upper(losses, delta)
    grid = np.arange(0.005, 1.0, 0.005)
    refuted = np.array([_wealth(losses, m, delta) >= math.log(1 / delta) for m in grid])
    assert refuted.any()
    assert (np.diff(refuted.astype(int)) >= 0).all()  # what is refuted is an interval up to 1
    smallest = grid[refuted.argmax()]
    assert smallest - 0.005 <= bound <= smallest


def _leaning_on_the_last(rng, n):
    """Return losses of which only the conditional mean is constant: the last sign sets the spread."""
    signs = rng.choice([-1.0, 1.0], n + 1)
    return 0.3 + np.where(signs[:-1] > 0, 0.3, 0.06) * signs[1:]


LAWS = {
    "bernoulli": (lambda rng, n: (rng.random(n) < 0.1).astype(float), 0.1),
    "beta": (lambda rng, n: rng.beta(2, 5, n), 2 / 7),
    "two points": (lambda rng, n: np.where(rng.random(n) < 0.3, 0.9, 0.2), 0.41),
    "rare and great": (lambda rng, n: np.where(rng.random(n) < 0.02, 1.0, 0.01), 0.0298),
    "dependent": (_leaning_on_the_last, 0.3),
}


@pytest.mark.parametrize("draws", [600, pytest.param(6_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [50, 300])
def test_betting_bound_lies_below_the_mean_with_probability_delta_at_most(law, n, draws):
    make, mean = LAWS[law]
    delta = 0.1
    misses = sum(betting_upper(make(np.random.default_rng([1, i, n]), n), delta) < mean for i in range(draws))
    assert misses / draws <= delta + _errors(delta, draws)


def test_betting_bound_of_calm_losses_is_far_tighter_than_hoeffdings():
    losses = np.random.default_rng(0).beta(2, 38, size=2000)  # mean 0.05, standard deviation 0.034
    gap = betting_upper(losses) - losses.mean()
    hoeffding = math.sqrt(math.log(1 / 0.05) / (2 * 2000))
    assert 0 < gap < hoeffding / 4


def test_betting_bound_of_a_fair_coin_is_close_to_the_exact_one():
    losses = (np.random.default_rng(1).random(2000) < 0.5).astype(float)
    exact = clopper_pearson_upper(int(losses.sum()), 2000)
    assert abs(betting_upper(losses) - losses.mean()) < 2 * (exact - losses.mean())


def test_betting_bound_shrinks_with_rows_and_with_delta():
    losses = np.tile([0.1, 0.3, 0.2, 0.4], 500)
    assert betting_upper(losses) < betting_upper(losses[:200]) < betting_upper(losses[:20])
    assert betting_upper(losses[:200], 0.2) < betting_upper(losses[:200], 0.01)


@pytest.mark.parametrize("losses", [np.zeros(0), np.ones(1), np.ones(200), np.zeros(1)])
def test_betting_bound_that_refutes_nothing_is_one(losses):
    assert betting_upper(losses) == 1.0


def test_upper_bound_is_exact_for_losses_of_zero_and_one_and_bets_otherwise():
    errors = np.array([0.0, 1.0, 0.0, 0.0, 1.0] * 20)
    assert upper_bound(errors) == clopper_pearson_upper(40, 100)
    assert upper_bound(errors * 0.5) == betting_upper(errors * 0.5)
    assert upper_bound(np.zeros(0)) == 1.0
