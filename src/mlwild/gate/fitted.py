"""A fitted model as tests receive it: it predicts in the form that the loss asks for, and counts the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.gate.held import Held
from mlwild.gate.outcome import Record
from mlwild.losses import Loss

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fitted:
    """
    A fitted model.

    Parameters
    ----------
    name : str
        Model and vintage, such as ``"boosting 39"``.
    raw : object
        The estimator or function itself.
    ask : {"probability", "probabilities", "class", "value"}
        What the loss asks for.
    classes : ndarray of shape (n_classes,) or None
    loss : Loss
    kept : callable, optional
        ``kept(rows)``: predictions of rows of the history that were made and kept before, or None.
    sabotage : callable, optional
        What is done to every prediction: tests are tried on models that answer NaN.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> model = Fitted("mean 0", lambda X: np.full(len(X), 2.0), "value", None, named("squared"))
    >>> model.predict(np.zeros((3, 1))).tolist(), model.record.rows
    ([2.0, 2.0, 2.0], 3)
    """

    name: str
    raw: Any
    ask: str
    classes: NDArray[Any] | None
    loss: Loss
    kept: Callable[[NDArray[np.int64]], NDArray[Any] | None] | None = None
    sabotage: Callable[[Floats], Floats] | None = None
    record: Record = field(default_factory=Record, repr=False)

    def __repr__(self) -> str:
        """Name the model."""
        return f"Fitted({self.name!r})"

    def predict(self, features: Any) -> Floats:
        """
        Return predictions of some features.

        Parameters
        ----------
        features : frame or ndarray of n rows
            In the app's kind of frame.

        Returns
        -------
        ndarray of float64, shape (n,) or (n, n_classes)
            Probability of the greater class, probabilities of all classes, class number, or value: what
            the loss asks for.

        Raises
        ------
        mlwild.models.PredictionError
            If what the model returned is no prediction: NaN, infinite, or of another shape.
        """
        return self._given(models.predict(self.raw, features, self.ask, self.classes))

    def predictions(self, held: Held) -> Floats:
        """Return predictions of some rows, read from what was kept where the features are those of the history."""
        self.record.saw(held.rows)
        made = None if self.kept is None or held.changed else self.kept(held.rows)
        return self._given(made) if made is not None else self.predict(held.features)

    def losses(self, held: Held) -> Floats:
        """
        Return the loss of each row, shape (n,); for a loss of a set use `mean_loss`.

        Raises
        ------
        mlwild.errors.AppError
            If the loss is one of sets.
        """
        predicted = self.predictions(held)
        if self.sabotage is not None and not np.isfinite(predicted).all():
            return np.full(len(held), np.nan)
        return self.loss.rows(held.labels, predicted)

    def mean_loss(self, held: Held) -> float:
        """Return the mean loss of some rows, weighted; or the loss of the set."""
        self.record.averaged(len(held))
        if self.loss.per == "row":
            return float(np.average(self.losses(held), weights=held.weight)) if len(held) else float("nan")
        predicted = self.predictions(held)
        return self.loss.of_set(held.labels, predicted) if np.isfinite(predicted).all() else float("nan")

    def watched(self, sabotage: Callable[[Floats], Floats] | None = None, record: Record | None = None) -> Fitted:
        """Return the same model with a record of its own, and perhaps sabotaged."""
        return replace(self, record=Record() if record is None else record, sabotage=sabotage)

    def _given(self, predicted: NDArray[Any]) -> Floats:
        self.record.note(len(predicted))
        made = np.asarray(predicted, dtype=np.float64)
        return made if self.sabotage is None else self.sabotage(made)

    @cached_property
    def size(self) -> int:
        """Size of the pickled model, in bytes."""
        import cloudpickle

        return len(cloudpickle.dumps(self.raw))


def answers_nan(predicted: Floats) -> Floats:
    """Return NaN in place of every prediction."""
    return np.full_like(predicted, np.nan)


def decisions(predicted: Floats, model: Fitted) -> Floats:
    """Return the most probable class of each prediction."""
    if model.ask == "probabilities":
        return np.asarray(predicted.argmax(axis=1), dtype=np.float64)
    if model.ask == "probability":
        return np.asarray(predicted > 0.5, dtype=np.float64)
    return predicted
