"""Rules that compare the live vintage's loss with its own first period (CARA's forms)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.records import Keep, Retrain
from mlwild.rules.view import Decision, Floats, View


def _rises(view: View) -> Floats | None:
    """Return relative rises of loss over the first known period since deployment, oldest first."""
    total, weight = view.losses(view.live)
    total, weight = total[view.since :], weight[view.since :]
    known = weight > 0
    if known.sum() < 2:
        return None
    means = total[known] / weight[known]
    scale = abs(means[0]) if means[0] else 1.0
    return np.asarray((means[1:] - means[0]) / scale)


@dataclass(frozen=True)
class LossThreshold:
    """
    Retrain when the last known period's loss is a share above that of the vintage's first.

    Parameters
    ----------
    rise : float
        0.1 for ten per cent.
    window : str, optional

    References
    ----------
    .. [1] Mahadevan, A., & Mathioudakis, M. (2024). Cost-aware retraining for machine learning.
       Knowledge-Based Systems, 293 (CARA-T).

    Examples
    --------
    >>> LossThreshold(0.1).name
    'loss up 10%'
    """

    rise: float
    window: str | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"loss up {100 * self.rise:g}%" + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Retrain when the last known period is too bad."""
        rises = _rises(view)
        if rises is None or rises[-1] < self.rise:
            return Decision(Keep())
        return Decision(Retrain(self.window), f"loss is {100 * rises[-1]:.0f}% above its first period")


@dataclass(frozen=True)
class CumulativeThreshold:
    """
    Retrain when the rises of loss since deployment add up to so many periods' worth of loss.

    Parameters
    ----------
    periods : float
        0.5: the excess adds up to half of the first period's loss.
    window : str, optional

    References
    ----------
    .. [1] Mahadevan, A., & Mathioudakis, M. (2024). Cost-aware retraining for machine learning.
       Knowledge-Based Systems, 293 (CARA-CT).

    Examples
    --------
    >>> CumulativeThreshold(0.5).name
    'excess adds up to 0.5'
    """

    periods: float
    window: str | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"excess adds up to {self.periods:g}" + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Retrain when the summed excess is too great."""
        rises = _rises(view)
        if rises is None or rises.sum() < self.periods:
            return Decision(Keep())
        return Decision(Retrain(self.window), f"excess adds up to {rises.sum():.2f} periods of loss")
