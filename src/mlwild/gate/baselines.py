"""What takes no learning: a constant, the last labels, those of this hour of the week; as late as labels come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.gate.held import Held
from mlwild.gate.trial import Timeline
from mlwild.losses import Loss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Labels that a rate is taken over: of persistence, and of one hour of the week.
RECENT, OF_SEASON = 100, 20
#: Labels that the best constant is searched on.
_SEARCHED = 2_000


def constant(learned: NDArray[Any], weights: Floats, n_classes: int, loss: Loss, ask: str) -> Floats:
    """
    Return the constant that loses least on the labels that were learned from.

    Parameters
    ----------
    learned : ndarray of shape (n_rows,)
        Numbers, or class numbers.
    weights : ndarray of shape (n_rows,)
        What each row counts.
    n_classes : int
        0 where labels are numbers.
    loss : Loss
    ask : {"probability", "probabilities", "class", "value"}

    Returns
    -------
    ndarray of shape () or (n_classes,)
        One prediction.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> labels, even = np.array([0, 1, 1, 1]), np.ones(4)
    >>> float(constant(labels, even, 2, named("log_loss"), "probability"))
    0.75
    >>> float(constant(labels, np.array([3.0, 1, 1, 1]), 2, named("log_loss"), "probability"))
    0.5
    """
    if ask == "value":
        step = max(1, len(learned) // _SEARCHED)
        sample, heavy = learned[::step].astype(np.float64), weights[::step]
        middle = np.average(sample, weights=heavy)
        grid = np.unique(np.append(np.quantile(sample, np.linspace(0.01, 0.99, 99)), middle))
        lost = [_mean(loss, sample, np.full(len(sample), value), heavy) for value in grid]
        return np.asarray(grid[int(np.nanargmin(lost))])
    shares: Floats = np.bincount(learned.astype(np.int64), weights=weights, minlength=n_classes) / weights.sum()
    if ask == "probabilities":
        return shares
    return np.asarray(shares[-1] if ask == "probability" else float(np.argmax(shares)))


def _mean(loss: Loss, labels: NDArray[Any], predicted: Floats, weights: Floats) -> float:
    if loss.per == "set":
        return loss.of_set(labels, predicted)
    return float(np.average(loss.rows(labels, predicted), weights=weights))


def persistence(timeline: Timeline, held: Held, ask: str, start: Floats) -> Floats:
    """
    Return, for each row, the label that was last known when it was asked for; of the same entity where there is one.

    For probabilities the share of each class among the last hundred labels known, with one row's worth of `start`.

    Parameters
    ----------
    timeline : Timeline
    held : Held
    ask : str
    start : ndarray of shape () or (n_classes,)
        The constant, for rows before which nothing was known.

    Returns
    -------
    ndarray of shape (n,) or (n, n_classes)
    """
    order = _by_arrival(timeline)
    if ask.startswith("probab"):
        seen = _seen(timeline, timeline.known_at[order], held)
        return _shares(timeline.labels[order], seen, RECENT, start)
    if timeline.entity is None:
        seen = _seen(timeline, timeline.known_at[order], held)
        last = timeline.labels[order][np.maximum(seen - 1, 0)].astype(np.float64)
        return np.where(seen > 0, last, start)
    return _of_entity(timeline, order, held, start)


def recent(timeline: Timeline, held: Held, ask: str, start: Floats) -> dict[str, Floats]:
    """
    Return what the labels known when each row was asked for predict, by name: the last ones, and those of its hour.

    Parameters
    ----------
    timeline : Timeline
    held : Held
    ask : str
    start : ndarray of shape () or (n_classes,)
        The constant, for rows before which nothing was known.

    Returns
    -------
    dict of str to ndarray of shape (n,) or (n, n_classes)
        Without the hour of the week where time is counted in integers.
    """
    made = {"the last labels known": persistence(timeline, held, ask, start)}
    season = seasonal(timeline, held, ask, start)
    return made if season is None else made | {"the labels of this hour of the week": season}


def _seen(timeline: Timeline, arrivals: Ints, held: Held) -> Ints:
    """Return how many of the labels that arrived in order were known when each row was asked for, its own not."""
    until, before = (np.searchsorted(arrivals, held.time, side=side) for side in ("right", "left"))
    return np.where(timeline.known_at[held.rows] <= held.time, before, until)


def _by_arrival(timeline: Timeline) -> Ints:
    """Return the rows whose label is known, in order of its arrival."""
    known = np.flatnonzero(timeline.known_at != NEVER)
    return np.asarray(known[np.lexsort((timeline.time[known], timeline.known_at[known]))])


def _shares(labels: NDArray[Any], seen: Ints, most: int, start: Floats) -> Floats:
    """Return the shares of classes among the last labels seen, shrunk by one row towards `start`."""
    since = np.maximum(seen - most, 0)
    count = (seen - since)[:, None]
    kinds = np.arange(len(start)) if start.ndim else np.array([int(labels.max(initial=1))])
    hits = np.vstack([np.zeros(len(kinds)), np.cumsum(labels[:, None] == kinds, axis=0)])
    made = (hits[seen] - hits[since] + np.atleast_1d(start)) / (count + 1)
    return np.asarray(made if start.ndim else made[:, 0])


def _of_entity(timeline: Timeline, order: Ints, held: Held, start: Floats) -> Floats:
    assert timeline.entity is not None
    entity = timeline.entity[order]
    place = np.arange(len(order))
    sorted_ = np.lexsort((place, entity))
    seen = _seen(timeline, timeline.known_at[order], held)
    # The newest label of the entity among the first `seen` arrivals.
    key = entity[sorted_] * (len(order) + 1) + place[sorted_]
    wanted = timeline.entity[held.rows] * (len(order) + 1) + seen
    at = np.searchsorted(key, wanted, side="left") - 1
    found = (at >= 0) & (entity[sorted_][np.maximum(at, 0)] == timeline.entity[held.rows])
    last = timeline.labels[order][sorted_][np.maximum(at, 0)].astype(np.float64)
    return np.where(found, last, start)


def seasonal(timeline: Timeline, held: Held, ask: str, start: Floats) -> Floats | None:
    """
    Return, for each row, the mean of the last labels known of the same hour of the week, shrunk by one row.

    For classes the most frequent one, for probabilities the shares. None where time is counted in integers.

    Returns
    -------
    ndarray of shape (n,) or (n, n_classes), or None
    """
    if timeline.clock.kind == "tick":
        return None
    order = _by_arrival(timeline)
    season = hour_of_week(timeline.time, timeline.clock.zone)
    labels, ours = timeline.labels[order], season[order]
    asked = season[held.rows]
    classes = int(labels.max(initial=0)) + 1
    one_hot = ask == "class"
    begin = np.bincount([int(start)], minlength=classes).astype(np.float64) if one_hot else start
    made = np.repeat(np.atleast_1d(begin)[None, :], len(held), axis=0).astype(np.float64)
    for hour in np.unique(asked):
        rows, mine = np.flatnonzero(asked == hour), np.flatnonzero(ours == hour)
        seen = _seen(timeline, timeline.known_at[order][mine], held)[rows]
        if ask == "value":
            sums = np.concatenate([[0.0], np.cumsum(labels[mine])])
            since = np.maximum(seen - OF_SEASON, 0)
            made[rows, 0] = (sums[seen] - sums[since] + start) / (seen - since + 1)
        else:
            found = _shares(labels[mine], seen, OF_SEASON, begin)
            made[rows] = found if found.ndim == 2 else found[:, None]
    if one_hot:
        return np.asarray(made.argmax(axis=1), dtype=np.float64)
    return np.asarray(made if ask == "probabilities" else made[:, 0])


def hour_of_week(time: Ints, zone: str | None) -> Ints:
    """
    Return the hour of the week, 0 to 167, of instants in nanoseconds, as clocks there show it.

    Examples
    --------
    >>> hour_of_week(np.array([0]), "UTC").tolist()  # 1970 began on a Thursday
    [72]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    stamps = pa.array(time, pa.int64()).cast(pa.timestamp("ns", zone or None))
    hours = pc.add(pc.multiply(pc.day_of_week(stamps), 24), pc.hour(stamps))
    return np.asarray(hours.to_numpy(zero_copy_only=False), dtype=np.int64)
