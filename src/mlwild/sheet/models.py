"""Which models cannot be told from the best: each always retrained, on the same periods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlwild.auditions.past import Procedure
from mlwild.comparisons import compare_models
from mlwild.sheet.figures import LEVEL
from mlwild.triangle import Triangle


def compared(
    triangles: Sequence[Triangle], live_window: str, rows: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """
    Return the table of models with differences from the living one, and the set of the best with sign tables.

    Parameters
    ----------
    triangles : sequence of Triangle
    live_window : str
        Window of the living model; other models have the app's first.
    rows : sequence of dict
        The table of models, the living one among them.
    """
    survey = triangles[0].survey
    app = survey.app
    found: dict[str, Procedure] = {}
    for name in app.models:
        of_model = [triangle for triangle in triangles if triangle.model == name]
        procedure = Procedure(of_model, live_window if name == app.live else str(app.windows[0]))
        if procedure.first is not None:
            found[name] = procedure
    names = sorted(found, key=lambda name: name != app.live)
    losses = np.column_stack([found[name].realised for name in names])
    weights = np.column_stack([found[name].weights for name in names]).min(axis=1)
    whole = np.isfinite(losses).all(axis=1) & (weights > 0)
    if not whole.any():
        why = "no period holds a label for every model"
        return list(rows), {"models": names, "level": LEVEL, "method": None, "n": 0, "why": why, "signs": []}
    records, best = compare_models(names, losses[whole], weights[whole], level=LEVEL)
    by_name = {record["name"]: record for record in records}
    made = []
    for row in rows:
        record = by_name.get(row["name"])
        own = {key: row[key] for key in ("name", "fresh", "low", "high", "never", "n")}
        made.append(own if record is None else {**record, **own, "estimate": row["fresh"]})
    return made, best
