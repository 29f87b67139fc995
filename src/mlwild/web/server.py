"""The pages, served to this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from mlwild.errors import AppError
from mlwild.rehearsal import STORE
from mlwild.web.site import Workspace, site


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

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        raise AppError(
            f"--port: {host}:{port} cannot be listened at: {problem.strerror or problem}. Another mlwild ui may be "
            "running; name another port, or 0 for any that is free."
        ) from problem
    with listener:
        hosts = () if host in ("127.0.0.1", "::1", "localhost") else (host,)
        config = uvicorn.Config(site(Workspace(Path(store), hosts)), log_level="warning", access_log=False)
        if ready is not None:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])
