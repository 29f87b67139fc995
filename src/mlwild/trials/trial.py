"""A candidate of a rehearsal on trial, as it was known at a cutoff."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.checks import Finding
from mlwild.digest import digest, fingerprint, version
from mlwild.errors import DataError, TooEarlyError
from mlwild.events import Events
from mlwild.frames import Frame
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.trial import Drilled, History, Reread, Served, Timeline
from mlwild.lives import Life
from mlwild.losses import Loss
from mlwild.models import Forecast
from mlwild.records import Vintage
from mlwild.side_tables import SideTable
from mlwild.trials.again import reloaded, reread
from mlwild.trials.changed import changed
from mlwild.trials.drilled import drill_of
from mlwild.trials.findings import kept_findings
from mlwild.trials.fits import refit
from mlwild.trials.past import history_until, kept_predictions
from mlwild.trials.rows import Everything
from mlwild.trials.served import serve
from mlwild.triangle import Survey, Triangle
from mlwild.triangle.fitting import training_rows
from mlwild.triangle.settled import settled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Settled periods that a candidate is tried on; rows of them that tests see, evenly spaced; trials of the past.
PERIODS, MOST_ROWS, EARLIER = 4, 100_000, 8
#: Trials of the past that records of proxies are made of.
RECORD = 24


@dataclass(frozen=True, eq=False)
class Replay:
    """
    A rehearsed app, from which trials at any cutoff are taken.

    Parameters
    ----------
    triangle : Triangle
        Of the living model and its first seed.
    life : Life
        What was live when.
    events : Events
        The rows that the survey was made of.
    tables : dict of str to SideTable
    periods : int
        Settled periods that a candidate is tried on.
    rehearsal : Rehearsal, optional
        What it was taken from.
    """

    triangle: Triangle
    life: Life
    events: Events
    tables: dict[str, SideTable]
    periods: int = PERIODS
    rehearsal: object = None

    @property
    def survey(self) -> Survey:
        """The rows, periods and labels."""
        return self.triangle.survey

    @cached_property
    def everything(self) -> Everything:
        """All rows."""
        return Everything(self.survey, self.events)

    def tried_on(self, cutoff: int) -> Ints:
        """Return the last settled periods at a cutoff that a vintage was made before; none where there are too few."""
        ready = np.flatnonzero(settled(self.survey, cutoff))
        ready = ready[ready >= self.life.first][-self.periods :]
        return ready if len(ready) == self.periods else ready[:0]

    def trial(self, cutoff: int | None = None) -> TriangleTrial:
        """
        Return the trial at a cutoff; default at the end of the history.

        Raises
        ------
        TooEarlyError
            If there are too few settled periods since the first vintage.
        """
        at = self.survey.grid.periods if cutoff is None else cutoff
        tried = self.tried_on(at)
        if not len(tried):
            raise TooEarlyError(
                f"gate: fewer than {self.periods} periods have their labels since the first vintage, at "
                f"{self.survey.clock.show(int(self.survey.grid.edges[at]))}. Give more history, or fewer periods."
            )
        return TriangleTrial(self, at, tried)

    def earlier(self, cutoff: int, most: int = EARLIER) -> list[TriangleTrial]:
        """Return trials at evenly spaced earlier cutoffs that have enough settled periods, oldest first."""
        able = [k for k in range(cutoff) if len(self.tried_on(k))]
        if not able:
            return []
        picked = np.unique(np.linspace(0, len(able) - 1, min(most, len(able))).round().astype(int))
        return [self.trial(able[place]) for place in picked]

    def champions(self, most: int = EARLIER) -> list[TriangleTrial]:
        """
        Return trials of what was live in the past, oldest first.

        Each is tried on the periods that it was live in; periods that the next trial needs are left to it.
        """
        made = []
        for trial in self.earlier(self.survey.grid.periods - self.periods, most):
            vintage = self.life.live[int(trial.tried[0]) - self.life.first]
            made.append(replace(trial, candidate=vintage))
        return made

    @cached_property
    def now(self) -> TriangleTrial:
        """The trial at the end of the history."""
        return replace(self.trial(), rehearsal=self.rehearsal)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What `mlwild check` finds; kept, since it fits models on shuffled labels."""
        return kept_findings(self.survey, self.events, self.tables, self.triangle.store)

    @cached_property
    def reread(self) -> Reread:
        """The app's data and features, read once more."""
        return reread(self.survey, self.events)

    @cached_property
    def reloaded(self) -> str:
        """What differs when the app's file is run once more."""
        return reloaded(self.survey.app)

    def learned_from(self, vintage: Vintage) -> Ints:
        """Return the rows that a vintage learned from, evenly spaced where there are very many."""
        survey = self.survey
        cutoff = int(survey.grid.edges[vintage.cutoff])
        picked = training_rows(survey.time, survey.known_at, self.triangle.recipe.opens(vintage), cutoff)
        rows = np.arange(picked.start, picked.stop) if isinstance(picked, slice) else picked
        if len(rows) > MOST_ROWS:
            rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(np.int64)]
        return rows

    def live_predictions(self, rows: Ints) -> Floats:
        """Return what was live's predictions of some rows from the first vintage on, shape (n,) or (n, n_classes)."""
        grid, life = self.survey.grid, self.life
        period = np.searchsorted(grid.row_start, rows, side="right") - 1
        parts = []
        for k in np.unique(period):
            vintage, mine = life.live[k - life.first], rows[period == k]
            parts.append(self.triangle.predictions(vintage)[mine - int(grid.row_start[vintage.cutoff])])
        return np.concatenate(parts).astype(np.float64)

    @cached_property
    def live_losses(self) -> tuple[Ints, Floats]:
        """Labelled rows from the first vintage on, in order of period, and the loss of what was live (of rows)."""
        grid, life = self.survey.grid, self.life
        rows, lost = [], []
        for k in range(life.first, grid.periods):
            low, high = np.searchsorted(grid.period_of_cell_row, [k, k + 1])
            mine = np.sort(grid.cell_rows[low:high])
            mine = mine[~self.triangle.unscored[mine]]
            rows.append(mine)
            lost.append(self.triangle.row_losses(life.live[k - life.first], mine))
        return np.concatenate(rows), np.concatenate(lost)


