"""Whether a row lies where rows of the past lay: scores of outlyingness as conformal p-values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.curve import Curve
from mlwild.stats.grids import FARTHEST, Grids
from mlwild.stats.rank_curves import normal_score_curve, surprise_curve
from mlwild.stats.searches import places
from mlwild.stats.shrinkage import ledoit_wolf
from mlwild.stats.surprises import Surprises

Floats = NDArray[np.float64]

#: What a row is scored by.
SCORES = ("distance", "mismatch", "reach", "missing")
#: Least variance added to each column, so that columns that repeat each other can be told apart from noise.
_RIDGE = 1e-6
#: Cells that are worked on together: what is made of them on the way stays near, and the memory is used again.
_CELLS = 24_000


class Judged(NamedTuple):
    """
    What is said of one row; a tuple, as making a dataclass would cost as much as the scores.

    Parameters
    ----------
    p : float
        Conformal p-value of all scores together, in (0, 1].
    score : str
        The score that was most surprising, one of `SCORES`.
    column : int
        The column that did most to it.
    by_score : tuple of float
        Conformal p-value of each score alone, in the order of `SCORES`.

    Examples
    --------
    >>> Judged(0.5, "reach", 0, (1.0, 1.0, 0.5, 1.0)).score
    'reach'
    """

    p: float
    score: str
    column: int
    by_score: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Support:
    """
    Where rows of the past lay, and how outlying rows of the past were that had no part in learning it.

    Made by `learn_support`. A row has four scores, on columns that are brought to normal scores by their ranks:

    - ``distance``: its squared distance from the middle, in a metric of the shrunk covariance (Mahalanobis).
    - ``mismatch``: how far at most a column lies from what the others lead one to expect. It sees a sign that was
      turned and columns that were swapped while every value lies within its range.
    - ``reach``: how far at most a column lies outside by itself.
    - ``missing``: how rare it is that just these columns are missing.

    Each score is read as a surprise (minus the logarithm of the share of learning rows that have as much); the
    greatest surprise is ranked among those of the calibration rows. As the surprise is a fixed function of the
    row, the p-value is a plain conformal one: no correction for several scores is lost.

    Parameters
    ----------
    columns : tuple of Curve
        Normal score of each column.
    absent : ndarray of shape (n_columns,)
        Surprise that a missing value adds.
    residual : ndarray of shape (n_columns, n_columns)
        Maps normal scores to each column's standardised distance from what the others say.
    deviation : ndarray of shape (n_columns,)
        Turns those back to the inverse covariance's.
    surprise : tuple of Curve
        Surprise of each score.
    calibration : tuple of tuple of float
        Sorted scores of the calibration rows, and last their greatest surprises.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A., & Shafer, G. (2005). Algorithmic learning in a random world. Springer.
    .. [2] Bates, S., Candes, E., Lei, L., Romano, Y., & Sesia, M. (2023). Testing for outliers with conformal
       p-values. Annals of Statistics, 51(1), 149-178.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = rng.normal(size=2000)
    >>> rows = np.column_stack([a, a + 0.1 * rng.normal(size=2000), rng.normal(size=2000)])
    >>> support = learn_support(rows[:1000], rows[1000:])
    >>> support.judge([1.0, 1.0, 0.0]).p > 0.05
    True
    >>> found = support.judge([1.0, -1.0, 0.0])  # a sign is turned
    >>> found.p < 0.01, found.score
    (True, 'distance')
    >>> support.judge([1.0, 1.0, 1000.0]).column
    2
    """

    columns: tuple[Curve, ...]
    absent: Floats
    residual: Floats
    deviation: Floats
    surprise: tuple[Curve, ...]
    calibration: tuple[tuple[float, ...], ...]
    _seen: Floats = field(init=False, repr=False)
    _grids: Grids = field(init=False, repr=False)
    _surprises: Surprises = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep what one row needs as plain numbers, and what many need as an array."""
        object.__setattr__(self, "_seen", np.asarray(self.calibration[-1]))
        object.__setattr__(self, "_grids", Grids.of(self.columns))
        object.__setattr__(self, "_surprises", Surprises.of(self.surprise))

    @property
    def n(self) -> int:
        """Number of calibration rows: no p-value is below 1 / (n + 1)."""
        return len(self.calibration[-1])

    def judge(self, row: Sequence[float]) -> Judged:
        """
        Return what is said of one row, in some twenty microseconds for twenty columns.

        Parameters
        ----------
        row : sequence of float
            One value a column, NaN where it is missing. Plain numbers are quicker than an array.

        Raises
        ------
        DataError
            If the row has another number of columns.
        """
        scores, surprises, columns = self._scored(row)
        most = max(surprises)
        which = surprises.index(most)
        p = _p_value(self.calibration[-1], most)
        each = tuple([_p_value(seen, score) for seen, score in zip(self.calibration, scores, strict=False)])
        return Judged(p, SCORES[which], columns[which], each)  # type: ignore[arg-type]

    def p_value(self, row: Sequence[float]) -> float:
        """
        Return the p-value of one row, that of all scores together, in two thirds of the time of `judge`.

        Parameters
        ----------
        row : sequence of float
            As `judge` takes it.

        Raises
        ------
        DataError
            If the row has another number of columns.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(600, 2))
        >>> support = learn_support(rows[:300], rows[300:])
        >>> support.p_value([0.5, 9.0]) == support.judge([0.5, 9.0]).p
        True
        """
        return _p_value(self.calibration[-1], max(self._scored(row)[1]))

    def _scored(self, row: Sequence[float]) -> tuple[tuple[float, ...], list[float], tuple[int, ...]]:
        """Return the scores of one row, the surprise of each, and the column that did most to it."""
        if len(row) != len(self.columns):
            raise DataError(f"the row has {len(row)} values, needs one for each of {len(self.columns)} columns.")
        z = np.array(self._grids.of_row(row))
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
        scores = (distance, abs(float(apart[worst])), reach, missing)
        return scores, self._surprises.of_row(scores), (worst, worst, outmost, absent)

    def p_values(self, rows: Floats) -> Floats:
        """
        Return the p-value of each of many rows, that of all scores together.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,)

        Raises
        ------
        DataError
            If the rows have another number of columns.
        """
        return self._ranked(self._most(self._checked(rows)))

    def look(self, rows: Floats, leaving: Sequence[int] = ()) -> tuple[Floats, NDArray[np.intp]]:
        """
        Return p-values that go on below 1 / (n + 1), and the column that fits least with the others.

        Beyond the calibration rows a p-value falls as the tail of the learning rows does: that is no promise, as a
        rank is, but it can tell a row that is a little outside from one that is far out.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        leaving : sequence of int
            Columns that are left out of account, as if they held what the others lead one to expect.

        Returns
        -------
        p : ndarray of shape (n_rows,)
        column : ndarray of int, shape (n_rows,)

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> a = rng.normal(size=2000)
        >>> rows = np.column_stack([a, a + 0.1 * rng.normal(size=2000), a + 0.1 * rng.normal(size=2000)])
        >>> support = learn_support(rows[:1000], rows[1000:])
        >>> p, column = support.look(np.array([[1.0, 1.0, -1.0]]))
        >>> bool(p[0] < 1e-6), int(column[0]), bool(support.look(np.array([[1.0, 1.0, -1.0]]), [2])[0][0] > 0.05)
        (True, 2, True)
        """
        worst = np.empty(len(rows), dtype=np.intp)
        return self._beyond(self._most(self._checked(rows), leaving, worst)), worst

    def tail(self, rows: Floats) -> Floats:
        """
        Return the p-values of `look` alone.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(600, 2))
        >>> support = learn_support(rows[:300], rows[300:])
        >>> bool((support.tail(rows[:20]) == support.look(rows[:20])[0]).all())
        True
        """
        return self._beyond(self._most(self._checked(rows)))

    def _most(self, rows: Floats, leaving: Sequence[int] = (), worst: NDArray[np.intp] | None = None) -> Floats:
        """Return the greatest surprise of each row, and write down the column that fits least with the others."""
        blocks = -(-len(rows) // max(_CELLS // len(self.columns), 16))
        size, scores = -(-len(rows) // max(blocks, 1)), np.zeros((len(SCORES), len(rows)))
        for at in range(0, len(rows), size or 1):
            part = slice(at, at + size)
            absent, z, apart = _parts_of(rows[part], self._grids, self.absent, self.residual)
            left = list(leaving)
            if left:
                inverse = self.residual * self.deviation[:, None]
                z[left] -= np.linalg.inv(inverse[np.ix_(left, left)]).T @ (inverse.T @ z)[left]
                apart = self.residual @ z
                if absent is not None:
                    absent[left] = 0.0
            _score((absent, z, apart), self.deviation, scores[:, part])
            if worst is not None:
                worst[part] = np.abs(apart).argmax(axis=0)
        return self._surprises.greatest(scores)

    def _beyond(self, most: Floats) -> Floats:
        ranked = self._ranked(most)
        if most.max(initial=0.0) > self._seen[-1]:
            ranked *= np.exp(-np.maximum(most - self._seen[-1], 0.0))
        return ranked

    def _checked(self, rows: Floats) -> Floats:
        rows = _two_axes(rows, "rows")
        if rows.shape[1] != len(self.columns):
            raise DataError(f"rows have {rows.shape[1]} columns, need {len(self.columns)}.")
        return rows

    def _ranked(self, most: Floats) -> Floats:
        below = places(self._seen, most - 1e-9 * (1.0 + np.abs(most)))
        return np.asarray((1 + self.n - below) / (self.n + 1))


def learn_support(learning: Floats, calibration: Floats) -> Support:
    """
    Return where rows lay.

    Parameters
    ----------
    learning : ndarray of shape (n_rows, n_columns)
        Numeric, NaN where a value is missing. They set the scores.
    calibration : ndarray of shape (n, n_columns)
        Rows that are not among those. A new row's p-value is at most u with a chance of at most u where it and
        they could as well have come in any other order; give the latest, and some hundreds.

    Returns
    -------
    Support

    Raises
    ------
    DataError
        If the two differ in their columns, there are fewer than two rows of either, or a value is infinite or
        beyond 1e150.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(600, 4))
    >>> support = learn_support(rows[:300], rows[300:])
    >>> support.n, support.judge([0.0, 0.0, 0.0, float("nan")]).score
    (300, 'missing')
    """
    learning, calibration = _two_axes(learning, "learning"), _two_axes(calibration, "calibration")
    if learning.shape[1] != calibration.shape[1] or not learning.shape[1]:
        raise DataError(f"learning has {learning.shape[1]} columns and calibration {calibration.shape[1]}.")
    for name, rows in (("learning", learning), ("calibration", calibration)):
        if len(rows) < 2:
            raise DataError(f"{name} has {len(rows)} rows, needs two at least.")
        if (np.abs(rows) > 1e150).any():  # NaN is not
            raise DataError(f"{name} has an infinite value or one beyond 1e150. Hint: make it missing.")
    columns = tuple(normal_score_curve(column) for column in learning.T)
    grids = Grids.of(columns)
    lost = (1 + np.isnan(learning).sum(axis=0)) / (len(learning) + 2)
    absent = np.log((1 - lost) / lost)
    covariance, _ = ledoit_wolf(_mapped(learning, grids)[0].T)
    inverse = np.linalg.inv(covariance + _RIDGE * np.eye(len(columns)))
    deviation = np.sqrt(np.diag(inverse))
    residual = np.ascontiguousarray(inverse / deviation[:, None])
    scores = _scores(_parts_of(learning, grids, absent, residual), deviation)
    surprise = tuple(surprise_curve(score) for score in scores)
    scores = _scores(_parts_of(calibration, grids, absent, residual), deviation)
    kept = [*scores, Surprises.of(surprise).greatest(scores)]
    seen = tuple(tuple(np.sort(score).tolist()) for score in kept)
    return Support(columns, absent, residual, deviation, surprise, seen)


def _scores(parts: tuple[Floats | None, Floats, Floats], deviation: Floats) -> Floats:
    """Return the scores of many rows, in the order of `SCORES`: of shape (n_scores, n_rows)."""
    made = np.zeros((len(SCORES), parts[1].shape[1]))
    _score(parts, deviation, made)
    return made


def _score(parts: tuple[Floats | None, Floats, Floats], deviation: Floats, made: Floats) -> None:
    """Write down the scores of rows."""
    absent, z, apart = parts
    made[0] = deviation @ (apart * z)
    np.abs(apart).max(axis=0, out=made[1])
    np.abs(z).max(axis=0, out=made[2])
    if absent is not None:
        absent.sum(axis=0, out=made[3])


def _parts_of(rows: Floats, grids: Grids, absent: Floats, residual: Floats) -> tuple[Floats | None, Floats, Floats]:
    """Return what scores are made of, a row a column: surprise of gaps, normal scores, distances from the expected."""
    z, gaps = _mapped(rows, grids)
    return None if gaps is None else gaps * absent[:, None], z, residual @ z


def _mapped(rows: Floats, grids: Grids) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Return the normal scores of many rows, of shape (n_columns, n_rows), 0 where a value is missing; and where."""
    x = np.ascontiguousarray(rows.T)
    if x.min(initial=0.0) >= -FARTHEST and x.max(initial=0.0) <= FARTHEST:
        return grids.over(x), None
    gaps = np.isnan(x)
    z = grids.over(np.clip(np.where(gaps, 0.0, x), -FARTHEST, FARTHEST))
    z[gaps] = 0.0  # the mean
    return z, gaps if gaps.any() else None


def _p_value(seen: tuple[float, ...], score: float) -> float:
    """Return the rank of a score among those of the calibration rows; a row that comes again ties with itself."""
    n = len(seen)
    return (1 + n - bisect_left(seen, score - 1e-9 * (1.0 + abs(score)))) / (n + 1)


def _two_axes(rows: Floats, name: str) -> Floats:
    """Return rows as an array of two axes."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2:
        raise DataError(f"{name} has shape {rows.shape}, needs rows and columns.")
    return rows
