"""Upper confidence bound of a quantile, such as the 99th percentile of latency, from order statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QuantileBound:
    """
    A quantile and its upper confidence bound.

    Parameters
    ----------
    estimate : float
        The sample's quantile: the smallest value with at least the share of the values at or below it.
    high : float
        The bound, which is one of the values; infinite where there are too few of them.
    rank : int
        Which value the bound is, from 1 for the smallest; n + 1 where there are too few.
    share : float
        The share of the law at or below the quantile.
    level : float
        Least chance that the bound is not below the quantile.
    n : int
        Number of values.
    needed : int
        Fewest values from which there is a finite bound.
    """

    estimate: float
    high: float
    rank: int
    share: float
    level: float
    n: int
    needed: int


def quantile_bound(values: Floats, share: float, *, level: float = 0.95) -> QuantileBound:
    """
    Bound a quantile from above without any assumption on the law of the values.

    The number of values below the quantile is binomial at most, whatever the law; the bound is the
    first value that so many values below it do not refute. The chance that it holds is at least the
    level, and above it by less than one value's worth.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Independent, in any unit and order; infinite ones (a request that never came back) may be among
        them.
    share : float
        In (0, 1): 0.99 for the 99th percentile.
    level : float
        In (0, 1), default 0.95.

    Returns
    -------
    QuantileBound

    Raises
    ------
    DataError
        If there is no value, one is NaN, or share or level is out of range.

    References
    ----------
    .. [1] David, H. A., & Nagaraja, H. N. (2003). Order statistics, 3rd edition, section 7.1.
    .. [2] Hahn, G. J., & Meeker, W. Q. (1991). Statistical intervals, section 5.2.

    Examples
    --------
    >>> found = quantile_bound(np.arange(1.0, 501.0), 0.99)  # latencies of 1 to 500 milliseconds
    >>> found.estimate, found.high
    (495.0, 499.0)
    >>> few = quantile_bound(np.arange(1.0, 101.0), 0.99)
    >>> few.high, few.needed
    (inf, 299)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(f"values have shape {values.shape}, need a series with at least one.")
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        raise DataError(f"row {bad[0]} is {values[bad[0]]}; leave it out, or give inf for an answer that never came.")
    for name, number in (("share", share), ("level", level)):
        if not 0 < number < 1:
            raise DataError(f"{name} is {number}, need a number in (0, 1).")
    n, ranked = len(values), np.sort(values)
    rank = _rank(n, share, level)
    high = float(ranked[rank - 1]) if rank <= n else math.inf
    needed = math.ceil(math.log1p(-level) / math.log(share) - 1e-9)
    # A hair below n * share, so that 0.99 of 500 is 495 and not one more by rounding.
    at = max(math.ceil(n * share * (1 - 1e-12)), 1)
    return QuantileBound(float(ranked[at - 1]), high, rank, share, level, n, needed)


def _rank(n: int, share: float, level: float) -> int:
    """Return the smallest rank whose value has at least `level` chance not to be below the quantile."""
    from scipy.special import bdtr

    # Fewer than `rank` of n values lie below the quantile with chance P(binomial(n, share) <= rank - 1).
    chances = bdtr(np.arange(n), n, share)
    return int(np.searchsorted(chances, level)) + 1
