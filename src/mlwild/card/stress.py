"""A stress report becomes a page: the worst case first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlwild.card.chart_curves import MOST, curves
from mlwild.card.chart_intervals import Bar, Plot, intervals
from mlwild.card.facts import known
from mlwild.card.page import environment, write_page
from mlwild.card.skill import skill
from mlwild.card.svg import both
from mlwild.card.words import (
    UNKNOWN,
    between,
    count,
    decimals_for,
    half_width,
    interval,
    metric,
    number,
    percent,
    span,
    with_unit,
)
from mlwild.wording import digits_apart

Row = dict[str, Any]

#: What the kinds of worst case are called.
KINDS = {
    "group": "declared group",
    "subpopulation": "tenth of the rows",
    "slice": "slice found",
    "period": "period",
    "window": "stretch of periods",
    "regime": "regime",
    "stress": "stress",
}


def write_stress(report: Mapping[str, Any], path: Path) -> Path:
    """
    Write the page of a stress run: one HTML file that needs no network, the same for the same report.

    Parameters
    ----------
    report : mapping
        Plain data: see `mlwild.worstcase.report.StressReport.as_dict`.
    path : Path
        File to write; its folder must exist.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    return write_page(stress_html(report), path)


def stress_html(report: Mapping[str, Any]) -> str:
    """Return the page as HTML text."""
    return environment().get_template("stress.html").render(view(report)) + "\n"


