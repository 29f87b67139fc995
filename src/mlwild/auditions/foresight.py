"""How well a signal ranked what came, with intervals that resample blocks of periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.cells import Cells
from mlwild.stats.bootstrap import block_length, block_positions
from mlwild.stats.ranking import weighted_auc, weighted_rank_correlation

Floats = NDArray[np.float64]

#: Share of the cells that count as events where the user names no threshold; periods that it takes.
EVENTS, FEWEST_PERIODS = 0.25, 8
_REPS = 500


@dataclass(frozen=True)
class Figure:
    """A figure with its interval; NaN where there is none."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Draws:
    """
    Resampled cells: blocks of periods, since cells of one period share its rows.

    Parameters
    ----------
    weights : ndarray of shape (1 + n_draws, n_cells)
        How often each cell counts; the first row is the sample itself.
    level : float
        Nominal coverage.
    periods : int
    """

    weights: Floats
    level: float
    periods: int

    def interval(self, drawn: Floats) -> Figure:
        """Return the figure of the sample with the percentiles of the draws."""
        known = drawn[1:][np.isfinite(drawn[1:])]
        if not np.isfinite(drawn[0]) or len(known) < len(drawn) // 2 or self.periods < FEWEST_PERIODS:
            return Figure(float(drawn[0]), float("nan"), float("nan"))
        low, high = np.quantile(known, [(1 - self.level) / 2, (1 + self.level) / 2])
        return Figure(float(drawn[0]), float(low), float(high))


def draws_of(cells: Cells, level: float, seed: int) -> Draws:
    """Return resampled cells, in blocks as long as the rise of the loss swings."""
    periods = cells.periods
    place = np.searchsorted(periods, cells.period)
    n = len(periods)
    mean = np.bincount(place, cells.rise) / np.maximum(np.bincount(place), 1)
    # Neighbouring periods share references too: no block is shorter than three.
    length = max(block_length(mean), min(3.0, n / 4)) if n > 1 else 1.0
    at = block_positions(n, length, _REPS, np.random.default_rng(seed))
    counts = np.stack([np.bincount(row, minlength=n) for row in at]).astype(np.float64)
    weights = np.concatenate([np.ones((1, len(cells))), counts[:, place]])
    return Draws(weights, level, n)


def events_of(target: Floats, above: float | None = None) -> tuple[NDArray[np.bool_], float]:
    """Return the cells that count as events, and the threshold: that of the user, or the upper quarter."""
    threshold = float(np.quantile(target, 1 - EVENTS)) if above is None else above
    return np.asarray(target > threshold), threshold


def ranked(
    values: Floats, target: Floats, events: NDArray[np.bool_], draws: Draws, control: Floats | None = None
) -> tuple[Figure, Figure, Figure]:
    """
    Return the AUC for the events, the rank correlation with the target, and the AUC's lead over a control.

    Over cells where the signal (and the control) had something to say.
    """
    nothing = Figure(float("nan"), float("nan"), float("nan"))
    heard = np.isfinite(values) if control is None else np.isfinite(values) & np.isfinite(control)
    if heard.sum() < 8 or not events[heard].any() or events[heard].all():
        return nothing, nothing, nothing
    weights = draws.weights[:, heard]
    areas = weighted_auc(values[heard], events[heard], weights)
    correlations = weighted_rank_correlation(values[heard], target[heard], weights)
    lead = nothing
    if control is not None:
        lead = draws.interval(areas - weighted_auc(control[heard], events[heard], weights))
    return draws.interval(areas), draws.interval(correlations), lead
