"""Whether labels have refuted an estimator: then its line is grey, and no rule acts on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlwild.monitors import Monitor
from mlwild.monitors.weights import spaced
from mlwild.stats.sequential import running_difference
from mlwild.wording import number

if TYPE_CHECKING:
    from mlwild.triangle.triangle import Triangle

Floats = NDArray[np.float64]

#: Chance that an estimator whose intervals hold is refuted at any time; rows of a period that are held against it.
ALPHA, MOST_ROWS = 0.05, 2_000
#: Times its interval that a single look must lie beyond; one of forty lies beyond the interval itself.
FAR = 2.0


@dataclass(frozen=True, eq=False)
class _Look:
    """Losses of one look less the upper and lower end of their interval, and how far these are from the estimate."""

    above: Floats
    below: Floats
    up: Floats
    down: Floats


@dataclass
class Refutation:
    """
    The record of one estimator on the freshest vintage of each period; it is never wiped.

    As labels come, in order of arrival, confidence sequences are kept of the realised loss less the upper end
    of the estimator's interval, and of the same less its lower end. One begins at every look, so that calm years are
    no credit for what comes after them; their chances of error add up to 5 %. Once one of the first kind lies above
    zero, or of the second below, the estimator is refuted: what it says of its own error is wrong. An interval of
    95 % misses now and then, so a single look is held against twice the interval, and fewer than four looks
    against something between. For losses by row.

    Parameters
    ----------
    triangle : Triangle
    monitor : Monitor
    window : str
    """

    triangle: Triangle
    monitor: Monitor
    window: str
    at: int | None = None
    why: str = ""
    _next: int = 1
    _bound: float = 0.0
    _rows: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    _ends: dict[int, tuple[float, float, float]] = field(default_factory=dict, repr=False)
    _looks: list[_Look] = field(default_factory=list, repr=False)

    def by(self, cutoff: int) -> str:
        """Return why the estimator is refuted at a cutoff, or nothing; losses of sets cannot refute it."""
        if self.triangle.survey.loss.per == "set":
            return ""
        while self.at is None and self._next <= cutoff:
            self._look(self._next)
            self._next += 1
        return self.why if self.at is not None and self.at <= cutoff else ""

    def _look(self, cutoff: int) -> None:
        """Take in the labels that arrived by a cutoff since the last one."""
        self._watch(cutoff - 1)
        survey = self.triangle.survey
        news = []
        for period, rows in self._rows.items():
            known = survey.known_at[rows] <= survey.grid.edges[cutoff]
            vintage = self.triangle.freshest(self.window, period)
            if not known.any() or vintage is None:
                continue
            came, self._rows[period] = rows[known], rows[~known]
            came = came[np.lexsort((came, survey.known_at[came]))]
            losses = self.triangle.row_losses(vintage, came)
            low, estimate, high = self._ends[period]
            up, down = (np.full(len(came), end) for end in (high - estimate, estimate - low))
            news.append((losses - high, losses - low, up, down))
        if news:
            self._looks.append(_Look(*(np.concatenate(part) for part in zip(*news, strict=True))))
            self._judge(cutoff)

    def _watch(self, period: int) -> None:
        """Note what the estimator said of a period, before its labels."""
        vintage = self.triangle.freshest(self.window, period)
        scene = None if vintage is None else self.triangle.scene(vintage, period + 1)
        if vintage is None or scene is None:
            return
        said = self.triangle.heard(vintage, period + 1, self.monitor)
        if not np.isfinite([said.low, said.high]).all() or said.support == "none":
            return
        if not self._bound:
            # Rows beyond twice the greatest loss so far are cut off; they hardly occur.
            low, high = scene.loss.bounds
            most = 2 * float(scene.known.losses.max(initial=0.0))
            self._bound = high - low if np.isfinite(high - low) else max(most, 1e-9)
        rows = scene.window.rows
        self._rows[period] = rows[spaced(len(rows), MOST_ROWS)]
        self._ends[period] = said.low, said.estimate, said.high

    def _judge(self, cutoff: int) -> None:
        """Look at the sequences that began 1, 2, 4, ... looks ago, and at the first."""
        n = len(self._looks)
        for length in sorted({n, *(1 << power for power in range(n.bit_length()))}):
            start = n - length + 1
            # The chances of all starts add up to ALPHA.
            alpha = ALPHA / (start * (start + 1))
            for side in ("above", "below"):
                gap = self._gap(side, length)
                found = running_difference(gap, np.zeros(len(gap)), level=1 - alpha, bound=self._bound)
                if found.low > 0 if side == "above" else found.high < 0:
                    self._refute(cutoff, side, length)
                    return

    def _gap(self, side: str, length: int) -> Floats:
        """Return losses of the last looks less an end of the interval, drawn out for a few looks."""
        beyond = max(FAR / length**0.5, 1.0) - 1.0
        looks = self._looks[-length:]
        parts = [
            look.above - beyond * look.up if side == "above" else look.below + beyond * look.down for look in looks
        ]
        return np.asarray(np.clip(np.concatenate(parts), -self._bound, self._bound), dtype=np.float64)

    def _refute(self, cutoff: int, side: str, length: int) -> None:
        clock, edges = self.triangle.survey.clock, self.triangle.survey.grid.edges
        gap = np.concatenate([look.above if side == "above" else look.below for look in self._looks[-length:]])
        self.at = cutoff
        self.why = (
            f"since {clock.show(int(edges[cutoff]))} the labels refute it: losses are {side} its interval by "
            f"{number(abs(float(gap.mean())), 2)} on average over {len(gap):,} rows"
        )
