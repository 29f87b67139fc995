"""The report of a stress run: the worst case first, then the expected, then how such promises were kept."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from mlwild.jsonable import plain
from mlwild.worstcase.certificates import Certificate, Record
from mlwild.worstcase.curves import Stressed
from mlwild.worstcase.ensembles import Ensemble
from mlwild.worstcase.skill import Skill
from mlwild.worstcase.strategy import Strategy


@dataclass(frozen=True)
class WorstCase:
    """
    One entry of the vector of worst cases.

    Parameters
    ----------
    kind : str
        "group", "subpopulation", "slice", "period", "window", "regime" or "stress".
    what : str
        The condition.
    loss : float
        Mean loss there.
    high : float
        Upper bound at the level; NaN where there is none.
    level : float
    n : int
        Rows, or periods, that it rests on.
    unit : str
        "rows" or "periods".
    searched : int
        Cases among which it was found.
    often : str
        How often such conditions happened.
    confirmed : bool
        Whether chance does not explain it; what is not confirmed heads no page.
    """

    kind: str
    what: str
    loss: float
    high: float
    level: float
    n: int
    unit: str
    searched: int
    often: str
    confirmed: bool = True

    @property
    def weight(self) -> float:
        """What the vector is ordered by: the bound, else the loss."""
        return self.high if math.isfinite(self.high) else self.loss


@dataclass(frozen=True)
class Expected:
    """
    The expected loss of a row, with a 90 % interval.

    Parameters
    ----------
    loss, low, high : float
    n : int
        Rows.
    periods : int
    since, until : str
    """

    loss: float
    low: float
    high: float
    n: int
    periods: int
    since: str
    until: str


@dataclass(frozen=True)
class StressReport:
    """
    What the worst case of an app is.

    Attributes
    ----------
    app, model, loss, unit : str
    every : str
        The cadence.
    worst : tuple of WorstCase
        Greatest bound first: the first is the headline.
    expected : Expected
    skill : tuple of Skill
        Of each declared group against each baseline, negative ones first; all rows last.
    next_ : tuple of Certificate
        What is promised of the next period, by kind.
    records : tuple of Record
        How such promises were kept.
    stressed : Stressed
        Severity curves.
    ensembles : tuple of Ensemble
    strategies : tuple of Strategy
    trial : str
        What was under stress.
    not_judged : tuple of (str, str)
        Kinds of worst cases that are not there, and why.
    """

    app: str
    model: str
    loss: str
    unit: str
    every: str
    worst: tuple[WorstCase, ...]
    expected: Expected
    skill: tuple[Skill, ...]
    next_: tuple[Certificate, ...]
    records: tuple[Record, ...]
    stressed: Stressed
    ensembles: tuple[Ensemble, ...]
    strategies: tuple[Strategy, ...]
    trial: str
    not_judged: tuple[tuple[str, str], ...] = ()

    @property
    def searched(self) -> int:
        """Cases that were searched in all."""
        return sum(one.searched for one in self.worst)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: numbers that are not known are None."""
        made = asdict(self)
        made["next"] = made.pop("next_")
        made["searched"] = self.searched
        made["stressed"]["reasons"] = self.stressed.reasons
        made["headline"] = made["worst"][0] if made["worst"] else None
        return dict(plain(made))
