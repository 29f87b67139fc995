"""Stale values: what is served stood in an earlier row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.cells import plain
from mlwild.gate.held import Held
from mlwild.gate.ready.serving.causes import EXPLAINS
from mlwild.gate.ready.serving.pairs import Pair
from mlwild.gate.trial import Trial
from mlwild.wording import count

#: Rows back that a column with few values is compared at.
BACK = 20
#: A column with so large a share of distinct values is found again by its value alone.
DISTINCT = 0.5


def earlier_values(pair: Pair, trial: Trial, rows: Held) -> str:
    """
    Say that a served column is stale: its values stood in rows before.

    Columns whose values hardly repeat are searched for the value; others are compared with the row so many
    rows before, and with the last row of the same entity.
    """
    history = trial.events
    words = plain(history.table.column(pair.name))[0].to_pylist()
    served = plain(pair.served)[0].to_pylist()
    places = np.searchsorted(history.rows, rows.rows)
    differs = pair.differs & pair.both
    if not differs.any():
        return ""
    if len({repr(one) for one in words}) > DISTINCT * len(words):
        found = _last_seen(words, served, places)
        if (found[differs] >= 0).mean() >= EXPLAINS:
            back = int(np.median(places[differs & (found >= 0)] - found[differs & (found >= 0)]))
            return f"stale: the value of an earlier row, {count(back)} rows back at the median"
        return ""
    for back in range(1, BACK + 1):
        if _same_at(words, served, places - back)[pair.both].mean() >= EXPLAINS:
            return f"stale: the value of {'the row' if back == 1 else f'{back} rows'} before"
    before = _of_entity(trial, history, places)
    if before is not None and _same_at(words, served, before)[differs].mean() >= EXPLAINS:
        return "stale: the value at the last row of the same entity"
    return ""


def _last_seen(words: list[object], served: list[object], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each served value last stood before its row, or -1."""
    stood: dict[str, list[int]] = {}
    for place, value in enumerate(words):
        stood.setdefault(repr(value), []).append(place)
    made = np.full(len(places), -1, dtype=np.int64)
    for at, (value, place) in enumerate(zip(served, places, strict=True)):
        before = [one for one in stood.get(repr(value), ()) if one < place]
        made[at] = before[-1] if before else -1
    return made


def _same_at(words: list[object], served: list[object], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.array(
        [place >= 0 and repr(words[place]) == repr(value) for value, place in zip(served, places, strict=True)],
        dtype=bool,
    )


def _of_entity(trial: Trial, history: Held, places: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the place of the last row of the same entity before each, or -1; None where there is no entity."""
    entity = trial.timeline.entity
    if entity is None:
        return None
    whom = entity[history.rows]
    made = np.full(len(places), -1, dtype=np.int64)
    for at, place in enumerate(places):
        before = np.flatnonzero(whom[:place] == whom[place])
        made[at] = before[-1] if len(before) else -1
    return made
