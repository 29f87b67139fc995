"""The chance that the best rule of a history is only its luckiest."""

from __future__ import annotations

from itertools import combinations
from math import nan

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.bootstrap import Interval, block_positions

Floats = NDArray[np.float64]


def backtest_overfitting(costs: Floats, *, blocks: int = 8) -> float:
    """
    Return the probability of backtest overfitting (PBO) by symmetric cross-validation (CSCV).

    The history is cut into blocks; on every half of them the cheapest rule is chosen, and its rank
    among all rules is read on the other half. PBO is the share of halves where the chosen rule is
    no better than the median there.

    Parameters
    ----------
    costs : ndarray of shape (n_periods, n_rules)
        Lower is better.
    blocks : int
        Number of blocks, even.

    Returns
    -------
    float
        In [0, 1]; NaN for fewer than two rules or fewer periods than blocks.

    References
    ----------
    .. [1] Bailey, D. H., Borwein, J., Lopez de Prado, M., & Zhu, Q. J. (2017). The probability of
       backtest overfitting. Journal of Computational Finance, 20(4), 39-69.

    Examples
    --------
    >>> costs = np.random.default_rng(0).normal(size=(80, 10))
    >>> costs[:, 3] -= 2.0  # one rule is truly better
    >>> backtest_overfitting(costs)
    0.0
    """
    n, rules = costs.shape
    if rules < 2 or n < blocks:
        return nan
    sums = np.stack([part.sum(axis=0) for part in np.array_split(costs, blocks)])
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = sums[halves].sum(axis=1)
    outside = sums.sum(axis=0)[None, :] - inside
    tolerance = 1e-12 * np.abs(sums).max()
    best = np.abs(inside - inside.min(axis=1, keepdims=True)) <= tolerance
    worse = (outside[:, None, :] > outside[:, :, None] + tolerance).sum(axis=2)
    equal = (np.abs(outside[:, None, :] - outside[:, :, None]) <= tolerance).sum(axis=2)
    rank = worse + (equal + 1) / 2  # greatest for the cheapest; ties share
    failed = rank / (rules + 1) <= 0.5
    return float(((failed & best).sum(axis=1) / best.sum(axis=1)).mean())


def backtest_overfitting_interval(
    costs: Floats, *, blocks: int = 8, level: float = 0.9, reps: int = 200, length: float = 1.0, seed: int = 0
) -> Interval:
    """
    Return PBO with its interval, by resampling blocks of periods.

    One PBO is a weak instrument: on pure noise its mean is 0.5, and it scatters by about 0.18 around
    that (1,000 periods, 50 rules, 10 blocks; by 0.23 for 80 periods, 10 rules, 8 blocks).

    A replicate repeats periods, so that what set rules apart by chance sets them apart for good, and choices carry over
    better than they do: percentiles alone left the estimate out, below it, in 2 to 8 histories of a hundred. The
    interval reaches to the estimate, which is that of the one replicate that repeats nothing. It held the mean PBO of
    such histories in 90 to 100 of a hundred at level 0.9 (12 to 60 periods, 10 and 20 rules, noise to one rule truly
    better, 60 draws each); intervals reflected about the estimate, or corrected for bias, in 8 to 82.

    Examples
    --------
    >>> costs = np.random.default_rng(0).normal(size=(80, 10))
    >>> interval = backtest_overfitting_interval(costs)
    >>> interval.high > 0.4
    True
    """
    estimate = backtest_overfitting(costs, blocks=blocks)
    if np.isnan(estimate):
        return Interval(estimate, nan, nan, level, len(costs))
    rng = np.random.default_rng(seed)
    positions = block_positions(len(costs), length, reps, rng)
    # Order is kept inside a replicate, so that its blocks are blocks of time.
    draws = [backtest_overfitting(costs[np.sort(rows)], blocks=blocks) for rows in positions]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), level, len(costs))
