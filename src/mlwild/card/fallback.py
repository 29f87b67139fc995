"""The fallback chain on the card of an app that declares one: what each stage loses, and what is promised of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlwild.card.chart_rules import bar_axis, bar_scale, interval_bar
from mlwild.card.facts import Facts, known
from mlwild.card.words import UNKNOWN, between, count, decimals_for, half_width, interval, number, percent
from mlwild.guards.exploring import AT_RANDOM
from mlwild.guards.stages import CONSTANT
from mlwild.wording import outside

Row = dict[str, Any]


def fallback(facts: Facts) -> Row | None:
    """Return the section on the chain as ready texts; None for an app that declares none."""
    found = facts.sheet.get("fallback")
    if found is None:
        return None
    stages = found["stages"]
    widths = sorted(half_width(one["low"], one["high"]) for one in stages)
    wide = [width for width in widths if width > 0] or [one["loss"] for one in stages if known(one["loss"])]
    digits = decimals_for(wide[0], 2) if wide else 0
    scale = bar_scale(
        [(one["low"], one["high"], one["estimate"]) for one in stages if known(one["estimate"])], zero=None
    )
    kept, of = (sum(one[key] for one in stages) for key in ("kept", "of"))
    constant = next((one for one in stages if one["stage"] == CONSTANT), None)
    random = next((one for one in stages if one["stage"] == AT_RANDOM), None)
    of_rows = next((one["intervals"]["level"] for one in stages if one.get("intervals")), None)
    return {
        "why": found["why"],
        "level": percent(found["level"]),
        "rows": [_row(one, constant, digits, facts) | {"bar": _bar(one, scale)} for one in stages],
        "axis": bar_axis(scale) if any(known(one["estimate"]) for one in stages) else "",
        "kept": f"{number(kept, 0)} of {number(of, 0)}" if of else None,
        "share": percent(kept / of) if of else None,
        "worse": _worse(stages, constant),
        "outside": outside(stages),
        "drawn": percent(found["share"]) if random else "",
        "abstains": (found.get("abstains") or {}).get("said", ""),
        "each": percent(of_rows) if of_rows else "",
    }


def _row(one: Mapping[str, Any], constant: Mapping[str, Any] | None, digits: int, facts: Facts) -> Row:
    worst = one["worst"]
    return {
        "stage": one["stage"],
        "vintage": facts.vintage(one["vintage"]) if one["vintage"] else "",
        "loss": number(one["loss"], digits),
        "n": number(one["n"], 0),
        "worst": number(worst["loss"], digits) if worst else UNKNOWN,
        "when": between(worst["from"], worst["to"]) if worst else "",
        "estimate": number(one["estimate"], digits),
        "bounds": interval(one["low"], one["high"], digits),
        "kept": f"{number(one['kept'], 0)} of {number(one['of'], 0)}" if one["of"] else UNKNOWN,
        "covered": _covered(one.get("intervals")),
        "least": _least(one.get("intervals")),
        "against": _against(one, constant),
        "better": f"in {number(one['better'], 0)} of {count(one['against'], 'period')}"
        if one is not constant and one["against"]
        else "",
    }


def _covered(intervals: Mapping[str, Any] | None) -> str:
    """Say what share of outcomes lay where answers said."""
    return percent(intervals["share"]) if intervals else UNKNOWN


def _least(intervals: Mapping[str, Any] | None) -> str:
    """Say the same of the worst rows on end."""
    return percent(intervals["worst"]["share"]) if intervals and intervals["worst"] else ""


def _against(one: Mapping[str, Any], constant: Mapping[str, Any] | None) -> str:
    """Say what a stage's promised loss is of the constant's."""
    if one is constant:
        return "itself"
    if constant is None or not known(one["estimate"]) or not known(constant["estimate"]):
        return UNKNOWN
    gap = one["estimate"] - constant["estimate"]
    if constant["estimate"] > 0:
        return f"{percent(abs(gap) / constant['estimate'])} {'less' if gap <= 0 else 'more'}"
    return number(gap, decimals_for(gap or constant["estimate"], 2), signed=True)


def _bar(one: Mapping[str, Any], scale: Any) -> Any:
    if not known(one["estimate"]):
        return ""
    return interval_bar((one["estimate"], one["low"], one["high"]), scale, zero=scale.low - 1)


def _worse(stages: Sequence[Mapping[str, Any]], constant: Mapping[str, Any] | None) -> str:
    """Name the stages that are promised to lose more than the constant, which comes after them."""
    if constant is None or not known(constant["estimate"]):
        return ""
    chain = [one for one in stages if one["stage"] != AT_RANDOM and known(one["estimate"])]
    named = [one["stage"] for one in chain if one["estimate"] > constant["estimate"]]
    return ", ".join(named)
