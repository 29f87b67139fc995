"""Radii that are wide where a row looks hard and narrow where it looks easy, and are widened when they miss."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.difficulty import Difficulty, learn_difficulty
from mlwild.stats.searches import places
from mlwild.stats.steps import Steps
from mlwild.stats.tracked import Tracked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Rows as hard as a row that its radius is taken from.
NEAREST = 100
#: Rows below which all count alike.
FEWEST = 60
#: Outcomes within their radii after which what is hard is learned anew; after a miss it is at once.
STEADY = 50
#: Share of all that a column moved by which it got away from where it was, from which on it goes on.
AWAY = 0.8
_GREATEST = sys.float_info.max


@dataclass(frozen=True, eq=False)
class Radii:
    """
    What radius each row gets, until the next outcome.

    Parameters
    ----------
    fixed : float
        Of all rows, where they count alike.
    difficulty : Difficulty, optional
        How hard a row looks; None where all count alike.
    edges : ndarray of shape (n_blocks - 1,)
        Difficulties at which the rows that are as hard change.
    shares : ndarray of shape (n_blocks,)
        Radius as a multiple of the difficulty.

    Examples
    --------
    >>> Radii(2.0).of(np.zeros((3, 1)))
    array([2., 2., 2.])
    """

    fixed: float
    difficulty: Difficulty | None = None
    edges: Floats | None = None
    shares: Floats | None = None

    def of(self, *parts: Floats) -> Floats:
        """
        Return the radius of each row.

        Parameters
        ----------
        *parts : ndarray of shape (n_rows, n_columns)
            Columns, in one table or in several side by side.

        Returns
        -------
        ndarray of shape (n_rows,)
            At least 0; infinite before the first score.
        """
        steps = self._steps
        if self.difficulty is None or steps is None:
            return np.full(len(parts[0]), self.fixed)
        if len(parts[0]) == 1:  # most requests
            alone = min(self.difficulty.of_one(*parts), _GREATEST)
            return np.array([min(alone * steps.at(alone), _GREATEST)])
        hard = self.difficulty.of(*parts)
        np.minimum(hard, _GREATEST, out=hard)
        hard *= steps.over(hard)
        return np.minimum(hard, _GREATEST, out=hard)

    @cached_property
    def _steps(self) -> Steps | None:
        return None if self.edges is None or self.shares is None else Steps(self.edges, self.shares)


class LocalRadii:
    """
    Radii that a stated share of scores stays within over a long run, each as wide as its own row asks for.

    As `Tracked`, but the radius of a row is a quantile of the scores of those rows of the window that look as hard:
    each score is divided by the difficulty of its row, as the others of the window show it, and the quantile over the
    hundred rows of the nearest difficulty is multiplied by the row's own. So radii tell easy rows from hard ones, and
    where labels come late the features show a change before its outcomes do.

    The promise is that of `Tracked`, for any sequence: the working miscoverage moves in the same way, and outside of
    (0, 1), where more is asked for than was seen, radii are the same. That hard rows are covered as often as easy ones
    is aimed at, and not promised.

    Parameters
    ----------
    level : float
        Share within, in (0, 1).
    rate : float
        Step for labels that come at once, as of `Tracked`.
    window : int
        Scores that are remembered, and outcomes on end that the worst share is about.
    lag : int
        Outcomes that come between a row and its own label, 1 for none.

    Raises
    ------
    DataError
        As of `Tracked`.

    References
    ----------
    .. [1] Gibbs, I., & Candes, E. (2021). Adaptive conformal inference under distribution shift. NeurIPS 34.
    .. [2] Papadopoulos, H., Gammerman, A., & Vovk, V. (2008). Normalized nonconformity measures for regression
       conformal prediction. AIA 2008, 64-69.
    .. [3] Guan, L. (2023). Localized conformal prediction. Biometrika, 110(1), 33-50.

    Examples
    --------
    >>> x = np.random.default_rng(0).permutation(np.linspace(0, 1, 500))[:, None]
    >>> local = LocalRadii(level=0.8)
    >>> local.learn(x, x[:, 0])
    >>> local.radii(np.array([[0.1], [0.9]])).round(1)
    array([0.2, 0.9])
    >>> local.feed(x[:2], [0.0, 0.5], [0.1, 0.1])  # the second was outside
    1
    """

    def __init__(self, *, level: float = 0.9, rate: float = 0.02, window: int = 500, lag: int = 1) -> None:
        self.tracked = Tracked(level=level, rate=rate, window=window, lag=lag)
        self._rows: list[Floats] = []
        self._scores: list[float] = []
        self._at = 0
        self._centre: Floats | None = None
        self._since = STEADY
        self._hard: tuple[Difficulty, Floats, Floats] | None = None

    def learn(self, rows: Floats, scores: Iterable[float]) -> None:
        """
        Take in scores of rows that no radius was promised for.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        scores : iterable of float
            Finite, at least 0.
        """
        for row, score in zip(rows, scores, strict=True):
            self.tracked.take(score)
            self._keep(row, float(score))
        self._since = STEADY

    def feed(self, rows: Floats, scores: Iterable[float], promised: Iterable[float]) -> int:
        """
        Take in outcomes, in order.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        scores : iterable of float
            Finite, at least 0.
        promised : iterable of float
            What `radii` gave when each row was answered.

        Returns
        -------
        int
            How many scores lay outside.

        Raises
        ------
        DataError
            If a score is not finite or below 0, or a radius is below 0 or NaN.
        """
        missed = 0
        for row, score, radius in zip(rows, scores, promised, strict=True):
            within = self.tracked.feed(score, radius)
            self._keep(row, float(score))
            self._since = self._since + 1 if within else STEADY
            missed += not within
        return missed

    def _keep(self, row: Floats, score: float) -> None:
        if len(self._scores) < self.tracked.window:
            self._rows.append(row)
            self._scores.append(score)
            return
        self._rows[self._at], self._scores[self._at] = row, score
        self._at = self._at + 1 if self._at + 1 < self.tracked.window else 0

    def radii(self, rows: Floats) -> Floats:
        """
        Return the radius of each row; keep it with the row, as `feed` asks for it.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        if self._alike:
            return np.full(len(rows), self.tracked.radius())
        difficulty, shares, edges = self._learned()
        mine = difficulty.of(rows)
        blocks, which = np.unique(places(edges, mine), return_inverse=True)
        return np.minimum(mine * self._quantiles(shares, blocks)[which], _GREATEST)

    def fixed(self) -> Radii:
        """Return the radii as they are now, as a value."""
        if self._alike:
            return Radii(self.tracked.radius())
        difficulty, shares, edges = self._learned()
        return Radii(self.tracked.radius(), difficulty, edges, self._quantiles(shares, np.arange(len(edges) + 1)))

    @property
    def _alike(self) -> bool:
        if len(self._scores) < FEWEST or not 0 < self.tracked.missed < 1:
            return True
        # Where rows do not differ, each left out of its own would put radii just below scores that many rows have.
        return self.tracked.still or self._learned()[0].flat

    def _learned(self) -> tuple[Difficulty, Floats, Floats]:
        """Return the difficulty, the scores by it in order of it, and where blocks change."""
        if self._hard is None or self._since >= STEADY:
            rows, scores = np.array(self._rows), np.array(self._scores)
            if self._centre is None:
                known = np.where(np.isfinite(rows), rows, np.nan)
                self._centre = np.array([np.median(one[one == one]) if (one == one).any() else 0.0 for one in known.T])  # noqa: PLR0124
            rows[:, _going_on(np.roll(rows, -self._at, axis=0))] = np.nan
            difficulty, hard = learn_difficulty(rows, scores, self._centre)
            order = np.argsort(hard, kind="stable")
            hard, shares = hard[order], (scores / hard)[order]
            near = min(NEAREST, len(hard))
            # Of the blocks of so many rows on end, the nearest changes halfway between its first row and the next last.
            self._hard = difficulty, shares, hard[:-near] / 2 + hard[near:] / 2
            self._since = 0
        return self._hard

    def _quantiles(self, shares: Floats, blocks: Ints) -> Floats:
        """Return the quantile of each block that the working miscoverage asks for."""
        near = min(NEAREST, len(shares))
        rank = math.ceil((near + 1) * (1 - self.tracked.missed) - 1e-9)
        place = min(max(rank, 1), near) - 1
        every = np.lib.stride_tricks.sliding_window_view(shares, near)[blocks]
        return np.asarray(np.partition(every, place, axis=1)[:, place])


def _going_on(rows: Floats) -> NDArray[np.bool_]:
    """
    Mark the columns that only go on, as dates, running numbers and the months of a summer do.

    What was off early and late is all that they tell apart, and the rows to come lie beyond both.
    """
    steps = np.diff(rows, axis=0)
    steps = np.where(np.isfinite(steps), steps, 0.0)
    return np.asarray(np.abs(steps.sum(axis=0)) >= AWAY * np.abs(steps).sum(axis=0))
