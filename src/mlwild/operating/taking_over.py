"""What a server logged is taken over into the app's log of features: what a model was fed is what the next learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.clock import now_seconds
from mlwild.errors import StoreError
from mlwild.events import Events
from mlwild.operating.beside import CHAMPION
from mlwild.operating.desk import Desk
from mlwild.served import SERVED
from mlwild.served import read_log as read_served
from mlwild.triangle.logged import PREDICTION, VINTAGE, append, log_of, read_log
from mlwild.triangle.survey import Tables, make_features

#: Seconds that a request's time may lie in the future.
AHEAD = 86_400.0
#: Nanoseconds that a request may be off its event: two systems do not write the same instant down.
NEAR = 60 * 10**9
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

    An event is taken over where the champion answered as normal, with all features, on what the data say of the event,
    at its time, and before its label was known: a request that came later may have seen what came of it. Of several the
    first counts. What is logged already is left as it is, and what is not taken over the tick logs itself.

    Parameters
    ----------
    desk : Desk
    cutoff : int

    Returns
    -------
    dict
        ``served``: events of the period that were taken over, or were before; ``unlike``: those that were asked for
        with other columns than the data have, or at another time, alone; and ``unread``: why the rest cannot be read,
        if so. Empty where no server or no log is.
    """
    app, folder = desk.app, desk.store.root / SERVED
    if log_of(app) is None or not folder.is_dir() or not desk.ledger.lasting:
        return {}
    known, _ = desk.known(cutoff)
    begin, end = int(desk.edges[cutoff - 1]), int(desk.edges[cutoff])
    low, high = (int(np.searchsorted(known.time, edge)) for edge in (begin, end))
    assert app.key is not None
    keys = frames.whole(known.frame, app.key, "key")
    named = ((_wire(key), low + place) for place, key in enumerate(keys.slice(low, high - low).to_pylist()))
    wanted = {key: event for key, event in named if key is not None}
    found, unlike, why = _Taken(), set(), ""
    said = _Said(known, app.time, desk.clock.kind == "tick")
    try:
        for line, at in _lines(desk, folder, begin, end):
            for place, row in enumerate(line["rows"]):
                event, answer = wanted.get(row["key"]), line["answer"]["predictions"][place]
                if event is None or row["arm"] != CHAMPION or answer["status"] != "normal" or not row["features"]:
                    continue
                if not said.agrees(event, row["event"], at):
                    unlike.add(row["key"])
                    continue
                del wanted[row["key"]]
                found.rows.append(event)
                found.at.append(int(known.time[event]) if at is None else max(at, int(known.time[event])))
                found.features.append(row["features"])
                found.vintages.append(answer["vintage"])
                found.values.append(answer["value"])
    except StoreError as problem:  # what is whole before it counts; an operator has to see to the rest
        why = str(problem)
    served = _append(desk, known, keys, found)
    counts = {"served": served, "unlike": len(unlike & wanted.keys())}
    return counts | ({"unread": why} if why else {})


def _lines(desk: Desk, folder: Path, begin: int, end: int) -> Iterator[tuple[dict[str, Any], int | None]]:
    """Yield the lines of a period with when they were answered; None where times are integers."""
    if desk.clock.kind == "tick":
        yield from ((line, None) for line in read_served(folder))
        return
    ahead = desk.clock.now() - int(now_seconds() * 1e9)  # of this machine's seconds, now: an hour more or less then
    since = (begin - ahead) / 1e9 - AHEAD
    for line in read_served(folder, since=since):
        at = desk.clock.at(line["at"])
        if at <= end:
            yield line, at


class _Said:
    """What the data say of events, as a request says it."""

    def __init__(self, known: Events, time: str, ticks: bool) -> None:
        self.known, self.table, self.time, self.ticks = known, known.frame.to_arrow(), time, ticks
        self.unit = 1 if ticks else _unit(self.table.column(time).type)

    def agrees(self, event: int, said: Mapping[str, Any], at: int | None) -> bool:
        """Say whether a request gave what the data hold of an event, at its time, and before its label was known."""
        asked = self.unit * said[self.time]
        if abs(asked - int(self.known.time[event])) > (0 if self.ticks else NEAR):
            return False
        if self.known.known_at[event] <= max(asked, asked if at is None else at) and not self.ticks:
            return False
        for name, value in said.items():
            if name == self.time:
                continue
            if name not in self.table.column_names or not _same(self.table.column(name), event, value):
                return False
        return True


