"""
Ten thousand runs on record: listed, grouped and set side by side; and what it costs to put one there.

A page is timed whole: from the request to the last byte of HTML, first with a database that this process has not read
yet, then again. So are the pages of a life of 5,000 ticks, and of a thousand apps.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from fastapi.testclient import TestClient

from mlwild.versions import Made, record, runs
from mlwild.versions.place import client_of, place_of
from mlwild.versions.recording import TAG
from mlwild.web import Workspace, site

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.web.lives import long_life

RUNS, TICKS, APPS = 10_000, 5_000, 1_000


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


def page(store: Path, path: str) -> tuple[float, float, int]:
    """Return the seconds of a page in a process that has read nothing yet, and again, and its bytes."""
    with TestClient(site(Workspace(store)), base_url="http://localhost") as pages:
        pages.get("/cards")  # so that no template or thread is made for the first time
        began = time.perf_counter()
        size = len(pages.get(path).raise_for_status().content)
        first = time.perf_counter() - began
        return first, timed(lambda: pages.get(path).raise_for_status()), size


def lives(store: Path) -> None:
    """Make one long life, and a thousand apps."""
    long_life(store / "long", "old", TICKS)
    made = long_life(store / "many", "app-0", 20).path.parent
    for number in range(1, APPS):
        folder = made.with_name(f"app-{number}")
        folder.mkdir()
        for name in ("ledger.jsonl", "status.json"):
            shutil.copy2(made / name, folder / name)


def main() -> None:
    """Print seconds, and ratios to MLflow's own search."""
    shown = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        many(store)
        lives(store)
        ours = timed(lambda: runs(store))
        place = place_of(store)
        with client_of(place) as client:
            ids = [one.experiment_id for one in client.search_experiments()]
            began = time.perf_counter()
            found = client.search_runs(ids, max_results=RUNS)
            theirs = time.perf_counter() - began
            assert len(found) == len(runs(store)) == RUNS
        print(f"list 10,000 runs: {ours:.2f} s, MLflow's search {theirs:.1f} s: {theirs / ours:.0f}x")
        some = "&".join(f"id={run.id}" for run in runs(store)[:4])
        for name, where, path in (
            ("10,000 runs", store, "/runs"),
            ("10,000 runs in 300 groups (asked: under 1 s)", store, "/runs?by=rule&metric=cost"),
            ("10,000 runs filtered, grouped, sorted", store, "/runs?text=seed%3D3&by=rule&metric=cost&sort=metric"),
            ("4 of 10,000 side by side (asked: under 1 s)", store, f"/runs/compare?{some}"),
            ("a life of 5,000 ticks", store / "long", "/apps/old"),
            ("1,000 apps", store / "many", "/"),
        ):
            first, again, size = shown[name] = page(where, path)
            print(f"{name}: {first:.2f} s at first, {again:.3f} s again; {size / 1000:,.0f} kB")
        one = timed(lambda: record("trial", "comparison", Made({"n": 1}), store=store))
        print(f"put a run on record, once MLflow is imported: {one:.2f} s")
    print(json.dumps({"list s": ours, "MLflow s": theirs, "record s": one, "pages": shown}))


if __name__ == "__main__":
    main()
