"""A table of past experiments, from a file or a frame, as columns of plain cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlwild import frames
from mlwild.errors import AppError, DataError, MissingPackageError

Columns = dict[str, list[Any]]


def read_columns(given: Any) -> tuple[Columns, str]:
    """
    Return the columns of a table and its name.

    Parameters
    ----------
    given : path or frame
        CSV or TSV (comma, semicolon or tab), XLSX (the first sheet), Parquet, or any frame.

    Raises
    ------
    AppError
        If there is no such file.
    DataError
        If it is empty, cannot be read, or its header is none.
    MissingPackageError
        If openpyxl is needed and not installed.
    """
    if not isinstance(given, str | Path):
        table, _ = frames.to_arrow(given, "experiments")
        return _checked({name: table[name].to_pylist() for name in table.column_names}, "the table"), "the table"
    path = Path(given)
    if not path.is_file():
        raise AppError(f"experiments: there is no file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise DataError(f"experiments: {path.name} is empty.")
    suffix = path.suffix.lower()
    if suffix in (".xlsx", ".xlsm"):
        columns = _of_rows(_workbook(path), path.name)
    elif suffix in (".parquet", ".pq"):
        columns = _parquet(path)
    elif suffix in (".csv", ".tsv", ".txt"):
        columns = _of_rows(_text(path), path.name)
    else:
        raise AppError(f"experiments: {path.name} is neither .csv, .tsv, .xlsx nor .parquet, nor an app (.py).")
    return _checked(columns, path.name), path.name


def as_number(value: Any) -> float | None:
    """
    Return a cell as a number, or None.

    Examples
    --------
    >>> as_number("0.91"), as_number("0.91 (best)"), as_number("87 %"), as_number(True)
    (0.91, None, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def filled(value: Any) -> bool:
    """Return whether a cell holds something."""
    return value is not None and value != ""


def _text(path: Path) -> list[list[Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"experiments: {path.name} is no text in UTF-8. Save it as CSV UTF-8.") from None
    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as problem:
        raise DataError(f"experiments: {path.name} is no CSV: {problem}.") from None
    return [[cell.strip() for cell in row] for row in rows]


def _workbook(path: Path) -> list[list[Any]]:
    try:
        from openpyxl import load_workbook
    except ImportError as problem:
        raise MissingPackageError(
            f"experiments: {path.name} needs openpyxl, which is not installed. Hint: pip install openpyxl, or save the "
            "sheet as CSV."
        ) from problem
    from zipfile import BadZipFile

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as problem:
        raise DataError(f"experiments: {path.name} is no workbook: {problem}.") from None
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        return [[cell.strip() if isinstance(cell, str) else cell for cell in row] for row in rows]
    finally:
        book.close()  # read only, it keeps the file open


def _parquet(path: Path) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except pa.ArrowInvalid as problem:
        raise DataError(f"experiments: {path.name} cannot be read: {problem}") from None
    return {name: table[name].to_pylist() for name in table.column_names}


def _of_rows(rows: Sequence[Sequence[Any]], where: str) -> Columns:
    """Return rows, the first of them the header, as columns."""
    kept = [(place, row) for place, row in enumerate(rows, 1) if any(filled(cell) for cell in row)]
    if not kept:
        raise DataError(f"experiments: {where} is empty.")
    header = ["" if cell is None else str(cell) for cell in kept[0][1]]
    while header and not header[-1]:
        header.pop()
    if all(as_number(name) is not None for name in header):
        raise DataError(f"experiments: {where} has no header: its first row holds numbers. Name the columns.")
    width = len(header)
    for place, row in kept[1:]:
        if len(row) < width or any(filled(cell) for cell in row[width:]):
            cells = max(len(row), width + 1) if any(filled(cell) for cell in row[width:]) else len(row)
            raise DataError(f"experiments: row {place} of {where} has {cells} cells and the header {width}.")
    doubles = sorted({name for name in header if header.count(name) > 1})
    if doubles:
        below = kept[1][1] if len(kept) > 1 else []
        if below and not any(as_number(cell) is not None for cell in below):
            _two_headers(where, kept[1][0], below)
        empty = "" in doubles
        raise DataError(
            f"experiments: {where} has {'columns without a name' if empty else f'two columns {doubles[0]!r}'}. Give "
            "each column a name of its own."
        )
    return {name: [row[at] for _, row in kept[1:]] for at, name in enumerate(header)}


def _checked(columns: Columns, where: str) -> Columns:
    """Return columns, once they hold rows and one header only."""
    if not columns:
        raise DataError(f"experiments: {where} is empty.")
    names = list(columns)
    if not len(columns[names[0]]):
        raise DataError(f"experiments: {where} holds a header ({', '.join(names[:5])}) and no row.")
    below = [columns[name][0] for name in names]
    numeric = [name for name in names if any(as_number(cell) is not None for cell in columns[name][1:])]
    if numeric and len(columns[names[0]]) > 1 and not any(as_number(columns[name][0]) is not None for name in names):
        spelled = [name for name in numeric if filled(columns[name][0])]
        if spelled:
            _two_headers(where, 2, below)
    return columns


def _two_headers(where: str, row: int, cells: Sequence[Any]) -> None:
    shown = ", ".join(str(cell) for cell in cells[:5])
    raise DataError(
        f"experiments: row {row} of {where} ({shown}) looks like a second header: it holds no number, and rows below "
        "do. Leave one header row."
    )
