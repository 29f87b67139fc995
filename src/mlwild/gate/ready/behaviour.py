"""What the model does when its inputs change: nothing, in one direction, or always upwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError
from mlwild.gate.bounds import at_most
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.trial import Trial
from mlwild.stressors.columns import changed, is_number, values

Floats = NDArray[np.float64]

#: Rows that edits are tried on, evenly spaced (of an entity one); steps of a column's range.
ROWS, STEPS = 2_000, 9


def _cases(trial: Trial, most: int) -> Held:
    """Return rows that are cases of their own: of an entity one, by chance, since its rows resemble each other."""
    held, entity = trial.events, trial.timeline.entity
    if entity is not None and len(held):
        order = np.random.default_rng(0).permutation(len(held))
        first = np.unique(entity[held.rows[order]], return_index=True)[1]
        held = held.where(np.sort(order[first]))
    return held if len(held) <= most else held.where(np.linspace(0, len(held) - 1, most).round().astype(np.int64))


def _edited(rows: Held, edit: Callable[[Any], Any], name: str) -> Held:
    """
    Return rows with their features edited.

    Raises
    ------
    AppError
        If the edit changes none: that the same rows get the same answers is no test.
    """
    made = rows.with_features(edit(rows.features))
    if len(rows) and made.table.equals(rows.table):
        raise AppError(f"tests: the edit of {name!r} changes no row, so that nothing is tested.")
    return made


def _answer(predicted: Floats) -> Floats:
    """Return one number a row: that of the last class where there are several."""
    return predicted if predicted.ndim == 1 else predicted[:, -1]


@dataclass(frozen=True)
class Invariant:
    """
    Predictions do not change under an edit that changes nothing that matters.

    Parameters
    ----------
    edit : callable
        ``edit(features)`` returns the features of the same rows, edited.
    at_most : float
        Share of rows whose prediction may change.
    tolerance : float
        Change of a prediction that is none.
    margin : float
        A model with a share smaller by this must not be blocked.
    name, owner : str

    References
    ----------
    .. [1] Ribeiro, M. T., et al. (2020). Beyond accuracy: behavioral testing of NLP models with CheckList. ACL.

    Examples
    --------
    >>> Invariant(lambda rows: rows.assign(tail_number="N1"), name="tail number does not matter").family
    'behaviour'
    """

    edit: Callable[[Any], Any]
    at_most: float = 0.02
    tolerance: float = 1e-6
    margin: float = 0.015
    name: str = "invariance"
    owner: str = ""
    family: str = "behaviour"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate: one case a row."""
        rows = _cases(trial, ROWS)
        before = trial.model.predictions(rows)
        after = trial.model.predictions(_edited(rows, self.edit, self.name))
        moved = np.abs(after - before).reshape(len(rows), -1).max(axis=1) > self.tolerance
        return at_most(
            moved.astype(np.float64),
            self.at_most,
            margin=self.margin,
            what="share of changed answers",
            independent=True,
        )


