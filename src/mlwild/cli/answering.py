"""Commands about answers and how they fail: predict, drill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli.guarded import FAILED
from mlwild.cli.parts import AppFile, StoreOption, can_write, write_json

#: Seconds between two lines that say how far a batch is.
TOLD = 10.0


def drill(
    app: AppFile,
    *,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of rows and columns at each cutoff.")] = 3,
    cutoffs: Annotated[int, typer.Option(min=1, help="Stretches of the history.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found as JSON.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write what was found as one HTML file.")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Inject faults into replays of the history, and tell whether every row is answered, and what answers lose.

    Fourteen faults of features and of the model, at three severities each. Exit code 1: a row got no answer.

    Example: mlwild drill flights.py --card drill.html
    """
    from mlwild.card import write_drill
    from mlwild.drilling import drill as run
    from mlwild.loading import load_app
    from mlwild.show import show_drill

    can_write(json_file, "--json")
    can_write(card, "--card")
    found = run(
        load_app(app),
        seeds=seeds,
        cutoffs=cutoffs,
        store=store,
        progress=lambda text: print(f"  replay from {text}", file=sys.stderr),
    )
    show_drill(found)
    write_json(json_file, found.as_dict())
    if card is not None:
        print(f"Card: {write_drill(found.as_dict(), card)}")
    if any(cell.available < 1 for cell in found.cells):
        raise typer.Exit(FAILED)


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
    found = run(app, source, output, store=store, absent=absent, force=force, restart=restart, progress=_every(TOLD))
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
