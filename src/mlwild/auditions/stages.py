"""What each stage of a fallback chain lost in every period so far, and what it is to lose in the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.abstaining import abstained, since_of
from mlwild.auditions.covering import covered, level_of
from mlwild.auditions.past import Procedure
from mlwild.auditions.promises import MOST_CUTOFFS
from mlwild.auditions.splits import finite, promised_of_life
from mlwild.declared import PREVIOUS
from mlwild.guards.exploring import AT_RANDOM, random_answers, values_of
from mlwild.guards.learning import RECENT
from mlwild.guards.mean_losses import best_constant
from mlwild.guards.stages import CONSTANT
from mlwild.models import Forecast
from mlwild.records import Vintage
from mlwild.triangle import Tally, Triangle
from mlwild.triangle.fitting import training_rows
from mlwild.triangle.settled import complete

Floats = NDArray[np.float64]
#: A stage's name, its triangle, who answers in each period (and the one to come), and the first of these periods.
Row = tuple[str, Triangle, tuple[Vintage, ...], int]


def stage_losses(
    triangles: Mapping[str, Triangle], path: Sequence[Vintage], began: int, *, level: float = 0.9
) -> list[dict[str, Any]]:
    """
    Return what each stage of an app's chain loses, and what is promised of it for the period to come.

    Each stage is a row of the triangle: what was live, what was live before it, another model as old as what was live,
    and the best constant of the labels known some periods before, as a guard would have it. The promise is made as that
    of a life is: by the split scheme that is followed, with an adaptive conformal interval that knows how many rows the
    period will have and how losses went from period to period. Nothing is fitted where the triangles are whole.

    Parameters
    ----------
    triangles : mapping of str to Triangle
        By model: that of the model that lives, and of the others in the chain; one seed.
    path : sequence of Vintage
        What was live in each period from `began` on, and last what is live in the period to come.
    began : int
    level : float
        Nominal coverage of the interval of the next period's mean loss.

    Returns
    -------
    list of dict
        In the order of the chain, and last what is drawn at random where the app explores: ``stage``, ``vintage``
        (empty for the constant and for draws), ``loss`` (mean over ``n`` rows of
        ``periods``), ``worst`` (the period with the greatest mean loss, if possible of those of which about all labels
        are there), ``estimate``, ``low`` and ``high`` of the next period's mean loss (None where too little is known),
        ``kept`` of ``of`` such promises in the past, ``better`` of ``against`` periods in which it lost less than the
        constant, ``record``: what was promised of each period from what was known at its beginning, and what came; and
        ``intervals``: how many outcomes its answers' own intervals or sets held, as of `covered`.
    """
    rows = _rows(triangles, path, began)
    made = [_measured(*row, level=level) for row in rows]
    constant = next((one["by_period"] for one in made if one["stage"] == CONSTANT), np.zeros(0))
    for one in made:
        mine = one.pop("by_period")
        both = np.isfinite(mine) & np.isfinite(constant)
        one["better"], one["against"] = int((mine < constant)[both].sum()), int(both.sum())
    return made


def declared_losses(triangles: Sequence[Triangle], path: Sequence[Vintage], began: int) -> dict[str, Any] | None:
    """
    Return what a rehearsed app's stages lose; None for an app that declares neither `fallback` nor `guard`.

    Parameters
    ----------
    triangles : sequence of Triangle
        Of a rehearsal: all models, that which lives first.
    path : sequence of Vintage
        What was live in each period from `began` on.
    began : int

    Returns
    -------
    dict or None
        ``stages`` as of `stage_losses`, ``level``, the ``share`` of fallbacks that is drawn at random, ``why`` there
        are none, if so; and of an app that abstains what that means, as of `abstained`.
    """
    app = triangles[0].survey.app
    if app.fallback is None and app.guard is None:
        return None
    share = 0.0 if app.guard is None or app.guard.explore is None else float(app.guard.explore.share)
    if isinstance(app.models[app.live], Forecast):
        why = f"{app.live!r} is a published forecast, which no request holds"
        return {"level": 0.9, "share": share, "stages": [], "why": why}
    named: dict[str, Triangle] = {}
    for one in triangles:
        named.setdefault(one.model, one)
    found = {"level": 0.9, "share": share, "stages": stage_losses(named, (*path, path[-1]), began), "why": ""}
    if app.guard is not None and app.guard.risk is not None:
        found["abstains"] = abstained(triangles[0], path, began, risk=app.guard.risk)
    return found


def _rows(triangles: Mapping[str, Triangle], path: Sequence[Vintage], began: int) -> list[Row]:
    """Return the stages that can answer next, each with who would have answered in each period so far."""
    live = next(iter(triangles.values()))
    app, window = live.survey.app, str(live.survey.app.windows[0])
    made: list[Row] = [("champion", live, tuple(path), began)]
    for name in app.chain:
        wanted: list[Vintage | None]
        if name == PREVIOUS:
            # Until the first change it is the first vintage itself: its row goes on when it is replaced.
            triangle, wanted = live, [_before(path, place) or one for place, one in enumerate(path)]
            if wanted[-1] == path[-1]:
                continue  # nothing was live before
        else:
            triangle = triangles[name]
            wanted = [triangle.freshest(window, one.fitted) for one in path]
            if wanted[-1] != Vintage(path[-1].fitted, window):
                continue  # a rival that cannot be fitted is no stage
        known = _whole(wanted)
        if known:
            made.append((name, triangle, known, began + len(path) - len(known)))
    fixed = _constants(live, path, began)
    known = _whole([one if one in fixed.scores else None for one in _of_periods(path, began)])
    if not known:
        return made
    made.append((CONSTANT, fixed, known, began + len(path) - len(known)))
    drawn = _drawn(live, path, began)
    return made if drawn is None else [*made, (AT_RANDOM, drawn, tuple(_of_periods(path, began)), began)]


def _before(path: Sequence[Vintage], place: int) -> Vintage | None:
    """Return what was live before what is live in some period; None where nothing was."""
    return next((one for one in path[place::-1] if one != path[place]), None)


def _whole(wanted: Sequence[Vintage | None]) -> tuple[Vintage, ...]:
    """Return the last vintages of a series, from behind its last gap on."""
    first = max((place + 1 for place, one in enumerate(wanted) if one is None), default=0)
    return tuple(one for one in wanted[first:] if one is not None)


def _of_periods(path: Sequence[Vintage], began: int) -> list[Vintage]:
    return [Vintage(began + place, one.window) for place, one in enumerate(path)]


def _constants(live: Triangle, path: Sequence[Vintage], began: int) -> Triangle:
    """Return the triangle of the best constant of each cutoff: nothing of it is fitted or kept."""
    survey, grid = live.survey, live.survey.grid
    made = Triangle(survey, CONSTANT, live.seed, live.store, Tally(), settled=True)
    made.unscored[:] = live.unscored
    classes = 0 if survey.classes is None else len(survey.classes)
    answer = None
    for vintage in _of_periods(path, began):
        at = min(vintage.fitted, grid.periods)
        since = since_of(survey, at)
        opens = live.recipe.opens(Vintage(since, vintage.window))
        known = training_rows(survey.time, survey.known_at, opens, int(grid.edges[since]))
        labels, weights = survey.labels[known][-RECENT:], grid.weight[known][-RECENT:]
        if len(labels):
            answer = best_constant(survey.loss, labels, survey.ask, classes, weights).astype(np.float32)
        if answer is not None:
            rows = len(survey.time) - int(grid.row_start[at])
            made.enter(vintage, np.broadcast_to(answer, (rows, *answer.shape)))
    return made


def _drawn(live: Triangle, path: Sequence[Vintage], began: int) -> Triangle | None:
    """Return the triangle of answers that are drawn at random; None for an app that does not explore."""
    survey, guard = live.survey, live.survey.app.guard
    if guard is None or guard.explore is None:
        return None
    values = values_of(guard.explore, survey.ask, 0 if survey.classes is None else len(survey.classes))
    made = Triangle(survey, AT_RANDOM, live.seed, live.store, Tally(), settled=True)
    made.unscored[:] = live.unscored
    drawn = random_answers(values, len(survey.time)).astype(np.float32)
    for vintage in _of_periods(path, began):
        made.enter(vintage, drawn[int(survey.grid.row_start[min(vintage.fitted, survey.grid.periods)]) :])
    return made


def _measured(name: str, triangle: Triangle, path: tuple[Vintage, ...], began: int, *, level: float) -> dict[str, Any]:
    survey, grid = triangle.survey, triangle.survey.grid
    of_stage = Procedure((triangle,), path[0].window, path, began)
    losses, weights = of_stage.realised.copy(), of_stage.weights
    losses[:began] = np.nan
    known = np.flatnonzero(np.isfinite(losses) & (weights > 0))
    whole = known[complete(survey)[known]]
    pool = whole if len(whole) else known  # labels that come early may be the worst ones
    worst = int(pool[np.argmax(losses[pool])]) if len(pool) else None
    promise = promised_of_life(triangle, path, began, delay=grid.usual_delay, level=level, most=MOST_CUTOFFS)
    keys = ("cutoffs", "promised", "promised_low", "promised_high", "came")
    return {
        "stage": name,
        "vintage": "" if name in (CONSTANT, AT_RANDOM) else str(path[-1]),
        "loss": finite(float(np.average(losses[known], weights=weights[known]))) if len(known) else None,
        "n": int(grid.labelled[known].sum()),
        "periods": len(known),
        "worst": None
        if worst is None
        else {
            "loss": float(losses[worst]),
            "from": survey.clock.show(int(grid.edges[worst])),
            "to": survey.clock.show(int(grid.edges[worst + 1])),
            "n": int(grid.labelled[worst]),
        },
        "estimate": promise.get("estimate"),
        "low": promise.get("low"),
        "high": promise.get("high"),
        "kept": promise.get("kept", 0),
        "of": promise.get("n", 0),
        "record": {key: promise.get(key, []) for key in keys},
        "intervals": None if name == AT_RANDOM else covered(triangle, path, began, level=level_of(survey.app)),
        "by_period": losses,
    }
