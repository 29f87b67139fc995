"""The command line: parse, call, print."""

from __future__ import annotations

import difflib
import functools
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from mlwild import __version__
from mlwild.cli_parts import AppFile, StoreOption
from mlwild.cli_parts import can_write as _can_write
from mlwild.cli_parts import write as _write
from mlwild.cli_parts import write_json as _write_json
from mlwild.cli_patch import patch
from mlwild.errors import AppError, MlwildError

HELP = """Rehearse a model's life in production over its own history.

Exit codes: 0 done or passed, 1 a check or a test failed, 2 wrong usage or a wrong field of the app,
3 undecided (no test is red, but some have too few rows to be green), 4 could not run
(data, store, or your own code raised), 130 interrupted."""

FAILED, WRONG, UNDECIDED, COULD_NOT, INTERRUPTED = 1, 2, 3, 4, 130

P = ParamSpec("P")

cli = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


class SplitChoice(StrEnum):
    """Which split schemes a rehearsal auditions."""

    free = "free"
    all = "all"


class Better(StrEnum):
    """Which direction of a metric is better."""

    more = "greater"
    less = "lower"


def _guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn whatever a command raises into one sentence and an exit code."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            print("\nStopped. What was fitted is kept; run the same command to go on.", file=sys.stderr)
            code = INTERRUPTED
        except MlwildError as problem:
            print(f"mlwild: {problem}", file=sys.stderr)
            code = WRONG if isinstance(problem, AppError) else COULD_NOT
        except (typer.Exit, typer.Abort):
            raise
        except Exception as problem:  # noqa: BLE001  the user's own file or functions raised
            _print_users_part(problem)
            said = " ".join(str(problem).split())[:300]
            print(f"mlwild: {_users_frame(problem)} raised {type(problem).__name__}: {said}", file=sys.stderr)
            code = COULD_NOT
        else:
            return
        raise typer.Exit(code)

    return call


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


@cli.command()
@_guarded
def new(path: Annotated[Path, typer.Argument(help="The file to write, such as churn.py.", show_default=False)]) -> None:
    """Write a commented starter app that runs as it is.

    Example: mlwild new churn.py
    """
    from mlwild.starting import new as write

    written = write(path)
    print(f"Wrote {written}. Next: mlwild check {written}, then mlwild rehearse {written}.")


@cli.command()
@_guarded
def check(
    app: AppFile,
    cutoffs: Annotated[int, typer.Option(min=1, help="At how many random instants to cut the future off.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the instants and shuffles.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON.")] = None,
    contract: Annotated[
        Path | None, typer.Option("--contract", help="Default: APP.contract.toml beside APP.py.")
    ] = None,
    *,
    write_contract: Annotated[
        bool, typer.Option("--write-contract", help="Only write the contract, from the history.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an older contract.")] = False,
) -> None:
    """Look for features that know the future, hold the data against their contract, report when labels are known.

    Example: mlwild check flights.py --write-contract
    """
    from mlwild.checks import check as run
    from mlwild.checks import with_contract
    from mlwild.checks import write_contract as write
    from mlwild.loading import load_app
    from mlwild.show import show_check

    _can_write(json_file, "--json")
    if write_contract:
        path = contract or app.with_suffix(".contract.toml")
        _can_write(path, "--contract")
        print(write(load_app(app), path, force=force).said)
        return
    report = run(with_contract(load_app(app), contract), cutoffs=cutoffs, seed=seed)
    show_check(report)
    _write_json(json_file, report.as_dict())
    if not report.passed:
        raise typer.Exit(FAILED)


