"""What is said to the operator, and by one process to another; never to a client."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

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
    try:
        sys.stderr.write(f"mlwild: {said}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # the latter of a stream that was closed
        # What the stream holds Python would try to write again as it ends, and call that an error.
        sys.stderr = _stream()


def to_operator() -> None:
    """Have the operator read what the user's code prints, in a process whose output is answers."""
    os.dup2(2, 1)  # what is printed past Python, too
    sys.stdout = sys.stderr = _stream()


def _stream() -> TextIO:
    """Return a stream to the operator on which writing never fails."""
    try:
        terminal: io.RawIOBase = _Terminal(2, "w", closefd=False)
    except OSError:  # closed, not only away
        terminal = io.FileIO(os.devnull, "w")
    return io.TextIOWrapper(io.BufferedWriter(terminal), "utf-8", "backslashreplace", line_buffering=True)


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
