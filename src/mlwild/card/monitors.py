"""What the card says of monitors: what each saw coming, and what changed in the newest period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlwild.card.chart_rules import bar_axis, bar_scale, interval_bar
from mlwild.card.facts import Facts, known
from mlwild.card.words import UNKNOWN, between, interval, number, percent
from mlwild.wording import sentence

#: Longer lists are cut, and say so.
MOST, MOST_SAID = 18, 8

_KINDS = {"performance": "estimate", "shift": "shift", "labels": "labels", "control": "control", "own": "your own"}


def monitors(facts: Facts) -> dict[str, Any] | None:
    """Return the section on monitors as ready texts; None for a sheet without an audition."""
    audition = facts.sheet.get("monitor_audition")
    if audition is None:
        return None
    spoke = [row for row in facts.sheet["monitors"] if known(row["estimate"])]
    silent = [row["name"] for row in facts.sheet["monitors"] if not known(row["estimate"])]
    rows = spoke
    named = {*audition["default"], *audition["for_staleness"]}
    scale = bar_scale([(row["low"], row["high"], row["estimate"]) for row in rows if known(row["low"])], zero=0.5)
    why = audition["why"]
    return {
        "why": sentence(why),
        "default": audition["default"],
        "stale": audition["for_staleness"],
        "event": audition.get("event"),
        "cells": f"{audition['cells']:,}",
        "n": audition["n"],
        "tolerated": audition.get("tolerated"),
        "combination": audition["combination"]["why"] if "combination" in audition else None,
        "rows": [_row(row, named, scale) for row in rows[:MOST]],
        "axis": bar_axis(scale) if rows else None,
        "more": max(len(rows) - MOST, 0),
        "left_out": [
            *(f"{one['name']}: {one['why']}" for one in audition["left_out"]),
            *(f"{name}: never said anything that could be ranked." for name in silent),
        ],
        "remarks": audition["remarks"][:MOST_SAID],
        "latest": _latest(facts.sheet.get("latest_shift") or {}),
    }


def _row(row: Mapping[str, Any], named: set[str], scale: Any) -> dict[str, Any]:
    lead, against, latest = row["lead"], row["against"], row["latest"]
    now = interval(latest["low"], latest["high"], 3) if known(latest["estimate"]) else None
    return {
        "name": row["name"],
        "kind": _KINDS.get(row["kind"], row["kind"]),
        "chosen": row["name"] in named,
        "grey": row["grey"]["why"] if row["grey"] else None,
        "auc": number(row["estimate"], 2),
        "bounds": interval(row["low"], row["high"], 2),
        "bar": interval_bar((row["estimate"], row["low"], row["high"]), scale, zero=0.5) if known(row["low"]) else "",
        "difficulty": number(against["difficulty"]["auc"], 2),
        "staleness": number(against["staleness"]["auc"], 2),
        "staleness_bounds": interval(against["staleness"]["auc_low"], against["staleness"]["auc_high"], 2),
        "caught": percent(lead["caught"]) if known(lead["caught"]) else UNKNOWN,
        "lead": number(lead["periods"], 1) if known(lead["periods"]) else "",
        "now": f"{number(latest['estimate'], 3)} ({now})" if now else "",
        "why": row["why"],
    }


def _latest(found: Mapping[str, Any]) -> dict[str, Any] | None:
    if not found:
        return None
    return {"period": between(found["from"], found["to"]), "said": found["said"][:MOST_SAID], "kind": found["kind"]}
