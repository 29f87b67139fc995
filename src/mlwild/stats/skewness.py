"""One-sided bounds for the mean of skewed values: how much wider than for symmetric ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def skewed_excess(values: Floats, quantile: float) -> float:
    """
    Return what a one-sided bound for a mean needs beyond a quantile of the normal, in standard errors.

    The mean of values with a long tail to the right is often too low together with its standard error: a normal bound
    above it is passed by the true mean too often. This is the first term of Cornish and Fisher's expansion of the
    studentised mean.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Independent draws, or means of batches; n at least 3.
    quantile : float
        Normal quantile of the bound, such as 1.645.

    Returns
    -------
    float
        In standard errors; above zero the upper bound has to be so much higher, below it the lower one lower.

    References
    ----------
    .. [1] Hall, P. (1992). On the removal of skewness by transformation. JRSS-B, 54(1), 221-228.
    .. [2] Johnson, N. J. (1978). Modified t tests and confidence intervals for asymmetrical populations. JASA,
       73(363), 536-544.

    Examples
    --------
    >>> round(skewed_excess(np.array([0.0, 0.0, 0.0, 0.0, 1.0]), 1.645), 3)
    1.069
    >>> skewed_excess(np.array([-1.0, 0.0, 1.0]), 1.645)
    0.0
    """
    n = len(values)
    centred = values - values.mean()
    second = float(np.mean(centred**2))
    if n < 3 or second == 0:
        return 0.0
    # The adjusted coefficient of Fisher and Pearson: the plain one is too small in few values.
    skewness = float(np.mean(centred**3)) / second**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    return float(skewness / math.sqrt(n) * (2 * quantile**2 + 1) / 6)
