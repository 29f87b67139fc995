"""Exact bounds for a quantile from order statistics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def quantile_bounds(values: NDArray[np.float64], quantile: float, alpha: float) -> tuple[float, float]:
    """
    Return bounds that a quantile lies above and below with chance at least ``1 - alpha`` each, for any distribution.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Independent draws.
    quantile : float
        In (0, 1).
    alpha : float
        Chance that each bound misses.

    Returns
    -------
    low, high : float
        Minus infinity and infinity where there are too few draws: a 99 % quantile takes 299 at alpha .05.

    References
    ----------
    .. [1] Hahn, G. J., & Meeker, W. Q. (1991). Statistical intervals, section 5.2. Wiley.

    Examples
    --------
    >>> quantile_bounds(np.arange(1.0, 300.0), 0.99, 0.05)
    (293.0, 299.0)
    >>> quantile_bounds(np.arange(1.0, 299.0), 0.99, 0.05)[1]
    inf
    """
    from scipy.stats import binom

    n, ordered = len(values), np.sort(values)
    # The k-th smallest is at least the quantile if at most k - 1 draws lie below it, which are Bin(n, quantile).
    below = binom.cdf(np.arange(n + 1), n, quantile)  # P(at most k draws lie below)
    enough = np.flatnonzero(below[:n] >= 1 - alpha)
    high = float(ordered[enough[0]]) if len(enough) else math.inf
    few = np.flatnonzero(below[:n] <= alpha)
    low = float(ordered[few[-1]]) if len(few) else -math.inf
    return low, high
