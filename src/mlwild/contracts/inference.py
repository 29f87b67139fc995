"""A contract from a history: with slack, so that the honest next period passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER, Clock, Duration
from mlwild.contracts import slack
from mlwild.contracts.periods import Periods, cut, times_of
from mlwild.contracts.statistics import measured
from mlwild.contracts.tables import Columns, codes_of, columns_of, kind_of, missing_of, numbers_of
from mlwild.contracts.terms import Column, Contract, Statistic, Terms
from mlwild.errors import DataError
from mlwild.stats.slips import longest_run
from mlwild.wording import number

#: Whole periods below which nothing is inferred.
FEWEST_PERIODS = 8
#: A column of text with more values than this is no set of categories.
MOST_CATEGORIES = 200
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
    plans = {(where, name): _plan(one, name, periods, late, time) for where, one in parts.items() for name in one.names}
    limits = sum(count for _, count in plans.values()) + 2 + (6 if label else 0)
    chance = rate / limits
    made = {place: plan(chance) for place, (plan, _) in plans.items()}
    terms = {where: {name: made[where, name][0] for name in one.names} for where, one in parts.items()}
    statistics = _statistics(table, periods, terms["data"], label, chance)
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


def _plan(
    table: Columns, name: str, periods: Periods, late: Sequence[str], time: str | None
) -> tuple[Callable[[float], tuple[Column, str]], int]:
    """Return how to make a column's terms from the chance of each limit, and how many limits they hold."""
    array = table.arrays[name]
    kind, gaps = kind_of(array), missing_of(array)
    if kind == "empty" or (gaps is not None and gaps.all()):
        whole = kind if kind in ("number", "integer", "boolean", "time") else "text"
        return lambda _: (Column(whole, most_missing=1.0), "never a value so far"), 0

    def missing(chance: float) -> float:
        return 1.0 if name in late else slack.missing_limit(gaps, periods, chance)

    tests = int(gaps is not None and name not in late)
    if kind == "time" or name == time:
        return lambda chance: _time(array, kind, missing(chance)), tests
    if kind in ("number", "integer"):
        return lambda chance: _number(kind, numbers_of(array), periods, missing(chance), chance), tests + 5
    if kind == "text":
        return lambda chance: _text(array, periods, missing(chance), chance), tests + 1
    if kind == "boolean":
        return lambda chance: (Column("boolean", most_missing=missing(chance)), ""), tests
    return lambda chance: (Column("other", most_missing=missing(chance)), kind), tests


def _time(array: Any, kind: str, missing: float) -> tuple[Column, str]:
    """Refuse dates that stand for nothing, such as 1900 or 9999: ten years of slack and as much as was seen."""
    if kind != "time":
        return Column("integer", most_missing=missing), "the time"
    times, clock = times_of(array, "time")
    known = times[times != NEVER]
    first, last = clock.local(int(known.min())), clock.local(int(known.max()))
    span = last.year - first.year + 10
    low, high = date(max(first.year - span, 1), 1, 1), date(min(last.year + span, 9999), 1, 1)
    note = f"{clock.show(int(known.min()))} to {clock.show(int(known.max()))}"
    return Column("time", low=low, high=high, most_missing=missing), note


def _number(kind: str, values: NDArray[Any], periods: Periods, missing: float, chance: float) -> tuple[Column, str]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Column(kind, most_missing=missing), "never a finite value so far"
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return Column(kind, most_missing=missing), f"always {number(low)} so far"
    if not slack.tame(finite):
        return Column(kind, most_missing=missing), f"{low:g} to {high:g}: too great or too near for limits"
    note = f"{number(low)} to {number(high)}, median {number(float(np.median(finite)))}"
    ones = int((finite == 1).sum())
    if min(ones, len(finite) - ones) >= slack.OFTEN and np.isin(finite, (0, 1)).all():
        return Column(kind, low=0, high=1, most_missing=missing), f"0 or 1, {finite.mean():.2g} of them 1"
    whole, parts = kind == "integer", slack.by_period(values, periods)
    if len(parts) < FEWEST_PERIODS:
        return Column(kind, most_missing=missing), f"{note}, in too few periods for limits"
    medians = np.array([float(np.median(part)) for part in parts])
    rises, falls = bool((np.diff(medians) > 0).all()), bool((np.diff(medians) < 0).all())
    ends = slack.range_limits(parts, chance, whole=whole)
    bottom, top = slack.outward(min(ends[0], float(low)), max(ends[1], float(high)), whole=whole)
    if rises or falls:  # a counter, a clock: where it goes it has no limit
        bottom, top = (bottom, None) if rises else (None, top)
        note += f", {'rises' if rises else 'falls'} all the time"
    typical = None if rises or falls else _typical(medians, chance, one_sign=bool(low >= 0 or high <= 0))
    run = _run(values, periods)
    return Column(kind, low=bottom, high=top, most_missing=missing, longest_run=run, typical=typical), note


def _typical(medians: NDArray[np.float64], chance: float, *, one_sign: bool) -> tuple[float, float] | None:
    """Return where medians lie; None where they come near zero, since no unit could be told from another."""
    low, high = slack.outward(*slack.level_limits(medians, chance, one_sign=one_sign))
    return (low, high) if low is not None and high is not None and low * high > 0 else None


def _run(values: NDArray[Any], periods: Periods) -> int | None:
    """Return three times the longest run; None where runs are so long that they tell nothing."""
    most = max(20, 3 * longest_run(values)[0])
    top = slack.outward(0, float(most), whole=True)[1]
    return int(top) if top is not None and top < np.median(periods.rows) else None


def _text(array: Any, periods: Periods, missing: float, chance: float) -> tuple[Column, str]:
    import pyarrow.compute as pc

    codes = codes_of(array)
    n = int(codes.max()) + 1
    if n > MOST_CATEGORIES:
        return Column("text", most_missing=missing), f"{n:,} values"
    new, last = slack.new_limit(codes, periods, chance)
    if new > 0.5:
        return Column("text", most_missing=missing), f"{n:,} values, often new ones"
    words = tuple(sorted(str(word) for word in pc.unique(array.drop_null()).to_pylist()))
    note = f"{n} values" + (f"; the last new one came in the period from {last}" if last else "")
    return Column("category", allowed=words, most_new=new, most_missing=missing), note


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
    values = values[np.isfinite(values)]
    if not len(values) or not slack.tame(values):
        return tuple(made)
    one_sign, share = bool(values.min() >= 0 or values.max() <= 0), bool(np.isin(values, (0, 1)).all())
    for measure in ("mean",) if share else ("mean", "quantile_0.99", "share_zero", "quantile_1"):
        found = _found(Statistic(measure, of=label, low=0.0, most_missing=most), table, periods)
        if len(found) < FEWEST_PERIODS or (measure == "share_zero" and found.min() == 0):
            continue
        if measure == "quantile_1":  # that it is reached: else the tail was cut off
            ends = slack.outward(slack.least_reach(found, chance), None)
        else:
            ends = slack.outward(*slack.skewed_limits(found, chance, one_sign=one_sign))
        if share or measure == "share_zero":
            ends = max(ends[0] or 0.0, 0.0), min(ends[1] or 1.0, 1.0)
        made.append(Statistic(measure, of=label, low=ends[0], high=ends[1], most_missing=most))
    return tuple(made)


def _found(statistic: Statistic, table: Columns, periods: Periods) -> NDArray[np.float64]:
    """Return the statistic in the periods that would be judged."""
    values, missing = measured(statistic, table, periods)
    return values[periods.judged & (missing <= statistic.most_missing) & np.isfinite(values)]
