"""The split schemes that are auditioned where the user names none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mlwild.splits.past import Past
from mlwild.splits.reads import AdaptiveWindow, LastLive, OffDiagonal, PastHoldout, PastMean, PastRepeatedHoldout
from mlwild.splits.refits import OfFolds


class Scheme(Protocol):
    """What every scheme has; one that reads the past has ``promise(past)``, one that fits ``split(rows)``."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        ...

    @property
    def fits(self) -> bool:
        """Whether it needs fits of its own."""
        ...


class Read(Scheme, Protocol):
    """A scheme that reads the past."""

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        ...


#: What is promised with where a history names no better one.
DEFAULT = AdaptiveWindow()


def standard(*, fits: bool = False, delay: int = 0) -> tuple[Read | OfFolds, ...]:
    """
    Return the schemes that are auditioned by default.

    Parameters
    ----------
    fits : bool
        With those that need fits of their own: five to ten a cutoff each.
    delay : int
        Label delay in periods: the gap of the gap variant, at least one.

    Examples
    --------
    >>> len(standard()), len(standard(fits=True))
    (12, 17)
    """
    reads: Sequence[Read] = (
        LastLive(),
        PastMean(),
        PastMean(periods=4),
        PastMean(periods=8),
        PastMean(fading=0.6),
        PastMean(fading=0.9),
        PastMean(gap=max(delay, 1)),
        DEFAULT,
        OffDiagonal(),
        PastHoldout(0.2),
        PastHoldout(0.1),
        PastRepeatedHoldout(),
    )
    if not fits:
        return tuple(reads)
    folds = (
        OfFolds("purged"),
        OfFolds("combinatorial"),
        OfFolds("blocked"),
        OfFolds("shuffled"),
        OfFolds("shuffled", weighted=True),
    )
    return (*reads, *folds)
