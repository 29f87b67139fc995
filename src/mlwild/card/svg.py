"""Inline SVG: elements, scales, ticks and labels that do not overlap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from markupsafe import Markup, escape

#: Mean width of a letter as a share of the font size, on the wide side of the fonts in use.
LETTER = 0.56
WIDE, NARROW = 920, 358
SIZE = 12.5

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Scale:
    """
    A straight line from values to places.

    Examples
    --------
    >>> Scale(0.0, 10.0, 100.0, 200.0)(2.5)
    125.0
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        width = self.high - self.low
        share = (value - self.low) / width if width else 0.5
        return self.start + share * (self.stop - self.start)


@dataclass(frozen=True)
class Box:
    """A rectangle that a label or a mark covers."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Say whether two rectangles overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Say whether this rectangle lies within another."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Spot:
    """
    A point that wants a label; the earlier in its list, the more it matters.

    Parameters
    ----------
    x, y : float
        The point.
    text : str
        The label.
    name : str
        Its class.
    reach : float
        Half the size of the mark.
    corners : bool
        Whether the label may stand at a corner, where it is less clear whose it is.
    """

    x: float
    y: float
    text: str
    name: str = "label"
    reach: float = 6.0
    corners: bool = True


def place(value: float) -> str:
    """
    Write a coordinate in few characters.

    Examples
    --------
    >>> place(12.04), place(12.26), place(-0.01)
    ('12', '12.3', '0')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def clean(text: str) -> str:
    """Return a text without the characters that XML forbids."""
    return _ILLEGAL.sub("", text)


def tag(name: str, *inside: str | Markup, **attributes: str | float | None) -> Markup:
    """
    Return an element; texts and attributes are escaped, `None` is left out.

    Examples
    --------
    >>> tag("text", "a < b", x=1.0, class_="muted", text_anchor="end")
    Markup('<text x="1" class="muted" text-anchor="end">a &lt; b</text>')
    """
    said = []
    for key, value in attributes.items():
        if value is None:
            continue
        shown = value if isinstance(value, str) else place(value)
        said.append(f' {key.rstrip("_").replace("_", "-")}="{escape(clean(shown))}"')
    content = "".join(str(piece if isinstance(piece, Markup) else escape(clean(piece))) for piece in inside)
    # Built from escaped pieces only.
    return Markup(f"<{name}{''.join(said)}>{content}</{name}>" if inside else f"<{name}{''.join(said)}/>")  # noqa: S704


def join(pieces: Iterable[Markup]) -> Markup:
    """Return elements one after another."""
    return Markup("").join(pieces)


