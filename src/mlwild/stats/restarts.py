"""Bets that a mean lies above zero, begun anew at every look, so that no past is a credit for what comes after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]

#: Stakes of the bets, as shares of what a row can cost at most.
STAKES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])


@dataclass(frozen=True, eq=False)
class RestartedBets:
    """
    One sequence of bets for every look, each begun there; a value, moved on by `feed`.

    The null of the sequence from look k is that all rows from there on have a mean of zero at most, given the
    past. Its capital is then a non-negative supermartingale, so that it reaches k (k + 1) / alpha with a chance of
    alpha / (k (k + 1)) at most, ever; over all k these add up to alpha.

    Parameters
    ----------
    alpha : float
        Chance that any sequence whose null is true is refuted at any time, at most; in (0, 1).
    capital : ndarray of shape (n_looks, n_stakes)
        Logarithm of the capital of the sequences, oldest first; none at the start.

    References
    ----------
    .. [1] Waudby-Smith, I., & Ramdas, A. (2024). Estimating means of bounded random variables by
       betting. JRSS-B, 86(1), 1-27.

    Examples
    --------
    >>> bets, one = RestartedBets(), np.ones(100)
    >>> for _ in range(20):  # long below zero
    ...     bets = bets.feed([-0.1 * one], [one])
    >>> bets.refuted is None
    True
    >>> bets.feed([0.5 * one], [one]).refuted  # the sequence that began with that look
    20
    """

    alpha: float = 0.05
    capital: Floats = field(default_factory=lambda: np.zeros((0, len(STAKES))))

    def feed(self, excess: Sequence[Floats], most: Sequence[Floats]) -> RestartedBets:
        """
        Feed the rows of a look.

        Parameters
        ----------
        excess : sequence of ndarray of shape (n_rows,)
            What is bet on to be above zero: for sequences that begin with this look, for those that began one look
            before, and so on; the last entry also for all older ones.
        most : sequence of ndarray of shape (n_rows,)
            How far below zero each row can lie, for the same sequences; above zero.

        Returns
        -------
        RestartedBets

        Raises
        ------
        DataError
            If a row lies lower than it can.
        """
        gains = []
        for rows, least in zip(excess, most, strict=True):
            if (rows < -least * (1 + 1e-9)).any() or not (least > 0).all():
                raise DataError("a row lies lower than it can. Hint: give the least value of the losses.")
            gains.append(np.log1p(STAKES[:, None] * np.maximum(rows / least, -1.0)).sum(axis=1))
        capital = np.concatenate([self.capital, np.zeros((1, len(STAKES)))])
        age = np.arange(len(capital))[::-1]
        return replace(self, capital=capital + np.array(gains)[np.minimum(age, len(gains) - 1)])

    @property
    def refuted(self) -> int | None:
        """The look, from 0, with which the most strongly refuted sequence began; None if none is refuted."""
        k = np.arange(1, len(self.capital) + 1)
        value = np.logaddexp.reduce(self.capital, axis=1) - math.log(len(STAKES))
        over = value - np.log(k * (k + 1) / self.alpha)
        return int(over.argmax()) if len(over) and over.max() >= 0 else None
