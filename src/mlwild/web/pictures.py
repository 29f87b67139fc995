"""Pictures that stand in a row of a table."""

from __future__ import annotations

from math import isfinite

from markupsafe import Markup

from mlwild.card.svg import Scale, line, mark, place, tag

WIDTH, HEIGHT = 132.0, 18.0
_MIDDLE = HEIGHT / 2


def within(low: float | None, high: float | None, came: float | None) -> Markup:
    """Return where an outcome lies beside the interval that was promised, which is drawn as wide for every app."""
    if low is None or high is None or came is None or not isfinite(came) or not low < high:
        return Markup("")
    left, right = 0.3 * WIDTH, 0.7 * WIDTH
    at = min(max(Scale(low, high, left, right)(came), 6.0), WIDTH - 6.0)
    name, kind = ("dot known", "dot") if low <= came <= high else ("dot bad", "diamond")
    return _picture(
        line(0, _MIDDLE, WIDTH, _MIDDLE, "hair"),
        _bar(left, right, 10.0, "band"),
        tag("path", d=mark(kind, at, _MIDDLE, 5 if kind == "diamond" else 4), class_=name),
    )


def spread(values: tuple[float, float, float, float, float], scale: Scale) -> Markup:
    """Return least, lower quartile, median, upper quartile and greatest of a group."""
    least, low, middle, high, greatest = (scale(value) for value in values)
    return _picture(
        line(least, _MIDDLE, greatest, _MIDDLE, "whisker"),
        _bar(min(low, middle - 0.5), max(high, middle + 0.5), 10.0, "n2"),
        line(middle, 2, middle, HEIGHT - 2, "line"),
    )


def _bar(left: float, right: float, tall: float, name: str) -> Markup:
    top, bottom = _MIDDLE - tall / 2, _MIDDLE + tall / 2
    return tag("path", d=f"M{place(left)} {place(top)}H{place(right)}V{place(bottom)}H{place(left)}Z", class_=name)


def _picture(*drawn: Markup) -> Markup:
    box = f"0 0 {WIDTH:g} {HEIGHT:g}"
    return tag("svg", *drawn, viewBox=box, width=WIDTH, height=HEIGHT, aria_hidden="true", class_="bar")
