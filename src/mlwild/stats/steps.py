"""A function in steps, quick in one place and in many."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.searches import places

Floats = NDArray[np.float64]

#: Parts of the half-line, even in x / (x + m), with m the middle edge; and edges in one up to which each is compared.
PARTS, MOST = 1024, 8


@dataclass(frozen=True, eq=False)
class Steps:
    """
    A function of numbers above 0 that is the same between edges.

    In many places it goes by arithmetic: a search whose every turn is a surprise to the processor takes three times as
    long.

    Parameters
    ----------
    edges : ndarray of shape (n,)
        Rising, above 0; a place that is an edge belongs to the step before it.
    values : ndarray of shape (n + 1,)
        Of each step.

    Examples
    --------
    >>> made = Steps(np.array([1.0, 2.0]), np.array([10.0, 20.0, 30.0]))
    >>> made.at(2.0), made.over(np.array([0.5, 2.0, 2.5])).tolist()
    (20.0, [10.0, 20.0, 30.0])
    """

    edges: Floats
    values: Floats

    def at(self, x: float) -> float:
        """Return the value in one place."""
        edges, values = self._listed
        return values[bisect_left(edges, x)]

    def over(self, x: Floats) -> Floats:
        """
        Return the values in many places.

        Parameters
        ----------
        x : ndarray of shape (n_places,)
            Finite, above 0.
        """
        middle, begins, edges, values, most = self._parted
        if most > MOST:
            return values.take(places(edges[:-1], x))
        found = begins.take(_parts(x, middle))
        for _ in range(most):
            found += edges.take(found) < x
        return values.take(found)

    @cached_property
    def _listed(self) -> tuple[list[float], list[float]]:
        return self.edges.tolist(), self.values.tolist()

    @cached_property
    def _parted(self) -> tuple[float, NDArray[np.intp], Floats, Floats, int]:
        """Return the middle edge, edges before each part, edges at which the value changes, values, edges in a part."""
        moves = np.flatnonzero(self.values[1:] != self.values[:-1])
        edges, values = self.edges[moves], self.values[np.append(moves, len(self.edges))]
        middle = edges.item(len(edges) // 2) if len(edges) else 1.0
        within = np.bincount(_parts(edges, middle), minlength=PARTS + 1)
        return middle, within.cumsum() - within, np.append(edges, np.inf), values, int(within.max())


def _parts(x: Floats, middle: float) -> NDArray[np.intp]:
    with np.errstate(over="ignore"):
        made = middle / x
    made += 1.0
    np.divide(PARTS, made, out=made)
    return made.astype(np.intp)
