"""Events: rows with the time they were asked for and the time their label was known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.clock import NEVER, Clock, Times
from mlwild.errors import DataError
from mlwild.frames import Frame
from mlwild.labels import Told

_HOUR = 3_600_000_000_000

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """
    The history of an app, sorted by time.

    Parameters
    ----------
    frame : narwhals.DataFrame of shape (n_rows, n_columns)
        The user's rows in order of time; rows of the same instant keep their order.
    time : ndarray of int64, shape (n_rows,)
        When each prediction was asked for.
    known_at : ndarray of int64, shape (n_rows,)
        When its label arrived; ``NEVER`` where it did not.
    label : ndarray of shape (n_rows,)
        The labels as they came; meaningless where `known_at` is ``NEVER``.
    weight : ndarray of float64, shape (n_rows,)
        1, or one over the propensity where feedback is selective.
    clock : Clock
        What the integers in `time` mean.
    told : Told, optional
        What the table of labels held, where labels have one of their own.
    unsound : int
        Labels that count as not known, since nothing can be told from the form that they had at an earlier instant.
    """

    frame: Frame
    time: Times
    known_at: Times
    label: NDArray[Any]
    weight: NDArray[np.float64]
    clock: Clock
    told: Told | None = None
    unsound: int = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time)

    @property
    def labelled(self) -> Bools:
        """Rows whose label arrived at some time."""
        return np.asarray(self.known_at != NEVER)

    def known(self, cutoff: int) -> Bools:
        """
        Return the rows that may be learned from at a cutoff.

        Those asked for before it, and whose label had arrived by then.
        """
        return np.asarray((self.time < cutoff) & (self.known_at <= cutoff))


def gather(
    frame: Frame,
    *,
    time: str,
    label: str,
    known_at: str | None,
    delay: int | None,
    key: str | None = None,
    entity: str | None = None,
    propensity: str | None = None,
    then: bool = False,
) -> Events:
    """
    Sort a table by time and read when each label was known.

    Parameters
    ----------
    frame : narwhals.DataFrame of shape (n_rows, n_columns)
    time, label : str
        Columns of the time of the question and of its answer.
    known_at : str or None
        Column with the time when the label arrived.
    delay : int or None
        Fixed label delay in nanoseconds or ticks, instead of `known_at`.
    key : str or None
        Column that names each event once.
    entity : str or None
        Column that says whom an event is about; one entity has one event at a time.
    propensity : str or None
        Column with the probability that the label of the row was to be seen, in (0, 1].
    then : bool
        Whether these are rows as they were known at an earlier instant: a label that would be refused now has been
        corrected since, and counts as not known.

    Raises
    ------
    DataError
        If a time is missing, zones are mixed, a label was known before it was asked for, a key
        occurs twice, a propensity is out of range, or no row has a label.
    """
    asked, clock = frames.times(frame, time, "time")
    missing = np.flatnonzero(asked == NEVER)
    if len(missing):
        raise DataError(
            f"time: column {time!r} is missing in {len(missing)} of {len(asked)} rows, first in row "
            f"{missing[0]}. Drop these rows or fill in their time."
        )
    answer, unlabelled = frames.values(frame, label, "label")
    arrival = _arrivals(frame, asked, clock, time, known_at, delay, then=then)
    _unique(frame, key, None, "key")
    _unique(frame, entity, asked, "entity")
    unsound = arrival < asked
    unsound |= np.isinf(answer) if answer.dtype.kind == "f" else False
    if unsound.any() and not then:
        row = int(np.flatnonzero(unsound)[0])
        raise DataError(f"label: column {label!r} is infinite in row {row}. Make it missing or finite.")
    arrival = np.where(unlabelled | unsound, NEVER, arrival)
    if not (arrival != NEVER).any():
        raise DataError(f"label: no row has a label: all {len(asked)} values of {label!r} are missing or never known.")
    weight = _weights(frame, propensity, arrival != NEVER)
    order = np.argsort(asked, kind="stable")
    # Taken even where they are in order: a pandas index of the user's own would align rows by label.
    frame = frames.take(frame, order)
    asked, arrival, answer, weight = asked[order], arrival[order], answer[order], weight[order]
    return Events(frame, asked, arrival, answer, weight, clock, unsound=int(unsound.sum()))


def _arrivals(
    frame: Frame, asked: Times, clock: Clock, time: str, known_at: str | None, delay: int | None, *, then: bool
) -> Times:
    if known_at is None:
        return asked + np.int64(delay or 0)
    arrival, other = frames.times(frame, known_at, "known_at")
    if other.kind != clock.kind:
        words = {"instant": "times with a zone", "naive": "times without a zone", "tick": "integers"}
        raise DataError(
            f"known_at: column {known_at!r} holds {words[other.kind]} and {time!r} holds "
            f"{words[clock.kind]}. Give both of them the same kind."
        )
    early = np.flatnonzero(arrival < asked)
    if len(early) and not then:
        row = int(early[0])
        twice = clock.kind == "naive" and int((asked - arrival)[early].max()) <= _HOUR
        hint = " Where clocks go back, local times come twice: give them a time zone." if twice else ""
        raise DataError(
            f"known_at: {len(early)} labels are known before their event, first in row {row}: "
            f"{known_at} {clock.show(int(arrival[row]), seconds=True)} < "
            f"{time} {clock.show(int(asked[row]), seconds=True)}. Correct the column or give a delay.{hint}"
        )
    return arrival


def _unique(frame: Frame, column: str | None, asked: Times | None, field: str) -> None:
    if column is None:
        return
    names, missing = frames.values(frame, column, field)
    codes = np.unique(names.astype(str) if names.dtype == object else names, return_inverse=True)[1]
    rows = np.flatnonzero(~missing)
    keys = (codes[rows],) if asked is None else (asked[rows], codes[rows])
    order = rows[np.lexsort(keys)]
    same = codes[order[1:]] == codes[order[:-1]]
    if asked is not None:
        same &= asked[order[1:]] == asked[order[:-1]]
    if same.any():
        at = int(np.flatnonzero(same)[0])
        first, second = sorted((int(order[at]), int(order[at + 1])))
        when = "" if asked is None else " at the same time"
        raise DataError(
            f"{field}: {column}={_plain(names[first])!r} occurs twice{when}, in rows {first} and {second} "
            f"({int(same.sum())} repeats in all). Keep one row of each."
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _weights(frame: Frame, propensity: str | None, labelled: Bools) -> NDArray[np.float64]:
    if propensity is None:
        return np.ones(len(labelled))
    chance, missing = frames.values(frame, propensity, "propensity")
    if chance.dtype.kind not in "biuf":
        raise DataError(f"propensity: column {propensity!r} holds {chance[0]!r}, which is not a number.")
    bad = labelled & (missing | ~((chance > 0) & (chance <= 1)))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"propensity: column {propensity!r} is {chance[row]} in row {row}, which has a label; "
            "it must lie in (0, 1]."
        )
    return np.where(labelled, 1.0 / np.where(bad | missing | ~labelled, 1.0, chance), 1.0)
