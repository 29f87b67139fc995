"""What answers lose in the mean, and the one that loses least if it is always the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.losses import Loss

Floats = NDArray[np.float64]


def mean_loss(loss: Loss, labels: NDArray[Any], predictions: NDArray[Any], weights: Floats | None = None) -> float:
    """
    Return the mean loss of some predictions; infinite where the loss is not defined.

    Parameters
    ----------
    loss : Loss
    labels : ndarray of shape (n_rows,)
        Numbers, or class numbers.
    predictions : ndarray of shape (n_rows,) or (n_rows, n_classes)
    weights : ndarray of shape (n_rows,), optional
        Of the rows, above 0; a loss of whole sets has none. Default: all the same.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> mean_loss(named("squared"), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    >>> mean_loss(named("squared"), np.array([1.0, 2.0]), np.array([1.0, 4.0]), np.array([3.0, 1.0]))
    1.0
    >>> mean_loss(named("auc"), np.array([1, 1]), np.array([0.5, 0.4]))
    inf
    """
    if loss.per == "set":
        found = loss.of_set(labels, predictions)
        return found if math.isfinite(found) else math.inf
    try:
        return float(np.average(loss.rows(labels, predictions), weights=weights))
    except DataError:  # it is infinite or no number for some row
        return math.inf


def best_constant(loss: Loss, labels: NDArray[Any], ask: str, classes: int, weights: Floats | None = None) -> Floats:
    """
    Return the answer that loses least if it is always the same.

    Parameters
    ----------
    loss : Loss
    labels : ndarray of shape (n_rows,)
        Numbers, or class numbers.
    ask : str
        What the loss asks for.
    classes : int
        Number of classes; 0 for numbers.
    weights : ndarray of shape (n_rows,), optional
        As `mean_loss` takes them.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> float(best_constant(named("absolute"), np.array([1.0, 2.0, 9.0]), "value", 0))
    2.0
    >>> float(best_constant(named("log_loss"), np.array([0, 1, 1, 1]), "probability", 2))
    0.75
    >>> float(best_constant(named("log_loss"), np.array([0, 1, 1, 1]), "probability", 2, np.array([3.0, 1, 1, 1])))
    0.5
    """
    if ask in ("probability", "probabilities"):
        shares = np.bincount(labels.astype(np.int64), weights=weights, minlength=classes)
        shares = shares / (len(labels) if weights is None else weights.sum())
        return np.asarray(shares[-1] if ask == "probability" else shares, dtype=np.float64)
    if ask == "class":
        tried = np.arange(classes, dtype=np.float64)
    else:
        middle = np.average(labels, weights=weights)
        tried = np.unique(np.append(np.quantile(labels, np.linspace(0, 1, 101)), middle))
    lost = [mean_loss(loss, labels, np.full(len(labels), one), weights) for one in tried]
    return np.asarray(tried[int(np.argmin(lost))], dtype=np.float64)
