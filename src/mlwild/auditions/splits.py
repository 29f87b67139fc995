"""The audition of split schemes: what each promised against what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.intervals import Learned, conformal_bounds, learn
from mlwild.auditions.past import Procedure, procedures
from mlwild.auditions.promises import Promises, promises
from mlwild.auditions.verdicts import best_scheme, facts, leak_meter
from mlwild.compute import Jobs
from mlwild.records import Vintage
from mlwild.splits import DEFAULT, OfFolds, Read, standard
from mlwild.stats.proportions import wilson
from mlwild.stats.rivals import lead_by_chance
from mlwild.triangle import Triangle

Floats = NDArray[np.float64]


def audit_splits(
    triangles: Sequence[Triangle],
    schemes: Sequence[Read | OfFolds],
    *,
    level: float = 0.9,
    jobs: Jobs = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> dict[str, Any]:
    """
    Return what history says of split schemes.

    Every scheme promises, at every cutoff and for every model and window, the loss of the period that
    opens there, from what was known; the promises are held against what came. Schemes that read the
    triangle fit nothing.

    Parameters
    ----------
    triangles : sequence of Triangle
    schemes : sequence
        `mlwild.splits.standard` or your own.
    level : float
        Nominal coverage of intervals.
    jobs : int, optional
    progress : callable, optional
        For schemes with fits of their own; see `mlwild.rehearse`.

    Returns
    -------
    dict
        ``splits``, one record a scheme, best estimate first, and ``split_audition``: the best for
        estimating and for choosing, the leak meter, and the promise for the next period.
    """
    found = procedures(triangles)
    made = promises(found, schemes, jobs=jobs, progress=progress)
    least = triangles[0].survey.loss.least
    learned = [learn(procedure, made.cutoffs) for procedure in found]
    bounds = [
        [
            conformal_bounds(known, made.made[place, row], made.next[place], level=level, least=least)
            for row, known in enumerate(learned)
        ]
        for place in range(len(schemes))
    ]
    records = [facts(made, place, bounds[place], level) for place in range(len(schemes))]
    estimating = best_scheme(np.abs(made.made - made.came).mean(axis=1), made, level, "estimating")
    choosing = best_scheme(_regrets(made), made, level, "choosing") if len(found) > 1 else _one_procedure(len(found))
    audition = {
        "level": level,
        "n": len(made.cutoffs),
        "procedures": [procedure.name for procedure in found],
        "estimating": estimating,
        "choosing": choosing,
        "leak_meter": leak_meter(made, level),
        "promise": _promise(made, learned[0], level),
    }
    order = sorted(range(len(records)), key=lambda place: (records[place]["error"] is None, records[place]["error"]))
    return {"splits": [records[place] for place in order], "split_audition": audition}


def _regrets(made: Promises) -> Floats:
    """Return what choosing by each scheme's promises lost against the best at each cutoff."""
    regrets = np.full((len(made.schemes), len(made.cutoffs)), np.nan)
    whole: NDArray[np.bool_] = np.all(np.isfinite(made.made - made.came[None]), axis=1)
    for place in range(len(made.schemes)):
        at = np.flatnonzero(whole[place])
        chosen = made.made[place][:, at].argmin(axis=0)
        regrets[place, at] = made.came[chosen, at] - made.came[:, at].min(axis=0)
    return regrets


def _one_procedure(n: int) -> dict[str, Any]:
    said = f"{n} model with one window: there is nothing to choose among. Name more models or windows."
    return {"name": None, "among": [], "n": 0, "why": said}


