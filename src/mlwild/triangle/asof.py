"""The history as it was known at an instant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlwild import frames
from mlwild.app import App
from mlwild.clock import NEVER
from mlwild.events import Events
from mlwild.side_tables import SideTable
from mlwild.triangle.survey import Tables


def cut_off(app: App, events: Events, instant: int, rows: int) -> frames.Frame:
    """Return the first rows of the history as they were known at an instant."""
    kept = frames.take(events.frame, np.arange(rows))
    hidden = [name for name in (app.label, app.known_at, *app.outcomes) if name]
    return frames.blank(kept, list(dict.fromkeys(hidden)), events.known_at[:rows] > instant)


def as_of(app: App, events: Events, tables: dict[str, SideTable], instant: int) -> tuple[Events, dict[str, SideTable]]:
    """
    Return what a cutoff at an instant knows: earlier events, labels that had arrived, side tables' rows at hand.

    Parameters
    ----------
    app : App
    events : Events
    tables : dict of str to SideTable
    instant : int

    Returns
    -------
    events : Events
        Rows asked for before the instant; a label, its arrival and outcomes that came later are missing.
    tables : dict of str to SideTable
    """
    rows = int(np.searchsorted(events.time, instant, side="left"))
    known_at = events.known_at[:rows]
    known = replace(
        events,
        frame=cut_off(app, events, instant, rows),
        time=events.time[:rows],
        known_at=np.where(known_at <= instant, known_at, NEVER),
        label=events.label[:rows],
        weight=events.weight[:rows],
    )
    return known, Tables({name: table.before(instant) for name, table in tables.items()})
