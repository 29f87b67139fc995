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

    @property
    def moved(self) -> int:
        """How often another vintage is put in place."""
        return int((np.diff(self.live) != 0).sum())

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
    paths = crossfitted_paths(halves, born, start=start, retrain=retrain, parent=parent, update=update)
    total = np.zeros(halves.shape[2])
    for path, paid in zip(paths, (halves[1], halves[0]), strict=True):
        total += 2 * paid[path.live, np.arange(len(path.live))] + path.moves
    return total / 2


def crossfitted_paths(
    halves: Floats,
    born: Ints,
    *,
    start: int,
    retrain: float,
    parent: Ints | None = None,
    update: float = 0.0,
) -> tuple[Path, Path]:
    """
    Return the paths that are chosen on the first half of the rows and on the second.

    Parameters
    ----------
    halves, born, start, retrain, parent, update : optional
        As for `crossfitted_path_cost`.

    Returns
    -------
    tuple of Path

    Examples
    --------
    >>> halves = np.array([[[0.0, 5.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    >>> [path.moved for path in crossfitted_paths(halves, np.arange(2), start=0, retrain=1.0)]
    [1, 0]
    """
    first, second = (
        shortest_path(2 * half, born, start=start, retrain=retrain, parent=parent, update=update) for half in halves
    )
    return first, second


def frontier(loss: Floats, born: Ints, *, start: int, within: float = 1e-3) -> list[tuple[int, float]]:
    """
    Return the least loss for each number of retrains, on the lower convex hull.

    Parameters
    ----------
    loss : ndarray of shape (n_vintages, n_periods)
    born : ndarray of int64, shape (n_vintages,)
    start : int
        All three as in `shortest_path`.
    within : float
        Corners of the hull are left out that save less than this share of the whole saving against
        the line between their neighbours; 0 gives all of them, at two shortest paths a corner.

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
    first, periods = int(born[start]), np.arange(loss.shape[1])

    def cheapest(price: float) -> tuple[int, float]:
        path = shortest_path(loss, born, start=start, retrain=price)
        return int((np.diff(path.live) != 0).sum()), float(loss[path.live, periods][first:].sum())

    # The price at which two corners cost the same finds the corner between them, if there is one.
    never = cheapest(np.inf)
    small = 1e-12 * (1.0 + abs(never[1]))
    ends = never, cheapest(small)  # at a price of nothing, retrains that gain nothing would count
    corners, open_ = set(ends), [ends]
    enough = max(small, within * (ends[0][1] - ends[1][1]))
    while open_:
        left, right = open_.pop()
        price = (left[1] - right[1]) / max(right[0] - left[0], 1)
        found = cheapest(price) if price > small else left
        if found[1] + price * found[0] < left[1] + price * left[0] - enough:
            corners.add(found)
            open_ += [(left, found), (found, right)]
    return sorted(corners)
