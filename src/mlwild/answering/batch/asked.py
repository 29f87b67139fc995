"""Who answers the rows of a batch: the service in this process, or in one of its own that may hang or end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from mlwild.answering.batch.journal import opened, sealed
from mlwild.answering.batch.keeping import kept_tables
from mlwild.answering.bundle import KIND, Bundle
from mlwild.answering.service import Answered, AppService, constants, service_of
from mlwild.answering.telling import tell
from mlwild.errors import AppError, DataError, StoreError
from mlwild.guards.asking import LATE
from mlwild.guards.watch import Watch
from mlwild.triangle.store import Store

#: What a process says once it has the features of the rows that it was given.
MADE = "made"
#: Seconds that loading app and models may take.
LOADING = 600.0
_ENDED = "ended its process"
_RAISED = {one.__name__: one for one in (AppError, DataError, StoreError)}


class Answers(Protocol):
    """What answers rows, and remembers what they showed."""

    @property
    def bundle(self) -> Bundle:
        """What it answers by."""

    @property
    def memory(self) -> str:
        """What the guard remembers, as `sealed` gives it."""

    @memory.setter
    def memory(self, text: str) -> None: ...

    def answer(self, rows: Mapping[str, list[Any]], now: float) -> Answered:
        """Answer some rows, at so many seconds of a clock that only rises."""

    def close(self) -> None:
        """End what was started."""


@dataclass
class Within:
    """
    The service in this process: a model that never returns is waited for, and one that ends the process ends the batch.

    Parameters
    ----------
    service : AppService
    """

    service: AppService

    @property
    def bundle(self) -> Bundle:
        """What it answers by."""
        return self.service.bundle

    @property
    def memory(self) -> str:
        """What the guard remembers."""
        return sealed(self.service.watch, self.bundle.guard)

    @memory.setter
    def memory(self, text: str) -> None:
        self.service.watch = opened(text, self.bundle.guard)

    def answer(self, rows: Mapping[str, list[Any]], now: float) -> Answered:
        """Answer some rows."""
        self.service.clock = lambda: now
        return self.service.answer(rows)

    def close(self) -> None:
        """Nothing was started."""


@dataclass
class Beside:
    """
    The service in a process of its own, with a deadline.

    Where a model takes longer than that, or ends its process, the next stage of the chain answers those rows; where the
    app's features do, or that stage does too, the constant. The breaker of the guard counts it as a failure: a model
    that fails again and again is left alone for a while.

    Parameters
    ----------
    what : mapping of str to str
        Where the bundle lies: ``root``, ``key`` and ``digest``; ``folder`` and ``tables``, of side tables; ``salt``.
    bundle : Bundle
    deadline : float
        Seconds for the rows of one call.
    memory : str
        What the guard remembers after the last rows that were answered.
    """

    what: Mapping[str, str]
    bundle: Bundle
    deadline: float
    memory: str = ""
    _line: Connection | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _fresh: bool = field(default=True, init=False)

    def answer(self, rows: Mapping[str, list[Any]], now: float) -> Answered:
        """
        Answer some rows.

        Raises
        ------
        AppError, DataError, StoreError
            As the service does; or if no process can be started that has the service.
        """
        n, first = len(next(iter(rows.values()))), ""
        Store(Path(self.what["root"])).touch(self.what["key"], KIND)  # a process may be started anew by it for days
        for stage in (0, 1):
            made, why, reached = self._tried(rows, stage, now)
            if made is not None:
                causes = [one.replace(LATE, first, 1) for one in made.cause] if first else made.cause
                return replace(made, cause=causes)
            first = first or why
            if not reached:  # the features did it, and would again
                break
            if not stage:
                self._blame(now)
        return constants(self.bundle, n, f"{'the model' if reached else 'features'} {why}")

    def close(self) -> None:
        """End the process, if there is one."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _tried(self, rows: Mapping[str, list[Any]], stage: int, now: float) -> tuple[Answered | None, str, bool]:
        """Return answers from a stage on; or None, why there are none, and whether the features had been made."""
        line = self._started()
        reached, end = False, time.monotonic() + self.deadline
        try:
            line.send((rows, stage, now, self.memory if self._fresh else None))
            while line.poll(max(end - time.monotonic(), 0.0)):
                said = line.recv()
                if said != MADE:
                    break
                reached = True
            else:
                said = None
        except (EOFError, OSError):
            said, why = None, _ENDED
        else:
            why = LATE
        if said is None:
            tell(f"{len(next(iter(rows.values()))):,} rows: the process that answers them {why}, and is started anew.")
            self.close()
            return None, why, reached
        kind, *more = said
        if kind in _RAISED:
            raise _RAISED[kind](more[0])
        self._fresh, self.memory = False, more[1]
        return more[0], "", True

    def _blame(self, now: float) -> None:
        """Have the guard count a failure of the first stage."""
        watch = opened(self.memory, self.bundle.guard)
        if watch is None and self.bundle.guard is not None:
            watch = self.bundle.guard.watch()
            _salted(watch, self.what)
        if watch is not None:
            watch.breakers[0] = watch.breakers[0].at(now).feed(failed=True, now=now)
            self.memory = sealed(watch, self.bundle.guard)

    def _started(self) -> Connection:
        """Return the line to a process that has the service."""
        if self._line is not None:
            return self._line
        ours, theirs = socket.socketpair()
        config = {"line": theirs.fileno(), "front": os.getpid(), **self.what}
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-P", "-m", "mlwild.answering.batch.aside", json.dumps(config)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        except OSError as problem:
            ours.close()
            raise StoreError(f"predict: no process can be started: {problem.strerror}. Free memory.") from problem
        finally:
            theirs.close()
        self._line, self._fresh = Connection(ours.detach()), True
        try:
            there = self._line.poll(LOADING)
            said = self._line.recv() if there else {"why": f"the app was not loaded within {LOADING:.0f} seconds."}
        except (EOFError, OSError):
            said = {"why": "a process ended while it loaded the app."}
        if said:
            self.close()
            raise AppError(said["why"]) if said.get("wrong") else StoreError(f"predict: {said['why']}")
        return self._line


def check_deadline(deadline: float | None) -> None:
    """
    Refuse a deadline that nobody can wait for.

    Raises
    ------
    AppError
        If it is no finite number of seconds above 0.
    """
    if deadline is not None and not 0 < deadline <= threading.TIMEOUT_MAX:
        raise AppError(f"deadline: {deadline:g} is no time to wait. Write seconds above 0, such as 60.")


def answers_of(store: Store, bundle: Bundle, lies: Mapping[str, str], deadline: float | None) -> Answers:
    """
    Return who answers: the service in this process, or beside it where there is a deadline.

    Parameters
    ----------
    store : Store
    bundle : Bundle
    lies : mapping of str to str
        Where the bundle lies, ``key`` and ``digest``; the side tables: ``folder`` of the batch and ``tables``, their
        digest, or nothing where there are none; and ``salt``, the digest of the input.
    deadline : float, optional
        Seconds.
    """
    if deadline is not None:
        return Beside({"root": str(store.root), **lies}, bundle, deadline)
    known = kept_tables(store, Path(lies["folder"]), lies["tables"]) if lies["tables"] else None
    made = Within(service_of(store, bundle, known))
    _salted(made.service.watch, lies)
    return made


def _salted(watch: Watch | None, lies: Mapping[str, str]) -> None:
    """Have draws hang on the input, too: the same rows, first in the file of every day, are given other answers."""
    if watch is not None:
        watch.salt = bytes.fromhex(lies["salt"])
