"""What all remedies share: they are scikit-learn estimators around a base model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from mlwild.errors import AppError, DataError
from mlwild.remedies import fits, rows
from mlwild.remedies.slices import Bools, Slice, split_off

Floats = NDArray[np.float64]


def _gives_probabilities(wrapper: Any) -> bool:
    return hasattr(wrapper.base, "predict_proba") or not hasattr(wrapper.base, "fit")


@dataclass(eq=False, repr=False)
class Wrapper(BaseEstimator):  # type: ignore[misc]
    """
    A base model with a remedy around it; fitted, it has `model_`, and `classes_` where labels are classes.

    Parameters
    ----------
    base : estimator or callable
        With fit and predict (or predict_proba), or a function ``train(X, y)`` that returns ``predict(X)``.
    slice : callable, str or None
        A function of the features frame that says which rows are meant; or a column of truth values,
        which the base model does not get to see.
    random_state : int, optional
        Seed; `mlwild.rehearse` sets it.
    """

    base: Any
    slice: Slice | None = None
    random_state: int | None = None

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: a wrapped classifier is a classifier."""
        tags = super().__sklearn_tags__()
        if hasattr(self.base, "__sklearn_tags__"):
            inner = self.base.__sklearn_tags__()
            tags.estimator_type = inner.estimator_type
            tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        return tags

    @property
    def seed(self) -> int:
        """The seed in use."""
        return 0 if self.random_state is None else int(self.random_state)

    @property
    def classes(self) -> NDArray[Any] | None:
        """Classes that were learned from; None where labels are numbers, and before the fit."""
        return getattr(self, "classes_", None)

    def opened(self, X: Any, y: Any) -> tuple[Any, NDArray[Any], Bools | None]:  # noqa: N803
        """
        Return rows as the base model may see them, labels and the mask of the slice; and note the classes.

        Raises
        ------
        DataError
            If labels and rows do not agree in number, or the slice holds no row.
        """
        labels = np.asarray(y)
        if labels.shape != (rows.count(X),):
            raise DataError(f"y: has shape {labels.shape}, need one label for each of {rows.count(X)} rows.")
        seen, mask = split_off(X, self.slice)
        if mask is not None and not mask.any():
            raise DataError("slice: holds none of the rows to learn from.")
        if fits.classifies(self.base, labels):
            self.classes_ = np.unique(labels)
        elif hasattr(self, "classes_"):
            del self.classes_
        return seen, labels, mask

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return what the fitted base model predicts, shape (n_rows,)."""
        seen, _ = split_off(X, self.slice)
        model = self.model_
        return np.asarray(model.predict(seen) if hasattr(model, "predict") else model(seen))

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Return the probability of each class, shape (n_rows, n_classes)."""
        if self.classes is None:  # a function that gives numbers: those of the greater class
            upper = np.asarray(self.predict(X), dtype=np.float64)
            return np.column_stack([1.0 - upper, upper])
        return self.chances(X)

    def chances(self, X: Any) -> Floats:  # noqa: N803
        """Return what `predict_proba` gives where labels are classes."""
        seen, _ = split_off(X, self.slice)
        assert self.classes is not None
        return fits.probabilities(self.model_, seen, self.classes)


def need_slice(wrapper: Wrapper) -> None:
    """Refuse a remedy that needs a slice and has none."""
    if wrapper.slice is None:
        raise AppError(
            f"slice: {type(wrapper).__name__} needs one: a function of the features that says which rows are meant, "
            "or a column of truth values."
        )


def need(condition: bool, field: str, message: str) -> None:
    """Refuse a setting."""
    if not condition:
        raise AppError(f"{field}: {message}")
