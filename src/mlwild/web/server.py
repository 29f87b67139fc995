"""The pages, served to this machine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from mlwild.errors import AppError
from mlwild.rehearsal import STORE
from mlwild.web.guard import ANY, LOCAL
from mlwild.web.site import site
from mlwild.web.workspace import Workspace

#: Seconds that answers on their way get when it is ended.
GRACE = 2


def serve(
    store: str | Path = STORE,
    *,
    port: int = 8642,
    host: str = "127.0.0.1",
    ready: Callable[[str], None] | None = None,
) -> None:
    """
    Serve the pages of a workspace until interrupted.

    Parameters
    ----------
    store : str or Path
    port : int
        0 for any that is free.
    host : str
        Address to listen at. There is no password: leave it at this machine's own.
    ready : callable, optional
        Called with the address once it listens.

    Raises
    ------
    AppError
        If the port is taken, or the address is not this machine's.
    """
    import uvicorn

    with _listening(host, port) as listener:
        # Behind "all addresses of this machine" no name is known: who calls must name it in figures.
        hosts = () if host in LOCAL else (ANY,) if host in ("0.0.0.0", "::") else (host.lower(),)  # noqa: S104
        pages = site(Workspace(Path(store), hosts))
        config = uvicorn.Config(
            pages,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=GRACE,
        )
        if ready is not None:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listener.getsockname()[1]}/")
        # How it is ended: nothing is lost by it.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # at once, so that a second one is refused
    except OSError as problem:
        listener.close()
        raise AppError(
            f"--port: {host}:{port} cannot be listened at: {problem.strerror or problem}. Another mlwild ui may be "
            "running; name another port, or 0 for any that is free."
        ) from problem
    return listener
