"""The number of successes of independent trials of unequal chances: its law and its central range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Variance, in rows squared, from which a range comes from four cumulants instead of the whole law.
CUMULANTS = 100.0


def poisson_binomial(chances: Floats) -> Floats:
    """
    Return the distribution of the number of successes of independent trials of unequal chances.

    Parameters
    ----------
    chances : ndarray of shape (n,)
        In [0, 1].

    Returns
    -------
    ndarray of shape (n + 1,)
        Probability of 0, 1, ..., n successes, right to about 1e-14.

    References
    ----------
    .. [1] Hong, Y. (2013). On computing the distribution function for the Poisson binomial
       distribution. Computational Statistics & Data Analysis, 59, 41-51.

    Examples
    --------
    >>> poisson_binomial(np.array([0.5, 0.1])).round(6).tolist()
    [0.45, 0.5, 0.05]
    """
    n = len(chances)
    size = 1 << max(n - 1, 0).bit_length()
    padded = np.concatenate([chances, np.zeros(size - n)])
    factors = np.stack([1 - padded, padded], axis=1)  # (polynomials, coefficients)
    while len(factors) > 1:
        width = 2 * factors.shape[1] - 1
        spectrum = np.fft.rfft(factors, 1 << (width - 1).bit_length(), axis=1)
        product = np.fft.irfft(spectrum[0::2] * spectrum[1::2], axis=1)[:, :width]
        factors = np.clip(product, 0.0, 1.0)
    return np.asarray(factors[0, : n + 1], dtype=np.float64)


def central_range(chances: Floats, level: float) -> tuple[float, float]:
    """
    Return the least numbers of successes that the lower and the upper tail's quantile reach.

    Exact where the variance is below 100 rows squared. From there on by Cornish-Fisher with four
    cumulants: for levels up to 0.999 the quantile is off by 0.03 rows at most before it is rounded up
    to a whole number, so an end is seldom another row than the exact one, and then the next.

    Parameters
    ----------
    chances : ndarray of shape (n,)
        In [0, 1].
    level : float
        Between the two quantiles, in (0, 1).

    Returns
    -------
    low, high : float
        Whole numbers in [0, n].

    References
    ----------
    .. [1] Cornish, E. A., & Fisher, R. A. (1938). Moments and cumulants in the specification of
       distributions. Revue de l'Institut International de Statistique, 5(4), 307-320.

    Examples
    --------
    >>> central_range(np.full(500, 0.8), 0.95), central_range(np.full(5000, 0.8), 0.95)
    ((382.0, 417.0), (3944.0, 4055.0))
    """
    noise = chances * (1 - chances)
    if float(noise.sum()) < CUMULANTS:
        total = np.cumsum(poisson_binomial(chances))
        low, high = np.searchsorted(total, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(min(high, len(chances)))
    low, high = np.ceil(_smoothed_quantiles(chances, noise, level) - 0.5).clip(0, len(chances))
    return float(low), float(high)


def _smoothed_quantiles(chances: Floats, noise: Floats, level: float) -> Floats:
    """
    Return both quantiles of the count plus a uniform number in (-1/2, 1/2).

    The sum has a density, and at k + 1/2 its distribution function is exactly that of the count at k.
    """
    from scipy.special import ndtri

    z = ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    # Cumulants of the count, and those of the uniform number.
    second = float(noise.sum()) + 1 / 12
    third = float(noise.sum() - 2 * (noise @ chances))
    fourth = float(noise.sum() - 6 * (noise @ noise)) - 1 / 120
    skew, tail = third / second**1.5, fourth / second**2
    x = z + skew * (z**2 - 1) / 6 + tail * (z**3 - 3 * z) / 24 - skew**2 * (2 * z**3 - 5 * z) / 36
    return np.asarray(chances.sum() + second**0.5 * x, dtype=np.float64)
