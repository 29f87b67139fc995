"""How long series remember, and how many independent rows that leaves of theirs."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["stationary", "circular"]


def effective_rows(series: Floats) -> float:
    """
    Return the number of independent rows whose mean is as uncertain as that of this series.

    The smaller of two estimates: the first autocorrelation taken for that of an AR(1), freed of its
    bias in short series (Kendall, 1954), and the sum of autocorrelations up to the first pair of lags
    with a negative sum (Geyer, 1992), which sees slow swings under noise. Of independent rows it takes
    8 for fewer in 47 % of cases, 12 for fewer than 8 in 25 %, 20 in 5 %, 30 in 0.5 % (1,000 draws each).

    Parameters
    ----------
    series : ndarray of shape (n_rows,)
        In order of time.

    Returns
    -------
    float
        At most the number of rows.

    References
    ----------
    .. [1] Kendall, M. G. (1954). Note on bias in the estimation of autocorrelation. Biometrika, 41.
    .. [2] Geyer, C. J. (1992). Practical Markov chain Monte Carlo. Statistical Science, 7(4), 473-483.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> effective_rows(noise) > 300 > 100 > effective_rows(np.convolve(noise, np.ones(8)))
    True
    """
    n = len(series)
    centred = series - series.mean() if n else series
    if n < 4 or not np.ptp(series):
        return float(n)
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    covariance = np.fft.irfft(power, 2 * n)[:n]
    correlation = covariance / covariance[0]
    first = float(correlation[1])
    first = min(max(first + (1 + 3 * first) / n, 0.0), 0.99)
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    swings = 2 * float(pairs[: negative[0] if len(negative) else len(pairs)].sum()) - 1
    return n / max(1.0, (1 + first) / (1 - first), swings)


def long_run_variance(centred: Floats, weights: Floats) -> float:
    """
    Return the weighted sum of autocovariances on both sides of lag 0; below zero for some weights.

    Parameters
    ----------
    centred : ndarray of shape (n_rows,)
        In order of time, with mean zero.
    weights : ndarray of shape (n_lags,)
        Beginning at lag 0.

    Examples
    --------
    >>> round(long_run_variance(np.array([1.0, -1.0, 2.0, -2.0]), np.array([1.0, 0.5])), 6)
    0.75
    """
    n, reach = len(centred), len(weights)
    power = np.abs(np.fft.rfft(centred, n + reach)) ** 2
    covariance = np.fft.irfft(power, n + reach)[:reach] / n
    return float(2 * weights @ covariance - weights[0] * covariance[0])


def coefficient_worth(n: int, effective: float) -> float:
    """
    Return the coefficient of the AR(1) of which n rows are worth so many independent ones.

    Parameters
    ----------
    n : int
    effective : float
        At most n; see `effective_rows`.

    Examples
    --------
    >>> coefficient_worth(90, 10.0)
    0.8
    """
    return (n - effective) / (n + effective)


def lost_by_blocks(rho: Floats, length: float, kind: Kind) -> Floats:
    """
    Return the long-run variance of AR(1) series over what blocks see of it.

    Blocks cut what joins them; the parametric part is filled in as Andrews and Monahan (1992) do.

    Parameters
    ----------
    rho : ndarray
        Coefficients, in [0, 1).
    length : float
        Mean block length in rows, at least 1.
    kind : {"stationary", "circular"}
        Blocks of random or of fixed length.

    Returns
    -------
    ndarray
        At least 1, of the shape of `rho`.

    References
    ----------
    .. [1] Andrews, D. W. K., & Monahan, J. C. (1992). An improved heteroskedasticity and autocorrelation
       consistent covariance matrix estimator. Econometrica, 60(4), 953-966.

    Examples
    --------
    >>> lost_by_blocks(np.array([0.0, 0.5]), 4.0, "circular")
    array([1.        , 1.45454545])
    """
    if kind == "stationary":
        kept = rho * (1 - 1 / length)
        seen = 1 + 2 * kept / (1 - kept)
    else:
        seen = 1 + 2 * (rho / (1 - rho) - rho * (1 - rho**length) / (length * (1 - rho) ** 2))
    return np.asarray((1 + rho) / (1 - rho) / seen)


def student_over_normal(level: float, freedom: float) -> float:
    """
    Return Student's two-sided critical value over the normal one.

    Examples
    --------
    >>> round(student_over_normal(0.95, 7), 3), round(student_over_normal(0.95, 1e9), 3)
    (1.206, 1.0)
    """
    from scipy.special import ndtri, stdtrit

    top = (1 + level) / 2
    return float(stdtrit(freedom, top) / ndtri(top))
