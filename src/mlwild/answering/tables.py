"""Side tables as they are known now: read anew between one tick and the next, and kept beside what answers."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle

from mlwild.answering.bundle import load_bundle, loaded
from mlwild.answering.service import app_of
from mlwild.answering.telling import refusal
from mlwild.app import App
from mlwild.clock import now_seconds
from mlwild.digest import bytes_digest, digest
from mlwild.side_tables import SideTable
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Tables, read_tables

#: What they are kept as in the store.
KIND = "tables"
#: Seconds after which tables are thrown away that were replaced.
KEPT = 86_400.0


def known_now(table: SideTable) -> SideTable:
    """Return what is known of a side table by now; all of it where no clock says which time it is."""
    return table if table.clock.kind == "tick" else table.before(table.clock.now())


def refreshed(app: App, store: Store, key: str) -> tuple[str, str] | None:
    """
    Read an app's side tables and keep them; those that are as they were are kept once.

    Parameters
    ----------
    app : App
    store : Store
    key : str
        Of the bundle that they belong to.

    Returns
    -------
    (str, str) or None
        Key and digest of what is kept; None for an app without side tables.

    Raises
    ------
    DataError, AppError
        If they cannot be read.
    """
    if not app.tables:
        return None
    data = cloudpickle.dumps(Tables({name: known_now(table) for name, table in read_tables(app).items()}))
    mark = bytes_digest(data)
    own = key_of(key, mark)
    if store.get(own, KIND) is None:
        store.put(own, KIND, lambda file: file.write(data))
    os.utime(store.payload(own, KIND))  # they are those of now
    _throw_away(store, own)
    return own, mark


def key_of(key: str, mark: str) -> str:
    """Return the key of tables, given the key of the bundle that they belong to and their own digest."""
    return digest("tables 1", key, mark)


def load_tables(store: Store, key: str, mark: str) -> Tables:
    """
    Return tables of the store.

    Raises
    ------
    StoreError
        If they are gone, have another digest, or cannot be loaded.
    """
    found: Any = loaded(store, key, KIND, mark, "what side tables hold")
    assert isinstance(found, Tables)
    return found


def _throw_away(store: Store, but: str) -> None:
    """Drop tables that were replaced long ago: a batch that goes on may still need those of today."""
    for path in store.root.glob(f"memo/*/*.{KIND}"):
        with suppress(FileNotFoundError):  # another process throws them away too
            if path.stem != but and now_seconds() - path.stat().st_mtime > KEPT:
                store.drop(path.stem, KIND)


def main() -> None:
    """Read the side tables of a bundle anew, and say where they are kept, in a process of its own."""
    asked, out = json.loads(sys.argv[1]), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's code prints, and what it calls, is for the operator
    try:
        store = Store(Path(asked["root"]))
        made = load_bundle(store, asked["key"], asked["digest"])
        found = refreshed(app_of(made.file, made.model), store, asked["key"])
        assert found is not None
        said: dict[str, Any] = {"key": found[0], "digest": found[1]}
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's file may raise anything; who asked says it
        said = refusal(problem)
    print(json.dumps(said), file=out, flush=True)
