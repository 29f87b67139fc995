"""What a guard gives: an answer for every row, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Objects = NDArray[np.object_]

#: How far an answer is to be trusted, best first.
STATUSES = ("normal", "degraded", "fallback", "refused")
NORMAL, DEGRADED, FALLBACK, REFUSED = range(4)
#: Stage of an answer that was drawn at random.
DRAWN = -2


@dataclass(frozen=True, eq=False)
class Answers:
    """
    Answers to some rows.

    Parameters
    ----------
    value : ndarray of shape (n_rows,) or (n_rows, n_classes)
        In the form that the app's loss asks for; NaN where it was refused, and nowhere else.
    low, high : ndarray of shape (n_rows,)
        Where the outcome of a number lies; NaN where nothing is known of that, or of classes.
    likely : ndarray of bool, shape (n_rows, n_classes)
        Classes that the outcome is among; of shape (n_rows, 0) for numbers.
    status : ndarray of int8, shape (n_rows,)
        Place in `STATUSES`.
    stage : ndarray of int8, shape (n_rows,)
        Place of who answered in the chain; -1 where it was refused, -2 where it was drawn at random.
    expected : ndarray of shape (n_rows,)
        Mean loss of the stage on such rows, as measured beforehand, also on those that it is not sure enough of for a
        risk; NaN where it was refused.
    cause : ndarray of str, shape (n_rows,)
        Why an answer is not normal; empty where it is.
    chance : ndarray of shape (n_rows,)
        Probability with which such a row is given just this answer; 1 where nothing is drawn.
    """

    value: Floats
    low: Floats
    high: Floats
    likely: NDArray[np.bool_]
    status: NDArray[np.int8]
    stage: NDArray[np.int8]
    expected: Floats
    cause: Objects
    chance: Floats

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.status)

    def put(self, rows: NDArray[np.intp], part: Answers) -> None:
        """Write the answers to some rows into those of all."""
        for one in fields(self):
            getattr(self, one.name)[rows] = getattr(part, one.name)

    @property
    def words(self) -> list[str]:
        """The status of each row, in a word."""
        return [STATUSES[one] for one in self.status.tolist()]


def no_answers(n: int, classes: int, *, matrix: bool) -> Answers:
    """
    Return answers that are all refused, to be filled.

    Parameters
    ----------
    n : int
        Rows.
    classes : int
        Number of classes; 0 where numbers are predicted.
    matrix : bool
        Whether an answer is one number a class.

    Examples
    --------
    >>> no_answers(2, 3, matrix=True).value.shape, no_answers(1, 0, matrix=False).words
    ((2, 3), ['refused'])
    """
    value = np.full((n, classes) if matrix else n, np.nan)
    return given(value, classes, status=REFUSED, stage=-1, expected=np.nan)


def given(
    value: Floats,
    classes: int,
    *,
    status: int,
    stage: int,
    expected: Floats | float,
    cause: str | Sequence[str] = "",
) -> Answers:
    """
    Return answers of one stage, of which nothing else is said yet.

    Parameters
    ----------
    value : ndarray of shape (n_rows,) or (n_rows, n_classes)
        It is copied.
    classes : int
        Number of classes; 0 where numbers are predicted.
    status, stage : int
    expected : float, or ndarray of shape (n_rows,)
    cause : str, or sequence of str, n_rows long

    Examples
    --------
    >>> made = given(np.array([1.5]), 0, status=DEGRADED, stage=0, expected=0.2, cause="no a")
    >>> made.value.tolist(), made.words, made.low.tolist(), made.chance.tolist()
    ([1.5], ['degraded'], [nan], [1.0])
    """
    n = len(value)
    causes: Objects = np.empty(n, dtype=object)
    low, high, losses, chance = numbers = np.empty((4, n))
    statuses, stages = np.empty((2, n), dtype=np.int8)
    numbers[:2], losses[:], chance[:], causes[:] = np.nan, expected, 1.0, cause
    statuses[:], stages[:] = status, stage
    likely = np.zeros((n, classes), dtype=bool)
    return Answers(np.array(value), low, high, likely, statuses, stages, losses, causes, chance)


def too_dear(stage: str, limit: float) -> str:
    """Say that a stage is expected to lose more than an answer may."""
    return f"the expected loss of {stage} is above {limit:g}"


def too_unsure(stage: str, risk: float) -> str:
    """Say that a stage is less sure of an answer than the risk that may be taken asks for."""
    return f"{stage} is not sure enough for a risk of {risk:g}"
