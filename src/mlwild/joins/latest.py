"""The newest row that was at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.joins.seen import Asked, stable_order

Ints = NDArray[np.int64]


def latest(asked: Asked, key: Ints, time: Ints, available: Ints) -> Ints:
    """
    Return, for each event, the row of its key with the latest time that was available; of equals the last.

    Parameters
    ----------
    asked : Asked
    key : ndarray of int64, shape (n_rows,)
        -1 where no event has the row's key.
    time, available : ndarray of int64, shape (n_rows,)
        A row without a time, or that never became available, is never found.

    Returns
    -------
    ndarray of int64, shape (n_events,)
        In the order in which the events came; -1 where nothing was available.

    Examples
    --------
    >>> asked = Asked(np.array([0, 0, 1]), np.array([14, 99, 99]))
    >>> latest(asked, np.array([0, 0, -1]), np.array([10, 20, 30]), np.array([15, 25, 35])).tolist()
    [-1, 1, -1]
    """
    rows = np.flatnonzero((key >= 0) & (available != NEVER) & (time != NEVER))
    if not len(rows) or not len(asked):
        return np.full(len(asked), -1)
    available, time = available[rows], time[rows]
    if (available[1:] < available[:-1]).any():
        by = np.argsort(available, kind="stable")
        rows, available, time = rows[by], available[by], time[by]
    # Rows in order of time and then of availability, so that a late correction of an old hour hides no newer reading.
    rank = np.arange(len(rows))
    if (time[1:] < time[:-1]).any():
        rank[np.argsort(time, kind="stable")] = np.arange(len(rows))
    key = key[rows]
    place = asked.first_from(key, available)
    order = stable_order(key)
    key, rank = key[order], rank[order]
    # A later key lies above any rank of an earlier one, so the running maximum begins anew.
    best = np.maximum.accumulate(key * len(rows) + rank)
    row_of = np.empty(len(rows), np.int64)
    row_of[rank] = rows[order]
    seen = np.cumsum(np.bincount(place, minlength=len(asked) + 1))[: len(asked)] - 1
    # The last row in order of key and availability may be one of an earlier key.
    mine = (seen >= 0) & (key[seen] == asked.key[asked.order])
    row_of_best = row_of[best - key * len(rows)]
    return np.asarray(asked.restored(np.where(mine, row_of_best[seen], -1)), dtype=np.int64)
