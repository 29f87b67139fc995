"""Chart of what monitors said, period by period, under the rise of the loss that the labels revealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.facts import Facts, Values, known, merged
from mlwild.card.svg import (
    Box,
    Scale,
    join,
    line,
    padded,
    picture,
    place,
    polyline,
    shortened,
    tag,
    text,
)
from mlwild.card.words import number

#: Strips, their height in pixels, and points at most.
MOST_STRIPS, STRIP, MOST_STEPS = 7, 46.0, 200


def has_signals(facts: Facts) -> bool:
    """Say whether there is a monitor whose signal can be drawn."""
    return bool(_shown(facts)) and any(known(value) for value in facts.sheet["monitor_audition"]["series_never"])


def _shown(facts: Facts) -> list[Mapping[str, Any]]:
    """Return the monitors to draw: those that are named first, then the best of each kind, then the best."""
    if not facts.sheet.get("monitors"):
        return []
    audition = facts.sheet["monitor_audition"]
    rows = [row for row in facts.sheet["monitors"] if sum(known(value) for value in row["series_never"]) >= 2]
    named = {*audition["default"], *audition["for_staleness"]}
    first = [row for row in rows if row["name"] in named]
    kinds = [next((row for row in rows if row["kind"] == kind), None) for kind in ("performance", "shift", "control")]
    picked = [*first, *(row for row in kinds if row is not None), *rows]
    distinct = {row["name"]: row for row in picked}
    return list(distinct.values())[:MOST_STRIPS]


def signals(facts: Facts, width: int) -> Markup:
    """Return the strips: the rise of the loss of a model that is never retrained, and each monitor's signal of it."""
    audition, shown = facts.sheet["monitor_audition"], _shown(facts)
    size = -(-len(facts.cutoffs) // MOST_STEPS)
    truth = merged(audition["series_never"], size)
    threshold = audition.get("threshold")
    bad = [k for k, value in enumerate(truth) if value is not None and threshold is not None and value > threshold]
    height = 40 + (STRIP + 22) * (len(shown) + 1) + 26
    box = Box(6, 20, width - 6, height - 26)
    edges = Scale(0, len(facts.cutoffs), box.left, box.right)
    middle = Scale(-0.5, len(truth) - 0.5, box.left, box.right)
    drawn = [_shade(bad, middle, box), axes.dates(facts.cutoffs, edges, box, rules=False)]
    top = 34.0
    label = f"rise of the loss, {facts.per_event}: what the labels revealed (shaded: an event)"
    drawn.append(_strip(truth, middle, (top, box), shortened(label, width - 20), "line"))
    for row in shown:
        top += STRIP + 22
        grey = row["grey"]["cutoff"] // size if row["grey"] else None
        drawn.append(_signal(row, merged(row["series_never"], size), middle, (top, box), grey, width))
    said = "Signals of monitors by period under the rise of the loss of a model that is never retrained"
    return picture(width, height, said, *drawn)


def _shade(bad: Sequence[int], x: Scale, box: Box) -> Markup:
    half = (x(1) - x(0)) / 2
    return join(
        tag(
            "path",
            d=f"M{place(x(k) - half)} {place(box.top)}H{place(x(k) + half)}V{place(box.bottom)}H{place(x(k) - half)}Z",
            class_="event-period",
        )
        for k in bad
    )


def _strip(values: Values, x: Scale, frame: tuple[float, Box], label: str, name: str) -> Markup:
    top, box = frame
    y = Scale(*padded(values), top + STRIP, top + 8)
    points = [(x(k), None if value is None else y(value)) for k, value in enumerate(values)]
    zero = line(box.left, y(0), box.right, y(0), "hair") if y.low < 0 < y.high else Markup("")
    return join([text(box.left, top, label, "tick"), zero, tag("path", d=polyline(points), class_=name)])


def _signal(
    row: Mapping[str, Any], values: Values, x: Scale, frame: tuple[float, Box], grey: int | None, width: int
) -> Markup:
    auc = f"{number(row['estimate'], 2)}" if known(row["estimate"]) else "not known"
    label = f"{row['name']} (tells a rise: {auc})" + (", refuted by labels where grey" if grey is not None else "")
    if grey is None:
        return _strip(values, x, frame, shortened(label, width - 20), "line")
    # The refuted part stays in sight, in grey.
    before = tuple(value if k <= grey else None for k, value in enumerate(values))
    after = tuple(value if k >= grey else None for k, value in enumerate(values))
    top, box = frame
    y = Scale(*padded(values), top + STRIP, top + 8)
    paths = [
        tag("path", d=polyline([(x(k), None if v is None else y(v)) for k, v in enumerate(part)]), class_=name)
        for part, name in ((before, "line"), (after, "refuted"))
    ]
    return join([text(box.left, top, shortened(label, width - 20), "tick"), *paths])
