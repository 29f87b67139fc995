"""Searches for many places at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def places(ordered: Floats, x: Floats) -> NDArray[np.intp]:
    """
    Return how many of some ordered numbers lie below each place, as `numpy.searchsorted` does.

    Places in order make each step of a search foreseeable: with the sort, half the time.

    Parameters
    ----------
    ordered : ndarray of shape (n,)
        Rising.
    x : ndarray of shape (n_places,)

    Examples
    --------
    >>> places(np.array([1.0, 2.0, 2.0]), np.array([2.0, 0.0, 9.0]))
    array([1, 0, 3])
    """
    order, found = x.argsort(), np.empty(len(x), dtype=np.intp)
    found[order] = ordered.searchsorted(x[order])
    return found
