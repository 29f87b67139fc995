"""The memo on disk: what a fit made, under the digest of what determined it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.digest import digest, file_digest
from mlwild.disk import held, synced, waiting, write_atomically

#: Name of the folder that keeps what was fitted.
STORE = ".mlwild"
#: What is held by who moves on the life of an app.
LIFE = "tick.lock"


def folder_of(app: App, store: str | Path) -> Path:
    """Return the folder of a store; a relative one lies beside the app."""
    return Path(store) if Path(store).is_absolute() else app.root / store


@dataclass(frozen=True)
class Store:
    """
    A folder of memo entries.

    An entry is a payload file and a note (JSON) with the payload's digest. An entry whose payload
    is missing or has another digest counts as absent: it is made again.

    Parameters
    ----------
    root : Path
        Made when first written to.
    """

    root: Path

    def payload(self, key: str, kind: str) -> Path:
        """Return the path of an entry's payload."""
        return self.root / "memo" / key[:2] / f"{key}.{kind}"

    def _note(self, key: str, kind: str) -> Path:
        return self.payload(key, kind).with_suffix(f".{kind}.json")

    def put_once(self, key: str, kind: str, write: Callable[[IO[bytes]], object], **facts: Any) -> bool:
        """Write an entry that others may name by its digest, and say so; of two who make it the first one's stays."""
        with waiting(self.root / f"{kind}.lock"):
            if self.get(key, kind) is not None:
                return False
            self.put(key, kind, write, **facts)
            return True

    def put(self, key: str, kind: str, write: Callable[[IO[bytes]], object], **facts: Any) -> None:
        """Write an entry: the payload first, then the note that makes it count."""
        path = self.payload(key, kind)
        write_atomically(path, write)
        note = {"digest": file_digest(path), **facts}
        note["check"] = digest(json.dumps(note, sort_keys=True))
        text = json.dumps(note, sort_keys=True).encode()
        write_atomically(self._note(key, kind), lambda file: file.write(text))

    def get(self, key: str, kind: str) -> dict[str, Any] | None:
        """Return the note of an entry whose payload is sound, else None."""
        path = self.payload(key, kind)
        try:
            note = json.loads(self._note(key, kind).read_bytes())
            check = note.pop("check")
            sound = check == digest(json.dumps(note, sort_keys=True)) and note["digest"] == file_digest(path)
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return None
        return dict(note) if sound else None

    def sync(self, key: str, kind: str) -> None:
        """Put an entry on the disk: for what cannot, or need not be able to, be made again."""
        path = self.payload(key, kind)
        for one in (path, self._note(key, kind), path.parent, path.parent.parent):
            synced(one)

    def entry(self, key: str, kind: str) -> tuple[str, str, bytes, bytes]:
        """Return an entry as bytes, payload and note, to be taken elsewhere."""
        return key, kind, self.payload(key, kind).read_bytes(), self._note(key, kind).read_bytes()

    def take(self, key: str, kind: str, payload: bytes, note: bytes) -> None:
        """Write an entry that was made elsewhere: the payload first, then the note that makes it count."""
        write_atomically(self.payload(key, kind), lambda file: file.write(payload))
        write_atomically(self._note(key, kind), lambda file: file.write(note))

    def entries(self) -> list[tuple[str, str]]:
        """Return key and kind of every entry that has a note."""
        notes = (path.name.removesuffix(".json") for path in self.root.glob("memo/*/*.json"))
        return sorted((name.rpartition(".")[0], name.rpartition(".")[2]) for name in notes)

    def drop(self, key: str, kind: str) -> None:
        """Remove an entry, the note that makes it count first."""
        self._note(key, kind).unlink(missing_ok=True)
        self.payload(key, kind).unlink(missing_ok=True)

    def touch(self, key: str, kind: str) -> None:
        """Note that an entry goes on being used, for whoever drops what is not."""
        with suppress(OSError):  # who may read it alone uses it too
            os.utime(self.payload(key, kind))

    def damaged(self, key: str, kind: str) -> bool:
        """Say whether an entry is there but does not agree with its digest."""
        return self.payload(key, kind).exists() and self.get(key, kind) is None

    @contextmanager
    def lock(self, app: str, *, life: bool = False) -> Iterator[None]:
        """
        Hold the lock of an app, or of its life; it goes with the process, however that ends.

        Raises
        ------
        BusyError
            If another process holds it.
        """
        # An app may be called as a kind of entry is, or "tick": its lock is a file that nothing else has.
        name, doing = (LIFE, "operating") if life else (f"{app}.app.lock", "rehearsing")
        wait = f"{doing} {app!r} in {self.root}. Wait until it has finished, or give another --store."
        with held(self.root / name, lambda owner: f"store: {owner} is {wait}"):
            yield

    def workspace(self, name: str, key: str) -> Path:
        """Return a folder for the rows of an app, and remove those of its earlier data."""
        folder = self.root / "rows" / name
        if folder.exists():
            for old in folder.iterdir():
                if old.name != key:
                    shutil.rmtree(old, ignore_errors=True)
        return folder / key


def write_array(array: NDArray[Any]) -> Callable[[IO[bytes]], object]:
    """Return a writer of an array as NumPy keeps it."""

    def write(file: IO[bytes]) -> None:
        # Given a file, NumPy writes around Python, and does not say why it could not: that the disk is full, say.
        np.save(SimpleNamespace(write=file.write), array, allow_pickle=False)

    return write


def write_predictions(predictions: NDArray[np.float32]) -> Callable[[IO[bytes]], object]:
    """Return a writer of predictions as one Arrow record batch of float32 columns."""
    import pyarrow as pa

    columns = predictions[:, None] if predictions.ndim == 1 else predictions
    names = [f"p{i}" for i in range(columns.shape[1])]
    arrays = [pa.array(np.ascontiguousarray(columns[:, i])) for i in range(columns.shape[1])]
    batch = pa.record_batch(arrays, names=names)

    def write(file: IO[bytes]) -> None:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)

    return write


def read_predictions(path: Path) -> NDArray[np.float32]:
    """Read predictions without copying: shape (n_rows,) or (n_rows, n_classes)."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    columns = [column.to_numpy() for column in table.columns]
    made = columns[0] if len(columns) == 1 else np.column_stack(columns)
    return np.asarray(made, dtype=np.float32)
