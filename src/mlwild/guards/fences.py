"""What a row's features must look like one by one: learned with slack, or taken from the app's contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import Clock
from mlwild.contracts import Column, infer
from mlwild.contracts.inference import BLOCKS
from mlwild.contracts.periods import times_of
from mlwild.contracts.tables import kind_of
from mlwild.errors import DataError
from mlwild.guards.encoding import Encoding, nanoseconds
from mlwild.guards.runs import Runs, longest_runs, longest_spans
from mlwild.stats import kernels
from mlwild.stats.even_grids import FARTHEST
from mlwild.stats.slips import commonest, fits_unit, likely_units
from mlwild.wording import number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Chance that a block of honest rows, one of some 24 in a history, passes any limit.
RATE = 0.01
#: A run of missing values, or of equal ones, so many times as long as the longest that was seen stands still.
LONGER, SHORTEST_RUN = 3, 20
#: What goes on is beyond what it can be from here on: so many times as far as it came in the history.
FARTHER = 10.0


@dataclass(frozen=True, eq=False)
class Fences:
    """
    Limits of each feature.

    Parameters
    ----------
    names : tuple of str
    low, high : ndarray of shape (n_features,)
        Infinite where there is no limit.
    gaps : ndarray of bool, shape (n_features,)
        Whether a value may be missing.
    news : ndarray of bool, shape (n_features,)
        Whether a word may be new.
    longest : ndarray of shape (n_features,)
        Most rows on end with the same value, or without one; infinite where there is no limit.
    typical : ndarray of shape (n_features,)
        Median of numbers, and of the numbers of words; NaN where there is none.
    clocks : mapping of str to (Clock, int)
        Of the columns of times, with the nanoseconds of their unit.
    lasting : ndarray of shape (n_features,), optional
        Time for which a value may stand still, however many rows come meanwhile; None where nobody knows the times.
    going : tuple of int
        Features that are always further on than before, as dates and running numbers are.
    """

    names: tuple[str, ...]
    low: Floats
    high: Floats
    gaps: Bools
    news: Bools
    longest: Floats
    typical: Floats
    clocks: Mapping[str, tuple[Clock, int]] = field(default_factory=dict)
    lasting: Floats | None = None
    going: tuple[int, ...] = ()
    near: bool = field(init=False, repr=False)
    _open: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep whether any word may be new, and whether what keeps all limits is near enough to be squared."""
        object.__setattr__(self, "_open", bool(np.isinf(self.high).any()))
        ends = min(self.low.min(initial=0.0), -self.high.max(initial=0.0))
        object.__setattr__(self, "near", bool(ends >= -FARTHEST))

    def keep(self, rows: Floats) -> bool:
        """
        Say whether it is known that every value is there and within its limits: most requests, sooner than by `broken`.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Column by column it is quicker.
        """
        if kernels.compiled is not None and rows.flags.f_contiguous:
            return bool(len(rows)) and bool(kernels.compiled.within(rows.T, self.low, self.high))
        if len(rows) == 1:  # `broken` takes no longer, and tells more
            return False
        # NaN would be least and greatest.
        return bool(len(rows) and (rows.min(axis=0) >= self.low).all() and (rows.max(axis=0) <= self.high).all())

    def broken(self, rows: Floats) -> Bools | None:
        """
        Mark the values that break a limit; None where none does.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            As `Encoding.matrix` makes them; column by column it is quicker.
        """
        # A comparison with NaN is false, so that a gap breaks no range.
        bad = (rows < self.low) | (rows > self.high)
        gaps = np.isnan(rows)
        bad = bad | (gaps & ~self.gaps) if gaps.any() else bad
        return bad if bad.any() else None

    def settled(self, rows: Floats) -> Floats:
        """Return rows in which a new word, where it may be, and what goes on count as the usual: that says nothing."""
        new = np.isinf(rows) if self._open else None
        rows = rows if new is None or not new.any() else np.where(new, self.typical, rows)
        if self.going:
            rows = rows.copy(order="K")
            rows[:, self.going] = self.typical[list(self.going)]
        return rows

    def still(self, runs: Runs, rows: Floats, times: Floats | None, *, whole: bool) -> Bools | None:
        """Take rows into runs, and mark the values that have stood still for too long; None where none has."""
        if self.lasting is None or times is None:
            return runs.feed(rows, self.longest, whole=whole)
        return runs.feed(rows, self.longest, times, self.lasting, whole=whole)

    def why(self, place: int, value: float) -> str:
        """Say what is wrong with a value."""
        name = self.names[place]
        if np.isnan(value):
            return f"{name} is missing"
        if np.isinf(value):
            return f"{name} holds a value that was never learned from"
        below = value < self.low[place]
        limit = self.low[place] if below else self.high[place]
        if name in self.clocks:
            shown, end = (_date(one, *self.clocks[name]) for one in (value, limit))
            return f"{name} is {shown}, {'before' if below else 'after'} {end}"
        said = f"{name} is {number(value)}, {'below' if below else 'above'} {number(float(limit))}"
        middle = float(self.typical[place])
        found = likely_units(value / middle) if middle and np.isfinite(middle) else ()
        # A feature has no unit that is known: what growth reaches too is no slip of one.
        units = [words for factor, words in found if fits_unit(factor, "")]
        return f"{said}: perhaps {units[0]} its unit" if units else said

    def why_still(self, place: int, value: float) -> str:
        """Say of a value that has stood still for too long what is wrong with it; a gap is told as one."""
        gap = np.isnan(value)
        if gap and not self.gaps[place]:
            return self.why(place, value)
        how = "been missing" if gap else "stood still"
        return f"{self.names[place]} has {how} for more than {self.longest[place]:,.0f} rows"


