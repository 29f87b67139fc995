"""Additive sketches of features by period: one pass over the data, then every comparison reads counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Bins of equal mass that a column of numbers is cut into, at most; and categories that are counted apart.
BINS, CATEGORIES = 20, 50


@dataclass(frozen=True, eq=False)
class Column:
    """
    One column's counts by period.

    Parameters
    ----------
    name : str
    counts : ndarray of int64, shape (n_periods, n_bins)
        Rows in each bin, without the missing.
    missing : ndarray of int64, shape (n_periods,)
    sums : ndarray of shape (n_periods, n_bins)
        Sums of the values in each bin, in standard deviations of the rows before the first cutoff about their
        mean; no columns for categories.
    fresh : ndarray of int64, shape (n_pairs, 3)
        Of categories: period, period in which the category was first seen (-1: before the first cutoff), and
        rows; in order. Empty for numbers.
    remark : str
        What is odd about it before the first cutoff, or empty.
    """

    name: str
    counts: Ints
    missing: Ints
    sums: Floats
    fresh: Ints
    remark: str

    @property
    def categorical(self) -> bool:
        """Whether it holds categories."""
        return not self.sums.shape[1]


@dataclass(frozen=True)
class ColumnMove:
    """
    One column on both sides of a comparison.

    Parameters
    ----------
    name : str
    reference, window : ndarray of int64, shape (n_bins,)
        Rows in each bin.
    missing_reference, missing_window : int
        Rows without a value.
    new : int
        Rows of the window whose category was never seen before the vintage was made.
    reference_sums, window_sums : ndarray of shape (n_bins,)
        Sums of the scaled values; empty for categories.
    """

    name: str
    reference: Ints
    window: Ints
    missing_reference: int
    missing_window: int
    new: int
    reference_sums: Floats
    window_sums: Floats

    @property
    def categorical(self) -> bool:
        """Whether it holds categories."""
        return not len(self.reference_sums)

    @property
    def comparable(self) -> bool:
        """Whether both sides have a value."""
        return bool(self.reference.any() and self.window.any())


#: Every column on both sides.
Moved = Sequence[ColumnMove]


@dataclass(frozen=True, eq=False)
class Sketches:
    """
    All columns' counts by period, and the bins of some rows of each period.

    Parameters
    ----------
    columns : tuple of Column
    rows : ndarray of int64, shape (n_kept,)
        Rows whose bins are kept, in order.
    bins : ndarray of uint8, shape (n_kept, n_columns)
        0 where the value is missing, else one plus the bin.
    reads : int
        Times that a column of the data was read, in all.
    """

    columns: tuple[Column, ...]
    rows: Ints
    bins: NDArray[np.uint8]
    reads: int

    def of(self, rows: Ints) -> NDArray[np.uint8]:
        """Return the bins of kept rows, shape (n, n_columns)."""
        return self.bins[np.searchsorted(self.rows, rows)]

    def moved(self, reference: slice, window: int, since: int) -> tuple[ColumnMove, ...]:
        """
        Return both sides of every column.

        Parameters
        ----------
        reference : slice
            Periods of the reference.
        window : int
            Period that is compared with it.
        since : int
            A category first seen in this period or later is new.
        """
        return tuple(
            ColumnMove(
                column.name,
                column.counts[reference].sum(axis=0),
                column.counts[window],
                int(column.missing[reference].sum()),
                int(column.missing[window]),
                _new(column.fresh, window, since),
                column.sums[reference].sum(axis=0),
                column.sums[window],
            )
            for column in self.columns
        )


def _new(fresh: Ints, window: int, since: int) -> int:
    low, high = np.searchsorted(fresh[:, 0], [window, window + 1])
    first = low + int(np.searchsorted(fresh[low:high, 1], since))
    return int(fresh[first:high, 2].sum())


def sketch(table: Any, row_start: Ints, keep: Ints) -> Sketches:
    """
    Count every column of a table by period, reading each column once.

    Bins are quantiles of the rows before the first period, categories the commonest ones there; so nothing
    that comes later moves them.

    Parameters
    ----------
    table : pyarrow.Table of shape (n_rows, n_columns)
        In order of time.
    row_start : ndarray of int64, shape (n_periods + 1,)
        Row that each period begins with; the last entry ends the last one.
    keep : ndarray of int64, shape (n_kept,)
        Rows whose bins are kept, in order.

    Returns
    -------
    Sketches

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"x": [1.0, 2.0, 3.0, 4.0, 2.5, None, 9.0, 9.5], "word": list("aabbacca")})
    >>> made = sketch(table, np.array([4, 6, 8]), np.array([4, 5]))
    >>> x, word = made.moved(slice(0, 1), 1, 1)
    >>> int(x.reference.sum()), x.missing_reference, x.window.tolist(), word.new
    (1, 1, [0, 0, 0, 2], 0)
    >>> made.moved(slice(0, 1), 1, 0)[1].new, made.reads
    (1, 2)
    """
    low, high = int(row_start[0]), int(row_start[-1])
    period = np.repeat(np.arange(len(row_start) - 1), np.diff(row_start))
    columns, kept, reads = [], np.zeros((len(keep), table.num_columns), np.uint8), 0
    for place, name in enumerate(table.column_names):
        # One column at a time: memory stays that of the widest one.
        values, categorical = _read(table.column(place))
        reads += 1
        column, bins = (_categories if categorical else _numbers)(str(name), values, low, high, period)
        columns.append(column)
        kept[:, place] = bins[keep - low]
    return Sketches(tuple(columns), keep, kept, reads)


def _read(column: Any) -> tuple[NDArray[Any], bool]:
    """Return a column as numbers (NaN where missing), or as codes in order of first appearance (-1)."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return frames.encoded(column)[0], True
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64), False


