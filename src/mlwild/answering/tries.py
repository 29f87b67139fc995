"""How often features are made again to find the rows whose features cannot be."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from mlwild.guards.asking import EARNED, PART

#: Calls that finding those rows may take if none succeeds; more are earned, as of models.
TRIES = 64


@dataclass
class Tries:
    """
    Calls that are left.

    Parameters
    ----------
    n : int
        Rows that are asked for.
    haste : float
        Seconds, and as many for a thousand rows, after which there are no more than the first of them.

    Examples
    --------
    >>> tries = Tries(1000)
    >>> for _ in range(TRIES):
    ...     tries.spend()
    >>> tries.any
    False
    >>> tries.earn()
    >>> tries.any
    True
    """

    n: int
    haste: float = math.inf
    _left: int = field(default=TRIES, init=False)
    _more: int = field(init=False)
    _spent: int = field(default=0, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        """Note how many may be earned: up to one call for two rows in all."""
        self._more = max(self.n // PART - TRIES, 0)

    @property
    def any(self) -> bool:
        """Whether another call may be made."""
        soon = self._spent < TRIES or time.monotonic() - self._began < self.haste * (1 + self.n / 1000)
        return self._left > 0 and soon

    def spend(self) -> None:
        """Count a call."""
        self._left, self._spent = self._left - 1, self._spent + 1

    def earn(self) -> None:
        """Count one that succeeded."""
        earned = min(EARNED, self._more)
        self._left, self._more = self._left + earned, self._more - earned
