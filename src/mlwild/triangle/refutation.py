"""Whether labels have refuted an estimator: then its line is grey, and no rule acts on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlwild.monitors import Monitor
from mlwild.monitors.weights import spaced
from mlwild.stats.sequential import risk_violation, running_difference
from mlwild.triangle.settled import settled
from mlwild.wording import number

if TYPE_CHECKING:
    from mlwild.triangle.triangle import Triangle

Floats = NDArray[np.float64]

#: Chance that an estimator whose intervals hold is refuted at any time; rows of a period that are held against it.
ALPHA, MOST_ROWS = 0.05, 2_000
#: Level of the intervals that monitors give.
LEVEL = 0.95


@dataclass
class Refutation:
    """
    The record of one estimator on the freshest vintage of each period; it is never wiped.

    As labels come, in order of arrival, a confidence sequence is kept of the realised loss less the upper end
    of the estimator's interval, and of the same less its lower end. Once the first lies above zero, or the
    second below, the estimator is refuted: what it says of its own error is wrong.

    A loss of a set (of the standard monitors CBPE and PAPE estimate one, the AUC) has one value a period. Once a
    period has settled, it lies inside the interval or not, and a bet is made that intervals miss more often than
    the one time in twenty that they promise: six to eight misses in a row refute, whatever their size. The chance
    of a false refutation holds where each interval holds in 19 of 20 cases given all that came before.

    Parameters
    ----------
    triangle : Triangle
    monitor : Monitor
    window : str

    References
    ----------
    .. [1] Podkopaev, A., & Ramdas, A. (2022). Tracking the risk of a deployed model and detecting harmful
       distribution shifts. ICLR (also for miscoverage).
    .. [2] Timans, A., Verma, R., Nalisnick, E., & Naesseth, C. A. (2025). On continuous monitoring of
       risk violations under unknown shift. UAI.
    """

    triangle: Triangle
    monitor: Monitor
    window: str
    at: int | None = None
    why: str = ""
    _next: int = 1
    _bound: float = 0.0
    _rows: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    _ends: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)
    _above: list[Floats] = field(default_factory=list, repr=False)
    _below: list[Floats] = field(default_factory=list, repr=False)
    _missed: list[bool] = field(default_factory=list, repr=False)

    def by(self, cutoff: int) -> str:
        """Return why the estimator is refuted at a cutoff, or nothing."""
        while self.at is None and self._next <= cutoff:
            self._look(self._next)
            self._next += 1
        return self.why if self.at is not None and self.at <= cutoff else ""

    def _look(self, cutoff: int) -> None:
        """Take in the labels that arrived by a cutoff since the last one."""
        self._watch(cutoff - 1)
        survey = self.triangle.survey
        if survey.loss.per == "set":
            self._look_at_sets(cutoff)
            return
        news = 0
        for period, rows in self._rows.items():
            known = survey.known_at[rows] <= survey.grid.edges[cutoff]
            vintage = self.triangle.freshest(self.window, period)
            if not known.any() or vintage is None:
                continue
            came, self._rows[period] = rows[known], rows[~known]
            came = came[np.lexsort((came, survey.known_at[came]))]
            losses = self.triangle.row_losses(vintage, came)
            low, high = self._ends[period]
            self._above.append(np.clip(losses - high, -self._bound, self._bound))
            self._below.append(np.clip(losses - low, -self._bound, self._bound))
            news += len(came)
        if news:
            self._judge(cutoff)

    def _look_at_sets(self, cutoff: int) -> None:
        """Take in the periods that have settled since the last cutoff, and bet that too many are missed."""
        survey, done = self.triangle.survey, settled(self.triangle.survey, cutoff)
        for period in [one for one in self._rows if done[one]]:
            rows, vintage = self._rows.pop(period), self.triangle.freshest(self.window, period)
            rows = rows[survey.known_at[rows] <= survey.grid.edges[cutoff]]
            if vintage is None or not len(rows):
                continue
            first = int(survey.grid.row_start[vintage.cutoff])
            came = survey.loss.of_set(survey.labels[rows], self.triangle.predictions(vintage)[rows - first])
            low, high = self._ends[period]
            if np.isfinite(came):
                self._missed.append(not low <= came <= high)
        if not self._missed:
            return
        found = risk_violation(np.array(self._missed, dtype=np.float64), 1 - LEVEL, alpha=ALPHA)
        if found.stopped_at is not None:
            said = f"{sum(self._missed)} of {len(self._missed)} periods came outside its {LEVEL:.0%} interval"
            self._refute(cutoff, said)

    def _refute(self, cutoff: int, said: str) -> None:
        clock, edges = self.triangle.survey.clock, self.triangle.survey.grid.edges
        self.at = cutoff
        self.why = f"since {clock.show(int(edges[cutoff]))} the labels refute it: {said}"

    def _watch(self, period: int) -> None:
        """Note what the estimator said of a period, before its labels."""
        vintage = self.triangle.freshest(self.window, period)
        scene = None if vintage is None else self.triangle.scene(vintage, period + 1)
        if vintage is None or scene is None:
            return
        said = self.triangle.heard(vintage, period + 1, self.monitor)
        if not np.isfinite([said.low, said.high]).all() or said.support == "none":
            return
        self._ends[period] = said.low, said.high
        rows = scene.window.rows
        if scene.loss.per == "set":
            self._rows[period] = rows
            return
        if not self._bound:
            # Rows beyond twice the greatest loss so far are cut off; they hardly occur.
            low, high = scene.loss.bounds
            most = 2 * float(scene.known.losses.max(initial=0.0))
            self._bound = high - low if np.isfinite(high - low) else max(most, 1e-9)
        self._rows[period] = rows[spaced(len(rows), MOST_ROWS)]

    def _judge(self, cutoff: int) -> None:
        for side, values in (("above", self._above), ("below", self._below)):
            gap = np.concatenate(values)
            found = running_difference(gap, np.zeros(len(gap)), level=1 - ALPHA, bound=self._bound)
            if found.low > 0 if side == "above" else found.high < 0:
                beyond = number(abs(found.estimate), 2)
                said = f"losses are {side} its interval by {beyond} on average over {len(gap):,} rows"
                self._refute(cutoff, said)
                return
