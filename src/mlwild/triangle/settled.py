"""Which periods are settled: about all labels that ever come have come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.lateness import arrived_share
from mlwild.triangle.survey import Survey

#: A period is settled when this share of its rows has a label, or of the labels that come as late as it is old.
SETTLED = 0.9
#: A period with less than this part of the labels that are usual was cut off, not chosen so.
FEWEST = 0.1


def settled(survey: Survey, cutoff: int) -> NDArray[np.bool_]:
    """
    Say of each period before a cutoff whether it is settled then.

    Labels that come early are seldom like those that come late: a period that is half known is not judged. Where most
    rows never get a label (only who was accepted repays), the share that has one says little; the delay does, as far as
    it is known at the cutoff. Where labels stopped coming, one row is no period.

    Parameters
    ----------
    survey : Survey
    cutoff : int
        Number of a cutoff, or of periods for the end of the history.

    Returns
    -------
    ndarray of bool, shape (cutoff,)
        A period without any label is not settled.
    """
    period, arrival, counts = survey.arrivals
    known = arrival <= cutoff
    period, lag, counts = period[known], (arrival - period - 1)[known], counts[known]
    labelled = np.bincount(period, counts, cutoff)[:cutoff]
    by_lag = arrived_share(lag, cutoff - 1 - period, counts)
    age = cutoff - 1 - np.arange(cutoff)
    come = np.append(by_lag, np.ones(max(cutoff - len(by_lag), 0)))[age]
    share = labelled / np.maximum(survey.grid.rows[:cutoff], 1)
    done = (labelled > 0) & ((share >= SETTLED) | (come >= SETTLED))
    usual = np.median(share[done]) if done.any() else 0.0
    return np.asarray(done & (share >= FEWEST * usual))


def complete(survey: Survey) -> NDArray[np.bool_]:
    """
    Say of each period of a history whether about all labels that it ever gets are there.

    It is settled at the end of the history; or as many of its rows have a label as is usual of those that are, with
    the labels that came after that end, which no cutoff knew of.

    Parameters
    ----------
    survey : Survey

    Returns
    -------
    ndarray of bool, shape (n_periods,)
        A period without any label is not.
    """
    grid = survey.grid
    done = settled(survey, grid.periods)
    share = grid.labelled / np.maximum(grid.rows, 1)
    usual = np.median(share[done]) if done.any() else 1.0
    return np.asarray(done | ((grid.labelled > 0) & (share >= SETTLED * usual)))
