"""Tables of a card: rows of ready texts for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from mlwild.card import words
from mlwild.card.chart_ageing import curve, decimals_of
from mlwild.card.chart_intervals import Bar, Plot, intervals
from mlwild.card.chart_rules import bar_axis, bar_scale, interval_bar
from mlwild.card.facts import Facts, known
from mlwild.card.signs import sign_tables
from mlwild.card.svg import both
from mlwild.card.words import UNKNOWN, decimals_for, half_width, number, spread_decimals

Row = dict[str, Any]
#: Longer lists are cut, and say so.
MOST_GROUPS = 12
MOST_DECISIONS = 100


def column_decimals(rows: Sequence[Mapping[str, Any]], value: str, prefix: str, digits: int) -> int:
    """Return the decimals of a column: those of its typical interval; where it has none, what tells values apart."""
    widths = sorted(half_width(row[f"{prefix}low"], row[f"{prefix}high"]) for row in rows)
    wide = [width for width in widths if width > 0]
    return decimals_for(wide[len(wide) // 2], digits) if wide else spread_decimals((row[value] for row in rows), digits)


def _bounds(row: Mapping[str, Any], prefix: str, decimals: int) -> str:
    return words.interval(row[f"{prefix}low"], row[f"{prefix}high"], decimals)


def rules(facts: Facts) -> dict[str, Any]:
    """Return the table of rules: which columns it has, the best in hindsight, and a row for each rule."""
    rows = facts.sheet["rules"]
    money = facts.priced and facts.ranked
    losses = spread_decimals(row["loss"] for row in rows)
    cost = spread_decimals([row["cost"] for row in rows], 3)
    digits = (
        {prefix: column_decimals(rows, prefix, f"{prefix}_", 3) for prefix in ("regret", "difference")} if money else {}
    )
    scale = bar_scale([(row["regret_low"], row["regret_high"], row["regret"]) for row in rows])
    columns = {key: any(row[key] for row in rows) for key in ("updates", "rollbacks")}
    made = []
    for row in rows if facts.ranked else sorted(rows, key=lambda row: str(row["name"])):
        one: Row = {
            "name": row["name"],
            "chosen": money and row["name"] == facts.shown,
            "loss": number(row["loss"], losses),
            "retrains": _times(row["retrains"]),
            "updates": _times(row["updates"]),
            "rollbacks": _times(row["rollbacks"]),
        }
        if money:
            same = row["difference"] == row["difference_low"] == row["difference_high"] == 0
            one |= {"cost": number(row["cost"], cost), "same": same}
            for prefix in ("regret", "difference"):
                one[prefix] = number(row[prefix], digits[prefix])
                one[f"{prefix}_bounds"] = _bounds(row, f"{prefix}_", digits[prefix])
            values = (row["regret"], row["regret_low"], row["regret_high"])
            one["bar"] = interval_bar(values, scale, name="chosen" if one["chosen"] else "")
        made.append(one)
    oracle = facts.sheet["oracle"]
    best = {"cost": number(oracle["cost"], cost), "retrains": _times(oracle["retrains"])} if money else None
    return {"money": money, "columns": columns, "rows": made, "best": best, "axis": bar_axis(scale) if money else None}


def _times(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return number(value, 0 if value == int(value) else 1)


def groups(facts: Facts) -> dict[str, Any]:
    """Return the table of groups, worst first; the rest is counted."""
    rows = facts.sheet["groups"]
    decimals = column_decimals(rows, "loss", "", 2)
    overall = facts.shown_mean
    scale = bar_scale([(row["low"], row["high"], row["loss"], overall) for row in rows], zero=None)
    made = [
        {
            "group": str(row["group"]).replace("_", " "),
            "value": row["value"],
            "loss": number(row["loss"], decimals),
            "bounds": _bounds(row, "", decimals),
            "n": number(row["n"], 0),
            "bar": interval_bar(
                (row["loss"], row["low"], row["high"]), scale, zero=scale.low if overall is None else overall
            ),
        }
        for row in rows[:MOST_GROUPS]
    ]
    axis = bar_axis(scale)
    return {"rows": made, "more": max(len(rows) - MOST_GROUPS, 0), "of": len(rows), "axis": axis}


def models(facts: Facts) -> dict[str, Any]:
    """Return the table of models and the axis of its bars."""
    rows = facts.sheet["models"]
    decimals = column_decimals(rows, "fresh", "", 2)
    known_rows = [row for row in rows if known(row["fresh"])]
    scale = bar_scale([(row["low"], row["high"], row["fresh"], row["never"]) for row in known_rows], zero=None)
    gaps = [row for row in rows if row["name"] != facts.sheet["model"] and known(row.get("difference_low"))]
    live = facts.sheet["model"]
    made = [
        {
            "name": row["name"],
            "live": row["name"] == live,
            "fresh": number(row["fresh"], decimals),
            "bounds": _bounds(row, "", decimals),
            "never": number(row["never"], decimals),
            "n": number(row["n"], 0),
            "bar": interval_bar((row["fresh"], row["low"], row["high"]), scale, zero=scale.low - 1)
            if known_rows
            else Markup(""),
            "best": bool(row.get("in_best_set")),
            "gap": _gap(row) if row in gaps else None,
        }
        for row in rows
    ]
    best = facts.sheet.get("best_set")
    return {
        "rows": made,
        "axis": bar_axis(scale) if known_rows else Markup(""),
        "gaps": both(partial(intervals, _differences(facts, gaps))) if gaps else None,
        "live": live,
        "best": best["why"] if best and len(rows) > 1 else None,
        "signs": sign_tables(best.get("signs", [])) if best else [],
    }


def _differences(facts: Facts, gaps: Sequence[Mapping[str, Any]]) -> Plot:
    """Return the plot of each model's paired difference from the living one, the best first."""
    live = facts.sheet["model"]
    bars = []
    for row in sorted(gaps, key=lambda row: float(row["difference"])):
        gap = _gap(row)
        low, high = row["difference_low"], row["difference_high"]
        said = f"{gap['value']} ({gap['bounds']})"
        bars.append(Bar(row["name"], row["difference"], low, high, said, bool(row.get("in_best_set"))))
    title = f"{facts.mean_title} less that of {live}, {facts.per_event}"
    return Plot(bars, title, 0.0, f"the same as {live}")


