"""Two samples of independent runs: whose mean is greater, with spreads of their own."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.paired import POWER, Difference, finite

Floats = NDArray[np.float64]


def welch(a: Floats, b: Floats, *, level: float = 0.95) -> Difference:
    """
    Compare the means of two samples that are not paired and may scatter differently.

    Measured share of false findings at level 0.95, 20,000 draws each: normal runs, 3 against 3 0.034,
    5 against 5 0.043, 10 against 10 0.045; 3 with three times the spread against 10 0.065.

    Parameters
    ----------
    a, b : ndarray of shape (n_a,) and (n_b,)
        One value an independent run (seed).
    level : float
        Coverage, in [0.5, 1).

    Returns
    -------
    Difference
        Mean of a less that of b; n is the number of both. Undecided below two runs a side, and where
        neither side varies.

    Raises
    ------
    DataError
        If a value is not finite, a side is empty, or the level is out of its range.

    References
    ----------
    .. [1] Welch, B. L. (1947). The generalization of "Student's" problem when several different
       population variances are involved. Biometrika, 34(1/2), 28-35.
    .. [2] Colas, C., Sigaud, O., & Oudeyer, P.-Y. (2019). A hitchhiker's guide to statistical comparisons
       of reinforcement learning algorithms. ICLR workshop.

    Examples
    --------
    >>> found = welch(np.array([0.91, 0.93, 0.92]), np.array([0.88, 0.87, 0.89]))
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3), round(found.p_value, 4)
    (0.04, 0.017, 0.063, 0.008)
    """
    from scipy.special import stdtr, stdtrit

    a, b = finite(a, "a"), finite(b, "b")
    if not len(a) or not len(b) or not 0.5 <= level < 1:
        raise DataError(f"{len(a)} and {len(b)} runs and level {level}: need one run a side, and [0.5, 1).")
    n, nan, method = len(a) + len(b), math.nan, "Welch's t"
    estimate = float(a.mean() - b.mean())
    reason = ""
    if min(len(a), len(b)) < 2:
        reason = "one run shows no spread: run it with more seeds"
    elif np.ptp(a) == 0 and np.ptp(b) == 0:
        reason = "no run differs from another of its side, so there is no spread to measure the uncertainty by"
    if reason:
        return Difference(estimate, nan, nan, level, n, method, nan, nan, undecided=True, reason=reason)
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    error = math.sqrt(parts.sum())
    freedom = float(parts.sum() ** 2 / (parts**2 / np.array([len(a) - 1, len(b) - 1])).sum())
    radius = float(stdtrit(freedom, (1 + level) / 2)) * error
    p_value = 2 * float(stdtr(freedom, -abs(estimate) / error))
    detectable = radius + float(stdtrit(freedom, POWER)) * error
    return Difference(estimate, estimate - radius, estimate + radius, level, n, method, p_value, detectable)
