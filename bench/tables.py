"""
What a stored table costs: 5,000,000 rows of 20 columns, added and written; a week of it as of an instant.

Adding reads the file twice (for keys and contents, then to write), hashes every row, and syncs; the bare work reads it,
writes it as Parquet and syncs. The week is read from a table of 100 versions, without and with corrections among them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlwild.warehouse import StoredTable, add

ROWS, WEEKS, PER_WEEK, REPEATS = 5_000_000, 100, 5_000, 3


def table(rows: int) -> pa.Table:
    """Return rows with a key, a time and 18 columns."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "id": np.arange(rows),
        "at": pa.array(np.sort(rng.integers(0, 10**9, rows)) * 1_000_000, pa.timestamp("us")),
    }
    columns |= {f"x{place}": rng.normal(size=rows) for place in range(14)}
    columns |= {f"k{place}": rng.integers(0, 1000, rows) for place in range(4)}
    return pa.table(columns)


def timed(function: Any) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def synced(rows: Path, out: Path) -> None:
    """Read a Parquet file and write it again, synced: the bare work."""
    pq.write_table(pq.read_table(rows), out)
    handle = os.open(out, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = folder / "rows.parquet"
        pq.write_table(table(rows), file)
        bare, ours = [], []
        for number in range(REPEATS):
            bare.append(timed(lambda: synced(file, folder / "again.parquet")))
            home = folder / f"home{number}"
            ours.append(timed(lambda home=home: add("rows", file, key="id", time="at", warehouse=home)))
        again = timed(lambda: add("rows", file, warehouse=folder / "home0"))
        week = 7 * 86_400_000_000
        for number in range(WEEKS):
            at = number * week + np.arange(PER_WEEK) * (week // PER_WEEK)
            ids = number * PER_WEEK + np.arange(PER_WEEK)
            part = (
                table(PER_WEEK).set_column(0, "id", pa.array(ids)).set_column(1, "at", pa.array(at, pa.timestamp("us")))
            )
            add("weeks", part, key="id", time="at", known="time", warehouse=folder / "home0")
        stored = StoredTable(folder / "home0" / "weeks")
        words = {"since": 50 * week * 1000, "until": 51 * week * 1000}
        reads = [timed(lambda: stored.read(as_of=52 * week * 1000, **words)) for _ in range(5)]
        first = stored.read(["id"], as_of=52 * week * 1000, **words)
        assert first.num_rows == PER_WEEK
        part = first.slice(0, 3)
        wrong = stored.read(**words).slice(0, 3)
        add("weeks", wrong.set_column(2, "x0", pa.array([1.0, 2.0, 3.0])), correct=True, warehouse=folder / "home0")
        stored = StoredTable(folder / "home0" / "weeks")
        mended = [timed(lambda: stored.read(as_of=52 * week * 1000, **words)) for _ in range(5)]
        shown = {
            "rows": rows,
            "parquet s": median(bare),
            "add s": median(ours),
            "ratio": median(ours) / median(bare),
            "the same again s": again,
            "week as of, 100 versions s": median(reads),
            "with corrections s": median(mended),
            "checked": part.num_rows,
        }
        for name, value in shown.items():
            print(f"{name}: {value:,.2f}" if isinstance(value, float) else f"{name}: {value:,}")
        print(json.dumps(shown))


if __name__ == "__main__":
    main()
