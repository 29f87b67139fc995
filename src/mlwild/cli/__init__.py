"""The command line: parse, call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlwild import __version__
from mlwild.cli import answering, deploying, operating, rehearsing, releasing, serving, versions
from mlwild.cli.data import data
from mlwild.cli.guarded import guarded

HELP = """Rehearse a model's life in production over its own history.

Exit codes: 0 done or passed, 1 a check or a test failed, 2 wrong usage or a wrong field of the app,
3 undecided (no test is red, but some have too few rows to be green), 4 could not run
(data, store, or your own code raised), 130 interrupted."""

cli = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _command in (
    rehearsing.new,
    rehearsing.check,
    rehearsing.rehearse,
    rehearsing.compare,
    releasing.gate,
    releasing.waive,
    releasing.stress,
    releasing.patch,
    answering.drill,
    answering.predict,
    rehearsing.card,
    operating.operate,
    deploying.deploy,
    deploying.rollback,
    deploying.shadow,
    serving.serve,
    operating.status,
    versions.history,
    versions.show,
    versions.reproduce,
    operating.export,
    operating.ui,
):
    cli.command()(guarded(_command))

cli.add_typer(data, name="data")


def main() -> None:
    """Run the command line; the entry point of `mlwild`."""
    cli()
