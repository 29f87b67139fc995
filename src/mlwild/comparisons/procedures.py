"""Which procedure suits which situation, and why another one is wrong there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwild.comparisons.given import Counts, Folds, Given, Losses, Runs
from mlwild.comparisons.ordered import blocks_of
from mlwild.comparisons.rows import is_right_or_wrong
from mlwild.errors import AppError
from mlwild.stats.memory import effective_rows
from mlwild.wording import count


@dataclass(frozen=True)
class Situation:
    """
    What was given, in words, what suits it, and why others do not.

    Parameters
    ----------
    name : str
    suits : tuple of str
        Procedures, the default first.
    wrong : str
        Why another one is wrong.
    """

    name: str
    suits: tuple[str, ...]
    wrong: str


_NEIGHBOURS = (
    "rows in order of time resemble their neighbours, and a test that takes them for independent then finds a "
    "difference between equal models in up to half of cases"
)
_PAIRS = "a test of each pair finds a best one among equal models by luck"

SITUATIONS = {
    "two in time": Situation(
        "two models on rows in order of time", ("fixed-b HAC", "batch means", "Diebold-Mariano"), _NEIGHBOURS
    ),
    "many in time": Situation(
        "several models on rows in order of time", ("model confidence set",), f"{_NEIGHBOURS}; and {_PAIRS}"
    ),
    "two running": Situation(
        "two models while rows still come",
        ("confidence sequence and bets",),
        "a test repeated at each look finds a difference between equal models in a third of cases",
    ),
    "many running": Situation(
        "several models while rows still come",
        ("sequential model confidence set",),
        f"a test repeated at each look finds a difference between equal models in a third of cases; and {_PAIRS}",
    ),
    "two right or wrong": Situation(
        "two models that are right or wrong on the same independent rows",
        ("McNemar",),
        "only rows on which one of the two errs can tell them apart, and these must be counted in pairs",
    ),
    "many right or wrong": Situation(
        "several models that are right or wrong on the same independent rows",
        ("Cochran Q", "model confidence set"),
        _PAIRS,
    ),
    "two independent": Situation(
        "two models on the same independent rows", ("paired t",), "losses are numbers, in pairs, of independent rows"
    ),
    "many independent": Situation("several models on the same independent rows", ("model confidence set",), _PAIRS),
    "folds": Situation(
        "models on folds that share rows",
        ("corrected resampled t",),
        "folds share training rows, and a test that takes them for independent finds differences that are not there",
    ),
    "5x2 folds": Situation("two models on 5x2 folds", ("5x2cv F",), "the two folds of a replication share no rows"),
    "runs": Situation(
        "agents over runs and tasks",
        ("interquartile mean",),
        "runs are the unit, tasks differ in size, and a mean is ruled by a few of them",
    ),
    "seeds": Situation(
        "configurations over seeds on one task",
        ("Welch t",),
        "runs are the unit, and seeds that two configurations share make no pairs",
    ),
    "strategies": Situation(
        "the best of many strategies",
        ("deflated Sharpe",),
        "the best of many tries looks good by luck, which a test of that one alone does not count",
    ),
    "counts": Situation(
        "models on rows of their own", ("difference of proportions",), "the rows are not the same, so nothing is paired"
    ),
}

KNOWN = ("plain t", "z test", *dict.fromkeys(name for one in SITUATIONS.values() for name in one.suits))


def situation_of(value: Given, looking: str) -> str:
    """Return the name of the situation."""
    if isinstance(value, Runs):
        return "seeds" if next(iter(value.scores.values())).shape[1] == 1 else "runs"
    if isinstance(value, Folds):
        return "5x2 folds" if value.scheme == "5x2" else "folds"
    if isinstance(value, Counts):
        return "counts"
    if not isinstance(value, Losses):
        return "strategies"
    many = "two" if len(value.names) == 2 else "many"
    if looking == "while running":
        return f"{many} running"
    if value.order == "time":
        return f"{many} in time"
    return f"{many} right or wrong" if is_right_or_wrong(value) else f"{many} independent"


def check_procedure(procedure: str | None, value: Given, looking: str) -> None:
    """
    Refuse a procedure that is wrong for what is given, with the reason.

    Raises
    ------
    AppError
        If it is unknown or wrong here.
    """
    if procedure is None:
        return
    if procedure not in KNOWN:
        raise AppError(f"procedure: {procedure!r} is not known; there is {', '.join(KNOWN)}.")
    situation = SITUATIONS[situation_of(value, looking)]
    if procedure not in situation.suits:
        raise AppError(
            f"procedure: {procedure!r} is wrong for {situation.name}: {situation.wrong}. Leave it out and "
            f"{situation.suits[0]!r} is used."
        )
    if procedure == "Diebold-Mariano" and isinstance(value, Losses):
        short = blocks_of(value)
        gap = (short.series[:, 0] - short.series[:, 1])[:: short.lag]
        worth = effective_rows(gap)
        if np.ptp(gap) and worth < 0.7 * len(gap):
            raise AppError(
                f"procedure: 'Diebold-Mariano' takes differences {value.lag} {value.unit}s apart for independent; "
                f"here {count(len(gap))} of them count as {count(worth)}, and it would find differences that are not "
                "there. Leave it out and 'fixed-b HAC' is used."
            )
