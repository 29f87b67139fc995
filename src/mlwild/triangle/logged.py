"""Features as they were computed when the prediction was asked for: kept, and trained on as kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames, joins
from mlwild.app import App
from mlwild.cells import is_number, plain, text, unlike
from mlwild.clock import Clock, Times
from mlwild.errors import AppError, DataError
from mlwild.events import Events
from mlwild.warehouse import Added, Stored, add

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Columns of a log that are no features: the event's key and time, when its features were logged, and their names.
EVENT, TIME, LOGGED, MADE = "_event", "_time", "_logged", "_features"
#: What was live then, and what it said.
VINTAGE, PREDICTION = "_vintage", "_prediction"


def log_of(app: App) -> Stored | None:
    """Return the stored table that an app logs its features in; None where it does not."""
    if app.logged is None:
        return None
    made = app.logged if isinstance(app.logged, Stored) else Stored(app.logged)
    return made.located(app.root)


def log_as_of(app: App, instant: int) -> App:
    """Return an app whose log is read as it was at an instant."""
    log = log_of(app)
    return app if log is None else replace(app, logged=log.known_at(instant))


@dataclass(frozen=True, eq=False)
class Logged:
    """
    The log of an app, row for row with its events.

    Parameters
    ----------
    table : pyarrow.Table
        Of each event what was logged first: what a model was fed cannot be corrected afterwards.
    place : ndarray of int64, shape (n_events,)
        Row of each event in it; -1 where it was not logged.
    """

    table: Any
    place: Ints

    @property
    def there(self) -> Bools:
        """Events that were logged."""
        return self.place >= 0

    def holds(self, name: str) -> Bools:
        """Return the events for which a column was logged: one that was added later was not, for earlier events."""
        import pyarrow.compute as pc

        if name not in self.table.column_names:
            return np.zeros(len(self.place), dtype=bool)
        sets = pc.dictionary_encode(self.table.column(MADE)).combine_chunks()
        with_it = np.array([name in json.loads(said) for said in sets.dictionary.to_pylist()], dtype=bool)
        rows = with_it[sets.indices.to_numpy(zero_copy_only=False)]
        return np.asarray(self.there & rows[self.place])

    def column(self, name: str) -> Any:
        """Return a column, row for row with the events; missing where there is none."""
        import pyarrow as pa

        rows = pa.array(np.maximum(self.place, 0), mask=~self.holds(name))
        return pa.chunked_array([self.table.column(name).combine_chunks().take(rows)])


def read_log(app: App, events: Events) -> Logged | None:
    """
    Return what was logged of some events; None without a log, or before its first row.

    Raises
    ------
    DataError
        If the table is no log.
    """
    log = log_of(app)
    if log is None or not log.table.exists:
        return None
    said = log.table.description
    if (said.key, said.time) != (EVENT, TIME):
        raise DataError(
            f"logged: the table {log.name!r} is no log of features: its key is {said.key!r}. Name one that is not "
            "there yet."
        )
    table = log.table.read(as_of=log.as_of, version=log.version, first=True)
    if not table.num_rows:
        return None
    assert app.key is not None
    mine = frames.whole(events.frame, app.key, "key")
    theirs = table.column(EVENT).combine_chunks()
    ours, found = joins.shared([mine], [theirs], (len(events), table.num_rows))
    place = np.full(max(int(ours.max(initial=0)) + 1, 1), -1)
    place[found[found >= 0]] = np.flatnonzero(found >= 0)
    named = ~mine.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    return Logged(table, np.where(named, place[ours], -1))


def with_log(app: App, events: Events, made: Any) -> Any:
    """
    Return the features of events as they were logged, and as they are made now where they were not.

    It goes cell by cell: a column that the log does not hold for a row, since the definition makes it only now, is as
    it is made now; one that is made no more is left out.

    Parameters
    ----------
    app : App
    events : Events
    made : pyarrow.Table
        What the definition makes of the events now.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    DataError
        If a column was logged as words and is made as numbers, or the like.
    """
    log = read_log(app, events)
    if log is None:
        return made
    for place, name in enumerate(made.column_names):
        rows = log.holds(name)
        if rows.any():
            made = made.set_column(place, name, _patched(made.column(name), log.column(name), rows, name))
    return made


def _patched(made: Any, logged: Any, rows: Bools, name: str) -> Any:
    """Return a column with some rows as they were logged."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(made.type):
        return _patched_words(made, logged, rows, name)
    mask = pa.array(rows)
    try:
        return pc.if_else(mask, logged.cast(made.type), made)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        if is_number(made.type) and is_number(logged.type):  # fractions, or gaps, where there are whole numbers now
            return pc.if_else(mask, logged.cast(pa.float64(), safe=False), made.cast(pa.float64(), safe=False))
        raise _other_kind(name, logged.type, made.type) from problem


