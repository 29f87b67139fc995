"""The drill: faults are injected into a replay, and the guard has to answer every row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.drilling.faults import FAULTS, SEVERITIES, Failing, Fault, Scene
from mlwild.errors import AppError, DataError
from mlwild.guarding import Chain, chain_of
from mlwild.guards.answers import NORMAL, REFUSED, Answers, no_answers
from mlwild.guards.stages import Predict
from mlwild.records import Vintage
from mlwild.rehearsal import STORE, folder_of
from mlwild.triangle import Triangle, growing
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Rows of a request; live rows of a replay, at most and at least; seconds from one request to the next.
BATCH, MOST, FEWEST, APART = 50, 2000, 200, 0.1
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
        What the champion alone would have lost on the rows that it answers at all; NaN where it answers none.
    bare_answered : float
        Share of rows that it answers.
    clean, constant : float
        Mean loss of the same rows without the fault; and if the constant had answered them all.
    detected : float
        Median rows from the first that was befallen to the first answer that is not normal; NaN if all were normal.
    recovered : float
        Median rows from the end of the fault until answers are normal again; NaN if they never are.
    n : int
        Rows in all.
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


@dataclass(frozen=True)
class Drill:
    """
    What a drill found.

    Parameters
    ----------
    app, loss : str
    cells : tuple of Cell
        The worst first: by how far the loss lies above the clean one.
    stages : list of dict
        The chain of the last replay, with what each stage was known to lose.
    clean_rows : int
        Rows without any fault that were answered.
    trips : int
        How often the guard took them for faulty.
    away : float
        Share of them that got another answer than the champion's.
    replays : int
        Stretches of history times seeds.
    skipped : tuple of str
        Faults that the app gives no hold for.
    streams : int
        Stretches of history whose guard judges the stream of inputs as a whole; in the others honest spells are such
        that only single rows are.
    """

    app: str
    loss: str
    cells: tuple[Cell, ...]
    stages: list[dict[str, Any]]
    clean_rows: int
    trips: int
    away: float
    replays: int
    skipped: tuple[str, ...]
    streams: int

    @property
    def worst(self) -> Cell:
        """The fault that costs most."""
        return self.cells[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the whole as plain data; what is not known is None."""
        body = asdict(self)
        body["cells"] = [{k: None if v != v else v for k, v in cell.items()} for cell in body["cells"]]  # noqa: PLR0124
        return body


