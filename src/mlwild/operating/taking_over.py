"""What a server logged is taken over into the app's log of features: what a model was fed is what the next learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.clock import now_seconds
from mlwild.errors import StoreError
from mlwild.events import Events
from mlwild.operating.desk import Desk
from mlwild.served import SERVED
from mlwild.served import read_log as read_served
from mlwild.triangle.logged import PREDICTION, VINTAGE, append, log_of, read_log
from mlwild.triangle.survey import Tables, make_features

#: Seconds that a request's time may lie in the future.
AHEAD = 86_400.0
#: Events whose features are made to learn their types.
TYPED = 50
_EPOCH, _DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)


@dataclass
class _Taken:
    """Rows of the served log, column by column."""

    rows: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    features: list[Mapping[str, Any]] = field(default_factory=list)
    vintages: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def take_over(desk: Desk, cutoff: int) -> dict[str, Any]:
    """
    Take the events of the last period that a server answered over into the log of features, as it was fed them.

    An event is taken over if the request gave what the data say of it; of one that was asked for more than once the
    first answer counts. What is logged already is left as it is, and what is not taken over the tick logs itself.

    Parameters
    ----------
    desk : Desk
    cutoff : int

    Returns
    -------
    dict
        ``served``: events of the period that were answered so, ``unlike``: those whose request said something else than
        the data do, and ``unread``: why the rest cannot be read, if so; empty where no server or no log is.
    """
    app, folder = desk.app, desk.store.root / SERVED
    if log_of(app) is None or not folder.is_dir() or not desk.ledger.lasting:
        return {}
    known, _ = desk.known(cutoff)
    begin, end = int(desk.edges[cutoff - 1]), int(desk.edges[cutoff])
    low, high = (int(np.searchsorted(known.time, edge)) for edge in (begin, end))
    assert app.key is not None
    keys = frames.whole(known.frame, app.key, "key")
    wanted = {key: low + place for place, key in enumerate(keys.slice(low, high - low).to_pylist()) if key is not None}
    found, unlike, why = _Taken(), set(), ""
    said = _Said(known, app.time)
    try:
        for line, at in _lines(desk, folder, begin, end):
            for place, row in enumerate(line["rows"]):
                event = wanted.get(row["key"])
                if event is None or row["features"] is None:
                    continue
                if not said.agrees(event, row["event"]):
                    unlike.add(row["key"])
                    continue
                del wanted[row["key"]]
                answer = line["answer"]["predictions"][place]
                found.rows.append(event)
                found.at.append(int(known.time[event]) if at is None else max(at, int(known.time[event])))
                found.features.append(row["features"])
                found.vintages.append(answer["vintage"])
                found.values.append(answer["value"])
    except StoreError as problem:  # what is whole before it counts; an operator has to see to the rest
        why = str(problem)
    _append(desk, known, keys, found)
    counts = {"served": len(found.rows), "unlike": len(unlike & wanted.keys())}
    return counts | ({"unread": why} if why else {})


def _lines(desk: Desk, folder: Path, begin: int, end: int) -> Iterator[tuple[dict[str, Any], int | None]]:
    """Yield the lines of a period with when they were answered; None where times are integers."""
    if desk.clock.kind == "tick":
        yield from ((line, None) for line in read_served(folder))
        return
    ahead = desk.clock.now() - int(now_seconds() * 1e9)  # of this machine's seconds
    since = (begin - ahead) / 1e9 - AHEAD
    for line in read_served(folder, since=since):
        at = int(line["at"] * 1e9) + ahead
        if at <= end:
            yield line, at


class _Said:
    """What the data say of events, as a request says it."""

    def __init__(self, known: Events, time: str) -> None:
        self.table, self.time = known.frame.to_arrow(), time

    def agrees(self, event: int, said: Mapping[str, Any]) -> bool:
        """Say whether a request gave what the data hold, but for its time: that may have been when it was asked."""
        for name, value in said.items():
            if name == self.time:
                continue
            if name not in self.table.column_names or _wire(self.table.column(name)[event].as_py()) != value:
                return False
        return True


def _wire(cell: Any) -> Any:
    """Return a cell as a request gives it: times as microseconds since 1970, dates as days."""
    if isinstance(cell, float) and cell != cell:  # noqa: PLR0124  NaN
        return None
    if isinstance(cell, datetime):
        return (cell.replace(tzinfo=cell.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
    return (cell - _DAY).days if isinstance(cell, date) else cell


def _append(desk: Desk, known: Events, keys: Any, found: _Taken) -> None:
    import pyarrow as pa

    log = read_log(desk.app, known)
    rows = np.asarray(found.rows, dtype=np.int64)
    new = np.flatnonzero(~log.there[rows] if log is not None else np.ones(len(rows), dtype=bool))
    if not len(new):
        return
    # In the types that the function gives: JSON knows fewer.
    schema = make_features(desk.app, frames.take(known.frame, rows[new[:TYPED]]), Tables(desk.tables))[0].schema
    columns = {one.name: _column([found.features[place].get(one.name) for place in new], one.type) for one in schema}
    more = {VINTAGE: pa.array([found.vintages[place] for place in new], pa.string())}
    if desk.app.loss_.predicts != "class":
        more |= _values([found.values[place] for place in new])
    at = np.asarray(found.at, dtype=np.int64)[new]
    events = keys.take(rows[new]), known.time[rows[new]], known.clock
    append(desk.app, events, pa.table({name: one for name, one in columns.items() if one is not None}), at, more)


def _column(values: list[Any], kind: Any) -> Any:
    """Return a feature of what JSON held; None where it cannot be of its type: the tick makes it then."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    try:
        if pa.types.is_temporal(kind):
            return pa.array(values, pa.string()).cast(kind)
        return pa.array(values, pa.float64() if pa.types.is_integer(kind) or pa.types.is_floating(kind) else kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None


def _values(values: list[Any]) -> dict[str, Any]:
    """Return what was answered: one column, or one a class."""
    import pyarrow as pa

    wide = next((len(value) for value in values if isinstance(value, list)), 0)
    if not wide:
        return {PREDICTION: pa.array(values, pa.float64())}
    cells = [value if isinstance(value, list) else [None] * wide for value in values]
    return {
        f"{PREDICTION}_{code}": pa.array(list(one), pa.float64()) for code, one in enumerate(zip(*cells, strict=True))
    }