@dataclass(frozen=True, eq=False)
class TriangleTrial:
    """
    One candidate before the gate: implements `mlwild.gate.trial.Trial`.

    Parameters
    ----------
    replay : Replay
    cutoff : int
        Nothing later is known.
    tried : ndarray of int64
        Settled periods whose rows the candidate is tried on.
    candidate : Vintage, optional
        Default the freshest that was made before these rows.
    rehearsal : Rehearsal, optional
        The whole of it; a trial of the past must not have it.
    """

    replay: Replay
    cutoff: int
    tried: Ints
    candidate: Vintage | None = None
    rehearsal: object = None

    @property
    def survey(self) -> Survey:
        """The rows, periods and labels."""
        return self.replay.survey

    @property
    def app(self) -> App:
        """The app's declaration."""
        return self.survey.app

    @property
    def loss(self) -> Loss:
        """The app's loss."""
        return self.survey.loss

    @property
    def seed(self) -> int:
        """Seed of the candidate."""
        return self.replay.triangle.seed

    @cached_property
    def vintage(self) -> Vintage:
        """The candidate's vintage: the freshest before the rows that it is tried on, of the window that lives."""
        if self.candidate is not None:
            return self.candidate
        life, triangle = self.replay.life, self.replay.triangle
        window = life.live[min(int(self.tried[0]) - life.first, len(life.live) - 1)].window
        found = triangle.freshest(window, int(self.tried[0])) or triangle.freshest(
            str(self.app.windows[0]), int(self.tried[0])
        )
        if found is None:
            raise DataError(f"gate: no vintage could be made before {self._shown(int(self.tried[0]))}.")
        return found

    @cached_property
    def model(self) -> Fitted:
        """The candidate."""
        return self._fitted(self.vintage)

    @cached_property
    def champion(self) -> Fitted | None:
        """What was live when the candidate was made."""
        life = self.replay.life
        before = [one for one in life.live[: max(int(self.tried[0]) - life.first, 0)] if one != self.vintage]
        return self._fitted(before[-1]) if before else None

    @cached_property
    def known(self) -> Ints:
        """Rows of the settled periods whose labels are known, those without an answer among them."""
        survey, grid = self.survey, self.survey.grid
        rows = np.sort(grid.cell_rows[np.isin(grid.period_of_cell_row, self.tried)])
        return np.asarray(rows[survey.known_at[rows] <= grid.edges[self.cutoff]])

    @cached_property
    def unanswered(self) -> Held:
        """Rows of the same periods that some vintage did not answer: one row that it refuses silences a whole batch."""
        return self.replay.everything.held(self.known[self.replay.triangle.unscored[self.known]])

    @cached_property
    def events(self) -> Held:
        """Rows of the settled periods whose labels are known, and that every vintage answered."""
        rows = self.known[~self.replay.triangle.unscored[self.known]]
        if len(rows) > MOST_ROWS:
            rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(np.int64)]
        return self.replay.everything.held(rows)

    @cached_property
    def learned(self) -> Held:
        """Rows that the candidate learned from, evenly spaced where there are very many."""
        return self.replay.everything.held(self.replay.learned_from(self.vintage))

    @cached_property
    def history(self) -> History:
        """What went live so far, over the labels known now."""
        return history_until(self.replay.triangle, self.replay.life, self.cutoff)

    @cached_property
    def timeline(self) -> Timeline:
        """Every row up to now."""
        return self.replay.everything.until(self.cutoff)

    @property
    def said(self) -> str:
        """What is on trial."""
        first, last = int(self.tried[0]), int(self.tried[-1])
        clock, edges = self.survey.clock, self.survey.grid.edges
        return (
            f"{self.replay.triangle.model!r} as made at {clock.show(int(edges[self.vintage.cutoff]))}, on "
            f"{len(self.events):,} labelled events from {clock.show(int(edges[first]))} to "
            f"{clock.show(int(edges[last + 1]))} that it did not learn from{self._unanswered}"
        )

    @property
    def _unanswered(self) -> str:
        n = len(self.unanswered)
        return f"; {n:,} more got no answer and are left out" if n else ""

    @property
    def recipe(self) -> Any:
        """The candidate's model before it is fitted."""
        return self.app.models[self.replay.triangle.model]

    @property
    def made_at(self) -> int:
        """Instant at which the candidate was made."""
        return int(self.survey.grid.edges[self.vintage.cutoff])

    def fit(
        self,
        learned: Held | None = None,
        *,
        labels: NDArray[Any] | None = None,
        seed: int | None = None,
        fresh: bool = False,
    ) -> Fitted:
        """
        Fit the candidate's recipe again; what was fitted before is read from the store, unless it is to be `fresh`.

        Raises
        ------
        DataError
            If the model is a published forecast, which nobody can fit here.
        """
        if isinstance(self.recipe, Forecast):
            raise DataError(f"gate: {self.replay.triangle.model!r} is a published forecast; it cannot be fitted here.")
        rows, seed = self.learned if learned is None else learned, self.seed if seed is None else seed
        raw = refit(self.replay.triangle, rows, rows.labels if labels is None else np.asarray(labels), seed, fresh)
        return Fitted(f"{self.replay.triangle.model} again", raw, self.survey.ask, self.survey.classes, self.loss)

    def findings(self) -> Sequence[Finding]:
        """Return what `mlwild check` finds."""
        return self.replay.findings

    def served(self, most: int) -> Served:
        """Return at most so many of the events as the service would have answered them."""
        return serve(self.app, self.replay.events, self.replay.tables, self.events.evenly(most), self.model)

    def changed(self, rows: Held, raw: Frame) -> Held:
        """Return rows with their raw columns changed, and the features that are then computed of them."""
        return changed(self.app, self.replay.events, self.replay.tables, replace(rows, raw=raw))

    def without_feed(self, rows: Held, name: str, kept: Callable[[SideTable], NDArray[np.bool_]]) -> Held:
        """Return rows with the features that are computed where some rows of a side table never came."""
        tables = self.replay.tables
        left = tables | {name: tables[name].where(kept(tables[name]))}
        return changed(self.app, self.replay.events, tables, rows, under=left)

    def delivered(self, rows: Held, order: Ints) -> Held:
        """Return rows with the features that are computed where they come in another order, or more than once."""
        return changed(self.app, self.replay.events, self.replay.tables, rows, order=order)

    def reread(self) -> Reread:
        """Read the app's data and compute its features once more; done once for all trials of a replay."""
        return self.replay.reread

    def reloaded(self) -> str:
        """Say what differs when the app's file is run once more."""
        return self.replay.reloaded

    def drilled(self, seeds: int) -> Drilled:
        """Return what the candidate's guard makes of faults in the events."""
        return drill_of(self.replay.triangle, self.replay.life, self.tried, self.vintage, self.events.rows, seeds)

    def earlier(self) -> Sequence[TriangleTrial]:
        """Return the trials of earlier times, oldest first."""
        return self.replay.earlier(self.cutoff, RECORD)

    def remember(self, key: object, make: Callable[[], float]) -> float:
        """Return a number that was made of this trial before under a key, else make it and keep it in the store."""
        store = self.replay.triangle.store
        fit, loss = self.replay.triangle.recipe.fit_key(self.vintage), fingerprint(self.loss)
        named = digest(
            "trial number 2", version("mlwild"), fit, loss, self.survey.data_digest, self.cutoff, self.tried, key
        )
        if store.get(named, "number") is None:
            text = json.dumps(float(make())).encode()
            store.put(named, "number", lambda file: file.write(text))
        return float(json.loads(store.payload(named, "number").read_bytes()))

    def _shown(self, period: int) -> str:
        return self.survey.clock.show(int(self.survey.grid.edges[period]))

    def _fitted(self, vintage: Vintage) -> Fitted:
        triangle = self.replay.triangle
        first = int(self.survey.grid.row_start[vintage.cutoff])

        def kept(rows: Ints) -> NDArray[Any] | None:
            return kept_predictions(triangle, vintage, rows) if len(rows) and rows.min() >= first else None

        raw = None
        if not isinstance(self.app.models[triangle.model], Forecast):
            raw = triangle.fitted(vintage)
        return Fitted(f"{triangle.model} {vintage}", raw, self.survey.ask, self.survey.classes, self.loss, kept)
