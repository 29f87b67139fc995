"""How far a batch has come: written down together with what the guard remembers, so that a stop costs no answer."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlwild.digest import digest
from mlwild.disk import write_atomically
from mlwild.errors import StoreError
from mlwild.guards.guarded import Guarded
from mlwild.guards.watch import Watch

#: Part of the file: raised when its form changes.
VERSION = 2
#: Name of the file, in the folder where a batch stands until it is whole.
JOURNAL = "journal.json"
#: Causes that are counted by name.
CAUSES = 1_000
OTHER = "other causes"
#: Behind the first of several causes that differ in their numbers.
LIKE = ", and the like"
#: A number by itself: the parts of a date that is given as an example are none.
_NUMBER = re.compile(r"(?P<number>(?<![\w.:-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w:-]))")
#: What the state of a guard is made of, and all that is ever loaded from it.
_OURS = ("mlwild.guards.", "mlwild.stats.")
_THEIRS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("collections", "deque"),
}


@lru_cache(maxsize=8)
def _masked(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds numbers in a cause, and names that hold some before the numbers in them."""
    kept = sorted((re.escape(one) for one in names if _NUMBER.search(one)), key=len, reverse=True)
    return re.compile("|".join([*kept, _NUMBER.pattern]))


@dataclass
class Journal:
    """
    How far a batch has come.

    Parameters
    ----------
    asked : mapping of str to str or int
        What the answers rest on: another of these is another batch.
    began : int or None
        The instant that stands for a missing time.
    rows : int
        That are answered and on the disk.
    length, check : int
        Bytes of the answers so far, and their CRC-32.
    status, causes : Counter
        Of the rows so far.
    examples : dict of str to str
        The first cause of each that is counted, with its numbers; whether others differ from it is said.
    whole : bool
        Whether all rows are answered: only the name of the file is missing.
    watch : str
        What the guard remembers, as `sealed` gives it; empty before the first row, and where there is no guard.
    """

    asked: Mapping[str, Any]
    began: int | None
    rows: int = 0
    length: int = 0
    check: int = 0
    status: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    whole: bool = False
    watch: str = ""

    def count(self, status: list[str], cause: list[str], names: tuple[str, ...] = ()) -> None:
        """Count some answers; names of columns are told as they are, whatever numbers are in them."""
        self.status.update(status)
        for said, n in Counter(cause).items():
            if said:
                # Numbers of the data would make each cause its own.
                name = _masked(names).sub(lambda found: "#" if found["number"] else found[0], said)
                name = name if name in self.causes or len(self.causes) < CAUSES else OTHER
                self.causes[name] += n
                shown = self.examples.setdefault(name, OTHER if name == OTHER else said)
                if shown not in (said, OTHER) and not shown.endswith(LIKE):
                    self.examples[name] = shown + LIKE

    def save(self, path: Path) -> None:
        """Write it down; when this returns it is on the disk."""
        body = {"version": VERSION, **vars(self)}
        body["digest"] = digest(json.dumps(body, sort_keys=True))
        text = json.dumps(body, sort_keys=True).encode()
        write_atomically(path, lambda file: file.write(text), sync=True)

    @staticmethod
    def read(path: Path) -> Journal | None:
        """
        Return what was written down; None where nothing was.

        Raises
        ------
        StoreError
            If it is damaged, or of another version.
        """
        try:
            body = json.loads(path.read_bytes())
            mark, version = body.pop("digest"), body["version"]
            sound = version == VERSION and mark == digest(json.dumps(body, sort_keys=True))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise StoreError(f"output: {path} is damaged. Begin anew with --restart.") from problem
        if not sound:
            raise StoreError(f"output: {path} is damaged, or of another version. Begin anew with --restart.")
        del body["version"]
        made = Journal(**body)
        made.status, made.causes = Counter(made.status), Counter(made.causes)
        return made


def sealed(watch: Watch | None, guard: Guarded | None) -> str:
    """
    Return what a guard remembers as a text.

    What it learned beforehand is left out: it is the guard's, which the bundle's digest names.
    """
    if watch is None:
        return ""
    file = io.BytesIO()
    _Pickler(file, _learned(guard)).dump(watch)
    return base64.b64encode(file.getvalue()).decode()


def opened(text: str, guard: Guarded | None) -> Watch | None:
    """
    Return what a guard remembers.

    Raises
    ------
    StoreError
        If the text holds anything but the state of a guard: nothing else is loaded.
    """
    if not text:
        return None
    try:
        found = _Unpickler(io.BytesIO(base64.b64decode(text)), _learned(guard)).load()
    except (pickle.UnpicklingError, ValueError, AttributeError, ImportError, EOFError, TypeError) as problem:
        raise StoreError(
            "output: what the guard remembered cannot be read here. Begin anew with --restart."
        ) from problem
    assert isinstance(found, Watch)
    return found


def _learned(guard: Guarded | None) -> object:
    return None if guard is None or guard.stream is None else guard.stream.support


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, learned: object) -> None:
        super().__init__(file, protocol=5)
        self._learned = learned

    def persistent_id(self, thing: Any) -> str | None:
        return "learned" if thing is self._learned and thing is not None else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, learned: object) -> None:
        super().__init__(file)
        self._learned = learned

    def persistent_load(self, name: Any) -> Any:
        if name != "learned" or self._learned is None:
            raise pickle.UnpicklingError(f"{name!r} is not known")
        return self._learned

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith(_OURS) or (module, name) in _THEIRS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a guard")
