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
from mlwild.errors import AppError, DataError, StoreError
from mlwild.ledger import Fact
from mlwild.loading import load_app
from mlwild.models import Forecast
from mlwild.operating.beside import SUFFIX, answered, shadowed_since, share_of, told_of, trial_of
from mlwild.operating.desk import Desk
from mlwild.operating.judging import judged
from mlwild.operating.lived import Lived, of_vintage, vintage_of
from mlwild.operating.opening import same_code
from mlwild.operating.rescue import unusable
from mlwild.records import Vintage
from mlwild.triangle import Triangle, growing
from mlwild.triangle.logged import log_as_of
from mlwild.triangle.settled import settled
from mlwild.triangle.survey import Survey, lay_survey, read_events

Floats = NDArray[np.float64]

#: What a challenger's app must declare as the champion's does: then both lose on the same rows in the same way.
ALIKE = ("time", "label", "known_at", "delay", "key", "entity", "propensity", "every", "start")


def running(life: Lived, cutoff: int) -> bool:
    """Say whether a challenger is to be scored at a cutoff: one that was begun before, and is not settled."""
    begun = trial_of(life)
    if begun is None or begun.cutoff >= cutoff:
        return False
    return not any(fact.body["over"] for fact in shadowed_since(life, begun) if fact.cutoff < cutoff)


def shadowed(desk: Desk, triangle: Triangle, cutoff: int) -> dict[str, Any]:
    """Score the challenger on the rows whose labels have come, and say where it stands, and whether it may answer."""
    life = desk.lived()
    challenge, share = trial_of(life), share_of(life)
    assert challenge is not None
    told = told_of(life, challenge)
    rival = rival_of(desk, triangle, cutoff, challenge.body, told)
    path = [rival_vintage(one, rival) for one in life.path]
    said = {"name": challenge.body["name"], "vintage": of_vintage(path[-1]), "shadow": str(path[-1])}
    said |= {"share": share} if share else {}
    for vintage in dict.fromkeys(path[challenge.cutoff - life.first :]):
        if not rival.ensure(vintage):
            return said | _failed(said, rival.failed[vintage].why)
    made, why = artefact(desk, rival, path[-1], told)
    if why:
        return said | _failed(said, why)
    ours, theirs, periods = paired(triangle, rival, life.path, path, (life.first, challenge.cutoff, cutoff))
    found = standing(theirs, ours, plan_of(challenge.body), periods=periods)
    mean = {"champion": float(ours.mean()), "challenger": float(theirs.mean())} if len(ours) else {}
    said |= made | {"periods": periods, "over": found.over} | mean | asdict(found)
    if share and not found.over and (why := refused(desk, cutoff, challenge.body, str(said["key"]), told)):
        said |= {"refused": why, "alarm": f"canary {said['name']!r} {said['shadow']} answers nothing: {why}"}
    return said


