"""Charts of rules: loss against retrains, and regret as bars in the table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.facts import Facts, known
from mlwild.card.svg import (
    NARROW,
    WIDE,
    Box,
    Scale,
    Spot,
    join,
    labels,
    line,
    mark,
    padded,
    picture,
    place,
    polyline,
    shortened,
    tag,
    text,
    ticks,
    titled,
    width_of,
)
from mlwild.card.words import count, number, spread_decimals

#: No more rules than this are named on the chart; half as many on a phone.
MOST_LABELS = 16


def telling(facts: Facts) -> list[str]:
    """
    Return the rules worth naming on a chart, the most important first.

    With prices: the one shown, the two extremes and the best in hindsight. Without: the extremes
    and those that no other rule beats in both retrains and loss.
    """
    sheet = facts.sheet
    named = [facts.shown] if facts.priced else []
    named += ["never", "always", sheet["best_schedule_in_hindsight"], sheet["best_in_hindsight"], facts.prior]
    if not facts.priced:
        named += unbeaten(sheet["rules"])
    return [name for name in dict.fromkeys(named) if name in facts.rules]


def unbeaten(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    """
    Return the rules that no other beats in both the number of retrains and the loss.

    Examples
    --------
    >>> rows = [("a", 0, 0.6), ("b", 2, 0.5), ("c", 3, 0.55)]
    >>> unbeaten([{"name": n, "retrains": r, "updates": 0, "loss": l} for n, r, l in rows])
    ['a', 'b']
    """
    made, best = [], float("inf")
    for row in sorted(rules, key=lambda row: (row["retrains"] + row["updates"], row["loss"] or 0.0, row["name"])):
        if known(row["loss"]) and row["loss"] < best:
            best = row["loss"]
            made.append(str(row["name"]))
    return made


def _points(facts: Facts) -> list[tuple[float, float, list[str]]]:
    """Return number of retrains, loss and names of rules, those alike together."""
    together: dict[tuple[float, float], list[str]] = {}
    for name, row in facts.rules.items():
        if known(row["loss"]):
            together.setdefault((row["retrains"], round(row["loss"], 9)), []).append(name)
    return [(retrains, loss, names) for (retrains, loss), names in together.items()]


def against_frontier(facts: Facts, width: int) -> Markup:
    """Return the chart of every rule's loss against its retrains, with the best possible."""
    points = _points(facts)
    frontier: list[tuple[float, float]] = [(point["retrains"], point["loss"]) for point in facts.sheet["frontier"]]
    most = max([retrains for retrains, _, _ in points] + [retrains for retrains, _ in frontier], default=1) or 1
    if frontier:
        # More retrains than the frontier's last can do no better, and need not be used.
        frontier.append((most, frontier[-1][1]))
    low, high = padded([loss for _, loss, _ in points] + [loss for _, loss in frontier])
    height, top = (410.0, 48.0) if width == WIDE else (350.0, 66.0)
    y = Scale(low, high, height - 48, top)
    left = axes.gutter(y, 6)
    box = Box(left, top, width - 10, height - 48)
    x = Scale(-0.03 * most, most * 1.03, box.left, box.right)
    equal = _same_cost(facts, most, y)
    values = [value for value in ticks(0, most, 8 if width == WIDE else 5) if value == int(value)]
    drawn = [
        axes.vertical(y, box, 6),
        axes.along(x, values, [number(value, 0) for value in values], box.bottom),
        text(0, 12, f"{facts.mean_title}, {facts.per_event}", "tick"),
        text(box.right, height - 6, "retrains over the whole period", "tick", "end"),
        _best_possible(frontier, x, y),
        tag("path", d=polyline([(x(moves), y(loss)) for moves, loss in equal]), class_="equal"),
        _dots(facts, points, x, y),
        _key(facts, (frontier, equal), width),
        _named(facts, points, (frontier, equal), (x, y), box),
    ]
    said = f"Each rule's {facts.title} against its number of retrains, with the best possible in hindsight"
    return picture(width, height, said, *drawn)


def _best_possible(path: Sequence[tuple[float, float]], x: Scale, y: Scale) -> Markup:
    if not path:
        return Markup("")
    drawn = polyline([(x(moves), y(loss)) for moves, loss in path])
    floor = f"L{place(x(path[-1][0]))} {place(y.start)}L{place(x(path[0][0]))} {place(y.start)}Z"
    return tag("path", d=drawn + floor, class_="impossible") + tag("path", d=drawn, class_="frontier")


def same_cost_slope(facts: Facts) -> float | None:
    """Return how much loss per event one retrain must save to pay for itself; None without prices."""
    prices = facts.sheet["prices"]
    if not facts.priced or not facts.ranked:
        return None
    value = prices["loss"] * facts.events
    return prices["retrain"] / value if value > 0 else None


def _same_cost(facts: Facts, most: float, y: Scale) -> list[tuple[float, float]]:
    """Return the line of equal cost through the rule shown, cut where it leaves the chart."""
    slope, row = same_cost_slope(facts), facts.rules.get(facts.shown)
    if not slope or row is None or not known(row["loss"]):
        return []
    at_zero = row["loss"] + slope * row["retrains"]
    start, stop = max(0.0, (at_zero - y.high) / slope), min(most, (at_zero - y.low) / slope)
    return [(moves, at_zero - slope * moves) for moves in (start, stop)]


