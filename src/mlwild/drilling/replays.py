"""Replays: the rows that came after a cutoff, asked for with and without a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.drilling.faults import FAULTS, Failing, Fault, Scene
from mlwild.guarding import Chain, chain_of
from mlwild.guards.answers import NORMAL, REFUSED, Answers, no_answers, too_dear, too_unsure
from mlwild.guards.guarded import Guarded
from mlwild.guards.stages import Predict
from mlwild.records import Vintage
from mlwild.triangle import Triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Rows of a request; seconds from one request to the next.
BATCH, APART = 50, 0.1
#: The stretch of the live rows that a fault lasts for.
BEGINS, ENDS = 0.2, 0.8


@dataclass(frozen=True)
class Cell:
    """
    A fault at a severity: what became of the rows of its stretch, over all replays.

    Parameters
    ----------
    fault : str
    severity : float
    of : str
        What the severity is a share of.
    available : float
        Share of rows that got an answer or a refusal in words, and no exception or NaN; 1 is what is promised.
    answered : float
        Share of rows that were not refused.
    loss : float
        Mean loss of answered rows.
    bare : float
        What the champion alone, without a guard, would have lost on the rows that it answers at all; NaN where it
        answers none.
    bare_answered : float
        Share of rows that it answers.
    clean, constant : float
        Mean loss of the champion on the same rows without the fault, and of the constant: of those that were answered;
        of all where none was.
    detected : float
        Median rows from the first that was befallen to the first that was taken for faulty from then on, over all
        replays in which one was befallen; NaN if in half of those or more none was seen.
    recovered : float
        Median rows from the last that was befallen (of a model that fails: from the end of the stretch) until answers
        are normal again, where it was seen; NaN if they never are or `detected` is NaN.
    n : int
        Rows in all. Losses, the gain and what was held are weighted where the app has propensities.
    oracle : float
        Mean loss of the same rows if the guard were told what is broken in each, and which calls fail; NaN where it
        would refuse them all.
    held : float
        Share of the answered rows whose outcome lay in the interval or set of the answer; NaN where there are none.
    gain : float
        By how much the guarded answers lose less than the champion alone, in the mean of the rows that both answer:
        below 0 the guard costs rather than helps. NaN where there are none.
    """

    fault: str
    severity: float
    of: str
    available: float
    answered: float
    loss: float
    bare: float
    bare_answered: float
    clean: float
    constant: float
    detected: float
    recovered: float
    n: int
    oracle: float = float("nan")
    held: float = float("nan")
    gain: float = float("nan")


@dataclass(frozen=True, eq=False)
class Run:
    """
    The rows of a replay: losses, statuses, and the same if others had answered.

    Parameters
    ----------
    status : ndarray of int8, shape (n_rows,)
    lost : ndarray of shape (n_rows,)
        Loss of each answer; NaN where there was none. Of a loss of sets, that of all answers to the stretch.
    bare, clean, constant : ndarray of shape (n_rows,)
        The same of the champion alone, of the champion without the fault, and of the constant.
    gain : ndarray of shape (n_rows,)
        By how much answers lose less than the champion alone, where both answer.
    finite : ndarray of bool, shape (n_rows,)
        Whether there was an answer, or a refusal in words.
    held : ndarray of shape (n_rows,)
        Whether the outcome lay where the answer said; NaN where that said nothing.
    oracle : ndarray of shape (n_rows,)
        Loss if the guard were told what is broken; NaN outside of the stretch.
    tripped : ndarray of bool, shape (n_rows,)
        Whether the guard took the row, or who was to answer it, for faulty.
    begins, ends : int
        The fault lasts from the one row to before the other.
    first, over : int
        The first row that was befallen, and that from which on none is any more; the same where none was.
    weight : ndarray of shape (n_rows,)
        1, or one over the propensity.
    """

    status: NDArray[np.int8]
    lost: Floats
    bare: Floats
    clean: Floats
    constant: Floats
    gain: Floats
    finite: NDArray[np.bool_]
    held: Floats
    oracle: Floats
    tripped: NDArray[np.bool_]
    begins: int
    ends: int
    first: int
    over: int
    weight: Floats


class Replay:
    """
    A cutoff: the chain as it was then, and the rows that came.

    Parameters
    ----------
    triangle : Triangle
        Of the model that lives.
    path : sequence of Vintage
        What was live so far, and last who is live.
    cutoff : int
        Nothing that was known later is learned from.
    rows : ndarray of int64
        Labelled rows that came after it, in order.
    """

    def __init__(self, triangle: Triangle, path: Sequence[Vintage], cutoff: int, rows: Ints) -> None:
        read = triangle.survey
        chain = chain_of(triangle, path, cutoff)
        # What exploring costs is declared, and told apart: here the question is what faults cost.
        self.chain: Chain = replace(chain, guard=replace(chain.guard, draws=None))
        self.survey, self.rows = read, rows
        n = len(self.rows)
        begins, ends = (BATCH * round(share * n / BATCH) for share in (BEGINS, ENDS))  # whole requests
        self.scene = Scene(read.features.take(self.rows), begins, ends)
        self.usual = self._bare(self.scene.table, self.chain.predict[0])

    def clean(self) -> Run:
        """Ask for all rows as they came."""
        order = np.arange(len(self.rows))
        return self._asked(self.scene.table, order, self.chain.predict, None, np.zeros(len(order), dtype=bool))

    def run(self, fault: Fault, severity: float, seed: int) -> Run | None:
        """Ask for all rows, with a fault; None where it finds no hold."""
        rng = np.random.default_rng([seed, FAULTS.index(fault), int(100 * severity)])
        order, table, first = np.arange(len(self.rows)), self.scene.table, self.chain.predict[0]
        if fault.change is None:
            failing: tuple[Predict, ...] = (Failing(first, fault.model, severity, rng), *self.chain.predict[1:])
            sound = np.zeros((len(order), table.num_columns), dtype=bool)
            return self._asked(table, order, failing, self._told(table, order, sound, severity), sound[:, 0])
        made = fault.change(self.scene, rng, severity)
        if made is None:
            return None
        table, order = (table.take(made), made) if isinstance(made, np.ndarray) else (made, order)
        clean = self.scene.table.take(order)
        broken = np.column_stack([differs(table.column(name), clean.column(name)) for name in table.column_names])
        hit = broken.any(axis=1) | _moved(order, len(self.rows))
        return self._asked(table, order, self.chain.predict, self._told(table, order, broken), hit)

    def _told(self, table: Any, order: Ints, broken: NDArray[np.bool_], failing: float = 0.0) -> Floats:
        """Return the loss of each row if the guard were told what is broken in it, and which share of calls fails."""
        guard, predict = self.chain.guard, self.chain.predict
        value = np.full((len(order), *self.usual.shape[1:]), np.nan)
        rows = np.arange(*self._stretch(order))
        # Calls of so many rows fail; which ones would say no more.
        fails = np.arange(len(rows)) < round(failing * len(rows))
        without: list[Predict | None] = [None, *predict[1:]]
        for picked, asked in ((rows[fails], without), (rows[~fails], predict)):
            if len(picked):
                native = frames.from_arrow(table.take(picked), self.survey.kind, "features")
                made = guard.knowing(native, asked, guard.watch(), broken[picked])
                given = made.status != REFUSED
                value[picked[given]] = made.value[given]
        return self._lost(value, order)

    def _stretch(self, order: Ints) -> tuple[int, int]:
        """Return where the fault begins and ends among rows in an order."""
        begins, ends = self.scene.begins, self.scene.ends
        if len(order) == len(self.rows):
            return begins, ends
        return int(np.searchsorted(order, begins)), int(np.searchsorted(order, ends))  # some came twice

    def _asked(
        self, table: Any, order: Ints, predict: Sequence[Predict], oracle: Floats | None, hit: NDArray[np.bool_]
    ) -> Run:
        begins, ends = self._stretch(order)
        answers = self._answered(table, predict, (begins, ends), self.survey.time[self.rows[order]].astype(np.float64))
        struck = begins + np.flatnonzero(hit[begins:])
        first, over = (int(struck[0]), int(struck[-1]) + 1) if len(struck) else (ends, ends)
        if isinstance(predict[0], Failing):
            first = ends if predict[0].first is None else predict[0].first
        status = np.concatenate([part.status for part in answers])
        value = np.concatenate([part.value for part in answers])
        given = status != REFUSED
        finite = _known(value)
        value[~given] = np.nan
        constant = self.chain.guard.stages[-1].constant
        assert constant is not None
        bare, same = self._bare(table, predict[0], (begins, ends)), np.broadcast_to(constant, value.shape)
        labels = self.survey.labels[self.rows[order]]
        held = np.concatenate([_held(part, labels[place * BATCH :][:BATCH]) for place, part in enumerate(answers)])
        told = np.full(len(order), np.nan) if oracle is None else oracle
        return Run(
            status,
            self._lost(value, order),
            self._lost(bare, order),
            self._lost(self.usual[order], order, value),
            self._lost(same, order, value),
            self._lost(bare, order, value) - self._lost(value, order, bare),
            finite | ~given,
            held,
            told,
            _tripped(answers, self.chain.guard),
            begins,
            ends,
            first,
            over,
            self.survey.grid.weight[self.rows[order]],
        )

    def _answered(
        self, table: Any, predict: Sequence[Predict], stretch: tuple[int, int], times: Floats
    ) -> list[Answers]:
        """Ask the guard, request by request; one that raises gave no answer, and that is what is asked here."""
        guard, parts = self.chain.guard, []
        watch = guard.watch()
        for place, at in enumerate(range(0, table.num_rows, BATCH)):
            if isinstance(predict[0], Failing):
                predict[0].at, predict[0].lasts = at, stretch[0] <= at < stretch[1]
            native = frames.from_arrow(table.slice(at, BATCH), self.survey.kind, "features")
            try:
                part = guard.answer(native, predict, watch, now=APART * place, times=times[at : at + BATCH])
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001  it is counted: no row of this request is available
                part = no_answers(min(BATCH, table.num_rows - at), guard.classes, matrix=guard.ask == "probabilities")
                part.status[:] = NORMAL
            parts.append(part)
        return parts

    def _bare(self, table: Any, predict: Any, stretch: tuple[int, int] = (0, 0)) -> Floats:
        """Return what the champion answers without a guard; NaN for requests in which it raises."""
        parts = []
        wide = self.survey.ask == "probabilities" and self.survey.classes is not None
        for at in range(0, table.num_rows, BATCH):
            n = min(BATCH, table.num_rows - at)
            if isinstance(predict, Failing):
                predict.lasts = stretch[0] <= at < stretch[1]
            try:
                part = np.asarray(predict(frames.from_arrow(table.slice(at, BATCH), self.survey.kind, "features")))
            except MemoryError:
                raise
            except (Exception, SystemExit):  # noqa: BLE001  that it fails is what is asked
                shape = (n, len(self.survey.classes)) if wide and self.survey.classes is not None else (n,)
                part = np.full(shape, np.nan)
            parts.append(part)
        return np.concatenate(parts).astype(np.float64)

    def _lost(self, value: Floats, order: Ints, beside: Floats | None = None) -> Floats:
        """
        Return the loss of each row; NaN where there is no answer.

        Of a loss of sets it is that of all rows of the stretch, or of all others, and of those alone that were answered
        beside it too, if there are such.
        """
        labels, loss = self.survey.labels[self.rows[order]], self.survey.loss
        made, ok = np.full(len(value), np.nan), _known(value)
        if loss.per == "row":
            if ok.any():
                made[ok] = loss.rows(labels[ok], value[ok].astype(np.float32))
            return made
        begins, ends = self._stretch(order)
        place = np.arange(len(order))
        lasts = (begins <= place) & (place < ends)
        for part in (ok & lasts, ok & ~lasts):
            both = part if beside is None else part & _known(beside)
            rows = both if both.any() else part
            if rows.any():
                made[part] = loss.of_set(labels[rows], value[rows].astype(np.float32))
        return made


def _moved(order: Ints, n: int) -> NDArray[np.bool_]:
    """Mark the rows that came in another's place, or again."""
    return np.asarray(order != np.arange(n) if len(order) == n else np.diff(order, prepend=-1) == 0)


