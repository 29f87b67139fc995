"""The stress of an app: its worst case first, and how such promises were kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mlwild.app import App
from mlwild.compute import Jobs
from mlwild.disk import write_atomically
from mlwild.errors import AppError
from mlwild.gate.ready.robust import constant_loss
from mlwild.gating import replay_of
from mlwild.models import Forecast
from mlwild.rehearsal import STORE, Progress, Rehearsal, made_of_app, rehearse
from mlwild.stats.bootstrap import mean_interval
from mlwild.stressors import Only, Stressor, checked, standard
from mlwild.trading import Book, book_of
from mlwild.trials import Replay
from mlwild.worstcase import vector
from mlwild.worstcase.certificates import Certificate, certify, groups_of, periods_of
from mlwild.worstcase.curves import Stressed, stressed
from mlwild.worstcase.ensembles import Ensemble, bagged, compared, together
from mlwild.worstcase.kept import records
from mlwild.worstcase.live import Live
from mlwild.worstcase.often import often
from mlwild.worstcase.report import Expected, StressReport, WorstCase
from mlwild.worstcase.searched import Attributes
from mlwild.worstcase.skill import skills
from mlwild.worstcase.strategy import Strategy, strategy_of

Floats = NDArray[np.float64]
Said = Callable[[str], None]


def stress(
    app: App,
    *,
    stressors: Sequence[Stressor] | None = None,
    limit: float | None = None,
    store: str | Path = STORE,
    jobs: Jobs = None,
    progress: Progress | None = None,
    said: Said | None = None,
) -> StressReport:
    """
    Search an app's worst case: groups, subpopulations, slices, periods, regimes and stress.

    Parameters
    ----------
    app : App
        With a loss of rows.
    stressors : sequence of Stressor, optional
        Default the app's own, or `mlwild.stressors.standard`.
    limit : float, optional
        Loss above which a gate would fail; default that of the best constant.
    store, jobs, progress : optional
        As for `mlwild.rehearse`.
    said : callable, optional
        Called with what is being done.

    Returns
    -------
    StressReport

    Raises
    ------
    AppError, DataError
        If a field or the data are wrong, the loss is one of sets, or there are too few periods with labels.
    """
    if app.loss_.per == "set":
        raise AppError(
            f"loss: {app.loss_.name!r} is one of sets, of which no row has a share: no group, slice or period can be "
            "searched for the worst. Name a loss of rows, such as log_loss or absolute."
        )
    if limit is not None and not math.isfinite(limit):
        raise AppError(f"limit: {limit!r} is no finite loss that anything could be above.")
    checked(stressors if stressors is not None else app.stressors or ())
    rehearsal = rehearse(app, store=store, jobs=jobs, progress=progress, keep_rows=True)
    # Some thousand small predictions: threads would wait for each other.
    with threadpool_limits(limits=1):
        report = _report(rehearsal, stressors, limit, said)
    found = report.as_dict() | {"data": rehearsal.survey.data_digest, "made_of": made_of_app(app)}
    text = json.dumps(found, allow_nan=False).encode()
    write_atomically(rehearsal.store.root / "stress" / f"{app.name}.json", lambda file: file.write(text))
    return report


def _report(
    rehearsal: Rehearsal, stressors: Sequence[Stressor] | None, limit: float | None, said: Said | None
) -> StressReport:
    app = rehearsal.survey.app
    replay = replay_of(rehearsal)
    live = Live(replay)
    attributes = Attributes(live)
    last, fewest = live.periods, app.min_rows
    regime, parts = vector.of_regime(live, last)
    chosen = checked(stressors if stressors is not None else app.stressors or standard())
    if parts:
        chosen = (*chosen, Only(parts))
    under = _under_stress(replay, chosen, limit, said)
    found = [
        vector.of_groups(live, last, fewest),
        *vector.of_history(live, last),
        regime,
        _stress_case(under, chosen, replay),
    ]
    next_: list[Certificate] = [
        certify(one, live) for one in (periods_of(live, last), groups_of(live, last, fewest)) if one
    ]
    fitted = not isinstance(app.models[app.live], Forecast)
    # The search of slices counts rows and knows no weights: it would miss what is seldom seen.
    searchable = fitted and not live.weighted
    if searchable:
        found += [vector.of_subpopulation(attributes, last), vector.of_slice(attributes, last)]
    kept = records(live, attributes if searchable else None, chosen if fitted else (), fewest=fewest, said=said)
    return StressReport(
        app=app.name,
        model=app.live,
        loss=app.loss_.title,
        unit=app.loss_.unit,
        every=str(app.every_),
        worst=_ordered([one for one in found if one is not None]),
        expected=_expected(live),
        skill=skills(live, fewest),
        next_=tuple(next_),
        records=kept,
        stressed=under,
        ensembles=_ensembles(rehearsal, replay, fitted=fitted),
        strategies=_strategies(rehearsal, replay),
        trial=replay.now.said,
        not_judged=_not_judged(live, {one.kind for one in found if one is not None}, under, fitted=fitted),
    )


def _ordered(found: list[WorstCase]) -> tuple[WorstCase, ...]:
    """Return worst cases, the greatest bound first; what chance explains comes last."""
    return tuple(sorted(found, key=lambda one: (not one.confirmed, -one.weight)))


def _not_judged(live: Live, there: set[str], under: Stressed, *, fitted: bool) -> tuple[tuple[str, str], ...]:
    """Return the kinds of worst cases that are not there, and why."""
    if not fitted:
        hidden = "a published forecast has no features"
    elif live.weighted:
        hidden = "rows weigh differently (propensity), which the search of features does not know of"
    else:
        hidden = "there are too few labelled rows in settled periods, or no feature to search"
    reasons = {
        "group": "the app declares no groups" if not live.groups else "no group has rows enough (min_rows)",
        "subpopulation": hidden,
        "slice": hidden,
        "window": "there are too few settled periods",
        "regime": "fewer than 12 settled periods, or one regime explains them all",
        "stress": under.why_no_worst,
    }
    return tuple((kind, why) for kind, why in reasons.items() if kind not in there)


def _under_stress(replay: Replay, stressors: Sequence[Stressor], limit: float | None, said: Said | None) -> Stressed:
    trial = replay.now
    if limit is None:
        return stressed(
            trial, stressors, limit=constant_loss(trial), limit_is="the loss of the best constant", said=said
        )
    return stressed(trial, stressors, limit=limit, limit_is="as asked for", said=said)


def _stress_case(under: Stressed, stressors: Sequence[Stressor], replay: Replay) -> WorstCase | None:
    if under.worst is None:
        return None
    curve, point = under.worst
    stressor = next(one for one in stressors if one.name == curve.stressor)
    return vector.of_stress(under, often(stressor, curve.case, point.severity, replay.now.learned))


def _expected(live: Live) -> Expected:
    """Return the mean loss of what was live, with the interval of its periods."""
    known = live.known(live.periods)
    weight = live.weight[known]
    mean = float(np.average(live.losses[known], weights=weight))
    seen = np.unique(live.period[known])
    total = np.bincount(live.period[known], weight * (live.losses[known] - mean), live.periods)[seen]
    # The mean over rows varies as the periods' sums about it do.
    spread = mean_interval(total * len(total) / weight.sum(), level=0.9)
    survey = live.replay.survey
    until = survey.clock.show(int(survey.grid.edges[int(seen[-1]) + 1]))
    return Expected(
        mean, mean + spread.low, mean + spread.high, int(known.sum()), len(seen), live.shown(int(seen[0])), until
    )


def _ensembles(rehearsal: Rehearsal, replay: Replay, *, fitted: bool) -> tuple[Ensemble, ...]:
    """Return refits of the recipe as one; and the app's models as one, where there are several."""
    made = [bagged(replay.now)] if fitted else []
    trial, names = replay.now, list(rehearsal.survey.app.models)
    if len(names) > 1:
        predictions = {}
        for name in names:
            triangle = next(one for one in rehearsal.triangles if one.model == name)
            vintage = triangle.freshest(str(rehearsal.survey.app.windows[0]), int(trial.tried[0]))
            if vintage is not None:
                first = int(rehearsal.survey.grid.row_start[vintage.cutoff])
                predictions[name] = triangle.predictions(vintage)[trial.events.rows - first].astype(np.float64)
        if len(predictions) > 1:
            made.append(compared("the app's models", trial.loss, trial.events, predictions))
    return tuple(made)