def _gap(row: Mapping[str, Any]) -> Row:
    """Return a model's paired difference from the living one, with the digits that its interval bears."""
    low, high = row["difference_low"], row["difference_high"]
    decimals = decimals_for(half_width(low, high) or row["difference"] or 0.0, 2)
    return {
        "value": number(row["difference"], decimals, signed=True),
        "bounds": words.interval(low, high, decimals, signed=True),
    }


def ages(facts: Facts) -> list[Row]:
    """Return the numbers behind the chart of ageing."""
    points = curve(facts)
    decimals = decimals_of(points) if points else 0
    value = facts.period_value
    top = max((abs(point["staleness"] * value) for point in points), default=0.0) if value else 0.0
    return [
        {
            "age": number(point["age"], 0),
            "span": words.span(facts.sheet["every"], point["age"]),
            "staleness": number(point["staleness"], decimals, signed=True),
            "bounds": _bounds(point, "", decimals),
            "money": number(point["staleness"] * value, decimals_for(top, 3)) if value else None,
            "n": number(point["n"], 0),
        }
        for point in points
    ]


def decisions(facts: Facts) -> dict[str, Any]:
    """Return the log of the shown rule's decisions; keeping is left out."""
    strip = facts.strips.get(facts.shown)
    rows = strip["decisions"] if strip else []
    made = [
        {
            "at": words.day(row["at"]),
            "action": row["action"],
            "live": row["live"],
            "reason": row["reason"] or UNKNOWN,
        }
        for row in rows[:MOST_DECISIONS]
    ]
    return {"rows": made, "more": max(len(rows) - MOST_DECISIONS, 0)}
