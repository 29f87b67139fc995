"""A challenger beside the champion: the same rows, scored in shadow at every tick until it is settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.comparisons.challenged import Plan, standing
from mlwild.errors import AppError, DataError
from mlwild.ledger import Fact
from mlwild.loading import load_app
from mlwild.models import Forecast
from mlwild.operating.desk import Desk
from mlwild.operating.lived import Lived, of_vintage, vintage_of
from mlwild.operating.opening import code_of
from mlwild.records import Vintage
from mlwild.triangle import Triangle, growing
from mlwild.triangle.logged import log_as_of
from mlwild.triangle.settled import settled
from mlwild.triangle.survey import lay_survey, read_events

Floats = NDArray[np.float64]

#: What a challenger's app must declare as the champion's does: then both lose on the same rows in the same way.
ALIKE = ("time", "label", "known_at", "delay", "key", "entity", "propensity", "every", "start")


def trial_of(life: Lived) -> Fact | None:
    """Return the challenge that runs; None where there is none."""
    last = next((fact for fact in reversed(life.facts) if fact.kind in ("challenged", "unchallenged")), None)
    return last if last is not None and last.kind == "challenged" else None


def shadowed_since(life: Lived, challenge: Fact) -> list[Fact]:
    """Return what ticks said of a challenge so far."""
    return [fact for fact in life.facts[life.facts.index(challenge) :] if fact.kind == "shadowed"]


def running(life: Lived, cutoff: int) -> bool:
    """Say whether a challenger is to be scored at a cutoff: one that was begun before, and is not settled."""
    begun = trial_of(life)
    if begun is None or begun.cutoff >= cutoff:
        return False
    return not any(fact.body["over"] for fact in shadowed_since(life, begun) if fact.cutoff < cutoff)


def shadowed(desk: Desk, triangle: Triangle, cutoff: int) -> dict[str, Any]:
    """Score the challenger on the rows whose labels have come, and say where it stands."""
    life = desk.lived()
    challenge = trial_of(life)
    assert challenge is not None
    before = shadowed_since(life, challenge)
    rival = rival_of(desk, triangle, cutoff, challenge.body, before)
    path = [rival_vintage(one, rival) for one in life.path]
    said = {"name": challenge.body["name"], "vintage": of_vintage(path[-1]), "shadow": str(path[-1])}
    for vintage in dict.fromkeys(path[challenge.cutoff - life.first :]):
        if not rival.ensure(vintage):
            why = rival.failed[vintage].why
            return said | {"key": None, "verdict": "failed", "over": False, "said": f"it could not be made: {why}"}
    ours, theirs, periods = paired(triangle, rival, life.path, path, (life.first, challenge.cutoff, cutoff))
    found = standing(theirs, ours, plan_of(challenge.body), periods=periods)
    key = None if isinstance(rival.survey.app.models[rival.model], Forecast) else rival.recipe.fit_key(path[-1])
    mean = {"champion": float(ours.mean()), "challenger": float(theirs.mean())} if len(ours) else {}
    return said | {"key": key, "periods": periods, "over": found.over} | mean | asdict(found)


def plan_of(body: Mapping[str, Any]) -> Plan:
    """Return the plan that a challenge was begun with."""
    return Plan(**body["plan"])


def rival_vintage(vintage: Vintage, rival: Triangle) -> Vintage:
    """Return the challenger that learned when the champion did: what is compared is the model, not its age."""
    return Vintage(vintage.cutoff, str(rival.survey.app.windows[0]))


def rival_of(
    desk: Desk, triangle: Triangle, cutoff: int, body: Mapping[str, Any], before: Sequence[Fact] = ()
) -> Triangle:
    """
    Return the triangle of a challenger on the champion's rows, as they were known at a cutoff.

    Raises
    ------
    AppError
        If its code is another than when the challenge began, or it declares other rows.
    DataError
        If its rows are others.
    """
    pins = {vintage_of(fact.body["vintage"]): str(fact.body["key"]) for fact in before if fact.body["key"]}
    if not body["file"]:
        app = challenger_app(desk.app, str(body["name"]))
        _same_code(app, body)
        return growing(triangle.survey, desk.store, app.live, pins)
    app = challenger_app(desk.app, desk.app.root / str(body["file"]))
    _same_code(app, body)
    events, tables = read_events(app)
    known = replace(desk, app=app, events=events, tables=tables).known(cutoff)
    then = log_as_of(replace(app, seeds=app.seeds[:1]), int(desk.edges[cutoff]))
    read = lay_survey(then, *known, desk.edges[: cutoff + 1])
    ours = triangle.survey
    same = len(read.time) == len(ours.time)
    if not same or not (np.array_equal(read.time, ours.time) and np.array_equal(read.labels, ours.labels)):
        raise DataError(
            f"challenger: {body['file']} reads other rows than {desk.app.name!r} ({len(read.time):,} and "
            f"{len(ours.time):,}), or other labels. Give both the same data, or end the challenge with "
            "mlwild shadow --stop."
        )
    return growing(read, desk.store, app.live, pins)


def challenger_app(app: App, challenger: str | Path) -> App:
    """
    Return the app that a challenger lives in: one of the app's other models, or another app file.

    Raises
    ------
    AppError
        If there is no such model, or the other app declares another loss, time, label or cadence.
    """
    if not isinstance(challenger, Path):
        if challenger not in app.models or challenger == app.live:
            others = ", ".join(repr(name) for name in app.models if name != app.live) or "none"
            raise AppError(f"challenger: {app.name!r} has no other model {challenger!r}; it has {others}.")
        return replace(
            app, models={challenger: app.models[challenger]}, windows=app.windows[:1], update=None, fallback=None
        )
    other = load_app(challenger)
    for name in ALIKE:
        if getattr(other, name) != getattr(app, name):
            raise AppError(
                f"challenger: {challenger.name} declares {name}={getattr(other, name)!r}, and {app.name!r} "
                f"{getattr(app, name)!r}: they would not lose on the same rows."
            )
    if other.loss_.name != app.loss_.name or other.loss_.per != app.loss_.per:
        raise AppError(
            f"challenger: {challenger.name} is judged by {other.loss_.name!r}, and {app.name!r} by {app.loss_.name!r}."
        )
    return other


def _same_code(app: App, body: Mapping[str, Any]) -> None:
    if code_of(app) != body["made_of"]:
        raise AppError(
            f"challenger: the code of {body['name']!r} is not what it was when the challenge began at {body['at']}: "
            "what was scored so far was another model. Restore it, or end the challenge with mlwild shadow --stop."
        )


def paired(
    triangle: Triangle, rival: Triangle, path: Sequence[Vintage], other: Sequence[Vintage], span: tuple[int, int, int]
) -> tuple[Floats, Floats, int]:
    """
    Return the losses of champion and challenger on the same rows, in order of arrival, and the number of periods.

    Parameters
    ----------
    triangle, rival : Triangle
    path, other : sequence of Vintage
        What was live, and in shadow, in each period.
    span : tuple of int
        The period that the paths begin with, and first and last period (exclusive) that are compared.
    """
    began, first, last = span
    grid = triangle.survey.grid
    if triangle.survey.loss.per == "set":
        return _paired_sets(triangle, rival, path, other, span)
    ours, theirs, arrived, order = [], [], [], []
    periods = 0
    for period in range(first, last):
        rows = grid.cell_rows[grid.period_of_cell_row == period]
        rows = rows[~(triangle.unscored[rows] | rival.unscored[rows])]
        if not len(rows):
            continue
        periods += 1
        ours.append(triangle.row_losses(path[period - began], rows))
        theirs.append(rival.row_losses(other[period - began], rows))
        arrived.append(triangle.survey.known_at[rows])
        order.append(rows)
    if not periods:
        return np.zeros(0), np.zeros(0), 0
    placed = np.lexsort((np.concatenate(order), np.concatenate(arrived)))
    return np.concatenate(ours)[placed], np.concatenate(theirs)[placed], periods


def _paired_sets(
    triangle: Triangle, rival: Triangle, path: Sequence[Vintage], other: Sequence[Vintage], span: tuple[int, int, int]
) -> tuple[Floats, Floats, int]:
    """Return the same where the loss is one of a set: one number a settled period."""
    began, first, last = span
    done = settled(triangle.survey, last)
    found = []
    for period in range(first, last):
        sides = [
            (one.totals(v, last), v) for one, v in ((triangle, path[period - began]), (rival, other[period - began]))
        ]
        (ours, weight), (theirs, weights) = (side[0] for side in sides)
        if done[period] and weight[period] and weights[period]:
            found.append((ours[period] / weight[period], theirs[period] / weights[period]))
    both = np.array(found).reshape(-1, 2)
    return both[:, 0], both[:, 1], len(both)