def _failed(said: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Say that the challenger could not be made, or is lost; of a canary, that is an alarm."""
    alarm = f"canary {said['name']!r} {said['shadow']} answers nothing: it could not be made: {why}"
    body = {"key": None, "verdict": "failed", "over": False, "said": f"it could not be made: {why}"}
    return body | ({"alarm": alarm} if said.get("share") else {})


def artefact(desk: Desk, rival: Triangle, vintage: Vintage, told: Sequence[Fact]) -> tuple[dict[str, Any], str]:
    """
    Return the artefact of a challenger as a fact tells it, and why it cannot be used; empty if it can.

    One that is gone, damaged or another than was told is made again, and counts if that gives the same. A published
    forecast has none: its key is None.
    """
    if not rival.ensure(vintage):
        return {}, rival.failed[vintage].why
    body: dict[str, Any] = {"vintage": of_vintage(vintage), "shadow": str(vintage)}
    if is_published(rival):
        return body | {"key": None}, ""
    if why := unusable(rival, vintage, _digests(told)):
        return {}, why
    key = rival.recipe.fit_key(vintage)
    noted = desk.store.get(key, "model")
    if noted is None:
        raise StoreError(f"store: the challenger {vintage} was made, and is missing or damaged in {desk.store.root}.")
    desk.store.sync(key, "model")  # before a fact speaks of it
    return body | {"key": key, "digest": noted["digest"]}, ""


def refused(desk: Desk, cutoff: int, body: Mapping[str, Any], key: str, told: Sequence[Fact]) -> str:
    """Return why the gate keeps a challenger from answering requests; empty if it does not, or let it pass before."""
    if desk.gate is None or key in answered(told):
        return ""
    there = rivals_desk(desk, body)
    return judged(replace(there, app=replace(there.app, name=desk.app.name + SUFFIX)), cutoff)


def is_published(rival: Triangle) -> bool:
    """Say whether a challenger is a published forecast: then there is no artefact."""
    return isinstance(rival.survey.app.models[rival.model], Forecast)


def _digests(told: Sequence[Fact]) -> dict[str, str]:
    bodies = (fact.body for fact in told)
    return {str(body["key"]): str(body["digest"]) for body in bodies if body["key"] and "digest" in body}


def plan_of(body: Mapping[str, Any]) -> Plan:
    """Return the plan that a challenge was begun with."""
    return Plan(**body["plan"])


def rival_vintage(vintage: Vintage, rival: Triangle) -> Vintage:
    """Return the challenger that learned when the champion did: what is compared is the model, not its age."""
    return Vintage(vintage.cutoff, str(rival.survey.app.windows[0]))


def rival_of(
    desk: Desk,
    triangle: Triangle,
    cutoff: int,
    body: Mapping[str, Any],
    told: Sequence[Fact] = (),
    *,
    there: Desk | None = None,
) -> Triangle:
    """
    Return the triangle of a challenger on the champion's rows, as they were known at a cutoff.

    Parameters
    ----------
    desk : Desk
    triangle : Triangle
        The champion's.
    cutoff : int
    body : mapping
        Of the challenge.
    told : sequence of Fact
        Of its artefacts: they are what they were, and no other is loaded in their place.
    there : Desk, optional
        What `rivals_desk` gave, where its rows were read already.

    Raises
    ------
    AppError
        If its code is another than when the challenge began, or it declares other rows.
    DataError
        If its rows are others.
    """
    pins = {vintage_of(one.body["vintage"]): str(one.body["key"]) for one in told if one.body["key"]}
    there = rivals_desk(desk, body) if there is None else there
    _same_code(there.app, body)
    if not body["file"]:
        return growing(triangle.survey, desk.store, there.app.live, pins, _digests(told))
    # Under another name: the rows that the champion's fits read stay where they are.
    app = replace(there.app, name=desk.app.name + SUFFIX, seeds=there.app.seeds[:1])
    read = lay_survey(log_as_of(app, int(desk.edges[cutoff])), *there.known(cutoff), desk.edges[: cutoff + 1])
    ours = triangle.survey
    same = len(read.time) == len(ours.time)
    if not same or not (np.array_equal(read.time, ours.time) and np.array_equal(read.labels, ours.labels)):
        raise DataError(
            f"challenger: {body['file']} reads other rows than {desk.app.name!r} ({len(read.time):,} and "
            f"{len(ours.time):,}), or other labels. Give both the same data, or end the challenge with "
            "mlwild shadow --stop."
        )
    return growing(read, desk.store, app.live, pins, _digests(told))


def rivals_desk(desk: Desk, body: Mapping[str, Any]) -> Desk:
    """Return the desk with a challenger at it: its app, and the rows that this reads."""
    if not body["file"]:
        return replace(desk, app=challenger_app(desk.app, str(body["name"])))
    app = challenger_app(desk.app, desk.app.root / str(body["file"]))
    events, tables = read_events(app)
    return replace(desk, app=app, events=events, tables=tables, _known={})


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
    if not same_code(app, body["made_of"]):
        raise AppError(
            f"challenger: the code of {body['name']!r} is not what it was when the challenge began at {body['at']}: "
            "what was scored so far was another model. Restore it, or end the challenge with mlwild shadow --stop."
        )


def paired(
    triangle: Triangle, rival: Triangle, path: Sequence[Vintage], other: Sequence[Vintage], span: tuple[int, int, int]
) -> tuple[Floats, Floats, int]:
    """
    Return the losses of champion and challenger on the same rows, and the number of periods.

    A row counts once its label is there and its period is settled: labels that come early are seldom like those that
    come late. Rows are in the order in which they count, so that what counted at one look is how the next one begins.

    Parameters
    ----------
    triangle, rival : Triangle
    path, other : sequence of Vintage
        What was live, and in shadow, in each period.
    span : tuple of int
        The period that the paths begin with, and first and last period (exclusive) that are compared.
    """
    began, first, last = span
    survey, grid = triangle.survey, triangle.survey.grid
    if survey.loss.per == "set":
        return _paired_sets(triangle, rival, path, other, span)
    ours, theirs, order, counted = [], [], [], []
    since = _settled_since(survey, first, last)
    for period in range(first, last):
        rows = grid.cell_rows[grid.period_of_cell_row == period]
        rows = rows[~(triangle.unscored[rows] | rival.unscored[rows])]
        if since[period] > last or not len(rows):
            continue
        ours.append(triangle.row_losses(path[period - began], rows))
        theirs.append(rival.row_losses(other[period - began], rows))
        order.append(rows)
        counted.append(np.maximum(np.searchsorted(grid.edges, survey.known_at[rows]), since[period]))
    if not order:
        return np.zeros(0), np.zeros(0), 0
    rows = np.concatenate(order)
    placed = np.lexsort((rows, survey.known_at[rows], np.concatenate(counted)))
    return np.concatenate(ours)[placed], np.concatenate(theirs)[placed], len(order)


def _settled_since(survey: Survey, first: int, last: int) -> NDArray[np.int64]:
    """Return the first cutoff at which each period was settled; of those that are not yet, one after the last."""
    made = np.full(last, last + 1)
    for cutoff in range(last, first, -1):
        made[:cutoff][settled(survey, cutoff)] = cutoff
    return made


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
