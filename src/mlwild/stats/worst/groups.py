"""The worst of the groups that were declared, with bounds that hold for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.block_means import FEWEST_BLOCKS
from mlwild.stats.bounds import clopper_pearson_upper
from mlwild.stats.gaffke import gaffke_upper
from mlwild.stats.worst.means import stretch

Floats = NDArray[np.float64]
Members = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class WorstGroups:
    """
    Mean losses of groups and upper bounds that all hold at once.

    Parameters
    ----------
    names : tuple
        The groups, sorted; their positions where groups were given as a matrix.
    estimates, highs : ndarray of shape (n_groups,)
        Mean loss and its upper bound, in the unit of the losses.
    n : ndarray of shape (n_groups,)
        Rows of each group.
    worst, worst_seen : int
        Positions of the group with the highest bound, and of that with the highest mean loss.
    level : float
        Chance that every bound holds.
    searched : int
        Number of groups that the level pays for.
    """

    names: tuple[Any, ...]
    estimates: Floats
    highs: Floats
    n: NDArray[np.int64]
    worst: int
    worst_seen: int
    level: float
    searched: int


def worst_groups(
    losses: Floats,
    groups: NDArray[Any],
    *,
    weights: Floats | None = None,
    blocks: NDArray[Any] | None = None,
    greatest: float | None = None,
    level: float = 0.95,
) -> WorstGroups:
    """
    Bound the mean loss of every declared group from above, all at once, and name the worst.

    Each group gets Gaffke's bound, which is Clopper and Pearson's for losses of 0 and 1, at a level
    shared among the groups (Bonferroni). It gives every group the greatest loss once more, as a small
    one may not have met its worst row yet: where one row of all has a huge loss, bounds of small groups
    are wide. With `blocks`, the same bound of the periods' means is stretched by how alike neighbouring
    periods are, and the higher of the two is kept.

    Measured chance that all bounds hold at level 0.95: see `tests/stats/worst/test_groups.py`.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,)
        Lower is better.
    groups : ndarray of shape (n_rows,) or of bool of shape (n_rows, n_groups)
        The group of each row; or which groups it belongs to, where they overlap.
    weights : ndarray of shape (n_rows,), optional
        Importance of rows, not negative; default equal.
    blocks : ndarray of shape (n_rows,), optional
        Number of the period of each row, in order of time. Rows of a period then stand or fall
        together, and neighbouring periods may resemble each other. At least 8 periods.
    greatest : float, optional
        The greatest loss there can be; default 1 for losses of 0 and 1, else the greatest of all rows.
    level : float
        Chance that every bound holds, above 0.5; default 0.95.

    Returns
    -------
    WorstGroups

    Raises
    ------
    DataError
        If shapes differ, a loss or weight is not finite, a group has no row with weight, a loss is
        above the greatest, or there are under 8 periods.

    References
    ----------
    .. [1] Gaffke, N. (2005). Three test statistics for a nonparametric one-sided hypothesis on the mean
       of a nonnegative variable. Mathematical Methods of Statistics, 14(4), 451-467.
    .. [2] Andrews, D. W. K., & Monahan, J. C. (1992). An improved heteroskedasticity and
       autocorrelation consistent covariance matrix estimator. Econometrica, 60(4), 953-966.

    Examples
    --------
    >>> losses = np.repeat([0.0, 1.0, 0.0, 1.0], [90, 10, 15, 5])
    >>> found = worst_groups(losses, np.repeat(["north", "south"], [100, 20]))
    >>> found.names[found.worst], found.searched
    ('south', 2)
    >>> found.highs.round(3).tolist()  # Clopper and Pearson's at 0.975 each
    [0.176, 0.491]
    """
    losses, weights, names, members = _checked(losses, groups, weights, level)
    if greatest is None:
        greatest = 1.0 if np.isin(losses, (0.0, 1.0)).all() else float(losses.max())
    delta = (1 - level) / len(names)
    estimates = np.array([np.average(losses[rows], weights=weights[rows]) for rows in members.T])
    highs = np.array([_high(losses[rows], weights[rows], greatest, delta) for rows in members.T])
    if blocks is not None:
        period = _periods(blocks, losses)
        later = [_by_period(losses[rows], weights[rows], period[rows], period.max() + 1, delta) for rows in members.T]
        highs = np.maximum(highs, later)
    n = members.sum(axis=0)
    worst, seen = int(np.argmax(highs)), int(np.argmax(estimates))
    return WorstGroups(names, estimates, np.minimum(highs, greatest), n, worst, seen, level, len(names))


def _high(losses: Floats, weights: Floats, greatest: float, delta: float) -> float:
    """Return the bound of one group's mean."""
    if greatest == 1.0 and np.ptp(weights) == 0 and np.isin(losses, (0.0, 1.0)).all():
        return clopper_pearson_upper(int(losses.sum()), len(losses), delta)
    return gaffke_upper(losses, greatest=greatest, delta=delta, weights=weights)


