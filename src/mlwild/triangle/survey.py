"""From an app to its rows: events, features, periods and the digests that name them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.clock import Clock, Times, delay_of, fits
from mlwild.declared import takes_tables
from mlwild.digest import RowHashes, digest, row_hashes
from mlwild.errors import AppError, DataError
from mlwild.events import Events, gather
from mlwild.labels import with_labels
from mlwild.losses import Loss
from mlwild.models import Forecast
from mlwild.past import OwnEvents, own_table
from mlwild.records import ALL
from mlwild.side_tables import SideTable, side_table
from mlwild.triangle.grid import Grid, lay_out
from mlwild.triangle.logged import with_log

#: Periods on end without an event that are no mistake; ten times as many as have events are none either.
HOLE = 100

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """
    An app's history, read and checked.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        Numbers, or class numbers (-1 where there is no label).
    classes : ndarray of shape (n_classes,) or None
    ask : str
        What models are asked for.
    features : pyarrow.Table
    kind : str
        Kind of frame that the features function returned.
    forecasts : dict of str to ndarray of float32
    groups : dict of str to ndarray of shape (n_rows,)
    hashes : ndarray of uint64, shape (n_rows,)
        A hash of each row's features.
    data_digest : str
        Of times, labels, features and entities: names what was rehearsed.
    entity : ndarray of int64, shape (n_rows,), or None
        Number of whom each row is about; a row without one has a number of its own.
    """

    app: App
    time: Times
    known_at: Times
    grid: Grid
    clock: Clock
    labels: NDArray[Any]
    classes: NDArray[Any] | None
    ask: str
    features: Any
    kind: str
    forecasts: dict[str, NDArray[np.float32]]
    groups: dict[str, NDArray[Any]]
    hashes: RowHashes
    data_digest: str
    entity: NDArray[np.int64] | None = None

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.app.loss_

    @cached_property
    def arrivals(self) -> tuple[Ints, Ints, Ints]:
        """
        Labels that arrived together: their period, the cutoff from which they are known, and how many they are.

        The end of the history counts as a cutoff; what came later still has one more than that.
        """
        grid, size = self.grid, self.grid.periods + 2
        period = grid.period_of_cell_row
        arrival = np.maximum(np.searchsorted(grid.edges, self.known_at[grid.cell_rows], side="left"), period + 1)
        both, counts = np.unique(period * size + arrival, return_counts=True)
        return both // size, both % size, counts


def read_events(app: App, until: int | None = None) -> tuple[Events, dict[str, SideTable]]:
    """Read the app's data and side tables; of labels that have a table of their own, those known by an instant."""
    frame = frames.load(app.data, "data", root=app.root, kind=app.frame)
    told = None
    if app.labels is not None:
        labels = frames.load(app.labels, "labels", root=app.root, kind=app.frame)
        assert app.key is not None
        assert app.known_at is not None
        frame, told = with_labels(
            frame,
            labels,
            key=app.key,
            label=app.label,
            known_at=app.known_at,
            time=app.time,
            outcomes=app.outcomes,
            until=until,
        )
    named = {"outcomes": app.outcomes, "groups": app.groups}
    for where, columns in named.items():
        frames.need(frame, list(columns), where)
    _check_spans(app, frame)
    events = gather(
        frame,
        time=app.time,
        label=app.label,
        known_at=app.known_at,
        delay=app.delay_,
        key=app.key,
        entity=app.entity,
        propensity=app.propensity,
        then=until is not None,
    )
    events = replace(events, told=told, unsound=events.unsound + (0 if told is None else told.unsound))
    return events, Tables({name: _side(app, name, events) for name in app.tables})


def read_tables(app: App) -> Tables:
    """Read the side tables alone; the events too where a table is made of them."""
    if any(isinstance(table.data, OwnEvents) for table in app.tables.values()):
        return Tables(read_events(app)[1])
    return Tables({name: _side(app, name, None) for name in app.tables})


def _side(app: App, name: str, events: Events | None) -> SideTable:
    """Read a side table, or make it of the app's own events."""
    table, where = app.tables[name], f"tables[{name!r}]"
    if isinstance(table.data, OwnEvents):
        assert events is not None
        late = (app.label, app.known_at, app.propensity, *app.outcomes)
        return own_table(table, events, [one for one in late if one], app.time, where)
    rows = frames.load(table.data, where, root=app.root, kind=app.frame)
    delay = None if table.delay is None else delay_of(table.delay)
    return side_table(table, rows, delay, app.time, where)


