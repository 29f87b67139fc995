"""Numbers as a reader wants them: few digits, thousands apart, never NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from math import isfinite
from typing import Any

UNKNOWN = "not known"


def number(value: float | None, digits: int = 4) -> str:
    """
    Write a number with few significant digits.

    Examples
    --------
    >>> number(286431.57), number(0.49136), number(12.0), number(None)
    ('286,400', '0.4914', '12', 'not known')
    >>> number(-0.00041234, 2), number(1e300)
    ('-0.00041', '1e+300')
    """
    if value is None or not isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if abs(value) >= 1e15:  # beyond counting zeros
        return f"{value:.{digits}g}"
    text = f"{float(f'{value:.{digits}g}'):,.10f}".rstrip("0").rstrip(".")
    return text if text not in ("-0", "0") else f"{value:.{digits}g}"


def digits_apart(one: float, other: float, digits: int = 3, write: Callable[[float, int], str] = number) -> int:
    """
    Return how many digits two numbers that differ are written with, so that they look as if they did.

    Examples
    --------
    >>> digits_apart(1.2614, 1.2598), digits_apart(1.2614, 1.31), digits_apart(1.5, 1.5)
    (4, 3, 3)
    """
    return next((n for n in range(digits, digits + 14) if write(one, n) != write(other, n)), digits)


def between(low: float | None, high: float | None, digits: int = 3) -> str:
    """
    Write an interval.

    Examples
    --------
    >>> between(-36.5, 4919.6), between(None, None)
    ('-36.5 to 4,920', 'no interval')
    """
    if low is None or high is None:
        return "no interval"
    return f"{number(low, digits)} to {number(high, digits)}"


def interval_said(level: float, low: float | None, high: float | None, digits: int = 3) -> str:
    """
    Write an interval with its level.

    Examples
    --------
    >>> interval_said(0.9, -36.5, 4919.6), interval_said(0.9, None, None)
    ('90% interval -36.5 to 4,920', 'no interval')
    """
    said = between(low, high, digits)
    return said if low is None or high is None else f"{level:.0%} interval {said}"


def count(n: float) -> str:
    """
    Write a count.

    Examples
    --------
    >>> count(336776)
    '336,776'
    """
    return f"{n:,.0f}"


def things(n: float, noun: str) -> str:
    """
    Write how many things there are.

    Examples
    --------
    >>> things(1, "row"), things(0, "row"), things(4321, "row")
    ('1 row', '0 rows', '4,321 rows')
    """
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


def in_its_place(fill: str) -> str:
    """
    Say what stands where a value cannot be used, as `mlwild.guards.filling.FILLS` names it.

    Examples
    --------
    >>> in_its_place("imputed"), in_its_place("")
    ('what the rest of its row tells', 'nothing is read')
    """
    return {
        "missing": "a missing value",
        "usual": "its usual value",
        "imputed": "what the rest of its row tells",
        "": "nothing is read",
    }[fill]


def roundest(low: float, high: float) -> float:
    """
    Return the number with the fewest digits above one number, and not above another.

    Examples
    --------
    >>> roundest(8.5331, 8.5348), roundest(-0.7, 0.2), roundest(1199, 1204), roundest(0.1, 0.1 + 2e-17)
    (8.534, 0.0, 1200.0, 0.1)
    """
    if not isfinite(high):
        return high
    exact = Decimal(high)
    for digit in range(exact.adjusted() + 1, exact.adjusted() - 17, -1):
        tried = float(exact.quantize(Decimal(1).scaleb(digit), rounding=ROUND_FLOOR))
        if low < tried <= high:
            return tried
    return high


def sentence(text: str) -> str:
    """
    Write some words as a sentence; none where there are none.

    Examples
    --------
    >>> sentence("no difference"), sentence("too few. Hint: wait."), sentence("and so on ..."), sentence("")
    ('No difference.', 'Too few. Hint: wait.', 'And so on ...', '')
    """
    text = text.strip()
    return ended(text[:1].upper() + text[1:])


def ended(text: str) -> str:
    """
    Write some words with an end: a full stop, unless they have one.

    Examples
    --------
    >>> ended("no label came"), ended("no label came: is their feed down?"), ended("")
    ('no label came.', 'no label came: is their feed down?', '')
    """
    return text if not text or text[-1] in ".?!" else f"{text}."


def outside(stages: Sequence[Mapping[str, Any]]) -> str:
    """
    Name the stages whose promise lies outside of its own interval: such promises were off to one side.

    Examples
    --------
    >>> outside([{"stage": "champion", "estimate": 1.0, "low": 0.9, "high": 1.2}])
    ''
    >>> outside([{"stage": "constant", "estimate": 0.71, "low": 0.63, "high": 0.69}])
    'Promises of constant were too high so far: its interval lies below this one.'
    """
    known = [one for one in stages if None not in (one["estimate"], one["low"], one["high"])]
    said = []
    for word, where, names in (
        ("high", "below", [one["stage"] for one in known if one["estimate"] > one["high"]]),
        ("low", "above", [one["stage"] for one in known if one["estimate"] < one["low"]]),
    ):
        if names:
            its = "its interval lies" if len(names) == 1 else "their intervals lie"
            said.append(f"Promises of {', '.join(names)} were too {word} so far: {its} {where} this one.")
    return " ".join(said)
