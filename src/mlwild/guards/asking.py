"""A model is asked, whatever it raises; and the rows that make it raise are found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.guards.stages import Predict

Floats = NDArray[np.float64]

#: Calls that finding the rows at which a model raises may take if none succeeds. Each that does is worth four more,
#: up to one call for two rows in all.
TRIES, EARNED, PART = 32, 4, 2
#: Said of a stage that was too slow.
LATE = "did not answer in time"


def tried(X: Any, shape: tuple[int, ...], predict: Predict, kind: str) -> tuple[Floats, str]:  # noqa: N803
    """
    Ask a model; where it raises, for halves of the rows, until those to blame are alone or no call is left.

    Parameters
    ----------
    X : frame of n_rows
    shape : tuple of int
        Of its answers, the rows first.
    predict : callable
    kind : str
        Kind of frame that the model is given.

    Returns
    -------
    ndarray of that shape
        NaN where it gives no answer.
    str
        What it raised, of any row; empty where nothing.

    Examples
    --------
    >>> import pyarrow as pa
    >>> def predict(X):
    ...     if 2.0 in X[:, 0]:
    ...         raise ValueError
    ...     return X[:, 0]
    >>> tried(np.array([[1.0], [2.0], [3.0]]), (3,), predict, "numpy")
    (array([ 1., nan,  3.]), 'raised ValueError')
    """
    return _tried(X, shape, predict, kind, [TRIES, max(shape[0] // PART - TRIES, 0)])


def _tried(X: Any, shape: tuple[int, ...], predict: Predict, kind: str, left: list[int]) -> tuple[Floats, str]:  # noqa: N803
    n = shape[0]
    left[0] -= 1
    try:
        made = np.asarray(predict(X), dtype=np.float64)
    except MemoryError:
        raise
    except TimeoutError:
        return np.full(shape, np.nan), LATE
    except (Exception, SystemExit) as problem:  # noqa: BLE001  whatever a model raises, the next stage answers
        if n > 1 and left[0] > 0:
            table = X if type(X).__module__.partition(".")[0] == "pyarrow" else frames.to_arrow(X, "features")[0]
            halves = [(0, n // 2), (n // 2, n - n // 2)]
            parts = [
                _tried(frames.from_arrow(table.slice(at, size), kind), (size, *shape[1:]), predict, kind, left)
                for at, size in halves
            ]
            return np.concatenate([value for value, _ in parts]), parts[0][1] or parts[1][1]
        return np.full(shape, np.nan), f"raised {type(problem).__name__}"
    earned = min(EARNED, left[1])
    left[0], left[1] = left[0] + earned, left[1] - earned
    return (made, "") if made.shape == shape else (np.full(shape, np.nan), f"answered in shape {made.shape}")
