"""What a poor seed delivers, and how many seeds settle a difference."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.run_draws import Scores, checked_pair, checked_scores

Floats = NDArray[np.float64]


def lower_tail_mean(values: Floats, share: float = 0.25) -> float:
    """
    Return the mean of the worst share of seeds: the conditional value at risk (CVaR).

    One seed goes into production, not the mean of all: choose by what a poor one delivers.

    Parameters
    ----------
    values : ndarray of shape (n_runs,)
        One score a seed; **higher is better**, so the worst are the lowest.
    share : float
        In (0, 1]; a seed on the border counts in part.

    Returns
    -------
    float
        In the unit of the values.

    Raises
    ------
    DataError
        If there is no value, one is not finite, or the share is outside (0, 1].

    References
    ----------
    .. [1] Rockafellar, R. T., & Uryasev, S. (2002). Conditional value-at-risk for general loss
       distributions. Journal of Banking & Finance, 26(7), 1443-1471, proposition 8.
    .. [2] Chan, S. C. Y., et al. (2020). Measuring the reliability of reinforcement learning
       algorithms. ICLR.

    Examples
    --------
    >>> lower_tail_mean(np.array([5.0, 1.0, 2.0, 4.0]), share=0.5)
    1.5
    """
    ordered = np.sort(checked_scores(np.atleast_2d(values), ())[0])
    if not 0 < share <= 1:
        raise DataError(f"share is {share}, need a number above 0 and at most 1.")
    weight = np.clip(share * len(ordered) - np.arange(len(ordered)), 0.0, 1.0)
    return float(ordered @ weight / weight.sum())


def one_seed_spread(a: Floats, b: Floats, *, metric: str = "iqm", reps: int = 2000, seed: int = 0) -> float:
    """
    Return the standard deviation of a difference A - B of one run a task against one.

    Parameters
    ----------
    a, b : ndarray of shape (n_runs_a, n_tasks) and (n_runs_b, n_tasks)
        Normalised scores, at least two runs each.
    metric : str
        See `aggregate`.
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    float
        In the unit of the scores; goes into `seeds_needed`.

    Raises
    ------
    DataError
        If the numbers of tasks differ, there is a single run, or the metric is unknown.

    Examples
    --------
    >>> scores = np.random.default_rng(0).normal(size=(2, 40, 1))
    >>> round(one_seed_spread(*scores, metric="mean"), 1)  # sqrt(2)
    1.4
    """
    a, b = checked_pair(a, b)
    rng = np.random.default_rng(seed)
    variance = 0.0
    for side in (checked_scores(a, (metric,)), b):
        if len(side) < 2:
            raise DataError("one run has no spread, need at least 2 a side.")
        draws = Scores(side).replicates(reps, rng, (metric,), tasks=False, runs=1)[metric]
        variance += float(draws.var()) * len(side) / (len(side) - 1)
    return math.sqrt(variance)


def seeds_needed(spread: float, difference: float, *, level: float = 0.95, power: float = 0.8) -> int:
    """
    Return how many runs a side would settle a difference.

    Parameters
    ----------
    spread : float
        Standard deviation of the difference of one run against one, see `one_seed_spread`.
    difference : float
        Smallest difference that matters, in the same unit; above 0.
    level : float
    power : float
        Chance to find the difference where it is there.

    Returns
    -------
    int
        Runs a side, at least 2.

    Raises
    ------
    DataError
        If the difference is not above 0 or the spread is negative.

    Examples
    --------
    >>> seeds_needed(0.052, 0.05)
    9
    """
    from scipy.special import ndtri

    if not difference > 0 or not spread >= 0:
        raise DataError(f"difference is {difference}, need above 0; spread is {spread}, need at least 0.")
    z = float(ndtri((1 + level) / 2) + ndtri(power))
    return max(2, math.ceil((z * spread / difference) ** 2))
