"""Columns cut into bins, and what each bin means in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlwild.wording import roundest

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Values = NDArray[Any]
#: What a column of numbers holds.
Kind = Literal["number", "whole", "time"]

#: Bins of equal mass that a column of numbers is cut into, and words that have a bin of their own, at most.
BINS, WORDS = 10, 20
#: Units of time that an edge is rounded to, from coarse to fine.
_UNITS = ("Y", "M", "D", "h", "m", "s", "ms", "us", "ns")


@dataclass(frozen=True, eq=False)
class NumberBins:
    """
    How a column of numbers or times is cut into bins; each holds its lower edge.

    Parameters
    ----------
    name : str
        Of the column.
    edges : ndarray of shape (n_bins - 1,)
        Rising: whole numbers, ticks of a unit of time, or floats.
    kind : {"number", "whole", "time"}
    unit : str
        Of a time, as NumPy names it; of a duration "s"; else empty.

    Examples
    --------
    >>> bins = NumberBins("hour", np.array([6, 7, 12]), "whole")
    >>> bins.codes(np.array([5, 6, 6, 20]), np.array([False, False, True, False])).tolist()
    [0, 1, 4, 3]
    >>> [bins.condition(code) for code in range(5)]
    ['hour < 6', 'hour = 6', '7 <= hour < 12', 'hour >= 12', 'hour is missing']
    """

    name: str
    edges: Values
    kind: Kind = "number"
    unit: str = ""

    @property
    def missing(self) -> int:
        """Code of a missing value; those of bins lie below it."""
        return len(self.edges) + 1

    def codes(self, values: Values, missing: Mask | None = None) -> Codes:
        """Return the bin of each value; NaN is missing."""
        made = np.searchsorted(self.edges, values, side="right")
        gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        return np.where(gone if missing is None else gone | missing, self.missing, made)

    def condition(self, code: int) -> str:
        """Return what a code means."""
        name, edges = _named(self.name), self.edges
        if code >= self.missing:
            return f"{name} is missing"
        if not len(edges):
            return f"{name} is known"
        if code == 0:
            return f"{name} < {self._text(edges[0])}"
        low = self._text(edges[code - 1])
        if code == len(edges):
            return f"{name} >= {low}"
        if self.kind == "whole" and edges[code] - edges[code - 1] == 1:
            return f"{name} = {low}"
        return f"{low} <= {name} < {self._text(edges[code])}"

    def _text(self, edge: Any) -> str:
        if self.kind == "time":
            return _time(int(edge), self.unit)
        if self.kind == "whole":
            return str(int(edge))
        return repr(float(edge)).removesuffix(".0") + (f" {self.unit}" if self.unit else "")


@dataclass(frozen=True)
class WordBins:
    """
    Words with a bin of their own, and one for all others.

    Parameters
    ----------
    name : str
        Of the column.
    words : tuple of str
        Commonest first.

    Examples
    --------
    >>> bins = WordBins("carrier", ("B6", "UA"))
    >>> bins.codes(np.array([1, 0, -1]), ["ZZ", "UA"]).tolist()
    [1, 2, 3]
    >>> [bins.condition(code) for code in range(1, 4)]
    ['carrier = "UA"', 'carrier is not among its 2 commonest', 'carrier is missing']
    """

    name: str
    words: tuple[str, ...]

    @property
    def missing(self) -> int:
        """Code of a missing value; those of words, and of all other words, lie below it."""
        return len(self.words) + 1

    def codes(self, places: Codes, words: Sequence[str]) -> Codes:
        """Return the bin of each row from its place in a list of words, -1 where missing."""
        known = {word: code for code, word in enumerate(self.words)}
        of = np.array([*(known.get(word, len(self.words)) for word in words), self.missing], dtype=np.int64)
        return of[places]

    def condition(self, code: int) -> str:
        """Return what a code means."""
        name = _named(self.name)
        if code < len(self.words):
            return f'{name} = "{self.words[code]}"'
        return f"{name} is " + ("missing" if code == self.missing else f"not among its {len(self.words)} commonest")


def number_bins(
    name: str,
    values: Values,
    *,
    bins: int = BINS,
    kind: Kind = "number",
    unit: str = "",
) -> NumberBins:
    """
    Cut a column of numbers into bins that hold about as many rows each.

    Equal values stay together; where there are no more values than bins each has its own. An edge is the
    shortest number, or the roundest time, that parts the values at the same place.

    Parameters
    ----------
    name : str
    values : ndarray of shape (n_rows,)
        Without the missing, or with NaN.
    bins : int
        At most, default 10.
    kind : {"number", "whole", "time"}
    unit : str
        Of a time, as NumPy names it.

    Examples
    --------
    >>> number_bins("x", np.array([0.0, 0.0, 0.0, 0.5217, 0.5389, 0.7]), bins=3).edges.tolist()
    [0.5, 0.53]
    """
    known = np.sort(values[~np.isnan(values)] if values.dtype.kind == "f" else values)
    starts = np.flatnonzero(known[1:] != known[:-1]) + 1 if len(known) else np.zeros(0, np.int64)
    if len(starts) >= bins:
        # Of the two ends of the run of equal values that a quantile lies in, the nearer one.
        wanted = np.arange(1, bins) * len(known) / bins
        after = np.clip(np.searchsorted(starts, wanted), 1, len(starts) - 1)
        starts = starts[np.unique(after - (wanted - starts[after - 1] < starts[after] - wanted))]
    part: Callable[[Any, Any], float] = partial(_roundest_time, unit=unit) if kind == "time" else roundest
    edges = [part(known[start - 1].item(), known[start].item()) for start in starts]
    return NumberBins(name, np.array(edges, dtype=np.float64 if kind == "number" else np.int64), kind, unit)


def word_bins(name: str, places: Codes, words: Sequence[str], *, most: int = WORDS) -> WordBins:
    """
    Give the commonest words of a column bins of their own.

    Parameters
    ----------
    name : str
    places : ndarray of int64, shape (n_rows,)
        Place of each row's word in the list, -1 where missing.
    words : sequence of str
    most : int
        Words with a bin of their own, default 20.

    Examples
    --------
    >>> word_bins("x", np.array([0, 1, 1, -1, 2]), ["a", "b", "c"], most=2).words
    ('b', 'a')
    """
    counts = np.bincount(places[places >= 0], minlength=len(words))
    order = np.argsort(-counts, kind="stable")[:most]
    return WordBins(name, tuple(words[place] for place in order if counts[place]))


def _named(name: str) -> str:
    """Return a column's name, in backticks where it is not one word."""
    return name if re.fullmatch(r"[^\W\d][\w.]*", name) else f"`{name}`"


def _roundest_time(low: int, high: int, *, unit: str) -> int:
    """Return the roundest time after one time, and not after another."""
    exact = np.array(high).astype(f"M8[{unit}]")
    for coarse in _UNITS:
        tried = int(exact.astype(f"M8[{coarse}]").astype(f"M8[{unit}]").astype(np.int64))
        if low < tried <= high:
            return tried
    return high


def _time(tick: int, unit: str) -> str:
    """Return a time in as few parts as tell it; in UTC where the column has a zone."""
    exact = np.array(tick).astype(f"M8[{unit}]")
    told = (exact.astype(f"M8[{coarse}]") for coarse in _UNITS[2:])
    return str(next((coarse for coarse in told if coarse == exact), exact)).replace("T", " ")
