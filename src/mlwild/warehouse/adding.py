"""Adding rows: what is there already is not added again, and what contradicts it is not added in silence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.clock import NEVER, Clock
from mlwild.digest import digest, row_hashes
from mlwild.errors import AppError, DataError
from mlwild.ledger import Fact
from mlwild.warehouse.description import BATCH, KEY, KNOWN, ROW, Description
from mlwild.warehouse.fitting import as_kept, declared, first_description, fitting, schema_of
from mlwild.warehouse.incoming import Incoming
from mlwild.warehouse.table import WAREHOUSE, StoredTable

Ints = NDArray[np.int64]

#: From when rows count as known: their own time (a history that is taken over), or when they came.
OWN_TIME, NOW = "time", "now"
#: Nanoseconds by which clocks differ without a word.
SLACK = 60 * 10**9
#: Threads that hash rows.
WORKERS = 2


@dataclass(frozen=True)
class Added:
    """
    What became of a file.

    Parameters
    ----------
    table : str
    version : int
        Of the table, now.
    new, corrected, same : int
        Rows with a new key, with a known key and other values, and that were there already.
    known : str
        From when they count as known.
    since : str
        The instant, where this machine's clock is behind what it was when rows came last; else empty.
    """

    table: str
    version: int
    new: int
    corrected: int
    same: int
    known: str
    since: str = ""

    @property
    def said(self) -> str:
        """Say it in a sentence."""
        if not self.new and not self.corrected:
            all_ = "its 1 row was" if self.same == 1 else f"all {self.same:,} rows were"
            return f"{self.table}: {all_} there already; nothing was added."
        known = {OWN_TIME: "known at their own time (history)", NOW: "known from now on"}.get(
            self.known, f"known as column {self.known!r} says"
        )
        if self.since:  # they must not count as known before what came before them
            known = f"known from {self.since} on, when rows came last: this machine's clock is behind that"
        more = f", {self.corrected:,} corrected" if self.corrected else ""
        same = f", {self.same:,} were there already" if self.same else ""
        rows = "1 row" if self.new == 1 else f"{self.new:,} rows"
        return f"{self.table}: {rows} added{more}{same}; they count as {known}. Version {self.version}."


def add(
    name: str,
    source: Any,
    *,
    key: str | None = None,
    time: str | None = None,
    known: str | None = None,
    owner: str | None = None,
    units: Mapping[str, str] | None = None,
    correct: bool = False,
    new_columns: bool = False,
    warehouse: str | Path = WAREHOUSE,
) -> Added:
    """
    Add a file to a stored table; make the table if it is not there.

    A row whose key is there with the same values is not added again, so the same file twice adds nothing. A row whose
    key is there with other values is a contradiction: nothing is added, unless it is said to be a correction. Then both
    forms are kept, and reads as of an earlier instant still find the old one. When this returns, the rows are
    on the disk.

    Parameters
    ----------
    name : str
        Letters, digits, ``-`` and ``_``.
    source : str, Path or frame
        A Parquet or CSV file, or a table.
    key, time : str, optional
        Columns that name each row once, and that say what time it is of; needed for the first file.
    known : str, optional
        From when rows count as known: ``"time"``, their own; ``"now"``; or a column with times. Default the first for
        the first file (a history that is taken over) and the second for all others.
    owner : str, optional
        Who is to be asked.
    units : mapping of str to str, optional
        By column.
    correct : bool
        Whether rows may correct others.
    new_columns : bool
        Whether columns may be added; earlier rows have no value in them.
    warehouse : str or Path

    Returns
    -------
    Added

    Raises
    ------
    AppError
        If an argument is wrong.
    DataError
        If the rows do not fit the table, with the column and the row; nothing was added.
    BusyError
        If another process is adding to the table.
    StoreError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile, pyarrow as pa
    >>> folder = tempfile.mkdtemp()
    >>> rows = pa.table({"id": [1, 2], "when": [10, 20], "price": [5.0, 6.0]})
    >>> add("orders", rows, key="id", time="when", warehouse=folder).new
    2
    >>> add("orders", rows, warehouse=folder).said
    'orders: all 2 rows were there already; nothing was added.'
    >>> add("orders", pa.table({"id": [2], "when": [20], "price": [7.0]}), warehouse=folder)
    Traceback (most recent call last):
        ...
    mlwild.errors.DataError: orders: 1 row contradicts one that is there: id=2 has price=7.0, and 6.0 before. ...
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise AppError(f"table: {name!r} must be letters, digits, '-' and '_'.")
    table = StoredTable(Path(warehouse) / name)
    with _trace(table), table.lock():
        table.reconcile()
        fresh = Incoming(source, table.name, {})
        said = table.description if table.exists else first_description(table.name, fresh, key, time, owner, units)
        return _commit(
            table, declared(said, key, time, owner, units, correct=correct), fresh, known, correct, new_columns
        )


