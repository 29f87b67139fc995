"""What a monitor is, and what it says of one period before its labels are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlwild.stats.labelfree import LabelFree, Support
from mlwild.stats.reweighting import Reweighted

if TYPE_CHECKING:
    from mlwild.losses import Loss
    from mlwild.monitors.scene import Scene


@dataclass(frozen=True)
class Signal:
    """
    What a monitor says of a vintage in the last finished period.

    Parameters
    ----------
    value : float
        Greater is more worrying; NaN where the monitor has nothing to say. Of estimators of performance:
        the estimated loss less that of the reference.
    estimate, low, high : float
        Of the period's loss, in its unit, with a 95 % interval; NaN where the monitor does not estimate it.
    effective_n : float
        Labelled rows that the estimate rests on; NaN where there is no estimate.
    support : {"supported", "weak", "none"} or None
        Whether the reference can speak for the period; None where there is no estimate.
    why : str
        What carries the value, or why there is none.
    grey : str
        Why the estimator is not to be believed any more, or empty.
    """

    value: float
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    effective_n: float = math.nan
    support: Support | None = None
    why: str = ""
    grey: str = ""

    @property
    def acts(self) -> bool:
        """Whether a rule may act on it: there is a value, support, and no refutation."""
        return not math.isnan(self.value) and self.support != "none" and not self.grey


def silent(why: str) -> Signal:
    """
    Return the signal of a monitor that has nothing to say.

    Examples
    --------
    >>> silent("no label is known yet").acts
    False
    """
    return Signal(math.nan, why=why)


def estimated(found: LabelFree | Reweighted, reference_loss: float, why: str = "") -> Signal:
    """
    Return the signal of an estimate of the loss: how far it lies above the loss of the reference.

    Examples
    --------
    >>> estimated(LabelFree(0.3, 0.28, 0.32, 0.95, 100, 5000.0, 0.0, "supported"), 0.25).value.__round__(6)
    0.05
    """
    said = why or (found.why if isinstance(found, Reweighted) else "")
    value = found.estimate - reference_loss
    return Signal(value, found.estimate, found.low, found.high, found.effective_n, found.support, said)


class Monitor(Protocol):
    """
    A monitor gives a signal for a period without its labels.

    A correct monitor is a frozen dataclass whose `signal` is a pure function of the scene. It may also have
    `kind` ("performance", "shift", "labels" or "control"), `shadows` (whether it needs a challenger fitted
    at each cutoff) and `objection(loss)`, a sentence that says why it cannot watch that loss, or empty.
    """

    @property
    def name(self) -> str:
        """Name in tables; unique in an app."""
        ...

    def signal(self, scene: Scene) -> Signal:
        """Return what the monitor says of the last finished period."""
        ...


def kind_of(monitor: Monitor) -> str:
    """Return the kind of a monitor: "performance", "shift", "labels", "control", or "own" of a user's."""
    return str(getattr(monitor, "kind", "own"))


def needs_shadow(monitor: Monitor) -> bool:
    """Say whether a monitor compares with a challenger that is fitted at each cutoff."""
    return bool(getattr(monitor, "shadows", False))


def objection(monitor: Monitor, loss: Loss) -> str:
    """Return why a monitor cannot watch a loss, in a sentence, or nothing."""
    says = getattr(monitor, "objection", None)
    return str(says(loss)) if callable(says) else ""
