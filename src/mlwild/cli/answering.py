"""Commands about answers and how they fail: drill."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli.guarded import FAILED
from mlwild.cli.parts import AppFile, StoreOption, can_write, write_json


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
