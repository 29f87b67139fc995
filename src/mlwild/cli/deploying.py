"""Commands that change what is live by hand, and what runs beside it: deploy, rollback, shadow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlwild.cli.guarded import FAILED
from mlwild.cli.parts import AppFile, StoreOption, can_write, write_json
from mlwild.cli.versions import RecordOption, registrar_of
from mlwild.errors import AppError

JobsOption = Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write what was done, or the plan, as JSON.")]


def deploy(
    app: AppFile,
    *,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Carry out this plan, if it is still what would be done.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="For a new life: what decides.", show_default="as before, or as rehearsed"),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--begin", help="For a new life: begin at the first cutoff from here.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Judge what would go live by the tests of mlwild gate.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only plan: what would change, why, at what price.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    record: RecordOption = True,
    json_file: JsonFile = None,
    jobs: JobsOption = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Put an app into production, or its new code: shows the plan, asks, and carries it out.

    Exit code 1: the gate refused a model, or promises were not kept.

    Examples: mlwild deploy flights.py; mlwild deploy flights.py --dry-run --json plan.json, then --plan plan.json
    """
    from mlwild.clock import today
    from mlwild.loading import load_app
    from mlwild.operating import deploy as run
    from mlwild.operating import standing_gate
    from mlwild.show import show_operation

    can_write(json_file, "--json")
    planned = None if plan is None else _plan(plan)
    loaded = load_app(app)
    asked: dict[str, Any] = {
        "rule": rule,
        "begin": begin,
        "registrar": registrar_of(loaded, store) if record else None,
        "gate": standing_gate(app, store=store, jobs=jobs) if gate else None,
        "store": store,
        "jobs": jobs,
        "today": today(),
    }
    if planned is None:
        would = run(loaded, dry=True, **asked)
        show_operation(would, asks=not dry_run)
        if dry_run:
            write_json(json_file, would.as_dict())
            return
        if not would.ticks:
            return
        if not yes and not _agreed():
            raise typer.Exit(FAILED)
        planned = would.as_dict()
    done = run(loaded, plan=planned, dry=dry_run, **asked)
    show_operation(done)
    write_json(json_file, done.as_dict())
    if done.alarms:
        raise typer.Exit(FAILED)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise AppError("--yes: nobody can be asked here. Say --yes, or carry out a plan with --plan FILE.")
    return typer.confirm("Do it?")


def _plan(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise AppError(f"--plan: {path} cannot be read: {problem.strerror or problem}.") from problem
    except ValueError as problem:
        raise AppError(f"--plan: {path} is no JSON: {problem}.") from problem
    if not isinstance(read, dict):
        raise AppError(f"--plan: {path} is no plan. Make one with mlwild deploy --dry-run --json plan.json.")
    return read


def rollback(
    app: AppFile,
    *,
    to: Annotated[
        str | None, typer.Option("--to", help="Which vintage.", show_default="the one that was live before")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="For the ledger.")] = "",
    hold: Annotated[
        int, typer.Option("--hold", min=0, help="So many ticks the rule must keep it: it might retrain on bad rows.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what there is to go back to, and how it would have done.")
    ] = False,
    record: RecordOption = True,
    json_file: JsonFile = None,
    jobs: JobsOption = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Put an earlier vintage back in place, at once; says how it would have done on the rows since.

    Example: mlwild rollback flights.py --why "the last fit saw a broken feed" --hold 2
    """
    from mlwild.loading import load_app
    from mlwild.operating import rollback as run
    from mlwild.show import show_rollback

    can_write(json_file, "--json")
    loaded = load_app(app)
    registrar = registrar_of(loaded, store) if record else None
    done = run(loaded, to=to, why=why, hold=hold, dry=dry_run, registrar=registrar, store=store, jobs=jobs)
    show_rollback(done)
    write_json(json_file, done.as_dict())


def shadow(
    app: AppFile,
    challenger: Annotated[
        str | None,
        typer.Argument(help="Another of the app's models, or another app file.", show_default="show the one that runs"),
    ] = None,
    *,
    least: Annotated[
        float | None,
        typer.Option("--least", help="Smallest gain worth a change.", show_default="what pays for a retrain"),
    ] = None,
    level: Annotated[float, typer.Option("--level", min=0.5, max=0.999, help="Of the verdict.")] = 0.95,
    share: Annotated[
        float | None,
        typer.Option(
            "--share",
            help="It answers this share of the requests: 0.1, at most 0.5. Alone: changes that of the one that runs.",
            show_default="none",
        ),
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="With --share: judge it first by the tests of mlwild gate.")
    ] = True,
    stop: Annotated[bool, typer.Option("--stop", help="End the challenge that runs.")] = False,
    why: Annotated[str, typer.Option("--why", help="With --stop: for the ledger.")] = "",
    json_file: JsonFile = None,
    jobs: JobsOption = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Let a challenger run beside the champion: scored on the same rows at every tick until it is settled.

    Says beforehand how long that will take. Nothing is put in place: that is for mlwild deploy. With --share it is a
    canary, which answers that share of the requests; --share 0 takes it back into the shadow.

    Examples: mlwild shadow flights.py linear; mlwild shadow flights.py flights_new.py --share 0.1; mlwild shadow
    flights.py --share 0.3; mlwild shadow flights.py
    """
    from mlwild.clock import today
    from mlwild.loading import load_app
    from mlwild.operating import challenge, challenge_of, change_share, end_challenge, standing_gate
    from mlwild.show import show_challenge

    can_write(json_file, "--json")
    if stop and challenger is not None:
        raise AppError("--stop: it ends the challenge that runs. Leave out the challenger.")
    if stop and share is not None:
        raise AppError(
            "--stop: it ends the challenge, and with it the share. Leave out --share, or write --share 0 alone."
        )
    loaded = load_app(app)
    asked: dict[str, Any] = {"store": store, "jobs": jobs}
    if share is not None:
        asked |= {
            "gate": standing_gate(app, store=store, jobs=jobs) if gate else None,
            "today": today(),
            "share": share,
        }
    if stop:
        found = end_challenge(loaded, why=why, **asked)
    elif challenger is None:
        found = challenge_of(loaded, **asked) if share is None else change_share(loaded, **asked)
    else:
        named = Path(challenger) if challenger.endswith(".py") else challenger
        found = challenge(loaded, named, least=least, level=level, **asked)
    show_challenge(found)
    write_json(json_file, found.as_dict())
