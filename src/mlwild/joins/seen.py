"""Which events see which rows: both in the order of the events, so that a row is seen by one stretch of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER

Ints = NDArray[np.int64]


def stable_order(codes: Ints) -> Ints:
    """
    Return the order of some small numbers, ties as they are: sixteen bits at a time, which takes no comparison.

    Examples
    --------
    >>> stable_order(np.array([70_000, 3, 70_000, 0])).tolist()
    [3, 1, 0, 2]
    """
    top = int(codes.max(initial=0))
    order = np.argsort((codes & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while top >> shift:
        part = ((codes >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(part[order], kind="stable")]
        shift += 16
    return order


@dataclass(frozen=True, eq=False)
class Asked:
    """
    Events in order of key and time.

    Parameters
    ----------
    key : ndarray of int64, shape (n,)
        Number of the key, from 0.
    time : ndarray of int64, shape (n,)
    """

    key: Ints
    time: Ints

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.time)

    @cached_property
    def _by_time(self) -> Ints | None:
        """The order of time; None where the events are in it."""
        in_order = len(self.time) < 2 or bool((self.time[1:] >= self.time[:-1]).all())
        return None if in_order else np.argsort(self.time, kind="stable")

    @cached_property
    def _ranked(self) -> tuple[Ints, Ints]:
        """All times, each once, in order; and the place of each event's time among them."""
        times = self.time if self._by_time is None else self.time[self._by_time]
        first = np.ones(len(times), dtype=bool)
        np.not_equal(times[1:], times[:-1], out=first[1:])
        rank = np.cumsum(first) - 1
        if self._by_time is not None:
            rank[self._by_time] = rank.copy()
        return times[first], rank

    @property
    def instants(self) -> Ints:
        """All times, each once, in order."""
        return self._ranked[0]

    @cached_property
    def order(self) -> Ints:
        """Rows in order of key and time."""
        if self._by_time is None:
            return stable_order(self.key)
        return self._by_time[stable_order(self.key[self._by_time])]

    @cached_property
    def places(self) -> Ints:
        """Key and time of the events in their order, as one number that rises."""
        # By rank, not by time itself: so that nothing overflows.
        instants, rank = self._ranked
        return (self.key * (len(instants) + 1) + rank)[self.order]

    def first_from(self, key: Ints, instant: Ints) -> Ints:
        """Return the place in the order of the first event of each key at or after an instant."""
        wanted = key * (len(self.instants) + 1) + np.searchsorted(self.instants, instant)
        # Key by key, so that one search begins where the last one ended.
        by_key = stable_order(key)
        found = np.empty(len(key), np.int64)
        found[by_key] = np.searchsorted(self.places, wanted[by_key])
        return found

    def restored(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return values of the events from their order to that in which they came."""
        made = np.empty_like(values)
        made[self.order] = values
        return made


@dataclass(frozen=True, eq=False)
class Seen:
    """
    Rows, each with the stretch of events that see it; rows that none sees are left out.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_rows,)
        Which rows they are.
    low, high : ndarray of int64, shape (n_rows,)
        The first event that sees a row, and the first after that no longer does, in the order of the events.
    n : int
        Number of events.
    """

    rows: Ints
    low: Ints
    high: Ints
    n: int

    @staticmethod
    def of(asked: Asked, key: Ints, begins: Ints, ends: Ints) -> Seen:
        """
        Find the events that see each row: those of its key from one instant on, and before another.

        Parameters
        ----------
        asked : Asked
        key : ndarray of int64, shape (n_rows,)
            -1 where no event has the row's key.
        begins, ends : ndarray of int64, shape (n_rows,)
            ``NEVER`` begins never, or ends never.
        """
        # What begins after the last event or has ended before the first is seen by none.
        some = len(asked) > 0
        first, last = (asked.instants[0], asked.instants[-1]) if some else (0, 0)
        rows = np.flatnonzero((key >= 0) & (begins <= last) & (ends > first) & (begins != NEVER) & some)
        low = asked.first_from(key[rows], begins[rows])
        high = asked.first_from(key[rows], ends[rows])
        seen = low < high
        return Seen(rows[seen], low[seen], high[seen], len(asked))

    def where(self, chosen: NDArray[np.bool_]) -> Seen:
        """Return some of the rows."""
        return Seen(self.rows[chosen], self.low[chosen], self.high[chosen], self.n)

    @cached_property
    def by_low(self) -> Ints:
        """The rows in the order in which they come into sight."""
        return np.argsort(self.low, kind="stable")

    @cached_property
    def by_high(self) -> Ints:
        """The rows in the order in which they go out of sight."""
        high = self.high[self.by_low]
        in_turn = bool((high[1:] >= high[:-1]).all())
        return self.by_low if in_turn else np.argsort(self.high, kind="stable")

    @cached_property
    def come(self) -> Ints:
        """How many rows have come into sight by each event, that event included."""
        return np.asarray(np.cumsum(np.bincount(self.low, minlength=self.n + 1))[: self.n])

    @cached_property
    def gone(self) -> Ints:
        """How many have gone out of sight."""
        return np.asarray(np.cumsum(np.bincount(self.high, minlength=self.n + 1))[: self.n])

    def count(self) -> Ints:
        """Return how many rows each event sees."""
        return self.come - self.gone

    def kinds(self, code: Ints) -> Ints:
        """
        Return how many different codes each event sees.

        Stretches of one code that overlap are joined; then every code that is seen is one stretch.

        Parameters
        ----------
        code : ndarray of int64, shape (n_rows,)
        """
        if not len(self.rows):
            return np.zeros(self.n, np.int64)
        order = self.by_low[stable_order(code[self.by_low])]
        low, base = self.low[order], code[order] * (self.n + 1)
        # A greater code lies above all of the smaller ones, so the running maximum begins anew.
        reach = np.maximum.accumulate(self.high[order] + base)
        new = np.ones(len(order), dtype=bool)
        new[1:] = low[1:] + base[1:] > reach[:-1]
        last = np.append(np.flatnonzero(new)[1:] - 1, len(order) - 1)
        rows = np.arange(new.sum())
        return Seen(rows, low[new], reach[last] - base[last], self.n).count()

    def topmost(self, rank: Ints) -> Ints:
        """
        Return the greatest rank that each event sees; -1 where it sees no row.

        A stretch is two stretches of a power of two that overlap; from the longest on, each is handed down to its two
        halves, until they are single events.

        Parameters
        ----------
        rank : ndarray of int64, shape (n_rows,)
            From 0.
        """
        small = np.int32 if int(rank.max(initial=0)) < 2**31 - 1 else np.int64
        best = np.full(self.n, -1, small)
        if not len(self.rows):
            return best.astype(np.int64)
        rank = rank.astype(small)
        level = np.frexp((self.high - self.low).astype(np.float64))[1] - 1
        by_level = np.argsort(level, kind="stable")
        ends = np.searchsorted(level[by_level], np.arange(int(level.max()) + 2))
        for step in range(int(level.max()), -1, -1):
            rows = by_level[ends[step] : ends[step + 1]]
            np.maximum.at(best, self.low[rows], rank[rows])
            np.maximum.at(best, self.high[rows] - (1 << step), rank[rows])
            if step:
                half = 1 << (step - 1)
                handed = best.copy()
                np.maximum(handed[half:], best[:-half], out=handed[half:])
                best = handed
        return best.astype(np.int64)
