"""Features as numbers: what a guard looks at, whatever kind of frame they come in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.contracts.tables import kind_of
from mlwild.errors import DataError

Floats = NDArray[np.float64]

#: A word that was never learned from; no number is so great.
STRANGE = np.inf
#: Kinds that stand for each other.
NUMBERS = {"number", "integer", "boolean"}
#: What a column holds, in words.
HOLDS = {"number": "numbers", "integer": "whole numbers", "boolean": "truth values", "time": "times"}


@dataclass(frozen=True)
class Encoding:
    """
    The columns that were learned from, and the number of each word.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the features.
    kind : str
        Kind of frame that models are given.
    words : dict of str to dict
        Number of each word, by column of text.
    """

    schema: Any
    kind: str
    words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _listed: list[str] = field(init=False, repr=False, compare=False)
    _of_each: tuple[Mapping[str, int] | None, ...] = field(init=False, repr=False, compare=False)
    _times: tuple[tuple[str, bool] | None, ...] = field(init=False, repr=False, compare=False)
    _plain: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep what every request asks for."""
        object.__setattr__(self, "_names", tuple(self.schema.names))
        object.__setattr__(self, "_listed", list(self.schema.names))
        object.__setattr__(self, "_of_each", tuple(self.words.get(name) for name in self.schema.names))
        object.__setattr__(self, "_times", tuple(map(_unit, self.schema)))
        object.__setattr__(self, "_plain", not self.words and not any(self._times))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self._names

    @staticmethod
    def of(table: Any, kind: str) -> Encoding:
        """
        Return the encoding of features that were learned from.

        Examples
        --------
        >>> import pyarrow as pa
        >>> made = Encoding.of(pa.table({"x": [1.0], "word": ["a"]}), "pyarrow")
        >>> made.matrix(pa.table({"word": ["b", "a"], "x": [None, 2]}))[0].tolist()
        [[nan, inf], [2.0, 0.0]]
        """
        words = {
            name: {word: place for place, word in enumerate(sorted(set(frames.encoded(column)[1])))}
            for name, column in zip(table.column_names, table.columns, strict=True)
            if kind_of(column) == "text"
        }
        return Encoding(table.schema.remove_metadata(), kind, words)

    def read(self, native: Any) -> tuple[Any, dict[str, str], bool]:
        """
        Return a frame as a table of the columns that were learned from, in their order; and which it did not have.

        Parameters
        ----------
        native : frame or ndarray of n_rows
            More columns, or another order, do no harm.

        Returns
        -------
        pyarrow.Table of n_rows
            Where a column mixes kinds of values, those of another kind than was learned are infinite, or unknown words.
        dict of str to str
            Why a column is missing in every row.
        bool
            Whether the frame is fit for models as it is: they mind other columns, and another order.

        Raises
        ------
        DataError
            If it is no table at all.
        """
        import pyarrow as pa

        mixed = isinstance(native, np.ndarray) and native.dtype.kind not in "iufb" and native.ndim == 2
        try:
            table = self._cell_by_cell(native) if mixed else frames.to_arrow(native, "features")[0]
        except DataError:  # two columns of one name, or cells of several kinds
            table, mixed = self._cell_by_cell(native), True
        if isinstance(native, np.ndarray) and table.num_columns == len(self._listed):  # it has no names of its own
            table = table.rename_columns(self._listed)
        times = Counter(table.column_names)
        unread = {
            name: "is not there" if not times[name] else "is there twice" for name in self._names if times[name] != 1
        }
        same = table.column_names == self._listed and not mixed
        columns = [
            pa.nulls(table.num_rows, one.type) if one.name in unread else table.column(one.name) for one in self.schema
        ]
        return pa.Table.from_arrays(columns, names=self._listed), unread, same

    def _cell_by_cell(self, native: Any) -> Any:
        import pyarrow as pa

        if type(native).__module__.partition(".")[0] == "pandas":
            cells = [(str(name), native.iloc[:, place].tolist()) for place, name in enumerate(native.columns)]
        elif isinstance(native, np.ndarray) and native.ndim == 2:
            # An array holds one kind: a word among numbers has made text of them all.
            cells = [(f"x{place}", list(map(_number, column.tolist()))) for place, column in enumerate(native.T)]
        elif isinstance(native, pa.Table):
            cells = [(name, native.column(place).to_pylist()) for place, name in enumerate(native.column_names)]
        else:
            frame = frames.eager(native, "features")
            cells = [(name, frame[name].to_list()) for name in frame.columns]
        made = [self._of_cells(name, values) for name, values in cells]
        return pa.Table.from_arrays(made, names=[name for name, _ in cells])

    def _of_cells(self, name: str, values: list[Any]) -> Any:
        import pyarrow as pa

        gaps = list(map(_gap, values))
        held = [None if gap else one for gap, one in zip(gaps, values, strict=True)]
        if name in self.words:
            return pa.array(
                [one if one is None or isinstance(one, str) else f"<{type(one).__name__}>" for one in held], pa.string()
            )
        if name in self._listed and pa.types.is_temporal(self.schema.field(name).type):
            with suppress(pa.ArrowInvalid, TypeError, OverflowError):  # times, or what else they all are: it is told
                return pa.array(held)
        return pa.array([None if one is None else _figure(one) for one in held], pa.float64())

    def matrix(self, table: Any) -> tuple[Floats, dict[str, str]]:
        """
        Return features as numbers, and which columns are of another kind than was learned from, with why.

        Parameters
        ----------
        table : pyarrow.Table of n_rows

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            NaN where a value is missing, infinite where it is a word that was never learned from.
        dict of str to str
        """
        import pyarrow as pa

        made = np.full((table.num_rows, len(self.schema)), np.nan, order="F")
        unread: dict[str, str] = {}
        for place, name in enumerate(self.schema.names):
            column = table.column(name)
            if column.null_count == table.num_rows:
                continue
            was = self.schema.field(name).type
            wanted, kind = kind_of(self.schema.field(name)), kind_of(column)
            if pa.types.is_duration(was) and pa.types.is_duration(column.type):  # of whatever unit
                wanted = kind
            if wanted != kind and not {wanted, kind} <= NUMBERS:
                unread[name] = f"holds {HOLDS.get(kind, kind)}, not {HOLDS.get(wanted, wanted)}"
            elif kind == "text":
                places, found = frames.encoded(column)
                known = self.words[name]
                codes = np.array([*(known.get(word, STRANGE) for word in found), np.nan])
                made[:, place] = codes[places]  # place -1, a missing word, is the last
            else:
                made[:, place] = frames.matrix(pa.table({name: _worth(column)}))[:, 0]
                if pa.types.is_temporal(was) and column.type != was and nanoseconds(column.type) != nanoseconds(was):
                    # In the unit that was learned; as fractions, since far times are beyond whole numbers of some.
                    made[:, place] *= nanoseconds(column.type) / nanoseconds(was)
        return made, unread

    def numbers(self, native: Any) -> Floats | None:
        """
        Return the features of a frame that is as what was learned from, the quick way; None where that cannot be told.

        Arrays, frames of nothing but numbers and single rows of pandas are read so: most requests, in a tenth of the
        time that the way through Arrow takes.
        """
        if isinstance(native, np.ndarray):
            fits = self._plain and native.dtype.kind in "iufb" and native.shape[1:] == (len(self.schema),)
            return np.asarray(native, dtype=np.float64) if fits else None
        if type(native).__module__.partition(".")[0] != "pandas" or not native.columns.equals(self._index):
            return None
        if self._plain:
            values = native.to_numpy()
            if values.dtype.kind in "iufb":
                return np.asarray(values, dtype=np.float64)
        return self._one(native.to_numpy(dtype=object)[0]) if len(native) == 1 else None

    @cached_property
    def _index(self) -> Any:
        """The columns as pandas has them: it compares them in half the time that a list of them takes."""
        import pandas as pd

        return pd.Index(self._listed)

    def _one(self, values: Any) -> Floats | None:
        made = np.empty((1, len(values)))
        for place, (value, words, time) in enumerate(zip(values, self._of_each, self._times, strict=True)):
            if value is None or (isinstance(value, float) and math.isnan(value)):
                made[0, place] = np.nan
            elif words is not None and isinstance(value, str):
                made[0, place] = words.get(value, STRANGE)
            elif time is not None and type(value).__name__ == "Timestamp":
                if (value.unit, value.tzinfo is not None) != time:
                    return None
                made[0, place] = value.asm8.view(np.int64)
            elif words is None and time is None and isinstance(value, int | float | np.number | np.bool_):
                made[0, place] = _figure(value) if type(value) is int else value  # one may be beyond all floats
            elif type(value).__name__ in ("NaTType", "NAType"):
                made[0, place] = np.nan
            else:  # a time of another unit, a number for a word, a word for a number
                return None
        return made


