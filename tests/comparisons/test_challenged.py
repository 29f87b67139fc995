"""A challenger's trial keeps its level at all looks, finds what it planned to find, and says where it stands."""

from __future__ import annotations

import numpy as np
import pytest

from mlwild.comparisons.challenged import planned, standing
from mlwild.errors import DataError
from mlwild.stats.sequential import betting, confidence_sequence

LAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.exponential(size=n) - 1,
}


def _ever(gap, plan):
    """Say whether any look, after every row, would have settled for either side."""
    gap = np.clip(gap, -plan.bound, plan.bound)
    half = (1 - plan.level) / 2
    found = confidence_sequence(gap, np.zeros(len(gap)), level=1 - half, bound=plan.bound)
    bets = betting(gap, np.zeros(len(gap)), alpha=half, bound=plan.bound)
    return bool((found.high < 0).any() or (found.low > 0).any() or bets.stopped_at is not None)


def _false(law, draws, n=4000):
    wrong = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        gap = 0.3 * LAWS[law](rng, n + 500)
        past, now = gap[:500], gap[500:]
        plan = planned(past, np.zeros(500), least=0.02)
        wrong += _ever(now, plan)
    return wrong


@pytest.mark.parametrize("law", ["normal", "skewed"])
def test_equal_models_are_seldom_told_apart_however_often_one_looks(law):
    # 5 % of 60 draws are 3; 8 or more have a chance below .01 even at that rate.
    assert _false(law, 60) <= 7


@pytest.mark.slow
@pytest.mark.parametrize("law", sorted(LAWS))
def test_equal_models_are_seldom_told_apart_in_many_draws(law):
    # 600 draws at 5 % are 30; 45 are passed with a chance of .003.
    assert _false(law, 600) <= 45


def test_a_gain_as_great_as_planned_is_found_within_the_plan():
    # 80 % of 60 draws are 48, standard deviation 3.1; plans are cautious, so that the greater part is found sooner.
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        past = 0.3 * rng.normal(size=500)
        plan = planned(past - past.mean(), np.zeros(500), least=0.03)
        assert plan.rows < 20_000
        gap = -0.03 + 0.3 * rng.normal(size=plan.rows)
        found += standing(gap, np.zeros(len(gap)), plan, periods=9).verdict == "better"
    assert found >= 41


def test_verdicts():
    rng = np.random.default_rng(0)
    noise = 0.2 * rng.normal(size=6000)
    plan = planned(noise[:1000], np.zeros(1000), least=0.05)
    zero = np.zeros(5000)
    assert standing(noise[1000:] - 0.2, zero, plan, periods=5).verdict == "better"
    assert standing(noise[1000:] + 0.2, zero, plan, periods=5).verdict == "worse"
    assert standing(noise[1000:], zero, plan, periods=5).verdict == "no gain worth it"
    few = standing(noise[1000:1200], zero[:200], plan, periods=5)
    assert few.verdict == "not settled"
    assert "rows are planned to find a gain of 0.05" in few.said
    # Rows of a few periods are alike: nothing counts as settled so soon.
    assert standing(noise[1000:] - 0.2, zero, plan, periods=3).verdict == "not settled"


def test_what_is_beyond_the_bound_counts_as_the_bound_and_is_counted():
    rng = np.random.default_rng(1)
    past = rng.uniform(-0.1, 0.1, size=400)
    plan = planned(past, np.zeros(400), least=0.05)
    gap = np.concatenate([rng.uniform(-0.1, 0.1, size=200), [50.0]])
    found = standing(gap, np.zeros(201), plan, periods=4)
    assert found.clipped == 1
    assert abs(found.difference) < 0.1
    assert "1 rows differed by more than 0.1 and count as that" in found.said


def test_what_cannot_be_planned_is_said():
    rng = np.random.default_rng(2)
    with pytest.raises(DataError, match="29 labelled rows"):
        planned(rng.normal(size=29), np.zeros(29), least=0.1)
    with pytest.raises(DataError, match="lose the same on every row"):
        planned(np.ones(50), np.ones(50), least=0.1)
    with pytest.raises(DataError, match="above zero"):
        planned(rng.normal(size=50), np.zeros(50), least=0.0)
    none = standing(np.zeros(0), np.zeros(0), planned(rng.normal(size=50), np.zeros(50), least=0.1), periods=0)
    assert (none.verdict, none.difference) == ("not settled", None)


def test_where_periods_are_counted_periods_are_said():
    rng = np.random.default_rng(3)
    past = rng.normal(size=200)
    plan = planned(past, np.zeros(200), least=0.4, unit="period")
    gap = np.append(rng.uniform(-1, 1, size=40), 9.0)
    said = standing(gap, np.zeros(41), plan, periods=41).said
    assert "after 41 periods" in said
    assert "1 periods differed by more than" in said
    assert "periods are planned" in said
    assert "rows" not in said
    with pytest.raises(DataError, match="There are 29 labelled periods"):
        planned(past[:29], np.zeros(29), least=0.1, unit="period")
