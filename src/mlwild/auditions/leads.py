"""How long before the loss rose a signal had warned, at a tolerated rate of false alarms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.cells import Cells

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: An alarm this many periods before the loss rose counts as a warning, not as a false alarm.
AHEAD = 4
#: Share of the looks that may be false alarms where looks cannot be counted by year.
TOLERATED = 0.05


def _runs(cells: Cells) -> Iterator[slice]:
    """Yield the cells of one vintage after the other that follow each other."""
    breaks = np.flatnonzero((np.diff(cells.vintage) != 0) | (np.diff(cells.period) != 1)) + 1
    ends = [0, *breaks.tolist(), len(cells)]
    for low, high in pairwise(ends):
        yield slice(low, high)


def _episodes(events: Bools) -> list[tuple[int, int]]:
    """Return where each run of events begins and ends (excluded)."""
    padded = np.concatenate([[False], events, [False]]).astype(np.int8)
    steps = np.diff(padded)
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def lead_time(values: Floats, events: Bools, cells: Cells, looks_per_year: float | None) -> dict[str, Any]:
    """
    Return how many periods before the loss rose a signal crossed its threshold.

    The threshold is the lowest at which false alarms are as rare as tolerated: one a year of looks, or a look
    in twenty where times are integers. It is set in hindsight, so the figures flatter every signal alike.

    Parameters
    ----------
    values : ndarray of shape (n_cells,)
        Signals; NaN where there is none.
    events : ndarray of bool, shape (n_cells,)
        Cells in which the loss had risen.
    cells : Cells
    looks_per_year : float or None

    Returns
    -------
    dict
        ``periods``: median lead over the episodes that were caught (0: in their first period, negative: later);
        ``caught``: share of them; ``episodes``; ``false_alarms_per_year``; ``false_alarms_per_look``.
    """
    tolerated = TOLERATED if looks_per_year is None else min(1 / looks_per_year, 0.5)
    quiet = ~events & np.isfinite(values)
    episodes = []
    for run in _runs(cells):
        for begin, end in _episodes(events[run]):
            first = max(begin - AHEAD, 0)
            quiet[run.start + first : run.start + begin] = False
            episodes.append((run.start + first, run.start + begin, run.start + end))
    nothing = {"periods": None, "caught": None, "episodes": len(episodes)}
    nothing |= {"false_alarms_per_year": None, "false_alarms_per_look": None}
    if not episodes or not quiet.any():
        return nothing
    ordered = np.sort(values[quiet])[::-1]
    threshold = ordered[int(tolerated * len(ordered))]
    alarms = values > threshold  # NaN alarms never
    leads = []
    for first, begin, end in episodes:
        rung = np.flatnonzero(alarms[first:end])
        if len(rung):
            leads.append(begin - (first + int(rung[0])))
    false = float(alarms[quiet].mean())
    return {
        "periods": float(np.median(leads)) if leads else None,
        "caught": len(leads) / len(episodes),
        "episodes": len(episodes),
        "false_alarms_per_year": None if looks_per_year is None else false * looks_per_year,
        "false_alarms_per_look": false,
    }
