"""The history as it was known at an instant: what could be corrected is read again, as it was then."""

from __future__ import annotations

from dataclasses import replace

from mlwild.app import App
from mlwild.events import Events
from mlwild.side_tables import SideTable
from mlwild.triangle.asof import as_of
from mlwild.triangle.survey import read_events
from mlwild.warehouse import tells_corrections


def known_then(
    app: App, events: Events, tables: dict[str, SideTable], instant: int
) -> tuple[Events, dict[str, SideTable]]:
    """
    Return what was known of a history at an instant.

    Parameters
    ----------
    app : App
    events : Events
        All there are now.
    tables : dict of str to SideTable
    instant : int

    Returns
    -------
    events : Events
    tables : dict of str to SideTable
    """
    if app.labels is None and not any(tells_corrections(one) for one in app.sources):
        return as_of(app, events, tables, instant)
    data = app.data.known_at(instant) if tells_corrections(app.data) else app.data
    sides = {
        name: replace(one, data=one.data.known_at(instant)) if tells_corrections(one.data) else one
        for name, one in app.tables.items()
    }
    # A label that changed later had another value at this instant.
    labels = app.labels.known_at(instant) if tells_corrections(app.labels) else app.labels
    then = replace(app, data=data, tables=sides, labels=labels)
    return as_of(app, *read_events(then, instant), instant)
