"""Charts through time: the loss of the rule shown, and the lives of a handful of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.chart_rules import telling
from mlwild.card.facts import Facts, Values, known, merged
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
    shortened,
    tag,
    text,
    titled,
    width_of,
)
from mlwild.card.words import count, day, spread_decimals, tidy

MOST_STRIPS = 8
MOST_STEPS = 240
MOST_MARKS = 120
#: Height of the line of a life, in pixels.
STRIP = 42.0
MARKS = {
    "retrain": ("up", "retrain"),
    "update": ("dot", "update"),
    "fall back": ("down", "fall back"),
    "refused": ("cross", "refused"),
}


def through_time(facts: Facts, width: int) -> Markup:
    """Return the chart of the shown rule's loss by period, with the difficulty and the worst period."""
    strip = facts.strips[facts.shown]
    size = step_size(facts)
    fresh = merged(facts.shown_fresh, size)
    ours = merged([None] * strip["first"] + list(strip["loss"]), size)
    worst = facts.sheet["worst_period"]
    height = 250.0 if width == WIDE else 230.0
    bounds = [worst["low"], worst["high"], worst["loss"]] if worst else []
    y = Scale(*padded([*fresh, *ours, *bounds]), height - 30, 46)
    box = Box(axes.gutter(y, 5), 46, width - 10, height - 30)
    edges = Scale(0, len(facts.cutoffs), box.left, box.right)
    middle = Scale(-0.5, len(fresh) - 0.5, box.left, box.right)
    points = [(middle(k), None if value is None else y(value)) for k, value in enumerate(ours)]
    floor = [(middle(k), None if value is None else y(value)) for k, value in enumerate(fresh)]
    drawn = [
        text(0, 12, f"{facts.mean_title}, {facts.per_event}", "tick"),
        _key(0.0, 32.0, (("line", shortened(facts.shown, width / 2 - 30)), ("fresh", "freshest vintage"))),
        axes.vertical(y, box, 5),
        axes.dates(facts.cutoffs, edges, box, rules=False),
        _between(points, floor),
        tag("path", d=polyline(floor), class_="fresh"),
        tag("path", d=polyline(points), class_="line"),
        _worst(facts, edges, y, box) if worst else Markup(""),
        _period_tooltips(facts, ours, (edges, box)) if size == 1 else Markup(""),
    ]
    said = f"{facts.mean_title} by period under {facts.shown}, against the freshest vintage"
    return picture(width, height, said, *drawn)


def _key(x: float, y: float, names: Sequence[tuple[str, str]]) -> Markup:
    drawn = []
    for name, words in names:
        drawn += [line(x, y - 4, x + 22, y - 4, name), text(x + 28, y, words, "tick")]
        x += 28 + width_of(words, 12) + 18
    return join(drawn)


def _between(ours: Sequence[tuple[float, float | None]], fresh: Sequence[tuple[float, float | None]]) -> Markup:
    """Return the area between two lines: one colour where ours lies above, another where below."""
    pieces: list[list[tuple[float, float, float]]] = [[]]
    for (x, our), (_, floor) in zip(ours, fresh, strict=False):
        if our is None or floor is None:
            pieces.append([])
            continue
        if pieces[-1] and (pieces[-1][-1][1] - pieces[-1][-1][2]) * (our - floor) < 0:
            pieces[-1].append(_crossing(pieces[-1][-1], (x, our, floor)))
        pieces[-1].append((x, our, floor))
    paths = {"stale": "", "fresher": ""}
    for piece in pieces:
        back = [(x, floor) for x, _, floor in reversed(piece)]
        # Places grow downwards: the greater loss has the lesser place.
        for name, edge in (("stale", min), ("fresher", max)):
            if any(edge(our, floor) != floor for _, our, floor in piece):
                outline = [(x, edge(our, floor)) for x, our, floor in piece] + back
                paths[name] += "M" + "L".join(f"{place(x)} {place(y)}" for x, y in outline) + "Z"
    return join(tag("path", d=path, class_=name) for name, path in paths.items() if path)


