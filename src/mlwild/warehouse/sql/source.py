"""A table of a database as the data of an app."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlwild.errors import AppError, DataError
from mlwild.warehouse.sql.expressions import snapshot, without_a_name
from mlwild.warehouse.sql.failures import shown, told

#: Rows that are fetched at once.
CHUNK = 50_000
#: Seconds that a database is waited for.
WAIT = 10


@dataclass(frozen=True)
class Sql:
    """
    A table of PostgreSQL: ``App(data=Sql("$DATABASE_URL", "flights", key="id", known="loaded_at"))``.

    Where it says when a row was written down, every read is as of an instant: a live tick sees what was there at its
    own time, corrections included that came before, and one that catches up sees no more. Without, the table is read
    as it is now, and what was corrected cannot be told.

    Parameters
    ----------
    url : str
        ``postgresql://user@host:5432/database``; or ``$NAME``, the variable that holds it. A password is better kept in
        ``PGPASSWORD`` or a service file: it is never shown or written.
    table : str
        Its name, perhaps with a schema: ``sales.orders``.
    key, known : str, optional
        Columns that name a row, and that say when this form of it was written down: a time with a zone, or in UTC.
    columns : sequence of str, optional
        Default all.
    order : sequence of str, optional
        Columns by which rows are put in order; default the key. Without either rows come as the database likes.
    max_bytes : int, optional
        A read that would scan more is refused: see `estimate`.
    as_of : int, optional
        Only what was known at this instant.

    Raises
    ------
    AppError
        If one of key and known is given without the other, or the address is of another database.

    Examples
    --------
    >>> source = Sql("postgresql://ada:secret@db/shop", "orders", key="id", known="loaded_at")
    >>> source
    Sql(table='orders', key='id', known='loaded_at', columns=None, order=None, max_bytes=None, as_of=None)
    >>> source.said
    "table 'orders' at postgresql://db/shop"
    """

    url: str = field(repr=False)
    table: str
    key: str | None = None
    known: str | None = None
    columns: Sequence[str] | None = None
    order: Sequence[str] | None = None
    max_bytes: int | None = None
    as_of: int | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the database."""
        if (self.key is None) != (self.known is None):
            raise AppError(
                "data: Sql takes `key` and `known` together: which row, and when this form was written down."
            )
        if not self.table:
            raise AppError("data: Sql takes the name of a table.")
        if not self.url.startswith(("$", "postgresql://", "postgres://")):
            raise AppError(
                f"data: {shown(self.url)!r} is no PostgreSQL address. Write postgresql://user@host/database, or $NAME "
                "for the variable that holds it."
            )

    @property
    def address(self) -> str:
        """The address itself, from the variable where it names one."""
        if not self.url.startswith("$"):
            return self.url
        found = os.environ.get(self.url[1:], "")
        if not found:
            raise DataError(f"data: the variable {self.url[1:]} is not set; it is to hold the address of the database.")
        return found

    @property
    def said(self) -> str:
        """Table and place, without user or password."""
        place = self.url if self.url.startswith("$") else shown(self.url)
        return f"table {self.table!r} at {place}"

    @property
    def tells_corrections(self) -> bool:
        """Whether it says what was known when."""
        return self.known is not None

    def located(self, root: Path) -> Sql:
        """Return the same: an address lies beside no app."""
        return self

    def known_at(self, instant: int) -> Sql:
        """Return the same as it was known at an instant; as it is where it does not say."""
        return replace(self, as_of=instant) if self.tells_corrections else self

    @contextmanager
    def connected(self) -> Iterator[tuple[Any, Any]]:
        """
        Give a connection, and the table as an expression.

        Raises
        ------
        DataError
            If the database is away, or has no such table.
        """
        url = self.address
        with told(url, self.table):
            import ibis
            import psycopg

            # Through libpq, which knows service files, PGPASSWORD and every option of an address.
            connection = ibis.postgres.from_connection(psycopg.connect(url, connect_timeout=WAIT))
            try:
                schema, _, name = self.table.rpartition(".")
                yield connection, connection.table(name, database=schema or None)
            finally:
                connection.disconnect()

    def expression(self, table: Any) -> Any:
        """
        Return what is read of a table.

        Raises
        ------
        DataError
            If it lacks a column.
        """
        have = list(table.columns)
        wanted = list(self.columns or [name for name in have if name != self.known])
        needed = [*wanted, *(self.order or ()), *(one for one in (self.key, self.known) if one)]
        missing = [name for name in needed if name not in have]
        if missing:
            raise DataError(f"data: {self.table!r} has no column {missing[0]!r}. It has {', '.join(have)}.")
        order = list(self.order or ([self.key] if self.key else []))
        read = dict.fromkeys([*wanted, *([self.key] if self.key else []), *order])
        return snapshot(table, columns=list(read), order=order, key=self.key, known=self.known, as_of=self.as_of)

    def _whole(self, connection: Any, table: Any) -> None:
        """Refuse rows that no instant and no name could find."""
        if self.key is None or self.known is None:
            return
        lacking = int(connection.to_pyarrow(without_a_name(table, self.key, self.known)).as_py())
        if lacking:
            raise DataError(
                f"data: {lacking:,} rows of {self.table!r} lack {self.key!r} or {self.known!r}: which row they are a "
                "form of, or since when, cannot be told. Fill them in, or leave them out by a view."
            )

    def __call__(self) -> Any:
        """Return the rows, as an Arrow table."""
        import pyarrow as pa

        from mlwild.warehouse.sql.estimate import refuse_if_dear

        with self.connected() as (connection, table), told(self.address, self.table):
            asked = self.expression(table)
            if self.max_bytes is not None:
                refuse_if_dear(self, connection, asked)
            self._whole(connection, table)
            reader = connection.to_pyarrow_batches(asked, chunk_size=CHUNK)
            found = pa.Table.from_batches(list(reader), schema=reader.schema)
        if self.key is not None:
            _once(found, self.key, self.table)
        return found.select(list(self.columns)) if self.columns else found


def _once(found: Any, key: str, table: str) -> None:
    """Refuse two forms of a row that were written down at once: which one counts cannot be told."""
    import pyarrow.compute as pc

    counts = pc.value_counts(found.column(key))
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise DataError(
            f"data: {table!r} has {twice[0]['counts'].as_py()} forms of {key}={twice[0]['values'].as_py()!r} that were "
            "written down at once: which one counts cannot be told. Give each its own time."
        )
