"""The audition of split schemes: what each promised against what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.intervals import Bounds, conformal_bounds
from mlwild.auditions.past import procedures
from mlwild.auditions.promises import Promises, promises
from mlwild.auditions.verdicts import best_scheme, facts, leak_meter
from mlwild.splits import DEFAULT, OfFolds, Read
from mlwild.stats.proportions import wilson
from mlwild.triangle import Triangle

Floats = NDArray[np.float64]

#: Known promises a scheme needs before one who chooses as one goes may follow it.
FEWEST = 8


def audit_splits(
    triangles: Sequence[Triangle],
    schemes: Sequence[Read | OfFolds],
    *,
    level: float = 0.9,
    jobs: int | None = None,
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
    bounds = [
        [
            conformal_bounds(procedure, made.cutoffs, made.made[place, row], made.next[place], level=level)
            for row, procedure in enumerate(found)
        ]
        for place in range(len(schemes))
    ]
    records = [facts(made, place, bounds[place], level) for place in range(len(schemes))]
    estimating = best_scheme(np.abs(made.made - made.came).mean(axis=1), made, level, "estimating")
    choosing = best_scheme(_regrets(made), made, level, "choosing") if len(found) > 1 else _one_procedure(len(found))
    followed = _followed(made, bounds)
    audition = {
        "level": level,
        "n": len(made.cutoffs),
        "procedures": [procedure.name for procedure in found],
        "estimating": estimating,
        "choosing": choosing,
        "leak_meter": leak_meter(made, level),
        "promise": _promise(made, bounds, followed, level),
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


def _followed(made: Promises, bounds: Sequence[Sequence[Bounds]]) -> NDArray[np.int64]:
    """
    Return the scheme that one follows at each cutoff who always follows the best so far.

    Among the schemes that read; the default until one has eight known promises and a lower error.
    """
    names = [scheme.name for scheme in made.schemes]
    prior = names.index(DEFAULT.name) if DEFAULT.name in names else 0
    reads = [place for place, scheme in enumerate(made.schemes) if not isinstance(scheme, OfFolds)]
    followed = np.full(len(made.cutoffs) + 1, prior)
    known = np.array([bounds[place][0].known_error for place in reads])
    for column in range(FEWEST, len(made.cutoffs)):
        if not np.isnan(known[:, column]).all():
            followed[column] = reads[int(np.nanargmin(known[:, column]))]
    followed[-1] = followed[-2] if len(made.cutoffs) else prior
    return followed


def _promise(
    made: Promises, bounds: Sequence[Sequence[Bounds]], followed: NDArray[np.int64], level: float
) -> dict[str, Any]:
    """Return the promise for the model refitted on everything, and how such promises were kept."""
    procedure = made.procedures[0]
    survey = procedure.triangles[0].survey
    columns = np.arange(len(made.cutoffs))
    at = followed[:-1]
    low = np.array([bounds[place][0].low[column] for place, column in zip(at, columns, strict=True)])
    high = np.array([bounds[place][0].high[column] for place, column in zip(at, columns, strict=True)])
    promised, came = made.made[at, 0, columns], made.came[0]
    judged = ~np.isnan(low) & ~np.isnan(came)
    kept = int(((low <= came) & (came <= high))[judged].sum())
    n = int(judged.sum())
    covered = wilson(kept, n, level=level) if n else None
    last = bounds[followed[-1]][0]
    scheme = made.schemes[followed[-1]]
    return {
        "split": scheme.name,
        "model": procedure.name,
        "from": survey.clock.show(int(survey.grid.edges[-1])),
        "estimate": finite(float(made.next[followed[-1]])),
        "low": finite(last.next_low),
        "high": finite(last.next_high),
        "level": level,
        "n": n,
        "kept": kept,
        "coverage": None if covered is None else covered.estimate,
        "coverage_low": None if covered is None else covered.low,
        "coverage_high": None if covered is None else covered.high,
        "method": "adaptive conformal over past cutoffs",
        "why": "the scheme with the least error so far, followed at each cutoff from the past alone",
        "cutoffs": list(made.cutoffs),
        "promised": [finite(value) for value in promised],
        "promised_low": [finite(value) for value in low],
        "promised_high": [finite(value) for value in high],
        "came": [finite(value) for value in came],
        "followed": [made.schemes[place].name for place in at],
    }


def finite(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
