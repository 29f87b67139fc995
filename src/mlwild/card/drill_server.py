"""A drill of a running server becomes a page: plain data in, one HTML file out, the worst fault first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlwild.card.page import environment, write_page
from mlwild.card.words import count, number, percent

Row = dict[str, Any]


def write_server_drill(found: Mapping[str, Any], path: Path) -> Path:
    """
    Write the page of a drill of a running server: one HTML file that needs no network.

    Parameters
    ----------
    found : mapping
        A drill as plain data: `mlwild.drilling.ServedDrill.as_dict`.
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
    return write_page(server_drill_html(found), path)


def server_drill_html(found: Mapping[str, Any]) -> str:
    """Return the page as HTML text."""
    return environment().get_template("drill_server.html").render(_view(found)) + "\n"


def _view(found: Mapping[str, Any]) -> Row:
    cells = found["cells"]
    slowest = max((cell["slowest"] for cell in cells if cell["slowest"] is not None), default=None)
    return {
        "app": found["app"],
        "vintage": found["vintage"],
        "failed": found["failed"],
        "figures": [
            {
                "label": "acknowledged and lost, or twice",
                "value": number(sum(cell["lost"] + cell["doubled"] for cell in cells), 0),
                "note": f"of {number(sum(cell['answered'] for cell in cells), 0)} answers",
            },
            {
                "label": "neither answered nor told to come again",
                "value": number(sum(cell["silent"] for cell in cells), 0),
                "note": f"of {number(sum(cell['asked'] - cell['away'] for cell in cells), 0)} while there was a server",
            },
            {
                "label": "slowest answer",
                "value": "none" if slowest is None else f"{number(slowest, 0)} ms",
                "note": f"deadline {number(1000 * found['deadline'], 0)} ms; "
                f"{number(sum(cell['late'] for cell in cells), 0)} later than that and 100 ms",
            },
        ],
        "rows": [_row(cell) for cell in (*cells, found["clean"])],
        "seconds": f"{found['seconds']:g}",
        "clients": count(found["clients"], "client"),
        "skipped": ", ".join(found["skipped"]),
        "notes": " ".join(found["notes"]),
    }


def _row(cell: Mapping[str, Any]) -> Row:
    rows = max(sum(cell["rows"].values()), 1)
    said = [f"{percent(cell['rows'][name] / rows)} {name}" for name in cell["rows"] if name != "normal"]
    return {
        "fault": cell["fault"],
        "what": cell["what"],
        "asked": number(cell["asked"], 0),
        "available": "none asked" if cell["available"] is None else percent(cell["available"]),
        "turned": number(cell["turned"], 0),
        "statuses": ", ".join(sorted(said)) or "all normal",
        "slowest": "none" if cell["slowest"] is None else number(cell["slowest"], 0),
        "late": number(cell["late"], 0),
        "detected": "not seen" if cell["detected"] is None else f"{cell['detected']:.1f}",
        "recovered": "never" if cell["recovered"] is None else f"{cell['recovered']:.1f}",
        "lost": f"{cell['lost']} / {cell['doubled']}",
        "memory": " / ".join(number(one, 0) for one in cell["memory"]),
        "bad": bool(cell["fails"]),
    }
