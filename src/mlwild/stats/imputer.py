"""What a missing value most likely was, as the others of its row show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.even_grids import FARTHEST
from mlwild.stats.same_rows import same_rows
from mlwild.stats.scorer import RIDGE, Scorer, learn_scorer
from mlwild.stats.shrinkage import ledoit_wolf

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: A column of fewer different values holds no others.
DISCRETE = 100
#: A column of which the others say less than this of its deviation is not told by them at all.
_LEAST_ROOM = 1e-6
#: Rows in which two columns tell nothing of each other that are added to those that have both: few show little.
FEW = 10.0
#: Places at which the values of a column are kept, at most.
_PLACES = 1001


@dataclass(frozen=True, eq=False)
class Imputer:
    """
    The conditional median of missing values in a Gaussian copula: any of them, given any others.

    Each column is brought to normal scores by its ranks; what is missing is expected to be what the inverse covariance
    of the scores says, given those that are there, and is brought back by the column's own quantiles. So nothing lies
    beyond what was learned from, columns of few values get one of them, and columns that say nothing of it leave the
    median.

    Made by `learn_imputer`.

    Parameters
    ----------
    scorer : Scorer
        Normal score of each column.
    precision : ndarray of shape (n_columns, n_columns)
        Inverse covariance of the scores, of rows that lack nothing: what the others say of each column.
    values : tuple of (ndarray of shape (n_places,), ndarray of shape (n_places,), bool)
        Of each column: normal scores, rising, their values, and whether it holds no others.

    References
    ----------
    .. [1] Hoff, P. D. (2007). Extending the rank likelihood for semiparametric copula estimation. Annals of Applied
       Statistics, 1(1), 265-283.
    .. [2] Zhao, Y., & Udell, M. (2020). Missing value imputation for mixed data via Gaussian copula. KDD 2020, 636-646.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1000, 1))
    >>> imputer = learn_imputer(np.concatenate([x, 2 * x, np.round(x)], axis=1))
    >>> imputer.filled(np.array([[1.0, np.nan, np.nan], [np.nan, -4.0, np.nan]])).round(1)
    array([[ 1.,  2.,  1.],
           [-2., -4., -2.]])
    """

    scorer: Scorer
    precision: Floats
    values: tuple[tuple[Floats, Floats, bool], ...]

    def filled(self, rows: Floats, wanted: Bools | None = None) -> Floats:
        """
        Return rows in which values stand where there were none.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
            NaN, or infinite, where nothing is known.
        wanted : ndarray of bool, shape (n_rows, n_columns), optional
            Cells that are to be filled; they are taken for unknown whatever they hold. Default: all that are unknown.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Another one.

        Raises
        ------
        DataError
            If the rows have another number of columns.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.values):
            raise DataError(f"rows have shape {rows.shape}, need {len(self.values)} columns.")
        gaps = ~np.isfinite(rows)
        wanted = gaps if wanted is None else wanted
        gaps = gaps | wanted
        precision, z = self.precision, self.scorer.mapped(np.where(gaps, np.nan, rows))[0].T
        made = np.array(rows, dtype=np.float64)
        kinds, which = same_rows(gaps)
        for place, kind in enumerate(kinds):
            some = np.flatnonzero(which == place)
            left = np.flatnonzero(kind)
            if not len(left):
                continue
            solved = np.linalg.solve(precision[np.ix_(left, left)], precision[np.ix_(left, ~kind)])
            expected = -z[np.ix_(some, ~kind)] @ solved.T
            for score, column in zip(expected.T, left.tolist(), strict=True):
                hit = wanted[some, column]
                made[some[hit], column] = self._back(column, score[hit])
        return made

    def unsaid(self, columns: Sequence[int]) -> list[float]:
        """
        Return how much of what the others say of each of some columns is lost if these are missing together.

        Parameters
        ----------
        columns : sequence of int

        Returns
        -------
        list of float
            0 if what is left says as much of it as all others do, 1 if it says nothing: by the standard deviation that
            is left of its normal score.

        Examples
        --------
        >>> x = np.random.default_rng(0).normal(size=(1000, 3))
        >>> imputer = learn_imputer(np.column_stack([x[:, 0], x[:, 0] + 0.1 * x[:, 1], x[:, 2]]))
        >>> np.round(imputer.unsaid([0, 1]), 1).tolist(), np.round(imputer.unsaid([0]), 1).tolist()
        ([1.0, 1.0], [0.0])
        """
        precision, some = self.precision, list(columns)
        left = np.sqrt(np.diag(np.linalg.inv(precision[np.ix_(some, some)])))
        least = 1.0 / np.sqrt(np.diag(precision)[some])
        room = self._spread[some] - least
        share = np.divide(left - least, room, out=np.ones(len(some)), where=room > _LEAST_ROOM)
        return [float(one) for one in np.clip(share, 0.0, 1.0)]

    @cached_property
    def _spread(self) -> Floats:
        """The standard deviation of each normal score."""
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(self.precision))))

    def _back(self, column: int, scores: Floats) -> Floats:
        """Return the values that have some normal scores."""
        known, values, discrete = self.values[column]
        if not discrete:
            return np.interp(scores, known, values)
        return values[np.searchsorted(known[:-1] / 2 + known[1:] / 2, scores)]


def learn_imputer(rows: Floats) -> Imputer:
    """
    Learn what columns tell of each other.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        NaN where a value is missing; none is infinite.

    Raises
    ------
    DataError
        If there is no row or no column, or a value is infinite or beyond 1e150.
    """
    if rows.ndim != 2 or not rows.size:
        raise DataError(f"rows have shape {rows.shape}, need two axes and at least one row.")
    if (np.abs(rows) > FARTHEST).any():  # NaN is not
        raise DataError("a value is infinite or beyond 1e150. Hint: make it missing.")
    scorer = learn_scorer(rows)
    z, gaps = scorer.mapped(rows)
    precision = scorer.precision if gaps is None else _precision(z, ~gaps)
    return Imputer(scorer, precision, tuple(_values(column, score) for column, score in zip(rows.T, z, strict=True)))


def _precision(z: Floats, there: Bools) -> Floats:
    """
    Return the inverse covariance of columns with gaps, each pair by the rows that have both.

    Were what is missing taken for the mean, as it is where rows are scored, a column that is often missing would seem
    to go along with the others the less, and what is imputed would lie too near to the median.
    """
    known, unit = there.astype(np.float64), np.eye(len(z))
    covariance = (z @ z.T) / np.maximum(known @ known.T + FEW * (1.0 - unit), 1.0)
    # Of pairs by different rows together there may be no such columns.
    covariance += 2.0 * max(-float(np.linalg.eigvalsh(covariance)[0]), 0.0) * unit
    share = ledoit_wolf(z.T)[1]
    level = float(np.trace(covariance)) / len(z)
    return np.asarray(np.linalg.inv((1.0 - share) * covariance + (share * level + RIDGE) * unit))


def _values(column: Floats, scores: Floats) -> tuple[Floats, Floats, bool]:
    """Return the normal scores of a column that are kept, and the values there."""
    there = ~np.isnan(column)
    known, scores = column[there], scores[there]
    if not len(known):
        return np.zeros(1), np.full(1, np.nan), True
    values, first = np.unique(known, return_index=True)
    at = np.unique(np.linspace(0, len(values) - 1, _PLACES).round().astype(int))
    return scores[first][at], values[at], len(values) < DISCRETE
