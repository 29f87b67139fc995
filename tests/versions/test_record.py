"""What was done is on record: once, whole, with what it rested on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from mlwild import compare
from mlwild.comparisons import read_experiments
from mlwild.errors import AppError, StoreError
from mlwild.gate.outcome import Word
from mlwild.versions import Made, left, place_of, record, run_of, runs
from mlwild.versions.metrics import VERDICTS, metrics_of
from mlwild.versions.place import client_of
from mlwild.versions.provenance import MOST
from mlwild.versions.reading import _asked, _run
from mlwild.versions.recording import TAG, experiment_of
from mlwild.web.runs import Asked
from tests.support import drifting, small_app


def made(value=1.0, **more):
    return Made({"n": value, "models": [{"name": "a", "estimate": value / 2}]}, **more)


def test_a_run_comes_back_as_it_was(tmp_path):
    app = small_app(drifting())
    pages = {"card.html": "<p>é</p>"}
    run = record(app, "comparison", made(params={"rule": "every 3"}, pages=pages, against="b"), store=tmp_path)
    assert run_of(run.id[:6], tmp_path) == run
    assert dict(run.metrics) == {"n": 1.0, "loss of a": 0.5}
    assert (run.space, run.against, run.environment != "") == ("user", "b", True)
    files = left(run, tmp_path)
    assert files["card.html"].decode() == pages["card.html"]
    assert json.loads(files["sheet.json"])["n"] == 1.0
    assert b"# Python" in files["packages.txt"]


def test_what_is_better_when_greater_is_no_loss_on_record(tmp_path):
    """An accuracy of 0.82 was kept as a loss of 0.82: the better of two stood there as the worse."""
    shares = {"a": [0.8, 0.79, 0.81, 0.8], "b": [0.83, 0.82, 0.84, 0.82]}
    rows = [f"{name},{seed},{one}" for name, seen in shares.items() for seed, one in enumerate(seen)]
    (tmp_path / "runs.csv").write_text("\n".join(["model,seed,accuracy", *rows]))
    found = compare(read_experiments(tmp_path / "runs.csv", metric="accuracy", by=["model"]))
    kept = record("runs", "comparison", Made(found.as_dict()), store=tmp_path).metrics
    of = {name: value for name, value in kept.items() if " of " in name}
    assert of == {f"score of {name}": pytest.approx(np.mean(seen)) for name, seen in shares.items()}
    assert all(Asked(metric=name).greatest for name in of)
    assert not Asked(metric="loss of a").greatest


def test_one_query_reads_what_mlflows_own_search_reads(tmp_path):
    for value in range(7):
        record(f"app{value % 2}", "comparison", made(float(value)), store=tmp_path)
    place = place_of(tmp_path)
    assert sorted(_run(*row).id for row in _asked(place)) == sorted(run.id for run in runs(tmp_path))
    assert {run.id: run for run in (_run(*row) for row in _asked(place))} == {run.id: run for run in runs(tmp_path)}
    with client_of(place) as client:
        for run in runs(tmp_path):
            theirs = client.get_run(run.id)
            assert theirs.data.metrics == dict(run.metrics)
            assert theirs.info.status == "FINISHED"
            assert theirs.data.tags["mlwild.space"] == "user"
            assert [file.path for file in client.list_artifacts(run.id)] == sorted(left(run, tmp_path))
    assert [run.app for run in runs(tmp_path, app="app1")] == ["app1"] * 3
    assert not runs(tmp_path, kind="gate")


def test_the_code_beside_an_app_is_named_with_what_differs(tmp_path):
    def git(*words):
        who = ("-c", "user.email=a@example.org", "-c", "user.name=a")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    app = small_app(drifting(), root=tmp_path)
    assert record(app, "gate", made(), store=tmp_path / "s").commit == ""
    git("init", "-q")
    (tmp_path / "features.py").write_text("x = 1\n")
    git("add", "features.py")
    git("commit", "-qm", "first")
    clean = record(app, "gate", made(), store=tmp_path / "s")
    assert len(clean.commit) == 40
    assert not clean.dirty
    (tmp_path / "features.py").write_text("x = 2\n")
    (tmp_path / "other.py").write_text("")
    dirty = record(app, "gate", made(), store=tmp_path / "s")
    assert dirty.dirty
    assert left(dirty, tmp_path / "s")["diff.patch"].decode().count("+x = 2") == 1
    assert "? other.py" in left(dirty, tmp_path / "s")["diff.patch"].decode()
    new = {"other.py": "y = 'é'\n\n# no line break follows", "with space.py": "a = 1\r\nb = 2\n", "empty.py": ""}
    for name, text in new.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "long.py").write_text("# " + "x" * MOST)
    (tmp_path / "odd.py").write_bytes(b"\xff")
    patch = left(record(app, "gate", made(), store=tmp_path / "s"), tmp_path / "s")["diff.patch"]
    assert f"? long.py: left out, since it has {MOST + 2:,} letters" in patch.decode()
    assert "? odd.py: left out, since it cannot be read as text" in patch.decode()
    # What is kept makes the same files again from the commit.
    again = tmp_path / "again"
    git("clone", "-q", str(tmp_path), str(again))
    subprocess.run(["git", "apply", "-"], cwd=again, input=patch, check=True)
    assert {name: (again / name).read_bytes().decode() for name in new} == new
    assert (again / "features.py").read_text() == "x = 2\n"


_DIES = """
import os, sys
from mlwild.versions import Made, record
from mlwild.versions import recording
recording.leave = lambda *words: os.kill(os.getpid(), 9)
record("dead", "gate", Made({}), store=sys.argv[1])
"""


def test_a_run_whose_process_died_does_not_run_for_ever(tmp_path):
    done = subprocess.run([sys.executable, "-c", _DIES, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert not runs(tmp_path)
    record("dead", "gate", made(), store=tmp_path)
    place = place_of(tmp_path)
    with client_of(place) as client:
        said = {one.info.status for one in client.search_runs([experiment_of(client, place, "user/dead")])}
    assert said == {"FAILED", "FINISHED"}
    assert len(runs(tmp_path)) == 1


_MANY = """
import sys
from mlwild.versions import Made, record
for value in range(4):
    record("many", "comparison", Made({"n": value}), store=sys.argv[1])
