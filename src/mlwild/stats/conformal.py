"""Adaptive conformal intervals: promises that are widened when they were broken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

#: Errors below which no interval is given.
FEWEST = 4
#: Working miscoverage below which Student's quantile grows no further; then the half-width grows in proportion.
_LEAST = 1e-3


@dataclass(frozen=True)
class AdaptiveConformal:
    """
    Intervals for the next outcome from the errors of earlier estimates (adaptive conformal inference).

    With enough past errors the half-width is their conformal quantile, each error taken about the mean of the
    others; where that asks for more than the errors can show it is Student's for one more error. After each
    outcome the working miscoverage moves by `rate` times what was promised less what happened, so that over a
    long run outcomes are missed as often as stated, whatever the errors do. Where it falls below 0, the
    half-width is stretched in proportion.

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
    .. [2] Barber, R. F., Candes, E., Ramdas, A., & Tibshirani, R. J. (2021). Predictive inference with the
       jackknife+. Annals of Statistics, 49(1), 486-507.

    Examples
    --------
    >>> intervals = AdaptiveConformal(level=0.8)
    >>> intervals.around(2.0, np.array([-1.0, 0.0, 1.0, 0.5, -0.5]))
    (0.75, 3.25)
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

    def after(self, *, covered: bool, lag: int = 1) -> AdaptiveConformal:
        """
        Return the intervals after an outcome was seen inside or outside its own.

        Parameters
        ----------
        covered : bool
        lag : int
            Intervals made since that one: outcomes that come late all tell of the same time, and the step is
            divided by how many of them there are.
        """
        return replace(self, missed=self._now + self.rate / lag * ((1 - self.level) - (not covered)))

    def around(
        self, estimate: float, errors: Floats, *, noise: Floats | None = None, next_noise: float = 0.0
    ) -> tuple[float, float]:
        """
        Return the interval of the next outcome.

        Parameters
        ----------
        estimate : float
        errors : ndarray of shape (n,)
            Outcome less estimate, of the past.
        noise : ndarray of shape (n,), optional
            Standard error of each outcome, as expected when its estimate was made. What the errors scatter
            beyond it is taken as common to all, so that outcomes of few rows count for less and get wider
            intervals. Default: all count alike.
        next_noise : float
            The same of the next outcome.

        Returns
        -------
        low, high : float
            NaN with fewer than four errors.
        """
        n = len(errors)
        if n < FEWEST:
            return float("nan"), float("nan")
        scale, ahead = _scales(errors, noise, next_noise)
        share = scale**-2.0 / (scale**-2.0).sum()
        centre = float(share @ errors)
        # About the mean of the others: about their own mean the errors at hand lie nearer than the next one will.
        spread = np.sort(np.abs(errors - centre) / (1 - share) / scale)
        missed = min(self._now, 0.999)
        rank = int(np.ceil((n + 1) * (1 - missed)))
        if rank <= n:
            half = float(spread[max(rank, 1) - 1])
        else:  # more is asked for than so many errors can show
            deviation = float(np.sqrt((((errors - centre) / scale) ** 2).sum() / (n - 1)))
            # The centre is uncertain too, by the inverse of the summed weights.
            unsure = float(np.sqrt(1 + 1 / ((scale**-2.0).sum() * ahead**2)))
            half = float(stdtrit(n - 1, 1 - max(missed, _LEAST) / 2)) * deviation * unsure
            half *= 1 + max(-missed, 0.0) / (1 - self.level)
            if (n + 1) * self.level <= n:  # never inside the widest error where there were enough for the level
                half = max(half, float(spread[-1]))
        return estimate + centre - half * ahead, estimate + centre + half * ahead


def _scales(errors: Floats, noise: Floats | None, next_noise: float) -> tuple[Floats, float]:
    """
    Return the standard deviation of each error and of the next, up to a common factor.

    The part beyond the noise is found by moments.

    References
    ----------
    .. [1] Hedges, L. V. (1983). A random effects model for effect sizes. Psychological Bulletin, 93(2),
       388-395.
    """
    n = len(errors)
    if noise is not None:
        common = max(float(errors.var(ddof=1) - (noise**2).mean()), 0.0)
        scale, ahead = np.sqrt(common + noise**2), float(np.sqrt(common + next_noise**2))
        if scale.min() > 0 and ahead > 0:
            return np.asarray(scale), ahead
    return np.ones(n), 1.0