def _known(value: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(value if value.ndim == 1 else value[:, 0]))


def cell_of(fault: Fault, severity: float, runs: Sequence[Run]) -> Cell:
    """Return what became of the rows of all replays while a fault lasted."""
    spans = [slice(run.begins, run.ends) for run in runs]

    def joined(name: str) -> Floats:
        return np.concatenate([getattr(run, name)[span] for run, span in zip(runs, spans, strict=True)])

    lost, bare, status, finite = joined("lost"), joined("bare"), joined("status"), joined("finite")
    weight = joined("weight")
    detected, recovered = [], []
    for run in runs:
        if run.first == run.over:  # no row was befallen: there is nothing to be seen
            continue
        seen = np.flatnonzero(run.tripped[run.first : run.ends])
        detected.append(int(seen[0]) if len(seen) else np.inf)
        if len(seen):
            after = np.flatnonzero(~run.tripped[run.over :])
            recovered.append(int(after[0]) if len(after) else np.inf)
    # Where some are refused, those that are answered are not as hard as all: each is held against itself.
    given = np.isfinite(lost) if np.isfinite(lost).any() else np.ones(len(lost), dtype=bool)
    soon, late = (float(np.median(rows)) if rows else np.nan for rows in (detected, recovered))
    return Cell(
        fault.name,
        severity,
        fault.of,
        float(finite.mean()),
        float((status != REFUSED).mean()),
        _mean(lost, weight),
        _mean(bare, weight),
        float(np.isfinite(bare).mean()),
        _mean(joined("clean")[given], weight[given]),
        _mean(joined("constant")[given], weight[given]),
        soon if np.isfinite(soon) else np.nan,
        late if np.isfinite(soon + late) else np.nan,
        len(lost),
        _mean(joined("oracle")[given], weight[given]),
        _mean(joined("held"), weight),
        _mean(joined("gain"), weight),
    )


