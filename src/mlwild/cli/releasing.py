"""Commands about what may go live: gate, waive, stress, patch."""

from __future__ import annotations

import difflib
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli.guarded import FAILED, UNDECIDED
from mlwild.cli.parts import AppFile, Compute, ComputeOption, StoreOption, can_write, jobs_of, write, write_json
from mlwild.cli.versions import RecordOption, begun, on_record
from mlwild.errors import AppError


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
    compute: ComputeOption = Compute.joblib,
    record: RecordOption = True,
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

    can_write(json_file, "--json")
    can_write(junit, "--junit")
    loaded = load_app(app)
    began, versions = begun(loaded)
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
            jobs=jobs_of(compute, jobs),
            progress=progress,
            said=lambda text: print(f"  {text}", file=sys.stderr),
        )
    show_gate(report)
    write_json(json_file, report.as_dict())
    if junit is not None:
        write(junit, junit_xml(report))
    said = report.as_dict()
    params = {"verdict": str(said["verdict"])}
    on_record(record, loaded, "gate", said, store=store, began=began, versions=versions, params=params)
    if report.blocked:
        raise typer.Exit(FAILED)
    if report.undecided and not undecided_passes:
        raise typer.Exit(UNDECIDED)


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
    write(path, "\n".join(one.text() for one in [*held, made]))
    print(f"Waived {test!r} until {until.date()}: {path}")


def stress(
    app: AppFile,
    *,
    page: Annotated[Path | None, typer.Option("--page", help="Write the worst case as one HTML page.")] = None,
    limit: Annotated[
        float | None, typer.Option("--limit", help="Loss that a gate allows.", show_default="that of the best constant")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found as JSON.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
    compute: ComputeOption = Compute.joblib,
    record: RecordOption = True,
) -> None:
    """Search the worst case: groups, slices, periods, regimes, stress; and whether such promises were kept.

    Example: mlwild stress flights.py --page stress.html
    """
    from mlwild.card import stress_html, write_stress
    from mlwild.loading import load_app
    from mlwild.show import fits_bar, show_stress
    from mlwild.stressing import stress as run

    can_write(json_file, "--json")
    can_write(page, "--page")
    loaded = load_app(app)
    began, versions = begun(loaded)
    with fits_bar() as progress:
        report = run(
            loaded,
            limit=limit,
            store=store,
            jobs=jobs_of(compute, jobs),
            progress=progress,
            said=lambda text: print(f"  {text}", file=sys.stderr),
        )
    show_stress(report)
    write_json(json_file, report.as_dict())
    if page is not None:
        print(f"Page: {write_stress(report.as_dict(), page)}")
    said = report.as_dict()
    on_record(
        record,
        loaded,
        "stress",
        said,
        store=store,
        began=began,
        versions=versions,
        page=lambda: {"card.html": stress_html(said)},
    )


def patch(
    app: AppFile,
    *,
    slice_: Annotated[
        str | None,
        typer.Option(
            "--slice",
            help="Rows the model fails on: a condition such as \"carrier = 'EV'\", or a function of the app file.",
            show_default="the worst slice found before the first cutoff",
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
    from mlwild.worstcase.before import worst_before

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
            worst=worst_before,
            store=store,
            jobs=jobs,
            progress=progress,
        )
    show_patch(found)
    write_json(json_file, found)
