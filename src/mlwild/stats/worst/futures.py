"""Paths that a series may take next, with what a short history hides: its tail, its level, its persistence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.bootstrap import autocorrelation, block_length

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Futures:
    """
    Paths of the next values of a series.

    Parameters
    ----------
    paths : ndarray of shape (reps, horizon)
        In the unit of the series.
    length : float
        Mean block length used, in values.
    persistence : float
        First autocorrelation, freed of its bias in short series; a negative one counts as 0.
    """

    paths: Floats
    length: float
    persistence: float


def future_paths(series: Floats, horizon: int, *, shortest: float = 1.0, reps: int = 1000, seed: int = 0) -> Futures:
    """
    Draw paths of the next values of a series by the stationary bootstrap of its innovations.

    The series is freed of its first autocorrelation, its innovations are resampled in blocks of random
    length, and the paths go on from where the series ends. A plain bootstrap of a short history is too
    calm, for it cannot exceed the greatest value seen. So every path also draws: the tail beyond the
    greatest innovations, as exponential with the scale and the mass that they leave open; the mean
    and the autocorrelation, within their sampling error.

    Parameters
    ----------
    series : ndarray of shape (n,)
        Finite, in order of time, at least 8.
    horizon : int
        Number of values to come.
    shortest : float
        Least mean block length; the rule of Politis and White may ask for more.
    reps : int
        Number of paths.
    seed : int

    Returns
    -------
    Futures

    References
    ----------
    .. [1] Politis, D. N., & Romano, J. P. (1994). The stationary bootstrap. JASA, 89(428), 1303-1313.
    .. [2] Andrews, D. W. K., & Monahan, J. C. (1992). An improved heteroskedasticity and
       autocorrelation consistent covariance matrix estimator. Econometrica, 60(4), 953-966.
       Prewhitening.
    .. [3] Weissman, I. (1978). Estimation of parameters and large quantiles based on the k largest
       observations. JASA, 73(364), 812-815. The exponential tail.

    Examples
    --------
    >>> series = np.random.default_rng(0).normal(size=30)
    >>> found = future_paths(series, 10)
    >>> found.paths.shape, bool(found.paths.max() > series.max())
    ((1000, 10), True)
    """
    rng = np.random.default_rng(seed)
    n, mean = len(series), float(series.mean())
    rho = autocorrelation(series)
    shocks = series - mean if rho == 0 else series[1:] - mean - rho * (series[:-1] - mean)
    shocks = shocks - shocks.mean()
    length = max(block_length(shocks), shortest, 1.0)
    drawn = _with_tail(shocks, _positions(len(shocks), horizon, length, reps, rng), rng)
    free = max(n / length - 1, 2.0)
    error = float(shocks.std(ddof=1)) * math.sqrt(length / n) / (1 - rho)
    level = mean + error * rng.standard_t(free, size=reps)
    rhos = np.clip(rho + rng.normal(size=reps) * math.sqrt((1 - rho**2) / n), 0.0, 0.95)
    state, paths = series[-1] - level, np.empty((reps, horizon))
    for t in range(horizon):
        state = rhos * state + drawn[:, t]
        paths[:, t] = level + state
    return Futures(paths, length, rho)


def _positions(n: int, horizon: int, length: float, reps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return positions of blocks of geometric length on a circle, shape (reps, horizon)."""
    fresh = rng.random((reps, horizon)) < 1 / length
    fresh[:, 0] = True
    starts = rng.integers(0, n, size=(reps, horizon))
    since = np.arange(horizon) - np.maximum.accumulate(np.where(fresh, np.arange(horizon), 0), axis=1)
    began = np.take_along_axis(starts, np.arange(horizon) - since, axis=1)
    return np.asarray((began + since) % n)


def _with_tail(shocks: Floats, positions: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """
    Return resampled shocks of which the greatest are drawn from an exponential tail.

    Above the (k + 1)-th greatest of n independent values lies a mass that is Beta(k + 1, n - k), and the
    k excesses over it add up to Gamma(k) times the tail's scale. Each path draws both; ranks are kept.
    """
    n, reps = len(shocks), len(positions)
    ranked = np.sort(shocks)
    k = min(max(round(math.sqrt(n)), 4), n - 2)
    threshold, excess = ranked[n - k - 1], float((ranked[n - k :] - ranked[n - k - 1]).sum())
    mass = rng.beta(k + 1, n - k, size=(reps, 1))
    scale = excess / rng.gamma(k, size=(reps, 1))
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(shocks, kind="stable")] = np.arange(n)
    place = (rank[positions] + rng.random(positions.shape)) / n  # in (0, 1), 1 the greatest
    above = np.clip((1 - place) / mass, 1e-300, None)
    body = np.interp((place / (1 - mass)) * (n - k - 1), np.arange(n - k), ranked[: n - k])
    return np.asarray(np.where(above < 1, threshold - scale * np.log(above), body))
