"""A batch on a terminal: how many rows, by status, and what was wrong most often."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from mlwild.answering.batch import Predicted
from mlwild.show.terminal import terminal
from mlwild.wording import count, things

#: Causes that are shown.
SHOWN = 5
#: Columns that nothing reads that are named.
NAMED = 12


def show_predicted(found: Predicted) -> None:
    """Print what came of a batch."""
    console = terminal()
    console.print(Text(headline(found), style="bold red" if found.refused else "bold"))
    for status, n in found.status.items():
        if n:
            console.print(Text(f"  {status:<9} {count(n):>12}  {n / found.rows:.1%}"))
    if found.causes:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(justify="right")
        table.add_column()
        for cause, n in list(found.causes.items())[:SHOWN]:
            table.add_row(count(n), Text(cause))
        console.print(Text("Commonest causes"))
        console.print(table)
    if found.unread:
        # Frames write their index as a column without a name.
        names = ", ".join(name or "a column without a name" for name in found.unread[:NAMED])
        more = len(found.unread) - NAMED
        console.print(Text(f"Not read: {names}{f' and {count(more)} more' if more > 0 else ''}.", style="dim"))


def headline(found: Predicted) -> str:
    """Say what was answered, by what, and where it is."""
    rows = things(found.rows, "row")
    resumed = f", {count(found.resumed)} of them before the stop" if found.resumed else ""
    refused = found.status["refused"]
    told = (
        f", {'none' if refused == found.rows else count(found.rows - refused)} of them answered"
        if refused
        else " answered"
    )
    return f"{found.output.name}: {rows}{told} by vintage {found.vintage} in {found.seconds:.1f} s{resumed}."
