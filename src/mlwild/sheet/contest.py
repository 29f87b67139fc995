"""The contest of rules: the optimum in hindsight, the table, the recommendation."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.lives import Life
from mlwild.records import Prices, Vintage
from mlwild.rules import DEFAULT, Rule
from mlwild.sheet.figures import LEVEL, bounds, costs_by_period, least
from mlwild.stats.bootstrap import Interval, sum_interval
from mlwild.stats.paths import crossfitted_path_cost, crossfitted_paths, frontier, shortest_path
from mlwild.triangle import Survey, Triangle, update_chain
from mlwild.wording import number

Floats = NDArray[np.float64]

#: A history may choose among rules when the chance that its choice is mere luck is below this.
TRUST = 0.25


def oracle_costs(triangle: Triangle, start: Vintage, prices: Prices | None) -> tuple[float, Floats, int, float]:
    """
    Return the cost of the best decisions in hindsight, and how often they move.

    Returns
    -------
    naive : float
        Of the path chosen and scored on the same rows: it fits noise too.
    crossfitted : ndarray of shape (n_periods - first,)
        By period, of paths chosen on one half of the rows and scored on the other.
    moves : int
        Number of retrains and updates on the naive path.
    fair_moves : float
        The same of the crossfitted paths, in the mean of the two.
    """
    vintages = sorted(vintage for vintage in triangle.scores if not vintage.updates)
    chain = [vintage for vintage in update_chain(triangle, start) if vintage in triangle.scores]
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
    half = value * halves[:, :, first:]
    fair = crossfitted_path_cost(half, born, start=begin, retrain=retrain, parent=parent, update=update)
    two = crossfitted_paths(half, born, start=begin, retrain=retrain, parent=parent, update=update)
    # Halves of a set do not add up to the whole (an AUC of half the rows is another number): what they
    # lack on the naive path is added, so that equal vintages have no regret. For losses of rows it is nothing.
    columns = np.arange(len(path.live))
    fair = fair + value * (total[:, first:] - halves[:, :, first:].sum(axis=0))[path.live, columns]
    return path.cost(value * total[:, first:]), fair, path.moved, (two[0].moved + two[1].moved) / 2


def _row_of_parent(rows: list[Vintage], vintage: Vintage) -> int:
    return rows.index(Vintage(vintage.fitted, vintage.window, vintage.updates[:-1]))


def recommend(
    names: Sequence[str],
    costs: Floats,
    chosen: Life,
    chosen_costs: Floats,
    overfitting: Interval,
    oracle: Floats,
    survey: Survey,
) -> tuple[dict[str, Any], Floats]:
    """
    Return the rule to run, its cost and regret with intervals, and the reason; and its cost by period.

    Where nothing can be recommended the costs are those of break-even, to compare others with.
    """
    app = survey.app
    prices, prior = app.prices, DEFAULT.name if DEFAULT.name in names else names[0]
    if app.feedback == "bandit" and app.propensity is None:
        said = "labels depend on the model's own decisions and no propensities are given: not ranked"
        return _nothing(said), costs[names.index(prior)]
    if prices is None:
        said = "no prices are given: choose a point on the frontier of loss against retrains"
        return _nothing(said), costs[names.index(prior)]
    pbo = overfitting.estimate
    trusted = pbo < TRUST and chosen.rule != prior
    if trusted:
        rule, series = chosen.rule, chosen_costs
        alone = float(costs[names.index(rule)].sum())
        reason = (
            f"judged at each cutoff on the past alone, it came to lead by more than the price of a retrain and more "
            f"than chance explains; the cost is that of choosing so, from {prior!r} on (the rule from the first day: "
            f"{number(alone)}); with chance {pbo:.2f} the winner here is only lucky"
        )
    else:
        rule, series = prior, costs[names.index(prior)]
        if isnan(pbo):
            reason = "too few periods or rules to say whether this history can choose"
        elif pbo >= TRUST:
            reason = (
                f"this history cannot choose among rules: with chance {pbo:.2f} the best here is no better than the "
                "median elsewhere"
            )
        else:
            reason = "no rule came to lead it by more than the price of a retrain and chance"
        if prior == DEFAULT.name:
            reason += "; break-even needs no tuning"
    interval, regret = sum_interval(series, level=LEVEL), _gap(series, oracle)
    made = {
        "rule": rule,
        "cost": interval.estimate,
        **bounds(interval, least=0.0 if least(survey) >= 0 else -np.inf),
        "regret": regret.estimate,
        **bounds(regret, "regret_"),
        "n": len(series),
        "level": LEVEL,
        "reason": reason,
    }
    return made, series


def _nothing(reason: str) -> dict[str, Any]:
    empty = dict.fromkeys(("rule", "cost", "low", "high", "regret", "regret_low", "regret_high"))
    return {**empty, "n": 0, "level": LEVEL, "reason": reason}


def _gap(series: Floats, other: Floats) -> Interval:
    """Return the interval of a difference of costs; what is only rounding is nothing."""
    gap = series - other
    dust = 1e-9 * float(np.abs(series).max(initial=0.0))
    return sum_interval(np.where(np.abs(gap) <= dust, 0.0, gap), level=LEVEL)


def rule_rows(
    rules: Sequence[Rule],
    lives: Sequence[Sequence[Life]],
    prices: Prices | None,
    oracle: Floats,
    reference: Floats,
    *,
    ranked: bool,
) -> list[dict[str, Any]]:
    """
    Return the table of rules, cheapest first; `difference` is from the cost of what is recommended.

    Where a replay must not rank them they come by name, without regrets and differences.
    """
    costs = np.stack([costs_by_period(of_rule, prices) for of_rule in lives])
    names = [rule.name for rule in rules]
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
            "loss": loss / weight if weight else None,
        }
        if prices and ranked:
            regret, difference = _gap(series, oracle), _gap(series, reference)
            row |= {"regret": regret.estimate, **bounds(regret, "regret_")}
            row |= {"difference": difference.estimate, **bounds(difference, "difference_")}
        made.append(row)
    if not ranked:
        return sorted(made, key=lambda row: str(row["name"]))
    return sorted(made, key=lambda row: (row["cost"] if prices else row["loss"] or 0.0, row["name"]))


def best_frontier(triangle: Triangle, start: Vintage) -> list[dict[str, Any]]:
    """Return the least mean loss for each number of retrains, with any of the app's windows."""
    usable = [start, *(v for v in sorted(triangle.scores) if not v.updates and v.cutoff > start.cutoff)]
    total, weight = triangle.matrix(usable)
    born = np.array([v.cutoff for v in usable]) - start.cutoff
    events = max(float(weight[0, start.cutoff :].sum()), 1e-300)
    points = frontier(total[:, start.cutoff :] / events, born, start=0)
    return [{"retrains": moves, "loss": value} for moves, value in points]
