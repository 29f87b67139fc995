"""Rows whose labels are coins of calibrated chance: what metrics of them are on average, and how they scatter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.calibration import Isotonic
from mlwild.stats.placed import Placed, place, tempered

Floats = NDArray[np.float64]
Metric = Literal["accuracy", "brier", "log_loss", "auc"]


@dataclass(frozen=True, eq=False)
class Coins:
    """
    Rows in ascending order of score.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
    classes : ndarray of shape (n_rows,)
        Predicted class, 0 or 1.
    chance : ndarray of shape (n_rows,)
        Of label 1.
    order : ndarray of int64, shape (n_rows,)
        Where each row came from.
    placed : Placed or None
        Where the calibration curve has them; None where scores are taken as chances.
    """

    scores: Floats
    classes: Floats
    chance: Floats
    order: NDArray[np.int64]
    placed: Placed | None

    def right(self) -> Floats:
        """Return each row's chance that its class is right."""
        return np.where(self.classes == 1, self.chance, 1 - self.chance)

    def noise(self, slope: Floats) -> tuple[float, float]:
        """Return standard deviations of the sum of slope times label: of the labels, and of the curve's own noise."""
        own = math.sqrt(float((slope**2 * self.chance * (1 - self.chance)).sum()))
        return own, 0.0 if self.placed is None else self.placed.spread(slope)

    def support(self) -> tuple[float, float]:
        """Return labelled rows behind the chances, and the share of rows outside of them; NaN without a curve."""
        if self.placed is None:
            return float(len(self.scores)), math.nan
        return self.placed.effective_rows(), self.placed.outside


def coins(
    scores: Floats, predicted: Floats | None = None, *, curve: Isotonic | None = None, probabilities: bool = False
) -> Coins:
    """
    Return rows in ascending order of score, with the chances that a curve gives them.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
    predicted : ndarray of shape (n_rows,), optional
        Predicted class, 0 or 1; default: score at least 0.5.
    curve : Isotonic, optional
        From scores to probabilities; without it the scores are taken as right.
    probabilities : bool
        Whether scores must be probabilities with a curve too.

    Raises
    ------
    DataError
        If scores are not finite, or not probabilities where they must be, or classes are not 0 and 1.

    Examples
    --------
    >>> coins(np.array([0.9, 0.2])).right().tolist()
    [0.8, 0.9]
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise DataError(
            f"scores of shape {scores.shape} must be a series of finite numbers. Hint: leave empty rows out."
        )
    if (probabilities or curve is None) and (scores.min() < 0 or scores.max() > 1):
        raise DataError(f"scores go from {scores.min():g} to {scores.max():g}. Hint: give probabilities, or a curve.")
    classes = (scores >= 0.5).astype(np.float64) if predicted is None else np.asarray(predicted, dtype=np.float64)
    if classes.shape != scores.shape or not ((classes == 0) | (classes == 1)).all():
        raise DataError(
            f"predicted classes must be {len(scores)} zeros and ones. Hint: one a score, 1 the positive one."
        )
    order = np.argsort(scores)
    scores, classes = scores[order], classes[order]
    if curve is None:
        return Coins(scores, classes, scores, order, None)
    placed = place(tempered(curve), scores, ascending=True)
    return Coins(scores, classes, placed.chances(), order, placed)


def expanded(rows: Coins, metric: Metric) -> tuple[float, Floats]:
    """
    Return the expected metric, and how much each row's label moves it.

    Every metric is a base and slope times label, summed over rows: the AUC by its first-order expansion.

    Parameters
    ----------
    rows : Coins
    metric : {"accuracy", "brier", "log_loss", "auc"}

    Returns
    -------
    estimate : float
        NaN for an AUC of rows that are sure to be of one class.
    slope : ndarray of shape (n_rows,)

    Examples
    --------
    >>> estimate, slope = expanded(coins(np.array([0.8, 0.3])), "accuracy")
    >>> estimate, slope.tolist()
    (0.75, [-0.5, 0.5])
    """
    scores, chance, n = rows.scores, rows.chance, len(rows.scores)
    if metric == "accuracy":
        return float(rows.right().mean()), (2 * rows.classes - 1) / n
    if metric == "brier":
        return float((chance * (1 - 2 * scores) + scores**2).mean()), (1 - 2 * scores) / n
    if metric == "log_loss":
        clipped = np.clip(scores, 1e-15, 1 - 1e-15)
        slope = (np.log1p(-clipped) - np.log(clipped)) / n
        return float((slope * chance).sum() - np.log1p(-clipped).mean()), slope
    return _auc(scores, chance)


def _auc(scores: Floats, chance: Floats) -> tuple[float, Floats]:
    """Return the expected area under the ROC curve of ascending scores, and its derivative in each label."""
    ties = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))  # first row of each score
    rows, missing = np.diff(ties, append=len(scores)), 1 - chance
    ones, noughts = np.add.reduceat(chance, ties), np.add.reduceat(missing, ties)
    # Noughts that a row outranks and ones that outrank it; those of equal score count half, itself not at all.
    below = np.repeat(np.cumsum(noughts) - noughts / 2, rows) - missing / 2
    above = np.repeat(float(ones.sum()) - np.cumsum(ones) + ones / 2, rows) - chance / 2
    total, rest = float(chance.sum()), float(missing.sum())
    pairs = total * rest - float(chance @ missing)
    if pairs <= 0:
        return math.nan, np.zeros(len(scores))
    estimate = float(chance @ below) / pairs
    return estimate, (below - above - estimate * (rest - total - (1 - 2 * chance))) / pairs