def _check_spans(app: App, frame: frames.Frame) -> None:
    """Refuse delays and windows whose unit does not fit the time column: nothing else would notice."""
    _, clock = frames.times(frame, app.time, "time")
    fits(clock, app.every, "every")
    fits(clock, app.delay, "delay")
    for window in app.windows:
        if window != ALL:
            fits(clock, int(window) if str(window).isdigit() else window, "windows")
    for name, table in app.tables.items():
        fits(clock, table.delay, f"tables[{name!r}].delay")


class Tables(dict[str, SideTable]):
    """Side tables by name; a wrong name is answered with the right ones."""

    def __missing__(self, name: str) -> SideTable:
        """Say which tables there are."""
        have = ", ".join(repr(key) for key in self) or "none"
        raise AppError(f"tables: there is no table {name!r}; there is {have}.")


def reads_features(app: App) -> bool:
    """Say whether any model reads features; published forecasts do not."""
    return any(not isinstance(model, Forecast) for model in app.models.values())


def make_features(app: App, frame: frames.Frame, tables: dict[str, SideTable]) -> tuple[Any, str]:
    """
    Call the user's features function.

    Returns
    -------
    table : pyarrow.Table of shape (n_rows, n_features)
    kind : str

    Raises
    ------
    DataError
        If it returned another number of rows.
    """
    if app.features is None:
        # Labels and outcomes are no features: whatever is left is.
        made: Any = frame.drop(*[name for name in app.not_features if name in frame.columns]).to_native()
    else:
        made = (
            app.features(frame.to_native(), tables)
            if takes_tables(app.features, app.tables)
            else app.features(frame.to_native())
        )
    table, kind = frames.to_arrow(made, "features")
    if table.num_rows != frame.shape[0]:
        raise DataError(
            f"features: returned {table.num_rows} rows for {frame.shape[0]} events. Return one row for each, "
            "in the same order."
        )
    if not table.num_columns:
        raise DataError("features: returned no column.")
    return table, kind


def survey(app: App) -> Survey:
    """
    Read an app's data, compute its features, and lay out its periods.

    Raises
    ------
    AppError, DataError
        With the field, the column and the row.
    """
    return lay_survey(app, *read_events(app))


def origin_of(app: App, events: Events) -> int:
    """Return the instant that cutoffs are counted from."""
    if app.start is not None:
        return events.clock.parse(app.start, "start")
    return events.clock.floor(int(events.time[0]), app.every_)


def cutoffs_of(app: App, events: Events, since: tuple[int, int] | None = None) -> Times:
    """
    Return the instants of decision of a history, and the end of its last whole period.

    Parameters
    ----------
    app : App
    events : Events
    since : tuple of int, optional
        Of a life that goes on: what its cutoffs are counted from, and the first. Rows and labels that come late do not
        move them.
    """
    first, last = int(events.time[0]), int(events.time[-1])
    _refuse_hole(app, events)
    if since is not None:
        edges = events.clock.cutoffs(first, last, app.every_, since[0])
        return edges[edges >= since[1]]
    start = None if app.start is None else events.clock.parse(app.start, "start")
    if start is not None and start > last:
        raise AppError(
            f"start: {app.start!r} comes after the last event, {events.clock.show(last)}. Give an earlier one, or "
            "leave it out."
        )
    # The longest usual gap: dates come a day apart, or three over a weekend.
    gaps = np.diff(np.unique(events.time))
    gap = int(np.quantile(gaps, 0.95)) if len(gaps) else 0
    edges = events.clock.cutoffs(first, last, app.every_, start, gap)
    if start is None:
        # Past-only: a cutoff counts once enough labels were known at it.
        arrived = np.sort(np.maximum(events.known_at, events.time))
        edges = edges[np.searchsorted(arrived, edges, side="right") >= app.min_rows]
    return edges


