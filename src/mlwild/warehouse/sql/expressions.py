"""What is asked of a database, as Ibis expressions: the one place that knows Ibis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mlwild.errors import DataError

#: Number of a row among those of its key, the one that was known last first.
RANK = "mlwild_rank"


def snapshot(
    table: Any,
    *,
    columns: Sequence[str],
    order: Sequence[str],
    key: str | None = None,
    known: str | None = None,
    as_of: int | None = None,
) -> Any:
    """
    Return the rows of a table, each key once, in the form that was known last at an instant.

    The window form is asked for and no as-of join: it is the same on every database.

    Parameters
    ----------
    table : ibis.Table
    columns : sequence of str
        To be read.
    order : sequence of str
        By which rows are put in order.
    key, known : str, optional
        What names a row, and when a form of it was written down. Without them the table is read as it is.
    as_of : int, optional
        Nanoseconds since 1970 in UTC, or an integer of the column `known`.

    Returns
    -------
    ibis.Table
        With the column `RANK` where a key may have several forms: 0 once for each key, unless two were known at once.
    """
    import ibis

    made = plain(table)
    if known is None or key is None:
        chosen = made.select(*columns)
        return chosen.order_by([*order]) if order else chosen
    if as_of is not None:
        made = made.filter(made[known] <= literal(made[known].type(), as_of))
    rank = ibis.rank().over(ibis.window(group_by=key, order_by=made[known].desc()))
    made = made.mutate(**{RANK: rank})
    return made.filter(made[RANK] == 0).select(*columns).order_by([*order])


def plain(table: Any) -> Any:
    """Return a table whose columns Arrow can hold: fractions without a declared scale as floats, names as text."""
    odd = {}
    for name, kind in table.schema().items():
        if kind.is_decimal() and kind.scale is None:
            odd[name] = table[name].cast("float64")
        elif kind.is_uuid():
            odd[name] = table[name].cast("string")
    return table.mutate(**odd) if odd else table


def without_a_name(table: Any, key: str, known: str) -> Any:
    """Return how many rows lack a key or the time at which they were written down."""
    return table.filter(table[key].isnull() | table[known].isnull()).count()


def literal(kind: Any, instant: int) -> Any:
    """Return an instant as a value that a column can be held against."""
    import ibis

    if kind.is_integer():
        return ibis.literal(int(instant))
    if kind.is_timestamp():
        # A database keeps microseconds: what was known within the last of them was known.
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant // 1_000)
        return ibis.literal(at if kind.timezone else at.replace(tzinfo=None))
    if kind.is_date():
        return ibis.literal((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant // 1_000)).date())
    raise DataError(f"known: a column of {kind} tells no time. Name one of timestamps, dates or integers.")


def sql_of(expression: Any, dialect: str) -> str:
    """Return an expression as the SQL of a database."""
    import ibis

    return str(ibis.to_sql(expression, dialect=dialect))
