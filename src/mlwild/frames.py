"""The door for tables: whatever frame comes in, the user's functions get the same kind back."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER, Clock, Times
from mlwild.csv_files import read_csv
from mlwild.errors import AppError, DataError, MissingPackageError
from mlwild.nullable import as_it_is, without_periods

Frame = nw.DataFrame[Any]
Source = Callable[[], Any] | str | Path

KINDS = ("pandas", "polars", "pyarrow")
#: Rows up to which a pandas frame has one block a kind of column: what is done later gains more than a copy costs.
FEW = 1000


def load(source: Source, field: str, *, root: Path, kind: str) -> Frame:
    """
    Read a source: a callable that returns a frame, or a Parquet or CSV path or glob.

    Parameters
    ----------
    source : callable, str or Path
        What the user named.
    field : str
        Field of the app it came from, for the errors.
    root : Path
        Folder that relative paths start from.
    kind : {"pandas", "polars", "pyarrow"}
        Kind of frame made of files.

    Raises
    ------
    AppError
        If the source is neither, or no file matches.
    DataError
        If what it returns is not a frame, or has no row.
    """
    if hasattr(source, "located"):  # a stored table: it gives Arrow, and the app says what it wants
        native = from_arrow(source.located(root)(), kind, field)
    else:
        native = source() if callable(source) else _read(source, field, root, kind)
    frame = eager(native, field)
    if frame.shape[0] == 0:
        raise DataError(f"{field}: the table has no row. Point it at data that hold events.")
    return frame


def eager(native: Any, field: str) -> Frame:
    """Return an eager narwhals frame of a pandas, Polars, Arrow or DuckDB table."""
    try:
        frame = nw.from_native(native)
    except TypeError as problem:
        raise DataError(
            f"{field}: got {type(native).__name__}, which is not a table. "
            "Return a pandas, Polars or Arrow table or a DuckDB relation."
        ) from problem
    except nw.exceptions.DuplicateError as problem:
        raise DataError(f"{field}: two columns have the same name: {' '.join(str(problem).split())}") from problem
    if isinstance(frame, nw.LazyFrame):
        polars = frame.implementation.is_polars()
        frame = frame.collect("polars" if polars else "pyarrow")
    made: Frame = frame
    return made


def _read(source: Any, field: str, root: Path, kind: str) -> Any:
    if not isinstance(source, str | Path):
        raise AppError(
            f"{field}: {source!r} is neither a function that returns a table nor a path of Parquet or CSV files."
        )
    pattern = str(source if Path(source).is_absolute() else root / source)
    # The folder that the app lies in is no pattern, whatever its name.
    sought = pattern if Path(source).is_absolute() else os.path.join(glob.escape(str(root)), source)  # noqa: PTH118
    paths = sorted(glob.glob(sought, recursive=True))  # noqa: PTH207  a pattern may be absolute
    if not paths:
        raise DataError(f"{field}: no file matches {pattern!r}. Check the path; globs are allowed.")
    import pyarrow as pa
    import pyarrow.parquet

    parts = []
    for path in paths:
        try:
            if path.endswith((".parquet", ".pq")):
                # Without read-ahead buffers: they double the peak on a large file.
                parts.append(pyarrow.parquet.read_table(path, pre_buffer=False))
            elif path.endswith((".csv", ".csv.gz")):
                parts.append(read_csv(path, field))
            else:
                raise AppError(f"{field}: {path!r} is neither .parquet nor .csv.")
        except (pa.ArrowInvalid, OSError) as problem:  # cut short, no such file any more, no right to read it
            said = " ".join(str(problem).split())[:300]
            raise DataError(f"{field}: {path!r} cannot be read: {said}") from problem
    try:
        # Whole numbers in one file and fractions in the next are numbers.
        table = pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
        raise DataError(f"{field}: the files of {pattern!r} do not fit together: {problem}") from problem
    return from_arrow(table if kind == "pandas" else without_periods(table, f"{field}: {pattern!r}"), kind, field)


def from_arrow(table: Any, kind: str, field: str = "frame") -> Any:
    """Turn an Arrow table into the named kind of frame."""
    if kind == "pyarrow":
        return table
    try:
        if kind == "polars":
            import polars as pl

            return pl.from_arrow(table)
        if kind == "pandas":
            import pandas as pd  # noqa: F401  Arrow needs it

            # One block a column: columns without gaps are read in place, not copied. Of few rows, blocks cost more.
            return as_it_is(table).to_pandas(split_blocks=table.num_rows > FEW, date_as_object=False)
    except ImportError as problem:
        raise MissingPackageError(
            f"{field}: {kind!r} frames are asked for and {kind} is not installed. "
            f"Hint: pip install {kind}, or App(frame='pyarrow')."
        ) from problem
    if kind == "numpy":
        return np.column_stack([column.to_numpy() for column in table.columns])
    raise AppError(f"{field}: {kind!r} is not one of {', '.join(KINDS)}.")


def of_columns(columns: Mapping[str, Any], kind: str, field: str) -> Any:
    """Return a frame of the named kind of some Arrow arrays."""
    import pyarrow as pa

    return from_arrow(pa.table(dict(columns)), kind, field)


def to_arrow(native: Any, field: str) -> tuple[Any, str]:
    """
    Turn what a features function returned into an Arrow table, and name its kind.

    Raises
    ------
    DataError
        If it is not a table of columns that Arrow can hold.
    """
    import pyarrow as pa

    if isinstance(native, np.ndarray):
        if native.ndim != 2:
            raise DataError(f"{field}: returned an array of shape {native.shape}; need (rows, columns).")
        return pa.table({f"x{i}": np.ascontiguousarray(native[:, i]) for i in range(native.shape[1])}), "numpy"
    frame = eager(native, field)
    try:
        return frame.to_arrow(), str(frame.implementation)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
        raise DataError(f"{field}: a column holds values of mixed kinds: {problem}") from problem
    except (pa.ArrowNotImplementedError, TypeError, OverflowError) as problem:  # sparse, complex, beyond 64 bits
        raise DataError(f"{field}: a column holds what no table of Arrow does: {problem}") from problem


def need(frame: Frame, columns: Sequence[str], field: str) -> None:
    """Raise with the columns that exist when a named one does not."""
    for column in columns:
        if column not in frame.columns:
            near = ", ".join(frame.columns[:12]) + (", ..." if len(frame.columns) > 12 else "")
            raise DataError(f"{field}: the table has no column {column!r}. It has {near}.")


def times(frame: Frame, column: str, field: str) -> tuple[Times, Clock]:
    """
    Read a time column as integers; a missing time is ``NEVER``.

    Parameters
    ----------
    frame : narwhals.DataFrame of shape (n_rows, n_columns)
    column : str
        Dates, datetimes (with a zone or without) or integers.
    field : str
        Field of the app it came from, for the errors.

    Returns
    -------
    times : ndarray of int64, shape (n_rows,)
        Nanoseconds since 1970 (UTC), or the integers themselves.
    clock : Clock
        What they mean.

    Raises
    ------
    DataError
        If the column is missing, or holds text or times of several zones.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    need(frame, [column], field)
    series = frame[column]
    array = _objects(series, column, field) if series.dtype == nw.Object else series.to_arrow()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = _gapped(array)
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        sample = next((value for value in array.to_pylist() if value is not None), "")
        raise DataError(
            f"{field}: column {column!r} holds text ({sample!r}), not times. "
            "Parse it in `data`, for instance with pandas.to_datetime."
        )
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_integer(kind):
        zone = getattr(kind, "tz", None)
        clock = Clock("tick") if pa.types.is_integer(kind) else Clock("instant", zone) if zone else Clock("naive")
        try:
            fine = array if clock.kind == "tick" else array.cast(pa.timestamp("ns", zone))
            array = fine.cast(pa.int64())
        except pa.ArrowInvalid as problem:
            raise DataError(f"{field}: column {column!r} has a time out of range: {problem}") from problem
    elif pa.types.is_null(kind):
        raise DataError(f"{field}: column {column!r} is empty: every value is missing.")
    else:
        raise DataError(f"{field}: column {column!r} holds {kind}, not times. Give dates, datetimes or integers.")
    return np.asarray(pc.fill_null(array, NEVER).to_numpy(zero_copy_only=False), dtype=np.int64), clock


