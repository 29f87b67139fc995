"""A contract from a history: with slack, so that the honest next period passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER, Clock, Duration
from mlwild.contracts import slack
from mlwild.contracts.column import Column
from mlwild.contracts.guesses import FEWEST_PERIODS, plan
from mlwild.contracts.periods import Periods, cut, times_of
from mlwild.contracts.statistics import measured
from mlwild.contracts.tables import Columns, columns_of, missing_of, numbers_of
from mlwild.contracts.terms import Contract, Statistic, Terms
from mlwild.errors import DataError
from mlwild.stats.prediction import next_reach

#: Blocks of rows that stand for periods where there is no time.
BLOCKS = 24

Made = tuple[Column, str, int]


@dataclass(frozen=True)
class Inferred:
    """
    A contract that a history suggests.

    Parameters
    ----------
    contract : Contract
    notes : dict of (table, column) to str
        What was seen, for the comments.
    periods : int
        Whole periods that it was learned from.
    chance : float
        Share of the rate that each limit got.
    """

    contract: Contract
    notes: dict[tuple[str, str], str]
    periods: int
    chance: float


def infer(
    data: Any,
    *,
    features: Any = None,
    time: str | None = None,
    every: str | int | None = None,
    start: date | datetime | int | None = None,
    label: str | None = None,
    late: Sequence[str] = (),
    key: Sequence[str] = (),
    rate: float = 0.05,
) -> Inferred:
    """
    Return the contract that a history suggests.

    Its promise: on a stationary stream the next period breaks it with a chance of at most `rate`, which the limits
    share evenly; what never happened in the history (a gap, a category, a change of a constant, a negative number)
    is taken for impossible, and breaks it with a chance of at most one in the number of periods plus one if it does
    happen after all. The history itself keeps the contract, unless it holds an infinite number.

    What names things has no limit where names go on: columns of `key` have none, and whole numbers that rise, or whose
    greatest value goes up from period to period, have none above. Numbers that were 0 and 1 alone are truth values:
    their limits are 0 and 1, without slack.

    Parameters
    ----------
    data : table of n_rows
        In order of time.
    features : table or ndarray of n_rows, optional
        Row for row with `data`.
    time : str, optional
        Column of the time; without it 24 blocks of rows stand for the periods.
    every : str or int, optional
        Length of a period, such as ``"7D"``; needed with `time`.
    start : date, datetime or int, optional
        Where one of the periods begins; default the start of the first day.
    label : str, optional
        Column whose mean, upper percentile and greatest value are held by period.
    late : sequence of str
        Columns that are known later than the rest, or never: they may be missing.
    key : sequence of str
        Columns that together name a row once.
    rate : float
        Chance that the honest next period breaks the contract.

    Returns
    -------
    Inferred

    Raises
    ------
    DataError
        If there are fewer than eight whole periods.

    References
    ----------
    .. [1] Polyzotis, N., Zinkevich, M., Roy, S., Breck, E., & Whang, S. (2019). Data validation for machine
       learning. MLSys 1, 334-347.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> power = pa.table({"hour": np.arange(2400), "power": rng.normal(30.0, 2.0, 2400)})
    >>> made = infer(power, time="hour", every=100).contract
    >>> made.data.columns["power"].low, made.data.columns["power"].high
    (17.0, 41.0)
    """
    table = columns_of(data, "data")
    if table.mixed:
        name, (row, value, said) = next(iter(table.mixed.items()))
        raise DataError(f"data: column {name!r} {said}, {value} in row {row}. Read it as one kind.")
    periods, start = _cut(table, time, every, start)
    parts = {"data": table} if features is None else {"data": table, "features": columns_of(features, "features")}
    plans = {(where, name): plan(one, name, periods, late, time) for where, one in parts.items() for name in one.names}
    limits = sum(count for _, count in plans.values()) + 2 + (7 if label else 0)
    chance = rate / limits
    made = {place: make(chance) for place, (make, _) in plans.items()}
    terms = {where: {name: made[where, name][0] for name in one.names} for where, one in parts.items()}
    statistics = _statistics(table, periods, terms["data"], label, chance)
    for columns in terms.values():
        for name in key:
            if name in columns and columns[name].kind in ("number", "integer"):
                columns[name] = replace(columns[name], low=None, high=None, longest_run=None, typical=None)
    if len(key) == 1:
        terms["data"][key[0]] = replace(terms["data"][key[0]], unique=True, longest_run=None)
    contract = Contract(
        Terms(terms["data"], statistics, tuple(key) if len(key) > 1 else ()),
        Terms(terms["features"]) if features is not None else None,
        time,
        every if time is not None else None,
        start,
        periods.min_rows,
    )
    return Inferred(contract, {place: note for place, (_, note) in made.items()}, len(periods), chance)


def _cut(table: Columns, time: str | None, every: Any, start: Any) -> tuple[Periods, Any]:
    if time is None:
        if table.n < BLOCKS:
            raise DataError(f"contract: {table.n} rows are too few to infer from; at least {BLOCKS} are needed.")
        index = np.arange(table.n) * BLOCKS // table.n
        names = tuple(f"row {np.searchsorted(index, k)}" for k in range(BLOCKS))
        return Periods(index, names, timed=False), None
    times, clock = times_of(table.arrays[time], time)
    if start is None:
        start = _day(clock, int(times[times != NEVER].min()), Duration.parse(every, "every"))
    periods = cut(times, clock, every, start)
    if len(periods) < FEWEST_PERIODS:
        raise DataError(
            f"contract: the history has {len(periods)} whole periods of {Duration.parse(every, 'every')}, and "
            f"{FEWEST_PERIODS} are needed to see what is usual. Use a shorter `every`, or a longer history."
        )
    usual = int(np.median(periods.rows))
    periods = replace(periods, min_rows=max(30, 10 ** math.floor(math.log10(max(usual, 10))) // 10))
    if int(periods.judged.sum()) < FEWEST_PERIODS:
        raise DataError(
            f"contract: only {int(periods.judged.sum())} periods have {periods.min_rows} rows or more, and "
            f"{FEWEST_PERIODS} are needed to see what is usual. Use a longer `every`, or a longer history."
        )
    return periods, start


def _day(clock: Clock, first: int, every: Duration) -> Any:
    if clock.kind == "tick":
        return first
    wall = clock.local(clock.floor(first, every)).replace(tzinfo=None)
    return wall.date() if wall.time() == datetime.min.time() else wall


def _statistics(
    table: Columns, periods: Periods, columns: dict[str, Column], label: str | None, chance: float
) -> tuple[Statistic, ...]:
    """Return the number of rows, and where the label's mean, upper tail and share of zeros lie."""
    rows = periods.rows.astype(np.float64)
    low, high = slack.outward(*slack.level_limits(rows, chance, one_sign=True), whole=True)
    made = [Statistic("rows_per_period", low=max(low or 0, 0), high=high)] if periods.timed else []
    if label is None or columns[label].kind not in ("number", "integer", "boolean"):
        return tuple(made)
    gaps, values = missing_of(table.arrays[label]), numbers_of(table.arrays[label])
    shares = periods.count(gaps) / np.maximum(periods.rows, 1) if gaps is not None else np.zeros(len(periods))
    most = slack.share_up(1 - 0.9 * (1 - float(np.median(shares[periods.judged]))))
    finite = values[np.isfinite(values)]
    if not len(finite) or not slack.tame(finite):
        return tuple(made)
    one_sign, share = bool(finite.min() >= 0 or finite.max() <= 0), bool(np.isin(finite, (0, 1)).all())
    for measure in ("mean",) if share else ("mean", "quantile_0.99", "share_zero", "quantile_1"):
        found = _found(Statistic(measure, of=label, low=0.0, most_missing=most), table, periods)
        if len(found) < FEWEST_PERIODS or (measure == "share_zero" and found.min() == 0):
            continue
        if measure == "quantile_1":  # that it is reached: else the tail was cut off
            ends = slack.outward(next_reach(slack.by_period(values, periods), chance), None)
        else:
            low, high = slack.skewed_limits(found, chance, one_sign=one_sign)
            if measure == "quantile_0.99":  # of few rows it is near the greatest value, and as skewed
                high = max(high, slack.most_reach(found, chance))
            ends = slack.outward(low, high)
        if share or measure == "share_zero":
            ends = max(ends[0] or 0.0, 0.0), min(ends[1] or 1.0, 1.0)
        made.append(Statistic(measure, of=label, low=ends[0], high=ends[1], most_missing=most))
    return tuple(made)


def _found(statistic: Statistic, table: Columns, periods: Periods) -> NDArray[np.float64]:
    """Return the statistic in the periods that would be judged."""
    values, missing = measured(statistic, table, periods)
    return values[periods.judged & (missing <= statistic.most_missing) & np.isfinite(values)]
