"""Gaffke's bound: Clopper and Pearson's where it must be, the Dirichlet quantile elsewhere, and its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats import gaffke
from mlwild.stats.bounds import betting_upper, clopper_pearson_upper
from mlwild.stats.gaffke import gaffke_upper


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), share=st.floats(0, 1), delta=st.sampled_from([0.0005, 0.01, 0.05, 0.3]))
def test_losses_of_zero_and_one_get_clopper_and_pearsons_bound(n, share, delta):
    errors = round(n * share)
    losses = np.repeat([1.0, 0.0], [errors, n - errors])
    assert gaffke_upper(losses, greatest=1.0, delta=delta) == pytest.approx(
        clopper_pearson_upper(errors, n, delta), rel=1e-7
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_bound_is_the_quantile_of_dirichlet_means(weighted, delta):
    rng = np.random.default_rng(0)
    values, draws = rng.lognormal(size=25), 100_000
    weights = rng.integers(1, 4, size=25).astype(float) if weighted else np.ones(25)
    drawn = rng.exponential(size=(draws, 26)) * np.append(weights, weights.max())
    means = drawn @ np.append(values, 6.0) / drawn.sum(axis=1)
    bound = gaffke_upper(values, greatest=6.0, delta=delta, weights=weights)
    assert abs((means > bound).mean() - delta) <= _errors(delta, draws)


def test_a_row_of_weight_two_is_not_two_rows_and_one_of_weight_zero_is_none():
    values = np.array([0.1, 0.4, 0.2, 0.9])
    once = gaffke_upper(values, greatest=1.0, weights=np.array([2.0, 1.0, 1.0, 1.0]))
    assert once > gaffke_upper(np.append(values, 0.1), greatest=1.0)  # fewer independent rows know less
    none = gaffke_upper(values, greatest=1.0, weights=np.array([0.0, 1.0, 1.0, 1.0]))
    assert none == pytest.approx(gaffke_upper(values[1:], greatest=1.0), rel=1e-9)


@pytest.mark.parametrize("n", [200, 800])
@pytest.mark.parametrize("draw", ["exponential", "uniform", "lognormal"])
def test_the_saddlepoints_formula_is_within_a_two_hundredth_of_the_integral(monkeypatch, n, draw):
    values = getattr(np.random.default_rng(n), draw)(size=n)
    short, exact = 0.0, 0.0
    for many in (0, 10_000):
        monkeypatch.setattr(gaffke, "_MANY", many)
        short, exact = exact, gaffke_upper(values, greatest=float(values.max()), delta=0.01)
    assert short != exact
    assert short - values.mean() == pytest.approx(exact - values.mean(), rel=5e-3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_bound_follows_units_ignores_order_and_rises_with_any_value(seed, scale, shift):
    rng = np.random.default_rng(seed)
    values = rng.random(12)
    bound = gaffke_upper(values, greatest=1.0)
    moved = gaffke_upper(scale * rng.permutation(values) + shift, greatest=scale + shift)
    assert moved == pytest.approx(scale * bound + shift, rel=1e-6, abs=1e-6 * scale)
    raised = values + np.eye(12)[3] * (1 - values[3]) / 2
    assert values.mean() < bound < gaffke_upper(raised, greatest=1.0) < 1.0


LAWS = {
    "bernoulli": (lambda rng, n: (rng.random(n) < 0.1).astype(float), 0.1),
    "beta": (lambda rng, n: rng.beta(2, 5, n), 2 / 7),
    "skewed": (lambda rng, n: rng.beta(0.2, 2, n), 1 / 11),
    "two points": (lambda rng, n: np.where(rng.random(n) < 0.3, 0.9, 0.2), 0.41),
    "rare and great": (lambda rng, n: np.where(rng.random(n) < 0.02, 1.0, 0.01), 0.0298),
}


@pytest.mark.parametrize("draws", [150, pytest.param(4_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [8, 60])
def test_bound_lies_below_the_mean_with_probability_delta_at_most(law, n, draws):
    make, mean = LAWS[law]
    delta = 0.1
    misses = sum(
        gaffke_upper(make(np.random.default_rng([2, i, n]), n), greatest=1.0, delta=delta) < mean for i in range(draws)
    )
    assert misses / draws <= delta + _errors(delta, draws)


@pytest.mark.parametrize("law", LAWS)
def test_bound_is_shorter_than_the_betting_bound(law):
    values = LAWS[law][0](np.random.default_rng(5), 150)
    assert gaffke_upper(values, greatest=1.0) < betting_upper(values)


def test_no_row_and_rows_at_the_greatest_give_the_greatest():
    assert gaffke_upper(np.zeros(0), greatest=2.0) == 2.0
    assert gaffke_upper(np.full(5, 2.0), greatest=2.0) == 2.0


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        ([0.1, math.nan], {}, "need a series of finite numbers"),
        ([0.1, 1.5], {}, "row 1 is 1.5, above the greatest value 1.0"),
        ([0.1, 0.2], {"weights": np.array([1.0, -1.0])}, "need one of 0 or more for each of 2 values"),
        ([0.1, 0.2], {"weights": np.zeros(2)}, "all weights are 0"),
        ([0.1, 0.2], {"delta": 0.5}, r"delta is 0.5, need a chance in \(0, 0.5\)"),
    ],
)
def test_bad_values_are_refused(values, more, message):
    with pytest.raises(DataError, match=message):
        gaffke_upper(np.array(values), greatest=1.0, **more)
