"""The worst slice as it was known before a cutoff: what remedies are rehearsed for where none is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.errors import DataError
from mlwild.records import Vintage
from mlwild.slicing import binned
from mlwild.stats.slices import found_slices, halves
from mlwild.triangle import Survey, Triangle

#: Fewest rows that a slice is searched among; newest rows that are read.
FEWEST, MOST = 200, 60_000
#: Newest periods before the cutoff that are searched: their vintages are made where no rehearsal made them.
PERIODS = 12


def worst_before(survey: Survey, triangle: Triangle, cutoff: int) -> Callable[[Any], Any]:
    """
    Return the worst slice of the periods before a cutoff, as a function of the features.

    Each of the last periods is scored by the vintage made just before it; the slice is found on every second row and
    confirmed on the others.

    Parameters
    ----------
    survey : Survey
    triangle : Triangle
        Of a model with a loss of rows.
    cutoff : int

    Returns
    -------
    callable
        Named after its condition.

    Raises
    ------
    DataError
        If there are too few rows, or no slice is worse than chance explains.
    """
    grid = survey.grid
    now = int(grid.edges[cutoff])
    rows, lost = [], []
    for k in range(max(0, cutoff - PERIODS), cutoff):
        vintage = Vintage(k, str(survey.app.windows[0]))
        mine = np.sort(grid.cell_rows[grid.period_of_cell_row == k])
        mine = mine[(survey.known_at[mine] <= now) & ~triangle.unscored[mine]]
        if len(mine) and triangle.ensure(vintage):
            rows.append(mine)
            lost.append(triangle.row_losses(vintage, mine))
    picked = np.concatenate(rows)[-MOST:] if rows else np.zeros(0, np.int64)
    if len(picked) < FEWEST:
        raise DataError(f"slice: {len(picked)} labelled rows before the first cutoff are too few to search. Name one.")
    table = survey.features.take(picked)
    cut = binned(table)
    found = found_slices(cut.codes, np.concatenate(lost)[-MOST:], half=halves(len(picked)))
    if not found.confirmed:
        raise DataError(
            f"slice: of {found.searched:,} slices before the first cutoff none is worse than chance explains: there "
            "is nothing to mend. Name one with --slice if you know better."
        )
    conditions = found.confirmed[0].conditions

    def slice_(features: Any) -> Any:
        made, _ = frames.to_arrow(features, "slice")
        return cut.holds(conditions, made)

    slice_.__name__ = cut.condition(conditions)
    return slice_
