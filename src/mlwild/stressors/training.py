"""Stressors of what the model learns from: labels that are wrong or come late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwild.stressors.situation import NothingToLearnError, Situation, chosen_rows

LABELS = "labels"


def _fits(situation: Situation) -> Sequence[str]:
    """Return the one case where the model can be fitted again, else none."""
    return [LABELS] if situation.trial.model.raw is not None else []


@dataclass(frozen=True)
class LabelFlips:
    """
    Training labels that are wrong: those of other rows.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    """

    severities: Sequence[float] = (0.1, 0.2, 0.3)
    name: str = "label flips"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return one case; none for published forecasts."""
        return _fits(situation)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Fit the model on labels of which some are wrong: another class, or another row's number."""
        learned = situation.trial.learned
        labels, rows = learned.labels.copy(), chosen_rows(len(learned), severity, rng)
        if learned.classes is None:
            labels[rows] = rng.permutation(labels[rows])
        else:
            labels[rows] = (labels[rows] + rng.integers(1, len(learned.classes), int(rows.sum()))) % len(
                learned.classes
            )
        return situation.with_model(situation.trial.fit(learned, labels=labels))


@dataclass(frozen=True)
class LabelDelay:
    """
    Labels that come later than they did: the newest rows cannot be learned from.

    Parameters
    ----------
    severities : sequence of float
        Periods.
    """

    severities: Sequence[float] = (1.0, 4.0, 8.0)
    name: str = "label delay"
    unit: str = "periods"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return one case; none for published forecasts, or where less than twice the delay was learned from."""
        return _fits(situation)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Fit the model on the rows that are older by so many periods."""
        learned = situation.trial.learned
        old = learned.period <= int(situation.held.period.min()) - 1 - severity
        # Rows before the first period have no number of their own; they are the oldest.
        kept = learned.where(old | (learned.period < 0))
        if len(kept) < 2 or (kept.classes is not None and len(np.unique(kept.labels)) < 2):
            raise NothingToLearnError(f"with labels {severity:g} periods late there is nothing to learn from")
        return situation.with_model(situation.trial.fit(kept))
