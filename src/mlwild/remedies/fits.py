"""Fits of the base model: weighted or resampled, out of fold, and what they predict."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.errors import AppError
from mlwild.remedies import rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: How rows are given weight: as sample weights where fit takes them, or by drawing rows.
WAYS = ("auto", "weight", "resample")


def classifies(base: Any, y: NDArray[Any]) -> bool:
    """
    Say whether a base model tells classes apart.

    A function ``train(X, y)`` does not say so itself: it counts as a classifier unless labels are floats,
    which is how a rehearsal hands labels to models of numbers.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression, LogisticRegression
    >>> classifies(LogisticRegression(), np.array([0, 1])), classifies(LinearRegression(), np.array([0, 1]))
    (True, False)
    """
    if not hasattr(base, "fit"):
        return y.dtype.kind != "f"
    if hasattr(base, "predict_proba"):
        return True
    from sklearn.base import is_classifier

    return bool(hasattr(base, "__sklearn_tags__") and is_classifier(base))


def weight_parameter(base: Any) -> str | None:
    """
    Return the name under which fit takes sample weights, or None; in a pipeline, that of the last step.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> weight_parameter(LogisticRegression()), weight_parameter(make_pipeline(LogisticRegression()))
    ('sample_weight', 'logisticregression__sample_weight')
    """
    steps = getattr(base, "steps", None)
    if steps:
        name, last = steps[-1]
        inner = weight_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    fit = getattr(base, "fit", None)
    return "sample_weight" if fit is not None and "sample_weight" in inspect.signature(fit).parameters else None


def fit(base: Any, X: Any, y: NDArray[Any], *, seed: int, weights: Floats | None = None, way: str = "auto") -> Any:  # noqa: N803
    """
    Return the base model fitted to rows that count by their weights.

    Parameters
    ----------
    base : estimator or callable
    X : frame or ndarray of n_rows
    y : ndarray of shape (n_rows,)
    seed : int
    weights : ndarray of shape (n_rows,), optional
        Not negative; only their ratios matter. Default all alike.
    way : {"auto", "weight", "resample"}
        Sample weights, or as many rows drawn with replacement. ``"auto"``: weights where fit takes them.

    Raises
    ------
    AppError
        If weights are asked for by name and fit takes none.
    """
    if weights is None:
        return models.fit(base, X, y, seed)
    name = None if way == "resample" else weight_parameter(base)
    if name is not None:
        given: Mapping[str, Any] = {name: weights * (len(weights) / weights.sum())}
        return models.fit(base, X, y, seed, given)
    if way == "weight":
        raise AppError(f"way: fit of {type(base).__name__} takes no sample_weight. Say way='resample'.")
    drawn = np.random.default_rng(seed).choice(len(y), size=len(y), p=weights / weights.sum())
    return models.fit(base, rows.take(X, drawn), y[drawn], seed)


def probabilities(model: Any, X: Any, classes: NDArray[Any]) -> Floats:  # noqa: N803
    """
    Return the probability of each class, shape (n_rows, n_classes); all on one class where only that is told.

    Raises
    ------
    PredictionError
        If what the model gives is no prediction.
    """
    if hasattr(model, "predict_proba"):
        return models.predict(model, X, "probabilities", classes).astype(np.float64)
    raw = np.asarray(model.predict(X) if hasattr(model, "predict") else model(X))
    if raw.dtype.kind == "f" and raw.ndim == 1 and len(classes) == 2:
        models.refuse_unfinite(raw)
        upper = np.clip(raw.astype(np.float64), 0.0, 1.0)
        return np.column_stack([1.0 - upper, upper])
    if raw.ndim == 2 and raw.shape[1] == len(classes):
        models.refuse_unfinite(raw)
        return raw.astype(np.float64)
    return np.asarray(raw.ravel()[:, None] == classes[None, :], dtype=np.float64)


def values(model: Any, X: Any) -> Floats:  # noqa: N803
    """Return predicted numbers, shape (n_rows,)."""
    return models.predict(model, X, "value", None).astype(np.float64)


def scores(model: Any, X: Any, classes: NDArray[Any] | None) -> Floats:  # noqa: N803
    """Return probabilities of classes where there are any, else values as one column."""
    return values(model, X)[:, None] if classes is None else probabilities(model, X, classes)


def out_of_fold(
    base: Any,
    X: Any,  # noqa: N803
    y: NDArray[Any],
    *,
    classes: NDArray[Any] | None,
    folds: int,
    seed: int,
) -> Floats:
    """
    Return predictions of each row by a model that did not see its fold; folds are spans of neighbours.

    Rows come in order of time, and neighbours resemble each other: a shuffled fold would see them.

    Returns
    -------
    ndarray of shape (n_rows, n_classes) or (n_rows, 1)
    """
    n = len(y)
    made = np.zeros((n, 1 if classes is None else len(classes)))
    for test in np.array_split(np.arange(n), min(folds, n)):
        train = np.setdiff1d(np.arange(n), test)
        if classes is not None and len(np.unique(y[train])) == 1:
            made[test] = np.asarray(classes == y[train][0], dtype=np.float64)
            continue
        made[test] = scores(models.fit(base, rows.take(X, train), y[train], seed), rows.take(X, test), classes)
    return made


def row_losses(predicted: Floats, y: NDArray[Any], classes: NDArray[Any] | None) -> Floats:
    """
    Return a loss of each row: half the Brier score of classes, in [0, 1]; the squared error of numbers.

    Examples
    --------
    >>> row_losses(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array(["a", "b"]), np.array(["a", "b"])).tolist()
    [0.25, 0.0]
    """
    if classes is None:
        return np.asarray((predicted[:, 0] - y.astype(np.float64)) ** 2)
    hit = y[:, None] == classes[None, :]
    return np.asarray(((predicted - hit) ** 2).sum(axis=1) / 2)


def balanced(codes: Ints, n_groups: int) -> Floats:
    """
    Return weights by which all groups count the same, with mean one.

    Examples
    --------
    >>> balanced(np.array([0, 0, 0, 1]), 2).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    sizes = np.bincount(codes, minlength=n_groups)
    return np.asarray(len(codes) / (n_groups * sizes[codes]), dtype=np.float64)
