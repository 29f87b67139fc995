"""Side tables: what was known of the world when an event was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames, joins
from mlwild.clock import NEVER, Clock, Duration, Times, fits
from mlwild.errors import DataError
from mlwild.frames import Frame

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """
    A side table (weather, prices, stock) and when its rows could be known.

    Parameters
    ----------
    data : callable, str or Path
        A function that returns a frame, or a Parquet or CSV path or glob.
    time : str
        Column with the time that a row speaks of.
    available_at : str, optional
        Column with the time from which the row could be read.
    delay : str or int, optional
        Fixed delay from `time` until the row could be read, such as ``"1h"``; 0 if it could be
        read at once. One of `available_at` and `delay` is needed: saying nothing would be a guess.
    by : str or sequence of str
        Columns that the table shares with the events (a station, a shop).
    """

    data: frames.Source
    time: str
    available_at: str | None = None
    delay: str | int | None = None
    by: str | Sequence[str] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """`by` as a tuple."""
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)


@dataclass(frozen=True)
class SideTable:
    """
    A side table as the features function receives it.

    Attributes
    ----------
    table : frame of the user's kind
        The rows, in order of availability.
    """

    rows: Frame
    time: Times
    available: Times
    keys: tuple[str, ...]
    clock: Clock
    event_time: str

    @property
    def table(self) -> Any:
        """The rows as the user's kind of frame."""
        return self.rows.to_native()

    def before(self, cutoff: int) -> SideTable:
        """Return the rows that were available at an instant."""
        if self.rows.implementation.is_pandas() or (self.available[1:] < self.available[:-1]).any():
            return self.where(self.available <= cutoff)
        # In order of availability: a slice, which copies nothing.
        n = int(np.searchsorted(self.available, cutoff, side="right"))
        made = self.rows[:n], self.time[:n], self.available[:n]
        return SideTable(*made, self.keys, self.clock, self.event_time)

    def where(self, chosen: Bools) -> SideTable:
        """Return some of the rows."""
        keep = np.flatnonzero(chosen)
        return SideTable(
            frames.take(self.rows, keep),
            self.time[keep],
            self.available[keep],
            self.keys,
            self.clock,
            self.event_time,
        )

    def asof(self, events: Any) -> Any:
        """
        Return, for each event, the row with the latest `time` that was available at its own time.

        Of several rows of that time (a value and its correction) the one that became available
        last counts, and of equals the last; a late correction of an old hour does not hide a newer
        reading. Where nothing was available every value is missing; a missing key matches a missing one.

        Parameters
        ----------
        events : frame of n_rows
            As received by the features function; in any order.

        Returns
        -------
        frame of n_rows
            The table's columns, row for row with the events, without its key columns.
        """
        left = frames.eager(events, "asof")
        asked = self._asked(left, "asof")
        ours, theirs = joins.shared(*self._keys(left, "asof"), (len(asked), len(self.time)))
        found = joins.latest(joins.Asked(ours, asked), theirs, self.time, self.available)
        return _aligned(frames.pick(self.rows.drop(*self.keys), found).to_native(), left)

    def ages(self, events: Any) -> Times:
        """
        Return, for each event, how long ago the row became available that `asof` finds; -1 where there is none.

        In nanoseconds or ticks. The time that a row speaks of may lie in the future: a forecast's does.

        Parameters
        ----------
        events : frame of n_rows

        Examples
        --------
        >>> import pandas as pd
        >>> rain = pd.DataFrame({"hour": [1, 2, 3], "mm": [5.0, 1.0, 2.0]})
        >>> side = side_table(Table(lambda: rain, "hour", delay=1), frames.eager(rain, "rain"), 1, "t", "rain")
        >>> side.ages(pd.DataFrame({"t": [1, 3, 9]})).tolist()
        [-1, 0, 5]
        """
        left = frames.eager(events, "ages")
        asked = self._asked(left, "ages")
        if not len(self.time):
            return np.full(len(asked), -1, dtype=np.int64)
        ours, theirs = joins.shared(*self._keys(left, "ages"), (len(asked), len(self.time)))
        found = joins.latest(joins.Asked(ours, asked), theirs, self.time, self.available)
        return np.where(found >= 0, asked - self.available[found], -1)

    def gaps(self) -> Times:
        """Return the times from when a row of a key became available to the next, where that is later."""
        ours, theirs = self._keys(self.rows, "gaps")
        codes, _ = joins.shared(ours, theirs, (len(self.time), len(self.time)))
        order = np.lexsort((self.available, codes))
        step = np.diff(self.available[order])
        return np.asarray(step[(np.diff(codes[order]) == 0) & (step > 0)])

    def trailing(
        self, events: Any, window: str | int, made: Mapping[str, Any], *, corrected: bool = False, prefix: str = ""
    ) -> Any:
        """
        Return, for each event, what the rows of the window before it add up to, as far as they were available then.

        An event at t sees the rows of its key whose `time` is after t - window and up to t, and that were available at
        t. Missing values (null or NaN) are left out. Where nothing is left, sum, count, rows and nunique are 0 and all
        else is missing. Sums are exact and rounded once, so that an event's features are the same to the last bit alone
        and among millions, whatever else the table holds.

        Parameters
        ----------
        events : frame of n_rows
            As received by the features function; in any order.
        window : str or int
            Such as ``"7D"`` (a day has 24 hours, a month 30 days), an int where times are integers, or ``"all"``.
        made : mapping of str to tuple or str
            By name of the column to make: ``("mm", "sum")``, or ``count``, ``mean``, ``std`` (of a sample), ``min``,
            ``max``, ``last`` (the value of the latest time), ``nunique``; ``("status", "share", "late")``, how often a
            value is taken (of a column of true and false, without the value); ``"rows"``, their number.
        corrected : bool
            Whether of rows with the same key and time only the one that became available last counts: a table of
            readings that are corrected, not one of purchases.
        prefix : str
            Put before the names.

        Returns
        -------
        frame of n_rows
            Row for row with the events.

        Raises
        ------
        AppError, DataError
            If the window, a name or a column is wrong.

        Examples
        --------
        >>> import pandas as pd
        >>> rain = pd.DataFrame({"hour": [1, 2, 3], "mm": [5.0, 1.0, 2.0]})
        >>> side = side_table(Table(lambda: rain, "hour", delay=1), frames.eager(rain, "rain"), 1, "t", "rain")
        >>> side.trailing(pd.DataFrame({"t": [3, 4]}), 2, {"mm": ("mm", "sum"), "n": "rows"}).to_dict("list")
        {'mm': [1.0, 2.0], 'n': [1, 1]}
        """
        field = "trailing"
        left = frames.eager(events, field)
        asked = self._asked(left, field)
        span = None if window == "all" else self._span(window, field)
        wanted = joins.parsed({f"{prefix}{name}": one for name, one in made.items()}, field)
        ours, theirs = joins.shared(*self._keys(left, field), (len(asked), len(self.time)))
        rows = joins.Rows(theirs, self.time, self.available, lambda name: frames.whole(self.rows, name, field))
        found = joins.summed_up(joins.Asked(ours, asked), rows, span, wanted, corrected=corrected, field=field)
        return _aligned(frames.of_columns(found, str(left.implementation), field), left)

    def _span(self, window: str | int, field: str) -> int:
        fits(self.clock, window, field)
        return Duration.parse(window, field).exact

    def _asked(self, left: Frame, field: str) -> Times:
        asked, clock = frames.times(left, self.event_time, field)
        if clock.kind != self.clock.kind:
            raise DataError(f"{field}: the table's time and the events' time are of different kinds.")
        missing = np.flatnonzero(asked == NEVER)
        if len(missing):
            raise DataError(f"{field}: {self.event_time!r} is missing in row {missing[0]} of the events.")
        return asked

    def _keys(self, left: Frame, field: str) -> tuple[list[Any], list[Any]]:
        ours, theirs = ([frames.whole(one, key, field) for key in self.keys] for one in (left, self.rows))
        return ours, theirs


def _aligned(made: Any, left: Frame) -> Any:
    """Give a pandas frame the index of the events: events["x"] = asof(events)["x"] is aligned by it."""
    if left.implementation.is_pandas() and frames.eager(made, "asof").implementation.is_pandas():
        made.index = left.to_native().index
    return made


def side_table(table: Table, frame: Frame, delay: int | None, event_time: str, field: str) -> SideTable:
    """Read when the rows of a side table were available, and put them in that order."""
    spoken, clock = frames.times(frame, table.time, f"{field}.time")
    frames.need(frame, table.keys, f"{field}.by")
    if table.available_at is not None:
        available, other = frames.times(frame, table.available_at, f"{field}.available_at")
        if other.kind != clock.kind:
            raise DataError(f"{field}.available_at: not the same kind of time as {table.time!r}.")
    else:
        available = np.where(spoken == NEVER, NEVER, spoken + np.int64(delay or 0))
    order = np.lexsort((spoken, available))
    return SideTable(frames.take(frame, order), spoken[order], available[order], table.keys, clock, event_time)
