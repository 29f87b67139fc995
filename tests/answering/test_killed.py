"""A batch that is killed with -9, again and again, is finished once: the same bytes as one run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

import mlwild as wild
from mlwild.errors import StoreError

#: Kills itself at the n-th of the calls by which anything is computed, kept or named.
DRIVER = """
import os, signal, sys
from pathlib import Path
app, source, output, fatal = *sys.argv[1:4], int(sys.argv[4])
import mlwild as wild
from mlwild.answering.batch import run
from mlwild.answering.service import AppService
left = [fatal]

def lethal(call):
    def killed(*args, **words):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **words)
    return killed

run.EVERY = 0.0
os.fsync, AppService.answer = lethal(os.fsync), lethal(AppService.answer)
Path.replace, Path.unlink, Path.rmdir = lethal(Path.replace), lethal(Path.unlink), lethal(Path.rmdir)
found = wild.predict(app, source, output)
print(found.resumed, fatal - left[0])
"""


def driven(*words):
    """Run the driver; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def source(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("killed") / "in.csv"
    rows.to_csv(path, index=False)
    return path


def test_killed_three_times_it_goes_on_and_is_finished_once(operated, source, tmp_path):
    out, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    wild.predict(operated, source, whole)
    for fatal in (9, 5, 13):  # in the first rows, in those that follow, and near the end
        assert driven(operated, source, out, fatal)[0] == -signal.SIGKILL
        assert not out.exists()
    code, said = driven(operated, source, out, 0)
    assert code == 0
    assert int(said.split()[0]) >= 1_000
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.parquet", "whole.parquet"]


def test_answers_that_are_lost_between_two_runs_are_told_with_what_to_do(operated, source, tmp_path):
    out = tmp_path / "out.csv"
    assert driven(operated, source, out, 9)[0] == -signal.SIGKILL
    (tmp_path / ".out.csv.predict" / "rows").unlink()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"output: .*rows was changed or damaged\. Begin anew with --restart"):
            wild.predict(operated, source, out)
    assert wild.predict(operated, source, out, restart=True).resumed == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_wherever_it_is_killed_the_next_run_finishes_it(operated, source, tmp_path, kind):
    whole = tmp_path / f"whole.{kind}"
    wild.predict(operated, source, whole)
    fatal, killed = 1, True
    while killed:
        out = tmp_path / f"out{fatal}.{kind}"
        killed = driven(operated, source, out, fatal)[0] != 0
        named = out.exists()
        journal = tmp_path / f".{out.name}.predict" / "journal.json"
        if named:
            assert out.read_bytes() == whole.read_bytes()
        if not named or journal.exists():  # once the journal is gone it is done, whatever is left beside
            wild.predict(operated, source, out)
        assert out.read_bytes() == whole.read_bytes()
        fatal += 1
    assert fatal > 25


def holds(lock, process):
    """Say whether a process has the lock."""
    try:
        return str(process) in lock.read_text()
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_kills_at_any_time(operated, tmp_path, kind):
    rng, kills, turn = random.Random(6), 0, 0
    source = tmp_path / "in.parquet"
    wild.load_app(operated).data.__globals__["rows"](seed=2, n=60_000).drop(columns="y").to_parquet(source)
    whole = tmp_path / f"whole.{kind}"
    wild.predict(operated, source, whole)
    while kills < 17:  # of each format: more than fifty together
        turn += 1
        out = tmp_path / f"out{turn}.{kind}"
        while not out.exists():
            process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, str(operated), str(source), str(out), "0"], stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            if kills < 17:  # else it may end
                # Most of a run is imports, which are slow where others work too: the clock starts with its lock.
                lock = tmp_path / f".{out.name}.predict" / "lock"
                while process.poll() is None and not holds(lock, process.pid):
                    time.sleep(0.02)
                time.sleep(rng.uniform(0.0, rng.choice([1.0, 4.0])))
                process.kill()
            code = process.wait()
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
        folder = tmp_path / f".{out.name}.predict"
        if (folder / "journal.json").exists():
            wild.predict(operated, source, out)
        assert out.read_bytes() == whole.read_bytes()
