"""Runs on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from mlwild.show.terminal import terminal
from mlwild.versions import Reproduced, Run
from mlwild.wording import count, number

#: The number that tells most about a run of each kind, and what it is called.
MAIN = {
    "rehearsal": (("cost", "cost"), ("promised_loss", "promised")),
    "gate": (("green", "green"), ("red", "red"), ("undecided", "undecided")),
    "stress": (("worst_loss", "worst loss"),),
    "comparison": (("n", "n"),),
    "fit": (("rows", "rows"),),
}


def show_history(found: Sequence[Run], last: int, store: str, *, chosen: bool = False) -> None:
    """Print runs, newest first."""
    console = terminal()
    if not found and chosen:
        console.print(f"No such run is on record in {store}.")
        return
    if not found:
        console.print(
            f"No run is on record in {store}. mlwild rehearse, gate, stress, compare and operate put theirs there."
        )
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("run", "when", "app", "kind", "came to", "code", "data", "took (s)"):
        table.add_column(name, justify="right" if name == "took (s)" else "left")
    for run in found[:last]:
        code = run.commit[:7] + ("*" if run.dirty else "")
        table.add_row(
            run.id[:8],
            run.at[:16].replace("T", " "),
            Text(run.app, style="bold"),
            run.kind if run.space == "user" else Text(f"{run.kind}, live", style="cyan"),
            main_number(run),
            code or "no repository",
            _data(run),
            "" if run.seconds is None else number(run.seconds, 2),
        )
    console.print(table)
    if len(found) > last:
        console.print(Text(f"{count(len(found) - last)} older ones: --last {len(found)}.", style="dim"))
    if any(run.dirty for run in found[:last]):
        console.print(
            Text("*: the code differed from the commit; mlwild show RUN --file diff.patch says how.", style="dim")
        )


def main_number(run: Run) -> str:
    """Return what a run came to, in a few words."""
    known = [(said, run.metrics[name]) for name, said in MAIN.get(run.kind, ()) if name in run.metrics]
    if run.kind == "fit":
        return f"vintage {run.params.get('vintage', '')}"
    return ", ".join(f"{said} {number(value)}" for said, value in known) or run.status


def _data(run: Run) -> str:
    stored = ", ".join(f"{name} v{number_}" for name, number_ in run.versions.items())
    return stored or run.data[:8]


def show_run(run: Run, files: Sequence[str]) -> None:
    """Print one run."""
    console = terminal()
    console.print()
    where = "in production" if run.space == "production" else f"of {run.app}"
    console.print(Text(f"{run.kind.capitalize()} {run.id} {where}, {run.status}, {run.at}.", style="bold"))
    dirty = " with changes (diff.patch)" if run.dirty else ""
    facts = {
        "app": run.app,
        "code": f"commit {run.commit[:12]}{dirty}" if run.commit else "no repository",
        "data": run.data,
        "stored tables": ", ".join(f"{name} version {one}" for name, one in run.versions.items()),
        "packages": f"{run.environment} (packages.txt)",
        "compared with": run.against,
        "took": "" if run.seconds is None else f"{number(run.seconds, 3)} s",
    }
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, value in (facts | dict(run.params)).items():
        if value:
            table.add_row(Text(name, style="dim"), value)
    for name, figure in run.metrics.items():
        table.add_row(Text(name, style="dim"), number(figure))
    console.print(table)
    console.print(Text(f"It left {', '.join(files)}: mlwild show {run.id[:8]} --file NAME.", style="dim"))


def show_reproduced(found: Reproduced) -> None:
    """Print whether a run gave the same numbers again."""
    console = terminal()
    console.print()
    run = f"{found.run.kind.capitalize()} {found.run.id[:8]}"
    if found.same:
        console.print(
            Text(f"{run}: the same again, all {count(found.compared)} values bit by bit.", style="bold green")
        )
    else:
        n = len(found.differences)
        head = f"{run}: {count(n)} of {count(found.compared)} values are others."
        console.print(Text(head, style="bold red"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("where", "was", "is now", "difference"):
            table.add_column(name)
        largest = sorted(found.differences, key=lambda one: -(one.size or 0.0))
        for one in largest[:12]:
            table.add_row(one.where, str(one.was)[:24], str(one.now)[:24], "" if one.size is None else number(one.size))
        console.print(table)
        if n > 12:
            console.print(Text(f"{count(n - 12)} more: --json FILE.", style="dim"))
    for said in found.changed:
        console.print(Text(f"Changed since: {said}.", style="yellow"))
