"""Small faults of the inputs do not make the model worse than nothing, or silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.gate import baselines
from mlwild.gate.bounds import BETA, bounds_of, judged
from mlwild.gate.outcome import Outcome, of_judged
from mlwild.gate.ready.paired import mean_loss
from mlwild.gate.trial import Trial
from mlwild.stressors import Missing, Noise, Outliers, Situation, Stale, Stressor
from mlwild.stressors.values import ALL
from mlwild.wording import count, number

Floats = NDArray[np.float64]

#: Rows that faults are tried on, evenly spaced.
ROWS = 3_000


def _situation(trial: Trial) -> Situation:
    rows = trial.events
    if len(rows) > ROWS:
        rows = rows.where(np.linspace(0, len(rows) - 1, ROWS).round().astype(np.int64))
    return Situation(trial, trial.model, rows)


def constant_loss(trial: Trial) -> float:
    """Return the mean loss of the best constant on the rows on trial: what a model that does nothing loses."""
    rows = trial.events
    n_classes = 0 if rows.classes is None else len(rows.classes)
    start = baselines.constant(trial.learned.labels, trial.learned.weight, n_classes, trial.loss, trial.model.ask)
    return mean_loss(trial.loss, rows, np.repeat(start[None], len(rows), axis=0).astype(np.float64))


@dataclass(frozen=True)
class Corruption:
    """
    A mild fault of a single column costs at most half of what the model gains over a constant.

    Parameters
    ----------
    stressors : sequence of Stressor
        Each at its mildest severity.
    share : float
        Share of the gain that a fault may cost.
    margin : float
        A model that keeps this with so much of the gain to spare must not be blocked.
    owner : str

    References
    ----------
    .. [1] Hendrycks, D., & Dietterich, T. (2019). Benchmarking neural network robustness to common corruptions and
       perturbations. ICLR.

    Examples
    --------
    >>> [stressor.name for stressor in Corruption().stressors]
    ['noise', 'missing', 'outliers']
    """

    stressors: Sequence[Stressor] = (Noise((0.25,)), Missing((0.1,)), Outliers((0.01,)))
    share: float = 0.5
    margin: float = 0.25
    owner: str = ""
    name: str = "mild corruption"
    family: str = "behaviour"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return _no_gain(trial)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate on every column under every fault; the same rows with and without it."""
        calm, gain = _situation(trial), _gain(trial)
        clean = calm.model.losses(calm.held)
        cases = [(one, case) for one in self.stressors for case in one.cases(calm) if case != ALL]
        outcomes, facts = [], []
        for stressor, case in cases:
            made = self._case(calm, clean, stressor, case, gain, BETA / len(cases))
            if made is not None:
                outcomes.append(made)
                facts.append({"stressor": stressor.name, "case": case, "rise": made.estimate, "high": made.high})
        if not outcomes:
            return Outcome("underpowered", "there is no column to try faults on")
        top = max(range(len(facts)), key=lambda place: outcomes[place].estimate)
        dearest = (
            f"the dearest, {facts[top]['stressor']} in {facts[top]['case']}, adds {number(outcomes[top].estimate, 3)}"
        )
        said = f"{len(outcomes)} mild faults: {dearest}; the limit is {number(self.share * gain, 3)}"
        return replace(of_judged(outcomes, "fault", all_said=said), parts=tuple(facts))

    def _case(
        self, calm: Situation, clean: Floats, stressor: Stressor, case: str, gain: float, beta: float
    ) -> Outcome | None:
        severity = stressor.severities[0]
        under = stressor.apply(calm, case, severity, np.random.default_rng(0))
        what = f"rise of the loss with {stressor.name} ({severity:g}) in {case}"
        try:
            lost = under.model.losses(under.held)
        except ValueError as problem:
            if stressor.name == "missing":  # a model that never saw a gap may refuse one: see `AnswersGaps`
                return None
            return Outcome("fail", f"{what}: it gives no answer ({problem})", n=len(under.held))
        found = bounds_of(lost - clean, weights=under.held.weights, entities=under.held.entity)
        return judged(found, self.share * gain, margin=self.margin * gain, what=what, beta=beta)


def _gain(trial: Trial) -> float:
    """Return what the model gains over the best constant, per row."""
    return constant_loss(trial) - trial.model.mean_loss(trial.events)


def _no_gain(trial: Trial) -> str:
    if trial.model.raw is None:
        return "a published forecast reads no features"
    if trial.loss.per != "row":
        return "the loss is one of sets"
    return "" if _gain(trial) > 0 else "it gains nothing over a constant that a fault could cost"


