"""Stressors of your own, and one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.errors import AppError, DataError
from mlwild.stressors.situation import Situation, Stressor, unit_of

WHOLE = "all rows"


@dataclass(frozen=True)
class Own:
    """
    A stressor of your own: one function of features, severity and random numbers.

    Parameters
    ----------
    function : callable
        ``function(features, severity, rng)`` returns the features of the same rows under stress, in the same kind
        of frame.
    severities : sequence of float
        Mild ones first.
    name : str
        Default the name of the function.
    unit : str
        Of the severity.

    Raises
    ------
    AppError
        If it is no function, or there is no severity.

    Examples
    --------
    >>> def heat_wave(features, degrees, rng):
    ...     return features.assign(temp=features["temp"] + degrees)
    >>> Own(heat_wave, severities=(5.0, 10.0), unit="degrees").name
    'heat wave'
    """

    function: Callable[[Any, float, np.random.Generator], Any]
    severities: Sequence[float]
    name: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        """Check the fields, and find a name."""
        if not callable(self.function):
            raise AppError(f"stressors: {self.function!r} is not a function(features, severity, rng).")
        if not self.severities:
            raise AppError("stressors.severities: give one at least.")
        if not self.name:
            named = getattr(self.function, "__name__", "own")
            object.__setattr__(self, "name", named.replace("_", " "))

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return one case."""
        return [WHOLE]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """
        Call the function.

        Raises
        ------
        AppError
            If it raises, or does not return the same rows and columns: that is no fault of the model.
        """
        try:
            made = self.function(situation.held.features, severity, rng)
        except Exception as problem:
            said = " ".join(str(problem).split())[:200]
            raise AppError(f"stressors: {self.name!r} raised {type(problem).__name__}: {said}") from problem
        try:
            return situation.with_held(situation.held.with_features(made))
        except DataError as problem:
            raise AppError(f"stressors: {self.name!r}: {problem}") from problem


@dataclass(frozen=True)
class Both:
    """
    Two stressors, one after the other; mild with mild, and so on to the shorter end.

    Parameters
    ----------
    first, second : Stressor

    Examples
    --------
    >>> from mlwild.stressors import Missing, Noise
    >>> both = Both(Noise(), Missing())
    >>> both.name, both.severities
    ('noise, then missing', (0.0, 1.0, 2.0, 3.0))
    """

    first: Stressor
    second: Stressor

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.first.name}, then {self.second.name}"

    @property
    def unit(self) -> str:
        """Steps: each has severities of its own."""
        return f"step ({unit_of(self.first)}; {unit_of(self.second)})"

    @property
    def severities(self) -> Sequence[float]:
        """Numbers of the steps."""
        return tuple(float(step) for step in range(min(len(self.first.severities), len(self.second.severities))))

    def cases(self, situation: Situation) -> Sequence[str]:
        """Return cases that both have, or every pair where they share none."""
        mine, theirs = self.first.cases(situation), self.second.cases(situation)
        shared = [case for case in mine if case in theirs]
        return shared or [f"{one}; {other}" for one in mine for other in theirs]

    def apply(self, situation: Situation, case: str, severity: float, rng: np.random.Generator) -> Situation:
        """Apply one, then the other."""
        one, other = case.split("; ", 1) if "; " in case else (case, case)
        step = int(severity)
        once = self.first.apply(situation, one, self.first.severities[step], rng)
        return self.second.apply(once, other, self.second.severities[step], rng)
