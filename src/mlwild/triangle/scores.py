"""Predictions into losses: by row, by cell and by half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.losses import Loss
from mlwild.triangle.grid import Grid

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """
    What a vintage lost.

    Parameters
    ----------
    total, weight : ndarray of shape (n_cells,)
        Loss and number (weight) of rows of each cell's period up to and with that cell: what was
        known of the period when the cell had arrived. 0 for periods before the vintage.
    half_total : ndarray of shape (2, n_periods)
        Total loss of the two halves of each period's rows; they add up to the whole.
    """

    total: Floats
    weight: Floats
    half_total: Floats


def score(
    predictions: NDArray[np.float32],
    first_row: int,
    first_period: int,
    labels: NDArray[Any],
    loss: Loss,
    grid: Grid,
    unscored: NDArray[np.bool_] | None = None,
) -> Scores:
    """
    Score a vintage's predictions of all rows from `first_row` on.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows - first_row,) or (n_rows - first_row, n_classes)
    labels : ndarray of shape (n_rows,)
        Numbers, or class numbers.
    unscored : ndarray of bool, shape (n_rows,), optional
        Rows that count for no vintage, because some vintage of their time could not predict them.
    """
    begin = int(np.searchsorted(grid.cell_period, first_period))
    low = int(grid.cell_start[begin]) if begin < len(grid.cell_start) else len(grid.cell_rows)
    rows = grid.cell_rows[low:]
    cells = len(grid.cell_start)
    total, weight = np.zeros(cells), np.zeros(cells)
    halves = np.zeros((2, grid.periods))
    if not len(rows):
        return Scores(total, weight, halves)
    predicted, truth = predictions[rows - first_row], labels[rows]
    counts = np.ones(len(rows), bool) if unscored is None else ~unscored[rows]
    if not counts.all():  # any number will do: it is given no weight
        predicted = np.where(counts if predicted.ndim == 1 else counts[:, None], predicted, np.float32(0.5))
    starts = grid.cell_start[begin:] - low
    period = grid.cell_period[begin:]
    if loss.per == "row":
        weights = grid.weight[rows] * counts
        lost = loss.rows(truth, predicted) * weights
        total[begin:] = _within(np.add.reduceat(lost, starts), period)
        weight[begin:] = _within(np.add.reduceat(weights, starts), period)
        flat = grid.half[low:] * grid.periods + grid.period_of_cell_row[low:]
        sums = np.asarray(np.bincount(flat, lost, 2 * grid.periods), dtype=np.float64)
        return Scores(total, weight, sums.reshape(2, grid.periods))
    ends = np.append(starts[1:], len(rows))
    opens = starts[np.searchsorted(period, period)]
    for cell, (left, right) in enumerate(zip(opens, ends, strict=True)):
        part = np.flatnonzero(counts[left:right]) + left
        value = loss.of_set(truth[part], predicted[part])
        if np.isfinite(value):  # one class only: nothing is known of the period yet
            total[begin + cell], weight[begin + cell] = value * len(part), len(part)
    half = grid.half[low:]
    for k in np.unique(period):
        inside = np.flatnonzero((grid.period_of_cell_row[low:] == k) & counts)
        for side in (0, 1):
            part = inside[half[inside] == side]
            value = loss.of_set(truth[part], predicted[part])
            halves[side, k] = value * len(part) if np.isfinite(value) else 0.0
    return Scores(total, weight, halves)


def _within(values: Floats, period: NDArray[np.int64]) -> Floats:
    """
    Return cumulative sums that begin anew with each period.

    Each is summed by itself: a running sum over all periods, less its start, would let labels that
    arrive later change the last bits of what was known earlier.
    """
    sums = values.copy()
    place = np.arange(len(period)) - np.searchsorted(period, period)
    for rank in range(1, int(place.max(initial=0)) + 1):
        at = np.flatnonzero(place == rank)
        sums[at] += sums[at - 1]
    return sums
