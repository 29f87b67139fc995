"""What saw degradation coming, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlwild.wording import between, number, sentence

SHOWN = 6


def show_monitors(console: Console, sheet: dict[str, Any]) -> None:
    """Print which monitors earned their place, the table of the best, and what changed in the newest period."""
    audition = sheet["monitor_audition"]
    console.print(Text("What saw it coming", style="bold"))
    for said in sentences(sheet):
        console.print(Text(said))
    if not sheet["monitors"]:
        console.print()
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("monitor")
    for title in ("tells a rise", "90% interval", "tells staleness", "caught", "periods ahead"):
        table.add_column(title, justify="right")
    table.add_column("now")
    named = {*audition["default"], *audition["for_staleness"]}
    for place, row in enumerate(sheet["monitors"]):
        if place < SHOWN or row["name"] in named:
            lead = row["lead"]
            table.add_row(
                row["name"],
                number(row["estimate"], 2),
                between(row["low"], row["high"], 2),
                number(row["against"]["staleness"]["auc"], 2),
                "not known" if lead["caught"] is None else f"{lead['caught']:.0%}",
                number(lead["periods"], 2),
                "refuted by labels" if row["grey"] else "",
                style="dim" if row["grey"] else "bold" if row["name"] in named else "",
            )
    console.print(table)
    hidden = len(sheet["monitors"]) - table.row_count
    if hidden > 0:
        console.print(Text(f"  {hidden} more: see --json", style="dim"))
    console.print()


def sentences(sheet: dict[str, Any]) -> Iterator[str]:
    """Yield what the audition says, in sentences."""
    audition = sheet["monitor_audition"]
    yield sentence(audition["why"])
    if "event" in audition:
        yield (
            f"Judged on {audition['cells']} model-and-period cells; an event is a mean {audition['event']}; "
            f"{audition['tolerated']}."
        )
        yield f"Learned combination: {audition['combination']['why']}."
    if sheet["latest_shift"]:
        before = audition["reference_periods"] or 4
        yield f"Newest period against the {before} before: {sheet['latest_shift']['said'][0]}"
        yield from sheet["latest_shift"]["said"][1:2]
