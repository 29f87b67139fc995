"""What a test of the gate found: a verdict, and the evidence that it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mlwild.jsonable import plain

Word = Literal["pass", "fail", "error", "underpowered"]
#: Words that block.
RED = ("fail", "error")


@dataclass(frozen=True)
class Outcome:
    """
    What one test found.

    Parameters
    ----------
    verdict : {"pass", "fail", "error", "underpowered"}
        "error" where no verdict on the model was reached: the test, or the model, raised or is at fault. It blocks.
        Underpowered: the rows are too few to tell at the margin that matters; that is never green.
    said : str
        What was found, in a sentence.
    n : int
        Rows, or cases, that it rests on; 0 where rows play no part.
    estimate, low, high : float
        What was measured and its one-sided bounds; NaN where nothing was measured.
    limit : float
        What `estimate` is held against; NaN where there is no limit.
    blocks_good : float
        Chance that the test blocks a model that keeps the limit by its margin; NaN where it has none.
    rows : tuple of int
        Rows to look at first, numbered in order of time.
    parts : tuple of dict
        The same by part (group, column, severity), as plain data.

    Raises
    ------
    ValueError
        If a pass is claimed and a bound, or the estimate with a limit, is NaN: NaN never passes.

    Examples
    --------
    >>> Outcome("pass", "fine", n=100, estimate=0.1, high=0.2, limit=0.3).verdict
    'pass'
    >>> Outcome("pass", "fine", estimate=float("nan"), limit=0.3)
    Traceback (most recent call last):
    ...
    ValueError: NaN never passes: fine
    """

    verdict: Word
    said: str
    n: int = 0
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    limit: float = math.nan
    blocks_good: float = math.nan
    rows: tuple[int, ...] = ()
    parts: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a word that is none, and a pass that rests on NaN."""
        if self.verdict not in get_args(Word):
            raise ValueError(f"{self.verdict!r} is no verdict; it is one of {', '.join(get_args(Word))}.")
        if self.verdict == "pass" and not math.isnan(self.limit) and math.isnan(self.estimate):
            raise ValueError(f"NaN never passes: {self.said}")


class UnderpoweredError(AssertionError):
    """What a test of yours raises where its rows are too few to tell."""


@dataclass(frozen=True)
class Waived:
    """
    Who answers for a red test, until when.

    Parameters
    ----------
    by, on, until, why : str
        Days are ISO dates.
    """

    by: str
    on: str
    until: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """
    The outcome of one test in one run of the gate.

    Parameters
    ----------
    test : str
        Its name.
    family : str
        What it is about: "data", "leaks", "splits", "code", "behaviour", "slices", "improvement",
        "operation", "proxies" or "own".
    outcome : Outcome
    seconds : float
        What it cost.
    owner : str
        Who is to be asked; empty where nobody was named.
    waived : Waived or None
        A waiver that holds today; a red test that has one does not block.
    """

    test: str
    family: str
    outcome: Outcome
    seconds: float
    owner: str = ""
    waived: Waived | None = None

    @property
    def blocks(self) -> bool:
        """Whether it is red and nobody answers for it."""
        return self.outcome.verdict in RED and self.waived is None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: numbers that are not known are None."""
        made = {"test": self.test, "family": self.family, **asdict(self.outcome), "seconds": round(self.seconds, 4)}
        made |= {"owner": self.owner, "waived": None if self.waived is None else asdict(self.waived)}
        return {name: plain(value) for name, value in made.items()}


def worst(outcomes: Sequence[Outcome], said: str, *, all_said: str) -> Outcome:
    """
    Return the outcome of a requirement that has several parts: red if one is, else not green if one is not.

    Parameters
    ----------
    outcomes : sequence of Outcome
        At least one.
    said : str
        What the parts are, for the sentence of one that is not green: "group" gives "group 2 of 5: ...".
    all_said : str
        The sentence if all are green.

    Examples
    --------
    >>> parts = [Outcome("pass", "a is fine"), Outcome("fail", "b loses 0.4")]
    >>> worst(parts, "group", all_said="all groups are fine").said
    'b loses 0.4 (1 of 2 groups red)'
    """
    red = [one for one in outcomes if one.verdict in RED]
    yellow = [one for one in outcomes if one.verdict == "underpowered"]
    chance = min(sum(0.0 if math.isnan(one.blocks_good) else one.blocks_good for one in outcomes), 1.0)
    if not red and not yellow:
        worse = max(outcomes, key=lambda one: -math.inf if math.isnan(one.high) else one.high - one.limit)
        return replace(worse, said=all_said, n=sum(one.n for one in outcomes), blocks_good=chance)
    kind, first = ("red", max(red, key=_breach)) if red else ("underpowered", yellow[0])
    many = len(red or yellow)
    return replace(first, said=f"{first.said} ({many} of {len(outcomes)} {said}s {kind})", blocks_good=chance)


def _breach(one: Outcome) -> float:
    """Return by how much a limit is passed; infinite where it is not a matter of numbers."""
    return math.inf if math.isnan(one.limit) or math.isnan(one.estimate) else one.estimate - one.limit


def of_judged(outcomes: Sequence[Outcome], said: str, *, all_said: str) -> Outcome:
    """
    Return the outcome of a requirement on many parts, some of which have too few rows: they are told, and not judged.

    It is underpowered only if no part could be judged.

    Examples
    --------
    >>> parts = [Outcome("pass", "a is fine"), Outcome("underpowered", "b: 12 rows are too few")]
    >>> of_judged(parts, "group", all_said="no group is worse").said
    'no group is worse; 1 of 2 groups has too few rows to be judged'
    """
    judged = [one for one in outcomes if one.verdict != "underpowered"]
    if not judged:
        return worst(outcomes, said, all_said=all_said)
    few = len(outcomes) - len(judged)
    verb = "has" if few == 1 else "have"
    more = f"; {few} of {len(outcomes)} {said}s {verb} too few rows to be judged" if few else ""
    return worst(judged, said, all_said=all_said + more)


@dataclass
class Record:
    """What a test looked at: the most rows predicted in one call, the fewest in one mean, and which rows."""

    rows: int = 0
    calls: int = 0
    fewest: float = math.inf
    seen: list[NDArray[np.int64]] = field(default_factory=list)

    def note(self, rows: int) -> None:
        """Count one call."""
        self.calls += 1
        self.rows = max(self.rows, rows)

    def averaged(self, rows: int) -> None:
        """Count one mean over rows."""
        self.fewest = min(self.fewest, rows)

    def saw(self, rows: NDArray[np.int64]) -> None:
        """Note rows of the history, by number."""
        self.seen.append(rows)
