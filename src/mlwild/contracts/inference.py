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
from mlwild.contracts.tables import Columns, codes_of, columns_of, kind_of, missing_of, numbers_of, shown
from mlwild.contracts.terms import Column, Contract, Statistic, Terms
from mlwild.errors import DataError
from mlwild.stats.slips import longest_run

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
    share evenly; what never happened in the history (a gap, a category, a change of a constant) is taken for
    impossible, and breaks it with a chance of at most one in the number of periods plus one more if it does
    happen. The history itself keeps the contract, unless it holds an infinite number.

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
    (18.0, 39.0)
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
        return Periods(index, tuple(f"row {np.searchsorted(index, k)}" for k in range(BLOCKS)), 1), None
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
    raise DataError(f"data: column {name!r} holds {kind}, for which there are no terms. Leave it out, or unpack it.")


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
    low, high = finite.min(), finite.max()
    if low == high:
        return Column(kind, most_missing=missing), f"always {shown(low)} so far"
    note = f"{shown(low)} to {shown(high)}, median {shown(np.median(finite))}"
    ones = int((finite == 1).sum())
    if min(ones, len(finite) - ones) >= slack.OFTEN and np.isin(finite, (0, 1)).all():
        return Column(kind, low=0, high=1, most_missing=missing), f"0 or 1, {finite.mean():.2g} of them 1"
    parts = slack.by_period(values, periods)
    medians = np.array([float(np.median(part)) for part in parts])
    rises, falls = (np.diff(medians) > 0).all(), (np.diff(medians) < 0).all()
    whole, one_sign = kind == "integer", bool(low >= 0 or high <= 0)
    bottom, top = slack.outward(*slack.range_limits(finite.astype(np.float64), parts, chance, whole=whole), whole=whole)
    if rises or falls:  # a counter, a clock: where it goes it has no limit
        bottom, top = (bottom, None) if rises else (None, top)
        note += ", rises all the time" if rises else ", falls all the time"
    typical = None
    if not (rises or falls) and medians.any() and min(map(len, parts)) >= 1:
        typical = slack.outward(*slack.value_limits(medians, chance, one_sign=one_sign))
    run = _run(values, periods)
    typical_ = None if typical is None or typical[0] is None or typical[1] is None else (typical[0], typical[1])
    return Column(kind, low=bottom, high=top, most_missing=missing, longest_run=run, typical=typical_), note


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
    made = []
    rows = periods.rows.astype(np.float64)
    if periods.names[0].startswith("row ") is False:
        low, high = slack.outward(*slack.value_limits(np.maximum(rows, 0.5), chance, one_sign=True), whole=True)
        made.append(Statistic("rows_per_period", low=min(low or 0, int(rows.min())), high=high))
    if label is None or columns[label].kind not in ("number", "integer", "boolean"):
        return tuple(made)
    array = table.arrays[label]
    gaps = missing_of(array)
    known = 1 - (
        0.0 if gaps is None else float(np.median((periods.count(gaps) / np.maximum(periods.rows, 1))[periods.judged]))
    )
    most = slack.share_up(1 - 0.9 * known)
    values = numbers_of(array)
    values = values[np.isfinite(values)]
    few, one_sign = len(np.unique(values)) <= 2, bool(values.min() >= 0 or values.max() <= 0)
    for measure in ("mean",) if few else ("mean", "quantile_0.99"):
        found = _found(Statistic(measure, of=label, low=0.0, most_missing=most), table, periods)
        if len(found) >= FEWEST_PERIODS:
            low, high = slack.outward(*slack.value_limits(found, chance, one_sign=one_sign))
            made.append(Statistic(measure, of=label, low=low, high=high, most_missing=most))
    if not few:
        zeros = _found(Statistic("share_zero", of=label, low=0.0, most_missing=most), table, periods)
        if len(zeros) >= FEWEST_PERIODS and zeros.min() > 0:
            low, high = slack.outward(*slack.value_limits(zeros, chance, one_sign=True))
            made.append(Statistic("share_zero", of=label, low=low, high=min(high or 1.0, 1.0), most_missing=most))
        made += _reaches(
            _found(Statistic("quantile_1", of=label, low=0.0, most_missing=most), table, periods), label, most, chance
        )
    return tuple(made)


def _found(statistic: Statistic, table: Columns, periods: Periods) -> NDArray[np.float64]:
    """Return the statistic in the periods that would be judged."""
    values, missing = measured(statistic, table, periods)
    return values[periods.judged & (missing <= statistic.most_missing) & np.isfinite(values)]


def _reaches(greatest: NDArray[np.float64], label: str, most: float, chance: float) -> list[Statistic]:
    """Return the term that the greatest label of a period reaches so far: else the tail was cut off."""
    if len(greatest) < FEWEST_PERIODS or greatest.min() == greatest.max():
        return []
    low = slack.reach(greatest, chance)
    return [Statistic("quantile_1", of=label, low=slack.outward(low, None)[0], most_missing=most)]
