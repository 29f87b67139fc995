"""Limits for one more value: of a period's mean, of its greatest value, of a share of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Past values below which there are no limits.
FEWEST = 5


def prediction_limits(values: Floats, chance: float) -> tuple[float, float]:
    """
    Return limits for one more value of a normal law, from those that were seen.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Independent values of one law, at least `FEWEST`.
    chance : float
        Chance that the next one lies outside, shared by both sides.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        If there are too few values.

    References
    ----------
    .. [1] Hahn, G. J., & Meeker, W. Q. (1991). Statistical Intervals. Wiley, section 4.7.

    Examples
    --------
    >>> low, high = prediction_limits(np.array([9.0, 10.0, 11.0, 10.0, 9.5, 10.5]), 0.05)
    >>> round(low, 2), round(high, 2)
    (8.04, 11.96)
    """
    from scipy.special import stdtrit

    n = _enough(values)
    half = -float(stdtrit(n - 1, chance / 2)) * float(values.std(ddof=1)) * math.sqrt(1 + 1 / n)
    middle = float(values.mean())
    return middle - half, middle + half


def next_greatest(greatest: Floats, chance: float) -> float:
    """
    Return a limit for the greatest value of one more period, from those of past periods.

    Greatest values of many rows follow Gumbel's law where the tail is exponential; on the scale of logarithms
    that holds for tails that fall like a power, and lighter tails stay inside. Place and scale come from
    L-moments. That they are estimates is paid for by stretching the quantile, by a rule fitted to the
    simulated law of the next value (`tests/stats/test_prediction.py` simulates it anew).

    Parameters
    ----------
    greatest : ndarray of shape (n_periods,)
        The greatest value of each period, at least `FEWEST`; their logarithms where the tail may be heavy.
    chance : float
        Chance that the next one lies above.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are too few values.

    References
    ----------
    .. [1] Gumbel, E. J. (1958). Statistics of Extremes. Columbia University Press.
    .. [2] Hosking, J. R. M. (1990). L-moments. JRSS-B, 52(1), 105-124, table 2.

    Examples
    --------
    >>> round(next_greatest(np.array([3.0, 3.4, 2.9, 3.1, 3.8, 3.2, 3.3, 3.0]), 0.01), 2)
    4.61
    """
    n = _enough(greatest)
    ordered = np.sort(greatest)
    mean = float(ordered.mean())
    second = 2 * float((ordered * np.arange(n)).mean()) / (n - 1) - mean
    scale = max(second, 0.0) / math.log(2)
    place = mean - float(np.euler_gamma) * scale
    far = -math.log(-math.log1p(-chance))
    return place + scale * far * (1 + 0.55 * far / (n - 1.5))


def next_reach(parts: Sequence[Floats], chance: float) -> float:
    """
    Return what the greatest value of one more period passes: where it does not, the tail was cut off.

    Were a period n independent values of one law F, all of them would lie below x with chance F(x)^n. How far the
    greatest of each period reached says how many its values are worth: minus the logarithm of F there is exponential
    with rate n. With Jeffreys' prior on n the chance for the next period is (s / (s - log F(x)))^k, for k periods
    with the sum s. Values that come in clusters, or periods that differ, so count for fewer.

    Parameters
    ----------
    parts : sequence of ndarray
        The values of each period, at least `FEWEST` periods.
    chance : float
        Chance that the greatest of the next one lies below.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are too few periods.

    References
    ----------
    .. [1] Bernardo, J. M., & Smith, A. F. M. (1994). Bayesian Theory. Wiley, section 5.2 (predictive laws).
    .. [2] Embrechts, P., Klueppelberg, C., & Mikosch, T. (1997). Modelling Extremal Events. Springer, section 8.1
       (the extremal index).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> round(next_reach([rng.random(100) for _ in range(20)], 0.01), 2)
    0.95
    """
    greatest = np.array([part.max() for part in parts])
    n = _enough(greatest)
    values = np.sort(np.concatenate(parts))
    ranks = (np.searchsorted(values, greatest, "left") + np.searchsorted(values, greatest, "right")) / 2
    total = float(-np.log((ranks + 0.5) / (len(values) + 1)).sum())
    level = math.exp(-total * (chance ** (-1 / n) - 1))
    return min(float(np.quantile(values, level)), float(greatest.min()))


def next_share(counts: Counts, rows: Counts, chance: float) -> float:
    """
    Return a limit for the share of rows in one more period that have a rare property.

    It is the greater of two: what the period with the greatest share foretells for one of as many rows (counts of
    Poisson's law with Jeffreys' prior on its rate, so a negative binomial law), and the normal limit of the shares'
    angles, which sees how periods differ. Where rates differ with a longer tail it is passed more often: 1.6 % in
    place of 1 % for lognormal rates of 30 % with spread 0.3, 12 periods of 500 rows, 5,000 draws.

    Parameters
    ----------
    counts, rows : ndarray of int64, shape (n_periods,)
        Rows with the property, and all rows, of each period; at least `FEWEST` periods.
    chance : float
        Chance that the next share lies above.

    Returns
    -------
    float
        In [0, 1]; 0 where no row ever had it.

    Raises
    ------
    ValueError
        If there are too few periods.

    References
    ----------
    .. [1] Bernardo, J. M., & Smith, A. F. M. (1994). Bayesian Theory. Wiley, section 5.2 (predictive laws).
    .. [2] Anscombe, F. J. (1948). The transformation of Poisson, binomial and negative-binomial data.
       Biometrika, 35, 246-254.

    Examples
    --------
    >>> round(next_share(np.array([3, 5, 2, 4, 4]), np.full(5, 1000), 0.001), 3)
    0.02
    >>> next_share(np.zeros(5, np.int64), np.full(5, 1000), 0.001)
    0.0
    """
    from scipy.stats import nbinom

    _enough(rows)
    if not counts.any():
        return 0.0
    shares = counts / rows
    worst = int(np.argmax(shares))
    hits, n = int(counts[worst]), int(rows[worst])
    foretold = min(float(nbinom.isf(chance, hits + 0.5, 0.5)) / n, 1.0)
    angle = prediction_limits(np.arcsin(np.sqrt(shares)), 2 * chance)[1]
    return max(foretold, float(np.sin(min(angle, math.pi / 2)) ** 2), float(shares.max()))


def _enough(values: NDArray[np.generic]) -> int:
    if len(values) < FEWEST:
        raise ValueError(f"{len(values)} past values are too few: at least {FEWEST} are needed.")
    return len(values)
