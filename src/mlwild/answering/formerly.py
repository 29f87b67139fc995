"""Columns that an app in operation once asked its callers for: they do not all change on the day on which it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlwild.columns import Columns
from mlwild.disk import write_atomically
from mlwild.errors import StoreError

#: Beside the ledger: the columns that callers were ever asked for, in order, the newest last; and how often kept.
FILE, MOST = "columns.json", 1000


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
        If the note cannot be read, or written.

    Examples
    --------
    >>> import tempfile
    >>> from mlwild.columns import Column
    >>> folder, at, x = Path(tempfile.mkdtemp()), Column("at", "time"), Column("x", "number")
    >>> with_past(Columns((at, x), ("y",), "at", None), folder).past
    ()
    >>> with_past(Columns((at,), ("y",), "at", None), folder).past
    ('x',)
    >>> with_past(Columns((x, at), ("y",), "at", None), folder).reordered
    True
    """
    asked = list(columns.names)
    now = {"asked": asked, "hidden": list(columns.hidden)}
    before = _noted(folder / FILE)
    if now not in before:
        text = json.dumps([*before, now][-MOST:], ensure_ascii=False)
        write_atomically(folder / FILE, lambda file: file.write(text.encode()), sync=True)
    names = dict.fromkeys(name for one in before for name in (*one["asked"], *one["hidden"]))
    past = tuple(name for name in names if name not in {*asked, *columns.hidden})
    reordered = any(len(one["asked"]) == len(asked) and one["asked"] != asked for one in before)
    return replace(columns, past=past, reordered=reordered)


def _noted(path: Path) -> list[dict[str, list[str]]]:
    """Return what was asked for before; nothing where there is no note, or a damaged one: then it begins anew."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return []
    except OSError as problem:  # what it says is not lost: it is not written over
        raise StoreError(
            f"store: {path} cannot be read: {problem.strerror}. Give leave, or put its disk back."
        ) from None
    return [one for one in found if _sound(one)] if isinstance(found, list) else []


def _sound(one: object) -> bool:
    lists = [one.get(name) for name in ("asked", "hidden")] if isinstance(one, dict) else [None]
    return all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists)
