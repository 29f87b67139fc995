"""The log by itself: what is acknowledged was synced, what waits shares a sync, what is torn or damaged is told."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import threading
import time

import pytest

from mlwild.errors import BusyError, StoreError
from mlwild.serve import log as module
from mlwild.serve import read_log
from mlwild.serve.log import FullError, Log, StalledError
from mlwild.served import places, read_at, sealed


def line(number):
    return json.dumps({"id": str(number)})


def named(number):
    return f'{{"id":"{number}","at":1.5,"asked":"{number:032x}","pad":"{"x" * 50}"}}'


def ids(folder):
    return [one["id"] for one in read_log(folder)]


def fails(*_, **__):
    raise OSError(errno.EIO, "Input/output error")


def half_written(monkeypatch):
    """Have the next line written in half only."""
    real, calls = os.write, []

    def write(handle, data):
        calls.append(handle)
        return real(handle, bytes(data)[:12]) if len(calls) == 1 else fails()

    monkeypatch.setattr(module.os, "write", write)


def run(folder, work, **words):
    async def main():
        log = Log(folder, **words)
        try:
            return await work(log)
        finally:
            await log.close()

    return asyncio.run(main())


@pytest.fixture
def synced(monkeypatch):
    """Note how long the file was at each sync."""
    sizes, real = [], os.fdatasync

    def sync(handle):
        real(handle)
        sizes.append(os.fstat(handle).st_size)

    monkeypatch.setattr(module.os, "fdatasync", sync)
    return sizes


def test_a_line_is_on_the_disk_when_it_is_acknowledged(tmp_path, synced):
    async def work(log):
        size = 0
        for number in range(5):
            await log.add(line(number))
            size += len(sealed(line(number)))
            assert synced[-1] == size

    run(tmp_path, work)
    assert [one["id"] for one in read_log(tmp_path)] == list("01234")


def test_with_a_window_it_is_acknowledged_before_and_synced_within_it(tmp_path, synced):
    async def work(log):
        await log.add(line(0))
        first = len(synced)
        await log.add(line(1))
        await log.add(line(2))
        assert len(synced) == first  # the second sync is not yet due
        size = (tmp_path / "00000001.jsonl").stat().st_size
        assert size == sum(len(sealed(line(number))) for number in range(3))  # the operating system has them
        await asyncio.sleep(3.0)
        assert synced[-1] == size

    run(tmp_path, work, window=1.0)


def test_lines_that_wait_share_a_sync(tmp_path, synced):
    async def work(log):
        await asyncio.gather(*(log.add(line(number)) for number in range(500)))

    run(tmp_path, work)
    assert len(list(read_log(tmp_path))) == 500
    assert len(synced) < 50


def test_a_line_whose_sync_fails_is_not_acknowledged_and_not_in_the_log(tmp_path, monkeypatch):
    real = os.fdatasync

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def work(log):
        await log.add(line(0))
        monkeypatch.setattr(module.os, "fdatasync", full)
        with pytest.raises(FullError):
            await log.add(line(1))
        monkeypatch.setattr(module.os, "fdatasync", real)
        await log.add(line(2))

    run(tmp_path, work)
    assert [one["id"] for one in read_log(tmp_path)] == ["0", "2"]


@pytest.mark.parametrize("again", ["by a line", "by itself"])
def test_with_a_window_nothing_is_acknowledged_from_a_sync_that_failed_to_one_that_did_not(
    tmp_path, monkeypatch, again
):
    monkeypatch.setattr(module, "LOOK", 0.05)

    async def work(log):
        kept = [named(0)]
        await log.add(named(0))
        with monkeypatch.context() as broken:
            broken.setattr(module.os, "fdatasync", fails)
            await log.add(named(1))  # its sync is not due yet
            kept.append(named(1))
            while not log.failing:  # noqa: ASYNC110  a thread takes note
                await asyncio.sleep(0.01)
            assert log.failing == "Input/output error"
            for number in (2, 3):
                with pytest.raises(FullError, match="Input/output"):
                    await log.add(named(number))
            await asyncio.sleep(0.3)
            assert log.failing == "Input/output error"  # there is room, and no sync

        if again == "by itself":
            while log.failing:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await log.add(named(4))
        assert log.failing == ""
        return [*kept, named(4)]

    kept = run(tmp_path, lambda log: asyncio.wait_for(work(log), 10), window=0.2)
    assert (tmp_path / "00000001.jsonl").read_bytes() == b"".join(map(sealed, kept))


def test_what_a_sync_that_failed_may_have_lost_is_written_once_more(tmp_path, monkeypatch):
    """The system may take pages for written that it could not write: a second sync of them alone would do nothing."""
    dirty, disk, real = [], [], os.write

    def write(handle, data):
        dirty.append(bytes(data))
        return real(handle, data)

    def sync(handle):
        lost = dirty[:]
        dirty.clear()
        if whole.is_set():
            disk.extend(lost)
        else:
            failed.set()
            fails()

    async def work(log):
        await log.add(named(0))
        await asyncio.to_thread(failed.wait, 5)
        whole.set()
        await log.add(named(1))
        assert sealed(named(0)) in b"".join(disk)

    whole, failed = threading.Event(), threading.Event()
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module.os, "write", write)
    monkeypatch.setattr(module.os, "fdatasync", sync)
    run(tmp_path, lambda log: asyncio.wait_for(work(log), 10), window=0.05)
    assert ids(tmp_path) == ["0", "1"]


def test_a_log_that_ends_without_its_last_sync_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(module.os, "fdatasync", fails)
    run(tmp_path, lambda log: log.add(line(0)), window=5.0)
    assert "could not be synced" in capfd.readouterr().err
    assert ids(tmp_path) == ["0"]


@pytest.mark.parametrize("cut", range(1, 20, 3))
def test_a_last_line_that_is_torn_is_cut_off_and_kept_beside(tmp_path, cut):
    whole = sealed(line(0)) + sealed(line(1))
    (tmp_path / "00000001.jsonl").write_bytes(whole[:-cut])

    async def work(log):
        await log.add(line(2))

    run(tmp_path, work)
    assert [one["id"] for one in read_log(tmp_path)] == ["0", "2"]
    (torn,) = tmp_path.glob("*.torn-*")
    assert torn.read_bytes() == sealed(line(1))[:-cut]


def test_lines_that_are_torn_at_the_same_place_are_all_kept(tmp_path):
    path = tmp_path / "00000001.jsonl"
    for torn in (b"first", b"second", b"third"):
        path.write_bytes(sealed(line(0)) + torn)
        run(tmp_path, lambda log: asyncio.sleep(0))
    assert {one.read_bytes() for one in tmp_path.glob("*.torn-*")} == {b"first", b"second", b"third"}
    assert ids(tmp_path) == ["0"]


@pytest.mark.parametrize("since", [0.0, 1.5])
def test_a_segment_that_is_moved_away_while_the_log_is_read_is_passed_over(tmp_path, since):
    for number in range(4):
        path = tmp_path / f"{number + 1:08d}.jsonl"
        path.write_bytes(sealed(line(number)))
        os.utime(path, (number, number))
    found = read_log(tmp_path, since=since)
    first = next(found)["id"]
    (tmp_path / "00000004.jsonl").unlink()
    assert [first, *(one["id"] for one in found)] == (["0", "1", "2"] if not since else ["2"])


def test_a_line_in_the_middle_that_was_changed_is_told(tmp_path):
    held = bytearray(b"".join(sealed(line(number)) for number in range(3)))
    held[len(held) // 2] ^= 1
    (tmp_path / "00000001.jsonl").write_bytes(held)
    with pytest.raises(StoreError, match="line 2 of .* does not agree with its checksum"):
        list(read_log(tmp_path))


@pytest.mark.parametrize("text", ["no json", '["0"]', "7"])
def test_a_line_that_no_server_wrote_is_told_though_its_checksum_is_right(tmp_path, text):
    (tmp_path / "00000001.jsonl").write_bytes(sealed(line(0)) + sealed(text) + sealed(line(1)))
    with pytest.raises(StoreError, match="line 2 of .* is no request"):
        list(read_log(tmp_path))
    assert read_at(tmp_path, (1 << 40) + len(sealed(line(0)))) is None


@pytest.mark.parametrize("what", ["iterdir", "open"])
def test_a_log_that_may_not_be_read_is_not_an_empty_one(tmp_path, monkeypatch, what):
    (tmp_path / "00000001.jsonl").write_bytes(sealed(line(0)))

    def refuses(self, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), what, refuses)
    with pytest.raises(StoreError, match="log: .* cannot be read: Permission denied"):
        list(read_log(tmp_path))


def test_a_server_cuts_nothing_off_after_a_line_that_was_changed(tmp_path, capfd):
    held = bytearray(b"".join(sealed(named(number)) for number in range(3)))
    held[len(held) // 2] ^= 1
    path = tmp_path / "00000001.jsonl"
    path.write_bytes(held)

    async def work(log):
        # Requests that come again are known.
        found = {name: read_at(tmp_path, place) for name, place in places(tmp_path)}
        assert found == {str(number): None if number == 1 else json.loads(named(number)) for number in range(3)}
        await log.add(named(3))

    run(tmp_path, work)
    assert path.read_bytes() == held
    assert "line 2 of" in capfd.readouterr().err
    with pytest.raises(StoreError, match="line 2 of"):
        list(read_log(tmp_path))
    path.write_bytes(b"".join(sealed(named(number)) for number in range(3)))  # restored from a copy
    assert ids(tmp_path) == list("0123")


def test_where_a_segment_cannot_be_begun_nothing_that_is_acknowledged_later_is_lost(tmp_path, monkeypatch):
    real = os.open
    monkeypatch.setattr(module, "SEGMENT", 200)

    def without_the_folder(path, *words, **named):
        return fails() if os.fspath(path) == os.fspath(tmp_path) else real(path, *words, **named)

    async def work(log):
        for number in range(4):
            await log.add(named(number))
        monkeypatch.setattr(module.os, "open", without_the_folder)
        with pytest.raises(FullError):
            await log.add(named(4))
        monkeypatch.setattr(module.os, "open", real)
        await log.add(named(5))
        await log.add(named(6))

    run(tmp_path, work)
    assert ids(tmp_path) == list("012356")
    assert len(list(tmp_path.glob("*.jsonl"))) > 1


def test_after_half_a_line_that_cannot_be_taken_back_nothing_is_acknowledged(tmp_path, monkeypatch):
    async def work(log):
        await log.add(line(0))
        with monkeypatch.context() as broken:
            half_written(broken)
            broken.setattr(module.os, "ftruncate", fails)
            broken.setattr(module.os, "open", fails)
            with pytest.raises(FullError):
                await log.add(line(1))
        with monkeypatch.context() as broken:  # it can be written again, but not taken back
            broken.setattr(module.os, "ftruncate", fails)
            broken.setattr(module.os, "open", fails)
            with pytest.raises(FullError):
                await log.add(line(2))
        await log.add(line(3))

    run(tmp_path, work)
    assert ids(tmp_path) == ["0", "3"]


def test_half_a_line_that_stays_ends_its_segment_and_costs_none_of_the_others(tmp_path, monkeypatch):
    async def work(log):
        await log.add(line(0))
        with monkeypatch.context() as broken:
            half_written(broken)
            broken.setattr(module.os, "ftruncate", fails)
            with pytest.raises(FullError):
                await log.add(line(1))
        await log.add(line(2))

    run(tmp_path, work)
    assert ids(tmp_path) == ["0", "2"]
    torn, _ = sorted(tmp_path.glob("*.jsonl"))
    assert not torn.read_bytes().endswith(b"\n")
    torn.write_bytes(torn.read_bytes() + b"\n")  # one that was whole and does not agree with its checksum is told
    with pytest.raises(StoreError, match="line 2 of"):
        ids(tmp_path)


@pytest.mark.parametrize("again", ["the disk is whole again", "only a start helps"])
def test_a_line_that_was_refused_and_cannot_be_taken_back_is_not_there_twice(tmp_path, monkeypatch, again):
    async def work(log):
        with monkeypatch.context() as broken:
            broken.setattr(module.os, "fdatasync", fails)
            broken.setattr(module.os, "ftruncate", fails)
            with pytest.raises(FullError):
                await log.add(line(0))
            broken.setattr(module.os, "fdatasync", os.fsync)
            with pytest.raises(FullError):
                await log.add(line(0))
            if again == "only a start helps":
                return
        await log.add(line(0))

    run(tmp_path, work)
    run(tmp_path, lambda log: log.add(line(1)))  # after a start it counts as answered
    assert ids(tmp_path) == ["0", "1"]


def test_a_disk_that_stalls_is_told_in_time_and_the_line_is_known_once_it_goes_on(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    goes_on, real = threading.Event(), os.fdatasync
    goes_on.set()
    monkeypatch.setattr(module.os, "fdatasync", lambda handle: (goes_on.wait(30), real(handle)))

    async def main():
        log = Log(tmp_path)
        await log.add(named(0))
        goes_on.clear()
        with pytest.raises(StalledError) as raised:
            await log.add(named(1))
        for _ in range(500):  # the wait may have begun a moment before the disk was asked
            if log.trouble:
                break
            await asyncio.sleep(0.01)
        assert "stalls" in log.trouble
        with pytest.raises(FullError, match="stalls"):  # nothing more is taken, which would fill the memory
            await log.add(named(2))
        began = time.monotonic()
        await log.close(0.3)
        assert time.monotonic() - began < 2
        assert "stalls" in capfd.readouterr().err
        with pytest.raises(BusyError):  # whoever writes there still has it for himself
            Log(tmp_path)
        goes_on.set()
        assert read_at(tmp_path, await raised.value.fate)["id"] == "1"
        await log.close()

    asyncio.run(main())
    assert ids(tmp_path) == ["0", "1"]
    assert "never retrieved" not in capfd.readouterr().err


@pytest.mark.parametrize("what", ["deleted", "moved"])
def test_a_log_that_was_deleted_acknowledges_nothing_and_one_that_was_moved_is_kept(tmp_path, monkeypatch, what, capfd):
    monkeypatch.setattr(module, "LOOK", 0.05)
    folder, away = tmp_path / "served", tmp_path / "away"

    async def work(log):
        await log.add(line(0))
        if what == "moved":
            folder.rename(away)
        else:
            shutil.rmtree(folder)
        if what == "moved":  # its lines are with it
            await log.add(line(1))
            assert not log.trouble
            away.rename(folder)
            await log.add(line(2))
            return
        for number in (1, 2):
            with pytest.raises(FullError, match="deleted"):
                await log.add(line(number))
            assert "deleted" in log.trouble

    run(folder, lambda log: asyncio.wait_for(work(log), 10))
    assert capfd.readouterr().err.count("was deleted") == (what == "deleted")
    assert ids(folder) == (["0", "1", "2"] if what == "moved" else [])


def test_a_server_that_nobody_asks_notices_that_its_log_was_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.05)

    async def work(log):
        shutil.rmtree(tmp_path)
        while not log.trouble:  # noqa: ASYNC110  a thread looks
            await asyncio.sleep(0.02)

    run(tmp_path, lambda log: asyncio.wait_for(work(log), 5))


def test_a_log_whose_file_cannot_be_looked_at_for_a_while_is_told_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.02)

    async def work(log):
        await log.add(line(0))
        with monkeypatch.context() as away:  # as a disk of another machine may be
            away.setattr(module.os, "fstat", fails)
            while not log.failing:  # noqa: ASYNC110  a thread looks
                await asyncio.sleep(0.01)
            assert log.failing == "Input/output error"
        while log.failing:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await log.add(line(1))

    run(tmp_path, lambda log: asyncio.wait_for(work(log), 10))
    assert ids(tmp_path) == ["0", "1"]


@pytest.mark.parametrize("harm", [b"hello\n", None], ids=["written to", "emptied"])
def test_behind_what_somebody_else_did_to_the_file_a_new_segment_is_begun(tmp_path, monkeypatch, harm):
    """A request that came again was not known again and logged twice, and a write that failed cut what was kept."""

    async def work(log):
        await log.add(named(1))
        path = tmp_path / "00000001.jsonl"
        path.write_bytes(path.read_bytes() + harm if harm else b"")
        place = await log.add(named(2))
        assert read_at(tmp_path, place)["id"] == "2"
        with monkeypatch.context() as patch:
            half_written(patch)
            with pytest.raises(FullError):
                await log.add(named(3))
        assert read_at(tmp_path, place)["id"] == "2"
        return await log.add(named(4))

    assert read_at(tmp_path, run(tmp_path, work))["id"] == "4"
    (tmp_path / "00000001.jsonl").unlink()  # what is whole behind it
    assert ids(tmp_path) == ["2", "4"]


def test_a_last_line_that_was_whole_and_is_damaged_is_told_when_it_is_moved(tmp_path, capfd):
    path = tmp_path / "00000001.jsonl"

    def begun(held):
        path.write_bytes(held)
        run(tmp_path, lambda log: log.add(line(9)))
        return capfd.readouterr().err

    whole = sealed(line(0)) + sealed(line(1))
    assert begun(whole[:-3]) == ""  # torn: it was never acknowledged
    said = begun(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    assert said.count("\n") == 1
    assert str(path) in said
    assert ".torn-" in said
