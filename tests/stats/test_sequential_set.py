"""The running set: by hand, in pieces, and under peeking, where a fixed test loses the best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.sequential_set import STAKES, SequentialSet


def test_first_row_by_hand():
    found = SequentialSet(models=2).feed(np.array([[1.0, 0.5]]))
    lam = np.array(STAKES)
    assert found.e_values == pytest.approx([(1 + 0.5 * lam).mean(), (1 - 0.5 * lam).mean()])
    assert found.included == (0, 1)


def test_evidence_by_plain_products():
    losses = np.random.default_rng(0).random((50, 3)) * 10
    found = SequentialSet(models=3, low=0.0, high=10.0).feed(losses)
    for i in range(3):
        bets = [
            math.prod(1 + lam * (a - b) / 10 for a, b in zip(losses[:, i], losses[:, j], strict=True))
            for j in range(3)
            for lam in STAKES
            if i != j
        ]
        assert found.e_values[i] == pytest.approx(np.mean(bets))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_pieces_give_what_the_whole_gives(seed, cuts):
    losses = np.random.default_rng(seed).random((400, 3)) * [0.5, 0.8, 1.0]
    whole, pieces = SequentialSet(models=3).feed(losses), SequentialSet(models=3)
    for part in np.split(losses, sorted(cuts)):
        pieces = pieces.feed(part)
    assert (pieces.n, pieces.dropped) == (whole.n, whole.dropped)
    assert pieces.e_values == pytest.approx(whole.e_values)


def test_dropped_models_stay_dropped():
    bad_first = np.concatenate([np.tile([0.0, 1.0], (100, 1)), np.tile([1.0, 0.0], (100, 1))])
    found = SequentialSet(models=2).feed(bad_first)
    # By hand: the first row where the mean of (1 + lam)^t reaches 2 / 0.05.
    first = next(t for t in range(1, 100) if np.mean((1 + np.array(STAKES)) ** t) >= 40)
    assert found.dropped[1] == first - 1
    assert 1 not in found.included


def test_losses_outside_the_declared_range_are_refused():
    with pytest.raises(DataError, match=r"outside \[0\.0, 1\.0\]"):
        SequentialSet(models=2).feed(np.array([[0.5, 1.5]]))
    with pytest.raises(DataError, match="outside"):
        SequentialSet(models=2).feed(np.array([[0.5, np.nan]]))
    with pytest.raises(DataError, match=r"shape \(1, 3\), need \(n_rows, 2\)"):
        SequentialSet(models=2).feed(np.zeros((1, 3)))


def _lost(draws, n, make):
    """Shares of draws where a model that is never worse is lost: by the set, and by peeking with z-tests."""
    rng = np.random.default_rng(1)
    mine = naive = 0
    for _ in range(draws):
        losses, best = make(rng, n)
        mine += not set(best) <= set(SequentialSet(models=losses.shape[1]).feed(losses).included)
        first, others = best[0], [j for j in range(losses.shape[1]) if j != best[0]]
        d = losses[:, [first]] - losses[:, others]
        steps = np.arange(1, n + 1)[:, None]
        mean = np.cumsum(d, axis=0) / steps
        spread = np.sqrt(np.maximum(np.cumsum(d**2, axis=0) / steps - mean**2, 1e-12) / steps)
        naive += bool((mean / spread > 1.96)[49::10].any())
    return mine / draws, naive / draws


def _equal(rng, n):
    return (rng.random((n, 5)) < 0.3).astype(float), [0, 1, 2, 3, 4]


def _shifting(rng, n):
    # Models 0 and 1 take turns, 0 first: its running mean of expected losses is never above.
    rate = np.where((np.arange(n)[:, None] // 100 + np.arange(2)) % 2, 0.5, 0.2)
    return (rng.random((n, 2)) < rate).astype(float), [0]


@pytest.mark.parametrize("make", [_equal, _shifting])
def test_best_is_kept_under_peeking_at_every_row(make):
    mine, naive = _lost(100, 1000, make)
    assert mine <= 0.05
    if make is _equal:
        assert naive > 0.25


@pytest.mark.slow
@pytest.mark.parametrize("make", [_equal, _shifting])
def test_best_is_kept_under_peeking_at_every_row_long(make):
    mine, naive = _lost(2000, 2000, make)
    assert mine <= 0.05
    if make is _equal:
        assert naive > 0.25


def test_worse_models_are_dropped():
    rng = np.random.default_rng(3)
    found = SequentialSet(models=3).feed((rng.random((3000, 3)) < [0.2, 0.2, 0.3]).astype(float))
    assert found.included == (0, 1)
    assert found.dropped[2] < 3000
