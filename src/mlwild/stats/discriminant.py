"""Which of several classes a row belongs to, as far as the columns that are there tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.same_rows import same_rows
from mlwild.stats.shrinkage import ledoit_wolf

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Rows that a class needs, and classes at most: the most frequent.
FEWEST, MOST = 10, 100
#: Least variance added to each column, so that columns that repeat each other have an inverse.
_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Discriminant:
    """
    Linear discriminant analysis, given any of its columns.

    Each class is a normal law of its own centre and the covariance that all share; the likeliest one counts, by how
    frequent it is. Columns that are missing are left out of both: nothing else is to be learned for them.

    Made by `learn_discriminant`.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Their numbers.
    centres : ndarray of shape (n_classes, n_columns)
    covariance : ndarray of shape (n_columns, n_columns)
        Within classes.
    shares : ndarray of shape (n_classes,)
        Logarithms of how frequent they are.

    References
    ----------
    .. [1] Hastie, T., Tibshirani, R., & Friedman, J. (2009). The elements of statistical learning. Springer, section
       4.3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> classes = rng.integers(0, 3, 600).astype(float)
    >>> rows = np.column_stack([classes, -classes]) + 0.1 * rng.normal(size=(600, 2))
    >>> made = learn_discriminant(rows, classes)
    >>> made.likeliest(np.array([[1.0, -1.0], [np.nan, -2.0]]))
    array([1., 2.])
    """

    classes: Floats
    centres: Floats
    covariance: Floats
    shares: Floats

    def likeliest(self, rows: Floats) -> Floats:
        """
        Return the likeliest class of each row.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
            NaN where a value is missing.

        Raises
        ------
        DataError
            If the rows have another number of columns.
        """
        if rows.ndim != 2 or rows.shape[1] != self.centres.shape[1]:
            raise DataError(f"rows have shape {rows.shape}, need {self.centres.shape[1]} columns.")
        made = np.empty(len(rows))
        kinds, which = same_rows(~np.isnan(rows))
        for place, there in enumerate(kinds):
            some = np.flatnonzero(which == place)
            centres = self.centres[:, there]
            weights = np.linalg.solve(self.covariance[np.ix_(there, there)], centres.T)
            odds = rows[np.ix_(some, there)] @ weights - 0.5 * (centres * weights.T).sum(axis=1) + self.shares
            made[some] = self.classes[odds.argmax(axis=1)]
        return made


def learn_discriminant(rows: Floats, classes: Floats) -> Discriminant | None:
    """
    Learn what columns tell of a class; None where fewer than two classes have rows enough.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        NaN where a value is missing: it counts as the centre of its class.
    classes : ndarray of shape (n_rows,)
        Their numbers; NaN where that is not known.
    """
    known = np.isfinite(classes)
    rows, classes = rows[known], classes[known]
    found, counts = np.unique(classes, return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST])
    most = most[counts[most] >= FEWEST]
    if len(most) < 2:
        return None
    centres, apart = np.zeros((len(most), rows.shape[1])), []
    for place, one in enumerate(found[most]):
        mine = rows[classes == one]
        there = ~np.isnan(mine)
        centres[place] = np.where(there, mine, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        apart.append(np.where(there, mine - centres[place], 0.0))
    covariance = ledoit_wolf(np.concatenate(apart))[0] + _RIDGE * np.eye(rows.shape[1])
    return Discriminant(found[most], centres, covariance, np.log(counts[most] / counts[most].sum()))
