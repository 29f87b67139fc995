"""Labels that come as a table of their own: joined to their events, what changed and what is strange counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    unsound : int
        Labels that were known at an instant in a form that says nothing, and have been corrected since.

    Examples
    --------
    >>> Told(10, 1, 0, "7").said
    '1 event has labels of several values, such as 7: the one known last counts'
    """

    rows: int
    changed: int
    strange: int
    example: str
    unsound: int = 0

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
        Only labels known by this instant, as they were then. One that nothing can be told from counts as not known: it
        is refused where labels are read as they are now, so that it has been corrected since.

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
        If a key, a label or a time is missing, a label was known before its event, two values of one event at once, or
        no label is of an event that is there; none of these where labels are read as of an earlier instant.
    """
    both = [name for name in (label, known_at) if name in events.columns]
    if both:
        raise AppError(f"labels: the events have a column {both[0]!r} too. Leave it out there, or leave out `labels`.")
    frames.need(labels, [key, label, known_at], "labels")
    known, clock = frames.times(labels, known_at, "labels")
    values, unsaid = frames.values(labels, label, "labels")
    whose, unsound = _codes(events, labels, key), 0
    early = np.zeros(0, np.int64) if time is None else _before(events, whose, known, time, clock)
    if until is None:
        _whole(labels, (key, known_at, label), known, unsaid)
        _none_before(events, whose, known, early, (time or "", key, labels, clock))
    else:
        bad = unsaid | frames.values(labels, key, "labels")[1]
        bad[early] = True
        seen = known <= until
        unsound, seen = int((bad & seen).sum()), seen & ~bad
        labels, known, values = frames.take(labels, np.flatnonzero(seen)), known[seen], values[seen]
        whose = (whose[0], whose[1][seen])
    event_code, label_code = whose
    order, unlike, both_at_once = _ordered(label_code, known, values)
    if both_at_once.any() and until is None:
        raise _contradiction(order, both_at_once, known, (labels, key, clock))
    if both_at_once.any():
        seen = _one_value(order, both_at_once, label_code, known)
        unsound += int((~seen).sum())
        labels, known, values = frames.take(labels, np.flatnonzero(seen)), known[seen], values[seen]
        label_code = label_code[seen]
        order, unlike, _ = _ordered(label_code, known, values)
    at, changed = _last(order, label_code, unlike, int(max(event_code.max(initial=-1), label_code.max(initial=-1))) + 1)
    position = np.where(event_code >= 0, at[event_code], -1) if len(at) else np.full(len(event_code), -1)
    strange = ~np.isin(label_code, event_code)
    if until is None and len(strange) and strange.all() and (event_code >= 0).any():
        raise _none_meets(events, labels, key, int(np.argmax(event_code >= 0)))
    example = _example(labels, key, strange, changed, label_code)
    told = Told(
        len(known), int(np.isin(np.flatnonzero(changed), event_code).sum()), int(strange.sum()), example, unsound
    )
    columns = [label, known_at, *(name for name in outcomes if name in labels.columns and name not in events.columns)]
    picked, _ = frames.to_arrow(frames.pick(labels.select(columns), position.astype(np.int64)).to_native(), "labels")
    kind = frames.to_arrow(frames.take(events, np.zeros(0, np.int64)).to_native(), "data")[1]
    made = frames.eager(frames.from_arrow(picked, kind), "labels")
    return events.with_columns(*(made[name] for name in columns)), told


def _codes(events: Frame, labels: Frame, key: str) -> tuple[Ints, Ints]:
    """Return numbers of the events that rows are of."""
    frames.need(events, [key], "key")
    (mine, nameless), (theirs, gaps) = frames.values(events, key, "key"), frames.values(labels, key, "labels")
    if mine.dtype.kind in "iu" and theirs.dtype.kind == "f":
        theirs = _whole_numbers(theirs, gaps)
    elif theirs.dtype.kind in "iu" and mine.dtype.kind == "f":
        mine = _whole_numbers(mine, nameless)
    if (mine.dtype.kind in "iu") != (theirs.dtype.kind in "iu"):
        raise DataError(
            f"labels: their column {key!r} and that of the events hold other kinds of values ({theirs.dtype} and "
            f"{mine.dtype}): none would meet. Make them the same."
        )
    if mine.dtype.kind not in "iu":
        mine, theirs = mine.astype(str), theirs.astype(str)
    elif np.uint64 in (mine.dtype, theirs.dtype) and mine.dtype != theirs.dtype:
        # Side by side they would be fractions, and great numbers that are neighbours the same one.
        mine, theirs = mine.astype(object), theirs.astype(object)
    codes = np.unique(np.concatenate([mine, theirs]), return_inverse=True)[1].astype(np.int64)
    # An event without a name has no label.
    return np.where(nameless, -1, codes[: len(mine)]), codes[len(mine) :]


def _whole_numbers(values: NDArray[Any], gaps: NDArray[np.bool_]) -> NDArray[Any]:
    """Return fractions that are whole numbers as such: frames turn whole numbers with gaps into fractions."""
    known = values[~gaps]
    if not np.isfinite(known).all() or (known != np.floor(known)).any() or (np.abs(known) > 2**53).any():
        return values
    return np.where(gaps, 0, values).astype(np.int64)


def _before(events: Frame, whose: tuple[Ints, Ints], known: Ints, time: str, clock: Clock) -> Ints:
    """Return the rows of labels that were known before their event."""
    asked, other = frames.times(events, time, "time")
    if other.kind != clock.kind or not len(asked):
        return np.zeros(0, np.int64)  # said where the two are held against each other
    return np.flatnonzero(known < _asked_for(asked, whose))


def _asked_for(asked: Ints, whose: tuple[Ints, Ints]) -> Ints:
    """Return the time of each label's event; the beginning of time where it is not there."""
    event_code, label_code = whose
    first = np.full(int(max(event_code.max(initial=-1), label_code.max(initial=-1))) + 1, np.iinfo(np.int64).min)
    named = event_code >= 0
    first[event_code[named]] = asked[named]
    return np.asarray(first[label_code])


