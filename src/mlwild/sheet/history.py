"""What the history shows whatever the rule: ageing, the worst period, groups, models."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.lives import Life
from mlwild.records import Prices, Vintage
from mlwild.sheet.figures import LEVEL, bounds, finite, least
from mlwild.stats.bootstrap import Interval, mean_interval, resampled_interval, sum_interval
from mlwild.triangle import Survey, Triangle
from mlwild.triangle.settled import complete

Floats = NDArray[np.float64]

#: Ages with fewer pairs of vintages than this are not shown: their interval would mean nothing.
FEWEST_PAIRS = 5


def ageing(triangles: Sequence[Triangle], first_cutoff: int, window: str, prices: Prices | None) -> dict[str, Any]:
    """
    Return staleness against age, and the age at which it has cost one retrain.

    The staleness of age a is the mean, over all pairs of vintages, of the loss of one that is a
    periods old less that of the one fitted just before the period.
    """
    first = triangles[0]
    vintages = sorted(v for v in first.scores if not v.updates and v.window == window)
    usable = [v for v in vintages if all(v in triangle.scores for triangle in triangles)]
    means = []
    for triangle in triangles:
        total, weight = triangle.matrix(usable)
        with np.errstate(invalid="ignore", divide="ignore"):
            means.append(np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan))
    mean = np.mean(means, axis=0)
    cutoffs = [v.cutoff for v in usable]
    rows = float(first.matrix(usable[:1])[1][0, first_cutoff:].mean())
    curve, spent, breaks = [], 0.0, None
    periods = first.survey.grid.periods
    for age in range(1, periods):
        pairs = [
            mean[cutoffs.index(k - age), k] - mean[cutoffs.index(k), k]
            for k in range(periods)
            if k - age in cutoffs and k in cutoffs
        ]
        gaps = np.array([gap for gap in pairs if not isnan(gap)])
        if len(gaps) < FEWEST_PAIRS:
            break
        interval = mean_interval(gaps, level=LEVEL)
        curve.append({"age": age, "staleness": finite(interval.estimate), **bounds(interval), "n": len(gaps)})
        if prices is not None:
            spent += prices.loss * rows * interval.estimate
            if breaks is None and spent >= prices.retrain > 0:
                breaks = age
    return {"curve": curve, "costs_one_retrain_at": breaks}


def made_worse(triangles: Sequence[Triangle], window: str) -> dict[str, int]:
    """Count the periods in which the fresh vintage lost more than the one a period older."""
    worse = of = 0
    for triangle in triangles:
        scores = triangle.scores
        for k in range(1, triangle.survey.grid.periods):
            fresh, older = Vintage(k, window), Vintage(k - 1, window)
            if fresh not in scores or older not in scores:
                continue
            total, weight = triangle.matrix([fresh, older])
            if weight[0, k] > 0:
                of += 1
                worse += bool(total[0, k] > total[1, k])
    return {"periods": worse, "of": of}


def _period(survey: Survey, k: int) -> dict[str, Any]:
    edges, clock = survey.grid.edges, survey.clock
    return {"period": int(k), "from": clock.show(int(edges[k])), "to": clock.show(int(edges[k + 1]))}


def worst_period(life: Life, triangle: Triangle) -> dict[str, Any] | None:
    """Return the period with the greatest mean loss of which about all labels are there, and the number searched."""
    survey = triangle.survey
    grid, loss = survey.grid, survey.loss
    enough = life.weight > 0
    large = enough & (grid.labelled[life.first :] >= survey.app.min_rows)
    # Of one that waits for many of its labels those are there that come early, and they may be the worst.
    whole = large & complete(survey)[life.first :]
    pool = np.flatnonzero(next((one for one in (whole, large) if one.any()), enough))
    if not len(pool):
        return None
    means = life.loss[pool] / life.weight[pool]
    place = int(pool[np.argmax(means)])
    k, vintage = place + life.first, life.live[place]
    rows = np.sort(grid.cell_rows[grid.period_of_cell_row == k])
    rows = rows[~triangle.unscored[rows]]
    if loss.per == "row":
        interval = _weighted_mean(triangle.row_losses(vintage, rows), grid.weight[rows])
    else:
        first = int(grid.row_start[vintage.cutoff])
        predicted = triangle.predictions(vintage)[rows - first]
        interval = resampled_interval(
            lambda at: loss.of_set(survey.labels[rows[at]], predicted[at]), len(rows), level=LEVEL
        )
    return {
        **_period(survey, k),
        "loss": finite(float(means.max())),
        **bounds(interval, least=least(survey)),
        "n": len(rows),
        "searched": len(pool),
        "vintage": str(vintage),
    }


def _weighted_mean(lost: Floats, weight: Floats) -> Interval:
    """Return the interval of a weighted mean: of the ratio's linear form, whose mean is the ratio."""
    mean = float((lost * weight).sum() / weight.sum())
    return mean_interval(mean + weight * (lost - mean) / weight.mean(), level=LEVEL)


def _per_event(total: Floats, weight: Floats) -> Interval:
    """
    Return the interval of a mean loss of an event, from totals by period: of the ratio's linear form.

    How many events a period has is no doubt about what each loses. Taken for one, 26 periods whose sizes vary by a half
    had intervals four times as wide as it takes; these held 0.90 at level 0.9 (0.85 where sizes vary by a factor of
    three; 600 draws each).
    """
    whole = float(weight.sum())
    if not whole:
        return Interval(nan, nan, nan, LEVEL, len(total))
    mean = float(total.sum()) / whole
    around = sum_interval(total - mean * weight, level=LEVEL)
    return Interval(mean, mean + around.low / whole, mean + around.high / whole, LEVEL, len(total))


