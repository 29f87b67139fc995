"""Monitors that wait for labels, the age of a model, and the control that every monitor must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwild.monitors.scene import PastLosses, Scene
from mlwild.monitors.signal import Signal, silent


@dataclass(frozen=True)
class LabelledLoss:
    """
    The last labelled loss before the period, at its delay, less that of the reference: what everybody has.

    Of the vintage itself, or where none of its periods has its labels yet, of the freshest vintage of the
    last period that has them.

    Parameters
    ----------
    periods : int
        Mean over so many last periods.

    Examples
    --------
    >>> LabelledLoss().name, LabelledLoss(4).name
    ('labelled loss', 'labelled loss (4 periods)')
    """

    periods: int = 1
    kind: str = "labels"

    @property
    def name(self) -> str:
        """Name in tables."""
        return "labelled loss" + (f" ({self.periods} periods)" if self.periods > 1 else "")

    def signal(self, scene: Scene) -> Signal:
        """Return the rise of the last labelled loss."""
        for past in (scene.own(), scene.live()):
            at = _last(past, self.periods)
            if len(at) and not np.isnan(scene.reference_loss):
                mean = float(past.total[at].sum() / past.weight[at].sum())
                late = len(past.weight) - int(at[-1])
                return Signal(mean - scene.reference_loss, why=f"the loss of {late} periods before" if late > 1 else "")
        return silent("no period has its labels yet")


@dataclass(frozen=True)
class KnownStaleness:
    """
    What a fresher vintage would have saved by event, over the last periods whose labels are known.

    It takes a challenger fitted at each cutoff.

    Parameters
    ----------
    periods : int
        Mean over so many last periods.

    Examples
    --------
    >>> KnownStaleness().name
    'known staleness'
    """

    periods: int = 4
    kind: str = "labels"
    shadows: bool = True

    @property
    def name(self) -> str:
        """Name in tables."""
        return "known staleness" + (f" ({self.periods} periods)" if self.periods != 4 else "")

    def signal(self, scene: Scene) -> Signal:
        """Return the known staleness of an event."""
        own, live = scene.own(), scene.live()
        at = _last(own, self.periods)
        if not len(at):
            return silent("no period of this vintage has its labels yet")
        return Signal(float((own.total[at] - live.total[at]).sum() / own.weight[at].sum()))


def _last(past: PastLosses, periods: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the last settled periods with a loss, in order."""
    return np.flatnonzero(past.settled & (past.weight > 0))[-periods:]


@dataclass(frozen=True)
class Age:
    """
    The age of the vintage in periods.

    Examples
    --------
    >>> Age().name
    'age'
    """

    name: str = "age"
    kind: str = "control"

    def signal(self, scene: Scene) -> Signal:
        """Return the age."""
        return Signal(float(scene.age))


@dataclass(frozen=True)
class ReferenceLoss:
    """
    Control: the loss of the reference, inverted; it knows nothing of the period.

    A rise over a reference that was low by luck is likely: regression to the mean. A monitor that does not
    beat this control shows no more than that.

    Examples
    --------
    >>> ReferenceLoss().name
    'inverted baseline'
    """

    name: str = "inverted baseline"
    kind: str = "control"

    def signal(self, scene: Scene) -> Signal:
        """Return the reference's loss with its sign turned."""
        return silent("no label is known yet") if np.isnan(scene.reference_loss) else Signal(-scene.reference_loss)
