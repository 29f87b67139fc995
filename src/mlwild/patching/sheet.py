"""What was found of remedies, as plain data: the recommendation, and how much more would tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlwild.comparisons.answer import Record
from mlwild.comparisons.remedied import NO_DIFFERENCE, RECOMMENDED
from mlwild.patching.meant import Meant
from mlwild.patching.scored import Scored, scored_periods
from mlwild.triangle import Triangle
from mlwild.wording import count, number


@dataclass(frozen=True, eq=False)
class Trial:
    """
    What is tried, and where.

    Parameters
    ----------
    remedies : mapping of str to model
    left_out : mapping of str to str
        Why a remedy was not tried.
    cutoffs : tuple of int
    window : str
    price : float or None
        What a row costs that is not answered.
    level : float
    """

    remedies: Mapping[str, Any]
    left_out: Mapping[str, str]
    cutoffs: tuple[int, ...]
    window: str
    price: float | None
    level: float


def rank(record: Record) -> tuple[int, bool, float]:
    """Return what records are sorted by: verdict, whether it costs elsewhere, loss in the slice."""
    order = ("recommended", "no difference", "harmful", "failed")
    place = order.index(record["verdict"])
    if "slice" not in record:
        return place, False, 0.0
    return place, (record["elsewhere"]["low"] or 0.0) > 0, record["slice"]["estimate"]


def as_sheet(triangle: Triangle, found: Meant, trial: Trial, scored: Scored, records: list[Record]) -> Record:
    """Return what was found as plain data; `records` come best first."""
    survey = triangle.survey
    clock, edges = survey.clock, survey.grid.edges
    best = records[0] if records[0]["verdict"] == RECOMMENDED else None
    held = int(found.rows.sum())
    return {
        "app": survey.app.name,
        "model": triangle.model,
        "loss": {"name": survey.loss.title, "unit": survey.loss.unit},
        "slice": {
            "said": found.said,
            "rows": held,
            "share": held / len(found.rows),
            "marker": found.marker is not None,
        },
        "every": str(survey.app.every),
        "cutoffs": [clock.show(int(edges[k])) for k in scored.cutoffs],
        "failed_cutoffs": [clock.show(int(edges[k])) for k in trial.cutoffs if k not in scored.cutoffs],
        "remedies": records,
        "recommended": best["name"] if best else None,
        "said": best["said"] if best else _none(records, len(scored_periods(survey))),
        "left_out": [{"name": name, "why": why} for name, why in trial.left_out.items()],
        "price_of_abstaining": trial.price,
        "level": trial.level,
        "fits": {"made": triangle.tally.made, "reused": triangle.tally.reused},
    }


def _none(records: list[Record], most: int) -> str:
    """Say that nothing is recommended, and how many of at most so many cutoffs would tell of the most promising."""
    n = count(len(records))
    said = f"None of {n} remedies is recommended: none is shown to mend the slice without harm elsewhere."
    hopeful = [one for one in records if one["verdict"] == NO_DIFFERENCE and one["slice"]["estimate"] < 0]
    if not hopeful:
        return said
    first = hopeful[0]["slice"]
    if first["low"] is None:  # what has no interval is not told by none
        gain = f"{hopeful[0]['name']!r} seems to gain {number(-first['estimate'], 2)}, and whether it does"
        return f"{said} {gain} cannot be told: {first['why']}."
    if first["smallest_detectable"] is None:
        return said
    needed = math.ceil(first["periods"] * (first["smallest_detectable"] / first["estimate"]) ** 2)
    seems = f"If {hopeful[0]['name']!r} gains what it seems to ({number(-first['estimate'], 2)}),"
    if needed <= most:
        return f"{said} {seems} about {count(needed)} cutoffs show it in four cases of five: --cutoffs {needed}."
    return f"{said} {seems} it takes more periods to show it than the {count(most)} there are to score."
