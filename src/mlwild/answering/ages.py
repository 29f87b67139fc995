"""Whether what a row's features are made of is too old: known by the time stamps of side tables, not by a misfit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.frames import Frame
from mlwild.guards.guarded import Stale
from mlwild.triangle.hanging import TRIED, equal, spread
from mlwild.triangle.survey import Tables, make_features

#: Events of the history whose rows' ages are looked at.
LOOKED = 5_000
#: Share of the history's rows that may be older, and how many times as old as the others a row may be.
OLDER, TIMES = 0.001, 2


@dataclass(frozen=True)
class Limit:
    """
    How old the rows of a side table may be.

    Parameters
    ----------
    oldest : int
        Since they became available; in nanoseconds or ticks.
    needed : bool
        Whether almost every event of the history found a row.
    features : tuple of str
        What is made of the table.
    """

    oldest: int
    needed: bool
    features: tuple[str, ...]


def learn_limits(app: App, frame: Frame, tables: Tables, time: NDArray[np.int64]) -> dict[str, Limit]:
    """
    Return how old rows of side tables were in the history, with slack, and which features hang on each table.

    A row may be twice as old as all but one in a thousand were that events of the history found, and older still by the
    usual gap between rows of the table: then one came late at most. What hangs on a table changes where
    the table is empty.

    Parameters
    ----------
    app : App
    frame : Frame of n_events
    tables : Tables
        All that is known of them.
    time : ndarray of int64, shape (n_events,)
        In order.

    Returns
    -------
    dict of str to Limit
        By table; none for a table on which nothing hangs, or whose rows no event found.

    Notes
    -----
    One limit holds for all keys of a table: that of the slowest.
    """
    if app.features is None or not tables or not len(time):
        return {}
    made: dict[str, Limit] = {}
    looked = frames.take(frame, spread(len(time), LOOKED))
    tried = frames.take(frame, spread(len(time), TRIED))
    whole, _ = make_features(app, tried, tables)
    for name, table in tables.items():
        ages = table.ages(looked.to_native())
        needed = bool((ages < 0).mean() <= OLDER)
        ages, gaps = ages[ages >= 0], table.gaps()
        features = _hanging(app, tried, tables, name, whole)
        if len(ages) and features:
            usual = int(np.median(gaps)) if len(gaps) else 0
            made[name] = Limit(TIMES * int(np.quantile(ages, 1 - OLDER, method="higher")) + usual, needed, features)
    return made


def _hanging(app: App, frame: Frame, tables: Tables, name: str, whole: Any) -> tuple[str, ...]:
    """Return the features that are others where a table has no row; all where the function needs it."""
    table = tables[name]
    empty = Tables(tables | {name: table.where(np.zeros(len(table.time), dtype=bool))})
    try:
        without, _ = make_features(app, frame, empty)
    except Exception:  # noqa: BLE001  the user's function may raise anything: without the table there is no feature
        return tuple(whole.column_names)
    same = {one for one in whole.column_names if one in without.column_names}
    return tuple(
        one for one in whole.column_names if one not in same or not equal(whole.column(one), without.column(one))
    )


def overdue(limits: Mapping[str, Limit], tables: Tables, events: Any) -> Stale:
    """
    Return the features that are made of rows that are too old.

    Parameters
    ----------
    limits : mapping of str to Limit
    tables : Tables
    events : frame of n_rows
        As the function that makes features is given them.

    Returns
    -------
    dict of str to (ndarray of bool, list of str), each n_rows long
        By feature: in which rows, and why in each of them.
    """
    made: Stale = {}
    for name, limit in limits.items():
        ages, clock = tables[name].ages(events), tables[name].clock
        late, none = ages > limit.oldest, (ages < 0) & limit.needed
        if not (late | none).any():
            continue
        most = clock.span(float(limit.oldest))
        said = [""] * len(ages)
        for row in np.flatnonzero(late).tolist():
            said[row] = f"is made of {name}, {clock.span(float(ages[row]))} old, more than {most}"
        for row in np.flatnonzero(none).tolist():
            said[row] = f"is made of {name}, which has no row for it"
        for feature in limit.features:
            before, why = made.get(feature, (None, said))
            if before is None:
                made[feature] = (late | none, said)
            else:  # of two tables the first is blamed
                made[feature] = (before | late | none, [one or two for one, two in zip(why, said, strict=True)])
    return made
