"""Contracts: seconds for a million rows, how often honest data break them, real histories; beside pandera."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import peers
import polars as pl
import pyarrow.parquet as pq
from contracts_tables import stream, wide

from mlwild.contracts import Column, Contract, Terms, infer, violations
from mlwild.contracts.periods import cut, times_of

ROWS, PERIODS, PERIOD, DRAWS = 1_000_000, 24, 500, 200
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = {
    "hotel bookings": ("hotel_bookings/bookings.parquet", "booked_on", "is_canceled", ("28D", "7D")),
    "air quality": ("air_quality_sensors/hourly.parquet", "when", "co_ref", ("28D", "7D")),
    "online retail": ("online_retail/lines.parquet", "when", "quantity", ("28D", "7D")),
}


def by_hand() -> Contract:
    """Return the terms that pandera gets."""
    columns = {f"x{k}": Column("number", low=0, high=100, most_missing=0.03 if k < 3 else 0.0) for k in range(10)}
    columns |= {f"n{k}": Column("integer", low=0, high=100) for k in range(4)}
    columns |= {f"w{k}": Column("category", allowed=tuple(f"word{j}" for j in range(20))) for k in range(4)}
    return Contract(Terms(columns | {"b": Column("boolean"), "t": Column("time")}))


def seconds(call, times: int) -> float:
    """Return the median time of a call; the first is not counted."""
    call()
    made = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        made.append(time.perf_counter() - start)
    return float(np.median(made))


def speed(theirs) -> None:
    """Print seconds by kind of frame."""
    table = wide(ROWS)
    frames = {"pandas": table.to_pandas(), "polars": pl.from_arrow(table), "pyarrow": table}
    inferred = infer(table, time="t", every="1D").contract
    print(
        f"\n{ROWS:,} rows of 20 columns, seconds (median of 5)\n{'':10}{'by hand':>10}{'inferred':>10}{'pandera':>10}"
    )
    for kind, frame in frames.items():
        ours = [
            seconds(lambda terms=terms, frame=frame: violations(terms, frame), 5) for terms in (by_hand(), inferred)
        ]
        other = f"{theirs['seconds'][kind]:10.2f}" if theirs else f"{'':>10}"
        print(f"{kind:10}{ours[0]:10.2f}{ours[1]:10.2f}{other}")
    one = seconds(lambda: violations(by_hand(), table.slice(0, 1)), 20)
    rest = ", ".join(f"{kind} {1000 * took:.0f}" for kind, took in theirs["one_row"].items()) if theirs else "not there"
    print(f"one row, milliseconds: {1000 * one:.1f}; pandera: {rest}")


def promise(theirs) -> None:
    """Print how often the honest next period breaks what was inferred."""
    rng, broke = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        table = stream(rng, PERIOD * (PERIODS + 1))
        contract = infer(table.slice(0, PERIOD * PERIODS), time="t", every=PERIOD, start=0, label="label").contract
        broke += bool(violations(contract, table.slice(PERIOD * PERIODS)))
    other = f"; pandera's infer_schema: {theirs['broke']}" if theirs else ""
    print(f"\nThe next of {PERIODS} honest periods of {PERIOD} rows broke it in {broke} of {DRAWS} draws (5 %){other}")


def real() -> None:
    """Print how many later periods break what two thirds of a history foretold, and by what."""
    for name, (path, column, label, lengths) in REAL.items():
        table = pq.read_table(SHARED / path)
        times, clock = times_of(table[column].combine_chunks(), column)
        middle = int(times[0]) + (int(times[-1]) - int(times[0])) * 2 // 3
        before = int(np.searchsorted(times, middle))
        for every in lengths:
            start = time.perf_counter()
            made = infer(table.slice(0, before), time=column, every=every, label=label)
            took, broke, why = time.perf_counter() - start, 0, {}
            periods = cut(times, clock, every, made.contract.start)
            later = [rows for _, rows in periods if rows.stop > rows.start and rows.start >= before]
            for rows in later:
                found = violations(made.contract, table.slice(rows.start, rows.stop - rows.start))
                broke += bool(found)
                for one in found:
                    why[one.column, one.rule] = why.get((one.column, one.rule), 0) + 1
            said = ", ".join(f"{column} {rule} {n}" for (column, rule), n in why.items())
            print(
                f"{name:15}{every:>4}: inferred from {made.periods} periods ({before:,} rows, {took:.1f} s); "
                f"{broke} of {len(later)} later periods break it{': ' if said else ''}{said}"
            )


def main() -> None:
    """Print the three tables."""
    question = {"rows": ROWS, "draws": DRAWS, "periods": PERIODS, "period": PERIOD}
    theirs = peers.run("pandera", "contracts_peer_pandera.py", question)
    speed(theirs)
    promise(theirs)
    if SHARED.is_dir():
        print()
        real()


if __name__ == "__main__":
    main()