@dataclass(frozen=True)
class AnswersGaps:
    """
    Features that were missing before may be missing again: the model answers.

    Parameters
    ----------
    columns : sequence of str, optional
        Features that must be allowed to be missing; default those that were in the rows it learned from or is
        tried on.
    owner : str

    Examples
    --------
    >>> AnswersGaps(["wind_speed"]).name
    'answers with gaps'
    """

    columns: Sequence[str] | None = None
    owner: str = ""
    name: str = "answers with gaps"
    family: str = "behaviour"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        if trial.model.raw is None:
            return "a published forecast reads no features"
        return "" if self._columns(trial) else "no feature was ever missing"

    def _columns(self, trial: Trial) -> list[str]:
        if self.columns is not None:
            return list(self.columns)
        both = (trial.events.table, trial.learned.table)
        return [name for name in trial.events.columns if any(_gaps(table.column(name)) for table in both)]

    def judge(self, trial: Trial) -> Outcome:
        """Make each column missing in every row."""
        calm = _situation(trial)
        columns = self._columns(trial)
        for name in columns:
            under = Missing((1.0,)).apply(calm, name, 1.0, np.random.default_rng(0))
            try:
                under.model.predict(under.held.features)
            except Exception as problem:  # noqa: BLE001  the user's model may raise anything; that is the finding
                why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
                return Outcome("fail", f"with {name!r} missing it gives no answer ({why})", n=len(calm.held))
        any_ = "its one feature" if len(columns) == 1 else f"any one of {len(columns)} features"
        return Outcome("pass", f"it answers with {any_} missing", n=len(calm.held))


@dataclass(frozen=True)
class AnswersAll:
    """
    Every row on trial gets an answer; those that got none in the rehearsal are asked for again, one by one.

    Parameters
    ----------
    at_most : float
        Share of rows that may get none.
    owner : str

    Examples
    --------
    >>> AnswersAll().name
    'answers every row'
    """

    at_most: float = 0.0
    owner: str = ""
    name: str = "answers every row"
    family: str = "behaviour"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return "a published forecast reads no features" if trial.model.raw is None else ""

    def judge(self, trial: Trial) -> Outcome:
        """Ask for the rows that were left out, each alone."""
        left = trial.unanswered
        n, mute, why = len(trial.events) + len(left), [], ""
        for place in range(len(left)):
            one = left.where(np.array([place]))
            try:
                trial.model.predict(one.features)
            except Exception as problem:  # noqa: BLE001  the user's model may raise anything; that is the finding
                mute.append(int(one.rows[0]))
                why = why or f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        share = len(mute) / n if n else 1.0
        facts: dict[str, Any] = {"n": n, "estimate": share, "limit": self.at_most}
        if share > self.at_most:
            said = f"{count(len(mute))} of {count(n)} rows get no answer ({why or 'there is no row'})"
            return Outcome("fail", said, rows=tuple(mute[:5]), **facts)
        told = f"; in the rehearsal {count(len(left))} got none, as they came with one that is refused"
        return Outcome(
            "pass", f"all but {count(len(mute))} of {count(n)} rows get an answer{told if len(left) else ''}", **facts
        )


def _gaps(column: object) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.is_null(column, nan_is_null=True)).as_py())


@dataclass(frozen=True)
class StaleFeatures:
    """
    Features as they were a while ago cost at most half of what the model gains over a constant.

    Parameters
    ----------
    periods : float
        How long ago, in periods of the app.
    columns : sequence of str, optional
        Default all.
    share, margin : float
        As for `Corruption`.
    owner : str

    Examples
    --------
    >>> StaleFeatures(0.02, ["temperature"]).family
    'behaviour'
    """

    periods: float
    columns: Sequence[str] | None = None
    share: float = 0.5
    margin: float = 0.25
    owner: str = ""
    name: str = "stale features"
    family: str = "behaviour"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return _no_gain(trial)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate on the same rows with and without it."""
        calm, gain = _situation(trial), _gain(trial)
        under = calm
        for name in self.columns or [ALL]:
            under = Stale((self.periods,)).apply(under, name, self.periods, np.random.default_rng(0))
        rise = under.model.losses(under.held) - calm.model.losses(calm.held)
        found = bounds_of(rise, weights=calm.held.weights, entities=calm.held.entity)
        what = f"rise of the loss with features {self.periods:g} periods old"
        return judged(found, self.share * gain, margin=self.margin * gain, what=what)
