"""Recalibration: another curve from score to probability, or another threshold, for the rows of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.losses import Loss, named
from mlwild.remedies import fits
from mlwild.remedies.curves import Curve, best_threshold, line, platt, through
from mlwild.remedies.slices import Bools, split_off
from mlwild.remedies.wrapper import Wrapper, need, need_slice
from mlwild.stats.calibration import isotonic

Floats = NDArray[np.float64]

HOW = ("platt", "isotonic", "threshold")


@dataclass(eq=False, repr=False)
class Recalibrated(Wrapper):
    """
    The base model with its own curve from score to prediction on the rows of a slice.

    The curve is made from predictions of the slice's rows out of fold, by spans of neighbours; the model
    itself is fitted to all rows and predicts as before elsewhere.

    Parameters
    ----------
    base : estimator or callable
    slice : callable or str
    random_state : int, optional
    how : {"platt", "isotonic", "threshold"}
        A sigmoid; a non-decreasing curve (of each class against the rest, then normalised); or, for two
        classes, the threshold that loses least, which changes `predict` only. Where labels are numbers:
        a straight line for ``"platt"``, or the non-decreasing curve.
    loss : str or Loss
        For ``"threshold"``: a loss of classes, such as ``"zero_one"`` or your own.
    folds : int
        Spans of neighbouring rows, at least 2.

    Attributes
    ----------
    curves_ : list
        One a class (one for two classes): what scores go through in the slice.
    threshold_ : float
        Probability of the greater class from which on it is predicted in the slice; NaN without one.

    Raises
    ------
    AppError
        If a setting is wrong, or (in fit) there is no slice.

    References
    ----------
    .. [1] Zadrozny, B., & Elkan, C. (2002). Transforming classifier scores into accurate multiclass
       probability estimates. KDD.
    .. [2] Hebert-Johnson, U., Kim, M., Reingold, O., & Rothblum, G. (2018). Multicalibration: calibration for the
       (computationally-identifiable) masses. ICML.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> X = np.repeat([[0.0], [1.0]], 50, axis=0)[np.random.default_rng(0).permutation(100)]
    >>> model = Recalibrated(DummyClassifier(), slice=lambda X: X[:, 0] == 1, how="isotonic").fit(X, X[:, 0] == 1)
    >>> model.predict_proba(np.array([[0.0], [1.0]]))[:, 1].round(2).tolist()
    [0.5, 1.0]
    """

    how: str = "platt"
    loss: str | Loss = "zero_one"
    folds: int = 3

    def __post_init__(self) -> None:
        """Check the settings."""
        need(self.how in HOW, "how", f"{self.how!r} is not one of {', '.join(HOW)}.")
        need(self.folds >= 2, "folds", f"{self.folds!r} is not at least 2.")

    @property
    def fits(self) -> int:
        """Fits of the base model that one fit takes."""
        return self.folds + 1

    def fit(self, X: Any, y: Any) -> Recalibrated:  # noqa: N803
        """Fit the base model to all rows, and the curve to the slice's rows out of fold."""
        need_slice(self)
        seen, labels, mask = self.opened(X, y)
        assert mask is not None
        classes = self.classes
        two = classes is not None and len(classes) == 2
        need(self.how != "threshold" or two, "how", "'threshold' is for two classes.")
        given = fits.out_of_fold(self.base, seen, labels, classes=classes, folds=self.folds, seed=self.seed)
        self.model_ = models.fit(self.base, seen, labels, self.seed)
        inside, wanted = given[mask], labels[mask]
        self.threshold_ = float("nan")
        self.curves_: list[Curve] = []
        if classes is None:
            self.curves_ = [self._of_values(inside[:, 0], wanted.astype(np.float64))]
        elif self.how == "threshold":
            self.threshold_ = best_threshold(named(self.loss), wanted, inside[:, -1], classes)
        else:
            first = 1 if two else 0
            for place in range(first, len(classes)):
                self.curves_.append(self._of_class(inside[:, place], wanted == classes[place]))
        return self

    def _of_class(self, p: Floats, hit: Bools) -> Curve:
        return platt(p, hit) if self.how == "platt" else isotonic(p, hit.astype(np.float64))

    def _of_values(self, given: Floats, wanted: Floats) -> Curve:
        return line(given, wanted) if self.how == "platt" else isotonic(given, wanted)

    def chances(self, X: Any) -> Floats:  # noqa: N803
        """Return the probability of each class, through the curves where a row lies in the slice."""
        seen, mask = split_off(X, self.slice)
        assert mask is not None
        assert self.classes is not None
        made = fits.probabilities(self.model_, seen, self.classes)
        if not self.curves_ or not mask.any():
            return made
        inside = made[mask]
        if len(self.classes) == 2:
            upper = through(self.curves_[0], inside[:, 1])
            made[mask] = np.column_stack([1.0 - upper, upper])
            return made
        each = np.column_stack([through(curve, inside[:, place]) for place, curve in enumerate(self.curves_)])
        total = each.sum(axis=1, keepdims=True)
        made[mask] = np.where(total > 0, each / np.where(total > 0, total, 1.0), inside)
        return made

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the predicted class or number of each row."""
        seen, mask = split_off(X, self.slice)
        assert mask is not None
        if self.classes is None:
            made = fits.values(self.model_, seen)
            made[mask] = through(self.curves_[0], made[mask])
            return made
        chances = self.chances(X)
        codes = chances.argmax(axis=1)
        if self.how == "threshold":
            codes[mask] = chances[mask, -1] >= self.threshold_
        return np.asarray(self.classes[codes])
