"""Side tables as they are known now: read anew between one tick and the next, and kept beside what answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle

from mlwild.answering.apps import app_that_made
from mlwild.answering.bundle import load_bundle, loaded
from mlwild.answering.telling import refusal, tell, to_operator
from mlwild.app import App
from mlwild.clock import now_seconds
from mlwild.contracts.tables import kind_of
from mlwild.digest import bytes_digest, digest
from mlwild.errors import DataError, StoreError
from mlwild.guards.encoding import HOLDS, NUMBERS
from mlwild.side_tables import SideTable
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Tables, read_tables

#: What they are kept as in the store.
KIND = "tables"
#: Seconds after which tables are left over. The one server of a store drops those that its workers have no more, names
#: those that they have (a clock that jumped makes all look old), and touches them, oftener than this; a batch has a
#: copy of its own (see `batch.keeping`). So tables of this age were left by a server that died.
KEPT = 86_400.0
#: Rows that say what a column holds.
LOOKED = 1_000


def known_now(table: SideTable) -> SideTable:
    """Return what is known of a side table by now; all of it where no clock says which time it is."""
    return table if table.clock.kind == "tick" else table.before(table.clock.now())


def _known_since(table: SideTable, before: SideTable) -> SideTable:
    """Return what is known by now, and what was before: a clock that goes back takes no row away that was known."""
    if table.clock.kind == "tick" or not len(before.available):
        return known_now(table)
    return table.before(max(table.clock.now(), int(before.available.max())))


def read_now(app: App, before: Tables, own: Tables | None = None) -> tuple[str, bytes]:
    """
    Read an app's side tables; return the digest and the bytes of what is known of them now.

    Parameters
    ----------
    app : App
    before : Tables
        What the model was put in place with: features are made of these columns.
    own : Tables, optional
        Those that are answered by, if they were read since.

    Raises
    ------
    DataError, AppError
        If they cannot be read, or a column is gone or holds something else.
    """
    found = read_tables(app)
    known = before if own is None else own
    tables = Tables({name: _known_since(table, known[name]) for name, table in found.items()})
    for name, table in before.items():
        _refuse_others(name, table, tables[name])
    data = cloudpickle.dumps(tables)
    return bytes_digest(data), data


def _refuse_others(name: str, before: SideTable, now: SideTable) -> None:
    """Refuse a table of which features could not be made any more: that would take the model away from all rows."""
    was, found = (table.rows.head(LOOKED).to_arrow() for table in (before, now))
    for column in was.column_names:
        if column not in found.column_names:
            raise DataError(f"tables[{name!r}]: column {column!r} is gone. Bring it back; features may be made of it.")
        wanted, kind = _kind(was.column(column)), _kind(found.column(column))
        if wanted != kind and not {wanted, kind} <= NUMBERS and "empty" not in {wanted, kind}:
            raise DataError(
                f"tables[{name!r}]: column {column!r} holds {HOLDS.get(kind, kind)}, not {HOLDS.get(wanted, wanted)}. "
                "Mend it; features may be made of it."
            )


def _kind(column: Any) -> str:
    """Return the kind of a column; times with a zone and times without one cannot be held against each other."""
    kind = kind_of(column)
    if kind != "time":
        return kind
    return "times with a zone" if getattr(column.type, "tz", None) else "times without a zone"


def refreshed(
    app: App, store: Store, key: str, before: Tables, own: Tables | None = None, keep: Collection[str] = ()
) -> tuple[str, str] | None:
    """
    Read an app's side tables and keep them for a server; those that are as they were are kept once.

    Parameters
    ----------
    app : App
    store : Store
    key : str
        Of the bundle that they belong to.
    before : Tables
        Those of the bundle.
    own : Tables, optional
        Those that are answered by, if they were read since.
    keep : collection of str
        Keys of tables that are in use: they are not left over, however old this machine's clock calls them.

    Returns
    -------
    (str, str) or None
        Key and digest of what is kept; None for an app without side tables.

    Raises
    ------
    DataError, AppError
        If they cannot be read, or a column is gone or holds something else.
    """
    if not app.tables:
        return None
    mark, data = read_now(app, before, own)
    made = key_of(key, mark)
    if store.get(made, KIND) is None:
        store.put(made, KIND, lambda file: file.write(data))
    used(store, made)
    _drop_left_over(store, {*keep, made})
    return made, mark


def used(store: Store, key: str) -> bool:
    """Touch tables that go on being used; say whether they are there."""
    try:
        os.utime(store.payload(key, KIND))
    except FileNotFoundError:
        return False
    return True


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


def _drop_left_over(store: Store, keep: Collection[str]) -> None:
    for path in store.root.glob(f"memo/*/*.{KIND}"):
        with suppress(FileNotFoundError):  # another process drops them too
            if path.stem not in keep and now_seconds() - path.stat().st_mtime > KEPT:
                store.drop(path.stem, KIND)


def _own(store: Store, tables: tuple[str, str] | None) -> Tables | None:
    """Return the tables that are answered by; None where they are those of the bundle, or are gone and made anew."""
    if tables is None:
        return None
    try:
        return load_tables(store, *tables)
    except StoreError as problem:
        tell(f"side tables are made anew, without those before: {problem}")
        return None


def main() -> None:
    """Read the side tables of a bundle anew, and say where they are kept, in a process of its own."""
    asked, out = json.loads(sys.argv[1]), os.fdopen(os.dup(1), "w")
    to_operator()
    try:
        store = Store(Path(asked["root"]))
        made = load_bundle(store, asked["key"], asked["digest"])
        own, keep = _own(store, asked.get("tables")), asked.get("keep", ())
        said: dict[str, Any] = {"tables": refreshed(app_that_made(made), store, asked["key"], made.tables, own, keep)}
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's file may raise anything; who asked says it
        said = refusal(problem)
    print(json.dumps(said), file=out, flush=True)
