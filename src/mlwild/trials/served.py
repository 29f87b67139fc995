"""The served path, replayed: rows of the history as requests, one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames, models
from mlwild.app import App
from mlwild.declared import takes_tables
from mlwild.errors import DataError
from mlwild.events import Events
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.trial import Served
from mlwild.side_tables import SideTable
from mlwild.triangle.asof import cut_off
from mlwild.triangle.survey import Tables, make_features

#: Instants at which features are computed with the future cut off, where the app does not say how it serves.
INSTANTS = 3


def serve(app: App, events: Events, tables: dict[str, SideTable], rows: Held, model: Fitted) -> Served:
    """
    Answer some rows as the service would have.

    Where the app says how it serves, each row goes through its functions alone, with side tables as they were at
    its time. Otherwise the app's own features are computed with the future cut off at a few instants, and the
    model answers one row at a time.

    Raises
    ------
    DataError
        If the service's features are not one row for a request.
    """
    serving = app.serving
    if serving is not None and serving.features is not None:
        table = request_by_request(app, tables, rows)
    else:
        table, rows = _cut_off(app, events, tables, rows)
    predict = None if serving is None else serving.predict
    made, why = [], ""
    for place in range(len(rows)):
        try:
            made.append(_answer(table.slice(place, 1), rows.kind, model, predict))
        except Exception as problem:  # noqa: BLE001  the user's model may raise anything on served rows; it is told
            why = why or f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
            made.append(_nothing(model))
    return Served(rows, table, np.concatenate(made), serving is not None, why)


def request_by_request(app: App, tables: dict[str, SideTable], rows: Held) -> Any:
    """Return the features that the declared service computes of some rows, one request at a time."""
    import pyarrow as pa

    assert app.serving is not None
    function = app.serving.features
    assert function is not None
    hidden = [name for name in (app.label, app.known_at, *app.outcomes) if name and name in rows.raw.columns]
    parts: list[Any] = []
    for place in range(len(rows)):
        request = frames.take(rows.raw, np.array([place])).drop(*hidden).to_native()
        known = Tables({name: table.before(int(rows.time[place])) for name, table in tables.items()})
        made = function(request, known) if takes_tables(function, app.tables) else function(request)
        table, _ = frames.to_arrow(made, "serving.features")
        if table.num_rows != 1:
            raise DataError(f"serving.features: returned {table.num_rows} rows for one request. Return one.")
        parts.append(table)
    return pa.concat_tables(_of_one_type(parts), promote_options="permissive")


def _of_one_type(parts: list[Any]) -> list[Any]:
    """Return tables of one row whose missing values have the type of those that are there: NaN may stand for a word."""
    import pyarrow as pa

    known: dict[str, Any] = {}
    for part in parts:
        for field in part.schema:
            if not _missing(part.column(field.name)):
                known.setdefault(field.name, field.type)
    made = []
    for part in parts:
        for place, field in enumerate(part.schema):
            kind = known.get(field.name, field.type)
            if field.type != kind and _missing(part.column(field.name)):
                part = part.set_column(place, field.name, pa.nulls(part.num_rows, kind))  # noqa: PLW2901
        made.append(part)
    return made


def _missing(column: Any) -> bool:
    return bool(column.is_null(nan_is_null=True).to_pylist()[0])


def _cut_off(app: App, events: Events, tables: dict[str, SideTable], rows: Held) -> tuple[Any, Held]:
    """Return features as they could be computed at the last row of each of a few stretches, and those rows."""
    import pyarrow as pa

    stretches = [part for part in np.array_split(np.arange(len(rows)), INSTANTS) if len(part)]
    tables_, kept = [], []
    for part in stretches:
        instant = int(rows.time[part[-1]])
        seen = int(np.searchsorted(events.time, instant, side="right"))
        known = Tables({name: table.before(instant) for name, table in tables.items()})
        whole, _ = make_features(app, cut_off(app, events, instant, seen), known)
        tables_.append(whole.take(rows.rows[part]))
        kept.append(part)
    return pa.concat_tables(tables_, promote_options="permissive"), rows.where(np.concatenate(kept))


def _answer(table: Any, kind: str, model: Fitted, predict: Any) -> NDArray[np.float64]:
    features = frames.from_arrow(table, kind, "serving")
    if predict is None:
        return np.asarray(models.predict(model.raw, features, model.ask, model.classes), dtype=np.float64)
    said = np.asarray(predict(model.raw, features), dtype=np.float64)
    return said.reshape(1, -1) if model.ask == "probabilities" else said.reshape(-1)[:1]


def _nothing(model: Fitted) -> NDArray[np.float64]:
    wide = model.ask == "probabilities" and model.classes is not None
    return np.full((1, len(model.classes)) if wide and model.classes is not None else 1, np.nan)
