"""The answer sheet: what the lives say, as plain data with intervals and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mlwild.clock import NEVER
from mlwild.lives import Life
from mlwild.records import Prices, Vintage
from mlwild.rules import DEFAULT, Rule, meanings
from mlwild.sheet.contest import TRUST, best_frontier, oracle_costs, recommend, rule_rows
from mlwild.sheet.figures import LEVEL, bounds, costs_by_period, finite
from mlwild.sheet.history import ageing, group_losses, heat, made_worse, model_rows, split_loss, strip, worst_period
from mlwild.sheet.honesty import beaten, limits, remarks, unknown
from mlwild.sheet.models import compared
from mlwild.stats.overfitting import backtest_overfitting_interval
from mlwild.triangle import Survey, Tally, Triangle


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
    app, prices = survey.app, survey.app.prices
    ours = [triangle for triangle in triangles if triangle.model == app.live]
    oracles = [oracle_costs(triangle, start, prices) for triangle in ours]
    fair = np.mean([crossfitted for _, crossfitted, *_ in oracles], axis=0)
    costs = np.stack([costs_by_period(of_rule, prices) for of_rule in lives])
    distinct = np.unique(np.round(costs, 9), axis=0)
    overfitting = backtest_overfitting_interval(distinct.T, level=LEVEL)
    names = [rule.name for rule in rules]
    recommended, reference = recommend(
        names, costs, chosen[0], costs_by_period(chosen, prices), overfitting, fair, survey
    )
    shown = recommended["rule"] or (DEFAULT.name if DEFAULT.name in names else names[0])
    life = lives[names.index(shown)][0] if shown in names else chosen[0]
    # What is shown of vintages is shown for the window that the shown rule ended with.
    window = life.live[-1].window
    ranked = app.feedback != "bandit" or app.propensity is not None
    priced = prices is not None and ranked
    table = rule_rows(rules, lives, prices, fair, reference, ranked=ranked)
    models, best_set = compared(triangles, window, model_rows(triangles, window))
    best = min(range(len(names)), key=lambda place: costs[place].sum())
    schedules = [i for i, name in enumerate(names) if name in ("never", "always") or name.startswith("every ")]
    oracle = {
        "cost": float(fair.sum()),
        "retrains": float(np.mean([moves for *_, moves in oracles])),
        "naive_cost": float(np.mean([naive for naive, *_ in oracles])),
        "naive_retrains": float(np.mean([moves for _, _, moves, _ in oracles])),
        "note": "best decisions in hindsight, chosen on one half of each period's rows, scored on the other",
    }
    return {
        **_subject(survey, tally),
        "mended": tally.mended,
        "rehearsed_from": survey.clock.show(int(survey.grid.edges[start.cutoff])),
        "weight": float(lives[0][0].weight.sum()),
        "rules": table,
        "oracle": oracle,
        "recommended": recommended,
        "best_in_hindsight": names[best] if priced else None,
        "best_schedule_in_hindsight": names[min(schedules, key=lambda i: costs[i].sum())]
        if schedules and priced
        else None,
        "chosen_as_you_go": {
            "cost": float(costs_by_period(chosen, prices).sum()) if priced else None,
            "rule": chosen[0].rule if ranked else None,
        },
        "overfitting_probability": finite(overfitting.estimate),
        "overfitting": {**bounds(overfitting), "n": overfitting.n, "trust_below": TRUST},
        "split": split_loss(life, ours[0]),
        "retraining_made_it_worse": made_worse(ours, window),
        **_ageing_fields(ours, start, window, prices),
        "frontier": best_frontier(ours[0], start),
        "worst_period": worst_period(life, ours[0]),
        "groups": group_losses(life, ours[0]),
        "models": models,
        "best_set": best_set,
        "glossary": [list(entry) for entry in meanings(names)],
        "remarks": [*remarks(recommended, table, models, app, best_set["n"]), *beaten(table, oracle, prices)],
        "unknown": unknown(survey, triangles, tally),
        "limits": limits(survey),
        "strips": [strip(of_rule[0], ours[0]) for of_rule in lives],
        "triangle": heat(ours[0], window),
        "window": window,
        "windows": [str(window) for window in app.windows],
        "seeds": [int(seed) for seed in app.seeds],
    }


def _ageing_fields(triangles: Sequence[Triangle], start: Vintage, window: str, prices: Prices | None) -> dict[str, Any]:
    made = ageing(triangles, start.cutoff, window, prices)
    return {"ageing": made["curve"], "ageing_costs_one_retrain_at": made["costs_one_retrain_at"]}


def _subject(survey: Survey, tally: Tally) -> dict[str, Any]:
    """Return what was rehearsed, and what that took."""
    app, grid, clock = survey.app, survey.grid, survey.clock
    labelled = survey.known_at != NEVER
    return {
        "app": app.name,
        "model": app.live,
        "loss": {
            "name": survey.loss.name,
            "title": survey.loss.title,
            "unit": survey.loss.unit,
            "per": survey.loss.per,
            "better": survey.loss.better,
        },
        "prices": None if app.prices is None else asdict(app.prices),
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
    }
