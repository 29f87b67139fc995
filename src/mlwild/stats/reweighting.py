"""Estimates on other rows by weighting labelled ones with given importance weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.labelfree import Support, verdict

Floats = NDArray[np.float64]

#: Distance of weighted and wanted slice means, in [0, 2], beyond which the shift cannot be matched.
UNMATCHED = 0.02


@dataclass(frozen=True, eq=False)
class Reweighted:
    """
    A mean over labelled rows, weighted to speak for others.

    Parameters
    ----------
    estimate, low, high : float
        In the unit of the losses; NaN where refused.
    level : float
        Nominal coverage.
    n : int
        Labelled rows.
    effective_n : float
        Rows of equal weight that would be as good.
    support : {"supported", "weak", "none"}
    why : str
        What is wrong where support is not full, else empty.
    weights : ndarray of shape (n,)
        Sum 1; a noise correction can make some negative. Empty where refused.
    coefficients : ndarray of shape (n_slices + n_edges,)
        Of the log density ratio; empty where weights were given.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int
    effective_n: float
    support: Support
    why: str
    weights: Floats
    coefficients: Floats


def effective_sample_size(weights: Floats) -> float:
    """
    Return how many rows of equal weight are worth as much: (sum of weights)^2 / (sum of squares).

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        In any scale.

    References
    ----------
    .. [1] Kish, L. (1965). Survey sampling. Wiley.

    Examples
    --------
    >>> effective_sample_size(np.array([1.0, 1.0, 1.0, 0.0]))
    3.0
    """
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square else 0.0


def clipped(weights: Floats, *, quantile: float = 0.99) -> Floats:
    """
    Return weights cut down to their quantile: less noise for some bias towards the labelled rows.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        Not negative.
    quantile : float
        In (0, 1], default 0.99; 1 cuts nothing.

    References
    ----------
    .. [1] Ionides, E. L. (2008). Truncated importance sampling. JCGS, 17(2), 295-311.

    Examples
    --------
    >>> clipped(np.array([1.0, 1.0, 1.0, 50.0]), quantile=0.5).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return np.minimum(weights, np.quantile(weights, quantile))


def weighted_mean(losses: Floats, weights: Floats, *, level: float = 0.95) -> Reweighted:
    """
    Return the self-normalised importance-weighted mean of losses.

    The interval is that of a ratio of means; it takes the weights as right.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,)
        Of labelled rows.
    weights : ndarray of shape (n_rows,)
        Density where the mean is wanted over density of the labelled rows; any scale, not negative.
    level : float

    Returns
    -------
    Reweighted

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, a weight is negative, or all are zero.

    References
    ----------
    .. [1] Owen, A. B. (2013). Monte Carlo theory, methods and examples, section 9.2.

    Examples
    --------
    >>> result = weighted_mean(np.tile([0.0, 1.0], 200), np.tile([3.0, 1.0], 200))
    >>> result.estimate, result.effective_n
    (0.25, 320.0)
    """
    losses, weights = checked_losses(losses), np.asarray(weights, dtype=np.float64)
    total = float(weights.sum())
    if weights.shape != losses.shape or not np.isfinite(total) or (weights < 0).any() or total <= 0:
        raise DataError(f"weights of shape {weights.shape}: need one of 0 or more for each of {len(losses)} losses.")
    share = weights / total
    estimate = float(share @ losses)
    residual = losses - estimate
    spread = math.sqrt(float(((share * residual / np.maximum(1 - share, 1e-12)) ** 2).sum()))
    return summarised(estimate, spread, share, np.zeros(0), level)


def checked_losses(losses: Floats) -> Floats:
    """Return losses as a series of finite floats."""
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 1 or not len(losses) or not np.isfinite(losses).all():
        raise DataError(f"losses of shape {losses.shape} must be finite. Hint: leave rows without labels out.")
    return losses


def summarised(
    estimate: float, spread: float, share: Floats, theta: Floats, level: float, gap: float = 0.0
) -> Reweighted:
    """Return the interval by Student's quantile for the effective rows, with its verdict."""
    from scipy.special import stdtrit

    effective = effective_sample_size(share)
    half = float(stdtrit(max(effective - 1, 1.0), (1 + level) / 2)) * spread
    support = verdict(effective, 1.0 if gap > UNMATCHED else 0.0)
    why = "" if support == "supported" else f"the weights leave {effective:.0f} effective rows"
    if gap > UNMATCHED:
        why = f"no weights match the slices: they miss a mean by {gap:.2f}"
    low, high = estimate - half, estimate + half
    return Reweighted(estimate, low, high, level, len(share), effective, support, why, share, theta)
