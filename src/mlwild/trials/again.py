"""The app's data, features and file once more: are they what they were a moment ago."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.app import App
from mlwild.cells import plain, text, unlike
from mlwild.digest import fingerprint
from mlwild.events import Events
from mlwild.gate.trial import Reread
from mlwild.loading import load_again
from mlwild.triangle import Survey
from mlwild.triangle.logged import with_log
from mlwild.triangle.survey import make_features, read_events, reads_features

#: How often an app's file is run again, as long as that takes fewer seconds: one run may choose the same by chance.
RUNS, SECONDS = 8, 2.0


def reread(survey: Survey, events: Events) -> Reread:
    """
    Read an app's data and compute its features once more, and compare with what was read before.

    Rows that were added at the end are no difference, and neither are labels that arrived.
    """
    app = survey.app
    again, tables = read_events(app)
    n = len(events)
    if len(again) < n or (again.time[:n] != events.time).any():
        return Reread(n, (f"data: {n:,} rows were read, then {len(again):,} of which the first are at other times",))
    differs = list(_differences(app, events.frame, again.frame, n))
    if not differs and reads_features(app):
        table = with_log(app, again, make_features(app, again.frame, tables)[0])
        differs += _differing_features(survey.features, table.slice(0, n))
    return Reread(n, tuple(differs))


def _differences(app: App, first: frames.Frame, second: frames.Frame, n: int) -> Iterator[str]:
    late = {name for name in (app.label, app.known_at, *app.outcomes) if name}
    for name in first.columns:
        if name not in second.columns:
            yield f"data: column {name!r} was there, and then was not"
            continue
        ours, theirs = _column(first, name), _column(second, name).slice(0, n)
        differing = unlike(ours, theirs)
        if name in late:
            differing &= ~plain(ours)[1]
        if differing.any():
            row = int(np.flatnonzero(differing)[0])
            yield (
                f"data: column {name!r} differs in {int(differing.sum()):,} of {n:,} rows, first in row {row} "
                f"({text(ours[row])}, then {text(theirs[row])})"
            )


def _differing_features(first: Any, second: Any) -> Iterator[str]:
    for name in first.column_names:
        if name not in second.column_names:
            yield f"features: column {name!r} was there, and then was not"
            continue
        ours, theirs = first.column(name), second.column(name)
        differing = np.flatnonzero(unlike(ours, theirs))
        if len(differing):
            row = int(differing[0])
            yield (
                f"features: {name!r} differs in {len(differing):,} of {first.num_rows:,} rows on the same data, first "
                f"in row {row} ({text(ours[row])}, then {text(theirs[row])})"
            )


def _column(frame: frames.Frame, name: str) -> Any:
    """Return a column of the user's frame as Arrow; objects of mixed kinds by their text."""
    import pyarrow as pa

    try:
        column = frame[name].to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        column = pa.array([repr(value) for value in frame[name].to_list()])
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def reloaded(app: App) -> str:
    """Say what differs when the app's file is run again: the model that lives, or its settings; or nothing."""
    began = time.perf_counter()
    for _ in range(0 if app.file is None else RUNS):
        changed = _changed(app, load_again(app))
        if changed or time.perf_counter() - began > SECONDS:
            return changed
    return ""


def _changed(app: App, again: App) -> str:
    assert app.file is not None
    # A challenger is one of the file's models, by its name: another one lives there.
    challenger = len(app.models) == 1 < len(again.models) and app.live in again.models
    if again.live != app.live and not challenger:
        return f"the model that lives is {app.live!r}, and when {app.file.name} is run again it is {again.live!r}"
    if fingerprint(again.models[app.live]) != fingerprint(app.models[app.live]):
        return f"model {app.live!r} has other settings or other code when {app.file.name} is run again"
    return ""