def _numbers(name: str, values: Floats, low: int, high: int, period: Ints) -> tuple[Column, NDArray[np.uint8]]:
    early = values[:low][~np.isnan(values[:low])]
    edges, remark = _edges(early)
    n_periods = int(period[-1]) + 1
    inside = values[low:high]
    gone = np.isnan(inside)
    bins = np.searchsorted(edges, inside, side="left")  # a bin holds its upper edge
    size = len(edges) + 1
    counts = np.bincount(period[~gone] * size + bins[~gone], minlength=n_periods * size).reshape(n_periods, size)
    missing = np.bincount(period[gone], minlength=n_periods)
    scaled = _scaled(inside[~gone], early)
    sums = np.asarray(np.bincount(period[~gone] * size + bins[~gone], scaled, n_periods * size), dtype=np.float64)
    kept = np.where(gone, 0, bins + 1).astype(np.uint8)
    return Column(name, counts, missing, sums.reshape(n_periods, size), np.zeros((0, 3), np.int64), remark), kept


def _edges(early: Floats) -> tuple[Floats, str]:
    """Return the upper ends of all bins but the last, and what is odd."""
    if not len(early):
        return np.zeros(0), "has no value before the first cutoff"
    cuts = np.unique(np.quantile(early, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    if early.min() == early.max():
        # Values below, at and above the constant are told apart.
        return np.array([np.nextafter(early[0], -np.inf), early[0]]), "is constant before the first cutoff"
    # The highest value has a bin of its own where it fills more than one.
    return cuts[cuts < early.max()] if (cuts < early.max()).any() else cuts[:0], ""


def _scaled(values: Floats, early: Floats) -> Floats:
    """Return values in standard deviations of the early rows, or in units where these do not vary."""
    finite = early[np.isfinite(early)]
    spread = float(finite.std()) if len(finite) else 0.0
    # The bound keeps an infinite value, or a unit slip, from drowning all other digits.
    return np.clip((values - (float(finite.mean()) if len(finite) else 0.0)) / (spread or 1.0), -1e6, 1e6)


def _categories(name: str, codes: Ints, low: int, high: int, period: Ints) -> tuple[Column, NDArray[np.uint8]]:
    n_periods = int(period[-1]) + 1
    n_codes = int(codes.max(initial=-1)) + 1
    before = np.bincount(codes[:low][codes[:low] >= 0], minlength=n_codes)
    seen = np.flatnonzero(before)
    common = seen[np.argsort(-before[seen], kind="stable")][:CATEGORIES]
    remark = "has no value before the first cutoff" if not len(seen) else ""
    if len(seen) > CATEGORIES:
        share = before[common].sum() / before.sum()
        remark = f"has {len(seen):,} categories before the first cutoff; the commonest {CATEGORIES} hold {share:.0%}"
    elif len(seen) == 1:
        remark = "is constant before the first cutoff"
    size = len(common) + 1  # all others share the last bin
    place = np.full(n_codes + 1, size - 1)
    place[common] = np.arange(len(common))
    inside = codes[low:high]
    gone = inside < 0
    bins = place[inside]
    counts = np.bincount(period[~gone] * size + bins[~gone], minlength=n_periods * size).reshape(n_periods, size)
    missing = np.bincount(period[gone], minlength=n_periods)
    kept = np.where(gone, 0, bins + 1).astype(np.uint8)
    fresh = _first_seen(codes, low, high, period, n_codes)
    return Column(name, counts, missing, np.zeros((n_periods, 0)), fresh, remark), kept


def _first_seen(codes: Ints, low: int, high: int, period: Ints, n_codes: int) -> Ints:
    """Return rows by period and by the period in which their category was first seen."""
    first_row = np.full(n_codes + 1, high)
    upto = codes[:high]
    there = np.flatnonzero(upto >= 0)
    first_row[upto[there][::-1]] = there[::-1]  # the last write, that of the first row, counts
    inside = codes[low:high]
    known = inside >= 0
    first = first_row[inside[known]]
    born = np.where(first < low, -1, period[np.maximum(first - low, 0)])
    n_periods = int(period[-1]) + 1
    keys, rows = np.unique(period[known] * (n_periods + 1) + born + 1, return_counts=True)
    return np.stack([keys // (n_periods + 1), keys % (n_periods + 1) - 1, rows], axis=1).astype(np.int64)