@cli.command()
@_guarded
def rehearse(
    app: AppFile,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answer sheet as JSON.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write the card, one HTML file.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
    splits: Annotated[
        SplitChoice, typer.Option("--splits", help="all: cross-validation too, at a few cutoffs; it fits models.")
    ] = SplitChoice.free,
    every_rule: Annotated[bool, typer.Option("--all-rules", help="Show every rule, not only the first dozen.")] = False,
) -> None:
    """Replay the app's history: how fast the model ages, and what each retraining rule would have cost.

    Example: mlwild rehearse flights.py --card flights.html --json flights.json
    """
    from mlwild.loading import load_app
    from mlwild.rehearsal import rehearse as run
    from mlwild.show import fits_bar, show_sheet

    _can_write(json_file, "--json")
    _can_write(card, "--card")
    loaded = load_app(app)
    with fits_bar() as progress:
        rehearsal = run(loaded, splits=splits.value, store=store, jobs=jobs, progress=progress)
    show_sheet(rehearsal.sheet, every_rule=every_rule)
    _write_json(json_file, rehearsal.sheet)
    if card is not None:
        print(f"Card: {rehearsal.card(card)}")
    else:
        print(f"Card: mlwild card {app}")


@cli.command()
@_guarded
def compare(
    path: Annotated[Path, typer.Argument(help="The app file, or a CSV, XLSX or Parquet of past experiments.")],
    *,
    metric: Annotated[str | None, typer.Option("--metric", help="Experiments: the column to compare by.")] = None,
    better: Annotated[Better | None, typer.Option("--better", help="Experiments: which is better.")] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="Experiments: a column of what was tried.")] = None,
    seed_column: Annotated[str | None, typer.Option("--seed-column", help="Experiments: the column of seeds.")] = None,
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", help="Among the best: worst_case, costs a=3,b=1, or names, simplest first: a,b."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the comparison as JSON.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write the comparison as one HTML file.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Say which model is better, by a procedure that suits the data; of an app, or of past experiments.

    Examples: mlwild compare flights.py; mlwild compare runs.csv --metric accuracy --by model --card runs.html
    """
    from mlwild.card import write_comparison
    from mlwild.comparisons import compare as run
    from mlwild.comparisons import read_experiments, read_prefer
    from mlwild.show import fits_bar, show_comparison

    _can_write(json_file, "--json")
    _can_write(card, "--card")
    rule = None if prefer is None else read_prefer(prefer)
    extra: dict[str, object] = {}
    if path.suffix != ".py":
        table = read_experiments(path, metric=metric, better=better, by=by, seed=seed_column)
        found, title, facts, findings = run(table, prefer=rule), path.name, table.said, list(table.findings)
        measure, extra = {"name": table.schema.metric, "better": table.schema.better}, table.as_dict()
    else:
        from mlwild.comparing import compare_app, measure_of
        from mlwild.loading import load_app

        if metric or better or by or seed_column:
            raise AppError(
                "--metric, --better, --by and --seed-column: they are for a table of experiments, not an app."
            )
        loaded = load_app(path)
        with fits_bar() as progress:
            found, facts, findings = compare_app(loaded, prefer=rule, store=store, jobs=jobs, progress=progress)
        title, measure = loaded.name, measure_of(loaded)
    show_comparison(found, title=title, facts=facts, findings=findings)
    _write_json(json_file, found.as_dict() | extra)
    if card is not None:
        page = write_comparison(found, card, title=title, facts=facts, findings=findings, measure=measure)
        print(f"Card: {page}")


@cli.command()
@_guarded
def gate(
    app: AppFile,
    *,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the verdicts as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the verdicts as JUnit XML.")] = None,
    past: Annotated[
        bool, typer.Option("--past/--no-past", help="Run the suite on past champions too: does it block good ones?")
    ] = True,
    undecided_passes: Annotated[
        bool, typer.Option("--undecided-passes", help="Exit with 0 where nothing is red, though not all is green.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Judge the app's candidate by every test; one red test blocks.

    Runs the app's tests, and those in the file beside it (churn_tests.py for churn.py). Waivers are in
    churn.waivers.toml: see mlwild waive.

    Example: mlwild gate flights.py --json gate.json
    """
    from mlwild.clock import today
    from mlwild.gating import judge, suite_of, waivers_beside
    from mlwild.loading import load_app, load_tests
    from mlwild.show import fits_bar, show_gate
    from mlwild.show.junit import junit_xml

    _can_write(json_file, "--json")
    _can_write(junit, "--junit")
    loaded = load_app(app)
    suite = suite_of(loaded, beside=load_tests(app))
    waivers = waivers_beside(app, loaded.name)
    with fits_bar() as progress:
        report = judge(
            loaded,
            tests=suite,
            waivers=waivers,
            today=today(),
            past=past,
            store=store,
            jobs=jobs,
            progress=progress,
            said=lambda text: print(f"  {text}", file=sys.stderr),
        )
    show_gate(report)
    _write_json(json_file, report.as_dict())
    if junit is not None:
        _write(junit, junit_xml(report))
    if report.blocked:
        raise typer.Exit(FAILED)
    if report.undecided and not undecided_passes:
        raise typer.Exit(UNDECIDED)


