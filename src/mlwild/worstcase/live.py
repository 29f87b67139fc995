"""What went live, row by row, as it was known at a cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlwild.cells import kinds
from mlwild.trials import Replay
from mlwild.triangle.settled import settled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Live:
    """
    Every labelled row since the first vintage and what it cost under the model that was live.

    Parameters
    ----------
    replay : Replay
        Of an app whose loss is one of rows.
    """

    replay: Replay

    @cached_property
    def rows(self) -> Ints:
        """Numbers of the rows, in order of period and time."""
        return self.replay.live_losses[0]

    @cached_property
    def losses(self) -> Floats:
        """Loss of each row."""
        return self.replay.live_losses[1]

    @cached_property
    def period(self) -> Ints:
        """Period of each row."""
        grid = self.replay.survey.grid
        return np.asarray(np.searchsorted(grid.row_start, self.rows, side="right") - 1)

    @cached_property
    def weight(self) -> Floats:
        """Weight of each row."""
        return self.replay.survey.grid.weight[self.rows]

    @cached_property
    def entity(self) -> Ints | None:
        """Number of whom each row is about; None where the app names no entity."""
        whom = self.replay.survey.entity
        return None if whom is None else whom[self.rows]

    @property
    def first(self) -> int:
        """First period with a vintage."""
        return self.replay.life.first

    @property
    def periods(self) -> int:
        """Number of periods of the history."""
        return self.replay.survey.grid.periods

    @cached_property
    def weighted(self) -> bool:
        """Whether some rows stand for more than others."""
        return bool(len(self.weight)) and bool(np.ptp(self.weight) > 0)

    @property
    def greatest(self) -> float | None:
        """The greatest loss there can be; None where there is none."""
        loss = self.replay.survey.loss
        most = loss.least + loss.bounds[1] - loss.bounds[0]
        return float(most) if np.isfinite(most) else None

    def known(self, cutoff: int) -> Bools:
        """Say of each row whether its label is known at a cutoff and its period settled then."""
        survey = self.replay.survey
        ready = np.zeros(self.periods, dtype=bool)
        ready[:cutoff] = settled(survey, cutoff)
        return np.asarray(ready[self.period] & (survey.known_at[self.rows] <= survey.grid.edges[cutoff]))

    def means(self, chosen: Bools, fewest: int = 1) -> tuple[Ints, Floats]:
        """
        Return the mean loss by period of some rows.

        Returns
        -------
        periods : ndarray of int64
            Those with so many chosen rows.
        means : ndarray of float64
        """
        period, weight = self.period[chosen], self.weight[chosen]
        total = np.bincount(period, weight * self.losses[chosen], self.periods)
        mass = np.bincount(period, weight, self.periods)
        counts = np.bincount(period, minlength=self.periods)
        periods = np.flatnonzero((counts >= fewest) & (mass > 0))
        return periods, total[periods] / mass[periods]

    def group(self, name: str) -> NDArray[np.str_]:
        """Return the value of a declared group of each row; where it is missing it says so, unlike the word None."""
        return kinds(self.replay.survey.groups[name][self.rows])

    @cached_property
    def groups(self) -> list[tuple[str, Bools]]:
        """Every value of every declared group, and the rows in it."""
        made = []
        for name in self.replay.survey.groups:
            values = self.group(name)
            made += [(f"{name} = {kind}", values == kind) for kind in np.unique(values)]
        return made

    def shown(self, period: int) -> str:
        """Return when a period began."""
        survey = self.replay.survey
        return survey.clock.show(int(survey.grid.edges[period]))
