"""Commands about what was done before: history, show, reproduce; and how every command puts itself on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlwild.cli.guarded import FAILED
from mlwild.cli.parts import StoreOption, can_write, write, write_json
from mlwild.errors import AppError

if TYPE_CHECKING:
    from mlwild.app import App
    from mlwild.versions import Registrar

RecordOption = Annotated[
    bool,
    typer.Option(
        "--record/--no-record", envvar="MLWILD_RECORD", show_envvar=True, help="Put the run on record: mlwild history."
    ),
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the answer as JSON.")]


def begun(app: App | None) -> tuple[float, dict[str, int]]:
    """Return the machine's time, and the versions of the stored tables that an app is about to read."""
    from mlwild.clock import now_seconds
    from mlwild.versions.recording import versions_of

    return now_seconds(), {} if app is None else versions_of(app)


def on_record(
    wanted: bool,
    app: App | str,
    kind: str,
    sheet: Mapping[str, Any],
    *,
    store: str,
    began: float,
    params: Mapping[str, str] | None = None,
    page: Callable[[], Mapping[str, str]] = dict,
    against: str = "",
    versions: Mapping[str, int] | None = None,
) -> None:
    """Put what a command made on record, and say under which number."""
    if not wanted:
        return
    from mlwild.rehearsal import folder_of
    from mlwild.versions import Made, record

    folder = Path(store) if isinstance(app, str) else folder_of(app, store)
    made = Made(sheet, page(), params or {}, against, versions)
    run = record(app, kind, made, began=began, store=folder)
    # The store lies beside the app, and the next command is typed here.
    here = folder.absolute() == Path(".mlwild").absolute()
    where = "" if here else f" --store {folder}"
    print(f"Run {run.id[:8]} is on record: mlwild show {run.id[:8]}{where}")


def registrar_of(app: App, store: str) -> Registrar:
    """Return what keeps models that go live under versions; MLflow is imported when there is one to keep."""
    from mlwild.rehearsal import folder_of
    from mlwild.versions import Registrar

    return Registrar(folder_of(app, store))


def history(
    app: Annotated[str | None, typer.Argument(help="Only runs of this app.", show_default="all")] = None,
    *,
    kind: Annotated[str | None, typer.Option("--kind", help="Only rehearsal, gate, stress, comparison or fit.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the newest.")] = 20,
    json_file: JsonFile = None,
    store: StoreOption = ".mlwild",
) -> None:
    """List what was rehearsed, judged, stressed, compared and put live: newest first.

    Example: mlwild history flights --kind rehearsal
    """
    from mlwild.loading import load_app
    from mlwild.show import show_history
    from mlwild.versions import runs
    from mlwild.versions.run import KINDS

    can_write(json_file, "--json")
    if kind is not None and kind not in KINDS:
        raise AppError(f"--kind: {kind!r} is not one of {', '.join(KINDS)}.")
    name = load_app(app).name if app is not None and app.endswith(".py") else app
    found = runs(store, app=name, kind=kind)
    show_history(found, last, store, chosen=app is not None or kind is not None)
    write_json(json_file, [one.as_dict() for one in found])


def show(
    run: Annotated[str, typer.Argument(help="The run's number, or the beginning of it.", show_default=False)],
    *,
    card: Annotated[Path | None, typer.Option("--card", help="Write the run's card to this file.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="Print a file that the run left, such as app.py.")] = None,
    json_file: JsonFile = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Show one run: what it rested on, what came of it, what it left.

    Example: mlwild show 3f2a --card flights.html
    """
    from mlwild.show import show_run
    from mlwild.versions import left, run_of

    can_write(json_file, "--json")
    can_write(card, "--card")
    found = run_of(run, store)
    files = left(found, store)
    if file is not None:
        print(_text(files, file, found.id), end="")
        return
    show_run(found, sorted(files))
    if card is not None:
        write(card, _text(files, "card.html", found.id))
        print(f"Card: {card}")
    write_json(json_file, found.as_dict() | {"files": sorted(files)})


def _text(files: Mapping[str, bytes], name: str, run: str) -> str:
    if name not in files:
        raise AppError(f"run: {run[:8]} left no {name!r}; it left {', '.join(sorted(files))}.")
    try:
        return files[name].decode()
    except UnicodeDecodeError:
        raise AppError(f"--file: {name!r} is no text.") from None


def reproduce(
    run: Annotated[str, typer.Argument(help="The run's number, or the beginning of it.", show_default=False)],
    *,
    json_file: JsonFile = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Do a rehearsal or a live fit again, from what is on record: the same numbers, or what differs.

    Exit code 1: some number is another.

    Example: mlwild reproduce 3f2a
    """
    from mlwild.show import fits_bar, show_reproduced
    from mlwild.versions import reproduce as again

    can_write(json_file, "--json")
    with fits_bar() as progress:
        found = again(run, store=store, jobs=jobs, progress=progress)
    show_reproduced(found)
    write_json(json_file, found.as_dict())
    if not found.same:
        raise typer.Exit(FAILED)
