"""How rare the scores of rows are, of one row or of many: one look-up a score, and no search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.curve import Curve
from mlwild.stats.even_grids import EvenGrids
from mlwild.stats.grids import Grids
from mlwild.stats.searches import places

Floats = NDArray[np.float64]

#: A grid that is off below this surprise is not taken: of many rows honest ones have ten, and what lies beyond them is
#: told from them by how much more it has.
NEAR = 50.0
#: Steps on either side of the score that half of the rows have.
HALF = 2048
#: Part by which two surprises may differ and be the same one.
SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class Surprises:
    """
    Surprises of several scores, the last of which is 0 for most rows: that of what is missing.

    A surprise is minus the logarithm of the share of rows with as great a score. Scores are counted in steps, those of
    an even grid.

    Parameters
    ----------
    grids : EvenGrids
        Of all scores but the last.
    steps : ndarray of shape (n_steps,)
        Surprise of each step.
    rest : tuple of int
        Scores that no grid shows: they go by their curves.
    curves : tuple of Curve
        Of all scores.

    Examples
    --------
    >>> from mlwild.stats.rank_curves import surprise_curve
    >>> scores = np.random.default_rng(0).exponential(size=(2, 1000)) * np.array([[1.0], [0.0]])
    >>> made = Surprises.of([surprise_curve(score) for score in scores])
    >>> made.of_row([3.0, 0.0]) == [made.greatest(np.array([[3.0], [0.0]]))[0], 0.0]
    True
    """

    grids: EvenGrids
    steps: Floats
    rest: tuple[int, ...]
    curves: tuple[Curve, ...]

    @staticmethod
    def of(curves: Sequence[Curve]) -> Surprises:
        """Lay them out: fine round the score that half of the rows have. Steps, where many rows tie, may be slanted."""
        shown = Grids.of(curves[:-1], math.log(2), math.inf, NEAR)
        scale, shift = shown.grids.scale, shown.grids.shift
        t = np.clip(np.arange(-HALF, HALF + 1) / HALF, 0.5 / HALF - 1.0, 1.0 - 0.5 / HALF)  # the last ones have no end
        middles = t / (1.0 - np.abs(t))
        steps = [
            curve.over((middles - by) / (at or 1.0))
            for curve, at, by in zip(curves, scale[:, 0], shift[:, 0], strict=False)
        ]
        return Surprises(EvenGrids(scale, shift, HALF), np.concatenate(steps), shown.rest, tuple(curves))

    def of_row(self, scores: Sequence[float]) -> list[float]:
        """Return the surprise of each score of one row."""
        made = [self.steps.item(step) for _, step in self.grids.of_row(scores[:-1])]
        for place in self.rest:
            made[place] = self.curves[place].at(scores[place])
        return [*made, self.curves[-1].at(scores[-1])]

    def greatest(self, scores: Floats) -> Floats:
        """
        Return the greatest surprise of each row.

        Parameters
        ----------
        scores : ndarray of shape (n_scores, n_rows)
            At least 0.
        """
        each = self.steps.take(self.grids.over(scores[:-1])[1])
        for place in self.rest:
            each[place] = self.curves[place].over(scores[place])
        return np.asarray(np.maximum(each.max(axis=0), self.curves[-1].over(scores[-1])))


@dataclass(frozen=True, eq=False)
class Tails:
    """
    P-values of rows by their greatest surprise, ranked among those of other rows.

    They are conformal ones, as what is ranked is a function of the row that was fixed beforehand; rows of one step tie,
    and ties count as further out. Beyond the rows that were seen a p-value falls as the surprise says: that is no
    promise, as a rank is, but it can tell a row that is a little outside from one that is far out.

    Parameters
    ----------
    surprises : Surprises
    seen : ndarray of shape (n,)
        Rising; the greatest surprises of the other rows.
    steps : ndarray of shape (n_steps,)
        The p-value of each step.
    whole : float
        That of a row in which nothing is missing, by that alone.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A., & Shafer, G. (2005). Algorithmic learning in a random world. Springer.

    Examples
    --------
    >>> from mlwild.stats.rank_curves import surprise_curve
    >>> scores = np.random.default_rng(0).exponential(size=(2, 1000)) * np.array([[1.0], [0.0]])
    >>> made = Tails(Surprises.of([surprise_curve(score) for score in scores]), np.array([0.1, 0.5, 7.0]))
    >>> [round(made.of_row([score, 0.0]), 3) for score in (0.0, 0.3, 6.0, 9.0)]
    [1.0, 0.75, 0.5, 0.233]
    """

    surprises: Surprises
    seen: Floats
    steps: Floats = field(init=False, repr=False)
    whole: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Rank each step, and a row in which nothing is missing."""
        object.__setattr__(self, "steps", self._ranked(self.surprises.steps))
        object.__setattr__(self, "whole", self._ranked(self.surprises.curves[-1].over(np.zeros(1))).item())

    def of_row(self, scores: Sequence[float]) -> float:
        """Return the p-value of one row, to the last bit what `over` gives."""
        if self.surprises.rest or scores[-1]:
            return float(self.over(np.array(scores)[:, None])[0])
        made, of_step = self.whole, self.steps.item
        for _, step in self.surprises.grids.of_row(scores[:-1]):
            made = min(made, of_step(step))
        return made

    def over(self, scores: Floats) -> Floats:
        """
        Return the p-value of each of many rows.

        Parameters
        ----------
        scores : ndarray of shape (n_scores, n_rows)
            At least 0, but the last, which may be below where it is rare that a value is there.
        """
        each, curves = self.steps.take(self.surprises.grids.over(scores[:-1])[1]), self.surprises.curves
        for place in self.surprises.rest:
            each[place] = self._ranked(curves[place].over(scores[place]))
        missing = self._ranked(curves[-1].over(scores[-1])) if scores[-1].any() else self.whole
        return np.asarray(np.minimum(each.min(axis=0), missing))

    def _ranked(self, surprises: Floats) -> Floats:
        n = len(self.seen)
        # What is counted in another order may differ in the last bits from what it ties with.
        at_least = n - places(self.seen, surprises - SLACK * (1.0 + surprises))
        return np.asarray((1.0 + at_least) / (n + 1.0) * np.exp(-np.maximum(surprises - self.seen[-1], 0.0)))
