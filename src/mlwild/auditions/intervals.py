"""Intervals around promises, learned from how earlier promises were kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.past import Procedure
from mlwild.stats.conformal import AdaptiveConformal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """
    Intervals of one series of promises.

    Parameters
    ----------
    low, high : ndarray of shape (n_cutoffs,)
        NaN where too little was known.
    next_low, next_high : float
        For the period after the history.
    """

    low: Floats
    high: Floats
    next_low: float
    next_high: float


@dataclass(frozen=True)
class Learned:
    """
    What was known at each cutoff of how earlier periods came out.

    Parameters
    ----------
    outcomes : ndarray of shape (n_cutoffs + 1, n_cutoffs)
        By cutoff (the last is the end of the history) the loss of the period that opened at an earlier one,
        as it stood when that period had settled; NaN before.
    noise : ndarray of shape (n_cutoffs + 1,)
        Standard error that sampling alone gives the loss of the period that opens at each, as expected there.
    """

    outcomes: Floats
    noise: Floats


def learn(procedure: Procedure, cutoffs: tuple[int, ...]) -> Learned:
    """Return what was known at some cutoffs, and at the end, of the periods that opened at earlier ones."""
    n = len(cutoffs)
    outcomes, noise = np.full((n + 1, n), np.nan), np.zeros(n + 1)
    for place, cutoff in enumerate((*cutoffs, procedure.triangles[0].survey.grid.periods)):
        past = procedure.at(cutoff)
        noise[place] = past.noise
        opened = list(cutoffs[:place])
        outcomes[place] = outcomes[place - 1] if place else np.nan
        news = np.isnan(outcomes[place, :place]) & past.settled[opened]
        outcomes[place, :place][news] = past.losses[opened][news]
    return Learned(outcomes, noise)


def conformal_bounds(learned: Learned, promised: Floats, following: float, *, level: float, least: float) -> Bounds:
    """
    Return adaptive conformal intervals of promises, each from what was known at its cutoff.

    A promise counts as kept or broken when its period has settled, so that late labels delay what
    is learned and nothing later is seen.

    Parameters
    ----------
    learned : Learned
    promised : ndarray of shape (n_cutoffs,)
    following : float
        Promise for the period after the history.
    level : float
        Nominal coverage.
    least : float
        Least value that the loss can take: no interval goes below.
    """
    n = len(promised)
    low, high = np.full(n + 1, np.nan), np.full(n + 1, np.nan)
    intervals = AdaptiveConformal(level)
    errors: dict[int, float] = {}
    for place, outcomes in enumerate(learned.outcomes):
        for earlier in map(int, np.flatnonzero(~np.isnan(outcomes - promised))):
            if earlier in errors:
                continue
            errors[earlier] = float(outcomes[earlier] - promised[earlier])
            if not np.isnan(low[earlier]):
                covered = bool(low[earlier] <= outcomes[earlier] <= high[earlier])
                intervals = intervals.after(covered=covered, lag=place - earlier)
        estimate = float(promised[place]) if place < n else following
        noise = learned.noise[list(errors)]
        ends = intervals.around(
            estimate, np.array(list(errors.values())), noise=noise, next_noise=float(learned.noise[place])
        )
        low[place], high[place] = (max(end, least) for end in ends)
    return Bounds(low[:n], high[:n], float(low[n]), float(high[n]))