def group_losses(life: Life, triangle: Triangle) -> list[dict[str, Any]]:
    """Return the loss along a life by the values of each declared group, worst first."""
    survey = triangle.survey
    grid, app = survey.grid, survey.app
    if not survey.groups or survey.loss.per == "set":
        return []
    lost = np.full(len(survey.time), np.nan)
    weight = grid.weight
    for place, vintage in enumerate(life.live):
        low, high = np.searchsorted(grid.period_of_cell_row, [life.first + place, life.first + place + 1])
        rows = grid.cell_rows[low:high]
        rows = rows[~triangle.unscored[rows]]
        lost[rows] = triangle.row_losses(vintage, rows)
    made = []
    for name, values in survey.groups.items():
        known = np.flatnonzero(~np.isnan(lost))
        texts = np.array([str(value) for value in values[known]])
        kinds, codes = np.unique(texts, return_inverse=True)
        for code, kind in enumerate(kinds):
            rows = known[codes == code]
            if len(rows) < app.min_rows:
                continue
            interval = _weighted_mean(lost[rows], weight[rows])
            made.append(
                {
                    "group": name,
                    "value": str(kind),
                    "loss": interval.estimate,
                    **bounds(interval, least=least(survey)),
                    "n": len(rows),
                }
            )
    return sorted(made, key=lambda row: (-row["loss"], row["group"], row["value"]))


def strip(life: Life, triangle: Triangle) -> dict[str, Any]:
    """Return a rule's life for drawing: mean loss by period, a fresh model's, and what was done when."""
    survey = triangle.survey
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, fresh = life.loss / life.weight, floor_of(life, triangle) / life.weight
    return {
        "rule": life.rule,
        "first": life.first,
        "loss": [finite(value) for value in mean],
        "fresh": [finite(value) for value in fresh],
        "decisions": [
            {
                "period": fact.cutoff,
                "at": survey.clock.show(fact.at),
                "action": fact.action,
                "live": str(fact.live),
                "reason": fact.reason,
            }
            for fact in life.facts
            if fact.action != "keep"
        ],
    }


def split_loss(life: Life, triangle: Triangle) -> dict[str, Any]:
    """Split a life's loss into difficulty (that of the freshest vintage of its window) and staleness."""
    floor = floor_of(life, triangle)
    weight = float(life.weight.sum())
    staleness = _per_event(life.loss - floor, life.weight)
    return {
        "difficulty": finite(float(floor.sum()) / weight) if weight else None,
        "staleness": finite(staleness.estimate),
        "staleness_low": finite(staleness.low),
        "staleness_high": finite(staleness.high),
        "n": len(life.loss),
    }


def floor_of(life: Life, triangle: Triangle) -> Floats:
    """Return the total loss by period of the freshest vintage of the window that was live then."""
    periods = range(life.first, triangle.survey.grid.periods)
    fresh = [triangle.freshest(live.window, k) or live for live, k in zip(life.live, periods, strict=True)]
    used = list(dict.fromkeys(fresh))
    total, _ = triangle.matrix(used)
    return np.array([total[used.index(vintage), k] for vintage, k in zip(fresh, periods, strict=True)])


def model_rows(triangles: Sequence[Triangle], live_window: str) -> list[dict[str, Any]]:
    """Return each model's loss when always retrained and when never; other models have one window."""
    by_name: dict[str, list[Triangle]] = {}
    for triangle in triangles:
        by_name.setdefault(triangle.model, []).append(triangle)
    made: list[dict[str, Any]] = []
    for name, of_model in by_name.items():
        survey = of_model[0].survey
        window = live_window if name == survey.app.live else str(survey.app.windows[0])
        fresh, first, weights = [], [], []
        for triangle in of_model:
            usable = [v for v in sorted(triangle.scores) if v.window == window and not v.updates]
            if not usable:
                continue
            total, weight = triangle.matrix(usable)
            at = [
                max(i for i, v in enumerate(usable) if v.cutoff <= k) for k in range(usable[0].cutoff, total.shape[1])
            ]
            periods = np.arange(usable[0].cutoff, total.shape[1])
            fresh.append(total[at, periods])
            first.append(total[0, periods])
            weights.append(weight[at, periods])
        if not fresh:
            made.append({"name": name, "fresh": None, "low": None, "high": None, "never": None, "n": 0})
            continue
        length = min(len(series) for series in fresh)
        fresh_mean = np.mean([series[-length:] for series in fresh], axis=0)
        weight_mean = np.mean([series[-length:] for series in weights], axis=0)
        never = np.mean([series[-length:] for series in first], axis=0).sum() / weight_mean.sum()
        interval = _per_event(fresh_mean, weight_mean)
        made.append(
            {
                "name": name,
                "fresh": finite(interval.estimate),
                **bounds(interval, least=least(of_model[0].survey)),
                "never": finite(float(never)),
                "n": length,
            }
        )
    return made


def heat(triangle: Triangle, window: str) -> dict[str, Any]:
    """Return the triangle of mean losses for drawing: one row a usable vintage of the window."""
    usable = [v for v in sorted(triangle.scores) if v.window == window and not v.updates]
    total, weight = triangle.matrix(usable)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / weight
    return {
        "vintages": [v.cutoff for v in usable],
        "loss": [
            [finite(value) if k >= v.cutoff else None for k, value in enumerate(row)]
            for v, row in zip(usable, mean, strict=True)
        ],
    }