def drill(
    app: App,
    *,
    seeds: int = 3,
    cutoffs: int = 3,
    store: str | Path = STORE,
    progress: Callable[[str], None] | None = None,
) -> Drill:
    """
    Inject faults into replays of the history, and tell what the guard makes of them.

    At some cutoffs of the later half, evenly spaced, a model is fitted on what was known then, with its fallback chain;
    the rows that came next are asked for in requests of fifty, without a fault and with each fault at three
    severities, for three fifths of the rows.

    Parameters
    ----------
    app : App
    seeds : int
        Draws of rows and columns for each cutoff.
    cutoffs : int
        Stretches of the history.
    store : str or Path
    progress : callable, optional
        Called with a word on what is done.

    Returns
    -------
    Drill

    Raises
    ------
    AppError
        If a number is below 1, or the model that lives is a published forecast.
    DataError
        If no cutoff has enough labelled rows before and after it.

    References
    ----------
    .. [1] Basiri, A., et al. (2016). Chaos engineering. IEEE Software, 33(3), 35-41.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> x, z = rng.normal(size=(2, 3000))
    >>> rows = pd.DataFrame({"when": np.arange(3000), "x": x, "z": z, "y": x + z + 0.1 * rng.normal(size=3000)})
    >>> def train(X, y):
    ...     return lambda X: X["x"].to_numpy() + X["z"].to_numpy()
    >>> app = App(
    ...     name="sum", data=lambda: rows, time="when", label="y", delay=0, models={"sum": train},
    ...     loss="absolute", every=300, start=300,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = drill(app, seeds=1, cutoffs=1, store=folder)
    >>> min(cell.available for cell in found.cells), found.trips, len(found.cells)
    (1.0, 0, 42)
    """
    for name, value in (("seeds", seeds), ("cutoffs", cutoffs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise AppError(f"{name}: {value!r} is not a whole number of at least 1.")
    read = survey(app)
    triangle = growing(read, Store(folder_of(app, store)), app.live, {})
    found: dict[tuple[str, float], list[_Run]] = {}
    clean: list[_Run] = []
    stages: list[dict[str, Any]] = []
    streams = 0
    for place in _places(triangle, cutoffs):
        if progress is not None:
            progress(read.clock.show(int(read.grid.edges[place])))
        replay = _Replay(triangle, place)
        stages, streams = replay.chain.losses(), streams + replay.chain.guard.judges_streams
        clean.append(replay.clean())
        for fault in FAULTS:
            for severity in SEVERITIES:
                runs = [replay.run(fault, severity, seed) for seed in range(seeds)]
                found.setdefault((fault.name, severity), []).extend(run for run in runs if run is not None)
    cells = [_cell(fault, severity, found[fault.name, severity]) for fault in FAULTS for severity in SEVERITIES
             if found[fault.name, severity]]  # fmt: skip
    status = [run.status for run in clean]
    rows = sum(map(len, status))
    return Drill(
        app.name,
        app.loss_.name,
        tuple(sorted(cells, key=lambda one: one.clean - one.loss)),
        stages,
        rows,
        sum(int((np.diff((one != NORMAL).astype(np.int8), prepend=0) == 1).sum()) for one in status),
        sum(int((one != NORMAL).sum()) for one in status) / rows,
        len(clean) * seeds,
        tuple(fault.name for fault in FAULTS if not any(found[fault.name, one] for one in SEVERITIES)),
        streams,
    )


def _places(triangle: Triangle, cutoffs: int) -> list[int]:
    """Return cutoffs of the later half that have rows enough on both sides."""
    grid = triangle.survey.grid
    last = next((k for k in range(grid.periods - 1, 0, -1) if len(_live(triangle, k)) >= FEWEST), 0)
    if not last:
        raise DataError(
            f"drill: no cutoff has {FEWEST} labelled rows after it and a period before. Give a longer history."
        )
    first = max(1, min(last, grid.periods // 2))
    return sorted({int(one) for one in np.linspace(first, last, cutoffs).round()})


def _live(triangle: Triangle, cutoff: int) -> Ints:
    """Return the labelled rows that came after a cutoff, so many as a replay takes."""
    grid = triangle.survey.grid
    rows = grid.cell_rows[grid.period_of_cell_row >= cutoff]
    return np.sort(rows)[:MOST].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Run:
    """The rows of a replay: losses, statuses, and the same if others had answered."""

    status: NDArray[np.int8]
    lost: Floats
    bare: Floats
    clean: Floats
    constant: Floats
    finite: NDArray[np.bool_]
    begins: int
    ends: int


class _Replay:
    """A cutoff: the chain as it was then, and the rows that came."""

    def __init__(self, triangle: Triangle, cutoff: int) -> None:
        read = triangle.survey
        live, before = Vintage(cutoff, str(read.app.windows[0])), Vintage(cutoff - 1, str(read.app.windows[0]))
        if not triangle.ensure(live):
            raise DataError(f"drill: no model can be fitted at {read.clock.show(int(read.grid.edges[cutoff]))}.")
        path = [before, live] if triangle.ensure(before) else [live]
        self.chain: Chain = chain_of(triangle, path, cutoff)
        self.survey, self.rows = read, _live(triangle, cutoff)
        n = len(self.rows)
        begins, ends = (BATCH * round(share * n / BATCH) for share in (BEGINS, ENDS))  # whole requests
        self.scene = Scene(read.features.take(self.rows), begins, ends)
        self.alone = self._lost(self._bare(self.scene.table, self.chain.predict[0]), np.arange(n))

    def clean(self) -> _Run:
        """Ask for all rows as they came."""
        return self._asked(self.scene.table, np.arange(len(self.rows)), self.chain.predict)

    def run(self, fault: Fault, severity: float, seed: int) -> _Run | None:
        """Ask for all rows, with a fault; None where it finds no hold."""
        rng = np.random.default_rng([seed, FAULTS.index(fault), int(100 * severity)])
        order, table, first = np.arange(len(self.rows)), self.scene.table, self.chain.predict[0]
        if fault.change is None:
            return self._asked(table, order, (Failing(first, fault.model, severity, rng), *self.chain.predict[1:]))
        made = fault.change(self.scene, rng, severity)
        if made is None:
            return None
        if isinstance(made, np.ndarray):
            return self._asked(table.take(made), made, self.chain.predict)
        return self._asked(made, order, self.chain.predict)

    def _asked(self, table: Any, order: Ints, predict: Sequence[Predict]) -> _Run:
        begins, ends = self.scene.begins, self.scene.ends
        if len(order) != len(self.rows):  # some came twice
            begins, ends = (int(np.searchsorted(order, one)) for one in (begins, ends))
        answers = self._answered(table, predict, (begins, ends))
        status = np.concatenate([part.status for part in answers])
        value = np.concatenate([part.value for part in answers])
        given = status != REFUSED
        finite = np.isfinite(value if value.ndim == 1 else value[:, 0])
        lost = np.full(len(order), np.nan)
        ok = given & finite
        lost[ok] = self._lost(value[ok], order[ok])
        bare = self._lost(self._bare(table, predict[0], (begins, ends)), order)
        constant = self.chain.guard.stages[-1].constant
        assert constant is not None
        same = self._lost(np.broadcast_to(constant, (len(order), *constant.shape)), order)
        return _Run(status, lost, bare, self.alone[order], same, finite | ~given, begins, ends)

    def _answered(self, table: Any, predict: Sequence[Predict], stretch: tuple[int, int]) -> list[Answers]:
        """Ask the guard, request by request; one that raises gave no answer, and that is what is asked here."""
        guard, parts = self.chain.guard, []
        watch = guard.watch()
        for place, at in enumerate(range(0, table.num_rows, BATCH)):
            if isinstance(predict[0], Failing):
                predict[0].lasts = stretch[0] <= at < stretch[1]
            native = frames.from_arrow(table.slice(at, BATCH), self.survey.kind, "features")
            try:
                part = guard.answer(native, predict, watch, now=APART * place)
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

    def _lost(self, value: Floats, order: Ints) -> Floats:
        """Return the loss of each row; of losses of sets the error of each answer stands for it."""
        labels = self.survey.labels[self.rows[order]]
        made = np.full(len(value), np.nan)
        ok = np.isfinite(value if value.ndim == 1 else value[:, 0])
        if ok.any():
            loss = self.survey.loss
            if loss.per == "row":
                made[ok] = loss.rows(labels[ok], value[ok].astype(np.float32))
            else:
                made[ok] = np.abs(labels[ok] - value[ok])
        return made


def _cell(fault: Fault, severity: float, runs: Sequence[_Run]) -> Cell:
    spans = [slice(run.begins, run.ends) for run in runs]

    def joined(name: str) -> Floats:
        return np.concatenate([getattr(run, name)[span] for run, span in zip(runs, spans, strict=True)])

    lost, bare, status, finite = joined("lost"), joined("bare"), joined("status"), joined("finite")
    detected, recovered = [], []
    for run in runs:
        away = run.status != NORMAL
        seen = np.flatnonzero(away[run.begins : run.ends])
        if len(seen):
            detected.append(int(seen[0]))
            after = np.flatnonzero(~away[run.ends :])
            recovered.append(int(after[0]) if len(after) else np.inf)
    late = float(np.median(recovered)) if recovered else np.nan
    return Cell(
        fault.name,
        severity,
        fault.of,
        float(finite.mean()),
        float((status != REFUSED).mean()),
        _mean(lost),
        _mean(bare),
        float(np.isfinite(bare).mean()),
        _mean(joined("clean")),
        _mean(joined("constant")),
        float(np.median(detected)) if detected else np.nan,
        late if np.isfinite(late) else np.nan,
        len(lost),
    )


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