def _unit(column: Any) -> tuple[str, bool] | None:
    """Return the unit of a column of times, none of dates, and whether they have a zone; None of what is no time."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        return column.type.unit, column.type.tz is not None
    return ("", False) if pa.types.is_temporal(column.type) else None


def nanoseconds(kind: Any) -> int:
    """Return how many nanoseconds one of a column of times, dates or durations is."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
    return 86_400 * 10**9 if pa.types.is_date32(kind) else 10**6


def _worth(column: Any) -> Any:
    """Return a column of numbers as what each is worth: categories by their own numbers, decimals as plain ones."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


def _gap(cell: Any) -> bool:
    """Say whether a cell is empty: None, or NaN and its like, which pandas says of its own gap by no truth value."""
    if cell is None:
        return True
    same = cell == cell  # noqa: PLR0124  NaN is not itself
    return type(cell).__name__ == "NAType" or (isinstance(same, bool | np.bool_) and not same)


def _figure(cell: Any) -> float:
    """Return a number as it is; what is none, or beyond all that a column holds, is strange."""
    try:
        return float(cell) if isinstance(cell, int | float) else STRANGE
    except OverflowError:
        return STRANGE


def _number(cell: Any) -> Any:
    try:
        return float(cell) if isinstance(cell, str) else cell
    except ValueError:
        return cell
