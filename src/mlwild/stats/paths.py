"""Shortest paths through a triangle: the best decisions in hindsight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RETRAIN, UPDATE = 0, 1


@dataclass(frozen=True)
class Path:
    """
    Which vintage is live in each period, and what moving between them costs.

    Parameters
    ----------
    live : ndarray of int64, shape (n_periods,)
        Row of the loss matrix.
    moves : ndarray of float64, shape (n_periods,)
        Price paid at each cutoff.
    """

    live: Ints
    moves: Floats

    def cost(self, loss: Floats) -> float:
        """Return the cost of the path under a loss matrix of the same shape."""
        return float(loss[self.live, np.arange(len(self.live))].sum() + self.moves.sum())


def shortest_path(
    loss: Floats, born: Ints, *, start: int, retrain: float, parent: Ints | None = None, update: float = 0.0
) -> Path:
    """
    Return the cheapest path through a triangle, by dynamic programming in O(vintages x periods).

    Parameters
    ----------
    loss : ndarray of shape (n_vintages, n_periods)
        Cost of having a vintage live in a period, in money; anything before it was born.
    born : ndarray of int64, shape (n_vintages,)
        Cutoff (= period) at which a vintage can first be put in place.
    start : int
        Vintage that is live in period ``born[start]``, where the path begins.
    retrain : float
        Price of moving to a vintage at its birth.
    parent : ndarray of int64, shape (n_vintages,), optional
        For a vintage made by an update, the vintage it was made of: it can only be reached from
        there. -1 for one made by a fit.
    update : float
        Price of moving to a vintage made by an update.

    Returns
    -------
    Path
        Periods before ``born[start]`` hold `start` too.

    References
    ----------
    .. [1] Mahadevan, A., & Mathioudakis, M. (2024). Cost-aware retraining for machine learning.
       Knowledge-Based Systems, 293, section 4 (the oracle).

    Examples
    --------
    >>> loss = np.array([[0.0, 5.0, 5.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.5]])
    >>> shortest_path(loss, np.arange(3), start=0, retrain=2.0).live
    array([0, 1, 1])
    """
    vintages, periods = loss.shape
    made = np.full(vintages, -1) if parent is None else parent
    first = int(born[start])
    ahead = np.zeros(vintages)
    moved = np.full((periods, vintages), -1, dtype=np.int64)
    for k in range(periods - 1, first, -1):
        stay = loss[:, k] + ahead
        best = np.where(born < k, stay, np.inf)
        choice = np.where(born < k, np.arange(vintages), -1)
        fresh = np.flatnonzero((born == k) & (made < 0))
        if len(fresh):
            to = fresh[np.argmin(stay[fresh])]
            better = (born < k) & (retrain + stay[to] < best)
            best, choice = np.where(better, retrain + stay[to], best), np.where(better, to, choice)
        for to in np.flatnonzero((born == k) & (made >= 0)):
            if update + stay[to] < best[made[to]]:
                best[made[to]], choice[made[to]] = update + stay[to], to
        ahead, moved[k] = best, choice
    live = np.full(periods, start, dtype=np.int64)
    moves = np.zeros(periods)
    for k in range(first + 1, periods):
        live[k] = moved[k, live[k - 1]]
        if live[k] != live[k - 1]:
            moves[k] = update if made[live[k]] >= 0 else retrain
    return Path(live, moves)


def crossfitted_path_cost(
    halves: Floats,
    born: Ints,
    *,
    start: int,
    retrain: float,
    parent: Ints | None = None,
    update: float = 0.0,
) -> Floats:
    """
    Return the cost by period of paths chosen on one half of the rows and scored on the other.

    The best path in hindsight also fits noise; chosen on one half and paid on the other it does not.

    Parameters
    ----------
    halves : ndarray of shape (2, n_vintages, n_periods)
        Costs of the two halves of each period's rows; their sum is the whole cost.

    Returns
    -------
    ndarray of shape (n_periods,)
        The mean of both ways round, scaled to the whole.

    Examples
    --------
    >>> halves = np.stack([np.ones((3, 3)), np.ones((3, 3))])
    >>> crossfitted_path_cost(halves, np.arange(3), start=0, retrain=1.0)
    array([2., 2., 2.])
    """
    total = np.zeros(halves.shape[2])
    for chosen, paid in ((0, 1), (1, 0)):
        path = shortest_path(2 * halves[chosen], born, start=start, retrain=retrain, parent=parent, update=update)
        total += 2 * halves[paid][path.live, np.arange(len(path.live))] + path.moves
    return total / 2


def frontier(loss: Floats, born: Ints, *, start: int) -> list[tuple[int, float]]:
    """
    Return the least loss for each number of retrains, on the lower convex hull.

    Returns
    -------
    list of (int, float)
        Number of retrains and total loss, from no retrain upwards.

    Examples
    --------
    >>> loss = np.array([[0.0, 5.0, 5.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.5]])
    >>> frontier(loss, np.arange(3), start=0)
    [(0, 10.0), (1, 2.0), (2, 1.5)]
    """
    never = float(loss[start, int(born[start]) :].sum())
    points = {0: never}
    scale = max(never, 1e-12)
    for price in np.concatenate([[0.0], np.geomspace(1e-9, 10.0, 60)]) * scale:
        path = shortest_path(loss, born, start=start, retrain=float(price))
        count = int((path.moves > 0).sum()) if price else int((np.diff(path.live) != 0).sum())
        value = float(loss[path.live, np.arange(loss.shape[1])][int(born[start]) :].sum())
        points[count] = min(value, points.get(count, np.inf))
    return sorted(points.items())
