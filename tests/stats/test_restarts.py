"""Bets begun anew at every look: by hand, the chance of a false refutation, and power after calm years."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwild.errors import DataError
from mlwild.stats.restarts import STAKES, RestartedBets


def test_capital_is_the_product_of_the_bets():
    rng = np.random.default_rng(0)
    bets, looks = RestartedBets(), [rng.uniform(-1, 1, 5) for _ in range(4)]
    for rows in looks:
        bets = bets.feed([rows, rows - 0.5], [np.ones(5), np.full(5, 1.5)])
    for start in range(4):
        wealth = np.ones(len(STAKES))
        for look in range(start, 4):
            for x in looks[look]:
                wealth *= 1 + STAKES * (x if look == start else (x - 0.5) / 1.5)
        assert np.exp(bets.capital[start]) == pytest.approx(wealth)


def test_threshold_is_that_of_its_start():
    one = np.ones(1)
    bets = RestartedBets(alpha=0.2)
    # The mean capital after n rows at +1.
    wins = next(n for n in range(1, 99) if np.mean((1 + STAKES) ** n) >= 1 * 2 / 0.2)
    for n in range(1, wins + 1):
        bets = bets.feed([one], [one])
        assert (bets.refuted is None) == (n < wins)
    assert bets.refuted == 0
    assert RestartedBets().refuted is None


def test_old_bets_lose_and_new_ones_win():
    bets = RestartedBets()
    for _ in range(30):
        bets = bets.feed([np.full(100, -0.2)], [np.ones(100)])
    bets = bets.feed([np.full(100, 0.4)], [np.ones(100)])
    assert bets.refuted == 30


def test_a_row_lower_than_it_can_be_is_refused():
    for most in (0.5, 0.0):
        with pytest.raises(DataError, match="lower than it can"):
            RestartedBets().feed([np.array([-1.0])], [np.array([most])])


@pytest.mark.parametrize("draws", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_true_null_is_refuted_in_at_most_alpha(draws):
    refuted = 0
    for draw in range(draws):
        rng = np.random.default_rng([1, draw])
        bets = RestartedBets(alpha=0.1)
        for _ in range(25):
            # Skewed, of mean zero: rare great losses, the worst case for a normal law.
            rows = np.where(rng.random(40) < 0.05, 0.95, -0.05)
            bets = bets.feed([rows], [np.full(40, 0.05)])
        refuted += bets.refuted is not None
    assert refuted / draws <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / draws)


def test_a_rise_after_any_number_of_calm_looks_is_seen_at_once():
    seen = []
    for calm in (1, 10, 40):
        rng, bets = np.random.default_rng([2, calm]), RestartedBets()
        for look in range(calm + 1):
            rows = (rng.random(300) < (0.5 if look == calm else 0.2)) - 0.3
            bets = bets.feed([rows], [np.full(300, 0.3)])
        seen.append(bets.refuted == calm)
    assert all(seen)
