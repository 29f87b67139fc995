"""The columns of a request: what each may hold, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Any

#: Kinds of column, and the JSON schema of each.
SCHEMAS: Mapping[str, dict[str, Any]] = {
    "number": {"type": ["number", "null"]},
    "integer": {"type": ["integer", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "text": {"type": ["string", "null"]},
    "time": {"type": ["string", "null"], "format": "date-time"},
    "date": {"type": ["string", "null"], "format": "date"},
    "other": {"type": "null"},
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Microseconds since 1970 that nanoseconds in 64 bits can hold, and that years of four digits can.
FAR, FURTHEST = 9_223_000_000_000_000, 253_402_300_799_999_999
#: Microseconds of a day.
DAY = 86_400_000_000


class WrongValueError(ValueError):
    """A value is not what its column holds."""


@dataclass(frozen=True)
class Column:
    """
    A column of the app's data, as a request gives it.

    Parameters
    ----------
    name : str
    kind : {"number", "integer", "boolean", "text", "time", "date", "other"}
        ``other``: lists and the like, which no request can give.
    low, high : int
        Of whole numbers: least and greatest that the column can hold.
    zoned : bool
        Of times: whether they have a time zone.
    far : int
        Of times and dates: microseconds since 1970, either way, that the column can hold.
    """

    name: str
    kind: str
    low: int = 0
    high: int = 0
    zoned: bool = False
    far: int = FAR

    def read(self, value: Any) -> Any:
        """
        Return a JSON value as the column holds it; times as microseconds since 1970, dates as days.

        Raises
        ------
        WrongValueError
            With what the column needs.

        Examples
        --------
        >>> Column("x", "number").read(2), Column("at", "time", zoned=True).read("1970-01-01T00:00:01Z")
        (2.0, 1000000)
        """
        if value is None:
            return None
        kind = self.kind
        if kind == "number":
            if (type(value) is float or type(value) is int) and isfinite(value := _float(value)):
                return value
            raise WrongValueError("needs a number")
        if kind == "text":
            if type(value) is str and (value.isascii() or _encodable(value)):
                return value
            raise WrongValueError("needs text")
        if kind == "integer":
            if type(value) is float and value.is_integer():
                value = int(value)
            if type(value) is not int:
                raise WrongValueError("needs a whole number")
            if self.low <= value <= self.high:
                return value
            raise WrongValueError(f"needs a whole number of {self.low} to {self.high}")
        if kind == "boolean":
            if type(value) is bool:
                return value
            raise WrongValueError("needs true or false")
        if kind == "time":
            return self._instant(value)
        if kind == "date":
            try:
                days = (date.fromisoformat(value) - _EPOCH.date()).days
            except (TypeError, ValueError):
                raise WrongValueError("needs a date such as 2026-01-31") from None
            if abs(days) > self.far // DAY:
                raise WrongValueError(self.beyond)
            return days
        raise WrongValueError("cannot be given in a request: its column holds no plain values")

    def _instant(self, value: Any) -> int:
        need = "2026-01-31T12:00:00Z, with its zone" if self.zoned else "2026-01-31T12:00:00, without a zone"
        try:
            wall = datetime.fromisoformat(value)
            if (wall.tzinfo is not None) != self.zoned:
                raise ValueError  # noqa: TRY301  the same sentence
            span = (wall if self.zoned else wall.replace(tzinfo=UTC)) - _EPOCH
        except (TypeError, ValueError, OverflowError):
            raise WrongValueError(f"needs a time such as {need}") from None
        made = span // _MICROSECOND
        if abs(made) > self.far:
            raise WrongValueError(self.beyond)
        return made

    @property
    def beyond(self) -> str:
        """Why a time or a date is refused that the column cannot hold."""
        return f"needs a {self.kind} between {'1678 and 2262' if self.far == FAR else '1 and 9999'}"

    @property
    def schema(self) -> dict[str, Any]:
        """What JSON Schema says of it."""
        made = dict(SCHEMAS[self.kind])
        return made | {"minimum": self.low, "maximum": self.high} if self.kind == "integer" else made


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no text
        return False
    return True


@dataclass(frozen=True)
class Columns:
    """
    What a request is made of.

    Parameters
    ----------
    needed : tuple of Column
        What a row is asked to give, in order.
    hidden : tuple of str
        Columns that come with the label: they may be given, and are not looked at.
    time : str
        Column of the event's time.
    key : str or None
        Column that names an event.
    past : tuple of str
        Columns that the app once had: callers who still give them are answered as if they did not, and told.
    reordered : bool
        Whether the app once had as many columns, and others or in another order: values without names may be of those.
    """

    needed: tuple[Column, ...]
    hidden: tuple[str, ...]
    time: str
    key: str | None
    past: tuple[str, ...] = ()
    reordered: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "needed": [asdict(one) for one in self.needed],
            "hidden": list(self.hidden),
            "time": self.time,
            "key": self.key,
            "past": list(self.past),
            "reordered": self.reordered,
        }

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Columns:
        """Return columns of plain data."""
        needed = tuple(Column(**one) for one in plain["needed"])
        lists = {name: tuple(plain[name]) for name in ("hidden", "past")}
        return Columns(needed, **lists, time=plain["time"], key=plain["key"], reordered=plain["reordered"])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what a row gives."""
        return tuple(one.name for one in self.needed)

    def unfilled(self, other: Columns) -> list[str]:
        """
        Return the columns of another app that rows of these columns do not fill.

        Examples
        --------
        >>> mine, rival = (Columns((Column(name, "number"),), (), "t", None) for name in "xz")
        >>> mine.unfilled(rival), mine.unfilled(mine)
        (['z'], [])
        """
        given = {one.name: (one.kind, one.zoned) for one in self.needed}
        whole = {one.name for one in self.needed if one.kind == "integer"}  # fills a column of fractions too
        return [
            one.name
            for one in other.needed
            if given.get(one.name) != (one.kind, one.zoned) and not (one.name in whole and one.kind == "number")
        ]


def learned(schema: Any, *, hidden: Sequence[str], time: str, key: str | None) -> Columns:
    """Return the columns that a request must have, of the Arrow schema of an app's data."""
    needed = tuple(_column(field, time) for field in schema if field.name not in hidden)
    return Columns(needed, tuple(name for name in hidden if name in schema.names), time, key)


def _column(field: Any, time: str) -> Column:
    import pyarrow as pa

    # The time of events is counted in nanoseconds; other columns may say that something has no end, by the year 9999.
    far = FAR if field.name == time or getattr(field.type, "unit", "") == "ns" else FURTHEST
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_boolean(kind):
        return Column(field.name, "boolean")
    if pa.types.is_integer(kind):
        bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
        low = -(2 ** (bits - 1)) if signed else 0
        # What JSON of other languages can hold is less than what 64 bits can.
        return Column(field.name, "integer", low, min(2 ** (bits - signed) - 1, 2**63 - 1))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Column(field.name, "number")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Column(field.name, "text")
    if pa.types.is_timestamp(kind):
        return Column(field.name, "time", zoned=kind.tz is not None, far=far)
    if pa.types.is_date(kind):
        return Column(field.name, "date", far=far)
    return Column(field.name, "other")
