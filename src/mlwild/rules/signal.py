"""The rule that retrains on a monitor's signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlwild.errors import AppError
from mlwild.monitors import Monitor, Signal
from mlwild.monitors.signal import kind_of, needs_shadow
from mlwild.records import Keep, Retrain
from mlwild.rules.view import Decision, View
from mlwild.stats.alarms import ConformalAlarm, looks_between
from mlwild.wording import number


@dataclass(frozen=True)
class _Watch:
    """Memory of a rule on alarms: which deployment it watches, and how far it has come."""

    since: int
    alarm: ConformalAlarm


def looks_allowed(name: str, per_year: float | None, per_looks: float | None, view: View) -> float:
    """
    Return the mean number of looks between false alarms that a rule allows.

    Raises
    ------
    AppError
        If it counts by year and times are integers.
    """
    if per_looks is not None:
        return per_looks
    looks = view.looks_per_year
    if looks is None or per_year is None:
        raise AppError(f"rules: {name!r} counts false alarms by year, and times are integers. Give per_looks instead.")
    return looks_between(looks, per_year)


@dataclass(frozen=True)
class OnSignal:
    """
    Retrain when a monitor's signal of the live vintage passes a threshold, or its alarm rings.

    A signal without support, or of an estimator that labels have refuted, does not act. Shift without an
    estimate of the loss is information, not an alarm: a monitor of shift acts only if you say so.

    Parameters
    ----------
    monitor : Monitor
    above : float, optional
        Threshold; of estimators of performance a rise of the loss, in its unit.
    per_year : float, optional
        Tolerated false alarms a year, instead of a threshold: signals are held against the earlier ones of
        the same deployment, and whoever looks forever has no more false alarms than that on average.
    per_looks : float, optional
        The same as a mean number of cutoffs between false alarms: where times are integers.
    window : str, optional
        Training window; default the app's first.
    on_shift : bool
        Let a monitor of shift act.

    Examples
    --------
    >>> from mlwild import monitors
    >>> OnSignal(monitors.CBPE(), above=0.05).name, OnSignal(monitors.DirectLoss(), per_year=1).name
    ('CBPE above 0.05', 'direct loss alarm, 1 a year')
    >>> OnSignal(monitors.Missingness(), above=0.1)
    Traceback (most recent call last):
    ...
    mlwild.errors.AppError: rules: 'missing values' sees shift and not loss, so it informs and does not act. ...
    """

    monitor: Monitor
    above: float | None = None
    per_year: float | None = None
    per_looks: float | None = None
    window: str | None = None
    on_shift: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        if not hasattr(self.monitor, "signal") or not hasattr(self.monitor, "name"):
            raise AppError(f"rules: {self.monitor!r} is no monitor; it has no name or no signal(scene).")
        given = [value for value in (self.above, self.per_year, self.per_looks) if value is not None]
        if len(given) != 1:
            raise AppError(
                f"rules: {self.monitor.name!r} needs one of above, per_year and per_looks; {len(given)} given."
            )
        if (self.per_year is not None and not self.per_year > 0) or (
            self.per_looks is not None and not self.per_looks >= 1
        ):
            raise AppError(
                f"rules: per_year must be above 0 and per_looks 1 at least, in the rule on {self.monitor.name!r}."
            )
        if kind_of(self.monitor) == "shift" and not self.on_shift:
            raise AppError(
                f"rules: {self.monitor.name!r} sees shift and not loss, so it informs and does not act. Say "
                "on_shift=True to retrain on it all the same."
            )

    @property
    def name(self) -> str:
        """Name in tables."""
        if self.above is not None:
            when = f"above {number(self.above)}"
        elif self.per_year is not None:
            when = f"alarm, {number(self.per_year)} a year"
        else:
            when = f"alarm, 1 in {number(self.per_looks)} looks"
        return f"{self.monitor.name} {when}" + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Act on the signal of the last finished period."""
        shadows = int(needs_shadow(self.monitor))
        signal = view.signal(self.monitor)
        if self.above is not None:
            if signal.acts and signal.value > self.above:
                return Decision(
                    Retrain(self.window), self._reason(signal, f"above {number(self.above)}"), None, shadows
                )
            return Decision(Keep(), shadows=shadows)
        fresh = memory is None or memory.since != view.since
        watch = (
            _Watch(view.since, ConformalAlarm(looks_allowed(self.name, self.per_year, self.per_looks, view)))
            if fresh
            else memory
        )
        if not signal.acts:
            return Decision(Keep(), memory=watch, shadows=shadows)
        alarm, rung = watch.alarm.feed(signal.value)
        after = _Watch(view.since, alarm)
        if rung:
            return Decision(Retrain(self.window), self._reason(signal, "an alarm"), after, shadows)
        return Decision(Keep(), memory=after, shadows=shadows)

    def _reason(self, signal: Signal, said: str) -> str:
        return f"{self.monitor.name} is {number(signal.value, 3)}, {said}"