def _dots(facts: Facts, points: Sequence[tuple[float, float, list[str]]], x: Scale, y: Scale) -> Markup:
    decimals = spread_decimals([loss for _, loss, _ in points])
    money = spread_decimals([row["cost"] for row in facts.rules.values()], 3)
    special, drawn = set(telling(facts)), []
    for retrains, loss, names in sorted(points, key=lambda point: facts.shown in point[2]):
        updates = facts.rules[names[0]]["updates"]
        done = count(retrains, "retrain") + (f", {count(updates, 'update')}" if updates else "")
        said = f"{', '.join(names)}: {done}, {facts.loss_of(loss, decimals)}{facts.each}"
        if facts.ranked and facts.priced:
            said += f", {facts.money_of(facts.rules[names[0]]['cost'], money)}"
        if facts.priced and facts.ranked and facts.shown in names:
            kind, name, size = "diamond", "chosen", 8.0
        else:
            kind, name, size = "dot", "known" if special & set(names) else "other", 4.5
        drawn.append(titled("path", said, d=mark(kind, x(retrains), y(loss), size), class_=f"dot {name}"))
    return join(drawn)


def _named(
    facts: Facts,
    points: Sequence[tuple[float, float, list[str]]],
    lines: tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]]],
    scales: tuple[Scale, Scale],
    box: Box,
) -> Markup:
    """Return the names of rules: the telling ones first, the others where there is room."""
    x, y = scales
    where = {name: (x(retrains), y(loss)) for retrains, loss, names in points for name in names}
    room, most = 0.4 * (box.right - box.left), MOST_LABELS if box.right > NARROW else MOST_LABELS // 2
    important = telling(facts)
    spots, done = [], set()
    for name in [*important, *(name for name in where if name not in important)]:
        if name not in where or where[name] in done:
            continue
        done.add(where[name])
        chosen = facts.priced and facts.ranked and name == facts.shown
        style = "strong" if chosen else "label" if name in important else "tick"
        spots.append(Spot(*where[name], shortened(name, room), style, 9.0 if chosen else 6.0, name in important))
    marks = [Box(px - 5, py - 5, px + 5, py + 5) for px, py in where.values()]
    marks += [spot for path in lines for spot in _along([(x(a), y(b)) for a, b in path])]
    return labels(spots, marks, box, most=most)


def _key(
    facts: Facts, lines: tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]]], width: float
) -> Markup:
    """Return what the lines are."""
    drawn, x, y = [], 0.0, 32.0
    words = ("best possible in hindsight", f"costs the same as {facts.shown}")
    for path, name, said in zip(lines, ("frontier", "equal"), words, strict=True):
        if not path:
            continue
        if x + 28 + width_of(said, 12) > width:
            x, y = 0.0, y + 18
        drawn += [line(x, y - 4, x + 22, y - 4, name), text(x + 28, y, shortened(said, width - 30, 12), "tick")]
        x += 28 + width_of(said, 12) + 16
    return join(drawn)


def _along(path: Sequence[tuple[float, float]]) -> list[Box]:
    """Return small boxes along a line, for labels to keep off."""
    made = []
    for (x1, y1), (x2, y2) in itertools.pairwise(path):
        steps = max(int(max(abs(x2 - x1), abs(y2 - y1)) / 6), 1)
        for k in range(steps + 1):
            x, y = x1 + (x2 - x1) * k / steps, y1 + (y2 - y1) * k / steps
            made.append(Box(x - 1, y - 1, x + 1, y + 1))
    return made


def interval_bar(
    values: tuple[float | None, float | None, float | None], scale: Scale, *, zero: float = 0.0, name: str = ""
) -> Markup:
    """
    Return an interval as a small bar with a dot, beside its numbers in a table.

    Parameters
    ----------
    values : (estimate, low, high)
    scale : Scale
        Common to the column.
    zero : float
        Value with a vertical line.
    name : str
        Class, for the row that stands out.
    """
    estimate, low, high = values
    drawn = [line(scale(zero), 0, scale(zero), 16, "zero")] if scale.low <= zero <= scale.high else []
    if estimate is not None and low is not None and high is not None:
        drawn.append(line(scale(low), 8, scale(high), 8, "whisker"))
        kind = "diamond" if name else "dot"
        drawn.append(tag("path", d=mark(kind, scale(estimate), 8, 5 if name else 3.5), class_=f"dot {name or 'known'}"))
    width = scale.start + scale.stop
    return tag("svg", *drawn, viewBox=f"0 0 {width:g} 16", width=width, height=16.0, aria_hidden="true", class_="bar")


def bar_scale(rows: Iterable[tuple[float | None, ...]], width: float = 112.0, zero: float | None = 0.0) -> Scale:
    """Return the common scale of a column of bars; `zero` is a value that must be on it."""
    values = [value for row in rows for value in row if known(value)]
    low, high = padded([*values, zero] if zero is not None else values, 0.0)
    return Scale(low, high, 7.0, width - 7.0)


def bar_axis(scale: Scale) -> Markup:
    """Return the axis that heads a column of bars; where room is short the ends keep their numbers."""
    values, width = ticks(scale.low, scale.high, 4), scale.start + scale.stop
    texts = axes.tick_texts(values)
    drawn, taken = [line(scale(value), 15, scale(value), 20, "axis") for value in values], list[Box]()
    for k in dict.fromkeys([0, len(values) - 1, *range(len(values))]) if values else ():
        wide = width_of(texts[k], 11)
        left = min(max(scale(values[k]) - wide / 2, 0.0), width - wide)
        box = Box(left - 2, 0, left + wide + 2, 11)
        if not any(box.meets(other) for other in taken):
            taken.append(box)
            drawn.append(text(left, 11, texts[k], "small"))
    return tag("svg", *drawn, viewBox=f"0 0 {width:g} 20", width=width, height=20.0, aria_hidden="true", class_="bar")
