"""The answer sheet: what the lives say, as plain data with intervals and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.lives import Life
from mlwild.records import Prices, Vintage
from mlwild.rules import DEFAULT, Rule
from mlwild.stats.bootstrap import Interval, mean_interval, resampled_interval, sum_interval
from mlwild.stats.overfitting import backtest_overfitting_interval
from mlwild.stats.paths import crossfitted_path_cost, frontier, shortest_path
from mlwild.triangle import Survey, Tally, Triangle, update_chain

Floats = NDArray[np.float64]

LEVEL = 0.9
#: A history may choose among rules when the chance that its choice is mere luck is below this.
TRUST = 0.25
#: Ages with fewer pairs of vintages than this are not shown: their interval would mean nothing.
FEWEST_PAIRS = 5


def _number(value: float) -> float | None:
    """Return a number that JSON can hold: NaN and infinity become null."""
    return float(value) if isfinite(value) else None


def _bounds(interval: Interval, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}low": _number(interval.low), f"{prefix}high": _number(interval.high)}


def _costs(lives: Sequence[Life], prices: Prices | None) -> Floats:
    """Return the cost by period, averaged over seeds."""
    return np.asarray(np.mean([life.cost(prices) for life in lives], axis=0))


def oracle_costs(triangle: Triangle, start: Vintage, prices: Prices | None) -> tuple[float, Floats, int]:
    """
    Return the cost of the best decisions in hindsight.

    Returns
    -------
    naive : float
        Of the path chosen and scored on the same rows: it fits noise too.
    crossfitted : ndarray of shape (n_periods - first,)
        By period, of paths chosen on one half of the rows and scored on the other.
    moves : int
        Number of retrains and updates on the naive path.
    """
    vintages = sorted(vintage for vintage in triangle.scores if not vintage.updates)
    chain = [vintage for vintage in update_chain(triangle) if vintage in triangle.scores]
    rows = vintages + chain
    first = start.cutoff
    total, _ = triangle.matrix(rows)
    value = 1.0 if prices is None else prices.loss
    parent = np.array([-1] * len(vintages) + [_row_of_parent(rows, vintage) for vintage in chain])
    born = np.array([vintage.cutoff for vintage in rows]) - first
    halves = np.stack([np.stack([triangle.scores[v].half_total[side] for v in rows]) for side in (0, 1)])
    retrain = 0.0 if prices is None else prices.retrain
    update = 0.0 if prices is None else prices.update_price
    begin = rows.index(start)
    path = shortest_path(value * total[:, first:], born, start=begin, retrain=retrain, parent=parent, update=update)
    fair = crossfitted_path_cost(
        value * halves[:, :, first:], born, start=begin, retrain=retrain, parent=parent, update=update
    )
    return path.cost(value * total[:, first:]), fair, int((np.diff(path.live) != 0).sum())


def _row_of_parent(rows: list[Vintage], vintage: Vintage) -> int:
    return rows.index(Vintage(vintage.fitted, vintage.window, vintage.updates[:-1]))


def ageing(triangles: Sequence[Triangle], start: Vintage, prices: Prices | None) -> dict[str, Any]:
    """
    Return staleness against age, and the age at which it has cost one retrain.

    The staleness of age a is the mean, over all pairs of vintages, of the loss of one that is a
    periods old less that of the one fitted just before the period.
    """
    window = start.window
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
    rows = float(first.survey.grid.labelled[start.cutoff :].mean())
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
        curve.append({"age": age, "staleness": _number(interval.estimate), **_bounds(interval), "n": len(gaps)})
        if prices is not None:
            spent += prices.loss * rows * interval.estimate
            if breaks is None and spent >= prices.retrain > 0:
                breaks = age
    return {"curve": curve, "costs_one_retrain_at": breaks}


def _worse(triangles: Sequence[Triangle], window: str) -> dict[str, int]:
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
    """Return the period with the greatest mean loss, with its interval and the number searched."""
    survey = triangle.survey
    grid, loss = survey.grid, survey.loss
    enough = life.weight > 0
    large = enough & (grid.labelled[life.first :] >= survey.app.min_rows)
    pool = np.flatnonzero(large if large.any() else enough)
    if not len(pool):
        return None
    means = life.loss[pool] / life.weight[pool]
    place = int(pool[np.argmax(means)])
    k, vintage = place + life.first, life.live[place]
    rows = np.sort(grid.cell_rows[grid.period_of_cell_row == k])
    if loss.per == "row":
        interval = mean_interval(triangle.row_losses(vintage, rows) * grid.weight[rows], level=LEVEL)
    else:
        first = int(grid.row_start[vintage.cutoff])
        predicted = triangle.predictions(vintage)[rows - first]
        interval = resampled_interval(
            lambda at: loss.of_set(survey.labels[rows[at]], predicted[at]), len(rows), level=LEVEL
        )
    return {
        **_period(survey, k),
        "loss": _number(float(means.max())),
        **_bounds(interval),
        "n": len(rows),
        "searched": len(pool),
        "vintage": str(vintage),
    }


def group_losses(life: Life, triangle: Triangle) -> list[dict[str, Any]]:
    """Return the loss along a life by the values of each declared group, worst first."""
    survey = triangle.survey
    grid, app = survey.grid, survey.app
    if not survey.groups or survey.loss.per == "set":
        return []
    lost = np.full(len(survey.time), np.nan)
    for place, vintage in enumerate(life.live):
        low, high = np.searchsorted(grid.period_of_cell_row, [life.first + place, life.first + place + 1])
        rows = grid.cell_rows[low:high]
        lost[rows] = triangle.row_losses(vintage, rows) * grid.weight[rows]
    made = []
    for name, values in survey.groups.items():
        known = np.flatnonzero(~np.isnan(lost))
        texts = np.array([str(value) for value in values[known]])
        kinds, codes = np.unique(texts, return_inverse=True)
        for code, kind in enumerate(kinds):
            rows = known[codes == code]
            if len(rows) < app.min_rows:
                continue
            interval = mean_interval(lost[rows], level=LEVEL)
            made.append(
                {"group": name, "value": str(kind), "loss": interval.estimate, **_bounds(interval), "n": len(rows)}
            )
    return sorted(made, key=lambda row: (-row["loss"], row["group"], row["value"]))


def unknown(survey: Survey, triangles: Sequence[Triangle], tally: Tally) -> list[str]:
    """Return, in sentences, what this rehearsal could not know."""
    app, grid, clock = survey.app, survey.grid, survey.clock
    said = []
    n, never = len(survey.time), int((survey.known_at == NEVER).sum())
    if never:
        said.append(f"{never:,} of {n:,} labels ({never / n:.1%}) never arrived; their events count in no loss.")
    late = int(((survey.known_at != NEVER) & (survey.known_at > survey.time.max())).sum())
    if late:
        said.append(f"{late:,} labels arrived after the last event: no decision could use them.")
    small = np.flatnonzero(grid.labelled < app.min_rows)
    if len(small):
        dates = ", ".join(clock.show(int(grid.edges[k])) for k in small[:3])
        more = ", ..." if len(small) > 3 else ""
        said.append(
            f"{len(small)} of {grid.periods} periods have fewer than {app.min_rows} labels ({dates}{more}): "
            "too small to be judged alone."
        )
    rest = len(survey.time) - int(grid.row_start[-1])
    if rest:
        said.append(
            f"The last {rest:,} events, from {clock.show(int(grid.edges[-1]))} on, fill no whole period of "
            f"{app.every_} and are left out."
        )
    for triangle in triangles:
        said += [
            f"Vintage {failed.vintage} of {failed.model!r} ({clock.show(failed.at)}) could not be used: {failed.why}."
            for failed in triangle.failed.values()
        ]
    for text, times in sorted(tally.warned.items())[:5]:
        said.append(f"{times} fits warned: {text[:200]}")
    if tally.mended:
        said.append(f"{tally.mended} damaged entries of the store were found and made again.")
    return said


def limits(survey: Survey) -> list[str]:
    """Return what a replay assumes; it stands on every sheet."""
    app = survey.app
    arrival = f"the column {app.known_at!r}" if app.known_at else f"a fixed delay of {app.delay}"
    said = [f"A replay trusts {arrival} to say when labels were known."]
    if app.feedback == "none":
        said.append("It assumes that labels do not depend on the model's own decisions (feedback='none').")
        return said
    if app.propensity is None:
        said.append(
            "Labels depend on the model's own decisions (feedback='bandit') and no propensities are given: rules "
            "cannot be ranked by a replay."
        )
        return said
    weight = survey.grid.weight[survey.grid.cell_rows]
    size = float(weight.sum() ** 2 / (weight**2).sum())
    said.append(
        f"Labels depend on earlier decisions (feedback={app.feedback!r}); losses are weighted by one over "
        f"{app.propensity!r}, which leaves an effective sample of {size:,.0f} of {len(weight):,} labels."
    )
    return said


def recommend(
    names: Sequence[str],
    costs: Floats,
    chosen: Life,
    chosen_costs: Floats,
    overfitting: Interval,
    survey: Survey,
) -> dict[str, Any]:
    """Return the rule to run, its cost with an interval, and the reason."""
    app = survey.app
    prices, prior = app.prices, DEFAULT.name if DEFAULT.name in names else names[0]
    if app.feedback == "bandit" and app.propensity is None:
        return _nothing("labels depend on the model's own decisions and no propensities are given: not ranked")
    if prices is None:
        return _nothing("no prices are given: choose a point on the frontier of loss against retrains")
    pbo = overfitting.estimate
    trusted = pbo < TRUST and chosen.rule != prior
    if trusted:
        rule, series = chosen.rule, chosen_costs
        reason = (
            f"it came to lead by more than a retrain and chance, choosing at each cutoff from the past alone; "
            f"the cost is that of so choosing; the chance that this is luck is {pbo:.2f}"
        )
    else:
        rule, series = prior, costs[names.index(prior)]
        if isnan(pbo):
            reason = "too few periods or rules to say whether this history can choose"
        elif pbo >= TRUST:
            reason = (
                f"this history cannot choose among rules: its best would be no better than the median next time "
                f"with chance {pbo:.2f}"
            )
        else:
            reason = "no rule beat it by more than a retrain and chance"
        if prior == DEFAULT.name:
            reason += "; break-even needs no tuning"
    interval = sum_interval(series, level=LEVEL)
    return {
        "rule": rule,
        "cost": interval.estimate,
        **_bounds(interval),
        "n": len(series),
        "level": LEVEL,
        "reason": reason,
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {"rule": None, "cost": None, "low": None, "high": None, "n": 0, "level": LEVEL, "reason": reason}


def rule_rows(
    rules: Sequence[Rule], lives: Sequence[Sequence[Life]], prices: Prices | None, oracle: Floats
) -> list[dict[str, Any]]:
    """Return the table of rules, cheapest first."""
    costs = np.stack([_costs(of_rule, prices) for of_rule in lives])
    names = [rule.name for rule in rules]
    prior = costs[names.index(DEFAULT.name) if DEFAULT.name in names else 0]
    made = []
    for name, series, of_rule in zip(names, costs, lives, strict=True):
        loss = float(np.mean([life.loss.sum() for life in of_rule]))
        weight = float(np.mean([life.weight.sum() for life in of_rule]))
        row: dict[str, Any] = {
            "name": name,
            "cost": float(series.sum()) if prices else None,
            "regret": None,
            "regret_low": None,
            "regret_high": None,
            "difference": None,
            "difference_low": None,
            "difference_high": None,
            "retrains": float(np.mean([life.retrains for life in of_rule])),
            "updates": float(np.mean([life.updates for life in of_rule])),
            "rollbacks": float(np.mean([sum(f.action == "fall back" for f in life.facts) for life in of_rule])),
            "shadow_cost": None,
            "loss": loss / weight if weight else None,
        }
        if prices:
            regret, difference = sum_interval(series - oracle, level=LEVEL), sum_interval(series - prior, level=LEVEL)
            row |= {"regret": regret.estimate, **_bounds(regret, "regret_")}
            row |= {"difference": difference.estimate, **_bounds(difference, "difference_")}
        made.append(row)
    return sorted(made, key=lambda row: (row["cost"] if prices else row["loss"] or 0.0, row["name"]))


def strip(life: Life, survey: Survey) -> dict[str, Any]:
    """Return a rule's life for drawing: mean loss by period, and what was done when."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = life.loss / life.weight
    return {
        "rule": life.rule,
        "first": life.first,
        "loss": [_number(value) for value in mean],
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
    periods = range(life.first, triangle.survey.grid.periods)
    fresh = [triangle.freshest(live.window, k) or live for live, k in zip(life.live, periods, strict=True)]
    used = list(dict.fromkeys(fresh))
    total, _ = triangle.matrix(used)
    floor = np.array([total[used.index(vintage), k] for vintage, k in zip(fresh, periods, strict=True)])
    weight = float(life.weight.sum())
    staleness = mean_interval(life.loss - floor, level=LEVEL)
    per_event = len(life.loss) / weight if weight else float("nan")
    return {
        "difficulty": _number(float(floor.sum()) / weight) if weight else None,
        "staleness": _number(staleness.estimate * per_event),
        "staleness_low": _number(staleness.low * per_event),
        "staleness_high": _number(staleness.high * per_event),
        "n": len(life.loss),
    }


def model_rows(triangles: Sequence[Triangle]) -> list[dict[str, Any]]:
    """Return each model's loss when always retrained and when never."""
    by_name: dict[str, list[Triangle]] = {}
    for triangle in triangles:
        by_name.setdefault(triangle.model, []).append(triangle)
    made: list[dict[str, Any]] = []
    for name, of_model in by_name.items():
        window = str(of_model[0].survey.app.windows[0])
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
        interval = sum_interval(fresh_mean, level=LEVEL)
        w = float(weight_mean.sum())
        made.append(
            {
                "name": name,
                "fresh": _number(interval.estimate / w),
                "low": _number(interval.low / w),
                "high": _number(interval.high / w),
                "never": _number(float(never)),
                "n": length,
            }
        )
    return made


def heat(triangle: Triangle) -> dict[str, Any]:
    """Return the triangle of mean losses for drawing: one row a usable vintage of the first window."""
    window = str(triangle.survey.app.windows[0])
    usable = [v for v in sorted(triangle.scores) if v.window == window and not v.updates]
    total, weight = triangle.matrix(usable)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / weight
    return {
        "vintages": [v.cutoff for v in usable],
        "loss": [
            [_number(value) if k >= v.cutoff else None for k, value in enumerate(row)]
            for v, row in zip(usable, mean, strict=True)
        ],
    }


def make_sheet(
    survey: Survey,
    triangles: Sequence[Triangle],
    rules: Sequence[Rule],
    lives: Sequence[Sequence[Life]],
    chosen: Sequence[Life],
    tally: Tally,
    start: Vintage,
) -> dict[str, Any]:
    """
    Return the answer sheet.

    Parameters
    ----------
    survey : Survey
    triangles : sequence of Triangle
        The living model's first, one a seed.
    rules : sequence of Rule
    lives : sequence of sequences of Life
        By rule, then by seed.
    chosen : sequence of Life
        By seed: the lives of one who chooses as one goes.
    tally : Tally
    start : Vintage
        The first in place.

    Returns
    -------
    dict
        Plain data that JSON can hold; `seconds` and `fits` alone differ between identical runs.
    """
    app, grid, clock = survey.app, survey.grid, survey.clock
    prices = app.prices
    ours = [triangle for triangle in triangles if triangle.model == app.live]
    oracles = [oracle_costs(triangle, start, prices) for triangle in ours]
    fair = np.mean([crossfitted for _, crossfitted, _ in oracles], axis=0)
    costs = np.stack([_costs(of_rule, prices) for of_rule in lives])
    distinct = np.unique(np.round(costs, 9), axis=0)
    overfitting = backtest_overfitting_interval(distinct.T, level=LEVEL)
    names = [rule.name for rule in rules]
    recommended = recommend(names, costs, chosen[0], _costs(chosen, prices), overfitting, survey)
    shown = recommended["rule"] or (DEFAULT.name if DEFAULT.name in names else names[0])
    life = lives[names.index(shown)][0] if shown in names else chosen[0]
    labelled = survey.known_at != NEVER
    best = min(range(len(names)), key=lambda place: costs[place].sum())
    schedules = [i for i, name in enumerate(names) if name in ("never", "always") or name.startswith("every ")]
    return {
        "app": app.name,
        "model": app.live,
        "loss": {"name": survey.loss.name, "unit": survey.loss.unit, "per": survey.loss.per},
        "prices": None if prices is None else asdict(prices),
        "data": {
            "rows": len(survey.time),
            "from": clock.show(int(survey.time[0])),
            "to": clock.show(int(survey.time[-1])),
            "labelled": int(labelled.sum()),
            "digest": survey.data_digest,
            "zone": clock.zone,
        },
        "every": str(app.every_),
        "cutoffs": [clock.show(int(edge)) for edge in grid.edges[:-1]],
        "period_ends": clock.show(int(grid.edges[-1])),
        "rows_by_period": [int(n) for n in grid.labelled],
        "fits": {"made": tally.made, "reused": tally.reused},
        "seconds": None,
        "rules": rule_rows(rules, lives, prices, fair),
        "oracle": {
            "cost": float(fair.sum()),
            "naive_cost": float(np.mean([naive for naive, _, _ in oracles])),
            "retrains": float(np.mean([moves for _, _, moves in oracles])),
            "note": "best decisions in hindsight, chosen on one half of each period's rows, scored on the other",
        },
        "recommended": recommended,
        "best_in_hindsight": names[best] if prices else None,
        "best_schedule_in_hindsight": names[min(schedules, key=lambda i: costs[i].sum())]
        if schedules and prices
        else None,
        "chosen_as_you_go": {"cost": float(_costs(chosen, prices).sum()) if prices else None, "rule": chosen[0].rule},
        "overfitting_probability": _number(overfitting.estimate),
        "overfitting": {**_bounds(overfitting), "n": overfitting.n, "trust_below": TRUST},
        "split": split_loss(life, ours[0]),
        "retraining_made_it_worse": _worse(ours, start.window),
        **_ageing_fields(ours, start, prices),
        "frontier": [
            {"retrains": moves, "loss": value} for moves, value in frontier(*_frontier_input(ours[0], start), start=0)
        ],
        "worst_period": worst_period(life, ours[0]),
        "groups": group_losses(life, ours[0]),
        "models": model_rows(triangles),
        "unknown": unknown(survey, triangles, tally),
        "limits": limits(survey),
        "strips": [strip(of_rule[0], survey) for of_rule in lives],
        "triangle": heat(ours[0]),
        "window": start.window,
        "windows": [str(window) for window in app.windows],
        "seeds": [int(seed) for seed in app.seeds],
    }


def _ageing_fields(triangles: Sequence[Triangle], start: Vintage, prices: Prices | None) -> dict[str, Any]:
    made = ageing(triangles, start, prices)
    return {"ageing": made["curve"], "ageing_costs_one_retrain_at": made["costs_one_retrain_at"]}


def _frontier_input(triangle: Triangle, start: Vintage) -> tuple[Floats, NDArray[np.int64]]:
    usable = [v for v in sorted(triangle.scores) if v.window == start.window and not v.updates]
    total, weight = triangle.matrix(usable)
    born = np.array([v.cutoff for v in usable]) - start.cutoff
    return total[:, start.cutoff :] / max(float(weight[0, start.cutoff :].sum()), 1e-300), born
