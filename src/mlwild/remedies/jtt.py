"""Just Train Twice: what a first model got wrong counts more for the second; no group is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.remedies import fits
from mlwild.remedies.slices import Bools
from mlwild.remedies.wrapper import Wrapper, need

Floats = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class JTT(Wrapper):
    """
    The base model fitted twice: what the first model got wrong counts more for the second.

    It needs no slice. A first model that is stopped early gets the rows wrong that go against the easy
    rule; where no such model is named, the errors are those of the base model out of fold. Rows that
    nothing can get right are errors too: they are upweighted for nothing.

    Parameters
    ----------
    base : estimator or callable
    slice : callable, str or None
        If given, only errors within it count more.
    random_state : int, optional
    upweight : float or "balanced"
        How often an error counts, at least 1. ``"balanced"``: within each class, errors count as much as the rest.
    first : estimator or callable, optional
        A model that learns less, such as one stopped early; its errors on the rows it learned from are taken.
    folds : int
        Spans of neighbouring rows for errors out of fold, at least 2.
    worst : float
        Where labels are numbers: the share of rows whose error is greatest, in (0, 1).
    way : {"auto", "weight", "resample"}
        As for `Reweighted`.

    Attributes
    ----------
    errors_ : ndarray of bool, shape (n_rows,)
        What the first model got wrong.

    Raises
    ------
    AppError
        If a setting is wrong.

    References
    ----------
    .. [1] Liu, E. Z., Haghgoo, B., Chen, A. S., Raghunathan, A., Koh, P. W., Sagawa, S., Liang, P., & Finn, C. (2021).
       Just train twice: improving group robustness without training group information. ICML, algorithm 1.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> x, few = rng.normal(size=400), rng.random(400) < 0.1
    >>> X, y = np.column_stack([x, few]), np.where(few, x < 0, x > 0)
    >>> found = JTT(LogisticRegression(), upweight=5.0).fit(X, y).errors_
    >>> bool(found[few].mean() > 0.9), bool(found[~few].mean() < 0.1)
    (True, True)
    """

    upweight: float | str = 5.0
    first: Any = None
    folds: int = 3
    worst: float = 0.1
    way: str = "auto"

    def __post_init__(self) -> None:
        """Check the settings."""
        good = self.upweight == "balanced" if isinstance(self.upweight, str) else 1 <= self.upweight < float("inf")
        need(good, "upweight", f"{self.upweight!r} is neither a number of at least 1 nor 'balanced'.")
        need(self.folds >= 2, "folds", f"{self.folds!r} is not at least 2.")
        need(0 < self.worst < 1, "worst", f"{self.worst!r} does not lie between 0 and 1.")
        need(self.way in fits.WAYS, "way", f"{self.way!r} is not one of {', '.join(fits.WAYS)}.")

    @property
    def fits(self) -> int:
        """Fits of a model that one fit takes."""
        return 2 if self.first is not None else self.folds + 1

    def fit(self, X: Any, y: Any) -> JTT:  # noqa: N803
        """Find the errors of a first model, then fit the base model to rows of which these count more."""
        seen, labels, mask = self.opened(X, y)
        self.errors_ = self._errors(seen, labels)
        counted = self.errors_ if mask is None else self.errors_ & mask
        weights = self._weights(labels, counted)
        self.model_ = fits.fit(self.base, seen, labels, seed=self.seed, weights=weights, way=self.way)
        return self

    def _errors(self, X: Any, labels: NDArray[Any]) -> Bools:  # noqa: N803
        classes = self.classes
        if self.first is not None:
            predicted = fits.scores(models.fit(self.first, X, labels, self.seed), X, classes)
        else:
            predicted = fits.out_of_fold(self.base, X, labels, classes=classes, folds=self.folds, seed=self.seed)
        return wrong(predicted, labels, classes, worst=self.worst)

    def _weights(self, labels: NDArray[Any], errors: Bools) -> Floats:
        if not isinstance(self.upweight, str):
            return np.where(errors, float(self.upweight), 1.0)
        made = np.ones(len(labels))
        kinds = np.zeros(len(labels), np.int64) if self.classes is None else np.searchsorted(self.classes, labels)
        for kind in np.unique(kinds):
            inside, missed = kinds == kind, (kinds == kind) & errors
            if missed.any() and missed.sum() < inside.sum():
                made[missed] = (inside.sum() - missed.sum()) / missed.sum()
        return made


def wrong(predicted: Floats, labels: NDArray[Any], classes: NDArray[Any] | None, *, worst: float = 0.1) -> Bools:
    """
    Return which rows a model got wrong; of numbers, those with the greatest error.

    Parameters
    ----------
    predicted : ndarray of shape (n_rows, n_classes) or (n_rows, 1)
    labels : ndarray of shape (n_rows,)
    classes : ndarray of shape (n_classes,) or None
    worst : float
        Share of rows, where labels are numbers.

    Examples
    --------
    >>> wrong(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]), np.array([0, 1])).tolist()
    [False, True]
    """
    if classes is not None:
        return np.asarray(classes[predicted.argmax(axis=1)] != labels)
    error = np.abs(predicted[:, 0] - labels.astype(np.float64))
    return np.asarray(error > np.quantile(error, 1 - worst))
