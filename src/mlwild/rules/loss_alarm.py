"""The rule that retrains when labelled losses rise, with false alarms counted by year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.errors import AppError
from mlwild.records import Keep, Retrain
from mlwild.rules.signal import looks_allowed
from mlwild.rules.view import Decision, Floats, View
from mlwild.stats.alarms import LossAlarm, loss_alarm
from mlwild.wording import number


@dataclass(frozen=True)
class _Watch:
    """Memory: which deployment is watched, the labels of its reference, the looks these took, and the alarm."""

    since: int
    pool: Floats
    looks: int = 0
    alarm: LossAlarm | None = None


@dataclass(frozen=True)
class OnLossAlarm:
    """
    Retrain when an alarm on the live vintage's labelled losses rings.

    The baseline is an upper confidence bound from the first labels of each deployment; labels are fed in order
    of arrival, however late they come. For losses by row that are not negative.

    Parameters
    ----------
    per_year : float, optional
        Tolerated false alarms a year. Give this or `per_looks`.
    per_looks : float, optional
        Mean number of cutoffs between false alarms: where times are integers.
    reference : int
        Labels that the baseline is taken from.
    by_row : bool
        Whether rows of one look are bets of their own; False if they rise and fall together.
    window : str, optional
        Training window; default the app's first.

    References
    ----------
    .. [1] Shin, J., Ramdas, A., & Rinaldo, A. (2024). E-detectors: a nonparametric framework for
       sequential change detection. New England Journal of Statistics in Data Science, 2(2).

    Examples
    --------
    >>> OnLossAlarm(per_year=1).name, OnLossAlarm(per_looks=50, by_row=False).name
    ('loss alarm, 1 a year', 'loss alarm, 1 in 50 looks, by look')
    """

    per_year: float | None = None
    per_looks: float | None = None
    reference: int = 500
    by_row: bool = True
    window: str | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if (self.per_year is None) == (self.per_looks is None):
            raise AppError("rules: a loss alarm needs one of per_year and per_looks.")

    @property
    def name(self) -> str:
        """Name in tables."""
        often = (
            f"{number(self.per_year)} a year" if self.per_year is not None else f"1 in {number(self.per_looks)} looks"
        )
        return f"loss alarm, {often}" + ", by look" * (not self.by_row) + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Feed what arrived; retrain on an alarm."""
        watch = memory if memory is not None and memory.since == view.since else _Watch(view.since, np.zeros(0))
        losses = view.arrived()
        if watch.alarm is None:
            pool = np.concatenate([watch.pool, losses])
            looks = watch.looks + 1
            if len(pool) < self.reference:
                return Decision(Keep(), memory=_Watch(view.since, pool, looks))
            allowed = looks_allowed(self.name, self.per_year, self.per_looks, view)
            alarm = loss_alarm(pool, looks=allowed, batch=len(pool) / looks, by_row=self.by_row)
            return Decision(Keep(), memory=_Watch(view.since, np.zeros(0), looks, alarm))
        alarm, rung = watch.alarm.feed(losses)
        after = _Watch(view.since, watch.pool, watch.looks, alarm)
        if rung:
            return Decision(Retrain(self.window), "the mean loss rose (an alarm)", after)
        return Decision(Keep(), memory=after)
