"""SliceLine: the worst slices of a table, by exact search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.paired import finite
from mlwild.stats.slices.best import RankedSlice
from mlwild.stats.slices.lattice import search
from mlwild.stats.slices.rows import checked_codes, default_support, prepared
from mlwild.stats.slices.scores import SliceLineScore

Floats = NDArray[np.float64]

#: Conditions that a slice may have, at most.
MOST_LEVELS = 4


@dataclass(frozen=True)
class TopSlices:
    """
    The slices that score highest.

    They are the extremes of a search: what they lose on the rows that they were found on is flattered
    badness. `found_slices` confirms them on other rows.

    Parameters
    ----------
    slices : tuple of RankedSlice
        Highest score first; of equals the one with fewer conditions, then in order of features and bins.
    ties : int
        How many more score as high as the last one.
    searched : int
        Conjunctions among which these are the best.
    counted : int
        How many of them had to be counted; the bound ruled out the others.
    mean : float
        Mean error of all rows.
    """

    slices: tuple[RankedSlice, ...]
    ties: int
    searched: int
    counted: int
    mean: float


def sliceline(
    codes: NDArray[Any],
    errors: Any,
    *,
    weights: Any = None,
    k: int = 10,
    alpha: float = 0.6,
    levels: int = 3,
    support: float | None = None,
) -> TopSlices:
    """
    Return the k slices with the highest SliceLine score, exactly.

    A slice is a conjunction of bins of different features. Its score is
    alpha (its mean error / mean error - 1) - (1 - alpha) (all rows / its rows - 1); those of zero and below
    are left out. With the default alpha only a slice with over two thirds of the sum of all errors scores
    above zero: to find a small slice that is much worse, raise alpha.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
        Bins of the features, as whole numbers from 0.
    errors : array-like of shape (n_rows,)
        Loss of each row, 0 or more.
    weights : array-like of shape (n_rows,), optional
        How many rows each one counts for, 0 or more; default 1.
    k : int
    alpha : float
        Weight of the error against the size, in (0, 1].
    levels : int
        Conditions of a slice, at most; 1 to 4.
    support : float, optional
        Rows that a slice needs, by weight; default one in a hundred, and at least 32.

    Returns
    -------
    TopSlices

    Raises
    ------
    DataError
        If the codes are no whole numbers from 0, an error or weight is below 0 or not finite, or a setting is
        out of its range.

    References
    ----------
    .. [1] Sagadeeva, S., & Boehm, M. (2021). SliceLine: fast, linear-algebra-based slice finding for ML
       model debugging. SIGMOD, 2290-2299.

    Examples
    --------
    >>> codes = np.array([[i % 2, i // 2 % 3] for i in range(600)])
    >>> errors = np.where((codes[:, 0] == 1) & (codes[:, 1] == 2), 0.9, 0.1)
    >>> found = sliceline(codes, errors, alpha=0.9, k=2)
    >>> [(one.conditions, one.size, one.mean) for one in found.slices]
    [(((0, 1), (1, 2)), 100.0, 0.9), (((1, 2),), 200.0, 0.5)]
    """
    array, losses, rows_of = checked_rows(codes, errors, weights)
    checked_search(k, levels, support)
    if not 0 < alpha <= 1:
        raise DataError(f"alpha is {alpha}, needs to lie in (0, 1].")
    total = float(len(losses) if rows_of is None else rows_of.sum())
    rows = prepared(array, losses, rows_of, support=default_support(total) if support is None else support)
    searched = sum(rows.conjunctions(levels))
    mean = float(rows.masses.sum()) / total
    if not mean or not searched:
        return TopSlices((), 0, searched, 0, mean)
    best, counted = search(rows, SliceLineScore(alpha, total, mean), k=k, levels=levels)
    ranked, ties = best.ranked(rows)
    return TopSlices(ranked, ties, searched, counted, mean)


def checked_rows(
    codes: NDArray[Any], errors: Any, weights: Any = None
) -> tuple[NDArray[np.integer[Any]], Floats, Floats | None]:
    """
    Return bins, errors and weights, once they are known to be such.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
    errors, weights : array-like of shape (n_rows,)

    Raises
    ------
    DataError
        If they are not.

    Examples
    --------
    >>> checked_rows(np.array([[0], [1]]), [0, 1])[1]
    array([0., 1.])
    """
    array = checked_codes(codes)
    given = {"errors": finite(errors, "errors")}
    if weights is not None:
        given["weights"] = finite(weights, "weights")
    for name, values in given.items():
        if len(values) != len(array):
            raise DataError(f"{name} has {len(values)} rows, codes {len(array)}. Hint: give one for each row.")
        if (low := float(values.min())) < 0:
            raise DataError(f"{name} is {low:g} in row {int(values.argmin())}, needs to be 0 or more.")
    if weights is not None and not given["weights"].any():
        raise DataError("weights are all 0. Hint: leave them out to count every row once.")
    return array, given["errors"], given.get("weights")


def checked_search(k: int, levels: int, support: float | None) -> None:
    """
    Refuse settings of a search that are out of their range.

    Parameters
    ----------
    k, levels : int
    support : float, optional

    Raises
    ------
    DataError
        If one is.

    Examples
    --------
    >>> checked_search(10, 3, None)
    """
    if k < 1:
        raise DataError(f"k is {k}, needs to be 1 at least.")
    if not 1 <= levels <= MOST_LEVELS:
        raise DataError(f"levels is {levels}, needs to lie between 1 and {MOST_LEVELS}.")
    if support is not None and not support > 0:
        raise DataError(f"support is {support}, needs to be above 0.")
