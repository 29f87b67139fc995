"""Events: rows with the time they were asked for and the time their label was known."""

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
from mlwild.labels import Told

_HOUR = 3_600_000_000_000

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """
    The history of an app, sorted by time.

    Parameters
    ----------
    frame : narwhals.DataFrame of shape (n_rows, n_columns)
        The user's rows in order of time; rows of the same instant keep their order.
    time : ndarray of int64, shape (n_rows,)
        When each prediction was asked for.
    known_at : ndarray of int64, shape (n_rows,)
        When its label arrived; ``NEVER`` where it did not.
    label : ndarray of shape (n_rows,)
        The labels as they came; meaningless where `known_at` is ``NEVER``.
    weight : ndarray of float64, shape (n_rows,)
        1, or one over the propensity where feedback is selective.
    clock : Clock
        What the integers in `time` mean.
    told : Told, optional
        What the table of labels held, where labels have one of their own.
    unsound : int
        Labels that count as not known, since nothing can be told from the form that they had at an earlier instant.
    """

    frame: Frame
    time: Times
    known_at: Times
    label: NDArray[Any]
    weight: NDArray[np.float64]
    clock: Clock
    told: Told | None = None
    unsound: int = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time)

    @property
    def labelled(self) -> Bools:
        """Rows whose label arrived at some time."""
        return np.asarray(self.known_at != NEVER)

    def known(self, cutoff: int) -> Bools:
        """
        Return the rows that may be learned from at a cutoff.

        Those asked for before it, and whose label had arrived by then.
        """
        return np.asarray((self.time < cutoff) & (self.known_at <= cutoff))


def gather(
    frame: Frame,
    *,
    time: str,
    label: str,
    known_at: str | None,
    delay: int | None,
    key: str | None = None,
    entity: str | None = None,
    propensity: str | None = None,
    then: bool = False,
) -> Events:
    """
    Sort a table by time and read when each label was known.

    Parameters
    ----------
    frame : narwhals.DataFrame of shape (n_rows, n_columns)
    time, label : str
        Columns of the time of the question and of its answer.
    known_at : str or None
        Column with the time when the label arrived.
    delay : int or None
        Fixed label delay in nanoseconds or ticks, instead of `known_at`.
    key : str or None
        Column that names each event once.
    entity : str or None
        Column that says whom an event is about; one entity has one event at a time.
    propensity : str or None
        Column with the probability that the label of the row was to be seen, in (0, 1].
    then : bool
        Whether these are rows as they were known at an earlier instant: a label that would be refused now has been
        corrected since, and counts as not known.

    Raises
    ------
    DataError
        If a time is missing, zones are mixed, a label was known before it was asked for, a key
        occurs twice, a propensity is out of range, or no row has a label.
    """
    asked, clock = frames.times(frame, time, "time")
    missing = np.flatnonzero(asked == NEVER)
    if len(missing):
        raise DataError(
            f"time: column {time!r} is missing in {len(missing)} of {len(asked)} rows, first in row "
            f"{missing[0]}. Drop these rows or fill in their time."
        )
    answer, unlabelled = frames.values(frame, label, "label")
    arrival = _arrivals(frame, asked, clock, time, known_at, delay, then=then)
    _unique(frame, key, None, "key")
    _unique(frame, entity, asked, "entity")
    unsound = arrival < asked
    unsound |= np.isinf(answer) if answer.dtype.kind == "f" else False
    if unsound.any() and not then:
        row = int(np.flatnonzero(unsound)[0])
        raise DataError(f"label: column {label!r} is infinite in row {row}. Make it missing or finite.")
    arrival = np.where(unlabelled | unsound, NEVER, arrival)
    if not (arrival != NEVER).any():
        raise DataError(f"label: no row has a label: all {len(asked)} values of {label!r} are missing or never known.")
    weight = _weights(frame, propensity, arrival != NEVER)
    order = np.argsort(asked, kind="stable")
    # Taken even where they are in order: a pandas index of the user's own would align rows by label.
    frame = frames.take(frame, order)
    asked, arrival, answer, weight = asked[order], arrival[order], answer[order], weight[order]
    return Events(frame, asked, arrival, answer, weight, clock, unsound=int(unsound.sum()))


def _arrivals(
    frame: Frame, asked: Times, clock: Clock, time: str, known_at: str | None, delay: int | None, *, then: bool
) -> Times:
    if known_at is None:
        return asked + np.int64(delay or 0)
    arrival, other = frames.times(frame, known_at, "known_at")
    if other.kind != clock.kind:
        words = {"instant": "times with a zone", "naive": "times without a zone", "tick": "integers"}
        raise DataError(
            f"known_at: column {known_at!r} holds {words[other.kind]} and {time!r} holds "
            f"{words[clock.kind]}. Give both of them the same kind."
        )
    early = np.flatnonzero(arrival < asked)
    if len(early) and not then:
        row = int(early[0])
        twice = clock.kind == "naive" and int((asked - arrival)[early].max()) <= _HOUR
        hint = " Where clocks go back, local times come twice: give them a time zone." if twice else ""
        raise DataError(
            f"known_at: {len(early)} labels are known before their event, first in row {row}: "
            f"{known_at} {clock.show(int(arrival[row]), seconds=True)} < "
            f"{time} {clock.show(int(asked[row]), seconds=True)}. Correct the column or give a delay.{hint}"
        )
    return arrival


def _unique(frame: Frame, column: str | None, asked: Times | None, field: str) -> None:
    if column is None:
        return
    names, missing = frames.values(frame, column, field)
    codes = np.unique(names.astype(str) if names.dtype == object else names, return_inverse=True)[1]
    rows = np.flatnonzero(~missing)
    keys = (codes[rows],) if asked is None else (asked[rows], codes[rows])
    order = rows[np.lexsort(keys)]
    same = codes[order[1:]] == codes[order[:-1]]
    if asked is not None:
        same &= asked[order[1:]] == asked[order[:-1]]
    if same.any():
        at = int(np.flatnonzero(same)[0])
        first, second = sorted((int(order[at]), int(order[at + 1])))
        when = "" if asked is None else " at the same time"
        raise DataError(
            f"{field}: {column}={_plain(names[first])!r} occurs twice{when}, in rows {first} and {second} "
            f"({int(same.sum())} repeats in all). Keep one row of each."
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _weights(frame: Frame, propensity: str | None, labelled: Bools) -> NDArray[np.float64]:
    if propensity is None:
        return np.ones(len(labelled))
    chance, missing = frames.values(frame, propensity, "propensity")
    if chance.dtype.kind not in "biuf":
        raise DataError(f"propensity: column {propensity!r} holds {chance[0]!r}, which is not a number.")
    bad = labelled & (missing | ~((chance > 0) & (chance <= 1)))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"propensity: column {propensity!r} is {chance[row]} in row {row}, which has a label; "
            "it must lie in (0, 1]."
        )
    return np.where(labelled, 1.0 / np.where(bad | missing | ~labelled, 1.0, chance), 1.0)


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
