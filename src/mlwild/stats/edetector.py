"""The Shiryaev-Roberts e-detector for a rise of a bounded mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rises of the mean that the bets are tuned to.
TARGETS = (0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class EDetector:
    """
    A mixture of Shiryaev-Roberts e-detectors; a value, moved on by `feed`.

    Parameters
    ----------
    baseline : float
        Upper bound of the mean before the change, in (0, 1). Give a confidence bound: with an
        estimate in its place the false alarms are no longer bounded.
    run_length : float
        Mean number of rows until a false alarm, at least.
    log_value : tuple of float
        Logarithm of each bet's detector; minus infinity at the start.

    References
    ----------
    .. [1] Shin, J., Ramdas, A., & Rinaldo, A. (2024). E-detectors: a nonparametric framework for
       sequential change detection. New England Journal of Statistics in Data Science, 2(2).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> calm, alarm = EDetector(0.2, 100_000).feed((rng.random(2000) < 0.2).astype(float))
    >>> alarm is None
    True
    >>> _, alarm = calm.feed((rng.random(2000) < 0.4).astype(float))
    >>> 20 < alarm < 300
    True
    """

    baseline: float
    run_length: float
    log_value: tuple[float, ...] = (-math.inf,) * len(TARGETS)

    @property
    def rates(self) -> Floats:
        """The stakes, one a target."""
        m = self.baseline
        return np.array([min(0.9 / m, d / (m * (1 - m))) for d in TARGETS])

    def feed(self, losses: Floats) -> tuple[EDetector, int | None]:
        """
        Feed losses in order of arrival.

        Parameters
        ----------
        losses : ndarray of shape (n_rows,)
            In [0, 1].

        Returns
        -------
        detector : EDetector
            After the last row, or as new where an alarm was raised.
        alarm : int or None
            Position of the row that raised it.
        """
        if not len(losses) or not 0 < self.baseline < 1:
            return self, None
        logs = np.log1p(self.rates[:, None] * (losses[None, :] - self.baseline))
        walk = np.cumsum(logs, axis=1)
        # log S_t = walk_t + log(S_0 + sum_{s<=t} exp(-walk_{s-1})): the recursion S <- (S + 1) L.
        seeds = np.concatenate([np.zeros((len(logs), 1)), -walk[:, :-1]], axis=1)
        seeds[:, 0] = np.logaddexp(seeds[:, 0], np.asarray(self.log_value))
        values = walk + np.logaddexp.accumulate(seeds, axis=1)
        mixed = np.logaddexp.reduce(values, axis=0) - math.log(len(logs))
        over = np.flatnonzero(mixed >= math.log(self.run_length))
        if len(over):
            return replace(self, log_value=(-math.inf,) * len(TARGETS)), int(over[0])
        return replace(self, log_value=tuple(float(value) for value in values[:, -1])), None
