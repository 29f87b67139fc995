"""Radii of sets for a stream of rows that are widened when they miss: adaptive conformal inference, row by row."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, insort
from collections.abc import Iterable

from mlwild.errors import DataError


class Tracked:
    """
    Radii that a stated share of scores stays within over a long run, whatever the scores do.

    A score is at least 0 and small where a prediction was right: ``|y - f|`` for an interval ``f ± radius``, or
    ``1 - p(y)`` for the set of all classes with ``1 - p <= radius``. The radius is the quantile of the window's
    scores at one less the working miscoverage a. When an outcome comes, a moves by ``g (1 - level - miss)``, where
    the miss is judged by the radius that was promised to that row: labels may come late and in any order.

    Two things differ from the paper, so that no set is ever infinite or empty:

    - Below ``a = 0``, more is asked for than the window can show. The radius is then the greatest score of the
      window times ``2 ** (-a / (g lag))``; above ``a = 1`` it is the least one, halved in the same way. (Of a window
      of zeros the last score above 0 is widened.)
    - A row moves nothing where its set was right and could not have been smaller: its radius was 0, or its score
      and radius are the one value that fills the window. Otherwise, over a feed that stands still, a would rise to
      1: the sets would miss on purpose, and for 50 rows on end when the feed moves.

    Promise, for any sequence: with T outcomes, each fed with at most ``lag - 1`` others since its radius was read,
    and L the binary logarithm of the greatest score over the least above 0, misses are at most
    ``(1 - level) T + a1 / g + lag (L + 2)``, where ``a1 = 1 - level`` and g the step. (A miss below 0 asks for a
    score beyond ``2 ** (-a / (g lag) - 1)`` times one that was seen, so that a stays above ``-g lag (L + 2)``.)
    Where no score is 0 and none ties with its radius, they are as many at least, less ``level / g + lag (L + 2)``.
    Where the lag grows (`wait`), g and lag are the last ones.

    It changes in place, unlike most of the values here: a copy of the sorted window at every row would cost more
    than the step itself.

    Parameters
    ----------
    scores : iterable of float
        Of rows that the model did not learn from, in order of time; the last `window` of them count. With none the
        radius is infinite until the first score.
    level : float
        Share within, in (0, 1).
    rate : float
        Step for labels that come at once, above 0. The step g is this over the root of `lag`: a full one, told of `lag`
        times before it has shown, swings from far too wide to far too narrow. It is at most 1/e (or itself) over
        `lag`: the greatest with which a loop that sees its own doing so late does not overshoot.
    window : int
        Scores that are remembered, and outcomes on end that `worst` is about.
    lag : int
        Outcomes that come between a row and its own label, 1 for none.

    Raises
    ------
    DataError
        If a setting is out of its range or a score is not finite or below 0.

    References
    ----------
    .. [1] Gibbs, I., & Candes, E. (2021). Adaptive conformal inference under distribution shift. NeurIPS 34.
    .. [2] Angelopoulos, A. N., Candes, E. J., & Tibshirani, R. J. (2023). Conformal PID control for time series
       prediction. NeurIPS 36 (sets that grow without being infinite keep the long-run promise).

    Examples
    --------
    >>> tracked = Tracked([float(score) for score in range(1, 10)], level=0.8)
    >>> promised = tracked.radius()
    >>> promised
    8.0
    >>> tracked.feed(8.5, promised)  # it was outside
    False
    >>> tracked.radius()
    8.5
    >>> tracked.mean, tracked.worst  # no 500 rows on end as yet
    (0.0, nan)
    """

    __slots__ = (
        "_at", "_order", "_recent", "_seen", "_sorted", "_step", "_unit", "lag", "level", "missed", "misses", "most",
        "outcomes", "positive", "rate", "running", "window",
    )  # fmt: skip

    def __init__(
        self, scores: Iterable[float] = (), *, level: float = 0.9, rate: float = 0.02, window: int = 500, lag: int = 1
    ) -> None:
        if not 0 < level < 1 or not 0 < rate < 1:
            raise DataError(f"level is {level} and rate {rate}, need numbers between 0 and 1.")
        if window < 1 or lag < 1:
            raise DataError(f"window is {window} and lag {lag}, need 1 at least.")
        self.level, self.rate, self.window, self.lag = level, rate, window, lag
        self._pace()
        self.missed = 1 - level
        self.positive = 0.0
        self._order: list[float] = []
        for score in scores:
            self._check(score)
            self._order.append(float(score))
            self.positive = score or self.positive
        del self._order[:-window]
        self._sorted = sorted(self._order)
        self._at = 0  # where the oldest score lies once the window is full
        self.outcomes = self.misses = self.running = self.most = 0
        self._recent = bytearray(window)
        self._seen = 0  # where the oldest of the recent outcomes lies

    def _pace(self) -> None:
        """Set the step, and what of it doubles a radius."""
        self._step = min(self.rate / math.sqrt(self.lag), max(self.rate, 1 / math.e) / self.lag)
        self._unit = self._step * self.lag

    def wait(self, lag: int) -> None:
        """
        Count on labels that come later than was thought, as if that had been known from the beginning.

        What the working miscoverage has moved by so far shrinks with the step, so that the promise is that of the new
        one: so far down as a great step had taken it, small ones would take very long to bring it back.

        Parameters
        ----------
        lag : int
            As given before; what is less than that changes nothing.
        """
        if lag > self.lag:
            begun, before = 1 - self.level, self._step
            self.lag = lag
            self._pace()
            self.missed = begun + (self.missed - begun) * self._step / before

    def radius(self) -> float:
        """Return the radius for the next row; keep it with the row, as `feed` asks for it."""
        rows, missed = self._sorted, self.missed
        n = len(rows)
        if not n:
            return math.inf
        if missed <= 0:
            half = math.exp2(min(-missed / self._unit / 2, 1000.0))  # in two halves: neither overflows by itself
            return min((rows[-1] or self.positive) * half * half, sys.float_info.max)
        if missed >= 1:
            return rows[0] * math.exp2((1 - missed) / self._unit)
        rank = max(math.ceil((n + 1) * (1 - missed) - 1e-9), 1)
        return rows[rank - 1] if rank <= n else rows[-1]

    def feed(self, score: float, promised: float) -> bool:
        """
        Take in an outcome.

        Parameters
        ----------
        score : float
            Finite, at least 0.
        promised : float
            What `radius` gave when the row was answered.

        Returns
        -------
        bool
            Whether the score lies within.

        Raises
        ------
        DataError
            If the score is not finite or below 0, or the radius is below 0 or NaN.
        """
        self._check(score)
        if not promised >= 0:
            raise DataError(f"promised is {promised}, needs to be a radius of at least 0.")
        rows = self._sorted
        score = float(score)
        miss = score > float(promised)
        if miss:
            self.missed -= self._step * self.level
        elif promised > 0 and not (score == promised and rows and rows[0] == rows[-1] == score):
            self.missed += self._step * (1 - self.level)
        self._keep(score)
        self._count(miss)
        return not miss

    def take(self, score: float) -> None:
        """
        Take in a score that no radius was promised for: it counts as one that the window was begun with.

        Parameters
        ----------
        score : float
            Finite, at least 0.

        Raises
        ------
        DataError
            If it is not.
        """
        self._check(score)
        self._keep(float(score))

    def _keep(self, score: float) -> None:
        """Put a score in the place of the oldest."""
        rows, order = self._sorted, self._order
        if len(order) < self.window:
            order.append(score)
        else:
            at = self._at
            del rows[bisect_left(rows, order[at])]
            order[at] = score
            self._at = at + 1 if at + 1 < self.window else 0
        insort(rows, score)
        if score:
            self.positive = score

    def _count(self, miss: bool) -> None:
        """Count an outcome, in all and among the last ones."""
        seen = self._seen
        self.running += miss - self._recent[seen]
        self._recent[seen] = miss
        self._seen = seen + 1 if seen + 1 < self.window else 0
        self.outcomes += 1
        self.misses += miss
        self.most = max(self.most, self.running)

    @property
    def still(self) -> bool:
        """Whether one value fills the window."""
        return bool(self._sorted) and self._sorted[0] == self._sorted[-1]

    @property
    def mean(self) -> float:
        """Share of all outcomes that lay within; NaN before the first."""
        return 1 - self.misses / self.outcomes if self.outcomes else math.nan

    @property
    def worst(self) -> float:
        """The least share of any `window` outcomes on end, in the order fed; NaN before there are so many."""
        return 1 - self.most / self.window if self.outcomes >= self.window else math.nan

    @staticmethod
    def _check(score: float) -> None:
        if not 0 <= score < math.inf:
            raise DataError(f"a score is {score}, needs to be a finite number of at least 0.")