def _gapped(array: Any) -> Any:
    """Return whole numbers with gaps as integers: pandas has no other way to hold them; other floats as they are."""
    import pyarrow as pa

    numbers = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    gaps = np.isnan(numbers)
    whole = gaps.any() and not gaps.all() and bool((numbers[~gaps] == np.floor(numbers[~gaps])).all())
    if not whole or np.abs(numbers[~gaps]).max() > 2**53:
        return array
    return pa.array(np.where(gaps, 0, numbers).astype(np.int64), mask=gaps)


def _objects(series: Any, column: str, field: str) -> Any:
    """Return a pandas column of Python objects, such as dates, as Arrow; only objects of one kind."""
    import pyarrow as pa

    given = [value if value == value else None for value in series.to_list()]  # noqa: PLR0124  NaT is not itself
    kinds = {
        f"{type(value).__name__} {getattr(value, 'tzinfo', None) or ''}".strip() for value in given if value is not None
    }
    if len(kinds) <= 1:
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            return pa.array(given)
    raise DataError(
        f"{field}: column {column!r} mixes time zones or types ({', '.join(sorted(kinds)[:4])}). "
        "Convert it to one zone, for instance to UTC."
    )


def values(frame: Frame, column: str, field: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a column as an array, and where it is missing (null or NaN)."""
    import pyarrow as pa

    array = whole(frame, column, field)
    missing = array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    if pa.types.is_integer(array.type):
        # Filled first: a gap would turn integers into floats, which round great ones.
        data = array.fill_null(0).to_numpy(zero_copy_only=False)
    elif pa.types.is_floating(array.type):
        data = array.to_numpy(zero_copy_only=False)
    elif pa.types.is_boolean(array.type):
        data = array.fill_null(fill_value=False).to_numpy(zero_copy_only=False)
    else:
        data = np.array(array.to_pylist(), dtype=object)
    return data, np.asarray(missing, dtype=bool)


def whole(frame: Frame, column: str, field: str) -> Any:
    """Return a column as one Arrow array, without a dictionary."""
    import pyarrow as pa

    need(frame, [column], field)
    try:
        made = frame[column].to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
        raise DataError(f"{field}: column {column!r} mixes kinds of values: {problem}") from problem
    made = made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
    return made.dictionary_decode() if pa.types.is_dictionary(made.type) else made


def text(column: Any) -> Any:
    """Return a column of an Arrow table as text; true, dates and all else as Arrow writes them."""
    import pyarrow as pa

    return (column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column).cast(pa.string())


def encoded(column: Any) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """
    Return the words of a column of an Arrow table, and the place of each row's word among them (-1: missing).

    Words are in order of first appearance.

    Examples
    --------
    >>> import pyarrow as pa
    >>> places, words = encoded(pa.chunked_array([["b", None], ["a", "b"]]))
    >>> places.tolist(), words
    ([0, -1, 1, 0], ('b', 'a'))
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    coded = pc.dictionary_encode(text(column)).combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    places = np.asarray(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    return places, tuple(coded.dictionary.to_pylist())


def take(frame: Frame, rows: NDArray[Any]) -> Frame:
    """Return the rows at the given positions (int) or under a mask (bool), in order."""
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    taken = frame[rows]
    if taken.implementation.is_pandas():
        return nw.from_native(taken.to_native().reset_index(drop=True), eager_only=True)
    return taken


def blank(frame: Frame, columns: Sequence[str], rows: NDArray[np.bool_]) -> Frame:
    """Return the frame with some cells made missing."""
    hidden = nw.new_series("hidden", rows, backend=frame.implementation)
    made = []
    for column in columns:
        kind = frame.schema[column]
        wide = nw.Float64() if kind.is_integer() or kind == nw.Boolean else kind
        expression = nw.when(~hidden).then(nw.col(column).cast(wide)).cast(wide)
        made.append(expression.alias(column))
    return frame.with_columns(*made)


def pick(frame: Frame, rows: NDArray[np.int64]) -> Frame:
    """Return the rows at the given positions; position -1 gives a row of missing values."""
    import pyarrow as pa

    positions = pa.array(np.where(rows < 0, 0, rows), mask=rows < 0)
    kind = str(frame.implementation)
    native = from_arrow(frame.to_arrow().take(positions), kind, "asof")
    return nw.from_native(native, eager_only=True)


def matrix(table: Any) -> NDArray[np.float64]:
    """
    Return the columns of an Arrow table as numbers: words become codes, times nanoseconds, gaps NaN.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)

    Examples
    --------
    >>> import pyarrow as pa
    >>> matrix(pa.table({"x": [1.5, None], "word": ["b", "a"]})).tolist()
    [[1.5, 0.0], [nan, 1.0]]
    """
    made = np.empty((table.num_rows, table.num_columns))
    for place, column in enumerate(table.columns):
        made[:, place] = _numbers(column)
    return made


def learnable(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return rows to fit boosted trees on: a column without a single number, which they refuse, becomes a constant.

    Examples
    --------
    >>> learnable(np.array([[1.0, np.nan], [np.nan, np.nan]])).tolist()
    [[1.0, 0.0], [nan, 0.0]]
    """
    blank = np.isnan(rows).all(axis=0)
    return np.where(blank, 0.0, rows) if blank.any() else rows


def _numbers(column: Any) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_temporal(kind):
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        column = column.cast(width)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        if not pa.types.is_dictionary(kind):
            column = pc.dictionary_encode(column.cast(pa.string()))
        column = pa.chunked_array([chunk.indices for chunk in column.unify_dictionaries().chunks])
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
