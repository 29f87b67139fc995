"""A comparison becomes a page: plain data in, one self-contained HTML file out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlwild.card.chart_intervals import MOST, Bar, Plot, intervals
from mlwild.card.facts import known
from mlwild.card.page import environment, write_page
from mlwild.card.signs import counted, sign_tables
from mlwild.card.svg import both
from mlwild.card.words import UNKNOWN, decimals_for, half_width, interval, number, percent
from mlwild.comparisons import Comparison
from mlwild.comparisons.answer import reference_of
from mlwild.jsonable import plain

Row = dict[str, Any]
#: Longer tables are cut, and say so.
MOST_ROWS = 60


def write_comparison(
    found: Comparison,
    path: Path,
    *,
    title: str,
    facts: str = "",
    findings: Sequence[str] = (),
    measure: Mapping[str, str] | None = None,
) -> Path:
    """
    Write the page of a comparison: one HTML file that needs no network, the same for the same comparison.

    Parameters
    ----------
    found : Comparison
    path : Path
        File to write; its folder must exist.
    title : str
        What was compared.
    facts : str
        One line on what it rests on.
    findings : sequence of str
        What is wrong with the input or missing in it.
    measure : mapping of str to str, optional
        What was measured: name and unit.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    facts_of_page = {"title": title, "facts": facts, "findings": list(findings), "measure": dict(measure or {})}
    return write_page(comparison_html(found.as_dict() | facts_of_page), path)


def comparison_html(page: Mapping[str, Any]) -> str:
    """
    Return the page as HTML text.

    Parameters
    ----------
    page : mapping
        A comparison as plain data, with title, facts, findings and measure; see `write_comparison`.
    """
    return environment().get_template("compare.html").render(view(page)) + "\n"


def view(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the template shows, as ready texts and pictures."""
    records = plain(page["models"])
    reference, pairs = reference_of([record["name"] for record in records], plain(page["pairs"]))
    measure, unit = _measure(page, records)
    gaps = _gaps(records, pairs, reference) if reference else []
    apart = (
        Plot(gaps, f"{measure} less that of {reference}{_in(unit)}", 0.0, f"the same as {reference}") if gaps else None
    )
    signs = sign_tables(page["tables"].get("signs", []))
    told = len(page["best_set"]["models"]) < len(records)
    bars = {bar.name: bar for bar in gaps}
    alone = Plot([_alone(record) for record in records], f"{measure}{_in(unit)}")
    return {
        "title": page["title"],
        "facts": page["facts"],
        "verdict": page["said"][0] if page["said"] else "",
        # What stands over the sign table is not said twice.
        "said": [said for said in page["said"][1:] if not signs or said != signs[0]["said"]],
        "level": percent(page["level"]),
        "figures": _figures(page, unit, reference),
        "apart": both(partial(intervals, apart)) if apart else None,
        "alone": both(partial(intervals, alone)),
        "more": max(len(records) - MOST, 0),
        "reference": reference,
        "measure": measure,
        "unit": unit,
        "greater": _greater(records),
        "rows": [
            _row(record, bars.get(record["name"]), pairs.get(record["name"], {}).get("p"))
            for record in records[:MOST_ROWS]
        ],
        "cut": max(len(records) - MOST_ROWS, 0),
        "tested": any(known(pair.get("p")) for pair in pairs.values()),
        "told": told,
        "marked": ""
        if not told
        else "The diamond is the best."
        if page["best"]
        else "Diamonds cannot be told from the best.",
        "seeds": any(known(record.get("worst_seeds")) and record["n"] > 1 for record in records),
        "signs": signs,
        "n": counted(page["n"], page["unit"]),
        "units": counted(2, page["unit"]).removeprefix("2 "),
        "method": page["method"],
        "why": f"{_capital(page['method'])}: {page['why']}",
        "findings": page["findings"],
    }


def _greater(records: Sequence[Mapping[str, Any]]) -> bool:
    return any(record.get("better") == "greater" for record in records)


def _measure(page: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return what was measured, for an axis, and its unit."""
    name = page["measure"].get("name") or ("score" if _greater(records) else "loss")
    return str(name).replace("_", " "), str(page["measure"].get("unit") or "")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _in(unit: str) -> str:
    return f", {unit}" if unit else ""


def _gaps(records: Sequence[Row], pairs: Mapping[str, Mapping[str, Any]], reference: str) -> list[Bar]:
    """Return each model's difference from the reference, in the order of the records."""
    made = []
    for record in records:
        pair = pairs.get(record["name"])
        if pair is None or record["name"] == reference:
            continue
        estimate, low, high = pair["estimate"], pair["low"], pair["high"]
        digits = decimals_for(half_width(low, high) or estimate or 0.0, 2)
        said = f"{number(estimate, digits, signed=True)} ({interval(low, high, digits, signed=True)})"
        made.append(Bar(record["name"], estimate, low, high, said, bool(record["in_best_set"])))
    return made


def _alone(record: Mapping[str, Any]) -> Bar:
    digits = _digits(record)
    said = number(record["estimate"], digits)
    if known(record["low"]):
        said += f" ({interval(record['low'], record['high'], digits)})"
    best = bool(record["in_best_set"])
    return Bar(record["name"], record["estimate"], record["low"], record["high"], said, best)


def _digits(record: Mapping[str, Any]) -> int:
    """Return the decimals that a model's interval needs; of a number alone three digits."""
    wide = half_width(record["low"], record["high"])
    return decimals_for(wide, 2) if wide else decimals_for(record["estimate"] or 0.0, 3)


def _row(record: Mapping[str, Any], gap: Bar | None, p_value: float | None) -> Row:
    digits = _digits(record)
    return {
        "name": record["name"],
        "best": bool(record["in_best_set"]),
        "estimate": number(record["estimate"], digits),
        "bounds": interval(record["low"], record["high"], digits) if known(record["low"]) else UNKNOWN,
        "worst": number(record.get("worst_seeds"), digits),
        "n": number(record["n"], 0),
        "gap": gap.said if gap else None,
        "p": _p_value(p_value),
    }


def _p_value(value: float | None) -> str:
    if value is None or not known(value):
        return UNKNOWN
    return "< 0.001" if value <= 0.001 else number(value, decimals_for(value, 2))


def _figures(page: Mapping[str, Any], unit: str, reference: str | None) -> list[Row]:
    """Return the figures under the verdict."""
    best, together, of = page["best"], page["best_set"]["models"], len(page["models"])
    made = [
        {"label": "best", "value": best, "note": f"of {of}"}
        if best
        else {"label": "cannot be told from the best", "value": f"{len(together)} of {of}", "note": "no clear best"}
    ]
    pairs = [pair for pair in plain(page["pairs"]) if known(pair.get("smallest_detectable"))]
    if len(pairs) == len(page["pairs"]) == 1:
        seen = pairs[0]["smallest_detectable"]
        shown = number(seen, decimals_for(seen, 2)) + (f" {unit}" if unit else "")
        made.append({"label": "smallest difference to be seen", "value": shown, "note": "in four cases of five"})
    made.append({"label": "compared on", "value": counted(page["n"], page["unit"]), "note": ""})
    if reference:
        made.append(
            {"label": "differences are from", "value": reference, "note": f"{percent(page['level'])} intervals"}
        )
    return made
