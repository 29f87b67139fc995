"""One process that operates again and again, and says when it missed a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator


def rounds(
    every: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[int, int]]:
    """
    Yield at each multiple of a time since the start; what took longer than that skips the runs it missed.

    Parameters
    ----------
    every : float
        Seconds.
    sleep, clock : callable
        For tests. The clock must never go back, whatever the machine's calendar does.

    Yields
    ------
    run : int
        Number of the run, from 0.
    missed : int
        Runs that should have been since the last one, and were not.

    Examples
    --------
    >>> at = iter([0.0, 25.0])  # the first run took 25 seconds
    >>> slept = []
    >>> made = rounds(10.0, sleep=slept.append, clock=lambda: next(at))
    >>> next(made), next(made), slept
    ((0, 0), (3, 2), [5.0])
    """
    began = clock()
    last = 0
    yield 0, 0
    while True:
        now = clock() - began
        due = int(now // every) + 1
        sleep(due * every - now)
        yield due, due - last - 1
        last = due
