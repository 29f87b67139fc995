"""Thresholds of abstention: a promise kept, a price minimised, the curve by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from mlwild.errors import DataError
from mlwild.stats.selective import guaranteed_threshold, priced_threshold, risk_coverage


def _rows(n, rng, *, ties=False):
    """Return confidence and errors whose rate falls from one half to zero as confidence rises."""
    confidence = rng.uniform(0.5, 1.0, n)
    if ties:
        confidence = confidence.round(2)
    return confidence, (rng.random(n) < 1.0 - confidence).astype(float)


def _true_risk(threshold):
    """Return the expected error of rows of at least some confidence."""
    return (1.0 - max(threshold, 0.5)) / 2.0


def test_the_search_is_that_of_the_paper():
    """Algorithm 2 of Geifman and El-Yaniv, written out with a bound by bisection of the binomial tail."""

    def tail(errors, n, delta):
        low, high = errors / n, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if binom.cdf(errors, n, middle) > delta else (low, middle)
        return high

    rng = np.random.default_rng(3)
    for _ in range(5):
        confidence, errors = _rows(700, rng)
        order = np.sort(confidence)
        looks = math.ceil(math.log2(700))
        low, high, best = 0, 699, None
        place = 0
        for _ in range(looks):
            picked = errors[confidence >= order[place]]
            bound = tail(int(picked.sum()), len(picked), 0.1 / looks)
            if bound <= 0.2:
                high = place
                best = (order[place], bound) if best is None or order[place] < best[0] else best
            else:
                low = place
            place = (low + high + 1) // 2
        found = guaranteed_threshold(confidence, errors, risk=0.2, delta=0.1)
        assert found.value == best[0]
        assert found.bound == pytest.approx(best[1], abs=1e-9)
        assert found.coverage == pytest.approx((confidence >= found.value).mean())
        assert found.risk == pytest.approx(errors[confidence >= found.value].mean())


def _broken(draws, n, *, ties=False, risk=0.15, delta=0.1):
    rng = np.random.default_rng(11)
    broken, coverage = 0, 0.0
    for _ in range(draws):
        found = guaranteed_threshold(*_rows(n, rng, ties=ties), risk=risk, delta=delta)
        broken += found.coverage > 0 and _true_risk(found.value - 0.005 * ties) > risk
        coverage += found.coverage / draws
    return broken, coverage


@pytest.mark.parametrize("ties", [False, True])
def test_the_promise_is_kept(ties):
    draws = 300
    broken, coverage = _broken(draws, 500, ties=ties)
    assert broken <= binom.ppf(0.999, draws, 0.1), broken
    assert coverage > 0.3  # all rows of at most 0.15 expected error make 0.6


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 500, 3000])
def test_the_promise_is_kept_over_many_draws(n):
    draws = 5000
    broken, _ = _broken(draws, n)
    assert broken <= binom.ppf(0.999, draws, 0.1), broken


def test_the_promise_is_of_all_rows_where_some_are_seen_more_seldom():
    """Of half of the rows one in ten is seen, and those are wrong four times as often: a promise of what is seen broke."""
    rng, broken, unweighted, coverage = np.random.default_rng(5), 0, 0, 0.0
    for _ in range(100):
        confidence, hard = rng.uniform(size=8000), rng.random(8000) < 0.5
        wrong = rng.random(8000) < (1 - confidence) * np.where(hard, 0.8, 0.2)  # of all above c: (1 - c) / 4
        chance = np.where(hard, 0.1, 1.0)
        seen = rng.random(8000) < chance
        rows = confidence[seen], wrong[seen].astype(float)
        found = guaranteed_threshold(*rows, risk=0.15, delta=0.1, weights=1 / chance[seen])
        broken += found.coverage > 0 and (1 - found.value) / 4 > 0.15
        coverage += np.mean(confidence >= found.value) / 100
        unweighted += (1 - guaranteed_threshold(*rows, risk=0.15, delta=0.1).value) / 4 > 0.15
        assert not found.bound > 0.15
    assert broken <= binom.ppf(0.999, 100, 0.1), broken
    assert unweighted == 100
    assert coverage > 0.3  # all above 0.4 may be answered
    alike = guaranteed_threshold(*rows, risk=0.15, weights=np.full(len(rows[0]), 7.0))
    assert alike == guaranteed_threshold(*rows, risk=0.15)


def test_losses_between_0_and_1_get_a_bound_too():
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    losses = 0.5 * (1 - confidence) * rng.random(2000)
    found = guaranteed_threshold(confidence, losses, risk=0.1)
    assert found.risk < found.bound <= 0.1
    assert found.coverage > 0.3


def test_nothing_is_answered_where_nothing_can_be_promised():
    found = guaranteed_threshold(np.linspace(0, 1, 50), np.ones(50), risk=0.1)
    assert (found.value, found.coverage) == (math.inf, 0.0)
    assert math.isnan(found.risk)
    everything = guaranteed_threshold(np.linspace(0, 1, 500), np.zeros(500), risk=0.1)
    assert (everything.coverage, everything.value) == (1.0, 0.0)


@pytest.mark.parametrize("price", [0.0, 0.2, 0.4, 2.0])
def test_the_priced_threshold_costs_least_of_all(price):
    rng = np.random.default_rng(5)
    confidence, errors = _rows(120, rng, ties=True)

    def cost(threshold):
        return np.where(confidence >= threshold, errors, price).sum()

    found = priced_threshold(confidence, errors, price=price)
    assert cost(found.value) == pytest.approx(min(cost(one) for one in [*confidence, math.inf]))
    assert found.coverage == pytest.approx((confidence >= found.value).mean())


def test_the_curve_is_the_mean_loss_of_the_surest():
    rng = np.random.default_rng(1)
    confidence, losses = rng.random(40), rng.random(40)
    curve = risk_coverage(confidence, losses)
    for n in (1, 7, 40):
        surest = np.argsort(-confidence)[:n]
        assert curve.risk[n - 1] == pytest.approx(losses[surest].mean())
    assert curve.area == pytest.approx(curve.risk.mean())
    assert risk_coverage(-losses, losses).excess == 0.0
    assert curve.excess > 0


def test_ties_count_in_their_mean_over_all_orders():
    curve = risk_coverage(np.ones(4), np.array([1.0, 0.0, 0.0, 0.0]))
    assert curve.risk.tolist() == [0.25] * 4


def test_excess_of_right_and_wrong_is_near_the_closed_form():
    """The optimal area of an error rate r is r + (1 - r) ln(1 - r) (Geifman et al., 2019, eq. 4)."""
    rng = np.random.default_rng(2)
    errors = (rng.random(20_000) < 0.3).astype(float)
    curve = risk_coverage(rng.random(20_000), errors)
    rate = errors.mean()
    assert curve.area - curve.excess == pytest.approx(rate + (1 - rate) * math.log(1 - rate), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0.1, 0.2], [0.0]), "need one of each a row"),
        (([0.1, math.nan], [0.0, 1.0]), r"confidence\[1\] is nan"),
        (([0.1, 0.2], [0.0, 1.5]), "losses go from 0 to 1.5"),
        (([], []), "need one of each a row"),
    ],
)
def test_bad_input_is_one_sentence(arguments, said):
    with pytest.raises(DataError, match=said):
        guaranteed_threshold(*map(np.array, arguments), risk=0.1)


def test_settings_out_of_range_are_refused():
    good = np.array([0.5, 0.6]), np.array([0.0, 1.0])
    with pytest.raises(DataError, match="risk is 1.2"):
        guaranteed_threshold(*good, risk=1.2)
    with pytest.raises(DataError, match="price is -1"):
        priced_threshold(*good, price=-1)
