"""Losses of the model as it is and of remedied ones, on the rows of the periods after some cutoffs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.remedied import Paired, parted
from mlwild.errors import AppError, DataError
from mlwild.records import Vintage
from mlwild.triangle import Survey, Triangle
from mlwild.triangle.patches import Made

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def scored_periods(survey: Survey) -> list[int]:
    """Return the periods of the later two thirds of a history whose labels have come."""
    grid = survey.grid
    last = grid.periods - grid.usual_delay
    return [k for k in range(-(-grid.periods // 3), last) if grid.labelled[k] > 0]


@dataclass(frozen=True, eq=False)
class Scored:
    """
    What is scored: the labelled rows of the periods that follow some cutoffs.

    Parameters
    ----------
    triangle : Triangle
        Of the model as it is, with its vintages at the cutoffs.
    in_slice : ndarray of bool, shape (n_rows,)
    cutoffs : sequence of int
    window : str
    price : float or None
        What a row costs that is not answered, in the unit of the loss.
    """

    triangle: Triangle
    in_slice: Bools
    cutoffs: Sequence[int]
    window: str
    price: float | None = None

    @cached_property
    def rows(self) -> dict[int, Ints]:
        """Scored rows by cutoff, in order of time."""
        grid = self.triangle.survey.grid
        made = {}
        for cutoff in self.cutoffs:
            low, high = np.searchsorted(grid.cell_period, [cutoff, cutoff + 1])
            ends = np.append(grid.cell_start, len(grid.cell_rows))
            rows = np.sort(grid.cell_rows[ends[low] : ends[high]])
            made[cutoff] = rows[grid.weight[rows] > 0]
        return made

    def check(self) -> None:
        """
        Refuse a slice of which nothing could be told, before anything is fitted.

        Raises
        ------
        DataError
            If no row of the slice, or none outside of it, is scored.
        """
        rows = np.concatenate(list(self.rows.values()))
        none = np.zeros(len(rows))
        parted(none, none, self.in_slice[rows], none.astype(np.int64))

    def paired(self, made: Mapping[int, Made]) -> tuple[Paired, Paired]:
        """
        Return the losses without and with a remedy, in the slice and elsewhere.

        Raises
        ------
        AppError
            If the remedy may abstain and nobody said what that costs.
        DataError
            If no row of the slice, or none outside of it, is scored.
        """
        if any(one.answered is not None for one in made.values()) and self.price is None:
            raise AppError(
                "abstain: a remedy may leave rows unanswered; say what such a row costs, such as abstain=0.2."
            )
        return self._of_sets(made) if self.triangle.survey.loss.per == "set" else self._of_rows(made)

    def _of_rows(self, made: Mapping[int, Made]) -> tuple[Paired, Paired]:
        survey = self.triangle.survey
        before, after, period = [], [], []
        for cutoff, rows in self.rows.items():
            given = made[cutoff]
            own = rows - survey.grid.row_start[cutoff]
            lost = survey.loss.rows(survey.labels[rows], given.predictions[own])
            if given.answered is not None:
                assert self.price is not None
                lost = np.where(given.answered[own], lost, self.price)
            before.append(self.triangle.row_losses(Vintage(cutoff, self.window), rows))
            after.append(lost)
            period.append(np.full(len(rows), cutoff))
        rows = np.concatenate(list(self.rows.values()))
        weights = survey.grid.weight[rows]
        both = np.concatenate(before), np.concatenate(after)
        inside, elsewhere = parted(*both, self.in_slice[rows], np.concatenate(period))
        if np.ptp(weights):
            mask = self.in_slice[rows]
            inside = Paired(inside.before, inside.after, inside.period, weights[mask])
            elsewhere = Paired(elsewhere.before, elsewhere.after, elsewhere.period, weights[~mask])
        return inside, elsewhere

    def _of_sets(self, made: Mapping[int, Made]) -> tuple[Paired, Paired]:
        """Return one loss a period of the rows in the slice, and of those elsewhere."""
        survey = self.triangle.survey
        parts = []
        for wanted in (True, False):
            found = []
            for cutoff, rows in self.rows.items():
                part = rows[self.in_slice[rows] == wanted]
                own = part - survey.grid.row_start[cutoff]
                as_is = self.triangle.predictions(Vintage(cutoff, self.window))[own]
                values = [survey.loss.of_set(survey.labels[part], p) for p in (as_is, made[cutoff].predictions[own])]
                if np.isfinite(values).all():  # one class only: nothing is known of the period
                    found.append((*values, cutoff, len(part)))
            if not found:
                side = "in" if wanted else "outside of"
                raise DataError(f"slice: {survey.loss.name!r} is not defined in any period {side} it.")
            before, after, period, weights = np.array(found, dtype=np.float64).T
            parts.append(Paired(before, after, period.astype(np.int64), weights))
        return parts[0], parts[1]

    def answered(self, made: Mapping[int, Made]) -> float | None:
        """Return the share of the slice's scored rows that are answered; None where nobody abstains."""
        shares = []
        for cutoff, rows in self.rows.items():
            mask = made[cutoff].answered
            if mask is not None:
                part = rows[self.in_slice[rows]] - self.triangle.survey.grid.row_start[cutoff]
                shares.append(mask[part])
        every: Bools = np.concatenate(shares) if shares else np.zeros(0, bool)
        return float(every.mean()) if len(every) else None
