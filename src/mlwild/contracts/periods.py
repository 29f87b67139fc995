"""The whole periods that the rows of a table fall into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.clock import MOST_PERIODS, NEVER, Clock, Duration, Times, fits
from mlwild.errors import DataError

Ints = NDArray[np.int64]
Rows = slice | Ints


@dataclass(frozen=True, eq=False)
class Periods:
    """
    Which period each row belongs to.

    Parameters
    ----------
    index : ndarray of int64, shape (n_rows,)
        Number of its period; -1 for rows in a period that the table does not fill.
    names : tuple of str
        When each period begins; empty text where the whole table is taken for one.
    min_rows : int
        Periods with fewer rows are not judged by shares and statistics.
    timed : bool
        Whether they are spans of time, not blocks of rows.
    """

    index: Ints
    names: tuple[str, ...]
    min_rows: int = 1
    timed: bool = True

    def __len__(self) -> int:
        """Return the number of periods."""
        return len(self.names)

    @cached_property
    def rows(self) -> Ints:
        """Number of rows of each, shape (n_periods,)."""
        return self.count(None)

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """Which have rows enough, shape (n_periods,)."""
        return np.asarray(self.rows >= self.min_rows)

    def count(self, mask: NDArray[np.bool_] | None) -> Ints:
        """Return how many rows of each period are under a mask."""
        inside = self.index if mask is None else self.index[mask]
        return np.bincount(inside + 1, minlength=len(self) + 1)[1:]

    def __iter__(self) -> Iterator[tuple[str, Rows]]:
        """Yield the name of each period and the positions of its rows, in order."""
        return iter(zip(self.names, self._places, strict=True))

    @cached_property
    def _places(self) -> list[Rows]:
        inside = np.flatnonzero(self.index >= 0)
        first = int(inside[0]) if len(inside) else 0
        ordered = not len(inside) or bool((np.diff(self.index[first : inside[-1] + 1]) >= 0).all())
        order = inside if ordered else inside[np.argsort(self.index[inside], kind="stable")]
        ends = np.cumsum(np.append(0, self.rows))
        pairs = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        return [slice(first + begin, first + end) if ordered else order[begin:end] for begin, end in pairs]


def one_period(n: int) -> Periods:
    """Take a whole table for one period."""
    return Periods(np.zeros(n, dtype=np.int64), ("",))


def times_of(array: Any, name: str) -> tuple[Times, Clock]:
    """
    Read an Arrow array as instants; a missing one is ``NEVER``.

    Raises
    ------
    DataError
        If it holds no times.
    """
    import pyarrow as pa

    return frames.times(nw.from_native(pa.table({name: array}), eager_only=True), name, "contract")


def cut(
    times: Times, clock: Clock, every: str | int, start: date | datetime | int | None = None, *, min_rows: int = 1
) -> Periods:
    """
    Cut rows into whole periods: a first or last one that they do not fill is left out.

    Parameters
    ----------
    times : ndarray of int64, shape (n_rows,)
        In any order; ``NEVER`` where missing.
    clock : Clock
        What they mean.
    every : str or int
        Length of a period.
    start : date, datetime or int, optional
        Where one of the periods begins; default the day 1970-01-01, or 0.
    min_rows : int
        Rows below which a period is not judged.

    Raises
    ------
    AppError
        If the length or the start does not fit the times.
    DataError
        If there are too many periods.

    Examples
    --------
    >>> made = cut(np.arange(6, 33, 2), Clock("tick"), 10, 0)
    >>> made.names, made.index.tolist()
    (('10', '20'), [-1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, -1, -1])
    """
    fits(clock, every, "every")
    length = Duration.parse(every, "every")
    known = times[times != NEVER]
    if not len(known):
        return Periods(np.full(len(times), -1), (), min_rows)
    origin = clock.parse(start, "start") if start is not None else 0 if clock.kind == "tick" else clock.floor(0, length)
    edges = _edges(known, clock, length, origin)
    index = np.searchsorted(edges, times, side="right") - 1
    index[(index == len(edges) - 1) | (times == NEVER)] = -1
    return Periods(index.astype(np.int64), tuple(clock.show(int(edge)) for edge in edges[:-1]), min_rows)


def _edges(known: Times, clock: Clock, length: Duration, origin: int) -> Times:
    """Return where the whole periods begin, and where the last one ends."""
    first, last = int(known.min()), int(known.max())
    if (last - first) / length.exact > MOST_PERIODS:
        raise DataError(
            f"every: {str(length)!r} cuts {clock.span(last - first)} into more than {MOST_PERIODS:,} periods."
        )
    # The longest usual gap: so late may the first row of a whole period come, and so early its last one.
    gaps = np.diff(known if (known[1:] >= known[:-1]).all() else np.sort(known))
    gaps = gaps[gaps > 0]
    gap = int(np.quantile(gaps, 0.95)) if len(gaps) else 0
    slack = max(1 if clock.kind == "tick" else length.exact // 100, min(gap, length.exact // 2))
    step = (first - origin) // length.exact
    while clock.add(origin, length, step) > first:
        step -= 1
    while clock.add(origin, length, step + 1) <= first:
        step += 1
    if first - clock.add(origin, length, step) > slack:
        step += 1
    edges = []
    while (edge := clock.add(origin, length, step)) <= last + slack:
        edges.append(edge)
        step += 1
    return np.asarray(edges or [last + 1], dtype=np.int64)
