"""Charts of a life in production: promise against outcome, and below it what was live."""

from __future__ import annotations

import itertools
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
from mlwild.card.words import count, day, interval, metric, number, spread_decimals

Period = Mapping[str, Any]

#: Periods drawn one by one; with more, neighbours are drawn as their mean.
MOST_STEPS = 160
#: Marks of one kind that are drawn one by one.
MOST_MARKS = 120
STRIP = 26.0
MARKS = {"retrain": "up", "update": "dot", "fall back": "down", "refused": "cross", "start": "diamond"}


def life(sheet: Mapping[str, Any], width: int) -> Markup:
    """Return the chart of what was promised of each period and what came, above the strip of what was live."""
    periods: Sequence[Period] = sheet["periods"]
    size = step_size(sheet)
    low, high, promised, came = (_column(periods, name, size) for name in ("low", "high", "promised", "came"))
    top, bottom = 46.0, 250.0 if width == WIDE else 230.0
    y = Scale(*padded([*low, *high, *promised, *came]), bottom, top)
    box = Box(axes.gutter(y, 7), top, width - 10, bottom)
    edges = Scale(0, len(periods), box.left, box.right)
    middle = Scale(-0.5, len(came) - 0.5, box.left, box.right)
    height = bottom + STRIP + 62
    drawn = [
        text(0, 12, f"Mean {loss_name(sheet)} by period", "tick"),
        key(single=size == 1),
        axes.vertical(y, box, 7),
        bands(low, high, middle, y),
        tag("path", d=polyline([(middle(k), _placed(v, y)) for k, v in enumerate(promised)]), class_="fresh"),
        _alone(promised, middle, y),
        tag("path", d=polyline([(middle(k), _placed(v, y)) for k, v in enumerate(came)]), class_="line"),
        _dots(came, middle, y),
        broken(low, high, came, middle, y) if size == 1 else _missed(periods, edges, bottom),
        _strip(periods, edges, Box(box.left, bottom + 12, box.right, bottom + 12 + STRIP)),
        axes.dates(
            [str(one["at"]) for one in periods], edges, Box(box.left, 0, box.right, bottom + 22 + STRIP), rules=False
        ),
        _tooltips(periods, edges, Box(box.left, top, box.right, bottom + 12 + STRIP)) if size == 1 else Markup(""),
    ]
    said = f"what was promised of {count(len(periods), 'period')} and what came, and which vintage was live"
    return picture(width, height, said, *drawn)


