"""Estimates on rows without labels from estimated losses, confidences and disagreement."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.labelfree import PARTS, LabelFree, verdict

Floats = NDArray[np.float64]


def _checked(**arrays: Floats) -> list[Floats]:
    """Return the arrays as series of finite floats, or name the one that is not."""
    series = []
    for name, values in arrays.items():
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
            raise DataError(f"{name} of shape {array.shape} must be a series of finite numbers. Hint: drop empty rows.")
        series.append(array)
    return series


def _parts(reference: Floats, values: Floats, parts: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, float]:
    """
    Return the part of each reference row and new row, rows a part, and the share of new rows outside.

    Parts hold about as many reference rows each; ties make fewer of them.
    """
    edges = np.unique(np.quantile(reference, np.arange(1, parts) / parts, method="higher"))
    here, there = (np.searchsorted(edges, side, side="right") for side in (reference, values))
    used = np.unique(here, return_inverse=True)
    here, there = used[1], np.minimum(np.searchsorted(used[0], there), len(used[0]) - 1)
    outside = float(((values < reference.min()) | (values > reference.max())).mean())
    return here, there, np.bincount(here).astype(np.float64), outside


def direct_loss(
    estimated: Floats,
    *,
    reference_estimated: Floats,
    reference_losses: Floats,
    parts: int = PARTS,
    level: float = 0.95,
) -> LabelFree:
    """
    Return the mean loss from a regression of the loss, corrected by what it misses on labelled rows.

    The mean of the estimated losses, plus its mean residual on the reference in each part of the
    estimated loss, at the new rows' mix of parts. Works for any loss, classification or regression.
    It assumes that the residual's mean in each part has not changed.

    Parameters
    ----------
    estimated : ndarray of shape (n_rows,)
        Estimated loss of each new row.
    reference_estimated, reference_losses : ndarray of shape (n_reference,)
        Estimated and true loss of labelled rows that the regression has not seen.
    parts : int
        Parts of equal reference mass, default 10; 1 corrects by one number.
    level : float

    Returns
    -------
    LabelFree
        In the unit of the loss.

    Raises
    ------
    DataError
        If a value is not finite or the reference arrays differ in length.

    References
    ----------
    .. [1] Angelopoulos, A. N., et al. (2023). Prediction-powered inference. Science, 382, 669-674.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> guess, fresh = rng.random(4000), rng.random(4000) ** 0.5
    >>> result = direct_loss(fresh, reference_estimated=guess, reference_losses=guess + 0.1)
    >>> bool(abs(result.estimate - fresh.mean() - 0.1) < 1e-9), result.support
    (True, 'supported')
    """
    estimated, guess, losses = _checked(
        estimated=estimated, reference_estimated=reference_estimated, reference_losses=reference_losses
    )
    if len(guess) != len(losses):
        raise DataError(
            f"{len(guess)} estimated and {len(losses)} true reference losses. Hint: give both for each row."
        )
    from scipy.special import ndtri

    here, there, rows, outside = _parts(guess, estimated, parts)
    residual = losses - guess
    mean = np.bincount(here, residual) / rows
    square = np.bincount(here, (residual - mean[here]) ** 2) / np.maximum(rows - 1, 1)
    share = np.bincount(there, minlength=len(rows)) / len(estimated)
    # The new rows' own noise, and the noise of each part's correction.
    spread = math.sqrt(float((share * square / len(estimated) + share**2 * square / rows).sum()))
    estimate = float(estimated.mean() + share @ mean)
    half = float(ndtri((1 + level) / 2)) * spread
    effective = 1 / float((share**2 / rows).sum())
    support = verdict(effective, outside)
    return LabelFree(estimate, estimate - half, estimate + half, level, len(estimated), effective, outside, support)


def confidence_difference(
    confidence: Floats, *, reference_confidence: Floats, reference_correct: Floats, level: float = 0.95
) -> LabelFree:
    """
    Return accuracy as the reference's, moved by as much as mean confidence moved (DoC).

    It assumes that accuracy falls one for one with mean confidence. Its interval also assumes that
    rows scatter about their confidence as on the reference.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Highest class probability of each new row, in [0, 1].
    reference_confidence : ndarray of shape (n_reference,)
    reference_correct : ndarray of shape (n_reference,)
        1 where the prediction was right, else 0.
    level : float

    Returns
    -------
    LabelFree
        Accuracy, in [0, 1].

    Raises
    ------
    DataError
        If a value is not finite or the reference arrays differ in length.

    References
    ----------
    .. [1] Guillory, D., et al. (2021). Predicting with confidence on unseen distributions. ICCV.

    Examples
    --------
    >>> old, correct = np.full(400, 0.9), np.repeat([1.0, 0.0], [340, 60])
    >>> round(confidence_difference(np.full(400, 0.8), reference_confidence=old,
    ...                             reference_correct=correct).estimate, 6)  # 0.85 - (0.9 - 0.8)
    0.75
    """
    whole = direct_loss(
        confidence,
        reference_estimated=reference_confidence,
        reference_losses=reference_correct,
        parts=1,
        level=level,
    )
    confidence, reference = np.asarray(confidence), np.asarray(reference_confidence)
    _, there, rows, _ = _parts(reference, confidence, PARTS)
    share = np.bincount(there, minlength=len(rows)) / len(confidence)
    return _bounded(whole, whole.high - whole.estimate, 1 / float((share**2 / rows).sum()))


def _bounded(found: LabelFree, half: float, effective: float) -> LabelFree:
    """Return the estimate of an accuracy or error rate, kept within [0, 1]."""
    low, high = max(found.estimate - half, 0.0), min(found.estimate + half, 1.0)
    estimate = min(max(found.estimate, 0.0), 1.0)
    support = verdict(effective, found.outside)
    return LabelFree(estimate, low, high, found.level, found.n, effective, found.outside, support)


def thresholded_confidence(
    confidence: Floats, *, reference_confidence: Floats, reference_correct: Floats, level: float = 0.95
) -> LabelFree:
    """
    Return accuracy as the share of rows above a threshold of confidence (ATC).

    The threshold is where the share of reference rows below it is the reference's error. It assumes
    that this equality survives; nothing says that it does, and on mild shift it is often worse than
    the reference's own accuracy. The error rate is one less it, with the ends turned round; no other loss is estimated.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Any score of confidence, higher is surer; finite.
    reference_confidence : ndarray of shape (n_reference,)
    reference_correct : ndarray of shape (n_reference,)
        1 where the prediction was right, else 0.
    level : float

    Returns
    -------
    LabelFree
        Accuracy, in [0, 1].

    Raises
    ------
    DataError
        If a value is not finite or the reference arrays differ in length.

    References
    ----------
    .. [1] Garg, S., et al. (2022). Leveraging unlabeled data to predict out-of-distribution
       performance. ICLR.

    Examples
    --------
    >>> reference = np.arange(1000) / 1000
    >>> correct = (np.arange(1000) % 5 > 0).astype(float)  # error 0.2, so the threshold is 0.2
    >>> round(thresholded_confidence(reference / 2, reference_confidence=reference,
    ...                              reference_correct=correct).estimate, 6)
    0.6
    """
    from scipy.special import ndtri

    confidence, reference, correct = _checked(
        confidence=confidence, reference_confidence=reference_confidence, reference_correct=reference_correct
    )
    if len(reference) != len(correct):
        raise DataError(f"{len(reference)} confidences and {len(correct)} marks. Hint: give both for each row.")
    ranked = np.sort(reference)
    wrong = round(float((1 - correct).sum()))
    threshold = ranked[wrong] if wrong < len(ranked) else math.inf
    estimate = float((confidence >= threshold).mean())
    # Realised less estimate: (correct - above) over the new rows, and the threshold's own noise,
    # which the new rows' density there over the reference's turns into accuracy.
    noise = float(np.var(correct - (reference >= threshold)))
    near = np.clip([wrong - len(ranked) // 20, wrong + len(ranked) // 20], 0, len(ranked) - 1)
    low, high = ranked[near]
    inside = ((confidence >= low) & (confidence <= high)).mean()
    ratio = float(inside / max(((reference >= low) & (reference <= high)).mean(), 1e-12))
    half = float(ndtri((1 + level) / 2)) * math.sqrt(noise / len(confidence) + ratio**2 * noise / len(reference))
    _, there, rows, outside = _parts(reference, confidence, PARTS)
    share = np.bincount(there, minlength=len(rows)) / len(confidence)
    found = LabelFree(estimate, 0.0, 1.0, level, len(confidence), 0.0, outside, "none")
    return _bounded(found, half, 1 / float((share**2 / rows).sum()))


def disagreement(
    predictions: NDArray[np.int64],
    *,
    reference_predictions: NDArray[np.int64] | None = None,
    reference_labels: NDArray[np.int64] | None = None,
    level: float = 0.95,
) -> LabelFree:
    """
    Return the mean error of an ensemble's members as the rate at which they disagree (GDE).

    It assumes that the ensemble's votes are calibrated: of the rows where a share q votes for a
    class, a share q has it. With labelled reference rows that is tested: support is "supported"
    where their error lies in their own interval, else "none"; without them it is "weak".

    Parameters
    ----------
    predictions : ndarray of shape (n_models, n_rows)
        Predicted classes as whole numbers from 0; at least 2 models, trained independently.
    reference_predictions : ndarray of shape (n_models, n_reference), optional
    reference_labels : ndarray of shape (n_reference,), optional
        Given together, or not at all.
    level : float

    Returns
    -------
    LabelFree
        Error rate averaged over the members, in [0, 1].

    Raises
    ------
    DataError
        If there are fewer than 2 models, no rows, or classes below 0.

    References
    ----------
    .. [1] Jiang, Y., Nagarajan, V., Baek, C., & Kolter, J. Z. (2022). Assessing generalization of SGD
       via disagreement. ICLR.

    Examples
    --------
    >>> result = disagreement(np.array([[0, 1, 1, 0] * 50, [0, 1, 0, 0] * 50]))
    >>> result.estimate, result.support
    (0.25, 'weak')
    """
    estimate, spread, n = _disagreed(predictions)
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    low, high = max(estimate - z * spread, 0.0), min(estimate + z * spread, 1.0)
    if reference_predictions is None or reference_labels is None:
        support = verdict(n, math.nan)
        return LabelFree(estimate, low, high, level, n, float(n), math.nan, support)
    old, noise, rows = _disagreed(reference_predictions)
    error = float((reference_predictions != reference_labels[None, :]).mean())
    support = verdict(rows, 0.0 if abs(error - old) <= z * noise else 1.0)
    return LabelFree(estimate, low, high, level, n, float(rows), math.nan, support)


def _disagreed(predictions: NDArray[np.int64]) -> tuple[float, float, int]:
    """Return the rate of disagreement, the standard deviation of error less that rate, and rows."""
    predictions = np.asarray(predictions)
    if predictions.ndim != 2 or len(predictions) < 2 or not predictions.shape[1] or predictions.min() < 0:
        raise DataError(
            f"predictions of shape {predictions.shape} must be classes from 0 of at least 2 models. "
            "Hint: one row a model, one column a case."
        )
    models, n = predictions.shape
    votes = np.stack([(predictions == c).sum(axis=0) for c in range(int(predictions.max()) + 1)])
    agreeing = (votes * (votes - 1)).sum(axis=0)
    differ = 1 - agreeing / (models * (models - 1))
    if models == 2:
        square = differ  # an upper bound: error less disagreement is at most 1, and 0 on average
    else:
        # Each member plays the label in turn: under calibration it is one more draw from the same votes.
        error = 1 - (votes - 1) / (models - 1)
        others = 1 - (agreeing - 2 * (votes - 1)) / ((models - 1) * (models - 2))
        square = (votes / models * (error - others) ** 2).sum(axis=0)
    return float(differ.mean()), math.sqrt(float(square.mean()) / n), n
