"""Tails and balls: against the problems that they solve, solved numerically."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from mlwild.errors import DataError
from mlwild.stats.tail_risk import cvar, cvar_interval, worst_within_chi_square, worst_within_kl


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.07, 0.25, 1.0])
def test_cvar_is_the_least_of_its_dual(seed, share):
    losses = np.random.default_rng(seed).exponential(size=60)
    dual = minimize_scalar(
        lambda t: t + np.maximum(losses - t, 0).mean() / share,
        bounds=(-1, losses.max()),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert cvar(losses, share) == pytest.approx(dual.fun, abs=1e-6)


def primal(losses, radius, divergence):
    """Return the greatest mean within a ball by constrained optimisation over all weights."""
    n = len(losses)
    start = np.full(n, 1 / n)
    found = minimize(
        lambda q: -(q @ losses),
        start,
        jac=lambda q: -losses,
        bounds=[(1e-12, 1)] * n,
        constraints=[
            {"type": "eq", "fun": lambda q: q.sum() - 1, "jac": lambda q: np.ones(n)},
            {"type": "ineq", "fun": lambda q: radius - divergence(q * n)},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return -found.fun


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("radius", [0.02, 0.3])
def test_the_kl_ball(seed, radius):
    losses = np.random.default_rng(seed).gamma(2.0, size=12)
    assert worst_within_kl(losses, radius) == pytest.approx(
        primal(losses, radius, lambda r: (r * np.log(r)).mean()), abs=2e-4
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("radius", [0.02, 0.3])
def test_the_chi_square_ball(seed, radius):
    losses = np.random.default_rng(seed).gamma(2.0, size=12)
    assert worst_within_chi_square(losses, radius) == pytest.approx(
        primal(losses, radius, lambda r: ((r - 1) ** 2).mean() / 2), abs=2e-4
    )


def test_at_no_radius_it_is_the_mean_and_at_a_great_one_the_maximum():
    losses = np.array([0.1, 0.4, 0.9])
    for ball in (worst_within_kl, worst_within_chi_square):
        assert ball(losses, 0.0) == pytest.approx(losses.mean())
        assert ball(losses, 50.0) == pytest.approx(0.9, abs=1e-3)


def test_on_raw_losses_of_rows_it_says_nothing():
    """METHODS of robust optimisation on 0/1 losses: a tenth are wrong, the worst tenth is all wrong."""
    assert cvar(np.repeat([0.0, 1.0], [90, 10]), 0.1) == 1.0


def test_the_interval_of_a_tail_covers_its_truth():
    """200 draws of 400 normal numbers; truth 1.755; 90 %: at least .83 (3.3 standard errors)."""
    kept = 0
    for seed in range(200):
        found = cvar_interval(np.random.default_rng(seed).normal(size=400), 0.1, reps=300)
        kept += found.low <= 1.75498 <= found.high
    assert kept / 200 >= 0.83


@pytest.mark.parametrize("bad", [np.array([0.1, np.nan]), np.array([])])
def test_bad_losses_are_refused(bad):
    with pytest.raises(DataError, match="losses"):
        cvar(bad, 0.1)