def _strategies(rehearsal: Rehearsal, replay: Replay) -> tuple[Strategy, ...]:
    """Return the worst case of every model as a strategy, and of all as one; nothing where nothing is traded."""
    trading, survey = rehearsal.survey.app.trading, rehearsal.survey
    if trading is None:
        return ()
    rows = np.sort(replay.live_losses[0])
    entity = replay.everything.entity
    asset = None if entity is None else entity[rows]
    predicted: dict[str, Floats] = {survey.app.live: replay.live_predictions(rows)}
    for triangle in rehearsal.triangles:
        if triangle.model not in predicted:
            predicted[triangle.model] = _freshest(triangle, replay, rows)
    positions = {name: np.asarray(trading.position(values), dtype=np.float64) for name, values in predicted.items()}
    if len(positions) > 1:
        positions["all as one"] = together(np.stack(list(positions.values())), "value")
    books: dict[str, Book] = {
        name: book_of(survey.time[rows], asset, held, survey.labels[rows].astype(np.float64), trading.cost)
        for name, held in positions.items()
    }
    tried = {name: book.net() for name, book in books.items()}
    shown = survey.clock.show
    return tuple(strategy_of(name, book, trading, tried=tried, shown=shown) for name, book in books.items())


def _freshest(triangle: Any, replay: Replay, rows: NDArray[np.int64]) -> Floats:
    """Return the predictions of another model, always retrained."""
    grid = replay.survey.grid
    period = np.searchsorted(grid.row_start, rows, side="right") - 1
    made = np.empty(len(rows))
    edges = np.flatnonzero(np.diff(period, prepend=-1, append=-1))
    for low, high in pairwise(edges):
        vintage = triangle.freshest(str(replay.survey.app.windows[0]), int(period[low]))
        if vintage is None:
            made[low:high] = 0.0
            continue
        first = int(grid.row_start[vintage.cutoff])
        made[low:high] = triangle.predictions(vintage)[rows[low:high] - first]
    return made


def last_stress(app: App, *, store: str | Path = STORE) -> dict[str, Any] | None:
    """Return what was found last, as plain data; None if it was never asked for."""
    root = Path(store) if Path(store).is_absolute() else app.root / store
    path = root / "stress" / f"{app.name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


__all__ = ["last_stress", "stress"]
