"""Instants, durations and cutoffs; the only place that knows calendars."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError

Times = NDArray[np.int64]

#: "This label never arrived": later than every instant that can be named.
NEVER: Final[int] = np.iinfo(np.int64).max

_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "D": 86_400_000_000_000,
    "W": 604_800_000_000_000,
}
_CALENDAR: Final = ("D", "W", "M", "Y")
#: More periods than this are taken for a mistake in the unit.
MOST_PERIODS: Final = 20_000

#: Periods that the first vintage learns from, unless the app names its first cutoff.
WARM_UP: Final = 8

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Duration:
    """
    A span of time as a user writes it: ``"7D"``, ``"36h"``, ``"1M"`` or a number of ticks.

    Days, weeks, months and years are calendar spans (a day is 23 or 25 hours long when the
    clocks change); hours and shorter units are exact.

    Examples
    --------
    >>> Duration.parse("7D")
    Duration(count=7, unit='D')
    >>> str(Duration.parse(500))
    '500 ticks'
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, value: str | int | timedelta, field: str = "duration") -> Duration:
        """
        Read a duration.

        Parameters
        ----------
        value : str, int or timedelta
            ``"7D"``; an int counts ticks of an integer time column.
        field : str
            Name of the field it came from, for the error.

        Raises
        ------
        AppError
            If it is not a positive duration.
        """
        if isinstance(value, timedelta):
            nanoseconds = round(value.total_seconds() * 1e6) * 1_000
            value = f"{nanoseconds}ns"
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            if value <= 0:
                raise AppError(f"{field}: {value} ticks is not a positive duration.")
            return cls(int(value), "tick")
        match = re.fullmatch(r"\s*(\d+)?\s*(ns|us|ms|s|min|h|D|W|M|Y)\s*", str(value))
        if not match or (match[1] is not None and int(match[1]) == 0):
            raise AppError(
                f"{field}: {value!r} is not a duration. Write a number and a unit of "
                "s, min, h, D, W, M or Y, such as '7D', or an int for an integer time column."
            )
        return cls(int(match[1] or 1), match[2])

    def __str__(self) -> str:
        """Return the duration as a user would write it."""
        if self.unit == "tick":
            return f"{self.count} tick{'s' * (self.count != 1)}"
        return f"{self.count}{self.unit}"

    @property
    def exact(self) -> int:
        """Nanoseconds (ticks for tick durations); months and years count as 30 and 365 days."""
        if self.unit == "tick":
            return self.count
        days = {"M": 30, "Y": 365}.get(self.unit)
        return self.count * (_NS["D"] * days if days else _NS[self.unit])


