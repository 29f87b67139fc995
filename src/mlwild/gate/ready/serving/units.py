"""Units that are taken for one another, by the factor between them."""

from __future__ import annotations

#: Factor, unit that is so many times smaller, and unit that it is taken for.
UNITS = (
    (7.0, "days", "weeks"),
    (12.0, "months or inches", "years or feet"),
    (24.0, "hours", "days"),
    (60.0, "seconds or minutes", "minutes or hours"),
    (100.0, "per cent, cents or centimetres", "shares, whole units or metres"),
    (1000.0, "thousandths (milliseconds, metres)", "whole units (seconds, kilometres)"),
    (1024.0, "bytes", "kibibytes"),
    (1440.0, "minutes", "days"),
    (3600.0, "seconds", "hours"),
    (86_400.0, "seconds", "days"),
    (1e6, "millionths (microseconds)", "whole units or millions"),
    (1e9, "nanoseconds", "seconds"),
    (1.609344, "kilometres", "miles"),
    (1 / 0.3048, "feet", "metres"),
    (2.54, "centimetres", "inches"),
    (1 / 0.45359237, "pounds", "kilograms"),
    (3.785411784, "litres", "gallons"),
    (3.6, "kilometres an hour", "metres a second"),
    (180 / 3.141592653589793, "degrees", "radians"),
)
_NEAR = 1e-4


def unit_of(factor: float) -> str:
    """
    Say which units differ by a factor, in words; nothing where none is known.

    Examples
    --------
    >>> unit_of(0.01)
    'shares, whole units or metres for per cent, cents or centimetres?'
    >>> unit_of(1.7)
    ''
    """
    for known, small, great in UNITS:
        for value, words in ((known, f"{small} for {great}?"), (1 / known, f"{great} for {small}?")):
            if abs(abs(factor) / value - 1) < _NEAR:
                return words
    return ""
