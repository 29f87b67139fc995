"""Expected loss under calibrated probabilities, for any loss that is defined by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.calibration import Isotonic, calibrated
from mlwild.stats.labelfree import LabelFree, _curve_spread, _curve_support, _tempered, verdict

Floats = NDArray[np.float64]


def expected_loss(
    scores: Floats, losses_by_class: Floats, curves: Sequence[Isotonic], *, level: float = 0.95
) -> LabelFree:
    """
    Return the mean loss if each row's class is drawn from its calibrated probabilities.

    `cbpe` for any loss by row and any number of classes: each class's score is calibrated on its own
    curve, and the probabilities of a row are divided by their sum. The interval joins the draws' own
    spread with the noise of the curves. It assumes that the probability of a class given its score has
    not changed.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,) or (n_rows, n_classes)
        Score of the greater of two classes, or of every class.
    losses_by_class : ndarray of shape (n_rows, n_classes)
        Loss of each row if that class came.
    curves : sequence of Isotonic
        From scores to probabilities: one for two classes, else one a class.
    level : float

    Returns
    -------
    LabelFree
        In the unit of the losses.

    Raises
    ------
    DataError
        If shapes do not match or a value is not finite.

    References
    ----------
    .. [1] Kivimaki, J., Bialek, J., Nurminen, J. K., & Kuberski, W. (2025). Confidence-based
       estimators for predictive performance in model monitoring. JAIR, 82.

    Examples
    --------
    >>> from mlwild.stats.calibration import isotonic
    >>> scores = np.repeat([0.2, 0.8], 500)
    >>> curve = isotonic(scores, (np.arange(1000) % 5 < 5 * scores).astype(float))
    >>> wrong = np.stack([scores > 0.5, scores < 0.5], axis=1).astype(float)
    >>> round(expected_loss(scores, wrong, [curve]).estimate, 2)
    0.2
    """
    from scipy.special import ndtri

    table = scores[:, None] if scores.ndim == 1 else scores
    n, classes = losses_by_class.shape
    if len(table) != n or not n or len(curves) != table.shape[1] or (classes if classes > 2 else 1) != len(curves):
        raise DataError(
            f"scores of shape {scores.shape}, losses of shape {losses_by_class.shape} and {len(curves)} curves do not "
            "match. Hint: one curve for two classes, else one score and one curve a class."
        )
    if not np.isfinite(losses_by_class).all():
        raise DataError("a loss is not finite. Hint: keep probabilities away from 0 and 1.")
    softened = [replace(curve, values=_tempered(curve).values) for curve in curves]  # type: ignore[union-attr]
    chance = np.stack([calibrated(curve, column) for curve, column in zip(softened, table.T, strict=True)], axis=1)
    chance = np.concatenate([1 - chance, chance], axis=1) if classes == 2 else _shares(chance)
    expected = (chance * losses_by_class).sum(axis=1)
    own = float((chance * losses_by_class**2).sum(axis=1).mean() - (expected**2).mean()) / n
    spread = effective = outside = 0.0
    effective = math.inf
    for place, curve in enumerate(softened):
        # What a curve moves: the loss of its class less that of the others.
        other = losses_by_class[:, 0] if classes == 2 else expected
        slope = (losses_by_class[:, place + (classes == 2)] - other) / n
        spread = math.hypot(spread, _curve_spread(curve, table[:, place], slope))
        rows, stray = _curve_support(curve, table[:, place])
        effective, outside = min(effective, rows), max(outside, stray)
    half = float(ndtri((1 + level) / 2)) * math.hypot(spread, math.sqrt(max(own, 0.0)))
    estimate = float(expected.mean())
    support = verdict(effective, outside)
    return LabelFree(estimate, estimate - half, estimate + half, level, n, effective, outside, support)


def _shares(chance: Floats) -> Floats:
    total = chance.sum(axis=1, keepdims=True)
    return np.where(total > 0, chance / np.where(total > 0, total, 1.0), 1 / chance.shape[1])
