"""Means over the worst part of a distribution, and over the worst distribution near it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bootstrap import Interval, block_length, block_positions

Floats = NDArray[np.float64]


def _checked(values: Floats) -> Floats:
    made = np.asarray(values, dtype=np.float64)
    if made.ndim != 1 or not len(made) or not np.isfinite(made).all():
        raise DataError("losses: need one finite number a block, and one block at least.")
    return made


def cvar(losses: Floats, share: float) -> float:
    """
    Return the mean of the greatest share of the losses: conditional value at risk, expected shortfall.

    On raw losses of 0 and 1 this says nothing (a tenth of the rows are wrong: the worst tenth is all wrong). Apply
    it to means of blocks, or to expected losses.

    Parameters
    ----------
    losses : ndarray of shape (n,)
    share : float
        In (0, 1].

    Raises
    ------
    DataError
        If a loss is not finite or the share out of its range.

    References
    ----------
    .. [1] Rockafellar, R. T., & Uryasev, S. (2000). Optimization of conditional value-at-risk. Journal of Risk,
       2(3), 21-41.

    Examples
    --------
    >>> cvar(np.array([1.0, 2.0, 3.0, 4.0]), 0.5), cvar(np.array([1.0, 2.0, 3.0, 4.0]), 0.375)
    (3.5, 3.6666666666666665)
    """
    values = np.sort(_checked(losses))[::-1]
    if not 0 < share <= 1:
        raise DataError(f"share: {share} must lie in (0, 1].")
    mass = share * len(values)
    whole = int(mass)
    rest = (mass - whole) * values[whole] if whole < len(values) else 0.0
    return float((values[:whole].sum() + rest) / mass)


def cvar_interval(losses: Floats, share: float, *, level: float = 0.9, reps: int = 2000, seed: int = 0) -> Interval:
    """
    Return the mean of the greatest share of the losses with an interval, by resampling blocks of neighbours.

    Basic percentiles, turned about the estimate: the mean of a resampled tail lies too low.

    References
    ----------
    .. [1] Kunsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations. Annals of
       Statistics, 17(3), 1217-1241.

    Examples
    --------
    >>> found = cvar_interval(np.random.default_rng(0).normal(size=500), 0.1)
    >>> found.low < 1.755 < found.high  # the normal law's own: pdf(1.2816) / 0.1
    True
    """
    values = _checked(losses)
    estimate = cvar(values, share)
    if len(values) < 2:
        return Interval(estimate, math.nan, math.nan, level, len(values))
    rng = np.random.default_rng(seed)
    places = block_positions(len(values), block_length(values), reps, rng)
    ordered = np.sort(values[places], axis=1)[:, ::-1]
    mass = share * len(values)
    whole = int(mass)
    sums = ordered[:, :whole].sum(axis=1)
    if whole < len(values):
        sums = sums + (mass - whole) * ordered[:, whole]
    low, high = np.quantile(sums / mass, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(2 * estimate - high), float(2 * estimate - low), level, len(values))


def worst_within_kl(losses: Floats, radius: float) -> float:
    """
    Return the greatest mean over all distributions within a Kullback-Leibler divergence of the observed one.

    ``inf over t > 0 of t * radius + t * log mean exp(loss / t)``; it says nothing on raw losses of 0 and 1.

    Parameters
    ----------
    losses : ndarray of shape (n,)
    radius : float
        In nats, at least 0.

    References
    ----------
    .. [1] Hu, Z., & Hong, L. J. (2013). Kullback-Leibler divergence constrained distributionally robust
       optimization. Optimization Online.

    Examples
    --------
    >>> round(worst_within_kl(np.array([0.0, 1.0]), 0.1), 4)  # p ln 2p + (1-p) ln 2(1-p) = 0.1 at p = 0.7198
    0.7198
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    values = _checked(losses)
    if not radius >= 0:
        raise DataError(f"radius: {radius} must be at least 0.")
    top = float(values.max())
    if radius == 0 or np.ptp(values) == 0:
        return float(values.mean())
    if radius >= -math.log(float((values == top).mean())):  # all mass on the greatest loss is near enough
        return top

    def dual(log_t: float) -> float:
        t = math.exp(log_t)
        return t * radius + top + t * (float(logsumexp((values - top) / t)) - math.log(len(values)))

    scale = math.log(float(np.ptp(values)))
    found = minimize_scalar(dual, bounds=(scale - 15, scale + 15), method="bounded", options={"xatol": 1e-9})
    return float(found.fun)


def worst_within_chi_square(losses: Floats, radius: float) -> float:
    """
    Return the greatest mean over all distributions within a chi-square divergence of the observed one.

    ``inf over t of sqrt(1 + 2 * radius) * sqrt(mean (loss - t)_+^2) + t``; for small radii the mean plus
    ``sqrt(2 * radius * variance)``.

    Parameters
    ----------
    losses : ndarray of shape (n,)
    radius : float
        Of ``mean (q / p - 1)^2 / 2``, at least 0.

    References
    ----------
    .. [1] Duchi, J., & Namkoong, H. (2021). Learning models with uniform performance via distributionally robust
       optimization. Annals of Statistics, 49(3), 1378-1406.

    Examples
    --------
    >>> values = np.array([0.0, 1.0, 2.0, 3.0])
    >>> round(worst_within_chi_square(values, 0.01), 4), round(float(1.5 + (0.02 * values.var()) ** 0.5), 4)
    (1.6581, 1.6581)
    """
    from scipy.optimize import minimize_scalar

    values = _checked(losses)
    if not radius >= 0:
        raise DataError(f"radius: {radius} must be at least 0.")
    spread = float(np.ptp(values))
    if radius == 0 or spread == 0:
        return float(values.mean())
    factor = math.sqrt(1 + 2 * radius)

    def dual(t: float) -> float:
        return factor * math.sqrt(float((np.maximum(values - t, 0.0) ** 2).mean())) + t

    # Below the mean the optimum lies at most sd / sqrt(2 radius) away; above, at the greatest loss.
    low = float(values.mean()) - float(values.std()) / math.sqrt(2 * radius) * 2 - spread
    found = minimize_scalar(dual, bounds=(low, float(values.max())), method="bounded", options={"xatol": 1e-12})
    return min(float(found.fun), float(values.max()))