@contextmanager
def _trace(table: StoredTable) -> Iterator[None]:
    """Leave nothing of a table whose first file could not be added."""
    try:
        yield
    except BaseException:
        if not table.exists and table.delta() is None and table.folder.exists():
            shutil.rmtree(table.folder)
        raise


@dataclass(frozen=True)
class Known:
    """
    From when rows count as known that are known now: this machine's time, or in ticks the last one there is.

    All rows of a file at one instant, and none before what came before it: a machine's clock may go back.
    """

    clock: Clock
    last: int

    @cached_property
    def machine(self) -> int:
        """Time of this machine, asked once."""
        return self.last if self.clock.kind == "tick" else self.clock.now()

    def now(self) -> int:
        """Return the instant."""
        return max(self.machine, self.last)

    def since(self) -> str:
        """Return the instant for a reader where the machine's clock is behind it by more than clocks differ."""
        return self.clock.show(self.last) if self.last - self.machine > SLACK else ""


@dataclass(frozen=True)
class _Read:
    """Keys, contents and times of incoming rows."""

    keys: Ints
    rows: Ints
    known: Ints
    first: int
    last: int


def _commit(
    table: StoredTable, said: Description, incoming: Incoming, known: str | None, correct: bool, new_columns: bool
) -> Added:
    before = table.description if table.exists else None
    if before is not None:
        incoming = replace(incoming, types={field.name: said.kept(field) for field in said.schema})
    said = fitting(said, incoming, new_columns)
    rule = known or (NOW if before is not None else OWN_TIME)
    if rule not in (OWN_TIME, NOW) and rule not in said.schema.names:
        raise AppError(f"known: {rule!r} is neither 'time', 'now' nor a column of {said.name!r}.")
    at = Known(said.clock, _last(table))
    read = _read(said, incoming, rule, at)
    keys, rows = table.latest()
    place = np.minimum(np.searchsorted(keys, read.keys), max(len(keys) - 1, 0))
    there = keys[place] == read.keys if len(keys) else np.zeros(len(read.keys), dtype=bool)
    same = there.copy()
    same[there] = rows[place[there]] == read.rows[there]
    changed = there & ~same
    keep = _once(said, incoming, read) & ~same
    if changed.any() and not correct:
        raise _contradiction(table, said, incoming, int(np.flatnonzero(changed)[0]), int(changed.sum()))
    number = table.version + 1
    counts: dict[str, Any] = {
        "new": int((keep & ~there).sum()),
        "corrected": int((keep & changed).sum()),
        "same": int(len(keep) - keep.sum()),
    }
    described = before is None or said.body() != before.body()
    if not keep.any():
        if described:  # an owner or a unit is told without a new row too
            table.ledger.append(Fact("described", 0, said.body()))
        return Added(said.name, table.version, **counts, known=rule, since="")
    body = {
        "file": incoming.said,
        "digest": digest(read.rows),
        **counts,
        "known": rule,
        "first": said.clock.show(read.first),
        "last": said.clock.show(read.last),
    }
    table.commit(_reader(said, incoming, keep, read, number), number, body, said if described else None)
    since = at.since() if rule == NOW else ""
    return Added(said.name, number, **counts, known=rule, since=since)


def _last(table: StoredTable) -> int:
    """Return the instant before which nothing counts as known: in ticks the greatest time, else when rows came last."""
    if not table.exists:
        return 0
    said = table.description
    if said.clock.kind == "tick":
        return int(np.max(np.asarray(table.read([said.time]).column(0).to_numpy())))
    return table.came_last([one.number for one in table.batches if one.known == NOW])


def _read(said: Description, incoming: Incoming, rule: str, at: Known) -> _Read:
    """Read all rows once: what they are called and hold, and whether each has a key and a time."""
    parts, n = [], 0

    def read_part(batch: Any, first: int) -> tuple[Ints, Ints, Ints, int, int]:
        made = as_kept(said, incoming, batch, first)
        gaps = np.asarray(made.column(said.key).is_null(nan_is_null=True).to_numpy())
        if gaps.any():
            row = first + int(np.flatnonzero(gaps)[0])
            raise DataError(
                f"{said.name}: key {said.key!r} is missing in row {row} of {incoming.said}. Nothing was added."
            )
        times = _times(said, made, said.time, incoming, first)
        known = _knowledge(said, made, rule, at, times, incoming, first)
        key, row_ = (row_hashes(one).view(np.int64) for one in (made.select([said.key]), made))
        return key, row_, known, int(times.min()), int(times.max())

    # Hashing leaves the interpreter free: while some rows are hashed, the next are read.
    with ThreadPoolExecutor(WORKERS) as pool:
        for batch in incoming.batches():
            if batch.num_rows:
                parts.append(pool.submit(read_part, batch, n))
                n += batch.num_rows
            if len(parts) > 2 * WORKERS:
                parts[-2 * WORKERS].result()  # no more of the file in memory than that
        found = [part.result() for part in parts]
    if not n:
        raise DataError(f"{said.name}: {incoming.said} has no row.")
    keys, rows, known, first, last = zip(*found, strict=True)
    return _Read(np.concatenate(keys), np.concatenate(rows), np.concatenate(known), min(first), max(last))


