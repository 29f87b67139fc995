"""Rows placed on a calibration curve once: their chances, and what the curve's own noise does to sums of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.calibration import Isotonic

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placed:
    """
    Rows on a curve.

    Parameters
    ----------
    curve : Isotonic
    left : ndarray of shape (n_rows,)
        Block that each score falls in, or the last one below it; the first where there is none.
    way : ndarray of shape (n_rows,)
        In [0, 1): how far a score between two blocks is on the way to the next; 0 inside of a block and outside of all.
    outside : float
        Share of the scores beyond the curve's first or last one, in [0, 1].
    """

    curve: Isotonic
    left: NDArray[np.int64]
    way: Floats
    outside: float

    def chances(self) -> Floats:
        """Return the curve at each row, in the unit of its values."""
        values = self.curve.values
        return np.asarray(values[self.left] + self.way * np.append(np.diff(values), 0.0)[self.left])

    def share(self, slope: Floats) -> Floats:
        """Return how much each block moves the sum of slope times chance, shape (n_blocks,)."""
        size, between = len(self.curve.values), self._between
        onward = np.bincount(self.left[between], slope[between] * self.way[between], minlength=size)
        share = np.bincount(self.left, slope, minlength=size) - onward
        share[1:] += onward[:-1]
        return np.asarray(share, dtype=np.float64)

    @cached_property
    def _between(self) -> NDArray[np.int64]:
        """Rows between two blocks; where labelled rows are many they are few."""
        return np.flatnonzero(self.way)

    def spread(self, slope: Floats) -> float:
        """Return the standard error of the sum of slope times chance that the curve's own noise makes."""
        noise = self.curve.values * (1 - self.curve.values) / self.curve.rows
        return math.sqrt(float((self.share(slope) ** 2 * noise).sum()))

    def effective_rows(self) -> float:
        """Return how many labelled rows the mean chance rests on."""
        n = len(self.left)
        return 1 / float((self.share(np.full(n, 1 / n)) ** 2 / self.curve.rows).sum())


def place(curve: Isotonic, scores: Floats, *, ascending: bool = False) -> Placed:
    """
    Return rows on a curve.

    Parameters
    ----------
    curve : Isotonic
    scores : ndarray of shape (n_rows,)
        Finite, in the unit of the scores that the curve was made from.
    ascending : bool
        Whether the scores are in ascending order; then it is several times as fast.

    Examples
    --------
    >>> placed = place(Isotonic(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.2, 0.6]), np.ones(2)),
    ...                np.array([0.25, 7.0]))
    >>> placed.left.tolist(), placed.way.tolist(), placed.chances().round(6).tolist(), placed.outside
    ([0, 1], [0.25, 0.0], [0.3, 0.6], 0.5)
    """
    n, last = len(scores), len(curve.values) - 1
    if ascending:
        first = np.append(np.searchsorted(scores, curve.starts), n)
        first[0] = 0
        left = np.repeat(np.arange(last + 1), np.diff(first))
        outside = np.searchsorted(scores, curve.starts[0]) + n - np.searchsorted(scores, curve.ends[-1], side="right")
    else:
        left = np.maximum(np.searchsorted(curve.starts, scores, side="right") - 1, 0)
        outside = np.count_nonzero((scores < curve.starts[0]) | (scores > curve.ends[-1]))
    # No way leads on from the last block.
    gap = np.append(curve.starts[1:] - curve.ends[:-1], math.inf)
    way = np.maximum(scores - curve.ends[left], 0.0) / gap[left]
    return Placed(curve, left, way, float(outside) / n)


def tempered(curve: Isotonic) -> Isotonic:
    """
    Return the curve with each block drawn to the mean by one row.

    Blocks are chosen to differ, so their means are too extreme, most of all the short ones at both
    ends: without this, accuracy would be estimated too high.

    Examples
    --------
    >>> curve = Isotonic(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    >>> tempered(curve).values.tolist()  # the mean is 0.25
    [0.0625, 0.625]
    """
    mean = float(curve.values @ curve.rows / curve.rows.sum())
    return replace(curve, values=(curve.values * curve.rows + mean) / (curve.rows + 1))
