"""
The worst slices of a table, against the package sliceline and Deepchecks' weak segments.

Equal: the rows (generated: ten features of ten bins whose sizes fall as in Zipf's law; three slices and one bin
lose more), in one file that every side reads before its clock starts; alpha, support (1 % of the rows), three
conditions, ten slices; one thread, one process a side. The package has numba, and compiles before its clock
starts. The ten scores must be the same, and the slices but for ties.

Not equal: Deepchecks does not search conjunctions. It grows trees on pairs of features, on a sample of 10,000 rows
unless told otherwise, and gives the worst leaf of each pair without an interval. Beside it stands `found_slices`,
which also confirms, on the same number of rows.

Seconds are of the processor (the wall clock beside it): ours the median of five, a peer's of one run. "Peak" is the
resident memory of the whole process, imports and table included; "added" is what our search added to it.

"Exactness" holds the best ten of 200 small tables with more bins than rows against the package's, whose bound takes
the number of one-hot columns where that of the rows belongs; each score of ours is made again from plain means.
"""

from __future__ import annotations

import os

for threads in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{threads}_NUM_THREADS"] = "1"
os.environ |= {"DO_NOT_TRACK": "1"}  # peers that report their use are not to

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import peers
import processes
from drift import resident
from drift_peer_versions import PINS

from mlwild.stats.slices import found_slices, members, sliceline

peers.PINS["deepchecks"] = PINS["deepchecks"]

ROWS, FEATURES, BINS = 100_000, 10, 10
LARGE_ROWS, LARGE_FEATURES = 1_000_000, 20
K, LEVELS, SHARE = 10, 3, 0.01
SAMPLE = 10_000
SMALL_TABLES, SMALL_ROWS = 200, 60
REPEATS = 5
TARGET = 10.0
#: What is searched: name, kind of losses, alpha.
CASES = (
    ("0 and 1, alpha 0.95", "errors", 0.95),
    ("0 and 1, alpha 0.6", "errors", 0.6),
    ("skewed, alpha 0.95", "losses", 0.95),
)


# -- the table -------------------------------------------------------------------------------------