def _followed(made: Promises, learned: Learned) -> NDArray[np.int64]:
    """
    Return the scheme that one follows at each cutoff who changes only for a lead beyond chance.

    Among the schemes that read, from the default on. The one with the least error so far would mostly be a
    lucky one: it would be followed to worse estimates, and its own record would promise too narrow intervals.
    """
    reads = [place for place, scheme in enumerate(made.schemes) if not isinstance(scheme, OfFolds)] or [0]
    names = [made.schemes[place].name for place in reads]
    charge = names.index(DEFAULT.name) if DEFAULT.name in names else 0
    errors = np.abs(made.made[reads, 0] - learned.outcomes[:, None])
    followed = np.full(len(made.cutoffs) + 1, reads[charge])
    for column, known in enumerate(errors):
        rivals, at = _comparable(known, charge)
        gaps = known[charge, at] - known[np.ix_(rivals, at)]
        ahead = np.flatnonzero(gaps.sum(axis=1) > lead_by_chance(gaps))
        if len(ahead):
            charge = int(rivals[ahead[np.argmax(gaps[ahead].sum(axis=1))]])
        followed[column] = reads[charge]
    return followed


def _comparable(known: Floats, charge: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the schemes that have a say by now, and the periods for which each of them had one."""
    said = np.flatnonzero(~np.isnan(known[charge]))
    rivals = np.flatnonzero(~np.isnan(known[:, said[-1]])) if len(said) else np.array([charge])
    return rivals, np.flatnonzero(~np.isnan(known[rivals]).any(axis=0))


def _promise(made: Promises, learned: Learned, level: float) -> dict[str, Any]:
    """Return the promise for the model refitted on everything, and how such promises were kept."""
    procedure = made.procedures[0]
    survey = procedure.triangles[0].survey
    followed = _followed(made, learned)
    at = followed[:-1]
    promised, came = made.made[at, 0, np.arange(len(made.cutoffs))], made.came[0]
    # The record is that of the promises as they were made, whoever made them.
    bounds = conformal_bounds(learned, promised, float(made.next[followed[-1]]), level=level, least=survey.loss.least)
    judged = ~np.isnan(bounds.low) & ~np.isnan(came)
    kept = int(((bounds.low <= came) & (came <= bounds.high))[judged].sum())
    n = int(judged.sum())
    covered = wilson(kept, n, level=level) if n else None
    scheme = made.schemes[followed[-1]]
    return {
        "split": scheme.name,
        "model": procedure.name,
        "from": survey.clock.show(int(survey.grid.edges[-1])),
        "estimate": finite(float(made.next[followed[-1]])),
        "low": finite(bounds.next_low),
        "high": finite(bounds.next_high),
        "level": level,
        "n": n,
        "kept": kept,
        "coverage": None if covered is None else covered.estimate,
        "coverage_low": None if covered is None else covered.low,
        "coverage_high": None if covered is None else covered.high,
        "width": float((bounds.high - bounds.low)[judged].mean()) if n else None,
        "method": "adaptive conformal over past cutoffs",
        "why": "the default scheme until another is ahead by more than chance, chosen from the past alone",
        "cutoffs": list(made.cutoffs),
        "promised": [finite(value) for value in promised],
        "promised_low": [finite(value) for value in bounds.low],
        "promised_high": [finite(value) for value in bounds.high],
        "came": [finite(value) for value in came],
        "followed": [made.schemes[place].name for place in at],
    }


def promised_of_life(
    triangle: Triangle,
    path: tuple[Vintage, ...],
    began: int,
    *,
    delay: int,
    level: float = 0.9,
    most: int | None = None,
) -> dict[str, Any]:
    """
    Return what is promised of a life's next period, and what was promised of its earlier ones at the time.

    Parameters
    ----------
    triangle : Triangle
    path : tuple of Vintage
        What was live in each period from `began` on; one more than there are periods, for the next one.
    began : int
    delay : int
        Usual label delay in periods.
    level : float
        Nominal coverage of the intervals.
    most : int, optional
        Cutoffs that the record is made of, evenly spaced where there are more; default all.

    Returns
    -------
    dict
        As ``split_audition["promise"]`` of a rehearsal; empty in the life's first period.
    """
    if triangle.survey.grid.periods <= began:
        return {}
    of_life = Procedure((triangle,), path[0].window, path, began)
    schemes = standard(delay=delay)
    made = promises([of_life], schemes, most=triangle.survey.grid.periods if most is None else most)
    return _promise(made, learn(of_life, made.cutoffs), level)


def finite(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
