"""Commands about life in production: operate, status, export."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli.guarded import FAILED, sentence
from mlwild.cli.parts import AppFile, StoreOption, can_write, write, write_json
from mlwild.cli.versions import RecordOption, registrar_of
from mlwild.errors import AppError


class Target(StrEnum):
    """What is written."""

    cron = "cron"
    github = "github"
    airflow = "airflow"
    pyfunc = "pyfunc"


def operate(
    app: AppFile,
    *,
    at: Annotated[str | None, typer.Option("--at", help="Do nothing beyond this instant: 2026-03-01.")] = None,
    begin: Annotated[
        str | None,
        typer.Option("--begin", help="First call: begin at the first cutoff from here.", show_default="the last one"),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="First call: what decides.", show_default="what the rehearsal recommended"),
    ] = None,
    every: Annotated[str | None, typer.Option("--every", help="Go on, and look again so often: 1h.")] = None,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Judge what would go live by the tests of mlwild gate.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only plan: what would be done, why, at what price.")
    ] = False,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Open a new life, after the code or the rule has changed.")
    ] = False,
    record: RecordOption = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the ticks as JSON.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Do every tick that is due: observe, decide, fit, judge, promise, publish. A second call does nothing more.

    A tick is due when the data reach its cutoff. One that was killed is finished by the next call. Exit code 1: the
    gate refused a model, the data break their contract, or promises were not kept; with --every, once it is stopped.

    Example: mlwild operate flights.py --dry-run
    """
    from mlwild.clock import Duration, today
    from mlwild.loading import load_app
    from mlwild.operating import operate as run
    from mlwild.operating import standing_gate
    from mlwild.operating.loop import rounds
    from mlwild.show import show_operation

    can_write(json_file, "--json")
    loaded = load_app(app)
    standing = standing_gate(app, store=store, jobs=jobs) if gate else None

    alarmed = False

    def once(*, first: bool) -> None:
        nonlocal alarmed
        done = run(
            loaded,
            rule=rule if first else None,
            at=at,
            begin=begin if first else None,
            gate=standing,
            registrar=registrar_of(loaded, store) if record else None,
            dry=dry_run,
            reopen=reopen and first,
            store=store,
            jobs=jobs,
            today=today(),
            progress=lambda text: print(f"  tick {text}", file=sys.stderr),
        )
        alarmed = alarmed or bool(done.alarms)
        show_operation(done)
        write_json(json_file, done.as_dict())

    if every is None:
        once(first=True)
        if alarmed:
            raise typer.Exit(FAILED)
        return
    if dry_run:
        raise AppError("--every: a plan is made once. Leave out --every or --dry-run.")
    seconds = Duration.parse(every, "--every")
    if seconds.unit == "tick":
        raise AppError(f"--every: {every!r} has no unit. Write a duration such as 1h.")
    try:
        for number, missed in rounds(seconds.exact / 1e9):
            if missed:
                print(f"mlwild: {missed} runs were missed: the last one took longer than {every}.", file=sys.stderr)
            try:
                once(first=number == 0)
            except (Exception, SystemExit) as problem:
                if number == 0:
                    raise
                # The tick stays open, and the next run finishes it.
                print(f"mlwild: {sentence(problem)}", file=sys.stderr)
    except KeyboardInterrupt:
        if not alarmed:
            raise
        print("\nStopped, after alarms: see above, or mlwild status.", file=sys.stderr)
        raise typer.Exit(FAILED) from None


def export(
    target: Annotated[
        Target, typer.Argument(help="Which scheduler; or pyfunc, the live model for MLflow.", show_default=False)
    ],
    app: AppFile,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--output", "-o", help="Write to this file; a folder for pyfunc.", show_default="print"),
    ] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Write what others need: a scheduler, to tick an app (crontab, GitHub, Airflow); MLflow, to serve what is live.

    A pyfunc is a folder with the model, its guard and the app's code: mlflow models serve -m FOLDER --env-manager local

    Example: mlwild export airflow flights.py -o dags/flights_ticks.py
    """
    from mlwild.clock import today
    from mlwild.exporting import airflow_dag, crontab, github_workflow, plan_of, save_pyfunc
    from mlwild.loading import load_app

    if target is Target.pyfunc:
        if out is None:
            raise AppError("--out: a pyfunc is a folder. Name one that is not there yet.")
        print(f"Wrote {out}: vintage {save_pyfunc(app, out, store=store)} with its guard.")
        return
    can_write(out, "--out")
    plan = plan_of(load_app(app), app, today(), store)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = {
        Target.cron: lambda: crontab(plan),
        Target.github: lambda: github_workflow(plan, python),
        Target.airflow: lambda: airflow_dag(plan),
    }[target]()
    if out is None:
        print(text, end="")
        return
    write(out, text)
    print(f"Wrote {out}.")


def status(
    store: StoreOption = ".mlwild",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the states as JSON.")] = None,
) -> None:
    """Show every app in operation: what is live, how old, promise against outcome, alarms, next tick.

    Exit code 1: some app has an alarm.

    Example: mlwild status
    """
    from mlwild.operating import status as read
    from mlwild.show import show_status

    can_write(json_file, "--json")
    found = read(store)
    show_status(found, store)
    write_json(json_file, [one.as_dict() for one in found])
    if any(one.alarm for one in found):
        raise typer.Exit(FAILED)


def ui(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8642,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at. There is no password: leave it as it is.")
    ] = "127.0.0.1",
    store: StoreOption = ".mlwild",
) -> None:
    """Show the workspace in a browser: apps, their lives, runs side by side, cards. It only reads.

    Example: mlwild ui
    """
    from mlwild.web import serve

    serve(
        store,
        port=port,
        host=host,
        ready=lambda address: print(f"{address} shows {store}  (Ctrl-C ends it)", flush=True),
    )
