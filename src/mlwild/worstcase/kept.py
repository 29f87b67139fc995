"""The promise, scored: at past cutoffs the worst case certified from what was known, against what came next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from mlwild.errors import MlwildError
from mlwild.stats.worst.history import FEWEST
from mlwild.stressors import LabelDelay, LabelFlips, Only, Situation, Stressor
from mlwild.trials import Replay, TriangleTrial
from mlwild.triangle.settled import settled
from mlwild.worstcase.certificates import LEVEL, WINDOW, Record, Scored, groups_of, periods_of, record_of, score
from mlwild.worstcase.curves import case_rng, loss_bounds, stressed
from mlwild.worstcase.live import Live
from mlwild.worstcase.searched import Attributes, slice_series, subpopulation_series

#: Cutoffs at which slices and subpopulations are searched; past trials that are put under stress; their rows.
SEARCHES, TRIALS, ROWS = 12, 6, 2_000


def records(
    live: Live,
    attributes: Attributes | None,
    stressors: Sequence[Stressor],
    *,
    fewest: int,
    said: Callable[[str], None] | None = None,
) -> tuple[Record, ...]:
    """
    Return how promises of each kind were kept.

    Parameters
    ----------
    live : Live
    attributes : Attributes or None
        Without them (published forecasts have none) no slice is searched.
    stressors : sequence of Stressor
        Of which the greatest severity was promised at past trials.
    fewest : int
        Rows of a group in a period that are enough to judge it.
    said : callable, optional
        Called with what is being done.

    Returns
    -------
    tuple of Record
        Those that could be scored at least once.
    """
    cutoffs = range(live.first + FEWEST, live.periods)
    found: dict[str, list[Scored]] = {}
    for cutoff in cutoffs:
        for series in (periods_of(live, cutoff), periods_of(live, cutoff, WINDOW), groups_of(live, cutoff, fewest)):
            made = None if series is None else score(series, live, cutoff)
            if made is not None:
                found.setdefault(made.kind, []).append(made)
    if attributes is not None:
        for cutoff in _spaced(list(cutoffs), SEARCHES):
            if said is not None:
                said(f"slices and subpopulations as known at {live.shown(cutoff)}")
            for search in (slice_series, subpopulation_series):
                hard = search(attributes, cutoff)
                made = None if hard is None else score(hard, live, cutoff)
                if made is not None:
                    found.setdefault(made.kind, []).append(made)
    if said is not None and stressors:
        said("stress at past trials")
    under = _stress(live.replay, stressors)
    if under:
        found["stress"] = under
    return tuple(record_of(kind, scored) for kind, scored in found.items())


def _spaced(cutoffs: list[int], most: int) -> list[int]:
    if len(cutoffs) <= most:
        return cutoffs
    places = np.unique(np.linspace(0, len(cutoffs) - 1, most).round().astype(int))
    return [cutoffs[place] for place in places]


def hardest(stressors: Sequence[Stressor]) -> list[Stressor]:
    """Return stressors at their greatest severity only, without those that fit the model again or know of later."""
    made: list[Stressor] = []
    for one in stressors:
        # Regimes were found in the whole history, which a trial of the past must not know.
        if isinstance(one, LabelDelay | LabelFlips | Only):
            continue
        whole: Any = one
        has = is_dataclass(whole) and any(field.name == "severities" for field in fields(whole))
        made.append(replace(whole, severities=tuple(one.severities[-1:])) if has else one)
    return made


def _stress(replay: Replay, stressors: Sequence[Stressor]) -> list[Scored]:
    """Return the worst stress promised at past trials, and what the same stress did to the rows that came next."""
    if not stressors:
        return []
    grid = replay.survey.grid
    made = []
    for trial in replay.earlier(grid.periods - replay.periods, TRIALS):
        found = stressed(trial, hardest(stressors), limit=math.inf, limit_is="", rows=ROWS)
        top = found.worst
        if top is None or math.isnan(top[1].high):
            continue
        curve, point = top
        stressor = next(one for one in stressors if one.name == curve.stressor)
        came = _came(replay, trial, stressor, curve.case, point.severity)
        if not math.isnan(came):
            what = f"{curve.stressor} in {curve.case}"
            made.append(
                Scored("stress", replay.survey.clock.show(int(grid.edges[trial.cutoff])), what, point.high, came)
            )
    return made


def _came(replay: Replay, trial: TriangleTrial, stressor: Stressor, case: str, severity: float) -> float:
    """Return what the stress did to the labelled rows of the periods after a trial."""
    grid = replay.survey.grid
    done = np.flatnonzero(settled(replay.survey, grid.periods))
    chosen = (grid.period_of_cell_row >= trial.cutoff) & (grid.period_of_cell_row < trial.cutoff + replay.periods)
    chosen &= np.isin(grid.period_of_cell_row, done)
    rows = np.sort(grid.cell_rows[chosen])
    rows = rows[~replay.triangle.unscored[rows]]
    if len(rows) < 2 * FEWEST:
        return math.nan
    if len(rows) > ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, ROWS).round().astype(np.int64)]
    calm = Situation(trial, trial.model, replay.everything.held(rows))
    if case not in stressor.cases(calm):
        return math.nan
    under = stressor.apply(calm, case, severity, case_rng(stressor, case, 0))
    try:
        return loss_bounds(under).estimate
    except (MlwildError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  the model answered then and does not now: nothing is further from what was promised
        return math.inf


__all__ = ["LEVEL", "hardest", "records"]
