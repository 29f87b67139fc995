"""How many independent rows a series is worth, and what blocks lose of its long-run variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from mlwild.stats.memory import coefficient_worth, effective_rows, long_run_variance, lost_by_blocks
from mlwild.stats.paired import FEWEST


def _ar1(rng, n, rho):
    return lfilter([1.0], [1.0, -rho], rng.normal(size=n + 200))[200:]


@pytest.mark.parametrize(("rho", "expected"), [(0.0, 1.0), (0.5, 1 / 3), (0.8, 1 / 9)])
def test_effective_rows_are_those_of_the_formula_on_long_series(rho, expected):
    n = 50_000
    found = effective_rows(_ar1(np.random.default_rng(36), n, rho))
    assert found / n == pytest.approx(expected, rel=0.12)
    assert found <= n


def test_effective_rows_see_a_slow_swing_under_noise():
    rng = np.random.default_rng(37)
    series = rng.normal(size=2_000) + 3 * _ar1(rng, 2_000, 0.99) / 7
    first = np.corrcoef(series[1:], series[:-1])[0, 1]
    assert effective_rows(series) < 2_000 * (1 - first) / (1 + first) / 2
    assert effective_rows(np.ones(50)) == 50
    assert effective_rows(np.zeros(0)) == 0
    assert FEWEST == 8


def test_long_run_variance_is_the_plain_sum():
    x = np.random.default_rng(38).normal(size=40)
    x -= x.mean()
    weights = np.array([1.0, 0.7, 0.2])
    plain = (x @ x + 2 * 0.7 * (x[1:] @ x[:-1]) + 2 * 0.2 * (x[2:] @ x[:-2])) / 40
    assert long_run_variance(x, weights) == pytest.approx(plain)


def test_coefficient_worth_is_that_whose_rows_are_worth_so_many():
    for rho in (0.0, 0.3, 0.8, 0.95):
        assert coefficient_worth(500, 500 * (1 - rho) / (1 + rho)) == pytest.approx(rho)


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("length", [1.0, 4.0, 25.0])
def test_what_blocks_lose_is_the_plain_sum(rho, length):
    whole = (1 + rho) / (1 - rho)
    cut = 1 + 2 * sum((1 - lag / length) * rho**lag for lag in range(1, int(length)))
    random = 1 + 2 * sum((1 - 1 / length) ** lag * rho**lag for lag in range(1, 3000))  # Politis and Romano's weights
    assert lost_by_blocks(np.array([rho]), length, "circular") == pytest.approx(whole / cut)
    assert lost_by_blocks(np.array([rho]), length, "stationary") == pytest.approx(whole / random)
