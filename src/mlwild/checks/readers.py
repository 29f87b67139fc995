"""Which columns of a stored table an app reads: tried, not guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.app import App
from mlwild.cells import unlike
from mlwild.models import Forecast
from mlwild.past import OwnEvents
from mlwild.triangle.survey import Tables, make_features, read_events, reads_features
from mlwild.warehouse import Stored

#: Rows that features are computed on.
ROWS = 400


@dataclass(frozen=True)
class Reader:
    """
    What an app does with a table.

    Parameters
    ----------
    app : str
    columns : dict of str to str
        What each column that it reads is to it: ``time``, ``label``, ``feature`` and so on.
    """

    app: str
    columns: dict[str, str]


def reader_of(app: App, table: str) -> Reader | None:
    """
    Return what an app reads of a stored table; None if it reads nothing of it.

    Its features are computed with one column gone after another: a column is read if they cannot be had without it, or
    are others.

    Parameters
    ----------
    app : App
    table : str

    Returns
    -------
    Reader or None
    """
    if isinstance(app.data, Stored) and app.data.name == table:
        return Reader(app.name, _of_events(app))
    if isinstance(app.labels, Stored) and app.labels.name == table:
        held = app.labels.located(app.root).table.description.schema.names
        roles = {app.key: "key", app.label: "label", app.known_at: "known_at"} | dict.fromkeys(app.outcomes, "outcome")
        return Reader(app.name, {str(name): role for name, role in roles.items() if name in held})
    for name, side in app.tables.items():
        if isinstance(side.data, Stored) and side.data.name == table:
            return Reader(app.name, _of_side(app, name))
    return None


def _of_events(app: App) -> dict[str, str]:
    events, tables = read_events(app)
    rows = frames.take(events.frame, np.linspace(0, len(events) - 1, min(ROWS, len(events))).astype(np.int64))
    roles = ("time", "label", "known_at", "key", "entity", "propensity")
    found = {str(getattr(app, role)): role for role in roles if getattr(app, role) is not None}
    found |= dict.fromkeys(app.groups, "group") | dict.fromkeys(app.outcomes, "outcome")
    found |= {one.column: "forecast" for one in app.models.values() if isinstance(one, Forecast)}
    if not reads_features(app):
        return found
    whole = make_features(app, rows, tables)[0]
    for column in [name for name in rows.columns if name not in found]:
        others = Tables(
            {
                name: replace(side, rows=side.rows.drop(column, strict=False))
                if isinstance(app.tables[name].data, OwnEvents)
                else side
                for name, side in tables.items()
            }
        )
        if _differs(lambda one=column, others=others: make_features(app, rows.drop(one), others)[0], whole):
            found[column] = "feature"
    return found


def _of_side(app: App, name: str) -> dict[str, str]:
    events, tables = read_events(app)
    rows = frames.take(events.frame, np.linspace(0, len(events) - 1, min(ROWS, len(events))).astype(np.int64))
    side, declared = tables[name], app.tables[name]
    found = {declared.time: "time"} | dict.fromkeys(declared.keys, "key")
    found |= {} if declared.available_at is None else {declared.available_at: "availability"}
    whole = make_features(app, rows, tables)[0]
    for column in side.rows.columns:
        if column in found:
            continue
        others = Tables(tables | {name: replace(side, rows=side.rows.drop(column))})
        if _differs(lambda others=others: make_features(app, rows, others)[0], whole):
            found[column] = "feature"
    return found


def _differs(make: Any, whole: Any) -> bool:
    try:
        made = make()
    except Exception:  # noqa: BLE001  whatever the user's function raises without the column: it reads it
        return True
    same = made.column_names == whole.column_names and made.num_rows == whole.num_rows
    return not same or any(unlike(made.column(name), whole.column(name)).any() for name in whole.column_names)
