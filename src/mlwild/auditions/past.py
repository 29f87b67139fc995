"""The past of one procedure, read from its triangles: nothing is fitted, nothing later is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.records import Vintage
from mlwild.triangle import Triangle
from mlwild.triangle.settled import settled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Last settled periods that say how many rows the next will have.
RECENT = 4


@dataclass(frozen=True)
class Procedure:
    """
    One model with one window, refitted at every cutoff; figures are means over its seeds. Or a life: what was live.

    Parameters
    ----------
    triangles : sequence of Triangle
        One a seed.
    window : str
    path : tuple of Vintage
        What was live in each period from `began` on; none where it is refitted at every cutoff.
    began : int
    """

    triangles: Sequence[Triangle]
    window: str
    path: tuple[Vintage, ...] = ()
    began: int = 0
    _by_gap: dict[int, tuple[Floats, Floats]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Model, and window where the app has several."""
        triangle = self.triangles[0]
        several = len(triangle.survey.app.windows) > 1 and triangle.model == triangle.survey.app.live
        return triangle.model + (f" ({self.window})" if several else "")

    @property
    def first(self) -> int | None:
        """First cutoff with a vintage of every seed, or None."""
        if self.path:
            return self.began
        periods = range(self.triangles[0].survey.grid.periods)
        return next((k for k in periods if all(Vintage(k, self.window) in t.scores for t in self.triangles)), None)

    def vintage(self, triangle: Triangle, cutoff: int) -> Vintage | None:
        """Return what predicts the period that opens at a cutoff: the freshest vintage, or what was live."""
        if not self.path:
            return triangle.freshest(self.window, cutoff)
        return self.path[cutoff - self.began] if 0 <= cutoff - self.began < len(self.path) else None

    def cells(self, gap: int) -> tuple[Floats, Floats]:
        """
        Return total loss and weight by cell, up to and with it within its period.

        Of the vintage that was the freshest so many periods before each period.

        Returns
        -------
        total, weight : ndarray of shape (n_cells,)
            0 where there was no vintage.
        """
        if gap not in self._by_gap:
            grid = self.triangles[0].survey.grid
            total, weight = np.zeros(len(grid.cell_period)), np.zeros(len(grid.cell_period))
            for triangle in self.triangles:
                for k in range(gap, grid.periods):
                    vintage = self.vintage(triangle, k - gap)
                    if vintage is not None:
                        low, high = np.searchsorted(grid.cell_period, [k, k + 1])
                        made = triangle.scores[vintage]
                        total[low:high] += made.total[low:high] / len(self.triangles)
                        weight[low:high] += made.weight[low:high] / len(self.triangles)
            self._by_gap[gap] = total, weight
        return self._by_gap[gap]

    @cached_property
    def squares(self) -> Floats:
        """Sum of squared losses of the freshest vintages by cell (first seed); NaN for losses of sets."""
        triangle = self.triangles[0]
        survey, grid = triangle.survey, triangle.survey.grid
        made = np.zeros(len(grid.cell_period))
        if survey.loss.per == "set":
            return np.full(len(made), np.nan)
        ends = np.append(grid.cell_start[1:], len(grid.cell_rows))
        for k in range(grid.periods):
            vintage = self.vintage(triangle, k)
            low, high = np.searchsorted(grid.cell_period, [k, k + 1])
            if vintage is None or low == high:
                continue
            rows = grid.cell_rows[grid.cell_start[low] : ends[high - 1]]
            counted = ~triangle.unscored[rows]
            squared = np.zeros(len(rows))
            squared[counted] = triangle.row_losses(vintage, rows[counted]) ** 2 * grid.weight[rows[counted]]
            made[low:high] = np.cumsum(np.add.reduceat(squared, grid.cell_start[low:high] - grid.cell_start[low]))
        return made

    @cached_property
    def counts(self) -> Floats:
        """Number of labels by cell, up to and with it within its period, shape (n_cells,)."""
        grid = self.triangles[0].survey.grid
        sizes = np.diff(np.append(grid.cell_start, len(grid.cell_rows))).astype(np.float64)
        whole = np.cumsum(sizes)
        opens = np.searchsorted(grid.cell_period, grid.cell_period)
        return np.asarray(whole - whole[opens] + sizes[opens])

    @cached_property
    def sizes(self) -> Floats:
        """
        Number of scored rows by cell, up to and with it within its period; of weighted ones the effective number.

        ``(sum of weights)^2 / sum of squared weights``: what a weight says of other rows is no row that was seen.
        """
        triangle = self.triangles[0]
        grid = triangle.survey.grid
        weights = grid.weight[grid.cell_rows] * ~triangle.unscored[grid.cell_rows]
        sums = np.zeros((2, len(grid.cell_period)))
        for k in range(grid.periods):
            low, high = np.searchsorted(grid.cell_period, [k, k + 1])
            if low < high:
                begin, end = grid.cell_start[low], (*grid.cell_start, len(grid.cell_rows))[high]
                starts, inside = grid.cell_start[low:high] - begin, weights[begin:end]
                sums[:, low:high] = [np.cumsum(np.add.reduceat(one, starts)) for one in (inside, inside**2)]
        return np.asarray(np.divide(sums[0] ** 2, sums[1], out=np.zeros(len(sums[0])), where=sums[1] > 0))

    def at(self, cutoff: int) -> KnownPast:
        """Return what is known at a cutoff; the number of periods stands for the end of the history."""
        return KnownPast(self, cutoff)

    @cached_property
    def realised(self) -> Floats:
        """Mean loss of each period under its freshest vintage, over all labels that ever came; NaN without."""
        grid = self.triangles[0].survey.grid
        total, weight = self.cells(0)
        return _means(*(np.where(grid.last >= 0, values[grid.last], 0.0) for values in (total, weight)))

    @cached_property
    def weights(self) -> Floats:
        """Number (weight) of labelled rows of each period that the freshest vintages are scored on."""
        grid = self.triangles[0].survey.grid
        return np.where(grid.last >= 0, self.cells(0)[1][grid.last], 0.0)

    @cached_property
    def floor(self) -> Floats:
        """
        Mean absolute error that sampling alone gives each period's loss, shape (n_periods,).

        ``sqrt(2 / pi) * s / sqrt(n)``, of weighted rows with their effective number; NaN for losses of sets.
        """
        grid = self.triangles[0].survey.grid
        weight, second, sizes = (
            np.where(grid.last >= 0, values[grid.last], 0.0) for values in (self.cells(0)[1], self.squares, self.sizes)
        )
        spread = np.sqrt(np.maximum(_means(second, weight) - self.realised**2, 0.0))
        return np.asarray(np.sqrt(2 / np.pi) * spread / np.sqrt(np.maximum(sizes, 1)))


