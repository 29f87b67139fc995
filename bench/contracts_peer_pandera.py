"""Pandera's side of the bench of contracts: seconds by kind of frame, and how often the next period breaks a schema."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandera
import pandera.pandas
import pandera.polars
import pandera.pyarrow
import polars as pl
import pyarrow as pa
from contracts_tables import stream, wide

WORDS = [f"word{k}" for k in range(20)]
TYPES = {
    "pandas": (float, int, str, bool, "datetime64[us]"),
    "polars": (pl.Float64, pl.Int64, pl.String, pl.Boolean, pl.Datetime("us")),
    "pyarrow": (pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.timestamp("us")),
}


def schema(kind):
    """Return what must hold of `wide`."""
    library, (number, integer, text, truth, instant) = getattr(pandera, kind), TYPES[kind]
    column, check = library.Column, library.Check
    columns = {f"x{k}": column(number, check.in_range(0, 100), nullable=k < 3) for k in range(10)}
    columns |= {f"n{k}": column(integer, check.in_range(0, 100)) for k in range(4)}
    columns |= {f"w{k}": column(text, check.isin(WORDS)) for k in range(4)}
    return library.DataFrameSchema(columns | {"b": column(truth), "t": column(instant)}, strict=True)


def seconds(call, times):
    """Return the median time of a call; the first is not counted."""
    call()
    made = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        made.append(time.perf_counter() - start)
    return float(np.median(made))


def main():
    """Read the question, write the answer."""
    asked = json.load(sys.stdin)
    table, made = wide(asked["rows"]), {"seconds": {}, "one_row": {}}
    frames = {"pandas": table.to_pandas(), "polars": pl.from_arrow(table), "pyarrow": table}
    for kind, frame in frames.items():
        terms = schema(kind)
        one = frame.slice(0, 1) if kind != "pandas" else frame[:1]
        made["seconds"][kind] = seconds(lambda terms=terms, frame=frame: terms.validate(frame, lazy=True), 5)
        made["one_row"][kind] = seconds(lambda terms=terms, one=one: terms.validate(one, lazy=True), 20)
    rng, broke, rows = np.random.default_rng(0), 0, asked["period"]
    for _ in range(asked["draws"]):
        frame = stream(rng, rows * (asked["periods"] + 1)).to_pandas().drop(columns="t")
        try:
            pandera.pandas.infer_schema(frame[:-rows]).validate(frame[-rows:], lazy=True)
        except pandera.errors.SchemaErrors:
            broke += 1
    print(json.dumps(made | {"broke": broke, "version": pandera.__version__}))


if __name__ == "__main__":
    main()
