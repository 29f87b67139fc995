"""The gate and the worst case on the card of an app, where they were asked for on the same data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlwild.card.facts import known
from mlwild.card.skill import skill
from mlwild.card.stress import KINDS
from mlwild.card.words import count, decimals_for, number, percent, with_unit

Row = dict[str, Any]

_ORDER = {"error": 0, "fail": 1, "waived": 2, "underpowered": 3, "pass": 4}
_WORDS = {"error": "error", "fail": "red", "waived": "waived", "underpowered": "too few rows", "pass": "green"}


def gate(report: Mapping[str, Any] | None) -> Row | None:
    """Return what the gate said, red first; what it cost is left out, since that differs between runs."""
    if report is None:
        return None
    rows = sorted((_row(one) for one in report["tests"]), key=lambda row: (_ORDER[row["word"]], row["test"]))
    counts = {word: sum(row["word"] == word for row in rows) for word in _ORDER}
    blocks = report["false_blocks"]
    return {
        "verdict": report["verdict"],
        "trial": report["trial"],
        "of": count(len(rows), "test"),
        "counts": counts,
        "red": counts["fail"] + counts["error"],
        "rows": rows,
        "words": _WORDS,
        "waivers": report["waivers"],
        "left_out": report["left_out"],
        "good": None
        if blocks is None or not blocks["of"]
        else {
            "blocked": blocks["blocked"],
            "of": count(blocks["of"], "past champion"),
            "bounds": f"{percent(blocks['low'])} to {percent(blocks['high'])}",
            "promised": percent(blocks["promised"]),
        },
    }


def _row(one: Mapping[str, Any]) -> Row:
    word = "waived" if one["verdict"] in ("fail", "error") and one["waived"] else one["verdict"]
    return {
        "word": word,
        "shown": _WORDS[word],
        "test": one["test"],
        "said": one["said"],
        "n": number(one["n"], 0) if one["n"] else "",
        "owner": one["owner"],
    }


def worst_case(report: Mapping[str, Any] | None) -> Row | None:
    """Return the worst case in a few lines: the vector, and how such promises were kept."""
    if report is None or not report["worst"]:
        return None
    unit = report["unit"]
    rows = [one for one in report["worst"] if known(one["loss"])]
    digits = decimals_for(report["expected"]["loss"], 3)
    kept = sum(one["kept"] for one in report["records"])
    of = sum(one["of"] for one in report["records"])
    return {
        "rows": [
            {
                "kind": KINDS[one["kind"]],
                "what": one["what"],
                "loss": number(one["loss"], digits),
                "high": number(one["high"], digits) if known(one["high"]) else "no bound",
                "often": one["often"],
            }
            for one in rows
        ],
        "skill": skill(report.get("skill", ())),  # reports that earlier versions kept have none
        "unit": unit,
        "first": with_unit(number(rows[0]["loss"], digits), unit),
        "what": f"{KINDS[rows[0]['kind']]}, {rows[0]['what']}",
        "expected": with_unit(number(report["expected"]["loss"], digits), unit),
        "searched": number(report["searched"], 0),
        "kept": f"{kept} of {of}" if of else None,
        "share": percent(kept / of) if of else None,
        "promised": percent(report["records"][0]["level"]) if report["records"] else None,
    }
