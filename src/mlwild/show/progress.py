"""How far the fitting has come, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def fits_bar() -> Iterator[Callable[[int, int, int], None]]:
    """Show how many vintages are ready, how fast they come and how long it will take; on stderr."""
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("vintages"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}, {task.fields[fitted]} fits"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("vintages", total=None, fitted=0, rate="")

        def progress(ready: int, total: int, fitted: int) -> None:
            seconds = bar.tasks[0].elapsed or 0.0
            rate = f"{fitted / seconds:.1f} fits/s" if seconds > 0.5 and fitted else ""
            bar.update(task, completed=ready, total=total, fitted=fitted, rate=rate)

        yield progress


def _plain_progress() -> Callable[[int, int, int], None]:
    said = [-1]

    def progress(ready: int, total: int, fitted: int) -> None:
        quarter = 4 * ready // max(total, 1)
        if fitted and quarter > said[0]:
            said[0] = quarter
            print(f"{ready} of {total} vintages ready, {fitted} fitted", file=sys.stderr, flush=True)  # noqa: T201

    return progress
