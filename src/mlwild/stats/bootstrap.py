"""Intervals for sums and means of series whose neighbours resemble each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.memory import student_over_normal

Floats = NDArray[np.float64]


#: Longer series are added up to about so many neighbours' sums before they are resampled.
_MANY = 4_000


@dataclass(frozen=True)
class Interval:
    """
    An estimate with its interval.

    Parameters
    ----------
    estimate, low, high : float
    level : float
        Nominal coverage.
    n : int
        Number of independent pieces it rests on (periods, blocks or rows).
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int


def block_length(series: Floats) -> float:
    """
    Return the mean block length of Politis and White for the circular bootstrap.

    Parameters
    ----------
    series : ndarray of shape (n,)
        In order of time.

    Returns
    -------
    float
        At least 1, at most a third of the series.

    References
    ----------
    .. [1] Politis, D. N., & White, H. (2004). Automatic block-length selection for the dependent
       bootstrap. Econometric Reviews, 23(1), 53-70; corrected by Patton, Politis and White (2009).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> block_length(noise) < block_length(np.convolve(noise, np.ones(8)))
    True
    """
    n = len(series)
    centred = series - series.mean()
    if n < 6 or not np.any(np.abs(centred) > 1e-12 * (1.0 + np.abs(series).max())):
        return 1.0
    quiet = max(5, int(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + quiet, n - 1)
    longest = min(math.ceil(min(3 * math.sqrt(n), n / 3)), n - 1)
    covariance = np.array([centred[: n - k] @ centred[k:] for k in range(most + 1)]) / n
    # Correlation of the overlapping parts only, as in the corrected version of the procedure.
    correlation = np.array(
        [1.0]
        + [
            centred[: n - k]
            @ centred[k:]
            / max(1e-300, np.sqrt((centred[: n - k] ** 2).sum() * (centred[k:] ** 2).sum()))
            for k in range(1, most + 1)
        ]
    )
    inside = np.abs(correlation[1:]) < 2 * math.sqrt(math.log10(n) / n)
    first = next((k + 1 for k in range(most - quiet + 1) if inside[k : k + quiet].all()), None)
    if first is None:
        outside = np.flatnonzero(~inside)
        first = int(outside[-1]) + 1 if len(outside) else 0
    m = min(2 * max(first, 1), most)
    lags = np.arange(-m, m + 1)
    taper = np.clip(2 * (1 - np.abs(lags / m)), 0, 1)
    gamma = covariance[np.abs(lags)]
    slope = float((taper * np.abs(lags) * gamma).sum())
    spread = float((taper * gamma).sum())
    if spread <= 0:
        return 1.0
    length = (2 * slope**2 / (4 / 3 * spread**2) * n) ** (1 / 3)
    return float(min(max(length, 1.0), longest))


def block_positions(n: int, length: float, reps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return positions of circular blocks, shape (reps, n)."""
    size = max(1, round(length))
    starts = rng.integers(0, n, size=(reps, math.ceil(n / size)))
    positions = (starts[:, :, None] + np.arange(size)[None, None, :]) % n
    return np.asarray(positions.reshape(reps, -1)[:, :n], dtype=np.int64)


def sum_interval(
    series: Floats, *, level: float = 0.9, reps: int = 2000, seed: int = 0, length: float | None = None
) -> Interval:
    """
    Return the interval of a series' sum by the circular block bootstrap.

    The bootstrap's percentiles are stretched about the estimate by what blocks lose against the
    whole, by what they lose where they are cut, and by Student's quantile for as many degrees of
    freedom as there are blocks: plain percentiles cover too little on the 20 to 60 periods that a
    history has.

    Measured coverage at level 0.9 on 20, 45 and 100 periods (10,000 draws each): independent normal
    values 0.91, 0.90, 0.90; exponential ones 0.89, 0.89, 0.90; AR(1) with coefficient 0.5 0.86, 0.88,
    0.89 and with 0.8 0.79, 0.85, 0.89. Below 20 periods, or with slower swings, trust it less.

    Parameters
    ----------
    series : ndarray of shape (n,)
        One value a period, in order of time.
    level : float
        Nominal coverage, default 0.9.
    reps : int
        Bootstrap replicates.
    seed : int
    length : float, optional
        Mean block length in periods; default by `block_length`.

    Returns
    -------
    Interval
        NaN bounds for fewer than 4 periods: an interval cannot be had.

    References
    ----------
    .. [1] Politis, D. N., & Romano, J. P. (1992). A circular block-resampling procedure for
       stationary data. In Exploring the Limits of Bootstrap, 263-270.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(1.0, 1.0, size=100)
    >>> interval = sum_interval(noise)
    >>> interval.low < 100 < interval.high
    True
    """
    n = len(series)
    total = float(series.sum())
    if n < 4:
        return Interval(total, math.nan, math.nan, level, n)
    if np.ptp(series) == 0:
        return Interval(total, total, total, level, n)
    if n > _MANY:
        # Neighbours are added up first: blocks of sums give the same interval in bounded memory.
        starts = np.arange(0, n, -(-n // _MANY))
        whole = sum_interval(np.add.reduceat(series, starts), level=level, reps=reps, seed=seed)
        return Interval(total, whole.low, whole.high, level, n)
    size = max(1, round(block_length(series) if length is None else length))
    rng = np.random.default_rng(seed)
    # Sums of whole blocks, from cumulative sums: no (reps, n) array of values is made.
    ring = np.concatenate([[0.0], np.cumsum(np.concatenate([series, series]))])
    count = math.ceil(n / size)
    sizes = np.full(count, size)
    sizes[-1] = n - size * (count - 1)
    sums = np.empty(reps)
    for at in range(0, reps, 100):  # a hundred replicates at a time: memory stays bounded
        starts = rng.integers(0, n, size=(min(100, reps - at), count))
        sums[at : at + 100] = (ring[starts + sizes] - ring[starts]).sum(axis=1)
    low, high = np.quantile(sums, [(1 - level) / 2, (1 + level) / 2])
    stretch = percentile_stretch(series, size, level)
    low, high = float(total - (total - low) * stretch), float(total + (high - total) * stretch)
    return Interval(total, low, high, level, n)


def percentile_stretch(series: Floats, size: int, level: float) -> float:
    """
    Return by how much percentiles of a block bootstrap are stretched about the estimate; see `sum_interval`.

    Parameters
    ----------
    series : ndarray of shape (n,)
    size : int
        Length of a block.
    level : float

    Examples
    --------
    >>> round(percentile_stretch(np.tile([1.0, -1.0], 50), 1, 0.95), 2)
    1.02
    """
    blocks = len(series) / size
    return student_over_normal(level, max(blocks - 1.0, 1.0)) * math.sqrt(
        blocks / max(blocks - 1.0, 0.5) * _cut(series, size)
    )


def _cut(series: Floats, size: int) -> float:
    """
    Return the long-run variance over the part of it that blocks see, as if the series were an AR(1).

    Blocks cut what joins them. The first autocorrelation fills that in (Andrews and Monahan, 1992).
    """
    rho = autocorrelation(series)
    lags = np.arange(1, size)
    seen = 1 + 2 * float(((1 - lags / size) * rho**lags).sum())
    return (1 + rho) / (1 - rho) / seen


def autocorrelation(series: Floats) -> float:
    """
    Return the first autocorrelation, freed of its bias in short series, between 0 and 0.9.

    A negative one counts as 0, so that what rests on it never gets shorter.

    Parameters
    ----------
    series : ndarray of shape (n,)
        In order of time.

    Returns
    -------
    float

    References
    ----------
    .. [1] Kendall, M. G. (1954). Note on bias in the estimation of autocorrelation. Biometrika,
       41(3/4), 403-404.

    Examples
    --------
    >>> autocorrelation(np.array([1.0, 2.0, 1.0, 2.0])), autocorrelation(np.ones(5))
    (0.0, 0.0)
    >>> round(autocorrelation(np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])), 3)  # 1/2 + (1 + 3/2) / 6
    0.9
    """
    centred = series - series.mean()
    total = float(centred @ centred)
    rho = float(centred[1:] @ centred[:-1]) / total if total > 0 else 0.0
    return min(max(rho + (1 + 3 * rho) / len(series), 0.0), 0.9) if total > 0 else 0.0


def _student(level: float, blocks: float) -> float:
    """Return Student's quantile over the normal one."""
    from scipy.special import ndtri, stdtrit

    freedom = max(blocks - 1.0, 1.0)
    return float(stdtrit(freedom, (1 + level) / 2) / ndtri((1 + level) / 2))


