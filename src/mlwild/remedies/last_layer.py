"""The last layer refitted on rows in which all groups count the same (deep feature reweighting)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.remedies import fits, rows
from mlwild.remedies.jtt import wrong
from mlwild.remedies.layers import layer_of, layered, logits
from mlwild.remedies.slices import Bools, groups, split_off
from mlwild.remedies.wrapper import Wrapper, need

Floats = NDArray[np.float64]
Layer = Callable[[Any, Any], Any]


@dataclass(eq=False, repr=False)
class LastLayer(Wrapper):
    """
    A classifier whose last layer is refitted where no group is rare (deep feature reweighting).

    The base model is fitted to most rows; a logistic head is fitted to the others, over what the model makes
    of a row before its last step: the last hidden layer of a network, the leaves of a forest, or your own
    `layer`. Groups (slice and rest, within each class) count the same for the head; without a slice, what
    the base model got right and wrong within each class does. A model that has no such layer is fitted to
    all rows, and the head is fitted to its log odds out of fold, with the slice and named columns beside
    them. How much the head is held back is chosen by the worst group of one half after a fit to the other.

    Parameters
    ----------
    base : estimator
        A classifier.
    slice : callable, str or None
    random_state : int, optional
    held : float
        Share of each group that the head is fitted to, in (0, 0.5]; every so many rows in order.
    folds : int
        For models without a layer: spans of neighbouring rows, at least 2.
    columns : sequence of str
        For models without a layer: columns of numbers that the head sees too.
    layer : callable, optional
        ``layer(model, X)``: an array of shape (n_rows, n_units).
    by_class : bool
        As for `Reweighted`.
    strengths : sequence of float
        Inverse penalties of the head that are tried, above 0.

    Attributes
    ----------
    head_ : fitted estimator
    strength_ : float
        The chosen one of `strengths`.

    Raises
    ------
    AppError
        If a setting is wrong; or (in fit) the model predicts numbers, or has no layer and neither a slice
        nor columns are given.

    References
    ----------
    .. [1] Kirichenko, P., Izmailov, P., & Wilson, A. G. (2023). Last layer re-training is sufficient for
       robustness to spurious correlations. ICLR.
    .. [2] LaBonte, T., Muthukumar, V., & Kumar, A. (2023). Towards last-layer retraining for group robustness
       with fewer annotations. NeurIPS.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> x, few = rng.normal(size=3000), rng.random(3000) < 0.1
    >>> X, y = np.column_stack([x, few]), np.where(few, x < 0, x > 0)
    >>> model = LastLayer(LogisticRegression(), slice="x1").fit(X, y)
    >>> bool((model.predict(X[few]) == y[few]).mean() > 0.9)
    True
    """

    held: float = 0.25
    folds: int = 3
    columns: Sequence[str] = ()
    layer: Layer | None = None
    by_class: bool = True
    strengths: Sequence[float] = (0.01, 0.1, 1.0)

    def __post_init__(self) -> None:
        """Check the settings."""
        need(0 < self.held <= 0.5, "held", f"{self.held!r} does not lie in (0, 0.5].")
        need(self.folds >= 2, "folds", f"{self.folds!r} is not at least 2.")
        good = len(self.strengths) > 0 and all(0 < one < float("inf") for one in self.strengths)
        need(good, "strengths", f"{self.strengths!r} are not numbers above 0.")

    @property
    def has_layer(self) -> bool:
        """Whether the base model has a layer that its last step reads."""
        return self.layer is not None or layered(self.base)

    @property
    def fits(self) -> int:
        """Fits of the base model that one fit takes."""
        return 1 if self.has_layer else self.folds + 1

    def fit(self, X: Any, y: Any) -> LastLayer:  # noqa: N803
        """Fit the base model, then the head."""
        seen, labels, mask = self.opened(X, y)
        need(self.classes is not None, "base", "the last layer is refitted for classifiers; this one predicts numbers.")
        if self.has_layer:
            self._fit_layered(seen, labels, mask)
        else:
            need(
                mask is not None or len(self.columns) > 0,
                "slice",
                f"{type(self.base).__name__} has no layer to refit: name a slice, columns, or a layer.",
            )
            self._fit_scores(seen, labels, mask)
        return self

    def _fit_layered(self, X: Any, labels: NDArray[Any], mask: Bools | None) -> None:  # noqa: N803
        classes = self.classes
        assert classes is not None
        codes, _ = groups(labels, mask, classifies=True)
        held = rows.every(codes, round(1 / self.held))
        kept, tested = np.flatnonzero(~held), np.flatnonzero(held)
        self.model_ = models.fit(self.base, rows.take(X, kept), labels[kept], self.seed)
        self.layer_ = None if self.layer is not None else layer_of(self.model_)
        part = rows.take(X, tested)
        aside = mask[tested] if mask is not None else None
        if aside is None:
            aside = wrong(fits.probabilities(self.model_, part, classes), labels[tested], classes)
        self._fit_head(self._inputs(part, None), labels[tested], aside)

    def _fit_scores(self, X: Any, labels: NDArray[Any], mask: Bools | None) -> None:  # noqa: N803
        classes = self.classes
        given = fits.out_of_fold(self.base, X, labels, classes=classes, folds=self.folds, seed=self.seed)
        self.model_, self.layer_ = models.fit(self.base, X, labels, self.seed), None
        aside = wrong(given, labels, classes) if mask is None else mask
        self._fit_head(self._beside(logits(given), X, mask), labels, aside)

    def _beside(self, score: Floats, X: Any, mask: Bools | None) -> Floats:  # noqa: N803
        """Return log odds with the slice and the named columns beside them."""
        parts = [score]
        if mask is not None:
            parts += [mask[:, None].astype(np.float64), score * mask[:, None]]
        for name in self.columns:
            values, missing = rows.column(X, name, "columns")
            need(values.dtype.kind in "iufb", "columns", f"{name!r} holds no numbers.")
            parts.append(np.where(missing, 0.0, values.astype(np.float64))[:, None])
        return np.column_stack(parts)

    def _inputs(self, X: Any, mask: Bools | None) -> Any:  # noqa: N803
        """Return what the head reads of rows."""
        if self.layer is not None:
            return self.layer(self.model_, X)
        if self.layer_ is not None:
            return self.layer_(X)
        assert self.classes is not None
        return self._beside(logits(fits.probabilities(self.model_, X, self.classes)), X, mask)

    def _fit_head(self, inputs: Any, labels: NDArray[Any], aside: Bools) -> None:
        classes = self.classes
        assert classes is not None
        codes, n_groups = groups(labels, aside, classifies=self.by_class)
        weights = fits.balanced(codes, n_groups)
        half = rows.every(codes, 2)
        tried = {}
        for strength in self.strengths if len(self.strengths) > 1 else ():
            head = _head(strength, inputs[~half], labels[~half], weights[~half])
            lost = fits.row_losses(fits.probabilities(head, inputs[half], classes), labels[half], classes)
            sums = np.bincount(codes[half], lost, n_groups)
            tried[strength] = float((sums / np.maximum(np.bincount(codes[half], minlength=n_groups), 1)).max())
        self.strength_ = min(tried, key=lambda one: (tried[one], one)) if tried else self.strengths[0]
        self.head_ = _head(self.strength_, inputs, labels, weights)

    def chances(self, X: Any) -> Floats:  # noqa: N803
        """Return the head's probability of each class."""
        seen, mask = split_off(X, self.slice)
        assert self.classes is not None
        return fits.probabilities(self.head_, self._inputs(seen, mask), self.classes)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the head's most probable class of each row."""
        assert self.classes is not None
        return np.asarray(self.classes[self.chances(X).argmax(axis=1)])


def _head(strength: float, inputs: Any, labels: NDArray[Any], weights: Floats) -> Any:
    """Return a logistic regression on scaled inputs, with weights; a constant where there is one class."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(labels)) == 1:
        return DummyClassifier().fit(inputs, labels)
    sparse = hasattr(inputs, "tocsr")
    made = make_pipeline(StandardScaler(with_mean=not sparse), LogisticRegression(C=strength, max_iter=2000))
    return made.fit(inputs, labels, logisticregression__sample_weight=weights)
