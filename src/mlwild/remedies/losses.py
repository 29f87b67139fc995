"""The app's loss of a classifier's rows, from its probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError
from mlwild.losses import Loss

Floats = NDArray[np.float64]


def class_losses(loss: Loss, labels: NDArray[Any], probabilities: Floats, classes: NDArray[Any]) -> Floats:
    """
    Return the loss of each row, shape (n_rows,), as a rehearsal would count it.

    Raises
    ------
    AppError
        If the loss is one of sets, or of numbers.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> class_losses(named("brier"), np.array(["n", "y"]), np.array([[0.5, 0.5], [0.0, 1.0]]), np.array(["n", "y"]))
    array([0.25, 0.  ])
    """
    if loss.per != "row" or not loss.classifies:
        raise AppError(f"loss: {loss.name!r} is not a loss of each row of a classifier. Name one, such as 'zero_one'.")
    codes = np.searchsorted(classes, labels).astype(np.float64)
    if loss.predicts == "class":
        return loss.rows(codes, probabilities.argmax(axis=1).astype(np.float64))
    if loss.predicts == "probability" and len(classes) == 2:
        return loss.rows(codes, probabilities[:, -1])
    return loss.rows(codes, probabilities)
