"""Axes: hairlines with round numbers, and dates along periods."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from markupsafe import Markup

from mlwild.card.facts import time_labels
from mlwild.card.svg import Box, Scale, join, line, text, ticks, width_of
from mlwild.card.words import decimals_for, number, tidy


def tick_texts(values: Sequence[float], *, signed: bool = False) -> list[str]:
    """
    Write the numbers of an axis with as many decimals as their step needs.

    Examples
    --------
    >>> tick_texts([0.49, 0.5, 0.51]), tick_texts([-0.5, 0.0, 0.5], signed=True)
    (['0.49', '0.50', '0.51'], ['−0.5', '0', '+0.5'])
    >>> tick_texts([0.25])
    ['0.25']
    """
    steps = [b - a for a, b in itertools.pairwise(values)]
    if not steps:
        return [tidy(value) for value in values]
    decimals = max(decimals_for(min(steps), 1), 0)
    return ["0" if value == 0 else number(value, decimals, signed=signed) for value in values]


def gutter(scale: Scale, most: int, *, signed: bool = False) -> float:
    """Return the room that the numbers of a vertical axis need."""
    texts = tick_texts(ticks(scale.low, scale.high, most), signed=signed)
    return max((width_of(words, 12) for words in texts), default=0.0) + 10


def vertical(scale: Scale, box: Box, most: int = 5, *, signed: bool = False, zero: bool = False) -> Markup:
    """Return horizontal hairlines with their numbers at the left of a box; a zero line stands out."""
    values = ticks(scale.low, scale.high, most)
    drawn = []
    for value, words in zip(values, tick_texts(values, signed=signed), strict=True):
        y = scale(value)
        drawn.append(line(box.left, y, box.right, y, "zero" if zero and value == 0 else "hair"))
        drawn.append(text(box.left - 8, y + 4, words, "tick", "end"))
    return join(drawn)


def along(scale: Scale, values: Sequence[float], texts: Sequence[str], y: float, height: float = 5.0) -> Markup:
    """Return ticks with their texts along a horizontal axis at `y`."""
    drawn = [line(scale.start, y, scale.stop, y, "axis")]
    for value, words in zip(values, texts, strict=True):
        x = scale(value)
        drawn += [line(x, y, x, y + height, "axis"), text(x, y + height + 13, words, "tick", "middle")]
    return join(drawn)


def dates(cutoffs: Sequence[str], scale: Scale, box: Box, *, rules: bool = True) -> Markup:
    """
    Return dates along the periods, with hairlines up the box.

    Parameters
    ----------
    cutoffs : sequence of str
        Beginnings of the periods.
    scale : Scale
        From number of period (its beginning) to place.
    box : Box
        The axis runs along its bottom.
    rules : bool
        Whether hairlines run up the box.
    """
    most = max(int((box.right - box.left) / 78), 2)
    drawn, free = [line(box.left, box.bottom, box.right, box.bottom, "axis")], box.left - 40
    for k, words in time_labels(cutoffs, most):
        x = scale(k)
        if rules:
            drawn.append(line(x, box.top, x, box.bottom, "hair"))
        drawn.append(line(x, box.bottom, x, box.bottom + 5, "axis"))
        wide = width_of(words, 12)
        if x + 2 >= free and x + wide <= box.right + 12:
            drawn.append(text(x, box.bottom + 18, words, "tick"))
            free = x + wide + 8
    return join(drawn)