def _patched_words(made: Any, logged: Any, rows: Bools, name: str) -> Any:
    """Return a column of categories with some rows as they were logged; their order stays, and new ones come last."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
    whole = whole.unify_dictionaries().chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    words = whole.dictionary
    try:
        logged = logged.cast(words.type).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise _other_kind(name, logged.type, words.type) from problem
    fresh = pc.unique(logged.filter(pa.array(rows)).drop_null())
    fresh = fresh.filter(pc.invert(pc.is_in(fresh, value_set=words)))
    both = pa.concat_arrays([words, fresh])
    codes = pc.if_else(pa.array(rows), pc.index_in(logged, value_set=both), whole.indices.cast(pa.int32()))
    kind = made.type
    return pa.DictionaryArray.from_arrays(codes.cast(kind.index_type), both, ordered=kind.ordered)


def _other_kind(name: str, logged: Any, made: Any) -> DataError:
    return DataError(
        f"logged: feature {name!r} was logged as {logged} and is made as {made} now. Give the feature another name, or "
        "name another log."
    )


def append(
    app: App, events: tuple[Any, Times, Clock], features: Any, at: Times, more: Mapping[str, Any] | None = None
) -> Added | None:
    """
    Log the features of some events that are not logged yet; when this returns they are on the disk.

    Parameters
    ----------
    app : App
    events : tuple of pyarrow.Array, ndarray of int64 and Clock
        Keys and times.
    features : pyarrow.Table
    at : ndarray of int64
        When each row was computed.
    more : mapping of str to pyarrow.Array, optional
        Other columns of the log: what was live, and what it said.

    Returns
    -------
    Added or None
        None without a row.
    """
    import pyarrow as pa

    log = log_of(app)
    assert log is not None
    keys, times, clock = events
    if not len(keys):
        return None
    own = [EVENT, TIME, LOGGED, MADE, *(more or {})]
    clash = [name for name in features.column_names if name in own]
    if clash:
        raise AppError(f"logged: feature {clash[0]!r} has a name that the log uses itself. Give it another one.")
    named = {name: column for name in features.column_names if (column := _kept(features.column(name))) is not None}
    columns = {
        EVENT: keys,
        TIME: _instants(times, clock),
        LOGGED: _instants(at, clock),
        MADE: pa.array([json.dumps(list(named), ensure_ascii=False)] * len(keys)),
        **(more or {}),
        **named,
    }
    if log.table.exists:
        # A feature that is made no more is missing from now on.
        for field in log.table.description.schema:
            columns.setdefault(field.name, pa.nulls(len(keys), field.type))
    return add(
        log.name,
        pa.table(columns),
        key=EVENT,
        time=TIME,
        known=LOGGED,
        owner=app.owner or None,
        new_columns=True,
        warehouse=log.warehouse,
    )


def _kept(column: Any) -> Any:
    """Return a feature as the log keeps it: all numbers as one kind, since a gap makes fractions of whole ones."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(array.type):
        return None
    if pa.types.is_dictionary(array.type) or (isinstance(array, pa.ChunkedArray) and array.num_chunks):
        array = plain(column)[0]
    whole = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    return array.cast(pa.float64()) if whole else array