def differs(column: Any, other: Any) -> NDArray[np.bool_]:
    """Mark the cells of a column that are not those of another; gaps are alike, whether nothing stands there or NaN."""
    if column.equals(other):
        return np.zeros(len(column), dtype=bool)
    pairs = zip(column.to_pylist(), other.to_pylist(), strict=True)
    return np.array([one != two and not (_gap(one) and _gap(two)) for one, two in pairs])


def _gap(cell: Any) -> bool:
    return cell is None or bool(cell != cell)  # noqa: PLR0124  NaN is not itself


def _tripped(answers: Sequence[Answers], guard: Guarded) -> NDArray[np.bool_]:
    """Mark the rows that are not as usual for another reason than how careful answers are to be."""
    settings, away = guard.settings, np.concatenate([part.status != NORMAL for part in answers])
    careful = {too_dear(one.name, settings.refuse) for one in guard.stages if settings.refuse is not None}
    careful |= {too_unsure(one.name, settings.risk) for one in guard.stages if settings.risk is not None}
    if not careful:
        return away
    causes = np.concatenate([part.cause for part in answers])
    for row in np.flatnonzero(away).tolist():
        away[row] = not careful.issuperset(str(causes[row]).split("; "))
    return away


def _held(made: Answers, labels: NDArray[Any]) -> Floats:
    """Say of each answer whether the outcome lay where it said."""
    if made.likely.shape[1]:
        inside = made.likely[np.arange(len(labels)), labels.astype(np.int64)]
        return np.where(made.likely.any(axis=1), inside, np.nan).astype(np.float64)
    known = np.isfinite(made.low) & np.isfinite(made.high)
    return np.where(known, (made.low <= labels) & (labels <= made.high), np.nan).astype(np.float64)


def _mean(values: Floats, weight: Floats) -> float:
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weight[known])) if known.any() else float("nan")