def _by_period(losses: Floats, weights: Floats, period: NDArray[np.int64], n_periods: int, delta: float) -> float:
    """Return the bound of one group's mean where the rows of a period stand or fall together."""
    mass = np.asarray(np.bincount(period, weights, minlength=n_periods), dtype=np.float64)
    total = np.asarray(np.bincount(period, weights * losses, minlength=n_periods), dtype=np.float64)
    mean = float(total.sum() / mass.sum())
    met = mass > 0
    means = total[met] / mass[met]
    high = gaffke_upper(means, greatest=float(means.max()), delta=delta, weights=mass[met])
    # A ratio of sums moves as the mean of these, one a period; neighbours among them may be alike.
    return mean + stretch(total - mean * mass) * max(high - mean, 0.0)


def _checked(
    losses: Floats, groups: NDArray[Any], weights: Floats | None, level: float
) -> tuple[Floats, Floats, tuple[Any, ...], Members]:
    """Return finite losses, weights, names of groups and which rows belong to each, (n_rows, n_groups)."""
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 1 or not len(losses):
        raise DataError(f"losses have shape {losses.shape}, need a series with one a row.")
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise DataError(f"row {bad[0]} has loss {losses[bad[0]]}; leave out rows that lack one.")
    if not 0.5 < level < 1:
        raise DataError(f"level is {level}, need a chance in (0.5, 1), such as 0.95.")
    weights = np.ones(len(losses)) if weights is None else _one_a_row(weights, losses, "weights").astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise DataError(f"row {bad[0]} has weight {weights[bad[0]]}, need 0 or more.")
    groups = np.asarray(groups)
    if groups.ndim == 2 and groups.dtype == bool and groups.shape[1]:
        members = _one_a_row(groups, losses, "groups")
        names: tuple[Any, ...] = tuple(range(members.shape[1]))
    else:
        labels, which = np.unique(_one_a_row(groups, losses, "groups"), return_inverse=True)
        names, members = tuple(labels.tolist()), which.reshape(-1, 1) == np.arange(len(labels))
    for name, rows in zip(names, members.T, strict=True):
        if not weights[rows].any():
            raise DataError(f"group {name} has no row with weight; leave it out.")
    return losses, weights, names, members


def _one_a_row(values: NDArray[Any], losses: Floats, name: str) -> NDArray[Any]:
    """Return values of which there is one for each loss."""
    values = np.asarray(values)
    if values.shape[:1] != losses.shape:
        raise DataError(f"{name} have shape {values.shape} for {len(losses)} losses. Hint: give one for each row.")
    return values


def _periods(blocks: NDArray[Any], losses: Floats) -> NDArray[np.int64]:
    """Return the period of each row as numbers from 0."""
    periods, which = np.unique(_one_a_row(blocks, losses, "blocks"), return_inverse=True)
    if len(periods) < FEWEST_BLOCKS:
        raise DataError(f"blocks hold {len(periods)} periods, need {FEWEST_BLOCKS}. Hint: state shorter ones.")
    return which.reshape(-1)
