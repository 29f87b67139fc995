"""Rows as a search for slices reads them, and the rows that a slice holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: (feature, bin) pairs, all of which must hold; in order of the features.
Conditions = tuple[tuple[int, int], ...]

#: Codes up to which bins are counted by their code.
_SMALL = 1 << 20


@dataclass(frozen=True, eq=False)
class Rows:
    """
    Rows in the order of a search, those without an error first; of their bins only those with enough rows.

    Parameters
    ----------
    columns : list of ndarray of shape (n_rows,)
        Place of each row's bin among the bins of a feature, or the number of bins where its own is too small.
    features : list of int
        Which feature each column is.
    bins : list of ndarray of shape (n_bins,)
        Which bin each place is.
    errors : ndarray of shape (n_rows,)
        Not negative.
    weights : ndarray of shape (n_rows,), optional
        Above zero; None where every row counts once.
    support : float
        Rows that a slice needs.
    """

    columns: list[NDArray[np.integer[Any]]]
    features: list[int]
    bins: list[Ints]
    errors: Floats
    weights: Floats | None
    support: float

    @cached_property
    def width(self) -> int:
        """Places of the widest column, that of too small bins included."""
        return max((len(bins) for bins in self.bins), default=0) + 1

    @cached_property
    def good(self) -> int:
        """Rows without an error."""
        return len(self.errors) - int(np.count_nonzero(self.errors))

    @cached_property
    def masses(self) -> Floats:
        """Errors times weights."""
        return self.errors if self.weights is None else self.weights * self.errors

    @cached_property
    def total(self) -> float:
        """Rows in all, by weight."""
        return float(len(self.errors) if self.weights is None else self.weights.sum())

    @cached_property
    def countable(self) -> bool:
        """Whether all rows with an error have the same one and count once, so that counting them is enough."""
        wrong = self.errors[self.good :]
        return self.weights is None and bool(len(wrong)) and bool(wrong.min() == wrong.max())

    def conjunctions(self, levels: int) -> list[int]:
        """
        Return how many conjunctions of one bin each of 1, 2, ... features there are.

        Parameters
        ----------
        levels : int
        """
        made = [1] + [0] * levels
        for bins in self.bins:
            for level in range(levels, 0, -1):
                made[level] += made[level - 1] * len(bins)
        return made[1:]


def default_support(n: float) -> float:
    """
    Return the rows that a slice needs unless told otherwise: one in a hundred, and at least 32.

    Parameters
    ----------
    n : float
        Rows in all.

    Examples
    --------
    >>> default_support(2500.0), default_support(100_000.0)
    (32.0, 1000.0)
    """
    return max(32.0, float(math.ceil(n / 100)))


def checked_codes(codes: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """
    Return binned features, once they are known to be such.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
        Whole numbers from 0.

    Raises
    ------
    DataError
        If they are anything else, or there is no row.

    Examples
    --------
    >>> checked_codes(np.array([[0, 2]])).shape
    (1, 2)
    """
    array = np.asarray(codes)
    if array.ndim != 2 or not len(array) or array.dtype.kind not in "iub":
        raise DataError(
            f"codes of shape {array.shape} hold {array.dtype}, need whole numbers, one row a row and one column a "
            "feature. Hint: bin the features first."
        )
    if array.dtype.kind == "i" and array.size and (low := int(array.min())) < 0:
        row, feature = np.argwhere(array == low)[0]
        raise DataError(f"codes is {low} in row {row} of feature {feature}. Hint: number the bins from 0.")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def prepared(codes: NDArray[np.integer[Any]], errors: Floats, weights: Floats | None = None, *, support: float) -> Rows:
    """
    Return rows as a search reads them.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
        Bins as whole numbers from 0.
    errors : ndarray of shape (n_rows,)
        Not negative.
    weights : ndarray of shape (n_rows,), optional
        Not negative.
    support : float
        Rows that a slice needs, by weight.

    Examples
    --------
    >>> rows = prepared(np.array([[0, 5], [1, 5], [1, 7]]), np.array([1.0, 0.0, 1.0]), support=2)
    >>> rows.errors.tolist(), [bins.tolist() for bins in rows.bins], rows.conjunctions(2)
    ([0.0, 1.0, 1.0], [[1], [5]], [2, 1])
    """
    wrong = errors > 0
    if weights is None:
        order = None if wrong.all() else np.concatenate([np.flatnonzero(~wrong), np.flatnonzero(wrong)])
    else:
        order = np.concatenate([np.flatnonzero(~wrong & (weights > 0)), np.flatnonzero(wrong & (weights > 0))])
    columns, features, bins = [], [], []
    for feature in range(codes.shape[1]):
        column = np.ascontiguousarray(codes[:, feature])
        names = None
        if int(column.max()) >= _SMALL:
            names, column = np.unique(column, return_inverse=True)
        sizes = np.bincount(column, weights)
        enough = np.flatnonzero(sizes >= support)
        if not len(enough):
            continue
        places = np.full(len(sizes), len(enough), dtype=np.min_scalar_type(len(enough)))
        places[enough] = np.arange(len(enough))
        placed = places[column]
        columns.append(placed if order is None else placed[order])
        features.append(feature)
        bins.append(enough if names is None else names[enough].astype(np.int64))
    if order is not None:
        errors, weights = errors[order], None if weights is None else weights[order]
    return Rows(columns, features, bins, errors, weights, support)


def members(codes: NDArray[np.integer[Any]], conditions: Sequence[tuple[int, int]]) -> Mask:
    """
    Return which rows lie in a slice.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
        Bins as whole numbers from 0.
    conditions : sequence of (int, int)
        Feature and bin; all must hold. Without any, all rows do.

    Returns
    -------
    ndarray of bool, shape (n_rows,)

    Examples
    --------
    >>> members(np.array([[0, 1], [0, 2], [1, 1]]), [(0, 0), (1, 1)]).tolist()
    [True, False, False]
    """
    inside = np.ones(len(codes), dtype=bool)
    for feature, place in conditions:
        inside &= codes[:, feature] == place
    return inside
