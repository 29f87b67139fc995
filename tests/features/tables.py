"""Side tables and events for tests, and what a plain loop over rows says of them."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

from mlwild.side_tables import Table, side_table

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}

#: Numbers of very different size, with gaps: what makes running sums go wrong.
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.1, -0.1, 1e16, -1e16, 3.0, None]),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e140, max_value=1e140),
)
ROWS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6), st.sampled_from(["a", "b", None]), st.integers(0, 1), NUMBERS),
    max_size=25,
)
ASKED = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(["a", "b", "c", None]), st.integers(0, 2)), min_size=1, max_size=25
)


def side(columns, *, kind="pandas", delay=None, **fields):
    """Return a side table of columns."""
    frame = nw.from_native(KINDS[kind](columns), eager_only=True)
    return side_table(Table(dict, **{"delay": delay, **fields}), frame, delay, "t", "tables['side']")


def drawn(rows, asked, kind="pandas", by=("shop", "size")):
    """Return a side table and events of what was drawn, and both as lists of dicts."""
    made = [
        {"at": at, "ready": at + wait, "shop": shop, "size": size, "v": value, "word": str(size), "row": row}
        for row, (at, wait, shop, size, value) in enumerate(rows)
    ]
    names = ("at", "ready", "shop", "size", "v", "word", "row")
    columns = {name: pa.array([one[name] for one in made], _type(name)) for name in names}
    events = [{"t": t, "shop": shop, "size": size} for t, shop, size in asked]
    left = {name: pa.array([one[name] for one in events], _type(name)) for name in ("t", "shop", "size")}
    table = side(_native(columns, kind), kind=kind, time="at", available_at="ready", by=by)
    return table, KINDS[kind](_native(left, kind)), made, events


def _type(name):
    return {"shop": pa.string(), "word": pa.string(), "v": pa.float64()}.get(name, pa.int64())


def _native(columns, kind):
    return columns if kind == "pyarrow" else {name: column.to_pandas() for name, column in columns.items()}


def visible(rows, event, by, window=None, corrected=False):
    """Return the rows that an event sees, by a plain loop; oldest first."""
    found = [
        row
        for row in rows
        if all(row[key] == event[key] for key in by) and row["ready"] <= event["t"] and row["at"] <= event["t"]
    ]
    found.sort(key=lambda row: (row["at"], row["ready"], row["row"]))
    if corrected:
        last = {row["at"]: row for row in found}
        found = [row for row in found if last[row["at"]] is row]
    return [row for row in found if window is None or row["at"] > event["t"] - window]


def added_up(values, kind):
    """Return what some values add up to, in exact arithmetic."""
    values = [value for value in values if value is not None]
    if kind in ("count", "rows"):
        return len(values)
    if kind == "nunique":
        return len(set(values))
    if kind == "sum":
        return math.fsum(values)
    if not values or (kind == "std" and len(values) < 2):
        return None
    if kind == "std":
        exact = [Fraction(value) for value in values]
        return math.sqrt(statistics.variance(exact))
    return {
        "mean": lambda: math.fsum(values) / len(values),
        "min": lambda: min(values),
        "max": lambda: max(values),
        "last": lambda: values[-1],
    }[kind]()


def column(frame, name):
    """Return a column as a list; missing is None."""
    made = nw.from_native(frame, eager_only=True)[name].to_list()
    return [None if value is None or value is pd.NA or value != value else value for value in made]


def bits(table, name):
    """Return a column of an Arrow table bit by bit; gaps apart."""
    array = table.column(name).combine_chunks()
    gaps = array.is_null().to_numpy(zero_copy_only=False)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    return np.where(gaps, -1, values.astype(np.float64).view(np.int64)).tolist()
