"""How long values stand still: rows on end, and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.guards.encoding import STRANGE
from mlwild.stats import kernels

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Share of a feature's runs that last no longer than what counts as long for it.
USUAL = 0.99


@dataclass
class Runs:
    """
    How long each feature has stood still, row after row.

    A row that is the same as the one before in every feature is the same request again, and makes no run longer.

    Parameters
    ----------
    last : ndarray of shape (n_features,)
        Values of the last row.
    length : ndarray of shape (n_features,)
        Rows on end that had them; 0 before the first.
    since : ndarray of shape (n_features,)
        Times of the first of those; NaN where nobody knows.
    """

    last: Floats
    length: Floats
    since: Floats

    @staticmethod
    def of(n: int) -> Runs:
        """Return the runs before any row."""
        return Runs(np.full(n, np.nan), np.zeros(n), np.full(n, np.nan))

    def feed(
        self,
        rows: Floats,
        longest: Floats,
        times: Floats | None = None,
        lasting: Floats | float = -1.0,
        *,
        whole: bool = False,
    ) -> Bools | None:
        """
        Take in rows in order, and mark the values that have stood still for too long; None where none has.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
        longest : ndarray of shape (n_features,)
            Most rows on end.
        times : ndarray of shape (n_rows,), optional
            Of the rows; without them rows alone are counted.
        lasting : ndarray of shape (n_features,)
            What has not lasted for longer has not stood still for too long, however many rows there were; below 0 where
            rows alone are counted.
        whole : bool
            Whether it is known that no value is missing.

        Examples
        --------
        >>> runs = Runs.of(1)
        >>> runs.feed(np.array([[1.0], [1.0], [2.0]]), np.array([2.0])) is None
        True
        >>> runs.feed(np.array([[2.0], [2.0]]), np.array([2.0])).ravel().tolist()
        [False, True]
        """
        if not len(rows):
            return None
        # Of most batches nothing stands still for two rows; the greatest is NaN where there is a gap.
        moves = (whole or (len(rows) > 1 and not math.isnan(rows.max()))) and not self._repeats(rows)
        if len(rows) == 1 and not moves:
            return self._alone(rows[0], longest, times, lasting)
        new = None if moves else _new(rows, self.last, self.length)
        if new is None or new.all():
            length, began = np.ones((1, rows.shape[1])), None if times is None else times[-1:, None]
        else:
            length, began = _lengths(new, self.length), None if times is None else _began(new, times, self.since)
        over = length > longest
        if began is not None and over.any():
            over &= ~(np.abs(np.asarray(times)[-len(began) :, None] - began) <= lasting)
        self.last, self.length = rows[-1].copy(), length[-1].copy()
        self.since = self.since if began is None else np.broadcast_to(began[-1], self.last.shape).copy()
        return np.broadcast_to(over, rows.shape) if over.any() else None

    def _repeats(self, rows: Floats) -> bool:
        """Say whether any value is that of the row before."""
        if kernels.compiled is not None and rows.flags.f_contiguous:
            return bool(kernels.compiled.repeats(rows.T, self.last))
        return bool((rows[1:] == rows[:-1]).any() or (rows[0] == self.last).any())

    def _alone(self, row: Floats, longest: Floats, times: Floats | None, lasting: Floats | float) -> Bools | None:
        """Take in one row: most requests."""
        # Two strange words need not be the same one; NaN is not itself.
        same = ((row == self.last) & (row != STRANGE)) | ((row != row) & (self.last != self.last))  # noqa: PLR0124
        if not (len(row) > 1 and self.length[0] > 0 and same.all()):
            same &= self.length > 0
            self.length = np.where(same, self.length + 1.0, 1.0)
            self.since = self.since if times is None else np.where(same, self.since, times[0])
        self.last = row.copy()
        over = self.length > longest
        if not over.any():
            return None
        if times is not None:
            over &= ~(np.abs(times[0] - self.since) <= lasting)
        return over[None, :] if over.any() else None


def _new(rows: Floats, last: Floats, length: Floats) -> Bools:
    """Mark the values that are not those of the row before; of the first, of an earlier row."""
    same = np.empty(rows.shape, dtype=bool)
    np.equal(rows[1:], rows[:-1], out=same[1:])
    np.equal(rows[0], last, out=same[0])
    strange = rows == STRANGE
    if strange.any():  # two strange words need not be the same one
        same &= ~strange
    gaps = np.isnan(rows)
    if gaps.any():
        same[1:] |= gaps[1:] & gaps[:-1]
        same[0] |= gaps[0] & np.isnan(last)
    new = ~same
    new[0] |= length == 0
    return new


def _lengths(new: Bools, length: Floats) -> Floats:
    """Return how long each value has stood still at each row, going on from an earlier row."""
    again = ~new.any(axis=1) if new.shape[1] > 1 else np.zeros(len(new), dtype=bool)
    # Places are counted without the rows that came again.
    place = (np.cumsum(~again) - 1.0)[:, None]
    began = np.maximum.accumulate(np.where(new, place, -1.0), axis=0)
    return np.where(began >= 0, place - began + 1.0, place + 1.0 + length)


def _began(new: Bools, times: Floats, since: Floats) -> Floats:
    """Return the time since when each value has stood still at each row."""
    first = np.maximum.accumulate(np.where(new, np.arange(len(new))[:, None], -1), axis=0)
    return np.where(first >= 0, times[np.maximum(first, 0)], since)


def longest_runs(rows: Floats) -> Floats:
    """
    Return the most rows on end with the same value, or without one, of each column.

    Examples
    --------
    >>> longest_runs(np.array([[1.0, np.nan], [2.0, np.nan], [2.0, 5.0]])).tolist()
    [2.0, 2.0]
    """
    n = rows.shape[1]
    lengths = _lengths(_new(rows, np.full(n, np.nan), np.zeros(n)), np.zeros(n)) if len(rows) else np.zeros((0, n))
    return np.asarray(lengths.max(axis=0, initial=0.0))


def longest_spans(rows: Floats, times: Floats) -> Floats:
    """
    Return how long each column has stood still: as long as any run was seen to last, or most until the next value.

    From one row to the next nobody knows when a value moved, so that it may have stood still for as long; but a gap in
    the history, of which there are few, is no such spell.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        In order of time.
    times : ndarray of shape (n_rows,)

    Examples
    --------
    >>> hours = np.arange(48.0)
    >>> longest_spans(np.column_stack([hours // 24, hours]), hours).tolist()
    [24.0, 1.0]
    """
    n = rows.shape[1]
    made = np.zeros(n)
    if len(rows) < 2:
        return made
    new = _new(rows, np.full(n, np.nan), np.zeros(n))
    for place in range(n):
        begins = np.flatnonzero(new[:, place])
        ends = np.append(begins[1:] - 1, len(rows) - 1)
        until = np.diff(times[begins])
        usual = np.quantile(until, USUAL, method="lower") if len(until) else 0.0
        made[place] = max(float((times[ends] - times[begins]).max()), float(usual))
    return made
