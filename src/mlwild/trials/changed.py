"""Features of rows whose raw columns were changed, as the service or the app's own function computes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.cells import unlike
from mlwild.errors import DataError
from mlwild.events import Events
from mlwild.gate.held import Held
from mlwild.side_tables import SideTable
from mlwild.trials.served import request_by_request
from mlwild.triangle.asof import cut_off
from mlwild.triangle.survey import Tables, make_features


def changed(
    app: App,
    events: Events,
    tables: dict[str, SideTable],
    rows: Held,
    *,
    under: dict[str, SideTable] | None = None,
    order: NDArray[np.int64] | None = None,
) -> Held:
    """
    Return rows with features computed anew from their raw columns, which somebody changed.

    A service that the app declares gets them request by request. Else the app's own function gets these rows
    alone, if that gives the same features on unchanged rows; if it does not (it looks at earlier rows), it gets
    the history up to the last of them with these rows in place.

    Parameters
    ----------
    rows : Held
        In order of time; with `raw` changed.
    under : dict of str to SideTable, optional
        Side tables that somebody changed.
    order : ndarray of int64, optional
        Positions of the rows as they are delivered, in another order or more than once: what is computed of the last
        delivery of each counts. A service that answers request by request minds neither.

    Raises
    ------
    DataError
        If a row is there twice and the features look at other rows.
    """
    known = Tables(tables if under is None else under)
    if app.serving is not None and app.serving.features is not None:
        table = request_by_request(app, known, rows)
    else:
        before = replace(rows, raw=frames.take(events.frame, rows.rows))
        alone = make_features(app, _hidden(app, before.raw), tables)[0]
        as_sent = np.arange(len(rows)) if order is None else order
        if _same(alone, rows.table):
            sent = make_features(app, _hidden(app, frames.take(rows.raw, as_sent)), known)[0]
            table = sent.take(_last(as_sent, len(rows)))
        elif order is None:
            table = _in_history(app, events, known, rows)
        else:
            table = _after_history(app, events, known, rows, order)
    return replace(rows, table=table, changed=True)


def _last(order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """
    Return the position of the last delivery of each of n rows.

    Examples
    --------
    >>> _last(np.array([1, 0, 1]), 2).tolist()
    [1, 2]
    """
    made = np.empty(n, np.int64)
    made[order] = np.arange(len(order))
    return made


def _after_history(app: App, events: Events, tables: dict[str, SideTable], rows: Held, order: NDArray[np.int64]) -> Any:
    """Return features of rows that are delivered after all others up to the last of them, in an order of their own."""
    instant = int(rows.time[-1])
    seen = int(np.searchsorted(events.time, instant, side="right"))
    history = cut_off(app, events, instant, seen)
    others = np.setdiff1d(np.arange(seen), rows.rows)
    whole = frames.take(history, np.concatenate([others, rows.rows[order]]))
    known = Tables({name: table.before(instant) for name, table in tables.items()})
    table, _ = make_features(app, whole, known)
    return table.take(len(others) + _last(order, len(rows)))


def _hidden(app: App, frame: frames.Frame) -> frames.Frame:
    """Return rows without what is known only later."""
    names = [name for name in (app.label, app.known_at, *app.outcomes) if name]
    return frames.blank(frame, list(dict.fromkeys(names)), np.ones(len(frame), dtype=bool))


def _same(left: Any, right: Any) -> bool:
    if left.column_names != right.column_names:
        return False
    return not any(unlike(left.column(name), right.column(name)).any() for name in left.column_names)


def _in_history(app: App, events: Events, tables: dict[str, SideTable], rows: Held) -> Any:
    import pyarrow as pa

    if len(np.unique(rows.rows)) < len(rows):
        raise DataError("rows: one is there twice, and the app's features look at other rows. Give each row once.")
    instant = int(rows.time[-1])
    seen = int(np.searchsorted(events.time, instant, side="right"))
    history = cut_off(app, events, instant, seen)
    late = _hidden(app, rows.raw)
    place = np.arange(seen)
    place[rows.rows] = seen + np.arange(len(rows))
    both = [history.to_arrow(), late.to_arrow().select(history.columns)]
    try:
        whole = pa.concat_tables(both, promote_options="permissive").take(pa.array(place))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
        raise DataError(f"rows: what was changed does not fit the columns of the data: {problem}") from problem
    native = frames.from_arrow(whole, str(events.frame.implementation), "rows")
    known = Tables({name: table.before(instant) for name, table in tables.items()})
    table, _ = make_features(app, frames.eager(native, "rows"), known)
    return table.take(rows.rows)
