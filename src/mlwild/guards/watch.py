"""What a guard remembers from one request to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlwild.guards.blame import blamed_for, usual_rows
from mlwild.guards.runs import Runs
from mlwild.guards.settings import Guard
from mlwild.guards.stages import Gone, Stage
from mlwild.stats.breaking import Breaker
from mlwild.stats.p_detector import Alarm, PDetector
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
#: Rows that blame rests on at most; rows of a strange stream after which it is found anew; strange rows of a batch that
#: are looked at one by one.
KEPT, LOOKS, MOST_ALONE = 256, (8, 16, 32, CALM), 200


class Recent:
    """The latest rows of a stream, `KEPT` of them at most; changed in place."""

    def __init__(self, features: int) -> None:
        self._rows = np.empty((KEPT, features))
        self._next = self._n = 0

    def add(self, rows: Floats) -> None:
        """Add rows, the latest last."""
        n = len(rows)
        if n == 1:  # most requests
            self._rows[self._next] = rows[0]
        elif n < KEPT:
            self._rows[np.arange(self._next, self._next + n) % KEPT] = rows
        else:
            self._rows[:] = rows[-KEPT:]
            self._next = -n
        self._next = (self._next + n) % KEPT
        self._n = min(self._n + n, KEPT)

    def last(self, n: int = KEPT) -> Floats:
        """Return the last rows, or as many of them as there are, in order."""
        return self._rows[np.arange(self._next - min(n, self._n), self._next) % KEPT]

    def keep(self, n: int) -> None:
        """Forget all but the last rows."""
        self._n = min(self._n, n)

    def __getstate__(self) -> Floats:
        """Keep what is remembered, and not the room for more."""
        return self.last()

    def __setstate__(self, rows: Floats) -> None:
        """Begin with some rows."""
        self.__init__(rows.shape[1])  # type: ignore[misc]
        self.add(rows)


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
    since : int
        Rows of the stream since it began to be strange.
    looked : int
        Rows looked at since the last time that trust was refused.
    surprise : float
        Sum of their -log(p).
    quiet : int
        Rows on end of which none was strange by itself.
    """

    support: Support
    slack: float
    fdr: float
    detector: PDetector
    blamed: tuple[int, ...] | None = None
    since: int = 0
    looked: int = 0
    surprise: float = 0.0
    quiet: int = 0
    _recent: Recent = field(init=False, repr=False)
    _strange: Recent = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin without rows."""
        self._recent, self._strange = Recent(len(self.support.scorer)), Recent(len(self.support.scorer))

    def begun(self) -> Stream:
        """Return the stream as it is before any row."""
        return Stream(self.support, self.slack, self.fdr, self.detector)

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
            alone = self.support.alone(rows)
            if alone * (self.support.n + 1) > 1.5:
                self.quiet += 1
                if self.slack < math.inf:
                    self._recent.add(rows)
                    self.detector, alarm = self.detector.feed(min(1.0, self.slack * alone))
                    if alarm is not None:
                        self._alarmed(alarm)
                return [] if self.blamed is None else [(np.zeros(1, dtype=np.intp), self.blamed)]
        at = np.arange(len(rows)) if hurt is None else np.flatnonzero(~hurt)
        if not len(at):
            return []
        known = rows if len(at) == len(rows) else rows[at]
        p = self.support.tail(known, near=near)
        out = outlying_rows(p, rate=self.fdr)
        strange = self._alone(known, at, out)
        if self.slack < math.inf:
            if len(out):  # what is told of a row by itself need not be told of the stream
                rest = np.delete(np.arange(len(at)), out)
                at, known, p = at[rest], known[rest], p[rest]
            ranked = np.minimum(1.0, self.slack * np.maximum(p, 1.0 / (self.support.n + 1)))
            strange.extend((at[part], blamed) for part, blamed in self._together(known, ranked))
        return strange

    def _alone(self, known: Floats, at: Ints, out: Ints) -> list[tuple[Ints, tuple[int, ...]]]:
        """
        Return rows that are strange by themselves, with what is to blame.

        Most often it is the same for all that came lately: what is so for them together is told from what fits one by
        chance. Many rows are looked at some at a time, as if they had come in several requests.
        """
        if not len(out):
            self.quiet += len(at)
            return []
        made: list[tuple[Ints, tuple[int, ...]]] = []
        singles = MOST_ALONE
        for place, spell in enumerate(_spells(out, self.quiet)):
            if place:  # those before were another matter
                self._strange.keep(0)
            for begin in range(0, len(spell), CALM):
                told, rest = self._lately(known, at, spell[begin : begin + CALM])
                made.extend(told)
                made.extend((at[[one]], self._blame(known[[one]])) for one in rest[:singles].tolist())
                made.append((at[rest[singles:]], ()))
                singles = max(singles - len(rest), 0)
        self.quiet = len(at) - 1 - int(out[-1])
        return made

    def _lately(self, known: Floats, at: Ints, some: Ints) -> tuple[list[tuple[Ints, tuple[int, ...]]], Ints]:
        """Remember strange rows, and return those that what is to blame of late explains, with that, and the rest."""
        self._strange.add(known[some])
        made = []
        for features in dict.fromkeys((self.blamed or (), self._blame(self._strange.last()))):
            if features and len(some):
                fits = usual_rows(self.support, self.slack, known[some], features)
                made.append((at[some[fits]], features))
                some = some[~fits]
        return made, some

    def _together(self, rows: Floats, p: Floats) -> list[tuple[Ints, tuple[int, ...]]]:
        """Feed rows to the detector, and return those that came while the stream was strange."""
        found: dict[int, tuple[int, ...]] = {}
        place = 0
        while place < len(p):
            if self.blamed is not None:
                took = min(next(end for end in LOOKS if end > self.looked) - self.looked, len(p) - place)
                self._recent.add(rows[place : place + took])
                blamed, low = self.blamed, place
                self._calmer(p[place : place + took])
                self.since, place = self.since + took, place + took
                if self.blamed is not None and self.looked in (0, *LOOKS):
                    self.blamed = blamed = self._blame(self._recent.last(self.since))
                    low = max(place - min(self.since, KEPT), 0)  # rows of this very batch are not answered yet
                found.update(dict.fromkeys(range(low, place), blamed))
                continue
            before = self.detector.rows
            self.detector, alarm = self.detector.feed_all(p[place:])
            if alarm is None:
                since = self.detector.rows - min(self.detector.began)  # no alarm will be about rows before
                self._recent.add(rows[place:][-max(since, 1) :])
                self._recent.keep(since)
                break
            raised, began = place + alarm.row - before, max(place + alarm.began - before, 0)
            self._recent.add(rows[place : raised + 1])
            # Rows of this very batch since it began are not answered yet: they are not to be trusted either.
            found.update(dict.fromkeys(range(began, raised + 1), self._alarmed(alarm)))
            place = raised + 1
        made: dict[tuple[int, ...], list[int]] = {}
        for one, blamed in sorted(found.items()):
            made.setdefault(blamed, []).append(one)
        return [(np.array(ones), blamed) for blamed, ones in made.items()]

    def _alarmed(self, alarm: Alarm) -> tuple[int, ...]:
        self.since = alarm.row - alarm.began + 1
        self.blamed = blamed = self._blame(self._recent.last(self.since))
        return blamed

    def _blame(self, rows: Floats) -> tuple[int, ...]:
        return blamed_for(self.support, self.slack, rows)

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


def _spells(out: Ints, quiet: int) -> list[Ints]:
    """Return the first of some strange rows, none if they are another matter than those before, and each spell on."""
    usual = np.diff(out, prepend=-1 - quiet) - 1
    return np.split(out, np.flatnonzero(usual > CALM))


def new_stream(support: Support, slack: float, settings: Guard) -> Stream:
    """Return the stream before any row."""
    return Stream(support, slack, settings.fdr, PDetector(settings.run_length, calibration=support.n))
