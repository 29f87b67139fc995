"""Words of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from mlwild.card import words
from mlwild.wording import number

#: What became of a promise.
KEPT = {True: "kept", False: "missed", None: "not judged"}


def promise(body: Mapping[str, Any]) -> tuple[str, str]:
    """Write a promise, and beside it its interval."""
    if body.get("replaced"):
        return "none", f"it was for {body['replaced']}"
    if body.get("estimate") is None:
        return "too early", ""
    write = column([body["estimate"], body.get("low"), body.get("high")])
    if body.get("low") is None:
        return write(body["estimate"]), "no interval yet"
    return write(body["estimate"]), f"{write(body['low'])} to {write(body['high'])}"


def outcome(body: Mapping[str, Any]) -> str:
    """Write what a promised period came to, in the digits of its promise."""
    if body.get("loss") is None:
        return "not defined" if body.get("undefined") else "no answer"
    return column([body["loss"], body.get("low"), body.get("high")])(body["loss"])


def column(values: Iterable[float | None], digits: int = 3) -> Callable[[float | None], str]:
    """
    Return how to write the numbers of a column: with the decimals that tell them apart, all the same.

    Numbers of other magnitudes than the rest are written each by itself.

    Examples
    --------
    >>> [column([0.4299, 0.364])(value) for value in (0.4299, 0.364, None)]
    ['0.4299', '0.3640', '']
    >>> [column([336776.0, 245127.0])(value) for value in (336776.0, 245127.0)]
    ['336,776', '245,127']
    >>> [column([3e-4, 280000.0])(value) for value in (3e-4, 280000.0)]
    ['0.0003', '280,000']
    """
    known = [value for value in values if value is not None and isfinite(value)]
    sizes = [abs(value) for value in known if value]
    decimals = words.spread_decimals(known, digits)
    if all(value == int(value) for value in known):  # a count is not rounded
        return lambda value: "" if value is None else words.number(value, 0)
    if sizes and (max(sizes) > 1e4 * min(sizes) or min(sizes) < 10.0**-decimals):
        return lambda value: "" if value is None else number(value)
    return lambda value: "" if value is None else words.number(value, decimals)
