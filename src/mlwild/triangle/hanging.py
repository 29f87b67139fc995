"""What features hang on: what they are where a column of their events is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.frames import Frame
from mlwild.triangle.survey import Tables, make_features

#: Events of the history on which it is tried what hangs on something.
TRIED = 200


def hangs_on(app: App, frame: Frame, tables: Tables, column: str) -> bool:
    """
    Say whether features of some events are others where a column of theirs is missing, or cannot be made then.

    Parameters
    ----------
    app : App
    frame : Frame of n_events
    tables : Tables
        All that is known of them.
    column : str
    """
    tried = frames.take(frame, spread(frame.shape[0], TRIED))
    whole, _ = make_features(app, tried, tables)
    try:
        blank = frames.blank(tried, [column], np.ones(tried.shape[0], dtype=bool))
        without, _ = make_features(app, blank, tables)
    except Exception:  # noqa: BLE001  the user's function may raise anything: without the column there is no feature
        return True
    names = whole.column_names
    return names != without.column_names or not all(equal(whole.column(one), without.column(one)) for one in names)


def equal(one: Any, other: Any) -> bool:
    """Say whether two Arrow columns hold the same, a gap being the same as another."""
    first, second = ([None if cell != cell else cell for cell in column.to_pylist()] for column in (one, other))  # noqa: PLR0124
    return first == second


def spread(n: int, most: int) -> NDArray[np.int64]:
    """Return places among n, evenly spaced, first and last with them; so many at most."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
