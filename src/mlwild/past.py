"""The app's own earlier events as a side table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.errors import AppError
from mlwild.events import Events
from mlwild.side_tables import SideTable, Table


@dataclass(frozen=True)
class OwnEvents:
    """
    In place of a side table's data: the app's own.

    Parameters
    ----------
    labels : bool
        Whether the rows come with their labels, and when those were known.
    """

    labels: bool = True

    def __call__(self) -> Any:
        """Refuse: the rows are those that the app reads."""
        raise AppError("tables: past_events() has no data of its own: mlwild.App reads them from its `data`.")


def past_events(*, by: str | Sequence[str] = (), labels: bool = True) -> Table:
    """
    Return a side table of the app's own earlier events: the history of a customer, a shop, a machine.

    An event never sees itself, nor another one of the same instant. With labels, a row can be seen once its label was
    known, by the app's `known_at` or `delay`. Without, at once, and without label, outcomes and their time. Declare
    both, under two names, to know how often a customer ordered and how often that went wrong. A service finds in such a
    table what it needs for a request of one row.

    Parameters
    ----------
    by : str or sequence of str
        Columns that say whose history it is.
    labels : bool
        Whether it is of labelled events, as of when their labels were known.

    Returns
    -------
    Table
        For ``App(tables={"past": past_events(by="customer")})``.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mlwild import App
    >>> from mlwild.triangle.survey import survey
    >>> rows = pd.DataFrame({"t": np.arange(60), "who": np.arange(60) % 2, "y": np.arange(60) % 3 == 0})
    >>> def features(rows, tables):
    ...     return tables["past"].trailing(rows, 8, {"rate": ("y", "mean"), "n": "rows"})
    >>> app = App(
    ...     name="past", data=lambda: rows, time="t", label="y", delay=3, tables={"past": past_events(by="who")},
    ...     features=features, models={"none": lambda X, y: lambda X: np.zeros(len(X))}, loss="brier", every=10,
    ...     start=20,
    ... )
    >>> survey(app).features.to_pandas().iloc[8].to_dict()  # of times 2 and 4; the label of 6 is not known yet at 8
    {'rate': 0.0, 'n': 2.0}
    """
    return Table(OwnEvents(labels), time="its own, with labels" if labels else "its own", delay=0, by=by)


def own_table(table: Table, events: Events, late: Sequence[str], event_time: str, field: str) -> SideTable:
    """
    Return earlier events as a side table.

    Parameters
    ----------
    table : Table
        Made by `past_events`.
    events : Events
    late : sequence of str
        Columns that are known only with the label.
    event_time : str
        The column of the events' time.
    field : str
        For errors.
    """
    assert isinstance(table.data, OwnEvents)
    frame, chosen = events.frame, events.labelled
    # An event is earlier than another one by an instant at least: its own label is no history.
    seen = np.maximum(events.known_at, events.time + 1)
    if not table.data.labels:
        frame, chosen, seen = frame.drop(*late, strict=False), np.ones(len(events), dtype=bool), events.time + 1
    for key in table.keys:
        if key in late:
            raise AppError(f"{field}.by: {key!r} is known only with the label, so no history can be found by it.")
    frames.need(frame, table.keys, f"{field}.by")
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((events.time[rows], seen[rows]))]
    return SideTable(frames.take(frame, rows), events.time[rows], seen[rows], table.keys, events.clock, event_time)
