"""Whether labels have refuted an estimator: then its line is grey, and no rule acts on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlwild.losses import Loss
from mlwild.monitors import Monitor
from mlwild.monitors.signal import Signal
from mlwild.monitors.weights import spaced
from mlwild.stats.restarts import RestartedBets
from mlwild.stats.sequential import risk_violation
from mlwild.triangle.settled import settled
from mlwild.wording import number

if TYPE_CHECKING:
    from mlwild.records import Vintage
    from mlwild.triangle.triangle import Triangle

Floats = NDArray[np.float64]

#: Chance that an estimator whose intervals hold is refuted at any time; rows of a period that are held against it.
ALPHA, MOST_ROWS = 0.05, 2_000
#: Level of the intervals that monitors give.
LEVEL = 0.95
#: Times its interval that the first looks of a sequence must lie beyond, and all later ones. One interval in twenty
#: misses; with the tails of four blocks one in a thousand by three times its width.
BEYOND = (3.0, 2.0, 1.5, 1.0)


@dataclass(frozen=True, eq=False)
class _Look:
    """Losses of the rows of one look, and what was said of each."""

    losses: Floats
    low: Floats
    estimate: Floats
    high: Floats

    def beyond(self, side: str, times: float) -> Floats:
        """Return how far each loss lies above (or below) so many times the interval."""
        if side == "above":
            return self.losses - self.estimate - times * (self.high - self.estimate)
        return self.estimate - times * (self.estimate - self.low) - self.losses


@dataclass
class Refutation:
    """
    The record of one estimator on the freshest vintage of each period, or on one vintage; it is never wiped.

    As labels come, in order of arrival, it is bet that losses lie above the upper end of the estimator's interval,
    and that they lie below its lower end. New bets begin at every look, so that years without an error are
    no credit for what comes after them. Once a bet has won enough, the estimator is refuted: what it says of
    its own error is wrong. An interval of 95 % misses now and then, so a bet's first look is held against three times
    the interval, the second against twice, the third against one and a half: a miss or two by little do not count.

    A loss of a set (of the standard monitors CBPE and PAPE estimate one, the AUC) has one value a period. Once a
    period has settled, it lies inside the interval or not, and a bet is made that intervals miss more often than
    the one time in twenty that they promise: six to eight misses in a row refute, whatever their size. The chance
    of a false refutation holds where each interval holds in 19 of 20 cases given all that came before.

    Parameters
    ----------
    triangle : Triangle
    monitor : Monitor
    window : str
    vintage : Vintage, optional
        The one that is watched; without one, the freshest of each period.
    """

    triangle: Triangle
    monitor: Monitor
    window: str
    vintage: Vintage | None = None
    at: int | None = None
    why: str = ""
    _next: int = 1
    _range: tuple[float, float] | None = None
    _rows: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    _said: dict[int, Signal] = field(default_factory=dict, repr=False)
    _missed: list[bool] = field(default_factory=list, repr=False)
    _looks: list[_Look] = field(default_factory=list, repr=False)
    _bets: dict[str, RestartedBets] = field(default_factory=dict, repr=False)

    def by(self, cutoff: int) -> str:
        """Return why the estimator is refuted at a cutoff, or nothing."""
        while self.at is None and self._next <= cutoff:
            self._look(self._next)
            self._next += 1
        return self.why if self.at is not None and self.at <= cutoff else ""

    def _watched(self, period: int) -> Vintage | None:
        if self.vintage is None:
            return self.triangle.freshest(self.window, period)
        return self.vintage if period >= self.vintage.cutoff else None

    def _look(self, cutoff: int) -> None:
        """Take in the labels that arrived by a cutoff since the last one."""
        self._watch(cutoff - 1)
        survey = self.triangle.survey
        if survey.loss.per == "set":
            self._look_at_sets(cutoff)
            return
        news = []
        for period, rows in self._rows.items():
            known = survey.known_at[rows] <= survey.grid.edges[cutoff]
            vintage = self._watched(period)
            if not known.any() or vintage is None:
                continue
            came, self._rows[period] = rows[known], rows[~known]
            came = came[np.lexsort((came, survey.known_at[came]))]
            said = self._said[period]
            ends = np.broadcast_to([[said.low], [said.estimate], [said.high]], (3, len(came)))
            news.append(np.concatenate([self.triangle.row_losses(vintage, came)[None, :], ends]))
        if news:
            self._judge(cutoff, _Look(*np.concatenate(news, axis=1)))

    def _look_at_sets(self, cutoff: int) -> None:
        """Take in the periods that have settled since the last cutoff, and bet that too many are missed."""
        survey, done = self.triangle.survey, settled(self.triangle.survey, cutoff)
        for period in [one for one in self._rows if done[one]]:
            rows, vintage = self._rows.pop(period), self._watched(period)
            rows = rows[survey.known_at[rows] <= survey.grid.edges[cutoff]]
            if vintage is None or not len(rows):
                continue
            first = int(survey.grid.row_start[vintage.cutoff])
            came = survey.loss.of_set(survey.labels[rows], self.triangle.predictions(vintage)[rows - first])
            said_of = self._said[period]
            if np.isfinite(came):
                self._missed.append(not said_of.low <= came <= said_of.high)
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
        vintage = self._watched(period)
        scene = None if vintage is None else self.triangle.scene(vintage, period + 1)
        if vintage is None or scene is None:
            return
        said = self.triangle.heard(vintage, period + 1, self.monitor)
        if not np.isfinite([said.low, said.high]).all() or said.support == "none":
            return
        rows = scene.window.rows
        self._said[period] = said
        if scene.loss.per == "set":
            self._rows[period] = rows
            return
        self._range = self._range or _range(scene.loss, scene.known.losses)
        self._rows[period] = rows[spaced(len(rows), MOST_ROWS)]

    def _judge(self, cutoff: int, look: _Look) -> None:
        assert self._range is not None
        least, greatest = self._range
        look = _Look(look.losses.clip(least, greatest), look.low, look.estimate, look.high)
        self._looks.append(look)
        for side in ("above", "below"):
            excess = [look.beyond(side, times) for times in BEYOND]
            # What a row would cost at most: one at the far end of the range.
            far = _Look(
                np.full_like(look.losses, least if side == "above" else greatest), look.low, look.estimate, look.high
            )
            most = [np.maximum(-far.beyond(side, times), 1e-12) for times in BEYOND]
            # Half of the chance for each side.
            bets = self._bets.setdefault(side, RestartedBets(ALPHA / 2)).feed(excess, most)
            self._bets[side] = bets
            if self.at is None and bets.refuted is not None:
                gap = np.concatenate([one.beyond(side, 1.0) for one in self._looks[bets.refuted :]])
                beyond = f"{number(float(gap.mean()), 2)} on average over {len(gap):,} rows"
                self._refute(cutoff, f"losses are {side} its interval by {beyond}")


def _range(loss: Loss, known: Floats) -> tuple[float, float]:
    """Return the range of a loss; where it has none, rows beyond twice the greatest one so far are cut off."""
    low, high = loss.bounds
    most = max(2 * float(np.abs(known).max(initial=0.0)), 1e-9)
    least = loss.least if np.isfinite(loss.least) else -most
    return least, least + high - low if np.isfinite(high - low) else most
