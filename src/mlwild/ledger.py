"""The ledger: dated facts on disk, only ever added to, each on the disk before it is acknowledged."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlwild.clock import now_text
from mlwild.digest import digest
from mlwild.disk import synced, writing
from mlwild.errors import StoreError
from mlwild.jsonable import plain


@dataclass(frozen=True)
class Fact:
    """
    One thing that happened at a cutoff.

    Parameters
    ----------
    kind : str
        What, such as ``decided`` or ``promised``.
    cutoff : int
        Number of the cutoff.
    body : mapping
        The particulars, as JSON can hold them.
    """

    kind: str
    cutoff: int
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Ledger:
    """
    The facts of one app's life, in one file of JSON lines.

    A line carries the digest of itself and of the line before, so that no change goes unseen. A line that was cut short
    (the process or the machine died while it was written) was never acknowledged: it is left out, and overwritten by
    the next. Who writes must hold the app's lock; reading is safe at any time.

    Parameters
    ----------
    path : Path
        Made when first written to.

    Raises
    ------
    StoreError
        If a line does not agree with its digest, or the file cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> ledger = Ledger(folder / "app.jsonl")
    >>> ledger.append(Fact("opened", 3), Fact("decided", 3, {"action": "start"}))
    >>> [fact.kind for fact in Ledger(folder / "app.jsonl").facts]
    ['opened', 'decided']
    """

    path: Path
    _facts: list[Fact] = field(default_factory=list, repr=False)
    _seal: str = field(default="", repr=False)
    _size: int = field(default=0, repr=False)
    _held: list[Fact] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        """Read what is there."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as problem:
            raise StoreError(f"ledger: {self.path} cannot be read: {problem.strerror or problem}.") from problem
        seal, size, held = "", 0, []
        for number, line in enumerate(data.splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                break  # cut short: it was never acknowledged
            fact, seal, more = self._read(line, number, seal)
            size += len(line)
            held.append(fact)
            if not more:  # else it counts with those that were written with it, or not at all
                self._facts += held
                self._seal, self._size, held = seal, size, []

    def _read(self, line: bytes, number: int, before: str) -> tuple[Fact, str, bool]:
        try:
            read = json.loads(line)
            seal = read.pop("seal")
            sound = seal == _sealed(before, read)
            fact = Fact(str(read["kind"]), int(read["cutoff"]), dict(read["body"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise StoreError(
                f"ledger: line {number} of {self.path} does not agree with its digest: it was changed or damaged. "
                "Restore the file from a copy; nothing was written."
            )
        return fact, str(seal), bool(read.get("more"))

    @property
    def lasting(self) -> bool:
        """Whether what is added is kept."""
        return True

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All facts, oldest first."""
        return tuple(self._facts)

    @property
    def size(self) -> int:
        """Bytes of the file that hold facts."""
        return self._size

    def of(self, kind: str) -> list[Fact]:
        """Return the facts of a kind, oldest first."""
        return [fact for fact in self._facts if fact.kind == kind]

    def find(self, kind: str, cutoff: int) -> Fact | None:
        """Return the fact of a kind at a cutoff, if it is there."""
        return next((fact for fact in reversed(self._facts) if (fact.kind, fact.cutoff) == (kind, cutoff)), None)

    @property
    def holding(self) -> bool:
        """Whether there are facts that wait for the next one that is added."""
        return bool(self._held)

    def hold(self, fact: Fact) -> None:
        """Add a fact that is written with the next one that is added: on the disk are all of them, or none is."""
        made = Fact(fact.kind, fact.cutoff, plain(fact.body))
        self._facts.append(made)
        self._held.append(made)

    def append(self, *facts: Fact) -> None:
        """Add facts, and before them those that were held; when this returns they are on the disk."""
        lines, seal = [], self._seal
        for place, fact in enumerate((*self._held, *facts)):
            line = {"kind": fact.kind, "cutoff": fact.cutoff, "body": plain(fact.body), "written": now_text()}
            if place < len(self._held):
                line["more"] = True
            seal = _sealed(seal, line)
            lines.append(json.dumps(line | {"seal": seal}, allow_nan=False) + "\n")
        data = "".join(lines).encode()
        self._write(data)
        self._facts += [Fact(fact.kind, fact.cutoff, plain(fact.body)) for fact in facts]
        self._seal, self._size, self._held = seal, self._size + len(data), []

    def _write(self, data: bytes) -> None:
        with writing(self.path):
            new = not self.path.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.ftruncate(handle, self._size)  # what was cut short
                os.lseek(handle, self._size, os.SEEK_SET)
                left = memoryview(data)
                try:
                    while left:
                        left = left[os.write(handle, left) :]
                    os.fsync(handle)
                except OSError:
                    os.ftruncate(handle, self._size)
                    raise
            finally:
                os.close(handle)
            if new:
                synced(self.path.parent)


class Draft(Ledger):
    """A ledger that keeps what is added to itself: for plans of what would happen."""

    @property
    def lasting(self) -> bool:
        """Whether what is added is kept: no."""
        return False

    def _write(self, data: bytes) -> None:
        """Write nothing."""


def _sealed(before: str, line: Mapping[str, Any]) -> str:
    return digest(before, json.dumps(line, sort_keys=True))
