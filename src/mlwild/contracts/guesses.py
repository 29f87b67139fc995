"""The terms of one column that its history suggests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.contracts import slack
from mlwild.contracts.column import Column
from mlwild.contracts.periods import Periods, times_of
from mlwild.contracts.tables import Columns, codes_of, kind_of, missing_of, numbers_of
from mlwild.stats.slips import commonest, longest_run
from mlwild.wording import number, things

#: Periods below which nothing is inferred.
FEWEST_PERIODS = 8
#: A column of text with more values than this is no set of categories.
MOST_CATEGORIES = 200


def plan(
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
    if np.isin(finite, (0, 1)).all():  # a truth value, however seldom it is true
        return Column(kind, low=0, high=1, most_missing=missing), f"0 or 1, {finite.mean():.2g} of them 1"
    whole, parts = kind == "integer", slack.by_period(values, periods)
    if len(parts) < FEWEST_PERIODS:
        return Column(kind, most_missing=missing), f"{note}, in too few periods for limits"
    medians = np.array([float(np.median(part)) for part in parts])
    rises, falls = bool((np.diff(medians) > 0).all()), bool((np.diff(medians) < 0).all())
    climbs = bool((finite == np.trunc(finite)).all()) and slack.climbs(np.array([part.max() for part in parts]))
    ends = slack.range_limits(parts, chance, whole=whole)
    bottom, top = slack.outward(min(ends[0], float(low)), max(ends[1], float(high)), whole=whole)
    moves = rises or falls or climbs
    if moves:  # a counter, a clock, an id: where it goes it has no limit
        bottom, top = (None, top) if falls else (bottom, None)
        note += f", {'falls' if falls else 'rises'} all the time"
    typical = None if moves else _typical(medians, chance, one_sign=bool(low >= 0 or high <= 0))
    run = _run(values, periods)
    return Column(kind, low=bottom, high=top, most_missing=missing, longest_run=run, typical=typical), note


def _typical(medians: NDArray[np.float64], chance: float, *, one_sign: bool) -> tuple[float, float] | None:
    """Return where medians lie; None where they come near zero, since no unit could be told from another."""
    low, high = slack.outward(*slack.level_limits(medians, chance, one_sign=one_sign))
    return (low, high) if low is not None and high is not None and low * high > 0 else None


def _run(values: NDArray[Any], periods: Periods) -> int | None:
    """Return three times the longest run, or all that are alike (rows may come sorted); None where it tells nothing."""
    most = max(20, 3 * longest_run(values)[0], commonest(np.asarray(values, dtype=np.float64)))
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
    note = things(n, "value") + (f"; the last new one came in the period from {last}" if last else "")
    return Column("category", allowed=words, most_new=new, most_missing=missing), note
