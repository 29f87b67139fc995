"""The side tables that a batch was begun with: in the store, as nothing is unpickled from where the output lies."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mlwild.answering.batch.journal import JOURNAL
from mlwild.answering.bundle import loaded
from mlwild.answering.tables import KEPT
from mlwild.clock import now_seconds
from mlwild.digest import digest
from mlwild.errors import StoreError
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Tables

#: What they are kept as: one entry a folder, however long the batch stands still; dropped when it is whole.
KIND = "batch"


def keep_tables(store: Store, folder: Path, data: bytes) -> None:
    """Keep the side tables of the batch of a folder, in place of those of an earlier one; drop what is left over."""
    key = _key(folder)
    store.put(key, KIND, lambda file: file.write(data), folder=str(folder))
    store.sync(key, KIND)  # before a journal speaks of it
    _drop_left_over(store)


def kept_tables(store: Store, folder: Path, mark: str) -> Tables:
    """
    Return the side tables that the batch of a folder was begun with.

    Raises
    ------
    StoreError
        If they are gone, have another digest, or cannot be loaded.
    """
    key = _key(folder)
    noted = store.get(key, KIND)
    if noted is None or noted["digest"] != mark:
        raise StoreError(
            f"output: the side tables that {folder} was begun with are gone from {store.root}, or were changed. "
            "Begin anew with --restart."
        )
    found = loaded(store, key, KIND, mark, "what side tables hold")
    assert isinstance(found, Tables)
    return found


def drop_tables(store: Store, folder: Path) -> None:
    """Drop the side tables of a batch that is whole."""
    store.drop(_key(folder), KIND)


def _key(folder: Path) -> str:
    return digest("batch 1", str(folder))


def _drop_left_over(store: Store) -> None:
    """Drop what nobody can go on with: a batch keeps its tables a moment before it has a journal, never for a day."""
    for path in store.root.glob(f"memo/*/*.{KIND}"):
        with suppress(FileNotFoundError):  # another process drops them too
            if now_seconds() - path.stat().st_mtime > KEPT:
                noted = store.get(path.stem, KIND)
                if noted is None or not (Path(noted["folder"]) / JOURNAL).exists():
                    store.drop(path.stem, KIND)
