"""Rows on their way into a table: read in batches, so that a file may be larger than memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlwild import frames
from mlwild.csv_files import header, no_text, other_sign, parsing, without_empty
from mlwild.errors import DataError
from mlwild.nullable import without_periods

#: Rows that are read at a time.
CHUNK = 262_144


@dataclass(frozen=True, eq=False)
class Incoming:
    """
    A Parquet or CSV file, or a table in memory.

    Parameters
    ----------
    source : str, Path or frame
    where : str
        For errors.
    types : mapping of str to pyarrow.DataType
        Types that columns of a CSV are read as.
    """

    source: Any
    where: str
    types: Mapping[str, Any]

    @cached_property
    def path(self) -> Path | None:
        """The file; None for a table in memory."""
        return Path(self.source) if isinstance(self.source, str | Path) else None

    @cached_property
    def schema(self) -> Any:
        """The columns, as they are given."""
        return self._reader()[0]

    @property
    def said(self) -> str:
        """Name of the file."""
        return self.path.name if self.path is not None else "a table"

    @cached_property
    def _table(self) -> Any:
        return frames.to_arrow(self.source, self.where)[0]

    def batches(self) -> Iterator[Any]:
        """
        Yield tables of some rows, in order.

        Raises
        ------
        DataError
            If the file is cut off or is no such file.
        """
        import pyarrow as pa

        try:
            yield from self._reader()[1]
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as problem:
            raise self._unreadable(problem) from problem

    def _unreadable(self, problem: Exception) -> DataError:
        said = " ".join(str(problem).split())[:300]
        return DataError(f"{self.where}: {self.said} cannot be read whole, so nothing was added: {said}")

    def _reader(self) -> tuple[Any, Iterator[Any]]:
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        if self.path is None:
            return self._table.schema, (self._table.slice(at, CHUNK) for at in range(0, self._table.num_rows, CHUNK))
        if not self.path.is_file():
            raise DataError(f"{self.where}: there is no file {str(self.path)!r}.")
        if self.path.stat().st_size == 0:
            raise DataError(f"{self.where}: {self.said} is empty.")
        try:
            if self.path.suffix in (".parquet", ".pq"):
                file = pyarrow.parquet.ParquetFile(self.path)
                without_periods(file.schema_arrow.empty_table(), f"{self.where}: {self.said}")
                return file.schema_arrow, (pa.Table.from_batches([one]) for one in file.iter_batches(CHUNK))
            if self.path.suffix == ".csv" and not _ends(self.path):
                raise DataError(
                    f"{self.where}: {self.said} does not end with a line break, so that its last row may be cut short. "
                    "Nothing was added. Get the whole file; if it is whole, add the line break."
                )
            if self.path.suffix in (".csv", ".gz"):
                options = pyarrow.csv.ConvertOptions(column_types=self._csv_types)
                reader = pyarrow.csv.open_csv(self.path, parse_options=parsing(), convert_options=options)
                return reader.schema, (without_empty(pa.Table.from_batches([one])) for one in reader)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as problem:
            raise self._unreadable(problem) from problem
        raise DataError(f"{self.where}: {self.said} is neither .parquet nor .csv.")

    @cached_property
    def _csv_types(self) -> dict[str, Any]:
        """
        The types that columns of a CSV are read as: those named, and of all others what all of their rows fit.

        A stream goes by the beginning of a file. Where a later row says otherwise, the file is read whole once.
        """
        import pyarrow as pa
        import pyarrow.csv

        assert self.path is not None
        words = {
            "parse_options": parsing(),
            "convert_options": pyarrow.csv.ConvertOptions(column_types=dict(self.types)),
        }
        try:
            reader = pyarrow.csv.open_csv(self.path, **words)
            if (why := other_sign(reader.schema.names) or no_text(reader.schema)) != "":
                raise DataError(f"{self.where}: {self.said} {why}.")
            if set(reader.schema.names) <= set(self.types):
                return dict(self.types)
            for _ in reader:
                pass
            if not any(pa.types.is_null(kind) for kind in reader.schema.types):
                return dict(zip(reader.schema.names, reader.schema.types, strict=True))
        except pa.ArrowInvalid as problem:
            if (why := other_sign(header(str(self.path)))) != "":
                raise DataError(f"{self.where}: {self.said} {why}.") from problem
        whole = pyarrow.csv.read_csv(self.path, **words).schema
        if (why := no_text(whole)) != "":
            raise DataError(f"{self.where}: {self.said} {why}.")
        return dict(zip(whole.names, whole.types, strict=True))


def _ends(path: Path) -> bool:
    """Say whether a file's last line is whole: a number that was cut short is a number too."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) in b"\r\n"
