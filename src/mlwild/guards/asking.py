"""A model is asked, whatever it raises; and the rows that make it raise are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.guards.stages import Predict

Floats = NDArray[np.float64]

#: Calls that finding the rows at which a model raises may take if none succeeds. Each that does is worth four more,
#: up to one call for two rows in all.
TRIES, EARNED, PART = 32, 4, 2
#: Said of a stage that was too slow, and of one that raised, before the name of what.
LATE = "did not answer in time"
RAISED = "raised "


@dataclass
class _Calls:
    """Calls that are left, those that may still be earned, whether there is but one row, and what raising goes by."""

    left: int
    more: int
    alone: bool
    chance: bool | None = None


def tried(X: Any, shape: tuple[int, ...], predict: Predict, kind: str) -> tuple[Floats, str, bool]:  # noqa: N803
    """
    Ask a model; where it raises, for halves of the rows, until those to blame are alone or no call is left.

    The first row at which it raises alone, or the first rows of which it answers either half, are asked for once more.
    If it answers then, it raises by chance: no row is to blame, and no more halves are asked for.

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
    bool
        Whether it raises by chance.

    Examples
    --------
    >>> import pyarrow as pa
    >>> def predict(X):
    ...     if 2.0 in X[:, 0]:
    ...         raise ValueError
    ...     return X[:, 0]
    >>> tried(np.array([[1.0], [2.0], [3.0]]), (3,), predict, "numpy")
    (array([ 1., nan,  3.]), 'raised ValueError', False)
    """
    calls = _Calls(TRIES, max(shape[0] // PART - TRIES, 0), alone=shape[0] == 1)
    made, problem = _tried(X, shape, predict, kind, calls)
    return made, problem, bool(calls.chance)


def _tried(X: Any, shape: tuple[int, ...], predict: Predict, kind: str, calls: _Calls) -> tuple[Floats, str]:  # noqa: N803
    n = shape[0]
    made, problem = _once(X, shape, predict, calls)
    if not problem.startswith(RAISED):
        return made, problem
    if n > 1:
        if calls.left <= 0:
            return made, problem
        table = X if type(X).__module__.partition(".")[0] == "pyarrow" else frames.to_arrow(X, "features")[0]
        parts = [
            _tried(frames.from_arrow(table.slice(at, size), kind), (size, *shape[1:]), predict, kind, calls)
            for at, size in ((0, n // 2), (n // 2, n - n // 2))
        ]
        made, problem = np.concatenate([value for value, _ in parts]), parts[0][1] or parts[1][1]
        if problem:
            return made, problem
    elif calls.alone:
        return made, problem
    # Nothing smaller explains that it raised: a row alone, or rows of which either half is answered.
    if calls.chance is None:
        again = _once(X, shape, predict, calls)
        calls.chance = not again[1]
        if calls.chance:
            calls.left = calls.more = 0
            return again
    return made, problem


def _once(X: Any, shape: tuple[int, ...], predict: Predict, calls: _Calls) -> tuple[Floats, str]:  # noqa: N803
    calls.left -= 1
    try:
        made = np.asarray(predict(X), dtype=np.float64)
    except MemoryError:
        raise
    except TimeoutError:
        return np.full(shape, np.nan), LATE
    except (Exception, SystemExit) as problem:  # noqa: BLE001  whatever a model raises, the next stage answers
        return np.full(shape, np.nan), RAISED + type(problem).__name__
    earned = min(EARNED, calls.more)
    calls.left, calls.more = calls.left + earned, calls.more - earned
    return (made, "") if made.shape == shape else (np.full(shape, np.nan), f"answered in shape {made.shape}")
