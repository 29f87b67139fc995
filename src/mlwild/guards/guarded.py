"""The guard: checks, a chain of stages, and an answer for every row. Pure: no clock, no disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.guards.answers import DEGRADED, FALLBACK, NORMAL, Answers, given, no_answers, too_dear, too_unsure
from mlwild.guards.asking import LATE, tried
from mlwild.guards.encoding import Encoding
from mlwild.guards.exploring import Draws
from mlwild.guards.fences import Fences
from mlwild.guards.following import radii_of
from mlwild.guards.lots import Group, Lot, Step, at, kinds_of, lots_of, steps_of, told_of
from mlwild.guards.missed import ranked
from mlwild.guards.outcomes import around, likeliest_of
from mlwild.guards.runs import Runs
from mlwild.guards.settings import Guard
from mlwild.guards.stages import Gone, Predict, Sample, Stage, measured
from mlwild.guards.watch import Stream, Watch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]
#: Features that are too old: in which rows, and why in each.
Stale = dict[str, tuple[Bools, Sequence[str]]]
#: Rows and columns that have stood still, that do not fit the others, columns that are unread, and those too old.
_More = tuple[Bools | None, Bools, Mapping[str, str], Mapping[str, tuple[Bools, Sequence[str]]]]

#: Broken features that a cause names.
NAMED = 3
_ODD = "inputs are unlike those learned from"


@dataclass(frozen=True, eq=False)
class Guarded:
    """
    All that a guard knows beforehand; what it learns from requests stands in a `Watch`.

    Parameters
    ----------
    encoding : Encoding
    fences : Fences
    stream : Stream, optional
        As it begins.
    stages : tuple of Stage
        The chain, the champion first and the constant last.
    sample : Sample
        Rows on which it measures what a stage loses without features that it never lost together before.
    ask : str
        What models are asked for.
    classes : int
        Number of classes; 0 for numbers.
    settings : Guard
    draws : Draws, optional
        What fallback answers are drawn among.
    """

    encoding: Encoding
    fences: Fences
    stream: Stream | None
    stages: tuple[Stage, ...]
    sample: Sample
    ask: str
    classes: int
    settings: Guard
    draws: Draws | None = None
    _steps: tuple[Step, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep who answers rows that are all as they should be, where everybody is asked."""
        steps = steps_of([(place, stage.whole) for place, stage in enumerate(self.stages)])
        object.__setattr__(self, "_steps", steps)

    def watch(self) -> Watch:
        """Return the state before any request."""
        stream = None if self.stream is None else self.stream.begun()
        return Watch.of(len(self.encoding.names), self.stages, stream)

    def answer(
        self,
        native: Any,
        predict: Sequence[Predict | None],
        watch: Watch,
        now: float = 0.0,
        stale: Stale | None = None,
        times: Floats | None = None,
    ) -> Answers:
        """
        Answer some rows, in the order in which they came.

        Parameters
        ----------
        native : frame or ndarray of n_rows
            Features, as the app's function made them; a column may be missing, or hold what it should not.
        predict : sequence of callable or None
            Of each stage but the constant. Each gets a frame and returns predictions; one may raise, and one that
            raises `TimeoutError` was too slow. None: it was asked elsewhere, and did not answer in time; it is passed
            over, and it is not held against it here.
        watch : Watch
            Changed in place.
        now : float
            Seconds of a clock that only rises: a stage that failed again and again is asked again after a while.
        stale : dict of str to (ndarray of bool, sequence of str), each n_rows long, optional
            Features that are too old, which their values need not show: in which rows, and why.
        times : ndarray of shape (n_rows,), optional
            When the rows are of, as the times that were learned from: values may stand still for so long, however many
            rows come meanwhile.

        Returns
        -------
        Answers
            Whatever goes wrong with a model or with a feature is told there, and raises nothing.

        Raises
        ------
        DataError
            If the features are no table at all.
        """
        made, rows = self._answered(native, predict, watch, (now, times), stale)
        return made if self.draws is None else self.draws.among(made, rows, watch)

    def _answered(
        self,
        native: Any,
        predict: Sequence[Predict | None],
        watch: Watch,
        when: tuple[float, Floats | None],
        stale: Stale | None,
    ) -> tuple[Answers, Floats]:
        """Return the answers of the chain, and the rows as numbers."""
        (now, times), rows, table = when, self.encoding.numbers(native), None
        unread: Mapping[str, str] = {}
        if rows is None:
            table, unread, same = self.encoding.read(native)
            rows, strange = self.encoding.matrix(table)
            unread, native = unread | strange, native if same else table
        rows = np.asfortranarray(rows)  # what is done column by column is done on end
        whole = self.fences.keep(rows)
        found = None if whole else self.fences.broken(rows)
        stuck = self.fences.still(watch.runs, rows, times, whole=whole) if self.settings.stuck else None
        broken = self._unusable(rows, (found, stuck), unread, stale or {})
        hurt = None if broken is None else np.asarray(broken.any(axis=1))
        near = whole and self.fences.near
        unfit = [] if watch.stream is None else watch.stream.feed(self.fences.settled(rows), hurt, near=near)
        if not unfit and (hurt is None or not hurt.any()):
            steps = steps_of(self._order(predict, watch, (), len(rows))) if None in predict else self._steps
            return self._chain(native, (rows, predict, watch, now), Lot(np.arange(len(rows)), steps)), rows
        odd, unlike = np.zeros(len(rows), dtype=bool), np.zeros(rows.shape, dtype=bool)
        for picked, blamed in unfit:
            if blamed:
                unlike[picked[:, None], list(blamed)] = True
            else:
                odd[picked] = True
        broken = unlike if broken is None else broken | unlike
        made = no_answers(len(rows), self.classes, matrix=self._matrix)
        table = self.encoding.read(native)[0] if table is None else table
        groups = self._groups(rows, broken, odd, (stuck, unlike, unread, stale or {}))
        self._by_lot(made, (table, rows, predict, watch, now), groups, broken)
        return made, rows

    def _unusable(
        self, rows: Floats, found: Sequence[Bools | None], unread: Mapping[str, str], stale: Stale
    ) -> Bools | None:
        """Return the values that cannot be used; None where all can."""
        marked = [one for one in found if one is not None]
        if not (marked or unread or stale):
            return None
        broken = np.zeros(rows.shape, dtype=bool)
        for one in marked:
            broken |= one
        for name in unread:
            broken[:, self.encoding.names.index(name)] = True
        for name, (rows_of, _) in stale.items():
            broken[rows_of, self.encoding.names.index(name)] = True
        return broken

    def knowing(self, native: Any, predict: Sequence[Predict | None], watch: Watch, broken: Bools) -> Answers:
        """Answer rows of which somebody knows which features are broken: what a guard is held against."""
        table = self.encoding.read(native)[0]
        rows = np.where(broken, np.nan, self.encoding.matrix(table)[0])
        made = no_answers(len(rows), self.classes, matrix=self._matrix)
        groups: list[Group] = [
            (one.rows, self._named(one.lacking), [""] * len(one.rows)) for one in kinds_of(broken, np.isnan(rows))
        ]
        self._by_lot(made, (table, rows, predict, watch, 0.0), groups, broken)
        return made

    def _by_lot(
        self,
        made: Answers,
        asked: tuple[Any, Floats, Sequence[Predict | None], Watch, float],
        groups: Sequence[Group],
        broken: Bools,
    ) -> None:
        """Write down the answers to rows that lack different features."""
        table, rows, predict, watch, now = asked
        refuse = math.inf if self.settings.refuse is None else self.settings.refuse
        for lot in lots_of(groups, broken, lambda names, n: self._order(predict, watch, names, n), refuse):
            whole = rows[lot.rows]
            if lot.odd:  # what cannot be used tells nothing of how far off an answer is
                whole[:] = np.nan
            elif lot.gaps is not None:
                whole[lot.gaps] = np.nan
            made.put(lot.rows, self._chain(table.take(lot.rows), (whole, predict, watch, now), lot))

    @property
    def judges_streams(self) -> bool:
        """Whether the stream of inputs is judged as a whole: not where it is short, or honest spells trip any limit."""
        return self.stream is not None and self.stream.slack < math.inf

    @property
    def _matrix(self) -> bool:
        return self.ask == "probabilities"

    def _groups(self, rows: Floats, broken: Bools, odd: Bools, more: _More) -> list[Group]:
        """Return the rows that lack the same features."""
        made: list[Group] = []
        for one in kinds_of(broken, np.isnan(rows), odd):
            picked, columns = one.rows, one.broken
            if not columns:
                made.append((picked, None if one.odd else (), [_ODD if one.odd else ""] * len(picked)))
                continue
            tail = f", and {len(columns) - NAMED} more" if len(columns) > NAMED else ""
            why = [
                "; ".join(self._why(rows, row, at, more) for at in columns[:NAMED]) + tail for row in picked.tolist()
            ]
            made.append((picked, self._named(one.lacking), why))
        return made

    def _named(self, columns: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.encoding.names[one] for one in columns)

    def _why(self, rows: Floats, row: int, column: int, more: _More) -> str:
        """Say why a feature of a row cannot be used."""
        (stuck, unlike, unread, stale), name = more, self.encoding.names[column]
        if name in unread:
            return f"{name} {unread[name]}"
        if name in stale and stale[name][0][row]:
            return f"{name} {stale[name][1][row]}"
        if stuck is not None and stuck[row, column]:
            return self.fences.why_still(column, float(rows[row, column]))
        if unlike[row, column]:
            return f"{name} does not fit the other features"
        return self.fences.why(column, float(rows[row, column]))

    def _chain(self, native: Any, asked: tuple[Floats, Sequence[Predict | None], Watch, float], lot: Lot) -> Answers:
        """Ask the stages in turn, the best for such rows first, until every row has its answer."""
        rows, predict, watch, now = asked
        n = len(rows)
        made: Answers | None = None
        left, before = np.arange(n), np.array(lot.why, dtype=object) if lot.why else None
        late = [self.stages[place].name for place, one in enumerate(predict) if one is None]
        causes = [f"{name} {LATE}" for name in late]
        for step in lot.steps:
            place = step.place
            if self.settings.refuse is not None and np.max(step.loss) > self.settings.refuse:
                causes.append(too_dear(self.stages[place].name, self.settings.refuse))
                continue
            breaker = watch.breakers[place] = watch.breakers[place].at(now)
            if breaker.state == "open":
                causes.append(f"{self.stages[place].name} failed too often and rests")
                continue
            value, problem, chance = self._asked(
                place, self._frame(native, rows, left, lot, step.fill), len(left), predict
            )
            good = self._sane(place, value, predict, watch if lot.clean else None)
            # A model that answers most rows has not failed, if it does not raise by chance: the others are to blame.
            found = int(np.count_nonzero(good))
            watch.breakers[place] = breaker.feed(failed=chance or 2 * found < len(good), now=now)
            if watch.breakers[place].state == "half-open":  # asked on trial: another answers until it may come back
                causes.append(f"{self.stages[place].name} failed too often and is on trial")
                continue
            if self.settings.risk is not None:
                unsure = good & (likeliest_of(value)[1] < at(step.sure, left))
                told = [*causes, too_unsure(self.stages[place].name, self.settings.risk)]
                made = made or no_answers(n, self.classes, matrix=self._matrix)
                made.cause[left[unsure]] = told_of(before, left[unsure], told)
                left, value, good = left[~unsure], value[~unsure], good[~unsure]
                found = int(np.count_nonzero(good))
                if not len(left):
                    return made
            if found:
                status = NORMAL if place == 0 and not causes and lot.clean else DEGRADED if place == 0 else FALLBACK
                whole = found == len(good)
                mine = left if whole else left[good]
                why = told_of(before, mine, causes) if causes or before is not None else ""
                taken = value if whole else value[good]
                part = given(taken, self.classes, status=status, stage=place, expected=at(step.loss, mine), cause=why)
                wider = None if lot.clean else at(step.wider, mine)
                self._bound(place, part, rows if len(part) == n else rows[mine], wider)
                if len(part) == n:  # most requests
                    return part
                made = made or no_answers(n, self.classes, matrix=self._matrix)
                made.put(mine, part)
                if whole:
                    return made
            left = left[~good]
            causes.append(f"{self.stages[place].name} {problem or 'gave no sane answer'}")
        made = made or no_answers(n, self.classes, matrix=self._matrix)
        made.cause[left] = told_of(before, left, causes)
        return made

    def _bound(self, place: int, part: Answers, rows: Floats, wider: Floats | float | None) -> None:
        """Say where the outcomes of answers lie; None: of rows that are as they should be."""
        if self.ask == "class":
            return
        radii = self.stages[place].radii
        found = radii_of(radii, self.ask, rows, part.value)
        if (
            wider is not None
        ):  # what is not seen counts as the middle, where rows look easy: they are no easier than all
            found = np.maximum(found, radii.fixed) * wider
        around(part, self.ask, found, self.settings)

    def _order(
        self, predict: Sequence[Predict | None], watch: Watch, names: tuple[str, ...] | None, n: int
    ) -> list[tuple[int, Gone]]:
        """Return the stages that may answer n rows, the best first, each with what it loses on such rows."""
        every = [place for place in range(len(self.stages)) if place >= len(predict) or predict[place] is not None]
        if names is None:  # nothing that reads the inputs is to be trusted
            return [(place, self.stages[place].whole) for place in every if self.stages[place].blind]
        # A model that is asked again and again for a few rows would hold up all others.
        rare = len(names) > 1 and not watch.often(names, n)
        unsaid = self.sample.filler.unsaid(names) if rare else {}
        known = [
            (place, self.stages[place].foreseen(names, unsaid) if rare else self.without(place, names, predict, watch))
            for place in every
        ]
        if not names:
            return known
        return ranked(known, self.stages[-1])

    def without(self, place: int, names: tuple[str, ...], predict: Sequence[Predict | None], watch: Watch) -> Gone:
        """
        Return what a stage loses without some features.

        One is known beforehand. Of several together the rise of the loss is measured: two features that say the same
        are missed only when both are gone.
        """
        stage = self.stages[place]
        if not names or stage.blind:
            return stage.whole
        if len(names) == 1:
            return stage.gone[names[0]]
        asked = (place, names)
        if asked not in watch.measured:
            if len(watch.measured) >= 256:  # bounded: strange inputs could ask for every combination
                watch.measured.pop(next(iter(watch.measured)))
            model = predict[place]
            assert model is not None
            watch.measured[asked] = measured(stage, self.sample, model, names)
        return watch.measured[asked]

    def _frame(self, native: Any, rows: Floats, left: Ints, lot: Lot, fill: str) -> Any:
        table = type(native).__module__.partition(".")[0] == "pyarrow"
        if lot.gaps is None and len(left) == len(lot.rows) and not table:
            return native
        table = native if table else frames.to_arrow(native, "features")[0]
        table = table if len(left) == len(lot.rows) else table.take(left)
        if lot.gaps is not None:
            table = self.sample.filler.filled(table, rows[left], lot.gaps[left], fill)
        return frames.from_arrow(table, self.encoding.kind)

    def _asked(self, place: int, X: Any, n: int, predict: Sequence[Predict | None]) -> tuple[Floats, str, bool]:  # noqa: N803
        """Return a stage's answers, NaN where it gives none, what it raised, and whether by chance."""
        stage = self.stages[place]
        if stage.constant is not None:
            return np.broadcast_to(stage.constant, (n, *stage.constant.shape)), "", False
        model = predict[place]
        assert model is not None
        shape = (n, self.classes) if self._matrix else (n,)
        return tried(X, shape, model, self.encoding.kind)

    def _sane(self, place: int, value: Floats, predict: Sequence[Predict | None], watch: Watch | None) -> Bools:
        """Mark the answers that can be given: finite, in range, and not the same for ever."""
        stage = self.stages[place]
        good = (value >= stage.low) & (value <= stage.high)
        good = np.asarray(good.all(axis=1)) if good.ndim == 2 else good
        if math.isfinite(stage.still) and watch is not None:  # none where features are left out
            first = value if value.ndim == 1 else value[:, 0]
            sane = bool(good.all())  # none is NaN
            standing = watch.still[place].feed(
                np.ascontiguousarray(first)[:, None], np.array([stage.still]), whole=sane
            )
            if standing is not None and self.sample.varies(predict[place]):  # it is the rows that are alike
                watch.still[place], standing = Runs.of(1), None
            good = good if standing is None else good & ~standing[:, 0]
        return np.asarray(good)
