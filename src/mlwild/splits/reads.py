"""Estimates of the next period's loss that are read from the past: they cost no fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwild.errors import AppError
from mlwild.splits.past import Bools, Floats, Past
from mlwild.stats.windows import adaptive_rolling_window

UNKNOWN = float("nan")


def _ratio(total: Floats, weight: Floats) -> float:
    """Return the mean loss of some periods; NaN without a label."""
    events = float(weight.sum())
    return float(total.sum()) / events if events > 0 else UNKNOWN


def _told(past: Past, weight: Floats) -> Bools:
    """Return which periods are settled; those that have labels where none is."""
    counts: Bools = weight > 0
    return counts & past.settled if (counts & past.settled).any() else counts


def _settled(past: Past, gap: int = 0) -> tuple[Floats, Floats]:
    """Return the settled periods, oldest first; all that have labels where none is settled."""
    total, weight, _ = past.live(gap)
    counts = _told(past, weight)
    return total[counts], weight[counts]


@dataclass(frozen=True)
class LastLive:
    """
    The loss of the last live period.

    Examples
    --------
    >>> LastLive().name
    'last live period'
    """

    fits: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return "last live period"

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return "the loss of the last period whose labels are in"

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        total, weight = _settled(past)
        return _ratio(total[-1:], weight[-1:])


@dataclass(frozen=True)
class PastMean:
    """
    The mean loss of past live periods: all, the last ones, or with weights that fade.

    Parameters
    ----------
    periods : int, optional
        Only so many last ones (sliding).
    fading : float
        Weight of a period relative to the next one, in (0, 1]; 1 does not fade.
    gap : int
        Periods between a vintage and the period it is scored on.

    References
    ----------
    .. [1] Gama, J., Sebastiao, R., & Rodrigues, P. P. (2013). On evaluating stream learning
       algorithms. Machine Learning, 90, 317-346.

    Examples
    --------
    >>> PastMean(fading=0.6).name
    'prequential, fading 0.6'
    """

    periods: int | None = None
    fading: float = 1.0
    gap: int = 0
    fits: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.periods is not None and self.periods < 1:
            raise AppError(f"splits: periods={self.periods} must be at least 1.")
        if not 0 < self.fading <= 1:
            raise AppError(f"splits: fading={self.fading} must lie in (0, 1].")
        if self.gap < 0:
            raise AppError(f"splits: gap={self.gap} must be at least 0.")

    @property
    def name(self) -> str:
        """Name in tables."""
        how = "growing" if self.periods is None else f"last {self.periods}"
        if self.fading < 1:
            how = f"fading {self.fading:g}" if self.periods is None else f"{how}, fading {self.fading:g}"
        return f"prequential, {how}" + (f", gap {self.gap}" if self.gap else "")

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        which = "all past live periods" if self.periods is None else f"the last {self.periods} live periods"
        said = f"mean loss of {which}"
        if self.fading < 1:
            said += f", each weighing {self.fading:g} of the next"
        return said + (f", of vintages {self.gap} periods older" if self.gap else "")

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        total, weight = _settled(past, self.gap)
        if self.periods is not None:
            total, weight = total[-self.periods :], weight[-self.periods :]
        fade = self.fading ** np.arange(len(total) - 1, -1, -1, dtype=np.float64)
        return _ratio(fade * total, fade * weight)


@dataclass(frozen=True)
class AdaptiveWindow:
    """
    The mean loss of so many last live periods as still speak for the present.

    Parameters
    ----------
    delta : float
        Chance that a window's sampling error exceeds its bound.

    References
    ----------
    .. [1] Han, E., Huang, C., & Wang, K. (2024). Model assessment and selection under temporal
       distribution shift. ICML, PMLR 235.

    Examples
    --------
    >>> AdaptiveWindow().name
    'adaptive window'
    """

    delta: float = 0.1
    fits: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return "adaptive window" + (f" {self.delta:g}" if self.delta != 0.1 else "")

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return "mean loss of so many last live periods as still agree with the newest (ARW)"

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        total, weight, squares = past.live()
        counts = _told(past, weight)
        if not counts.any():
            return UNKNOWN
        # A weight tells what a row counts for, not how many there are to tell from.
        total, weight, squares, sizes = (values[counts] for values in (total, weight, squares, past.sizes))
        means = total / weight
        if np.isnan(squares).any():  # a loss of a set: periods are all there is to see spread in
            spread = np.full(len(means), float(means.std()) if len(means) > 1 else 0.0) * np.sqrt(sizes)
        else:
            spread = np.sqrt(np.maximum(squares / weight - means**2, 0.0))
        return adaptive_rolling_window(means, spread, sizes, weights=weight, delta=self.delta).estimate


@dataclass(frozen=True)
class OffDiagonal:
    """
    The last live period as seen by several vintages, each freed of its age.

    What vintages of age 0 to `ages` lost in the last settled period, less what vintages of that age
    used to lose more than fresh ones: the mean depends less on the luck of one fit.

    Parameters
    ----------
    ages : int
        Oldest vintages that are looked at.
    periods : int
        Last settled periods that are looked at.

    Examples
    --------
    >>> OffDiagonal().name
    'off the diagonal, ages 0 to 4'
    """

    ages: int = 4
    periods: int = 2
    fits: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"off the diagonal, ages 0 to {self.ages}"

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return f"the last {self.periods} periods as vintages of several ages saw them, less what their age costs"

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        total, weight, _ = past.live()
        fresh = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
        if past.settled.any():
            fresh[~past.settled] = np.nan
        seen: list[float] = []
        for age in range(self.ages + 1):
            total, weight, _ = past.live(age)
            older = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
            both = np.flatnonzero(~np.isnan(older - fresh))
            if not len(both):
                continue
            costs = float((older - fresh)[both].mean())
            seen += (older[both[-self.periods :]] - costs).tolist()
        return float(np.mean(seen)) if seen else UNKNOWN


@dataclass(frozen=True)
class PastHoldout:
    """
    The vintage fitted on the first rows, on the last rows.

    Parameters
    ----------
    share : float
        Share of the rows that is tested on, in (0, 1).

    Examples
    --------
    >>> PastHoldout(0.1).name
    'holdout 90/10'
    """

    share: float = 0.2
    fits: bool = False

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.share < 1:
            raise AppError(f"splits: share={self.share} must lie in (0, 1).")

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"holdout {100 * (1 - self.share):.0f}/{100 * self.share:.0f}"

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return f"the vintage of the first {1 - self.share:.0%} of the rows, on the rest"

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        return _held_out(past, 1 - self.share, 1.0)


@dataclass(frozen=True)
class PastRepeatedHoldout:
    """
    Vintages of random origins, each on the rows that follow it.

    Parameters
    ----------
    repeats : int
    test_share : float
        Share of the rows that each is tested on.
    first : float
        Earliest origin, as a share of the rows.
    seed : int

    References
    ----------
    .. [1] Cerqueira, V., Torgo, L., & Mozetic, I. (2020). Machine Learning, 109, 1997-2028.

    Examples
    --------
    >>> PastRepeatedHoldout().name
    'repeated holdout'
    """

    repeats: int = 10
    test_share: float = 0.1
    first: float = 0.6
    seed: int = 0
    fits: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return "repeated holdout"

    @property
    def meaning(self) -> str:
        """What it is, in a few words."""
        return f"vintages of {self.repeats} random origins, each on the next {self.test_share:.0%} of the rows"

    def promise(self, past: Past) -> float:
        """Return the estimate of the next period's loss."""
        rng = np.random.default_rng((self.seed, past.cutoff))
        origins = rng.uniform(self.first, 1 - self.test_share, self.repeats)
        made = np.array([_held_out(past, origin, origin + self.test_share) for origin in origins])
        made = made[~np.isnan(made)]
        return float(made.mean()) if len(made) else UNKNOWN


def _held_out(past: Past, begins: float, ends: float) -> float:
    """Return the loss on a stretch of rows of the vintage fitted where it begins."""
    rows = past.rows_before
    at = int(np.argmin(np.abs(rows[:-1] - begins * rows[-1]))) if past.cutoff else 0
    stop = max(int(np.argmin(np.abs(rows - ends * rows[-1]))), at + 1)
    total, weight = past.vintage(at)
    return _ratio(total[at:stop], weight[at:stop])
