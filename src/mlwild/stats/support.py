"""Whether a row lies where rows of the past lay: scores of outlyingness as conformal p-values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mlwild.errors import DataError
from mlwild.stats.curve import Curve
from mlwild.stats.shrinkage import ledoit_wolf

Floats = NDArray[np.float64]

#: What a row is scored by.
SCORES = ("distance", "mismatch", "reach", "missing")
#: Knots of a monotone function that is kept.
_KNOTS = 257
#: Greatest normal score: a value that is not finite has it, and one far beyond the rows of the past.
_FAR = 50.0
#: Least variance added to each column, so that columns that repeat each other can be told apart from noise.
_RIDGE = 1e-6


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
    _absent: tuple[float, ...] = field(init=False, repr=False)
    _seen: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep what one row needs as plain numbers, and what many need as an array."""
        object.__setattr__(self, "_absent", tuple(self.absent.tolist()))
        object.__setattr__(self, "_seen", np.asarray(self.calibration[-1]))

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
        if len(row) != len(self.columns):
            raise DataError(f"the row has {len(row)} values, needs one for each of {len(self.columns)} columns.")
        normal, reach, missing, rarest, outmost, absent = [], 0.0, 0.0, 0.0, 0, 0
        for place, (curve, value) in enumerate(zip(self.columns, row, strict=True)):
            if value != value:  # noqa: PLR0124 - NaN, in a third of the time of math.isnan
                normal.append(0.0)
                extra = self._absent[place]
                missing += extra
                if extra > rarest:
                    rarest, absent = extra, place
                continue
            found = curve.at(value)
            normal.append(found)
            if found > reach or -found > reach:
                reach, outmost = abs(found), place
        z = np.array(normal)
        apart = self.residual @ z
        distance = float(apart @ (z * self.deviation))
        worst = int(np.abs(apart).argmax())
        scores = (distance, abs(float(apart[worst])), reach, missing)
        surprises = [curve.at(score) for curve, score in zip(self.surprise, scores, strict=True)]
        most = max(surprises)
        which = surprises.index(most)
        p = _p_value(self.calibration[-1], most)
        each = tuple([_p_value(seen, score) for seen, score in zip(self.calibration, scores, strict=False)])
        return Judged(p, SCORES[which], (worst, worst, outmost, absent)[which], each)  # type: ignore[arg-type]

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
        rows = self._checked(rows)
        return self._ranked(_greatest(_scores(self._parts(rows), self.deviation), self.surprise))

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
        absent, z, apart = self._parts(self._checked(rows))
        left = list(leaving)
        if left:
            inverse = self.residual * self.deviation[:, None]
            z[:, left] -= (z @ inverse)[:, left] @ np.linalg.inv(inverse[np.ix_(left, left)])
            absent[:, left], apart = 0.0, z @ self.residual.T
        most = _greatest(_scores((absent, z, apart), self.deviation), self.surprise)
        beyond = np.exp(-np.maximum(most - self._seen[-1], 0.0))
        return self._ranked(most) * beyond, np.abs(apart).argmax(axis=1)

    def _checked(self, rows: Floats) -> Floats:
        rows = _two_axes(rows, "rows")
        if rows.shape[1] != len(self.columns):
            raise DataError(f"rows have {rows.shape[1]} columns, need {len(self.columns)}.")
        return rows

    def _parts(self, rows: Floats) -> tuple[Floats, Floats, Floats]:
        return _parts_of(rows, self.columns, self.absent, self.residual)

    def _ranked(self, most: Floats) -> Floats:
        below = np.searchsorted(self._seen, most - 1e-9 * (1.0 + np.abs(most)))
        return np.asarray(1 + self.n - below, dtype=np.float64) / (self.n + 1)


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
    columns = tuple(_normal_scores(column) for column in learning.T)
    lost = (1 + np.isnan(learning).sum(axis=0)) / (len(learning) + 2)
    absent = np.log((1 - lost) / lost)
    covariance, _ = ledoit_wolf(_mapped(learning, columns))
    inverse = np.linalg.inv(covariance + _RIDGE * np.eye(len(columns)))
    deviation = np.sqrt(np.diag(inverse))
    residual = np.ascontiguousarray(inverse / deviation[:, None])
    surprise = tuple(_surprise(score) for score in _scores(_parts_of(learning, columns, absent, residual), deviation))
    scores = _scores(_parts_of(calibration, columns, absent, residual), deviation)
    kept = [*scores, _greatest(scores, surprise)]
    seen = tuple(tuple(np.sort(score).tolist()) for score in kept)
    return Support(columns, absent, residual, deviation, surprise, seen)


