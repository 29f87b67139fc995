"""
What a rehearsal costs beside the fits and predicts that it is made of: the flights example.

The bare loop reads the same data, makes the same features, and for every cutoff fits the same models on
the rows known by then and predicts all later rows: no digests, nothing kept, no rule priced. It runs on
one thread, as each fit of a rehearsal does, and once more with as many threads as the model takes. One
process is compared with one process by processor seconds, which other load on the machine does not
change; two processes with one by wall-clock seconds. By default a vintage every four weeks; --full is the
example as it stands, every week.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import histories
import pandas as pd
import processes
from threadpoolctl import threadpool_limits

import mlwild as wild
from mlwild import models
from mlwild.lives import first_vintage, fold
from mlwild.rules import BreakEven, Every, Rule, standard

RULES: tuple[Rule, ...] = (*standard(), *(Every(periods) for periods in (5, 7, 10)), BreakEven(3.0))
CORES = 2
REPEATS = 2


def flights(*, full: bool) -> wild.App:
    """Return the example, or the same with a vintage every four weeks."""
    app: wild.App = histories.example("flights").app
    return app if full else replace(app, every="28D", start="2013-02-19")


@dataclass(frozen=True)
class Weather:
    """The join of the bare loop, by pandas."""

    rows: pd.DataFrame

    def asof(self, flights: pd.DataFrame) -> pd.DataFrame:
        """Return the newest row that was available at each flight's time."""
        left = flights[["departs_at", "origin"]]
        return pd.merge_asof(left, self.rows, left_on="departs_at", right_on="available", by="origin")


def read() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return flights in order of time, and their features."""
    example = histories.example("flights")
    frame = example.flights().sort_values("departs_at", kind="stable").reset_index(drop=True)
    weather = example.weather()
    weather["available"] = weather["observed_at"] + pd.Timedelta(hours=1)
    features = example.features(frame, {"weather": Weather(weather.sort_values("available"))})
    return frame, features


def bare(app: wild.App, cutoffs: list[str]) -> int:
    """Fit and predict in a plain loop; return the number of fits."""
    frame, features = read()
    labels = frame["late"].fillna(0).to_numpy(dtype=int)
    count = 0
    for text in cutoffs:
        cutoff = pd.Timestamp(text, tz="America/New_York")
        past = frame["departs_at"] < cutoff
        known = past & (frame["landed_at"] <= cutoff) & frame["late"].notna()
        for model in app.models.values():
            fitted = models.fit(model, features[known], labels[known], 0)
            fitted.predict_proba(features[~past])
            count += 1
    return count


@dataclass(frozen=True)
class Spent:
    """Wall-clock and processor seconds of this process, and what was made."""

    wall: float
    cpu: float
    made: Any


def spent(work: Callable[[], Any]) -> Spent:
    """Time a piece of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu, made)


def price(rehearsal: wild.Rehearsal) -> tuple[float, int]:
    """Return the seconds of pricing all rules anew, and the fits made by that."""
    triangle = rehearsal.triangles[0]
    start = first_vintage(triangle)
    assert start
    before = triangle.tally.made
    fresh = replace(triangle, _gaps={}, _last_known={})
    taken = spent(lambda: [fold(rule, fresh, start) for rule in RULES])
    return taken.wall, triangle.tally.made - before


def line(name: str, value: float, unit: str, note: str = "") -> None:
    """Print one row."""
    print(f"{name:58}{value:9.3g} {unit:5} {note}")


def rehearse(app: wild.App, jobs: int) -> Spent:
    """Rehearse with an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        return spent(lambda: wild.rehearse(app, store=folder, jobs=jobs).sheet["fits"]["made"])


def bare_on_one_thread(app: wild.App, cutoffs: list[str]) -> Spent:
    """Time the bare loop with every thread pool held to one thread."""
    with threadpool_limits(limits=1):
        return spent(lambda: bare(app, cutoffs))


def compare(app: wild.App, store: Path, repeats: int) -> wild.Rehearsal:
    """Print bare loop against rehearsal, cold and warm; return the rehearsal."""
    first = wild.rehearse(app, store=store, jobs=CORES)
    cutoffs, made = first.sheet["cutoffs"], first.sheet["fits"]["made"]
    runs = [(bare_on_one_thread(app, cutoffs), rehearse(app, 1), rehearse(app, CORES)) for _ in range(repeats)]
    loops, ones, twos = zip(*runs, strict=True)
    free = spent(lambda: bare(app, cutoffs))
    warm = spent(lambda: wild.rehearse(app, store=store, jobs=CORES).sheet["fits"]["made"])
    assert all(run.made == made for run in (*loops, *ones, *twos, free))
    cpu, one = min(run.cpu for run in loops), min(run.cpu for run in ones)
    loop, two = min(run.wall for run in loops), min(run.wall for run in twos)
    print(f"flights: {len(cutoffs)} cutoffs, {made} fits, {first.sheet['data']['rows']} rows")
    print(f"best of {repeats}, taken in turn; load of the machine {os.getloadavg()[1]:.1f} ({CORES} is two busy cores)")
    line("bare loop, one thread", cpu, "cpu s", f"(wall {loop:.1f} s)")
    line("rehearsal, one process, empty store", one, "cpu s", f"(wall {min(run.wall for run in ones):.1f} s)")
    line("  overhead over the bare loop", 100 * (one / cpu - 1), "%", "target < 10")
    line("rehearsal on two cores, empty store", two, "s")
    line("  bare loop on one thread over it", loop / two, "x", "target >= 1.6")
    line("bare loop, the model's own threads", free.wall, "s", f"{free.wall / two:.2f}x of the rehearsal on two cores")
    line("second rehearsal, nothing changed", warm.wall, "s", f"target < 10; {warm.made} fits")
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="a vintage every week (ten minutes)")
    full = parser.parse_args().full
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = compare(flights(full=full), Path(folder), 1 if full else REPEATS)
        fits = rehearsal.triangles[0].tally.seconds
        seconds, made = price(rehearsal)
    line(f"pricing {len(RULES)} rules", seconds, "s", f"{1000 * seconds / len(RULES):.0f} ms a rule")
    line("  share of the time of the fits", 100 * seconds / fits, "%", "target < 5")
    line("  fits made while pricing", made, "", "target 0")
    for statement, target in (("import mlwild", "target < 0.3"), ("from mlwild import App, rehearse", "")):
        taken = statistics.median(processes.import_seconds(statement) for _ in range(5))
        line(f"{statement} (median of 5 processes)", taken, "s", target)
    with tempfile.TemporaryDirectory() as folder:
        memory = processes.rehearsal_memory("overhead", f"flights(full={full})", Path(folder), CORES)
    note = f"target < 2000; main process {memory.main:.0f}, largest worker {memory.worker:.0f}"
    line("peak memory of a cold rehearsal with its workers", memory.together, "MB", note)


if __name__ == "__main__":
    main()
