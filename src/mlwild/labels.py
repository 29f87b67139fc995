"""Labels that come as a table of their own: joined to their events, what changed and what is strange counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.clock import NEVER, Clock
from mlwild.errors import AppError, DataError
from mlwild.frames import Frame

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Told:
    """
    What a table of labels held.

    Parameters
    ----------
    rows : int
        Of the table, as far as they were known.
    changed : int
        Events with labels of more than one value: the one known last counts.
    strange : int
        Labels whose event is not there (yet).
    example : str
        A key of such an event; of a changed one where none is strange; empty where there is neither.

    Examples
    --------
    >>> Told(10, 1, 0, "7").said
    '1 event has labels of several values, such as 7: the one known last counts'
    """

    rows: int
    changed: int
    strange: int
    example: str

    @property
    def said(self) -> str:
        """Say it in a sentence; empty if there is nothing to say."""
        parts = []
        if self.strange:
            it = "label is" if self.strange == 1 else "labels are"
            parts.append(
                f"{self.strange:,} {it} of an event that is not there, such as {self.example}: counted when it comes"
            )
        if self.changed:
            has = "event has" if self.changed == 1 else "events have"
            such = "" if self.strange else f", such as {self.example}"
            parts.append(f"{self.changed:,} {has} labels of several values{such}: the one known last counts")
        return "; ".join(parts)


def with_labels(
    events: Frame,
    labels: Frame,
    *,
    key: str,
    label: str,
    known_at: str,
    time: str | None = None,
    outcomes: Sequence[str] = (),
    until: int | None = None,
) -> tuple[Frame, Told]:
    """
    Give events the label that was known last, and the time from which it was known.

    An event without a label has none; a label without its event waits for it. Rows of one event that say the same count
    once, as known from the first.

    Parameters
    ----------
    events, labels : narwhals.DataFrame
    key, label, known_at : str
        Columns of the labels: which event, what it was, and from when that was known.
    time : str, optional
        Column of the events: no label may be known before its event.
    outcomes : sequence of str
        Columns that become known with the label, where the labels have them.
    until : int, optional
        Only labels known by this instant.

    Returns
    -------
    frame : narwhals.DataFrame
        The events, with these columns.
    told : Told

    Raises
    ------
    AppError
        If the events have the columns too.
    DataError
        If a key, a label or a time is missing, a label was known before its event, or two values of one event at once.
    """
    both = [name for name in (label, known_at) if name in events.columns]
    if both:
        raise AppError(f"labels: the events have a column {both[0]!r} too. Leave it out there, or leave out `labels`.")
    frames.need(labels, [key, label, known_at], "labels")
    known, clock = frames.times(labels, known_at, "labels")
    values, unsaid = frames.values(labels, label, "labels")
    _whole(labels, (key, known_at, label), known, unsaid)
    whose = _codes(events, labels, key)
    if time is not None:
        _none_before(events, whose, known, (time, key, labels, clock))
    if until is not None:
        seen = known <= until
        labels, known, values = frames.take(labels, np.flatnonzero(seen)), known[seen], values[seen]
        whose = (whose[0], whose[1][seen])
    event_code, label_code = whose
    text = values.astype(str) if values.dtype == object else values
    unlike = np.unique(text, return_inverse=True)[1] if len(text) else np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(known)), known, label_code))
    _contradictions(order, label_code, known, unlike, (labels, key, clock))
    at, changed = _last(order, label_code, unlike, int(max(event_code.max(initial=-1), label_code.max(initial=-1))) + 1)
    position = np.where(event_code >= 0, at[event_code], -1) if len(at) else np.full(len(event_code), -1)
    strange = ~np.isin(label_code, event_code)
    example = _example(labels, key, strange, changed, label_code)
    told = Told(len(known), int(np.isin(np.flatnonzero(changed), event_code).sum()), int(strange.sum()), example)
    columns = [label, known_at, *(name for name in outcomes if name in labels.columns and name not in events.columns)]
    picked, _ = frames.to_arrow(frames.pick(labels.select(columns), position.astype(np.int64)).to_native(), "labels")
    kind = frames.to_arrow(frames.take(events, np.zeros(0, np.int64)).to_native(), "data")[1]
    made = frames.eager(frames.from_arrow(picked, kind), "labels")
    return events.with_columns(*(made[name] for name in columns)), told


def _codes(events: Frame, labels: Frame, key: str) -> tuple[Ints, Ints]:
    """Return numbers of the events that rows are of."""
    frames.need(events, [key], "key")
    (mine, nameless), theirs = frames.values(events, key, "key"), frames.values(labels, key, "labels")[0]
    if (mine.dtype.kind in "iu") != (theirs.dtype.kind in "iu"):
        raise DataError(
            f"labels: their column {key!r} and that of the events hold other kinds of values ({theirs.dtype} and "
            f"{mine.dtype}): none would meet. Make them the same."
        )
    if mine.dtype.kind not in "iu":
        mine, theirs = mine.astype(str), theirs.astype(str)
    codes = np.unique(np.concatenate([mine, theirs]), return_inverse=True)[1].astype(np.int64)
    # An event without a name has no label.
    return np.where(nameless, -1, codes[: len(mine)]), codes[len(mine) :]


def _none_before(events: Frame, whose: tuple[Ints, Ints], known: Ints, where: tuple[str, str, Frame, Clock]) -> None:
    """Refuse labels that were known before their event."""
    time, key, labels, clock = where
    asked, other = frames.times(events, time, "time")
    if other.kind != clock.kind or not len(asked):
        return  # said where the two are held against each other
    event_code, label_code = whose
    first = np.full(int(max(event_code.max(initial=-1), label_code.max(initial=-1))) + 1, np.iinfo(np.int64).min)
    named = event_code >= 0
    first[event_code[named]] = asked[named]
    early = np.flatnonzero(known < first[label_code])
    if len(early):
        row = int(early[0])
        name = frames.values(labels, key, "labels")[0][row]
        raise DataError(
            f"labels: {len(early)} labels are known before their event, first in row {row}: {key}={name}, known at "
            f"{clock.show(int(known[row]))}, asked for at {clock.show(int(first[label_code[row]]))}. Correct them."
        )


def _whole(labels: Frame, names: tuple[str, str, str], known: Ints, unsaid: NDArray[np.bool_]) -> None:
    key, known_at, label = names
    if unsaid.any():
        raise DataError(
            f"labels: {label!r} is missing in row {np.flatnonzero(unsaid)[0]}: a label that is not known has no row."
        )
    gaps = np.flatnonzero(frames.values(labels, key, "labels")[1])
    if len(gaps):
        raise DataError(f"labels: {key!r} is missing in row {gaps[0]}: whose label it is cannot be told.")
    gaps = np.flatnonzero(known == NEVER)
    if len(gaps):
        raise DataError(f"labels: {known_at!r} is missing in row {gaps[0]}: say from when the label was known.")


def _contradictions(order: Ints, code: Ints, known: Ints, value: Ints, where: tuple[Frame, str, Clock]) -> None:
    """Refuse two values of one event that were known at once."""
    now, before = order[1:], order[:-1]
    bad = (code[now] == code[before]) & (known[now] == known[before]) & (value[now] != value[before])
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        labels, key, clock = where
        first, second = sorted((int(before[at]), int(now[at])))
        name = frames.values(labels, key, "labels")[0][first]
        raise DataError(
            f"labels: {key}={name} has two labels, both known at {clock.show(int(known[first]))}, in rows {first} and "
            f"{second}: which one counts cannot be told. Keep one, or give the later its own time."
        )


def _last(order: Ints, code: Ints, value: Ints, n: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the row of each event's last value, as first said, and which events changed; -1 where there is none."""
    at, changed = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=bool)
    if not len(order):
        return at, changed
    same = np.zeros(len(order), dtype=bool)
    same[1:] = code[order[1:]] == code[order[:-1]]
    other = np.ones(len(order), dtype=bool)
    other[1:] = value[order[1:]] != value[order[:-1]]
    # A run of rows that say the same begins where another event or another value does.
    starts = order[~same | other]
    at[code[starts]] = starts  # the last run of an event is written last
    np.logical_or.at(changed, code[order[same & other]], True)  # noqa: FBT003  a value, not a switch
    return at, changed


def _example(labels: Frame, key: str, strange: NDArray[np.bool_], changed: NDArray[np.bool_], code: Ints) -> str:
    rows = np.flatnonzero(strange) if strange.any() else np.flatnonzero(changed[code]) if len(code) else code
    return "" if not len(rows) else str(frames.values(labels, key, "labels")[0][rows[0]])
