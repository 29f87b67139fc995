"""Limits for one more value: closed forms, the law of what was estimated, and how often they are passed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import gumbel_r, nbinom, norm, poisson
from scipy.stats import t as student

from mlwild.stats.prediction import next_greatest, next_reach, next_share, prediction_limits


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def test_prediction_limits_are_the_textbooks():
    values = np.array([51.4, 49.5, 48.7, 49.3, 51.6])  # Hahn and Meeker (1991): mean 50.1, standard deviation 1.31
    factor = student.ppf(0.975, 4) * math.sqrt(1 + 1 / 5)
    assert factor == pytest.approx(3.041, abs=0.001)  # their table A.13, n = 5, 95 %
    assert prediction_limits(values, 0.05) == pytest.approx(
        (50.1 - factor * 1.31339, 50.1 + factor * 1.31339), abs=1e-3
    )


@pytest.mark.parametrize("n", [5, 24])
def test_prediction_limits_are_passed_as_often_as_stated(n):
    draws, rng = 20_000, np.random.default_rng(n)
    values = rng.normal(3.0, 2.0, (draws, n + 1))
    outside = sum(not low <= row[-1] <= high for row in values for low, high in [prediction_limits(row[:-1], 0.05)])
    assert outside / draws == pytest.approx(0.05, abs=_errors(0.05, draws))


def test_the_place_and_scale_of_a_long_series_are_gumbels():
    values = gumbel_r.rvs(2.0, 3.0, size=200_000, random_state=0)
    assert next_greatest(values, 0.001) == pytest.approx(gumbel_r.isf(0.001, 2.0, 3.0), rel=0.01)


def test_limits_of_the_greatest_move_with_place_and_scale_and_end_at_a_constant():
    values = gumbel_r.rvs(size=20, random_state=0)
    assert next_greatest(5 + 2 * values, 0.01) == pytest.approx(5 + 2 * next_greatest(values, 0.01))
    assert next_greatest(np.full(8, 7.0), 0.001) == pytest.approx(7.0)


def _passed(n, chance, draws, seed):
    """Return how often one more draw of Gumbel's law lies above the limit."""
    rng = np.random.default_rng(seed)
    values = rng.gumbel(size=(draws, n + 1))
    limits = np.array([next_greatest(row[:-1], chance) for row in values])
    return (values[:, -1] > limits).mean()


@pytest.mark.parametrize("n", [8, 24])
def test_the_next_greatest_passes_its_limits_about_as_often_as_stated(n):
    """20,000 draws at 1 %: between half and five quarters of it, the rule being a fit."""
    assert 0.005 - _errors(0.005, 20_000) < _passed(n, 0.01, 20_000, n) < 0.0125 + _errors(0.0125, 20_000)


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 12, 24, 52])
@pytest.mark.parametrize("chance", [0.01, 0.001])
def test_the_next_greatest_over_many_draws(n, chance):
    """500,000 draws: between half and five quarters of what is stated."""
    draws, margin = 500_000, _errors(chance, 500_000)
    assert 0.5 * chance - margin < _passed(n, chance, draws, n) < 1.25 * chance + margin


LAWS = {
    "normal": norm.ppf,
    "lognormal": lambda u: np.exp(norm.ppf(u)),
    "exponential": lambda u: -np.log1p(-u),
    "student 3": lambda u: student.ppf(u, 3),
    "pareto 1.5": lambda u: (1 - u) ** (-1 / 1.5),
    "uniform": lambda u: u,
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rows", [100, 5000])
def test_the_greatest_of_a_period_seldom_passes_its_limit_under_many_laws(law, rows):
    """
    The logarithm of the distance to the median, by 24 periods; 20,000 draws at 1 %.

    Heavy tails come to what is stated, light ones to less.
    """
    draws, rng = 20_000, np.random.default_rng(rows)
    greatest = LAWS[law](rng.random((draws, 25)) ** (1 / rows)) - LAWS[law](np.array(0.5))
    logs = np.log(np.maximum(greatest, 1e-12))
    passed = np.mean([row[-1] > next_greatest(row[:-1], 0.01) for row in logs])
    assert passed < 0.0125 + _errors(0.0125, draws)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("periods", "rows"), [(8, 100), (24, 60)])
