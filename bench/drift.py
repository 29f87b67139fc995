"""
How far 55 columns moved, against Evidently, NannyML and Deepchecks.

Equal: the rows (generated: 50 columns of float64, a quarter of them rounded to cents, and 5 of ten words; a
fifth of the columns moved), kept as Parquet and read by every side before its clock starts; pandas on every
side, Arrow beside it on ours; one thread, one process a side. The statistics are asked for by name, one after
the other and all in one go, and the values are held against ours where they are the same statistic.

Not equal: ours makes all statistics in one call; "statistics" is what peers are held against, "report" also
names the kind of shift, looks for faults of the data and doubled rows, and confirms slices on held-out rows.
NannyML estimates two statistics from bins unless it is told not to; both of its ways are shown. Evidently also
draws a chart of each column, which it cannot be told to leave. Deepchecks is told to take all rows, not 100,000.

Seconds are of the processor (the wall clock beside it): ours the median of three, a peer's of one run. A peer
that would need over three minutes for all rows, as a run on a fifth of them foretells, is measured on that fifth.
"Peak" is the resident memory of our whole process, imports and tables included, once the tables have been read;
"added" is what the work added to it. On few rows the imports (about 150 MB) outweigh the table.
"""

from __future__ import annotations

import os

for threads in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "POLARS", "RAYON", "NUMBA"):
    os.environ[f"{threads}_{'MAX' if threads == 'POLARS' else 'NUM'}_THREADS"] = "1"
os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # peers that report their use are not to

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
import processes
import pyarrow as pa
import pyarrow.parquet as pq
from drift_peer_versions import PINS

peers.PINS.update(PINS)

ROWS, QUICK_ROWS, ALONE_ROWS = 500_000, 50_000, 1_000_000
NUMBERS = tuple(f"n{i:02}" for i in range(50))
WORDS = tuple(f"w{i}" for i in range(5))
STATISTICS = ("ks", "wasserstein", "psi", "jensen_shannon", "chi_square")
REPEATS = 3
#: What the same statistic may be called in a record of ours.
FIELDS = {name: (name,) for name in STATISTICS} | {
    "ks": ("ks", "ks_p"),
    "wasserstein": ("wasserstein", "wasserstein_scaled"),
}
PEER_SECONDS, PART = 180.0, 5
TARGET, MEMORY_TARGET = 10.0, 2.0
MB = 2**20

#: Each peer's environment, script and what it is asked besides.
PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Evidently": ("evidently", "drift_peer_evidently.py", {}),
    "NannyML, bins": ("nannyml", "drift_peer_nannyml.py", {"exact": False}),
    "NannyML, exact": ("nannyml", "drift_peer_nannyml.py", {"exact": True}),
    "Deepchecks": ("deepchecks", "drift_peer_deepchecks.py", {}),
}


# -- the table -------------------------------------------------------------------------------------


def numbers(i: int, side: int, rows: int) -> np.ndarray:
    """Draw a column of numbers; on the second side every fifth is moved by a tenth of its spread."""
    rng = np.random.default_rng([side, i])
    kinds = (rng.normal(size=rows), rng.lognormal(size=rows), rng.random(rows), rng.gamma(2.0, 30.0, rows).round(2))
    made = kinds[i % 4]
    return made + side * 0.1 * made.std() if i % 5 == 0 else made


def words(i: int, side: int, rows: int) -> np.ndarray:
    """Draw a column of ten words; on the second side the first column's shares are moved."""
    share = np.random.default_rng([9, i]).dirichlet(np.full(10, 5.0))
    if i == 0 and side:
        share = 0.9 * share + 0.1 * np.eye(10)[3]
    return np.random.default_rng([side, 50 + i]).choice([f"word {k}" for k in range(10)], rows, p=share)


def write(folder: Path, rows: int, gaps: float = 0.0) -> None:
    """Write both sides; with gaps, so large a share of ten columns of numbers is missing."""
    for side, name in enumerate(("reference", "window")):
        columns = {}
        for i, column in enumerate(NUMBERS):
            values = numbers(i, side, rows)
            gone = np.random.default_rng([side, 100 + i]).random(rows) < gaps if i < 10 and gaps else None
            columns[column] = pa.array(values, mask=gone)
        columns |= {column: pa.array(words(i, side, rows)) for i, column in enumerate(WORDS)}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


# -- our side, in a process of its own -------------------------------------------------------------


