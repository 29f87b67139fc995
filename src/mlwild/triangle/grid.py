"""Periods, and which labels of each period were known at which cutoff."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER, Times
from mlwild.errors import DataError
from mlwild.events import Events

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """
    The calendar of a rehearsal: cutoffs, periods, and cells of labels that arrived together.

    A **cell** holds the labelled rows of one period whose labels became known at the same cutoff.
    Cells are ordered by period, then by arrival; what was known of a period at a cutoff is a prefix
    of its cells.

    Parameters
    ----------
    edges : ndarray of int64, shape (n_periods + 1,)
        Cutoff k opens period k; the last entry closes the last one.
    row_start : ndarray of int64, shape (n_periods + 1,)
        Row that each edge falls on: period k holds rows ``row_start[k]:row_start[k + 1]``.
    cell_rows : ndarray of int64, shape (n_labelled_rows,)
        Labelled rows of all periods, ordered by cell.
    cell_start : ndarray of int64, shape (n_cells,)
        Where each cell begins in `cell_rows`.
    cell_period, cell_arrival : ndarray of int64, shape (n_cells,)
        Period of a cell, and the cutoff at which its labels are known (n_periods: later).
    """

    edges: Times
    row_start: Ints
    cell_rows: Ints
    cell_start: Ints
    cell_period: Ints
    cell_arrival: Ints
    weight: Floats = field(repr=False)

    @property
    def periods(self) -> int:
        """Number of periods, and of cutoffs."""
        return len(self.edges) - 1

    @cached_property
    def period_of_cell_row(self) -> Ints:
        """Period of each entry of `cell_rows`."""
        sizes = np.diff(np.append(self.cell_start, len(self.cell_rows)))
        return np.repeat(self.cell_period, sizes)

    @cached_property
    def half(self) -> Ints:
        """0 or 1 for each entry of `cell_rows`: rows of a period taken in turn, in order of time."""
        order = np.argsort(self.cell_rows, kind="stable")
        period = self.period_of_cell_row[order]
        first = np.searchsorted(period, np.arange(self.periods))
        place = np.arange(len(order)) - first[period]
        half = np.empty(len(order), dtype=np.int64)
        half[order] = place % 2
        return half

    @cached_property
    def labelled(self) -> Ints:
        """Number of rows of each period whose label ever arrived, shape (n_periods,)."""
        return np.bincount(self.period_of_cell_row, minlength=self.periods)

    @cached_property
    def rows(self) -> Ints:
        """Number of rows of each period, shape (n_periods,)."""
        return np.diff(self.row_start)

    @cached_property
    def usual_delay(self) -> int:
        """Periods between a period's end and the cutoff at which half of all labels were known."""
        sizes = np.diff(np.append(self.cell_start, len(self.cell_rows)))
        if not len(sizes):
            return 0
        late = self.cell_arrival - self.cell_period - 1
        order = np.argsort(late, kind="stable")
        half = np.searchsorted(np.cumsum(sizes[order]), sizes.sum() / 2)
        return int(late[order][half])

    def last_known(self, cutoff: int) -> Ints:
        """
        Return the last cell of each past period that is known at a cutoff.

        Returns
        -------
        ndarray of int64, shape (cutoff,)
            -1 where nothing of the period is known.
        """
        key = self.cell_period * (self.periods + 2) + self.cell_arrival
        wanted = np.arange(cutoff) * (self.periods + 2) + cutoff
        at = np.searchsorted(key, wanted, side="right") - 1
        found = (at >= 0) & (self.cell_period[np.maximum(at, 0)] == np.arange(cutoff))
        return np.where(found, at, -1)

    @cached_property
    def last(self) -> Ints:
        """Last cell of each period: all that was ever known; -1 for a period without labels."""
        at = np.searchsorted(self.cell_period, np.arange(self.periods), side="right") - 1
        found = (at >= 0) & (self.cell_period[np.maximum(at, 0)] == np.arange(self.periods))
        return np.where(found, at, -1)


def lay_out(events: Events, edges: Times) -> Grid:
    """
    Cut the events into periods and cells.

    Raises
    ------
    DataError
        If there are fewer than three cutoffs.
    """
    if len(edges) < 4:
        clock = events.clock
        raise DataError(
            f"every: only {max(len(edges) - 1, 0)} whole periods between {clock.show(int(events.time[0]))} "
            f"and {clock.show(int(events.time[-1]))} after the warm-up; a rehearsal needs three. Use a shorter "
            "cadence, an earlier `start`, or more history."
        )
    row_start = np.searchsorted(events.time, edges, side="left")
    low, high = int(row_start[0]), int(row_start[-1])
    rows = np.arange(low, high)[events.known_at[low:high] != NEVER]
    period = np.searchsorted(edges, events.time[rows], side="right") - 1
    arrival = np.searchsorted(edges[:-1], events.known_at[rows], side="left")
    # A label known at the very cutoff that opens its period is known after it, not before.
    arrival = np.maximum(arrival, period + 1)
    order = np.lexsort((rows, arrival, period))
    rows, period, arrival = rows[order], period[order], arrival[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (period[1:] != period[:-1]) | (arrival[1:] != arrival[:-1])
    start = np.flatnonzero(new)
    return Grid(
        edges=edges,
        row_start=row_start,
        cell_rows=rows,
        cell_start=start,
        cell_period=period[start],
        cell_arrival=arrival[start],
        weight=events.weight,
    )