def test_the_next_period_reaches_what_is_foretold(law, periods, rows):
    """4,000 draws at 1 %, whatever the law."""
    draws, rng = 4_000, np.random.default_rng(periods)
    values = LAWS[law](rng.random((draws, periods + 1, rows)))
    short = np.mean([draw[-1].max() < next_reach(list(draw[:-1]), 0.01) for draw in values])
    assert short < 0.01 + _errors(0.01, draws)
    assert law != "normal" or short > 0.002  # the limit is not idle


def test_what_is_reached_does_not_depend_on_the_scale():
    parts = list(np.random.default_rng(0).normal(size=(12, 200)))
    assert next_reach([np.exp(part) for part in parts], 0.01) == pytest.approx(
        math.exp(next_reach(parts, 0.01)), rel=1e-3
    )


def test_clustered_values_count_for_fewer():
    """Each value ten times on end: what is reached is that of a tenth of the rows."""
    parts = list(np.random.default_rng(0).normal(size=(12, 200)))
    assert next_reach([np.repeat(part, 10) for part in parts], 0.01) == pytest.approx(next_reach(parts, 0.01), abs=0.05)


def test_the_rate_of_how_far_periods_reach_is_the_number_of_their_values():
    """Closed form: with F known, the predictive chance is (s / (s - log F))^k; here F is uniform and k is great."""
    rng = np.random.default_rng(0)
    reached = next_reach(list(rng.random((2_000, 50))), 0.0001)
    assert reached == pytest.approx(0.0001 ** (1 / 50), abs=0.005)


def test_a_share_that_varies_by_chance_alone_is_the_predictive_law_of_the_worst_period():
    counts, rows = np.array([3, 5, 2, 4, 4]), np.full(5, 1000)
    foretold = nbinom.isf(0.001, 5.5, 0.5) / 1000
    angles = np.arcsin(np.sqrt(counts / rows))
    assert next_share(counts, rows, 0.001) == pytest.approx(
        max(foretold, np.sin(prediction_limits(angles, 0.002)[1]) ** 2)
    )


def test_the_predictive_law_is_that_of_poisson_counts_with_a_drawn_rate():
    """Brute force: a rate from its posterior, a count from the rate; 400,000 draws."""
    rng = np.random.default_rng(0)
    counts = poisson.rvs(rng.gamma(5.5, 1.0, 400_000), random_state=1)
    for count in (5, 10, 15):
        assert (counts > count).mean() == pytest.approx(nbinom.sf(count, 5.5, 0.5), abs=_errors(0.25, 400_000))


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.3])
@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_the_next_share_seldom_passes_its_limit(share, spread):
    """5,000 draws of 12 periods and one more, at 1 %; rates may vary by period, normal on the scale of angles."""
    draws, rng = 5_000, np.random.default_rng(1)
    rates = np.sin(np.arcsin(math.sqrt(share)) + spread * rng.normal(size=(draws, 13))) ** 2
    counts = rng.binomial(500, rates)
    rows = np.full(12, 500)
    passed = [row[-1] / 500 > next_share(row[:-1], rows, 0.01) for row in counts if row[:-1].any()]
    assert np.mean(passed) < 0.01 + _errors(0.01, len(passed))


def test_what_never_was_has_the_limit_zero_and_shares_never_pass_one():
    assert next_share(np.zeros(8, np.int64), np.full(8, 100), 0.001) == 0.0
    assert next_share(np.full(8, 99), np.full(8, 100), 0.001) == 1.0


@pytest.mark.parametrize(
    "limits",
    [
        prediction_limits,
        next_greatest,
        lambda x, p: next_reach([x] * len(x), p),
        lambda x, p: next_share(x.astype(int), x.astype(int), p),
    ],
)
def test_four_past_values_are_too_few(limits):
    with pytest.raises(ValueError, match="4 past values are too few: at least 5 are needed"):
        limits(np.arange(1.0, 5.0), 0.01)