def _scores(parts: tuple[Floats, Floats, Floats], deviation: Floats) -> tuple[Floats, ...]:
    """Return the scores of many rows, in the order of `SCORES`."""
    absent, z, apart = parts
    distance = np.einsum("ij,ij->i", apart, z * deviation)
    return distance, np.abs(apart).max(axis=1), np.abs(z).max(axis=1), absent.sum(axis=1)


def _parts_of(
    rows: Floats, columns: tuple[Curve, ...], absent: Floats, residual: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return what scores are made of: surprise of gaps, normal scores, and distances from what the others say."""
    z = _mapped(rows, columns)
    return np.isnan(rows) * absent, z, z @ residual.T


def _mapped(rows: Floats, columns: tuple[Curve, ...]) -> Floats:
    """Return the normal scores of many rows; 0, the mean, where a value is missing."""
    z = np.empty(rows.shape)
    for place, curve in enumerate(columns):
        z[:, place] = curve.over(rows[:, place])
    return np.where(np.isnan(rows), 0.0, z)


def _greatest(scores: Sequence[Floats], surprise: tuple[Curve, ...]) -> Floats:
    """Return the greatest surprise of each row."""
    surprises = [curve.over(score) for curve, score in zip(surprise, scores, strict=True)]
    return np.asarray(np.max(surprises, axis=0), dtype=np.float64)


def _p_value(seen: tuple[float, ...], score: float) -> float:
    """Return the rank of a score among those of the calibration rows; a row that comes again ties with itself."""
    n = len(seen)
    return (1 + n - bisect_left(seen, score - 1e-9 * (1.0 + abs(score)))) / (n + 1)


def _normal_scores(column: Floats) -> Curve:
    """Return the curve from values to normal scores by rank; beyond the rows it goes on as it went from the median."""
    known = column[~np.isnan(column)]
    if not len(known):
        return Curve((0.0,), (0.0,))
    values, counts = np.unique(known, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(known)
    scores = ndtri(middle)
    if len(values) == 1:  # it never moved: any move is far
        gap = 1e-6 * max(abs(float(values[0])), 1.0)
        return Curve((float(values[0]) - gap, float(values[0]), float(values[0]) + gap), (-_FAR, 0.0, _FAR))
    shift = float(np.average(scores, weights=counts))
    centre = int(np.searchsorted(middle, 0.5))
    low = _slope(values, scores, 0, centre)
    high = _slope(values, scores, len(values) - 1, min(centre, len(values) - 2))
    at = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
    knots = [values[0] - (_FAR + scores[0]) / low, *values[at], values[-1] + (_FAR - scores[-1]) / high]
    return Curve(tuple(map(float, knots)), tuple(float(z) - shift for z in (-_FAR, *scores[at], _FAR)))


def _slope(values: Floats, scores: Floats, end: int, centre: int) -> float:
    """Return how steeply the scores rise from a middle place to an end."""
    if centre == end:
        centre = 1 if end == 0 else end - 1
    return float((scores[end] - scores[centre]) / (values[end] - values[centre]))


def _surprise(scores: Floats) -> Curve:
    """Return minus the logarithm of the share of rows with as great a score; beyond them the tail goes on."""
    values, counts = np.unique(scores, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1]
    found = -np.log((1 + above) / (len(scores) + 1))
    tail = int(np.searchsorted(found, -np.log(0.1)))
    slope = 1.0  # of scores that hardly differ: that of the missing ones, which are logarithms themselves
    if tail < len(values) - 1:
        slope = float((found[-1] - found[tail]) / (values[-1] - values[tail]))
    at = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
    beyond = values[-1] + max((1e6 - found[-1]) / slope, abs(values[-1]) + 1.0)
    knots = (*values[at], beyond)
    return Curve(tuple(map(float, knots)), (*map(float, found[at]), float(found[-1] + slope * (beyond - values[-1]))))


def _two_axes(rows: Floats, name: str) -> Floats:
    """Return rows as an array of two axes."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2:
        raise DataError(f"{name} has shape {rows.shape}, needs rows and columns.")
    return rows
