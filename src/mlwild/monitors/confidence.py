"""Monitors that take a classifier's own probabilities for evidence: CBPE, PAPE, ATC and DoC."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.losses import Loss
from mlwild.monitors.scene import Scene, Side
from mlwild.monitors.signal import Signal, estimated, silent
from mlwild.monitors.weights import density_ratio, spaced
from mlwild.stats.calibration import Isotonic
from mlwild.stats.cbpe import cbpe
from mlwild.stats.cbpe_dispersion import cbpe_dispersions
from mlwild.stats.confidence import direct_loss, thresholded_confidence
from mlwild.stats.dispersion import Dispersion, block_edges
from mlwild.stats.expected_loss import expected_loss, loss_curves, loss_dispersion
from mlwild.stats.labelfree import LabelFree, verdict
from mlwild.stats.reweighting import effective_sample_size

Floats = NDArray[np.float64]

#: Labels below which a reference says nothing.
FEWEST = 100
#: Rows of the reference that are calibrated anew for every window, at most.
_RECALIBRATED = 8_000


def too_few(scene: Scene) -> str:
    """Return why the reference cannot speak, or nothing."""
    n = len(scene.known.labels)
    if scene.selective:
        return "labels depend on the model's decisions, so labelled rows do not speak for the others"
    return f"{n} labels of the reference are known; it takes {FEWEST}" if n < FEWEST else ""


def _objection(loss: Loss, name: str, *, sets: tuple[str, ...] = ()) -> str:
    if loss.predicts not in ("probability", "probabilities"):
        asked = {"class": "classes", "value": "values"}[loss.predicts]
        return f"{name} reads probabilities, and the loss {loss.name!r} asks models for {asked}."
    if loss.per == "set" and loss.name not in sets:
        return f"{name} needs a loss by row{' or the AUC' if sets else ''}; {loss.name!r} is a loss of a set."
    return ""


def losses_by_class(loss: Loss, predictions: Floats) -> Floats:
    """Return the loss of each row if each class came, shape (n_rows, n_classes)."""
    n, classes = len(predictions), 2 if predictions.ndim == 1 else predictions.shape[1]
    return np.stack([loss.rows(np.full(n, label), predictions) for label in range(classes)], axis=1)


def _performance(scene: Scene, curves: list[Isotonic]) -> LabelFree:
    """Return the estimated loss of the window under calibration curves that change as they did in the reference."""
    scores = scene.window.predictions
    # Windows of about one length share their blocks of the reference.
    blocks = len(block_edges(len(scene.known.labels), len(scores))) - 1
    dispersion = scene.remember(("dispersion", blocks), lambda: _dispersion(scene))
    if scene.loss.per == "set":
        found = cbpe(scores, curve=curves[0], metric="auc", dispersion=dispersion)
        return replace(found, estimate=1 - found.estimate, low=1 - found.high, high=1 - found.low)
    return expected_loss(scores, losses_by_class(scene.loss, scores), curves, dispersion=dispersion)


def _dispersion(scene: Scene) -> Dispersion:
    """Return how far estimates of the loss are off over blocks of the reference, beyond sampling."""
    scores, labels, rows = scene.known.predictions, scene.known.labels, len(scene.window.predictions)
    if scene.loss.per == "set":
        outcomes = (labels == 1).astype(np.float64)
        return cbpe_dispersions(scores, outcomes, window_rows=rows, metrics=("auc",))["auc"]
    return loss_dispersion(scores, labels, losses_by_class(scene.loss, scores), window_rows=rows)


@dataclass(frozen=True)
class CBPE:
    """
    Confidence-based performance estimation: the loss if calibrated probabilities still hold.

    For any loss by row of a classifier that gives probabilities, and for the AUC. Its interval holds as much change
    of the calibration as blocks of the reference show. It is blind to more than that (concept shift); labels that
    refute it turn it grey.

    References
    ----------
    .. [1] Kivimaki, J., Bialek, J., Nurminen, J. K., & Kuberski, W. (2025). Confidence-based
       estimators for predictive performance in model monitoring. JAIR, 82.

    Examples
    --------
    >>> CBPE().name, CBPE().kind
    ('CBPE', 'performance')
    """

    name: str = "CBPE"
    kind: str = "performance"

    def objection(self, loss: Loss) -> str:
        """Return why the loss cannot be estimated, or nothing."""
        return _objection(loss, "CBPE", sets=("auc",))

    def signal(self, scene: Scene) -> Signal:
        """Return the estimated loss of the window."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        curves = scene.remember("curves", lambda: loss_curves(scene.known.predictions, scene.known.labels))
        return estimated(_performance(scene, curves), scene.reference_loss)


