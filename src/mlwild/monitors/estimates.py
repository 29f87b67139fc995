"""Monitors that carry labelled losses over to new rows: regression, weights, slices, second opinions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError
from mlwild.losses import Loss
from mlwild.monitors.confidence import too_few
from mlwild.monitors.scene import Scene, Side, Slices
from mlwild.monitors.signal import Signal, estimated, silent
from mlwild.monitors.weights import density_ratio, one_thread, spaced
from mlwild.stats.confidence import direct_loss, disagreement
from mlwild.stats.mandoline import mandoline, mandoline_noisy
from mlwild.stats.reweighting import Reweighted, weighted_mean

Floats = NDArray[np.float64]

#: Rows that the regression of the loss learns from, and rows of the window that it is asked about, at most.
_LEARNED, _ASKED = 6_000, 4_000


def _by_row(loss: Loss, name: str) -> str:
    return f"{name} needs a loss by row; {loss.name!r} is a loss of a set." if loss.per == "set" else ""


@dataclass(frozen=True)
class DirectLoss:
    """
    Direct loss estimation: a regression of the loss on features and prediction, for any loss by row.

    Boosted trees, fitted on one half of the reference and tried on the other, so that what they miss there
    corrects them. It assumes that the loss given the features is as before.

    References
    ----------
    .. [1] NannyML (2023). Direct loss estimation (DLE), documentation of release 0.9.
    .. [2] Angelopoulos, A. N., et al. (2023). Prediction-powered inference. Science, 382, 669-674.

    Examples
    --------
    >>> DirectLoss().name
    'direct loss'
    """

    name: str = "direct loss"
    kind: str = "performance"

    def objection(self, loss: Loss) -> str:
        """Return why the loss cannot be estimated, or nothing."""
        return _by_row(loss, "Direct loss estimation")

    def signal(self, scene: Scene) -> Signal:
        """Return the estimated loss of the window."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        models, guess, part = scene.remember("direct loss", lambda: _regressions(scene))
        inputs = _inputs(scene.window)
        inputs = inputs[spaced(len(inputs), _ASKED)]
        with one_thread():
            guessed = np.mean([model.predict(inputs) for model in models], axis=0)
        found = direct_loss(
            guessed,
            reference_estimated=guess,
            reference_losses=scene.known.losses[part],
        )
        return estimated(found, scene.reference_loss)


def _inputs(side: Side) -> Floats:
    scores = side.predictions
    return np.column_stack([side.bins, scores]).astype(np.float64)


def _regressions(scene: Scene) -> tuple[list[Any], Floats, NDArray[np.int64]]:
    """Return two regressions of the loss, and the estimate of each row by the one that did not see it."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    part = spaced(len(scene.known.losses), _LEARNED)
    inputs, losses = _inputs(scene.known)[part], scene.known.losses[part]
    # Blocks of neighbours are held out together: they resemble each other.
    fold = np.arange(len(part)) * 16 // len(part) % 2
    models, guess = [], np.zeros(len(part))
    for held in (0, 1):
        model = HistGradientBoostingRegressor(
            max_iter=20, learning_rate=0.2, max_leaf_nodes=8, min_samples_leaf=50, early_stopping=False, random_state=0
        )
        with one_thread():
            model.fit(inputs[fold != held], losses[fold != held])
            guess[fold == held] = model.predict(inputs[fold == held])
        models.append(model)
    return models, guess, part


@dataclass(frozen=True)
class ClassifierWeighting:
    """
    The reference's loss, each row weighted by how much it resembles the window.

    For any loss by row. The weights come from a classifier that tells the two apart; few effective rows
    mean that the window is unlike anything seen.

    References
    ----------
    .. [1] Bickel, S., Brueckner, M., & Scheffer, T. (2009). Discriminative learning under covariate shift.
       JMLR, 10, 2137-2155.

    Examples
    --------
    >>> ClassifierWeighting().name
    'classifier weighting'
    """

    name: str = "classifier weighting"
    kind: str = "performance"

    def objection(self, loss: Loss) -> str:
        """Return why the loss cannot be estimated, or nothing."""
        return _by_row(loss, "Classifier weighting")

    def signal(self, scene: Scene) -> Signal:
        """Return the weighted loss."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        return estimated(weighted_mean(scene.known.losses, density_ratio(scene)), scene.reference_loss)


