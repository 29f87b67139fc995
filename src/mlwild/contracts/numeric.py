"""The rules of a column of numbers: finite, whole, in its range, in its unit, not stuck."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.contracts.column import Column
from mlwild.contracts.finding import Spot, Violation
from mlwild.contracts.periods import Periods
from mlwild.contracts.tables import shown
from mlwild.stats.slips import DEGREES, fits_unit, likely_units, longest_run

Values = NDArray[Any]

#: Fewest values that a median is judged from, and most that it is made of (evenly spaced).
FEWEST, MOST = 50, 20_001
#: How people write the unit of a temperature.
DEGREE_SIGNS = ("°c", "°f", "c", "f", "degc", "degf", "celsius", "fahrenheit")


def numbers(spot: Spot, term: Column, values: Values, periods: Periods | None) -> Iterator[Violation]:
    """Yield what breaks the terms of a column of numbers; NaN is missing and is judged elsewhere."""
    least, greatest = np.fmin.reduce(values), np.fmax.reduce(values)
    if np.isinf(least) or np.isinf(greatest):
        bad = np.isinf(values)
        row, rows = int(bad.argmax()), int(bad.sum())
        said = f"is infinite in row {row}; {spot.share(rows)}. Correct {'it' if rows == 1 else 'them'}, or make a gap."
        yield spot.at("finite", row, rows, said, value=shown(values[row]))
    if term.kind == "integer" and values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            bad = (values != np.trunc(values)) & ~np.isnan(values)
        if bad.any():
            row, rows = int(bad.argmax()), int(bad.sum())
            said = f"is {shown(values[row])} in row {row}, which is not whole; {spot.share(rows)}. "
            yield spot.at("kind", row, rows, said + spot.to_do(rows, "kind"), value=shown(values[row]))
    whole = _unit(spot, term, values, periods)
    if whole is not None:
        yield whole
    if term.low is not None and least < term.low:
        yield from _outside(spot, term, values, "low", guess=whole is None)
    if term.high is not None and greatest > term.high:
        yield from _outside(spot, term, values, "high", guess=whole is None)
    if term.longest_run is not None:
        yield from _stuck(spot, term.longest_run, values)
    if term.rising:
        yield from _falling(spot, values)


def _outside(spot: Spot, term: Column, values: Values, key: str, *, guess: bool) -> Iterator[Violation]:
    limit: Any = getattr(term, key)
    bad = ((values < limit) if key == "low" else (values > limit)) & np.isfinite(values)
    rows = int(bad.sum())
    if not rows:  # infinite ones are told already
        return
    row = int(bad.argmax())
    side = "below" if key == "low" else "above"
    said = f"is {shown(values[row])} in row {row}, {side} {shown(limit)}{spot.measured_in}; {spot.share(rows)}. "
    if guess:
        said += _guess(spot, term, values[bad])
    yield spot.at(key, row, rows, said + spot.to_do(rows, key), value=shown(values[row]))


def _guess(spot: Spot, term: Column, outside: Values) -> str:
    """Say which unit the values outside seem to be in: told back they must lie inside."""
    if term.typical is None:
        return ""
    ratio = float(np.median(outside)) / _middle(term.typical) if _middle(term.typical) else math.nan
    many = len(outside) >= FEWEST
    for factor, words in likely_units(ratio, tolerance=0.1 if many else 0.5):
        back = outside / factor
        if not fits_unit(factor, spot.unit) or (not many and 1 / 10 < factor < 10):
            continue
        if back.min() >= _floor(term) and back.max() <= _ceiling(term):
            return f"{'They seem' if len(outside) > 1 else 'It seems'} to be {words} the old unit{spot.measured_in}. "
    return ""


def _floor(term: Column) -> float:
    return -math.inf if term.low is None else term.low  # type: ignore[return-value]


def _ceiling(term: Column) -> float:
    return math.inf if term.high is None else term.high  # type: ignore[return-value]


def _middle(typical: tuple[float, float]) -> float:
    low, high = typical
    return math.copysign(math.sqrt(low * high), low) if low * high > 0 else (low + high) / 2


def _unit(spot: Spot, term: Column, values: Values, periods: Periods | None) -> Violation | None:
    """Look for the first period whose median is far from the typical by a factor between units."""
    if term.typical is None:
        return None
    parts: list[tuple[str, Any]] = [("", slice(0, len(values)))]
    if periods is not None and len(periods) > 1:
        parts += list(periods)
    for name, rows in parts:
        part = values[rows]
        part = part[:: max(1, math.ceil(len(part) / MOST))]
        part = part[np.isfinite(part)]
        if len(part) < FEWEST or (periods is not None and len(values[rows]) < periods.min_rows):
            continue
        median = float(np.median(part))
        words = _slip(median, term.typical, term.unit)
        if words:
            first = rows.start if isinstance(rows, slice) else int(rows[0])
            when = f" in the period from {name}" if name else ""
            low, high = (shown(end) for end in term.typical)
            said = (
                f"has a median of {shown(median)}{when}, where {low} to {high}{spot.measured_in} is typical: it seems "
                f"to be {words}. Convert it, or change `typical` of [{spot.where}.columns.{spot.name}]."
            )
            return spot.at("unit", int(first), len(values[rows]), said, value=shown(median), period=name or None)
    return None


def _slip(median: float, typical: tuple[float, float], unit: str) -> str:
    """Return in words which unit brings a median back to what is typical; nothing where none does."""
    low, high = typical
    middle = _middle(typical)
    if low <= median <= high or not middle:
        return ""
    if unit.lower() in DEGREE_SIGNS:
        words, shift, slope = DEGREES["f" in unit.lower()]
        return f"in {words}" if low <= (median + shift) * slope <= high else ""
    # Half the typical span may lie between a median and the middle, and the factor is looked for around it.
    wide = 0.1 + (math.log(high / low) / 2 if low * high > 0 else 0.0)
    span = high / low if low > 0 else low / high if high < 0 else math.inf
    for factor, words in likely_units(median / middle, tolerance=wide):
        # A factor that is smaller than what honest medians span tells nothing.
        if low <= median / factor <= high and max(factor, 1 / factor) > 1.2 * span and fits_unit(factor, unit):
            return f"{words} its old unit"
    return ""


def _stuck(spot: Spot, most: int, values: Values) -> Iterator[Violation]:
    run, row = longest_run(values)
    if run > most:
        said = (
            f"stands at {shown(values[row])} for {run:,} rows on end from row {row}; at most {most:,} may be alike. "
            f"Look at its source, or change `longest_run` of [{spot.where}.columns.{spot.name}]."
        )
        yield spot.at("longest_run", row, run, said, value=shown(values[row]))


def _falling(spot: Spot, values: Values) -> Iterator[Violation]:
    places = np.flatnonzero(~np.isnan(values)) if values.dtype.kind == "f" else np.arange(len(values))
    known = values[places]
    falls = np.flatnonzero(known[1:] < known[:-1])
    if len(falls):
        row, before = int(places[falls[0] + 1]), known[falls[0]]
        said = (
            f"falls from {shown(before)} to {shown(values[row])} in row {row}; {spot.share(len(falls))}. Sort the "
            f"rows, or take `rising` out of [{spot.where}.columns.{spot.name}]."
        )
        yield spot.at("rising", row, len(falls), said, value=shown(values[row]))
