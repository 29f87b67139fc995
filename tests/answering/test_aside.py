"""A batch with a deadline: what hangs, or ends its process, costs some rows their model, and not the batch."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import mlwild as wild
from mlwild.answering.batch.asked import Beside, answers_of
from mlwild.answering.bundle import KIND, load_bundle
from mlwild.answering.bundling import bundle
from mlwild.errors import AppError
from mlwild.rules import Every
from tests.answering.conftest import HERE

STRIKING = """
import os, time
from pathlib import Path

def doubled(x):
    strike("features", (x == 0.3131).any())
    return 2 * x

def strike(where, here):
    said = Path(__file__).with_name("fault").read_text().split()
    if here and said[:1] == [where]:
        while said[1] == "hangs":
            time.sleep(1)
        os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Return the file of an app in operation whose model and features do what a file beside it says."""
    file = tmp_path_factory.mktemp("faulty") / "batched.py"
    text = (HERE / "app.py.txt").read_text()
    struck = text.replace("from helper import doubled", "from striking import doubled, strike").replace(
        '            raise RuntimeError("secret of the data")', "            strike('model', True)"
    )
    assert struck.count("strike") == 2
    file.write_text(struck)
    file.with_name("striking.py").write_text(STRIKING)
    file.with_name("fault").write_text("none")
    wild.operate(wild.load_app(file), rule=Every(1), at="2026-01-17", begin="2026-01-15", jobs=1)
    bundle(file)
    return file


@pytest.fixture
def said(faulty):
    """Return what sets the fault, and takes it away again."""
    fault = faulty.with_name("fault")
    yield fault.write_text
    fault.write_text("none")


def answered(app, frame, tmp_path, **how):
    """Return the answers to some rows, and the summary."""
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    found = wild.predict(app, tmp_path / "in.parquet", tmp_path / "out.parquet", force=True, **how)
    return pd.read_parquet(tmp_path / "out.parquet"), found


def test_without_a_fault_the_bytes_are_those_of_one_process(faulty, rows, tmp_path):
    rows.to_csv(tmp_path / "in.csv", index=False)
    for name, deadline in (("plain.csv", None), ("beside.csv", 60.0)):
        wild.predict(faulty, tmp_path / "in.csv", tmp_path / name, deadline=deadline)
    assert (tmp_path / "beside.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


@pytest.mark.parametrize(("how", "why"), [("hangs", "did not answer in time"), ("ends", "ended its process")])
def test_a_model_that_hangs_or_ends_its_process_costs_a_thousand_rows_their_model(
    faulty, said, rows, tmp_path, capfd, how, why
):
    said(f"model {how}")
    made, found = answered(faulty, rows, tmp_path, deadline=1.5)
    struck = made.iloc[:1000]  # row 700 is the one
    assert set(struck["stage"]) <= {"flat", "constant"}
    assert set(struck["status"]) == {"fallback"}
    assert struck["cause"].str.contains(f"champion {why}").all()
    rest = made.iloc[1000:]
    assert (rest["stage"] == "champion").mean() > 0.8
    assert not rest["cause"].str.contains(why).any()
    assert made["value"].notna().all()
    assert found.rows == len(rows)
    assert f"1,000 rows: the process that answers them {why}" in capfd.readouterr().err


def test_features_that_hang_leave_the_constant_after_one_deadline(faulty, said, rows, tmp_path):
    said("features hangs")
    rows = rows.iloc[:1500].copy()
    rows.loc[10, "x"] = 0.3131
    began = time.monotonic()
    made, _ = answered(faulty, rows, tmp_path, deadline=1.0)
    assert (made["stage"][:1000] == "constant").all()
    assert (made["cause"][:1000] == "features did not answer in time").all()
    assert (made["stage"][1000:] == "champion").any()
    assert time.monotonic() - began < 60


def test_one_that_fails_every_time_is_left_alone_for_a_while(faulty, said, rows, tmp_path, monkeypatch):
    said("model ends")
    rows = pd.concat([rows] * 3, ignore_index=True)
    rows["id"] = range(len(rows))
    rows.loc[::100, "z"] = 0.7021
    starts = []
    started = Beside._started

    def counted(self):
        if self._line is None:
            starts.append(1)
        return started(self)

    monkeypatch.setattr(Beside, "_started", counted)
    made, _ = answered(faulty, rows, tmp_path, deadline=30.0)
    assert set(made["status"]) == {"fallback"}
    causes = Counter(made["cause"].str.contains("failed too often and rests"))
    # Of 13 thousands the first five fail; then it rests, longer each time, and is tried between.
    assert causes[True] >= 3000
    assert len(starts) <= 10


def test_a_batch_that_is_killed_takes_its_process_along_and_is_gone_on_with(faulty, rows, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    pd.concat([rows.assign(id=rows["id"] + 10_000 * at) for at in range(12)]).to_csv(source, index=False)
    wild.predict(faulty, source, tmp_path / "whole.csv", deadline=60.0)
    code = "import sys, mlwild as wild; from mlwild.answering.batch import run; run.EVERY = 0.0\n"
    code += "wild.predict(*sys.argv[1:4], deadline=60.0, progress=lambda rows: print(rows, flush=True))"
    words = [sys.executable, "-c", code, *map(str, (faulty, source, out))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert int(process.stdout.readline()) >= 1000
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
        )
        process.send_signal(signal.SIGKILL)
    pids = [int(one) for one in children.stdout.split()]
    assert pids
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    found = wild.predict(faulty, source, out, deadline=60.0)
    assert 0 < found.resumed < len(rows) * 12
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("deadline", [0.0, -1.0, math.nan, math.inf])
def test_a_deadline_that_is_none_is_refused(faulty, rows, tmp_path, deadline):
    with pytest.raises(AppError, match=r"deadline: .* Write seconds above 0"):
        answered(faulty, rows, tmp_path, deadline=deadline)
    assert not (tmp_path / "out.parquet").exists()


def test_the_bundle_that_a_process_is_started_by_is_in_use_for_as_long_as_it_answers(faulty):
    store, key, mark = bundle(faulty)
    made, path = load_bundle(store, key, mark), store.payload(key, KIND)
    answers = answers_of(store, made, {"key": key, "digest": mark, "folder": "", "tables": "", "salt": ""}, 60.0)
    try:
        for _ in range(2):
            os.utime(path, (0, 0))
            found = answers.answer({one.name: [None] for one in made.columns.needed}, 0.0)
            assert (len(found.status), path.stat().st_mtime > 0) == (1, True)
    finally:
        answers.close()
