"""A comparison on a terminal: the verdict first, the reason for the procedure last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlwild.comparisons import Comparison
from mlwild.comparisons.answer import reference_of
from mlwild.comparisons.signs import LESS_A_HALF, way
from mlwild.jsonable import plain
from mlwild.show.terminal import terminal
from mlwild.wording import between, count, number

#: Models and pairs that are shown; the rest is in the JSON.
SHOWN = 12


def show_comparison(found: Comparison, *, title: str, facts: str = "", findings: Sequence[str] = ()) -> None:
    """
    Print a comparison.

    Parameters
    ----------
    found : Comparison
    title : str
        What was compared.
    facts : str
        One line on what it rests on.
    findings : sequence of str
        What is wrong with the input or missing in it.
    """
    console = terminal()
    text = Text("\n")
    text.append(f"{title}: ", style="bold")
    text.append(found.said[0], style="bold")
    console.print(text)
    if facts:
        console.print(Text(facts, style="dim"))
    console.print()
    for finding in findings:
        console.print(Text(f"Mind: {finding}", style="yellow"))
    if findings:
        console.print()
    records = list(plain(found.records))
    console.print(_models(found, records))
    if 1 < len(found.best_set) < len(records):
        console.print(Text("= cannot be told from the best", style="dim"))
    if len(records) > SHOWN:
        console.print(Text(f"  {len(records) - SHOWN} more models, worse: see --json", style="dim"))
    if found.said[1:]:
        console.print()
    for said in found.said[1:]:
        console.print(Text(said))
    _show_signs(console, found)
    console.print()
    text = Text("Why this procedure: ", style="bold")
    text.append(f"{found.method}. {found.why[0].upper()}{found.why[1:]}.", style="default")
    console.print(text)


def _models(found: Comparison, records: Sequence[dict[str, Any]]) -> Table:
    """Return the table of models; those that cannot be told from the best are marked, where others can."""
    greater = any(record.get("better") == "greater" for record in records)
    told = len(found.best_set) < len(records)
    level, shown = f"{found.level:.0%} interval", records[:SHOWN]
    intervals = any(record["low"] is not None for record in shown)
    reference, pairs = reference_of(found.names, plain(found.pairs))
    tested = reference and any(pair["p"] is not None for pair in pairs.values())
    seeds = any(record.get("worst_seeds") is not None and record["n"] > 1 for record in shown)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if told:
        table.add_column("")
    table.add_column("model", overflow="fold")
    table.add_column("score" if greater else "loss", justify="right")
    for wanted, title in (
        (intervals, level),
        (reference, f"against {reference!r}"),
        (reference, level),
        (tested, "p"),
        (seeds, "worst seeds"),
        (True, "n"),
    ):
        if wanted:
            table.add_column(title, justify="right")
    for record in shown:
        mark = "best" if record["name"] == found.best else "=" if record["in_best_set"] else ""
        cells = [*([mark] if told else []), record["name"], number(record["estimate"])]
        cells += [between(record["low"], record["high"])] if intervals else []
        cells += _against(pairs.get(record["name"]))[: 3 if tested else 2] if reference else []
        cells += [number(record["worst_seeds"])] if seeds else []
        table.add_row(*cells, count(record["n"]), style="bold" if told and record["in_best_set"] else "")
    return table


def _against(pair: dict[str, Any] | None) -> list[str]:
    if pair is None:
        return ["", "", ""]
    sign = "+" if pair["estimate"] > 0 else ""
    p_value = "" if pair["p"] is None else "<0.001" if pair["p"] <= 0.001 else number(pair["p"], 2)
    return [f"{sign}{number(pair['estimate'], 3)}", between(pair["low"], pair["high"], 2), p_value]


def _show_signs(console: Console, found: Comparison) -> None:
    """Print whom each way of adding up favours, for pairs on which the ways disagree or that are close."""
    tables = plain(found.tables.get("signs", []))
    if tables and tables[0]["better"] == "lower":
        # Where the ways agree a sentence says so. Of many rivals the strongest; the card and the JSON have the others.
        tables = [signs for signs in tables[:1] if not signs["agree"]]
    for signs in tables:
        if signs["agree"] and signs["b"] not in found.best_set:
            continue
        console.print()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(f"{signs['a']} or {signs['b']}?")
        for name in ("favours", "difference", "interval"):
            table.add_column(name, justify="left" if name == "favours" else "right")
        for row in signs["rows"]:
            favours = row["favours"] + ("" if row["separable"] or row["favours"] == "neither" else " (not clearly)")
            words = way(row["metric"], signs["unit"].split(" of ")[0])
            words += " less a half" if row["metric"] in LESS_A_HALF else ""
            table.add_row(words, favours, number(row["estimate"], 2), between(row["low"], row["high"], 2))
        console.print(table)
