"""
A Python whose wall clock the drill moves while it runs; its monotonic clocks go on as they are.

It is run as a file, ``python -P moved.py OFFSET -m MODULE ...`` or ``-c CODE ...``, and imported nowhere: a server that
was not started by it has a clock that nobody moves, whatever its environment says.
"""

from __future__ import annotations

import mmap
import os
import runpy
import sys
from datetime import timedelta
from pathlib import Path

from mlwild import clock
from mlwild.answering.children import end_with
from mlwild.serve import process


def main() -> None:
    """Run a module or code that reads a moved clock, and so does every process that it starts."""
    end_with(os.getppid())  # whatever ends the drill
    _, offset, how, what, *words = sys.argv
    process.ENTRY = (__file__, offset)
    _move(Path(offset))
    sys.argv = [what if how == "-m" else how, *words]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  as `python -c` does


def _move(offset: Path) -> None:
    """Let the wall clock be off by the microseconds that stand in a file now, at each reading."""
    with offset.open("rb") as file:
        moved = memoryview(mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)).cast("q")
    plain = clock._wall  # noqa: SLF001  it is nobody else's to move
    clock._wall = lambda: plain() + timedelta(microseconds=moved[0])  # noqa: SLF001


if __name__ == "__main__":
    main()
