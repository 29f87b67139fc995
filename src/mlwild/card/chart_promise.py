"""Chart of promise against delivery: what was promised of each period, and what came."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mlwild.card import axes
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
    tag,
    text,
    titled,
    width_of,
)
from mlwild.card.words import interval, spread_decimals

MOST_STEPS = 160


def has_promise(facts: Facts) -> bool:
    """Say whether the sheet holds promises that were kept or broken."""
    audition = facts.sheet.get("split_audition")
    return audition is not None and sum(known(value) for value in audition["promise"]["promised"]) >= 2


def _by_period(facts: Facts, name: str) -> Values:
    promise = facts.sheet["split_audition"]["promise"]
    made: list[float | None] = [None] * len(facts.cutoffs)
    for cutoff, value in zip(promise["cutoffs"], promise[name], strict=True):
        made[cutoff] = value
    return tuple(made)


def promise(facts: Facts, width: int) -> Markup:
    """Return the chart of what was promised, with its interval, and what came; broken promises are marked."""
    found = facts.sheet["split_audition"]["promise"]
    size = -(-len(facts.cutoffs) // MOST_STEPS)
    low, high = (merged(_by_period(facts, name), size) for name in ("promised_low", "promised_high"))
    promised, came = (merged(_by_period(facts, name), size) for name in ("promised", "came"))
    height = 270.0 if width == WIDE else 250.0
    # The promise for the time after the history gets a place of its own at the right.
    ahead = [found["estimate"], found["low"], found["high"]]
    y = Scale(*padded([*low, *high, *promised, *came, *ahead]), height - 30, 46)
    box = Box(axes.gutter(y, 5), 46, width - 10, height - 30)
    room = max(box.right - 34, box.left + 1)
    edges = Scale(0, len(facts.cutoffs), box.left, room)
    middle = Scale(-0.5, len(came) - 0.5, box.left, room)
    drawn = [
        text(0, 12, f"{facts.mean_title}, {facts.per_event}", "tick"),
        key(),
        axes.vertical(y, box, 5),
        axes.dates(facts.cutoffs, edges, Box(box.left, box.top, room, box.bottom), rules=False),
        bands(low, high, middle, y),
        tag("path", d=polyline([(middle(k), _placed(v, y)) for k, v in enumerate(promised)]), class_="fresh"),
        tag("path", d=polyline([(middle(k), _placed(v, y)) for k, v in enumerate(came)]), class_="line"),
        broken(low, high, came, middle, y),
        _ahead(facts, ahead, (room + 16, y)),
        _tooltips(facts, edges, box) if size == 1 else Markup(""),
    ]
    return picture(width, height, f"{facts.mean_title} promised before each period, and what came", *drawn)


def _placed(value: float | None, y: Scale) -> float | None:
    return None if value is None else y(value)


def key(*, single: bool = True) -> Markup:
    """Return the key of a chart of promises; where neighbours are drawn as one, no single one stands out."""
    drawn, x = [], 0.0
    for name, words in (("line", "came"), ("fresh", "promised"), ("band", "its interval")):
        if name == "band":
            drawn.append(tag("path", d=f"M{place(x)} 22H{place(x + 22)}V34H{place(x)}Z", class_="band"))
        else:
            drawn.append(line(x, 28, x + 22, 28, name))
        drawn.append(text(x + 28, 32, words, "tick"))
        x += 28 + width_of(words, 12) + 16
    if single:
        drawn += [tag("path", d=mark("diamond", x + 6, 28, 5), class_="dot bad"), text(x + 18, 32, "outside", "tick")]
    else:
        drawn += [line(x + 6, 23, x + 6, 33, "mark cross"), text(x + 18, 32, "one outside", "tick")]
    return join(drawn)


def bands(low: Values, high: Values, x: Scale, y: Scale) -> Markup:
    """Return the intervals that were promised, as bands; they break where nothing was."""
    drawn, piece = [], list[tuple[float, float, float]]()
    for k, (under, over) in enumerate([*zip(low, high, strict=True), (None, None)]):
        if under is not None and over is not None:
            piece.append((x(k), y(under), y(over)))
        elif piece:
            drawn.append(_band(piece, (x(1) - x(0)) / 2))
            piece = []
    return join(drawn)


def _band(piece: Sequence[tuple[float, float, float]], half: float) -> Markup:
    if len(piece) == 1:  # alone: as wide as its period
        at, under, over = piece[0]
        piece = [(at - half, under, over), (at + half, under, over)]
    outline = [(at, over) for at, _, over in piece] + [(at, under) for at, under, _ in reversed(piece)]
    return tag("path", d="M" + "L".join(f"{place(px)} {place(py)}" for px, py in outline) + "Z", class_="band")


def broken(low: Values, high: Values, came: Values, x: Scale, y: Scale) -> Markup:
    """Return marks of what came outside its interval."""
    return join(
        tag("path", d=mark("diamond", x(k), y(value), 5), class_="dot bad")
        for k, (under, over, value) in enumerate(zip(low, high, came, strict=True))
        if value is not None and under is not None and over is not None and not under <= value <= over
    )


def _ahead(facts: Facts, values: Sequence[float | None], spot: tuple[float, Scale]) -> Markup:
    """Return the promise for the time after the history."""
    (estimate, low, high), (x, y) = values, spot
    if estimate is None:
        return Markup("")
    drawn = []
    if low is not None and high is not None:
        drawn.append(line(x, y(low), x, y(high), "whisker"))
    decimals = spread_decimals([low, high, estimate])
    said = f"next: {facts.loss_of(estimate, decimals)} ({interval(low, high, decimals)})"
    drawn.append(titled("path", said, d=mark("dot", x, y(estimate), 5), class_="dot chosen"))
    drawn.append(text(x, 40, "next", "strong", "middle"))
    return join(drawn)


def _tooltips(facts: Facts, x: Scale, box: Box) -> Markup:
    promise_, drawn = facts.sheet["split_audition"]["promise"], []
    decimals = spread_decimals(promise_["promised"])
    columns = ("cutoffs", "promised", "promised_low", "promised_high", "came")
    for k, said, low, high, came in zip(*(promise_[name] for name in columns), strict=True):
        words = (
            f"{facts.period(k)}: promised {facts.loss_of(said, decimals)} ({interval(low, high, decimals)}), "
            f"came {facts.loss_of(came, decimals)}"
        )
        path = f"M{place(x(k))} {place(box.top)}H{place(x(k + 1))}V{place(box.bottom)}H{place(x(k))}Z"
        drawn.append(titled("path", words, d=path, class_="ghost"))
    return join(drawn)