def view(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the template shows, as ready texts and pictures."""
    unit, expected = report["unit"], report["expected"]
    digits = decimals_for(half_width(expected["low"], expected["high"]) or expected["loss"], 2)
    answered = [one for one in report["worst"] if known(one["loss"])]
    under = report["stressed"]
    silent = [curve for curve in under["curves"] if any(point["fault"] for point in curve["points"])]
    return {
        "app": report["app"],
        "model": report["model"],
        "loss": metric(report["loss"]),
        "unit": unit,
        "every": span(report["every"]),
        "headline": _headline(answered[0], unit, digits) if answered else None,
        "expected": {
            "loss": with_unit(number(expected["loss"], digits), unit),
            "bounds": interval(expected["low"], expected["high"], digits),
            "n": number(expected["n"], 0),
            "periods": count(expected["periods"], "period"),
            "when": between(expected["since"], expected["until"]),
        },
        "skill": skill(report["skill"]),
        "chart": both(partial(intervals, _plot(answered, expected, digits, unit))) if answered else None,
        "rows": [_row(one, digits) for one in answered],
        "searched": number(report["searched"], 0),
        "records": [_record(one, digits) for one in report["records"]],
        "next": [_next(one, digits, unit) for one in report["next"] if known(one["high"])],
        "curves": both(partial(curves, under)) if under["curves"] else None,
        "curve_rows": [_curve(one, digits) for one in under["curves"]],
        "more": max(len(under["curves"]) - MOST, 0),
        "clean": with_unit(number(under["clean"]["loss"], digits), unit),
        "limit": with_unit(number(under["limit"], digits), unit),
        "limit_is": under["limit_is"],
        "already": known(under["clean"]["low"]) and under["clean"]["low"] > under["limit"],
        "silent": [{"stressor": one["stressor"], "case": one["case"], "why": _why(one)} for one in silent],
        "not_judged": report.get("not_judged", ()),
        "left_out": [(", ".join(names), why) for why, names in under["reasons"].items()],
        "strategies": [_strategy(one) for one in report["strategies"]],
        "ensembles": [_ensemble(one, digits, unit) for one in report["ensembles"]],
        "trial": report["trial"],
    }


def _headline(one: Mapping[str, Any], unit: str, digits: int) -> Row:
    return {
        "loss": with_unit(number(one["loss"], digits), unit),
        "high": with_unit(number(one["high"], digits), unit) if known(one["high"]) else None,
        "level": percent(one["level"]),
        "kind": KINDS[one["kind"]],
        "what": one["what"],
        "often": one["often"],
        "n": f"{number(one['n'], 0)} {one['unit']}",
        "searched": number(one["searched"], 0),
    }


def _plot(worst: Sequence[Mapping[str, Any]], expected: Mapping[str, Any], digits: int, unit: str) -> Plot:
    bars = []
    for place, one in enumerate(worst):
        high = one["high"] if known(one["high"]) else None
        said = number(one["loss"], digits) + (f", at most {number(high, digits)}" if high is not None else ", no bound")
        bars.append(Bar(KINDS[one["kind"]], one["loss"], one["loss"], high, said, place == 0))
    named = f"mean loss{f', {unit}' if unit else ''}"
    return Plot(bars, named, expected["loss"], "expected")


def _row(one: Mapping[str, Any], digits: int) -> Row:
    return {
        "kind": KINDS[one["kind"]],
        "what": one["what"],
        "loss": number(one["loss"], digits),
        "high": number(one["high"], digits) if known(one["high"]) else "no bound",
        "n": f"{number(one['n'], 0)} {one['unit']}",
        "searched": number(one["searched"], 0),
        "often": one["often"],
    }


def _record(one: Mapping[str, Any], digits: int) -> Row:
    broken = one["worst"]
    return {
        "kind": KINDS[one["kind"]],
        "kept": f"{one['kept']} of {one['of']}",
        "share": percent(one["kept"] / one["of"]),
        "bounds": f"{percent(one['low'])} to {percent(one['high'])}" if known(one["low"]) else UNKNOWN,
        "promised": percent(one["level"]),
        "short": known(one["high"]) and one["high"] < one["level"],
        "broken": None if broken is None else _broken(broken, digits),
    }


def _broken(one: Mapping[str, Any], digits: int) -> str:
    if not known(one["came"]):
        return f"{one['cutoff']}: no answer came, {number(one['high'], digits)} was promised"
    digits = digits_apart(one["came"], one["high"], digits, number)
    came = number(one["came"], digits)
    return f"{one['cutoff']}: {came} came, {number(one['high'], digits)} was promised"


def _next(one: Mapping[str, Any], digits: int, unit: str) -> Row:
    return {
        "kind": KINDS[one["kind"]],
        "high": with_unit(number(one["high"], digits), unit),
        "level": percent(one["level"]),
        "n": count(one["n"], "period"),
    }


def _why(curve: Mapping[str, Any]) -> str:
    return next(str(point["fault"]) for point in curve["points"] if point["fault"])


def _curve(one: Mapping[str, Any], digits: int) -> Row:
    return {
        "stressor": one["stressor"],
        "case": one["case"],
        "points": "; ".join(
            f"{number(point['severity'], max(decimals_for(point['severity'], 2), 0))}: "
            f"{'no answer' if point['fault'] else number(point['loss'], digits)}"
            for point in one["points"]
        ),
        "unit": one["unit"],
        "fails": with_unit(number(one["fails_at"], max(decimals_for(one["fails_at"], 2), 0)), one["unit"])
        if known(one["fails_at"])
        else "",
        "searched": number(one["searched"], 0),
    }


def _strategy(one: Mapping[str, Any]) -> Row:
    plain, fall = one["plain"], one["plain"]["drawdown"]
    under = [
        {"scenario": other["scenario"], "fall": percent(other["drawdown"]["depth"]), "annual": _signed(other["annual"])}
        for other in one["scenarios"]
    ]
    return {
        "name": one["name"],
        "fall": percent(fall["depth"]),
        "next": percent(one["next"]["bound"]),
        "median": percent(one["next"]["median"]),
        "level": percent(one["next"]["level"]),
        "longest": count(fall["longest"], "bar"),
        "water": percent(fall["under_water"]),
        "dates": one["dates"],
        "windows": [
            {"name": name, "total": _signed(window["total"]), "when": one["dates"][name]}
            for name, window in one["windows"].items()
        ],
        "tail": f"{percent(plain['tail'])} ({percent(one['tail_low'])} to {percent(one['tail_high'])})",
        "annual": _signed(plain["annual"]),
        "sharpe": number(plain["sharpe"], 2),
        "deflated": number(one["deflated"]["probability"], 2),
        "tries": one["deflated"]["tries"],
        "bars": number(plain["bars"], 0),
        "under": under,
        "regimes": [
            {
                "name": name,
                "annual": _signed(other["annual"]),
                "fall": percent(other["drawdown"]["depth"]),
                "bars": number(other["bars"], 0),
            }
            for name, other in one["by_regime"]
        ],
        "starts": {
            "worst": _signed(one["starts"]["worst"]),
            "best": _signed(one["starts"]["best"]),
            "lost": percent(one["starts"]["lost"]),
            "n": number(one["starts"]["n"], 0),
        }
        if one["starts"]
        else None,
    }


def _signed(value: float) -> str:
    return number(100 * value, 1, signed=True) + "%"


def _ensemble(one: Mapping[str, Any], digits: int, unit: str) -> Row:
    members = sorted(one["members"], key=lambda member: member["worst"])
    middle, whole, parts = members[(len(members) - 1) // 2], one["ensemble"], one["parts"]
    return {
        "of": one["of"],
        "mean": with_unit(number(whole["mean"], digits), unit),
        "worst": with_unit(number(whole["worst"], digits), unit),
        "where": whole["where"],
        "middle_mean": with_unit(number(middle["mean"], digits), unit),
        "middle_worst": with_unit(number(middle["worst"], digits), unit),
        "bias": number(parts["bias"], decimals_for(parts["bias"], 3)) if parts else None,
        "variance": number(parts["variance"], decimals_for(parts["variance"] or 1.0, 2)) if parts else None,
        "better": whole["worst"] < middle["worst"],
        "n": number(one["n"], 0),
    }