def step_size(sheet: Mapping[str, Any]) -> int:
    """Return how many periods are drawn as one."""
    return max(-(-len(sheet["periods"]) // MOST_STEPS), 1)


def loss_name(sheet: Mapping[str, Any]) -> str:
    """Return the name of the loss for a reader."""
    return metric(str(sheet["loss"] or "loss"))


def _column(periods: Sequence[Period], name: str, size: int) -> Values:
    return merged([one[name] for one in periods], size)


def _placed(value: float | None, y: Scale) -> float | None:
    return None if value is None else y(value)


def _alone(promised: Values, x: Scale, y: Scale) -> Markup:
    """Return a line as wide as its period for each promise between none, as the first of a life: a line needs two."""
    around, half = [None, *promised, None], (x(1) - x(0)) / 2
    return join(
        tag("path", d=polyline([(x(k) - half, y(v)), (x(k) + half, y(v))]), class_="fresh")
        for k, v in enumerate(promised)
        if v is not None and around[k] is None and around[k + 2] is None
    )


def _dots(came: Values, x: Scale, y: Scale) -> Markup:
    """Return a dot for each outcome where there are few: a line needs two."""
    if len(came) > 40:
        return Markup("")
    return join(
        tag("path", d=mark("dot", x(k), y(v), 3), class_="dot known") for k, v in enumerate(came) if v is not None
    )


def _strip(periods: Sequence[Period], x: Scale, box: Box) -> Markup:
    """Return the vintages that were live, as blocks with their names, and marks where something was decided."""
    return join([_blocks(periods, x, box), _decisions(periods, x, box.top - 5), _alarms(periods, x, box.bottom)])


def _spans(values: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return the stretches of equal values: first, one past the last, value."""
    firsts = [k for k in range(len(values)) if k == 0 or values[k] != values[k - 1]]
    return [(a, b, values[a]) for a, b in itertools.pairwise([*firsts, len(values)])]


def _block(left: float, right: float, top: float, bottom: float) -> str:
    return f"M{place(left)} {place(top)}H{place(right)}V{place(bottom)}H{place(left)}Z"


def _blocks(periods: Sequence[Period], x: Scale, box: Box) -> Markup:
    spans, shades, drawn = _spans([str(one["live"]) for one in periods]), ("n1", "n2"), []
    if len(spans) > MOST_MARKS:  # too many to be told apart by a pointer: one path a shade
        paths, last = ["", ""], box.left - 1
        for number, (first, after, _) in enumerate(spans):
            if x(after) - last >= 1:
                paths[number % 2] += _block(max(x(first), last), x(after), box.top, box.bottom)
                last = x(after)
        said = f"{count(len(spans), 'change')} of the vintage"
        return join(titled("path", said, d=path, class_=shade) for path, shade in zip(paths, shades, strict=True))
    fits = [width_of(name, 12) + 8 <= x(after) - x(first) for first, after, name in spans]
    for number, (first, after, name) in enumerate(spans):
        said = f"vintage {name}, from {day(str(periods[first]['at']))}: {count(after - first, 'period')}"
        path = _block(x(first), x(after), box.top, box.bottom)
        drawn.append(titled("path", said, d=path, class_=shades[number % 2]))
        if fits[number] and 2 * sum(fits) > len(fits):  # a name here and there tells nothing
            drawn.append(text((x(first) + x(after)) / 2, box.bottom - 8, name, "tick", "middle"))
    return join(drawn)


def _decisions(periods: Sequence[Period], x: Scale, y: float) -> Markup:
    """Return a mark for each decision that was not to keep; a crowd of one kind is one path."""
    drawn = []
    for action, kind in MARKS.items():
        found = [(k, one) for k, one in enumerate(periods) if one["action"] == action]
        name = "mark cross" if kind == "cross" else "mark"
        if len(found) > MOST_MARKS:
            size = 2.5 if kind == "cross" else 2.0
            path = "".join(mark(kind, at, y, size) for at in _thinned([x(k) for k, _ in found], 2.0))
            drawn.append(titled("path", count(len(found), action), d=path, class_=name))
            continue
        for k, one in found:
            why = f"{day(str(one['at']))}: {action}" + (f", {one['reason']}" if one["reason"] else "")
            drawn.append(titled("path", why, d=mark(kind, x(k), y, 4), class_=name))
    return join(drawn)


def _alarms(periods: Sequence[Period], x: Scale, y: float) -> Markup:
    """Return the stretches with an alarm, below the strip."""
    spans = [span for span in _spans([str(one["alarm"]) for one in periods]) if span[2]]
    if len(spans) > MOST_MARKS:
        path = "".join(_block(at, at + 1, y, y + 5) for at in _thinned([x(first) for first, _, _ in spans], 1.0))
        return titled("path", count(len(spans), "alarm"), d=path, class_="dot bad")
    return join(
        titled("path", f"{day(str(periods[first]['at']))}, {count(after - first, 'tick')}: {why}",
               d=_block(x(first), max(x(after), x(first) + 2), y, y + 5), class_="dot bad")
        for first, after, why in spans
    )  # fmt: skip


def _missed(periods: Sequence[Period], x: Scale, y: float) -> Markup:
    """Return a stroke for each period that came outside its interval: means over neighbours hide it."""
    found = [k for k, one in enumerate(periods) if one["kept"] is False]
    if not found:
        return Markup("")
    strokes = "".join(f"M{place(at)} {place(y - 9)}V{place(y)}" for at in _thinned([x(k + 0.5) for k in found], 1.0))
    return titled("path", f"{count(len(found), 'period')} outside", d=strokes, class_="mark cross")


def _thinned(places: Sequence[float], apart: float) -> list[float]:
    """Return places without those that would be drawn over one another."""
    made: list[float] = []
    for one in places:
        if not made or one - made[-1] >= apart:
            made.append(one)
    return made


def _tooltips(periods: Sequence[Period], x: Scale, box: Box) -> Markup:
    decimals = spread_decimals([one["promised"] for one in periods], 3)
    drawn = []
    for k, one in enumerate(periods):
        words = f"{day(str(one['at']))}: vintage {one['live']}"
        if one["promised"] is not None:
            bounds = f" ({interval(one['low'], one['high'], decimals)})" if one["low"] is not None else ""
            words += f", promised {number(one['promised'], decimals)}{bounds}"
        if one["came"] is not None:
            words += f", came {number(one['came'], decimals)}"
        drawn.append(titled("path", words, d=_block(x(k), x(k + 1), box.top, box.bottom), class_="ghost"))
    return join(drawn)
