"""Standard errors of the means of many dependent series, by what all of them tell of their memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.memory import Kind, lost_by_blocks

Floats = NDArray[np.float64]

#: Degrees of freedom of a variance of the mean, by effective row: those of an AR(1) have a half where the
#: coefficient is the series' own, and more where many series share it. Set by simulation.
FREEDOM = 0.7


@dataclass(frozen=True)
class LagSums:
    """
    Autocovariances of series with each other, from which those of sums and differences follow.

    Parameters
    ----------
    zero, first, near : ndarray of shape (n_series, n_series)
        At lag 0, at lag 1, and summed over all lags from -reach to reach.
    reach : int
        Last lag before the mean autocorrelation of all series, by pairs of lags, falls to zero.
    shared : float
        Ratio of `near` to `zero`, by the mean autocorrelation of all series.
    noise : float
        Sampling variance of such a ratio, over its square.
    n : int
        Number of rows.
    """

    zero: Floats
    first: Floats
    near: Floats
    reach: int
    shared: float
    noise: float
    n: int

    def among(self, some: Sequence[int]) -> LagSums:
        """Return those of some of the series."""
        at = np.ix_(some, some)
        return replace(self, zero=self.zero[at], first=self.first[at], near=self.near[at])


def lag_sums(series: Floats) -> LagSums:
    """
    Return the autocovariances of series.

    Parameters
    ----------
    series : ndarray of shape (n_rows, n_series)
        In order of time.

    References
    ----------
    .. [1] Geyer, C. J. (1992). Practical Markov chain Monte Carlo. Statistical Science, 7(4), 473-483,
       section 3.3: where to cut the sum.

    Examples
    --------
    >>> found = lag_sums(np.random.default_rng(0).normal(size=(400, 3)))
    >>> found.reach < 10, bool(np.abs(found.near.diagonal() - 1).max() < 0.5)
    (True, True)
    """
    n = len(series)
    centred = series - series.mean(axis=0)
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=0)) ** 2
    covariance = np.fft.irfft(power, 2 * n, axis=0)[:n]
    alive = covariance[0] > 0
    correlation = (covariance[:, alive] / covariance[0, alive]).mean(axis=1) if alive.any() else np.zeros(n)
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    count = max(int(negative[0]) if len(negative) else len(pairs), 1)
    reach = 2 * count - 1
    shared = 2 * float(pairs[:count].sum()) - 1
    # Sums over neighbours, from cumulative sums: what lies beyond the ends counts as nothing.
    before = np.concatenate([np.zeros((1, series.shape[1])), np.cumsum(centred, axis=0)])
    rows = np.arange(n)
    around = before[np.minimum(rows + reach + 1, n)] - before[np.maximum(rows - reach, 0)]
    return LagSums(
        zero=centred.T @ centred / n,
        first=centred[1:].T @ centred[:-1] / n,
        near=centred.T @ around / n,
        reach=reach,
        shared=shared,
        # Of a spectral estimate at frequency zero by a flat window of so many lags (Priestley, 1981, chapter 6).
        noise=2 * (2 * reach + 1) / n,
        n=n,
    )


def of_each(sums: Floats) -> Floats:
    """
    Return the autocovariance of each series, shape (n_series,).

    Examples
    --------
    >>> of_each(np.array([[1.0, 0.5], [0.5, 2.0]]))
    array([1., 2.])
    """
    return sums.diagonal().copy()


def of_pairs(sums: Floats) -> Floats:
    """
    Return the autocovariance of each difference of two series, shape (n_series, n_series).

    Examples
    --------
    >>> of_pairs(np.array([[1.0, 0.5], [0.5, 2.0]]))
    array([[0., 2.],
           [2., 0.]])
    """
    own = sums.diagonal()
    return np.asarray(own[:, None] + own[None, :] - sums - sums.T)


def over_mean(sums: Floats) -> Floats:
    """
    Return the autocovariance of each series less the mean of all, shape (n_series,).

    Examples
    --------
    >>> over_mean(np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([0.5, 0.5])
    """
    return np.asarray(sums.diagonal() - sums.mean(axis=0) - sums.mean(axis=1) + sums.mean())


def mean_errors(
    sums: LagSums, of: Callable[[Floats], Floats], seen: Floats, *, length: float, kind: Kind
) -> tuple[Floats, Floats]:
    """
    Return standard errors of means, and their degrees of freedom.

    The larger of two: that of a bootstrap in blocks, with what blocks cut filled in, and that of as many
    independent rows as these are worth. How many, the first autocorrelation tells, or the sum of
    autocorrelations where that is larger; either is noisy in short series, so that of each is drawn
    towards the mean of all by as much as chance explains their scatter (Efron and Morris, 1975), but
    not so far that its own rows speak against it (limited translation; the same, 1972).

    Parameters
    ----------
    sums : LagSums
    of : callable
        `of_each`, `of_pairs` or `over_mean`: which means.
    seen : ndarray
        Their standard errors by the bootstrap.
    length : float
        Mean block length of the bootstrap, in rows.
    kind : {"stationary", "circular"}

    Returns
    -------
    errors, freedom : ndarray
        Of the shape of `seen`. A series that stands still keeps what was seen of it.

    References
    ----------
    .. [1] Efron, B., & Morris, C. (1975). Data analysis using Stein's estimator and its generalizations.
       JASA, 70(350), 311-319.
    .. [2] Efron, B., & Morris, C. (1972). Limiting the risk of Bayes and empirical Bayes estimators, part II.
       JASA, 67(337), 130-139.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(400, 8))
    >>> slow = np.cumsum(noise, axis=0) - np.concatenate([np.zeros((5, 8)), np.cumsum(noise, axis=0)[:-5]])
    >>> seen = slow.std(axis=0) / 20
    >>> errors, _ = mean_errors(lag_sums(slow), of_each, seen, length=5, kind="circular")
    >>> bool((errors > 1.5 * seen).all())
    True
    """
    n, zero = sums.n, of(sums.zero)
    alive = zero > 1e-12 * float(sums.zero.diagonal().max(initial=0.0))
    if not alive.any():
        return seen, np.full(seen.shape, n - 1.0)
    variance = np.where(alive, zero, 1.0)
    rho = of(sums.first) / variance
    rho = rho + (1 + 3 * rho) / n  # freed of its bias (Kendall, 1954)
    centre = min(abs(float(rho[alive].mean())), 0.99)
    rho = np.clip(_drawn_together(rho, alive, (1 - centre**2) / n), 0.0, 0.99)
    level, own = (1 + rho) / (1 - rho), of(sums.near) / variance
    # None is taken for slower than it shows itself to be, beyond its own noise: twins stay twins.
    most = np.maximum(own, 0.0) + 2 * math.sqrt(sums.noise) * level
    total = np.minimum(_drawn_together(own, alive, sums.noise * sums.shared**2), most)
    effective = n / np.maximum(np.maximum(total, level), 1.0)
    worth = np.sqrt(variance * n / (n - 1) / np.maximum(effective - 1, 1.0))
    blocks = seen * np.sqrt(lost_by_blocks(np.minimum(rho, 0.9), length, kind))
    errors = np.where(alive, np.maximum(worth, blocks), seen)
    return errors, np.where(alive, np.maximum(FREEDOM * effective, 1.0), n - 1.0)


def _drawn_together(values: Floats, alive: NDArray[np.bool_], noise: float) -> Floats:
    """Return values nearer to their mean: by the part of their scatter that has this sampling variance."""
    some = values[alive]
    scatter = float(some.var(ddof=1)) if len(some) > 1 else math.inf
    share = max(0.0, 1 - noise / scatter) if scatter > 0 else 0.0
    centre = float(some.mean())
    return centre + share * (values - centre)


def normal_scores(scores: Floats, freedom: Floats | float) -> Floats:
    """
    Return scores as if their standard errors had been known.

    Student's quantile becomes the normal one at the same probability, so that scores may be set
    against deviations over their own size.

    Parameters
    ----------
    scores : ndarray
        Means over their standard errors.
    freedom : ndarray or float
        Degrees of freedom of these.

    Examples
    --------
    >>> normal_scores(np.array([-2.262157, 0.0]), 9).round(4)
    array([-1.96, 0.  ])
    """
    from scipy.special import ndtri, stdtr

    return np.asarray(np.copysign(ndtri(stdtr(freedom, -np.abs(scores))), scores))
