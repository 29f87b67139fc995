"""Charts of a life in production: promise against outcome, and below it what was live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.chart_promise import bands, broken, key
from mlwild.card.facts import Values, merged
from mlwild.card.svg import (
    WIDE,
    Box,
    Scale,
    join,
    mark,
    padded,
    picture,
    place,
    polyline,
    tag,
    text,
    titled,
    width_of,
)
from mlwild.card.words import count, interval, spread_decimals, tidy

Period = Mapping[str, Any]

#: Periods drawn one by one; with more, neighbours are drawn as their mean.
MOST_STEPS = 160
STRIP = 26.0
MARKS = {"retrain": "up", "update": "dot", "fall back": "down", "refused": "cross", "start": "diamond"}


def life(sheet: Mapping[str, Any], width: int) -> Markup:
    """Return the chart of what was promised of each period and what came, above the strip of what was live."""
    periods: Sequence[Period] = sheet["periods"]
    size = max(-(-len(periods) // MOST_STEPS), 1)
    low, high, promised, came = (_column(periods, name, size) for name in ("low", "high", "promised", "came"))
    top, bottom = 46.0, 250.0 if width == WIDE else 230.0
    y = Scale(*padded([*low, *high, *promised, *came]), bottom, top)
    box = Box(axes.gutter(y, 5), top, width - 10, bottom)
    edges = Scale(0, len(periods), box.left, box.right)
    middle = Scale(-0.5, len(came) - 0.5, box.left, box.right)
    height = bottom + STRIP + 62
    drawn = [
        text(0, 12, f"mean {sheet['loss'] or 'loss'} by period", "tick"),
        key(),
        axes.vertical(y, box, 5),
        bands(low, high, middle, y) if len(came) > 1 else Markup(""),
        tag("path", d=polyline([(middle(k), _placed(v, y)) for k, v in enumerate(promised)]), class_="fresh"),
        tag("path", d=polyline([(middle(k), _placed(v, y)) for k, v in enumerate(came)]), class_="line"),
        _dots(came, middle, y),
        broken(low, high, came, middle, y) if size == 1 else Markup(""),
        _strip(periods, edges, Box(box.left, bottom + 12, box.right, bottom + 12 + STRIP)),
        axes.dates(
            [str(one["at"]) for one in periods], edges, Box(box.left, 0, box.right, bottom + 22 + STRIP), rules=False
        ),
        _tooltips(periods, edges, Box(box.left, top, box.right, bottom + 12 + STRIP)) if size == 1 else Markup(""),
    ]
    said = f"what was promised of {count(len(periods), 'period')} and what came, and which vintage was live"
    return picture(width, height, said, *drawn)


def _column(periods: Sequence[Period], name: str, size: int) -> Values:
    return merged([one[name] for one in periods], size)


def _placed(value: float | None, y: Scale) -> float | None:
    return None if value is None else y(value)


def _dots(came: Values, x: Scale, y: Scale) -> Markup:
    """Return a dot for each outcome where there are few: a line needs two."""
    if len(came) > 40:
        return Markup("")
    return join(
        tag("path", d=mark("dot", x(k), y(v), 3), class_="dot known") for k, v in enumerate(came) if v is not None
    )


def _strip(periods: Sequence[Period], x: Scale, box: Box) -> Markup:
    """Return the vintages that were live, as blocks with their names, and marks where something was decided."""
    drawn, first = [], 0
    shades = ("n1", "n2")
    block = 0
    for k in range(1, len(periods) + 1):
        if k < len(periods) and periods[k]["live"] == periods[first]["live"]:
            continue
        left, right = x(first), x(k)
        name = str(periods[first]["live"])
        path = f"M{place(left)} {place(box.top)}H{place(right)}V{place(box.bottom)}H{place(left)}Z"
        drawn.append(titled("path", f"vintage {name}: {count(k - first, 'period')}", d=path, class_=shades[block % 2]))
        if width_of(name, 12) + 8 <= right - left:
            drawn.append(text((left + right) / 2, box.bottom - 8, name, "tick", "middle"))
        first, block = k, block + 1
    for k, one in enumerate(periods):
        if one["action"] in MARKS and len(periods) <= 400:
            kind = MARKS[one["action"]]
            name = "mark cross" if kind == "cross" else "mark"
            why = f"{one['at']}: {one['action']}" + (f", {one['reason']}" if one["reason"] else "")
            drawn.append(titled("path", why, d=mark(kind, x(k), box.top - 5, 4), class_=name))
        if one["alarm"]:
            path = f"M{place(x(k))} {place(box.bottom)}H{place(x(k + 1))}V{place(box.bottom + 5)}H{place(x(k))}Z"
            drawn.append(titled("path", f"{one['at']}: {one['alarm']}", d=path, class_="dot bad"))
    return join(drawn)


def _tooltips(periods: Sequence[Period], x: Scale, box: Box) -> Markup:
    decimals = spread_decimals([one["promised"] for one in periods])
    drawn = []
    for k, one in enumerate(periods):
        words = f"{one['at']}: vintage {one['live']}"
        if one["promised"] is not None:
            words += f", promised {tidy(one['promised'])} ({interval(one['low'], one['high'], decimals)})"
        if one["came"] is not None:
            words += f", came {tidy(one['came'])}"
        path = f"M{place(x(k))} {place(box.top)}H{place(x(k + 1))}V{place(box.bottom)}H{place(x(k))}Z"
        drawn.append(titled("path", words, d=path, class_="ghost"))
    return join(drawn)
