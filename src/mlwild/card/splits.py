"""What the card says of splits: the promise for the next period, and how each scheme kept its own."""

from __future__ import annotations

from typing import Any

from mlwild.card.chart_rules import bar_axis, bar_scale, interval_bar
from mlwild.card.facts import Facts, known
from mlwild.card.tables import column_decimals
from mlwild.card.words import UNKNOWN, count, day, decimals_for, half_width, interval, number, percent
from mlwild.wording import sentence

#: Longer lists are cut, and say so.
MOST = 20


def splits(facts: Facts) -> dict[str, Any] | None:
    """Return the section on splits as ready texts; None for a sheet without an audition."""
    audition = facts.sheet.get("split_audition")
    if audition is None:
        return None
    promise = audition["promise"]
    digits = decimals_for(half_width(promise["low"], promise["high"]) or promise["estimate"] or 0.0, 2)
    bounds = interval(promise["low"], promise["high"], digits)
    covered = None
    if known(promise["coverage"]):
        covered = {
            "kept": promise["kept"],
            "n": count(promise["n"], "period"),
            "share": percent(promise["coverage"]),
            "bounds": f"{percent(promise['coverage_low'])} to {percent(promise['coverage_high'])}",
        }
    return {
        "model": promise["model"],
        "from": day(promise["from"]),
        "estimate": facts.loss_of(promise["estimate"], digits),
        "bounds": f"{facts.level} interval {bounds}" if known(promise["low"]) else bounds,
        "by": promise["split"],
        "follows": promise["why"],
        "covered": covered,
        "each": (facts.sheet.get("intervals") or {}).get("said", ""),
        "estimating": _best(audition["estimating"]),
        "choosing": _best(audition["choosing"]),
        "leak": _leak(audition["leak_meter"]),
        **_table(facts),
    }


def _best(found: dict[str, Any]) -> dict[str, str]:
    why = found["why"]
    return {"name": found["name"] or "none stands out", "why": sentence(why)}


def _leak(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    digits = decimals_for(half_width(found["low"], found["high"]) or found["estimate"], 2)
    return {
        "estimate": number(abs(found["estimate"]), digits),
        "more": found["estimate"] >= 0,
        "bounds": interval(found["low"], found["high"], digits),
        "n": count(found["n"], "cutoff"),
        "sure": known(found["low"]) and found["low"] > 0,
    }


def _table(facts: Facts) -> dict[str, Any]:
    rows = facts.sheet["splits"]
    audition = facts.sheet["split_audition"]
    named = {audition["promise"]["split"], audition["estimating"]["name"], audition["choosing"]["name"]}
    digits = column_decimals(rows, "error", "error_", 2)
    scale = bar_scale([(row["error_low"], row["error_high"], row["error"]) for row in rows])
    several = any(known(row["rank_models"]) for row in rows)
    made = [
        {
            "name": row["name"],
            "meaning": row["meaning"],
            "chosen": row["name"] in named,
            "fits": row["fits"],
            "error": number(row["error"], digits),
            "bounds": interval(row["error_low"], row["error_high"], digits),
            "bar": interval_bar((row["error"], row["error_low"], row["error_high"]), scale),
            "excess": number(row["excess"], digits),
            "bias": number(row["bias"], digits, signed=True),
            "models": number(row["rank_models"], 2),
            "regret": number(row["regret"], digits),
            "time": number(row["rank_time"], 2),
            "coverage": percent(row["coverage"]) if known(row["coverage"]) else UNKNOWN,
            "n": number(row["n"], 0),
        }
        for row in rows[:MOST]
    ]
    return {
        "rows": made,
        "axis": bar_axis(scale),
        "several": several,
        "procedures": len(audition["procedures"]),
        "any_fits": any(row["fits"] for row in rows),
        "more": max(len(rows) - MOST, 0),
    }
