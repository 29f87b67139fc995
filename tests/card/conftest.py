"""A small generator of answer sheets: made up, but of the shape that a rehearsal gives."""

from __future__ import annotations

import math
import random
from datetime import date, timedelta

import pytest

RULES = ("break-even", "break-even x0.5", "never", "always", "every 4", "loss up 5%")


def _triangle(periods, rng):
    rows = []
    hard = [0.5 + 0.1 * math.sin(k / 5) + rng.gauss(0, 0.02) for k in range(periods)]
    for vintage in range(periods):
        drift = [0.004 * (k - vintage) ** 0.5 + rng.gauss(0, 0.004) if k > vintage else 0.0 for k in range(periods)]
        rows.append([hard[k] + drift[k] if k >= vintage else None for k in range(periods)])
    return rows


def _live(name, k, live):
    steps = {"never": periods_of_never, "always": 1, "every 4": 4, "break-even": 6, "break-even x0.5": 3}
    step = steps.get(name, 11)
    return k if step != periods_of_never and k % step == 0 else live


periods_of_never = 0


def _life(name, triangle, cutoffs):
    live, loss, decisions = 0, [], []
    for k in range(len(cutoffs)):
        now = _live(name, k, live)
        if k == 0 or now != live:
            decisions.append(
                {
                    "period": k,
                    "at": cutoffs[k],
                    "action": "retrain" if k else "start",
                    "live": str(now),
                    "reason": "staleness has cost 329" if k else "the first vintage that could be made",
                }
            )
        live = now
        loss.append(triangle[live][k])
    fresh = [triangle[k][k] for k in range(len(cutoffs))]
    return {"rule": name, "first": 0, "loss": loss, "fresh": fresh, "decisions": decisions}


def _rule(strip, events, priced, regret):
    loss = sum(strip["loss"]) / len(strip["loss"])
    retrains = float(len(strip["decisions"]) - 1)
    row = {
        "name": strip["rule"],
        "cost": 2.0 * events * loss + 300.0 * retrains if priced else None,
        "retrains": retrains,
        "updates": 0.0,
        "rollbacks": 0.0,
        "loss": loss,
    }
    for key, middle in (("regret", regret), ("difference", regret - 100.0)):
        same = key == "difference" and strip["rule"] == "break-even"
        row[key] = (0.0 if same else middle) if priced else None
        row[f"{key}_low"] = (0.0 if same else middle - 1234.56789) if priced else None
        row[f"{key}_high"] = (0.0 if same else middle + 2345.678912) if priced else None
    return row


def _recommended(row, periods):
    if row["cost"] is None:
        reason = "no prices are given: choose a point on the frontier of loss against retrains"
        empty = dict.fromkeys(("rule", "cost", "low", "high", "regret", "regret_low", "regret_high"))
        return {**empty, "n": 0, "level": 0.9, "reason": reason}
    low, high = row["cost"] * 0.95, row["cost"] * 1.05
    reason = "no rule beat it by more than a retrain and chance; break-even needs no tuning"
    return {
        "rule": row["name"],
        "cost": row["cost"],
        "low": low,
        "high": high,
        "regret": row["regret"],
        "regret_low": row["regret_low"],
        "regret_high": row["regret_high"],
        "n": periods,
        "level": 0.9,
        "reason": reason,
    }


def _ageing(triangle):
    made = []
    for age in range(1, len(triangle) - 4):
        gaps = [triangle[k - age][k] - triangle[k][k] for k in range(age, len(triangle))]
        mean = sum(gaps) / len(gaps)
        made.append({"age": age, "staleness": mean, "low": mean - 0.0031415926, "high": mean + 0.0041, "n": len(gaps)})
    return made


def build_sheet(periods=12, *, priced=True, app="flights", unit="USD", loss_unit="nats", seed=0):
    """Return a made-up sheet; every part of it is of the shape that a rehearsal gives."""
    rng = random.Random(seed)
    cutoffs = [(date(2013, 2, 19) + timedelta(days=7 * k)).isoformat() for k in range(periods + 1)]
    triangle = _triangle(periods, rng)
    rows = [6000 + 10 * k for k in range(periods)]
    events = sum(rows)
    strips = [_life(name, triangle, cutoffs[:-1]) for name in RULES]
    rules = [_rule(strip, events, priced, 321.0987654321 * place) for place, strip in enumerate(strips)]
    worst = max(range(periods), key=lambda k: strips[0]["loss"][k])
    return {
        "app": app,
        "model": "boosting",
        "loss": {"name": "log_loss", "unit": loss_unit, "per": "row", "better": "lower"},
        "prices": {"loss": 2.0, "retrain": 300.0, "update": None, "shadow": 0.0, "rollback": 0.0, "unit": unit} if priced else None,
        "data": {"rows": events + 99, "from": "2013-01-01 05:15", "to": cutoffs[-1], "labelled": events, "digest": "00ad", "zone": None},
        "every": "7D",
        "cutoffs": cutoffs[:-1],
        "period_ends": cutoffs[-1],
        "rows_by_period": rows,
        "weight": float(events),
        "rehearsed_from": cutoffs[0],
        "glossary": [["never", "keep the first vintage"]],
        "remarks": ["'every 4' was cheaper by 70 (interval -30 to 170): within chance."],
        "fits": {"made": periods, "reused": 0},
        "seconds": 1.25,
        "rules": rules,
        "oracle": {"cost": 283499.6219148372, "naive_cost": 283400.0, "retrains": 2.0, "note": "best decisions in hindsight"},
        "recommended": _recommended(rules[0], periods),
        "best_in_hindsight": "break-even x0.5" if priced else None,
        "best_schedule_in_hindsight": "every 4" if priced else None,
        "chosen_as_you_go": {"cost": rules[0]["cost"], "rule": "break-even"},
        "overfitting_probability": 0.21428571428571427,
        "overfitting": {"low": 0.0142857142857, "high": 0.4578571428571426, "n": periods, "trust_below": 0.25},
        "split": {"difficulty": 0.49135, "staleness": 0.0064, "staleness_low": 0.0033, "staleness_high": 0.0098, "n": periods},
        "retraining_made_it_worse": {"periods": 1, "of": periods - 1},
        "ageing": _ageing(triangle),
        "ageing_costs_one_retrain_at": 4 if priced and periods > 9 else None,
        "frontier": [{"retrains": k, "loss": 0.5 + 0.02 / (k + 1)} for k in range(min(periods, 12))],
        "worst_period": {
            "period": worst, "from": cutoffs[worst], "to": cutoffs[worst + 1], "loss": strips[0]["loss"][worst],
            "low": 0.61720517, "high": 0.8066845, "n": rows[worst], "searched": periods, "vintage": "0",
        },
        "groups": [{"group": "carrier", "value": value, "loss": 0.6 - 0.01 * k, "low": 0.55, "high": 0.65, "n": 900} for k, value in enumerate("ABC")],
        "models": [
            {"name": "boosting", "fresh": 0.49135642, "low": 0.46704, "high": 0.51752, "never": 0.518127, "n": periods},
            {"name": "rate", "fresh": None, "low": None, "high": None, "never": None, "n": 0},
        ],
        "unknown": ["66 labels arrived after the last event: no decision could use them."],
        "limits": ["A replay trusts the column 'landed_at' to say when labels were known."],
        "strips": strips,
        "triangle": {"vintages": list(range(periods)), "loss": triangle},
        "window": "all",
        "windows": ["all"],
        "seeds": [0],
    }  # fmt: skip


@pytest.fixture
def make():
    """Return the generator of sheets."""
    return build_sheet
