"""One call that looks at what it is given, picks the procedure, says why, and refuses a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mlwild.comparisons import ordered, rows, running
from mlwild.comparisons.agents import agents
from mlwild.comparisons.answer import Comparison, listed, turned_back
from mlwild.comparisons.by_seed import by_seed
from mlwild.comparisons.folds import folds
from mlwild.comparisons.given import Counts, Folds, Given, Losses, Runs, Strategies, as_losses
from mlwild.comparisons.procedures import check_procedure, situation_of
from mlwild.comparisons.second import Prefer, choose
from mlwild.comparisons.strategies import strategies
from mlwild.errors import AppError
from mlwild.wording import number

#: Periods from which on they are the unit rather than the rows.
FEWEST_PERIODS = 20


@runtime_checkable
class Comparable(Protocol):
    """Anything that knows its models' losses on the same rows."""

    def comparable(self) -> Losses:
        """Return the losses, the living model first."""
        ...


def compare(
    given: Given | Comparable | Mapping[str, Any] | str | Path | Any,
    *,
    order: str | None = None,
    looking: str = "once",
    procedure: str | None = None,
    benchmark: str | None = None,
    prefer: Prefer | None = None,
    level: float = 0.95,
) -> Comparison:
    """
    Say which model is better by the procedure that suits what is given, and why that one.

    ====================================  =========================================================
    given                                 procedure
    ====================================  =========================================================
    2 models, rows in order of time       fixed-b HAC; Giacomini-White says when to prefer which
    more models, rows in order of time    model confidence set; SPA and StepM against a benchmark
    the same, while rows still come       confidence sequence and bets; sequential confidence set
    independent rows, right or wrong      McNemar; Cochran Q for more than 2
    independent rows, losses as numbers   paired t; model confidence set for more than 2
    rows of their own (`Counts`)          difference of proportions
    folds (`Folds`)                       corrected resampled t; 5x2cv F; .632+
    runs x tasks (`Runs`)                 interquartile means and the sign table; Welch's t on one task
    returns of strategies                 deflated Sharpe ratio, probability of overfitting
    ====================================  =========================================================

    Parameters
    ----------
    given : mapping, value, path or frame
        Losses by name (same rows, in order of time; lower is better), a `Losses`, `Runs`, `Folds`,
        `Strategies` or `Counts`, anything with a method `comparable`, or a table of past experiments
        (CSV, XLSX, Parquet or a frame; see `mlwild.comparisons.read_experiments`).
    order : {"time", "independent"}, optional
        Whether neighbouring rows may resemble each other; default what a `Losses` says, else "time",
        which holds in both cases.
    looking : {"once", "while running"}
        Whether rows still come and one looks again and again.
    procedure : str, optional
        Force one. It is refused, with the reason, where it is wrong.
    benchmark : str, optional
        Model that three or more are held against.
    prefer : "worst_case", mapping of str to float, or sequence of str, optional
        Second rule, where several cannot be told from the best: the mildest worst case, the least of
        these costs, or the first of these names (simplest first).
    level : float
        Coverage of intervals and sets, in [0.5, 1).

    Returns
    -------
    Comparison

    Raises
    ------
    AppError
        If there is one model only, a setting is out of its range, or the procedure is wrong here.
    DataError
        If losses are missing, not paired or no numbers.

    References
    ----------
    .. [1] Diebold, F. X. (2015). Comparing predictive accuracy, twenty years later. JBES, 33(1), 1-24.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> hard = rng.normal(1.0, 0.3, 400)
    >>> found = compare({"old": hard + 0.1 * rng.normal(size=400), "new": hard - 0.1 + 0.1 * rng.normal(size=400)})
    >>> found.best, found.method
    ('new', 'fixed-b HAC')
    """
    if not 0.5 <= level < 1:
        raise AppError(f"level: {level} must lie in [0.5, 1).")
    if order not in (None, "time", "independent"):
        raise AppError(f"order: {order!r} is not 'time' or 'independent'.")
    if looking not in ("once", "while running"):
        raise AppError(f"looking: {looking!r} is not 'once' or 'while running'.")
    value, negated = _value(given, order)
    names = names_of(value)
    if len(names) < 2 and not (isinstance(value, Strategies) and names):
        raise AppError(f"models: there is one only, {listed(names)}: nothing to compare it with.")
    if looking == "while running" and not isinstance(value, Losses):
        raise AppError("looking: only losses by row can be looked at while rows still come. Leave it out.")
    value = _unit(value, looking)
    check_procedure(procedure, value, looking)
    if benchmark is not None and (not isinstance(value, Losses) or len(names) < 3 or looking != "once"):
        raise AppError("benchmark: it is for three or more models on the same rows, looked at once.")
    found = _found(value, looking, procedure, benchmark, level)
    situation = situation_of(value, looking)
    found = replace(found, said=(*found.said, *_constant(value)), situation=situation, unit=_unit_of(value))
    found = turned_back(found) if negated else found
    return found if prefer is None else choose(found, value, prefer)


