"""Expected loss under calibrated probabilities, for any loss that is defined by row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.calibration import Isotonic, isotonic
from mlwild.stats.dispersion import Dispersion, block_gaps, dispersion, widening
from mlwild.stats.labelfree import LabelFree, verdict
from mlwild.stats.placed import Placed, place, tempered

Floats = NDArray[np.float64]


def expected_loss(
    scores: Floats,
    losses_by_class: Floats,
    curves: Sequence[Isotonic],
    *,
    dispersion: Dispersion | None = None,
    level: float = 0.95,
) -> LabelFree:
    """
    Return the mean loss if each row's class is drawn from its calibrated probabilities.

    `cbpe` for any loss by row and any number of classes: each class's score is calibrated on its own
    curve, and the probabilities of a row are divided by their sum. The interval joins the draws' own
    spread with the noise of the curves. It assumes that the probability of a class given its score has
    not changed; with a dispersion, that it changes as it did between blocks of the reference.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,) or (n_rows, n_classes)
        Score of the greater of two classes, or of every class.
    losses_by_class : ndarray of shape (n_rows, n_classes)
        Loss of each row if that class came.
    curves : sequence of Isotonic
        From scores to probabilities: one for two classes, else one a class.
    dispersion : Dispersion, optional
        Over blocks of the reference, from `loss_dispersion`; it widens the interval.
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

    table = _checked_table(scores, losses_by_class, len(curves))
    placed = [place(tempered(curve), column) for curve, column in zip(curves, table.T, strict=True)]
    estimate, variance = _expected(placed, losses_by_class)
    spread = math.sqrt(variance)
    half = -float(ndtri((1 - level) / 2)) * spread * widening(spread, dispersion, level)
    effective, outside = min(rows.effective_rows() for rows in placed), max(rows.outside for rows in placed)
    support = verdict(effective, outside)
    return LabelFree(estimate, estimate - half, estimate + half, level, len(table), effective, outside, support)


def loss_curves(scores: Floats, labels: NDArray[np.int64], *, weights: Floats | None = None) -> list[Isotonic]:
    """
    Return the calibration curves of a classifier: one for two classes, else one a class.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,) or (n_rows, n_classes)
        Score of the greater of two classes, or of every class.
    labels : ndarray of int, shape (n_rows,)
        Class numbers.
    weights : ndarray of shape (n_rows,), optional
        See `isotonic`.

    Examples
    --------
    >>> len(loss_curves(np.array([0.2, 0.8]), np.array([0, 1]))), len(loss_curves(np.eye(3), np.arange(3)))
    (1, 3)
    """
    classes = [(1, scores)] if scores.ndim == 1 else enumerate(scores.T)
    return [isotonic(column, (labels == place).astype(np.float64), weights=weights) for place, column in classes]


def loss_dispersion(
    scores: Floats, labels: NDArray[np.int64], losses_by_class: Floats, *, window_rows: int
) -> Dispersion:
    """
    Return how far `expected_loss` is off over blocks of the reference, beyond sampling.

    As `cbpe_dispersions`, for any loss by row and any number of classes.

    Parameters
    ----------
    scores : ndarray of shape (n_reference,) or (n_reference, n_classes)
        Of labelled rows in order of time.
    labels : ndarray of int, shape (n_reference,)
        Class numbers.
    losses_by_class : ndarray of shape (n_reference, n_classes)
        Loss of each row if that class came.
    window_rows : int
        Rows of the windows that are to be estimated.

    Returns
    -------
    Dispersion

    Raises
    ------
    DataError
        If shapes do not match or a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.random(4000)
    >>> labels = (rng.random(4000) < scores).astype(int)
    >>> loss_dispersion(scores, labels, np.stack([scores**2, (1 - scores)**2], axis=1), window_rows=400).blocks
    10
    """
    table = _checked_table(scores, losses_by_class, 1 if scores.ndim == 1 else scores.shape[1])
    came = losses_by_class[np.arange(len(table)), labels]

    def fit(half: slice) -> list[Isotonic]:
        return [tempered(curve) for curve in loss_curves(scores[half], labels[half])]

    def judge(curves: list[Isotonic], block: slice) -> list[tuple[float, float]]:
        placed = [place(curve, column) for curve, column in zip(curves, table[block].T, strict=True)]
        estimate, variance = _expected(placed, losses_by_class[block])
        return [(float(came[block].mean()) - estimate, variance)]

    gaps, noise = block_gaps(len(table), window_rows, fit=fit, judge=judge)
    return dispersion(gaps[:, 0], noise[:, 0])


def _checked_table(scores: Floats, losses_by_class: Floats, curves: int) -> Floats:
    """Return scores with a column a curve, or say what does not match."""
    table = scores[:, None] if scores.ndim == 1 else scores
    n, classes = losses_by_class.shape
    if len(table) != n or not n or curves != table.shape[1] or (classes if classes > 2 else 1) != curves:
        raise DataError(
            f"scores of shape {scores.shape}, losses of shape {losses_by_class.shape} and {curves} curves do not "
            "match. Hint: one curve for two classes, else one score and one curve a class."
        )
    if not np.isfinite(losses_by_class).all():
        raise DataError("a loss is not finite. Hint: keep probabilities away from 0 and 1.")
    return table


def _expected(placed: Sequence[Placed], losses_by_class: Floats) -> tuple[float, float]:
    """Return the mean expected loss, and the variance of the realised one about it."""
    n, classes = losses_by_class.shape
    chance = np.stack([rows.chances() for rows in placed], axis=1)
    chance = np.concatenate([1 - chance, chance], axis=1) if classes == 2 else _shares(chance)
    expected = (chance * losses_by_class).sum(axis=1)
    variance = max(float((chance * losses_by_class**2).sum(axis=1).mean() - (expected**2).mean()) / n, 0.0)
    for column, rows in enumerate(placed):
        # What a curve moves: the loss of its class less that of the others.
        other = losses_by_class[:, 0] if classes == 2 else expected
        variance += rows.spread((losses_by_class[:, column + (classes == 2)] - other) / n) ** 2
    return float(expected.mean()), variance


def _shares(chance: Floats) -> Floats:
    total = chance.sum(axis=1, keepdims=True)
    return np.where(total > 0, chance / np.where(total > 0, total, 1.0), 1 / chance.shape[1])
