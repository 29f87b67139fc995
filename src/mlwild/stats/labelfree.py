"""What an estimate of performance on rows without labels is: an interval, and whether labelled rows support it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Support = Literal["supported", "weak", "none"]

#: Effective reference rows below which an estimate is weakly supported, and not supported.
FEW, TOO_FEW = 100.0, 30.0
#: Share of rows outside of what the reference has seen that makes it weak, and not supported.
STRAY, TOO_STRAY = 0.02, 0.2
#: Parts of equal mass that reference values are cut into.
PARTS = 10


@dataclass(frozen=True)
class LabelFree:
    """
    An estimate made without labels, of what the labels of these very rows will show.

    Parameters
    ----------
    estimate, low, high : float
        In the unit of the metric.
    level : float
        Nominal chance that the realised value lies between low and high, if the method's assumption holds.
    n : int
        Rows without labels.
    effective_n : float
        Labelled rows that the estimate rests on: (sum of weights)^2 / (sum of squared weights).
    outside : float
        Share of the rows beyond anything in the reference, in [0, 1]; NaN where there is none to compare.
    support : {"supported", "weak", "none"}
        Whether the reference can speak for these rows. With "none" the numbers are extrapolation.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int
    effective_n: float
    outside: float
    support: Support


def verdict(effective_n: float, outside: float) -> Support:
    """
    Return whether so many effective rows, and so large a share outside of them, support an estimate.

    Parameters
    ----------
    effective_n : float
        Effective labelled rows.
    outside : float
        Share of rows outside of the reference, in [0, 1]; NaN where unknown, which is weak at best.

    Examples
    --------
    >>> verdict(5000.0, 0.0), verdict(60.0, 0.0), verdict(5000.0, 0.5)
    ('supported', 'weak', 'none')
    """
    if effective_n < TOO_FEW or outside > TOO_STRAY:
        return "none"
    if effective_n < FEW or not outside <= STRAY:
        return "weak"
    return "supported"
