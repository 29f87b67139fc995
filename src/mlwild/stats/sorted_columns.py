"""Distances of two sorted columns, exact and in few reads."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Values = NDArray[np.float32] | NDArray[np.float64]
Floats = NDArray[np.float64]
Ranks = NDArray[np.int64]
Grid = tuple[NDArray[np.int32], NDArray[np.int32], Floats]

#: The search for the steepest place begins with at most so many stretches, and cuts those left into so many.
_COARSE, _SPLIT = 512, 16
#: Rows that are read at a time where arrays are made on the way: what fits in cache costs no fresh memory.
_BLOCK = 1 << 15


def kolmogorov_smirnov(reference: Values, window: Values) -> tuple[float, float]:
    """
    Return the two-sample Kolmogorov-Smirnov statistic and its p-value, from sorted values.

    The statistic is exact, yet few rows are read: between two ranks of the window the difference is
    bounded by the curves' ends, and only stretches that could hold the largest are cut and searched on.

    Parameters
    ----------
    reference, window : ndarray of shape (n,), (m,)
        Ascending, not NaN, of one dtype.

    Returns
    -------
    statistic : float
        In [0, 1].
    p : float
        Two-sided; by the limit law with Stephens' correction, too large (safe) under many ties.

    Raises
    ------
    DataError
        If a side has no values.

    References
    ----------
    .. [1] Stephens, M. A. (1970). Use of the Kolmogorov-Smirnov, Cramer-von Mises and related
       statistics without extensive tables. JRSS-B, 32(1), 115-122.

    Examples
    --------
    >>> kolmogorov_smirnov(np.arange(100.0), np.arange(50.0, 150.0))[0]
    0.5
    """
    from scipy.special import kolmogorov

    n, m = len(reference), len(window)
    if not n or not m:
        raise DataError(f"{n} reference and {m} new values. Hint: compare sides that have rows.")
    stride = 1
    while stride * _COARSE < m:
        stride *= _SPLIT
    marks = np.append(np.arange(0, m - 1, stride), m - 1)
    under, over = _ranks(reference, window[marks])
    best = _steepest(marks, under, over, n, m)
    # A stretch is two marks with the reference's rows up to the lower one and below the upper one.
    low, high, upto, below = marks[:-1], marks[1:], over[:-1], under[1:]
    while stride > 1:
        # Between two marks both curves lie between their values at these.
        bound = np.maximum(high / m - upto / n, below / n - (low + 1) / m)
        open_ = np.flatnonzero((bound > best) & (high - low > 1))
        if not len(open_):
            break
        stride //= _SPLIT
        cut = np.minimum(low[open_, None] + stride * np.arange(_SPLIT + 1), high[open_, None])  # (stretches, cuts)
        inner = cut[:, 1:-1].ravel()
        under, over = _ranks(reference, window[inner])
        best = max(best, _steepest(inner, under, over, n, m))
        under, over = under.reshape(-1, _SPLIT - 1), over.reshape(-1, _SPLIT - 1)
        upto = np.concatenate([upto[open_, None], over], axis=1).ravel()
        below = np.concatenate([under, below[open_, None]], axis=1).ravel()
        low, high = cut[:, :-1].ravel(), cut[:, 1:].ravel()
    root = math.sqrt(n * m / (n + m))
    return best, float(kolmogorov((root + 0.12 + 0.11 / root) * best))


def _ranks(reference: Values, at: Values) -> tuple[Ranks, Ranks]:
    """Return how many values of the reference lie below each of some values, and how many up to it."""
    under = np.searchsorted(reference, at, side="left")
    tied = np.flatnonzero(reference[np.minimum(under, len(reference) - 1)] == at)
    over = under.copy()
    over[tied] = np.searchsorted(reference, at[tied], side="right")
    return under, over


def _steepest(rows: Ranks, under: Ranks, over: Ranks, n: int, m: int) -> float:
    """
    Return the largest distance of the distribution functions at some of the window's values.

    Of values tied in the window the last one gives the exact distance from above and the first one that
    from below; the others give less.
    """
    return float(max(((rows + 1) / m - over / n).max(initial=0.0), (under / n - rows / m).max(initial=0.0)))


def quantile_grid(n: int, m: int) -> Grid:
    """
    Return ranks and widths on which the quantile functions of n and of m values are both flat.

    Parameters
    ----------
    n, m : int
        At least 1.

    Returns
    -------
    left, right : ndarray of shape (n_steps,)
        Rank in either sample, from 0.
    width : ndarray of shape (n_steps,)
        Share of the mass, sum 1; 0 where both end.

    Examples
    --------
    >>> left, right, width = quantile_grid(1, 2)
    >>> left.tolist(), right.tolist(), width.tolist()
    ([0, 0, 0], [0, 1, 1], [0.5, 0.5, 0.0])
    """
    # Whole numbers i m and j n: no rounding decides which end comes first.
    ends = np.sort(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]), kind="stable")
    width = np.diff(ends, prepend=0) / (n * m)
    return ((ends - 1) // m).astype(np.int32), ((ends - 1) // n).astype(np.int32), width


def wasserstein(reference: Values, window: Values, grid: Grid | None = None) -> float:
    """
    Return the first Wasserstein distance of two sorted samples: mean distance of their quantiles.

    Parameters
    ----------
    reference, window : ndarray of shape (n,), (m,)
        Ascending, not NaN.
    grid : tuple, optional
        From `quantile_grid` of both lengths, to share among columns.

    Returns
    -------
    float
        In the unit of the values.

    Raises
    ------
    DataError
        If a side has no values.

    References
    ----------
    .. [1] Vallender, S. S. (1974). Calculation of the Wasserstein distance between probability
       distributions on the line. Theory of Probability and its Applications, 18(4), 784-786.

    Examples
    --------
    >>> wasserstein(np.array([0.0, 1.0]), np.array([2.0, 3.0, 4.0]))
    2.5
    """
    if not len(reference) or not len(window):
        raise DataError(f"{len(reference)} reference and {len(window)} new values. Hint: compare sides that have rows.")
    finite = bool(np.isfinite([reference[0], reference[-1], window[0], window[-1]]).all())
    if finite and grid is None:
        return _mean_gap(reference, window) if len(reference) >= len(window) else _mean_gap(window, reference)
    left, right, width = quantile_grid(len(reference), len(window)) if grid is None else grid
    with np.errstate(invalid="ignore"):  # infinite on both sides: no distance
        gap = np.nan_to_num(np.abs(reference[left] - window[right]), copy=False, nan=0.0, posinf=math.inf)
    known = width > 0
    return float(gap[known] @ width[known])


def _mean_gap(fine: Values, coarse: Values) -> float:
    """Return the mean distance of the quantiles of finite values, of which the first are not fewer."""
    n, m = len(fine), len(coarse)
    total = 0.0
    for low in range(0, n, _BLOCK):
        high = min(low + _BLOCK, n)
        if n == m:
            total += float(np.abs(fine[low:high] - coarse[low:high]).sum(dtype=np.float64))
            continue
        # Each quantile of the many begins on one of the few; where it passes that one's end, its rest is on the next.
        first = np.arange(low, high) * m // n
        gap = np.abs(fine[low:high] - coarse[first])
        ends = np.arange(first[0] + 1, min((high * m - 1) // n + 1, m))
        at = ends * n // m
        rest = (at + 1) * m - ends * n  # in parts of 1 / m of a quantile
        more = np.abs(fine[at] - coarse[ends]) - gap[at - low]
        total += float(gap.sum(dtype=np.float64) + more @ (rest / m))
    return total / n
