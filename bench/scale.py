"""
How cost and memory grow: rules priced over many cutoffs, and a table of five million rows.

Pricing: 30 rules folded over triangles of 50 to 400 cutoffs (generated, 50 rows a period, labels one
period late, the model a mean); the exponent is the slope of log seconds on log cutoffs, at most 2 is
wanted. The first fold of a triangle also fills what rules share, and is the one that is timed.

Memory: a Parquet file of 5,000,000 rows and 20 columns of float64, twelve cutoffs, least squares by normal
equations, default features (all columns), each number of workers in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import processes
import pyarrow as pa
import pyarrow.parquet as pq
from overhead import RULES

import mlwild as wild
from mlwild.lives import first_vintage, fold

CUTOFFS = (50, 100, 200, 400)
PERIOD_ROWS = 50
WARM_UP = 8
REPEATS = 3

ROWS, COLUMNS, PERIODS = 5_000_000, 20, 13
CHUNK = 250_000


# -- pricing ---------------------------------------------------------------------------------------


def mean_model(_X: pd.DataFrame, y: np.ndarray) -> Any:
    """Fit a mean."""
    value = float(y[-10 * PERIOD_ROWS :].mean())
    return lambda X: np.full(len(X), value)


def wandering(cutoffs: int) -> pd.DataFrame:
    """Draw a label whose mean wanders."""
    rng = np.random.default_rng(0)
    n = PERIOD_ROWS * (cutoffs + WARM_UP)
    drift = np.cumsum(rng.normal(scale=0.02, size=n))
    return pd.DataFrame({"row": np.arange(n), "x": rng.normal(size=n), "y": drift + rng.normal(size=n)})


def wandering_app(cutoffs: int) -> wild.App:
    """Return an app with so many cutoffs; a retrain costs a fifth of a period's loss."""
    return wild.App(
        name="wandering",
        data=lambda: wandering(cutoffs),
        time="row",
        label="y",
        delay=PERIOD_ROWS,
        models={"mean": mean_model},
        loss="absolute",
        every=PERIOD_ROWS,
        start=PERIOD_ROWS * WARM_UP,
        prices=wild.Prices(loss=1.0, retrain=0.2 * PERIOD_ROWS),
    )


def pricing_seconds(cutoffs: int) -> float:
    """Return the processor seconds of folding all rules over a triangle, the median of some."""
    taken = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as store:
            triangle = wild.rehearse(wandering_app(cutoffs), rules=RULES[:1], store=store, jobs=1).triangles[0]
            start = first_vintage(triangle)
            assert start
            began = time.process_time()
            for rule in RULES:
                fold(rule, triangle, start)
            taken.append(time.process_time() - began)
    return statistics.median(taken)


def pricing() -> None:
    """Print seconds by number of cutoffs, and the exponent."""
    seconds = [pricing_seconds(cutoffs) for cutoffs in CUTOFFS]
    print(f"pricing {len(RULES)} rules, processor seconds")
    for cutoffs, taken in zip(CUTOFFS, seconds, strict=True):
        print(f"{cutoffs:6d} cutoffs {taken:8.2f} s {1000 * taken / len(RULES):8.1f} ms a rule")
    slope = np.polyfit(np.log(CUTOFFS), np.log(seconds), 1)[0]
    last = np.log(seconds[-1] / seconds[-2]) / np.log(CUTOFFS[-1] / CUTOFFS[-2])
    print(f"fitted exponent {slope:.2f}, of the last doubling {last:.2f} (target at most 2)")


# -- memory ----------------------------------------------------------------------------------------


def write(path: Path) -> None:
    """Write the table, a row group at a time."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=COLUMNS)
    schema = pa.schema([("row", pa.int64()), ("y", pa.float64()), *((f"x{i}", pa.float64()) for i in range(COLUMNS))])
    with pq.ParquetWriter(path, schema, compression="NONE") as writer:
        for first in range(0, ROWS, CHUNK):
            x = rng.normal(size=(CHUNK, COLUMNS))
            y = x @ weights + rng.normal(size=CHUNK)
            columns = [np.arange(first, first + CHUNK), y, *np.ascontiguousarray(x.T)]
            writer.write_table(pa.table(columns, schema=schema))


class LeastSquares:
    """Least squares by normal equations, some rows at a time."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> LeastSquares:
        gram, cross = np.eye(X.shape[1]), np.zeros(X.shape[1])
        for first in range(0, len(X), CHUNK):
            part = X.iloc[first : first + CHUNK].to_numpy()
            gram += part.T @ part
            cross += part.T @ y[first : first + CHUNK]
        self.weights = np.linalg.solve(gram, cross)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        parts = [X.iloc[first : first + CHUNK].to_numpy() @ self.weights for first in range(0, len(X), CHUNK)]
        return np.concatenate(parts)


def wide_app(path: str) -> wild.App:
    """Return the app over the file."""
    period = -(-ROWS // PERIODS)
    return wild.App(
        name="wide",
        data=path,
        time="row",
        label="y",
        delay=1,
        models={"least_squares": LeastSquares()},
        loss="squared",
        every=period,
        start=period,
        prices=wild.Prices(loss=1.0, retrain=1000.0),
    )


def size_mb(folder: Path) -> float:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def memory(jobs: int, path: Path, table: float) -> None:
    """Rehearse over the file in a process of its own, and print what it took."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        began = time.perf_counter()
        peak = processes.rehearsal_memory("scale", f"wide_app({str(path)!r})", Path(folder), jobs)
        seconds, store = time.perf_counter() - began, size_mb(Path(folder))
    print(
        f"{jobs:4d}{peak.main:12.0f}{peak.worker:12.0f}{peak.together:12.0f}{peak.main / table:12.2f}"
        f"{peak.together / table:12.2f}{store:12.0f}{seconds:10.0f}"
    )


def wide() -> None:
    """Print memory and disk for one process and for two workers."""
    table = ROWS * (COLUMNS + 2) * 8 / 2**20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.parquet"
        write(path)
        print(f"\n{ROWS:,} rows x {COLUMNS} float64 columns with time and label: {table:.0f} MB in memory")
        heads = ("main MB", "worker MB", "together MB", "main/table", "all/table", "store MB", "seconds")
        print("jobs" + "".join(f"{head:>12}" for head in heads[:-1]) + f"{heads[-1]:>10}")
        for jobs in (1, 2):
            memory(jobs, path, table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("pricing", "memory"))
    only = parser.parse_args().only
    if only != "memory":
        pricing()
    if only != "pricing":
        wide()


if __name__ == "__main__":
    main()
