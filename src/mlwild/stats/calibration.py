"""Isotonic calibration: from scores to probabilities, and how far probabilities are from the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Isotonic:
    """
    A non-decreasing curve from scores to means: flat on blocks, straight between them.

    Parameters
    ----------
    starts, ends : ndarray of shape (n_blocks,)
        Lowest and highest score of each block, ascending, in the unit of the scores.
    values : ndarray of shape (n_blocks,)
        Mean outcome of each block, ascending.
    rows : ndarray of shape (n_blocks,)
        Effective number of rows in each block: (sum of weights)^2 / (sum of squared weights), that
        is, the number of rows where all weights are equal.
    """

    starts: Floats
    ends: Floats
    values: Floats
    rows: Floats


def isotonic(scores: Floats, outcomes: Floats, *, weights: Floats | None = None) -> Isotonic:
    """
    Return the least-squares non-decreasing curve of outcomes over scores (pool adjacent violators).

    Rows of equal score are one point. Rows of weight zero count for nothing.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Finite, in any order and unit.
    outcomes : ndarray of shape (n_rows,)
        Finite; 0 and 1 where the curve is to give probabilities.
    weights : ndarray of shape (n_rows,), optional
        Not negative; density ratios for a curve that holds elsewhere. Default all 1.

    Returns
    -------
    Isotonic

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, or no row has weight.

    References
    ----------
    .. [1] Ayer, M., et al. (1955). An empirical distribution function for sampling with incomplete
       information. Annals of Mathematical Statistics, 26(4), 641-647.
    .. [2] Zadrozny, B., & Elkan, C. (2002). Transforming classifier scores into accurate multiclass
       probability estimates. KDD.

    Examples
    --------
    >>> curve = isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]))
    >>> curve.values.tolist()
    [0.0, 0.5, 1.0]
    """
    from scipy.optimize import isotonic_regression

    scores, outcomes, mass = _checked_rows(scores, outcomes, weights)
    order = np.argsort(scores)
    ordered, mass = scores[order], mass[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    total = np.add.reduceat(mass, first)
    means = np.add.reduceat(mass * outcomes[order], first) / total
    fit = isotonic_regression(means, weights=total)
    blocks = fit.blocks[:-1]
    square = np.add.reduceat(np.add.reduceat(mass**2, first), blocks)
    points = ordered[first]
    return Isotonic(
        starts=points[blocks],
        ends=points[fit.blocks[1:] - 1],
        values=np.asarray(fit.x[blocks], dtype=np.float64),
        rows=np.add.reduceat(total, blocks) ** 2 / square,
    )


def _checked_rows(scores: Floats, outcomes: Floats, weights: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Return rows that have weight, as float arrays of one shape."""
    scores, outcomes = np.asarray(scores, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    mass = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not scores.shape == outcomes.shape == mass.shape or scores.ndim != 1:
        raise DataError(
            f"scores {scores.shape}, outcomes {outcomes.shape} and weights {mass.shape} differ in shape. "
            "Hint: give one score, one outcome and one weight a row."
        )
    for name, values in (("scores", scores), ("outcomes", outcomes), ("weights", mass)):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"{name}[{row}] is {values[row]}. Hint: leave rows out that are not finite.")
    if (mass < 0).any():
        raise DataError(f"weights go down to {mass.min():g}. Hint: density ratios are not negative.")
    kept = mass > 0
    if not kept.any():
        raise DataError("no row has weight above zero. Hint: calibrate on rows that the weights support.")
    return (scores, outcomes, mass) if kept.all() else (scores[kept], outcomes[kept], mass[kept])


def calibrated(curve: Isotonic, scores: Floats) -> Floats:
    """
    Return the curve at scores: the nearest block's value outside, a straight line between blocks.

    Parameters
    ----------
    curve : Isotonic
    scores : ndarray of shape (n_rows,)
        In the unit of the scores that the curve was made from.

    Returns
    -------
    ndarray of shape (n_rows,)
        In the unit of the outcomes.

    Raises
    ------
    DataError
        If a score is NaN.

    Examples
    --------
    >>> curve = isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]))
    >>> calibrated(curve, np.array([0.0, 0.15, 0.25, 0.9])).tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    scores = np.asarray(scores, dtype=np.float64)
    if np.isnan(scores).any():
        raise DataError("a score is NaN. Hint: leave such rows out, or fill them as the model does.")
    ends = np.stack([curve.starts, curve.ends], axis=1).ravel()
    values = np.repeat(curve.values, 2)
    return np.asarray(np.interp(scores, ends, values), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class CalibrationError:
    """
    How far stated probabilities are from frequencies.

    Parameters
    ----------
    error : float
        Expected calibration error: mean distance of stated probability and frequency over bins, in [0, 1].
    null : float
        What the error would be on average if every probability were right: its bias.
    stated, observed : ndarray of shape (n_bins,)
        Mean probability and frequency of each bin that has rows.
    rows : ndarray of shape (n_bins,)
        Rows of each bin.
    """

    error: float
    null: float
    stated: Floats
    observed: Floats
    rows: NDArray[np.int64]


def calibration_error(probabilities: Floats, outcomes: Floats, *, bins: int = 10) -> CalibrationError:
    """
    Return the expected calibration error over bins of equal width, and its value by chance.

    The error is above zero for perfect probabilities too; compare it with `null`, not with zero.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows,)
        In [0, 1].
    outcomes : ndarray of shape (n_rows,)
        0 or 1.
    bins : int
        At least 1, default 10.

    Returns
    -------
    CalibrationError

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, or a probability lies outside of [0, 1].

    References
    ----------
    .. [1] Naeini, M. P., Cooper, G., & Hauskrecht, M. (2015). Obtaining well calibrated probabilities
       using Bayesian binning. AAAI.
    .. [2] Roelofs, R., et al. (2022). Mitigating bias in calibration error estimation. AISTATS.

    Examples
    --------
    >>> result = calibration_error(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0.0, 0.0, 1.0, 0.0]))
    >>> round(result.error, 6)  # (|0.2 - 0| + |0.8 - 0.5|) / 2
    0.25
    """
    stated, happened, _ = _checked_rows(probabilities, outcomes, None)
    if stated.min() < 0 or stated.max() > 1:
        raise DataError(f"probabilities go from {stated.min():g} to {stated.max():g}. Hint: calibrate first.")
    place = np.minimum((stated * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, minlength=bins)
    used = rows > 0
    mean = np.bincount(place, weights=stated, minlength=bins)[used] / rows[used]
    rate = np.bincount(place, weights=happened, minlength=bins)[used] / rows[used]
    noise = np.bincount(place, weights=stated * (1 - stated), minlength=bins)[used]
    # Mean absolute value of a normal noise of that variance, summed over bins.
    null = float(np.sqrt(2 * noise / math.pi).sum() / len(stated))
    error = float((rows[used] * np.abs(mean - rate)).sum() / len(stated))
    return CalibrationError(error, null, mean, rate, rows[used])
