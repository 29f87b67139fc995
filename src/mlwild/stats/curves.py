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
#: Value of a line where buckets begin, at most: from farther away digits would be lost.
FAR = 1e5


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
    value, slope, right : ndarray of shape (n_lines,)
        A line's value where buckets begin and its slope, and how far from there the next knot is; infinite for a
        curve's last.
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
                lines.append(np.array([[values[0], 0.0, np.inf]]))
                low[place], high[place] = knots[0], knots[0] + 1.0
            else:
                width = np.diff(knots)
                slope = np.divide(np.diff(values), width, out=np.zeros(len(width)), where=width > 0)
                begin_at = values[:-1] - slope * (knots[:-1] - low[place])
                lines.append(np.column_stack([begin_at, slope, [*(knots[1:-1] - low[place]), np.inf]]))
                edges = np.linspace(low[place, 0], high[place, 0], BUCKETS + 1)
                slack = 1e-6 * (edges[1] - edges[0])  # a cell on an edge may be counted to either side
                begins = np.searchsorted(knots[1:-1], edges[:-1] - slack, side="right")
                ended = np.searchsorted(knots[1:-1], edges[1:] + slack, side="right")
                begins[0], ended[-1] = 0, len(knots) - 2  # those hold all that lies outside, too
                most = int((ended - begins).max())
                if most > STEPS or float(np.abs(begin_at).max()) > FAR:
                    searched.append((place, curve))
                else:
                    steps = max(steps, most)
                first[place] = begins
            first[place] += begin
            begin += len(lines[-1])
        value, slopes, right = (np.ascontiguousarray(one) for one in np.concatenate(lines).T)
        scale = BUCKETS / np.maximum(high - low, np.finfo(np.float64).tiny)
        places = np.arange(n, dtype=np.float64)[:, None] * BUCKETS
        least, most_ = ends[:, :1].copy(), ends[:, 1:].copy()
        return Curves(least, most_, low, scale, first.ravel(), places, value, slopes, right, steps, tuple(searched))

    def over(self, x: Floats) -> Floats:
        """
        Return the values in many places.

        Parameters
        ----------
        x : ndarray of shape (n_curves, n_rows)
            None is NaN. Blocks of some thousand cells are the quickest: what is made on the way stays near.
        """
        far = np.minimum(np.maximum(x, self.least), self.most)
        far -= self.low
        bucket = far * self.scale
        np.maximum(bucket, 0.0, out=bucket)
        np.minimum(bucket, BUCKETS - 1, out=bucket)
        bucket += self.places
        line = self.first.take(bucket.astype(np.intp))
        for _ in range(self.steps):
            line += far >= self.right.take(line)
        far *= self.slope.take(line)
        made = np.asarray(np.add(far, self.value.take(line), out=far))
        for place, curve in self.searched:
            made[place] = _searched(curve, x[place])
        return made


def _searched(curve: Curve, x: Floats) -> Floats:
    """Return the values of one function: in order, each search begins where the last one ended."""
    order = x.argsort()
    made = np.empty(len(x))
    made[order] = curve.over(x[order])
    return made
