"""A few runs side by side: what differs stands first, what is the same is folded away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from mlwild.versions import Run
from mlwild.web.runs import COMMON, value_of
from mlwild.wording import number

#: Runs that fit beside each other.
MOST = 8


def picked(found: Sequence[Run], numbers: Sequence[str]) -> list[Run]:
    """Return the runs of some numbers, in that order."""
    if not 2 <= len(numbers) <= MOST:
        raise HTTPException(400, f"Pick 2 to {MOST} runs to see them side by side; {len(numbers)} were picked.")
    known = {run.id: run for run in found}
    missing = [one for one in numbers if one not in known]
    if missing:
        raise HTTPException(404, f"There is no run {missing[0][:40]!r}.")
    return [known[one] for one in dict.fromkeys(numbers)]


def view(found: Sequence[Run]) -> dict[str, Any]:
    """Return what the page shows."""
    names = list(dict.fromkeys(name for run in found for name in run.params))
    settings = [*COMMON, *names]
    rows = [(name, [value_of(run, name) for run in found]) for name in settings]
    metrics = list(dict.fromkeys(name for run in found for name in run.metrics))
    numbers = [(name, [run.metrics.get(name) for run in found]) for name in metrics]
    return {
        "runs": [
            {"id": run.id, "short": run.id[:8], "app": run.app, "kind": run.kind, "at": run.at[:16].replace("T", " ")}
            for run in found
        ],
        "differ": _texts(rows, lambda values: len(set(values)) > 1),
        "same": _texts(rows, lambda values: len(set(values)) == 1 and values[0] != ""),
        "numbers": [_number_row(name, values) for name, values in numbers if len(set(values)) > 1],
        "same_numbers": [_number_row(name, values) for name, values in numbers if len(set(values)) == 1],
    }


def _texts(rows: Sequence[tuple[str, list[str]]], keep: Callable[[list[str]], bool]) -> list[dict[str, Any]]:
    return [{"name": name, "values": values} for name, values in rows if keep(values)]


def _number_row(name: str, values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    cells = []
    for value in values:
        text = "" if value is None else number(value)
        side = "" if value is None or low == high else "least" if value == low else "greatest" if value == high else ""
        cells.append({"text": text, "side": side})
    return {"name": name, "cells": cells, "spread": number(high - low, 2) if low != high else ""}
