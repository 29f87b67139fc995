"""Bounds of means of few values that are skewed and resemble their neighbours."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.bootstrap import Interval, autocorrelation
from mlwild.stats.gaffke import gaffke_upper

Floats = NDArray[np.float64]


def stretch(series: Floats) -> float:
    """Return the root of the long-run variance over the plain one, as if the series were an AR(1)."""
    rho = autocorrelation(series)
    return math.sqrt((1 + rho) / (1 - rho))


def serial_upper(series: Floats, delta: float) -> float:
    """
    Return an upper confidence bound of the mean of a series in order of time.

    Gaffke's bound, with the greatest value seen once more, stretched about the mean by the first
    autocorrelation. Below about 20 values, or where the greatest value there can be is far above the
    greatest seen, trust it less.

    Parameters
    ----------
    series : ndarray of shape (n,)
        Finite, in order of time, at least one.
    delta : float
        Chance that the bound lies below the mean, in (0, 0.5).

    Returns
    -------
    float
        Never below the mean.

    References
    ----------
    .. [1] Gaffke, N. (2005). Three test statistics for a nonparametric one-sided hypothesis on the mean
       of a nonnegative variable. Mathematical Methods of Statistics, 14(4), 451-467.
    .. [2] Andrews, D. W. K., & Monahan, J. C. (1992). An improved heteroskedasticity and
       autocorrelation consistent covariance matrix estimator. Econometrica, 60(4), 953-966.

    Examples
    --------
    >>> 0.5 < serial_upper(np.tile([0.2, 0.9, 0.4], 20), 0.05) < 0.6
    True
    """
    mean = float(series.mean())
    return mean + stretch(series) * max(gaffke_upper(series, greatest=float(series.max()), delta=delta) - mean, 0.0)


def serial_interval(series: Floats, level: float) -> Interval:
    """
    Return an interval of the mean of a series, each end from `serial_upper` at half of what the level leaves.

    Examples
    --------
    >>> serial_interval(np.ones(9), 0.9)
    Interval(estimate=1.0, low=1.0, high=1.0, level=0.9, n=9)
    """
    delta = (1 - level) / 2
    high, low = serial_upper(series, delta), -serial_upper(-series, delta)
    return Interval(float(series.mean()), low, high, level, len(series))
