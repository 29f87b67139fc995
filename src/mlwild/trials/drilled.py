"""The drill of a candidate: faults in the rows that it is tried on, as its guard would have met them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.drilling import Replay, drilled
from mlwild.drilling.replaying import MOST
from mlwild.gate.trial import Drilled
from mlwild.lives import Life
from mlwild.records import Vintage
from mlwild.triangle import Triangle


def drill_of(
    triangle: Triangle, life: Life, cutoff: int, vintage: Vintage, rows: NDArray[np.int64], *, seeds: int
) -> Drilled:
    """
    Return what a guard makes of faults in the first rows that came after a cutoff.

    Parameters
    ----------
    triangle : Triangle
        Of the model that lives.
    life : Life
        What was live when: the guard has its chain from it.
    cutoff : int
        Nothing that was known later is learned from.
    vintage : Vintage
        Who is on trial.
    rows : ndarray of int64
        Labelled rows that came after the cutoff, in order of time.
    seeds : int

    Returns
    -------
    Drilled

    Raises
    ------
    DataError
        If no labelled row was there at the cutoff that a stand-in did not learn from.
    """
    path = [*life.live[: max(cutoff - life.first, 0)], vintage]
    found = drilled(triangle.survey.app, [Replay(triangle, path, cutoff, rows[:MOST])], seeds)
    return Drilled(found.cells, found.clean_rows, found.trips, found.scale)
