"""When a rival's lead is more than chance, however often one looks: who chooses as he goes needs it."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

#: Looks before which no lead counts.
FEWEST = 8


def lead_by_chance(gaps: Floats, *, alpha: float = 0.05) -> Floats:
    """
    Return how large a rival's sum of differences may be by chance.

    Student's bound; `alpha` is shared among the rivals, and among looks as ``6 / (pi j)^2``, which adds up
    to one: whoever compares at every look still errs with probability `alpha` at most where the differences
    are normal and independent.

    Parameters
    ----------
    gaps : ndarray of shape (n_rivals + 1, n_looks)
        What each would have saved against the one in charge, by look; the row of the one in charge is 0.
    alpha : float
        Chance that any rival is ever called ahead where none is.

    Returns
    -------
    ndarray of shape (n_rivals + 1,)
        In the unit of the sums; infinite before eight looks.

    References
    ----------
    .. [1] Tashman, L. J. (2000). Out-of-sample tests of forecasting accuracy. International Journal
       of Forecasting, 16(4), 437-450 (choosing as one goes is rolling-origin evaluation).

    Examples
    --------
    >>> gaps = np.array([np.zeros(10), 1.0 + 0.1 * np.tile([-1.0, 1.0], 5), np.tile([-1.0, 1.0], 5)])
    >>> gaps.sum(axis=1) > lead_by_chance(gaps)
    array([False,  True, False])
    """
    rivals, looks = gaps.shape
    if looks < FEWEST:
        return np.full(rivals, np.inf)
    share = alpha / max(rivals - 1, 1) * 6 / (pi * looks) ** 2
    return np.asarray(stdtrit(looks - 1, 1 - share) * sqrt(looks) * gaps.std(axis=1, ddof=1))
