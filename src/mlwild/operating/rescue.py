"""What was live and cannot be used any more: an earlier vintage stands in for it, and an alarm stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import StoreError
from mlwild.models import Forecast
from mlwild.operating.lived import Lived
from mlwild.records import Decided, Vintage
from mlwild.step import State
from mlwild.triangle import Triangle, fitting


def examine(triangle: Triangle, life: Lived) -> None:
    """
    Make all that was ever live ready for use; what cannot be used any more counts as lost.

    A model is loaded only if it agrees with the digest that it had when it went live. One that does not, or is missing,
    is fitted again; it is lost if that does not give the same one, or if it cannot be loaded.
    """
    path = (*life.before[1], *life.path)
    for vintage in dict.fromkeys(path):
        why = "" if triangle.ensure(vintage) else triangle.failed[vintage].why
        if not why and life.path and vintage == life.path[-1]:
            why = unusable(triangle, vintage, life.digests)
        if why:
            triangle.lose(vintage, why, _owed(triangle, life, vintage))


def unusable(triangle: Triangle, vintage: Vintage, digests: Mapping[str, str]) -> str:
    """Say why an artefact cannot be served, though all that was to be predicted is; empty if it can, as it was told."""
    if isinstance(triangle.survey.app.models[triangle.model], Forecast):
        return ""
    key = triangle.recipe.fit_key(vintage)
    noted = triangle.store.get(key, "model")
    if noted is None or digests.get(key, noted["digest"]) != noted["digest"]:
        why = fitting.run(triangle.job(vintage), triangle.rows, triangle.store).why
        if why:
            return why
    return _unloadable(triangle, vintage)


def _unloadable(triangle: Triangle, vintage: Vintage) -> str:
    try:
        triangle.fitted(vintage)
    except MemoryError:
        raise
    except (Exception, SystemExit) as problem:  # noqa: BLE001  loading runs the user's code, which may raise anything
        return fitting.raised(problem)
    return ""


def _owed(triangle: Triangle, life: Lived, vintage: Vintage) -> NDArray[np.bool_]:
    """Mark the rows that came while a vintage was live, or would have been before the life was opened."""
    first, past = life.before
    grid = triangle.survey.grid
    owed = np.zeros(len(triangle.survey.time), dtype=bool)
    for began, path in ((first, past), (life.first, life.path)):
        for period, live in enumerate(path, start=began):
            if live == vintage and period < grid.periods:
                owed[grid.row_start[period] : grid.row_start[period + 1]] = True
    return owed


def rescued(before: State, triangle: Triangle, life: Lived, cutoff: int) -> tuple[State, Decided]:
    """
    Put the last earlier vintage that loads and predicts in the place of what is lost; the rule is not asked.

    Raises
    ------
    StoreError
        If there is none.
    """
    lost, why = before.live, triangle.lost[before.live]
    for vintage in dict.fromkeys(reversed(before.deployed)):
        if vintage != lost and vintage not in triangle.lost and _answers(triangle, vintage, life, cutoff):
            break
    else:
        tried = len(set(before.deployed)) - 1
        earlier = "no earlier one was live" if not tried else f"neither can any of the {tried} that were live before"
        raise StoreError(
            f"store: vintage {lost}, which is live, cannot be used any more: {why}; and {earlier}. Nothing was "
            f"published. Restore {triangle.store.payload(triangle.recipe.fit_key(lost), 'model')} and what it needs to "
            "load, or open a new life with --reopen."
        )
    prices, at = triangle.survey.app.prices, int(triangle.survey.grid.edges[cutoff])
    reason = f"vintage {lost} cannot be used any more: {why}"
    price = prices.rollback if prices is not None else 0.0
    state = State(vintage, cutoff, (*before.deployed, vintage), before.memory)
    return state, Decided(cutoff, at, "fall back", vintage, reason, price)


def _answers(triangle: Triangle, vintage: Vintage, life: Lived, cutoff: int) -> bool:
    """Say whether a vintage loads, and answered all rows of the last period."""
    grid = triangle.survey.grid
    first = int(grid.row_start[vintage.cutoff])
    low, high = (int(grid.row_start[period]) - first for period in (cutoff - 1, cutoff))
    return not np.isnan(triangle.predictions(vintage)[low:high]).any() and not unusable(triangle, vintage, life.digests)


def told(life: Lived, triangle: Triangle, fact: Decided) -> dict[str, Any]:
    """Return what a decision says beside itself: what could not be made, and what stands in for what was lost."""
    body = _unmade(triangle, fact.cutoff)
    if not life.path or fact.live != life.path[-1]:
        return body
    since = fact.cutoff
    for one in reversed(life.decided):
        if one.live != fact.live:
            break
        since = one.cutoff
    alarms = [one for one in (_rescue_at(life, since).get("stands_in", ""), body.get("alarm", "")) if one]
    stands_in = {"alarm": "; ".join(alarms)} if alarms else {}
    return body | stands_in


def told_of_rescue(life: Lived, fact: Decided) -> dict[str, Any]:
    """Return the same for the decision that puts an earlier vintage in the place of what is lost."""
    lost = str(life.path[-1])
    alarm = f"vintage {fact.live} stands in for {fact.reason.removeprefix('vintage ').replace(' ', ', which ', 1)}"
    return {"lost": lost, "stands_in": alarm, "alarm": alarm}


def _unmade(triangle: Triangle, cutoff: int) -> dict[str, Any]:
    """
    Return which vintages the rule asked for since the last cutoff and did not get.

    A rule that compares with challengers goes on with older ones: without a word it would never retrain.
    """
    failed = {str(one): found.why for one, found in triangle.failed.items() if one.cutoff >= cutoff - 1}
    if not failed:
        return {}
    return {
        "failed": failed,
        "alarm": "; ".join(f"vintage {one} could not be made: {why}" for one, why in failed.items()),
    }


def _rescue_at(life: Lived, cutoff: int) -> dict[str, Any]:
    """Return what was decided at a cutoff, if that was a rescue and nobody has ordered otherwise since."""
    found = next((fact.body for fact in life.facts if (fact.kind, fact.cutoff) == ("decided", cutoff)), {})
    return dict(found) if "lost" in found and life.replaced(cutoff) is None else {}


def with_lost(body: dict[str, Any], life: Lived, triangle: Triangle) -> dict[str, Any]:
    """Add to what was observed which vintages are lost; what was not before is an alarm."""
    if not triangle.lost:
        return body
    seen = [fact.body.get("lost", {}) for fact in life.facts if fact.kind == "observed"]
    before = seen[-1] if seen else {}
    lost = {str(vintage): why for vintage, why in triangle.lost.items()}
    news = [
        f"vintage {vintage} cannot be used any more: {why}" for vintage, why in lost.items() if vintage not in before
    ]
    alarms = [one for one in (*news, body["alarm"]) if one]
    return body | {"lost": lost, "alarm": "; ".join(alarms)}


__all__ = ["examine", "rescued", "told", "told_of_rescue", "unusable", "with_lost"]
