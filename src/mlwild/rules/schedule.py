"""Rules that look at the calendar only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlwild.records import Keep, Retrain, Update
from mlwild.rules.view import Decision, View


@dataclass(frozen=True)
class Never:
    """
    Never retrain.

    Examples
    --------
    >>> Never().name
    'never'
    """

    name: str = "never"

    def decide(self, view: View, memory: Any) -> Decision:
        """Keep."""
        return Decision(Keep())


@dataclass(frozen=True)
class Every:
    """
    Retrain (or update) at every so many cutoffs.

    Parameters
    ----------
    periods : int
        1 for always.
    window : str, optional
        Training window; default the app's first.
    update : bool
        Update the live vintage instead.

    Examples
    --------
    >>> Every(4).name, Every(1).name, Every(2, window="28D").name, Every(1, update=True).name
    ('every 4', 'always', 'every 2 (28D)', 'always update')
    """

    periods: int
    window: str | None = None
    update: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        often = "always" if self.periods == 1 else f"every {self.periods}"
        window = f" ({self.window})" if self.window else ""
        return often + (" update" if self.update else "") + window

    def decide(self, view: View, memory: Any) -> Decision:
        """Act when the schedule says so."""
        if view.cutoff % self.periods:
            return Decision(Keep())
        action = Update() if self.update else Retrain(self.window)
        return Decision(action, "the schedule says so")