def _times(said: Description, made: Any, column: str, incoming: Incoming, at: int) -> Ints:
    given = made.select([column]).cast(schema_of([said.schema.field(column)]))
    times, clock = frames.times(frames.eager(given, said.name), column, said.name)
    if clock.kind != said.clock.kind:
        raise DataError(
            f"{said.name}: {column!r} and {said.time!r} are of different kinds: one has a time zone, or is a number, "
            "and the other is not. Nothing was added. Give both of them the same kind."
        )
    gaps = np.flatnonzero(times == NEVER)
    if len(gaps):
        row = at + int(gaps[0])
        raise DataError(f"{said.name}: {column!r} is missing in row {row} of {incoming.said}. Nothing was added.")
    return times


def _knowledge(said: Description, made: Any, rule: str, at: Known, times: Ints, incoming: Incoming, row: int) -> Ints:
    """Return from when rows count as known."""
    if rule == OWN_TIME:
        return times
    if rule == NOW:
        return np.full(len(times), max(at.now(), int(times.max())) if said.clock.kind == "tick" else at.now())
    return _times(said, made, rule, incoming, row)


def _once(said: Description, incoming: Incoming, read: _Read) -> NDArray[np.bool_]:
    """Keep the first of rows that are there twice; refuse two of one key that differ."""
    sorted_ = np.sort(read.keys)
    if not (sorted_[1:] == sorted_[:-1]).any():
        return np.ones(len(sorted_), dtype=bool)
    order = np.lexsort((np.arange(len(read.keys)), read.keys))
    again = np.zeros(len(order), dtype=bool)
    again[1:] = read.keys[order[1:]] == read.keys[order[:-1]]
    differ = again.copy()
    differ[1:] &= read.rows[order[1:]] != read.rows[order[:-1]]
    if differ.any():
        at = int(np.flatnonzero(differ)[0])
        first, second = sorted((int(order[at - 1]), int(order[at])))
        raise DataError(
            f"{said.name}: key {said.key!r} is the same in rows {first} and {second} of {incoming.said}, with other "
            "values. Nothing was added. Keep one row of each key in a file."
        )
    keep = np.ones(len(order), dtype=bool)
    keep[order[again]] = False
    return keep


def _contradiction(table: StoredTable, said: Description, incoming: Incoming, row: int, count: int) -> DataError:
    """Name the first key that is there with other values, and a column in which it differs."""
    import pyarrow.compute as pc

    at = 0
    for batch in incoming.batches():
        if row < at + batch.num_rows:
            break
        at += batch.num_rows
    new = as_kept(said, incoming, batch, at).slice(row - at, 1)
    key = new.column(said.key)[0]
    old = table.read()
    old = old.filter(pc.equal(old.column(said.key).cast(key.type), key))
    known = [name for name in old.column_names if name in new.column_names]
    ours, theirs = ({name: one.column(name)[0].as_py() for name in known} for one in (new, old))
    name = next((name for name in known if ours[name] != theirs[name]), known[-1])
    many = "1 row contradicts one that is" if count == 1 else f"{count:,} rows contradict some that are"
    return DataError(
        f"{said.name}: {many} there: {said.key}={key.as_py()!r} has {name}={ours[name]!r}, and {theirs[name]!r} "
        "before. Nothing was added. Add with --correct if they are corrections: both forms are kept."
    )


def _reader(said: Description, incoming: Incoming, keep: NDArray[np.bool_], read: _Read, number: int) -> Any:
    """Return the rows that are kept, with the table's own columns, as a stream."""
    import pyarrow as pa

    own = [(KEY, pa.int64()), (ROW, pa.int64()), (KNOWN, pa.int64()), (BATCH, pa.int64())]
    schema = schema_of(
        [*(field.with_type(said.kept(field)) for field in said.schema), *(pa.field(*one) for one in own)]
    )

    def rows() -> Iterator[Any]:
        n = 0
        for batch in incoming.batches():
            here = slice(n, n + batch.num_rows)
            mine = keep[here]
            if mine.any():
                made = as_kept(said, incoming, batch, n)
                columns = (read.keys[here], read.rows[here], read.known[here], np.full(len(mine), number))
                for (name, _), values in zip(own, columns, strict=True):
                    made = made.append_column(name, pa.array(values))
                made = made if mine.all() else made.filter(pa.array(mine))
                yield from made.cast(schema).to_batches()
            n += batch.num_rows

    return pa.RecordBatchReader.from_batches(schema, rows())
