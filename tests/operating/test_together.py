"""Apps that are ticked at once, over one workspace whose tables grow: each lives as if it were alone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import pytest

from mlwild.disk import held
from mlwild.warehouse import Stored
from tests.operating import crew
from tests.operating.crew import FAILS, KILLED, TWICE, Workspace
from tests.operating.test_durability import PATHS, ROOT
from tests.operating.worlds import bodies

LAST = 9


def start(role, space, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    command = [sys.executable, "-m", "tests.operating.crew", role, str(space.folder), *map(str, more)]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    """Return what a process said in the end."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def killed_again_and_again(space, name, times, rng):
    """Kill an operator at random moments, and start it again; return the last one."""
    process = start("operator", space, name, LAST)
    for _ in range(times):
        time.sleep(1.0 + 3.0 * rng.random())
        process.kill()
        process.communicate()
        process = start("operator", space, name, LAST)
    return process


def together(folder, names, kills, step):
    """Let some apps live at once, while rows come and somebody looks; return where, and what was counted."""
    space, rng = Workspace(folder), random.Random(0)
    tables = crew.read_by(names)
    crew.pour(space, 0, crew.BEGUN, tables)
    (space.folder / "away").touch()
    looks = start("reader", space)
    going = [start("operator", space, name, LAST) for name in names if name != KILLED]
    if TWICE in names:
        going.append(start("operator", space, TWICE, LAST))
    writes = start("writer", space, step, *tables)
    if KILLED in names:
        going.append(killed_again_and_again(space, KILLED, kills, rng))
    while FAILS in names and not (space.folder / "seen").exists() and any(one.poll() is None for one in going):
        time.sleep(0.05)
    (space.folder / "away").unlink()
    writes.communicate(timeout=600)
    assert writes.returncode == 0
    told = [ended(process) for process in going]
    (space.folder / "enough").touch()
    return space, told, ended(looks)


def alone(folder, names):
    """Let each app live by itself, on the rows as they are in the end."""
    space, tables = Workspace(folder), crew.read_by(names)
    crew.pour(space, 0, crew.BEGUN, tables)
    crew.pour(space, crew.BEGUN, crew.ALL, tables)
    for name in names:
        crew.operated_once(space, name)
    return space


def without_versions(ledger):
    """Return the facts, less which version of a table was there when it was read."""
    made = bodies(ledger)
    return [(kind, cutoff, {n: v for n, v in body.items() if n != "tables"}) for kind, cutoff, body in made]


def rows_at_versions(space, name):
    """Return the rows that each tick says it saw, and those of the versions of the tables that it says it read."""
    data = crew.apps(space)[name][0].data
    facts = [fact for fact in space.ledger(name).facts if fact.kind == "observed"] if isinstance(data, Stored) else []
    for fact in facts:
        version, now = fact.body["tables"][data.name], int(fact.body["at"])
        yield fact.body["all_rows"], data.table.read(as_of=now, version=version, until=now).num_rows


def _each_lives_as_if_it_were_alone(tmp_path, names, monkeypatch, *, kills=0, step=85):
    monkeypatch.setenv("CREW", str(tmp_path / "alone"))
    (tmp_path / "alone").mkdir()
    (tmp_path / "together").mkdir()
    space, told, looked = together(tmp_path / "together", names, kills, step)
    single = alone(tmp_path / "alone", names)
    for name in names:
        assert without_versions(space.ledger(name)) == without_versions(single.ledger(name)), name
        assert space.ticked(name) == LAST
        for seen, there in rows_at_versions(space, name):
            assert seen == there
    assert looked["wrong"] == []
    assert looked["looks"] > 10
    for lock in [*space.store.rglob("*.lock"), *space.tables.rglob("lock")]:
        with held(lock, lambda owner: f"left by {owner}"):
            pass
    for one in crew.status(space.store):
        assert "tick at cutoff" not in one.alarm
    return {"runs": sum(one["runs"] for one in told), "busy": sum(one["busy"] for one in told),
            "failed": sum(one["failed"] for one in told), "looks": looked["looks"]}  # fmt: skip


def test_three_apps_at_once_live_as_if_each_were_alone(tmp_path, monkeypatch):
    counted = _each_lives_as_if_it_were_alone(tmp_path, ["line", "rain", "fails"], monkeypatch)
    assert counted["failed"] >= 1
    assert counted["runs"] >= 4


@pytest.mark.slow
def test_ten_apps_at_once_live_as_if_each_were_alone(tmp_path, monkeypatch):
    names = list(crew.apps(Workspace(tmp_path)))
    assert len(names) == 10
    counted = _each_lives_as_if_it_were_alone(tmp_path, names, monkeypatch, kills=6, step=23)
    print(counted)
    assert counted["failed"] >= 1
    assert counted["busy"] >= 1
