"""A stressor as a transform: rows to learn from, as they would come under stress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import narwhals.stable.v2 as nw
import numpy as np

from mlwild import frames
from mlwild.errors import AppError
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.trial import Trial
from mlwild.stressors import Situation, Stressor


@dataclass(frozen=True)
class Stressed:
    """
    Rows under a stressor of features, for augmentation: ``patch(app, transform=Stressed(Noise(), 0.5))``.

    Parameters
    ----------
    stressor : Stressor
        One that changes features of rows and looks at nothing else.
    severity : float
        In the stressor's unit.
    case : str, optional
        What it is applied to, such as a column; default another one each time, by chance.

    Raises
    ------
    AppError
        If (when called) the stressor has no such case or none at all, or changes something else than features.

    Examples
    --------
    >>> from mlwild.stressors import Noise
    >>> X = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> made = Stressed(Noise(), 0.5, case="x1")(X, np.random.default_rng(0))
    >>> (made == X).tolist()
    [[True, False], [True, False]]
    """

    stressor: Stressor
    severity: float
    case: str | None = None

    def __call__(self, X: Any, rng: np.random.Generator) -> Any:  # noqa: N803
        """Return the rows under stress, in the same kind of frame."""
        situation = _situation(X)
        name = self.stressor.name
        try:
            cases = list(self.stressor.cases(situation))
            case = self._case(cases, rng)
            held = self.stressor.apply(situation, case, self.severity, rng).held
        except AttributeError as problem:  # there is no model and no history to look at
            raise AppError(
                f"transform: {name!r} looks at more than the features of rows; it cannot serve here."
            ) from problem
        if not held.changed or len(held) != len(situation.held):
            raise AppError(
                f"transform: {name!r} does not give the same rows with other features; it cannot serve here."
            )
        return held.features

    def _case(self, cases: list[str], rng: np.random.Generator) -> str:
        name = self.stressor.name
        if not cases:
            raise AppError(f"transform: {name!r} cannot be applied to these features.")
        if self.case is None:
            return cases[int(rng.integers(len(cases)))]
        if self.case not in cases:
            raise AppError(f"transform: {name!r} cannot be applied to {self.case!r}, but to {', '.join(cases)}.")
        return self.case


def _situation(X: Any) -> Situation:  # noqa: N803
    """Return bare rows as a situation: stressors of features look at neither trial nor model."""
    table, kind = frames.to_arrow(X, "features")
    n = table.num_rows
    number = np.arange(n)
    raw = nw.from_native(table, eager_only=True)
    held = Held(number, table, kind, np.zeros(n), None, number, np.zeros(n, np.int64), np.ones(n), {}, raw)
    return Situation(cast("Trial", None), cast("Fitted", None), held)
