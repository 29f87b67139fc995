"""Build triangles: every model, window and seed at every cutoff."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mlwild.compute import Jobs
from mlwild.models import Forecast
from mlwild.records import Vintage
from mlwild.triangle import parallel
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Survey
from mlwild.triangle.triangle import Tally, Triangle


def build(
    survey: Survey,
    store: Store,
    *,
    jobs: Jobs = None,
    progress: Callable[[int, int, int], None] | None = None,
    models: Iterable[str] | None = None,
    growing: bool = False,
    pins: Mapping[Vintage, str] | None = None,
) -> list[Triangle]:
    """
    Make the triangles of an app: every model, window and seed at every cutoff.

    Parameters
    ----------
    survey : Survey
    store : Store
        Holds what earlier runs made; nothing that is sound in it is made again.
    jobs : int, optional
        Workers; default one a processor, and none where there is little to do.
    progress : callable, optional
        Called with the numbers of vintages ready, in all, and fitted in this run.
    models : iterable of str, optional
        Names; default all.
    growing : bool
        Whether the history was longer at each call: then only new rows are predicted.
    pins : mapping of Vintage to str, optional
        Artefacts of the living model's first seed that are what they are.

    Returns
    -------
    list of Triangle
        The living model's first, seed by seed.
    """
    app, tally = survey.app, Tally()
    made: list[Triangle] = []
    wanted: list[tuple[Triangle, Vintage]] = []
    for name in models or app.models:
        forecast = isinstance(app.models[name], Forecast)
        for seed in app.seeds[:1] if forecast else app.seeds:
            triangle = Triangle(survey, name, seed, store, tally, growing=growing)
            made.append(triangle)
            if pins and name == app.live and seed == app.seeds[0]:
                triangle.recipe.pin(pins)
            if forecast:
                triangle.publish()
                continue
            windows = app.windows if name == app.live else app.windows[:1]
            cutoffs = range(survey.grid.periods)
            wanted += [(triangle, Vintage(k, str(window))) for window in windows for k in cutoffs]
    parallel.make(wanted, jobs=jobs, progress=progress)
    for triangle in made:
        triangle.settle()
    return made


def growing(survey: Survey, store: Store, model: str, pins: Mapping[Vintage, str]) -> Triangle:
    """
    Return the triangle of a history that grows: a vintage is made when it is asked for.

    Parameters
    ----------
    survey : Survey
        The history so far.
    store : Store
        What was predicted of a shorter history is continued.
    model : str
        Name of the model; its first seed lives.
    pins : mapping of Vintage to str
        Artefacts that are what they are.

    Returns
    -------
    Triangle
    """
    made = Triangle(survey, model, survey.app.seeds[0], store, Tally(), settled=True, growing=True)
    made.recipe.pin(pins)
    if isinstance(survey.app.models[model], Forecast):
        made.publish()
    return made


def update_chain(triangle: Triangle, start: Vintage) -> list[Vintage]:
    """Return the vintages that come of the first one and an update at every later cutoff."""
    chain = [start]
    for k in range(start.cutoff + 1, triangle.survey.grid.periods):
        chain.append(chain[-1].updated(k))
    return chain[1:]
