"""Two tables as pairs of columns, one pair at a time: numbers, or codes of one list of categories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.errors import DataError

Numbers = NDArray[Any]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pair:
    """
    One column of both tables.

    Parameters
    ----------
    name : str
    reference, window : ndarray
        Numbers (NaN is missing), or codes (-1 is missing) where there are categories.
    categories : tuple of str, optional
        What the codes mean; None for numbers.
    """

    name: str
    reference: Numbers | Codes
    window: Numbers | Codes
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Tables:
    """
    Two tables with the same columns.

    Parameters
    ----------
    reference, window : pyarrow.Table

    Raises
    ------
    DataError
        If a table has no rows, or a column is in one of them only.
    """

    reference: Any
    window: Any

    @staticmethod
    def of(reference: Any, window: Any) -> Tables:
        """Take in two frames of any kind."""
        old, new = (frames.to_arrow(table, side)[0] for table, side in ((reference, "reference"), (window, "window")))
        for table, side in ((old, "reference"), (new, "window")):
            if not table.num_rows:
                raise DataError(f"{side}: has no rows. Give a time in which there were some.")
        for one, other, where in ((old, new, "window"), (new, old, "reference")):
            gone = [name for name in one.column_names if name not in other.column_names]
            if gone:
                raise DataError(
                    f"{where}: column {gone[0]!r} is missing ({len(gone)} in all). Give both the same columns."
                )
        return Tables(old, new)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the reference."""
        return tuple(self.reference.column_names)

    def __iter__(self) -> Iterator[Pair]:
        """Yield the columns one after another, so that only one is held as an array."""
        for name in self.names:
            yield self.pair(name)

    def rows(self, reference: NDArray[np.int64], window: NDArray[np.int64]) -> Tables:
        """Return some rows of both, at the given positions."""
        import pyarrow as pa

        return Tables(self.reference.take(pa.array(reference)), self.window.take(pa.array(window)))

    def matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Return both as numbers, gaps as NaN; a word has one code on both sides.

        Returns
        -------
        reference, window : ndarray of shape (n, n_columns), (m, n_columns)
        """
        made = np.empty((self.reference.num_rows, len(self.names))), np.empty((self.window.num_rows, len(self.names)))
        for place, pair in enumerate(self):
            for matrix, values in zip(made, (pair.reference, pair.window), strict=True):
                matrix[:, place] = values if pair.categories is None else np.where(values < 0, np.nan, values)
        return made

    def pair(self, name: str) -> Pair:
        """
        Return one column of both tables.

        Raises
        ------
        DataError
            If it holds numbers in one table and words in the other.
        """
        old, new = self.reference[name], self.window[name]
        kinds = [_numeric(column) for column in (old, new)]
        if kinds[0] != kinds[1]:
            raise DataError(
                f"window: column {name!r} holds {old.type} in the reference and {new.type} in the window. Read both "
                "in the same way."
            )
        if kinds[0]:
            return Pair(name, _numbers(old), _numbers(new))
        return _categories(name, old, new)


def _numeric(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type
    # A column of nothing but gaps has no kind of its own: it is compared by its gaps.
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal, pa.types.is_decimal)
    return pa.types.is_null(kind) or any(is_one(kind) for is_one in plain)


def _numbers(column: Any) -> Numbers:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if not (pa.types.is_floating(kind) and kind.bit_width >= 32):
        column = column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy())


def _categories(name: str, old: Any, new: Any) -> Pair:
    import pyarrow as pa

    chunks = [chunk for column in (old, new) for chunk in frames.text(column).chunks]
    codes, words = frames.encoded(pa.chunked_array(chunks, pa.string()))
    return Pair(name, codes[: len(old)], codes[len(old) :], words)
