"""Live features: are they those of the history; what was logged, replayed; and events computed alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.cells import is_number, plain, text, unlike
from mlwild.checks.findings import Finding
from mlwild.events import Events
from mlwild.side_tables import SideTable
from mlwild.triangle.logged import log_of, read_log
from mlwild.triangle.replay import one_by_one
from mlwild.triangle.survey import make_features
from mlwild.wording import count, number

#: Events that are computed alone.
ROWS = 40


def logged_features(app: App, events: Events, made: Any) -> list[Finding]:
    """
    Hold what was logged against what the definition makes of the same events now, all in one batch.

    Parameters
    ----------
    app : App
    events : Events
    made : pyarrow.Table
        What the definition makes.

    Returns
    -------
    list of Finding
        A failure for each column that differs, with its first row; none for an app without a log.
    """
    stored = log_of(app)
    if stored is None:
        return []
    log = read_log(app, events)
    if log is None:
        return [Finding("logged features", "pass", f"nothing is logged in {stored.name!r} yet")]
    rows = int(log.there.sum())
    found = []
    for name in made.column_names:
        held = np.flatnonzero(log.holds(name))
        if not len(held):
            said = f"feature {name!r} is not in {stored.name!r}: it is as the definition makes it in all rows"
            found.append(Finding("logged features", "note", said, name))
            continue
        ours, theirs = made.column(name).take(held), log.column(name).take(held)
        differ = np.flatnonzero(unlike(ours, theirs))
        if len(differ):
            found.append(_drift(app, events, (name, ours.take(differ), theirs.take(differ)), held[differ], len(held)))
    gone = [name for name in log.table.column_names if not name.startswith("_") and name not in made.column_names]
    if gone:
        said = f"{stored.name!r} has {', '.join(map(repr, gone[:6]))}, which features() makes no more: left out"
        found.append(Finding("logged features", "note", said, gone[0]))
    changed = [batch.number for batch in stored.table.batches if batch.corrected]
    if changed:
        said = f"{stored.name!r} was corrected in version {changed[0]}; what was logged first counts, since it was used"
        found.append(Finding("logged features", "note", said))
    if not any(one.verdict == "fail" for one in found):
        said = f"{rows:,} logged rows of {len(events):,} events are what the definition makes of them"
        found.insert(0, Finding("logged features", "pass", said))
    return found


def _drift(app: App, events: Events, pair: tuple[str, Any, Any], rows: NDArray[np.int64], compared: int) -> Finding:
    name, ours, theirs = pair
    row, now, then = int(rows[0]), text(ours[0]), text(theirs[0])
    assert app.key is not None
    key = frames.values(frames.take(events.frame, rows[:1]), app.key, "key")[0].tolist()[0]
    largest = _largest(ours, theirs)
    said = (
        f"feature {name!r}: {len(rows):,} of {compared:,} logged rows are not what the definition makes of them now"
        f"{largest}; first in row {row} ({app.key} {key}, {events.clock.show(int(events.time[row]), seconds=True)}): "
        f"logged {then}, now {now}. Rows of a side table that came late, or another definition: if it was changed on "
        "purpose, name another log"
    )
    return Finding("logged features", "fail", said, name, row, (then, now))


def _largest(ours: Any, theirs: Any) -> str:
    """Say how far numbers are apart at most."""
    import pyarrow as pa

    (a, gaps), (b, others) = plain(ours), plain(theirs)
    both = ~gaps & ~others
    if not (is_number(a.type) and is_number(b.type)) or not both.any():
        return ""
    values = [x.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)[both] for x in (a, b)]
    with np.errstate(invalid="ignore"):
        return f", off by up to {number(float(np.nanmax(np.abs(values[0] - values[1]), initial=0.0)), 3)}"


def alone(app: App, events: Events, tables: dict[str, SideTable], used: Any, *, seed: int) -> list[Finding]:
    """
    Compute the features of some events alone, as a service would, and hold them against those that are trained on.

    Where the app declares its service or logs what that computes, a difference is a failure: what the model is fed is
    not what it learned from. Else it is a note, that a service must be given more than the request.

    Parameters
    ----------
    app : App
    events : Events
    tables : dict of str to SideTable
    used : pyarrow.Table
        Features of all events, as they are trained on.
    seed : int
        Of the choice of events.
    """
    declared = app.serving is not None and app.serving.features is not None
    if app.features is None and not declared:
        return []
    rows = _chosen(app, events, seed)
    live = declared or app.logged is not None
    verdict: Literal["fail", "note"] = "fail" if live else "note"
    try:
        made = one_by_one(app, events, tables, rows)
    except Exception as problem:  # noqa: BLE001  the user's function may raise anything on one row; it is told
        why = " ".join(str(problem).split())[:300]
        said = f"the features of one event alone cannot be computed: {type(problem).__name__}: {why}"
        return [Finding("serving parity", verdict, said + _advice(live))]
    found = []
    for name in used.column_names:
        differ = [place for place, row in enumerate(rows.tolist()) if _differs(made[place], used, name, row)]
        if differ:
            row = int(rows[differ[0]])
            values = text(used.column(name)[row]), _shown(made[differ[0]], name)
            said = (
                f"feature {name!r} of an event alone, with what was known at its time, is not what is trained on, in "
                f"{len(differ)} of {len(rows)} events: row {row} "
                f"({events.clock.show(int(events.time[row]), seconds=True)}) has {values[0]}, and {values[1]} alone"
            )
            found.append(Finding("serving parity", verdict, said + _advice(live), name, row, values))
    if found:
        return found
    try:
        moved = 0 if declared else _moved(app, events, tables, rows)
    except Exception as problem:  # noqa: BLE001  as above
        why = " ".join(str(problem).split())[:300]
        said = (
            "features of events that are not in order of time cannot be computed, and a service is given such: "
            f"{type(problem).__name__}: {why}"
        )
        return [Finding("serving parity", verdict, said)]
    if moved:
        said = (
            f"features come back in another order than events are given: of {len(rows)} given from the last to the "
            f"first {moved} got those of another. A service and mlwild predict are given rows in any order: return "
            "one row for each, in the same order"
        )
        return [Finding("serving parity", "fail", said)]
    how = "the declared service" if declared else "their own"
    said = (
        f"{count(len(rows))} events have the same features one at a time, by {how}, with what was known at their time"
    )
    return [Finding("serving parity", "pass", said)]


def _moved(app: App, events: Events, tables: dict[str, SideTable], rows: NDArray[np.int64]) -> int:
    """Return how many events get the features of others where they are given from the last to the first."""
    hidden = list(dict.fromkeys(name for name in (app.label, app.known_at, *app.outcomes) if name))
    made = []
    for order in (rows, rows[::-1]):
        some = frames.blank(frames.take(events.frame, order), hidden, np.ones(len(order), dtype=bool))
        table = make_features(app, some, tables)[0]
        made.append([repr(one) for one in table.to_pylist()])
    straight, turned = made[0][::-1], made[1]
    # What looks at other events has other values, and is told as that.
    if sorted(straight) != sorted(turned):
        return 0
    return sum(one != other for one, other in zip(straight, turned, strict=True))


def _advice(live: bool) -> str:
    if live:
        return ". What is live is not what was learned from: mend whichever is wrong"
    return ". It looks at other events: a service has to be given them. wild.past_events() is a side table of them"


def _chosen(app: App, events: Events, seed: int) -> NDArray[np.int64]:
    """Return some events, in order; half of them logged ones where there are any."""
    rng = np.random.default_rng(seed)
    log = read_log(app, events)
    logged = np.zeros(0, np.int64) if log is None else np.flatnonzero(log.there)
    first = rng.choice(logged, min(ROWS // 2, len(logged)), replace=False)
    rest = rng.choice(len(events), min(ROWS - len(first), len(events)), replace=False)
    return np.unique(np.concatenate([first, rest]).astype(np.int64))


def _differs(one: Any, used: Any, name: str, row: int) -> bool:
    if name not in one.column_names:
        return True
    return bool(unlike(one.column(name), used.column(name).slice(row, 1))[0])


def _shown(one: Any, name: str) -> str:
    return text(one.column(name)[0]) if name in one.column_names else "no column"