@dataclass(frozen=True)
class PAPE:
    """
    Probabilistic adaptive performance estimation: CBPE, calibrated anew for each window.

    The calibration rests on the reference rows that resemble the window, so that it also holds where a
    feature shifts that the score does not show. Interval and blindness to concept shift are as those of CBPE.

    References
    ----------
    .. [1] Bialek, J., Kuberski, W., Perrakis, N., & Bifet, A. (2024). Estimating model performance
       under covariate shift without labels. arXiv 2401.08348.

    Examples
    --------
    >>> PAPE().name
    'PAPE'
    """

    name: str = "PAPE"
    kind: str = "performance"

    def objection(self, loss: Loss) -> str:
        """Return why the loss cannot be estimated, or nothing."""
        return _objection(loss, "PAPE", sets=("auc",))

    def signal(self, scene: Scene) -> Signal:
        """Return the estimated loss of the window."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        weights = density_ratio(scene)
        part = spaced(len(weights), _RECALIBRATED)
        curves = loss_curves(scene.known.predictions[part], scene.known.labels[part], weights=weights[part])
        found = _performance(scene, curves)
        effective = min(found.effective_n, effective_sample_size(weights))
        return estimated(
            replace(found, effective_n=effective, support=verdict(effective, found.outside)), scene.reference_loss
        )


@dataclass(frozen=True)
class ATC:
    """
    Average thresholded confidence: the share of rows below the confidence that marked errors.

    Where the loss is the error rate of the most probable class (a loss of your own, since models that are asked for
    probabilities give no classes), it estimates it, with an interval. Of any other loss it is a score: the
    rise of the estimated error rate.

    References
    ----------
    .. [1] Garg, S., et al. (2022). Leveraging unlabeled data to predict out-of-distribution
       performance. ICLR.

    Examples
    --------
    >>> ATC().name
    'ATC'
    """

    name: str = "ATC"
    kind: str = "performance"

    def objection(self, loss: Loss) -> str:
        """Return why it does not apply, or nothing."""
        return _objection(loss, "ATC", sets=(loss.name,))

    def signal(self, scene: Scene) -> Signal:
        """Return the estimated error rate of the window, or its rise where the loss is another."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        sure, guess = _confidence(scene.known.predictions)
        right = (guess == scene.known.labels).astype(np.float64)
        fresh, _ = _confidence(scene.window.predictions)
        found = thresholded_confidence(fresh, reference_confidence=sure, reference_correct=right)
        if _is_error_rate(scene.loss, scene.known) and _is_error_rate(scene.loss, scene.window):
            wrong = replace(found, estimate=1 - found.estimate, low=1 - found.high, high=1 - found.low)
            return estimated(wrong, scene.reference_loss)
        said = "in the rate of errors" if found.support == "supported" else f"in the rate of errors, {found.support}"
        return Signal(float(right.mean()) - found.estimate, why=said)


def _is_error_rate(loss: Loss, side: Side) -> bool:
    """Say whether the loss of every row is 0 for its most probable class and 1 for any other."""
    if loss.per == "set":
        return False
    table = losses_by_class(loss, side.predictions)
    _, guess = _confidence(side.predictions)
    return np.array_equal(table, guess[:, None] != np.arange(table.shape[1]))


def _confidence(scores: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the highest class probability and its class."""
    if scores.ndim == 1:
        guess = (scores >= 0.5).astype(np.int64)
        return np.where(guess == 1, scores, 1 - scores), guess
    return scores.max(axis=1), scores.argmax(axis=1)


@dataclass(frozen=True)
class DoC:
    """
    Difference of confidences: the reference's loss, moved as far as the loss moved that the model expects.

    What a model expects is its loss if its own probabilities were right; for the error rate that is one
    less the mean confidence, as in the paper.

    References
    ----------
    .. [1] Guillory, D., et al. (2021). Predicting with confidence on unseen distributions. ICCV.

    Examples
    --------
    >>> DoC().name
    'DoC'
    """

    name: str = "DoC"
    kind: str = "performance"

    def objection(self, loss: Loss) -> str:
        """Return why the loss cannot be estimated, or nothing."""
        return _objection(loss, "DoC")

    def signal(self, scene: Scene) -> Signal:
        """Return the estimated loss of the window."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        reference = scene.remember("expects", lambda: _expects(scene.loss, scene.known.predictions))
        found = direct_loss(
            _expects(scene.loss, scene.window.predictions),
            reference_estimated=reference,
            reference_losses=scene.known.losses,
            parts=1,
        )
        return estimated(found, scene.reference_loss)


def _expects(loss: Loss, predictions: Floats) -> Floats:
    """Return the loss of each row that a model expects under its own probabilities."""
    table = losses_by_class(loss, predictions)
    chance = np.stack([1 - predictions, predictions], axis=1) if predictions.ndim == 1 else predictions
    return np.asarray((chance * table).sum(axis=1))
