"""What the next period will lose, and which split said so best, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlwild.wording import between, interval_said, number, sentence

SHOWN = 6


def show_splits(console: Console, sheet: dict[str, Any]) -> None:
    """Print the promise for the next period, the table of split schemes, and who was best at what."""
    audition = sheet["split_audition"]
    console.print(Text("What the next period will lose", style="bold"))
    for said in sentences(audition):
        console.print(Text(said))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("split")
    for title in ("off by", "beyond chance", "bias", "ranks models", "warns", "90% covered", "cutoffs"):
        table.add_column(title, justify="right")
    named = {audition["promise"]["split"], audition["estimating"]["name"], audition["choosing"]["name"]}
    for place, row in enumerate(sheet["splits"]):
        if place < SHOWN or row["name"] in named or row["fits"]:
            cells = [number(row[key], 2) for key in ("error", "excess", "bias", "rank_models", "rank_time")]
            covered = "not known" if row["coverage"] is None else f"{row['coverage']:.0%}"
            table.add_row(row["name"], *cells, covered, str(row["n"]), style="bold" if row["name"] in named else "")
    console.print(table)
    hidden = len(sheet["splits"]) - table.row_count
    if hidden > 0:
        console.print(Text(f"  {hidden} more, worse at estimating: see --json", style="dim"))
    console.print()


def sentences(audition: dict[str, Any]) -> Iterator[str]:
    """Yield what the audition says, in sentences."""
    promise = audition["promise"]
    yield (
        f"{promise['model']!r}, refitted on everything known at {promise['from']}: loss "
        f"{number(promise['estimate'], 3)} ({interval_said(audition['level'], promise['low'], promise['high'])}), "
        f"by {promise['split']!r}."
    )
    if promise["coverage"] is not None:
        yield (
            f"Such intervals held in {promise['kept']} of {promise['n']} past periods "
            f"({promise['coverage']:.0%}; {between(promise['coverage_low'], promise['coverage_high'], 2)})."
        )
    for word in ("estimating", "choosing"):
        best = audition[word]
        name = f"{best['name']!r}" if best["name"] else "none"
        yield f"Best split for {word}: {name}. {sentence(best['why'])}"
    leak = audition["leak_meter"]
    if leak is None:
        yield "Leak meter (blocked less shuffled cross-validation): not measured; --splits all fits what it takes."
    else:
        yield (
            f"Leak meter: shuffled cross-validation promises {number(leak['estimate'], 2)} less loss than blocked "
            f"({between(leak['low'], leak['high'], 2)}; {leak['n']} cutoffs)."
        )
