"""Which periods are settled: about all labels that ever come have come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.triangle.survey import Survey

#: A period is settled when this share of the labels that periods usually get has come.
SETTLED = 0.9


def settled(survey: Survey, cutoff: int) -> NDArray[np.bool_]:
    """
    Say of each period before a cutoff whether it is settled then.

    Labels that come early are seldom like those that come late: a period that is half known is not judged.

    Parameters
    ----------
    survey : Survey
    cutoff : int
        Number of a cutoff, or of periods for the end of the history.

    Returns
    -------
    ndarray of bool, shape (cutoff,)
    """
    grid = survey.grid
    known = survey.known_at[grid.cell_rows] <= grid.edges[cutoff]
    counts = np.bincount(grid.period_of_cell_row[known], minlength=grid.periods)[:cutoff]
    share = counts / np.maximum(grid.rows[:cutoff], 1)
    return np.asarray((share > 0) & (share >= SETTLED * share.max(initial=0.0)))
