"""Whether this machine's clock jumped: told to the operator, and no reason to refuse what was no future before."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlwild.answering.telling import tell
from mlwild.clock import Clock, now_seconds

#: Seconds of a jump that is told: less is how clocks are set right every day.
JUMP = 60.0


class Drift:
    """
    By how much the wall clock has gone back since the server began, as the monotonic clock counts.

    Nobody here knows which of two times is right: the clock may be wrong now, or was before and was set right.

    Parameters
    ----------
    wall, count : callable
        Seconds by a clock that may jump, and by one that does not.

    Examples
    --------
    >>> walls = iter([100.0, 130.0, 50.0])
    >>> drift = Drift(lambda: next(walls), lambda: 0.0)
    >>> drift.behind(), drift.behind()
    (0.0, 80.0)
    """

    def __init__(self, wall: Callable[[], float] = now_seconds, count: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._count = wall, count
        self._last = self._most = wall() - count()

    def behind(self) -> float:
        """Return how many seconds the wall clock is behind the latest time that it would show, had it not gone back."""
        lead = self._wall() - self._count()
        jump, self._last = lead - self._last, lead
        if abs(jump) >= JUMP:
            span, way = Clock("naive").span(abs(jump) * 1e9), "ahead" if jump > 0 else "back"
            tell(
                f"this machine's clock jumped {span} {way}. Set it right if it is wrong: rows that give no time are "
                "answered as of what it says."
            )
        self._most = max(self._most, lead)
        return self._most - lead
