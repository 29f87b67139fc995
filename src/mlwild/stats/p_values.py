"""The rows of a batch whose p-values say that they do not belong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.distances import benjamini_hochberg

Floats = NDArray[np.float64]


def outlying_rows(p: Floats, *, rate: float = 0.1) -> NDArray[np.int64]:
    """
    Return the rows of a batch that do not belong, of which at most a share of `rate` do belong, on average.

    Conformal p-values of one score that share their calibration rows move together in the way that Benjamini
    and Hochberg's procedure allows.

    Parameters
    ----------
    p : ndarray of shape (n_rows,)
        Conformal p-values, such as those of `Support.p_values`.
    rate : float
        False discovery rate, in (0, 1).

    Returns
    -------
    ndarray of int
        Positions, rising.

    Raises
    ------
    DataError
        If the rate is out of range.

    References
    ----------
    .. [1] Bates, S., Candes, E., Lei, L., Romano, Y., & Sesia, M. (2023). Testing for outliers with conformal
       p-values. Annals of Statistics, 51(1), 149-178, theorem 2.

    Examples
    --------
    >>> outlying_rows(np.array([0.001, 0.5, 0.002, 0.8, 0.3])).tolist()
    [0, 2]
    """
    if not 0 < rate < 1:
        raise DataError(f"rate is {rate}, needs to lie in (0, 1).")
    p = np.asarray(p, dtype=np.float64)
    if not len(p) or p.min() > rate:  # no adjusted p-value is below the plain one
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(benjamini_hochberg(p) <= rate)