@dataclass(frozen=True)
class KnownPast:
    """
    What is known of a procedure at a cutoff: implements `mlwild.splits.Past`.

    Parameters
    ----------
    procedure : Procedure
    cutoff : int
    """

    procedure: Procedure
    cutoff: int

    @cached_property
    def _cells(self) -> Ints:
        return self.procedure.triangles[0].survey.grid.last_known(self.cutoff)

    def _known(self, by_cell: Floats) -> Floats:
        return np.where(self._cells >= 0, by_cell[self._cells], 0.0)

    @cached_property
    def settled(self) -> NDArray[np.bool_]:
        """Whether about all labels of each past period that ever come have come, shape (cutoff,)."""
        done = settled(self.procedure.triangles[0].survey, self.cutoff)
        return np.asarray(done & (self._known(self.procedure.counts) > 0))

    @property
    def rows_before(self) -> Floats:
        """Number of rows before each cutoff up to and with this one, shape (cutoff + 1,)."""
        return self.procedure.triangles[0].survey.grid.row_start[: self.cutoff + 1].astype(np.float64)

    def live(self, gap: int = 0) -> tuple[Floats, Floats, Floats]:
        """Return total loss, weight and sum of squared losses (NaN with a gap) by past period."""
        total, weight = self.procedure.cells(gap)
        squares = np.full(self.cutoff, np.nan) if gap else self._known(self.procedure.squares)
        return self._known(total), self._known(weight), squares

    @property
    def sizes(self) -> Floats:
        """Number of rows by past period that a mean loss rests on; of weighted ones the effective number."""
        return self._known(self.procedure.sizes)

    def vintage(self, cutoff: int) -> tuple[Floats, Floats]:
        """Return total loss and weight by past period of the freshest vintage at an earlier cutoff."""
        total, weight = np.zeros(self.cutoff), np.zeros(self.cutoff)
        for triangle in self.procedure.triangles:
            vintage = self.procedure.vintage(triangle, cutoff)
            if vintage is None:
                continue
            made = triangle.scores[vintage]
            later = (np.arange(self.cutoff) >= vintage.cutoff) & (self._cells >= 0)
            total += np.where(later, made.total[self._cells], 0.0) / len(self.procedure.triangles)
            weight += np.where(later, made.weight[self._cells], 0.0) / len(self.procedure.triangles)
        return total, weight

    @cached_property
    def noise(self) -> float:
        """
        Standard error that sampling alone will give the next period's loss, as known now.

        Rows scatter as in all settled periods, and come as many as in the last four; 0 where nothing is
        known of the scatter, as of losses of sets.
        """
        total, weight, squares = self.live()
        at = np.flatnonzero(weight > 0)
        at = at[self.settled[at]] if self.settled[at].any() else at
        if not len(at) or np.isnan(squares[at]).any():
            return 0.0
        within = float((squares[at] - total[at] ** 2 / weight[at]).sum() / weight[at].sum())
        return float(np.sqrt(max(within, 0.0) / self.sizes[at[-RECENT:]].mean()))

    @cached_property
    def losses(self) -> Floats:
        """Mean loss of the freshest vintage by past period, NaN where no label is known, shape (cutoff,)."""
        total, weight, _ = self.live()
        return _means(total, weight)


def _means(total: Floats, weight: Floats) -> Floats:
    return np.asarray(np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0))


def procedures(triangles: Sequence[Triangle]) -> list[Procedure]:
    """Return every model with every window it was fitted with; the living model's first window is first."""
    by_model: dict[str, list[Triangle]] = {}
    for triangle in triangles:
        by_model.setdefault(triangle.model, []).append(triangle)
    app = triangles[0].survey.app
    made = []
    for name, of_model in by_model.items():
        windows = app.windows if name == app.live and name not in triangles[0].survey.forecasts else app.windows[:1]
        made += [Procedure(of_model, str(window)) for window in windows]
    return sorted([one for one in made if one.first is not None], key=lambda one: one.triangles[0].model != app.live)
