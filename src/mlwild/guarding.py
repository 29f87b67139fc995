"""The guard of a life: its chain of stages, each with what it lost on rows that it had not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import contracts, models
from mlwild.app import App
from mlwild.contracts import Column
from mlwild.declared import PREVIOUS
from mlwild.errors import AppError, DataError
from mlwild.guards import Candidate, Guard, Guarded, Known, learn_guard
from mlwild.guards.exploring import check_loss, random_answers, values_of
from mlwild.guards.following import follow, looks, numbers_of
from mlwild.guards.mean_losses import mean_loss
from mlwild.guards.outcomes import scores_of
from mlwild.guards.stages import Predict
from mlwild.models import Forecast
from mlwild.records import Vintage
from mlwild.stats.local_radii import LocalRadii, Radii
from mlwild.triangle import Survey, Triangle, growing
from mlwild.triangle.fitting import count, training_rows
from mlwild.triangle.growing import predicted_before

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Labelled rows that losses are measured on, at least, if the history has them; and the periods that they span.
HELD, FEWEST_PERIODS, MOST_PERIODS = 1000, 4, 26
#: Rows of a life that the widths of its intervals come from, at most: the latest.
MOST_ROWS = 50_000
#: Rows of one period that do, at most, evenly spaced: one that is longer than all of those would hide what came before.
MOST_OF_PERIOD = 10_000


@dataclass(frozen=True, eq=False)
class Link:
    """
    A stage of a living chain.

    Parameters
    ----------
    name : str
        ``"champion"``, ``"previous"`` or the name of a model.
    vintage : Vintage
        Who answers.
    key : str
        Of its artefact.
    predict : callable
        Its answers to a frame of features.
    """

    name: str
    vintage: Vintage
    key: str
    predict: Predict


@dataclass(frozen=True, eq=False)
class Chain:
    """
    A guard with the stages that answer.

    Parameters
    ----------
    guard : Guarded
    links : tuple of Link
        All stages but the constant, in order.
    since : int
        Losses were measured on the labelled rows from this cutoff on.
    """

    guard: Guarded
    links: tuple[Link, ...]
    since: int

    @property
    def predict(self) -> tuple[Predict, ...]:
        """What `Guarded.answer` asks."""
        return tuple(link.predict for link in self.links)

    def losses(self) -> list[dict[str, Any]]:
        """Return each stage with what it lost, as plain data."""
        names = [*(str(link.vintage) for link in self.links), ""]
        return [
            {"stage": stage.name, "vintage": vintage, "loss": stage.loss, "n": stage.n}
            for stage, vintage in zip(self.guard.stages, names, strict=True)
        ]


def chain_of(triangle: Triangle, path: Sequence[Vintage], cutoff: int) -> Chain:
    """
    Return the chain that answers from a cutoff on, with the guard round it.

    What is live may have learned from all that is known, so each stage that has is measured by a stand-in: the same
    model, fitted some periods ago, on the labelled rows since. The rows are those of the last periods, so many that
    they are a thousand.

    Parameters
    ----------
    triangle : Triangle
        Of the model that lives, known at the cutoff.
    path : sequence of Vintage
        What was live in each period so far, and last what is live now.
    cutoff : int

    Returns
    -------
    Chain

    Raises
    ------
    AppError
        If the model that lives is a published forecast, which no request holds.
    DataError
        If no labelled row is there that a stand-in did not learn from.
    """
    survey, app, live = triangle.survey, triangle.survey.app, path[-1]
    if isinstance(app.models[app.live], Forecast):
        raise AppError(f"guard: {app.live!r} is a published forecast; there is no model to be guarded.")
    since = _since(triangle, live, cutoff)
    held = _labelled(triangle, since, cutoff)
    edges = survey.grid.edges
    learned = training_rows(
        survey.time, survey.known_at, triangle.recipe.opens(Vintage(since, live.window)), int(edges[since])
    )
    links, chain = [], []
    for name, of, vintage in _stages(triangle, path):
        if not of.ensure(vintage):
            continue  # a rival that cannot be fitted is no stage
        # As much older than the champion's as it is itself.
        made = max(since - max(live.cutoff - vintage.cutoff, 0), 0)
        stand_in = vintage if vintage.cutoff <= since else Vintage(made, vintage.window)
        if not of.ensure(stand_in):
            continue
        links.append(Link(name, vintage, of.recipe.fit_key(vintage), _answers(of, vintage)))
        radii = _of_life(of, path, cutoff, held) if name == "champion" else None
        chain.append(Candidate(name, str(vintage), _answers(of, stand_in), radii, vintage.cutoff <= since))
    if not links or links[0].name != "champion":
        raise DataError(f"guard: vintage {live} cannot be measured at cutoff {cutoff}. Wait for more labels.")
    known = Known(
        _taken(survey.features, learned),
        survey.labels[learned],
        survey.features.take(held),
        survey.labels[held],
        survey.kind,
        survey.loss,
        survey.ask,
        0 if survey.classes is None else len(survey.classes),
        *_asked_and_told(survey, held),
        survey.time[learned].astype(np.float64),
        _weights(survey, learned),
        _weights(survey, held),
    )
    return Chain(learn_guard(known, chain, app.guard, _terms(app)), tuple(links), since)


def _since(triangle: Triangle, live: Vintage, cutoff: int) -> int:
    """Return the cutoff from which on rows are held back: the latest that leaves enough of them."""
    found = -1
    for since in range(cutoff - 1, max(cutoff - 1 - MOST_PERIODS, -1), -1):
        if not triangle.ensure(Vintage(since, live.window)):
            continue
        found = since
        if cutoff - since >= FEWEST_PERIODS and len(_labelled(triangle, since, cutoff)) >= HELD:
            break
    if found < 0 or not len(_labelled(triangle, found, cutoff)):
        raise DataError(
            "guard: no labelled row has come that models did not learn from, so that nothing is known of what they "
            "lose. Wait for the labels of a period."
        )
    return found


def _labelled(triangle: Triangle, since: int, cutoff: int) -> NDArray[np.int64]:
    """Return the rows of some periods whose labels are known."""
    survey = triangle.survey
    edges, grid = survey.grid.edges, survey.grid
    rows = np.arange(int(grid.row_start[since]), int(grid.row_start[cutoff]))
    return np.asarray(rows[survey.known_at[rows] <= edges[cutoff]])


def check_draws(read: Survey) -> None:
    """
    Check, where an app explores, that what it draws may be given: by all labels known at the last cutoff.

    Parameters
    ----------
    read : Survey

    Raises
    ------
    AppError
        If the values are not what the loss asks for, or lose more than an answer may.
    """
    guard = read.app.guard
    if guard is None or guard.explore is None:
        return
    values = values_of(guard.explore, read.ask, 0 if read.classes is None else len(read.classes))
    rows = training_rows(read.time, read.known_at, np.iinfo(np.int64).min, int(read.grid.edges[-1]))
    labels = read.labels[rows]
    if len(labels):
        drawn = random_answers(values, len(labels))
        check_loss(mean_loss(read.loss, labels, drawn, _weights(read, rows)), read.loss.name, guard.refuse)


def _weights(survey: Survey, rows: slice | Ints) -> Floats | None:
    """Return of how many rows each tells: one over its propensity; None where all tell of themselves alone."""
    return None if survey.app.propensity is None else survey.grid.weight[rows]


def answered(triangle: Triangle, path: Sequence[Vintage | None], began: int) -> tuple[Ints, Floats]:
    """
    Return the labelled rows of some periods, in order of time, and what was answered to each.

    Parameters
    ----------
    triangle : Triangle
    path : sequence of Vintage or None
        Who answered in each period from `began` on; None for nobody.
    began : int

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        So many of the latest periods that they are fifty thousand, evenly spaced in those that are very long.
    ndarray of shape (n_rows,) or (n_rows, n_classes)
    """
    grid, found, values, n = triangle.survey.grid, [], [], 0
    for place in range(min(len(path), grid.periods - began) - 1, -1, -1):
        vintage = path[place]
        if n >= MOST_ROWS:
            break
        period = began + place
        low, high = np.searchsorted(grid.period_of_cell_row, [period, period + 1])
        if vintage is None or low == high or not (vintage in triangle.scores or triangle.growing):
            continue
        # In a life that grows, what has made way was predicted by the ticks: nothing is fitted to look at it again.
        told = triangle.predictions(vintage) if vintage in triangle.scores else predicted_before(triangle, vintage)
        rows = np.sort(grid.cell_rows[low:high])
        # By when rows were asked, not by which of them have their label: that differs from cutoff to cutoff.
        step = max(-(-int(grid.rows[period]) // MOST_OF_PERIOD), 1)
        rows = rows[~triangle.unscored[rows] & ((rows - int(grid.row_start[period])) % step == 0)]
        value = np.asarray(told[rows - int(grid.row_start[vintage.cutoff])], dtype=np.float64)
        good = np.isfinite(value) if value.ndim == 1 else np.isfinite(value).all(axis=1)
        found.append(rows[good])
        values.append(value[good])
        n += len(found[-1])
    if not n:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.concatenate(found[::-1]), np.concatenate(values[::-1])


def followed(survey: Survey, rows: Ints, value: Floats, level: float) -> tuple[Floats, LocalRadii, Floats]:
    """
    Live through answers to rows, as they were asked and as their labels came.

    Parameters
    ----------
    survey : Survey
    rows : ndarray of int64, shape (n_rows,)
        Labelled, in order of time.
    value : ndarray of shape (n_rows,) or (n_rows, n_classes)
    level : float

    Returns
    -------
    ndarray of shape (n_rows,)
        How far off each answer was.
    LocalRadii
    ndarray of shape (n_rows,)
        As of `follow`.
    """
    seen = looks(survey.ask, numbers_of(survey.features.take(rows)), value)
    scores = scores_of(survey.ask, survey.labels[rows], value)
    return scores, *follow(seen, scores, *_asked_and_told(survey, rows), level=level, weights=_weights(survey, rows))


def _asked_and_told(survey: Survey, rows: Ints) -> tuple[Ints, Ints]:
    """Return the period of each row, and the first later one at whose beginning its label was known."""
    asked = np.searchsorted(survey.grid.row_start, rows, side="right") - 1
    told = np.searchsorted(survey.grid.edges, survey.known_at[rows], side="left")
    return asked, np.maximum(told, asked + 1)


def _of_life(triangle: Triangle, path: Sequence[Vintage], cutoff: int, held: Ints) -> Radii | None:
    """
    Return the radii that a life has come to, as a rehearsal of it would have them at the cutoff.

    A life that is younger than the held rows is preceded by the freshest vintages that there are. None where it tells
    of far fewer outcomes than those rows: a challenger answers nobody before it is one.
    """
    survey = triangle.survey
    if survey.ask == "class":
        return None
    since, began = int(_asked_and_told(survey, held[:1])[0][0]), cutoff - len(path) + 1
    before = [_freshest(triangle, path[-1].window, period) for period in range(min(since, began), began)]
    rows, value = answered(triangle, [*before, *path[max(-began, 0) : -1]], max(began - len(before), 0))
    known = survey.known_at[rows] <= survey.grid.edges[cutoff]
    if 2 * int(known.sum()) < len(held):
        return None
    level = (survey.app.guard or Guard()).level
    return followed(survey, rows[known], value[known], level)[1].fixed()


def _freshest(triangle: Triangle, window: str, period: int) -> Vintage | None:
    tried = (Vintage(one, window) for one in range(period, -1, -1))
    return next((one for one in tried if one in triangle.scores), None)


def _stages(triangle: Triangle, path: Sequence[Vintage]) -> list[tuple[str, Triangle, Vintage]]:
    """Return the stages that the app declares: a name, its triangle, and who answers."""
    app, live = triangle.survey.app, path[-1]
    made = [("champion", triangle, live)]
    for name in app.chain:
        if name == PREVIOUS:
            earlier = next((one for one in reversed(path) if one != live), None)
            if earlier is not None and earlier not in triangle.lost:
                made.append((name, triangle, earlier))
            continue
        of = growing(replace(triangle.survey, app=_led_by(app, name)), triangle.store, name, {})
        made.append((name, of, Vintage(live.fitted, str(app.windows[0]))))
    return made


def _led_by(app: App, name: str) -> App:
    """Return the app in which another of its models lives, and nothing is updated."""
    rest = {other: model for other, model in app.models.items() if other != name}
    return replace(app, models={name: app.models[name], **rest}, update=None, fallback=None)


def _answers(triangle: Triangle, vintage: Vintage) -> Predict:
    model, survey = triangle.fitted(vintage), triangle.survey

    def predict(X: Any) -> NDArray[Any]:  # noqa: N803
        return models.predict(model, X, survey.ask, survey.classes)

    return predict


def _taken(table: Any, rows: slice | NDArray[np.int64]) -> Any:
    return table.slice(rows.start, count(rows)) if isinstance(rows, slice) else table.take(rows)


def _terms(app: App) -> Mapping[str, Column]:
    """Return what the app's contract says of features; of the data, where it has no function that makes features."""
    if app.contract is None:
        return {}
    found = contracts.read(app.root / app.contract)
    terms = found.features if app.features is not None else found.data
    return {} if terms is None else terms.columns
