"""Conformal p-values of scores that are counted in steps: one look-up, and no search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Steps of a score s, even in s / (s + MIDDLE): fine near 0, coarser the further out, with room for every number.
STEPS, MIDDLE = 4096, 8.0


@dataclass(frozen=True, eq=False)
class SteppedRanks:
    """
    The p-values of scores that are surprises (minus the logarithm of a share): 0 at least, a dozen for a rare row.

    Scores of one step tie, and ties count as further out: the rank is that of the step, which is a score that was
    fixed beforehand as any other, so that the p-value has its level. A step is .002 wide near 0 and .4 at 100.

    Parameters
    ----------
    p : ndarray of shape (n_steps,)
        Falling; of each step.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A., & Shafer, G. (2005). Algorithmic learning in a random world. Springer.

    Examples
    --------
    >>> made = SteppedRanks.of([0.1, 0.5, 7.0])
    >>> [made.at(score) for score in (-1.0, 0.2, 0.5, 9.0)], made.over(np.array([0.2, 9.0])).tolist()
    ([1.0, 0.75, 0.75, 0.25], [0.75, 0.25])
    """

    p: Floats
    _listed: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep what one score asks for as plain numbers."""
        object.__setattr__(self, "_listed", self.p.tolist())

    @staticmethod
    def of(scores: Sequence[float]) -> SteppedRanks:
        """
        Count the scores of the calibration rows.

        Parameters
        ----------
        scores : sequence of float
            In any order.
        """
        found = np.bincount(_steps(np.asarray(scores, dtype=np.float64)), minlength=STEPS + 1)
        at_least = found[::-1].cumsum()[::-1]
        return SteppedRanks((1.0 + at_least) / (len(scores) + 1.0))

    def at(self, score: float) -> float:
        """Return the p-value of one score."""
        return self._listed[int(score / (score + MIDDLE) * STEPS) if score > 0 else 0]

    def over(self, scores: Floats) -> Floats:
        """
        Return the p-values of many scores.

        Parameters
        ----------
        scores : ndarray of shape (n_rows,)
            Finite.
        """
        return self.p.take(_steps(scores))


def _steps(scores: Floats) -> NDArray[np.intp]:
    made = np.maximum(scores, 0.0)
    made /= made + MIDDLE
    made *= STEPS
    return made.astype(np.intp)
