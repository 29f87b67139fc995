"""Killed with -9 at random moments, a full disk, several at once: what was acknowledged is there, once."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mlwild.errors import StoreError
from mlwild.ledger import Draft, Fact, Ledger
from tests.operating.test_ticks import RULE, SHORT
from tests.operating.worlds import bodies, ledger_of, tick_by_tick, world

ROOT = Path(__file__).parents[2]
#: Where a process of its own finds these tests and this very code.
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "src")])

WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from mlwild.ledger import Fact, Ledger
    ledger = Ledger(Path(sys.argv[1]))
    number = len(ledger.facts)
    while True:
        ledger.append(*(Fact("row", number + place, {"text": "x" * 300}) for place in range(3)))
        number += 3
        print(number, flush=True)
    """
)

OPERATOR = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import mlwild as wild
    from tests.operating.test_ticks import RULE, SHORT
    from tests.operating.worlds import ledger_of, world
    made, store = world(**SHORT), Path(sys.argv[1])
    made.now = 599
    wild.operate(made.app, rule=None if ledger_of(made, store).facts else RULE, begin=250, store=store)
    """
)


def _kill_writers(path, times, seed):
    """Kill a writer at random moments; return how many facts were acknowledged."""
    rng, acknowledged = random.Random(seed), 0
    for _ in range(times):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        try:
            first = int(writer.stdout.readline())
            time.sleep(rng.random() * 0.05)
        finally:
            writer.send_signal(signal.SIGKILL)
        told = [first, *(int(line) for line in writer.communicate()[0].split("\n")[:-1] if line)]
        facts = Ledger(path).facts
        assert len(facts) >= told[-1] > acknowledged
        assert [fact.cutoff for fact in facts] == list(range(len(facts)))
        acknowledged = told[-1]
    return acknowledged


def test_a_writer_killed_at_random_loses_no_acknowledged_fact(tmp_path):
    assert _kill_writers(tmp_path / "ledger.jsonl", 8, seed=0) > 24


@pytest.mark.slow
def test_a_writer_killed_two_hundred_times_loses_no_acknowledged_fact(tmp_path):
    assert _kill_writers(tmp_path / "ledger.jsonl", 200, seed=1) > 600


def _kill_operators(store, times, seed):
    rng, environment = random.Random(seed), os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    killed = 0
    for _ in range(times):
        run = subprocess.Popen([sys.executable, "-c", OPERATOR, str(store)], env=environment)
        try:
            run.wait(timeout=1.0 + rng.random() * 4.0)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.wait()
    subprocess.run([sys.executable, "-c", OPERATOR, str(store)], env=environment, check=True)
    return killed


def test_operators_killed_at_random_leave_the_life_of_one_that_was_not(tmp_path):
    made = world(**SHORT)
    _kill_operators(tmp_path / "killed", 4, seed=0)
    whole = tick_by_tick(made, tmp_path / "whole", RULE)
    assert bodies(ledger_of(made, tmp_path / "killed")) == bodies(whole)


@pytest.mark.slow
def test_operators_killed_forty_times_leave_the_life_of_one_that_was_not(tmp_path):
    made = world(**SHORT)
    assert _kill_operators(tmp_path / "killed", 40, seed=1) >= 3
    whole = tick_by_tick(made, tmp_path / "whole", RULE)
    assert bodies(ledger_of(made, tmp_path / "killed")) == bodies(whole)


def test_of_several_operators_at_once_one_acts_and_the_others_say_so(tmp_path):
    made, environment = world(**SHORT), os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", OPERATOR, str(tmp_path / "many")], env=environment, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [run.communicate()[1].decode() for run in runs]
    assert any(run.returncode == 0 for run in runs)
    assert all(run.returncode == 0 or "is operating" in words for run, words in zip(runs, said, strict=True))
    whole = tick_by_tick(made, tmp_path / "whole", RULE)
    assert bodies(ledger_of(made, tmp_path / "many")) == bodies(whole)


def test_a_full_disk_is_a_sentence_and_life_goes_on_after_it(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Fact("one", 0))
    real = os.write

    def full(handle, data):
        if len(data) > 40:
            return real(handle, data[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("mlwild.ledger.os.write", full)
        with pytest.raises(StoreError, match="disk of .* is full"):
            ledger.append(Fact("two", 1, {"text": "x" * 100}))
    assert [fact.kind for fact in Ledger(ledger.path).facts] == ["one"]
    ledger.append(Fact("three", 2))
    assert [fact.kind for fact in Ledger(ledger.path).facts] == ["one", "three"]


def test_of_facts_that_were_to_be_added_together_none_counts_if_the_disk_fills_between_them(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Fact("one", 0))
    whole, write = ledger.path.read_bytes(), os.write

    def fills_up(handle, data):
        line = bytes(data).find(b"\n") + 1
        if b'"two"' not in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, bytes(data)[:line])

    with monkeypatch.context() as disk:
        disk.setattr("mlwild.ledger.os.write", fills_up)
        with pytest.raises(StoreError, match="disk of .* is full"):
            ledger.append(Fact("two", 1), Fact("three", 1))
    assert ledger.path.read_bytes() == whole
    assert [fact.kind for fact in ledger.facts] == [
        "one"
    ]  # nor in memory: what is not on the disk was not acknowledged
    ledger.append(Fact("four", 2))
    assert [fact.kind for fact in Ledger(ledger.path).facts] == ["one", "four"]


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_line_cut_short_is_left_out_and_overwritten(cut, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Fact("one", 0), Fact("two", 1, {"text": "x" * 100}))
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    again = Ledger(ledger.path)
    assert [fact.kind for fact in again.facts] == ["one"]
    again.append(Fact("three", 2))
    assert [fact.kind for fact in Ledger(ledger.path).facts] == ["one", "three"]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0].replace(b"one", b"two"), *lines[1:]],
        lambda lines: [lines[0], b"\n", *lines[1:]],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[0], b"[1]\n", *lines[1:]],
    ],
    ids=["removed", "swapped", "edited", "empty line", "doubled", "other JSON"],
)
def test_no_change_goes_unseen(change, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(*(Fact("one", number) for number in range(4)))
    ledger.path.write_bytes(b"".join(change(ledger.path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(StoreError, match=r"line \d of .* does not agree"):
        Ledger(ledger.path)


def test_a_fact_is_synced_before_it_is_acknowledged(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(
        "mlwild.ledger.os.fsync", lambda handle: done.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
    )
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Fact("one", 0))
    assert done == [str(ledger.path), str(tmp_path)]  # the file, and once its folder
    ledger.append(Fact("two", 1))
    assert done[2:] == [str(ledger.path)]


def test_a_draft_keeps_its_facts_to_itself(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Fact("one", 0))
    draft = Draft(ledger.path)
    draft.append(Fact("two", 1))
    assert [fact.kind for fact in draft.facts] == ["one", "two"]
    assert [fact.kind for fact in Ledger(ledger.path).facts] == ["one"]
    assert not draft.lasting
    assert ledger.lasting


def test_a_fact_that_is_held_counts_with_the_next_one_that_is_written_and_not_without_it(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Fact("one", 0))
    whole = ledger.path.read_bytes()
    ledger.hold(Fact("two", 1))
    ledger.hold(Fact("three", 1))
    assert (ledger.holding, ledger.path.read_bytes()) == (True, whole)
    assert [fact.kind for fact in ledger.facts] == ["one", "two", "three"]
    ledger.append(Fact("four", 1))
    assert not ledger.holding
    data = ledger.path.read_bytes()
    assert Ledger(ledger.path).facts == ledger.facts
    for size in range(len(whole), len(data)):  # cut anywhere, at the end of a line too
        ledger.path.write_bytes(data[:size])
        again = Ledger(ledger.path)
        assert [fact.kind for fact in again.facts] == ["one"]
        assert again.size == len(whole)
    again.append(Fact("five", 2))
    assert [fact.kind for fact in Ledger(ledger.path).facts] == ["one", "five"]