def picture(width: float, height: float, label: str, *inside: Markup) -> Markup:
    """Return an SVG image that says what it shows to those who cannot see it."""
    body = tag("desc", label), *inside
    return tag(
        "svg",
        *body,
        viewBox=f"0 0 {place(width)} {place(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )


def both(draw: Callable[[int], Markup]) -> Markup:
    """Return a chart drawn twice: for wide screens and paper, and for a phone."""
    return tag("div", draw(WIDE), class_="wide") + tag("div", draw(NARROW), class_="narrow")


def titled(element: str, title: str, **attributes: str | float | None) -> Markup:
    """Return an element with a tooltip."""
    return tag(element, tag("title", title), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, name: str) -> Markup:
    """Return a straight line."""
    return tag("path", d=f"M{place(x1)} {place(y1)}L{place(x2)} {place(y2)}", class_=name)


def text(x: float, y: float, words: str, name: str = "", anchor: str | None = None) -> Markup:
    """Return a line of text; `anchor` is ``middle`` or ``end``."""
    return tag("text", words, x=x, y=y, class_=name or None, text_anchor=anchor)


def polyline(points: Sequence[tuple[float, float | None]]) -> str:
    """
    Return the path through points; it breaks where a value is not known.

    Examples
    --------
    >>> polyline([(0, 1.0), (1, 2.0), (2, None), (3, 1.0), (4, 1.5)])
    'M0 1L1 2M3 1L4 1.5'
    """
    said, drawing = [], False
    for x, y in points:
        if y is None:
            drawing = False
            continue
        said.append(f"{'L' if drawing else 'M'}{place(x)} {place(y)}")
        drawing = True
    return "".join(said)


def mark(kind: str, x: float, y: float, size: float = 4.0) -> str:
    """Return the path of a mark: dot, diamond, up, down or cross."""
    s = size
    shapes = {
        "dot": [
            (-s, 0),
            (-0.7 * s, 0.7 * s),
            (0, s),
            (0.7 * s, 0.7 * s),
            (s, 0),
            (0.7 * s, -0.7 * s),
            (0, -s),
            (-0.7 * s, -0.7 * s),
        ],
        "diamond": [(0, -s), (s, 0), (0, s), (-s, 0)],
        "up": [(0, -s), (s, 0.8 * s), (-s, 0.8 * s)],
        "down": [(0, s), (s, -0.8 * s), (-s, -0.8 * s)],
    }
    if kind == "cross":
        return (
            f"M{place(x - s)} {place(y - s)}L{place(x + s)} {place(y + s)}"
            f"M{place(x - s)} {place(y + s)}L{place(x + s)} {place(y - s)}"
        )
    return "M" + "L".join(f"{place(x + dx)} {place(y + dy)}" for dx, dy in shapes[kind]) + "Z"


def nice(width: float) -> float:
    """
    Return the least of 1, 2, 5 times a power of ten that is not below a width.

    Examples
    --------
    >>> nice(0.012), nice(3.0), nice(0.7)
    (0.02, 5.0, 1.0)
    """
    if not isfinite(width) or width <= 0:
        return 1.0
    power = floor(log10(width))
    for step in (1, 2, 5, 10):
        # Through text, so that 0.1 is 0.1 and not one ulp beside it.
        candidate = float(f"{step}e{power}")
        if candidate >= width * (1 - 1e-9):
            return candidate
    return float(f"1e{power + 1}")


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """
    Return round values between two others, both inclusive.

    Examples
    --------
    >>> ticks(0.487, 0.52, 5)
    [0.49, 0.5, 0.51, 0.52]
    >>> ticks(0, 44, 6)
    [0.0, 10.0, 20.0, 30.0, 40.0]
    """
    if not high > low:
        return [low]
    step = nice((high - low) / max(most - 1, 1))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def padded(values: Iterable[float | None], share: float = 0.06, *, zero: bool = False) -> tuple[float, float]:
    """Return a range that holds all values with some air; around one value where they are equal."""
    known = [value for value in values if value is not None and isfinite(value)]
    if zero or not known:
        known.append(0.0)
    low, high = min(known), max(known)
    air = share * (high - low) if high > low else 0.05 * abs(high) or 0.5
    return low - air, high + air


def width_of(words: str, size: float = SIZE) -> float:
    """Return about how wide a text will be."""
    return LETTER * size * len(words)


def shortened(words: str, width: float, size: float = SIZE) -> str:
    """
    Return a text cut to a width.

    Examples
    --------
    >>> shortened("break-even, shadow every 4", 100.0)
    'break-even, s…'
    """
    most = max(int(width / (LETTER * size)), 2)
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


_SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1))
_CORNERS = ((1, -1), (1, 1), (-1, -1), (-1, 1), (1, -2), (1, 2), (-1, -2), (-1, 2))


def _around(spot: Spot, size: float) -> list[tuple[float, float, str, Box]]:
    """Return the places a label could take beside its point, the best first."""
    wide, tall, reach = width_of(spot.text, size), size, spot.reach
    made = []
    for dx, dy in _SIDES + _CORNERS * spot.corners:
        x = spot.x + dx * (reach + 1)
        y = spot.y + 0.35 * size + dy * (0.5 * reach + 0.62 * tall) * (1 if dx else 1.35)
        left = x if dx > 0 else x - wide if dx < 0 else x - wide / 2
        anchor = "start" if dx > 0 else "end" if dx < 0 else "middle"
        made.append((x, y, anchor, Box(left, y - 0.8 * tall, left + wide, y + 0.25 * tall)))
    return made


def labels(spots: Sequence[Spot], marks: Sequence[Box], bounds: Box, *, most: int) -> Markup:
    """
    Return labels beside points; one that finds no free place is left out.

    Parameters
    ----------
    spots : sequence of Spot
        The most important first.
    marks : sequence of Box
        What labels must not cover.
    bounds : Box
        Where they may stand.
    most : int
        No more labels than this.
    """
    taken, drawn = list(marks), list[Markup]()
    for spot in spots:
        if len(drawn) == most:
            break
        for x, y, anchor, box in _around(spot, SIZE):
            if box.inside(bounds) and not any(box.meets(other) for other in taken):
                taken.append(box)
                drawn.append(text(x, y, spot.text, spot.name, None if anchor == "start" else anchor))
                break
    return join(drawn)
