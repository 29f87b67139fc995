"""What a stored table declares: its columns, its key, its time, and who answers for it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlwild.clock import Clock
from mlwild.errors import DataError

#: Columns that a stored table has of its own: hash of the key, of the row, when it was known, in which batch it came.
KEY, ROW, KNOWN, BATCH = "_key", "_row", "_known", "_batch"
OWN = (KEY, ROW, KNOWN, BATCH)


@dataclass(frozen=True)
class Description:
    """
    What a table is.

    Parameters
    ----------
    name : str
    key : str
        Column that names each row once.
    time : str
        Column with the time that a row is of.
    clock : Clock
        What the times mean.
    schema : pyarrow.Schema
        Columns as they were given, time zones kept.
    owner : str
        Who is to be asked.
    units : mapping of str to str
        By column.
    """

    name: str
    key: str
    time: str
    clock: Clock
    schema: Any
    owner: str = ""
    units: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the description as a ledger holds it."""
        return {
            "name": self.name,
            "key": self.key,
            "time": self.time,
            "clock": [self.clock.kind, self.clock.zone],
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            "owner": self.owner,
            "units": dict(self.units),
        }

    @staticmethod
    def of(body: Mapping[str, Any]) -> Description:
        """Return the description that a ledger holds."""
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(body["schema"])))
        kind, zone = body["clock"]
        name, key, time = (str(body[word]) for word in ("name", "key", "time"))
        return Description(name, key, time, Clock(kind, zone), schema, str(body["owner"]), dict(body["units"]))

    def kept(self, field_: Any) -> Any:
        """Return the type in which a column is kept."""
        return kept_type(field_.type, f"{self.name}: column {field_.name!r}")


def kept_type(kind: Any, where: str) -> Any:
    """
    Return the type in which the open format keeps one of Arrow's: microseconds, signed integers, plain text.

    Raises
    ------
    DataError
        If it has none.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return kept_type(kind.value_type, where)
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if types.is_unsigned_integer(kind):
        return pa.int64()
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_float16(kind):
        return pa.float32()
    fine = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
    if fine or types.is_date32(kind) or types.is_binary(kind) or types.is_decimal128(kind):
        return kind
    if types.is_date64(kind):
        return pa.date32()
    if types.is_null(kind):
        raise DataError(
            f"{where} is empty: every value is missing, so that its type is not known. Drop it, or fill it."
        )
    raise DataError(f"{where} holds {kind}, which a stored table cannot hold. Make it numbers, text or times.")
