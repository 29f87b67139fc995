"""Ten thousand runs on record: listed, grouped and set side by side; and what it costs to put one there."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from fastapi.testclient import TestClient

from mlwild.versions import Made, record, runs
from mlwild.versions.place import client_of, place_of
from mlwild.versions.recording import TAG
from mlwild.web import Workspace, site

RUNS = 10_000


def many(store: Path) -> None:
    """Make one run, and copies of its rows with other numbers."""
    first = record("trial", "rehearsal", Made({"recommended": {"cost": 1.0}}, params={"rule": "every 3"}), store=store)
    with closing(sqlite3.connect(place_of(store).database)) as base, base:
        columns = [row[1] for row in base.execute("pragma table_info(runs)")]
        row = dict(zip(columns, base.execute("select * from runs").fetchone(), strict=True))
        body = first.as_dict()
        for k in range(1, RUNS):
            number = f"{k:032x}"
            base.execute(
                f"insert into runs ({','.join(columns)}) values ({','.join('?' * len(columns))})",
                [number if name == "run_uuid" else row[name] for name in columns],
            )
            made = body | {"id": number, "params": {"rule": f"every {k % 300}", "seed": str(k % 5)}}
            made |= {"metrics": {"cost": float(k % 997), "regret": float(k)}}
            base.execute("insert into tags (key, value, run_uuid) values (?, ?, ?)", (TAG, json.dumps(made), number))


def timed(work) -> float:
    """Return the least of three times in seconds."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Print seconds, and ratios to MLflow's own search."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        many(store)
        ours = timed(lambda: runs(store))
        place = place_of(store)
        with client_of(place) as client:
            ids = [one.experiment_id for one in client.search_experiments()]
            began = time.perf_counter()
            found = client.search_runs(ids, max_results=RUNS)
            theirs = time.perf_counter() - began
            assert len(found) == len(runs(store)) == RUNS
        with TestClient(site(Workspace(store)), base_url="http://localhost") as pages:
            grouped = timed(lambda: pages.get("/runs?by=rule&metric=cost").raise_for_status())
            some = "&".join(f"id={run.id}" for run in runs(store)[:4])
            side = timed(lambda: pages.get(f"/runs/compare?{some}").raise_for_status())
        one = timed(lambda: record("trial", "comparison", Made({"n": 1}), store=store))
    print(f"list 10,000 runs: {ours:.2f} s, MLflow's search {theirs:.1f} s: {theirs / ours:.0f}x")
    print(f"group 10,000 runs, the whole page (asked: under 1 s): {grouped:.2f} s")
    print(f"set 4 of 10,000 side by side: {side:.2f} s")
    print(f"put a run on record, once MLflow is imported: {one:.2f} s")


if __name__ == "__main__":
    main()
