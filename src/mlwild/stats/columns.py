"""Shift of columns by sorted reads: the reference is sorted once, each window once, nothing twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.distances import (
    Stability,
    benjamini_hochberg,
    chi_square,
    jensen_shannon,
    psi,
)
from mlwild.stats.sorted_columns import kolmogorov_smirnov, wasserstein

Values = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SortedColumn:
    """
    A reference column, ready for any number of comparisons.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Ascending, without the missing.
    missing : int
        Rows without a value.
    edges : ndarray of shape (n_cells - 1,)
        Upper ends of all cells but the last: quantiles of the values, without repeats.
    counts : ndarray of shape (n_cells,)
        Values in each cell.
    spread : float
        Standard deviation, in the unit of the values.
    """

    values: Values
    missing: int
    edges: Values
    counts: NDArray[np.int64]
    spread: float


def presort(column: NDArray[np.generic], *, bins: int = 10) -> SortedColumn:
    """
    Return a numeric column sorted, with cells of equal mass.

    Values are kept as 32-bit floats unless that would merge them: where the range is under a
    millionth of 2^24 steps at their size (such as times in seconds), 64 bits are kept.

    Parameters
    ----------
    column : ndarray of shape (n_rows,)
        Numbers; NaN is missing.
    bins : int
        Cells aimed at, default 10; ties make fewer.

    Returns
    -------
    SortedColumn

    Examples
    --------
    >>> column = presort(np.array([3.0, np.nan, 1.0, 2.0, 4.0]), bins=2)
    >>> column.values.tolist(), column.missing, column.edges.tolist(), column.counts.tolist()
    ([1.0, 2.0, 3.0, 4.0], 1, [2.0], [2, 2])
    """
    numbers = column if column.dtype in (np.float32, np.float64) else column.astype(np.float64)
    low, high = float(np.fmin.reduce(numbers)), float(np.fmax.reduce(numbers))
    coarse = max(abs(low), abs(high)) * 2.0**-24 > (high - low) * 2.0**-20
    values = _ascending(numbers, double=coarse and numbers.dtype == np.float64)
    n = len(values)
    if not n:
        return SortedColumn(values, len(column), values, np.zeros(1, dtype=np.int64), math.nan)
    top = int(np.searchsorted(values, values[-1], side="left"))
    ranks = np.ceil(np.arange(1, bins) * n / bins).astype(np.int64) - 1
    cuts = values[np.minimum(ranks, top - 1)] if top else values[:0]  # the highest value has a cell of its own
    cuts = cuts[np.append(cuts[1:] != cuts[:-1], True)] if len(cuts) else cuts
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(values.std(dtype=np.float64))
    return SortedColumn(values, len(column) - n, cuts, _cells(values, cuts), spread)


def _ascending(numbers: NDArray[np.generic], *, double: bool) -> Values:
    """Return the values in order, without the missing."""
    values: Values
    with np.errstate(over="ignore"):
        values = numbers.astype(np.float64) if double else numbers.astype(np.float32)
    values.sort()
    return values[: int(np.searchsorted(values, values.dtype.type(np.nan)))]  # another type would copy them all


def _cells(values: Values, edges: Values) -> NDArray[np.int64]:
    """Return how many sorted values fall in each cell."""
    ends = np.concatenate([[0], np.searchsorted(values, edges, side="right"), [len(values)]])
    return np.diff(ends).astype(np.int64)


@dataclass(frozen=True)
class ColumnShift:
    """
    How a numeric column moved between the reference and a window.

    Parameters
    ----------
    n_reference, n_window : int
        Values that are not missing.
    psi : Stability
        Over cells of equal reference mass.
    ks, ks_p : float
        Kolmogorov-Smirnov statistic and its p-value.
    adjusted : float
        That p-value after Benjamini and Hochberg, across the columns compared together.
    wasserstein : float
        In the unit of the column.
    scaled : float
        The same in standard deviations of the reference.
    jensen_shannon : float
        Over the cells of the PSI, in [0, 1].
    missing_reference, missing_window : float
        Share of rows without a value.
    missing_p : float
        Of the test that both shares are one.
    outside : float
        Share of the window's values beyond the reference's lowest or highest.
    """

    n_reference: int
    n_window: int
    psi: Stability
    ks: float
    ks_p: float
    adjusted: float
    wasserstein: float
    scaled: float
    jensen_shannon: float
    missing_reference: float
    missing_window: float
    missing_p: float
    outside: float


def compare_columns(
    reference: Sequence[SortedColumn], window: Sequence[NDArray[np.generic]]
) -> tuple[ColumnShift, ...]:
    """
    Return the shift of each column of a window.

    Each column of the window is sorted once; all distances are reads of the two sorted columns.
    Where a side has no values, distances are NaN.

    Parameters
    ----------
    reference : sequence of SortedColumn
        From `presort`.
    window : sequence of ndarray of shape (n_rows,)
        The same columns in the same order; numbers, NaN is missing.

    Returns
    -------
    tuple of ColumnShift

    Raises
    ------
    DataError
        If the numbers of columns differ, or a column of the window has no rows.

    References
    ----------
    .. [1] Rabanser, S., Gunnemann, S., & Lipton, Z. C. (2019). Failing loudly: an empirical study of
       methods for detecting dataset shift. NeurIPS.

    Examples
    --------
    >>> reference = [presort(np.arange(1000.0))]
    >>> (shift,) = compare_columns(reference, [np.arange(1000.0) + 100])
    >>> round(shift.ks, 6), shift.wasserstein, shift.outside, shift.adjusted < 0.001
    (0.1, 100.0, 0.1, True)
    """
    if len(reference) != len(window):
        raise DataError(f"{len(reference)} reference and {len(window)} new columns. Hint: give the same ones in order.")
    shifts = [_shift(old, new) for old, new in zip(reference, window, strict=True)]
    adjusted = benjamini_hochberg(np.array([shift.ks_p for shift in shifts]))
    return tuple(replace(shift, adjusted=float(p)) for shift, p in zip(shifts, adjusted, strict=True))


def _shift(old: SortedColumn, column: NDArray[np.generic]) -> ColumnShift:
    """Return one column's shift, not yet adjusted."""
    if not len(column) or not len(old.values) + old.missing:
        raise DataError("a column has no rows. Hint: compare windows that have some.")
    numbers = column if column.dtype in (np.float32, np.float64) else column.astype(np.float64)
    values = _ascending(numbers, double=old.values.dtype == np.float64)
    n, m = len(old.values), len(values)
    lost = len(column) - m
    missing = chi_square(np.array([n, old.missing]), np.array([m, lost]))
    shares = old.missing / (n + old.missing), lost / len(column)
    if not n or not m:
        none = math.nan
        blank = Stability(none, none, none)
        return ColumnShift(n, m, blank, none, none, none, none, none, none, *shares, missing.p, none)
    counts = _cells(values, old.edges)
    ks, p = kolmogorov_smirnov(old.values, values)
    moved = wasserstein(old.values, values)
    ends = np.searchsorted(values, old.values[0]), np.searchsorted(values, old.values[-1], side="right")
    scaled = moved / old.spread if old.spread > 0 else (0.0 if moved == 0 else math.inf)
    return ColumnShift(
        n_reference=n,
        n_window=m,
        psi=psi(old.counts, counts),
        ks=ks,
        ks_p=p,
        adjusted=p,
        wasserstein=moved,
        scaled=scaled,
        jensen_shannon=jensen_shannon(old.counts, counts),
        missing_reference=shares[0],
        missing_window=shares[1],
        missing_p=missing.p,
        outside=float(ends[0] + m - ends[1]) / m,
    )
