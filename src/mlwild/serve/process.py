"""A worker process as the front process holds it: started, asked, watched and ended."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mlwild.answering.telling import tell
from mlwild.errors import AppError, MlwildError, StoreError
from mlwild.serve.messages import LOADED, SENT, TABLES, Box, packed, shared_slate

#: What Python is given before our modules: nothing, but in a server that the drill started (`serve.drill.moved`).
ENTRY: tuple[str, ...] = ()
#: Seconds that loading app, data and model may take.
LOADING = 600.0
#: Seconds that its models may then take for their first answers: one that hangs may be well when it is started anew.
WARMING = 60.0
#: What an answer is made of, in order: see `mlwild.serve.worker.packable`.
Lists = Sequence[list[Any]]


@dataclass(frozen=True)
class Order:
    """
    What is to answer.

    Parameters
    ----------
    file : str
        The app file.
    store : str
    arm : {"champion", "canary", "shadow"}
    said : dict or None
        What is live; None for what the file in the store says.
    """

    file: str
    store: str
    arm: str
    said: dict[str, Any] | None = None


@dataclass(frozen=True)
class Kept:
    """
    What a worker is started with: a bundle of the store.

    Parameters
    ----------
    root : str
        Of the store.
    key, digest : str
    tables : (str, str), optional
        Key and digest of side tables that were read since.
    """

    root: str
    key: str
    digest: str
    tables: tuple[str, str] | None = None


async def kept(order: Order) -> Kept:
    """
    Have what is live bundled, in a process of its own that reads the history.

    Raises
    ------
    AppError, StoreError
        With what it says, or if it dies or takes too long.
    """
    return Kept(**await _said_by("bundling", vars(order)))


async def fresh_tables(what: Kept, keep: Sequence[str] = ()) -> tuple[str, str] | None:
    """
    Have the side tables of a bundle read anew, in a process of its own; return key and digest of what they hold now.

    None: the app of the bundle has none. Those that are kept for any worker are named: they are not thrown away.

    Raises
    ------
    AppError, StoreError
        With what it says, or if it dies or takes too long.
    """
    said = await _said_by("tables", vars(what) | {"keep": list(keep)})
    return None if said["tables"] is None else (said["tables"][0], said["tables"][1])


async def _said_by(module: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a module of answering says that runs in a process of its own."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            *ENTRY,
            "-c",  # not -m: the package imports the module first
            f"from mlwild.answering.{module} import main; main()",
            json.dumps(asked),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
    except OSError as problem:
        raise _no_process(problem) from problem
    try:
        async with asyncio.timeout(LOADING):
            out, _ = await process.communicate()
    except TimeoutError:
        raise StoreError(f"serve: what is live was not made ready within {LOADING:.0f} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
    try:
        said: dict[str, Any] = json.loads(out)
    except ValueError:
        raise StoreError("serve: the process that makes ready what is live died.") from None
    if "why" in said:
        raise _problem(said)
    return said


def _no_process(problem: OSError) -> StoreError:
    """Return what is said where the machine has no room for a process now; it may have later."""
    return StoreError(f"serve: no process can be started: {problem.strerror}. Free memory or file descriptors.")


def _problem(said: Mapping[str, Any]) -> MlwildError:
    return AppError(said["why"]) if said["wrong"] else StoreError(said["why"])


class Worker(asyncio.Protocol):
    """
    One worker process; it answers one question at a time.

    Parameters
    ----------
    lost : callable
        Called with the worker when its process is gone.
    """

    def __init__(self, lost: Callable[[Worker], None]) -> None:
        self.told: dict[str, Any] = {}
        self.since = self.asked_at = 0.0
        self.hung = self.gone = False
        self._lost, self._box = lost, Box()
        self._loop = asyncio.get_running_loop()
        self._said: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._done: Callable[[Lists | None, float, str], None] | None = None
        self._number = 0
        self._limit: asyncio.Timeout | None = None
        self._warms = False
        self._loaded: asyncio.Future[str] | None = None
        self._slate: memoryview | None = None
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    async def start(what: Kept, lost: Callable[[Worker], None]) -> Worker:
        """
        Start a process and wait until it can answer.

        Raises
        ------
        AppError, StoreError
            If it says that it cannot, with its sentence; or if it dies or takes too long.
        """
        worker = Worker(lost)
        try:
            ours, theirs = socket.socketpair()
        except OSError as problem:
            raise _no_process(problem) from problem
        try:
            shared, worker._slate = shared_slate()
        except OSError as problem:
            ours.close()
            theirs.close()
            raise _no_process(problem) from problem
        config = {"line": theirs.fileno(), "slate": shared, "front": os.getpid(), **vars(what)}
        try:
            worker._process = subprocess.Popen(  # noqa: S603, ASYNC220  our own module, not waited for
                [sys.executable, "-P", *ENTRY, "-m", "mlwild.serve.worker", json.dumps(config)],
                pass_fds=[theirs.fileno(), shared],
                stdin=subprocess.DEVNULL,
            )
        except OSError as problem:
            ours.close()
            raise _no_process(problem) from problem
        finally:
            theirs.close()
            os.close(shared)
        ours.setblocking(False)  # noqa: FBT003  the name of the standard library
        try:
            async with asyncio.timeout(LOADING) as worker._limit:
                await worker._loop.create_connection(lambda: worker, sock=ours)
                said = await worker._said
        except TimeoutError:
            worker.kill()
            raise worker._too_long() from None
        except BaseException:
            worker.kill()
            raise
        if "why" in said:
            worker.kill()
            raise _problem(said)
        worker.told = said
        worker.since = worker._loop.time()
        return worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold the line."""
        self._transport = cast("asyncio.Transport", transport)  # of whatever loop: they share no class

    def data_received(self, data: bytes) -> None:
        """Take what the process says: first what it is, then answers."""
        for message in self._box.add(data):
            if message == LOADED:
                self._warms = True
                if self._limit is not None and not (self._limit.expired() or self._said.done()):
                    self._limit.reschedule(self._loop.time() + WARMING)
                continue
            if not self._said.done():
                self._said.set_result(message)
                continue
            number, lists, seconds, why = message
            if number == TABLES:
                self._reloaded(why)
                continue
            done = self._done
            if done is not None and number == self._number:
                self._done = None
                done(lists, seconds, why)

    def _too_long(self) -> StoreError:
        """Return what is said of one that does not come up in time."""
        if self._warms:
            return StoreError(f"serve: a model gave no first answer within {WARMING:.0f} seconds.")
        return StoreError(f"serve: the app was not loaded within {LOADING:.0f} seconds.")

    def connection_lost(self, problem: Exception | None) -> None:
        """Take note that the process is gone."""
        self.gone = True
        self._reloaded("")
        if not self._said.done():
            self._said.set_exception(StoreError("serve: a worker process died while it loaded the app."))
        else:
            self.kill()
            self._done = None
            self._lost(self)
        # It holds a file descriptor, and Python's collector may come by for this object after days.
        self._slate = None

    @property
    def idle(self) -> bool:
        """Whether it can be asked; one that is gone cannot, even before its loss is known."""
        return self._done is None and self._transport is not None and not self._transport.is_closing()

    def ask(self, stage: int, columns: Lists, done: Callable[[Lists | None, float, str], None]) -> None:
        """Ask for answers; `done` gets them with the seconds that they took, or None and why there are none."""
        assert self.idle
        assert self._transport is not None
        self._number += 1
        self._done = done
        self.asked_at = self._loop.time()
        self._transport.write(packed((self._number, stage, columns)))

    async def load(self, tables: tuple[str, str]) -> None:
        """
        Have it answer by other side tables from its next call on; it goes on with those it has if it cannot.

        One that is gone has nothing to load; one that does not say in time that it has is killed.
        """
        assert self._transport is not None
        if self.gone or self._transport.is_closing():
            return
        loaded = self._loaded = self._loop.create_future()
        self._transport.write(packed((TABLES, 0, [list(tables)])))
        try:
            async with asyncio.timeout(LOADING):
                why = await loaded
        except TimeoutError:
            self.hung = True
            self.kill()
            why = f"a worker did not load side tables within {LOADING:.0f} seconds, and is started anew."
        if why:
            tell(why)

    def _reloaded(self, why: str) -> None:
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_result(why)

    @property
    def reached(self) -> int:
        """How far it is with its call; what it wrote last, if its process is gone."""
        if self._slate is None:  # who lost it was told before
            return SENT
        number, reached = divmod(self._slate[0], 4)
        return reached if number == self._number else SENT

    @property
    def pid(self) -> int:
        """Number of the process."""
        return 0 if self._process is None else self._process.pid

    def kill(self) -> None:
        """End the process at once."""
        if self._transport is not None:
            self._transport.abort()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            # What is killed ends at once; nobody else collects it.
            self._loop.run_in_executor(None, self._process.wait)


def there(worker: Worker) -> Worker:
    """Return a worker that is started, unless it has died since."""
    if worker.gone:
        raise StoreError("serve: a worker process died as soon as it had loaded the app.")
    return worker


async def current(kept: Callable[[], Kept], lost: Callable[[Worker], None]) -> Worker:
    """
    Start a worker that has the side tables of now: others may come while it is starting.

    Parameters
    ----------
    kept : callable
        Returns what it is to be started with by now.
    lost : callable
        Called with the worker when its process is gone.

    Raises
    ------
    AppError, StoreError
        If it cannot be started, or has died since.
    """
    what = kept()
    worker, had = there(await Worker.start(what, lost)), what.tables
    try:
        while (tables := kept().tables) is not None and tables != had:
            had = tables
            await worker.load(tables)
            there(worker)
    except BaseException:  # nobody else knows of it yet
        worker.kill()
        raise
    return worker
