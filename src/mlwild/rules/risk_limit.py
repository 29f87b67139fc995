"""The rule that retrains when the labelled risk exceeds a stated limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.errors import AppError
from mlwild.records import Keep, Retrain
from mlwild.rules.view import Decision, View
from mlwild.stats.risk_alarm import RiskAlarm
from mlwild.wording import number

#: What stakes remember: rows, or looks where each is one bet.
_ROWS, _LOOKS = 300.0, 6.0


@dataclass(frozen=True)
class _Watch:
    """Memory: which deployment is watched, and how far the bet on it has come."""

    since: int
    alarm: RiskAlarm


@dataclass(frozen=True)
class OnRiskLimit:
    """
    Retrain when the live vintage's labelled losses exceed a limit on average.

    Each deployment is a bet of its own that the mean loss exceeds the limit; where it never does, the chance
    that the alarm rings at any time of the deployment is `alpha` at most, however often one looks. Labels are fed
    in order of arrival, however late they come, so it is the risk of the labels as they arrive that is limited:
    where bad ones come first (cancellations before stays) that is more than the risk of the rows. A limit below
    what a fresh vintage loses retrains again and again. For losses by row that are not negative.

    Parameters
    ----------
    limit : float
        Tolerated mean loss, in its unit.
    top : float
        Losses above are cut off there, which keeps the promise and makes it blind to what lies above. 1 suits
        losses in [0, 1]; for others give the greatest loss that should count.
    alpha : float
        Chance of a false alarm in the life of a deployment.
    by_row : bool
        Whether rows of one look are bets of their own; False if they rise and fall together: then a look is one
        bet, and it takes eight looks or more to find anything.
    window : str, optional
        Training window; default the app's first.

    Raises
    ------
    AppError
        If the limit does not lie between 0 and `top`, or `alpha` between 0 and 1.

    References
    ----------
    .. [1] Timans, A., Verma, R., Nalisnick, E., & Naesseth, C. A. (2025). On continuous monitoring of
       risk violations under unknown shift. UAI.

    Examples
    --------
    >>> OnRiskLimit(0.2).name, OnRiskLimit(30.0, top=500.0, by_row=False).name
    ('risk limit 0.2', 'risk limit 30, by look')
    """

    limit: float
    top: float = 1.0
    alpha: float = 0.05
    by_row: bool = True
    window: str | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 < self.limit < self.top < float("inf"):
            raise AppError(
                f"rules: limit={self.limit} must lie between 0 and top={self.top}. Give as top the greatest loss that "
                "should count."
            )
        if not 0 < self.alpha < 1:
            raise AppError(f"rules: alpha={self.alpha} must lie between 0 and 1.")

    @property
    def name(self) -> str:
        """Name in tables."""
        said = f"risk limit {number(self.limit)}" + (f" at {self.alpha:.0%}" if self.alpha != 0.05 else "")
        return said + ", by look" * (not self.by_row) + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Feed what arrived; retrain on an alarm."""
        fresh = memory is None or memory.since != view.since
        start = RiskAlarm(self.limit / self.top, self.alpha, _ROWS if self.by_row else _LOOKS)
        alarm = start if fresh else memory.alarm
        losses = view.arrived()
        if len(losses) and losses.min() < 0:
            raise AppError(f"rules: {self.name!r} needs losses of at least 0; one is {number(float(losses.min()))}.")
        scaled = np.minimum(losses / self.top, 1.0)
        if not self.by_row and len(scaled):
            scaled = scaled.mean(keepdims=True)
        alarm, rung = alarm.feed(scaled)
        after = _Watch(view.since, alarm)
        if rung:
            said = f"the mean loss exceeds {number(self.limit)} (bets at {self.alpha:.0%})"
            return Decision(Retrain(self.window), said, after)
        return Decision(Keep(), memory=after)
