"""The rules that compete where the user names none."""

from __future__ import annotations

from collections.abc import Sequence

from mlwild.records import ALL
from mlwild.rules.breakeven import BreakEven
from mlwild.rules.detectors import OnEDetector
from mlwild.rules.schedule import Every, Never
from mlwild.rules.threshold import CumulativeThreshold, LossThreshold
from mlwild.rules.view import Rule

#: What runs where a history cannot choose.
DEFAULT = BreakEven()


def standard(
    windows: Sequence[str] = (ALL,), *, priced: bool = True, updates: bool = False, scale: float = 1.0
) -> tuple[Rule, ...]:
    """
    Return the standard rules.

    Parameters
    ----------
    windows : sequence of str
        The app's training windows; schedules and break-even are tried with each.
    priced : bool
        Whether the app has prices. Without, break-even runs at a ladder of prices in its place.
    updates : bool
        Whether the app says how to update.
    scale : float
        Typical total loss of a period, for the ladder.

    Examples
    --------
    >>> len(standard()), standard()[0].name
    (26, 'break-even')
    """
    made: list[Rule] = []
    if priced:
        made += [DEFAULT, BreakEven(0.5), BreakEven(2.0), BreakEven(shadow_every=4), BreakEven(noise=0.0)]
        made += [BreakEven(rollback=True)]
    else:
        made += [BreakEven(price=float(f"{scale * share:.2g}")) for share in (0.01, 0.03, 0.1, 0.3, 1.0)]
    made += [Never(), *(Every(periods) for periods in (1, 2, 3, 4, 6, 8, 12, 16, 24))]
    made += [LossThreshold(rise) for rise in (0.02, 0.05, 0.1, 0.2)]
    made += [CumulativeThreshold(periods) for periods in (0.1, 0.3, 1.0, 3.0)]
    made += [OnEDetector(10_000), OnEDetector(100_000)]
    for window in windows[1:]:
        made += [Every(periods, window=window) for periods in (1, 4, 12)]
        made += [BreakEven(window=window)] * priced
    if updates:
        made += [Every(periods, update=True) for periods in (1, 4)]
        made += [BreakEven(update=True)] * priced
    return tuple(made)
