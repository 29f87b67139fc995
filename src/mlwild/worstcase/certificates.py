"""Certified worst cases by period: what was worst so far, what the next may be, and what came."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.proportions import clopper_pearson
from mlwild.stats.worst import next_worst
from mlwild.stats.worst.history import FEWEST, rolling_means
from mlwild.worstcase.live import Live

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Chance that a certificate is kept; periods of a window.
LEVEL, WINDOW = 0.95, 4


@dataclass(frozen=True, eq=False)
class Series:
    """
    A number a period, known at a cutoff, whose next value can be bounded and later be looked up.

    Parameters
    ----------
    kind : str
        "period", "window", "group", "slice" or "subpopulation".
    what : str
        What it is of, such as the conditions of a slice.
    periods : ndarray of int64
        Periods that it is known of, rising.
    values : ndarray of float64
        Greater is worse.
    after : callable
        ``after(period)``: what it came to in a later period; NaN where that is not known.
    searched : int
        Cases that it was found among.
    share : float
        Share of the rows that it speaks of.
    window : int
        Periods in a row whose mean counts.
    cutoff : int
        When it was known: the next period is that one.
    greatest : float or None
        The greatest loss there can be.
    """

    kind: str
    what: str
    periods: Ints
    values: Floats
    after: Callable[[int], float]
    searched: int = 1
    share: float = 1.0
    window: int = 1
    cutoff: int | None = None
    greatest: float | None = None

    @property
    def ahead(self) -> int:
        """Periods between the last that is known and the next, whose labels are not there yet."""
        return 0 if self.cutoff is None else max(self.cutoff - int(self.periods[-1]) - 1, 0)


@dataclass(frozen=True)
class Certificate:
    """
    What is promised of the next worst case of one kind.

    Parameters
    ----------
    kind, what : str
    seen : float
        The worst so far.
    when : str
        When it began.
    high : float
        What the next is not to exceed, at the level; NaN where there are too few periods.
    level : float
    n : int
        Periods that it rests on.
    searched : int
    share : float
    horizon : int
        Periods ahead.
    """

    kind: str
    what: str
    seen: float
    when: str
    high: float
    level: float
    n: int
    searched: int
    share: float
    horizon: int


@dataclass(frozen=True)
class Scored:
    """
    A certificate of the past, and what came.

    Parameters
    ----------
    kind : str
    cutoff : str
        When it was made.
    what : str
    high, came : float
    """

    kind: str
    cutoff: str
    what: str
    high: float
    came: float

    @property
    def kept(self) -> bool:
        """Whether it was kept; NaN is never kept."""
        return bool(self.came <= self.high)


@dataclass(frozen=True)
class Record:
    """
    How the certificates of one kind were kept.

    Parameters
    ----------
    kind : str
    kept, of : int
    low, high : float
        95 % interval of the chance that one is kept; NaN where there is none.
    level : float
        What was promised.
    worst : Scored or None
        The broken one that was exceeded by most.
    """

    kind: str
    kept: int
    of: int
    low: float
    high: float
    level: float
    worst: Scored | None


def certify(series: Series, live: Live, horizon: int = 1, level: float = LEVEL) -> Certificate:
    """Return what is promised of the next value of a series."""
    least = max(FEWEST, 3 * series.window)
    bounded = len(series.values) >= least
    ahead = max(horizon, series.window)
    means = rolling_means(series.values, min(series.window, len(series.values)))
    place, high = int(np.argmax(means)), math.nan
    if bounded:
        high = next_worst(
            series.values,
            window=series.window,
            horizon=ahead,
            ahead=series.ahead,
            level=level,
            greatest=series.greatest,
        ).high
    return Certificate(
        kind=series.kind,
        what=series.what,
        seen=float(means[place]),
        when=live.shown(int(series.periods[place])),
        high=high,
        level=level,
        n=len(series.values),
        searched=series.searched,
        share=series.share,
        horizon=ahead,
    )


def periods_of(live: Live, cutoff: int, window: int = 1) -> Series:
    """Return the mean loss of each period (or of windows of periods) as known at a cutoff."""
    periods, values = live.means(live.known(cutoff))
    every, whole = live.means(live.known(live.periods))
    by_period = dict(zip(every.tolist(), whole.tolist(), strict=True))

    def after(period: int) -> float:
        wanted = [by_period.get(k, math.nan) for k in range(period, period + window)]
        return float(np.mean(wanted))

    what = "one period" if window == 1 else f"{window} periods in a row"
    kind = "period" if window == 1 else "window"
    return Series(kind, what, periods, values, after, window=window, cutoff=cutoff, greatest=live.greatest)


def groups_of(live: Live, cutoff: int, fewest: int) -> Series | None:
    """Return the mean loss of the worst declared group of each period; None where no group has rows enough."""
    known, everything = live.known(cutoff), live.known(live.periods)
    worst: dict[int, float] = {}
    later: dict[int, float] = {}
    for _, rows in live.groups:
        for found, chosen in ((worst, known), (later, everything)):
            periods, values = live.means(rows & chosen, fewest)
            for period, value in zip(periods.tolist(), values.tolist(), strict=True):
                found[period] = max(found.get(period, -math.inf), value)
    if not worst:
        return None
    periods = np.array(sorted(worst), dtype=np.int64)
    values = np.array([worst[int(k)] for k in periods])
    what = f"the worst of {len(live.groups)} declared groups, each time anew"
    return Series(
        "group",
        what,
        periods,
        values,
        lambda period: later.get(period, math.nan),
        searched=len(live.groups),
        cutoff=cutoff,
        greatest=live.greatest,
    )


def rows_of(
    live: Live, cutoff: int, inside: NDArray[np.bool_], evidence: NDArray[np.bool_], fewest: int, **facts: object
) -> Series | None:
    """
    Return the mean loss by period of some rows; None where no period has rows enough.

    Parameters
    ----------
    inside : ndarray of bool, shape (n_rows,)
        Rows that it speaks of, in every period.
    evidence : ndarray of bool, shape (n_rows,)
        Rows that were not used to find them.
    """
    periods, values = live.means(inside & evidence & live.known(cutoff), fewest)
    if not len(periods):
        return None
    every, whole = live.means(inside & live.known(live.periods), fewest)
    later = dict(zip(every.tolist(), whole.tolist(), strict=True))
    given: dict[str, Any] = facts | {"cutoff": cutoff, "greatest": live.greatest}
    return Series(periods=periods, values=values, after=lambda period: later.get(period, math.nan), **given)


def score(series: Series, live: Live, cutoff: int, level: float = LEVEL) -> Scored | None:
    """Return the certificate that a series would have given at a cutoff, and what came; None if there is none."""
    made = certify(series, live, level=level)
    if math.isnan(made.high):
        return None
    came = series.after(cutoff)
    return None if math.isnan(came) else Scored(series.kind, live.shown(cutoff), series.what, made.high, came)


def record_of(kind: str, scored: Sequence[Scored], level: float = LEVEL) -> Record:
    """
    Return how certificates of one kind were kept.

    Examples
    --------
    >>> made = [Scored("period", "2026-01-01", "one period", 0.5, came) for came in (0.3, 0.4, 0.6)]
    >>> found = record_of("period", made)
    >>> found.kept, found.of, found.worst.came
    (2, 3, 0.6)
    """
    kept = sum(one.kept for one in scored)
    broken = [one for one in scored if not one.kept]
    interval = clopper_pearson(kept, len(scored)) if scored else None
    return Record(
        kind,
        kept,
        len(scored),
        math.nan if interval is None else interval.low,
        math.nan if interval is None else interval.high,
        level,
        max(broken, key=lambda one: one.came - one.high) if broken else None,
    )
