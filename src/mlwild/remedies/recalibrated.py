"""Recalibration: another curve from score to probability, or another threshold, for the rows of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.losses import CLIP, Loss, named
from mlwild.remedies import fits
from mlwild.remedies.losses import class_losses
from mlwild.remedies.slices import Bools, split_off
from mlwild.remedies.wrapper import Wrapper, need, need_slice
from mlwild.stats.calibration import Isotonic, calibrated, isotonic

Floats = NDArray[np.float64]

HOW = ("platt", "isotonic", "threshold")


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
        self.curves_: list[Sigmoid | Isotonic | Line] = []
        if classes is None:
            self.curves_ = [self._of_values(inside[:, 0], wanted.astype(np.float64))]
        elif self.how == "threshold":
            self.threshold_ = best_threshold(named(self.loss), wanted, inside[:, -1], classes)
        else:
            first = 1 if two else 0
            for place in range(first, len(classes)):
                self.curves_.append(self._of_class(inside[:, place], wanted == classes[place]))
        return self

    def _of_class(self, p: Floats, hit: Bools) -> Sigmoid | Isotonic:
        return platt(p, hit) if self.how == "platt" else isotonic(p, hit.astype(np.float64))

    def _of_values(self, given: Floats, wanted: Floats) -> Line | Isotonic:
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
            upper = _through(self.curves_[0], inside[:, 1])
            made[mask] = np.column_stack([1.0 - upper, upper])
            return made
        each = np.column_stack([_through(curve, inside[:, place]) for place, curve in enumerate(self.curves_)])
        total = each.sum(axis=1, keepdims=True)
        made[mask] = np.where(total > 0, each / np.where(total > 0, total, 1.0), inside)
        return made

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the predicted class or number of each row."""
        seen, mask = split_off(X, self.slice)
        assert mask is not None
        if self.classes is None:
            made = fits.values(self.model_, seen)
            made[mask] = _through(self.curves_[0], made[mask])
            return made
        chances = self.chances(X)
        codes = chances.argmax(axis=1)
        if self.how == "threshold":
            codes[mask] = chances[mask, -1] >= self.threshold_
        return np.asarray(self.classes[codes])


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


def _through(curve: Sigmoid | Isotonic | Line, scores: Floats) -> Floats:
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
    >>> best_threshold(named("zero_one"), np.array([0, 1, 1]), np.array([0.1, 0.2, 0.4]), np.array([0, 1]))
    0.15000000000000002
    """
    one = np.ones(len(labels))
    yes = class_losses(loss, labels, np.column_stack([0 * one, one]), classes)
    no = class_losses(loss, labels, np.column_stack([one, 0 * one]), classes)
    kinds, place = np.unique(upper, return_inverse=True)
    gain = np.bincount(place, no - yes, len(kinds))
    cuts = np.concatenate([[0.0], (kinds[1:] + kinds[:-1]) / 2, [np.nextafter(1.0, 2.0)]])
    # Predicting the greater class from a cut on saves the gains of what lies above it.
    saved = np.append(np.cumsum(gain[::-1])[::-1], 0.0)
    best = np.flatnonzero(saved >= saved.max() - 1e-12)
    return float(cuts[best[np.abs(cuts[best] - 0.5).argmin()]])
