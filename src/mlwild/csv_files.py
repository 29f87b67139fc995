"""Tables in CSV files: separated by commas, with empty cells for what is missing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

from mlwild.errors import DataError


def read_csv(path: str, field: str) -> Any:
    """
    Return the table of a file; a text that is empty is missing.

    Parameters
    ----------
    path : str
    field : str
        What asks for it, for the error.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    DataError
        If other signs than commas separate its columns, or a text is no UTF-8.
    """
    import pyarrow as pa
    import pyarrow.csv

    why = ""
    try:
        table = pyarrow.csv.read_csv(path, parse_options=parsing())
        why = other_sign(table.column_names) or no_text(table.schema)
    except pa.ArrowInvalid:  # who separates by semicolons often writes 1,5: then each row has another number of cells
        why = other_sign(header(path))
        if not why:
            raise
    if why:
        raise DataError(f"{field}: {path!r} {why}, or give a function that reads it.")
    return without_empty(table)


def parsing() -> Any:
    """Return how lines are told from each other: a text in quotes may have several."""
    import pyarrow.csv

    return pyarrow.csv.ParseOptions(newlines_in_values=True)


def no_text(schema: Any) -> str:
    """
    Say what to do about a column that is no UTF-8, which is read as bytes; empty where there is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> no_text(pa.schema([("word", pa.binary())]))
    "holds no UTF-8 in column 'word'. Write it as UTF-8, for instance with iconv -f latin1 -t utf-8"
    """
    import pyarrow as pa

    column = next((field.name for field in schema if pa.types.is_binary(field.type)), None)
    hint = "Write it as UTF-8, for instance with iconv -f latin1 -t utf-8"
    return "" if column is None else f"holds no UTF-8 in column {column!r}. {hint}"


def header(path: str) -> list[str]:
    """Return the names of the columns of a file that cannot be read, compressed or not."""
    import pyarrow as pa

    with pa.input_stream(path) as file:  # compressed or not
        lines = file.read(1 << 16).decode("utf-8-sig", "replace").splitlines()
    return next(csv.reader(lines[:1]), [])


def other_sign(names: Sequence[str]) -> str:
    """
    Say what to do about a header that other signs than commas separate; empty where commas may do.

    Examples
    --------
    >>> other_sign(["when;x"])
    "has columns separated by ';', and is read by commas. Write it with commas"
    >>> other_sign(["when", "x;y"])
    ''
    """
    sign = next((one for one in (";", "\t", "|") if len(names) == 1 and one in names[0]), "")
    return f"has columns separated by {sign!r}, and is read by commas. Write it with commas" if sign else ""


def without_empty(table: Any) -> Any:
    """
    Return a table as it was read from a CSV file, where a text that is empty is missing.

    Parameters
    ----------
    table : pyarrow.Table

    Returns
    -------
    pyarrow.Table

    Examples
    --------
    >>> import pyarrow as pa
    >>> without_empty(pa.table({"word": ["a", "", "NA"]})).column("word").to_pylist()
    ['a', None, 'NA']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = table.column(place)
            known = pc.if_else(pc.equal(column, ""), pa.scalar(None, field.type), column)
            table = table.set_column(place, field, known)
    return table
