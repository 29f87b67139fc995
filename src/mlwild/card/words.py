"""Numbers, money, dates and spans as a reader wants them: few digits, always with a unit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import floor, isfinite, log10

UNKNOWN = "not known"
MINUS = "\u2212"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SPANS = {
    "ns": "nanosecond",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "D": "day",
    "W": "week",
    "M": "month",
    "Y": "year",
    "tick": "tick",
    "ticks": "tick",
}


def decimals_for(width: float, digits: int = 2) -> int:
    """
    Return how many decimals keep so many significant digits of a width; negative above ten.

    Parameters
    ----------
    width : float
        What must stay visible: half of an interval, the spread of a column, or the value itself.
    digits : int
        Significant digits.

    Examples
    --------
    >>> decimals_for(0.0262), decimals_for(14857.0, 3)
    (3, -2)
    """
    width = abs(width)
    if not isfinite(width) or width == 0.0:
        return 0
    return digits - 1 - floor(log10(width))


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """
    Write a number with thousands separators and a true minus sign.

    Parameters
    ----------
    value : float or None
    decimals : int
        Negative to round to tens, hundreds and so on.
    signed : bool
        Whether a plus sign is written too.

    Examples
    --------
    >>> number(286431.58, -2), number(0.49642, 3), number(None, 2)
    ('286,400', '0.496', 'not known')
    >>> number(2.1e-9, 10), number(3.0, 0, signed=True)
    ('2.1 × 10⁻⁹', '+3')
    """
    if value is None or not isfinite(value):
        return UNKNOWN
    if decimals > 6 or abs(value) >= 1e15:
        return _scientific(value, decimals, signed=signed)
    value = round(value, decimals)
    text = f"{abs(value):,.{max(decimals, 0)}f}"
    sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
    return sign + text


def metric(title: str) -> str:
    """
    Write what is minimised.

    Examples
    --------
    >>> metric("log_loss"), metric("1 - average_precision")
    ('log loss', '1 − average precision')
    """
    return title.replace("_", " ").replace("1 - ", f"1 {MINUS} ", 1)


def _scientific(value: float, decimals: int, *, signed: bool) -> str:
    digits = min(max(decimals + floor(log10(abs(value))), 0), 2) if value else 0
    if value == 0 or round(value, decimals) == 0:
        return "0"
    mantissa, exponent = f"{abs(value):.{digits}e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    sign = MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{mantissa} × 10{power}"


def tidy(value: float | None, digits: int = 3) -> str:
    """
    Write a number alone, to so many significant digits but never without its whole part.

    Examples
    --------
    >>> tidy(0.49642), tidy(300.0), tidy(2.0), tidy(1234.5)
    ('0.496', '300', '2', '1,234')
    """
    if value is None or not isfinite(value):
        return UNKNOWN
    if value == int(value) and abs(value) < 1e15:
        return number(value, 0)
    return number(value, max(decimals_for(value, digits), 0))


def spread_decimals(values: Iterable[float | None], digits: int = 2) -> int:
    """
    Return the decimals that tell the values of a column apart.

    Examples
    --------
    >>> spread_decimals([285821.9, 296892.2], 3), spread_decimals([0.4896, None, 0.5187])
    (-2, 3)
    """
    known = [value for value in values if value is not None and isfinite(value)]
    if not known:
        return 0
    width = max(known) - min(known)
    return decimals_for(width or known[0], digits if width else digits + 1)


def half_width(low: float | None, high: float | None) -> float:
    """Return half of an interval's width; 0 where it is not known."""
    return (high - low) / 2 if low is not None and high is not None else 0.0


def with_unit(text: str, unit: str) -> str:
    """Write a number with its unit; without one, or where the number is not known, alone."""
    return f"{text} {unit}" if unit and text != UNKNOWN else text


def interval(low: float | None, high: float | None, decimals: int, *, signed: bool = False) -> str:
    """
    Write the bounds of an interval.

    Examples
    --------
    >>> interval(272417.1, 302132.5, -2), interval(None, 1.0, 0)
    ('272,400 to 302,100', 'interval not known')
    """
    if low is None or high is None:
        return f"interval {UNKNOWN}"
    return f"{number(low, decimals, signed=signed)} to {number(high, decimals, signed=signed)}"


def count(n: float, noun: str) -> str:
    """
    Write a number of things; a mean over seeds may be fractional.

    Examples
    --------
    >>> count(1, "period"), count(8.5, "retrain"), count(6300, "event")
    ('1 period', '8.5 retrains', '6,300 events')
    """
    return f"{number(n, 0 if n == int(n) else 1)} {noun}{'' if n == 1 else 's'}"


def percent(value: float) -> str:
    """
    Write a share.

    Examples
    --------
    >>> percent(0.9), percent(0.028), percent(0.0002), percent(0.0)
    ('90%', '2.8%', 'under 0.1%', '0.0%')
    """
    if 0 < value < 0.0005:
        return "under 0.1%"
    return number(100 * value, 0 if value >= 0.095 else 1) + "%"


def span(text: str, times: int = 1) -> str:
    """
    Write a duration of the app in words.

    Examples
    --------
    >>> span("7D"), span("7D", 4), span("1D"), span("500 ticks", 2)
    ('7 days', '28 days', '1 day', '1,000 ticks')
    """
    match = re.fullmatch(r"(\d+) ?(ticks?|[a-zA-Z]+)", text)
    unit = _SPANS.get(match[2]) if match else None
    if match is None or unit is None:
        return text if times == 1 else f"{times} × {text}"
    return count(int(match[1]) * times, unit)


def day_parts(text: str) -> tuple[int, int, int, str] | None:
    """Return year, month, day and time of day of an ISO text; None for ticks and other texts."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d:\d\d)\S*)?", text)
    if match is None or not 1 <= int(match[2]) <= 12:
        return None
    return int(match[1]), int(match[2]), int(match[3]), match[4] or ""


def month(number_of_month: int) -> str:
    """Return the short name of a month, 1 to 12."""
    return _MONTHS[number_of_month - 1]


def day(text: str, *, year: bool = True) -> str:
    """
    Write an instant of the sheet.

    Examples
    --------
    >>> day("2013-04-16"), day("2013-04-16 06:30", year=False), day("1200")
    ('16 Apr 2013', '16 Apr 06:30', 'tick 1,200')
    """
    parts = day_parts(text)
    if parts is None:
        return f"tick {number(int(text), 0)}" if re.fullmatch(r"-?\d+", text) else text
    named = f"{parts[2]} {month(parts[1])}" + (f" {parts[0]}" if year else "")
    return f"{named} {parts[3]}" if parts[3] else named


def between(start: str, stop: str) -> str:
    """
    Write a span of time, saying the year once.

    Examples
    --------
    >>> between("2013-04-16", "2013-04-23"), between("2013-02-19", "2014-01-07")
    ('16 Apr to 23 Apr 2013', '19 Feb 2013 to 7 Jan 2014')
    """
    first, last = day_parts(start), day_parts(stop)
    same = first is not None and last is not None and first[0] == last[0]
    timed = bool(first and first[3]) or bool(last and last[3])
    return f"{day(start, year=not same or timed)} to {day(stop)}"
