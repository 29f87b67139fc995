"""The table that is made of the columns of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlwild.guards.categories import categories_of, coded


@dataclass(frozen=True)
class Shape:
    """
    The table of an app's data, without its rows: what a request is turned into.

    Parameters
    ----------
    schema : pyarrow.Schema
        With what pandas noted in it.
    words : dict of str to pyarrow.Array
        Of columns of categories: all words, in order.
    """

    schema: Any
    words: Mapping[str, Any]

    @staticmethod
    def of(table: Any) -> Shape:
        """Return the shape of a table."""
        import pyarrow as pa

        words = {}
        for field in table.schema:
            if pa.types.is_dictionary(field.type):
                words[field.name] = categories_of(table.column(field.name))
        return Shape(table.schema, words)

    def table(self, columns: Mapping[str, Sequence[Any]], n: int) -> Any:
        """Return an Arrow table of some rows: columns that are not given are missing."""
        import pyarrow as pa

        arrays = []
        for field in self.schema:
            values = columns.get(field.name)
            if values is None:
                arrays.append(pa.nulls(n, field.type))
            elif field.name in self.words:
                arrays.append(coded(pa.array(values, self.words[field.name].type), self.words[field.name], field.type))
            else:
                arrays.append(_array(values, field.type))
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _array(values: Sequence[Any], kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        made = pa.array(values, pa.timestamp("us", kind.tz))
        # What is finer is cut; what a column cannot hold is never another time.
        return made if made.type == kind else made.cast(kind, safe=kind.unit == "ns")
    if pa.types.is_float64(kind):
        return pa.array(values, kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).cast(pa.date32()).cast(kind)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.array(values, pa.float64()).cast(kind, safe=False)
    return pa.array(values, kind)
