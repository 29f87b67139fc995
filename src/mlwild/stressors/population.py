"""Stressors of the population: the same rows, of which some count more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlwild.stressors.columns import numbers, spread, values
from mlwild.stressors.situation import Situation


@dataclass(frozen=True)
class Tilt:
    """
    A population tilted towards great or small values of a column: weights ``exp(severity * z)``.

    Parameters
    ----------
    severities : sequence of float
        By how many standard deviations the mean of a normal column moves.

    References
    ----------
    .. [1] Thams, N., Oberst, M., & Sontag, D. (2022). Evaluating robustness to dataset shift via parametric
       robustness sets. NeurIPS 35.
    """

    severities: Sequence[float] = (0.5, 1.0, 2.0)
    name: str = "population tilt"
    unit: str = "sd"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return each column of numbers, in both directions."""
        return [f"{side} {name}" for name in numbers(situation.held) for side in ("more", "less")]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Reweight the rows; a missing value counts as the mean."""
        side, name = case.split(" ", 1)
        column = values(situation.held, name)
        z = np.nan_to_num((column - np.nanmean(column)) / spread(column))
        power = np.clip((1 if side == "more" else -1) * severity * z, -20, 20)
        weight = situation.held.weight * np.exp(power - power.max())
        return situation.with_held(replace(situation.held, weight=weight * len(weight) / weight.sum()))


@dataclass(frozen=True)
class Only:
    """
    A population that is more of some rows: those of a group, a slice, a regime.

    Parameters
    ----------
    rows : mapping-like sequence of (str, tuple of int)
        Names, and the numbers of the periods that are in each.
    severities : sequence of float
        Share of the weight that these rows have.
    """

    rows: Sequence[tuple[str, tuple[int, ...]]]
    severities: Sequence[float] = (0.5, 0.9, 1.0)
    name: str = "regime"
    unit: str = "of the time"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return those that some rows, but not all, are in."""
        held = situation.held
        shares = {name: float(np.isin(held.period, periods).mean()) for name, periods in self.rows}
        return [name for name, share in shares.items() if 0 < share < 1]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Give the rows their share of the weight."""
        held = situation.held
        inside = np.isin(held.period, dict(self.rows)[case])
        mine, rest = held.weight[inside].sum(), held.weight[~inside].sum()
        total = mine + rest
        weight = held.weight * np.where(inside, severity * total / mine, (1 - severity) * total / rest)
        return situation.with_held(replace(held, weight=weight))
