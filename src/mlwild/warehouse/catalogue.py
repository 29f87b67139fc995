"""The catalogue: what a table holds, whose it is, and how fresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlwild.warehouse.table import StoredTable


@dataclass(frozen=True)
class Column:
    """
    A column of a table.

    Parameters
    ----------
    name, type, unit : str
    low, high : str
        Least and greatest value; empty where there is no order.
    missing : float
        Share of rows without a value.
    """

    name: str
    type: str
    unit: str
    low: str
    high: str
    missing: float


@dataclass(frozen=True)
class Entry:
    """
    A table of a warehouse.

    Parameters
    ----------
    name, owner, key, time : str
    rows, version : int
    first, last : str
        Times of the first and the last row.
    added : str
        File of the last batch.
    columns : tuple of Column
    """

    name: str
    owner: str
    key: str
    time: str
    rows: int
    version: int
    first: str
    last: str
    added: str
    columns: tuple[Column, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def describe(table: StoredTable) -> Entry:
    """
    Return a table's entry in the catalogue; reads it once.

    Parameters
    ----------
    table : StoredTable

    Raises
    ------
    DataError
        If there is no such table.
    """
    said = table.description
    rows = table.read()
    columns = tuple(
        Column(
            field.name,
            str(field.type),
            said.units.get(field.name, ""),
            *_ends(rows.column(field.name)),
            rows.column(field.name).null_count / max(rows.num_rows, 1),
        )
        for field in said.schema
    )
    last = table.batches[-1]
    ends = _ends(rows.column(said.time))
    return Entry(said.name, said.owner, said.key, said.time, rows.num_rows, table.version, *ends, last.file, columns)


def _ends(column: Any) -> tuple[str, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_binary(column.type) or column.null_count == len(column):
        return "", ""
    found = pc.min_max(column)
    return tuple(_shown(found[word].as_py()) for word in ("min", "max"))  # type: ignore[return-value]


def _shown(value: Any) -> str:
    text = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= 32 else f"{text[:29]}..."


__all__: Sequence[str] = ["Column", "Entry", "describe"]
