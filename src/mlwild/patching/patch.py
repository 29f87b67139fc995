"""Rehearse remedies for a slice: what each does to it in the next period, and what it costs elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlwild import models
from mlwild.app import App
from mlwild.comparisons.answer import Record
from mlwild.comparisons.remedied import failed, judge
from mlwild.compute import Jobs
from mlwild.errors import AppError, DataError
from mlwild.jsonable import plain
from mlwild.models import Forecast
from mlwild.patching.meant import Meant, meant
from mlwild.patching.scored import Scored, scored_periods
from mlwild.patching.sheet import Trial, as_sheet, rank
from mlwild.records import Vintage
from mlwild.rehearsal import STORE
from mlwild.remedies import standard
from mlwild.remedies.transforms import Transform
from mlwild.triangle import Survey, Tally, Triangle, parallel
from mlwild.triangle.patches import patch_at
from mlwild.triangle.store import Store
from mlwild.triangle.survey import lay_survey, read_events

Progress = Callable[[int, int, int], None]
Named = str | Callable[[Any], Any]
Worst = Callable[[Survey, Triangle, int], Named]

#: Cutoffs at which remedies are rehearsed, unless said otherwise.
CUTOFFS = 8
#: Fewer tell nothing.
FEWEST = 4
#: As many periods that lie apart are preferred to more that do not, below so many that their dependence shows.
FEWEST_APART, ENOUGH = 6, 20


def patch(
    app: App,
    slice_: Named | None = None,
    *,
    remedies: Mapping[str, Any] | None = None,
    model: str | None = None,
    cutoffs: int = CUTOFFS,
    transform: Transform | None = None,
    abstain: float | None = None,
    worst: Worst | None = None,
    level: float = 0.95,
    store: str | Path = STORE,
    jobs: Jobs = None,
    progress: Progress | None = None,
) -> Record:
    """
    Rehearse remedies for a slice: what each does to it in the next period, and what it costs elsewhere.

    At each of some cutoffs, evenly spaced over the later two thirds of the history, every remedied model is
    fitted on what was known and scored on the period that follows, beside the model as it is. Predictions
    are kept: a second run fits nothing. Vintages of the model itself are shared with `mlwild.rehearse`.

    Parameters
    ----------
    app : App
    slice_ : str or callable, optional
        A condition on columns of the data or of the features, such as ``"carrier = 'EV'"``; or a function
        of the features that returns true or false for each row.
    remedies : mapping of str to model, optional
        Default `mlwild.remedies.standard`. Any model will do; one with `accepts` may abstain.
    model : str, optional
        Name of the model to mend; default the one that lives.
    cutoffs : int
        At least 4, default 8; in a short history fewer, so that they lie apart.
    transform : callable, optional
        For augmentation: ``f(X, rng)`` that leaves labels as they are.
    abstain : float, optional
        What a row costs that is not answered, in the unit of the loss; without it nobody abstains.
    worst : callable, optional
        ``worst(survey, triangle, cutoff)`` names the slice where `slice_` does not. It may read losses of periods
        before that cutoff only: rows that remedies are judged on must not choose the slice.
    level : float
        Coverage of the intervals of all remedies together, in [0.5, 1).
    store, jobs, progress : optional
        As for `mlwild.rehearse`.

    Returns
    -------
    dict
        Plain data: app, model, loss, slice, cutoffs, remedies (best first; each with name, verdict, said, slice,
        elsewhere, all, answered, setting, base_fits, seconds), recommended, said, left_out, level, fits, seconds.

    Raises
    ------
    AppError
        If no slice is named, or a setting is wrong.
    DataError
        If the slice holds no row that is scored, or all of them; or the model could not be made.
    BusyError, StoreError
        As for `mlwild.rehearse`.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from mlwild import App
    >>> rng = np.random.default_rng(0)
    >>> def events():
    ...     x, odd = rng.normal(size=3000), rng.random(3000) < 0.2
    ...     return pd.DataFrame({"when": np.arange(3000), "x": x, "odd": odd, "y": np.where(odd, 2 + x, x)})
    >>> def line(X, y):
    ...     slope, shift = np.polyfit(X["x"], y, 1)
    ...     return lambda X: slope * X["x"].to_numpy() + shift
    >>> app = App(
    ...     name="two", data=events, time="when", label="y", delay=0, models={"line": line}, loss="squared",
    ...     every=50,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = patch(app, "odd = true", store=folder, jobs=1)
    >>> found["recommended"], found["fits"]["made"]  # at 8 cutoffs: the model itself, and six remedies
    ('recalibrated', 56)
    """
    began = time.perf_counter()
    name = _model(app, model)
    if slice_ is None and worst is None:
        raise AppError(
            "slice: say which rows the model fails on, such as --slice \"carrier = 'EV'\", or name a function of the "
            "app file that returns true or false for each row of the features."
        )
    events, tables = read_events(app)
    survey = lay_survey(app, events, tables)
    keep = Store(Path(store) if Path(store).is_absolute() else app.root / store)
    chosen = _cutoffs(survey, cutoffs)

    def trial_of(found: Meant) -> Trial:
        tried, left_out = _remedies(app.models[name], found, survey, remedies, transform, abstain)
        return Trial(tried, left_out, chosen, str(app.windows[0]), abstain, level)

    triangle = Triangle(survey, name, app.seeds[0], keep, Tally())
    # Read and check before anything is written: bad input leaves no trace.
    found = None if slice_ is None else meant(slice_, survey, events)
    trial = None if found is None else trial_of(found)
    with keep.lock(app.name):
        if found is None or trial is None:
            assert worst is not None
            found = meant(_found(worst, triangle, chosen[0]), survey, events)
            trial = trial_of(found)
        records, scored = _rehearsed(triangle, found, trial, jobs, progress)
    sheet = as_sheet(triangle, found, trial, scored, records)
    sheet["seconds"] = round(time.perf_counter() - began, 3)
    made: Record = plain(sheet)
    return made


def _found(worst: Worst, triangle: Triangle, cutoff: int) -> Named:
    """Return the slice that is found: on a triangle of its own, which may make vintages as they are asked for."""
    own = Triangle(triangle.survey, triangle.model, triangle.seed, triangle.store, triangle.tally)
    own.settle()
    return worst(triangle.survey, own, cutoff)


def _model(app: App, model: str | None) -> str:
    name = app.live if model is None else model
    if name not in app.models:
        raise AppError(f"model: there is no {name!r}; there is {', '.join(map(repr, app.models))}.")
    if isinstance(app.models[name], Forecast):
        raise AppError(f"model: {name!r} is a published forecast; it is not fitted here, so it cannot be mended.")
    return name


def _remedies(
    base: Any,
    found: Meant,
    survey: Survey,
    given: Mapping[str, Any] | None,
    transform: Transform | None,
    price: float | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is tried, and why something is not."""
    if price is not None and not 0 <= price < float("inf"):
        raise AppError(f"abstain: {price!r} is not a finite number of at least 0.")
    if given is None:
        return standard(base, found.slice, survey.loss, transform=transform, price=price)
    if not given:
        raise AppError("remedies: name at least one: {'name': model}.")
    for name, model in given.items():
        models.check(model, f"remedies[{name!r}]", survey.loss.predicts, None)
    return dict(given), {}


def _cutoffs(survey: Survey, wanted: int) -> tuple[int, ...]:
    """Return cutoffs evenly spaced over the later two thirds, each with a period whose labels have come."""
    if wanted < FEWEST:
        raise AppError(f"cutoffs: {wanted} are too few to tell anything; give at least {FEWEST}.")
    usable = scored_periods(survey)
    if len(usable) < FEWEST:
        raise DataError(
            f"cutoffs: the later two thirds of the history hold {len(usable)} periods whose labels have come; it takes "
            f"{FEWEST}. Use a shorter cadence, or more history."
        )
    n, apart = min(wanted, len(usable)), (len(usable) + 1) // 2
    # Few periods must lie apart to be independent evidence: rather one or two fewer.
    if ENOUGH > n > apart >= FEWEST_APART:
        n = apart
    places = np.unique(np.linspace(0, len(usable) - 1, n).round().astype(int))
    return tuple(usable[place] for place in places)


def _rehearsed(
    triangle: Triangle, found: Meant, trial: Trial, jobs: Jobs, progress: Progress | None
) -> tuple[list[Record], Scored]:
    """Make the model's vintages and the remedied ones, and judge these; records come best first."""
    Scored(triangle, found.rows, trial.cutoffs, trial.window).check()
    vintages = [Vintage(k, trial.window) for k in trial.cutoffs]
    parallel.make([(triangle, vintage) for vintage in vintages], jobs=jobs, progress=progress)
    usable = [vintage.cutoff for vintage in vintages if vintage not in triangle.failed]
    if not usable:
        why = triangle.failed[vintages[0]].why
        raise DataError(f"models[{triangle.model!r}]: could not be made at any cutoff, the first because: {why}.")
    scored = Scored(triangle, found.rows, usable, trial.window, trial.price)
    made, whys = patch_at(
        triangle,
        trial.remedies,
        usable,
        window=trial.window,
        marker=found.marker,
        jobs=jobs,
        progress=progress,
    )
    records = []
    for name, model in trial.remedies.items():
        facts = {"setting": " ".join(repr(model).split()), "base_fits": getattr(model, "fits", 1) * len(usable)}
        if name in whys:
            records.append(failed(name, whys[name]) | facts)
            continue
        own = {cutoff: made[name, cutoff] for cutoff in usable}
        record = judge(name, *scored.paired(own), tries=len(trial.remedies), level=trial.level)
        facts |= {"answered": scored.answered(own), "seconds": round(sum(one.seconds for one in own.values()), 3)}
        records.append(record | facts)
    return sorted(records, key=rank), scored