@dataclass(frozen=True)
class Directional:
    """
    Predictions move in one direction under an edit, or not at all.

    Parameters
    ----------
    edit : callable
        ``edit(features)`` returns the features of the same rows, edited.
    sign : {1, -1}
        Up or down: of the value, or of the probability of the greater class.
    at_most : float
        Share of rows that may move the other way.
    tolerance, margin, name, owner : see `Invariant`
    """

    edit: Callable[[Any], Any]
    sign: int
    at_most: float = 0.02
    tolerance: float = 1e-6
    margin: float = 0.015
    name: str = "direction"
    owner: str = ""
    family: str = "behaviour"

    def __post_init__(self) -> None:
        """Check the sign."""
        if self.sign not in (1, -1):
            raise AppError(f"tests: the sign {self.sign!r} of {self.name!r} is neither 1 nor -1.")

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate: one case a row."""
        rows = _cases(trial, ROWS)
        before = _answer(trial.model.predictions(rows))
        after = _answer(trial.model.predictions(_edited(rows, self.edit, self.name)))
        wrong = self.sign * (after - before) < -self.tolerance
        what = "share of answers that move the wrong way"
        return at_most(wrong.astype(np.float64), self.at_most, margin=self.margin, what=what, independent=True)


@dataclass(frozen=True)
class Monotone:
    """
    Predictions never fall (or never rise) as one feature rises, all else as it is.

    Each row is a case, whatever the number of steps: it is wrong if one step goes the wrong way.

    Parameters
    ----------
    column : str
        A feature of numbers; it takes nine values from its 2nd to its 98th percentile.
    sign : {1, -1}
        1 if predictions must not fall.
    at_most, tolerance, margin, owner : see `Invariant`

    References
    ----------
    .. [1] Goldstein, A., et al. (2015). Peeking inside the black box: visualizing statistical learning with plots of
       individual conditional expectation. JCGS, 24(1), 44-65.

    Examples
    --------
    >>> Monotone("income", 1).name
    'rises with income'
    """

    column: str
    sign: int
    at_most: float = 0.02
    tolerance: float = 1e-6
    margin: float = 0.015
    owner: str = ""
    family: str = "behaviour"
    rows: int = field(default=500)

    @property
    def name(self) -> str:
        """What is asked for."""
        return f"{'rises' if self.sign > 0 else 'falls'} with {self.column}"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        held = _cases(trial, self.rows)
        if self.column not in held.columns or not is_number(held.table.column(self.column)):
            raise AppError(f"tests: {self.column!r} is no feature of numbers; there is {', '.join(held.columns[:12])}.")
        known = values(trial.events, self.column)
        steps = np.unique(np.quantile(known[np.isfinite(known)], np.linspace(0.02, 0.98, STEPS)))
        if len(steps) < 2:
            raise AppError(f"tests: {self.column!r} has one value only, so that nothing rises or falls with it.")
        answers = np.stack(
            [
                _answer(trial.model.predictions(changed(held, self.column, lambda old, to=step: np.full_like(old, to))))  # type: ignore[misc]
                for step in steps
            ]
        )
        wrong = np.any(self.sign * np.diff(answers, axis=0) < -self.tolerance, axis=0)
        what = f"share of rows for which it {'falls' if self.sign > 0 else 'rises'}"
        return at_most(np.asarray(wrong, np.float64), self.at_most, margin=self.margin, what=what, independent=True)


@dataclass(frozen=True)
class Churn:
    """
    Few answers that were right under the champion are wrong now.

    For numbers: few rows whose absolute error grows by more than half a standard deviation of the labels.

    Parameters
    ----------
    at_most : float
        Share of rows.
    margin : float
        A model with a share smaller by this must not be blocked.
    owner : str

    References
    ----------
    .. [1] Yan, S., et al. (2021). Positive-congruent training: towards regression-free model updates. CVPR.
    """

    at_most: float = 0.1
    margin: float = 0.03
    owner: str = ""
    name: str = "churn"
    family: str = "improvement"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return "" if trial.champion is not None else "nothing was live before it"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        assert trial.champion is not None
        rows = trial.events
        ours, theirs = (_wrong(one.predictions(rows), rows) for one in (trial.model, trial.champion))
        limit = 0.5 * float(rows.labels.std()) if rows.classes is None else 0.5
        flips = ours - theirs > limit
        return at_most(
            flips.astype(np.float64),
            self.at_most,
            margin=self.margin,
            what="share of answers that were right and are wrong",
            weights=rows.weights,
            entities=rows.entity,
        )


def _wrong(predicted: Floats, rows: Held) -> Floats:
    """Return 1 for a wrong class, or the absolute error."""
    if rows.classes is None:
        return np.asarray(np.abs(predicted - rows.labels), dtype=np.float64)
    if predicted.ndim == 2:
        said = predicted.argmax(axis=1)
    elif len(rows.classes) == 2 and ((predicted >= 0) & (predicted <= 1)).all():
        said = (predicted > 0.5).astype(np.int64)
    else:
        said = predicted.astype(np.int64)
    return np.asarray(said != rows.labels, dtype=np.float64)
