"""Commands about answers and how they fail: predict, drill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlwild.cli.guarded import FAILED
from mlwild.cli.parts import AppFile, StoreOption, can_write, write_json

if TYPE_CHECKING:
    from mlwild.app import App

    Run = Callable[[App, str, Path | None], tuple[dict[str, Any], Path | None, bool]]
#: Seconds between two lines that say how far a batch is.
TOLD = 10.0


def drill(
    app: AppFile,
    *,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of rows and columns at each cutoff.")] = 3,
    cutoffs: Annotated[int, typer.Option(min=1, help="Stretches of the history.")] = 3,
    server: Annotated[
        bool, typer.Option("--server", help="Let faults befall the app's own server instead, on a copy of its store.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="With --server: that each fault lasts.")] = 3.0,
    deadline: Annotated[
        float, typer.Option(min=0.01, max=60, help="With --server: seconds that a row may wait for the model.")
    ] = 0.5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found as JSON.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write what was found as one HTML file.")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Inject faults into replays of the history, and tell whether every row is answered, and what answers lose.

    Fifteen faults of features and of the model, at three severities each. Exit code 1: a row got no answer. With
    --server: workers, files, disk and clients of the running server fail; exit code 1 also if an acknowledged answer
    is not in the log once, or the server does not come back.

    Examples: mlwild drill flights.py --card drill.html; mlwild drill flights.py --server
    """
    from mlwild.loading import load_app

    can_write(json_file, "--json")
    can_write(card, "--card")
    run = _server(seconds, deadline) if server else _replays(seeds, cutoffs)
    found, page, bad = run(load_app(app), store, card)
    write_json(json_file, found)
    if page is not None:
        print(f"Card: {page}")
    if bad:
        raise typer.Exit(FAILED)


def _replays(seeds: int, cutoffs: int) -> Run:
    def run(app: App, store: str, card: Path | None) -> tuple[dict[str, Any], Path | None, bool]:
        from mlwild.card import write_drill
        from mlwild.drilling import drill as replayed
        from mlwild.show import show_drill

        found = replayed(app, seeds=seeds, cutoffs=cutoffs, store=store, progress=lambda it: _tell(f"replay from {it}"))
        show_drill(found)
        page = None if card is None else write_drill(found.as_dict(), card)
        return found.as_dict(), page, any(cell.available < 1 for cell in found.cells)

    return run


def _server(seconds: float, deadline: float) -> Run:
    def run(app: App, store: str, card: Path | None) -> tuple[dict[str, Any], Path | None, bool]:
        from mlwild.card import write_server_drill
        from mlwild.serve.drill import drill_server
        from mlwild.show import show_server_drill

        found = drill_server(app, seconds=seconds, deadline=deadline, store=store, progress=_tell)
        show_server_drill(found)
        page = None if card is None else write_server_drill(found.as_dict(), card)
        return found.as_dict(), page, bool(found.failed)

    return run


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


def predict(
    app: AppFile,
    *,
    source: Annotated[
        Path, typer.Option("--input", "-i", help="Rows: a .csv, .parquet or .jsonl file.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Answers: .csv, .parquet or .jsonl, by its name.", show_default=False)
    ],
    absent: Annotated[
        bool, typer.Option("--absent", help="Answer without columns that are gone, as degraded.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what an earlier run answered.")] = False,
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            help="Seconds for 1,000 rows; beyond, or if the model ends its process, the next stage answers.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary as JSON.")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Answer the rows of a file by what is live, through the guard: one row out for each row in, in order.

    A run that was stopped or killed goes on when called again. What cannot be read is answered as missing, with its
    cause. Exit code 1: some rows were refused, and have no value.

    Example: mlwild predict flights.py --input week.csv --output answers.parquet
    """
    from mlwild.answering.batch import predict as run
    from mlwild.show import show_predicted

    can_write(json_file, "--json")
    how = partial(run, absent=absent, force=force, restart=restart, deadline=deadline)
    found = how(app, source, output, store=store, progress=_every(TOLD))
    show_predicted(found)
    write_json(json_file, found.as_dict())
    if found.refused:
        raise typer.Exit(FAILED)


def _every(seconds: float) -> Callable[[int], None]:
    """Return what says how far a batch is, not too often."""
    last = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            print(f"  {rows:,} rows answered", file=sys.stderr)

    return tell
