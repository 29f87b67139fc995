"""Resampled runs x tasks and their aggregates, quickly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bootstrap import Interval

Floats = NDArray[np.float64]
Positions = NDArray[np.integer[Any]]

#: Ways to make one number of all runs and tasks.
METRICS = ("iqm", "mean", "median", "worst_quartile", "optimality_gap")


class Scores:
    """
    Scores prepared for resampling: positions run task by task, and each knows its rank.

    Parameters
    ----------
    scores : ndarray of shape (n_runs, n_tasks)
        Checked; higher is better.

    Examples
    --------
    >>> Scores(np.array([[1.0, 3.0], [2.0, 4.0]])).values
    array([1., 2., 3., 4.])
    """

    def __init__(self, scores: Floats) -> None:
        self.runs, self.tasks = scores.shape
        self.values = np.ascontiguousarray(scores.T).ravel()
        order = np.argsort(self.values, kind="stable")
        self.ordered = self.values[order]
        # Small integers: they are sorted faster than floats.
        self.rank = np.empty(len(order), dtype=np.int32)
        self.rank[order] = np.arange(len(order), dtype=np.int32)

    def metrics(self, positions: Positions, metrics: Sequence[str]) -> dict[str, Floats]:
        """
        Return the metrics of replicates.

        Parameters
        ----------
        positions : ndarray of shape (reps, n_tasks * n_draws)
            Which values each replicate holds, task by task.
        metrics : sequence of str

        Returns
        -------
        dict of str to ndarray of shape (reps,)
        """
        found, size = {}, positions.shape[1]
        cut = size // 4
        if {"iqm", "worst_quartile"} & set(metrics):
            # Sorting whole rows of small integers is quicker than partitioning them at two places.
            ranks = np.sort(self.rank[positions], axis=1)
            found["iqm"] = self.ordered[ranks[:, cut : size - cut]].mean(axis=1)
            found["worst_quartile"] = self.ordered[ranks[:, : max(cut, 1)]].mean(axis=1)
        if {"mean", "median"} & set(metrics):
            means = self.values[positions].reshape(len(positions), self.tasks, -1).mean(axis=2)
            found["mean"], found["median"] = means.mean(axis=1), np.median(means, axis=1)
        if "optimality_gap" in metrics:
            found["optimality_gap"] = 1.0 - np.minimum(self.values, 1.0)[positions].mean(axis=1)
        return {name: found[name] for name in metrics}

    def replicates(
        self, reps: int, rng: np.random.Generator, metrics: Sequence[str], *, tasks: bool, runs: int | None = None
    ) -> dict[str, Floats]:
        """
        Resample runs within tasks, and tasks too where asked, and return the metrics.

        Parameters
        ----------
        reps : int
        rng : numpy.random.Generator
        metrics : sequence of str
        tasks : bool
            Resample tasks too.
        runs : int, optional
            Runs a task in a replicate; default as many as there are.

        Returns
        -------
        dict of str to ndarray of shape (reps,)
        """
        draws = self.runs if runs is None else runs
        batch = max(1, 500_000 // (self.tasks * draws))
        parts = []
        for first in range(0, reps, batch):
            count = min(batch, reps - first)
            offset = np.arange(self.tasks)[None, :]
            if tasks:
                offset = rng.integers(0, self.tasks, size=(count, self.tasks))
            # The same draws as of 64 bits, at half the price.
            positions = rng.integers(0, self.runs, size=(count, self.tasks, draws), dtype=np.int32)
            positions += (offset[:, :, None] * self.runs).astype(np.int32)
            parts.append(self.metrics(positions.reshape(count, -1), metrics))
        return {name: np.concatenate([part[name] for part in parts]) for name in metrics}


def resampled_counts(n: int, reps: int, rng: np.random.Generator) -> Floats:
    """
    Return how often each of n runs is drawn, shape (reps, n).

    Examples
    --------
    >>> resampled_counts(5, 3, np.random.default_rng(0)).sum(axis=1)
    array([5., 5., 5.])
    """
    draws = rng.integers(0, n, size=(reps, n)) + np.arange(reps)[:, None] * n
    return np.bincount(draws.ravel(), minlength=reps * n).reshape(reps, n).astype(np.float64)


def stretched(estimate: float, draws: Floats, level: float, pieces: int, freedom: int, n: int) -> Interval:
    """
    Return the percentile interval, stretched by what resampling few pieces loses.

    The variance of a resampled mean falls short by (pieces - 1) / pieces, and its own error by what
    Student's quantile adds; NaN bounds for a single piece.

    Parameters
    ----------
    estimate : float
    draws : ndarray of shape (reps,)
    level : float
    pieces : int
        Number of runs resampled within a task, or of tasks.
    freedom : int
        Degrees of freedom of the variance.
    n : int
        Number of scores.

    Returns
    -------
    Interval

    Examples
    --------
    >>> stretched(0.0, np.linspace(-1.0, 1.0, 201), 0.9, 100, 1000, 100).high
    0.906
    """
    from scipy.special import ndtri, stdtrit

    if pieces < 2:
        return Interval(estimate, math.nan, math.nan, level, n)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    top = (1 + level) / 2
    factor = math.sqrt(pieces / (pieces - 1)) * float(stdtrit(max(freedom, 1), top) / ndtri(top))
    return Interval(
        estimate, float(estimate - (estimate - low) * factor), float(estimate + (high - estimate) * factor), level, n
    )


def checked_scores(scores: Floats, metrics: Sequence[str]) -> Floats:
    """
    Return scores as a finite matrix.

    Raises
    ------
    DataError
        If a score is not finite, there is none, or a metric is unknown.

    Examples
    --------
    >>> checked_scores(np.ones((2, 3)), ("iqm",)).shape
    (2, 3)
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or not scores.size:
        raise DataError(f"scores have shape {scores.shape}, need (n_runs, n_tasks).")
    bad = np.argwhere(~np.isfinite(scores))
    if len(bad):
        run, task = bad[0]
        raise DataError(f"run {run} of task {task} has score {scores[run, task]}; a crashed run needs a score too.")
    for metric in metrics:
        if metric not in METRICS:
            raise DataError(f"metric {metric!r} is unknown. Hint: one of {', '.join(METRICS)}.")
    return scores


def checked_pair(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """
    Return the scores of two sides on the same tasks.

    Raises
    ------
    DataError
        If the numbers of tasks differ, or a score is not finite.

    Examples
    --------
    >>> len(checked_pair(np.ones((2, 3)), np.ones((5, 3))))
    2
    """
    a, b = checked_scores(a, ()), checked_scores(b, ())
    if a.shape[1] != b.shape[1]:
        raise DataError(f"A has {a.shape[1]} tasks, B has {b.shape[1]}; compare on the same tasks.")
    return a, b