def statistics(reference: Any, window: Any) -> list[dict[str, Any]]:
    """Make all statistics of all columns, and nothing else."""
    from mlwild.monitors.shifts.read import Tables
    from mlwild.stats.columns import compare_columns, presort
    from mlwild.stats.distances import compare_categories

    made: list[dict[str, Any]] = []
    for pair in Tables.of(reference, window):
        if pair.categories is None:
            (number,) = compare_columns([presort(pair.reference)], [pair.window])
            made.append({"name": pair.name, "ks": number.ks})
        else:
            made.append({"name": pair.name, "psi": compare_categories(pair.reference, pair.window).psi.value})
    return made


def report(reference: Any, window: Any) -> list[dict[str, Any]]:
    """Make the whole report; its columns."""
    from mlwild.monitors.shifts import shift

    return list(shift(reference, window).columns)


def read(path: Path, kind: str) -> Any:
    """Read a side as an Arrow table or a pandas frame."""
    table = pq.read_table(path, pre_buffer=False)
    return table if kind == "arrow" else table.to_pandas()


def ours(folder: str, kind: str, work: str, repeats: int) -> None:
    """
    Do the work some times and leave seconds, values and memory in the folder; called in a new process.

    The peak is that of the whole process from the moment at which both tables are there: reading them is not ours.
    """
    do: Callable[[Any, Any], list[dict[str, Any]]] = {"statistics": statistics, "report": report}[work]
    sides = [read(Path(folder) / f"{name}.parquet", kind) for name in ("reference", "window")]
    do(*(side.slice(0, 1000) if kind == "arrow" else side.head(1000) for side in sides))  # imports
    pa.default_memory_pool().release_unused()  # what reading has left behind
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    runs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        columns = do(*sides)
        runs.append({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})
    made = {
        **sorted(runs, key=lambda run: run["cpu"])[len(runs) // 2],
        "peak": resident("VmHWM"),
        "added": resident("VmHWM") - before,
        "columns": columns if work == "report" else [],
    }
    (Path(folder) / "ours.json").write_text(json.dumps(made))


def resident(field: str) -> float:
    """Return a field of this process's memory in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def measured(folder: Path, kind: str, work: str, repeats: int = REPEATS) -> dict[str, Any]:
    """Run our side in a process of its own; seconds, columns, memory in MB."""
    code = f"import drift; drift.ours({str(folder)!r}, {kind!r}, {work!r}, {repeats})"
    subprocess.run([sys.executable, "-c", code], env=processes.ENVIRONMENT, check=True)
    made: dict[str, Any] = json.loads((folder / "ours.json").read_text())
    return made


# -- the peers -------------------------------------------------------------------------------------


def ask(name: str, folder: Path) -> dict[str, Any] | None:
    """Run a peer on a table; None where it cannot run, which is then said."""
    environment, script, more = PEERS[name]
    sides = {side: str(folder / f"{side}.parquet") for side in ("reference", "window")}
    made: dict[str, Any] | None = peers.run(environment, script, {**sides, "numbers": NUMBERS, "words": WORDS, **more})
    return made


def theirs(name: str, whole: Path, part: Path) -> tuple[dict[str, Any], bool] | None:
    """Run a peer on all rows, or only on a part where all would take too long (then True)."""
    small = ask(name, part)
    if small is None or PART * small["together"]["cpu"] > PEER_SECONDS:
        return None if small is None else (small, True)
    large = ask(name, whole)
    return None if large is None else (large, False)


# -- the tables ------------------------------------------------------------------------------------


def our_row(name: str, made: dict[str, Any], table: float) -> None:
    """Print one of our runs."""
    print(
        f"{name:34}{made['cpu']:8.2f}{made['wall']:8.2f}{made['peak']:10.0f}{made['peak'] / table:12.2f}"
        f"{made['added'] / table:14.2f}"
    )


def our_head(title: str) -> None:
    """Print the head of our rows."""
    heads = f"{'cpu s':>8}{'wall s':>8}{'peak MB':>10}{'peak/table':>12}{'added/table':>14}"
    print(f"{title:34}{heads}")


def peer_rows(name: str, answer: dict[str, Any], mine: dict[str, Any], columns: list[dict[str, Any]]) -> float:
    """Print a peer's seconds by statistic and how far its values are from ours; return the ratio of all."""
    print(f"\n{name} ({answer['version']}), peak memory {answer['peak']:.0f} MB")
    print(f"{'':16}{'cpu s':>8}{'wall s':>8}{'ratio':>8}  {'greatest difference':42}remark")
    by_name = {row["name"]: row for row in columns}
    for statistic in STATISTICS:
        remark = answer["remarks"].get(statistic, "")
        if statistic not in answer["runs"]:
            print(f"{statistic:16}{'-':>8}{'-':>8}{'-':>8}  {'':42}{remark}")
            continue
        run = answer["runs"][statistic]
        field = next((field for field in FIELDS[statistic] if field in answer["values"]), None)
        found = answer["values"][field] if field else {}
        gap = max((abs(value - by_name[column][field]) for column, value in found.items()), default=0.0)
        difference = f"{gap:.1e} in {field} of {len(found)} columns" if found else "-"
        ratio = run["cpu"] / mine["cpu"]
        print(f"{statistic:16}{run['cpu']:8.2f}{run['wall']:8.2f}{ratio:8.1f}  {difference:42}{remark}")
    all_ = answer["together"]
    ratio = all_["cpu"] / mine["cpu"]
    print(f"{'in one go':16}{all_['cpu']:8.2f}{all_['wall']:8.2f}{ratio:8.1f}")
    return float(ratio)


def table_mb(folder: Path) -> float:
    """Return the size of both sides as Arrow tables, in MB."""
    return float(sum(pq.read_table(folder / f"{name}.parquet").nbytes for name in ("reference", "window"))) / MB


def against_peers(rows: int, folder: Path, only: list[str]) -> None:
    """Print our runs and each peer's on the same rows, then the verdict."""
    whole, part = folder / "whole", folder / "part"
    for place, n in ((whole, rows), (part, rows // PART)):
        place.mkdir()
        write(place, n)
    table = table_mb(whole)
    print(
        f"{rows:,} + {rows:,} rows x {len(NUMBERS)} + {len(WORDS)} columns, {table:.0f} MB as Arrow tables, one thread"
    )
    our_head("ML-wild")
    made = {}
    for work in ("statistics", "report"):
        for kind in ("pandas", "arrow"):
            made[work, kind] = measured(whole, kind, work)
            our_row(f"{work}, {kind}", made[work, kind], table)
    mine = {False: made["statistics", "pandas"], True: measured(part, "pandas", "statistics")}
    reports = {False: made["report", "pandas"], True: measured(part, "pandas", "report")}
    ratios, report_ratios = {}, {}
    for name in PEERS:
        if only and name not in only:
            continue
        found = theirs(name, whole, part)
        if found is None:
            continue
        answer, smaller = found
        if smaller:
            few = f"{rows // PART:,} + {rows // PART:,}"
            print(f"\n{name} would need over {PEER_SECONDS:.0f} s for all rows: both sides on {few}.")
        ratios[name] = peer_rows(name, answer, mine[smaller], reports[smaller]["columns"])
        report_ratios[name] = answer["together"]["cpu"] / reports[smaller]["cpu"]
    if ratios:
        least = min(ratios, key=lambda name: ratios[name])
        print(f"\nleast ratio {ratios[least]:.1f}, to {least} (asked {TARGET:.0f}; ours makes all five statistics)")
        print(f"of the whole report {min(report_ratios.values()):.1f}")
    worst = max(run["peak"] for run in made.values()) / table
    print(f"greatest peak over the table {worst:.2f} (asked under {MEMORY_TARGET:.0f})")


def alone(rows: int, folder: Path) -> None:
    """Print our runs on a larger table, and on one with gaps."""
    for n, gaps, title in (
        (rows // 2, 0.02, "2 % missing in ten columns"),
        (rows, 0.0, "larger"),
    ):
        place = folder / f"alone {n} {gaps}"
        place.mkdir()
        write(place, n, gaps)
        table = table_mb(place)
        print()
        our_head(f"{n:,} + {n:,} rows, {title}")
        for work in ("statistics", "report"):
            our_row(f"{work}, pandas", measured(place, "pandas", work), table)
        our_row("report, arrow", measured(place, "arrow", "report"), table)


def main() -> None:
    """Measure both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows a side")
    parser.add_argument("--only", nargs="*", default=[], help=f"peers by name: {', '.join(PEERS)}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        against_peers(QUICK_ROWS if given.quick else ROWS, Path(folder), given.only)
        alone(2 * QUICK_ROWS if given.quick else ALONE_ROWS, Path(folder))


if __name__ == "__main__":
    main()
