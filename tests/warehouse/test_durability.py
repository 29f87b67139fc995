"""Writers that are killed, two at once, a full disk: every acknowledged row is there, once, and no half batch."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from mlwild.errors import BusyError, StoreError
from mlwild.ledger import Ledger
from mlwild.warehouse import StoredTable, add

WRITER = textwrap.dedent(
    """
    import sys
    import pyarrow as pa
    from mlwild.warehouse import StoredTable, add
    home, number = sys.argv[1], int(sys.argv[2])
    while True:
        rows = pa.table({"id": list(range(number * 10, number * 10 + 10)), "at": [number] * 10})
        add("t", rows, key="id", time="at", warehouse=home)
        number += 1
        print(number, flush=True)
    """
)


def rows(first, last):
    return pa.table({"id": list(range(first, last)), "at": list(range(first, last))})


def _kill(home, times, seed):
    """Kill a writer at random moments; each new one begins with the batch that was not acknowledged."""
    rng, done = random.Random(seed), 0
    for _ in range(times):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), str(done)], stdout=subprocess.PIPE, text=True
        )
        first = writer.stdout.readline()
        time.sleep(rng.random() * 0.3)
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in [first, *writer.communicate()[0].split("\n")[:-1]] if line.strip()]
        done = max(told, default=done)
        table = StoredTable(home / "t")
        found = table.read(["id"]).column(0).to_pylist()
        assert found == sorted(set(found))
        assert set(range(done * 10)) <= set(found)
        # What was committed and not acknowledged is not seen, or seen whole.
        assert len(found) % 10 == 0
        assert len(found) == sum(one.new for one in table.batches)
    return done


def test_a_writer_killed_at_random_loses_no_acknowledged_row(tmp_path):
    assert _kill(tmp_path, 5, seed=0) >= 5


@pytest.mark.slow
def test_a_writer_killed_two_hundred_times_loses_no_acknowledged_row(tmp_path):
    assert _kill(tmp_path, 200, seed=1) >= 200


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


@pytest.mark.parametrize("first", [True, False], ids=["of a new table", "of an older one"])
def test_a_batch_that_was_committed_and_not_acknowledged_is_found_whole(first, tmp_path, monkeypatch):
    if not first:
        add("t", rows(0, 10), key="id", time="at", warehouse=tmp_path)
    with monkeypatch.context() as patch:

        def dies(self, *facts):
            raise Killed

        patch.setattr(Ledger, "append", dies)
        with pytest.raises(Killed):
            add("t", rows(10, 20), key="id", time="at", warehouse=tmp_path)
    if not first:
        assert StoredTable(tmp_path / "t").read(["id"]).num_rows == 10  # not acknowledged: not seen
    order = []
    real, append = os.fsync, Ledger.append
    monkeypatch.setattr("mlwild.warehouse.table.os.fsync", lambda handle: order.append("sync") or real(handle))
    monkeypatch.setattr(Ledger, "append", lambda self, *facts: order.append("told") or append(self, *facts))
    again = add("t", rows(10, 20), key="id", time="at", warehouse=tmp_path)
    assert order[: order.index("told")].count("sync") >= 4  # the dead one may have left them to the system
    assert (again.new, again.same) == (0, 10)
    table = StoredTable(tmp_path / "t")
    assert table.read(["id"]).column(0).to_pylist() == list(range(10 if first else 0, 20))
    assert [one.new for one in table.batches] == ([10] if first else [10, 10])


def test_rows_are_synced_before_they_are_acknowledged(tmp_path, monkeypatch):
    order = []
    real, append = os.fsync, Ledger.append
    monkeypatch.setattr("mlwild.warehouse.table.os.fsync", lambda handle: order.append("sync") or real(handle))
    monkeypatch.setattr(Ledger, "append", lambda self, *facts: order.append("told") or append(self, *facts))
    add("t", rows(0, 10), key="id", time="at", warehouse=tmp_path)
    told = order.index("told")
    assert order[:told].count("sync") >= 4  # the rows, the log, and the folders that name them


def test_of_two_writers_one_waits_its_turn(tmp_path):
    add("t", rows(0, 10), key="id", time="at", warehouse=tmp_path)
    with StoredTable(tmp_path / "t").lock(), pytest.raises(BusyError, match=r"process \d+ is adding to 't'"):
        add("t", rows(10, 20), warehouse=tmp_path)
    assert add("t", rows(10, 20), warehouse=tmp_path).new == 10


def test_many_writers_and_a_reader_lose_and_double_nothing(tmp_path):
    add("t", rows(0, 10), key="id", time="at", warehouse=tmp_path)
    wrong, stop = [], threading.Event()

    def writes(number):
        for place in range(4):
            low = 10 + (number * 4 + place) * 10
            while True:
                try:
                    add("t", rows(low, low + 10), warehouse=tmp_path)
                except BusyError:
                    time.sleep(0.005)
                    continue
                break

    def reads():
        while not stop.is_set():
            found = StoredTable(tmp_path / "t").read(["id"]).column(0).to_pylist()
            if len(found) % 10 or len(found) != len(set(found)):
                wrong.append(found)

    reader = threading.Thread(target=reads)
    reader.start()
    writers = [threading.Thread(target=writes, args=(number,)) for number in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    stop.set()
    reader.join()
    assert not wrong
    assert StoredTable(tmp_path / "t").read(["id"]).column(0).to_pylist() == list(range(130))


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        # As the open format's library raises it, by where it finds no room.
        OSError("Generic LocalFileSystem error\n  \x1b[31m↳\x1b[0m No space left on device (os error 28)\n"),
        DeltaError("Failed to parse parquet: Unable to copy data to file: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tmp_path, monkeypatch, problem):
    add("t", rows(0, 10), key="id", time="at", warehouse=tmp_path)
    with monkeypatch.context() as patch:

        def full(*args, **words):
            raise problem

        patch.setattr("deltalake.write_deltalake", full)
        with pytest.raises(StoreError, match="disk of .* is full"):
            add("t", rows(10, 20), warehouse=tmp_path)
    assert StoredTable(tmp_path / "t").read(["id"]).num_rows == 10
    assert add("t", rows(10, 20), warehouse=tmp_path).new == 10


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda rows: (rows / "_delta_log" / f"{1:020d}.json").unlink(), "that were acknowledged are gone"),
        (shutil.rmtree, "that were acknowledged are gone"),
        (lambda rows: (rows / "_delta_log" / f"{1:020d}.json").write_text('{"add": {"pa'), "cannot be read"),
        (lambda rows: next(rows.glob("*.parquet")).write_bytes(b""), r"cannot be read .*Restore .*delta from a copy"),
        (lambda rows: next(rows.glob("*.parquet")).unlink(), "cannot be read .No such file or directory."),
    ],
    ids=["a commit", "all", "half a commit", "an empty file", "a file"],
)
def test_rows_that_are_gone_or_damaged_are_told_and_none_is_added(tmp_path, harm, said):
    for first in (0, 10):
        add("t", rows(first, first + 10), key="id", time="at", warehouse=tmp_path)
    harm(tmp_path / "t" / "delta")
    table = StoredTable(tmp_path / "t")
    for _ in range(2):
        with pytest.raises(StoreError, match=f"data: .*rows of 't' .*{said}"):
            table.read()
        with pytest.raises(StoreError, match=said):
            add("t", rows(20, 30), warehouse=tmp_path)
    assert table.version == 2
