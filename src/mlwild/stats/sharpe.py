"""Sharpe ratios of strategies, and what is left of the best after all that were tried."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]

_EULER = 0.5772156649015329


@dataclass(frozen=True)
class DeflatedSharpe:
    """
    A Sharpe ratio judged against the best that luck gives.

    Parameters
    ----------
    probability : float
        Chance that the true ratio is above what the best of so many tries without skill reaches.
    sharpe : float
        Observed, per period (not annual); higher is better.
    threshold : float
        Expected best of the tries without skill, per period.
    tries : int
    n : int
        Number of periods.
    """

    probability: float
    sharpe: float
    threshold: float
    tries: int
    n: int


def probabilistic_sharpe(
    sharpe: float, n: int, *, threshold: float = 0.0, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """
    Return the chance that the true Sharpe ratio is above a threshold.

    Parameters
    ----------
    sharpe : float
        Observed, **per period**: an annual one over the root of the periods in a year; higher is
        better.
    n : int
        Number of periods, at least 2. They count as independent.
    threshold : float
        Per period.
    skewness : float
    kurtosis : float
        Of the returns; 3 for normal ones: not the excess.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        If there are under 2 periods, or no distribution has these moments.

    References
    ----------
    .. [1] Bailey, D. H., & Lopez de Prado, M. (2012). The Sharpe ratio efficient frontier. Journal of
       Risk, 15(2), 3-44.

    Examples
    --------
    >>> round(probabilistic_sharpe(0.1, 401), 3)
    0.977
    """
    from scipy.special import ndtr

    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if n < 2 or not kurtosis >= 1 + skewness**2 - 1e-9 or not variance > 0:
        raise DataError(
            f"n is {n}, need at least 2; kurtosis is {kurtosis}, need 1 + skewness^2 or more (3 if normal, not 0)."
        )
    return float(ndtr((sharpe - threshold) * math.sqrt(n - 1) / math.sqrt(variance)))


def expected_best_sharpe(variance: float, tries: int) -> float:
    """
    Return the Sharpe ratio that the best of many strategies without skill is expected to show.

    Parameters
    ----------
    variance : float
        Variance of the Sharpe ratios of all strategies tried.
    tries : int
        Number of strategies tried, taken from the record; of independent ones, where they are
        alike.

    Returns
    -------
    float
        In the unit of the ratios; 0 for a single try.

    Raises
    ------
    DataError
        If there was no try or the variance is negative.

    References
    ----------
    .. [1] Bailey, D. H., & Lopez de Prado, M. (2014). The deflated Sharpe ratio. Journal of Portfolio
       Management, 40(5), 94-107, equation (1).

    Examples
    --------
    >>> round(expected_best_sharpe(0.5, 100), 3)
    1.789
    """
    from scipy.special import ndtri

    if tries < 1 or not variance >= 0:
        raise DataError(f"tries is {tries}, need at least 1; variance is {variance}, need at least 0.")
    if tries == 1:
        return 0.0
    best = (1 - _EULER) * float(ndtri(1 - 1 / tries)) + _EULER * float(ndtri(1 - 1 / (tries * math.e)))
    return math.sqrt(variance) * best


def deflated_sharpe(returns: Floats, trials: Floats, *, tries: int | None = None) -> DeflatedSharpe:
    """
    Judge the Sharpe ratio of the chosen strategy by all that were tried.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Of the chosen strategy, in excess of the riskless one; higher is better.
    trials : ndarray of shape (n_trials,)
        Sharpe ratios **per period** of all strategies tried, the chosen one among them.
    tries : int, optional
        Number of independent tries, where some of the trials are alike; default all.

    Returns
    -------
    DeflatedSharpe

    Raises
    ------
    DataError
        If there are under 3 periods or no trial, a value is not finite, or returns do not vary.

    References
    ----------
    .. [1] Bailey, D. H., & Lopez de Prado, M. (2014). The deflated Sharpe ratio. Journal of Portfolio
       Management, 40(5), 94-107.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0.0, 0.01, size=(500, 50))  # nobody has skill
    >>> ratios = noise.mean(axis=0) / noise.std(axis=0, ddof=1)
    >>> best = noise[:, np.argmax(ratios)]
    >>> found = deflated_sharpe(best, ratios)
    >>> found.probability < 0.95 < deflated_sharpe(best, ratios[:1]).probability
    True
    """
    returns, trials = np.asarray(returns, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if returns.ndim != 1 or len(returns) < 3 or not np.isfinite(returns).all() or np.ptp(returns) == 0:
        raise DataError(f"returns have shape {returns.shape}, need 3 or more finite values that vary.")
    if trials.ndim != 1 or not len(trials) or not np.isfinite(trials).all():
        raise DataError(f"trials have shape {trials.shape}, need the finite Sharpe ratio of every strategy tried.")
    count = len(trials) if tries is None else tries
    centred = (returns - returns.mean()) / returns.std()
    sharpe = float(returns.mean() / returns.std(ddof=1))
    threshold = expected_best_sharpe(float(trials.var(ddof=1)) if len(trials) > 1 else 0.0, count)
    probability = probabilistic_sharpe(
        sharpe,
        len(returns),
        threshold=threshold,
        skewness=float((centred**3).mean()),
        kurtosis=float((centred**4).mean()),
    )
    return DeflatedSharpe(probability, sharpe, threshold, count, len(returns))