def _crossing(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return where two lines cross between two places at which they differ."""
    share = (a[1] - a[2]) / ((a[1] - a[2]) - (b[1] - b[2]))
    y = a[1] + share * (b[1] - a[1])
    return a[0] + share * (b[0] - a[0]), y, y


def _worst(facts: Facts, x: Scale, y: Scale, box: Box) -> Markup:
    worst = facts.sheet["worst_period"]
    if not known(worst["loss"]):
        return Markup("")
    at, high = x(worst["period"] + 0.5), y(worst["loss"])
    drawn = []
    if known(worst["low"]) and known(worst["high"]):
        drawn.append(line(at, y(worst["low"]), at, y(worst["high"]), "whisker"))
    drawn.append(tag("path", d=mark("diamond", at, high, 6), class_="dot bad"))
    left = at + 130 > box.right
    drawn.append(text(at - 9 if left else at + 9, high - 5, "the worst period", "strong", "end" if left else None))
    return join(drawn)


def _period_tooltips(facts: Facts, values: Values, frame: tuple[Scale, Box]) -> Markup:
    x, box = frame
    decimals, drawn = spread_decimals(values), []
    for k, value in enumerate(values):
        if value is None:
            continue
        said = f"{facts.period(k)}: {facts.loss_of(value, decimals)} (n = {facts.sheet['rows_by_period'][k]:,})"
        path = f"M{place(x(k))} {place(box.top)}H{place(x(k + 1))}V{place(box.bottom)}H{place(x(k))}Z"
        drawn.append(titled("path", said, d=path, class_="ghost"))
    return join(drawn)


def step_size(facts: Facts) -> int:
    """Return how many periods are drawn as one."""
    return -(-len(facts.cutoffs) // MOST_STEPS)


def lives_shown(facts: Facts) -> list[str]:
    """Return the rules whose lives are drawn, the one shown first."""
    names = dict.fromkeys([facts.shown, *telling(facts)])
    return [name for name in names if name in facts.strips][:MOST_STRIPS]


def lives(facts: Facts, width: int) -> Markup:
    """Return a row for each of a handful of rules: staleness through time, and what was done when."""
    names, size = lives_shown(facts), step_size(facts)
    series = [merged(facts.stale(facts.strips[name]), size) for name in names]
    y = Scale(*padded([value for values in series for value in values], 0.0, zero=True), STRIP, 0.0)
    left, top, tall = width_of(tidy(y.high, 2), 12) + 12, 44.0, STRIP + 52.0
    box = Box(left, top, width - 10, top + tall * len(names) - 6)
    x = Scale(0, len(facts.cutoffs), box.left, box.right)
    actions = {decision["action"] for name in names for decision in facts.strips[name]["decisions"]}
    drawn = [
        text(0, 12, f"Loss above the freshest vintage, {facts.per_event}", "tick"),
        _marks_key([action for action in MARKS if action in actions]),
        axes.dates(facts.cutoffs, x, box),
    ]
    for row, (name, values) in enumerate(zip(names, series, strict=True)):
        at = top + tall * row
        drawn += [_heading(facts, name, at + 14, box, width), _strip(values, y, (box, at + 24))]
        drawn.append(_decisions(facts, name, x, at + 24 + STRIP + 10))
    said = f"Staleness through time and the decisions of {count(len(names), 'rule')}: {', '.join(names)}"
    return picture(width, box.bottom + 26, said, *drawn)


def _marks_key(actions: Sequence[str]) -> Markup:
    drawn, x = [], 5.0
    for action in actions:
        kind, words = MARKS[action]
        drawn += [tag("path", d=mark(kind, x, 28), class_=f"mark {kind}"), text(x + 10, 32, words, "tick")]
        x += 10 + width_of(words, 12) + 18
    return join(drawn)


def _heading(facts: Facts, name: str, y: float, box: Box, width: int) -> Markup:
    row = facts.rules.get(name, {})
    done = [
        count(row.get(key, 0.0), noun)
        for key, noun in (("retrains", "retrain"), ("updates", "update"))
        if key == "retrains" or row.get(key)
    ]
    if row.get("rollbacks"):
        done.append(count(row["rollbacks"], "fall back"))
    if facts.priced and facts.ranked and width == WIDE:
        decimals = spread_decimals([other["cost"] for other in facts.rules.values()], 3)
        done.append(facts.money_of(row.get("cost"), decimals))
    said = ", ".join(done)
    chosen = facts.ranked and facts.priced and name == facts.shown
    title = ("◆ " if chosen else "") + name + (" (recommended)" if chosen and width == WIDE else "")
    room = box.right - box.left - width_of(said, 12) - 24
    return text(box.left, y, shortened(title, room), "strong") + text(box.right, y, said, "tick halo", "end")


def _strip(values: Values, y: Scale, frame: tuple[Box, float]) -> Markup:
    """Return staleness by period as steps above and below the zero line."""
    box, top = frame
    wide = (box.right - box.left) / len(values)
    zero, above, below = top + y(0.0), "", ""
    for k, value in enumerate(values):
        if value is None or not value:
            continue
        piece = f"M{place(box.left + k * wide)} {place(zero)}V{place(top + y(value))}h{place(wide)}V{place(zero)}z"
        above, below = (above + piece, below) if value > 0 else (above, below + piece)
    drawn = [tag("path", d=above, class_="p3"), tag("path", d=below, class_="n3")]
    drawn.append(line(box.left, zero, box.right, zero, "zero"))
    drawn.append(text(box.left - 8, zero + 4, "0", "tick", "end"))
    peak = y.high
    if peak > 0 and abs(y(peak) - y(0.0)) > 12:
        drawn.append(text(box.left - 8, top + y(peak) + 6, tidy(peak, 2), "tick", "end"))
    return join(drawn)


def _decisions(facts: Facts, name: str, x: Scale, y: float) -> Markup:
    """Return the marks of a life's decisions; a crowd of them shares one tooltip."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for decision in facts.strips[name]["decisions"]:
        if decision["action"] in MARKS:
            by_kind.setdefault(decision["action"], []).append(decision)
    drawn = []
    for action, decisions in by_kind.items():
        kind = MARKS[action][0]
        size = min(4.0, max(1.0, 0.45 * (x.stop - x.start) / len(decisions)))
        if len(decisions) > MOST_MARKS:
            path = "".join(mark(kind, x(decision["period"]), y, size) for decision in decisions)
            drawn.append(titled("path", f"{name}: {count(len(decisions), action)}", d=path, class_=f"mark {kind}"))
            continue
        for decision in decisions:
            said = (
                f"{day(decision['at'])}: {action} ({decision['reason']})"
                if decision["reason"]
                else f"{day(decision['at'])}: {action}"
            )
            path = mark(kind, x(decision["period"]), y, size)
            drawn.append(titled("path", said, d=path, class_=f"mark {kind}"))
    return join(drawn)
