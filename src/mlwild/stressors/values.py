"""Stressors of values: what feeds and sensors do to the columns of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlwild.stressors.columns import blanked, changed, numbers, put, spread, taken, values, words
from mlwild.stressors.situation import Situation, chosen_rows

Floats = NDArray[np.float64]

ALL = "all columns"


@dataclass(frozen=True)
class Noise:
    """
    Normal noise on a column of numbers.

    Parameters
    ----------
    severities : sequence of float
        Standard deviation of the noise, in those of the column.

    Examples
    --------
    >>> Noise().severities
    (0.25, 0.5, 1.0, 2.0, 3.0)
    """

    severities: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 3.0)
    name: str = "noise"
    unit: str = "sd"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of numbers."""
        return numbers(situation.held)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Add noise to the column."""
        drawn = rng.normal(size=len(situation.held))
        held = changed(situation.held, case, lambda old: old + severity * spread(old) * drawn)
        return situation.with_held(held)


@dataclass(frozen=True)
class Missing:
    """
    Values of a column that do not arrive.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    """

    severities: Sequence[float] = (0.1, 0.25, 0.5, 1.0)
    name: str = "missing"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns, and all of them at once."""
        return [*situation.held.columns, ALL]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Make values missing."""
        held = situation.held
        rows = chosen_rows(len(held), severity, rng)
        for name in held.columns if case == ALL else [case]:
            held = blanked(held, name, rows)
        return situation.with_held(held)


@dataclass(frozen=True)
class UnitSlip:
    """
    A column of numbers in another unit.

    Parameters
    ----------
    severities : sequence of float
        Factors.
    """

    severities: Sequence[float] = (1.609, 10.0, 60.0, 1000.0)
    name: str = "unit slip"
    unit: str = "times"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of numbers."""
        return numbers(situation.held)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Multiply the column."""
        return situation.with_held(changed(situation.held, case, lambda old: old * severity))


@dataclass(frozen=True)
class SignFlip:
    """
    A column of numbers with its sign turned.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    """

    severities: Sequence[float] = (0.1, 0.5, 1.0)
    name: str = "sign flip"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of numbers."""
        return numbers(situation.held)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Turn signs."""
        rows = chosen_rows(len(situation.held), severity, rng)
        return situation.with_held(changed(situation.held, case, lambda old: np.where(rows, -old, old)))


@dataclass(frozen=True)
class Swapped:
    """
    Two columns of numbers that changed places; each is tried with its neighbour.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    """

    severities: Sequence[float] = (0.1, 0.5, 1.0)
    name: str = "swapped columns"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return neighbouring pairs."""
        names = numbers(situation.held)
        return [f"{left} and {right}" for left, right in pairwise(names)]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Swap values."""
        held = situation.held
        names = numbers(held)
        place = self.cases(situation).index(case)
        left, right = names[place], names[place + 1]
        rows = chosen_rows(len(held), severity, rng)
        first, second = values(held, left), values(held, right)
        held = changed(held, left, lambda old: np.where(rows, second, old))
        return situation.with_held(changed(held, right, lambda old: np.where(rows, first, old)))


@dataclass(frozen=True)
class Stuck:
    """
    A column that stays at one value for a stretch of the time.

    Parameters
    ----------
    severities : sequence of float
        Share of rows, one stretch.
    """

    severities: Sequence[float] = (0.1, 0.25, 0.5, 1.0)
    name: str = "stuck value"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of numbers or words."""
        return [*numbers(situation.held), *words(situation.held)]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Hold the column from a row on."""
        n = len(situation.held)
        length = round(severity * n)
        begin = int(rng.integers(0, n - length + 1))
        rows = np.arange(n)
        rows[begin : begin + length] = min(begin, n - 1)
        return situation.with_held(taken(situation.held, case, rows))


@dataclass(frozen=True)
class Stale:
    """
    Values that come late: each row has the column as it was some periods ago.

    Parameters
    ----------
    severities : sequence of float
        Periods. Rows whose earlier value is not among those on trial get the oldest that is.
    """

    severities: Sequence[float] = (0.1, 0.5, 1.0, 2.0)
    name: str = "stale"
    unit: str = "periods"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns, and all of them at once."""
        return [*situation.held.columns, ALL]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Take values of earlier rows."""
        held = situation.held
        periods = len(np.unique(held.period)) or 1
        back = round(severity * len(held) / periods)
        rows = np.maximum(np.arange(len(held)) - back, 0)
        for name in held.columns if case == ALL else [case]:
            held = taken(held, name, rows)
        return situation.with_held(held)


@dataclass(frozen=True)
class NewCategory:
    """
    A word that was never seen, in a column of words.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    word : str
    """

    severities: Sequence[float] = (0.01, 0.1, 0.5, 1.0)
    word: str = "never seen before"
    name: str = "new category"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of words."""
        return words(situation.held)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Put the word in."""
        import pyarrow as pa
        import pyarrow.compute as pc

        held = situation.held
        column = held.table.column(case)
        plain = column.cast(pa.string())
        rows = pa.array(chosen_rows(len(held), severity, rng))
        made = pc.if_else(rows, pa.scalar(self.word, pa.string()), plain)
        if pa.types.is_dictionary(column.type):
            made = pc.dictionary_encode(made)
        return situation.with_held(put(held, case, made))


@dataclass(frozen=True)
class Outliers:
    """
    Values far outside what is usual.

    Parameters
    ----------
    severities : sequence of float
        Share of rows.
    distance : float
        From the mean, in standard deviations of the column; on either side.
    """

    severities: Sequence[float] = (0.01, 0.05, 0.2)
    distance: float = 10.0
    name: str = "outliers"
    unit: str = "of rows"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of numbers."""
        return numbers(situation.held)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Put outliers in."""
        n = len(situation.held)
        rows, side = chosen_rows(n, severity, rng), rng.choice([-1.0, 1.0], n)

        def far(old: Floats) -> Floats:
            return np.where(rows, np.nanmean(old) + side * self.distance * spread(old), old)

        return situation.with_held(changed(situation.held, case, far))


@dataclass(frozen=True)
class Quantised:
    """
    A column of numbers rounded coarsely.

    Parameters
    ----------
    severities : sequence of float
        Step, in standard deviations of the column.
    """

    severities: Sequence[float] = (0.25, 0.5, 1.0, 2.0)
    name: str = "quantisation"
    unit: str = "sd"

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return the columns of numbers."""
        return numbers(situation.held)

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Round the column."""
        held = changed(
            situation.held, case, lambda old: np.round(old / (severity * spread(old))) * severity * spread(old)
        )
        return situation.with_held(held)
