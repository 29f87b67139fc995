"""How bad a slice is: SliceLine's score and the mean test, each with a bound for all slices inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Score(Protocol):
    """
    What a search needs of a score.

    For every slice of at least `support` rows inside one of so many rows, so great a sum of errors and so great a
    largest error, `bound` is no less than `score`.
    """

    @property
    def floor(self) -> float:
        """Only slices that score above it are of interest."""
        ...

    def score(self, sizes: Floats, sums: Floats, level: int) -> Floats:
        """Return the scores of slices of so many rows, sums of errors and conditions."""
        ...

    def bound(self, sizes: Floats, sums: Floats, maxima: Floats, *, support: float, level: int) -> Floats:
        """Return what no slice of this level or a greater one inside can exceed."""
        ...


@dataclass(frozen=True)
class SliceLineScore:
    """
    SliceLine's score: how much worse than the mean a slice is, less how small it is.

    A slice scores above zero only if it holds more than (1 - alpha) / alpha of the sum of all errors: two
    thirds with alpha 0.6, a nineteenth with 0.95.

    Parameters
    ----------
    alpha : float
        Weight of the error against the size, in (0, 1].
    n : float
        Rows in all.
    mean : float
        Mean error of all rows, above 0.

    References
    ----------
    .. [1] Sagadeeva, S., & Boehm, M. (2021). SliceLine: fast, linear-algebra-based slice finding for ML
       model debugging. SIGMOD, 2290-2299.

    Examples
    --------
    >>> score = SliceLineScore(alpha=0.6, n=100.0, mean=0.5)
    >>> score.score(np.array([100.0, 80.0]), np.array([50.0, 48.0]), 1).round(6).tolist()
    [0.0, 0.02]
    """

    alpha: float
    n: float
    mean: float
    floor: float = 1e-12  # zero, but for rounding

    def score(self, sizes: Floats, sums: Floats, level: int) -> Floats:
        """Return the scores of slices of so many rows and sums of errors."""
        worse = sums / sizes / self.mean - 1
        return np.asarray(self.alpha * worse - (1 - self.alpha) * (self.n / sizes - 1), dtype=np.float64)

    def bound(self, sizes: Floats, sums: Floats, maxima: Floats, *, support: float, level: int) -> Floats:
        """Return what no slice inside can exceed: the score is monotone between these three sizes."""
        least = np.minimum(support, sizes)
        tried = (least, np.clip(sums / maxima, least, sizes), sizes)
        scores = [self.score(size, np.minimum(size * maxima, sums), level) for size in tried]
        return np.asarray(np.maximum.reduce(scores), dtype=np.float64)


@dataclass(frozen=True)
class MeanTest:
    """
    How many standard errors a slice's mean lies above that of all rows, less what chance reaches.

    The mean test of subgroup discovery. From it is taken what the best of as many slices with as many
    conditions would reach by chance: sqrt(2 ln m) for m slices, so that a longer description has to be
    worth it.

    Parameters
    ----------
    mean, spread : float
        Mean and standard deviation of the errors of all rows.
    handicaps : tuple of float
        What is taken off with 1, 2, ... conditions; must not fall.

    References
    ----------
    .. [1] Kloesgen, W. (1996). Explora: a multipattern and multistrategy discovery assistant. Advances in
       Knowledge Discovery and Data Mining, 249-271.
    .. [2] Lemmerich, F., Atzmueller, M., & Puppe, F. (2016). Fast exhaustive subgroup discovery with
       numerical target concepts. Data Mining and Knowledge Discovery, 30, 711-762.

    Examples
    --------
    >>> score = MeanTest(mean=0.2, spread=0.4, handicaps=(0.0,))
    >>> score.score(np.array([100.0, 25.0]), np.array([28.0, 9.0]), 1).round(6).tolist()
    [2.0, 2.0]
    """

    mean: float
    spread: float
    handicaps: tuple[float, ...]
    floor: float = -math.inf

    def score(self, sizes: Floats, sums: Floats, level: int) -> Floats:
        """Return the scores of slices of so many rows, sums of errors and conditions."""
        above = (sums - self.mean * sizes) / (self.spread * np.sqrt(sizes))
        return np.asarray(above - self.handicaps[level - 1], dtype=np.float64)

    def bound(self, sizes: Floats, sums: Floats, maxima: Floats, *, support: float, level: int) -> Floats:
        """Return what no slice inside can exceed: its largest errors alone, or the fewest rows."""
        least = np.minimum(support, sizes)
        tried = (least, np.clip(sums / maxima, least, sizes))
        scores = [self.score(size, np.minimum(size * maxima, sums), level) for size in tried]
        return np.asarray(np.maximum(*scores), dtype=np.float64)
