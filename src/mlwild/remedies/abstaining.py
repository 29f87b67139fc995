"""Abstaining: the base model answers where it is sure enough, and says where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.errors import DataError
from mlwild.losses import Loss, named
from mlwild.remedies import fits, rows
from mlwild.remedies.losses import class_losses
from mlwild.remedies.slices import Bools, split_off
from mlwild.remedies.wrapper import Wrapper, need
from mlwild.stats.selective import RiskCoverage, Threshold, guaranteed_threshold, priced_threshold, risk_coverage

Floats = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class Abstaining(Wrapper):
    """
    A classifier that says which rows it would rather not answer; within a slice, or everywhere.

    `predict` and `predict_proba` give a prediction for every row, as a model must; `accepts` gives the mask
    of rows that are answered, and `decide` both. Confidence is the probability of the most probable class.
    The threshold comes from the latest rows, which the model did not learn from: either the greatest
    coverage at which the error rate of answered rows is below a target with high chance (SGR), or where
    losses and abstentions together cost least at a stated price. Calibration cannot mend a poor ranking:
    see `curve_`.

    Parameters
    ----------
    base : estimator
        With predict_proba.
    slice : callable, str or None
        If given, all rows outside of it are answered.
    random_state : int, optional
    risk : float, optional
        Target for the error rate of answered rows, in (0, 1). Give this or `price`.
    price : float, optional
        What a row costs that is not answered, in the unit of the loss. Give this or `risk`.
    delta : float
        Chance that the promise of `risk` is broken, if rows come as the calibration rows came.
    held : float
        Share of the rows, the latest, that the threshold is made on, in (0, 1).
    loss : str or Loss
        With `price`: the loss that is paid for an answer.

    Attributes
    ----------
    threshold_ : Threshold
        With coverage, risk and bound on the calibration rows.
    curve_ : RiskCoverage
        Error rate against coverage on the calibration rows.

    Raises
    ------
    AppError
        If a setting is wrong, or both or neither of `risk` and `price` are given.
    DataError
        If (in fit) none of the latest rows lies in the slice.

    References
    ----------
    .. [1] Geifman, Y., & El-Yaniv, R. (2017). Selective classification for deep neural networks. NeurIPS.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 1))
    >>> model = Abstaining(LogisticRegression(), risk=0.1).fit(X, X[:, 0] + rng.normal(size=2000) > 0)
    >>> prediction, answered = model.decide(np.array([[0.0], [3.0]]))
    >>> prediction.shape, answered.tolist()
    ((2,), [False, True])
    """

    risk: float | None = None
    price: float | None = None
    delta: float = 0.05
    held: float = 0.25
    loss: str | Loss = "zero_one"

    def __post_init__(self) -> None:
        """Check the settings."""
        need((self.risk is None) != (self.price is None), "risk, price", "give one of them.")
        need(self.risk is None or 0 < self.risk < 1, "risk", f"{self.risk!r} does not lie between 0 and 1.")
        need(self.price is None or 0 <= self.price < math.inf, "price", f"{self.price!r} is not at least 0.")
        need(0 < self.delta < 1, "delta", f"{self.delta!r} does not lie between 0 and 1.")
        need(0 < self.held < 1, "held", f"{self.held!r} does not lie between 0 and 1.")

    @property
    def fits(self) -> int:
        """Fits of the base model that one fit takes."""
        return 1

    def fit(self, X: Any, y: Any) -> Abstaining:  # noqa: N803
        """Fit the base model to the earlier rows, and set the threshold on the latest."""
        seen, labels, mask = self.opened(X, y)
        classes = self.classes
        need(classes is not None, "base", "only a classifier can tell how sure it is; this one predicts numbers.")
        assert classes is not None
        first = len(labels) - max(1, round(self.held * len(labels)))
        need(first > 0, "held", f"{self.held!r} leaves no row to learn from.")
        earlier, latest = np.arange(first), np.arange(first, len(labels))
        self.model_ = models.fit(self.base, rows.take(seen, earlier), labels[earlier], self.seed)
        if mask is not None:
            latest = latest[mask[latest]]
            if not len(latest):
                raise DataError(
                    f"slice: none of the latest {self.held:.0%} of rows lies in it, so that no threshold can be set."
                )
        given = fits.probabilities(self.model_, rows.take(seen, latest), classes)
        errors = np.asarray(classes[given.argmax(axis=1)] != labels[latest], dtype=np.float64)
        self.threshold_ = self._threshold(given, errors, labels[latest])
        self.curve_: RiskCoverage = risk_coverage(given.max(axis=1), errors)
        return self

    def _threshold(self, given: Floats, errors: Floats, labels: NDArray[Any]) -> Threshold:
        assert self.classes is not None
        confidence = given.max(axis=1)
        if self.risk is not None:
            return guaranteed_threshold(confidence, errors, risk=self.risk, delta=self.delta)
        assert self.price is not None
        losses = class_losses(named(self.loss), labels, given, self.classes)
        return priced_threshold(confidence, losses, price=self.price)

    def accepts(self, X: Any) -> Bools:  # noqa: N803
        """Return which rows are answered, shape (n_rows,)."""
        seen, mask = split_off(X, self.slice)
        assert self.classes is not None
        sure = fits.probabilities(self.model_, seen, self.classes).max(axis=1) >= self.threshold_.value
        return np.asarray(sure if mask is None else sure | ~mask)

    def decide(self, X: Any) -> tuple[NDArray[Any], Bools]:  # noqa: N803
        """Return the prediction of each row, and which of them are answers."""
        return self.predict(X), self.accepts(X)
