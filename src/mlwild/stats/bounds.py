"""Upper confidence bounds for a mean in [0, 1], valid at any sample size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def clopper_pearson_upper(errors: int, n: int, delta: float = 0.05) -> float:
    """
    Return the exact upper confidence bound of a binomial rate.

    References
    ----------
    .. [1] Clopper, C. J., & Pearson, E. S. (1934). Biometrika, 26(4), 404-413.

    Examples
    --------
    >>> round(clopper_pearson_upper(0, 100), 6)  # 1 - 0.05 ** (1 / 100)
    0.029513
    """
    from scipy.special import betaincinv

    return 1.0 if errors >= n else float(betaincinv(errors + 1, n - errors, 1 - delta))


def betting_upper(losses: Floats, delta: float = 0.05) -> float:
    """
    Return the betting upper confidence bound of the mean of losses in [0, 1].

    A gambler bets against "the mean is at least m" with stakes that depend on the past only; m is
    refuted when the capital passes 1 / delta. The bound is the smallest m refuted.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,)
        In [0, 1], in order of time; only their conditional mean needs to be constant.
    delta : float
        Chance that the bound lies below the mean.

    References
    ----------
    .. [1] Waudby-Smith, I., & Ramdas, A. (2024). Estimating means of bounded random variables by
       betting. JRSS-B, 86(1), 1-27, equations (23) to (26).

    Examples
    --------
    >>> losses = np.tile([0.0, 0.0, 0.0, 1.0], 500)
    >>> 0.25 < betting_upper(losses) < 0.29
    True
    """
    n = len(losses)
    if n == 0:
        return 1.0
    steps = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(losses)) / (steps + 1)
    spread = (0.25 + np.cumsum((losses - mean) ** 2)) / (steps + 1)
    before = np.concatenate([[0.25], spread[:-1]])
    stake = np.sqrt(2 * math.log(1 / delta) / (n * before))

    def refuted(m: float) -> bool:
        bet = np.minimum(stake, 0.75 / max(1.0 - m, 1e-9))
        capital = np.cumsum(np.log1p(-bet * (losses - m)))
        return bool(capital.max() >= math.log(1 / delta))

    low, high = 0.0, 1.0
    if not refuted(1.0):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high


def upper_bound(losses: Floats, delta: float = 0.05) -> float:
    """Return Clopper and Pearson's bound for losses of 0 and 1, else the betting bound."""
    if np.isin(losses, (0.0, 1.0)).all():
        return clopper_pearson_upper(int(losses.sum()), len(losses), delta)
    return betting_upper(losses, delta)
