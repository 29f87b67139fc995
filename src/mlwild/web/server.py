"""The pages, served to this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from mlwild.hosts import answered, listening
from mlwild.rehearsal import STORE
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

    with listening(host, port, "mlwild ui") as listener:
        pages = site(Workspace(Path(store), answered(host)))
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