def _instants(times: Times, clock: Clock) -> Any:
    import pyarrow as pa

    if clock.kind == "tick":
        return pa.array(times)
    return pa.array(np.asarray(times) // 1_000).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", clock.zone))


def log_features(app: App, rows: Any, features: Any, *, at: str | int | None = None) -> int:
    """
    Log the features of requests: for a service, as soon as it has computed them.

    A request that was logged with the same features before is not logged again. When this returns, the rows are on the
    disk; what is logged is what later models learn from.

    Parameters
    ----------
    app : App
        With `logged`.
    rows : frame of n_rows
        The requests, with the app's key and time.
    features : frame of n_rows
        What was computed of them, row for row.
    at : str or int, optional
        When; default the time of each request.

    Returns
    -------
    int
        Rows that were logged now.

    Raises
    ------
    AppError
        If the app has no log.
    DataError
        If an event was logged with other features before, with its key, the column and both values; or if rows and
        features do not fit. Nothing was logged.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from mlwild import Stored
    >>> app = App(
    ...     name="log", data=lambda: None, time="t", label="y", delay=0, key="id", models={"none": lambda X, y: None},
    ...     loss="squared", every=10, logged=Stored("log_features", tempfile.mkdtemp()),
    ... )
    >>> request, made = pd.DataFrame({"id": [7], "t": [3]}), pd.DataFrame({"x": [0.5]})
    >>> log_features(app, request, made), log_features(app, request, made)
    (1, 0)
    >>> log_features(app, request, made + 0.2)
    Traceback (most recent call last):
        ...
    mlwild.errors.DataError: logged: event 7 was logged with 'x' = 0.5, and is to be logged with 0.7. Nothing ...
    """
    if log_of(app) is None or app.key is None:
        raise AppError("logged: the app names no log. Write App(key='id', logged='features_of_my_app').")
    frame = frames.eager(rows, "log_features")
    table, _ = frames.to_arrow(features, "log_features")
    times, clock = frames.times(frame, app.time, "log_features")
    if table.num_rows != len(times):
        raise DataError(f"logged: {table.num_rows} rows of features for {len(times)} requests. Give one for each.")
    keys = frames.whole(frame, app.key, "log_features")
    gaps = np.flatnonzero(keys.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))
    if len(gaps):
        raise DataError(f"logged: key {app.key!r} is missing in row {gaps[0]} of the requests. Nothing was logged.")
    nothing = np.zeros(len(times))
    log = read_log(app, Events(frame, times, times, nothing, nothing, clock))
    new = np.ones(len(times), dtype=bool)
    if log is not None:
        _agree(log, keys, table)
        new = ~log.there
    instants = times if at is None else np.full(len(times), clock.parse(at, "at"))
    picked = np.flatnonzero(new)
    done = append(app, (keys.take(picked), times[picked], clock), table.take(picked), instants[picked])
    return 0 if done is None else done.new


def _agree(log: Logged, keys: Any, table: Any) -> None:
    """Refuse features that are others than those that were logged."""
    for name in table.column_names:
        rows = np.flatnonzero(log.holds(name))
        if not len(rows):
            continue
        ours, theirs = table.column(name).take(rows), log.column(name).take(rows)
        differ = np.flatnonzero(unlike(ours, theirs))
        if len(differ):
            row = int(differ[0])
            raise DataError(
                f"logged: event {keys[int(rows[row])].as_py()!r} was logged with {name!r} = {text(theirs[row])}, and "
                f"is to be logged with {text(ours[row])}. Nothing was logged: what a model was fed is not changed "
                "afterwards. Find out which of them it was."
            )
