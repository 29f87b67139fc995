"""The rules that compete where the user names none."""

from __future__ import annotations

from collections.abc import Sequence

from mlwild.monitors import Monitor
from mlwild.records import ALL
from mlwild.rules.breakeven import BreakEven
from mlwild.rules.detectors import OnEDetector
from mlwild.rules.schedule import Every, Never
from mlwild.rules.signal import OnSignal
from mlwild.rules.threshold import CumulativeThreshold, LossThreshold
from mlwild.rules.view import Rule

#: What runs where a history cannot choose.
DEFAULT = BreakEven()

#: What can be named where no rule is recommended, and there are no prices that the default rests on.
PLAIN = Every(4)

#: What the names of the standard rules mean, by how they begin or what they contain.
GLOSSARY = (
    ("break-even", "retrain when staleness since the last retrain has cost as much as a retrain"),
    ("break-even x", "the same at that multiple of the price: x0.5 retrains sooner, x2 later"),
    ("break-even, at", "the same with that total loss as the price, where no prices are given"),
    ("break-even update", "update the model in place when staleness has cost an update"),
    ("shadow every", "a challenger is fitted only at every so many cutoffs, not at each"),
    ("unguarded", "without the guard that waits until staleness is beyond chance"),
    ("rollback", "also falls back to an older vintage that has been better"),
    ("never", "keep the first vintage"),
    ("always", "retrain at every cutoff"),
    ("every", "retrain at every so many cutoffs"),
    ("loss up", "retrain when the loss is so far above that of the vintage's first period"),
    ("excess adds up to", "retrain when the rises of loss add up to so many periods of loss"),
    (
        "e-detector",
        "retrain when a sequential test finds that the mean loss has risen; the number: rows between false alarms",
    ),
    ("loss alarm", "retrain when a sequential test finds that labelled losses rose; the number: how seldom it errs"),
    ("risk limit", "retrain when bets on the labelled losses find that their mean exceeds that number"),
    ("alarm", "retrain when a monitor's signals, seen before labels, are too large for the deployment's earlier ones"),
    ("above", "retrain when a monitor's signal, seen before labels, is above that number"),
    ("update", "update the model in place instead of fitting a new one"),
)


def example(names: Sequence[str]) -> str:
    """
    Return a rule of a contest that can be named where none is recommended: the default, a plain one, or the first.

    Examples
    --------
    >>> example(["always", "every 4"]), example(["every 4", "break-even"]), example(["mine"])
    ('every 4', 'break-even', 'mine')
    """
    return next((one.name for one in (DEFAULT, PLAIN) if one.name in names), names[0])


def meanings(names: Sequence[str]) -> list[tuple[str, str]]:
    """
    Return the entries of the glossary that some names need.

    Examples
    --------
    >>> [name for name, _ in meanings(["never", "every 4", "break-even, rollback"])]
    ['break-even', 'rollback', 'never', 'every']
    """
    begins = ("break-even", "break-even x", "break-even, at", "break-even update", "never", "always", "every")
    return [
        (word, said)
        for word, said in GLOSSARY
        if any(name.startswith(word) if word in begins else word in name for name in names)
    ]


def standard(
    windows: Sequence[str] = (ALL,),
    *,
    priced: bool = True,
    updates: bool = False,
    scale: float = 1.0,
    monitors: Sequence[Monitor] = (),
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
    monitors : sequence of Monitor
        Each makes a rule that retrains on its alarm, with one false alarm in 52 looks on average.

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
    made += [OnSignal(monitor, per_looks=52) for monitor in monitors]
    for window in windows[1:]:
        made += [Every(periods, window=window) for periods in (1, 4, 12)]
        made += [BreakEven(window=window)] * priced
    if updates:
        made += [Every(periods, update=True) for periods in (1, 4)]
        made += [BreakEven(update=True)] * priced
    return tuple(made)
