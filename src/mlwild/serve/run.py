"""Serve an app until it is ended: start workers, log and door, and end them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlwild.app import App
from mlwild.errors import AppError
from mlwild.hosts import LOCAL, answered, listening
from mlwild.rehearsal import STORE
from mlwild.served import SERVED

if TYPE_CHECKING:
    from mlwild.serve.arms import Standing
    from mlwild.serve.front import Limits

#: Seconds that answers on their way get when the server is ended.
GRACE = 20
#: Seconds between two readings of side tables.
REFRESH = 300.0
#: Seconds between two looks at the keys.
LOOK = 0.5
#: File descriptors: clients may hold connections that they do not ask on (of requests the door takes so many at once).
FILES = 4_096


def serve(
    app: App | str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    store: str | Path = STORE,
    log_window: float = 0.0,
    refresh: float = REFRESH,
    limits: Limits | None = None,
    keys: bool | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """
    Answer requests by what is live, until interrupted or terminated.

    Every request gets an answer with a status, whatever the model does: it runs in processes of its own, and what it
    does not answer within the deadline is answered without it. What is answered is on the disk before it is
    acknowledged: `mlwild.serve.read_log` reads it back. When a tick puts another vintage in place, the server follows
    without dropping a request.

    Parameters
    ----------
    app : App, str or Path
        The app file, or an app that was loaded from one.
    host : str
        Address to listen at; any but this machine's own needs keys.
    port : int
        0 for any that is free.
    store : str or Path
        As for `mlwild.operate`.
    log_window : float
        Seconds that acknowledged answers may be lost for if the machine loses its power; 0 syncs first.
    refresh : float
        Seconds between two readings of the app's side tables; 0: they are as they were at the last tick.
    limits : Limits, optional
        `mlwild.serve.front.Limits`: deadline, sizes, and whether answers go on while the log cannot be written.
    keys : bool, optional
        Whether callers need a key; default where the host is not this machine's own.
    ready : callable, optional
        Called with the address once it answers.

    Raises
    ------
    AppError
        If the app is not in operation, the port is taken, or another host has no keys.
    StoreError
        If the model that is live is gone or changed, or the log cannot be written.
    BusyError
        If another server serves the same app from the same store.
    """
    from mlwild.serve.front import Limits as Standard

    file = app.file if isinstance(app, App) else Path(app)
    if file is None:
        raise AppError("app: it was not loaded from a file, and workers read it from there. Give the path of one.")
    if not 0 <= log_window <= 60:
        raise AppError(f"log_window: {log_window} is not from 0 to 60 seconds.")
    if not 0 <= refresh < math.inf:
        raise AppError(f"refresh: {refresh} is no number of seconds, or 0.")
    if keys is False and host not in LOCAL:
        raise AppError(f"host: {host!r} can be reached from elsewhere, and needs keys.")
    with listening(host, port, "mlwild serve") as listener:
        wanted = _Wanted(file, str(store), host, log_window, refresh)
        wanted.keys, wanted.ready = host not in LOCAL if keys is None else keys, ready
        with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop()) as runner:
            runner.run(_serve(listener, wanted, limits or Standard()))


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the quicker loop, where there is one."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


class _Wanted:
    """How a server is to run: the arguments of `serve`."""

    def __init__(self, file: Path, store: str, host: str, window: float, refresh: float) -> None:
        self.file, self.store, self.host, self.window, self.refresh = file, store, host, window, refresh
        self.keys = False
        self.ready: Callable[[str], None] | None = None


async def _serve(listener: socket.socket, wanted: _Wanted, limits: Limits) -> None:
    import uvicorn

    from mlwild.serve.arms import Arms
    from mlwild.serve.door import Door
    from mlwild.serve.front import Front, application
    from mlwild.serve.head import Connection
    from mlwild.serve.keys import FILE, Keys
    from mlwild.serve.log import Log
    from mlwild.serve.process import Order
    from mlwild.serve.refreshing import refresh

    class Server(uvicorn.Server):
        """One that leaves signals to us: it would end the process by them, and not with 0."""

        until = math.inf  # when all that is on its way must have ended

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    fronts: list[Front] = []

    def follow(standing: Standing) -> None:
        for front in fronts:
            front.follow(standing)

    arms = Arms(Order(str(wanted.file), wanted.store, "champion"), limits.deadline, follow)
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, main.cancel)
    tasks: list[asyncio.Task[Any]] = []
    log: Log | None = None
    server: Server | None = None
    try:
        standing = await arms.start()
        keys = Keys(arms.folder.parent.parent / FILE)
        known = keys.all() if wanted.keys else None
        if known == ():
            raise AppError(f"keys: there is none, and {wanted.host} needs one. Make it with {_adds(keys.path.parent)}.")
        log = Log(arms.folder / SERVED, wanted.window)
        front = Front(arms, log, limits)
        front.remember()
        fronts.append(front)
        front.follow(standing)
        door = Door(application(front), limits.body, front.meters.request, answered(wanted.host), known)
        followers = arms.watch(), arms.mend(), _follow(keys, door), refresh(arms, wanted.refresh)
        tasks = [loop.create_task(one) for one in followers]
        config = uvicorn.Config(
            door,
            http=Connection,
            log_level="error",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE,
        )
        server = Server(config)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _ended, server)
        _settle()
        _make_room()
        if wanted.ready is not None:
            shown = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
            wanted.ready(f"http://{shown}:{listener.getsockname()[1]}")
        await server.serve(sockets=[listener])
        await front.finish()
    except asyncio.CancelledError:  # ended while it was loading
        return
    finally:
        for task in tasks:
            task.cancel()
        if log is not None:
            left = GRACE if server is None else server.until - loop.time()
            await log.close(min(max(left, 1.0), GRACE))
        await arms.close(0.0)


def _adds(store: Path) -> str:
    """Return the command that adds a key to a store: of another folder than this one's, it has to be named."""
    here = store.resolve() == Path(STORE).resolve()
    return "mlwild serve keys add NAME" + ("" if here else f" --store {shlex.quote(str(store))}")


def _ended(server: Any) -> None:
    """Stop taking requests and finish those on their way; at the second signal, not even that."""
    server.force_exit = server.should_exit
    server.should_exit = True
    left = 0 if server.force_exit else GRACE
    server.until = min(server.until, asyncio.get_running_loop().time() + left)


def _settle() -> None:
    """Make pauses short: what is there stays, and threads take turns more often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.0005)


def _make_room() -> None:
    """Allow as many file descriptors as connections need, where the machine lets us."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _follow(keys: Any, door: Any) -> None:
    """Follow the file of the keys: one that is revoked is refused within a second."""
    if door.keys is None:
        return
    while True:
        await asyncio.sleep(LOOK)
        with contextlib.suppress(OSError):  # who cannot read the file now keeps to what it knew
            door.keys = keys.all()
