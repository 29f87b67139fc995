"""Whether two sets of predictions are the same, but for the last digits of floating-point sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.fitted import Fitted

#: Predictions are kept in float32, which resolves 1.2e-7; sums in another order may differ by a few such steps.
RELATIVE = 1e-6


def differing(first: NDArray[np.float64], second: NDArray[np.float64], relative: float) -> NDArray[np.bool_]:
    """
    Return which rows differ by more than a share of their size, or of the usual size where they are small.

    Parameters
    ----------
    first, second : ndarray of shape (n,) or (n, n_classes)
    relative : float
        0 asks for the same bits.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> differing(np.array([1.0, 2.0]), np.array([1.0 + 1e-7, 2.1]), 1e-6).tolist()
    [False, True]
    """
    gap = np.abs(first - second)
    size = np.maximum(np.abs(first), np.sqrt(np.mean(first**2))) if len(first) else np.abs(first)
    unlike = ~(gap <= relative * size)  # NaN is like nothing
    return np.asarray(unlike.any(axis=1) if unlike.ndim == 2 else unlike)


def greatest(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the greatest difference of two sets of predictions."""
    return float(np.abs(first - second).max()) if len(first) else 0.0


def published(model: Fitted) -> str:
    """Say that a test does not apply to a published forecast, which has no model; or nothing."""
    return "the model is a published forecast: there is no code of it to test" if model.raw is None else ""
