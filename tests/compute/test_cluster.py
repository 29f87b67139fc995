"""A real Ray cluster of several nodes: one is killed in the middle, and every bit is the same."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from mlwild.compute import Ray
from mlwild.errors import AppError
from mlwild.triangle.cluster import _fitting, cluster
from tests.test_cli import run, write

ray_there = pytest.importorskip("ray", reason="mlwild[ray] is not installed")

#: A rehearsal on a cluster in a process of its own: Ray leaves threads, sockets and variables behind.
SCRIPT = """
import hashlib, json, os, sys, threading, time, warnings
from pathlib import Path
import mlwild as wild
from mlwild.triangle import parallel
from tests.support import Line, drifting, small_app

parallel.ALONE = -1.0

class Slow(Line):
    def fit(self, X, y):
        time.sleep({nap})
        return super().fit(X, y)

def state(folder):
    paths = sorted(Path(folder).glob("memo/*/*"))
    kept = [path for path in paths if path.suffix in (".model", ".arrow")]
    return {{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}}

def main(folder, kill):
    app = small_app(drifting(n=900), models={{"line": Slow()}}, every=25, start=100, update="partial_fit")
    plain = wild.rehearse(app, store=folder + "/plain", jobs=1)
    if kill:
        from ray.cluster_utils import Cluster
        made = Cluster(initialize_head=True, head_node_args={{"num_cpus": 1, "include_dashboard": False}})
        nodes = [made.add_node(num_cpus=1) for _ in range(2)]
        compute = wild.Ray(address=made.address, chunk=2)
        seen = []
        def killer():
            while len(list(Path(folder + "/ray").glob("memo/*/*.model"))) < 6:
                time.sleep(0.05)
            made.remove_node(nodes[0], allow_graceful=False)
            seen.append(1)
        threading.Thread(target=killer, daemon=True).start()
    else:
        compute = wild.Ray(cpus=2, chunk=8)
    import mlwild.triangle.cluster as cluster_
    puts, ship = [], cluster_.ship
    cluster_.ship = lambda rows: puts.append(1) or ship(rows)
    there = wild.rehearse(app, store=folder + "/ray", jobs=compute)
    again = wild.rehearse(app, store=folder + "/ray", jobs=compute)
    beside = ("seconds", "fits", "made_of")
    sheets = [{{k: v for k, v in one.sheet.items() if k not in beside}} for one in (plain, there)]
    print(json.dumps({{
        "same": json.dumps(sheets[0]) == json.dumps(sheets[1]), "files": state(folder + "/plain") == state(folder + "/ray"),
        "n": len(state(folder + "/ray")), "made": [plain.sheet["fits"]["made"], there.sheet["fits"]["made"]],
        "again": again.sheet["fits"]["made"], "puts": len(puts), "killed": bool(kill and seen),
    }}))

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "kill")
"""


def rehearsed(folder, how, nap):
    path = folder / "on_ray.py"
    path.write_text(textwrap.dedent(SCRIPT.format(nap=nap)))
    root = str(folder.parents[0])
    env = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "RAY_TMPDIR": "/tmp",
    }  # sockets want a short path
    done = subprocess.run(
        [sys.executable, str(path), str(folder), how], capture_output=True, text=True, env=env, timeout=300, check=False
    )
    assert done.returncode == 0, (root, done.stdout[-2000:], done.stderr[-3000:])
    import json

    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_cluster_of_this_machine_makes_the_same_bits(tmp_path):
    found = rehearsed(tmp_path, "alone", 0.0)
    assert found["same"]
    assert found["files"]
    assert found["made"][0] == found["made"][1] == 74
    assert found["again"] == 0
    assert found["puts"] == 1


@pytest.mark.slow
def test_a_node_that_is_killed_in_the_middle_changes_no_bit(tmp_path):
    found = rehearsed(tmp_path, "kill", 0.4)
    assert found["killed"]
    assert found["same"]
    assert found["files"]
    assert found["made"][0] == found["made"][1]
    assert found["again"] == 0


def test_a_cluster_that_cannot_be_reached_is_said(tmp_path):
    write(tmp_path)
    env = dict(os.environ) | {"RAY_ADDRESS": "127.0.0.1:9"}
    code = "import mlwild.triangle.parallel as p; p.ALONE = -1.0; from mlwild.cli import main; import sys; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "rehearse", "app.py", "--compute", "ray"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "the Ray cluster 127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_little_work_starts_no_cluster(tmp_path):
    write(tmp_path)
    done = run("rehearse", "app.py", "--compute", "ray", cwd=tmp_path)
    assert "ray" not in done.stderr.lower()


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "t")
    with pytest.raises(AppError, match=r"pip install 'mlwild\[ray\]'"), cluster(Ray(), 0):
        pass


def test_chunks_are_a_seconds_worth_and_some_for_every_processor():
    class There:
        @staticmethod
        def cluster_resources():
            return {"CPU": 4.0}

    assert _fitting(0.001, 1000, There) == 25
    assert _fitting(0.2, 1000, There) == 5
    assert _fitting(5.0, 1000, There) == 1
    assert _fitting(0.001, 24, There) == 2
    assert _fitting(None, 10_000, There) == 25


@pytest.mark.parametrize("words", [{"cpus": 0}, {"chunk": -1}, {"cpus": 1.5}])
def test_numbers_that_are_none_are_refused(words):
    with pytest.raises(AppError, match="is no positive number"):
        Ray(**words)
