"""Adaptive conformal intervals: promises that are widened when they were broken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

#: Errors below which no interval is given.
FEWEST = 4


@dataclass(frozen=True)
class AdaptiveConformal:
    """
    Intervals for the next outcome from the errors of earlier estimates (adaptive conformal inference).

    With enough past errors the half-width is their conformal quantile about their mean; with fewer it is
    Student's for one more error. After each outcome the working miscoverage moves by `rate` times what
    was promised less what happened, so that over a long run outcomes are missed as often as stated,
    whatever the errors do. Where the working miscoverage falls below what the past can show, the widest
    past error is stretched in proportion.

    Parameters
    ----------
    level : float
        Nominal coverage in (0, 1).
    rate : float
        Step of the adaptation; 0 keeps the plain quantile.
    missed : float, optional
        The working miscoverage; starts at ``1 - level``.

    References
    ----------
    .. [1] Gibbs, I., & Candes, E. (2021). Adaptive conformal inference under distribution shift.
       NeurIPS 34.

    Examples
    --------
    >>> intervals = AdaptiveConformal(level=0.8)
    >>> intervals.around(2.0, np.array([-1.0, 0.0, 1.0, 0.5, -0.5]))
    (1.0, 3.0)
    >>> intervals.after(covered=False).missed
    0.168
    """

    level: float = 0.9
    rate: float = 0.04
    missed: float | None = None

    def __post_init__(self) -> None:
        """Check the level."""
        if not 0 < self.level < 1:
            raise ValueError(f"level: {self.level} must lie in (0, 1).")

    @property
    def _now(self) -> float:
        return 1 - self.level if self.missed is None else self.missed

    def after(self, *, covered: bool) -> AdaptiveConformal:
        """Return the intervals after an outcome was seen inside or outside its own."""
        return replace(self, missed=self._now + self.rate * ((1 - self.level) - (not covered)))

    def around(self, estimate: float, errors: Floats) -> tuple[float, float]:
        """
        Return the interval of the next outcome.

        Parameters
        ----------
        estimate : float
        errors : ndarray of shape (n,)
            Outcome less estimate, of the past.

        Returns
        -------
        low, high : float
            NaN with fewer than four errors.
        """
        n = len(errors)
        if n < FEWEST:
            return float("nan"), float("nan")
        centre = float(errors.mean())
        spread = np.sort(np.abs(errors - centre))
        missed = min(self._now, 0.999)
        rank = int(np.ceil((n + 1) * (1 - missed)))
        if rank <= n:
            half = float(spread[max(rank, 1) - 1])
        elif (n + 1) * self.level > n:  # too few errors for the quantile that was asked for
            share = max(missed, 1e-6)
            half = float(stdtrit(n - 1, 1 - share / 2) * errors.std(ddof=1) * np.sqrt(1 + 1 / n))
        else:
            half = float(spread[-1]) * (1 + (1 / (n + 1) - missed) * (n + 1))
        return estimate + centre - half, estimate + centre + half