def _date(value: float, clock: Clock, unit: int) -> str:
    try:
        return clock.show(int(value) * unit)
    except OverflowError:  # columns hold times before the year 1 and after 9999, calendars do not
        return "beyond all dates"


def learn_fences(
    table: Any, encoding: Encoding, given: Mapping[str, Column] | None = None, times: Floats | None = None
) -> Fences:
    """
    Return the limits that features keep, those of a contract before those that their history suggests.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        What was learned from, in order of time.
    encoding : Encoding
    given : mapping of str to Column, optional
        The contract's terms, by feature.
    times : ndarray of shape (n,), optional
        Of the first n rows.
    """
    rows, _ = encoding.matrix(table)
    inferred = _inferred(table)
    terms = {**inferred, **(given or {})}
    n = len(encoding.names)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    gaps, news = np.asarray(np.isnan(rows).any(axis=0)), np.ones(n, dtype=bool)
    longest, typical = np.full(n, np.inf), np.full(n, np.nan)
    clocks: dict[str, tuple[Clock, int]] = {}
    for place, name in enumerate(encoding.names):
        column, values = terms.get(name), rows[:, place]
        known = values[np.isfinite(values)]
        if column is not None:
            gaps[place] |= column.most_missing > 0
            if column.kind in ("number", "integer"):
                low[place] = -np.inf if column.low is None else float(column.low)  # type: ignore[arg-type]
                high[place] = np.inf if column.high is None else float(column.high)  # type: ignore[arg-type]
            if column.kind == "time" and kind_of(table.column(name)) == "time":
                clock, unit = clocks[name] = times_of(table.column(name), name)[1], nanoseconds(table.column(name).type)
                low[place] = -np.inf if column.low is None else clock.parse(column.low, "low") / unit
                high[place] = np.inf if column.high is None else clock.parse(column.high, "high") / unit
            news[place] = not (column.kind == "category" and column.most_new == 0)
        if name in encoding.words:
            # What is infinite is a new word: where there may be none it is above the limit.
            high[place] = np.inf if news[place] else np.finfo(np.float64).max
        elif len(known):
            high[place] = min(high[place], np.finfo(np.float64).max)
            low[place] = max(low[place], np.finfo(np.float64).min)
        if len(known):
            typical[place] = float(np.median(known))
    for place, (name, seen) in enumerate(zip(encoding.names, longest_runs(rows).tolist(), strict=True)):
        column = (given or {}).get(name)
        if column is not None and column.longest_run is not None:
            longest[place] = column.longest_run
        elif (common := max(seen, commonest(rows[:, place]))) < len(rows) / BLOCKS:
            # Rows may come in another order than the history's: sorted, all that are alike stand on end.
            longest[place] = max(SHORTEST_RUN, LONGER * seen, common)
    lasting = None if times is None else _lasting(rows[: len(times)], times, longest)
    going = tuple(place for place, name in enumerate(encoding.names) if name in inferred and _goes_on(inferred[name]))
    for place in going:
        known = rows[np.isfinite(rows[:, place]), place]
        low[place], high[place] = _far(known, low[place], high[place])
    return Fences(encoding.names, low, high, gaps, news, longest, typical, clocks, lasting, going)


def _goes_on(column: Column) -> bool:
    """Say whether a history has no limit on one side, as what is a clock or names things has none."""
    return column.kind in ("number", "integer") and (column.low is None) != (column.high is None)


def _far(known: Floats, low: float, high: float) -> tuple[float, float]:
    """Return limits so far beyond what was seen that no counter gets there in ten times as long; others stay."""
    least, most, far = float(known.min()), float(known.max()), np.finfo(np.float64)
    with np.errstate(over="ignore"):
        reach = min(FARTHER * (most - least), float(far.max) / 4)
    return (
        least - reach if low <= far.min else low,
        most + reach if high >= far.max else high,
    )


def _lasting(rows: Floats, times: Floats, longest: Floats) -> Floats:
    """
    Return for how long values may stand still; below 0 where times are too coarse to tell.

    As long as so many rows took in the history: where more come, a feature of the day stands still for more of them.
    Of what moved from row to row there it is enough that it stands still for a few times as long.
    """
    apart = np.diff(times)
    if not (apart > 0).any():
        return np.full(len(longest), -1.0)
    made = np.minimum(longest * apart.mean(), LONGER * longest_spans(rows, times))
    return np.asarray(made - apart[apart > 0].min())  # within one step of the times any number of rows may come


def _inferred(table: Any) -> Mapping[str, Column]:
    try:
        return infer(table, rate=RATE).contract.data.columns
    except DataError:  # too few rows to see what is usual: then only what was never seen at all is refused
        return {}
