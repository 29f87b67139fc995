"""The triangle: a vintage a cutoff, each scored on every later period, made once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import Duration
from mlwild.errors import AppError, StoreError
from mlwild.models import Forecast
from mlwild.monitors.signal import Monitor, Signal, silent
from mlwild.records import Failed, Vintage
from mlwild.triangle import fitting, parallel
from mlwild.triangle.fitting import Done, Job, Rows
from mlwild.triangle.growing import continuing, predicted_before
from mlwild.triangle.recipe import Recipe, parent_of
from mlwild.triangle.refutation import Refutation
from mlwild.triangle.scenes import Scenes, TriangleScene
from mlwild.triangle.scores import Scores, score
from mlwild.triangle.store import Store, read_predictions
from mlwild.triangle.survey import Survey
from mlwild.triangle.tally import Tally

Floats = NDArray[np.float64]


@dataclass
class Triangle:
    """
    All vintages of one model and seed, and what each lost in every later period.

    It grows when a rule asks for an update that nobody asked for before; nothing in it changes.

    Parameters
    ----------
    survey : Survey
    model : str
        Name of the model.
    seed : int
    store : Store
    tally : Tally
        Shared by all triangles of a rehearsal.
    growing : bool
        Whether rows are added to the same history one cutoff at a time: then only new ones are predicted, and vintages
        are made when they are asked for.
    """

    survey: Survey
    model: str
    seed: int
    store: Store
    tally: Tally
    scores: dict[Vintage, Scores] = field(default_factory=dict)
    failed: dict[Vintage, Failed] = field(default_factory=dict)
    blind: dict[Vintage, tuple[int, str]] = field(default_factory=dict)
    lost: dict[Vintage, str] = field(default_factory=dict)
    settled: bool = False
    growing: bool = False
    _mapped: dict[Vintage, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    _gaps: dict[tuple[Vintage, Vintage, int], float] = field(default_factory=dict, repr=False)
    _last_known: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    _signals: dict[tuple[Vintage, int, Monitor], Signal] = field(default_factory=dict, repr=False)
    _refutations: dict[tuple[Monitor, str, Vintage | None], Refutation] = field(default_factory=dict, repr=False)

    @cached_property
    def recipe(self) -> Recipe:
        """What determines the fits and predictions of this triangle."""
        return Recipe(self.survey, self.model, self.seed)

    # -- making ----------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> Rows:
        """The rows as jobs read them, written once: a life that grows makes its vintages one by one."""
        return fitting.spill(self.survey, self.store)

    def job(self, vintage: Vintage) -> Job:
        """Return the job that makes a vintage; in a life that grows, one that continues earlier predictions."""
        job = self.recipe.job(vintage)
        return continuing(job, self.recipe, vintage, self.store) if self.growing else job

    def absorb(self, vintage: Vintage, job: Job, done: Done | None) -> None:
        """Take in a finished job, or (None) one that was found finished."""
        if done is not None:
            self.tally.count(done)
        else:
            self.tally.reused += 1
            note = self.store.get(job.prediction_key, "arrow") or {}
            for text in note.get("warned", ()):
                self.tally.warned[text] = self.tally.warned.get(text, 0) + 1
        if done is not None and done.why:
            at = int(self.survey.grid.edges[vintage.cutoff])
            self.failed[vintage] = Failed(self.model, vintage, self.seed, at, done.why)
            return
        predictions = read_predictions(self.store.payload(job.prediction_key, "arrow"))
        self._mapped[vintage] = predictions
        blind = np.isnan(predictions if predictions.ndim == 1 else predictions[:, 0])
        if blind.any():
            note = self.store.get(job.prediction_key, "arrow") or {}
            self.blind[vintage] = (int(blind.sum()), str(note.get("blind", "")))
            first = int(self.survey.grid.row_start[vintage.cutoff])
            if self.settled and not self.growing and (blind & ~self.unscored[first:]).any():
                at = int(self.survey.grid.edges[vintage.cutoff])
                why = f"it cannot predict {int(blind.sum())} later rows that others can"
                self.failed[vintage] = Failed(self.model, vintage, self.seed, at, why)
                return
            self.unscored[first:] |= blind
            if self.growing:
                self.settle()
        if self.settled:
            self._score(vintage, predictions)

    def settle(self) -> None:
        """
        Score all vintages, once it is known which rows each of them can predict.

        A row that some vintage of its time cannot predict counts for none of them: rules are compared
        on the same rows. A vintage predicts its own period and later ones only, so what is left out
        of a period is known when the period is over.
        """
        self.settled = True
        for vintage, predictions in self._mapped.items():
            self._score(vintage, predictions)

    def lose(self, vintage: Vintage, why: str, owed: NDArray[np.bool_]) -> None:
        """
        Count a vintage that cannot be used any more on what it predicted before.

        Rows that it owes an answer to, since it was live when they came, count for none.
        """
        predictions = predicted_before(self, vintage)
        blind = np.isnan(predictions if predictions.ndim == 1 else predictions[:, 0])
        first = int(self.survey.grid.row_start[vintage.cutoff])
        self.unscored[first:] |= blind & owed[first:]
        self.failed.pop(vintage, None)
        self.lost[vintage], self.blind[vintage] = why, (int(blind.sum()), why)
        self._mapped[vintage] = predictions
        self.settle()

    def mend(self, vintage: Vintage) -> str:
        """Fit a model again if it was damaged or removed, and first what it was updated from; say why it cannot be."""
        if self.store.get(self.recipe.fit_key(vintage), "model") is not None:
            return ""
        if vintage.updates and (why := self.mend(parent_of(vintage))):
            return why
        self.tally.mended += 1
        done = fitting.run(self.job(vintage), self.rows, self.store)
        self.tally.count(done)
        return done.why

    def _score(self, vintage: Vintage, predictions: NDArray[np.float32]) -> None:
        survey = self.survey
        first = int(survey.grid.row_start[vintage.cutoff])
        labels, loss = survey.labels, survey.loss
        unscored = self.unscored if self.unscored.any() else None
        if vintage in self.lost:  # it has no say on later rows, and others have
            unscored = self.unscored.copy()
            unscored[first:] |= np.isnan(predictions if predictions.ndim == 1 else predictions[:, 0])
        self.scores[vintage] = score(predictions, first, vintage.cutoff, labels, loss, survey.grid, unscored)

    @cached_property
    def unscored(self) -> NDArray[np.bool_]:
        """Rows that count for no vintage."""
        return np.zeros(len(self.survey.time), dtype=bool)

    def enter(self, vintage: Vintage, predictions: NDArray[np.float32]) -> None:
        """Score answers that come of no fit, to every row from the vintage's cutoff on; nothing is kept on disk."""
        self._mapped[vintage] = predictions
        self._score(vintage, predictions)

    def publish(self) -> None:
        """Score a published forecast: every vintage is the same column, and none is fitted."""
        column = self.survey.forecasts[self.model]
        for window in self.survey.app.windows:
            for k in range(self.survey.grid.periods):
                self._score(Vintage(k, str(window)), column[self.survey.grid.row_start[k] :])

    def ensure(self, vintage: Vintage) -> bool:
        """Make a vintage if it is not there yet; say whether it is usable."""
        if vintage not in self.scores and vintage not in self.failed:
            if isinstance(self.survey.app.models[self.model], Forecast):
                self._score(vintage, self.survey.forecasts[self.model][self.survey.grid.row_start[vintage.cutoff] :])
                return True
            if vintage.updates and not self.ensure(parent_of(vintage)):
                at = int(self.survey.grid.edges[vintage.cutoff])
                self.failed[vintage] = Failed(self.model, vintage, self.seed, at, "its parent failed")
                return False
            parallel.make([(self, vintage)], jobs=1)
        return vintage in self.scores

    # -- what rules may know (the protocol `Known`) ----------------------------------------------------

    def usable(self, vintage: Vintage) -> bool:
        """Say whether a vintage could be made; makes an update that was not asked for before."""
        return vintage not in self.lost and self.ensure(vintage)

    def _cells(self, cutoff: int) -> NDArray[np.int64]:
        if cutoff not in self._last_known:
            if len(self._last_known) > 8:  # rules walk through the cutoffs in order
                self._last_known.clear()
            self._last_known[cutoff] = self.survey.grid.last_known(cutoff)
        return self._last_known[cutoff]

    def totals(self, vintage: Vintage, cutoff: int) -> tuple[Floats, Floats]:
        """Return total loss and weight by period, over the labels known at a cutoff."""
        cells = self._cells(cutoff)
        made = self.scores[vintage]
        seen = (cells >= 0) & (np.arange(cutoff) >= vintage.cutoff)
        total, weight = np.zeros(cutoff), np.zeros(cutoff)
        total[seen], weight[seen] = made.total[cells[seen]], made.weight[cells[seen]]
        return total, weight

    def fresh_totals(self, window: str, cutoff: int, since: int, every: int) -> tuple[Floats, Floats]:
        """Return the same for the freshest challenger of each period since one, every so often."""
        cells = self._cells(cutoff)
        total, weight = np.zeros(cutoff - since), np.zeros(cutoff - since)
        for k in range(since, cutoff):
            vintage = self.freshest(window, since + (k - since) // every * every)
            if vintage is not None and cells[k] >= 0:
                made = self.scores[vintage]
                total[k - since], weight[k - since] = made.total[cells[k]], made.weight[cells[k]]
        return total, weight

    def freshest(self, window: str, cutoff: int) -> Vintage | None:
        """Return the newest usable vintage at a cutoff."""
        for k in range(cutoff, -1, -1):
            vintage = Vintage(k, window)
            # In a life that grows, a challenger is made when it is asked for.
            if vintage not in self.lost and (vintage in self.scores or (self.growing and self.ensure(vintage))):
                return vintage
        return None

    def gap_squares(self, vintage: Vintage, other: Vintage | None, window: str, span: tuple[int, int, int]) -> Floats:
        """Return the sums of squared row gaps between two vintages by period, over known labels of a span."""
        since, cutoff, every = span
        if self.survey.loss.per == "set":
            ours = self.totals(vintage, cutoff)[0][since:]
            if other is None:
                theirs = self.fresh_totals(window, cutoff, since, every)[0]
            else:
                theirs = self.totals(other, cutoff)[0][since:]
            return np.asarray((ours - theirs) ** 2)
        squares = np.zeros(cutoff - since)
        for k in range(since, cutoff):
            rival = other if other is not None else self.freshest(window, since + (k - since) // every * every)
            if rival is not None and rival != vintage:
                squares[k - since] = self._squares(vintage, rival, k, int(self._cells(cutoff)[k]))
        return squares

    def _squares(self, vintage: Vintage, rival: Vintage, period: int, last: int) -> float:
        """Return the sum of squared row gaps up to a cell of a period; rules ask for the same ones often."""
        asked = (vintage, rival, last)
        if last >= 0 and asked not in self._gaps:
            grid = self.survey.grid
            low = grid.cell_start[np.searchsorted(grid.cell_period, period)]
            high = grid.cell_start[last + 1] if last + 1 < len(grid.cell_start) else len(grid.cell_rows)
            rows = grid.cell_rows[low:high]
            rows = rows[~self.unscored[rows]]
            gap = (self.row_losses(vintage, rows) - self.row_losses(rival, rows)) * grid.weight[rows]
            self._gaps[asked] = float(gap @ gap)
        return self._gaps[asked] if last >= 0 else 0.0

    def arrivals(self, vintage: Vintage, cutoff: int, since: int) -> Floats:
        """Return row losses of the labels that arrived in the last period, in order of arrival."""
        grid = self.survey.grid
        cells = np.flatnonzero((grid.cell_arrival == cutoff) & (grid.cell_period >= since))
        ends = np.append(grid.cell_start[1:], len(grid.cell_rows))
        parts = [grid.cell_rows[grid.cell_start[cell] : ends[cell]] for cell in cells]
        rows = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        rows = rows[np.lexsort((rows, self.survey.known_at[rows]))]
        rows = rows[~self.unscored[rows]]
        return self.row_losses(vintage, rows)

    # -- what monitors say -------------------------------------------------------------------------

    @cached_property
    def scenes(self) -> Scenes:
        """What monitors may see."""
        return Scenes(self)

    def scene(self, vintage: Vintage, cutoff: int) -> TriangleScene | None:
        """Return what a monitor may see of a vintage at a cutoff; None before it has a period to look at."""
        return self.scenes.scene(vintage, cutoff)

    def signal(self, vintage: Vintage, cutoff: int, monitor: Monitor) -> Signal:
        """
        Return what a monitor says at a cutoff of a vintage's last finished period, before its labels.

        An estimator of the loss says so once earlier labels have refuted it, for this vintage or for the freshest
        ones: with vintages that learn, references learn too, so it may be right of them and wrong of one that stays.
        """
        said = self.heard(vintage, cutoff, monitor)
        if np.isnan(said.estimate):
            return said
        of_fresh, of_this = (self.refutation(monitor, vintage.window, one) for one in (None, vintage))
        return replace(said, grey=of_fresh.by(cutoff) or of_this.by(cutoff))

    def heard(self, vintage: Vintage, cutoff: int, monitor: Monitor) -> Signal:
        """Return the same, whether it was refuted or not."""
        asked = (vintage, cutoff, monitor)
        if asked not in self._signals:
            seen = self.scene(vintage, cutoff)
            if seen is None:
                self._signals[asked] = silent("no period to look at yet")
            elif not len(seen.window.predictions):
                self._signals[asked] = silent("no row of the period could be predicted")
            else:
                self._signals[asked] = monitor.signal(seen)
        return self._signals[asked]

    def refutation(self, monitor: Monitor, window: str, vintage: Vintage | None = None) -> Refutation:
        """Return the record of an estimator against labels, on the freshest vintages or on one."""
        asked = (monitor, window, vintage)
        if asked not in self._refutations:
            self._refutations[asked] = Refutation(self, monitor, window, vintage)
        return self._refutations[asked]

    def looks_per_year(self) -> float | None:
        """Return the number of cutoffs in a year; None where time is counted in integers."""
        survey = self.survey
        return None if survey.clock.kind == "tick" else Duration.parse("365D").exact / survey.app.every_.exact

    def sibling(self, model: str) -> Triangle:
        """Return the triangle of another model with the same seed, to read what was made of it."""
        models = self.survey.app.models
        if model not in models or model == self.model:
            others = ", ".join(repr(name) for name in models if name != self.model) or "none"
            raise AppError(f"monitors: there is no other model {model!r}; there is {others}.")
        return Triangle(self.survey, model, self.seed, self.store, self.tally)

    def kept(self, vintage: Vintage) -> bool:
        """Say whether the store holds a vintage's predictions."""
        if vintage in self._mapped:
            return True
        key = self.recipe.prediction_key(vintage, self.recipe.fit_key(vintage))
        return self.store.get(key, "arrow") is not None

    # -- what is read afterwards ------------------------------------------------------------------

    def predictions(self, vintage: Vintage) -> NDArray[np.float32]:
        """
        Return a vintage's predictions of every row from its cutoff on, without refitting.

        Returns
        -------
        ndarray of float32, shape (n_rows - row_start[cutoff],) or with a column a class
        """
        if vintage not in self._mapped:
            if isinstance(self.survey.app.models[self.model], Forecast):
                first = self.survey.grid.row_start[vintage.cutoff]
                self._mapped[vintage] = self.survey.forecasts[self.model][first:]
            else:
                key = self.recipe.prediction_key(vintage, self.recipe.fit_key(vintage))
                self._mapped[vintage] = read_predictions(self.store.payload(key, "arrow"))
        return self._mapped[vintage]

    def fitted(self, vintage: Vintage) -> Any:
        """
        Return the fitted model of a vintage, read from the store; made again where it was damaged or removed.

        Raises
        ------
        StoreError
            If it can neither be read nor made again.
        """
        path = self.store.payload(self.recipe.fit_key(vintage), "model")
        if why := self.mend(vintage):
            gone = (
                f"store: the model of {self.model!r}, vintage {vintage}, is gone or damaged, and cannot be made again"
            )
            raise StoreError(f"{gone}: {why}. Restore {path}.")
        return self.recipe.loads(path.read_bytes())

    def row_losses(self, vintage: Vintage, rows: NDArray[np.int64]) -> Floats:
        """Return a vintage's loss on some labelled rows, shape (n_rows,)."""
        first = int(self.survey.grid.row_start[vintage.cutoff])
        return self.survey.loss.rows(self.survey.labels[rows], self.predictions(vintage)[rows - first])

    def matrix(self, vintages: list[Vintage]) -> tuple[Floats, Floats]:
        """
        Return total loss and weight by vintage and period over all labels that ever arrived.

        Returns
        -------
        total, weight : ndarray of shape (n_vintages, n_periods)
            0 before a vintage was made.
        """
        last = self.survey.grid.last
        seen = last >= 0
        shape = (len(vintages), self.survey.grid.periods)
        total, weight = np.zeros(shape), np.zeros(shape)
        for row, vintage in enumerate(vintages):
            made = self.scores[vintage]
            total[row, seen], weight[row, seen] = made.total[last[seen]], made.weight[last[seen]]
        return total, weight
