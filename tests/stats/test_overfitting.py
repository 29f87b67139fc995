"""The probability of backtest overfitting: by hand, against plain loops, on noise and on signal."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from mlwild.stats.overfitting import backtest_overfitting, backtest_overfitting_interval


def _loops(costs, blocks):
    """CSCV as Bailey et al. number it: logits of the rank of the best, one half after the other."""
    parts = np.array_split(np.arange(len(costs)), blocks)
    shares = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[b] for b in chosen])
        outside = np.setdiff1d(np.arange(len(costs)), inside)
        gains_in, gains_out = -costs[inside].sum(axis=0), -costs[outside].sum(axis=0)
        ranks = rankdata(gains_out)  # 1 for the dearest; ties share
        logits = [math.log(w / (1 - w)) for w in ranks / (costs.shape[1] + 1)]
        best = np.flatnonzero(gains_in == gains_in.max())
        shares.append(np.mean([logits[i] <= 0 for i in best]))
    return float(np.mean(shares))


def test_rule_that_wins_one_half_and_loses_the_other_is_overfitted_for_certain():
    # Two blocks: chosen on the first, rule 0 costs 1 on the second, where rule 1 costs nothing.
    assert backtest_overfitting(np.array([[0.0, 1.0], [1.0, 0.0]]), blocks=2) == 1.0


def test_rule_that_wins_both_halves_is_not_overfitted():
    assert backtest_overfitting(np.array([[0.0, 1.0], [0.0, 1.0]]), blocks=2) == 0.0


def test_three_rules_by_hand():
    # Chosen on block one: rule 0, which is the middle one of three on block two: rank 2 of 4, failed.
    # Chosen on block two: rule 1, which is the middle one on block one: failed too.
    assert backtest_overfitting(np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 2.0]]), blocks=2) == 1.0
    # Chosen on block one: rule 0, cheapest of three on block two; and the other way round.
    assert backtest_overfitting(np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]), blocks=2) == 0.0


def test_tied_winners_share_the_half_between_them():
    # On block one rules 0 and 1 tie; on block two rule 0 is cheapest (sound), rule 1 dearest (failed).
    # On block two rule 0 is chosen, and on block one it ties for the best: rank 2.5 of 4, sound.
    assert backtest_overfitting(np.array([[0.0, 0.0, 2.0], [0.0, 5.0, 1.0]]), blocks=2) == 0.25


def test_rules_that_are_all_the_same_are_no_better_than_their_median():
    assert backtest_overfitting(np.ones((40, 6))) == 1.0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    periods=st.integers(8, 40),
    rules=st.integers(2, 7),
    blocks=st.sampled_from([2, 4, 6, 8]),
    coarse=st.booleans(),
)
def test_probability_follows_the_papers_steps_with_and_without_ties(seed, periods, rules, blocks, coarse):
    costs = np.random.default_rng(seed).normal(size=(periods, rules))
    costs = np.round(costs) if coarse else costs
    assert backtest_overfitting(costs, blocks=blocks) == pytest.approx(_loops(costs, blocks), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-15, 1e15), common=st.floats(-1e3, 1e3))
def test_units_and_a_cost_common_to_all_rules_do_not_matter(seed, scale, common):
    costs = np.random.default_rng(seed).normal(size=(24, 5))
    assert backtest_overfitting(scale * (costs + common)) == backtest_overfitting(costs)


@pytest.mark.parametrize("shape", [(80, 1), (7, 5), (0, 5), (80, 0)])
def test_too_few_rules_or_periods_have_no_probability(shape):
    assert math.isnan(backtest_overfitting(np.zeros(shape)))
    interval = backtest_overfitting_interval(np.zeros(shape))
    assert math.isnan(interval.estimate)
    assert math.isnan(interval.low)
    assert interval.n == shape[0]


# -- promises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [300, pytest.param(4_000, marks=pytest.mark.slow)])
def test_probability_on_pure_noise_is_one_half_on_average(draws):
    # In closed form: the halves are independent, so the rank of the chosen of 10 rules is uniform.
    found = [backtest_overfitting(np.random.default_rng([1, i]).normal(size=(80, 10)), blocks=8) for i in range(draws)]
    assert np.mean(found) == pytest.approx(0.5, abs=3 * 0.23 / math.sqrt(draws))
    assert np.std(found) == pytest.approx(0.23, abs=3 * 0.23 / math.sqrt(2 * draws))


@pytest.mark.slow
def test_probability_of_fifty_rules_over_a_thousand_periods_scatters_as_measured_before():
    # Measured before on such noise: standard deviation 0.18; 300 draws.
    found = [backtest_overfitting(np.random.default_rng([2, i]).normal(size=(1000, 50)), blocks=10) for i in range(300)]
    assert np.mean(found) == pytest.approx(0.5, abs=3 * 0.18 / math.sqrt(300))
    assert np.std(found) == pytest.approx(0.18, abs=3 * 0.18 / math.sqrt(600))


def test_probability_falls_as_one_rule_gets_truly_better():
    # 100 draws of 60 periods and 10 rules; the gain is in standard deviations of a period's cost.
    means = []
    for gain in (0.0, 0.3, 0.6, 1.0):
        found = []
        for i in range(100):
            costs = np.random.default_rng([3, i]).normal(size=(60, 10))
            costs[:, 4] -= gain
            found.append(backtest_overfitting(costs))
        means.append(np.mean(found))
    assert means[0] > 0.4
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.01


@pytest.mark.parametrize("draws", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_interval_does_not_vouch_for_noise_and_does_for_a_rule_that_is_truly_better(draws):
    # "Trusted" as the sheet means it: the whole 90% interval below 0.25.
    trusted = {0.0: 0, 1.2: 0}
    for gain in trusted:
        for i in range(draws):
            costs = np.random.default_rng([4, i]).normal(size=(60, 10))
            costs[:, 4] -= gain
            trusted[gain] += backtest_overfitting_interval(costs, reps=100, seed=i).high < 0.25
    assert trusted[0.0] / draws <= 0.05
    assert trusted[1.2] / draws >= 0.95


@pytest.mark.parametrize("seed", range(4))
def test_replicates_keep_the_order_of_time(seed):
    # Rule 0 is best in the first half of time and rule 1 in the second: no choice carries over. Were
    # the periods shuffled, every block would hold some of both halves, and choices would carry over.
    costs = np.random.default_rng(seed).normal(0, 0.3, size=(80, 6))
    costs[:, 0] += np.repeat([-1.0, 1.0], 40)
    costs[:, 1] -= np.repeat([-1.0, 1.0], 40)
    assert backtest_overfitting_interval(costs, seed=seed).low > 0.3


def test_interval_is_repeatable_and_holds_the_probability_of_its_own_history():
    costs = np.random.default_rng(0).normal(size=(60, 10))
    first, again = backtest_overfitting_interval(costs), backtest_overfitting_interval(costs)
    assert first == again
    assert first != backtest_overfitting_interval(costs, seed=1)
    assert 0 <= first.low <= first.estimate <= first.high <= 1
    assert first.estimate == backtest_overfitting(costs)


@pytest.mark.parametrize("periods", [12, 24])
@pytest.mark.parametrize("gain", [0.0, 0.3])
def test_interval_holds_its_own_estimate_and_the_mean_probability_of_such_histories(periods, gain):
    """At level 0.9, 80 draws: percentiles alone leave the estimate out in 2 to 8 of a hundred."""

    def drawn(*seed):
        costs = np.random.default_rng(seed).normal(size=(periods, 10))
        costs[:, 5] -= gain
        return costs

    mean = np.mean([backtest_overfitting(drawn(6, i)) for i in range(400)])
    found = [backtest_overfitting_interval(drawn(5, i), reps=100, seed=i) for i in range(80)]
    assert all(one.low <= one.estimate <= one.high for one in found)
    assert np.mean([one.low <= mean <= one.high for one in found]) >= 0.9 - 2 * math.sqrt(0.9 * 0.1 / 80)
