"""One table on disk: rows in an open format, and a ledger of what was acknowledged."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from mlwild.disk import held, writing
from mlwild.errors import DataError, StoreError
from mlwild.ledger import Fact, Ledger
from mlwild.warehouse.description import BATCH, KEY, KNOWN, OWN, ROW, Description
from mlwild.warehouse.failures import of_the_system, readable

WAREHOUSE = ".mlwild/warehouse"
#: Name under which batches are numbered in the table's own log.
WRITER = "mlwild"
#: What the library of the open format cannot read in a path, or reads as another one.
_MISREAD = re.compile(r"[\[\]|^\\\x00-\x1f]|%[0-9A-Fa-f]{2}")
#: Nothing is ever removed: a version that a model learned from can be read again.
_KEPT = {
    "delta.appendOnly": "true",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


@dataclass(frozen=True)
class Batch:
    """
    Rows that were added together.

    Parameters
    ----------
    number : int
        Version of the table that it made.
    file, digest : str
        Where it came from.
    new, corrected, same : int
        Rows with a new key; with a known key and other values; that were there already and were not added again.
    known : str
        From when its rows count as known: ``time`` (their own), ``now`` (when they came) or a column.
    first, last : str
        Time of its first and last row, for a reader.
    """

    number: int
    file: str
    digest: str
    new: int
    corrected: int
    same: int
    known: str
    first: str
    last: str


@dataclass(frozen=True, eq=False)
class StoredTable:
    """
    A table of a warehouse.

    Parameters
    ----------
    folder : Path
        It may not be there yet.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The table's name."""
        return self.folder.name

    @cached_property
    def ledger(self) -> Ledger:
        """What was acknowledged."""
        return Ledger(self.folder / "ledger.jsonl")

    @property
    def exists(self) -> bool:
        """Whether a batch was ever acknowledged."""
        return bool(self.ledger.of("batch"))

    @property
    def description(self) -> Description:
        """
        What the table is, as it was declared last.

        Raises
        ------
        DataError
            If there is no such table.
        """
        made = self.ledger.of("described")
        if not made:
            have = ", ".join(one.name for one in tables(self.folder.parent)) or "none"
            raise DataError(f"data: there is no table {self.name!r} in {self.folder.parent}; there is {have}.")
        return Description.of(made[-1].body)

    @property
    def batches(self) -> list[Batch]:
        """What was added, oldest first."""
        return [Batch(fact.cutoff, **fact.body) for fact in self.ledger.of("batch")]

    @property
    def version(self) -> int:
        """Number of the last batch."""
        return max((fact.cutoff for fact in self.ledger.of("batch")), default=0)

    @property
    def rows(self) -> Path:
        """Folder of the rows."""
        return self.folder / "delta"

    def delta(self) -> Any:
        """
        Return the rows as the open format's library has them; None before the first.

        Raises
        ------
        StoreError
            If they cannot be read, or some that were acknowledged are gone.
        """
        from deltalake import DeltaTable

        place, acknowledged = self._place(), self.version  # before the rows are read: another process may add some
        with readable(self.rows):
            found = DeltaTable(place) if DeltaTable.is_deltatable(place) else None
        # Each batch is one commit, and is acknowledged after it.
        if acknowledged > (0 if found is None else found.version() + 1):
            raise StoreError(
                f"data: rows of {self.name!r} that were acknowledged are gone from {self.rows}. Restore it from a copy."
            )
        return found

    def _place(self) -> str:
        """Return the folder of the rows, if the open format's library takes it for that: it reads it as an address."""
        place = str(self.rows.absolute())
        odd = _MISREAD.search(place)
        if odd is not None:
            raise DataError(
                f"data: {self.name!r} cannot be kept in {str(self.folder.parent)!r}: the library of its format cannot "
                f"read {odd[0]!r} in the name of a folder. Rename that, or keep the tables elsewhere."
            )
        return place

    @contextmanager
    def lock(self) -> Iterator[None]:
        """
        Hold the table for writing; it goes with the process.

        Raises
        ------
        BusyError
            If another process writes.
        """
        wait = f"adding to {self.name!r}. Run the same command again when it is done."
        with held(self.folder / "lock", lambda owner: f"data: {owner} is {wait}"):
            yield

    def reconcile(self) -> None:
        """
        Acknowledge a batch whose rows were committed by a process that died before it could say so.

        The open format makes a commit there or not there; what is there is whole.
        """
        delta = self.delta()
        if delta is None:
            return
        last = self.version
        for commit in reversed(delta.history()):
            body = json.loads(commit[WRITER]) if WRITER in commit else None
            if body is not None and body["number"] > last:
                self.sync(int(commit["version"]))
                facts = [Fact("described", 0, body["description"])] if body["description"] is not None else []
                self.ledger.append(*facts, Fact("batch", body["number"], body["batch"]))

    def commit(self, reader: Any, number: int, batch: dict[str, Any], description: Description | None) -> None:
        """Write rows as one commit, put them on the disk, and acknowledge them."""
        from deltalake import CommitProperties, Transaction, write_deltalake

        told = None if description is None else description.body()
        body = json.dumps({"number": number, "batch": batch, "description": told})
        properties = CommitProperties(custom_metadata={WRITER: body}, app_transactions=[Transaction(WRITER, number)])
        with writing(self.rows), of_the_system():
            write_deltalake(
                self._place(),
                reader,
                mode="append",
                schema_mode="merge",
                name=self.name,
                configuration=_KEPT,
                commit_properties=properties,
                writer_properties=_as_written(reader.schema),
            )
        delta = self.delta()
        self.sync(delta.version())
        facts = [Fact("described", 0, told)] if told is not None else []
        self.ledger.append(*facts, Fact("batch", number, batch))

    def sync(self, version: int) -> None:
        """Put a commit's files on the disk: the library leaves them to the system."""
        log = self.rows / "_delta_log" / f"{version:020d}.json"
        folders = {log.parent, self.rows, self.folder}
        paths = [log]
        for line in log.read_text(encoding="utf-8").splitlines():
            added = json.loads(line).get("add")
            if added is not None:
                paths.append(self.rows / added["path"])
                folders.add(paths[-1].parent)
        for path in (*paths, *sorted(folders)):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def latest(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the hashes of all keys, in order, and of the row that each has now."""
        if not self.exists:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        found = self._scan([KEY, ROW, KNOWN, BATCH], None)
        keys, rows = (found.column(name).to_numpy() for name in (KEY, ROW))
        place = _newest(found)
        return keys[place], rows[place]

    def came_last(self, batches: Sequence[int]) -> int:
        """Return from when on the rows of some batches count as known, the last of them; 0 without any."""
        import pyarrow.dataset as ds

        if not batches:
            return 0
        known = self._scan([KNOWN], ds.field(BATCH).isin(list(batches))).column(KNOWN).to_numpy()
        return int(known.max(initial=0))

    def _scan(self, columns: Sequence[str], condition: Any) -> Any:
        import pyarrow as pa
        import pyarrow.dataset as ds

        acknowledged = ds.field(BATCH) <= self.version
        condition = acknowledged if condition is None else condition & acknowledged
        delta = self.delta()
        # Files of this machine, read by Arrow itself: the library's own file system calls back into a Python that ends.
        files = sorted(unquote(uri.removeprefix("file://")) for uri in delta.file_uris())
        with readable(self.rows):
            whole = ds.dataset(files, format="parquet", schema=pa.schema(delta.schema()))
            return whole.to_table(columns=list(columns), filter=condition)

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_of: int | None = None,
        version: int | None = None,
        since: int | None = None,
        until: int | None = None,
        first: bool = False,
    ) -> Any:
        """
        Return the rows, each key once: in the form that was known last, or in the one that was known first.

        Parameters
        ----------
        columns : sequence of str, optional
            Default all.
        as_of : int, optional
            Only what was known at this instant.
        version : int, optional
            Only what had been added by this batch.
        since, until : int, optional
            Rows of times from the first on, and before the second.
        first : bool
            Whether the form that was known first counts, whatever it was corrected to.

        Returns
        -------
        pyarrow.Table
            In order of time; rows of one time as they came.

        Raises
        ------
        DataError
            If there is no such table, column or version.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        said = self.description
        wanted = list(said.schema.names if columns is None else columns)
        strange = [name for name in wanted if name not in said.schema.names]
        if strange:
            raise DataError(f"data: {self.name!r} has no column {strange[0]!r}. It has {', '.join(said.schema.names)}.")
        if version is not None and not 1 <= version <= self.version:
            raise DataError(f"data: {self.name!r} has no version {version}; it has 1 to {self.version}.")
        terms = [] if version is None else [ds.field(BATCH) <= version]
        terms += [] if as_of is None else [ds.field(KNOWN) <= as_of]
        kept = said.kept(said.schema.field(said.time))
        # A corrected time may lie elsewhere: then a row is sought in all times, and in its last form only.
        moved = any(one.corrected for one in self.batches)
        if not moved:
            terms += [] if since is None else [ds.field(said.time) >= _scalar(since, kept)]
            terms += [] if until is None else [ds.field(said.time) < _scalar(until, kept)]
        condition = None
        for term in terms:
            condition = term if condition is None else condition & term
        needed = list(dict.fromkeys([*wanted, said.time, *OWN]))
        known = {field.name for field in self.delta().schema().fields}
        found = self._scan([name for name in needed if name in known], condition)
        place = np.sort(_newest(found, first))
        times = _instants(found.column(said.time))[place]
        if moved:
            inside = np.ones(len(place), dtype=bool)
            inside &= True if since is None else times >= _instants([_scalar(since, kept)])[0]
            inside &= True if until is None else times < _instants([_scalar(until, kept)])[0]
            place, times = place[inside], times[inside]
        order = place[np.argsort(times, kind="stable")]
        taken = found.take(order)
        return pa.table({name: taken.column(name).cast(said.schema.field(name).type) for name in wanted})


def _as_written(schema: Any) -> Any:
    """Return how columns are written: a list of distinct values helps hashes and fractions nothing, and costs time."""
    import pyarrow as pa
    from deltalake import ColumnProperties, WriterProperties

    plain = ColumnProperties(dictionary_enabled=False)
    distinct = [field.name for field in schema if field.name in (KEY, ROW) or pa.types.is_floating(field.type)]
    return WriterProperties(compression="SNAPPY", column_properties=dict.fromkeys(distinct, plain))


def _scalar(instant: int, kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.scalar(instant // 1_000, pa.int64()).cast(kind)
    if pa.types.is_date32(kind):
        return pa.scalar(instant // 86_400_000_000_000, pa.int32()).cast(kind)
    return pa.scalar(instant, pa.int64()).cast(kind)


def _instants(column: Any) -> NDArray[np.int64]:
    """Return times as integers of one unit."""
    import pyarrow as pa

    array = column if isinstance(column, pa.ChunkedArray | pa.Array) else pa.array(column)
    if pa.types.is_date32(array.type):
        array = array.cast(pa.int32())
    return np.asarray(array.cast(pa.int64()).to_numpy())


def _newest(found: Any, first: bool = False) -> NDArray[np.int64]:
    """Return the place of the row of each key that was known last (first); of those known at once, by batch."""
    keys, known, batch = (found.column(name).to_numpy() for name in (KEY, KNOWN, BATCH))
    order = np.lexsort((np.arange(len(keys)), batch, known, keys))
    edge = np.ones(len(order), dtype=bool)
    edge[slice(1, None) if first else slice(None, -1)] = keys[order[1:]] != keys[order[:-1]]
    return np.asarray(order[edge], dtype=np.int64)


def tables(warehouse: str | Path = WAREHOUSE) -> list[StoredTable]:
    """
    Return the tables of a warehouse, by name.

    Parameters
    ----------
    warehouse : str or Path

    Returns
    -------
    list of StoredTable
    """
    return [StoredTable(path.parent) for path in sorted(Path(warehouse).glob("*/ledger.jsonl"))]
