"""Chart of the triangle of vintages: difficulty above, staleness of every vintage below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mlwild.card import axes
from mlwild.card.facts import Facts, Values, merged
from mlwild.card.svg import (
    WIDE,
    Box,
    Scale,
    join,
    line,
    nice,
    padded,
    picture,
    place,
    polyline,
    tag,
    text,
    titled,
    width_of,
)
from mlwild.card.words import count, day, decimals_for, number

#: More periods than this are merged, so that a card of any history stays small and legible.
MOST_CELLS = 120
#: Up to so many periods every cell has a tooltip.
MOST_TOOLTIPS = 60
STEPS = 4


@dataclass(frozen=True)
class Grid:
    """
    The triangle as it is drawn.

    Parameters
    ----------
    size : int
        Periods (and vintages) merged into one cell; 1 for none.
    vintages : tuple of int
        Cutoff of each row's first vintage.
    cells : tuple of tuples of float or None
        Staleness by row and column.
    difficulty : tuple of float or None
        By column.
    step : float
        Width of a class of colour.
    """

    size: int
    vintages: tuple[int, ...]
    cells: tuple[Values, ...]
    difficulty: Values
    step: float


def grid(facts: Facts) -> Grid:
    """Return the triangle, merged where it has too many periods to be seen."""
    vintages, periods = facts.sheet["triangle"]["vintages"], len(facts.difficulty)
    size = -(-periods // MOST_CELLS)
    by_block: dict[int, list[Values]] = {}
    for vintage, row in zip(vintages, facts.gaps, strict=True):
        by_block.setdefault(vintage // size, []).append(merged(row, size))
    cells = tuple(_mean_row(rows) for rows in by_block.values())
    return Grid(
        size=size,
        vintages=tuple(next(v for v in vintages if v // size == block) for block in by_block),
        cells=cells,
        difficulty=merged(facts.difficulty, size),
        step=colour_step(cells),
    )


def _mean_row(rows: Sequence[Values]) -> Values:
    return tuple(merged(column, len(rows))[0] for column in zip(*rows, strict=True))


def colour_step(cells: Sequence[Values]) -> float:
    """
    Return the round width of a class of colour: few cells lie beyond the last class.

    Examples
    --------
    >>> colour_step([(0.0, 0.011, 0.03), (0.02, 0.05)])
    0.02
    """
    sizes = sorted(abs(value) for row in cells for value in row if value)
    return nice(sizes[int(0.95 * (len(sizes) - 1))] / (STEPS - 0.5)) if sizes else 1.0


def colour(value: float, step: float) -> str:
    """
    Return the class of colour of a staleness: ``z`` for none, ``p1`` to ``p4`` above, ``n1`` to ``n4`` below.

    Examples
    --------
    >>> colour(0.0, 0.01), colour(0.013, 0.01), colour(-0.5, 0.01)
    ('z', 'p2', 'n4')
    """
    if value == 0:
        return "z"
    return ("p" if value > 0 else "n") + str(min(int(abs(value) / step) + 1, STEPS))


def triangle(facts: Facts, width: int) -> Markup:
    """Return the picture of the triangle with the strip of difficulty above it."""
    made = grid(facts)
    columns, rows = len(made.difficulty), len(made.cells)
    strip = Scale(*padded(made.difficulty, 0.12), 0.0, 0.0)
    left = max(axes.gutter(strip, 4), width_of("00 Mmm 0000", 12) + 12 if width == WIDE else 0.0)
    right = width - 8
    room = 400.0 if width == WIDE else 300.0
    cell = min(max(room / rows, 1.0), 30.0)
    roomy = width == WIDE and rows >= 14
    head = 18.0 if roomy else 92.0
    strip = Scale(strip.low, strip.high, head + 70, head + 6)
    top = head + 104
    box = Box(left, top, right, top + cell * rows)
    x = Scale(0, columns, box.left, box.right)
    narrow = Scale(0, columns * made.size, box.left, box.right)
    legend_at = (left, box.bottom - 74) if roomy else (0.0, 12.0)
    drawn = [
        axes.dates(facts.cutoffs, narrow, box, rules=False),
        text(0, head - 6, f"Difficulty: {facts.title} of the freshest vintage, {facts.per_event}", "tick"),
        axes.vertical(strip, Box(left, head, right, head + 70), 4),
        _difficulty(facts, made, x, strip),
        text(0, top - 8, "Staleness: a row for each vintage, the oldest at the top", "tick"),
        _cells(facts, made, box, tooltips=width == WIDE and columns <= MOST_TOOLTIPS and made.size == 1),
        _vintage_labels(facts, made, box) if width == WIDE else Markup(""),
        _legend(facts, made.step, legend_at, min(390.0, width - 20)),
    ]
    said = (
        f"Triangle of {count(rows, 'row')} of vintages by {count(columns, 'column')} of periods: staleness of each "
        "vintage in each period, with the difficulty of each period above"
    )
    return picture(width, box.bottom + 28, said, *drawn)


def _difficulty(facts: Facts, made: Grid, x: Scale, y: Scale) -> Markup:
    points: list[tuple[float, float | None]] = []
    for k, value in enumerate(made.difficulty):
        at = None if value is None else y(value)
        points += [(x(k), at), (x(k + 1), at)]
    drawn = [tag("path", d=polyline(points), class_="line")]
    if made.size == 1 and len(made.difficulty) <= MOST_TOOLTIPS:
        known = [value for value in made.difficulty if value is not None]
        decimals = decimals_for((max(known) - min(known)) or known[0], 2) if known else 0
        for k, value in enumerate(made.difficulty):
            if value is not None:
                said = f"{facts.period(k)}: {facts.loss_of(value, decimals)} (n = {facts.sheet['rows_by_period'][k]:,})"
                path = f"M{place(x(k))} {place(y.stop)}H{place(x(k + 1))}V{place(y.start)}H{place(x(k))}Z"
                drawn.append(titled("path", said, d=path, class_="ghost"))
    return join(drawn)


def _cells(facts: Facts, made: Grid, box: Box, *, tooltips: bool) -> Markup:
    wide = (box.right - box.left) / len(made.difficulty)
    tall = (box.bottom - box.top) / len(made.cells)
    # A hairline between cells, where there is room for one.
    gap = 0.6 if min(wide, tall) >= 5 else 0.0
    paths: dict[str, list[str]] = {}
    dots: dict[str, list[str]] = {}
    for row, values in enumerate(made.cells):
        y = box.top + row * tall
        for start, stop, name in _runs(values, made.step, alone=tooltips):
            x, w = box.left + start * wide, (stop - start) * wide - gap
            shape = f"M{place(x)} {place(y)}h{place(w)}v{place(tall - gap)}h{place(-w)}z"
            value = values[start]
            if tooltips and value is not None:
                shape = str(titled("path", _cell_words(facts, made, row, start, value), d=shape))
            paths.setdefault(name, []).append(shape)
            if name.startswith("n") and tall >= 5 and wide >= 5:
                middles = [x + (at + 0.5) * wide - gap / 2 for at in range(stop - start)]
                dots.setdefault(_ink(name), []).extend(_dot(middle, y + (tall - gap) / 2) for middle in middles)
    drawn = []
    for name in sorted(paths):
        content = "".join(paths[name])
        # Built by `tag` above, or of numbers only.
        drawn.append(tag("g", Markup(content), class_=name) if tooltips else tag("path", d=content, class_=name))  # noqa: S704
    return join(drawn) + join(tag("path", d="".join(paths), class_=name) for name, paths in sorted(dots.items()))


def _ink(name: str) -> str:
    """Return the class of a dot that can be seen on a colour."""
    return "hatch weak" if name in {"n1", "n2"} else "hatch"


def _dot(x: float, y: float) -> str:
    return f"M{place(x - 1)} {place(y - 1)}h2v2h-2z"


def _runs(values: Values, step: float, *, alone: bool) -> list[tuple[int, int, str]]:
    """Return neighbours of one colour as (start, stop, colour); cells that speak stay alone."""
    made: list[tuple[int, int, str]] = []
    for k, value in enumerate(values):
        if value is None:
            continue
        name = colour(value, step)
        if not alone and made and made[-1][1] == k and made[-1][2] == name:
            made[-1] = (made[-1][0], k + 1, name)
        else:
            made.append((k, k + 1, name))
    return made


def _cell_words(facts: Facts, made: Grid, row: int, k: int, gap: float) -> str:
    decimals = decimals_for(made.step, 2)
    fresh, cutoffs = made.difficulty[k], facts.cutoffs
    total = None if fresh is None else fresh + gap
    return (
        f"fitted {day(cutoffs[made.vintages[row]], year=False)}, in {day(cutoffs[k], year=False)}: "
        f"{facts.loss_of(total, decimals)}, {number(gap, decimals, signed=True)}"
    )


def _vintage_labels(facts: Facts, made: Grid, box: Box) -> Markup:
    tall = (box.bottom - box.top) / len(made.vintages)
    every = max(1, -(-26 // int(tall or 1)) if tall < 26 else 1)
    drawn = []
    for row in range(0, len(made.vintages), every):
        y = box.top + (row + 0.5) * tall + 4
        drawn.append(text(box.left - 8, y, day(facts.cutoffs[made.vintages[row]]), "tick", "end"))
    return join(drawn)


def _legend(facts: Facts, step: float, corner: tuple[float, float], width: float) -> Markup:
    left, top = corner
    names = [f"n{k}" for k in range(STEPS, 0, -1)] + [f"p{k}" for k in range(1, STEPS + 1)]
    wide = width / len(names)
    decimals = max(decimals_for(step, 1), 0)
    drawn = [text(left, top, f"Loss against the freshest vintage, {facts.per_event}", "tick")]
    for place_, name in enumerate(names):
        x = left + place_ * wide
        drawn.append(tag("rect", x=x, y=top + 8, width=wide - 1, height=12.0, class_=name))
        if name.startswith("n"):
            drawn.append(tag("path", d=_dot(x + wide / 2, top + 14), class_=_ink(name)))
    for k in range(-STEPS + 1, STEPS):
        words = number(k * step, decimals, signed=True) if k else "0"
        x = left + (k + STEPS) * wide
        if k % 2 or wide > width_of(words, 12):
            drawn.append(text(x - 0.5, top + 34, words, "tick", "middle"))
        drawn.append(line(x - 0.5, top + 8, x - 0.5, top + 22, "axis"))
    drawn.append(text(left, top + 52, "◂ older did better", "tick"))
    drawn.append(text(left + width, top + 52, "older did worse ▸", "tick", "end"))
    return join(drawn)
