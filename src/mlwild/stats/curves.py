"""Many monotone functions at once: a cell finds its straight line by a table, not by a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.curve import Curve

Floats = NDArray[np.float64]

#: Buckets of a function, even over all of its knots but the outermost two.
BUCKETS = 2048
#: Steps from a bucket's first line on, at most: a function whose knots are closer than that is searched.
STEPS = 3


@dataclass(frozen=True, eq=False)
class Curves:
    """
    Functions as `Curve` has them, one for each column, laid out for many rows.

    A search costs a mispredicted branch a step. Here each function's range has even buckets that name the line at their
    beginning, from which a cell goes on by comparing with the next knots, all cells at a time.

    Parameters
    ----------
    least, most : ndarray of shape (n_curves, 1)
        Outermost knots.
    low, scale : ndarray of shape (n_curves, 1)
        Where buckets begin, and how many there are to a unit.
    first : ndarray of int, shape (n_curves * BUCKETS,)
        Line at which a bucket begins.
    places : ndarray of shape (n_curves, 1)
        Number of a curve's first bucket.
    left, value, slope, right : ndarray of shape (n_lines,)
        A line's knot, value there and slope, and the next knot; infinite for a curve's last. At a knot the value is
        what the curve has there, to the last bit: what ties must tie.
    steps : int
    searched : tuple of (int, Curve)
        Those that are searched, by their columns.

    Examples
    --------
    >>> made = Curves.of([Curve((0.0, 1.0, 3.0), (0.0, 10.0, 11.0)), Curve((5.0,), (2.0,))])
    >>> made.over(np.array([[0.5, 2.0, -9.0], [1.0, 5.0, 9.0]])).tolist()
    [[5.0, 10.5, 0.0], [2.0, 2.0, 2.0]]
    """

    least: Floats
    most: Floats
    low: Floats
    scale: Floats
    first: NDArray[np.intp]
    places: Floats
    left: Floats
    value: Floats
    slope: Floats
    right: Floats
    steps: int
    searched: tuple[tuple[int, Curve], ...]

    @staticmethod
    def of(curves: Sequence[Curve]) -> Curves:
        """Lay out some functions."""
        n = len(curves)
        low, high = np.empty((n, 1)), np.empty((n, 1))
        ends, first, lines = np.empty((n, 2)), np.zeros((n, BUCKETS), dtype=np.intp), []
        steps, searched, begin = 0, [], 0
        for place, curve in enumerate(curves):
            knots, values = np.asarray(curve.knots), np.asarray(curve.values)
            ends[place] = knots[0], knots[-1]
            inner = knots[1:-1] if len(knots) > 3 else knots
            low[place], high[place] = inner[0], inner[-1]
            if len(knots) == 1:
                lines.append(np.array([[knots[0], values[0], 0.0, np.inf]]))
                low[place], high[place] = knots[0], knots[0] + 1.0
            else:
                width = np.diff(knots)
                slope = np.divide(np.diff(values), width, out=np.zeros(len(width)), where=width > 0)
                lines.append(np.column_stack([knots[:-1], values[:-1], slope, [*knots[1:-1], np.inf]]))
                edges = np.linspace(low[place, 0], high[place, 0], BUCKETS + 1)
                slack = 1e-6 * (edges[1] - edges[0])  # a cell on an edge may be counted to either side
                begins = np.searchsorted(knots[1:-1], edges[:-1] - slack, side="right")
                ended = np.searchsorted(knots[1:-1], edges[1:] + slack, side="right")
                begins[0], ended[-1] = 0, len(knots) - 2  # those hold all that lies outside, too
                most = int((ended - begins).max())
                if most > STEPS:
                    searched.append((place, curve))
                else:
                    steps = max(steps, most)
                first[place] = begins
            first[place] += begin
            begin += len(lines[-1])
        left, value, slopes, right = (np.ascontiguousarray(one) for one in np.concatenate(lines).T)
        scale = BUCKETS / np.maximum(high - low, np.finfo(np.float64).tiny)
        places = np.arange(n, dtype=np.float64)[:, None] * BUCKETS
        least, most_ = ends[:, :1].copy(), ends[:, 1:].copy()
        return Curves(
            least, most_, low, scale, first.ravel(), places, left, value, slopes, right, steps, tuple(searched)
        )

    def over(self, x: Floats) -> Floats:
        """
        Return the values in many places.

        Parameters
        ----------
        x : ndarray of shape (n_curves, n_rows)
            None is NaN. Blocks of some thousand cells are the quickest: what is made on the way stays near.
        """
        x = np.minimum(np.maximum(x, self.least), self.most)
        bucket = (x - self.low) * self.scale
        np.maximum(bucket, 0.0, out=bucket)
        np.minimum(bucket, BUCKETS - 1, out=bucket)
        bucket += self.places
        line = self.first.take(bucket.astype(np.intp))
        for _ in range(self.steps):
            line += x >= self.right.take(line)
        made = x - self.left.take(line)
        made *= self.slope.take(line)
        made += self.value.take(line)
        for place, curve in self.searched:
            made[place] = _searched(curve, x[place])
        return np.asarray(made)


def _searched(curve: Curve, x: Floats) -> Floats:
    """Return the values of one function: in order, each search begins where the last one ended."""
    order = x.argsort()
    made = np.empty(len(x))
    made[order] = curve.over(x[order])
    return made