@dataclass(frozen=True)
class Mandoline:
    """
    The reference's loss, weighted until slices that you name are as frequent as in the window.

    Parameters
    ----------
    slices : dict of str to callable
        From a frame of features (those of one period) to booleans, or to -1, 0 (abstains) and 1.
    noise : dict of str to (float, float), optional
        For slices that are observed with errors: the chance to miss a row of the slice, and to take in one
        from outside. Slices that are not named are taken as exact.

    References
    ----------
    .. [1] Chen, M., Goel, K., Sohoni, N. S., Poms, F., Fatahalian, K., & Re, C. (2021). Mandoline:
       model evaluation under distribution shift. ICML.

    Examples
    --------
    >>> Mandoline({"long haul": lambda flights: flights["distance"] > 1000}).name
    'Mandoline (long haul)'
    """

    slices: Slices = field(hash=False)
    noise: dict[str, tuple[float, float]] | None = field(default=None, hash=False)
    kind: str = "performance"

    def __post_init__(self) -> None:
        """Check the slices."""
        if not self.slices or not all(callable(function) for function in self.slices.values()):
            raise AppError("monitors: Mandoline takes slices, a dict of names to functions of a frame of features.")
        for name in self.noise or {}:
            if name not in self.slices:
                raise AppError(f"monitors: Mandoline has noise for {name!r}, which is not among its slices.")

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"Mandoline ({', '.join(self.slices)}{', noisy' if self.noise else ''})"

    def objection(self, loss: Loss) -> str:
        """Return why the loss cannot be estimated, or nothing."""
        return _by_row(loss, "Mandoline")

    def signal(self, scene: Scene) -> Signal:
        """Return the weighted loss, or why the slices do not support it."""
        if why := self.objection(scene.loss) or too_few(scene):
            return silent(why)
        there, here = scene.known.slices(self.slices), scene.window.slices(self.slices)
        found = self._weighted(scene.known.losses, there, here)
        if found.support == "none" and np.isnan(found.estimate):
            return silent(_named(found.why, list(self.slices)))
        return estimated(found, scene.reference_loss, _named(found.why, list(self.slices)))

    def _weighted(self, losses: Floats, there: NDArray[np.int8], here: NDArray[np.int8]) -> Reweighted:
        if not self.noise:
            return mandoline(losses, there, here)
        errors = [self.noise.get(name, (0.0, 0.0)) for name in self.slices]
        matrices = np.array([[[1 - taken, missed], [taken, 1 - missed]] for missed, taken in errors])
        return mandoline_noisy(losses, there, here, noise=matrices, reps=50)


def _named(why: str, names: list[str]) -> str:
    for place, name in reversed(list(enumerate(names))):
        why = why.replace(f"slice {place} =", f"{name!r} =")
    return why


@dataclass(frozen=True)
class Disagreement:
    """
    How much the live vintage and a second opinion differ (generalisation disagreement).

    Of classes it is the rate of disagreement, and with another model an estimate of the error rate where the loss
    is that (two vintages of one model share too much for it); of probabilities and values the mean absolute
    difference.

    Parameters
    ----------
    model : str, optional
        Another model of the app, fitted at the same time. Default: the freshest other vintage of the live
        model, which takes a challenger fitted at each cutoff.

    References
    ----------
    .. [1] Jiang, Y., Nagarajan, V., Baek, C., & Kolter, J. Z. (2022). Assessing generalization of SGD
       via disagreement. ICLR.

    Examples
    --------
    >>> Disagreement().name, Disagreement("forest").name
    ('disagreement with a fresh one', 'disagreement with forest')
    """

    model: str | None = None
    kind: str = "performance"

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"disagreement with {self.model or 'a fresh one'}"

    @property
    def shadows(self) -> bool:
        """Whether it needs a challenger at each cutoff."""
        return self.model is None

    def objection(self, loss: Loss) -> str:
        """Return nothing: any two predictions can be compared."""
        return ""

    def signal(self, scene: Scene) -> Signal:
        """Return the difference on the window."""
        ours, theirs = scene.window.predictions, scene.rival(self.model)
        if theirs is not None:  # a model may fail on rows that another can predict
            both = np.isfinite(theirs) if theirs.ndim == 1 else np.isfinite(theirs).all(axis=1)
            ours, theirs = ours[both], theirs[both]
        if theirs is None or not len(ours):
            return silent("there is no second opinion on this period")
        if scene.loss.predicts != "class":
            return Signal(float(np.abs(ours - theirs).mean()), why="mean absolute difference of predictions")
        rate = float((ours != theirs).mean())
        if scene.loss.name != "zero_one" or self.model is None:
            return Signal(rate, why="rate of disagreement")
        found = disagreement(np.stack([ours, theirs]).astype(np.int64))
        return estimated(found, scene.reference_loss)


def checked_signs(made: Any, n: int, name: str) -> NDArray[np.int8]:
    """
    Return what a slice function gave as -1, 0 and 1.

    Raises
    ------
    DataError
        If it gave something else, or another number of rows.

    Examples
    --------
    >>> checked_signs([True, False], 2, "long").tolist()
    [1, -1]
    """
    values = np.asarray(made)
    if values.dtype == np.bool_:
        values = np.where(values, 1, -1)
    if values.shape != (n,) or not np.isin(values, (-1, 0, 1)).all():
        raise DataError(
            f"monitors: the slice {name!r} gave {values.dtype} of shape {values.shape} for {n} rows. Return a boolean "
            "for each row, or -1, 0 (abstains) and 1."
        )
    return values.astype(np.int8)
