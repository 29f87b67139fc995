"""What a read would cost, told before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlwild.errors import AppError, DataError
from mlwild.warehouse.sql.expressions import sql_of
from mlwild.warehouse.sql.failures import told
from mlwild.warehouse.sql.source import Sql


@dataclass(frozen=True)
class Estimate:
    """
    What a read would scan.

    Parameters
    ----------
    source : str
        Table and place.
    rows : int or None
        Rows that would be scanned, by the database's own statistics; None where it does not say.
    bytes : int
        Bytes that would be scanned.
    sql : str
        What would be asked.
    by : str
        Who says so.

    Examples
    --------
    >>> Estimate("table 'orders' at $DB", 1000, 8192, "SELECT 1", "EXPLAIN").as_dict()["rows"]
    1000
    """

    source: str
    rows: int | None
    bytes: int
    sql: str
    by: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def estimate(source: Sql) -> Estimate:
    """
    Ask PostgreSQL what a read would scan, without making it.

    Parameters
    ----------
    source : Sql

    Returns
    -------
    Estimate
        Rows of every scan in the plan; bytes of the tables that are scanned, as they lie on the disk.

    Raises
    ------
    DataError
        If the database is away, or has no such table or column.
    """
    with source.connected() as (connection, table), told(source.address, source.table):
        return _explained(source, connection, source.expression(table))


def refuse_if_dear(source: Sql, connection: Any, asked: Any) -> None:
    """Refuse a read that would scan more than its source allows."""
    found = _explained(source, connection, asked)
    if source.max_bytes is not None and found.bytes > source.max_bytes:
        raise DataError(
            f"data: reading {source.said} would scan {found.bytes:,} bytes, and max_bytes is {source.max_bytes:,}. "
            "Nothing was read. Name fewer rows by a view, or allow more."
        )


def _explained(source: Sql, connection: Any, asked: Any) -> Estimate:
    sql = sql_of(asked, "postgres")
    with connection.raw_sql(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}") as cursor:
        plan = cursor.fetchone()[0]
    scans = [node for node in _nodes(plan[0]["Plan"]) if "Relation Name" in node]
    rows = sum(_rows_of(connection, node) for node in scans)
    size = sum(_size_of(connection, node) for node in scans)
    return Estimate(source.said, rows, size, sql, "PostgreSQL: EXPLAIN, pg_class, pg_relation_size")


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _ask(connection: Any, query: str, name: str) -> float:
    with connection.raw_sql(query.format(name.replace("'", "''"))) as cursor:
        found = cursor.fetchone()
    return float(found[0]) if found and found[0] is not None else 0.0


def _quoted(node: Mapping[str, Any]) -> str:
    schema = node.get("Schema")
    name = '"' + str(node["Relation Name"]).replace('"', '""') + '"'
    return name if schema is None else f'"{schema}".{name}'


def _rows_of(connection: Any, node: Mapping[str, Any]) -> int:
    known = _ask(connection, "SELECT reltuples FROM pg_class WHERE oid = '{}'::regclass", _quoted(node))
    # Never analysed: what the planner expects is all there is.
    return int(known) if known >= 0 else int(node["Plan Rows"])


def _size_of(connection: Any, node: Mapping[str, Any]) -> int:
    return int(_ask(connection, "SELECT pg_relation_size('{}'::regclass)", _quoted(node)))


def bigquery_sql(source: Sql, schema: Mapping[str, str]) -> str:
    """
    Return what a read would ask of BigQuery: the same expression in its dialect.

    It was compiled and parsed, and never run against BigQuery itself.

    Parameters
    ----------
    source : Sql
        Its table is named as BigQuery names it: ``dataset.table``.
    schema : mapping of str to str
        Type of each column, as Ibis names it: ``int64``, ``timestamp('UTC')``, ``string``.

    Examples
    --------
    >>> source = Sql("$DB", "shop.orders", key="id", known="loaded_at", as_of=0)
    >>> text = bigquery_sql(source, {"id": "int64", "loaded_at": "timestamp('UTC')", "price": "float64"})
    >>> "RANK() OVER (PARTITION BY" in text, "ASOF" in text, "`shop`.`orders`" in text
    (True, False, True)
    """
    with told("bigquery://", source.table):
        import ibis

        dataset, _, name = source.table.rpartition(".")
        table = ibis.table(dict(schema), name=name, database=dataset or None)
        return sql_of(source.expression(table), "bigquery")


def bigquery_estimate(source: Sql, schema: Mapping[str, str], client: Any) -> Estimate:
    """
    Ask BigQuery what a read would scan, by a dry run: it costs nothing.

    Parameters
    ----------
    source : Sql
    schema : mapping of str to str
        See `bigquery_sql`.
    client : google.cloud.bigquery.Client
        Yours, with its credentials.

    Raises
    ------
    AppError
        If the client's package is not there.
    """
    try:
        from google.cloud.bigquery import QueryJobConfig
    except ImportError as problem:
        raise AppError("data: a dry run takes google-cloud-bigquery: pip install google-cloud-bigquery.") from problem
    sql = bigquery_sql(source, schema)
    job = client.query(sql, job_config=QueryJobConfig(dry_run=True, use_query_cache=False))
    return Estimate(
        f"table {source.table!r} in BigQuery", None, int(job.total_bytes_processed), sql, "BigQuery: dry run"
    )
