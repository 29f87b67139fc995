"""mlwild operate and mlwild status as a person meets them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from mlwild.ledger import Ledger
from mlwild.operating.loop import rounds
from tests.test_cli import GOOD, MLWILD, run


def write(folder, more=""):
    """Write the little app, with another line in its data function."""
    (folder / "app.py").write_text(GOOD.replace("#MORE", more))


def ledger(folder):
    """Return the facts of the app."""
    return Ledger(next(folder.glob(".mlwild/operate/*/ledger.jsonl"))).facts


def test_a_plan_a_life_and_its_state(tmp_path):
    write(tmp_path)
    asked = ("operate", "app.py", "--rule", "every 2", "--begin", "400", "--no-gate")
    plan = run(*asked, "--dry-run", "--json", "plan.json", cwd=tmp_path).stdout
    assert "plan of" in plan
    assert "Nothing was written" in plan
    assert "No app is in operation" in run("status", cwd=tmp_path).stdout
    done = run(*asked, "--json", "done.json", cwd=tmp_path)
    assert "retrain" in done.stdout
    assert "tick 400" in done.stderr
    planned, did = (json.loads((tmp_path / name).read_text()) for name in ("plan.json", "done.json"))
    assert planned["dry"]
    assert planned["ticks"] == did["ticks"]
    assert "nothing is due" in run("operate", "app.py", cwd=tmp_path).stdout
    shown = run("status", "--json", "status.json", cwd=tmp_path).stdout
    assert "1 app, 0 with an alarm" in shown
    state = json.loads((tmp_path / "status.json").read_text())[0]
    assert state["live"] == did["live"]
    assert state["ticks"] == len(did["ticks"])
    assert state["of"] >= 1


def test_the_gate_refuses_with_exit_code_1_and_status_says_so(tmp_path):
    write(tmp_path)
    run("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate", cwd=tmp_path)
    (tmp_path / "app_tests.py").write_text("def test_never(events):\n    assert len(events) < 0, 'always red'\n")
    done = run("operate", "app.py", "--at", "500", cwd=tmp_path, code=1)
    said = " ".join(done.stdout.split())
    assert "the gate blocks it: never red" in said
    assert "always red" in said
    assert "refused" in done.stdout
    refused = [fact.body for fact in ledger(tmp_path) if fact.kind == "decided" and fact.body["action"] == "refused"]
    assert len(refused) == 1
    assert "the gate blocks it" in run("status", cwd=tmp_path, code=1).stdout


def test_a_life_that_the_gate_keeps_from_beginning_is_exit_code_1_and_names_the_file(tmp_path):
    write(tmp_path)
    (tmp_path / "app_tests.py").write_text("def test_never(events):\n    assert len(events) < 0, 'always red'\n")
    asked = ("app.py", "--rule", "every 2", "--begin", "400", "--at", "440")
    first = run("operate", *asked, cwd=tmp_path, code=1)
    assert "A life begins with a model that passes; nothing is live. See: mlwild gate app.py\n" in first.stderr
    live = run("operate", *asked, "--no-gate", "--reopen", cwd=tmp_path).stdout.split("vintage ")[1].split(".")[0]
    (tmp_path / "app.py").write_text(GOOD.replace("loss=1.0", "loss=2.0"))
    for command in (("deploy", "app.py", "--dry-run"), ("deploy", "app.py", "-y"), ("operate", "app.py", "--reopen")):
        again = run(*command, "--rule", "every 2", cwd=tmp_path, code=1)
        assert f"; vintage {live} stays live. See: mlwild gate app.py" in again.stderr


@pytest.mark.parametrize(
    ("more", "said", "code"),
    [
        (("--rule", "evry 2"), "there is no 'evry 2'", 2),
        (("--every", "1h", "--dry-run", "--rule", "every 2"), "a plan is made once", 2),
        (("--every", "soon", "--rule", "every 2"), "'soon' is not a duration", 2),
        (("--every", "5", "--rule", "every 2"), "'5' is not a duration", 2),
        (
            ("--rule", "every 2", "--at", "1"),
            "no cutoff yet by 1; there is nothing to operate on. The first is at `start`, or after 8 periods of 50 ticks",
            4,
        ),
        (("--rule", "every 2", "--json", "no/x.json"), "there is no folder", 2),
        ((), "was not rehearsed", 2),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(more, said, code, tmp_path):
    write(tmp_path)
    done = run("operate", "app.py", *more, cwd=tmp_path, code=code)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob(".mlwild/operate/*/ledger.jsonl"))


def _two_at_once(folder, times, seed, wait=0.0):
    """
    Start two operators of one app so often, one a moment after the other, while rows come; say what each said.

    Features may be made to take a while: how often two meet is no matter of how quick the machine is then.
    """
    write(folder, "import pathlib\n    frame = frame[frame['when'] < int(pathlib.Path('now').read_text())]")
    if wait:
        slow = f"import time\ndef slow(rows):\n    time.sleep({wait})\n    return rows[['x']]\n\napp ="
        text = (folder / "app.py").read_text().replace("app =", slow).replace("every=50", "every=7")
        (folder / "app.py").write_text(text.replace('lambda rows: rows[["x"]]', "slow"))
    rng, refused = random.Random(seed), 0
    command = [*MLWILD, "operate", "app.py", "--no-gate", "--no-record"]
    for number in range(times):
        (folder / "now").write_text(str(460 + 140 * (number + 1) // times))
        first = ["--rule", "every 2", "--begin", "400"] if number == 0 else []
        runs = []
        for _ in range(2):
            runs.append(
                subprocess.Popen([*command, *first], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            time.sleep(rng.random() * 0.6)
        said = [run.communicate(timeout=120)[1].decode() for run in runs]
        codes = [run.returncode for run in runs]
        assert codes in ([0, 0], [0, 4], [4, 0])
        assert all("is operating 'little' in" in text for text, code in zip(said, codes, strict=True) if code), said
        assert not any("Traceback" in text for text in said)
        refused += sum(code == 4 for code in codes)
    return refused


def _same_as_by_one(folder):
    """Compare what is there with what one operator leaves in the same place who does everything in one call."""
    left = [(fact.kind, fact.cutoff, fact.body) for fact in ledger(folder)]
    shutil.rmtree(folder / ".mlwild")
    run("operate", "app.py", "--no-gate", "--no-record", "--rule", "every 2", "--begin", "400", cwd=folder)
    assert left == [(fact.kind, fact.cutoff, fact.body) for fact in ledger(folder)]


def test_of_two_operators_one_acts_and_the_other_is_told_who_does(tmp_path):
    _two_at_once(tmp_path, 2, seed=0)
    _same_as_by_one(tmp_path)


@pytest.mark.slow
def test_of_two_operators_however_they_meet_nothing_is_done_twice(tmp_path):
    assert _two_at_once(tmp_path, 20, seed=1, wait=0.1) >= 3
    _same_as_by_one(tmp_path)


def test_the_rule_is_the_one_that_the_rehearsal_recommended(tmp_path):
    write(tmp_path)
    run("rehearse", "app.py", "--json", "app.json", cwd=tmp_path)
    recommended = json.loads((tmp_path / "app.json").read_text())["recommended"]["rule"]
    done = run("operate", "app.py", "--begin", "500", "--no-gate", cwd=tmp_path)
    assert f"under rule {recommended!r}" in " ".join(done.stdout.split())


def test_a_running_operator_survives_a_database_that_is_away_and_stops_when_asked(tmp_path):
    write(
        tmp_path,
        "import pathlib\n    if pathlib.Path('away').exists(): raise OSError('the database is away')\n"
        "    frame = frame[frame['when'] < int(pathlib.Path('now').read_text())]",
    )
    (tmp_path / "now").write_text("460")
    command = [*MLWILD, "operate", "app.py", "--rule", "every 2", "--begin", "400", "--no-gate", "--every", "1s"]
    going = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ticked():
        return [fact.cutoff for fact in ledger(tmp_path) if fact.kind == "ticked"] if _begun(tmp_path) else []

    try:
        first = _until(lambda: ticked() if len(ticked()) == 2 else [], going)  # 400 and 450 are due
        (tmp_path / "away").touch()
        kept = next(tmp_path.glob(".mlwild/operate/*/ledger.jsonl")).with_name("status.json")
        _until(lambda: "the database is away" in kept.read_text(), going)
        (tmp_path / "now").write_text("600")
        (tmp_path / "away").unlink()
        _until(lambda: len(ticked()) > len(first), going)
        assert going.poll() is None
    finally:
        going.send_signal(signal.SIGINT)
        said = going.communicate(timeout=60)
    assert going.returncode == 130
    assert "the database is away" in said[1]
    assert ticked() == list(range(ticked()[0], ticked()[0] + len(ticked())))


def _begun(folder):
    return bool(list(folder.glob(".mlwild/operate/*/ledger.jsonl")))


def _until(found, process, most=90.0):
    """Wait until something is there, the process ends, or too much time has gone by."""
    began = time.monotonic()
    while not found() and process.poll() is None and time.monotonic() - began < most:
        time.sleep(0.1)
    assert found()
    return found()


def test_runs_that_were_missed_are_counted_whatever_the_calendar_does():
    now, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    made = rounds(10.0, sleep=sleep, clock=lambda: now[0])
    assert next(made) == (0, 0)
    assert next(made) == (1, 0)
    now[0] += 34.0  # one run took so long
    assert next(made) == (5, 3)
    assert slept == [10.0, 6.0]


@pytest.mark.parametrize("command", [("status",), ("history",), ("operate", "app.py", "--rule", "every 2")])
def test_a_store_that_is_a_file_is_refused(command, tmp_path):
    write(tmp_path)
    (tmp_path / "note.txt").write_text("a file")
    done = run(*command, "--store", "note.txt", cwd=tmp_path, code=2)
    assert "'note.txt' is a file" in done.stderr
    if command == ("status",):
        assert "is a file" in run("data", "show", "--warehouse", "note.txt", cwd=tmp_path, code=2).stderr


def test_a_store_that_may_not_be_written_to_is_one_sentence_and_the_life_goes_on_after_it(tmp_path):
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv takes the right to write everywhere from who has it")
    write(tmp_path, "import pathlib\n    frame = frame[frame['when'] < int(pathlib.Path('now').read_text())]")
    (tmp_path / "now").write_text("460")
    asked = ("operate", "app.py", "--no-gate", "--no-record")
    run(*asked, "--rule", "every 2", "--begin", "400", cwd=tmp_path)
    (tmp_path / "now").write_text("600")
    folder = next(tmp_path.glob(".mlwild/operate/*/ledger.jsonl")).parent
    inside = [folder, *folder.rglob("*")]
    for path in inside:
        path.chmod(path.stat().st_mode & ~0o222)
    drop = [setpriv, "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    done = subprocess.run([*drop, *MLWILD, *asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.strip().endswith("tick.lock cannot be written: Permission denied.")
    assert len(done.stderr.strip().splitlines()) == 1
    for path in inside:
        path.chmod(path.stat().st_mode | 0o200)
    assert "2 ticks done" in run(*asked, cwd=tmp_path).stdout


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "app.py").write_bytes(b"app = 1\x00\x01")
    done = run("operate", "app.py", cwd=tmp_path, code=2)
    assert "holds bytes that are no text" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_long_outcome_takes_two_lines_and_cuts_off_no_date(capsys):
    from types import SimpleNamespace

    from mlwild.show.operation import show_operation

    period = {"from": "2011-07-26", "loss": 1283.8, "low": 0.0, "high": 2986.2, "kept": None, "replaced": "58"}
    facts = {
        "observed": {"rows": 54, "labels": 54},
        "decided": {"action": "retrain", "live": "58", "price": 30.0, "reason": "staleness has cost 113.5"},
        "promised": {"estimate": 1270.0, "low": 0.0, "high": 2980.0},
        "scored": {"periods": [period]},
    }
    tick = SimpleNamespace(at="2011-08-02", facts=facts)
    show_operation(
        SimpleNamespace(
            app="demand", ticks=[tick], dry=False, rule="break-even", live="58", unit="GBP", loss="absolute",
            alarms=[], following="2011-08-09", price=30.0,
        )
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "…" not in said
    assert "2011-08-02" in said
    assert "replaced" in said
