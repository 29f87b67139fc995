"""Rows on both sides of a split: learned from and tried on, known too late, copies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.digest import row_hashes
from mlwild.gate.held import Held
from mlwild.gate.ready.splits.offence import Offence
from mlwild.gate.trial import Trial
from mlwild.wording import count

#: Rows of each side that are searched for copies.
_MOST = 50_000


def wrong_rows(trial: Trial) -> Iterator[Offence]:
    """Yield rows that are on both sides, and labels that were learned before they were known."""
    learned, tried = trial.learned.rows, trial.events.rows
    both = np.intersect1d(learned, tried)
    if len(both):
        said = f"{count(len(both))} rows were learned from and tried on, first row {int(both[0])}"
        yield Offence("rows", said)
    time, known_at = trial.timeline.time, trial.timeline.known_at
    for what, late in (
        ("had not been asked for", time[learned] >= trial.made_at),
        ("had no label yet", (known_at[learned] > trial.made_at) | (known_at[learned] == NEVER)),
    ):
        if late.any():
            row = int(learned[late][0])
            at = trial.timeline.clock.show(trial.made_at, seconds=True)
            many = f"{count(int(late.sum()))} of {count(len(learned))} rows that it learned from"
            yield Offence("labels", f"{many} {what} at {at}, when it was made, first row {row}")


def copies(trial: Trial, most: float) -> Iterator[Offence]:
    """
    Yield if more than a share of the tried rows are copies of rows that were learned from.

    A copy agrees in every column but the times and the key, and at least two columns of fractions that hardly
    ever repeat are among them: two measurements do not agree in the last digit by chance. Where the app names its
    events by a key, each is one of its own; where it names an entity, later rows of the same one are legal.
    """
    if trial.app.key is not None:
        return
    learned, tried = trial.learned.evenly(_MOST), trial.events.evenly(_MOST)
    hashes = [_without_times(trial, side) for side in (learned, tried)]
    twins = np.isin(hashes[1], hashes[0])
    if not twins.any():
        return
    telling = _fractions_that_do_not_repeat(learned, tried)
    twins &= telling >= 2
    if trial.app.entity is not None and trial.timeline.entity is not None:
        twins &= ~_same_entity(trial, hashes, learned, tried)
    share = float(twins.mean())
    if share > most:
        row = int(tried.rows[twins][0])
        yield Offence(
            "copies",
            f"{count(int(twins.sum()))} of {count(len(tried))} rows that it is tried on are copies of rows that it "
            f"learned from, in all but the time, first row {row}. Remove the repeats, or name each event by a key",
        )


def _without_times(trial: Trial, side: Held) -> NDArray[np.uint64]:
    import pyarrow as pa

    names = [name for name in side.raw.columns if name not in (trial.app.time, trial.app.known_at, trial.app.entity)]
    table = side.raw.select(*names).to_arrow()
    kept = [name for name in table.column_names if not pa.types.is_temporal(table.column(name).type)]
    return row_hashes(table.select(kept))


def _fractions_that_do_not_repeat(learned: Held, tried: Held) -> NDArray[np.int64]:
    """Return, for each tried row, how many of its columns of fractions have a value that was learned at most once."""
    import pyarrow as pa

    found = np.zeros(len(tried), dtype=np.int64)
    for name in learned.raw.columns:
        ours = learned.raw[name].to_arrow()
        if not pa.types.is_floating(ours.type):
            continue
        values = np.asarray(ours.to_numpy(zero_copy_only=False), dtype=np.float64)
        theirs = np.asarray(tried.raw[name].to_arrow().to_numpy(zero_copy_only=False), dtype=np.float64)
        kinds, times = np.unique(values[np.isfinite(values)], return_counts=True)
        fractions = np.isfinite(theirs) & (theirs != np.round(theirs))
        place = np.searchsorted(kinds, np.where(fractions, theirs, 0.0)).clip(0, max(len(kinds) - 1, 0))
        if len(kinds):
            found += fractions & (kinds[place] == theirs) & (times[place] == 1)
    return found


def _same_entity(trial: Trial, hashes: list[NDArray[np.uint64]], learned: Held, tried: Held) -> NDArray[np.bool_]:
    """Return which tried rows have their twin in the same entity."""
    entity = trial.timeline.entity
    assert entity is not None
    order = np.argsort(hashes[0], kind="stable")
    place = np.searchsorted(hashes[0][order], hashes[1]).clip(0, len(order) - 1)
    return np.asarray(entity[learned.rows[order[place]]] == entity[tried.rows])
