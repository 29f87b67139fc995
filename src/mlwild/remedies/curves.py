"""Curves from a model's score to a prediction, and thresholds: what is fitted to the rows of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.losses import CLIP, Loss
from mlwild.remedies.losses import class_losses
from mlwild.stats.calibration import Isotonic, calibrated

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sigmoid:
    """
    A curve ``1 / (1 + exp(-(slope * logit(p) + shift)))`` from probability to probability.

    Examples
    --------
    >>> Sigmoid(1.0, 0.0)(np.array([0.25])).round(4).tolist()
    [0.25]
    """

    slope: float
    shift: float

    def __call__(self, p: Floats) -> Floats:
        """Return the curve at probabilities."""
        from scipy.special import expit

        return np.asarray(expit(self.slope * logit(p) + self.shift), dtype=np.float64)


def logit(p: Floats) -> Floats:
    """
    Return the log odds of probabilities, kept away from 0 and 1.

    Examples
    --------
    >>> logit(np.array([0.5])).tolist()
    [0.0]
    """
    held = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(np.log(held) - np.log1p(-held), dtype=np.float64)


def platt(p: Floats, hit: Bools, *, pull: float = 1.0) -> Sigmoid:
    """
    Return the sigmoid that makes probabilities fit what came, pulled towards no change.

    Platt's targets, ``(hits + 1) / (hits + 2)`` and ``1 / (misses + 2)``, and a penalty of
    ``pull * ((slope - 1)^2 + shift^2) / 2``: a few rows move it little.

    Parameters
    ----------
    p : ndarray of shape (n_rows,)
    hit : ndarray of bool, shape (n_rows,)
    pull : float
        Rows' worth of information that no change is needed; at least 0.

    References
    ----------
    .. [1] Platt, J. (1999). Probabilistic outputs for support vector machines. Advances in Large Margin
       Classifiers, 61-74.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(20_000)
    >>> curve = platt(p**2, rng.random(20_000) < p)
    >>> bool(abs(curve(np.array([0.25])) - 0.5)[0] < 0.03)
    True
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    z, hits = logit(p), int(hit.sum())
    target = np.where(hit, (hits + 1) / (hits + 2), 1 / (len(hit) - hits + 2))

    def value(at: Floats) -> tuple[float, Floats]:
        score = at[0] * z + at[1]
        off = expit(score) - target
        lost = float((np.logaddexp(0, score) - target * score).sum() + pull * ((at[0] - 1) ** 2 + at[1] ** 2) / 2)
        return lost, np.array([off @ z + pull * (at[0] - 1), off.sum() + pull * at[1]])

    found = minimize(value, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    return Sigmoid(float(found.x[0]), float(found.x[1]))


@dataclass(frozen=True)
class Line:
    """
    A straight line from prediction to prediction.

    Examples
    --------
    >>> Line(2.0, 1.0)(np.array([3.0])).tolist()
    [7.0]
    """

    slope: float
    shift: float

    def __call__(self, given: Floats) -> Floats:
        """Return the line at predictions."""
        return np.asarray(self.slope * given + self.shift, dtype=np.float64)


def line(given: Floats, wanted: Floats) -> Line:
    """
    Return the least-squares line of what came over what was predicted; its slope is never negative.

    Examples
    --------
    >>> line(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    Line(slope=2.0, shift=1.0)
    """
    centred = given - given.mean()
    spread = float(centred @ centred)
    slope = max(0.0, float(centred @ wanted) / spread) if spread > 1e-12 * max(1.0, float(given @ given)) else 0.0
    return Line(slope, float(wanted.mean() - slope * given.mean()))


Curve = Sigmoid | Line | Isotonic


def through(curve: Curve, scores: Floats) -> Floats:
    """
    Return scores after a curve.

    Examples
    --------
    >>> through(Line(2.0, 1.0), np.array([3.0])).tolist()
    [7.0]
    """
    return calibrated(curve, scores) if isinstance(curve, Isotonic) else curve(scores)


def best_threshold(loss: Loss, labels: NDArray[Any], upper: Floats, classes: NDArray[Any]) -> float:
    """
    Return the probability of the greater class from which on predicting it loses least.

    Parameters
    ----------
    loss : Loss
        Of classes, by row.
    labels : ndarray of shape (n_rows,)
    upper : ndarray of shape (n_rows,)
        Probability of the greater class.
    classes : ndarray of shape (2,)

    Returns
    -------
    float
        Of equals, the one nearest to a half; midway between two probabilities that were seen.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> best_threshold(named("zero_one"), np.array([0, 1, 1]), np.array([0.1, 0.2, 0.4]), np.array([0, 1]))
    0.15000000000000002
    """
    one = np.ones(len(labels))
    yes = class_losses(loss, labels, np.column_stack([0 * one, one]), classes)
    no = class_losses(loss, labels, np.column_stack([one, 0 * one]), classes)
    kinds, place = np.unique(upper, return_inverse=True)
    gain = np.bincount(place, no - yes, len(kinds))
    first, last = float(kinds[0]), float(kinds[-1])
    low = 0.5 if first > 0.5 else first / 2
    high = 0.5 if last < 0.5 else (last + 1) / 2 if last < 1 else float(np.nextafter(1.0, 2.0))
    cuts = np.concatenate([[low], (kinds[1:] + kinds[:-1]) / 2, [high]])
    # Predicting the greater class from a cut on saves the gains of what lies above it.
    saved = np.append(np.cumsum(gain[::-1])[::-1], 0.0)
    best = np.flatnonzero(saved >= saved.max() - 1e-12)
    return float(cuts[best[np.abs(cuts[best] - 0.5).argmin()]])
