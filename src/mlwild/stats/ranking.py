"""How well one series ranks another, for many weightings of the rows at once: for resampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _groups(values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of the values, where each group of equal ones begins, and the group of each value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.empty(len(values), np.int64)
    group[order] = np.cumsum(new) - 1
    return order, np.flatnonzero(new), group


def weighted_auc(values: Floats, events: NDArray[np.bool_], weights: Floats) -> Floats:
    """
    Return the chance that a row with the event has the greater value than one without, ties counted half.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Finite.
    events : ndarray of bool, shape (n_rows,)
    weights : ndarray of shape (n_draws, n_rows)
        How often each row counts in each draw.

    Returns
    -------
    ndarray of shape (n_draws,)
        The area under the ROC curve; NaN where a draw has one kind of row only.

    References
    ----------
    .. [1] Hanley, J. A., & McNeil, B. J. (1982). The meaning and use of the area under a receiver operating
       characteristic curve. Radiology, 143(1), 29-36.

    Examples
    --------
    >>> weighted_auc(np.array([1.0, 2.0, 2.0]), np.array([False, True, False]), np.ones((1, 3))).tolist()
    [0.75]
    """
    order, starts, _ = _groups(values)
    with_event = np.add.reduceat((weights * events)[:, order], starts, axis=1)
    without = np.add.reduceat((weights * ~events)[:, order], starts, axis=1)
    below = np.cumsum(without, axis=1) - without / 2
    pairs = with_event.sum(axis=1) * without.sum(axis=1)
    won = (with_event * below).sum(axis=1)
    return np.asarray(np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))


def weighted_rank_correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """
    Return Spearman's rank correlation, with mean ranks for ties.

    Parameters
    ----------
    x, y : ndarray of shape (n_rows,)
        Finite.
    weights : ndarray of shape (n_draws, n_rows)
        How often each row counts in each draw.

    Returns
    -------
    ndarray of shape (n_draws,)
        NaN where a side does not vary, or no row counts.

    References
    ----------
    .. [1] Spearman, C. (1904). The proof and measurement of association between two things. American
       Journal of Psychology, 15(1), 72-101.

    Examples
    --------
    >>> weighted_rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]), np.ones((1, 3))).tolist()
    [0.5]
    """
    total = weights.sum(axis=1, keepdims=True)
    sides: list[Floats] = []
    for values in (x, y):
        order, starts, group = _groups(values)
        mass = np.add.reduceat(weights[:, order], starts, axis=1)
        rank = (np.cumsum(mass, axis=1) - mass / 2)[:, group]
        mean = (weights * rank).sum(axis=1, keepdims=True)
        # A draw may hold none of the rows.
        sides.append(rank - np.divide(mean, total, out=np.full_like(total, np.nan), where=total > 0))
    a, b = sides
    scale = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
    both = (weights * a * b).sum(axis=1)
    varied = scale > 1e-12 * total[:, 0] ** 3
    return np.asarray(np.divide(both, scale, out=np.full(len(weights), np.nan), where=varied))
