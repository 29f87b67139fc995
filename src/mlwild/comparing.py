"""The models of a rehearsed app, side by side on the same rows: nothing is fitted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.auditions.past import Procedure
from mlwild.comparisons import Comparison, Losses, compare
from mlwild.comparisons.second import Prefer
from mlwild.compute import Jobs
from mlwild.errors import AppError, DataError
from mlwild.rehearsal import STORE, Progress, Rehearsal, rehearse
from mlwild.triangle import Triangle
from mlwild.wording import count

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def comparable(rehearsal: Rehearsal) -> Losses:
    """
    Return the losses of all models of a rehearsal on the same rows, the living model first.

    Each row is scored by the freshest vintage that there was when it was asked for (the mean over seeds),
    of the window that the recommended rule ended with; other models have the app's first window.

    Parameters
    ----------
    rehearsal : Rehearsal

    Returns
    -------
    Losses
        By row in order of time, with periods, and the usual label delay as lag. By period where the
        loss is one of sets, such as an area under a curve.

    Raises
    ------
    AppError
        If the app has one model, or one model of which vintages could be made.
    DataError
        If no row was scored for all models.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from mlwild import App, compare, rehearse
    >>> rng = np.random.default_rng(0)
    >>> def events():
    ...     x = rng.normal(size=800)
    ...     return pd.DataFrame({"when": np.arange(800), "x": x, "y": x + rng.normal(size=800)})
    >>> def line(X, y):
    ...     return lambda X: X["x"].to_numpy()
    >>> def nothing(X, y):
    ...     return lambda X: np.zeros(len(X))
    >>> app = App(
    ...     name="two", data=events, time="when", label="y", delay=0, loss="squared", every=30,
    ...     models={"nothing": nothing, "line": line},
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     losses = comparable(rehearse(app, store=folder))
    >>> losses.names, compare(losses).best
    (('nothing', 'line'), 'line')
    """
    app = rehearsal.survey.app
    _two_models(app)
    made = _procedures(rehearsal)
    if len(made) < 2:
        missing = next(name for name in app.models if name not in made)
        raise AppError(f"models: no vintage of {missing!r} could be made, so that there is nothing to compare.")
    grid, first = rehearsal.survey.grid, max(procedure.first or 0 for procedure in made.values())
    names = tuple(made)
    if rehearsal.survey.loss.per == "set":
        return _by_period(names, list(made.values()), first)
    unscored = np.any([triangle.unscored for one in made.values() for triangle in one.triangles], axis=0)
    rows = np.sort(grid.cell_rows[grid.period_of_cell_row >= first])
    rows = rows[~unscored[rows] & (grid.weight[rows] > 0)]
    if not len(rows):
        raise DataError("losses: no row was labelled and scored for all models.")
    period = np.searchsorted(grid.row_start, rows, side="right") - 1
    losses = np.column_stack([_row_losses(one, rows, period) for one in made.values()])
    weights = grid.weight[rows]
    return Losses(
        names,
        losses,
        period=period,
        lag=_lag(rehearsal, rows),
        unit="row",
        weights=None if np.ptp(weights) == 0 else weights,
    )


def compare_app(
    app: App,
    *,
    prefer: Prefer | None = None,
    level: float = 0.95,
    store: str | Path = STORE,
    jobs: Jobs = None,
    progress: Progress | None = None,
) -> tuple[Comparison, str, list[str]]:
    """
    Rehearse an app (nothing is fitted twice) and compare its models.

    Parameters
    ----------
    app : App
    prefer : str, mapping or sequence, optional
        Second rule, as for `mlwild.compare`.
    level : float
    store, jobs, progress : optional
        As for `mlwild.rehearse`.

    Returns
    -------
    found : Comparison
        Three models or more are also held against the living one.
    facts : str
        What it rests on.
    findings : list of str
        What was left out.

    Raises
    ------
    AppError, DataError
        As for `comparable` and `mlwild.rehearse`.
    """
    _two_models(app)
    rehearsal = rehearse(app, store=store, jobs=jobs, progress=progress)
    losses = comparable(rehearsal)
    several = len(losses.names) > 2
    found = compare(losses, prefer=prefer, benchmark=app.live if several else None, level=level)
    sheet = rehearsal.sheet
    rows = f"{count(len(losses.losses))} {losses.unit}s"
    if losses.period is not None:
        rows += f" in {count(len(np.unique(losses.period)))} periods of {sheet['every']}"
    late = f"; labels come about {count(losses.lag)} rows late" if losses.lag > 1 and losses.unit == "row" else ""
    facts = f"{rows}, each scored by the newest vintage of each model at its time; loss {app.loss_.title}{late}."
    return found, facts, [f"{name!r} is left out: no vintage of it could be made." for name in left_out(rehearsal)]


def measure_of(app: App) -> dict[str, str]:
    """Return what the models of an app are compared by: name, unit, and that lower is better."""
    loss = app.loss_
    title = loss.title.replace("1 - ", "1 \u2212 ", 1)
    per = "per event" if loss.per == "row" else "mean over periods"
    return {"name": f"mean loss ({title})", "unit": f"{loss.unit} {per}".strip(), "better": "lower"}


def left_out(rehearsal: Rehearsal) -> list[str]:
    """Return the models of which no vintage could be made."""
    made = _procedures(rehearsal)
    return [name for name in rehearsal.survey.app.models if name not in made]


def _two_models(app: App) -> None:
    if len(app.models) < 2:
        raise AppError(
            f"models: {app.name!r} has one model, {app.live!r}: nothing to compare it with. Add a second one, if only "
            "a simple one."
        )


def _procedures(rehearsal: Rehearsal) -> dict[str, Procedure]:
    """Return each model always retrained, the living one first; those that could not be made are not there."""
    app = rehearsal.survey.app
    found = {}
    for name in sorted(app.models, key=lambda name: name != app.live):
        of_model: list[Triangle] = [triangle for triangle in rehearsal.triangles if triangle.model == name]
        window = str(rehearsal.sheet["window"]) if name == app.live else str(app.windows[0])
        procedure = Procedure(of_model, window)
        if procedure.first is not None:
            found[name] = procedure
    return found


def _row_losses(one: Procedure, rows: Ints, period: Ints) -> Floats:
    lost = np.zeros(len(rows))
    edges = np.flatnonzero(np.diff(period, prepend=-1, append=-1))
    for low, high in pairwise(edges):
        for triangle in one.triangles:
            vintage = triangle.freshest(one.window, int(period[low]))
            assert vintage is not None  # periods before the first vintage are left out
            lost[low:high] += triangle.row_losses(vintage, rows[low:high]) / len(one.triangles)
    return lost


def _lag(rehearsal: Rehearsal, rows: Ints) -> int:
    """Return how many scored rows are asked for, half of the time at most, before a row's label arrives."""
    asked, known = rehearsal.survey.time[rows], rehearsal.survey.known_at[rows]
    waiting = np.searchsorted(asked, known) - np.arange(len(rows))
    return max(1, int(np.median(waiting)))


def _by_period(names: tuple[str, ...], procedures: list[Procedure], first: int) -> Losses:
    losses: Any = np.column_stack([one.realised for one in procedures])
    weights = np.column_stack([one.weights for one in procedures]).min(axis=1)
    whole = np.isfinite(losses).all(axis=1) & (weights > 0)
    whole[:first] = False
    if not whole.any():
        raise DataError("losses: no period was labelled and scored for all models.")
    delay = procedures[0].triangles[0].survey.grid.usual_delay
    return Losses(names, losses[whole], unit="period", weights=weights[whole], lag=1 + delay)
