"""The command `mlwild patch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli_parts import AppFile, StoreOption, can_write, write_json


def patch(
    app: AppFile,
    *,
    slice_: Annotated[
        str | None,
        typer.Option(
            "--slice",
            help="Rows the model fails on: a condition such as \"carrier = 'EV'\", or a function of the app file.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model to mend.", show_default="the first")] = None,
    cutoffs: Annotated[int, typer.Option(min=4, help="At how many cutoffs remedies are rehearsed.")] = 8,
    transform: Annotated[
        str | None, typer.Option("--transform", help="A function f(X, rng) of the app file, for augmentation.")
    ] = None,
    abstain: Annotated[
        float | None,
        typer.Option("--abstain", min=0.0, help="What a row costs that is not answered, in units of loss."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found as JSON.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Rehearse remedies for a slice on which the model fails: what each does to it next, and what it costs elsewhere.

    Example: mlwild patch flights.py --slice "carrier = 'EV'"
    """
    from mlwild.loading import load_app, load_function
    from mlwild.patching import patch as run
    from mlwild.show import fits_bar, show_patch

    can_write(json_file, "--json")
    loaded = load_app(app)
    meant = load_function(app, slice_, "--slice") if slice_ is not None and slice_.isidentifier() else slice_
    changed = None if transform is None else load_function(app, transform, "--transform")
    with fits_bar() as progress:
        found = run(
            loaded,
            meant,
            model=model,
            cutoffs=cutoffs,
            transform=changed,
            abstain=abstain,
            store=store,
            jobs=jobs,
            progress=progress,
        )
    show_patch(found)
    write_json(json_file, found)
