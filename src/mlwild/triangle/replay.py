"""Events replayed one at a time, each with what was known at its own time: as a service would have seen them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.declared import takes_tables
from mlwild.errors import DataError
from mlwild.events import Events
from mlwild.side_tables import SideTable
from mlwild.triangle.survey import Tables, make_features


def one_by_one(app: App, events: Events, tables: dict[str, SideTable], rows: NDArray[np.int64]) -> list[Any]:
    """
    Return the features of some events, each computed alone.

    By the function of the service where the app declares one, else by the app's own. A request comes without label,
    outcomes and their time; side tables are as they were at the time of the event.

    Parameters
    ----------
    app : App
    events : Events
    tables : dict of str to SideTable
    rows : ndarray of int64, shape (n,)

    Returns
    -------
    list of pyarrow.Table
        Of one row each.

    Raises
    ------
    DataError
        If the service makes another number of rows.
    """
    hidden = list(dict.fromkeys(name for name in (app.label, app.known_at, *app.outcomes) if name))
    function = None if app.serving is None else app.serving.features
    made = []
    for row in rows.tolist():
        one = frames.take(events.frame, np.array([row]))
        known = Tables({name: table.before(int(events.time[row])) for name, table in tables.items()})
        if function is None:
            made.append(make_features(app, frames.blank(one, hidden, np.ones(1, dtype=bool)), known)[0])
            continue
        request = one.drop(*hidden).to_native()
        served = function(request, known) if takes_tables(function, app.tables) else function(request)
        table, _ = frames.to_arrow(served, "serving.features")
        if table.num_rows != 1:
            raise DataError(f"serving.features: returned {table.num_rows} rows for one request. Return one.")
        made.append(table)
    return made