def mean_interval(
    series: Floats, *, level: float = 0.9, reps: int = 2000, seed: int = 0, length: float | None = None
) -> Interval:
    """
    Return the interval of a series' mean; see `sum_interval`.

    Examples
    --------
    >>> mean_interval(np.array([1.0, 1.0, 1.0, 1.0])).estimate
    1.0
    """
    n = max(len(series), 1)
    whole = sum_interval(series, level=level, reps=reps, seed=seed, length=length)
    return Interval(whole.estimate / n, whole.low / n, whole.high / n, level, whole.n)


def resampled_interval(
    statistic: Callable[[NDArray[np.int64]], float], n: int, *, level: float = 0.9, reps: int = 200, seed: int = 0
) -> Interval:
    """
    Return the interval of a statistic of rows by resampling blocks of cube-root length.

    Plain percentiles; measured coverage at level 0.9 of the median and of the area under the ROC
    curve of 100 to 300 independent rows: 0.87 to 0.89 (1,000 to 2,000 draws each).

    Parameters
    ----------
    statistic : callable
        From positions of shape (n,) to a number; NaN replicates are left out.
    n : int
        Number of rows, in order of time.

    References
    ----------
    .. [1] Kunsch, H. R. (1989). The jackknife and the bootstrap for general stationary
       observations. Annals of Statistics, 17(3), 1217-1241.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=300)
    >>> interval = resampled_interval(lambda rows: float(np.median(values[rows])), 300)
    >>> interval.low < interval.estimate < interval.high
    True
    """
    rng = np.random.default_rng(seed)
    estimate = statistic(np.arange(n))
    draws = np.array([statistic(rows) for rows in block_positions(n, max(1.0, n ** (1 / 3)), reps, rng)])
    draws = draws[np.isfinite(draws)]
    if len(draws) < reps // 2:
        return Interval(estimate, math.nan, math.nan, level, n)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level, n)
