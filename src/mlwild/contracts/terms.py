"""What a contract holds: columns, statistics, periods. Values that are checked when they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib import import_module
from typing import Any

from mlwild.clock import Duration
from mlwild.contracts.column import Column, check_share, is_number, is_whole, need
from mlwild.errors import AppError

MEASURES = ("mean", "std", "quantile_Q", "share_zero", "share_distinct", "rows_per_period")
EXTRA = ("refuse", "allow")
_QUANTILE = re.compile(r"quantile_(0(\.\d+)?|1(\.0+)?)")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Statistic:
    """
    A number made of the rows of a period, and where it must lie.

    Parameters
    ----------
    measure : str
        ``mean``, ``std``, ``quantile_0.99`` (any share from 0 to 1), ``share_zero``, ``share_distinct`` of the known
        values of a column; ``rows_per_period``; or a function of yours as ``module:function``. It gets the known
        values of the column as an array, or the Arrow table of the period where no column is named.
    of : str
        The column; empty where there is none.
    low, high : float, optional
        At least one.
    most_missing : float
        Periods in which a greater share of the column is missing are not judged: labels come late.

    Raises
    ------
    AppError
        If a field is wrong; the message begins with its name.

    Examples
    --------
    >>> Statistic("quantile_0.99", of="price", low=80.0).name
    'quantile_0.99 of price'
    """

    measure: str
    of: str = ""
    low: float | None = None
    high: float | None = None
    most_missing: float = 1.0

    def __post_init__(self) -> None:
        """Check every field."""
        need(isinstance(self.measure, str), "measure", f"{self.measure!r} is not text.")
        known = self.measure in MEASURES or self.level is not None or _FUNCTION.fullmatch(self.measure)
        need(
            bool(known) and self.measure != "quantile_Q",
            "measure",
            f"{self.measure!r} is not one of {', '.join(MEASURES)} (such as quantile_0.99) or 'module:function'.",
        )
        need(isinstance(self.of, str), "of", f"{self.of!r} is not the name of a column.")
        counted = self.measure == "rows_per_period"
        need(not (counted and self.of), "of", "rows_per_period counts rows, not values of a column.")
        need(counted or bool(self.of) or ":" in self.measure, "of", f"say which column the {self.measure} is of.")
        for name in ("low", "high"):
            value = getattr(self, name)
            need(value is None or is_number(value), name, f"{value!r} is not a finite number.")
        need(self.low is not None or self.high is not None, "low", "give low, high or both.")
        if self.low is not None and self.high is not None:
            need(self.low <= self.high, "low", f"{self.low} is above high = {self.high}.")
        check_share(self.most_missing, "most_missing")

    @property
    def level(self) -> float | None:
        """The share below a quantile; None for other measures."""
        found = _QUANTILE.fullmatch(self.measure)
        return float(found[1]) if found else None

    @property
    def name(self) -> str:
        """What it is, in words."""
        return f"{self.measure} of {self.of}" if self.of else self.measure


@dataclass(frozen=True)
class Terms:
    """
    What must hold of one table.

    Parameters
    ----------
    columns : dict of str to Column
    statistics : tuple of Statistic
    key : tuple of str
        Columns that together name a row once.
    extra : {"refuse", "allow"}
        What becomes of a column that is not among `columns`.

    Raises
    ------
    AppError
        If the key or a statistic names a column that is not there; the message begins with the field's name.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    statistics: tuple[Statistic, ...] = ()
    key: tuple[str, ...] = ()
    extra: str = "refuse"

    def __post_init__(self) -> None:
        """Check the names."""
        need(self.extra in EXTRA, "extra", f"{self.extra!r} is neither 'refuse' nor 'allow'.")
        need(
            isinstance(self.key, tuple) and all(isinstance(name, str) for name in self.key),
            "key",
            f"{self.key!r} is not a list of columns.",
        )
        for name in self.key:
            need(name in self.columns, "key", f"there is no column {name!r}.")
        for statistic in self.statistics:
            if not statistic.of:
                continue
            need(statistic.of in self.columns, "statistics", f"{statistic.name}: there is no column {statistic.of!r}.")
            kind = self.columns[statistic.of].kind
            any_kind = statistic.measure == "share_distinct" or ":" in statistic.measure
            good = any_kind or kind in ("number", "integer", "boolean")
            need(good, "statistics", f"{statistic.name}: that is for numbers, and the column's kind is {kind!r}.")


@dataclass(frozen=True)
class Contract:
    """
    What the data and the features of an app must look like.

    Parameters
    ----------
    data : Terms
        Of the table as it comes in.
    features : Terms, optional
        Of what the features function makes of it.
    time : str, optional
        Column of `data` whose periods the shares and statistics are judged by; without it a table is one period.
    every : str or int, optional
        Length of a period, such as ``"7D"``; needed with `time`.
    start : date, datetime or int, optional
        Where one of the periods begins; default the day 1970-01-01, or 0.
    min_rows : int
        Periods with fewer rows are not judged by shares and statistics, but for their number of rows.

    Raises
    ------
    AppError
        If a field is wrong; the message begins with its name.

    Examples
    --------
    >>> terms = Terms({"power": Column("number", unit="kW", low=0.0, high=50.0)})
    >>> Contract(terms).data.columns["power"].high
    50.0
    """

    data: Terms
    features: Terms | None = None
    time: str | None = None
    every: str | int | None = None
    start: date | datetime | int | None = None
    min_rows: int = 30

    def __post_init__(self) -> None:
        """Check the periods."""
        need(is_whole(self.min_rows) and self.min_rows >= 1, "min_rows", f"{self.min_rows!r} is not a positive int.")
        if self.time is None:
            need(self.every is None, "every", 'periods need the column of the time: write time = "..." beside it.')
            need(self.start is None, "start", 'periods need the column of the time: write time = "..." beside it.')
            return
        need(self.time in self.data.columns, "time", f"the data have no column {self.time!r}.")
        need(self.every is not None, "every", 'say how long a period is, such as "7D".')
        Duration.parse(self.every, "every") if self.every is not None else None
        good = self.start is None or isinstance(self.start, date) or is_whole(self.start)
        need(good, "start", f"{self.start!r} is neither a date such as 2024-01-31 nor a whole number.")


def function_of(measure: str) -> Callable[[Any], Any]:
    """
    Return the function that ``module:function`` names.

    A module that `mlwild.load_app` has run already is not run again.

    Raises
    ------
    AppError
        If there is none.

    Examples
    --------
    >>> function_of("math:fsum")([0.1, 0.2])
    0.3
    """
    import sys

    module, name = measure.split(":")
    try:
        found = sys.modules.get(f"mlwild_app_{module}") or import_module(module)
    except ImportError as problem:
        raise AppError(f"measure: {measure!r}: the module {module!r} cannot be imported ({problem}).") from problem
    function = getattr(found, name, None)
    need(callable(function), "measure", f"{measure!r}: the module {module!r} has no function {name!r}.")
    made: Callable[[Any], Any] = function  # type: ignore[assignment]
    return made
