"""What a comparison says: who is better or that nobody is, by how much, and what it would take to tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import listed
from mlwild.comparisons.given import Losses
from mlwild.stats.paired import FEWEST, Difference
from mlwild.wording import between, count, number

Floats = NDArray[np.float64]


def two_verdict(losses: Losses, found: Difference, effective: float) -> str:
    """Return the sentence that answers which of two is better."""
    first, second = losses.names
    n, unit = len(losses.losses), losses.unit
    if found.undecided and not found.estimate and effective >= len(losses.losses):
        return f"{first!r} and {second!r} lose the same on every {unit}: these may be identical models."
    if found.undecided and effective < FEWEST:
        return (
            f"It cannot be told which of {first!r} and {second!r} is better: {rows_count(n, unit)} as {effective:.1f} "
            f"independent ones, and it takes {FEWEST}."
        )
    if found.undecided:
        return (
            f"It cannot be told which of {first!r} and {second!r} is better: they differ by "
            f"{number(abs(found.estimate), 3)} on every {unit} alike, which leaves no spread to judge it by."
        )
    better, worse = (first, second) if found.estimate < 0 else (second, first)
    if found.low <= 0 <= found.high:
        return (
            f"No difference can be told between {first!r} and {second!r}: {number(found.estimate, 2)} "
            f"({found.level:.0%} interval {between(found.low, found.high, 2)}). One of "
            f"{number(found.smallest_detectable, 2)} would have been seen in four cases of five."
        )
    low, high = sorted((abs(found.low), abs(found.high)))
    return (
        f"{better!r} is better than {worse!r} by {number(abs(found.estimate), 3)} "
        f"({found.level:.0%} interval {between(low, high)}; p {at_most(found.p_value)})."
    )


def rows_count(n: int, unit: str) -> str:
    """
    Begin a sentence on what rows count as.

    Examples
    --------
    >>> rows_count(1, "day"), rows_count(1200, "row")
    ('1 day counts', '1,200 rows count')
    """
    return f"1 {unit} counts" if n == 1 else f"{count(n)} {unit}s count"


def at_most(p_value: float) -> str:
    """
    Write a p-value.

    Examples
    --------
    >>> at_most(0.0312), at_most(0.0004)
    ('= 0.031', 'below 0.001')
    """
    return "below 0.001" if p_value <= 0.001 else f"= {number(p_value, 2)}"


def how_much_more(losses: Losses, found: Difference) -> list[str]:
    """Say how many rows would settle a difference of the size seen, where it was not."""
    if not found.low <= 0 <= found.high or not found.estimate:
        return []
    n = len(losses.losses)
    needed = n * (found.smallest_detectable / abs(found.estimate)) ** 2
    if not math.isfinite(needed) or needed > 1000 * n:
        return [
            f"A difference as small as the one seen would take more than 1,000 times these {count(n)} {losses.unit}s."
        ]
    return [
        (
            f"If the true difference is the one seen, about {number(needed, 2)} {losses.unit}s find it in four cases "
            f"of five; there are {count(n)}."
        )
    ]


def twins(table: Floats) -> list[tuple[int, int]]:
    """
    Return pairs of columns that are equal in every row.

    Examples
    --------
    >>> twins(np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]))
    [(0, 2)]
    """
    m = table.shape[1]
    return [(i, j) for i in range(m) for j in range(i + 1, m) if np.array_equal(table[:, i], table[:, j])]


def same_ones(losses: Losses, identical: Sequence[tuple[int, int]]) -> list[str]:
    """Say which models are the same one."""
    if len(identical) > 3:
        twins = sorted({losses.names[place] for pair in identical for place in pair})
        return [f"{len(twins)} models lose the same as another one on every {losses.unit}: {listed(twins, most=4)}."]
    return [
        f"{losses.names[i]!r} and {losses.names[j]!r} lose the same on every {losses.unit}: these may be one model."
        for i, j in identical
    ]


def set_verdict(together: Sequence[str], names: Sequence[str], level: float) -> str:
    """Return the sentence that answers which of many is best."""
    of = len(names)
    if len(together) == 1:
        return f"{together[0]!r} is the best of {of} ({level:.0%} confidence set)."
    if len(together) == of:
        return f"No clear best: none of the {of} models can be told from the best one ({level:.0%} confidence set)."
    rest = of - len(together)
    return (
        f"No clear best among {listed(together, most=8)}; the other {rest} {'is' if rest == 1 else 'are'} worse "
        f"({level:.0%} confidence set)."
    )