def table(rows: int, features: int) -> dict[str, np.ndarray]:
    """Draw bins, losses of 0 and 1, and skewed ones of the same means."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, BINS + 1)
    codes = rng.choice(BINS, (rows, features), p=share / share.sum()).astype(np.uint8)
    mean = 0.08 + 0.1 * (codes[:, 0] == 0)
    for conditions, more in ((((1, 1), (2, 0)), 0.25), (((3, 0), (4, 1)), 0.3), (((5, 0), (6, 0), (7, 0)), 0.35)):
        mean += more * members(codes, conditions)
    return {
        "codes": codes,
        "errors": (rng.random(rows) < mean).astype(np.float64),
        "losses": mean * rng.lognormal(-0.5, 1.0, rows),
    }


def small_table(seed: int) -> dict[str, np.ndarray]:
    """Draw a table of few rows and many bins, one of which holds half of the rows of its feature."""
    rng = np.random.default_rng([1, seed])
    share = np.r_[0.5, np.full(24, 0.5 / 24)]
    codes = np.column_stack([rng.choice(25, SMALL_ROWS, p=share) for _ in range(5)]).astype(np.uint8)
    worse = (codes[:, 0] == 0) & (codes[:, 1] > 0)
    return {"codes": codes, "errors": (rng.random(SMALL_ROWS) < np.where(worse, 0.7, 0.15)).astype(np.float64)}


# -- our side, in a process of its own -------------------------------------------------------------


def searched(made: dict[str, np.ndarray], kind: str, alpha: float | None) -> list[dict[str, Any]]:
    """Search once; with no alpha, find and confirm."""
    codes, losses = made["codes"], made[kind]
    if alpha is None:
        found = found_slices(codes, losses)
        return [{"conditions": one.conditions, "low": one.low, "n": one.n} for one in found.confirmed]
    top = sliceline(codes, losses, alpha=alpha, k=K, levels=LEVELS, support=SHARE * len(codes))
    return [{"conditions": one.conditions, "score": one.score, "size": one.size} for one in top.slices]


def ours(path: str, kind: str, alpha: float | None) -> None:
    """Search some times and print seconds, slices and memory; called in a new process."""
    with np.load(path) as file:
        made = {name: file[name] for name in ("codes", kind)}
    small = {name: values[:1000] for name, values in made.items()}
    searched(small, kind, alpha)  # imports
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, runs, slices = resident("VmRSS"), [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        slices = searched(made, kind, alpha)
        runs.append({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})
    run = sorted(runs, key=lambda one: one["cpu"])[len(runs) // 2]
    print(json.dumps({"run": run, "slices": slices, "peak": resident("VmHWM"), "added": resident("VmHWM") - before}))


def measured(path: Path, kind: str, alpha: float | None) -> dict[str, Any]:
    """Run our side in a process of its own."""
    code = f"import slices; slices.ours({str(path)!r}, {kind!r}, {alpha!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=processes.ENVIRONMENT, check=True, capture_output=True, text=True
    )
    made: dict[str, Any] = json.loads(done.stdout)
    return made


# -- the comparisons -------------------------------------------------------------------------------


def saved(folder: Path, name: str, made: dict[str, np.ndarray], kind: str) -> str:
    """Write a table as the peers read it."""
    np.savez(folder / f"{name}.npz", codes=made["codes"], errors=made[kind])
    return str(folder / f"{name}.npz")


def same(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """Say how far two lists of slices agree; the package gives all that tie with the last one."""
    scores = [sorted((one["score"] for one in side), reverse=True)[:K] for side in (mine, theirs)]
    if len(scores[0]) != len(scores[1]) or not np.allclose(*scores, rtol=0, atol=1e-9):
        raise AssertionError(f"other scores: {scores}")
    least = min(scores[0], default=0.0) + 1e-9
    sides = [
        {json.dumps(sorted(map(list, one["conditions"]))) for one in side if one["score"] > least}
        for side in (mine, theirs)
    ]
    if sides[0] != sides[1]:
        raise AssertionError(f"other slices: {sides}")
    return f"{len(scores[0])} slices, the same scores"


def against_sliceline(rows: int, folder: Path, whole: Path) -> None:
    """Print both sides' seconds on all rows, and that the slices are the same."""
    made = dict(np.load(whole))
    tables = [
        (saved(folder, f"case {place}", made, kind), alpha, int(SHARE * rows))
        for place, (_, kind, alpha) in enumerate(CASES)
    ]
    answer = peers.run("sliceline", "slices_peer_sliceline.py", {"tables": tables, "k": K, "levels": LEVELS})
    numba = f", numba {answer['numba']}, peak {answer['peak']:,.0f} MB" if answer else ""
    print(f"{rows:,} rows x {FEATURES} features of {BINS} bins, {LEVELS} conditions; sliceline{numba}")
    print(f"{'':24}{'cpu s':>8}{'wall s':>8}{'peak MB':>9}{'added MB':>10}{'peer cpu s':>12}{'ratio':>8}")
    ratios = []
    for place, (name, kind, alpha) in enumerate(CASES):
        mine = measured(whole, kind, alpha)
        row = f"{name:24}{mine['run']['cpu']:8.3f}{mine['run']['wall']:8.3f}{mine['peak']:9.0f}{mine['added']:10.0f}"
        if answer:
            theirs = answer["answers"][place]
            ratios.append(theirs["run"]["cpu"] / mine["run"]["cpu"])
            row += f"{theirs['run']['cpu']:12.2f}{ratios[-1]:8.0f}  {same(mine['slices'], theirs['slices'])}"
        print(row)
    if ratios:
        print(f"least ratio {min(ratios):.0f} (asked {TARGET:.0f})")


