"""A stored table as the data of an app."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from mlwild.warehouse.sql import Sql
from mlwild.warehouse.table import WAREHOUSE, StoredTable


@dataclass(frozen=True)
class Stored:
    """
    A table of a warehouse: ``App(data=Stored("orders"))``.

    Parameters
    ----------
    name : str
    warehouse : str or Path
        A relative one lies beside the app.
    as_of : int, optional
        Only what was known at this instant.
    version : int, optional
        Only what had been added by this batch.

    Examples
    --------
    >>> import tempfile, pyarrow as pa
    >>> from mlwild.warehouse import add
    >>> folder = tempfile.mkdtemp()
    >>> _ = add("orders", pa.table({"id": [1, 2], "when": [10, 20]}), key="id", time="when", warehouse=folder)
    >>> Stored("orders", folder)().num_rows, Stored("orders", folder, as_of=15)().num_rows
    (2, 1)
    """

    name: str
    warehouse: str | Path = WAREHOUSE
    as_of: int | None = None
    version: int | None = None

    @property
    def table(self) -> StoredTable:
        """The table."""
        return StoredTable(Path(self.warehouse) / self.name)

    def located(self, root: Path) -> Stored:
        """Return the same with a relative warehouse beside an app."""
        return self if Path(self.warehouse).is_absolute() else replace(self, warehouse=root / self.warehouse)

    def pinned(self) -> Stored:
        """Return the same at the version that the table has now, whatever is added while it is read."""
        return replace(self, version=self.table.version or None) if self.version is None else self

    def known_at(self, instant: int) -> Stored:
        """Return the same as it was known at an instant."""
        return replace(self, as_of=instant)

    def __call__(self) -> Any:
        """Return the rows, as an Arrow table."""
        return self.table.read(as_of=self.as_of, version=self.version)


def tells_corrections(source: Any) -> TypeGuard[Stored | Sql]:
    """Say whether a source can be read as it was known at an instant."""
    return isinstance(source, Stored) or (isinstance(source, Sql) and source.tells_corrections)
