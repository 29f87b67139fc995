"""What a guard remembers from one request to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlwild.guards.runs import Runs
from mlwild.guards.settings import Guard
from mlwild.guards.stages import Gone, Stage
from mlwild.stats.breaking import Breaker
from mlwild.stats.p_detector import PDetector
from mlwild.stats.p_values import outlying_rows
from mlwild.stats.support import Support

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

#: Rows that are looked at together before a strange stream is trusted again, and the greatest mean of -log(p) among
#: them: of honest ones, whose mean is 1, it is exceeded once in some thirty times.
CALM, USUAL = 64, 1.25
#: Rows that lack the same features before it pays to measure what a model loses without them, and sets of features that
#: are counted.
WORTH, MOST_COUNTED = 64, 1024
#: Features that may be blamed together; rows of a batch that are looked at one by one.
MOST_BLAMED, MOST_ALONE = 2, 200


@dataclass
class Stream:
    """
    Whether inputs still come from where the learned ones came: row by row, and taken together.

    Parameters
    ----------
    support : Support
    slack : float
        Factor of p-values that lets honest drift pass, as the history showed it; infinite: the stream is not judged.
    fdr : float
        False discovery rate of single rows of a batch.
    detector : PDetector
    blamed : tuple of int, optional
        Features that do not fit the others at present; empty where nothing is to be blamed for strange rows, None where
        nothing is strange.
    looked : int
        Rows looked at since the last time that trust was refused.
    surprise : float
        Sum of their -log(p).
    """

    support: Support
    slack: float
    fdr: float
    detector: PDetector
    blamed: tuple[int, ...] | None = None
    looked: int = 0
    surprise: float = 0.0

    def feed(
        self, rows: Floats, hurt: Bools | None = None, *, near: bool = False
    ) -> list[tuple[Ints, tuple[int, ...]]]:
        """
        Take in rows in order, and return those that are not to be trusted, with the features to blame.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
        hurt : ndarray of bool, shape (n_rows,), optional
            Rows with a broken feature: they go by their own faults, and only the others are looked at.
        near : bool
            Whether it is known that every value is there, and none beyond 1e150.

        Returns
        -------
        list of (ndarray of int, tuple of int)
            Places of rows, and features that do not fit the others; none where the row as a whole is strange.
        """
        if len(rows) == 1 and self.blamed is None:  # most requests: in a tenth of the time
            if hurt is not None and hurt[0]:
                return []
            alone = self.support.p_value(rows[0].tolist())
            if alone * (self.support.n + 1) > 1.5:
                if self.slack < math.inf:
                    self.detector, alarm = self.detector.feed(min(1.0, self.slack * alone))
                    self.blamed = None if alarm is None else self._blame(rows)
                return [] if self.blamed is None else [(np.zeros(1, dtype=np.intp), self.blamed)]
        at = np.arange(len(rows)) if hurt is None else np.flatnonzero(~hurt)
        if not len(at):
            return []
        known = rows if len(at) == len(rows) else rows[at]
        p = self.support.tail(known, near=near)
        out = outlying_rows(p, rate=self.fdr)
        strange = [(at[[one]], self._blame(known[[one]])) for one in out[:MOST_ALONE].tolist()]
        strange.extend((at[[one]], ()) for one in out[MOST_ALONE:].tolist())
        if self.slack < math.inf:
            if len(out):  # what is told of a row by itself need not be told of the stream
                rest = np.delete(np.arange(len(at)), out)
                at, known, p = at[rest], known[rest], p[rest]
            ranked = np.minimum(1.0, self.slack * np.maximum(p, 1.0 / (self.support.n + 1)))
            strange.extend((at[part], blamed) for part, blamed in self._together(known, ranked))
        return strange

    def _together(self, rows: Floats, p: Floats) -> list[tuple[Ints, tuple[int, ...]]]:
        """Feed rows to the detector, and return those that came while the stream was strange."""
        found: list[tuple[Ints, tuple[int, ...]]] = []
        place = 0
        while place < len(p):
            if self.blamed is not None:
                took = min(CALM - self.looked, len(p) - place)
                found.append((np.arange(place, place + took), self.blamed))
                self._calmer(p[place : place + took])
                place += took
                continue
            before = self.detector.rows
            self.detector, alarm = self.detector.feed_all(p[place:])
            if alarm is None:
                break
            raised, began = place + alarm.row - before, max(place + alarm.began - before, 0)
            self.blamed = self._blame(rows[began : raised + 1])
            # Rows of this very batch since it began are not answered yet: they are not to be trusted either.
            found.append((np.arange(began, raised + 1), self.blamed))
            place = raised + 1
        return found

    def _blame(self, rows: Floats) -> tuple[int, ...]:
        """
        Return the one or two features without which strange rows are as usual; none where there are none such.

        Of two that say the same, either explains what is strange: then both are to blame.
        """
        n = rows.shape[1]
        if n < 2:
            return ()
        _, worst = self.support.look(rows)
        first = int(np.bincount(worst).argmax())
        if self._usual(rows, (first,)):
            found = tuple(one for one in range(n) if one == first or self._usual(rows, (one,)))
            return found if len(found) <= min(MOST_BLAMED, n - 1) else ()
        if n < 3:
            return ()
        _, worst = self.support.look(rows, (first,))
        pair = tuple(sorted((first, int(np.bincount(worst).argmax()))))
        return pair if len(set(pair)) == 2 and self._usual(rows, pair) else ()

    def _usual(self, rows: Floats, left: tuple[int, ...]) -> bool:
        """Say whether rows are, together, as usual if some features are left out of account."""
        slack = self.slack if self.slack < math.inf else 1.0
        p = np.minimum(1.0, slack * self.support.look(rows, left)[0])
        p = np.maximum(p, np.finfo(np.float64).tiny)  # far out, it runs below what a number can hold
        return -float(np.log(p).mean()) <= 1.0 + 2.0 / math.sqrt(len(rows))

    def _calmer(self, p: Floats) -> None:
        """Trust the stream again once some rows on end are, together, as usual."""
        self.looked, self.surprise = self.looked + len(p), self.surprise - float(np.log(p).sum())
        if self.looked == CALM:
            self.blamed = None if self.surprise <= USUAL * CALM else self.blamed
            self.looked, self.surprise = 0, 0.0


@dataclass
class Watch:
    """
    The state of a guard: it goes on from row to row, and starts as new with each vintage.

    Parameters
    ----------
    runs : Runs
        How long each feature has stood still.
    stream : Stream, optional
        Whether the inputs are strange; None where too little was there to learn that from.
    still : list of Runs
        How long each stage's answers have stood still.
    breakers : list of Breaker
        Whether each stage is asked at all: one that fails again and again is left alone for a while.
    measured : dict
        What stages lose without some features together, as it was asked for.
    drawn : int
        Draws so far: each is another.
    salt : bytes
        Sixteen at most; another for each process that draws by itself.
    lacked : dict
        Rows that lacked some features together, of the latest such sets.
    """

    runs: Runs
    stream: Stream | None
    still: list[Runs]
    breakers: list[Breaker]
    measured: dict[tuple[int, tuple[str, ...]], Gone] = field(default_factory=dict)
    drawn: int = 0
    salt: bytes = b""
    lacked: dict[tuple[str, ...], int] = field(default_factory=dict)

    @staticmethod
    def of(features: int, stages: tuple[Stage, ...], stream: Stream | None) -> Watch:
        """Return the state before any row."""
        return Watch(Runs.of(features), stream, [Runs.of(1) for _ in stages], [Breaker() for _ in stages])

    def often(self, names: tuple[str, ...], n: int) -> bool:
        """Count rows that lack some features, and say whether they are many by now."""
        rows = self.lacked.pop(names, 0) + n
        if len(self.lacked) >= MOST_COUNTED:
            self.lacked.pop(next(iter(self.lacked)))
        self.lacked[names] = rows  # the latest last
        return rows >= WORTH


def new_stream(support: Support, slack: float, settings: Guard) -> Stream:
    """Return the stream before any row."""
    return Stream(support, slack, settings.fdr, PDetector(settings.run_length, calibration=support.n))
