"""Severity curves: one small panel a stressor, each on a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mlwild.card.axes import tick_texts
from mlwild.card.facts import known
from mlwild.card.svg import (
    WIDE,
    Scale,
    join,
    line,
    mark,
    padded,
    picture,
    polyline,
    shortened,
    tag,
    text,
    ticks,
    titled,
    width_of,
)
from mlwild.card.words import tidy

#: Panels that are drawn; the rest is in the table.
MOST = 9
_HIGH, _GAP = 176.0, 26.0


def curves(under: Mapping[str, Any], width: int) -> Markup:
    """
    Return the panels: loss against severity, the limit, and where a gate first fails.

    Parameters
    ----------
    under : mapping
        What is under stress as plain data; see `mlwild.worstcase.curves.Stressed`.
    width : int
    """
    shown = list(under["curves"])[:MOST]
    across = 3 if width == WIDE else 1
    wide = (width - _GAP * (across - 1)) / across
    panels = []
    for place, curve in enumerate(shown):
        ends = [point[name] for point in curve["points"] for name in ("loss", "low", "high") if known(point[name])]
        low, high = padded([*ends, under["clean"]["loss"], under["limit"]])
        values = ticks(low, high, 4)
        gutter = max(width_of(words, 12) for words in tick_texts(values)) + 10
        left = (place % across) * (wide + _GAP)
        top = (place // across) * (_HIGH + 22)
        scale = Scale(low, high, top + _HIGH - 34, top + 44)
        panels.append(_panel(curve, under, scale, (left, left + gutter, left + wide), (top, values)))
    height = (-(-len(shown) // across)) * (_HIGH + 22)
    return picture(width, height, "loss against severity, one panel a stressor", *panels)


def _panel(
    curve: Mapping[str, Any],
    under: Mapping[str, Any],
    scale: Scale,
    x: tuple[float, float, float],
    y: tuple[float, Sequence[float]],
) -> Markup:
    (outer, left, right), (top, values) = x, y
    points = curve["points"]
    step = (right - left - 24) / max(len(points) - 1, 1)
    places = [left + 12 + step * place for place in range(len(points))]
    unit = f", {curve['unit']}" if curve["unit"] else ""
    drawn = [
        text(outer, top + 14, shortened(f"{curve['stressor']}{unit}", right - outer), "strong"),
        text(outer, top + 30, shortened(f"in {curve['case']}", right - outer, 12), "tick"),
    ]
    for value, words in zip(values, tick_texts(values), strict=True):
        drawn += [
            line(left, scale(value), right, scale(value), "hair"),
            text(left - 6, scale(value) + 4, words, "tick", "end"),
        ]
    limit, clean = scale(under["limit"]), scale(under["clean"]["loss"])
    drawn += [line(left, limit, right, limit, "frontier"), line(left, clean, right, clean, "fresh")]
    drawn += [
        line(at, scale(point["low"]), at, scale(point["high"]), "whisker")
        for at, point in zip(places, points, strict=True)
        if known(point["low"]) and known(point["high"])
    ]
    path = polyline(
        [(at, scale(p["loss"]) if known(p["loss"]) else None) for at, p in zip(places, points, strict=True)]
    )
    drawn.append(tag("path", d=path, class_="line"))
    foot = top + _HIGH - 22
    for at, point in zip(places, points, strict=True):
        drawn.append(text(at, foot + 10, tidy(point["severity"], 2), "tick", "middle"))
        if point["fault"]:
            drawn.append(titled("path", point["fault"], d=mark("cross", at, top + 50, 5.0), class_="mark cross"))
        elif known(point["loss"]):
            bad = known(curve["fails_at"]) and point["severity"] >= curve["fails_at"]
            said = f"{tidy(point['severity'], 2)}: {tidy(point['loss'])}"
            drawn.append(
                titled(
                    "path",
                    said,
                    d=mark("dot", at, scale(point["loss"]), 4.0),
                    class_=f"dot {'bad' if bad else 'known'}",
                )
            )
    return join(drawn)
