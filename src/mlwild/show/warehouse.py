"""Stored tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from mlwild.show.terminal import terminal
from mlwild.warehouse import Batch, Difference, Entry
from mlwild.warehouse.sql import Estimate
from mlwild.wording import count, number, things


def show_entries(
    entries: Sequence[Entry],
    warehouse: str,
    *,
    columns: bool,
    readers: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Print the catalogue; of one table, its columns too, and what apps do with them."""
    console = terminal()
    if not entries:
        console.print(f"No table in {warehouse}. Begin with mlwild data add NAME FILE --key COLUMN --time COLUMN.")
        return
    table = _plain(("table", "rows", "from", "to", "version", "last file", "owner"), right=("rows", "version"))
    for one in entries:
        table.add_row(
            one.name, count(one.rows), one.first, one.last, count(one.version), one.added, one.owner or "nobody"
        )
    console.print(table)
    if not columns:
        return
    console.print()
    read = readers or {}
    inner = _plain(("column", "type", "unit", "from", "to", "missing", *read), right=("missing",))
    for column in entries[0].columns:
        word = {entries[0].key: " (key)", entries[0].time: " (time)"}.get(column.name, "")
        missing = f"{column.missing:.2%}" if column.missing else ""
        own = (f"{column.name}{word}", column.type, column.unit, column.low, column.high, missing)
        cells = (*own, *(of_app.get(column.name, "") for of_app in read.values()))
        inner.add_row(*(Text(cell) for cell in cells))  # a type in brackets is no markup
    console.print(inner)


def show_batches(batches: Sequence[Batch]) -> None:
    """Print what was added to a table, newest last."""
    table = _plain(
        ("version", "file", "new", "corrected", "there already", "from", "to", "known"),
        right=("version", "new", "corrected", "there already"),
    )
    for one in batches:
        counts = (count(one.new), count(one.corrected), count(one.same))
        known = {"time": "at their time", "now": "when they came"}.get(one.known, one.known)
        table.add_row(count(one.number), one.file, *counts, one.first, one.last, known)
    terminal().print(table)


def show_difference(found: Difference) -> None:
    """Print what changed between two versions."""
    console = terminal()
    head = f"{found.table}: version {found.new} has {things(found.added, 'row')} more than version {found.old}"
    console.print(Text(f"{head}, and {things(found.corrected, 'other')} in another form.", style="bold"))
    for name, rows in found.columns.items():
        console.print(f"  {name}: {count(rows)} corrected")
    if not found.examples:
        return
    names = list(found.examples[0])
    table = _plain(tuple(names))
    for one in found.examples:
        table.add_row(*(Text(number(value, 6) if isinstance(value, float) else str(value)) for value in one.values()))
    console.print(table)


def _plain(names: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, justify="right" if name in right else "left")
    return table


def show_estimates(found: Mapping[str, Estimate], app: str, *, asked: bool) -> None:
    """Print what a read of each database table would scan."""
    console = terminal()
    if not found:
        console.print(f"{app} reads no database: nothing would be scanned there.")
        return
    for where, one in found.items():
        rows = "an unknown number of" if one.rows is None else count(one.rows)
        console.print(Text(f"{where}: {rows} rows, {number(one.bytes / 1e6, 3)} MB, of {one.source} ({one.by})."))
        if asked:
            console.print(Text(one.sql, style="dim"))
