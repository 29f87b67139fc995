"""What the pages read: the store of a workspace. It is never written to, and none of its locks is taken."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.exceptions import HTTPException

from mlwild.errors import AppError, StoreError
from mlwild.ledger import Ledger
from mlwild.operating import Status, status
from mlwild.operating.life_sheet import life_sheet
from mlwild.operating.status import LEDGER, gone, state_in
from mlwild.rehearsal import sheet_in
from mlwild.versions import Run, place_of
from mlwild.versions import runs as runs_on_record

#: Lives that are kept as they were read last.
KEPT = 8
#: Bytes that a folder's name may have.
LONGEST = 255


@dataclass(frozen=True)
class Read:
    """A life as it was read."""

    stamp: tuple[int, int, int]
    ledger: Ledger
    sheet: dict[str, Any] | None


class Lives:
    """Lives, read again only if their ledger has changed: to check five thousand ticks takes a second."""

    def __init__(self) -> None:
        self.reads = 0
        self._kept: OrderedDict[Path, Read] = OrderedDict()
        self._lock = Lock()

    def at(self, path: Path) -> Read:
        """Return the life of a ledger; those who ask at once wait for one reading."""
        with self._lock:
            # Taken before the file is read: what is added meanwhile makes another stamp.
            stamp = _stamp(path)
            kept = self._kept.get(path)
            if kept is None or kept.stamp != stamp:
                ledger = Ledger(path)
                kept = Read(stamp, ledger, life_sheet(ledger))
                self.reads += 1
            self._kept[path] = kept
            self._kept.move_to_end(path)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept


class Record:
    """The runs on record, read again only if the database has changed; from a server, and from others, each time."""

    def __init__(self) -> None:
        self.reads = 0
        self._kept: tuple[object, list[Run]] | None = None
        self._lock = Lock()

    def of(self, store: Path, read: Callable[[Path], list[Run]]) -> list[Run]:
        """Return the runs of a store; those who ask at once wait for one reading."""
        with self._lock:
            stamp = _database_stamp(store) if read is runs_on_record else None
            if self._kept is None or stamp is None or self._kept[0] != stamp:
                self._kept = stamp, read(store)
                self.reads += 1
            return self._kept[1]


def _database_stamp(store: Path) -> object | None:
    """Return what changes with every commit to the database; None where it is elsewhere."""
    place = place_of(store)
    if place.server or not place.database.exists():
        return None
    log = place.database.with_name(place.database.name + "-wal")
    return _stamp(place.database), _stamp(log) if log.exists() else None


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Workspace:
    """
    What the pages are about.

    Parameters
    ----------
    store : Path
        Folder of the workspace.
    hosts : tuple of str
        Names under which it may be called, beside those of this machine; ``"*"`` for any address in figures.
    read_runs : callable
        Returns the runs on record of a store, newest first.
    """

    store: Path
    hosts: tuple[str, ...] = ()
    read_runs: Callable[[Path], list[Run]] = runs_on_record
    lives: Lives = field(default_factory=Lives, compare=False, repr=False)
    record: Record = field(default_factory=Record, compare=False, repr=False)

    def states(self) -> list[Status]:
        """Return how every app in operation is doing, those with an alarm first."""
        return [replace(one, alarm=self.placeless(one.alarm)) for one in status(self.store)]

    def life(self, app: str) -> Read:
        """Return the ledger of an app in operation, and its life."""
        unknown = HTTPException(404, f"No app {app[:80]!r} is in operation here.")
        if not plain_name(app):
            raise unknown
        try:
            return self.lives.at(self.store / "operate" / app / LEDGER)
        except (FileNotFoundError, NotADirectoryError):
            self._refuse_lost(app)
            raise unknown from None

    def sheet(self, app: str) -> dict[str, Any]:
        """Return a life as plain data."""
        sheet = self.life(app).sheet
        if sheet is None:
            self._refuse_lost(app)
            raise HTTPException(404, f"The life of {app!r} was not opened yet. Run mlwild operate.")
        # What kept an app from being operated at all is no fact of its ledger.
        kept = state_in(self.store / "operate" / app)
        return sheet if kept is None else sheet | {"status": kept.as_dict()}

    def _refuse_lost(self, app: str) -> None:
        """Say of an app whose ledger has been lost what the first page says: something is live."""
        if said := gone(self.store / "operate" / app):
            raise StoreError(f"{said}.")

    def rehearsed(self) -> list[str]:
        """Return the apps whose last rehearsal has a card here."""
        return sorted(path.stem for path in self.store.glob("sheets/*.json") if plain_name(path.stem))

    def rehearsal(self, app: str) -> dict[str, Any]:
        """Return the answer sheet of an app's last rehearsal."""
        if app not in self.rehearsed():
            raise HTTPException(404, f"{app[:80]!r} was not rehearsed here. Run mlwild rehearse.")
        try:
            return sheet_in(self.store, app)
        except AppError:  # removed since it was listed
            raise HTTPException(404, f"{app!r} was not rehearsed here. Run mlwild rehearse.") from None
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise StoreError(f"store: the sheet of {app!r} is damaged. Run mlwild rehearse again.") from problem

    def runs(self) -> list[Run]:
        """Return all runs on record, newest first."""
        return self.record.of(self.store, self.read_runs)

    def placeless(self, said: str) -> str:
        """Return a sentence without the place of the store on this machine."""
        places = {str(self.store.resolve()), str(self.store.absolute()), str(self.store)} - {"."}
        for place in sorted(places, key=len, reverse=True):  # the end of a place may be another one
            said = said.replace(place + "/", "")
        return said


def plain_name(name: str) -> bool:
    """
    Say whether a name is one that an app may have: letters, digits, ``-`` and ``_``; no path.

    Examples
    --------
    >>> plain_name("credit-limits_2"), plain_name(".."), plain_name("a/b"), plain_name("")
    (True, False, False, False)
    """
    return name.replace("-", "").replace("_", "").isalnum() and len(name.encode()) <= LONGEST
