"""Ways of adding periods up: by hand, when they disagree, and how often equal models are told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from mlwild.errors import DataError
from mlwild.stats.paired import fixed_b
from mlwild.stats.period_signs import WAYS, period_signs


def _rows(table):
    return {row.metric: row for row in table.rows}


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def test_the_ways_are_those_of_plain_sums():
    rng = np.random.default_rng(0)
    a, b, weights = rng.random(41), rng.random(41), rng.integers(1, 9, 41)
    rows = _rows(period_signs(a, b, weights=weights, level=0.9))
    assert tuple(rows) == WAYS
    worst = [sum(sorted(x)[-11:]) / 11 for x in (a, b)]  # a quarter of 41, rounded up
    expected = {
        "mean": sum(weights * (a - b)) / sum(weights),
        "median": sorted(a)[20] - sorted(b)[20],
        "worst_quarter": worst[0] - worst[1],
        "worst_period": max(a) - max(b),
        "periods_won": 0.5 - sum(a < b) / 41,
    }
    assert {name: row.difference.estimate for name, row in rows.items()} == pytest.approx(expected)
    assert rows["mean"].difference.n == 41


def test_the_interval_of_the_mean_is_that_of_fixed_b():
    a, b = np.random.default_rng(1).random((2, 60))
    row = _rows(period_signs(a, b, level=0.95))["mean"]
    found = fixed_b(a, b, level=0.95)
    assert (row.difference.low, row.difference.high) == pytest.approx((found.low, found.high))


def test_swapping_the_models_mirrors_the_table():
    a, b = np.random.default_rng(2).random((2, 50))
    one, other = period_signs(a, b, seed=3), period_signs(b, a, seed=3)
    for row, mirrored in zip(one.rows, other.rows, strict=True):
        assert row.difference.estimate == pytest.approx(-mirrored.difference.estimate)
        assert row.difference.low == pytest.approx(-mirrored.difference.high)
        assert {row.favours, mirrored.favours} in ({"a", "b"}, {"neither"})
        assert row.separable == mirrored.separable


def test_a_model_that_is_mostly_better_and_sometimes_awful_makes_the_choice_of_metric_decide():
    rng = np.random.default_rng(3)
    b = 1.0 + 0.1 * rng.normal(size=80)
    a = b - 0.1
    a[::10] += 2.0
    table = period_signs(a, b)
    rows = _rows(table)
    assert {name: row.favours for name, row in rows.items()} == {
        "mean": "b",
        "median": "a",
        "worst_quarter": "b",
        "worst_period": "b",
        "periods_won": "a",
    }
    assert table.best is None
    assert table.deciding == ("median", "periods_won")
    assert rows["median"].separable
    assert rows["periods_won"].difference.estimate == pytest.approx(-0.4)


def test_equal_losses_favour_neither_and_few_periods_have_no_interval():
    a = np.random.default_rng(4).random(30)
    table = period_signs(a, a)
    assert {row.favours for row in table.rows} == {"neither"}
    assert not any(row.separable for row in table.rows)
    short = period_signs(a[:5], a[5:10])
    assert all(math.isnan(row.difference.low) and not row.separable for row in short.rows)
    assert short.rows[0].favours in ("a", "b")
    with pytest.raises(DataError, match="loss_a has 30 rows, loss_b 29"):
        period_signs(a, a[1:])


def _told_apart(draws, n, rho):
    rng, counts = np.random.default_rng([5, n]), np.zeros(len(WAYS))

    def series():
        return lfilter([1.0], [1.0, -rho], rng.normal(size=n + 100))[100:] * math.sqrt(1 - rho**2)

    for i in range(draws):
        hard = series()
        a, b = hard + 0.4 * series(), hard + 0.4 * series()
        counts += [row.separable for row in period_signs(a, b, level=0.9, reps=300, seed=i).rows]
    return counts / draws


@pytest.mark.parametrize("draws", [150, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "rho"), [(30, 0.0), (100, 0.5)])
def test_equal_models_are_told_apart_as_seldom_as_stated(draws, n, rho):
    # The greatest stated share of normal losses, by way.
    stated = np.array([0.10, 0.10, 0.10, 0.12, 0.10])
    found = _told_apart(draws, n, rho)
    assert (found <= stated + [_errors(share, draws) for share in stated]).all()
