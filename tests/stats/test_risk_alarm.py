"""The alarm for a risk above a limit: the bet of the literature, its level, and what it finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.risk_alarm import RiskAlarm
from mlwild.stats.sequential import risk_violation


def _first(alarm, losses, batch=1):
    """Return the number of losses after which the alarm rang first, to the batch, or None."""
    for at in range(0, len(losses), batch):
        alarm, rung = alarm.feed(losses[at : at + batch])
        if rung:
            return at + batch
    return None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.sampled_from([1, 7, 100]), risk=st.sampled_from([0.1, 0.3, 0.6]))
def test_with_all_the_past_it_is_the_bet_of_the_literature_however_it_is_fed(seed, batch, risk):
    losses = np.random.default_rng(seed).beta(risk * 4, (1 - risk) * 4, 200)
    whole = risk_violation(losses, 0.25)
    fed = RiskAlarm(0.25, memory=math.inf)
    for at in range(0, 200, batch):
        fed, _ = fed.feed(losses[at : at + batch])
    assert fed.log_capital == pytest.approx(whole.log_e, abs=1e-9)
    found = _first(RiskAlarm(0.25, memory=math.inf), losses, batch)
    expected = None if whole.stopped_at is None else (whole.stopped_at // batch + 1) * batch
    assert found == expected


def test_a_memory_that_fades_is_that_of_a_plain_loop():
    losses = np.random.default_rng(1).random(60)
    limit, keep, log_capital = 0.4, 1 - 1 / 20, 0.0
    weight, total, square = 1.0, limit, limit**2 + 0.25
    for loss in losses:
        mean, second = total / weight, square / weight
        variance = second - mean**2
        stake = min(max((mean - limit) / (variance + (mean - limit) ** 2), 0.0), 0.5 / limit)
        log_capital += math.log(1 + stake * (loss - limit))
        weight, total, square = keep * weight + 1, keep * total + loss, keep * square + loss**2
    found, _ = RiskAlarm(limit, memory=20).feed(losses)
    assert found.log_capital == pytest.approx(log_capital)
    assert found.past == pytest.approx((weight, total, square))


def _steady(rng, n):
    return (rng.random(n) < 0.2).astype(float)


def _swinging(rng, n):
    """Risks that depend on what came before, at the limit at most: calm for 300 rows, then at the limit."""
    return (rng.random(n) < np.where(np.arange(n) // 300 % 2, 0.2, 0.05)).astype(float)


def _spread(rng, n):
    return rng.beta(0.4, 1.6, n)


def _rung(world, draws, seed):
    rng = np.random.default_rng(seed)
    return sum(RiskAlarm(0.2).feed(world(rng, 3000))[1] for _ in range(draws)) / draws


@pytest.mark.parametrize("world", [_steady, _swinging, _spread])
def test_it_rings_falsely_as_seldom_as_set(world):
    # 400 runs of 3,000 losses, looked at after each; three standard errors of 5 % are 3.3 %.
    assert _rung(world, 400, 2) <= 0.05 + 0.033


@pytest.mark.slow
@pytest.mark.parametrize("world", [_steady, _swinging, _spread])
def test_it_rings_falsely_as_seldom_as_set_long(world):
    # 10,000 runs; three standard errors are .65 %.
    assert _rung(world, 10_000, 3) <= 0.05 + 0.0065


def test_a_risk_above_the_limit_is_found_and_a_calm_year_is_forgotten():
    # 100 runs each. At .3 against .2 from the start, and after 2,000 losses at .1.
    rng = np.random.default_rng(4)
    fresh, later, unforgotten = [], [], []
    for _ in range(100):
        rise = (rng.random(4000) < 0.3).astype(float)
        calm = np.concatenate([(rng.random(2000) < 0.1).astype(float), rise])
        fresh.append(_first(RiskAlarm(0.2), rise, 10))
        later.append(_first(RiskAlarm(0.2), calm, 10) - 2000)
        unforgotten.append((_first(RiskAlarm(0.2, memory=math.inf), calm, 10) or 6000) - 2000)
    assert np.median(fresh) < 300
    assert np.median(later) < 600
    assert np.median(unforgotten) > 2000


def test_rows_that_rise_and_fall_together_are_one_bet():
    # 300 runs of 100 looks at 50 rows that are all right or all wrong, one look in five: fed by row the promise is
    # broken, fed as the mean of the look it is kept (three standard errors of 5 % are 3.8 %).
    rng = np.random.default_rng(5)
    by_row = by_look = 0
    for _ in range(300):
        looks = (rng.random(100) < 0.2).astype(float)
        by_row += RiskAlarm(0.2).feed(np.repeat(looks, 50))[1]
        by_look += RiskAlarm(0.2, memory=6).feed(looks)[1]
    assert by_row / 300 > 0.3
    assert by_look / 300 <= 0.05 + 0.038


def test_wrong_settings_and_losses_are_refused():
    for wrong in ({"limit": 0.0}, {"limit": 1.0}, {"limit": 0.2, "alpha": 0.0}, {"limit": 0.2, "memory": 0.5}):
        with pytest.raises(DataError, match="they need"):
            RiskAlarm(**wrong)
    for loss in (-0.1, 1.1, np.nan):
        with pytest.raises(DataError, match=r"losses is .* in row 1, needs to lie in \[0, 1\]"):
            RiskAlarm(0.2).feed(np.array([0.0, loss]))
    assert RiskAlarm(0.2).feed(np.zeros(0)) == (RiskAlarm(0.2), False)
