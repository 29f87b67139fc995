"""What changed in the newest period: its rows against those of the periods before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.monitors.shifts import shift
from mlwild.triangle import Survey

#: Periods that the newest is compared with, and rows of each side at most, evenly spaced.
REFERENCE, MOST_ROWS = 4, 100_000
#: Columns and slices that are kept.
_KEPT = 20


def latest_shift(survey: Survey, *, level: float = 0.05) -> dict[str, Any]:
    """
    Compare the rows of the newest period with those of the four before, and name the kind of shift.

    Parameters
    ----------
    survey : Survey
    level : float
        Share of false discoveries among the columns called moved.

    Returns
    -------
    dict
        `mlwild.monitors.shifts.ShiftReport.as_dict`, with the dates of both sides.
    """
    grid, clock = survey.grid, survey.clock
    newest = int(np.flatnonzero(grid.rows > 0)[-1])
    first = max(newest - REFERENCE, 0)
    low = int(grid.row_start[first]) if first < newest else 0  # nothing before: the rows of the warm-up
    spans = (low, int(grid.row_start[newest])), (int(grid.row_start[newest]), int(grid.row_start[newest + 1]))
    rows = [_thinned(np.arange(*span)) for span in spans]
    if not min(map(len, rows)):
        return {}
    labels = tuple(_labels(survey, side) for side in rows)
    tables = [survey.features.take(_positions(side)) for side in rows]
    found = shift(tables[0], tables[1], labels=(labels[0], labels[1]), level=level).as_dict()
    found["columns"], found["slices"] = found["columns"][:_KEPT], found["slices"][:_KEPT]
    opened = int(grid.edges[first]) if first < newest else int(survey.time[0])
    edges = {"reference_from": opened, "from": int(grid.edges[newest]), "to": int(grid.edges[newest + 1])}
    return {**{name: clock.show(edge) for name, edge in edges.items()}, **found}


def _thinned(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows if len(rows) <= MOST_ROWS else rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]


def _positions(rows: NDArray[np.int64]) -> Any:
    import pyarrow as pa

    return pa.array(rows)


def _labels(survey: Survey, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return labels as numbers (classes as theirs); NaN where there is none."""
    values = survey.labels[rows].astype(np.float64)
    return np.where(survey.known_at[rows] == NEVER, np.nan, values)
