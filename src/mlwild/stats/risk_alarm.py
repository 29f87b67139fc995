"""An alarm for a risk above a stated limit, fed as labels arrive: the one-line bet of Timans et al. as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RiskAlarm:
    """
    A bet that losses exceed a limit on average; a value, moved on by `feed`.

    After each loss the capital is multiplied by ``1 + stake (loss - limit)``; the alarm rings when it has grown
    to ``1 / alpha``. The null is that every loss has an expectation of `limit` at most given those that were fed
    before: no independence, no stationarity, and one may look at any time. The stake follows the mean and the
    variance of past losses; with a memory that fades it forgets a calm year (2,000 losses of risk .1, then .3,
    limit .2: the alarm rings after 450 losses in the median, where the stake follows all the past after 2,800;
    100 draws each).

    Parameters
    ----------
    limit : float
        Tolerated mean loss, in (0, 1).
    alpha : float
        Chance of a false alarm at any time, at most; in (0, 1).
    memory : float
        Losses that the stake remembers, 1 at least; infinite for all.
    log_capital : float
        Natural logarithm of the capital.
    past : (float, float, float)
        Weight, sum and sum of squares of the losses that are remembered; at the start one loss at the limit,
        with a variance of a quarter, stands for them.

    References
    ----------
    .. [1] Timans, A., Verma, R., Nalisnick, E., & Naesseth, C. A. (2025). On continuous monitoring of
       risk violations under unknown shift. UAI.
    .. [2] Waudby-Smith, I., & Ramdas, A. (2024). Estimating means of bounded random variables by betting.
       JRSS-B, 86(1), 1-27 (any stake that is set before the loss will do).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> calm, rung = RiskAlarm(0.2).feed((rng.random(2000) < 0.15).astype(float))
    >>> rung, calm.feed((rng.random(1000) < 0.35).astype(float))[1]
    (False, True)
    """

    limit: float
    alpha: float = 0.05
    memory: float = 300.0
    log_capital: float = 0.0
    past: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 < self.limit < 1 or not 0 < self.alpha < 1 or not self.memory >= 1:
            raise DataError(
                f"limit is {self.limit}, alpha {self.alpha} and memory {self.memory}; they need (0, 1), (0, 1) and 1 "
                "at least."
            )

    def feed(self, losses: Floats) -> tuple[RiskAlarm, bool]:
        """
        Feed losses in order of arrival.

        Parameters
        ----------
        losses : ndarray of shape (n,)
            In [0, 1]. The mean of a batch is one loss, where rows of a batch rise and fall together.

        Returns
        -------
        alarm : RiskAlarm
            After the losses.
        rung : bool
            Whether the capital reached its threshold after any of them.

        Raises
        ------
        DataError
            If a loss is no number in [0, 1].
        """
        losses = np.asarray(losses, dtype=np.float64)
        if not len(losses):
            return self, False
        out = np.flatnonzero(~((losses >= 0) & (losses <= 1)))
        if len(out):
            raise DataError(f"losses is {losses[out[0]]:g} in row {out[0]}, needs to lie in [0, 1].")
        started = self.past or (1.0, self.limit, self.limit**2 + 0.25)
        keep = 1 - 1 / self.memory
        # Sums over the past after 0, 1, ..., n losses: what a stake may rest on is what was there before its loss.
        weight, total, square = (
            _faded(old, values, keep)
            for old, values in zip(started, (np.ones(len(losses)), losses, losses**2), strict=True)
        )
        mean, second = total[:-1] / weight[:-1], square[:-1] / weight[:-1]
        about = np.maximum(second - 2 * self.limit * mean + self.limit**2, 1e-12)
        stakes = np.clip((mean - self.limit) / about, 0.0, 0.5 / self.limit)
        path = self.log_capital + np.cumsum(np.log1p(stakes * (losses - self.limit)))
        past = (float(weight[-1]), float(total[-1]), float(square[-1]))
        after = replace(self, log_capital=float(path[-1]), past=past)
        return after, bool(path.max() >= -math.log(self.alpha))


def _faded(old: float, values: Floats, keep: float) -> Floats:
    """Return the sum before any value and after each, what was there fading with each."""
    from scipy.signal import lfilter  # half a second, and few apps need it

    sums, _ = lfilter([1.0], [1.0, -keep], values, zi=[keep * old])
    return np.concatenate([[old], sums])
