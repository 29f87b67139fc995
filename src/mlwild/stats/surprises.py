"""How rare the scores of rows are, of one row or of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.curve import Curve
from mlwild.stats.grids import Grids

Floats = NDArray[np.float64]

#: A grid that is off below this surprise is not taken: of many rows honest ones have ten, and what lies beyond them is
#: told from them by how much more it has.
NEAR = 50.0


@dataclass(frozen=True, eq=False)
class Surprises:
    """
    Surprises of several scores, the last of which is 0 for most rows: that of what is missing.

    Parameters
    ----------
    grids : Grids
        Of all scores but the last.
    missing : Curve
        Of the last.
    whole : float
        Surprise of a row in which nothing is missing.

    Examples
    --------
    >>> from mlwild.stats.rank_curves import surprise_curve
    >>> scores = np.random.default_rng(0).exponential(size=(2, 1000)) * np.array([[1.0], [0.0]])
    >>> made = Surprises.of([surprise_curve(score) for score in scores])
    >>> made.of_row([3.0, 0.0]) == [made.greatest(np.array([[3.0], [0.0]]))[0], 0.0]
    True
    """

    grids: Grids
    missing: Curve
    whole: float

    @staticmethod
    def of(curves: Sequence[Curve]) -> Surprises:
        """Lay them out: fine round the score that half of the rows have. Steps, where many rows tie, may be slanted."""
        return Surprises(Grids.of(curves[:-1], math.log(2), math.inf, NEAR), curves[-1], curves[-1].at(0.0))

    def of_row(self, scores: Sequence[float]) -> list[float]:
        """Return the surprise of each score of one row."""
        return [*self.grids.of_row(scores[:-1]), self.missing.at(scores[-1]) if scores[-1] else self.whole]

    def greatest(self, scores: Floats) -> Floats:
        """
        Return the greatest surprise of each row.

        Parameters
        ----------
        scores : ndarray of shape (n_scores, n_rows)
            At least 0.
        """
        each = self.grids.over(scores[:-1])
        most = np.asarray(each.max(axis=0))
        np.maximum(most, self.missing.over(scores[-1]) if scores[-1].any() else self.whole, out=most)
        return most
