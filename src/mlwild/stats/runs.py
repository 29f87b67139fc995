"""Scores of runs on tasks: aggregates, their intervals, and whether the aggregates agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.bootstrap import Interval
from mlwild.stats.run_draws import METRICS, Scores, checked_pair, checked_scores, resampled_counts, stretched

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SignRow:
    """
    One way to compare A with B, and whom it favours.

    Parameters
    ----------
    metric : str
    difference : Interval
        A minus B. Of scores, above zero favours A (the optimality gap has its sign turned; the
        probability of improvement is less one half); of losses, below zero does.
    favours : str
        "a", "b" or "neither": the sign of the estimate.
    separable : bool
        Whether zero lies outside the interval.
    """

    metric: str
    difference: Interval
    favours: str
    separable: bool


@dataclass(frozen=True)
class SignTable:
    """
    Whether the ways to compare A with B agree.

    Parameters
    ----------
    rows : tuple of SignRow
    best : str or None
        "a" or "b" where every row favours it and the interquartile mean is separable; else None:
        there is no clear best.
    deciding : tuple of str
        Metrics that do not favour whom the interquartile mean favours: the choice among these and
        the others decides.
    """

    rows: tuple[SignRow, ...]
    best: str | None
    deciding: tuple[str, ...]


@dataclass(frozen=True)
class PerformanceProfile:
    """
    Share of run-task scores above each threshold.

    Parameters
    ----------
    thresholds, share, low, high : ndarray of shape (n_thresholds,)
        The band holds at each threshold by itself.
    level : float
    """

    thresholds: Floats
    share: Floats
    low: Floats
    high: Floats
    level: float


def aggregate(scores: Floats, metric: str = "iqm") -> float:
    """
    Make one number of the scores of runs on tasks.

    Parameters
    ----------
    scores : ndarray of shape (n_runs, n_tasks)
        Normalised, such that tasks can be compared; **higher is better**.
    metric : {"iqm", "mean", "median", "worst_quartile", "optimality_gap"}
        Mean of the middle half of all scores; mean; median over tasks of the mean over runs; mean
        of the lowest quarter of all scores; mean shortfall from 1, where lower is better.

    Returns
    -------
    float
        In the unit of the scores.

    Raises
    ------
    DataError
        If a score is not finite, there is none, or the metric is unknown.

    References
    ----------
    .. [1] Agarwal, R., Schwarzer, M., Castro, P. S., Courville, A. C., & Bellemare, M. G. (2021). Deep
       reinforcement learning at the edge of the statistical precipice. NeurIPS 34, section 4.

    Examples
    --------
    >>> scores = np.array([[0.0, 0.2, 0.4, 9.0], [0.1, 0.3, 0.5, 1.0]])
    >>> aggregate(scores), aggregate(scores, "mean")
    (0.35, 1.4375)
    """
    scores = checked_scores(scores, (metric,))
    everything = np.arange(scores.size)[None, :]
    return float(Scores(scores).metrics(everything, (metric,))[metric][0])


def aggregate_intervals(
    scores: Floats,
    *,
    metrics: Sequence[str] = METRICS,
    tasks: bool = False,
    level: float = 0.95,
    reps: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """
    Return aggregates with their stratified bootstrap intervals.

    Runs are resampled within each task. The percentiles are stretched about the estimate by what
    resampling few runs loses, sqrt(n_runs / (n_runs - 1)), and by Student's quantile.

    Parameters
    ----------
    scores : ndarray of shape (n_runs, n_tasks)
        Normalised; **higher is better**. Runs are independent between tasks.
    metrics : sequence of str
        See `aggregate`.
    tasks : bool
        Resample tasks too: the interval then speaks of tasks that were not run.
    level : float
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    dict of str to Interval
        NaN bounds for a single run, or for a single task if tasks are resampled.

    Raises
    ------
    DataError
        If a score is not finite, there is none, or a metric is unknown.

    References
    ----------
    .. [1] Agarwal, R., et al. (2021). Deep reinforcement learning at the edge of the statistical
       precipice. NeurIPS 34, section 4.1.

    Examples
    --------
    >>> scores = np.random.default_rng(0).normal(1.0, 0.2, size=(5, 20))
    >>> found = aggregate_intervals(scores, metrics=("iqm",))["iqm"]
    >>> found.low < 1.0 < found.high
    True
    """
    scores = checked_scores(scores, metrics)
    runs, n_tasks = scores.shape
    table = Scores(scores)
    rng = np.random.default_rng(seed)
    draws = table.replicates(reps, rng, metrics, tasks=tasks)
    estimates = table.metrics(np.arange(scores.size)[None, :], metrics)
    pieces, freedom = (n_tasks, n_tasks - 1) if tasks else (runs, n_tasks * (runs - 1))
    return {
        name: stretched(float(estimates[name][0]), draws[name], level, pieces, freedom, scores.size) for name in metrics
    }


def performance_profile(
    scores: Floats, thresholds: Floats, *, level: float = 0.95, reps: int = 2000, seed: int = 0
) -> PerformanceProfile:
    """
    Return the share of run-task scores above each threshold, with a band.

    Parameters
    ----------
    scores : ndarray of shape (n_runs, n_tasks)
        Normalised; **higher is better**.
    thresholds : ndarray of shape (n_thresholds,)
        In the unit of the scores.
    level : float
        Of the band, at each threshold.
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    PerformanceProfile

    Raises
    ------
    DataError
        If a score is not finite or there is none.

    References
    ----------
    .. [1] Agarwal, R., et al. (2021). NeurIPS 34, section 4.2 (run-score distributions).

    Examples
    --------
    >>> performance_profile(np.array([[0.2, 0.9], [0.4, 1.1]]), np.array([0.0, 0.5, 1.0])).share
    array([1.  , 0.5 , 0.25])
    """
    scores = checked_scores(scores, ())
    runs, n_tasks = scores.shape
    passed = (scores[:, :, None] > np.asarray(thresholds)).mean(axis=0)  # (tasks, thresholds)
    rng = np.random.default_rng(seed)
    total = np.zeros((reps, len(thresholds)))
    for share in passed:  # resampled runs that pass are binomial
        total += rng.binomial(runs, share, size=total.shape)
    share = passed.mean(axis=0)
    bounds = [
        stretched(float(value), draws, level, runs, n_tasks * (runs - 1), scores.size)
        for value, draws in zip(share, total.T / scores.size, strict=True)
    ]
    low = np.clip([bound.low for bound in bounds], 0.0, 1.0)
    high = np.clip([bound.high for bound in bounds], 0.0, 1.0)
    return PerformanceProfile(np.asarray(thresholds, dtype=np.float64), share, low, high, level)


def probability_of_improvement(
    a: Floats, b: Floats, *, level: float = 0.95, reps: int = 2000, seed: int = 0
) -> Interval:
    """
    Return the chance that a run of A scores higher than a run of B, on a task drawn at random.

    Parameters
    ----------
    a, b : ndarray of shape (n_runs_a, n_tasks) and (n_runs_b, n_tasks)
        **Higher is better**; ties count one half. Runs are not paired.
    level : float
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    Interval
        In [0, 1]; above one half means that A is better.

    Raises
    ------
    DataError
        If the numbers of tasks differ, or a score is not finite.

    References
    ----------
    .. [1] Agarwal, R., et al. (2021). NeurIPS 34, section 4.3.

    Examples
    --------
    >>> a, b = np.array([[3.0, 1.0], [4.0, 2.0]]), np.array([[1.0, 2.0], [2.0, 3.0]])
    >>> probability_of_improvement(a, b).estimate
    0.5625
    """
    a, b = checked_pair(a, b)
    rng = np.random.default_rng(seed)
    total, estimate = np.zeros(reps), 0.0
    for task in range(a.shape[1]):
        wins = (a[:, task, None] > b[:, task]) + 0.5 * (a[:, task, None] == b[:, task])
        estimate += float(wins.mean())
        total += ((resampled_counts(len(a), reps, rng) @ wins) * resampled_counts(len(b), reps, rng)).sum(
            axis=1
        ) / wins.size
    runs, n_tasks = min(len(a), len(b)), a.shape[1]
    freedom = n_tasks * (len(a) + len(b) - 2)
    found = stretched(estimate / n_tasks, total / n_tasks, level, runs, freedom, a.size + b.size)
    return Interval(found.estimate, max(found.low, 0.0), min(found.high, 1.0), level, found.n)


def sign_table(a: Floats, b: Floats, *, level: float = 0.95, reps: int = 2000, seed: int = 0) -> SignTable:
    """
    Compare A with B in every way, and say whether the ways agree.

    Parameters
    ----------
    a, b : ndarray of shape (n_runs_a, n_tasks) and (n_runs_b, n_tasks)
        Normalised; **higher is better**. Runs are not paired.
    level : float
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    SignTable

    Raises
    ------
    DataError
        If the numbers of tasks differ, or a score is not finite.

    References
    ----------
    .. [1] Agarwal, R., et al. (2021). Deep reinforcement learning at the edge of the statistical
       precipice. NeurIPS 34.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0.0, 0.1, size=(2, 8, 10))
    >>> table = sign_table(noise[0] + 1.0, noise[1] + 0.5)
    >>> table.best, table.deciding
    ('a', ())
    """
    a, b = checked_pair(a, b)
    rng = np.random.default_rng(seed)
    sides = [Scores(a), Scores(b)]
    whole = [side.metrics(np.arange(side.values.size)[None, :], METRICS) for side in sides]
    drawn = [side.replicates(reps, rng, METRICS, tasks=False) for side in sides]
    runs, freedom = min(len(a), len(b)), a.shape[1] * (len(a) + len(b) - 2)
    differences = {}
    for name in METRICS:
        sign = -1.0 if name == "optimality_gap" else 1.0
        estimate = sign * float(whole[0][name][0] - whole[1][name][0])
        spread = sign * (drawn[0][name] - drawn[1][name])
        differences[name] = stretched(estimate, spread, level, runs, freedom, a.size + b.size)
    wins = probability_of_improvement(a, b, level=level, reps=reps, seed=seed)
    differences["probability_of_improvement"] = Interval(
        wins.estimate - 0.5, wins.low - 0.5, wins.high - 0.5, level, wins.n
    )
    rows = tuple(
        SignRow(name, d, "a" if d.estimate > 0 else "b" if d.estimate < 0 else "neither", d.low > 0 or d.high < 0)
        for name, d in differences.items()
    )
    leader = rows[0].favours
    deciding = tuple(row.metric for row in rows if row.favours != leader)
    best = leader if rows[0].separable and not deciding and leader != "neither" else None
    return SignTable(rows, best, deciding)
