"""What is said to the operator, and by one process to another; never to a client."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

from mlwild.errors import AppError, MlwildError


class _Terminal(io.FileIO):
    """What the operator reads; to write there never fails."""

    def write(self, data: Any) -> int:
        """Write some bytes; if nobody takes them they are lost."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def tell(said: str) -> None:
    """Write a line to the operator; if his terminal is gone, all goes on without him."""
    with contextlib.suppress(OSError, ValueError):  # the latter of a stream that was closed
        sys.stderr.write(f"mlwild: {said}\n")
        sys.stderr.flush()


def to_operator() -> None:
    """Have the operator read what the user's code prints, in a process whose output is answers."""
    os.dup2(2, 1)  # what is printed past Python, too
    stream = io.BufferedWriter(_Terminal(2, "w", closefd=False))
    sys.stdout = sys.stderr = io.TextIOWrapper(stream, "utf-8", "backslashreplace", line_buffering=True)


def refusal(problem: BaseException) -> dict[str, Any]:
    """
    Return why something was not done, for the process that asked for it: the user's file may raise anything.

    Examples
    --------
    >>> refusal(AppError("app: no."))
    {'why': 'app: no.', 'wrong': True}
    >>> refusal(KeyError("x"))
    {'why': "the app file raised KeyError: 'x'", 'wrong': False}
    """
    text = " ".join(str(problem).split())[:500]
    ours = isinstance(problem, MlwildError)
    why = text if ours else f"the app file raised {type(problem).__name__}: {text}"
    return {"why": why, "wrong": isinstance(problem, AppError)}
