"""What each split scheme promised at each cutoff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.likeness import likeness
from mlwild.auditions.past import Procedure
from mlwild.compute import Jobs
from mlwild.splits import OfFolds, Read
from mlwild.triangle.folds import OutOfFold, cross_validate
from mlwild.triangle.settled import complete

Floats = NDArray[np.float64]

#: Cutoffs that are audited at most: more would cost time and tell little more.
MOST_CUTOFFS = 200


@dataclass(frozen=True)
class Promises:
    """
    What was promised of each period, by whom, and what came.

    Parameters
    ----------
    schemes : tuple
    procedures : tuple of Procedure
    cutoffs : tuple of int
        Audited cutoffs, in order.
    made : ndarray of shape (n_schemes, n_procedures, n_cutoffs)
        Estimates of the loss of the period that opens at each cutoff; NaN where there is none.
    came : ndarray of shape (n_procedures, n_cutoffs)
        What the period lost, over all labels that ever came; NaN where many are still to come: those that come early
        are seldom like those that come late.
    floor : ndarray of shape (n_procedures, n_cutoffs)
        Absolute error that sampling alone gives.
    next : ndarray of shape (n_schemes,)
        Estimate for the period after the history, of the first procedure.
    """

    schemes: tuple[Read | OfFolds, ...]
    procedures: tuple[Procedure, ...]
    cutoffs: tuple[int, ...]
    made: Floats
    came: Floats
    floor: Floats
    next: Floats


def promises(
    found: Sequence[Procedure],
    schemes: Sequence[Read | OfFolds],
    *,
    fold_cutoffs: int = 8,
    most: int = MOST_CUTOFFS,
    jobs: Jobs = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> Promises:
    """
    Let every scheme promise at every audited cutoff.

    Schemes that need fits are asked at a few cutoffs only, spread evenly over the history's second half
    and its end.

    Parameters
    ----------
    found : sequence of Procedure
    schemes : sequence
    fold_cutoffs : int
        Cutoffs at which schemes with fits are asked.
    most : int
        Cutoffs that are audited, evenly spaced where there are more.
    jobs : int, optional
    progress : callable, optional
        See `mlwild.rehearse`.
    """
    grid = found[0].triangles[0].survey.grid
    first = max(one.first or 0 for one in found) + 1
    every = -(-max(grid.periods - first, 1) // most)
    cutoffs = tuple(range(first, grid.periods, every))
    made = np.full((len(schemes), len(found), len(cutoffs)), np.nan)
    following = np.full(len(schemes), np.nan)
    reads = [(place, one) for place, one in enumerate(schemes) if not isinstance(one, OfFolds)]
    for column, cutoff in enumerate(cutoffs):
        for row, procedure in enumerate(found):
            past = procedure.at(cutoff)
            for place, scheme in reads:
                made[place, row, column] = scheme.promise(past)
    last = found[0].at(grid.periods)
    for place, scheme in reads:
        following[place] = scheme.promise(last)
    folds = [(place, one) for place, one in enumerate(schemes) if isinstance(one, OfFolds)]
    if folds:
        places = np.unique(np.linspace(0, len(cutoffs) - 1, fold_cutoffs).round().astype(int))
        asked = [cutoffs[place] for place in places]
        for place, fold in folds:
            validated = cross_validate(
                [one.triangles[0] for one in found],
                asked,
                fold,
                windows=[one.window for one in found],
                jobs=jobs,
                progress=progress,
            )
            alike: dict[tuple[str, int], Floats] = {}
            for (row, cutoff), out in validated.items():
                if fold.weighted and (found[row].window, cutoff) not in alike:  # the same rows for every model
                    rows = np.concatenate(out.rows)
                    alike[found[row].window, cutoff] = likeness(found[row].triangles[0].survey, rows, cutoff)
                likely = alike.get((found[row].window, cutoff))
                made[place, row, cutoffs.index(cutoff)] = _fold_loss(found[row], out, likely)
    there = complete(found[0].triangles[0].survey)
    came = np.array([np.where(there, one.realised, np.nan)[list(cutoffs)] for one in found])
    floor = np.array([one.floor[list(cutoffs)] for one in found])
    return Promises(tuple(schemes), tuple(found), cutoffs, made, came, floor, following)


def _fold_loss(procedure: Procedure, out: OutOfFold, likely: Floats | None) -> float:
    """Return the loss over tested rows, weighted as the app weighs rows; folds of a set are averaged."""
    triangle = procedure.triangles[0]
    survey = triangle.survey
    if survey.loss.per == "set":
        if likely is not None:
            return float("nan")  # a set's loss cannot be reweighted row by row
        parts = [
            (survey.loss.of_set(survey.labels[rows], made), len(rows))
            for rows, made in zip(out.rows, out.predictions, strict=True)
        ]
        known = [(value, n) for value, n in parts if np.isfinite(value)]
        return float(np.average([v for v, _ in known], weights=[n for _, n in known])) if known else float("nan")
    rows = np.concatenate(out.rows)
    lost = survey.loss.rows(survey.labels[rows], np.concatenate(out.predictions))
    weights = survey.grid.weight[rows]
    if likely is not None:
        weights = weights * likely
    return float((lost * weights).sum() / weights.sum())
