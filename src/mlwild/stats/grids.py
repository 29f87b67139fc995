"""Many smooth monotone functions at once: a cell's straight line is found by arithmetic, not by a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats import kernels
from mlwild.stats.curve import Curve
from mlwild.stats.even_grids import FARTHEST, EvenGrids

Floats = NDArray[np.float64]

#: Straight lines on either side of a function's middle.
HALF = 256
#: A grid shows a function if it is off by no more than this in the mean over the knots and at any; beyond the knots, by
#: no more than this part of the value and a twentieth. What lies further out than `NEAR` is far out either way.
MEAN_OFF, MOST_OFF, PART_OFF, NEAR = 0.02, 0.6, 0.05, 10.0
#: Values at which a function's unit is looked for: of many values that are the same the nearest ones show none.
SPANS = (1.0, 1.5, 2.0, 2.5, 3.0)


@dataclass(frozen=True, eq=False)
class Grids:
    """
    Functions as `Curve` has them, one for each column, by straight lines between the places of an even grid.

    Functions that such a grid does not show (two clusters that are narrow and far apart) are left as they were.

    Parameters
    ----------
    grids : EvenGrids
        Whose middle is the function's.
    value, slope : ndarray of shape (n_lines,)
        Of each line, its value in the middle of the grid and its slope.
    rest : tuple of int
        Columns of the functions that are left as they were.
    curves : tuple of Curve
        Those functions.

    Examples
    --------
    >>> from mlwild.stats.rank_curves import normal_score_curve
    >>> curve = normal_score_curve(np.random.default_rng(0).normal(size=1000))
    >>> made = Grids.of([curve])
    >>> bool(abs(made.over(np.array([[0.5]]))[0, 0] - curve.at(0.5)) < 0.01), made.rest
    (True, ())
    """

    grids: EvenGrids
    value: Floats
    slope: Floats
    rest: tuple[int, ...]
    curves: tuple[Curve, ...]

    @staticmethod
    def of(curves: Sequence[Curve], middle: float = 0.0, most: float = MOST_OFF, near: float = NEAR) -> Grids:
        """
        Lay out some rising functions.

        Parameters
        ----------
        curves : sequence of Curve
        middle : float
            Value that a function has in its middle, where the grid is fine.
        most : float
            By how much it may be off at a knot, or halfway to the next.
        near : float
            Values further from 0 are far out either way: it may be off there.
        """
        n, edges = len(curves), np.clip((np.arange(-HALF, HALF + 2) - 0.5) / HALF, -1.0, 1.0)
        scale, shift, lines = np.zeros((n, 1)), np.zeros((n, 1)), np.zeros((n, len(edges) - 1, 2))
        rest = []
        for place, curve in enumerate(curves):
            found = _best(curve, edges, middle, (most, near))
            if found is None:
                rest.append(place)
            else:
                scale[place], shift[place], lines[place] = found
        value, slopes = (np.ascontiguousarray(one) for one in lines.reshape(-1, 2).T)
        grids = EvenGrids(scale, shift, HALF)
        return Grids(grids, value, slopes, tuple(rest), tuple(curves[one] for one in rest))

    def over(self, x: Floats) -> Floats:
        """
        Return the values in many places.

        Parameters
        ----------
        x : ndarray of shape (n_curves, n_rows)
            None is NaN, or beyond 1e150.
        """
        made = self.near(x, sure=True)
        assert made is not None
        return made

    def near(self, x: Floats, *, sure: bool = False) -> Floats | None:
        """
        Return the values in many places; None where one of those is NaN, or beyond 1e150.

        Parameters
        ----------
        x : ndarray of shape (n_curves, n_rows)
            Row after row in memory.
        sure : bool
            Whether it is known that none is.
        """
        if kernels.compiled is not None:
            made, grids = np.empty_like(x), self.grids
            steps = grids.scale, grids.shift, grids.first, grids.bits, self.slope, self.value
            if not kernels.compiled.lines(x, *steps, made):
                return None
        elif not (sure or (x.min(initial=0.0) >= -FARTHEST and x.max(initial=0.0) <= FARTHEST)):
            return None
        else:
            made, which = self.grids.over(x)
            made *= self.slope.take(which)
            made += self.value.take(which)
        for place, curve in zip(self.rest, self.curves, strict=True):
            order = x[place].argsort()  # each search begins where the last one ended
            made[place, order] = curve.over(x[place, order])
        return made

    def of_row(self, row: Sequence[float]) -> list[float]:
        """
        Return the values of one row, to the last bit what `over` gives, without an array; NaN where it has none.

        What is beyond 1e150 is taken for it.

        Parameters
        ----------
        row : sequence of float
            One number a curve.
        """
        slope, value = self.slope.item, self.value.item
        made = [t * slope(line) + value(line) for t, line in self.grids.of_row(row)]
        for place, curve in zip(self.rest, self.curves, strict=True):
            x = row[place]
            made[place] = x if x != x else curve.at(min(max(x, -FARTHEST), FARTHEST))  # noqa: PLR0124 - NaN
        return made


def _best(curve: Curve, edges: Floats, at: float, bounds: tuple[float, float]) -> tuple[float, float, Floats] | None:
    """Return scale, shift and lines of the grid that shows a rising function best; None where none does."""
    knots, values = np.asarray(curve.knots), np.asarray(curve.values)
    if len(knots) < 3 or not values[0] < at < values[-1]:
        return None
    middle, *ends = np.interp([at, *(at - one for one in SPANS), *(at + one for one in SPANS)], values, knots).tolist()
    best, found = MEAN_OFF, None
    for low, high, span in zip(ends, ends[len(SPANS) :], SPANS, strict=False):
        unit = (high / 2 - low / 2) / span
        if 1 / FARTHEST < unit < FARTHEST and abs(middle) / unit < FARTHEST:
            scale, shift = 1.0 / unit, -middle / unit
            lines = _lines(curve, edges, scale, shift)
            off = _off(curve, lines, (scale, shift), bounds)
            if off < best:
                best, found = off, (scale, shift, lines)
    return found


def _lines(curve: Curve, edges: Floats, scale: float, shift: float) -> Floats:
    """Return the value in the middle of the grid and the slope of each line."""
    values = np.empty(len(edges))
    inner = edges[1:-1]
    values[0], values[-1] = curve.values[0], curve.values[-1]
    values[1:-1] = curve.over((inner / (1.0 - np.abs(inner)) - shift) / scale)
    slope = np.diff(values) / np.diff(edges)
    return np.column_stack([values[:-1] - slope * edges[:-1], slope])


def _off(curve: Curve, lines: Floats, unit: tuple[float, float], bounds: tuple[float, float]) -> float:
    """Return how far off a grid is in the mean; infinite where it is too far off anywhere."""
    (scale, shift), (most, near) = unit, bounds
    value, slope = (np.ascontiguousarray(one) for one in lines.T)
    grid = Grids(EvenGrids(np.array([[scale]]), np.array([[shift]]), HALF), value, slope, (), ())
    inner = np.asarray(curve.knots)[1:-1]
    middle = -shift / scale
    beyond = np.concatenate([middle + (end - middle) * np.array([1.1, 1.3, 2.0, 4.0, 10.0]) for end in inner[[0, -1]]])
    places = np.concatenate([inner, inner[:-1] / 2 + inner[1:] / 2, beyond])
    if not (np.abs(places) < FARTHEST).all():
        return float(np.inf)
    wanted, found = (np.clip(one, -near, near) for one in (curve.over(places), grid.over(places[None, :])[0]))
    off = np.abs(found - wanted)
    out = len(beyond)
    if (off[:-out] > most).any() or (off[-out:] > PART_OFF * (1.0 + np.abs(wanted[-out:]))).any():
        return float(np.inf)
    return float(off[:-out].mean())