def names_of(value: Given) -> list[str]:
    """Return the names of what is compared."""
    if isinstance(value, Counts):
        return list(value.errors)
    return list(value.scores) if isinstance(value, Runs) else list(value.names)


def _value(given: Any, order: str | None) -> tuple[Given, bool]:
    """Return what is compared, and whether it holds scores with their sign turned."""
    if isinstance(given, Comparable):
        given = given.comparable()
    if isinstance(given, Losses):
        return given if order is None else replace(given, order=order), False
    if isinstance(given, Runs | Folds | Strategies | Counts):
        return given, False
    if isinstance(given, Mapping):
        if not given:
            raise AppError("models: there is none: nothing to compare.")
        return as_losses(given, order or "time"), False
    from mlwild.comparisons.experiments import Experiments, read_experiments

    table = given if isinstance(given, Experiments) else read_experiments(given)
    return table.given, table.schema.better == "greater" and isinstance(table.given, Losses | Folds)


def _unit(value: Given, looking: str) -> Given:
    """Return losses by what is independent, or by the calendar, where that is known."""
    if not isinstance(value, Losses) or looking != "once":
        return value
    if value.group is not None:
        return value.by_group()
    if value.order == "time" and value.period is not None and len(np.unique(value.period)) >= FEWEST_PERIODS:
        return value.by_period()
    return value


def _found(value: Given, looking: str, procedure: str | None, benchmark: str | None, level: float) -> Comparison:
    if isinstance(value, Runs):
        one_task = next(iter(value.scores.values())).shape[1] == 1
        return by_seed(value, level) if one_task else agents(value, level)
    if isinstance(value, Folds):
        return folds(value, level)
    if isinstance(value, Counts):
        return rows.counts(value, level)
    if isinstance(value, Strategies):
        return strategies(value, level)
    if looking == "while running":
        return running.while_running(value, level)
    if value.order == "independent":
        return rows.independent(value, level, procedure=procedure, benchmark=benchmark)
    return ordered.in_time(value, level, procedure=procedure, benchmark=benchmark)


def _unit_of(value: Given) -> str:
    """Return what the number of a comparison counts."""
    if isinstance(value, Losses):
        return value.unit
    return {Runs: "run", Folds: "fold", Strategies: "period"}.get(type(value), "row")


def _constant(value: Given) -> list[str]:
    """Name models that lose the same on every row, while others do not: that is often a fault."""
    if not isinstance(value, Losses) or len(value.losses) < 3:
        return []
    still = [place for place, column in enumerate(value.losses.T) if not np.ptp(column)]
    if not still or len(still) == len(value.names):
        return []
    name, loss = value.names[still[0]], float(value.losses[0, still[0]])
    return [f"{name!r} loses {number(loss, 3)} on every {value.unit}: is that a loss, or a column filled in?"]