@cli.command()
@_guarded
def waive(
    app: AppFile,
    test: Annotated[str, typer.Argument(help="Name of the red test, as mlwild gate prints it.", show_default=False)],
    *,
    by: Annotated[str, typer.Option("--by", help="Who signs.", show_default=False)],
    until: Annotated[
        datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day that it holds.", show_default=False)
    ],
    why: Annotated[str, typer.Option("--why", help="Why it may go live all the same.", show_default=False)],
) -> None:
    """Answer for a red test until a day: signed, dated and shown on the card.

    Example: mlwild waive churn.py "seed stability" --by "Ada Lovelace" --until 2027-01-31 --why "few rows until then"
    """
    from mlwild.clock import today
    from mlwild.gate.waivers import signed
    from mlwild.gating import suite_of, waivers_beside
    from mlwild.loading import load_app, load_tests

    loaded = load_app(app)
    names = [one.name for one in suite_of(loaded, beside=load_tests(app))]
    if test not in names:
        near = difflib.get_close_matches(test, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" There is {', '.join(names)}."
        raise AppError(f"test: {loaded.name!r} has no test {test!r}.{hint}")
    held = waivers_beside(app, loaded.name)
    made = signed(loaded.name, test, by, today(), until.date(), why)
    path = app.with_suffix(".waivers.toml")
    _write(path, "\n".join(one.text() for one in [*held, made]))
    print(f"Waived {test!r} until {until.date()}: {path}")


cli.command()(_guarded(patch))


@cli.command()
@_guarded
def card(
    app: AppFile,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="NAME.html")
    ] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Write the card of the app's last rehearsal: one self-contained HTML file.

    Example: mlwild card flights.py -o flights.html
    """
    from mlwild.card import write_card
    from mlwild.loading import load_app
    from mlwild.rehearsal import last_sheet

    loaded = load_app(app)
    path = out or Path(f"{loaded.name}.html")
    _can_write(path, "--out")
    print(f"Card: {write_card(last_sheet(loaded, store=store), path)}")


def _print_users_part(problem: Exception) -> None:
    """Print the traceback without our own frames."""
    shown = traceback.TracebackException.from_exception(problem)
    ours = str(Path(__file__).parent)
    kept = [frame for frame in shown.stack if not frame.filename.startswith((ours, "<frozen importlib"))]
    shown.stack = traceback.StackSummary.from_list(kept)
    print("".join(shown.format()), end="", file=sys.stderr)


def _users_frame(problem: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if "site-packages" not in frame.filename]
    ours = str(Path(__file__).parent)
    users = [frame for frame in frames if not frame.filename.startswith(ours)]
    last = users[-1] if users else frames[-1]
    return f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"


def main() -> None:
    """Run the command line; the entry point of `mlwild`."""
    cli()


if __name__ == "__main__":
    main()
