"""The drill of a running server on a terminal: the worst fault first."""

from __future__ import annotations

from math import isnan

from rich.table import Table
from rich.text import Text

from mlwild.drilling import ServedCell, ServedDrill
from mlwild.show.terminal import terminal
from mlwild.wording import count


def show_server_drill(found: ServedDrill) -> None:
    """Print what a drill of a running server found."""
    console = terminal()
    console.print()
    console.print(server_headline(found))
    console.print()
    console.print(_table(found))
    for said in found.notes:
        console.print(Text(said, style="dim"))
    if found.skipped:
        console.print(Text(f"Not tried, as the app gives no hold for it: {'; '.join(found.skipped)}.", style="dim"))


def server_headline(found: ServedDrill) -> Text:
    """Return in a sentence or two what came of it."""
    if found.failed:
        return Text(f"{found.app}: the server does not come through all. {'. '.join(found.failed)}.", style="bold red")
    cells = found.cells
    asked, answered = sum(cell.asked for cell in cells), sum(cell.answered for cell in cells)
    turned, away = sum(cell.turned for cell in cells), sum(cell.away for cell in cells)
    late, slowest = sum(cell.late for cell in cells), max((cell.slowest for cell in cells), default=0.0)
    return Text(
        f"{found.app}: {count(asked)} requests under {len(cells)} faults: {count(answered)} answered with a status, "
        f"{count(turned)} told when to come again, {count(away)} found no server while it was being started again. "
        f"Every answer is in the log once, and the server came back each time. The slowest took {slowest:.0f} ms "
        f"(deadline {1000 * found.deadline:.0f}); {count(late)} came later than the deadline and 100 ms.",
        style="bold",
    )


def _table(found: ServedDrill) -> Table:
    title = f"Each fault for {found.seconds:g} s and the recovery, vintage {found.vintage}"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    table.add_column("fault")
    for name in ("requests", "answered", "come again", "not normal", "slowest ms", "late", "seen s", "back s"):
        table.add_column(name, justify="right")
    table.add_column("lost/twice", justify="right")
    table.add_column("MB", justify="right")
    for cell in (*found.cells, found.clean):
        rows = max(sum(cell.rows.values()), 1)
        table.add_row(
            cell.fault,
            count(cell.asked),
            "-" if isnan(cell.available) else _share(cell),
            count(cell.turned),
            f"{1 - cell.rows.get('normal', 0) / rows:.0%}",
            "-" if isnan(cell.slowest) else f"{cell.slowest:.0f}",
            count(cell.late),
            "-" if isnan(cell.detected) else f"{cell.detected:.1f}",
            "never" if isnan(cell.recovered) else f"{cell.recovered:.1f}",
            f"{cell.lost}/{cell.doubled}",
            " / ".join(f"{one:.0f}" for one in cell.memory),
            style="red" if cell.fails else "",
        )
    return table


def _share(cell: ServedCell) -> str:
    """Return the share that was answered; "100%" only where all were."""
    return f"{cell.available:.0%}" if cell.available == 1 else f"{min(100 * cell.available, 99.9):.1f}%"
