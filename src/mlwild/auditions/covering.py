"""How many outcomes the intervals and sets of a stage held: on average, and in the worst rows on end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.guarding import MOST_OF_PERIOD, answered, followed
from mlwild.guards.outcomes import interval_of, likely_of
from mlwild.guards.settings import Guard
from mlwild.records import Vintage
from mlwild.triangle import Triangle
from mlwild.wording import number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Rows on end of which the worst is told.
WINDOW = 500


def level_of(app: App) -> float:
    """Return the share of outcomes that an app's intervals are to hold."""
    return (app.guard or Guard()).level


def covered(triangle: Triangle, path: Sequence[Vintage], began: int, *, level: float) -> dict[str, Any] | None:
    """
    Return how many outcomes the intervals held that would have been given with each answer.

    At each cutoff widths are fixed from the outcomes that were known, as a guard fixes them for what it answers until
    the next one; labels come as late as they came. Rows of the first period, of which no outcome was known, do not
    count; of very long periods rows that are evenly spaced do, and are those that are on end.

    Parameters
    ----------
    triangle : Triangle
    path : sequence of Vintage
        Who answered in each period from `began` on.
    began : int
    level : float
        Share of the outcomes that intervals are to hold.

    Returns
    -------
    dict or None
        ``level``; ``share`` that was held, of ``n`` rows; ``worst``, the least share of any 500 rows on end, with
        ``from`` and ``to`` (None with fewer rows); both weighted where the app has propensities; ``width``, the median
        width of intervals, or the mean number of classes in a set; and ``said``, the same as a sentence. None where the
        loss asks for classes alone, or no row counts.
    """
    survey = triangle.survey
    if survey.ask == "class":
        return None
    rows, value = answered(triangle, path, began)
    if not len(rows):
        return None
    scores, _, radii = followed(survey, rows, value, level)
    counted = np.flatnonzero(np.isfinite(radii) & np.isfinite(scores))
    if not len(counted):
        return None
    if survey.ask == "value":
        low, high = interval_of(value[counted], radii[counted], survey.app.guard or Guard())
        labels, wide = survey.labels[rows[counted]], high - low
        # Where nothing is cut off the radius says it: sums may differ from it in the last bit.
        below = (labels < low) & (low > value[counted] - radii[counted])
        above = (labels > high) & (high < value[counted] + radii[counted])
        held = (scores[counted] <= radii[counted]) & ~below & ~above
    else:
        likely = likely_of(survey.ask, value[counted], radii[counted])
        wide = likely.sum(axis=1)
        held = likely[np.arange(len(counted)), survey.labels[rows[counted]].astype(np.int64)]
    weight = survey.grid.weight[rows[counted]]
    made = {
        "level": level,
        "share": float(np.average(held, weights=weight)),
        "n": len(counted),
        "worst": _worst(triangle, held, rows[counted], weight),
        "width": float(np.median(wide) if survey.ask == "value" else wide.mean()),
    }
    longest = int(survey.grid.rows[np.searchsorted(survey.grid.row_start, rows, side="right") - 1].max())
    thinned = f" Of each period {MOST_OF_PERIOD:,} rows at most, evenly spaced." if longest > MOST_OF_PERIOD else ""
    return made | {"said": _said(made, numbers=survey.ask == "value") + thinned}


def _said(found: dict[str, Any], *, numbers: bool) -> str:
    """Say what was held, and of which rows least."""
    wide = f"{number(found['width'], 3)} wide in the median" if numbers else f"{found['width']:.1f} classes in the mean"
    kind = "interval" if numbers else "set"
    held = (
        f"the {found['level']:.0%} {kind}s of its answers, {wide}, would have held {found['share']:.1%} of "
        f"{found['n']:,} outcomes"
    )
    worst = found["worst"]
    return (
        f"{held}; of the worst {WINDOW} on end {worst['share']:.0%}, {worst['from']} to {worst['to']}."
        if worst
        else f"{held}."
    )


def _worst(triangle: Triangle, held: NDArray[np.bool_], rows: Ints, weight: Floats) -> dict[str, Any] | None:
    """Return the least share held of any rows on end, and when that was."""
    if len(held) < WINDOW:
        return None
    sums, all_ = (np.cumsum(np.concatenate([[0.0], one])) for one in (held * weight, weight))
    inside = (sums[WINDOW:] - sums[:-WINDOW]) / (all_[WINDOW:] - all_[:-WINDOW])
    first = int(inside.argmin())
    clock, time = triangle.survey.clock, triangle.survey.time
    ends = (clock.show(int(time[rows[one]])) for one in (first, first + WINDOW - 1))
    return {"share": float(inside[first]), **dict(zip(("from", "to"), ends, strict=True))}
