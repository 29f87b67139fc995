"""Gaps and periods: what Arrow remembers of pandas' columns, held against what they are."""

from __future__ import annotations

import json
import re
from typing import Any

from mlwild.errors import DataError

#: Nullable kinds of pandas that take whole numbers alone, or truth values alone.
_EXACT = re.compile(r"U?Int(8|16|32|64)|boolean")


def as_it_is(table: Any) -> Any:
    """
    Return a table whose notes for pandas suit its columns: what holds fractions by now is no column of whole numbers.

    pandas turns columns into the kind that they were noted as, and refuses what does not fit it.

    Parameters
    ----------
    table : pyarrow.Table

    Returns
    -------
    pyarrow.Table
        The same where all notes suit.

    Examples
    --------
    >>> import pandas as pd, pyarrow as pa
    >>> table = pa.Table.from_pandas(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))
    >>> as_it_is(table.set_column(0, "n", pa.array([1.5, None]))).to_pandas()["n"].dtype
    Float64Dtype()
    """
    import pyarrow as pa

    notes = table.schema.pandas_metadata
    if not notes:
        return table
    unfit = [
        one
        for one in notes.get("columns", [])
        if _EXACT.fullmatch(str(one.get("numpy_type")))
        and (place := table.schema.get_field_index(one.get("field_name") or "")) >= 0
        and pa.types.is_floating(table.schema.field(place).type)
    ]
    if not unfit:
        return table
    for one in unfit:
        one["numpy_type"] = "Float64"
    return table.replace_schema_metadata({**table.schema.metadata, b"pandas": json.dumps(notes).encode()})


def without_periods(table: Any, where: str) -> Any:
    """
    Return a table that holds no periods of pandas, such as months: to all else than pandas they are bare numbers.

    Parameters
    ----------
    table : pyarrow.Table
    where : str
        Field and file, for the error.

    Returns
    -------
    pyarrow.Table
        The same.

    Raises
    ------
    DataError
        If a column holds periods.

    Examples
    --------
    >>> import pyarrow as pa
    >>> day = pa.field("day", pa.int64(), metadata={"ARROW:extension:name": "pandas.period"})
    >>> without_periods(pa.schema([day]).empty_table(), "data: x")
    Traceback (most recent call last):
        ...
    mlwild.errors.DataError: data: x: column 'day' holds periods of pandas, ...
    """
    for field in table.schema:
        noted = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        if "pandas.period" in (noted, getattr(field.type, "extension_name", "")):
            raise DataError(
                f"{where}: column {field.name!r} holds periods of pandas, which are bare numbers to all else. Write it "
                "as times, for instance with .dt.to_timestamp(), or leave it out."
            )
    return table
