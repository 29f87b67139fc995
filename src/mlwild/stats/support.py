"""Whether a row lies where rows of the past lay: scores of outlyingness as conformal p-values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats import kernels
from mlwild.stats.curve import Curve
from mlwild.stats.rank_curves import surprise_curve
from mlwild.stats.scorer import SCORES, Scorer, learn_scorer
from mlwild.stats.surprises import Surprises, Tails

Floats = NDArray[np.float64]

#: Parts of the learning rows, each of which is scored by the others, and the fewest rows in one.
PARTS, FEWEST = 4, 30
#: Columns up to which rows are scored in one compiled pass; of more a product of matrices is most of the work.
MOST_COMPILED = 64


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

    Made by `learn_support`.

    Each score is read as a surprise (minus the logarithm of the share of learning rows that have as much); the
    greatest surprise is ranked among those of the calibration rows. As the surprise is a fixed function of the
    row, the p-value is a plain conformal one: no correction for several scores is lost. It is counted in small steps.

    Parameters
    ----------
    scorer : Scorer
        The scores of a row.
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

    scorer: Scorer
    surprise: tuple[Curve, ...]
    calibration: tuple[tuple[float, ...], ...]
    _tails: Tails = field(init=False, repr=False)
    _fixed: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep what every row asks for, and what a compiled loop is given where it shows all."""
        tails = Tails(Surprises.of(self.surprise), np.array(self.calibration[-1]))
        object.__setattr__(self, "_tails", tails)
        scorer, grids, scores = self.scorer, self.scorer.grids, tails.surprises.grids
        shown = not (grids.rest or tails.surprises.rest) and len(scorer) <= MOST_COMPILED
        fixed = (
            *(grids.grids.scale, grids.grids.shift, grids.grids.first, grids.grids.bits, grids.slope, grids.value),
            *(scorer.residual, scorer.deviation, scores.scale, scores.shift, scores.first, scores.bits, tails.steps),
        )
        object.__setattr__(self, "_fixed", fixed if shown else ())

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
        scores, columns = self.scorer.of_row(row)
        surprises = self._tails.surprises.of_row(scores)
        which = surprises.index(max(surprises))
        p = max(self._tails.of_row(scores), 1.0 / (self.n + 1.0))
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
        return max(self._tails.of_row(self.scorer.of_row(row)[0]), 1.0 / (self.n + 1.0))

    def alone(self, rows: Floats) -> float:
        """
        Return what `p_value` gives for a table of one row, where loops are compiled in a third of the time.

        Parameters
        ----------
        rows : ndarray of shape (1, n_columns)

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(600, 2))
        >>> support = learn_support(rows[:300], rows[300:])
        >>> support.alone(rows[:1]) == support.p_value(rows[0].tolist())
        True
        """
        found = self._compiled(rows) if rows.shape == (1, len(self.scorer)) else None
        if found is not None:
            return max(found.item(0), 1.0 / (self.n + 1.0))
        return self.p_value(rows[0].tolist())

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
        return np.maximum(self.tail(rows), 1.0 / (self.n + 1.0))

    def look(self, rows: Floats, leaving: Sequence[int] = ()) -> tuple[Floats, NDArray[np.intp]]:
        """
        Return p-values that go on below 1 / (n + 1), and the column that fits least with the others.

        Beyond the calibration rows a p-value falls as the tail of the learning rows does: see `Tails`.

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
        return self._tails.over(self.scorer.of(self._checked(rows), leaving, worst)), worst

    def tail(self, rows: Floats, *, near: bool = False) -> Floats:
        """
        Return the p-values of `look` alone.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        near : bool
            Whether it is known that every value is there, and none beyond 1e150.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(600, 2))
        >>> support = learn_support(rows[:300], rows[300:])
        >>> bool((support.tail(rows[:20]) == support.look(rows[:20])[0]).all())
        True
        """
        rows = self._checked(rows)
        found = self._compiled(rows)
        return self._tails.over(self.scorer.of(rows, near=near)) if found is None else found

    def _compiled(self, rows: Floats) -> Floats | None:
        """Return the same in one pass; None where no loop is compiled for such rows, or a value is missing."""
        if not self._fixed or kernels.compiled is None:
            return None
        made = np.full(len(rows), self._tails.whole)
        return made if kernels.compiled.tails(np.ascontiguousarray(rows.T), *self._fixed, made) else None

    def _checked(self, rows: Floats) -> Floats:
        rows = _two_axes(rows, "rows")
        if rows.shape[1] != len(self.scorer):
            raise DataError(f"rows have {rows.shape[1]} columns, need {len(self.scorer)}.")
        return rows


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
    scorer = learn_scorer(learning)
    surprise = tuple(surprise_curve(score) for score in _apart(learning, scorer))
    scores = scorer.of(calibration)
    kept = [*scores, Surprises.of(surprise).greatest(scores)]
    return Support(scorer, surprise, tuple(tuple(np.sort(score).tolist()) for score in kept))


def _apart(rows: Floats, scorer: Scorer) -> Floats:
    """
    Return the scores of rows, each as the other parts show them.

    By ranks, no row is further out than the greatest of those that were learned from; of the rows that come some are.
    Beside scores that know no such row, these few would set the bar for all that is strange in any way. Each part has
    rows of all times: what came with the years is no surprise.
    """
    if len(rows) < PARTS * FEWEST:
        return scorer.of(rows)
    made = np.empty((len(SCORES), len(rows)))
    for first in range(PARTS):
        part = np.arange(first, len(rows), PARTS)
        made[:, part] = learn_scorer(np.delete(rows, part, axis=0)).of(rows[part])
    return made


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
