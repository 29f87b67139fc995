"""What can be compared: values that say what the numbers are, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Losses:
    """
    Losses of several models on the same rows.

    Parameters
    ----------
    names : sequence of str
        The first is the one in use.
    losses : ndarray of shape (n_rows, n_models)
        Lower is better; rows in order of time unless `order` says otherwise.
    order : {"time", "independent"}
        Whether neighbours may resemble each other.
    period : ndarray of shape (n_rows,), optional
        Number of the period that each row belongs to, rising.
    group : ndarray of shape (n_rows,), optional
        Whom a row is about: rows of one customer or patient are no independent rows.
    bound : float, optional
        Greatest possible difference of two losses on a row; needed while rows still come.
    lag : int
        Rows from a prediction until its label is known, at least 1.
    unit : str
        What a row is: ``"row"``, or ``"period"``, ``"day"`` where rows are means over such.
    weights : ndarray of shape (n_rows,), optional
        Number of events behind each row; default one each.

    Raises
    ------
    AppError, DataError
        If a setting is out of its range, the shapes do not agree or a loss is not finite.

    Examples
    --------
    >>> Losses(["a", "b"], np.array([[0.1, 0.2], [np.nan, 0.3]]))
    Traceback (most recent call last):
    ...
    mlwild.errors.DataError: losses: the loss of 'a' is nan in row 1 (1 such value in all)...
    """

    names: Sequence[str]
    losses: Floats
    order: str = "time"
    period: NDArray[np.int64] | None = None
    group: NDArray[Any] | None = None
    bound: float | None = None
    lag: int = 1
    unit: str = "row"
    weights: Floats | None = None

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        if self.order not in ("time", "independent"):
            raise AppError(f"order: {self.order!r} is not 'time' or 'independent'.")
        table = _table(self.losses, self.names, "losses", "loss")
        object.__setattr__(self, "losses", table)
        object.__setattr__(self, "names", tuple(self.names))
        if self.lag < 1:
            raise AppError(f"lag: {self.lag} must be at least 1 row.")
        if self.bound is not None and not 0 < self.bound < np.inf:
            raise AppError(f"bound: {self.bound} must be a positive number.")
        for field_, values in (("weights", self.weights), ("period", self.period), ("group", self.group)):
            if values is not None and np.shape(values) != (len(table),):
                raise DataError(f"{field_}: have shape {np.shape(values)}, need one for each of {len(table)} rows.")
        if self.weights is not None and not (np.asarray(self.weights) > 0).all():
            raise DataError("weights: need numbers above 0; leave rows without events out.")
        if self.period is not None and (np.diff(self.period) < 0).any():
            raise DataError("period: falls from one row to the next. Sort the rows by time.")

    @property
    def series(self) -> Floats:
        """Losses whose plain means are the means over events, shape (n_rows, n_models)."""
        if self.weights is None:
            return self.losses
        weight = np.asarray(self.weights, dtype=np.float64)
        weight = weight / weight.mean()
        mean = weight @ self.losses / len(weight)
        # A ratio of two means varies as its numerator less the ratio times its denominator.
        return np.asarray(mean + weight[:, None] * (self.losses - mean), dtype=np.float64)

    def by_period(self) -> Losses:
        """Return mean losses by period, weighted by their rows; the lag becomes one in periods."""
        assert self.period is not None
        made = self._means(np.asarray(self.period))
        lag = max(1, math.ceil(self.lag * len(made.losses) / len(self.losses)))
        return replace(made, lag=lag, unit="period")

    def by_group(self) -> Losses:
        """Return mean losses by group, weighted by their rows; groups are independent."""
        assert self.group is not None
        return replace(self._means(np.asarray(self.group)), order="independent", lag=1, unit="group")

    def _means(self, of: NDArray[Any]) -> Losses:
        kinds, place = np.unique(of, return_inverse=True)
        own = np.ones(len(of)) if self.weights is None else np.asarray(self.weights, dtype=np.float64)
        weights = np.asarray(np.bincount(place, own, len(kinds)), dtype=np.float64)
        sums = np.stack([np.bincount(place, own * column, len(kinds)) for column in self.losses.T], axis=1)
        return replace(self, losses=sums / weights[:, None], weights=weights, period=None, group=None)


@dataclass(frozen=True, eq=False)
class Runs:
    """
    Scores of agents: runs (seeds) by tasks.

    Parameters
    ----------
    scores : mapping of str to ndarray of shape (n_runs, n_tasks)
        **Higher is better**; the same tasks in the same order. Means over tasks have a meaning only
        where scores of different tasks are of one size: see `normalised`.
    tasks : sequence of str
        Their names; may be left out.

    Raises
    ------
    DataError
        If a score is not finite, or the tasks differ in number.

    Examples
    --------
    >>> runs = Runs({"a": np.array([[10.0, 0.2], [30.0, 0.4]])}, tasks=["pong", "chess"])
    >>> runs.normalised(low={"pong": 0.0, "chess": 0.0}, high={"pong": 20.0, "chess": 0.4}).scores["a"]
    array([[0.5, 0.5],
           [1.5, 1. ]])
    """

    scores: Mapping[str, Floats]
    tasks: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        made = {}
        for name, scores in self.scores.items():
            table = _numbers(scores, f"scores of {name!r}")
            if table.ndim != 2 or not table.size:
                raise DataError(f"scores: those of {name!r} have shape {table.shape}, need (runs, tasks).")
            if not np.isfinite(table).all():
                run, task = (int(place) for place in np.argwhere(~np.isfinite(table))[0])
                where = repr(self.tasks[task]) if self.tasks else str(task)
                raise DataError(
                    f"scores: that of {name!r} in run {run} of task {where} is {table[run, task]}; a crashed run "
                    "needs a score too, such as the lowest."
                )
            made[name] = table
        widths = {table.shape[1] for table in made.values()} | ({len(self.tasks)} if self.tasks else set())
        if len(widths) > 1:
            raise DataError(f"scores: agents and names have {sorted(widths)} tasks; give all the same ones.")
        object.__setattr__(self, "scores", made)

    @classmethod
    def from_table(
        cls, table: Any, *, agent: str = "agent", task: str = "task", score: str = "score", better: str = "greater"
    ) -> Runs:
        """
        Return runs from a long table: one row a run, with columns for agent, task and score.

        Runs of a task are taken in the order of the table; every agent needs as many on each task.
        """
        from mlwild import frames

        arrow, _ = frames.to_arrow(table, "table")
        missing = [name for name in (agent, task, score) if name not in arrow.column_names]
        if missing:
            raise AppError(f"table: there is no column {missing[0]!r}; there is {', '.join(arrow.column_names)}.")
        if better not in ("greater", "lower"):
            raise AppError(f"better: {better!r} is not 'greater' or 'lower'.")
        sign = 1.0 if better == "greater" else -1.0
        cells: dict[str, dict[str, list[float]]] = {}
        columns = (arrow[name].to_pylist() for name in (agent, task, score))
        for row, (who, what, value) in enumerate(zip(*columns, strict=True)):
            try:
                number = sign * float(value) if value is not None else math.nan
            except (TypeError, ValueError):
                raise DataError(
                    f"table: column {score!r} holds {value!r} in row {row}; leave plain numbers in it."
                ) from None
            cells.setdefault(str(who), {}).setdefault(str(what), []).append(number)
        tasks = sorted({name for of_agent in cells.values() for name in of_agent})
        for name, of_agent in cells.items():
            sizes = {one: len(of_agent.get(one, ())) for one in tasks}
            if len(set(sizes.values())) > 1:
                short, most = min(sizes, key=sizes.__getitem__), max(sizes.values())
                raise DataError(
                    f"table: {name!r} has {sizes[short]} runs of task {short!r} and {most} of another one; give as "
                    "many runs of each task, or leave the task out for all."
                )
        return cls({name: np.array([of[one] for one in tasks]).T for name, of in cells.items()}, tasks)

    def normalised(self, *, low: Mapping[str, float], high: Mapping[str, float]) -> Runs:
        """Return scores with `low` of each task as 0 and `high` as 1, such as those of chance and of a human."""
        missing = [task for task in self.tasks if task not in low or task not in high]
        if not self.tasks or missing:
            raise AppError(f"low, high: say nothing of task {missing[0]!r}." if missing else "tasks: name them first.")
        zero = np.array([low[task] for task in self.tasks])
        wide = np.array([high[task] for task in self.tasks]) - zero
        if not wide.all():
            raise DataError(f"high: that of {self.tasks[int(np.argmin(wide != 0))]!r} is the same as low.")
        return Runs({name: (table - zero) / wide for name, table in self.scores.items()}, self.tasks)


@dataclass(frozen=True, eq=False)
class Folds:
    """
    Losses of models on the folds of a resampling of the same rows.

    Parameters
    ----------
    names : sequence of str
    losses : ndarray of shape (n_folds, n_models)
        Mean loss of each fold; for 5x2 cross-validation in the order 1a, 1b, 2a, 2b, ...; for the
        bootstrap on the rows left out of each round.
    test_share : float
        Share of the rows that each fold is tested on: 1/k for k folds. 0.368 for the bootstrap.
    scheme : {"resampled", "5x2", "bootstrap"}
    training : ndarray of shape (n_models,), optional
        For the bootstrap: error on its own rows of each model fitted to all.
    no_information : ndarray of shape (n_models,), optional
        For the bootstrap: see `mlwild.stats.classifiers.no_information_error`.

    Raises
    ------
    AppError, DataError
        If a setting is out of its range, the shapes do not agree or a loss is not finite.
    """

    names: Sequence[str]
    losses: Floats
    test_share: float
    scheme: str = "resampled"
    training: Floats | None = None
    no_information: Floats | None = None

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        if self.scheme not in ("resampled", "5x2", "bootstrap"):
            raise AppError(f"scheme: {self.scheme!r} is not 'resampled', '5x2' or 'bootstrap'.")
        object.__setattr__(self, "losses", _table(self.losses, self.names, "folds", "loss"))
        object.__setattr__(self, "names", tuple(self.names))
        if not 0 < self.test_share < 1:
            raise AppError(f"test_share: {self.test_share} must lie in (0, 1).")
        if self.scheme == "5x2" and len(self.losses) != 10:
            raise DataError(f"folds: 5x2 cross-validation has 10 folds, not {len(self.losses)}.")
        if len(self.losses) < 2:
            raise DataError("folds: there is one fold only, which shows no spread. Give two at least.")
        if self.scheme == "bootstrap":
            for field_, values in (("training", self.training), ("no_information", self.no_information)):
                if values is None or np.shape(values) != (len(self.names),) or not np.isfinite(values).all():
                    raise DataError(f"{field_}: the .632+ bootstrap needs one number for each model.")


@dataclass(frozen=True, eq=False)
class Strategies:
    """
    Returns of strategies over the same periods.

    Parameters
    ----------
    names : sequence of str
    returns : ndarray of shape (n_periods, n_strategies)
        In excess of the riskless return; **higher is better**. Every strategy that was tried, not only
        those that were kept.
    tries : int, optional
        Number of tries as counted from the record, where it holds more than these columns.

    Raises
    ------
    AppError, DataError
        If there are fewer tries than strategies, the shapes do not agree or a return is not finite.
    """

    names: Sequence[str]
    returns: Floats
    tries: int | None = None

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        object.__setattr__(self, "returns", _table(self.returns, self.names, "returns", "return"))
        object.__setattr__(self, "names", tuple(self.names))
        if self.tries is not None and self.tries < len(self.names):
            raise AppError(f"tries: {self.tries} is fewer than the {len(self.names)} strategies given.")
        still = [name for name, series in zip(self.names, self.returns.T, strict=True) if not np.ptp(series)]
        if still:
            raise DataError(f"returns: those of {still[0]!r} are the same in every period: no Sharpe ratio can be had.")


@dataclass(frozen=True)
class Counts:
    """
    Errors of models on rows of their own (not the same rows).

    Parameters
    ----------
    errors, rows : mapping of str to int
        Wrong answers, and answers in all, by model.

    Raises
    ------
    DataError
        If errors are not between 0 and the number of rows.
    """

    errors: Mapping[str, int]
    rows: Mapping[str, int]

    def __post_init__(self) -> None:
        """Check the counts."""
        for name, wrong in self.errors.items():
            if name not in self.rows or not 0 <= wrong <= self.rows[name] or not self.rows[name]:
                raise DataError(f"counts: {name!r} has {wrong} errors of {self.rows.get(name)} rows.")


Given = Losses | Runs | Folds | Strategies | Counts


def _numbers(values: Any, what: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise DataError(f"{what}: hold something that is no number: {problem}.") from None


def _table(values: Any, names: Sequence[str], what: str, one: str) -> Floats:
    table = _numbers(values, what)
    if table.ndim != 2 or table.shape[1] != len(names):
        raise DataError(f"{what}: have shape {table.shape}, need one column for each of {len(names)} names.")
    if not len(table):
        raise DataError(f"{what}: there is no row.")
    doubles = sorted({name for name in names if list(names).count(name) > 1})
    if doubles:
        raise AppError(f"names: {doubles[0]!r} is there twice.")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = (int(place) for place in bad[0])
        raise DataError(
            f"{what}: the {one} of {names[column]!r} is {table[row, column]} in row {row} ({len(bad)} such "
            f"value{'s' if len(bad) > 1 else ''} in all). Leave the row out for every model, or mend it."
        )
    return table


def _same_index(given: Mapping[str, Any]) -> None:
    """Refuse series whose rows are named otherwise than those of another one: by place they are not pairs."""
    named = {name: getattr(values, "index", None) for name, values in given.items()}
    series = [(name, list(index)) for name, index in named.items() if index is not None and not callable(index)]
    for name, index in series[1:]:
        first, rows = series[0]
        if len(index) == len(rows) and index != rows:
            row = next(place for place, (a, b) in enumerate(zip(rows, index, strict=True)) if a != b)
            raise DataError(
                f"losses: row {row} is {rows[row]!r} of {first!r} and {index[row]!r} of {name!r}: they are not of the "
                "same rows. Join them by the index first."
            )


def as_losses(given: Mapping[str, Any], order: str) -> Losses:
    """
    Return losses by name as a table; they must be of the same rows.

    Raises
    ------
    DataError
        If the models have different numbers of rows, or series another index: they cannot be paired.

    Examples
    --------
    >>> as_losses({"a": [0.1, 0.2], "b": [0.3, 0.1]}, "time").losses.shape
    (2, 2)
    """
    _same_index(given)
    columns = {str(name): _numbers(values, f"losses of {name!r}") for name, values in given.items()}
    for name, column in columns.items():
        if column.ndim != 1:
            raise DataError(f"losses: those of {name!r} have shape {column.shape}, need one number a row.")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise DataError(
            f"losses: {shortest!r} has {lengths[shortest]} rows and {longest!r} {lengths[longest]}: they are not of "
            "the same rows. Join them by the key of the row first; error counts of rows of their own go into Counts."
        )
    return Losses(list(columns), np.column_stack(list(columns.values())) if columns else np.zeros((0, 0)), order=order)
