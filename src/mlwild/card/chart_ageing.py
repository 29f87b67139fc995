"""Chart of staleness against age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.facts import Facts, known
from mlwild.card.svg import (
    WIDE,
    Box,
    Scale,
    join,
    line,
    mark,
    padded,
    picture,
    place,
    polyline,
    tag,
    text,
    ticks,
    titled,
    width_of,
)
from mlwild.card.words import count, half_width, interval, number, span, spread_decimals

Point = Mapping[str, Any]
#: With more ages than this only every so many are drawn.
MOST_AGES = 120


def curve(facts: Facts) -> list[Point]:
    """Return the ages whose staleness is known; of very many, every so many."""
    points = [point for point in facts.sheet["ageing"] if known(point["staleness"])]
    return points[:: thinning(facts)]


def thinning(facts: Facts) -> int:
    """Return of how many ages one is drawn."""
    return max(1, -(-len(facts.sheet["ageing"]) // MOST_AGES))


def decimals_of(points: Sequence[Point]) -> int:
    """Return the decimals for staleness: those of its typical interval."""
    widths = sorted(half_width(point["low"], point["high"]) for point in points)
    middle = widths[len(widths) // 2] if widths else 0.0
    return spread_decimals([0.0, middle] if middle else [point["staleness"] for point in points])


def sentence(facts: Facts, point: Point, decimals: int) -> str:
    """Say the staleness of an age with its interval and number of pairs."""
    return (
        f"{facts.loss_of(point['staleness'], decimals, signed=True)} "
        f"({facts.level} interval {interval(point['low'], point['high'], decimals)}; {count(point['n'], 'pair')})"
    )


def ageing(facts: Facts, width: int) -> Markup:
    """Return the chart of staleness against age, with its interval and the age that costs a retrain."""
    points = curve(facts)
    low, high = padded([point[key] for point in points for key in ("staleness", "low", "high")], zero=True)
    height = 340.0 if width == WIDE else 310.0
    y = Scale(low, high, height - 68, 30)
    box = Box(axes.gutter(y, 6, signed=True), 30, width - 10, height - 68)
    last = points[-1]["age"]
    x = Scale(0, last + 0.5, box.left, box.right)
    every = span(facts.sheet["every"])
    drawn = [
        text(0, 12, f"Loss above the freshest vintage, {facts.per_event}", "tick"),
        axes.vertical(y, box, 6, signed=True, zero=True),
        _pairs(facts.sheet["ageing"], x, box),
        text(box.right, height - 4, f"age of the vintage, in periods of {every}", "tick", "end"),
        _band(points, x, y),
        tag("path", d=polyline([(x(point["age"]), y(point["staleness"])) for point in points]), class_="line"),
        _dots(facts, points, x, y),
        _mark(facts, x, box),
    ]
    said = f"Staleness against age, from 1 to {count(last, 'period')} of {every}, with {facts.level} intervals"
    return picture(width, height, said, *drawn)


def _pairs(points: Sequence[Point], x: Scale, box: Box) -> Markup:
    """Return the axis of ages, with the number of pairs that each rests on."""
    most = 9 if box.right > 500 else 5
    by_age = {point["age"]: point["n"] for point in points}
    ages = [age for age in ticks(0, points[-1]["age"], most) if age in by_age] or [float(points[-1]["age"])]
    if points[0]["age"] not in ages and (not ages or x(ages[0]) - x(points[0]["age"]) > 30):
        ages = [float(points[0]["age"]), *ages]
    drawn = [axes.along(x, ages, [number(age, 0) for age in ages], box.bottom)]
    drawn += [text(x(age), box.bottom + 36, number(by_age[int(age)], 0), "faint", "middle") for age in ages]
    drawn.append(text(0, box.bottom + 18, "age", "tick"))
    drawn.append(text(0, box.bottom + 36, "pairs", "faint"))
    return join(drawn)


def _band(points: Sequence[Point], x: Scale, y: Scale) -> Markup:
    known_points = [point for point in points if known(point["low"]) and known(point["high"])]
    if len(known_points) < 3:
        return join(line(x(p["age"]), y(p["low"]), x(p["age"]), y(p["high"]), "whisker") for p in known_points)
    upper = [(x(point["age"]), y(point["high"])) for point in known_points]
    lower = [(x(point["age"]), y(point["low"])) for point in reversed(known_points)]
    path = "M" + "L".join(f"{place(px)} {place(py)}" for px, py in [*upper, *lower]) + "Z"
    return tag("path", d=path, class_="band")


def _dots(facts: Facts, points: Sequence[Point], x: Scale, y: Scale) -> Markup:
    decimals, every = decimals_of(points), facts.sheet["every"]
    size = 3.5 if (x(2) - x(1)) > 8 else 2.0
    return join(
        titled(
            "path",
            f"{count(point['age'], 'period')} old ({span(every, point['age'])}): {sentence(facts, point, decimals)}",
            d=mark("dot", x(point["age"]), y(point["staleness"]), size),
            class_="dot known",
        )
        for point in points
    )


def _mark(facts: Facts, x: Scale, box: Box) -> Markup:
    age = facts.sheet["ageing_costs_one_retrain_at"]
    if age is None:
        return Markup("")
    at = x(age)
    said = f"at {count(age, 'period')} it has cost one retrain"
    right = at + 8 + width_of(said) < box.right
    label = text(at + 6 if right else at - 6, box.top + 8, said, "strong", None if right else "end")
    return line(at, box.top - 2, at, box.bottom, "event") + label
