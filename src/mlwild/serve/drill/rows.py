"""The newest rows of the history, as requests give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from mlwild.app import App
from mlwild.columns import Column, Columns
from mlwild.errors import DataError
from mlwild.triangle.survey import read_events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Microseconds of a day.
DAY = 86_400_000_000


@dataclass(frozen=True, eq=False)
class Rows:
    """
    Rows that can be asked for.

    Parameters
    ----------
    plain : sequence of dict
        Of each row what JSON holds, less its time.
    times : sequence of int
        Microseconds since 1970, days, or whatever integers the time column holds.
    time : Column
    now : callable
        Returns the time in microseconds as the time column counts it; None where that holds integers.
    """

    plain: Sequence[Mapping[str, Any]]
    times: Sequence[int]
    time: Column
    now: Callable[[], int | None]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.plain)

    def row(self, place: int, days: int = 0, ahead: int | None = None, *, present: bool = False) -> dict[str, Any]:
        """
        Return a row: its time moved by some days (or ticks), or so many hours ahead of now.

        At `present`, every other says that it is now, and the others say no time: they are for the server to date.
        """
        unit = DAY if self.time.kind == "time" else 1
        time, now = self.times[place] + days * unit, self.now()
        if present and now is not None:
            if place % 2 and self.plain[place]:
                return dict(self.plain[place])
            ahead = 0
        if ahead is not None and now is not None:
            then = now + ahead * DAY // 24
            time = then // DAY if self.time.kind == "date" else then
        return {**self.plain[place], self.time.name: shown(self.time, time)}


def shown(column: Column, value: int) -> Any:
    """
    Return a time as JSON holds it.

    Examples
    --------
    >>> shown(Column("at", "time", zoned=True), 1_000_000), shown(Column("day", "date"), 1)
    ('1970-01-01T00:00:01+00:00', '1970-01-02')
    """
    if column.kind == "date":
        return (_EPOCH.date() + timedelta(days=value)).isoformat()
    if column.kind != "time":
        return value
    wall = _EPOCH + timedelta(microseconds=value)
    return (wall if column.zoned else wall.replace(tzinfo=None)).isoformat()


def newest(app: App, columns: Columns, now: Callable[[], int | None], most: int) -> Rows:
    """
    Return the newest rows of an app's history.

    Parameters
    ----------
    app : App
    columns : Columns
        What a request is made of.
    now : callable
        As `Rows` has it; rows that lie behind it are given its time.
    most : int
        Rows.

    Raises
    ------
    DataError
        If there are none.
    """
    events, _ = read_events(app)
    table = events.frame.to_arrow()
    order = np.argsort(np.asarray(events.time), kind="stable")[-most:]
    if not len(order):
        raise DataError("data: there is no row that could be asked for.")
    chosen = table.take(order)
    lists = {one.name: _values(chosen.column(one.name), one.kind) for one in columns.needed if one.kind != "other"}
    time = next(one for one in columns.needed if one.name == columns.time)
    times = _numbers(chosen.column(time.name), time.kind)
    if (until := now()) is not None:
        here = until // DAY if time.kind == "date" else until
        times = [min(one, here) for one in times]
    names = [name for name in lists if name != time.name]
    plain = [dict(zip(names, row, strict=True)) for row in zip(*(lists[name] for name in names), strict=True)]
    return Rows(plain or [{}] * len(times), times, time, now)


def _numbers(column: Any, kind: str) -> list[int]:
    import pyarrow as pa

    if kind == "time":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    elif kind == "date":
        column = column.cast(pa.date32()).cast(pa.int32())
    return [int(one) for one in column.to_pylist()]


def _values(column: Any, kind: str) -> list[Any]:
    if kind == "time":
        import pyarrow as pa

        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return [_value(one, kind) for one in column.to_pylist()]


def _value(one: Any, kind: str) -> Any:
    if one is None:
        return None
    if kind == "number":
        value = float(one)
        return value if np.isfinite(value) else None
    if kind in ("time", "date"):
        return (one.date() if kind == "date" and isinstance(one, datetime) else one).isoformat()
    return one if kind != "date" or isinstance(one, date) else None