def _refuse_hole(app: App, events: Events) -> None:
    """Refuse events that lie far apart from all others: one wrong year would make thousands of decisions due."""
    length = app.every_.exact
    gaps, used = np.diff(events.time), 1 + int(np.count_nonzero(np.diff(events.time // length)))
    place = int(gaps.argmax()) if len(gaps) else 0
    if len(gaps) and gaps[place] > max(HOLE, 10 * used) * length:
        before, after = (events.clock.show(int(events.time[place + step])) for step in (0, 1))
        raise DataError(
            f"time: no event lies between {before} and {after}, which is {int(gaps[place] // length):,} periods of "
            f"{app.every_}, and all events are in {used:,}. Is it a wrong date, or unit? Correct the times, or leave "
            "those rows out."
        )


def lay_survey(app: App, events: Events, tables: dict[str, SideTable], edges: Times | None = None) -> Survey:
    """Compute the features of events that were read, and lay out their periods, between given cutoffs if need be."""
    edges = cutoffs_of(app, events) if edges is None else edges
    grid = lay_out(events, edges)
    labels, classes, ask = _encode(app, events)
    forecasts = _forecasts(app, events, classes, ask)
    groups = {name: frames.values(events.frame, name, "groups")[0] for name in app.groups}
    if reads_features(app):
        table, kind = make_features(app, events.frame, tables)
        table = with_log(app, events, table)
    else:
        import pyarrow as pa

        table, kind = pa.table({"row": np.zeros(len(events), np.int8)}), "pyarrow"
    hashes = row_hashes(table)
    entity = _entities(app, events)
    whom = () if entity is None else (entity,)
    named = digest(hashes, events.time, events.known_at, labels, classes, events.weight, *whom)
    return Survey(
        app=app,
        time=events.time,
        known_at=events.known_at,
        grid=grid,
        clock=events.clock,
        labels=labels,
        classes=classes,
        ask=ask,
        features=table,
        kind=kind,
        forecasts=forecasts,
        groups=groups,
        hashes=hashes,
        data_digest=named,
        entity=entity,
    )


def _entities(app: App, events: Events) -> NDArray[np.int64] | None:
    if app.entity is None:
        return None
    names, missing = frames.values(events.frame, app.entity, "entity")
    codes = np.unique(names.astype(str) if names.dtype == object else names, return_inverse=True)[1].astype(np.int64)
    return np.where(missing, len(codes) + np.arange(len(codes)), codes)


def _encode(app: App, events: Events) -> tuple[NDArray[Any], NDArray[Any] | None, str]:
    loss, known = app.loss_, events.labelled
    if not loss.classifies:
        if events.label.dtype.kind not in "iufb":
            example = events.label[known][0]
            raise DataError(f"label: column {app.label!r} holds {example!r}, and the loss {loss.name!r} needs numbers.")
        return np.where(known, events.label.astype(np.float64), 0.0), None, loss.predicts
    answers = events.label[known]
    classes = np.unique(answers.astype(str) if answers.dtype == object else answers)
    if len(classes) > max(50, 0.2 * len(answers)):
        raise DataError(
            f"label: column {app.label!r} has {len(classes)} classes in {len(answers)} labels; the loss "
            f"{loss.name!r} is for classes. Name a loss of numbers, such as 'squared'."
        )
    if len(classes) < 2:
        raise DataError(f"label: every label of {app.label!r} is {str(classes[0])!r}; there is nothing to predict.")
    ask = loss.predicts
    if len(classes) > 2 and ask == "probability":
        if loss.per == "set":
            raise AppError(f"loss: {loss.name!r} is for two classes; {app.label!r} has {len(classes)}.")
        ask = "probabilities"
    labels = np.full(len(events), -1, dtype=np.int64)
    labels[known] = np.searchsorted(classes, answers.astype(classes.dtype))
    return labels, classes, ask


def _forecasts(app: App, events: Events, classes: NDArray[Any] | None, ask: str) -> dict[str, NDArray[np.float32]]:
    """Read published forecasts, in the form and within the range that the loss asks for."""
    made = {}
    for name, model in app.models.items():
        if not isinstance(model, Forecast):
            continue
        where = f"models[{name!r}]: the forecast column {model.column!r}"
        column, missing = frames.values(events.frame, model.column, f"models[{name!r}]")
        bad = missing if column.dtype.kind == "O" else missing | ~np.isfinite(column.astype(np.float64))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{where} is missing or infinite in {int(bad.sum())} rows, first in row {row} (in order of time). "
                "Drop these rows or fill them."
            )
        if ask == "probabilities":
            n = 0 if classes is None else len(classes)
            raise DataError(f"{where} is one number a row, and {n} classes need as many probabilities.")
        if ask == "class" and classes is not None:
            column = _as_codes(column, classes, where)
        elif column.dtype.kind not in "iufb":
            raise DataError(f"{where} holds no numbers.")
        elif ask == "probability" and (column.min() < 0 or column.max() > 1):
            raise DataError(f"{where} holds {column.min():g} to {column.max():g}; probabilities lie in [0, 1].")
        made[name] = column.astype(np.float32)
    return made


def _as_codes(column: NDArray[Any], classes: NDArray[Any], where: str) -> NDArray[np.int64]:
    same = column.astype(classes.dtype)
    codes = np.searchsorted(classes, same).clip(0, len(classes) - 1)
    whole = column.astype(str) if classes.dtype.kind == "U" else column
    # What does not fit is cut off by the cast: 0.9 would be a 0, and "yesterday" a "yes".
    other = (classes[codes] != same) | (whole != same if whole.dtype.kind in "iufbU" else False)
    if other.any():
        asked = " The loss asks for a class." if column.dtype.kind == "f" else ""
        raise DataError(f"{where} holds {column[other].tolist()[0]!r}, which is not among the labels.{asked}")
    return np.asarray(codes, dtype=np.int64)
