"""A drill becomes a page: plain data in, one self-contained HTML file out, the worst fault first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlwild.card.chart_rules import bar_axis, bar_scale, interval_bar
from mlwild.card.facts import known
from mlwild.card.page import environment, write_page
from mlwild.card.svg import Scale
from mlwild.card.words import count, metric, number, percent, spread_decimals, with_unit
from mlwild.wording import in_its_place

Row = dict[str, Any]


def write_drill(found: Mapping[str, Any], path: Path) -> Path:
    """
    Write the page of a drill: one HTML file that needs no network, the same for the same drill.

    Parameters
    ----------
    found : mapping
        A drill as plain data: `mlwild.drilling.Drill.as_dict`.
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
    return write_page(drill_html(found), path)


def drill_html(found: Mapping[str, Any]) -> str:
    """Return the page as HTML text."""
    return environment().get_template("drill.html").render(drill_view(found)) + "\n"


def drill_view(found: Mapping[str, Any]) -> Row:
    """Return everything that the template shows, as ready texts and pictures."""
    cells = found["cells"]
    digits = spread_decimals([cell[key] for cell in cells for key in ("loss", "clean", "constant")], 3)
    scale = bar_scale([(cell["clean"], cell["loss"], cell["constant"]) for cell in cells], zero=None)
    silent = sorted((cell for cell in cells if cell["available"] < 1), key=lambda cell: float(cell["available"]))
    refused = any(cell["answered"] < cell["available"] for cell in cells)
    least = min(cells, key=lambda cell: float(cell["answered"]))
    worst, worse = cells[0], sum(_above(cell, "constant") for cell in cells)
    rows, unit = sum(cell["n"] for cell in cells), str(found.get("unit", ""))
    costly = [tuple(one) for one in found.get("costly", ())]
    dear = [cell for one in costly for cell in cells if (cell["fault"], cell["severity"]) == one]
    first = _row(worst, digits, scale)
    return {
        "app": found["app"],
        "loss": metric(found["loss"]),
        "unit": unit,
        "silent": [f"{_named(cell)}: {percent(1 - cell['available'])}" for cell in silent],
        "worst": {key: with_unit(first[key], unit) for key in ("loss", "clean", "constant")}
        | {
            "named": _named(worst),
            "few": _few(worst),
            "some": known(worst["loss"]),
            "worse": _above(worst, "constant"),
        },
        "refused": percent(found.get("refused") or 0.0) if refused else "",
        "most_refused": _named(least),
        "most_refused_by": percent(1 - least["answered"]),
        "anyway": _above({"loss": worst["clean"], "constant": worst["constant"]}, "constant"),
        "figures": [
            {
                "label": "rows answered, or refused in words" if refused else "rows answered",
                "value": _answered(cells),
                "note": f"of {number(rows, 0)} under a fault",
            },
            {
                "label": "worse than the constant",
                "value": f"{worse} of {len(cells)}",
                "note": "faults at a severity",
            },
            {
                "label": "taken for faulty without a fault",
                "value": count(found["trips"], "time"),
                "note": f"in {number(found['clean_rows'], 0)} rows; {percent(found['away'])} got another answer",
            },
        ],
        "rows": [_row(cell, digits, scale) | {"costs": _less(cell, digits) if cell in dear else ""} for cell in cells],
        "costly": f"{len(dear)} of {len(cells)}" if dear else "",
        "dearest": _named(dear[0]) if dear else "",
        "dearest_by": with_unit(_less(dear[0], digits), unit) if dear else "",
        "axis": bar_axis(scale),
        "stages": [
            {
                "stage": one["stage"],
                "vintage": one["vintage"],
                "loss": number(one["loss"], digits),
                "n": number(one["n"], 0),
            }
            for one in found["stages"]
        ],
        "features": [
            {
                "feature": one["feature"],
                "loss": number(one["loss"], digits),
                "stage": one["stage"],
                "fill": in_its_place(one["fill"]),
            }
            for one in found.get("features", ())
        ],
        "replays": count(found["replays"], "replay"),
        "streams": found["streams"],
        "skipped": ", ".join(found["skipped"]),
    }


def _answered(cells: list[Mapping[str, Any]]) -> str:
    """Return the share of rows that were answered, or refused in words; "all" only if no single one was not."""
    share = sum(cell["available"] * cell["n"] for cell in cells) / sum(cell["n"] for cell in cells)
    return "all" if share == 1 else f"{100 * min(share, 0.9999):.2f}%"


def _above(cell: Mapping[str, Any], key: str) -> bool:
    return known(cell["loss"]) and known(cell[key]) and bool(cell["loss"] > cell[key])


def _named(cell: Mapping[str, Any]) -> str:
    return f"{cell['fault']}, {percent(cell['severity'])} of {cell['of']}"


def _few(cell: Mapping[str, Any]) -> str:
    """Say of how many rows a loss tells, where those are few of all."""
    n = round(cell["answered"] * cell["n"])
    return f", by {count(n, 'answer')} of {number(cell['n'], 0)} rows" if cell["answered"] < 0.1 else ""


def _row(cell: Mapping[str, Any], digits: int, scale: Scale) -> Row:
    ends = [cell[key] for key in ("clean", "loss") if known(cell[key])]
    bar = (cell["loss"], min(ends), max(ends)) if known(cell["loss"]) else (None, None, None)
    return {
        "fault": cell["fault"],
        "severity": f"{percent(cell['severity'])} of {cell['of']}",
        "loss": number(cell["loss"], digits) if known(cell["loss"]) else "none answered",
        "oracle": number(cell["oracle"], digits) if known(cell.get("oracle")) else "none answered",
        "held": percent(cell["held"]) if known(cell.get("held")) else "",
        "clean": number(cell["clean"], digits),
        "constant": number(cell["constant"], digits),
        "bare": _bare(cell, digits),
        "answered": percent(cell["answered"]) if cell["available"] == 1 else f"{percent(cell['available'])} available",
        "detected": _rows(cell["detected"], "not seen"),
        "recovered": _rows(cell["recovered"], "not seen" if known(cell["detected"]) else ""),
        "bar": interval_bar(bar, scale, zero=cell["constant"]) if known(bar[0]) else "",
        "bad": cell["available"] < 1 or _above(cell, "constant"),
    }


def _bare(cell: Mapping[str, Any], digits: int) -> str:
    """Return what the champion alone loses, and on how many rows if it does not answer all."""
    if not cell["bare_answered"]:
        return "no answer"
    some = f" ({percent(cell['bare_answered'])})" if cell["bare_answered"] < 0.995 else ""
    # Of what is a thousand times too large three digits tell enough.
    wide = math.floor(math.log10(max(abs(cell["bare"]), 1.0)))
    return number(cell["bare"], digits if wide < 4 else 2 - wide) + some


def _less(cell: Mapping[str, Any], digits: int) -> str:
    """Return by how much less the champion alone would have lost."""
    return number(-cell["gain"], digits)


def _rows(n: float | None, without: str) -> str:
    if n is None or not known(n):
        return without
    return "at once" if n < 1 else count(int(n), "row")
