"""What must hold of one column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from mlwild.errors import AppError

Limit = float | date | datetime | None

KINDS = ("number", "integer", "category", "text", "boolean", "time", "other")


@dataclass(frozen=True)
class Column:
    """
    What must hold of one column; what is not said may be anything, but nothing may be missing unless it is said.

    Parameters
    ----------
    kind : {"number", "integer", "category", "text", "boolean", "time", "other"}
        Floats that are whole pass as ``integer``, and floats 0 and 1 as ``boolean``: frames keep gaps so. ``other``
        is anything, such as lists.
    unit : str
        For the reader and the messages, such as ``"kW"``.
    low, high : float, date or datetime, optional
        Smallest and greatest value, both allowed; of numbers, integers and times.
    allowed : tuple of str or int, optional
        The values that there may be, of categories and integers.
    most_new : float
        Greatest share of the rows whose value is not among `allowed`; 0 closes the set.
    most_missing : float
        Greatest share of missing values (null or NaN), in the table and in each period. With 1 the column may be
        left out altogether, as a label may be before it is known.
    unique : bool
        Whether no value may come twice.
    rising : bool
        Whether it never falls in the order of the rows.
    longest_run : int, optional
        Most rows on end that may have the same value: a longer run is a sensor that stands still.
    typical : tuple of two floats, optional
        Where the median of a period lies. A median outside is looked at for a slip of units, and is no fault else.

    Raises
    ------
    AppError
        If a field is wrong; the message begins with its name.

    Examples
    --------
    >>> Column("number", unit="kW", low=0.0, high=50.0)
    Column(kind='number', unit='kW', low=0.0, high=50.0, ...)
    >>> Column("number", low=5.0, high=2.0)
    Traceback (most recent call last):
    ...
    mlwild.errors.AppError: low: 5.0 is above high = 2.0.
    """

    kind: str
    unit: str = ""
    low: Limit = None
    high: Limit = None
    allowed: tuple[Any, ...] | None = None
    most_new: float = 0.0
    most_missing: float = 0.0
    unique: bool = False
    rising: bool = False
    longest_run: int | None = None
    typical: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        need(self.kind in KINDS, "kind", f"{self.kind!r} is not one of {', '.join(KINDS)}.")
        need(isinstance(self.unit, str), "unit", f"{self.unit!r} is not text.")
        for name in ("unique", "rising"):
            value = getattr(self, name)
            need(isinstance(value, bool), name, f"{value!r} is neither true nor false.")
        for name in ("most_new", "most_missing"):
            check_share(getattr(self, name), name)
        self._check_limits()
        self._check_allowed()
        run = self.longest_run
        need(
            run is None or (is_whole(run) and run >= 1), "longest_run", f"{run!r} is not a whole number of at least 1."
        )
        if self.typical is not None:
            self._suits("typical", "number", "integer")
            pair = isinstance(self.typical, tuple) and len(self.typical) == 2 and all(map(is_number, self.typical))
            need(pair and self.typical[0] <= self.typical[1], "typical", f"{self.typical!r} is not [low, high].")

    def _check_limits(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is None:
                continue
            self._suits(name, "number", "integer", "time")
            if self.kind == "time":
                need(isinstance(value, date), name, f"{value!r} is not a date such as 2024-01-31.")
            else:
                need(is_number(value), name, f"{value!r} is not a finite number.")
        if self.low is not None and self.high is not None:
            need(_ordered(self.low, self.high), "low", f"{self.low} is above high = {self.high}.")

    def _check_allowed(self) -> None:
        if self.allowed is None:
            need(self.most_new == 0, "most_new", "there is no list `allowed` that a value could be new to.")
            return
        self._suits("allowed", "category", "integer")
        kind, words = (int, "whole number") if self.kind == "integer" else (str | int, "word or whole number")
        need(isinstance(self.allowed, tuple), "allowed", f"{self.allowed!r} is not a list.")
        for value in self.allowed:
            need(isinstance(value, kind) and not isinstance(value, bool), "allowed", f"{value!r} is not a {words}.")
        need(len({type(value) for value in self.allowed}) < 2, "allowed", "words and numbers are mixed.")
        need(len(set(self.allowed)) == len(self.allowed), "allowed", "a value stands there twice.")

    def _suits(self, name: str, *kinds: str) -> None:
        need(self.kind in kinds, name, f"a column of kind {self.kind!r} has none; it is for {' and '.join(kinds)}.")


def need(condition: bool, field_: str, message: str) -> None:
    """Raise with the field's name in front."""
    if not condition:
        raise AppError(f"{field_}: {message}")


def is_number(value: Any) -> bool:
    """Say whether a value is a finite number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Say whether a value is an int and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_share(value: Any, name: str) -> None:
    """Refuse what is not a share."""
    need(is_number(value) and 0 <= value <= 1, name, f"{value!r} is not a share from 0 to 1.")


def _ordered(low: Any, high: Any) -> bool:
    if isinstance(low, date):
        ends = [one if isinstance(one, datetime) else datetime(one.year, one.month, one.day) for one in (low, high)]  # noqa: DTZ001
        ends = [one.replace(tzinfo=None) - (one.utcoffset() or timedelta()) for one in ends]
        return ends[0] <= ends[1]
    return bool(low <= high)
