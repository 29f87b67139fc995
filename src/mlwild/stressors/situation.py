"""What a stressor changes: the model, the rows, or how much each row counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.trial import Trial


@dataclass(frozen=True, eq=False)
class Situation:
    """
    A model before some rows.

    Parameters
    ----------
    trial : Trial
        Where both are from.
    model : Fitted
    held : Held
        Labelled rows in order of time that the model did not learn from.
    """

    trial: Trial
    model: Fitted
    held: Held

    def with_held(self, held: Held) -> Situation:
        """Return the same model before other rows."""
        return replace(self, held=held)

    def with_model(self, model: Fitted) -> Situation:
        """Return another model before the same rows."""
        return replace(self, model=model)


class Stressor(Protocol):
    """
    A transformation with a severity.

    A correct stressor is a frozen dataclass; `apply` is a pure function of the situation, the case, the severity
    and the random numbers, and leaves the situation that it was given as it was. Greater severities are worse
    things to happen. It may also have `unit`, that of the severity.
    """

    @property
    def name(self) -> str:
        """Name in tables; unique in a run."""
        ...

    @property
    def severities(self) -> Sequence[float]:
        """Declared severities, mild ones first."""
        ...

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return what it can be applied to, such as the names of columns; none where it does not apply."""
        ...

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Return the situation under stress: the same rows with the same labels, in the same order."""
        ...


class NothingToLearnError(ValueError):
    """Under this stress there is nothing to learn from: no fault of the stressor."""


def unit_of(stressor: Stressor) -> str:
    """Return the unit of a stressor's severities; empty where it has none."""
    return str(getattr(stressor, "unit", ""))


def chosen_rows(n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """
    Choose a share of rows at random; a greater share holds the rows of a smaller one drawn by the same seed.

    Examples
    --------
    >>> few, many = (chosen_rows(1000, share, np.random.default_rng(0)) for share in (0.1, 0.5))
    >>> bool((few <= many).all()), int(many.sum())
    (True, 500)
    """
    place = np.empty(n, np.int64)
    place[rng.permutation(n)] = np.arange(n)
    return np.asarray(place < round(share * n))
