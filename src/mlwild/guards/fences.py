"""What a row's features must look like one by one: learned with slack, or taken from the app's contract."""

from __future__ import annotations

import math
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
from mlwild.guards.encoding import STRANGE, Encoding
from mlwild.stats.grids import FARTHEST
from mlwild.stats.slips import commonest, likely_units
from mlwild.wording import number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Chance that a block of honest rows, one of some 24 in a history, passes any limit.
RATE = 0.01
#: A run of missing values, or of equal ones, so many times as long as the longest that was seen stands still.
LONGER, SHORTEST_RUN = 3, 20


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
    """

    names: tuple[str, ...]
    low: Floats
    high: Floats
    gaps: Bools
    news: Bools
    longest: Floats
    typical: Floats
    clocks: Mapping[str, tuple[Clock, int]] = field(default_factory=dict)
    near: bool = field(init=False, repr=False)
    _open: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep whether any word may be new, and whether what keeps all limits is near enough to be squared."""
        object.__setattr__(self, "_open", bool(np.isinf(self.high).any()))
        ends = min(self.low.min(initial=0.0), -self.high.max(initial=0.0))
        object.__setattr__(self, "near", bool(ends >= -FARTHEST))

    def keep(self, rows: Floats) -> bool:
        """
        Say whether every value is there and within its limits: most batches, in a third of the time of `broken`.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Column by column it is quicker.
        """
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
        """Return rows in which a word that may be new counts as the usual one: that it is new says nothing."""
        new = np.isinf(rows) if self._open else None
        return rows if new is None or not new.any() else np.where(new, self.typical, rows)

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
        units = likely_units(value / middle) if middle and np.isfinite(middle) else ()
        return f"{said}: perhaps {units[0][1]} its unit" if units else said

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


def learn_fences(table: Any, encoding: Encoding, given: Mapping[str, Column] | None = None) -> Fences:
    """
    Return the limits that features keep, those of a contract before those that their history suggests.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        What was learned from, in order of time.
    encoding : Encoding
    given : mapping of str to Column, optional
        The contract's terms, by feature.
    """
    rows, _ = encoding.matrix(table)
    terms = {**_inferred(table), **(given or {})}
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
                clock, unit = clocks[name] = times_of(table.column(name), name)[1], _unit(table.column(name).type)
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
    return Fences(encoding.names, low, high, gaps, news, longest, typical, clocks)


def _unit(kind: Any) -> int:
    """Return how many nanoseconds one of a column of times is."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
    return 86_400 * 10**9 if pa.types.is_date32(kind) else 10**6


def longest_runs(rows: Floats) -> Floats:
    """
    Return the most rows on end with the same value, or without one, of each column.

    Examples
    --------
    >>> longest_runs(np.array([[1.0, np.nan], [2.0, np.nan], [2.0, 5.0]])).tolist()
    [2.0, 2.0]
    """
    n = rows.shape[1]
    lengths = _lengths(_new(rows, np.full(n, np.nan), np.zeros(n)), np.zeros(n)) if len(rows) else np.zeros((0, n))
    return np.asarray(lengths.max(axis=0, initial=0.0))


def _inferred(table: Any) -> Mapping[str, Column]:
    try:
        return infer(table, rate=RATE).contract.data.columns
    except DataError:  # too few rows to see what is usual: then only what was never seen at all is refused
        return {}


@dataclass
class Runs:
    """
    How long each feature has stood still, row after row.

    A row that is the same as the one before in every feature is the same request again, and makes no run longer.

    Parameters
    ----------
    last : ndarray of shape (n_features,)
        Values of the last row.
    length : ndarray of shape (n_features,)
        Rows on end that had them; 0 before the first.
    """

    last: Floats
    length: Floats

    @staticmethod
    def of(n: int) -> Runs:
        """Return the runs before any row."""
        return Runs(np.full(n, np.nan), np.zeros(n))

    def feed(self, rows: Floats, longest: Floats, *, whole: bool = False) -> Bools | None:
        """
        Take in rows in order, and mark the values that have stood still for too long; None where none has.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
        longest : ndarray of shape (n_features,)
        whole : bool
            Whether it is known that no value is missing.

        Examples
        --------
        >>> runs = Runs.of(1)
        >>> runs.feed(np.array([[1.0], [1.0], [2.0]]), np.array([2.0])) is None
        True
        >>> runs.feed(np.array([[2.0], [2.0]]), np.array([2.0])).ravel().tolist()
        [False, True]
        """
        if not len(rows):
            return None
        if len(rows) == 1:
            row = rows[0]
            # Two strange words need not be the same one; NaN is not itself.
            same = ((row == self.last) & (row != STRANGE)) | ((row != row) & (self.last != self.last))  # noqa: PLR0124
            if not (len(row) > 1 and self.length[0] > 0 and same.all()):
                self.length = np.where(same & (self.length > 0), self.length + 1.0, 1.0)
            self.last = row
            over = self.length > longest
            return over[None, :] if over.any() else None
        # Of most batches nothing stands still for two rows; the greatest is NaN where there is a gap.
        whole = whole or not math.isnan(rows.max())
        moves = whole and not (rows[1:] == rows[:-1]).any() and not (rows[0] == self.last).any()
        new = None if moves else _new(rows, self.last, self.length)
        if new is None or new.all():
            self.last, self.length = rows[-1].copy(), np.ones(rows.shape[1])
            past = self.length > longest
            return np.broadcast_to(past, rows.shape) if past.any() else None
        length = _lengths(new, self.length)
        self.last, self.length = rows[-1].copy(), length[-1].copy()
        over = length > longest
        return over if over.any() else None


def _new(rows: Floats, last: Floats, length: Floats) -> Bools:
    """Mark the values that are not those of the row before; of the first, of an earlier row."""
    same = np.empty(rows.shape, dtype=bool)
    np.equal(rows[1:], rows[:-1], out=same[1:])
    np.equal(rows[0], last, out=same[0])
    strange = rows == STRANGE
    if strange.any():  # two strange words need not be the same one
        same &= ~strange
    gaps = np.isnan(rows)
    if gaps.any():
        same[1:] |= gaps[1:] & gaps[:-1]
        same[0] |= gaps[0] & np.isnan(last)
    new = ~same
    new[0] |= length == 0
    return new


def _lengths(new: Bools, length: Floats) -> Floats:
    """Return how long each value has stood still at each row, going on from an earlier row."""
    again = ~new.any(axis=1) if new.shape[1] > 1 else np.zeros(len(new), dtype=bool)
    # Places are counted without the rows that came again.
    place = (np.cumsum(~again) - 1.0)[:, None]
    began = np.maximum.accumulate(np.where(new, place, -1.0), axis=0)
    return np.where(began >= 0, place - began + 1.0, place + 1.0 + length)