def against_deepchecks(folder: Path, whole: Path) -> None:
    """Print both sides' seconds on a sample, and what each says is worst."""
    made = {name: values[:SAMPLE] for name, values in dict(np.load(whole)).items()}
    np.savez(folder / "sample.npz", **made)
    mine = measured(folder / "sample.npz", "errors", None)
    print(f"\n{SAMPLE:,} rows, losses of 0 and 1: found and confirmed, against weak segments")
    print(f"{'ours':12}{mine['run']['cpu']:8.3f} cpu s; {len(mine['slices'])} confirmed: ", end="")
    print(
        ", ".join(f"{one['conditions']} (n {one['n']}, at least {one['low']:.2f} more)" for one in mine["slices"][:3])
    )
    question = {"table": str(folder / "sample.npz"), "rows": SAMPLE}
    answer = peers.run("deepchecks", "slices_peer_deepchecks.py", question)
    if answer:
        ratio = answer["run"]["cpu"] / mine["run"]["cpu"]
        row = f"{'Deepchecks':12}{answer['run']['cpu']:8.3f} cpu s, ratio {ratio:.0f}, peak {answer['peak']:.0f} MB; "
        if answer["segments"]:
            row += f"worst of {answer['segments']}: {answer['worst']}, mean {answer['mean']:.2f} "
            row += f"on {answer['share']:.0%} of rows"
        print(row if answer["segments"] else row + "it finds no weak segment")


def exactness(folder: Path) -> None:
    """Print in how many small tables the package's best are others than ours."""
    made = [small_table(seed) for seed in range(SMALL_TABLES)]
    tables = [(saved(folder, f"small {seed}", one, "errors"), 0.9, 2) for seed, one in enumerate(made)]
    answer = peers.run("sliceline", "slices_peer_sliceline.py", {"tables": tables, "k": K, "levels": 2})
    if not answer:
        return
    worse = 0
    for one, theirs in zip(made, answer["answers"], strict=True):
        codes, errors = one["codes"], one["errors"]
        mine = sliceline(codes, errors, alpha=0.9, k=K, levels=2, support=2).slices
        for slice_ in mine:
            inside = members(codes, slice_.conditions)
            size = int(inside.sum())
            score = 0.9 * (errors[inside].mean() / errors.mean() - 1) - 0.1 * (len(errors) / size - 1)
            if abs(score - slice_.score) > 1e-9:
                raise AssertionError(f"score {slice_.score} of {slice_.conditions} is {score}")
        scores = sorted((found["score"] for found in theirs["slices"]), reverse=True)[:K]
        padded = np.array([*scores, *[0.0] * (len(mine) - len(scores))])[: len(mine)]
        if (padded > np.array([slice_.score for slice_ in mine]) + 1e-9).any():
            raise AssertionError("the package found a slice that is not among ours")
        worse += bool((padded < np.array([slice_.score for slice_ in mine]) - 1e-9).any())
    print(
        f"\nexactness: of {SMALL_TABLES} tables of {SMALL_ROWS} rows x 5 features of 25 bins the package misses one of"
    )
    print(f"the best {K} slices in {worse}")


def alone(folder: Path, rows: int) -> None:
    """Print our seconds and memory on a larger table."""
    path = folder / "large.npz"
    np.savez(path, **table(rows, LARGE_FEATURES))
    print(
        f"\n{rows:,} rows x {LARGE_FEATURES} features of {BINS} bins ({rows * LARGE_FEATURES / 2**20:.0f} MB of codes)"
    )
    print(f"{'':24}{'cpu s':>8}{'wall s':>8}{'peak MB':>9}{'added MB':>10}")
    for name, kind, alpha in (*CASES, ("0 and 1, confirmed", "errors", None), ("skewed, confirmed", "losses", None)):
        mine = measured(path, kind, alpha)
        print(f"{name:24}{mine['run']['cpu']:8.3f}{mine['run']['wall']:8.3f}{mine['peak']:9.0f}{mine['added']:10.0f}")


def main() -> None:
    """Measure all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows")
    given = parser.parse_args()
    rows = ROWS // 5 if given.quick else ROWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "whole.npz", **table(rows, FEATURES))
        against_sliceline(rows, folder, folder / "whole.npz")
        against_deepchecks(folder, folder / "whole.npz")
        exactness(folder)
        alone(folder, LARGE_ROWS // 5 if given.quick else LARGE_ROWS)


if __name__ == "__main__":
    main()
