"""What rows add up to over the window before each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.errors import AppError, DataError
from mlwild.joins.seen import Asked, Seen, stable_order
from mlwild.joins.sums import deviations, sums

Ints = NDArray[np.int64]

#: What may be asked of a column. All leave missing values out.
KINDS = ("sum", "count", "mean", "std", "min", "max", "last", "nunique", "share")
#: What may be asked of the rows themselves.
ROWS = "rows"


@dataclass(frozen=True)
class Aggregate:
    """
    One column to be made.

    Parameters
    ----------
    name : str
    column : str
        Empty for the number of rows.
    kind : str
        One of `KINDS`, or ``rows``.
    value : object
        For a share: of what. None: of true.
    """

    name: str
    column: str
    kind: str
    value: Any = None


def parsed(asked: Mapping[str, Any], field: str) -> list[Aggregate]:
    """
    Read what a user asks for: ``{"rain": ("mm", "sum"), "n": "rows", "late": ("status", "share", "late")}``.

    Raises
    ------
    AppError
        If an entry is none of these, or there is none.

    Examples
    --------
    >>> parsed({"n": "rows", "rain": ("mm", "sum")}, "trailing")[1]
    Aggregate(name='rain', column='mm', kind='sum', value=None)
    """
    if not isinstance(asked, Mapping) or not asked:
        raise AppError(f"{field}: name at least one column to make, such as {{'rain': ('mm', 'sum')}}.")
    made = []
    for name, said in asked.items():
        if said == ROWS:
            made.append(Aggregate(name, "", ROWS))
            continue
        good = isinstance(said, tuple | list) and 2 <= len(said) <= 3 and all(isinstance(one, str) for one in said[:2])
        if not good or said[1] not in KINDS or (len(said) == 3 and said[1] != "share"):
            raise AppError(
                f"{field}: {name!r} is {said!r}. Write (column, what) with {', '.join(KINDS)} for what; (column, "
                "'share', value) for how often a value is taken; or 'rows'."
            )
        made.append(Aggregate(str(name), *said))
    return made


@dataclass(frozen=True, eq=False)
class Rows:
    """
    The rows of a side table, as a window looks at them.

    Parameters
    ----------
    key : ndarray of int64, shape (n_rows,)
        -1 where no event has the row's key.
    time, available : ndarray of int64, shape (n_rows,)
        In order of availability.
    column : callable
        Returns a column by name, as a pyarrow.Array.
    """

    key: Ints
    time: Ints
    available: Ints
    column: Callable[[str], Any]

    def ends(self, span: int | None, corrected: bool) -> Ints:
        """Return when each row leaves its window: after the span, or when another form of it became available."""
        ends = np.full(len(self.time), NEVER)
        if span is not None:
            # What lies beyond the end of time stays for ever.
            short = self.time < NEVER - span
            ends[short] = self.time[short] + span
        if corrected and len(self.time):
            order = np.lexsort((np.arange(len(self.time)), self.available, self.time, self.key))
            one, next_ = order[:-1], order[1:]
            same = (self.key[one] == self.key[next_]) & (self.time[one] == self.time[next_])
            ends[one[same]] = np.minimum(ends[one[same]], self.available[next_[same]])
        return ends


def summed_up(
    asked: Asked, rows: Rows, span: int | None, aggregates: list[Aggregate], *, corrected: bool, field: str
) -> dict[str, Any]:
    """
    Return columns of what the rows in each event's window add up to.

    An event at t sees the rows of its key with a time after t - span and up to t, that were available at t. So a row is
    seen from one instant on until another, and everything is counted by these: how a value comes about does not depend
    on which other events are asked for, or which other rows are there.

    Parameters
    ----------
    asked : Asked
    rows : Rows
    span : int or None
        Nanoseconds or ticks; None: all that came before.
    aggregates : list of Aggregate
    corrected : bool
        Whether of rows with the same key and time only the one that became available last counts.
    field : str
        For errors.

    Returns
    -------
    dict of str to pyarrow.Array
        In the order in which the events came.
    """
    begins = np.where(rows.available == NEVER, NEVER, np.maximum(rows.time, rows.available))
    seen = Seen.of(asked, rows.key, begins, rows.ends(span, corrected))
    by_column: dict[str, _Column] = {}
    made = {}
    for one in aggregates:
        if one.kind != ROWS and one.column not in by_column:
            by_column[one.column] = _Column.of(rows, seen, one.column, field)
        made[one.name] = _one(asked, seen, by_column.get(one.column), one)
    return made


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of the rows that are seen, without those that have no value in it."""

    name: str
    seen: Seen
    values: Any
    rank: Ints
    field: str

    @staticmethod
    def of(rows: Rows, seen: Seen, name: str, field: str) -> _Column:
        values = rows.column(name).take(_array(seen.rows))
        there = ~values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
        seen = seen.where(there)
        # Rows are in order of availability: by time and then by that.
        rank = np.empty(len(seen.rows), np.int64)
        rank[np.argsort(rows.time[seen.rows], kind="stable")] = np.arange(len(seen.rows))
        return _Column(name, seen, values.filter(_array(there)), rank, field)

    def numbers(self, kind: str) -> NDArray[np.float64]:
        """Return the values as numbers; true is 1."""
        import pyarrow as pa

        types = pa.types
        fine = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null
        if not any(test(self.values.type) for test in fine):
            raise DataError(
                f"{self.field}: column {self.name!r} holds {self.values.type}, of which there is no {kind}."
            )
        values = self.values.cast(pa.int8()) if types.is_boolean(self.values.type) else self.values
        return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)

    def codes(self) -> Ints:
        """Return the number of each value among all of them."""
        import pyarrow.compute as pc

        values = _signless(self.values)
        return np.asarray(pc.dictionary_encode(values).indices.to_numpy(zero_copy_only=False), dtype=np.int64)

    def by_size(self) -> Ints:
        """Return the rank of each value; of equal ones the newer is the greater."""
        import pyarrow.compute as pc

        try:
            rank = pc.rank(_signless(self.values), sort_keys="ascending", tiebreaker="dense")
        except (NotImplementedError, TypeError) as problem:
            raise DataError(
                f"{self.field}: column {self.name!r} holds {self.values.type}, which cannot be put in order."
            ) from problem
        dense = np.asarray(rank.to_numpy(zero_copy_only=False), dtype=np.int64)
        newest = np.argsort(self.rank)
        order = newest[stable_order(dense[newest])]
        made = np.empty(len(dense), np.int64)
        made[order] = np.arange(len(dense))
        return made

    def topmost(self, rank: Ints) -> NDArray[np.int64]:
        """Return the place of the value with the greatest rank that each event sees; -1 where there is none."""
        of_rank = np.empty(len(rank) + 1, np.int64)
        of_rank[rank], of_rank[-1] = np.arange(len(rank)), -1
        return of_rank[self.seen.topmost(rank)]


