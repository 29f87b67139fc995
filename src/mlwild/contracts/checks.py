"""The rules of one column, each a scan over its values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER
from mlwild.contracts.column import Column
from mlwild.contracts.finding import Spot, Violation, most, share
from mlwild.contracts.numeric import numbers
from mlwild.contracts.periods import Periods, times_of
from mlwild.contracts.tables import codes_of, kind_of, missing_of, numbers_of, shown
from mlwild.errors import DataError

Bools = NDArray[np.bool_]

#: What a column may hold, by its kind.
_HOLDS = {
    "number": ("number", "integer"),
    "integer": ("integer", "number"),
    "category": ("text", "integer"),
    "text": ("text",),
    "boolean": ("boolean", "number"),  # frames keep truth values that have gaps as floats, 0 and 1
    "time": ("time",),
}
_WORDS = {
    "number": "numbers",
    "integer": "whole numbers",
    "category": "categories",
    "boolean": "truth values",
    "time": "times",
}


def column(spot: Spot, term: Column, array: Any, periods: Periods | None) -> Iterator[Violation]:
    """Yield what breaks the terms of one column."""
    kind = kind_of(array)
    gaps = missing_of(array) if kind != "empty" else np.ones(spot.n, dtype=bool)
    yield from _missing(spot, term, gaps, periods)
    if kind == "empty" or (gaps is not None and gaps.all()):
        return
    row = 0 if gaps is None else int(np.flatnonzero(~gaps)[0])
    held = _HOLDS.get(term.kind, (kind,))
    if kind not in held or (term.allowed and (kind == "text") != isinstance(term.allowed[0], str)):
        value = shown(array[row])
        holds, wanted = _WORDS.get(kind, kind), _WORDS.get(term.kind, term.kind)
        said = f"holds {holds} ({value} in row {row}), not {wanted}. Read it as such, or change `kind` of "
        yield spot.at("kind", row, spot.n, f"{said}[{spot.where}.columns.{spot.name}].", value=value)
        return
    if term.kind in ("number", "integer"):
        yield from numbers(spot, term, numbers_of(array), periods)
    if term.kind == "boolean" and kind == "number":
        yield from _zero_or_one(spot, numbers_of(array))
    if term.kind == "time":
        yield from _times(spot, term, array)
    if term.allowed is not None:
        yield from _categories(spot, term, array, gaps)
    if term.unique:
        yield from repeated(spot, codes_of(array), "unique", f"[{spot.where}.columns.{spot.name}]")


def _missing(spot: Spot, term: Column, gaps: Bools | None, periods: Periods | None) -> Iterator[Violation]:
    if gaps is None or term.most_missing == 1:
        return
    limit, rows = term.most_missing, int(gaps.sum())
    first = int(gaps.argmax())
    todo = spot.to_do(rows, "most_missing", "Fill")
    if rows > math.ceil(limit * spot.n):
        said = f"is missing in row {first}; {spot.share(rows)} ({share(rows / spot.n)}), {most(limit)}. {todo}"
        yield spot.at("most_missing", first, rows, said, value="missing")
        return
    if periods is None or len(periods) < 2:
        return
    counts, sizes = periods.count(gaps), periods.rows
    bad = np.flatnonzero((counts > np.ceil(limit * sizes)) & periods.judged)
    if len(bad):
        worst = int(bad[0])
        row = int(np.flatnonzero(gaps & (periods.index == worst))[0])
        said = (
            f"is missing in {counts[worst]:,} of {sizes[worst]:,} rows ({share(counts[worst] / sizes[worst])}) of the "
            f"period from {periods.names[worst]}, first in row {row}; {most(limit)}. {todo}"
        )
        yield spot.at("most_missing", row, int(counts[worst]), said, value="missing", period=periods.names[worst])


def _zero_or_one(spot: Spot, values: NDArray[Any]) -> Iterator[Violation]:
    """Yield the numbers that cannot be truth values."""
    bad = (values != 0) & (values != 1) & ~np.isnan(values)
    rows = int(bad.sum())
    if rows:
        row = int(bad.argmax())
        value = shown(values[row])
        said = f"is {value} in row {row}, which is neither true nor false; {spot.share(rows)}. "
        yield spot.at("kind", row, rows, said + spot.to_do(rows, "kind"), value=value)


def _times(spot: Spot, term: Column, array: Any) -> Iterator[Violation]:
    try:
        times, clock = times_of(array, spot.name)
    except DataError as problem:
        yield spot.at("kind", None, spot.n, f"cannot be read as times: {problem}")
        return
    known = times != NEVER
    for key, limit, word in (("low", term.low, "before"), ("high", term.high, "after")):
        if limit is None:
            continue
        at = clock.parse(limit, key)
        bad = known & (times < at if key == "low" else times > at)
        rows = int(bad.sum())
        if rows:
            row = int(bad.argmax())
            value = clock.show(int(times[row]), seconds=True)
            said = f"is {value} in row {row}, {word} {clock.show(at)}; {spot.share(rows)}. {spot.to_do(rows, key)}"
            yield spot.at(key, row, rows, said, value=value)
    if term.rising:
        ordered, places = times[known], np.flatnonzero(known)
        falls = np.flatnonzero(ordered[1:] < ordered[:-1])
        if len(falls):
            row = int(places[falls[0] + 1])
            value = clock.show(int(times[row]), seconds=True)
            said = f"falls to {value} in row {row}; {spot.share(len(falls))}. Sort the rows, or take `rising` out of "
            yield spot.at("rising", row, len(falls), f"{said}[{spot.where}.columns.{spot.name}].", value=value)


def _categories(spot: Spot, term: Column, array: Any, gaps: Bools | None) -> Iterator[Violation]:
    import pyarrow as pa
    import pyarrow.compute as pc

    # On the list of values where there is one, not on every row.
    coded = pa.types.is_dictionary(array.type)
    values = array.dictionary if coded else array
    if pa.types.is_floating(values.type):  # whole numbers that have gaps in pandas; fractions are told elsewhere
        whole = pc.equal(values, pc.trunc(values))
        values = pc.if_else(whole, values, pa.scalar(None, values.type)).cast(pa.int64(), safe=False)
    elif pa.types.is_integer(values.type):
        values = values.cast(pa.int64(), safe=False)
    elif not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        values = values.cast(pa.string())
    listed = pc.is_in(values, value_set=pa.array(term.allowed, type=values.type))
    if coded:
        listed = listed.take(array.indices)
    rows = spot.n - int(listed.true_count) - (0 if gaps is None else int(gaps.sum()))
    if rows <= math.ceil(term.most_new * spot.n):
        return
    new = ~np.asarray(listed.fill_null(fill_value=False).to_numpy(zero_copy_only=False))
    if gaps is not None:
        new &= ~gaps
    first = int(new.argmax())
    counted = pc.value_counts(array.filter(pa.array(new)))
    by_count = sorted(counted.to_pylist(), key=lambda one: -one["counts"])
    others = [shown(one["values"]) for one in by_count[:4] if one["values"] != array[first].as_py()][:3]
    too = f" (and {', '.join(others)}{', ...' if len(by_count) > len(others) + 1 else ''})" if others else ""
    key = "most_new" if term.most_new else "allowed"
    value = shown(array[first])
    said = f"is {value} in row {first}{too}, which is new; {spot.share(rows)} ({share(rows / spot.n)})"
    said += f", {most(term.most_new)}. "
    yield spot.at("allowed", first, rows, said + spot.to_do(rows, key), value=value)


def repeated(spot: Spot, codes: NDArray[np.int64], rule: str, table: str) -> Iterator[Violation]:
    """Yield the rows whose code was there before; -1 is missing and repeats nothing."""
    first_rows = np.unique(codes, return_index=True)[1]
    again = codes >= 0
    again[first_rows] = False
    rows = int(again.sum())
    if rows:
        row = int(again.argmax())
        before = int(np.flatnonzero(codes[:row] == codes[row])[0])
        said = f"has in row {row} what it has in row {before}; {spot.share(rows)} repeat another. Keep one row of each,"
        yield spot.at(rule, row, rows, f"{said} or change `{rule}` of {table}.")
