"""Rows in two halves that see all times alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Mask = NDArray[np.bool_]


def halves(n: int, *, period: Any = None, seed: int = 0) -> Mask:
    """
    Return which rows are in the first half: of every two neighbours in a period one, by a coin.

    So both halves see all times alike, and a pattern that comes every other row is not split by it.

    Parameters
    ----------
    n : int
        Rows, in order of time within each period.
    period : array-like of int, shape (n,), optional
        Period of each row; default one for all.
    seed : int

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    DataError
        If there is not one period for each row.

    Examples
    --------
    >>> first = halves(6, period=[0, 0, 1, 1, 1, 1])
    >>> [int(first[rows].sum()) for rows in (slice(0, 2), slice(2, 4), slice(4, 6))]
    [1, 1, 1]
    """
    of = np.zeros(n, np.int64) if period is None else np.asarray(period)
    if of.shape != (n,):
        raise DataError(f"period has shape {of.shape}, need one for each of {n} rows.")
    order = np.argsort(of, kind="stable")
    ordered = of[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if n else np.zeros(0, np.int64)
    place = np.arange(n) - np.repeat(begins, np.diff(np.append(begins, n)))
    # A coin a pair; the second of the pair falls the other way.
    coin = np.random.default_rng(seed).random(n)[np.arange(n) - place % 2] < 0.5
    first = np.empty(n, dtype=bool)
    first[order] = coin ^ (place % 2 == 1)
    return first
