"""Files of rows: looked over once, then read in batches, so that a file may be larger than memory."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mlwild.answering.batch.cells import Read, each, of_arrow, of_texts
from mlwild.answering.batch.given import Given, given
from mlwild.columns import Column, Columns
from mlwild.csv_files import other_sign
from mlwild.errors import AppError, DataError

#: Rows that are answered together: part of what an answer rests on, as a guard judges rows of a batch together.
BATCH = 1_000
#: Bytes of a line of JSON, beyond which it is no row.
LONGEST = 1 << 20
#: Bytes of a line of CSV, beyond which the file is none.
WIDEST = 16 << 20
#: Format of a file, by how its name ends.
FORMATS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_BLOCK = 1 << 20
_STRANGE = "the line is no JSON object"


def format_of(path: Path, field: str) -> str:
    """
    Return the format of a file.

    Raises
    ------
    AppError
        If its name does not end as one.
    """
    if path.suffix.lower() not in FORMATS:
        raise AppError(f"{field}: {path.name or str(path)!r} ends with none of {', '.join(FORMATS)}.")
    return FORMATS[path.suffix.lower()]


@dataclass(frozen=True)
class Looked:
    """
    What tells a file from another, and from itself after a change.

    Parameters
    ----------
    size : int
    digest : str
    stamp : tuple of int
    """

    size: int
    digest: str
    stamp: tuple[int, int, int]


def looked(path: Path) -> Looked:
    """
    Read a file once: its digest, and whether it is whole text where it should be.

    Raises
    ------
    AppError
        If it is no file.
    DataError
        If it is empty, no UTF-8, or a CSV file that does not end with a line break.
    """
    kind = format_of(path, "input")
    if not path.is_file():
        raise AppError(f"input: there is no file {str(path)!r}.")
    try:
        with path.open("rb") as file:
            before = stamp_of(path)
            state = hashlib.blake2b(digest_size=16)
            decode = codecs.getincrementaldecoder("utf-8")()
            size, lines, block, line = 0, 1, b"", 0
            while fresh := file.read(_BLOCK):
                block = fresh
                state.update(block)
                size += len(block)
                if kind != "parquet":
                    _decoded(decode, block, path, lines)
                    lines += block.count(b"\n")
                    line = line + len(block) if b"\n" not in block else len(block) - block.rindex(b"\n") - 1
                if kind == "csv" and line > WIDEST:
                    raise DataError(f"input: line {lines} of {path.name} is longer than {WIDEST >> 20} MB: no row is.")
    except OSError as problem:
        raise AppError(f"input: {str(path)!r} cannot be read: {problem.strerror or problem}.") from problem
    if not size:
        raise DataError(f"input: {path.name} is empty.")
    if kind != "parquet":
        _decoded(decode, b"", path, lines)
    if kind == "csv" and block[-1:] not in (b"\n", b"\r"):
        raise DataError(
            f"input: {path.name} does not end with a line break, so that its last row may be cut short. Get the whole "
            "file; if it is whole, add the line break."
        )
    return Looked(size, state.hexdigest(), before)


def _decoded(decode: codecs.IncrementalDecoder, block: bytes, path: Path, line: int) -> None:
    try:
        decode.decode(block, final=not block)
    except UnicodeDecodeError as problem:
        at = line + problem.object[: problem.start].count(b"\n")
        # What spreadsheets call Unicode text begins with a mark that no text of one byte a letter does.
        wide = at == 1 and not problem.start and problem.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        raise DataError(
            f"input: {path.name} is no UTF-8, from line {at} on. Write it as UTF-8, for instance with "
            f"iconv -f {'utf-16' if wide else 'latin1'} -t utf-8."
        ) from None


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file does."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True)
class Rows:
    """
    The rows of a file.

    Parameters
    ----------
    path : Path
    columns : Columns
        What the service reads.
    began : int or None
        What stands for a missing time.
    """

    path: Path
    columns: Columns
    began: int | None

    def names(self) -> list[str] | None:
        """
        Return the columns of the file; of JSON lines, all that the first thousand name, and None where those name none.

        Raises
        ------
        DataError
            If it has no header, names a column twice, or is not separated by commas.
        """
        kind = format_of(self.path, "input")
        if kind == "jsonl":
            return self._named()
        found = next(self._lines(), []) if kind == "csv" else list(self._parquet().schema_arrow.names)
        if kind == "csv" and not found:
            raise DataError(f"input: {self.path.name} has no header: all of its lines are empty. Get the whole file.")
        twice = next((name for name in found if found.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"input: {self.path.name} has two columns {twice!r}. Rename one.")
        if kind == "csv" and not set(found) & set(self.columns.names) and (why := other_sign(found)):
            raise DataError(f"input: {self.path.name} {why}.")
        return found

    def _named(self) -> list[str] | None:
        with self.path.open("rb") as file:
            first = [line if isinstance(line, str) else _parsed(line) for line in islice(_objects(file), BATCH)]
        return list(dict.fromkeys(name for one in first if isinstance(one, dict) for name in one)) or None

    def batches(self, skip: int) -> Iterator[Given]:
        """
        Yield the rows in order, `BATCH` at a time.

        Parameters
        ----------
        skip : int
            Rows to leave out: those that are answered.

        Raises
        ------
        DataError
            If the file cannot be read to its end.
        """
        read = {"csv": self._csv, "parquet": self._typed, "jsonl": self._json}[format_of(self.path, "input")]
        try:
            yield from read(skip)
        except OSError as problem:
            raise DataError(f"input: {self.path.name} cannot be read: {problem.strerror or problem}.") from problem

    def _lines(self) -> Iterator[list[str]]:
        """Yield the lines of a CSV file, the header first; lines without anything in them are none."""
        with self.path.open("r", encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(WIDEST)  # a line may be as long: `looked` has seen to it
            reader = csv.reader(file, strict=True)
            try:
                yield from (line for line in reader if line)
            except csv.Error as problem:
                raise DataError(
                    f"input: line {reader.line_num} of {self.path.name} cannot be read ({problem}). Mend the quotes "
                    "there."
                ) from problem

    def _csv(self, skip: int) -> Iterator[Given]:
        lines = self._lines()
        header = next(lines, [])
        places = {name: place for place, name in enumerate(header)}
        lines = islice(lines, skip, None)
        while batch := list(islice(lines, BATCH)):
            # Cells of a line that is too long or too short may be anybody's: none of them is read.
            odd = {
                row: f"the line has {len(line)} fields, and the header {len(header)}"
                for row, line in enumerate(batch)
                if len(line) != len(header)
            }
            yield self._of_lines(batch, odd, places)

    def _of_lines(self, batch: Sequence[list[str]], odd: dict[int, str], places: dict[str, int]) -> Given:
        def cells(column: Column) -> Read | None:
            place = places.get(column.name)
            if place is None:
                return None
            return of_texts(column, [None if row in odd else line[place] for row, line in enumerate(batch)])

        return given(self.columns, len(batch), cells, odd, self.began)

    def _parquet(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet

        try:
            return pyarrow.parquet.ParquetFile(self.path, buffer_size=_BLOCK)
        except (pa.ArrowException, OSError) as problem:
            raise self._unreadable(problem) from problem

    def _unreadable(self, problem: Exception) -> DataError:
        said = " ".join(str(problem).split())[:300]
        return DataError(f"input: {self.path.name} cannot be read: {said}")

    def _typed(self, skip: int) -> Iterator[Given]:
        import pyarrow as pa

        file = self._parquet()
        wanted = [name for name in self.columns.names if name in file.schema_arrow.names]
        groups, first = list(range(file.num_row_groups)), 0
        while groups and skip - first >= (rows := file.metadata.row_group(groups[0]).num_rows):
            first += rows
            groups.pop(0)
        if not groups:
            return
        left: list[Any] = []
        drop = skip - first
        try:
            for read in file.iter_batches(BATCH, row_groups=groups, columns=wanted):
                part = read.slice(drop) if drop else read
                drop = max(drop - read.num_rows, 0)
                # Batches begin where they would have begun without a stop, wherever row groups do.
                while part.num_rows:
                    room = BATCH - sum(one.num_rows for one in left)
                    left.append(part.slice(0, room))
                    part = part.slice(room)
                    if sum(one.num_rows for one in left) == BATCH:
                        yield of_table(pa.Table.from_batches(left), self.columns, self.began)
                        left = []
        except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
            raise self._unreadable(problem) from problem
        if left:
            yield of_table(pa.Table.from_batches(left), self.columns, self.began)

    def _json(self, skip: int) -> Iterator[Given]:
        with self.path.open("rb") as file:
            lines = islice(_objects(file), skip, None)
            while batch := list(islice(lines, BATCH)):
                yield self._of_objects(batch)

    def _of_objects(self, batch: Sequence[bytes | str]) -> Given:
        objects, rows = [], dict[int, str]()
        absent: dict[int, list[str]] = {}
        for row, line in enumerate(batch):
            found = line if isinstance(line, str) else _parsed(line)
            if isinstance(found, str):
                rows[row] = found
                found = {}
            else:
                ids = (self.columns.time, self.columns.key)
                absent[row] = [name for name in self.columns.names if name not in found and name not in ids]
            objects.append(found)
        said = rows | {row: f"absent: {', '.join(names)}" for row, names in absent.items() if names}
        return given(
            self.columns,
            len(batch),
            lambda column: each(column, [one.get(column.name) for one in objects]),
            said,
            self.began,
        )


def of_table(table: Any, columns: Columns, began: int | None) -> Given:
    """Return the rows of an Arrow table."""
    return given(
        columns,
        table.num_rows,
        lambda column: of_arrow(column, table.column(column.name)) if column.name in table.column_names else None,
        {},
        began,
    )


def _objects(file: Any) -> Iterator[bytes | str]:
    """Yield lines that hold something; a reason in place of one that is too long to be a row."""
    while line := file.readline(LONGEST + 1):
        if len(line) > LONGEST:
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST)
            yield "the line is longer than a row may be"
        elif line.strip():
            yield line


def _parsed(line: bytes) -> dict[str, Any] | str:
    """Return the object of a line; a reason where it is none."""
    try:
        found = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        return str(problem) if isinstance(problem, TwiceError) else _STRANGE
    return found if isinstance(found, dict) else _STRANGE


class TwiceError(ValueError):
    """A field is named twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise TwiceError("the line names a field twice")
    return made


def changed(path: Path, before: Looked) -> bool:
    """Say whether a file was changed since it was looked over."""
    try:
        return stamp_of(path) != before.stamp
    except OSError:
        return True


def same_file(one: Path, other: Path) -> bool:
    """Say whether two names are of one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False