def _unit(kind: Any) -> int:
    """Return the nanoseconds of what a request counts: days of dates, microseconds of all other times."""
    import pyarrow as pa

    return 86_400 * 10**9 if pa.types.is_date(kind) else 1_000


def _same(column: Any, event: int, value: Any) -> bool:
    """Say whether a cell is what a request gave: JSON has one kind of fractions."""
    import pyarrow as pa

    cell = _wire(column[event].as_py())
    if pa.types.is_floating(column.type) and cell is not None and isinstance(value, int | float):
        kind = column.type.to_pandas_dtype()
        return bool(kind(cell) == kind(value))
    return bool(cell == value)


def _wire(cell: Any) -> Any:
    """Return a cell as a request gives it: times as microseconds since 1970, dates as days, decimals as fractions."""
    if isinstance(cell, float) and cell != cell:  # noqa: PLR0124  NaN
        return None
    if isinstance(cell, datetime):
        return (cell.replace(tzinfo=cell.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
    if isinstance(cell, Decimal):
        return float(cell)
    return (cell - _DAY).days if isinstance(cell, date) else cell


def _append(desk: Desk, known: Events, keys: Any, found: _Taken) -> int:
    """Log what was found, and return how many of it are logged so."""
    import pyarrow as pa

    if not found.rows:
        return 0
    rows = np.asarray(found.rows, dtype=np.int64)
    # In the types that the function gives: JSON knows fewer.
    schema = make_features(desk.app, frames.take(known.frame, rows[:TYPED]), Tables(desk.tables))[0].schema
    good = np.flatnonzero([all(name in one for name in schema.names) for one in found.features])
    columns: dict[str, Any] = {}
    for field_ in schema:
        cells = [found.features[place][field_.name] for place in good]
        sound = _sound(cells, field_.type)
        good = good[sound]
        columns = {name: one.filter(pa.array(sound)) for name, one in columns.items()}
        columns[field_.name] = _array([cell for cell, fits in zip(cells, sound, strict=True) if fits], field_.type)
    log = read_log(desk.app, known)
    fresh = ~log.there[rows[good]] if log is not None else np.ones(len(good), dtype=bool)
    if fresh.any():
        new = good[fresh]
        more = {VINTAGE: pa.array([found.vintages[place] for place in new], pa.string())}
        if desk.app.loss_.predicts != "class":
            more |= _values([found.values[place] for place in new])
        at = np.asarray(found.at, dtype=np.int64)[new]
        table = pa.table({name: one.filter(pa.array(fresh)) for name, one in columns.items()})
        append(desk.app, (keys.take(rows[new]), known.time[rows[new]], known.clock), table, at, more)
    return len(good)


def _sound(values: list[Any], kind: Any) -> NDArray[np.bool_]:
    """Mark the values that are of a feature's type: one that is not is left to the tick with its row."""
    import pyarrow as pa

    wrong = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)
    try:
        _array(values, kind)
    except wrong:
        made = np.zeros(len(values), dtype=bool)
        for place, value in enumerate(values):
            with suppress(*wrong):
                _array([value], kind)
                made[place] = True
        return made
    return np.ones(len(values), dtype=bool)


def _array(values: list[Any], kind: Any) -> Any:
    """Return a feature of what JSON held."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_null(kind):  # of the few that were looked at
        return pa.array(values)
    return pa.array(values, pa.float64() if pa.types.is_integer(kind) or pa.types.is_floating(kind) else kind)


def _values(values: list[Any]) -> dict[str, Any]:
    """Return what was answered: one column, or one a class."""
    import pyarrow as pa

    wide = next((len(value) for value in values if isinstance(value, list)), 0)
    if not wide:
        return {PREDICTION: pa.array(values, pa.float64())}
    cells = [value if isinstance(value, list) else [None] * wide for value in values]
    columns = zip(*cells, strict=True)
    return {f"{PREDICTION}_{code}": pa.array(list(one), pa.float64()) for code, one in enumerate(columns)}
