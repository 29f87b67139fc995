"""Columns that an app in operation once asked its callers for: they do not all change on the day on which it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlwild.answering.columns import Columns
from mlwild.disk import write_atomically

#: Beside the ledger: names of all columns that callers were ever asked for, the newest last; and how many are kept.
FILE, MOST = "columns.json", 10_000


def with_past(columns: Columns, folder: Path) -> Columns:
    """
    Return columns with those that the app once had, and take note of them for those that come after.

    Parameters
    ----------
    columns : Columns
        What is read from now on.
    folder : Path
        Of the app in operation.

    Raises
    ------
    StoreError
        If the note cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from mlwild.answering.columns import Column
    >>> folder, at = Path(tempfile.mkdtemp()), Column("at", "time")
    >>> with_past(Columns((at, Column("x", "number")), ("y",), "at", None), folder).past
    ()
    >>> with_past(Columns((at,), ("y",), "at", None), folder).past
    ('x',)
    """
    now = (*columns.names, *columns.hidden)
    before = _noted(folder / FILE)
    names = list(dict.fromkeys((*before, *now)))[-MOST:]
    if names != before:
        text = json.dumps(names, ensure_ascii=False)
        write_atomically(folder / FILE, lambda file: file.write(text.encode()), sync=True)
    return replace(columns, past=tuple(name for name in names if name not in now))


def _noted(path: Path) -> list[str]:
    """Return the names; none where there is no note, or none that can be read: then callers are told of each."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
