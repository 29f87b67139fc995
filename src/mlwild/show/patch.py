"""What remedies did to a slice, on a terminal: the recommendation first."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from mlwild.show.terminal import terminal
from mlwild.wording import between, count, number

_STYLES = {"recommended": "bold", "harmful": "yellow", "failed": "dim"}


def show_patch(sheet: dict[str, Any]) -> None:
    """
    Print what `mlwild patch` found.

    Parameters
    ----------
    sheet : dict
        What `mlwild.patching.patch` returns.
    """
    console = terminal()
    text = Text("\n")
    text.append(f"{sheet['app']}: ", style="bold")
    text.append(sheet["said"], style="bold")
    console.print(text)
    held, cutoffs = sheet["slice"], sheet["cutoffs"]
    facts = (
        f"Slice {held['said']}: {count(held['rows'])} rows ({held['share']:.1%}). {sheet['model']!r} and each remedy "
        f"fitted at {len(cutoffs)} cutoffs from {cutoffs[0]} to {cutoffs[-1]}, scored on the {sheet['every']} after "
        f"each; loss {sheet['loss']['name']}."
    )
    judged = next((record for record in sheet["remedies"] if "slice" in record), None)
    if judged is not None:
        before = number(judged["slice"]["before"], 3), number(judged["elsewhere"]["before"], 3)
        facts += f" As it is, it loses {before[0]} in the slice and {before[1]} elsewhere."
    console.print(Text(facts, style="dim"))
    console.print()
    console.print(_table(sheet))
    for record in sheet["remedies"]:
        if record["verdict"] == "failed":
            console.print(Text(record["said"], style="dim"))
    for left in sheet["left_out"]:
        console.print(Text(f"Not tried: {left['name']}, because {left['why']}.", style="dim"))
    if sheet["failed_cutoffs"]:
        console.print(
            Text(f"{sheet['model']!r} could not be made at {', '.join(sheet['failed_cutoffs'])}.", style="dim")
        )
    if sheet["recommended"] is not None:
        console.print()
        console.print(Text("To have it: ", style="bold") + Text(sheet["remedies"][0]["setting"], style="default"))
        if held["marker"]:
            console.print(
                Text("with the slice as a column of truth values among the features, under that name.", style="dim")
            )


def _table(sheet: dict[str, Any]) -> Table:
    """Return the table of remedies: what the slice loses with each, and what it costs elsewhere."""
    level = f"{sheet['level']:.0%} interval"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("remedy", overflow="fold")
    table.add_column("", no_wrap=True)
    answered = any(record.get("answered") is not None for record in sheet["remedies"])
    for title in ("slice", "by", level, "elsewhere by", level, *(["answered"] if answered else []), "fits", "s"):
        table.add_column(title, justify="right", no_wrap=True)
    for record in sheet["remedies"]:
        if record["verdict"] == "failed":
            continue
        cells = [number(record["slice"]["after"], 3), *_change(record["slice"]), *_change(record["elsewhere"])]
        if answered:
            share = record["answered"]
            cells.append("" if share is None else f"{share:.0%}")
        cells += [count(record["base_fits"]), number(record["seconds"], 2)]
        table.add_row(record["name"], record["verdict"], *cells, style=_STYLES.get(record["verdict"], ""))
    return table


def _change(part: dict[str, Any]) -> tuple[str, str]:
    estimate = part["estimate"]
    if estimate == 0 and part["low"] is None:
        return "0", "unchanged"
    return f"{'+' if estimate > 0 else ''}{number(estimate, 2)}", between(part["low"], part["high"], 2)
