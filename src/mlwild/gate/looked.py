"""What a plain test looked at: too few rows, or not those whose answers are far off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.gate.outcome import Record
from mlwild.gate.trial import Trial
from mlwild.wording import count, number

#: A plain test that predicts fewer rows than this, or averages over fewer, says nothing, whatever it asserts.
FEWEST = 30
#: Fewer rows than this may have the greatest answers by chance.
APART = 3
#: An answer with fewer different values is a class: rows of one class are a slice, and no choice by size.
VALUES = 10


def too_few(record: Record) -> str:
    """
    Say that a test looked at too few rows; nothing where it looked at none, or at enough.

    Examples
    --------
    >>> too_few(Record(rows=2))
    'it had 2 rows predicted; 30 at least'
    >>> too_few(Record(rows=400, fewest=7))
    'it takes the mean loss of 7 rows; 30 at least'
    """
    if 0 < record.rows < FEWEST:
        return f"it had {count(record.rows)} rows predicted; {FEWEST} at least"
    if record.fewest < FEWEST:
        return f"it takes the mean loss of {count(int(record.fewest))} rows; {FEWEST} at least"
    return ""


def left_out(record: Record, trial: Trial) -> str:
    """
    Say that a test looked at all rows but those with the greatest or least answers; nothing where it did not.

    Answers are the label, where it is a number, and the outcomes that come with it. Nobody knows them when a prediction
    is asked for, so that no model is spared the rows that a test left out by them.
    """
    rows = trial.events
    seen = np.isin(rows.rows, np.concatenate(record.seen)) if record.seen else np.zeros(len(rows), dtype=bool)
    out = int((~seen).sum())
    whole = record.rows >= len(rows)  # features may have been predicted without saying of which rows
    if whole or not APART <= out < len(rows) / 2:
        return ""
    for name, values in _answers(trial):
        low, high = np.nanmin(values[seen]), np.nanmax(values[seen])
        above, below = values[~seen] > high, values[~seen] < low
        if (above | below).all():
            which = "greatest" if above.all() else "least" if below.all() else "most extreme"
            beyond = f"above {number(high)}" if above.all() else f"outside {number(low)} to {number(high)}"
            return (
                f"it leaves out the {count(out)} of {count(len(rows))} rows with the {which} {name!r} ({beyond}), "
                "which nobody knows when a prediction is asked for"
            )
    return ""


def _answers(trial: Trial) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what comes with the answer, as numbers; NaN where it is missing."""
    rows = trial.events
    if rows.classes is None:
        yield trial.app.label, np.asarray(rows.labels, dtype=np.float64)
    for name in trial.app.outcomes:
        if name in rows.raw.columns and rows.raw.schema[name].is_numeric():
            values, missing = frames.values(rows.raw, name, "events")
            numbers = np.where(missing, np.nan, np.asarray(values, dtype=np.float64))
            if len(np.unique(numbers[~missing])) >= VALUES:
                yield name, numbers
