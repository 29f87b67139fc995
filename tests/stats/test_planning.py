"""How long a challenger must run: the formula, and the power that the plan then has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from mlwild.errors import DataError
from mlwild.stats.paired import Difference
from mlwild.stats.planning import futile, rows_needed
from mlwild.stats.sequential import betting, confidence_sequence, running_difference


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def _three_points(rng, n, disagreement, difference):
    u = rng.random(n)
    return (u < (disagreement + difference) / 2).astype(float) - (
        (u >= (disagreement + difference) / 2) & (u < disagreement)
    )


def test_fixed_rows_are_those_of_the_rule_of_thumb():
    plan = rows_needed(0.1, 0.03)
    assert plan.fixed == math.ceil((1.644854 + 0.841621) ** 2 * 0.1 / 0.03**2)
    assert plan.fixed == pytest.approx(6.2 * 0.1 / 0.03**2, rel=0.01)


def test_autocorrelation_multiplies_the_rows():
    plain, slow = rows_needed(0.1, 0.02), rows_needed(0.1, 0.02, autocorrelation=0.5)
    assert slow.fixed == pytest.approx(3 * plain.fixed, abs=3)
    assert slow.betting == pytest.approx(3 * plain.betting, abs=3)
    assert slow.betting_typical == pytest.approx(3 * plain.betting_typical, abs=3)
    assert rows_needed(0.1, -0.02) == plain


@pytest.mark.parametrize("draws", [400, pytest.param(4_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("disagreement", "difference", "power"),
    [(0.1, 0.03, 0.8), (0.1, 0.02, 0.9), (0.05, 0.02, 0.8), (0.3, 0.03, 0.7), (0.3, 0.12, 0.8), (0.2, 0.08, 0.9)],
)
def test_bets_have_decided_by_the_planned_row_as_often_as_asked(disagreement, difference, power, draws):
    plan = rows_needed(disagreement, difference, power=power)
    stops = np.full(draws, np.inf)
    for i in range(draws):
        gaps = _three_points(np.random.default_rng([51, i]), plan.betting, disagreement, difference)
        found = betting(gaps, np.zeros(plan.betting))
        stops[i] = math.inf if found.stopped_at is None else found.stopped_at + 1
    assert np.mean(stops <= plan.betting) == pytest.approx(power, abs=0.04 + _errors(power, draws))
    assert np.mean(stops <= plan.betting_typical) == pytest.approx(0.5, abs=0.06 + _errors(0.5, draws))


@pytest.mark.parametrize("draws", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_one_look_at_the_planned_row_has_its_power(draws):
    rng = np.random.default_rng(52)
    n = rows_needed(0.1, 0.02).fixed
    gaps = (_three_points(rng, n, 0.1, 0.02) for _ in range(draws))
    share = np.mean([gap.mean() / gap.std() * math.sqrt(n) > norm.ppf(0.95) for gap in gaps])
    assert share == pytest.approx(0.8, abs=_errors(0.8, draws) + 0.01)


def test_difference_too_small_for_the_smallest_stake_is_never_bet_home():
    plan = rows_needed(0.5, 0.004)
    assert plan.betting is None
    assert plan.betting_typical is None
    assert plan.fixed > 100_000


def test_models_that_never_part_ways_but_to_one_side_are_told_soon():
    plan = rows_needed(0.1, 0.1)
    assert plan.betting_typical <= plan.betting < 300


# -- futility ------------------------------------------------------------------------------------


def test_challenger_is_futile_where_its_best_case_does_not_pay():
    found = Difference(-0.01, -0.03, 0.01, 0.95, 1000, "m", 0.3, 0.03)
    assert not futile(found, cost=29.0, horizon=1000)
    assert futile(found, cost=31.0, horizon=1000)
    worse = Difference(0.03, 0.01, 0.05, 0.95, 1000, "m", 0.01, 0.03)
    assert futile(worse, cost=0.0, horizon=1)
    empty = np.zeros(0)
    assert not futile(running_difference(empty, empty), cost=1e9, horizon=1)


@pytest.mark.parametrize("draws", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_challenger_that_pays_is_seldom_given_up_and_one_that_does_not_is(draws):
    # Looked at after each of 3,000 rows; disagreement 0.3; the switch must bring 0.02 a row.
    given_up = dropped = 0
    for i in range(draws):
        good = _three_points(np.random.default_rng([53, i]), 3_000, 0.3, -0.02)
        given_up += bool((confidence_sequence(good, np.zeros(3_000)).low > -0.02).any())
        bad = _three_points(np.random.default_rng([54, i]), 3_000, 0.3, 0.05)
        dropped += futile(running_difference(bad, np.zeros(3_000)), cost=20.0, horizon=1_000)
    assert given_up / draws <= 0.025 + _errors(0.025, draws)
    assert dropped / draws > 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rows_needed(0.1, 0.0), "difference 0.0"),
        (lambda: rows_needed(0.1, 0.2), "no greater"),
        (lambda: rows_needed(0.0, 0.1), "disagreement is 0.0"),
        (lambda: rows_needed(0.1, math.nan), "difference nan"),
        (lambda: rows_needed(0.1, 0.01, alpha=0.0), "alpha is 0.0"),
        (lambda: rows_needed(0.1, 0.01, power=1.0), "power 1.0"),
        (lambda: rows_needed(0.1, 0.01, autocorrelation=1.0), "autocorrelation 1.0"),
        (lambda: futile(Difference(0, -1, 1, 0.95, 1, "m", 1, 1), cost=-1.0, horizon=1), "cost is -1.0"),
        (lambda: futile(Difference(0, -1, 1, 0.95, 1, "m", 1, 1), cost=1.0, horizon=0), "horizon 0"),
    ],
)
def test_what_cannot_be_planned_is_said(call, message):
    with pytest.raises(DataError, match=message):
        call()
