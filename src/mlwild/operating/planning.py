"""What a challenger's plan rests on: how it and the champion differed before, and which gain is worth a change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.comparisons.challenged import FEWEST
from mlwild.errors import DataError
from mlwild.operating.lived import Lived
from mlwild.operating.shadowing import paired, rival_vintage
from mlwild.triangle import Triangle

Floats = NDArray[np.float64]

#: Rows of the past that a plan is made from, where there are so many; periods within which a change must pay.
PAST, PAYS = 5_000, 13


def losses_before(life: Lived, triangle: Triangle, rival: Triangle) -> tuple[Floats, Floats]:
    """Return losses of both on rows of the past: of the newest champion with rows enough after it, and its rival."""
    periods = triangle.survey.grid.periods
    best: tuple[Floats, Floats] | None = None
    for vintage in dict.fromkeys(reversed((*life.before[1], *life.path))):
        other = rival_vintage(vintage, rival)
        if vintage.cutoff >= periods or not rival.ensure(other):
            continue
        span = (vintage.cutoff, vintage.cutoff, periods)
        n = periods - vintage.cutoff
        ours, theirs, _ = paired(triangle, rival, [vintage] * n, [other] * n, span)
        if best is None or len(ours) > len(best[0]):
            best = ours[-PAST:], theirs[-PAST:]
        if len(ours) >= PAST or (triangle.survey.loss.per == "set" and len(ours) >= FEWEST):
            break
    if best is None:
        failed = next(iter(rival.failed.values()), None)
        why = f": {failed.why}" if failed is not None else ""
        raise DataError(f"challenger: {rival.model!r} could not be made at any cutoff of the champion{why}.")
    return best


def usual_rows(triangle: Triangle) -> float:
    """Return how many labelled rows a period usually has; 1 where the loss is one of a set."""
    grid = triangle.survey.grid
    if triangle.survey.loss.per == "set":
        return 1.0
    rows = np.bincount(grid.period_of_cell_row, minlength=grid.periods)
    return float(np.median(rows[rows > 0])) if rows.any() else 0.0


def least_gain(app: App, lost: float, a_period: float) -> tuple[float, str]:
    """Return the smallest gain that is worth a change, and where it comes from."""
    prices = app.prices
    if prices is not None and prices.retrain > 0 and a_period:
        return prices.retrain / (prices.loss * a_period * PAYS), f"pays for a retrain within {PAYS} periods"
    return 0.01 * abs(lost), "a hundredth of what the champion loses"
