"""A few runs side by side: what differs stands first, what is the same is folded away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException

from mlwild.versions import Run
from mlwild.web.runs import COMMON, metric_of, names_of, value_of
from mlwild.web.words import column
from mlwild.wording import number

#: Runs that fit beside each other.
MOST = 8


def picked(found: Sequence[Run], numbers: Sequence[str]) -> list[Run]:
    """Return the runs of some numbers, in that order."""
    numbers = list(dict.fromkeys(numbers))
    if not 2 <= len(numbers) <= MOST:
        raise HTTPException(400, f"Pick 2 to {MOST} runs to see them side by side; {len(numbers)} were picked.")
    known = {run.id: run for run in found}
    missing = [one for one in numbers if one not in known]
    if missing:
        raise HTTPException(404, f"There is no run {missing[0][:40]!r}.")
    return [known[one] for one in numbers]


def split(found: Sequence[Run]) -> dict[str, dict[str, list[Any]]]:
    """Return settings and numbers of some runs by name: those that differ, and those that are the same."""
    names = [*COMMON, *names_of(run.params for run in found)]
    settings = {name: [value_of(run, name) for run in found] for name in names}
    numbers = {name: [metric_of(run, name) for run in found] for name in names_of(run.metrics for run in found)}
    made: dict[str, dict[str, list[Any]]] = {}
    for kind, told in (("settings", settings), ("numbers", numbers)):
        made[f"{kind}_differ"] = {name: values for name, values in told.items() if len(set(values)) > 1}
        made[f"{kind}_same"] = {name: values for name, values in told.items() if len(set(values)) == 1}
    return made


def view(found: Sequence[Run]) -> dict[str, Any]:
    """Return what the page shows."""
    made = split(found)
    return {
        "runs": [
            {"id": run.id, "short": run.id[:8], "app": run.app, "kind": run.kind, "at": run.at[:16].replace("T", " ")}
            for run in found
        ],
        "differ": [{"name": name, "values": values} for name, values in made["settings_differ"].items()],
        "same": [{"name": name, "values": values} for name, values in made["settings_same"].items() if values[0] != ""],
        "numbers": [_number_row(name, values) for name, values in made["numbers_differ"].items()],
        "same_numbers": [_number_row(name, values) for name, values in made["numbers_same"].items()],
        "alone": "&".join(f"id={run.id}" for run in found),
    }


def _number_row(name: str, values: Sequence[float | None]) -> dict[str, Any]:
    """Return a row of numbers, with the digits that tell them apart."""
    known = [value for value in values if value is not None]
    low, high, write = min(known, default=0.0), max(known, default=0.0), column(values)
    cells = []
    for value in values:
        side = "" if value is None or low == high else "least" if value == low else "greatest" if value == high else ""
        cells.append({"text": write(value), "side": side})
    return {"name": name, "cells": cells, "spread": number(high - low, 2) if low != high else ""}
