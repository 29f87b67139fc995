"""Intervals around promises, learned from how earlier promises of the same scheme were kept."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.past import Procedure
from mlwild.stats.conformal import AdaptiveConformal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """
    Intervals of one scheme's promises of one procedure.

    Parameters
    ----------
    low, high : ndarray of shape (n_cutoffs,)
        NaN where too little was known.
    next_low, next_high : float
        For the period after the history.
    known_error : ndarray of shape (n_cutoffs,)
        Mean absolute error of the scheme as known at each cutoff; NaN before four errors were known.
    """

    low: Floats
    high: Floats
    next_low: float
    next_high: float
    known_error: Floats


def conformal_bounds(
    procedure: Procedure, cutoffs: tuple[int, ...], promised: Floats, following: float, *, level: float
) -> Bounds:
    """
    Return adaptive conformal intervals of promises, each from what was known at its cutoff.

    A promise counts as kept or broken when its period has settled, so that late labels delay what
    is learned and nothing later is seen.

    Parameters
    ----------
    procedure : Procedure
    cutoffs : tuple of int
    promised : ndarray of shape (n_cutoffs,)
    following : float
        Promise for the period after the history.
    level : float
        Nominal coverage.
    """
    n = len(cutoffs)
    low, high, known_error = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    intervals = AdaptiveConformal(level)
    errors: dict[int, float] = {}
    ends = (*cutoffs, procedure.triangles[0].survey.grid.periods)
    for place, cutoff in enumerate(ends):
        past = procedure.at(cutoff)
        for earlier in range(place):
            k = cutoffs[earlier]
            if earlier in errors or isnan(promised[earlier]) or not past.settled[k] or isnan(past.losses[k]):
                continue
            errors[earlier] = float(past.losses[k] - promised[earlier])
            if not isnan(low[earlier]):
                intervals = intervals.after(covered=bool(low[earlier] <= past.losses[k] <= high[earlier]))
        known = np.array(list(errors.values()))
        estimate = promised[place] if place < n else following
        ends_at = intervals.around(float(estimate), known)
        least = procedure.triangles[0].survey.loss.least
        ends_at = max(ends_at[0], least), max(ends_at[1], least)
        if place == n:
            return Bounds(low, high, *ends_at, known_error)
        low[place], high[place] = ends_at
        if len(known) >= 4:
            known_error[place] = np.abs(known).mean()
    raise AssertionError("the loop ends with the history")
