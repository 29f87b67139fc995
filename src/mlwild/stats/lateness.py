"""How many of the labels that ever come have come by now, from those that have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def arrived_share(lag: Ints, room: Ints, counts: Ints) -> Floats:
    """
    Return the share of labels that arrive by each lag, among all that arrive.

    Labels that are still under way cannot be seen: young periods show their early labels only. So each lag is compared
    within the periods that are old enough to show it (the product-limit estimator in reversed time; on a triangle of
    counts it is the chain ladder). Labels that never come do not count: it is a law of delays, not of coverage.

    Parameters
    ----------
    lag : ndarray of int64, shape (n,)
        Whole periods that labels came late; 0 is within their own.
    room : ndarray of int64, shape (n,)
        Greatest lag that could have been seen of the same period, at least `lag`.
    counts : ndarray of int64, shape (n,)
        Labels that came so.

    Returns
    -------
    ndarray of float64, shape (max(room) + 1,)
        Rising; 1 at the greatest lag that was seen, whatever comes later; empty without labels.

    References
    ----------
    .. [1] Lagakos, S. W., Barraj, L. M., & De Gruttola, V. (1988). Nonparametric analysis of truncated survival data,
       with application to AIDS. Biometrika, 75(3), 515-523.
    .. [2] Mack, T. (1993). Distribution-free calculation of the standard error of chain ladder reserve estimates. ASTIN
       Bulletin, 23(2), 213-225.

    Examples
    --------
    Two old periods got 3 of 4 labels at once and one a period later; the youngest has its early ones only:

    >>> arrived_share(np.array([0, 1, 0, 1, 0]), np.array([2, 2, 1, 1, 0]), np.array([3, 1, 3, 1, 3]))
    array([0.75, 1.  , 1.  ])
    """
    if not len(lag):
        return np.empty(0)
    size = int(room.max()) + 1
    came = np.bincount(lag, counts, size)
    # A label is comparable at every lag from its own to the greatest that its period could show.
    seen = np.cumsum(np.bincount(lag, counts, size + 1) - np.bincount(room + 1, counts, size + 1))[:size]
    later = 1.0 - np.divide(came, seen, out=np.zeros(size), where=seen > 0)
    return np.append(np.cumprod(later[:0:-1])[::-1], 1.0)
