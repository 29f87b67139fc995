"""The log by itself: what is acknowledged was synced, what waits shares a sync, what is torn or damaged is told."""

from __future__ import annotations

import asyncio
import errno
import json
import os

import pytest

from mlwild.errors import StoreError
from mlwild.serve import log as module
from mlwild.serve import read_log
from mlwild.serve.log import FullError, Log, sealed


def line(number):
    return json.dumps({"id": str(number)})


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


def test_a_line_in_the_middle_that_was_changed_is_told(tmp_path):
    held = bytearray(b"".join(sealed(line(number)) for number in range(3)))
    held[len(held) // 2] ^= 1
    (tmp_path / "00000001.jsonl").write_bytes(held)
    with pytest.raises(StoreError, match="line 2 of .* does not agree with its checksum"):
        list(read_log(tmp_path))


def test_a_server_cuts_nothing_off_after_a_line_that_was_changed(tmp_path, capfd):
    held = bytearray(b"".join(sealed(line(number)) for number in range(3)))
    held[len(held) // 2] ^= 1
    path = tmp_path / "00000001.jsonl"
    path.write_bytes(held)

    async def work(log):
        assert [one["id"] for one in log.tail()] == ["0", "2"]  # requests that come again are known
        await log.add(line(3))

    run(tmp_path, work)
    assert path.read_bytes() == held
    assert "line 2 of" in capfd.readouterr().err
    with pytest.raises(StoreError, match="line 2 of"):
        list(read_log(tmp_path))
    path.write_bytes(b"".join(sealed(line(number)) for number in range(3)))  # restored from a copy
    assert [one["id"] for one in read_log(tmp_path)] == list("0123")