def _none_before(
    events: Frame, whose: tuple[Ints, Ints], known: Ints, early: Ints, where: tuple[str, str, Frame, Clock]
) -> None:
    """Refuse labels that were known before their event."""
    if len(early):
        time, key, labels, clock = where
        row = int(early[0])
        name = frames.values(labels, key, "labels")[0][row]
        asked = _asked_for(frames.times(events, time, "time")[0], whose)
        raise DataError(
            f"labels: {len(early)} labels are known before their event, first in row {row}: {key}={name}, known at "
            f"{clock.show(int(known[row]))}, asked for at {clock.show(int(asked[row]))}. Correct them."
        )


def _whole(labels: Frame, names: tuple[str, str, str], known: Ints, unsaid: NDArray[np.bool_]) -> None:
    key, known_at, label = names
    names_, nameless = frames.values(labels, key, "labels")
    if unsaid.any():
        row = int(np.flatnonzero(unsaid)[0])
        raise DataError(
            f"labels: {label!r} is missing in row {row} ({key}={names_[row]}): a label that is not known has no row. "
            "Leave it out, or correct it."
        )
    gaps = np.flatnonzero(nameless)
    if len(gaps):
        raise DataError(f"labels: {key!r} is missing in row {gaps[0]}: whose label it is cannot be told.")
    gaps = np.flatnonzero(known == NEVER)
    if len(gaps):
        raise DataError(f"labels: {known_at!r} is missing in row {gaps[0]}: say from when the label was known.")


def _ordered(code: Ints, known: Ints, values: NDArray[Any]) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Return rows by event and time, a number for each value, and which rows contradict the one before."""
    text = values.astype(str) if values.dtype == object else values
    unlike = np.unique(text, return_inverse=True)[1] if len(text) else np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(known)), known, code))
    now, before = order[1:], order[:-1]
    return order, unlike, (code[now] == code[before]) & (known[now] == known[before]) & (unlike[now] != unlike[before])


def _contradiction(order: Ints, bad: NDArray[np.bool_], known: Ints, where: tuple[Frame, str, Clock]) -> DataError:
    """Say which event has two values that were known at once."""
    at = int(np.flatnonzero(bad)[0])
    labels, key, clock = where
    first, second = sorted((int(order[at]), int(order[at + 1])))
    name = frames.values(labels, key, "labels")[0][first]
    return DataError(
        f"labels: {key}={name} has two labels, both known at {clock.show(int(known[first]))}, in rows {first} and "
        f"{second}: which one counts cannot be told. Keep one, or give the later its own time."
    )


def _none_meets(events: Frame, labels: Frame, key: str, named: int) -> DataError:
    """Say how the two tables name events, where no label finds its own."""
    ours, theirs = (
        frames.values(one, key, "key")[0][row : row + 1].tolist() for one, row in ((events, named), (labels, 0))
    )
    return DataError(
        f"labels: none of {len(labels):,} labels is of an event that is there: by {key!r} the events are named as "
        f"{ours[0]!r} is, and the labels as {theirs[0]!r}. Make them the same."
    )


def _one_value(order: Ints, bad: NDArray[np.bool_], code: Ints, known: Ints) -> NDArray[np.bool_]:
    """Mark the rows of events and instants at which one value only was known."""
    at = order[1:][bad]
    pairs = np.stack([code, known])
    lost = np.unique(pairs[:, at], axis=1)
    both = np.unique(np.concatenate([lost, pairs], axis=1), axis=1, return_inverse=True)[1].reshape(-1)
    return np.asarray(~np.isin(both[lost.shape[1] :], both[: lost.shape[1]]))


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
