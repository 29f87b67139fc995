"""Words of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from mlwild.card import words
from mlwild.wording import between, number

#: What became of a promise.
KEPT = {True: "kept", False: "missed", None: "not judged"}


def promise(body: Mapping[str, Any]) -> tuple[str, str]:
    """Write a promise, and beside it its interval."""
    if body.get("estimate") is None:
        return "too early", ""
    if body.get("low") is None:
        return number(body["estimate"], 3), "no interval yet"
    return number(body["estimate"], 3), between(body["low"], body["high"], 3)


def column(values: Iterable[float | None], digits: int = 3) -> Callable[[float | None], str]:
    """
    Return how to write the numbers of a column: with the decimals that tell them apart, all the same.

    Numbers of other magnitudes than the rest are written each by itself.

    Examples
    --------
    >>> [column([0.4299, 0.364])(value) for value in (0.4299, 0.364, None)]
    ['0.4299', '0.3640', '']
    >>> [column([3e-4, 280000.0])(value) for value in (3e-4, 280000.0)]
    ['0.0003', '280,000']
    """
    known = [value for value in values if value is not None and isfinite(value)]
    sizes = [abs(value) for value in known if value]
    decimals = words.spread_decimals(known, digits)
    if sizes and (max(sizes) > 1e4 * min(sizes) or min(sizes) < 10.0**-decimals):
        return lambda value: "" if value is None else number(value)
    return lambda value: "" if value is None else words.number(value, decimals)