"""


def test_processes_that_record_at_once_lose_nothing(tmp_path):
    record("many", "comparison", made(), store=tmp_path)
    started = [subprocess.Popen([sys.executable, "-c", _MANY, str(tmp_path)]) for _ in range(3)]
    assert [one.wait() for one in started] == [0, 0, 0]
    assert len({run.id for run in runs(tmp_path)}) == 13


def test_metrics_leave_out_what_is_no_number():
    sheet = {"recommended": {"cost": float("nan"), "regret": None}, "overfitting_probability": True}
    assert metrics_of("rehearsal", sheet) == {}
    assert set(VERDICTS.values()) == set(get_args(Word))
    tests = [{"verdict": "pass"}, {"verdict": "fail"}, {"verdict": "pass"}]
    assert metrics_of("gate", {"tests": tests}) == {"green": 2.0, "red": 1.0, "undecided": 0.0, "error": 0.0}


def test_what_cannot_be_read_or_written_is_said(tmp_path, monkeypatch):
    assert runs(tmp_path) == []
    with pytest.raises(AppError, match="there is no run 'x'"):
        run_of("x", tmp_path)
    run = record("a", "gate", made(), store=tmp_path)
    record("a", "gate", made(), store=tmp_path)
    with pytest.raises(AppError, match="there is no run ''"):
        run_of("", tmp_path)
    (tmp_path / "artifacts" / "user" / "a" / run.id).rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is gone"):
        left(run, tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mlflow.db").write_text("no database" * 100)
    with pytest.raises(StoreError, match="no sound database"):
        runs(tmp_path / "bad")
    with pytest.raises(StoreError, match="cannot be reached or written"):
        record("a", "gate", made(), store=tmp_path / "bad")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:9")
    with pytest.raises(StoreError, match="127.0.0.1:9 cannot be reached") as told:
        record("a", "gate", made(), store=tmp_path)
    assert "secret" not in str(told.value)


def test_settings_too_long_to_keep_are_said_and_leave_no_running_run(tmp_path):
    with pytest.raises(StoreError, match="7500 can be kept|7,500 can be kept"):
        record("a", "gate", made(params={"rule": "x" * 9000}), store=tmp_path)
    assert not runs(tmp_path)
    assert TAG == "mlwild.run"
    assert os.environ["MLWILD_RECORD"] == "0"
