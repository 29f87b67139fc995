"""Interval plot of a comparison: one row a model, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.facts import known
from mlwild.card.svg import (
    WIDE,
    Scale,
    join,
    line,
    mark,
    padded,
    picture,
    shortened,
    text,
    ticks,
    titled,
    width_of,
)

#: More models than this are in the table only.
MOST = 24


@dataclass(frozen=True)
class Bar:
    """
    A row of the plot.

    Parameters
    ----------
    name : str
    estimate, low, high : float or None
    said : str
        The numbers as text.
    chosen : bool
        Whether the model is among the best.
    """

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    said: str
    chosen: bool


@dataclass(frozen=True)
class Plot:
    """
    What an interval plot shows.

    Parameters
    ----------
    bars : sequence of Bar
        The best first.
    title : str
        What the axis measures, with its unit.
    zero : float or None
        Value with a vertical line.
    at_zero : str
        Name of that line.
    """

    bars: Sequence[Bar]
    title: str
    zero: float | None = None
    at_zero: str = ""


def intervals(plot: Plot, width: int) -> Markup:
    """Return the plot; on a phone the name stands above its interval."""
    wide = width == WIDE
    bars = plot.bars[:MOST]
    named = max((width_of(bar.name) for bar in bars), default=0.0)
    numbers = max((width_of(bar.said, 12) for bar in bars), default=0.0)
    left = min(named, 250.0) + 18 if wide else 4.0
    right = width - (min(numbers, 240.0) + 16 if wide else 4.0)
    step, top = 28.0 if wide else 44.0, 16.0 if plot.zero is None else 40.0
    height = top + step * len(bars) + 48
    ends = [value for bar in bars for value in (bar.estimate, bar.low, bar.high)]
    scale = Scale(*padded([*ends, plot.zero] if plot.zero is not None else ends), left, right)
    values = ticks(scale.low, scale.high, 6 if wide else 4)
    foot = height - 40
    # On a phone the lines leave out the texts above the bars.
    rows = [top + step * place + 28 for place in range(len(bars))]
    spans = [(top - 6, foot)] if wide else [(y - 8, y + 8) for y in rows] + [(foot - 6, foot)]
    drawn = [
        *(line(scale(value), start, scale(value), stop, "hair") for value in values for start, stop in spans),
        *_zero(plot, scale, spans, (left, right)),
        axes.along(scale, values, axes.tick_texts(values, signed=plot.zero == 0), foot),
        text(right, height - 4, plot.title, "tick", "end"),
    ]
    for place, bar in enumerate(bars):
        y = top + step * place + (10 if wide else 28)
        drawn.append(_bar(bar, scale, y))
        style = "strong" if bar.chosen else "label"
        if wide:
            drawn.append(text(0, y + 4, shortened(bar.name, left - 16), style))
            drawn.append(text(width, y + 4, shortened(bar.said, 240.0, 12), "tick", "end"))
        else:
            # The numbers are never cut; the name gets what room they leave.
            room = width - width_of(bar.said, 12) - 12
            drawn.append(text(0, y - 12, shortened(bar.name, room), style))
            drawn.append(text(width, y - 12, bar.said, "tick", "end"))
    return picture(width, height, f"{plot.title}: interval of each model", *drawn)


def _zero(plot: Plot, scale: Scale, spans: Sequence[tuple[float, float]], ends: tuple[float, float]) -> list[Markup]:
    if plot.zero is None:
        return []
    x, (left, right) = scale(plot.zero), ends
    said = shortened(plot.at_zero, right - left, 12)
    half = width_of(said, 12) / 2
    # The name stays within the plot, wherever the line is.
    middle = min(max(x, left + half), right - half)
    return [*(line(x, start, x, stop, "zero") for start, stop in spans), text(middle, 14, said, "tick", "middle")]


def _bar(bar: Bar, scale: Scale, y: float) -> Markup:
    drawn = []
    if bar.low is not None and bar.high is not None and known(bar.low) and known(bar.high):
        drawn.append(line(scale(bar.low), y, scale(bar.high), y, "whisker"))
        drawn += [line(scale(end), y - 4, scale(end), y + 4, "whisker") for end in (bar.low, bar.high)]
    if bar.estimate is not None and known(bar.estimate):
        kind, size = ("diamond", 6.0) if bar.chosen else ("dot", 4.5)
        path = mark(kind, scale(bar.estimate), y, size)
        drawn.append(
            titled("path", f"{bar.name}: {bar.said}", d=path, class_=f"dot {'chosen' if bar.chosen else 'known'}")
        )
    return join(drawn)
