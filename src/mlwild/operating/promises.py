"""What a tick promises of the periods to come, and what became of what was promised before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions import promised_of_life
from mlwild.ledger import Fact
from mlwild.operating.desk import Desk
from mlwild.operating.lived import Lived
from mlwild.stats.sequential import risk_violation
from mlwild.stats.worst import next_worst
from mlwild.stats.worst.history import FEWEST
from mlwild.triangle import Triangle
from mlwild.triangle.settled import settled

#: Nominal coverage of promises, and the chance that kept promises are ever taken for broken ones.
LEVEL, ALPHA = 0.9, 0.05
#: Chance that the worst case holds, and the periods that it speaks of.
WORST_LEVEL, HORIZON = 0.95, 4


def promised(desk: Desk, triangle: Triangle, cutoff: int) -> dict[str, Any]:
    """Promise the loss of the period that opens, with its interval, and the worst period of the next few."""
    life = desk.lived()
    delay = int(life.opened.body["delay"])
    first, past = life.before
    began = first if past else life.first
    made = promised_of_life(triangle, (*past, *life.path), began, delay=delay, level=LEVEL)
    worst = _worst_ahead(triangle, life, cutoff)
    return {name: made.get(name) for name in ("split", "estimate", "low", "high")} | {"level": LEVEL, "worst": worst}


def scored(desk: Desk, triangle: Triangle, cutoff: int) -> dict[str, Any]:
    """Hold earlier promises against the periods that have settled since the last tick."""
    life = desk.lived()
    earlier = [fact.body for fact in life.facts if fact.kind == "scored"]
    before = [one for body in earlier for one in body["periods"]]
    told = {one["period"] for one in before}
    done = settled(triangle.survey, cutoff)
    news = []
    for fact in life.facts:
        period = fact.cutoff
        if fact.kind != "promised" or period >= cutoff or period in told or not done[period]:
            continue
        loss, n = _loss(triangle, life, period, cutoff)
        news.append(_outcome(desk, fact, loss, n, 0 if n else _answered(triangle, period)))
    missed = _missed((*before, *news))
    # Promises that are made before the outcome of an earlier one is known may fail together.
    lag = int(life.opened.body["settles"]) + 1
    worst = _worst_that_came(life, (*before, *news), earlier)
    exceeded = _missed((*(one for body in earlier for one in body.get("worst", ())), *worst))
    alarms = [silent(triangle, life, cutoff)]
    if _broken(missed, 1 - LEVEL, lag):
        alarms.append(
            f"rehearsal no longer describes reality: {int(missed.sum())} of {len(missed)} periods came outside their "
            f"{LEVEL:.0%} intervals"
        )
    if _broken(exceeded, 1 - WORST_LEVEL, lag + HORIZON - 1):
        alarms.append(
            f"the worst case is worse than promised: {int(exceeded.sum())} of {len(exceeded)} bounds that were to hold "
            f"for {HORIZON} periods at {WORST_LEVEL:.0%} were passed"
        )
    return {
        "periods": news,
        "kept": int(len(missed) - missed.sum()),
        "of": len(missed),
        "worst": worst,
        "worst_kept": int(len(exceeded) - exceeded.sum()),
        "worst_of": len(exceeded),
        "alarm": next((one for one in alarms if one), ""),
    }


def silent(triangle: Triangle, life: Lived, cutoff: int) -> str:
    """Say how many rows of the last period what was live gave no answer to; empty if it answered all."""
    grid, period = triangle.survey.grid, cutoff - 1
    if period < life.first:
        return ""
    vintage = life.path[period - life.first]
    first = int(grid.row_start[vintage.cutoff])
    made = triangle.predictions(vintage)[int(grid.row_start[period]) - first : int(grid.row_start[period + 1]) - first]
    gaps = np.isnan(made if made.ndim == 1 else made[:, 0])
    if not gaps.any():
        return ""
    why = triangle.blind.get(vintage, (0, ""))[1]
    return f"vintage {vintage} gave no answer to {int(gaps.sum()):,} of {len(gaps):,} rows of the last period: {why}"


def _loss(triangle: Triangle, life: Lived, period: int, cutoff: int) -> tuple[float | None, float]:
    """Return the mean loss of what was live in a period, over the labels known, and their weight."""
    total, weight = triangle.totals(life.path[period - life.first], cutoff)
    n = float(weight[period])
    return (float(total[period]) / n if n else None), n


def _answered(triangle: Triangle, period: int) -> int:
    """Return how many labelled rows of a period were answered: there may be no loss of them, as of one class alone."""
    grid = triangle.survey.grid
    rows = grid.cell_rows[grid.period_of_cell_row == period]
    return int((~triangle.unscored[rows]).sum())


def _outcome(desk: Desk, fact: Fact, loss: float | None, n: float, undefined: int) -> dict[str, Any]:
    low, high = fact.body["low"], fact.body["high"]
    kept = None if low is None or high is None else loss is not None and bool(low <= loss <= high)
    opened = desk.clock.show(int(desk.edges[fact.cutoff]))
    if undefined:  # all was answered, and the loss of such rows is no number: nothing came that could break a promise
        kept = None
    replaced = desk.lived().replaced(fact.cutoff)
    if replaced is not None:  # it was promised of another model than the one that ended the period
        kept = None
    said: dict[str, Any] = {} if replaced is None else {"replaced": str(replaced)}
    said |= {"undefined": undefined} if undefined else {}
    return {"period": fact.cutoff, "from": opened, "loss": loss, "n": n, "low": low, "high": high, "kept": kept} | said


def _missed(outcomes: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    return np.array([not one["kept"] for one in outcomes if one["kept"] is not None], dtype=np.float64)


def _broken(missed: NDArray[np.float64], rate: float, lag: int) -> bool:
    return len(missed) > 0 and risk_violation(missed, rate, alpha=ALPHA, lag=lag).stopped_at is not None


def _worst_ahead(triangle: Triangle, life: Lived, cutoff: int) -> dict[str, Any]:
    """Bound the worst of the next periods by the life so far, the one that the rule would have led included."""
    first, past = life.before
    path, began = (*past, *life.path), first if past else life.first
    done = settled(triangle.survey, cutoff)
    periods, losses = [], []
    for period in range(began, cutoff):
        total, weight = triangle.totals(path[period - began], cutoff)
        if done[period] and weight[period]:
            periods.append(period)
            losses.append(float(total[period] / weight[period]))
    body = {"horizon": HORIZON, "level": WORST_LEVEL, "n": len(losses)}
    if len(losses) < FEWEST:
        return body | {"seen": None, "when": None, "high": None}
    loss = triangle.survey.loss
    most = loss.least + loss.bounds[1] - loss.bounds[0]
    found = next_worst(
        np.array(losses),
        horizon=HORIZON,
        ahead=cutoff - periods[-1] - 1,
        level=WORST_LEVEL,
        greatest=float(most) if np.isfinite(most) else None,
    )
    when = triangle.survey.clock.show(int(triangle.survey.grid.edges[periods[found.start]]))
    return body | {"seen": found.seen, "when": when, "high": found.high}


def _worst_that_came(
    life: Lived, outcomes: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Hold bounds for the worst of some periods against them, once the last of them has its outcome."""
    told = {one["period"] for body in earlier for one in body.get("worst", ())}
    lost = {one["period"]: one["loss"] for one in outcomes}
    news = []
    for fact in life.facts:
        bound = fact.body.get("worst") if fact.kind == "promised" else None
        if bound is None or bound["high"] is None or fact.cutoff in told:
            continue
        ahead = range(fact.cutoff, fact.cutoff + bound["horizon"])
        came = [lost[period] for period in ahead if lost.get(period) is not None]
        if all(period in lost for period in ahead) and came:
            kept = bool(max(came) <= bound["high"])
            news.append({"period": fact.cutoff, "high": bound["high"], "came": max(came), "kept": kept})
    return news


__all__ = ["ALPHA", "HORIZON", "LEVEL", "WORST_LEVEL", "promised", "scored", "silent"]
