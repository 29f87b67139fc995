"""What went live so far, as it was known at a cutoff."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.trial import History
from mlwild.lives import Life
from mlwild.records import Vintage
from mlwild.triangle import Triangle
from mlwild.triangle.settled import settled


def history_until(triangle: Triangle, life: Life, cutoff: int) -> History:
    """Return the loss of what was live in each period before a cutoff, over the labels known then."""
    survey, loss_ = triangle.survey, triangle.survey.loss
    grid, now = survey.grid, int(survey.grid.edges[cutoff])
    ready = settled(survey, cutoff)
    periods = np.arange(life.first, cutoff)
    loss, weight = np.full(len(periods), np.nan), np.zeros(len(periods))
    for place, k in enumerate(periods):
        low, high = np.searchsorted(grid.period_of_cell_row, [k, k + 1])
        rows = np.sort(grid.cell_rows[low:high])
        rows = rows[(survey.known_at[rows] <= now) & ~triangle.unscored[rows]]
        weight[place] = grid.weight[rows].sum()
        if not len(rows):
            continue
        vintage = life.live[place]
        if loss_.per == "row":
            loss[place] = np.average(triangle.row_losses(vintage, rows), weights=grid.weight[rows])
        else:
            loss[place] = loss_.of_set(survey.labels[rows], kept_predictions(triangle, vintage, rows))
    shown = [survey.clock.show(int(grid.edges[int(k)])) for k in periods]
    live = [str(one) for one in life.live[: len(periods)]]
    return History(periods, loss, weight, ready[life.first :], live, shown)


def kept_predictions(triangle: Triangle, vintage: Vintage, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a vintage's predictions of rows from its cutoff on, as they were kept."""
    first = int(triangle.survey.grid.row_start[vintage.cutoff])
    return triangle.predictions(vintage)[rows - first]
