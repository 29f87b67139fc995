"""The command that answers requests: serve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli.parts import StoreOption
from mlwild.errors import AppError

DEADLINE, BODY, ROWS, WAITING = 0.5, 1 << 20, 10_000, 20_000


def serve(
    app: Annotated[str, typer.Argument(help="The app file, such as flights.py; or the word keys.", show_default=False)],
    what: Annotated[
        list[str] | None, typer.Argument(help="After keys: add NAME, list, or revoke NAME.", show_default=False)
    ] = None,
    *,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; any but this machine's own needs keys.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8000,
    deadline: Annotated[
        float, typer.Option("--deadline", min=0.01, max=60, help="Seconds that a row may wait for the model.")
    ] = DEADLINE,
    log_window: Annotated[
        float,
        typer.Option("--log-window", min=0, max=60, help="Seconds of answers that a power cut may cost; 0 for none."),
    ] = 0.0,
    refresh: Annotated[
        float, typer.Option("--refresh", min=0, help="Seconds between two readings of side tables; 0: at ticks alone.")
    ] = 300.0,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=100, help="Of the body of a request.")] = BODY,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Of a request.")] = ROWS,
    max_waiting: Annotated[int, typer.Option("--max-waiting", min=1, help="Rows that may wait at once.")] = WAITING,
    unlogged: Annotated[
        bool, typer.Option("--unlogged", help="Go on answering while the log cannot be written (a full disk).")
    ] = False,
    store: StoreOption = ".mlwild",
) -> None:
    """Answer requests by what is live: every one, with a status, and logged before it is acknowledged.

    Examples: mlwild serve flights.py; mlwild serve keys add till; mlwild serve flights.py --host 0.0.0.0
    """
    if app == "keys":
        _keys(what or [], store)
        return
    if what:
        raise AppError(f"serve: {' '.join(what)!r} is one word too many. Give the app file alone.")
    from mlwild.serve import serve as run
    from mlwild.serve.front import Limits

    run(
        Path(app),
        host=host,
        port=port,
        store=store,
        log_window=log_window,
        refresh=refresh,
        limits=Limits(deadline, max_bytes, max_rows, max_waiting, unlogged),
        ready=lambda address: print(f"{address} answers for {app}  (Ctrl-C ends it)", flush=True),
    )


def _keys(what: list[str], store: str) -> None:
    from mlwild.serve.keys import FILE, Keys

    keys = Keys(Path(store) / FILE)
    match what:
        case ["add", name]:
            secret = keys.add(name)
            print(f"{secret}\nThis is shown once. Send it as: Authorization: Bearer KEY")
        case ["list"] | []:
            for one in keys.all():
                print(f"{one.name}  made {one.made}")
            if not keys.all():
                print(f"No key in {store}. Make one with mlwild serve keys add NAME.", file=sys.stderr)
        case ["revoke", name]:
            keys.revoke(name)
            print(f"Revoked {name}.")
        case _:
            raise AppError("keys: say add NAME, list, or revoke NAME.")
