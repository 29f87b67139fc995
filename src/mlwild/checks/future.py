"""Cut the future off, compute the features again, and compare them bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.cells import text, unlike
from mlwild.checks.findings import Finding
from mlwild.clock import Clock
from mlwild.events import Events
from mlwild.side_tables import SideTable
from mlwild.triangle.asof import cut_off
from mlwild.triangle.survey import Tables, make_features


def find_leaks(
    app: App, events: Events, tables: dict[str, SideTable], full: Any, *, cutoffs: int, seed: int
) -> list[Finding]:
    """
    Compare the features of the whole history with those that could be had at random instants.

    At each cutoff the later events are removed, side tables are cut to what was available, and
    labels, outcomes and arrival times that were not yet known are made missing. Cutoffs are times
    of events, so that the last event of each cut is computed without its own label.

    Parameters
    ----------
    full : pyarrow.Table
        Features of the whole history.
    """
    if app.features is None:
        return [Finding("future", "pass", "the features are the columns themselves; nothing is computed")]
    again, _ = make_features(app, events.frame, tables)
    unsteady = _first_differences(full, again, len(events))
    if unsteady:
        column, row, old, new, _ = unsteady[0]
        said = (
            f"feature {column!r} is not the same twice on the same data (row {row}: {old}, then {new}); give it a "
            "seed, else nothing can be compared"
        )
        return [Finding("future", "fail", said, column, row, (old, new))]
    instants = _cutoffs(events, cutoffs, seed)
    worst: dict[str, tuple[int, str, str, int, int]] = {}
    counts: dict[str, int] = {}
    for instant in instants:
        rows = int(np.searchsorted(events.time, instant, side="right"))
        part, _ = make_features(
            app, cut_off(app, events, instant, rows), Tables({k: t.before(instant) for k, t in tables.items()})
        )
        for column, row, old, new, n in _first_differences(full, part, rows):
            worst.setdefault(column, (row, old, new, n, instant))
            counts[column] = counts.get(column, 0) + 1
    if not worst:
        said = f"{full.num_columns} features are the same with the future cut off at {len(instants)} random instants"
        return [Finding("future", "pass", said)]
    return [_leak(events.clock, events.time, len(instants), counts, name, found) for name, found in worst.items()]


def _leak(
    clock: Clock,
    time: NDArray[np.int64],
    cutoffs: int,
    counts: dict[str, int],
    column: str,
    found: tuple[int, str, str, int, int],
) -> Finding:
    row, old, new, n, instant = found
    said = (
        f"feature {column!r} knows the future: row {row} ({clock.show(int(time[row]), seconds=True)}) is {old} with "
        f"the whole history in sight and {new} with what was known at {clock.show(instant, seconds=True)}; {n} rows "
        f"differ there, and {counts[column]} of {cutoffs} cutoffs show it"
    )
    return Finding("future", "fail", said, column, row, (old, new))


def _cutoffs(events: Events, number: int, seed: int) -> list[int]:
    n = len(events)
    low, high = n // 5, max(n // 5 + 1, n - 1)
    rng = np.random.default_rng(seed)
    rows = rng.choice(np.arange(low, high), size=min(number, high - low), replace=False)
    return sorted({int(events.time[row]) for row in rows})


def _first_differences(full: Any, part: Any, rows: int) -> list[tuple[str, int, str, str, int]]:
    """Return (column, first row, value in full, value in part, number of rows) of what differs."""
    found = []
    for name in full.column_names:
        if name not in part.column_names:
            found.append((name, rows - 1, "a column", "no column", rows))
            continue
        ours, theirs = full.column(name).slice(0, rows), part.column(name)
        differing = np.flatnonzero(unlike(ours, theirs))
        if len(differing):
            row = int(differing[0])
            found.append((name, row, text(ours[row]), text(theirs[row]), len(differing)))
    return found
