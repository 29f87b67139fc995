"""The k best slices of a search, kept while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.slices.rows import Conditions, Ints, Rows

Floats = NDArray[np.float64]

#: Slices over those asked for, at which the worse ones are thrown away.
_SPARE = 2_000


@dataclass(frozen=True)
class RankedSlice:
    """
    A slice and its score.

    Parameters
    ----------
    conditions : tuple of (int, int)
        Feature and bin; all must hold. In order of the features.
    score : float
    size : float
        Rows in the slice, by weight.
    mean : float
        Mean error in the slice.
    """

    conditions: Conditions
    score: float
    size: float
    mean: float


@dataclass(frozen=True, eq=False)
class _Block:
    """Some slices of the same features."""

    columns: tuple[int, ...]
    cells: Ints  # (n_slices, n_columns)
    sizes: Floats
    sums: Floats
    scores: Floats

    def above(self, least: float) -> _Block:
        """Return those that score so much at least."""
        kept = self.scores >= least
        return _Block(self.columns, self.cells[kept], self.sizes[kept], self.sums[kept], self.scores[kept])


@dataclass
class Best:
    """
    The k best slices seen so far, with all that tie with the last of them.

    Parameters
    ----------
    k : int
    floor : float
        Only slices that score above it count.
    """

    k: int
    floor: float
    threshold: float = field(init=False)
    _blocks: list[_Block] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.threshold = self.floor

    def offer(self, columns: tuple[int, ...], cells: Ints, sizes: Floats, sums: Floats, scores: Floats) -> None:
        """
        Take in slices of the same features.

        Parameters
        ----------
        columns : tuple of int
            Place of each feature in the search.
        cells : ndarray of shape (n_slices, n_columns)
            Place of each bin.
        sizes, sums, scores : ndarray of shape (n_slices,)
        """
        good = _Block(columns, cells, sizes, sums, scores).above(max(self.threshold, np.nextafter(self.floor, np.inf)))
        if not len(good.scores):
            return
        self._blocks.append(good)
        scores = np.concatenate([block.scores for block in self._blocks])
        if len(scores) >= self.k:
            self.threshold = float(np.partition(scores, -self.k)[-self.k])
        if len(scores) > self.k + _SPARE:
            self._blocks = [
                block for block in (block.above(self.threshold) for block in self._blocks) if len(block.scores)
            ]

    def ranked(self, rows: Rows) -> tuple[tuple[RankedSlice, ...], int]:
        """
        Return the k best, and how many more tie with the last; of equals fewer conditions go first, then order.

        Parameters
        ----------
        rows : Rows
            Which the places of features and bins refer to.
        """
        made = []
        for block in (block.above(self.threshold) for block in self._blocks):
            for cell, size, total, score in zip(block.cells, block.sizes, block.sums, block.scores, strict=True):
                pairs = zip(block.columns, cell, strict=True)
                named = tuple(sorted((rows.features[one], int(rows.bins[one][place])) for one, place in pairs))
                made.append(RankedSlice(named, float(score), float(size), float(total / size)))
        made.sort(key=lambda one: (-one.score, len(one.conditions), one.conditions))
        return tuple(made[: self.k]), max(len(made) - self.k, 0)
