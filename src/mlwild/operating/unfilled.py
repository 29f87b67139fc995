"""What requests give of an app's data, and what a challenger reads that they do not give."""

from __future__ import annotations

from typing import Any

from mlwild.app import App
from mlwild.columns import Columns, learned
from mlwild.events import Events
from mlwild.models import Forecast
from mlwild.operating.desk import Desk
from mlwild.triangle import Triangle
from mlwild.triangle.hanging import hangs_on
from mlwild.triangle.survey import Tables


def columns_asked(events: Events, app: App, model: Any) -> Columns:
    """Return what requests are to give of some events."""
    late = [one for one in (app.label, app.known_at, *app.outcomes, app.propensity) if one]
    if isinstance(model, Forecast):
        late = [one for one in late if one != model.column]
    hidden = list(dict.fromkeys(late))
    return learned(events.frame.to_arrow().schema, hidden=hidden, time=app.time, key=app.key)


def unfilled(desk: Desk, own: Desk, rival: Triangle) -> str:
    """
    Return a column that a challenger reads and requests do not hold; empty if there is none.

    Requests give what the champion's data have.

    Parameters
    ----------
    desk : Desk
        The champion's.
    own : Desk
        The challenger's, with its own data.
    rival : Triangle
        The challenger's.
    """
    app, model = rival.survey.app, rival.survey.app.models[rival.model]
    given, read = (columns_asked(one.events, app, model) for one in (desk, own))
    for name in given.unfilled(read):
        if name in given.names or hangs_on(app, own.events.frame, Tables(own.tables), name):
            return name
    return ""
