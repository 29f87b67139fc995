"""How far off a prediction will be, as far as its row shows: the errors of other rows, by how unusual they were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats import kernels

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

#: Columns that are looked at, at most: those that go along with the scores best.
MOST_COLUMNS = 32
#: Ridge penalty, as a share of the rows, on columns of unit variance: little, so that what is rare counts too.
PENALTY = 0.01
#: Share of rows beyond which a column's deviation is cut while weights are learned: a spike is a lever.
CUT = 0.98
#: No difficulty is below this share of the mean score.
FLOOR = 0.1
#: Deviations above this are taken for it: what is made of them stays a number.
_FARTHEST = 1e100
#: Cells that are looked at together.
_CELLS = 24_000


@dataclass(frozen=True, eq=False)
class Difficulty:
    """
    The score that is expected of a row: linear in how far each column lies from its middle, and on which side.

    Parameters
    ----------
    centre : ndarray of shape (n_columns,)
        Their middles.
    far, side : ndarray of shape (n_columns,)
        Weights of the absolute deviation and of the signed one.
    intercept : float
    floor : float
        Least difficulty, above 0.
    """

    centre: Floats
    far: Floats
    side: Floats
    intercept: float
    floor: float

    def of(self, *parts: Floats) -> Floats:
        """
        Return the difficulty of rows.

        Parameters
        ----------
        *parts : ndarray of shape (n_rows, n_columns)
            Columns, in one table or in several side by side; what is missing counts as the middle.

        Returns
        -------
        ndarray of shape (n_rows,)
            Finite, above 0.
        """
        n, step = len(parts[0]), max(_CELLS // len(self.centre), 1)
        if n <= step:
            found = self._of(parts)
        else:  # some rows at a time: what fits into a cache is several times as fast
            found = np.concatenate([self._of([part[at : at + step] for part in parts]) for at in range(0, n, step)])
        found += self.intercept
        np.maximum(found, 0.0, out=found)
        found += self.floor
        return found

    def of_one(self, *parts: Floats) -> float:
        """Return the same of one row, to the last bit, in a fifth of the time."""
        made, row = 0.0, chain.from_iterable(part[0].tolist() for part in parts)
        for x, (centre, far, side) in zip(row, self._each, strict=True):
            off = x - centre
            made += abs(off) * far + off * side
        if not math.isfinite(made):  # what is no number is made one there
            return float(self.of(*parts)[0])
        return max(made + self.intercept, 0.0) + self.floor

    @property
    def flat(self) -> bool:
        """Whether all rows are as hard."""
        return not (self.far.any() or self.side.any())

    def _of(self, parts: Sequence[Floats]) -> Floats:
        """Return what all columns add."""
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is made one below
            made = self._plain(parts) if kernels.compiled is None else self._compiled(parts)
            whole = math.isfinite(made.sum())
        if not whole:
            odd = np.flatnonzero(~np.isfinite(made))
            off = _deviations(np.concatenate([part[odd] for part in parts], axis=1), self.centre)
            made[odd] = self._added(np.ascontiguousarray(off.T))
        return made

    def _plain(self, parts: Sequence[Floats]) -> Floats:
        off, first = np.empty((len(self.centre), len(parts[0]))), 0
        for part in parts:
            span = slice(first, first + part.shape[1])
            first = span.stop
            np.subtract(part.T, self.centre[span, None], out=off[span])
        return self._added(off)

    def _compiled(self, parts: Sequence[Floats]) -> Floats:
        made, first = np.zeros(len(parts[0])), 0
        for part in parts:
            span = slice(first, first + part.shape[1])
            first = span.stop
            x = np.ascontiguousarray(part.T)
            kernels.compiled.added(x, self.centre[span], self.far[span], self.side[span], made)
        return made

    def _added(self, off: Floats) -> Floats:
        """Return what deviations add, of shape (n_columns, n_rows); they are used up."""
        made = np.abs(off)
        made *= self.far[:, None]
        off *= self.side[:, None]
        made += off
        # Column by column, in order: a product of matrices may differ in the last bit from one row to many, and so does
        # the sum of a single row.
        return np.asarray(made.sum(axis=0) if off.shape[1] > 1 else made.cumsum(axis=0)[-1])

    @cached_property
    def _each(self) -> list[tuple[float, float, float]]:
        return list(zip(self.centre.tolist(), self.far.tolist(), self.side.tolist(), strict=True))


def learn_difficulty(rows: Floats, scores: Floats, centre: Floats) -> tuple[Difficulty, Floats]:
    """
    Learn the difficulty of rows from the scores of others, by ridge regression.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        NaN counts as the middle.
    scores : ndarray of shape (n_rows,)
        Finite, at least 0.
    centre : ndarray of shape (n_columns,)
        Where deviations are measured from.

    Returns
    -------
    Difficulty
    ndarray of shape (n_rows,)
        The difficulty of each of these rows as the others show it: a row's own score has no part in it (leave-one-out).

    Raises
    ------
    DataError
        If there are fewer than two rows, or a score is not finite or below 0.

    References
    ----------
    .. [1] Papadopoulos, H., Gammerman, A., & Vovk, V. (2008). Normalized nonconformity measures for regression
       conformal prediction. AIA 2008, 64-69.
    .. [2] Allen, D. M. (1974). The relationship between variable selection and data augmentation and a method for
       prediction. Technometrics, 16(1), 125-127 (leave-one-out of ridge regression in closed form).

    Examples
    --------
    >>> x = np.arange(-50.0, 50.0)[:, None]
    >>> found, _ = learn_difficulty(x, np.abs(x[:, 0]), np.zeros(1))
    >>> found.of(np.array([[0.0], [-40.0], [40.0]])).round().tolist()
    [3.0, 42.0, 42.0]
    """
    n = len(rows)
    if n < 2:
        raise DataError(f"difficulty: {n} rows, need two at least.")
    if not (np.isfinite(scores).all() and (scores >= 0).all()):
        raise DataError("difficulty: a score is not finite or below 0.")
    mean = float(scores.mean())
    off, above = _deviations(rows, centre), scores - mean
    columns = _leading(off, above)
    off = off[:, columns]
    reach = np.sort(np.abs(off), axis=0)[min(int(CUT * n), n - 1)]
    cut = np.clip(off, -reach, reach)
    every = np.concatenate([np.abs(cut), cut], axis=1)
    middle, wide = every.mean(axis=0), every.std(axis=0)
    flat = wide <= 1e-9 * np.abs(every).max(axis=0)
    scale = np.divide(1.0, wide, out=np.zeros_like(wide), where=~flat)
    unit = (every - middle) * scale
    strength, turned = np.linalg.eigh(unit.T @ unit)
    shrunk = 1.0 / (np.maximum(strength, 0.0) + PENALTY * n)
    along = unit @ turned
    parts = shrunk * (along.T @ above)
    # Whose own score a row's fit leans on, and by how much: the intercept's share is 1 / n.
    leaning = np.minimum((along * along) @ shrunk + 1.0 / n, 0.999)
    fitted = along @ parts
    without = (fitted - leaning * above) / (1.0 - leaning)
    weights = (turned @ parts) * scale
    half = len(columns)
    floor = FLOOR * mean + np.finfo(np.float64).tiny
    far, side = np.zeros_like(centre), np.zeros_like(centre)
    far[columns], side[columns] = weights[:half], weights[half:]
    found = Difficulty(centre, far, side, float(mean - middle @ weights), float(floor))
    # What was cut while weights were learned counts in full once they are known.
    beyond = np.concatenate([np.abs(off), off], axis=1) - every
    return found, np.maximum(mean + without + beyond @ weights, 0.0) + floor


def _deviations(rows: Floats, centre: Floats) -> Floats:
    off = rows - centre
    return np.clip(np.where(off == off, off, 0.0), -_FARTHEST, _FARTHEST)  # noqa: PLR0124  NaN is not itself


def _leading(off: Floats, above: Floats) -> Ints:
    """Return the columns that go along with the scores best, in order."""
    if off.shape[1] <= MOST_COLUMNS:
        return np.arange(off.shape[1])
    best = np.zeros(off.shape[1])
    for every in (np.abs(off), off):
        centred = every - every.mean(axis=0)
        wide = np.sqrt((centred * centred).sum(axis=0))
        found = np.abs(above @ centred)
        best = np.maximum(best, np.divide(found, wide, out=np.zeros_like(found), where=wide > 0))
    return np.sort(np.argsort(-best, kind="stable")[:MOST_COLUMNS])