@dataclass(frozen=True)
class Clock:
    """
    What the numbers in a time column mean.

    Parameters
    ----------
    kind : {"instant", "naive", "tick"}
        ``instant``: nanoseconds since 1970 in UTC, of a column with a time zone; ``naive``: the
        same without a zone; ``tick``: plain integers (a batch number, a row number).
    zone : str or None
        Name of the time zone in which days begin; None unless ``instant``.
    """

    kind: str
    zone: str | None = None

    def _tz(self) -> tzinfo:
        if self.zone is None or self.zone.upper() == "UTC":
            return UTC
        offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", self.zone)
        if offset:
            sign = -1 if offset[1] == "-" else 1
            span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            return timezone(sign * span)
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as problem:
            raise DataError(f"time: the time zone {self.zone!r} is not known here.") from problem

    def now(self) -> int:
        """
        Return this machine's time as an instant; where times have no zone, as this machine's wall clock shows it.

        Raises
        ------
        AppError
            If time is counted in integers: a machine knows nothing of those.
        """
        if self.kind == "tick":
            raise AppError("time: the time column holds integers, and no clock says which one is now.")
        return self._shown(_wall())

    def at(self, seconds: float) -> int:
        """
        Return what `now` was at so many seconds since 1970 of this machine's time: clocks may have changed since.

        Examples
        --------
        >>> Clock("instant").at(1.5)
        1500000000
        """
        return self._shown(_EPOCH + timedelta(seconds=seconds))

    def _shown(self, now: datetime) -> int:
        return self.instant(now if self.kind == "instant" else now.astimezone().replace(tzinfo=None))

    def local(self, at: int) -> datetime:
        """Return the wall clock at an instant, to the microsecond."""
        return (_EPOCH + timedelta(microseconds=int(at) // 1_000)).astimezone(self._tz())

    def instant(self, wall: datetime) -> int:
        """Return the instant of a wall-clock time (the first of two, when clocks go back)."""
        aware = wall if wall.tzinfo else wall.replace(tzinfo=self._tz())
        span = aware.astimezone(UTC) - _EPOCH
        return (span.days * 86_400 * 1_000_000 + span.seconds * 1_000_000 + span.microseconds) * 1_000

    def show(self, at: int, *, seconds: bool = False) -> str:
        """
        Write an instant for a reader.

        Examples
        --------
        >>> Clock("naive").show(0)
        '1970-01-01'
        >>> Clock("tick").show(12)
        '12'
        """
        if at == NEVER:
            return "never"
        if self.kind == "tick":
            return str(int(at))
        wall = self.local(at)
        if not seconds and wall.time() == datetime.min.time():
            return wall.date().isoformat()
        return wall.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds" if seconds else "minutes")

    def span(self, length: float) -> str:
        """
        Write a length of time (nanoseconds or ticks) in the largest unit that suits.

        Examples
        --------
        >>> Clock("naive").span(3600e9), Clock("naive").span(5400e9), Clock("naive").span(9.5e16), Clock("tick").span(1)
        ('1 hour', '1.5 hours', '1,100 days', '1 tick')
        """
        if self.kind == "tick":
            return f"{length:g} tick{'' if length == 1 else 's'}"
        for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second")):
            if abs(length) >= _NS[unit] or unit == "s":
                number = length / _NS[unit]
                many = f"{number:,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"
                return f"{many} {word}{'' if many == '1' else 's'}"
        raise AssertionError("unreachable: seconds always suit")

    def parse(self, value: Any, field: str) -> int:
        """
        Read a point in time as a user writes it.

        Parameters
        ----------
        value : str, date, datetime or int
            ISO text (``"2013-02-19"``), a date, or an int for a tick clock.
        field : str
            Name of the field, for the error.

        Raises
        ------
        AppError
            If it cannot be read, or has a time zone where the times have none.
        """
        if self.kind == "tick":
            if isinstance(value, int | np.integer) and not isinstance(value, bool):
                return int(value)
            raise AppError(f"{field}: {value!r} is not an int, and the time column holds ints.")
        try:
            wall = (
                value
                if isinstance(value, datetime)
                else datetime.combine(value, datetime.min.time())
                if isinstance(value, date)
                else datetime.fromisoformat(str(value))
            )
        except ValueError as problem:
            raise AppError(f"{field}: {value!r} is not a date such as '2013-02-19'.") from problem
        if self.kind == "naive" and wall.tzinfo is not None:  # nobody knows where the wall clock of the times hangs
            raise AppError(
                f"{field}: {str(value)!r} has a time zone, and the times of the data have none. Leave it out."
            )
        return self.instant(wall)

    def add(self, at: int, duration: Duration, times: int = 1) -> int:
        """Return the instant that many durations later; calendar units follow the wall clock."""
        if (duration.unit == "tick") != (self.kind == "tick"):
            have = "ints" if self.kind == "tick" else "dates"
            raise AppError(
                f"every: {str(duration)!r} does not fit a time column of {have}. "
                f"Use {'an int such as 1' if have == 'ints' else 'a duration such as 7D'}."
            )
        count = duration.count * times
        if duration.unit not in _CALENDAR:
            return at + count * (1 if duration.unit == "tick" else _NS[duration.unit])
        wall = self.local(at).replace(tzinfo=None)
        if duration.unit in ("D", "W"):
            wall += timedelta(days=count * (7 if duration.unit == "W" else 1))
        else:
            months = wall.year * 12 + wall.month - 1 + count * (12 if duration.unit == "Y" else 1)
            year, month = divmod(months, 12)
            last = calendar.monthrange(year, month + 1)[1]
            wall = wall.replace(year=year, month=month + 1, day=min(wall.day, last))
        return self.instant(wall) + at % 1_000  # a wall clock knows microseconds

    def floor(self, at: int, duration: Duration) -> int:
        """Return the start of the day, month, hour ... that an instant lies in."""
        if duration.unit == "tick":
            return at
        if duration.unit not in _CALENDAR:  # where clocks are half an hour off, hours begin there too
            shift = (self.local(at).utcoffset() or timedelta()) // timedelta(seconds=1) * _NS["s"]
            return at - (at + shift) % _NS[duration.unit]
        wall = self.local(at).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
        if duration.unit == "M":
            wall = wall.replace(day=1)
        if duration.unit == "Y":
            wall = wall.replace(month=1, day=1)
        return self.instant(wall)

    def cutoffs(self, first: int, last: int, every: Duration, start: int | None = None, gap: int = 0) -> Times:
        """
        Return the instants of decision, and the end of the last whole period.

        Parameters
        ----------
        first, last : int
            Time of the first and of the last event.
        every : Duration
            The cadence.
        start : int, optional
            First cutoff. Default: after `WARM_UP` periods. It does not depend on where the history
            ends, so that tomorrow's rehearsal has the cutoffs of today's and one more.

        gap : int
            Usual time between events: so long before a period's end its last event may come.

        Returns
        -------
        ndarray of int64, shape (n_periods + 1,)
            Period k runs from entry k (included) to entry k + 1 (excluded). A last period that
            the data do not fill is left out.

        Examples
        --------
        >>> clock = Clock("tick")
        >>> clock.cutoffs(0, 119, Duration.parse(10))
        array([ 80,  90, 100, 110, 120])
        """
        origin = self.floor(first, every) if start is None else start
        if (last - first) / every.exact > MOST_PERIODS:
            raise AppError(
                f"every: {str(every)!r} cuts {self.span(last - first)} into more than {MOST_PERIODS:,} periods. "
                "Use a longer cadence."
            )
        edges = []
        step = 0
        slack = max(1 if self.kind == "tick" else every.exact // 100, min(gap, every.exact // 2))
        earliest = self.add(origin, every, WARM_UP) if start is None else start
        while True:
            edge = self.add(origin, every, step)
            if edge > last + slack:
                break
            if edge >= earliest and edge > first:
                edges.append(edge)
            step += 1
        return np.asarray(edges, dtype=np.int64)


def _wall() -> datetime:
    """Return this machine's time in UTC; all that asks for it asks here. It may jump: no deadline hangs on it."""
    return datetime.now(UTC)  # noqa: TID251  the one place


def today() -> date:
    """Return this machine's day: the only place where the program asks for it."""
    return _wall().astimezone().date()  # a day on somebody's calendar, for waivers


def now_text() -> str:
    """Return this machine's time in UTC as ISO text, to the second: when something was written down."""
    return _wall().isoformat(timespec="seconds")


def now_seconds() -> float:
    """Return this machine's time in seconds since 1970: when something was, or began."""
    return _wall().timestamp()


def text_of(seconds: float) -> str:
    """
    Return an instant of this machine, in seconds since 1970, as a reader writes it.

    Examples
    --------
    >>> text_of(0)
    '1970-01-01 00:00 UTC'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def fits(clock: Clock, value: str | int | timedelta | None, field: str) -> None:
    """
    Refuse a span that has no unit where the times are dates, or has one where they are integers.

    Raises
    ------
    AppError
        With the field's name.
    """
    if value is None or _none(value):
        return
    ticks = Duration.parse(value, field).unit == "tick"
    if ticks and clock.kind != "tick":
        raise AppError(f"{field}: {value} has no unit, and the time column holds dates. Write '{value}D' or the like.")
    if not ticks and clock.kind == "tick":
        what = "Write an int; if they are dates such as 20260131, make times of them in `data`."
        raise AppError(f"{field}: {str(value)!r} has a unit, and the time column holds integers. {what}")


def delay_of(value: str | int | timedelta, field: str = "delay") -> int:
    """
    Return a label or availability delay in nanoseconds (ticks for an int).

    Examples
    --------
    >>> delay_of("1h")
    3600000000000
    """
    return 0 if _none(value) else Duration.parse(value, field).exact


def _none(value: str | int | timedelta) -> bool:
    """Say whether a span is 0, in whatever unit."""
    nothing = re.fullmatch(r"\s*0+\s*(ns|us|ms|s|min|h|D|W|M|Y)?\s*", str(value)) or value == timedelta(0)
    return bool(nothing) and not isinstance(value, bool)
