"""The cells on which monitors are judged: what each said of a period, and what its labels revealed later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.monitors import Monitor
from mlwild.monitors.weights import one_thread
from mlwild.records import Vintage
from mlwild.triangle import Triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Cells that are judged, about, in long histories; and periods that a vintage is followed for. Cells share periods,
#: which are what is resampled: on the flights 361 cells gave no narrower intervals than 185, and took 1.6 times longer.
MOST_CELLS, OLDEST = 200, 20


@dataclass(frozen=True, eq=False)
class Cells:
    """
    Cells of a triangle with what came of them.

    Parameters
    ----------
    vintage, period : ndarray of int64, shape (n_cells,)
        By vintage, then by period.
    rise : ndarray of shape (n_cells,)
        Mean loss less that of the vintage's reference, over all labels that ever came.
    difficulty : ndarray of shape (n_cells,)
        Mean loss of the freshest vintage of the period less that of the reference.
    staleness : ndarray of shape (n_cells,)
        Mean loss less that of the freshest vintage: the three add up.
    """

    vintage: Ints
    period: Ints
    rise: Floats
    difficulty: Floats
    staleness: Floats

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.period)

    @property
    def periods(self) -> Ints:
        """Periods that have cells, in order."""
        return np.unique(self.period)


@dataclass(frozen=True, eq=False)
class Truth:
    """
    Mean losses of the fitted vintages of one window, over all labels that ever came.

    Parameters
    ----------
    loss : ndarray of shape (n_periods, n_periods)
        By vintage and period; NaN where there is no vintage or no label.
    reference : ndarray of shape (n_periods,)
        Mean loss of each vintage's reference.
    """

    loss: Floats
    reference: Floats


def truth_of(triangle: Triangle, window: str) -> Truth:
    """Return what came of every vintage in every period."""
    n = triangle.survey.grid.periods
    made = [Vintage(k, window) for k in range(n) if Vintage(k, window) in triangle.scores]
    total, weight = triangle.matrix(made)
    at = [vintage.cutoff for vintage in made]
    sums, rows = np.zeros((n, n)), np.zeros((n, n))
    sums[at], rows[at] = total, weight
    loss = np.divide(sums, rows, out=np.full((n, n), np.nan), where=rows > 0)
    reference = np.full(n, np.nan)
    for vintage in made:
        span = triangle.scenes.span(vintage)
        k = np.arange(span.start, span.stop)
        # The freshest of each period; a vintage that is its own reference is the freshest there.
        fresh = np.array([triangle.freshest(window, int(period)) or vintage for period in k])
        of = np.array([one.cutoff for one in fresh])
        known = rows[of, k].sum()
        reference[vintage.cutoff] = sums[of, k].sum() / known if known else np.nan
    return Truth(loss, reference)


def cells_of(triangle: Triangle, window: str, truth: Truth) -> Cells:
    """
    Return the cells that are judged: every so many vintages, each for its first twenty periods.

    Parameters
    ----------
    triangle : Triangle
    window : str
    truth : Truth

    Returns
    -------
    Cells
        About 200, up to half as many again; none without a label or a reference.
    """
    n = triangle.survey.grid.periods
    usable = [k for k in range(n) if Vintage(k, window) in triangle.scores]
    sizes = [min(OLDEST + 1, n - k) for k in usable]
    step = max(1, round(sum(sizes) / MOST_CELLS))
    pairs = [(k, j) for k in usable[::step] for j in range(k, min(k + OLDEST + 1, n))]
    vintage, period = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    loss, fresh = truth.loss[vintage, period], truth.loss[period, period]
    reference = truth.reference[vintage]
    own_first = np.array([triangle.scenes.span(Vintage(int(k), window)).stop > k for k in vintage])
    judged = np.isfinite(loss) & np.isfinite(fresh) & np.isfinite(reference) & ~(own_first & (period == vintage))
    loss, fresh, reference = loss[judged], fresh[judged], reference[judged]
    return Cells(vintage[judged], period[judged], loss - reference, fresh - reference, loss - fresh)


def heard(triangle: Triangle, window: str, cells: Cells, monitors: Sequence[Monitor]) -> Floats:
    """Return what each monitor said of each cell when its period was over, shape (n_monitors, n_cells)."""
    made = np.full((len(monitors), len(cells)), np.nan)
    with one_thread():
        for place, (vintage, period) in enumerate(zip(cells.vintage, cells.period, strict=True)):
            for row, monitor in enumerate(monitors):
                made[row, place] = triangle.heard(Vintage(int(vintage), window), int(period) + 1, monitor).value
    return np.where(np.isfinite(made), made, np.nan)
