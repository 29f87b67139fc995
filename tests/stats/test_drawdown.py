"""Drawdowns: by plain loops, and what is promised of the next one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.drawdown import drawdown, next_drawdown


def by_loops(returns):
    """Return depth, longest stretch below a peak and share of bars below one, bar by bar."""
    wealth, top, since, depth, longest, below = 1.0, 1.0, 0, 0.0, 0, 0
    for bar, one in enumerate(returns, start=1):
        wealth *= 1 + one
        if wealth >= top * (1 - 1e-12):
            if bar - since > 1:
                longest = max(longest, bar - since)
            top, since = max(top, wealth), bar
        else:
            depth, below = max(depth, 1 - wealth / top), below + 1
            longest = max(longest, bar - since)
    return depth, longest, below / len(returns)


@given(st.lists(st.floats(-0.5, 0.5).map(lambda value: round(value, 3)), min_size=1, max_size=60))
def test_it_is_what_plain_loops_find(returns):
    found = drawdown(np.array(returns))
    depth, longest, below = by_loops(returns)
    assert found.depth == pytest.approx(depth, abs=1e-9)
    assert found.under_water == pytest.approx(below)
    assert found.longest == longest


def test_what_only_rises_has_none():
    found = drawdown(np.array([0.1, 0.0, 0.2]))
    assert (found.depth, found.longest, found.under_water) == (0.0, 0, 0.0)


def test_one_that_was_not_made_good_says_so():
    assert drawdown(np.array([0.1, -0.3, 0.05])).recovered is None


@pytest.mark.parametrize("bad", [np.array([0.1, np.nan]), np.array([-1.0]), np.array([])])
def test_bad_returns_are_refused(bad):
    with pytest.raises(DataError, match="returns"):
        drawdown(bad)


def _kept(law, draws, horizon=120):
    """Return the share of draws in which the next drawdown stayed within its bound."""
    kept = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        whole = law(rng, 600 + horizon)
        bound = next_drawdown(whole[:600], horizon=horizon, reps=400, seed=seed).bound
        kept += drawdown(whole[600:]).depth <= bound
    return kept / draws


def steady(rng, n):
    """Return independent returns."""
    return 0.01 * rng.standard_t(5, n)


def clustered(rng, n):
    """Return returns whose size comes in clusters."""
    size, made = 0.01, np.empty(n)
    for bar in range(n):
        made[bar] = size * rng.normal()
        size = np.sqrt(2e-6 + 0.1 * made[bar] ** 2 + 0.88 * size**2)
    return made


@pytest.mark.parametrize("law", [steady, clustered])
def test_the_next_one_stays_within_its_bound(law):
    """60 draws at 95 %: at least .85 kept (.95 less 3.5 standard errors)."""
    assert _kept(law, 60) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("law", "least"), [(steady, 0.93), (clustered, 0.91)])
def test_the_next_one_stays_within_its_bound_long(law, least):
    """4,800 draws: a standard error of .004; where volatility clusters, four points are lost to what blocks cut."""
    assert _kept(law, 4800) >= least
