"""Slips of recording that numbers show by themselves: another unit, a value that stands still."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Factors between units that people use, and their names.
UNITS = {
    10.0: "10",
    100.0: "100 (shares and per cent)",
    1_000.0: "1,000 (such as kilo)",
    1_000_000.0: "1,000,000 (such as mega)",
    60.0: "60 (seconds and minutes)",
    3_600.0: "3,600 (seconds and hours)",
    24.0: "24 (hours and days)",
    86_400.0: "86,400 (seconds and days)",
    2.54: "2.54 (inches)",
    3.28084: "3.28 (feet)",
    1.609344: "1.61 (miles)",
    2.204623: "2.20 (pounds)",
    3.785412: "3.79 (gallons)",
}
#: Factors that growth reaches too: they are told only of columns in one of these units.
SMALL = {
    2.54: ("cm", "in", "inch", "inches"),
    3.28084: ("m", "ft", "feet"),
    1.609344: ("km", "mi", "mile", "miles", "kmh", "mph"),
    2.204623: ("kg", "lb", "lbs", "pounds"),
    3.785412: ("l", "gal", "gallons"),
}
#: Degrees: how to read the values of one scale on the other.
DEGREES = (("Fahrenheit in place of Celsius", -32.0, 1 / 1.8), ("Celsius in place of Fahrenheit", 32.0 / 1.8, 1.8))


def likely_units(ratio: float, *, tolerance: float = 0.1) -> tuple[tuple[float, str], ...]:
    """
    Return the factors between units that a ratio of medians comes near, the nearest first.

    Parameters
    ----------
    ratio : float
        Median now over median before.
    tolerance : float
        Greatest distance on the scale of natural logarithms.

    Returns
    -------
    tuple of (factor, words)
        The values are `factor` times what they were; `words` goes before "its old unit".

    Examples
    --------
    >>> likely_units(985.0)
    ((1000.0, '1,000 (such as kilo) times'),)
    >>> likely_units(1 / 61)[0][1]
    'one part in 60 (seconds and minutes) of'
    >>> likely_units(1.02), likely_units(-1000.0), likely_units(float("nan"))
    ((), (), ())
    """
    if not 0 < ratio < math.inf:
        return ()
    near = []
    for factor, words in UNITS.items():
        for power, said in ((1, f"{words} times"), (-1, f"one part in {words} of")):
            apart = abs(math.log(ratio) - power * math.log(factor))
            if apart < tolerance:
                near.append((apart, factor**power, said))
    return tuple((factor, said) for _, factor, said in sorted(near))


def fits_unit(factor: float, unit: str) -> bool:
    """
    Say whether a column in that unit may have slipped by that factor: a small one needs a unit that has it.

    Examples
    --------
    >>> fits_unit(1000.0, ""), fits_unit(1.609344, "km/h"), fits_unit(1 / 1.609344, "mph"), fits_unit(1.609344, "EUR")
    (True, True, True, False)
    """
    for small, units in SMALL.items():
        if abs(abs(math.log(factor)) - math.log(small)) < 1e-9:
            return unit.lower().split("/")[0].strip() in units
    return True


def commonest(values: Floats) -> int:
    """
    Return how many values are the commonest one: in no order of these rows do more stand on end.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN counts for nothing.

    Examples
    --------
    >>> commonest(np.array([1.0, 2.0, 1.0, np.nan, np.nan, np.nan])), commonest(np.array([np.nan]))
    (2, 0)
    """
    counts = np.unique(values[~np.isnan(values)], return_counts=True)[1]
    return int(counts.max(initial=0))


def longest_run(values: Floats) -> tuple[int, int]:
    """
    Return the length of the longest run of equal neighbours, and the place of its first value.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        In order; NaN equals nothing, so that gaps make no run.

    Examples
    --------
    >>> longest_run(np.array([1.0, 2.0, 2.0, 2.0, np.nan, np.nan]))
    (3, 1)
    >>> longest_run(np.array([]))
    (0, 0)
    """
    if not len(values):
        return 0, 0
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    lengths = np.diff(np.append(starts, len(values)))
    place = int(lengths.argmax())
    return int(lengths[place]), int(starts[place])
