"""What a file's columns must be to fit a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlwild import frames
from mlwild.clock import Clock
from mlwild.errors import AppError, DataError
from mlwild.warehouse.description import OWN, Description, kept_type
from mlwild.warehouse.incoming import Incoming


def first_description(
    name: str,
    incoming: Incoming,
    key: str | None,
    time: str | None,
    owner: str | None,
    units: Mapping[str, str] | None,
) -> Description:
    """Return what a table is to be that is made of its first file."""
    for word, value in (("key", key), ("time", time)):
        if value is None:
            example = {"key": "order_id", "time": "ordered_at"}[word]
            raise AppError(f"{word}: {name!r} is a new table: name the column, such as --{word} {example}.")
    assert key is not None
    assert time is not None
    schema = incoming.schema
    _check_names(name, schema.names)
    for word, column in (("key", key), ("time", time)):
        if column not in schema.names:
            raise DataError(f"{name}: {word} {column!r} is no column. There is {', '.join(schema.names)}.")
    kinds = {field.name: kept_type(field.type, f"{name}: column {field.name!r}") for field in schema}
    fields = [field.with_type(_given(field.type, kinds[field.name])) for field in schema]
    clock = _clock(name, incoming, time)
    return _with_units(Description(name, key, time, clock, schema_of(fields), owner or ""), units)


def schema_of(fields: list[Any]) -> Any:
    """Return an Arrow schema of some fields."""
    import pyarrow as pa

    return pa.schema(fields)


def _given(kind: Any, kept: Any) -> Any:
    """Return the type that a column is given back in: its own, of those that lose nothing."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return kept


def _check_names(name: str, names: list[str]) -> None:
    own = [one for one in names if one in OWN]
    if own:
        raise DataError(f"{name}: column {own[0]!r} has a name that stored tables use themselves. Rename it.")
    if len(set(names)) < len(names):
        raise DataError(f"{name}: column {max(names, key=names.count)!r} is there twice.")


def _clock(name: str, incoming: Incoming, time: str) -> Clock:
    for batch in incoming.batches():
        if batch.num_rows:
            return frames.times(frames.eager(batch.select([time]), name), time, f"{name}.time")[1]
    raise DataError(f"{name}: the file has no row.")


def declared(
    said: Description,
    key: str | None,
    time: str | None,
    owner: str | None,
    units: Mapping[str, str] | None,
    *,
    correct: bool = False,
) -> Description:
    """Return a table's description with what is said anew; its key and time stay, and units unless they were wrong."""
    for word, given, have in (("key", key, said.key), ("time", time, said.time)):
        if given is not None and given != have:
            raise AppError(f"{word}: {said.name!r} has {have!r}, and a table's {word} cannot be changed.")
    for column, unit in (units or {}).items():
        have = said.units.get(column, unit)
        if have != unit and not correct:
            raise DataError(
                f"{said.name}: column {column!r} is in {have}, and is said to be in {unit} now: one column cannot hold "
                f"both. Nothing was added. Convert it to {have}; if {have} was wrong from the beginning, say --correct."
            )
    return _with_units(said if owner is None else replace(said, owner=owner), units)


def _with_units(said: Description, units: Mapping[str, str] | None) -> Description:
    strange = [name for name in units or {} if name not in said.schema.names]
    if strange:
        raise AppError(f"unit: {said.name!r} has no column {strange[0]!r}. It has {', '.join(said.schema.names)}.")
    return replace(said, units={**said.units, **(units or {})})


def fitting(said: Description, incoming: Incoming, new_columns: bool) -> Description:
    """Hold the columns of a file against those of the table."""
    given = incoming.schema
    _check_names(said.name, given.names)
    missing = [name for name in said.schema.names if name not in given.names]
    if missing:
        raise DataError(f"{said.name}: {incoming.said} has no column {missing[0]!r}. Nothing was added.")
    more = [field for field in given if field.name not in said.schema.names]
    if more and not new_columns:
        raise DataError(
            f"{said.name}: {incoming.said} has a column {more[0].name!r} that the table has not. Nothing was "
            "added. Add with --new-columns if it is meant."
        )
    added = [field.with_type(_given(field.type, said.kept(field))) for field in more]
    return replace(said, schema=schema_of([*said.schema, *added]))


def as_kept(said: Description, incoming: Incoming, batch: Any, at: int) -> Any:
    """Return rows in the types that the table keeps."""
    import pyarrow as pa

    made = {}
    for field in said.schema:
        column, said_type = batch.column(field.name), field.type
        alike = _family(column.type) == _family(said_type) or column.null_count == len(column)
        whole = pa.types.is_integer(column.type) and pa.types.is_floating(said_type)
        why = ""
        try:
            made[field.name] = column.cast(said.kept(field))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
            if alike and pa.types.is_timestamp(column.type) and column.type.unit == "ns":
                raise DataError(
                    f"{said.name}: column {field.name!r} of {incoming.said} has times of parts of a microsecond in "
                    f"rows {at} and on, and stored tables keep microseconds. Nothing was added. Round them, in pandas "
                    'with .dt.floor("us").'
                ) from problem
            why = f" ({' '.join(str(problem).split())[:120]})"
        if why or not (alike or whole):
            raise DataError(
                f"{said.name}: column {field.name!r} of {incoming.said} holds {column.type} in rows {at} and on, and "
                f"the table has {said_type}. Nothing was added.{why}"
            )
    return pa.table(made)


def _family(kind: Any) -> str:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _family(kind.value_type)
    if types.is_timestamp(kind):
        return "zoned" if kind.tz else "naive"
    for word, test in (("int", types.is_integer), ("float", types.is_floating), ("date", types.is_date)):
        if test(kind):
            return word
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    return str(kind)
