"""What answers say of outcomes: how far off they were, how sure they are, and where the outcome lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlwild.guards.answers import Answers

if TYPE_CHECKING:
    from mlwild.guards.settings import Guard

Floats = NDArray[np.float64]


def around(part: Answers, ask: str, radius: Floats, settings: Guard) -> None:
    """Put an interval round each number, or a set of classes."""
    if ask == "value":
        part.low[:], part.high[:] = interval_of(part.value, radius, settings)
    elif ask.startswith("probab"):
        part.likely[:] = likely_of(ask, part.value, radius)


def interval_of(value: Floats, radius: Floats, settings: Guard) -> tuple[Floats, Floats]:
    """
    Return the ends of intervals: as far from the answer on either side, and not beyond what outcomes can be.

    Examples
    --------
    >>> from mlwild.guards import Guard
    >>> low, high = interval_of(np.array([1.0, 5.0, -1.0]), np.full(3, 2.0), Guard(low=0.0))
    >>> low.tolist(), high.tolist()  # an answer that can be no outcome is in its interval all the same
    ([0.0, 3.0, -1.0], [3.0, 7.0, 1.0])
    """
    low, high = value - radius, value + radius
    if settings.low is not None:
        low = np.maximum(low, np.minimum(value, settings.low))
    if settings.high is not None:
        high = np.minimum(high, np.maximum(value, settings.high))
    return low, high


def likely_of(ask: str, value: Floats, radius: Floats) -> NDArray[np.bool_]:
    """
    Return the classes that each outcome is among: the likeliest, and all that are no further off than its radius.

    Examples
    --------
    >>> likely_of("probability", np.array([0.25, 0.9]), np.array([0.8, 0.2])).tolist()
    [[True, True], [False, True]]
    """
    chances = np.column_stack([1.0 - value, value]) if ask == "probability" else value
    # As `scores_of` rounds it: a class that is just as far off as the radius, which scores give, would be left out.
    off = np.column_stack([value, 1.0 - value]) if ask == "probability" else 1.0 - value
    return np.asarray((off <= radius[:, None]) | (chances == chances.max(axis=1, keepdims=True)))


def likeliest_of(value: Floats) -> tuple[NDArray[np.int64], Floats]:
    """
    Return the likeliest class of each row, and its probability.

    Examples
    --------
    >>> [one.tolist() for one in likeliest_of(np.array([0.25, 0.9]))]
    [[0, 1], [0.75, 0.9]]
    """
    if value.ndim == 1:
        return (value > 0.5).astype(np.int64), np.maximum(value, 1.0 - value)
    return value.argmax(axis=1).astype(np.int64), value.max(axis=1)


def scores_of(ask: str, labels: NDArray[Any], value: Floats) -> Floats:
    """
    Return how far off answers were: absolute errors, or one less the probability of the class that came.

    Examples
    --------
    >>> scores_of("probability", np.array([1, 0]), np.array([0.75, 0.25])).tolist()
    [0.25, 0.25]
    """
    if ask == "value":
        return np.abs(np.asarray(labels, dtype=np.float64) - value)
    if ask == "probability":
        return np.where(np.asarray(labels) > 0.5, 1.0 - value, value).astype(np.float64)
    if ask == "probabilities":
        return np.asarray(1.0 - value[np.arange(len(labels)), labels.astype(np.int64)], dtype=np.float64)
    return np.asarray(labels != value, dtype=np.float64)
