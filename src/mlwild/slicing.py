"""A table of features in bins, and slices of it in words: what a search reads and a person understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.bins import BINS, WORDS, Codes, Kind, Mask, NumberBins, Values, WordBins, number_bins, word_bins
from mlwild.errors import DataError
from mlwild.stats.slices import members

#: What a column held, for messages.
_HELD = {None: "words", "time": "times", "number": "numbers", "whole": "numbers"}


@dataclass(frozen=True, eq=False)
class Binned:
    """
    A table in bins, and how it was cut.

    Parameters
    ----------
    codes : ndarray of whole numbers, shape (n_rows, n_columns)
    columns : tuple of NumberBins or WordBins

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = binned(pa.table({"hour": [5, 9, 9, 10], "carrier": ["B6", "B6", None, "UA"]}))
    >>> made.condition([(0, 1), (1, 0)])
    'hour = 9 and carrier = "B6"'
    >>> made.holds([(0, 1)], pa.table({"carrier": ["ZZ", "B6"], "hour": [9, 10]})).tolist()
    [True, False]
    """

    codes: NDArray[np.unsignedinteger[Any]]
    columns: tuple[NumberBins | WordBins, ...]

    def condition(self, conditions: Sequence[tuple[int, int]]) -> str:
        """Return what a slice, as (column, bin) pairs, means."""
        return " and ".join(self.columns[column].condition(code) for column, code in conditions)

    def holds(self, conditions: Sequence[tuple[int, int]], table: Any) -> Mask:
        """
        Return in which rows of another table a slice holds, by the same edges and words.

        Parameters
        ----------
        conditions : sequence of (int, int)
            Column and bin.
        table : pyarrow.Table
            With the columns of the conditions.

        Raises
        ------
        DataError
            If a column is not there, or holds words where it held numbers or the other way round.
        """
        used = [column for column, _ in conditions]
        codes = np.column_stack([_codes(self.columns[column], table) for column in used]) if used else None
        if codes is None:
            return np.ones(table.num_rows, dtype=bool)
        return members(codes, [(place, code) for place, (_, code) in enumerate(conditions)])


def binned(table: Any, *, bins: int = BINS, words: int = WORDS) -> Binned:
    """
    Put every column of a table into bins: numbers and times by quantiles, the commonest words, the missing.

    Parameters
    ----------
    table : pyarrow.Table of shape (n_rows, n_columns)
    bins : int
        Of a column of numbers, at most; default 10.
    words : int
        Of a column with a bin of their own, at most; default 20. True and false are words.

    Returns
    -------
    Binned

    Examples
    --------
    >>> import pyarrow as pa
    >>> binned(pa.table({"x": [0.5, None, 2.0], "late": [True, True, False]})).codes.tolist()
    [[0, 0], [2, 0], [1, 1]]
    """
    columns: list[NumberBins | WordBins] = []
    codes = np.empty((table.num_rows, table.num_columns), dtype=np.min_scalar_type(max(bins, words) + 1), order="F")
    for place, name in enumerate(table.column_names):
        kind, unit = _kind(table.column(place).type)
        if kind is None:
            placed, listed = frames.encoded(table.column(place))
            worded = word_bins(name, placed, listed, most=words)
            columns.append(worded)
            codes[:, place] = worded.codes(placed, listed)
        else:
            values, gone = _numbers(table.column(place), kind)
            numbered = number_bins(name, values[~gone], bins=bins, kind=kind, unit=unit)
            columns.append(numbered)
            codes[:, place] = numbered.codes(values, gone)
    return Binned(codes, tuple(columns))


def _codes(column: NumberBins | WordBins, table: Any) -> Codes:
    """Return the bins of a table's column, by edges and words made on another table."""
    if column.name not in table.column_names:
        raise DataError(f"table: has no column {column.name!r}, which the slice is about. Give the same features.")
    given = table.column(column.name)
    kind, unit = _kind(given.type)
    if len(given) == given.null_count:
        return np.full(len(given), column.missing)
    if isinstance(column, WordBins):
        if kind is not None:
            raise _changed(column.name, given.type, None)
        return column.codes(*frames.encoded(given))
    if kind is None or (kind == "time") != (column.kind == "time"):
        raise _changed(column.name, given.type, column.kind)
    values, gone = _numbers(given, kind)
    if kind == "time" and unit != column.unit:
        values = values.astype(f"M8[{unit}]").astype(f"M8[{column.unit}]").astype(np.int64)
    return column.codes(values, gone)


def _changed(name: str, now: Any, was: Kind | None) -> DataError:
    """Return what to raise where a column holds something else than before."""
    return DataError(
        f"table: column {name!r} holds {now}, and held {_HELD[was]} where the slice was found. Read it in the same way."
    )


def _kind(kind: Any) -> tuple[Kind | None, str]:
    """Return what numbers an Arrow type holds, None for words, and their unit."""
    import pyarrow as pa

    if pa.types.is_date(kind):
        return "time", "D" if pa.types.is_date32(kind) else "ms"
    if pa.types.is_timestamp(kind):
        return "time", kind.unit
    if pa.types.is_temporal(kind):
        return "number", "s"
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return "whole", ""
    plain = (pa.types.is_null, pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)
    return ("number", "") if any(is_one(kind) for is_one in plain) else (None, "")


def _numbers(column: Any, kind: Kind) -> tuple[Values, Mask]:
    """Return a column's values, and which are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    given = column.type
    gone = pc.is_null(column, nan_is_null=True).to_numpy()
    if pa.types.is_temporal(given):
        column = column.cast(pa.int32() if given.bit_width == 32 else pa.int64())
    column = column.cast(pa.int64() if kind in ("whole", "time") else pa.float64(), safe=False)
    values = pc.fill_null(column, 0).to_numpy()
    if kind == "number" and pa.types.is_temporal(given):
        values = values / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[given.unit]
    return values, gone
