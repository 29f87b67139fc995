"""The drill of a candidate: faults in the rows that it is tried on, as its guard would have met them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.drilling import Replay, drilled
from mlwild.drilling.replaying import MOST
from mlwild.gate.trial import Drilled
from mlwild.guards import Guard
from mlwild.lives import Life
from mlwild.records import Vintage
from mlwild.triangle import Triangle

Ints = NDArray[np.int64]


def drill_of(triangle: Triangle, life: Life, tried: Ints, vintage: Vintage, rows: Ints, seeds: int) -> Drilled:
    """
    Return what a guard makes of faults in the first rows of the periods that a candidate is tried on.

    Parameters
    ----------
    triangle : Triangle
        Of the model that lives.
    life : Life
        What was live when: the guard has its chain from it.
    tried : ndarray of int64
        Those periods; nothing is learned from what was known after the first has begun.
    vintage : Vintage
        Who is on trial.
    rows : ndarray of int64
        Labelled rows of those periods, in order of time.
    seeds : int

    Returns
    -------
    Drilled

    Raises
    ------
    DataError
        If no labelled row was there at the cutoff that a stand-in did not learn from.
    """
    cutoff = int(tried[0])
    path = [*life.live[: max(cutoff - life.first, 0)], vintage]
    found = drilled(triangle.survey.app, [Replay(triangle, path, cutoff, rows[:MOST])], seeds)
    settings = triangle.survey.app.guard or Guard()
    return Drilled(found.cells, found.clean_rows, found.trips, found.scale, settings.level)
