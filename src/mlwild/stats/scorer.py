"""How outlying rows are among others: four cheap scores, of one row or of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.even_grids import FARTHEST
from mlwild.stats.grids import Grids
from mlwild.stats.rank_curves import normal_score_curve
from mlwild.stats.shrinkage import ledoit_wolf
from mlwild.stats.suspects import Distances

Floats = NDArray[np.float64]

#: What a row is scored by.
SCORES = ("distance", "mismatch", "reach", "missing")
#: Least variance added to each column, so that columns that repeat each other can be told apart from noise.
RIDGE = 1e-6
#: Cells that are worked on together: what is made of them on the way stays near, and the memory is used again.
_CELLS = 24_000


@dataclass(frozen=True, eq=False)
class Scorer:
    """
    What is scored: columns that are brought to normal scores by their ranks, each beside the others.

    Made by `learn_scorer`. The scores are

    - ``distance``: the squared distance from the middle, in a metric of the shrunk covariance (Mahalanobis).
    - ``mismatch``: how far at most a column lies from what the others lead one to expect. It sees a sign that was
      turned and columns that were swapped while every value lies within its range.
    - ``reach``: how far at most a column lies outside by itself.
    - ``missing``: how rare it is that just these columns are missing.

    Parameters
    ----------
    grids : Grids
        Normal score of each column.
    absent : ndarray of shape (n_columns,)
        Surprise that a missing value adds.
    residual : ndarray of shape (n_columns, n_columns)
        Maps normal scores to each column's standardised distance from what the others say.
    deviation : ndarray of shape (n_columns,)
        Turns those back to the inverse covariance's.

    Examples
    --------
    >>> a = np.random.default_rng(0).normal(size=(2000, 1))
    >>> scorer = learn_scorer(np.concatenate([a, a + 0.1 * np.random.default_rng(1).normal(size=(2000, 1))], axis=1))
    >>> scores, columns = scorer.of_row([1.0, -1.0])
    >>> [round(one, 1) for one in scores[2:]], SCORES[:2], bool(min(scores[:2]) > 10)
    ([1.0, 0.0], ('distance', 'mismatch'), True)
    """

    grids: Grids
    absent: Floats
    residual: Floats
    deviation: Floats

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.absent)

    def of_row(self, row: Sequence[float]) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """
        Return the scores of one row, and the column that did most to each.

        Parameters
        ----------
        row : sequence of float
            One value a column, NaN where it is missing.

        Raises
        ------
        DataError
            If the row has another number of columns.
        """
        if len(row) != len(self):
            raise DataError(f"the row has {len(row)} values, needs one for each of {len(self)} columns.")
        z = np.array(self.grids.of_row(row))
        away = np.abs(z)
        outmost, missing, absent = int(away.argmax()), 0.0, 0
        reach = float(away[outmost])
        if reach != reach:  # noqa: PLR0124 - NaN: a value is missing
            gaps = np.isnan(z)
            z[gaps] = away[gaps] = 0.0
            lost = gaps * self.absent
            outmost, absent = int(away.argmax()), int(lost.argmax())
            reach, missing = float(away[outmost]), float(lost.sum())
        apart = self.residual @ z
        distance = float(apart @ (z * self.deviation))
        worst = int(np.abs(apart).argmax())
        return (distance, abs(float(apart[worst])), reach, missing), (worst, worst, outmost, absent)

    def of(
        self, rows: Floats, leaving: Sequence[int] = (), worst: NDArray[np.intp] | None = None, *, near: bool = False
    ) -> Floats:
        """
        Return the scores of many rows, some at a time.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        leaving : sequence of int
            Columns that are left out of account, as if they held what the others lead one to expect.
        worst : ndarray of int, shape (n_rows,), optional
            Where the column that fits least with the others is written down.
        near : bool
            Whether it is known that every value is there, and none beyond 1e150.

        Returns
        -------
        ndarray of shape (n_scores, n_rows)
            In the order of `SCORES`.
        """
        blocks = -(-len(rows) // max(_CELLS // len(self), 16))
        size, scores = -(-len(rows) // max(blocks, 1)), np.zeros((len(SCORES), len(rows)))
        for at in range(0, len(rows), size or 1):
            part = slice(at, at + size)
            z, gaps = self.mapped(rows[part], near=near)
            left = list(leaving)
            if left:
                inverse = self.precision
                z[left] -= np.linalg.inv(inverse[np.ix_(left, left)]).T @ (inverse.T @ z)[left]
                if gaps is not None:
                    gaps[left] = False
            apart, made = self.residual @ z, scores[:, part]
            made[0] = self.deviation @ (apart * z)
            np.abs(z, out=z).max(axis=0, out=made[2])
            if gaps is not None:
                (gaps * self.absent[:, None]).sum(axis=0, out=made[3])
            away = np.abs(apart, out=apart)
            away.max(axis=0, out=made[1])
            if worst is not None:
                worst[part] = away.argmax(axis=0)
        return scores

    @property
    def precision(self) -> Floats:
        """The inverse covariance of the normal scores."""
        return np.asarray(self.residual * self.deviation[:, None])

    def mapped(self, rows: Floats, *, near: bool = False) -> tuple[Floats, NDArray[np.bool_] | None]:
        """
        Return the normal scores of many rows, 0 where a value is missing; and where that is, None for nowhere.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        near : bool
            As `of` takes it.

        Returns
        -------
        ndarray of shape (n_columns, n_rows)
        ndarray of bool, shape (n_columns, n_rows), or None
        """
        return _mapped(rows, self.grids, near=near)

    def distances(self, rows: Floats) -> Distances:
        """
        Return how far each column of each row lies from what the others lead one to expect.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        """
        return Distances.of(self.mapped(rows)[0], self.precision)


def learn_scorer(rows: Floats) -> Scorer:
    """
    Return the scores that some rows show.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        NaN where a value is missing; none is infinite.
    """
    grids = Grids.of([normal_score_curve(column) for column in rows.T])
    lost = (1 + np.isnan(rows).sum(axis=0)) / (len(rows) + 2)
    covariance, _ = ledoit_wolf(_mapped(rows, grids)[0].T)
    inverse = np.linalg.inv(covariance + RIDGE * np.eye(rows.shape[1]))
    deviation = np.sqrt(np.diag(inverse))
    return Scorer(grids, np.log((1 - lost) / lost), np.ascontiguousarray(inverse / deviation[:, None]), deviation)


def _mapped(rows: Floats, grids: Grids, *, near: bool = False) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Return the normal scores of many rows, of shape (n_columns, n_rows), 0 where a value is missing; and where."""
    x = np.ascontiguousarray(rows.T)
    found = grids.near(x, sure=near)
    if found is not None:
        return found, None
    gaps = np.isnan(x)
    z = grids.over(np.clip(np.where(gaps, 0.0, x), -FARTHEST, FARTHEST))
    z[gaps] = 0.0  # the mean
    return z, gaps if gaps.any() else None