def _one(asked: Asked, seen: Seen, column: _Column | None, wanted: Aggregate) -> Any:
    """Return one column, as a pyarrow.Array in the order in which the events came."""
    if column is None:
        return _array(asked.restored(seen.count()))
    kind = wanted.kind
    if kind == "count":
        return _array(asked.restored(column.seen.count()))
    if kind == "nunique":
        return _array(asked.restored(column.seen.kinds(column.codes())))
    if kind in ("min", "max", "last"):
        rank = column.rank if kind == "last" else column.by_size()
        if kind == "min":
            rank = len(rank) - 1 - rank
        place = np.asarray(asked.restored(column.topmost(rank)), dtype=np.int64)
        return column.values.take(_array(place, place < 0))
    return _array(*_with_gaps(asked.restored(_number(column, wanted))))


def _number(column: _Column, wanted: Aggregate) -> NDArray[np.float64]:
    kind, seen = wanted.kind, column.seen
    if kind == "std":
        return deviations(seen, column.numbers(kind))
    if kind == "sum":
        return sums(seen, column.numbers(kind))
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "mean":
            return np.asarray(sums(seen, column.numbers(kind)) / seen.count())
        return np.asarray(seen.where(_taken(column, wanted.value)).count() / seen.count())


def _taken(column: _Column, value: Any) -> NDArray[np.bool_]:
    """Return where a column has a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if value is None and not pa.types.is_boolean(column.values.type):
        raise AppError(
            f"{column.field}: the share of what? {column.name!r} holds {column.values.type}: write ({column.name!r}, "
            "'share', value)."
        )
    try:
        wanted = pa.scalar(True if value is None else value)
        same = pc.equal(column.values, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as problem:
        raise AppError(
            f"{column.field}: {column.name!r} holds {column.values.type}, and never is {value!r}."
        ) from problem
    return np.asarray(same.to_numpy(zero_copy_only=False), dtype=bool)


def _with_gaps(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    gaps = np.isnan(values)
    return values, gaps if gaps.any() else None


def _array(values: NDArray[Any], gaps: NDArray[np.bool_] | None = None) -> Any:
    import pyarrow as pa

    return pa.array(values, mask=gaps)


def _signless(values: Any) -> Any:
    """Return numbers whose zero has one sign."""
    import pyarrow as pa

    if not pa.types.is_floating(values.type):
        return values
    return pa.array(values.to_numpy(zero_copy_only=False) + 0.0)
