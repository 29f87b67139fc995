"""What was answered, on the disk before it is acknowledged: segments of JSON lines, each with its checksum."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlwild.answering.telling import tell
from mlwild.disk import held, writing
from mlwild.errors import StoreError

#: Bytes after which a new segment begins.
SEGMENT = 64 << 20
#: Bytes of the newest lines that are read at the start, to know requests that come again.
TAIL = 16 << 20
_SUFFIX = ".jsonl"


def sealed(text: str) -> bytes:
    r"""
    Return a line of the log: its checksum, and the text.

    Examples
    --------
    >>> sealed('{"id":"a"}')
    b'9aa4e643 {"id":"a"}\n'
    """
    data = text.encode()
    return b"%08x %b\n" % (zlib.crc32(data), data)


def opened(line: bytes) -> bytes | None:
    """Return the text of a line; None where it is cut short or does not agree with its checksum."""
    if len(line) < 10 or line[8:9] != b" " or not line.endswith(b"\n"):
        return None
    body = line[9:-1]
    return body if line[:8] == b"%08x" % zlib.crc32(body) else None


def segments(folder: Path) -> list[Path]:
    """Return the segments of a log, oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def read_log(folder: str | Path) -> Iterator[dict[str, Any]]:
    """
    Read back what was answered, oldest first.

    A last line that is cut short was never acknowledged and is left out. It may be read while the server writes.

    Parameters
    ----------
    folder : str or Path
        Such as ``.mlwild/operate/flights/served``.

    Yields
    ------
    dict
        A request: ``id``, ``at`` (seconds since 1970), ``arm``, and ``rows``: of each its key, time, features, and
        ``answer``, the response.

    Raises
    ------
    StoreError
        If a line that is not the last does not agree with its checksum.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "00000001.jsonl").write_bytes(sealed('{"id":"a"}') + sealed('{"id":"b"}')[:9])
    >>> list(read_log(folder))
    [{'id': 'a'}]
    """
    found = segments(Path(folder))
    for path in found:
        with path.open("rb") as file:
            bad = 0
            for number, line in enumerate(file, start=1):
                body = opened(line)
                if bad:
                    raise StoreError(
                        f"log: line {bad} of {path} does not agree with its checksum: it was changed or damaged. "
                        "Restore the file from a copy."
                    )
                if body is None:
                    bad = number  # torn, if nothing follows
                    continue
                yield json.loads(body)
            if bad and path != found[-1]:
                raise StoreError(f"log: line {bad} of {path} is damaged. Restore the file from a copy.")


class FullError(OSError):
    """The log cannot be written to now."""


class Log:
    """
    The log of one server.

    Lines are written and synced by a thread of its own: all that wait share one write and one sync.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    window : float
        Seconds that an acknowledged line may be lost for if the machine loses its power; 0 syncs first. What is
        acknowledged was always given to the operating system first, so that it survives the end of the process.

    Raises
    ------
    BusyError
        If another server writes to it.
    StoreError
        If it cannot be written.
    """

    def __init__(self, folder: Path, window: float = 0.0) -> None:
        self.folder, self.window = folder, window
        self.syncs, self.sync_seconds, self.lines, self.failures = 0, 0.0, 0, 0
        self.observe: Callable[[float], None] | None = None
        self._held = contextlib.ExitStack()
        self._held.enter_context(
            held(folder / "lock", lambda owner: f"serve: {owner} already serves into {folder}. End it first.")
        )
        self._wake, self._lock = threading.Event(), threading.Lock()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._ends = False
        try:
            with writing(folder):
                self._open_last()
        except BaseException:
            self._held.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def tail(self) -> Iterator[dict[str, Any]]:
        """Yield the newest lines, oldest first: those of the last bytes."""
        left, parts = TAIL, []
        for path in reversed(segments(self.folder)):
            if left <= 0:
                break
            size = path.stat().st_size
            parts.append((path, max(size - left, 0)))
            left -= size
        for path, begin in reversed(parts):
            with path.open("rb") as file:
                file.seek(begin)
                # The first may be half a line; what is damaged otherwise is found by `read_log`.
                yield from (json.loads(body) for line in file if (body := opened(line)) is not None)

    async def add(self, text: str) -> None:
        """
        Write a line; when this returns it is kept.

        Raises
        ------
        FullError
            If it cannot be written: the disk is full, say. It is not in the log then.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiting.append((sealed(text), done))
        self._wake.set()
        # A client that goes away does not unwrite its line.
        await asyncio.shield(done)

    async def close(self) -> None:
        """Write what waits, sync, and give the folder free."""
        self._ends = True
        self._wake.set()
        await self._loop.run_in_executor(None, self._thread.join)
        os.close(self._file)
        self._held.close()

    def _open_last(self) -> None:
        """Open the last segment, without a last line that is cut short."""
        found = segments(self.folder)
        self._number, self._file = int(found[-1].stem) if found else 0, -1
        if not found:
            self._open_next()
            return
        path = found[-1]
        size, damaged = _sound(path)
        if damaged:  # lines that were acknowledged follow: nothing is cut, and `read_log` says which is bad
            tell(f"line {damaged} of {path} was changed or damaged. Restore the file from a copy; a new one is begun.")
            self._open_next()
            return
        with path.open("rb+") as file:
            file.seek(size)
            torn = file.read()
            if torn:  # it was never acknowledged; it is kept beside, since who cuts may be wrong
                path.with_suffix(f".torn-{size}").write_bytes(torn)
                file.truncate(size)
                os.fsync(file.fileno())
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._size = self._synced = size

    def _open_next(self) -> None:
        path = self.folder / f"{self._number + 1:08d}{_SUFFIX}"
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number = fresh, self._number + 1
        self._size = self._synced = 0
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _work(self) -> None:
        last = time.monotonic()
        while True:
            dirty = self._size > self._synced
            self._wake.wait(max(self.window - (time.monotonic() - last), 0.0) if dirty else None)
            self._wake.clear()
            ends = self._ends
            with self._lock:
                batch, self._waiting = self._waiting, []
            if batch:
                self._put(batch)
            due = self._size > self._synced and (ends or time.monotonic() - last >= self.window)
            if due:
                try:
                    self._sync()
                except OSError:
                    self.failures += 1
                last = time.monotonic()
            if ends and not batch:
                return

    def _put(self, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        problem: OSError | None = None
        size = self._size
        try:
            if size >= SEGMENT:
                self._sync()
                self._open_next()
                size = 0
            left = memoryview(b"".join(line for line, _ in batch))
            whole = len(left)
            while left:
                left = left[os.write(self._file, left) :]
            self._size = size + whole
            if not self.window:
                self._sync()
            self.lines += len(batch)
        except OSError as raised:
            problem = raised
            self.failures += 1
            self._size = size
            self._cut(size)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(_tell, [done for _, done in batch], problem)

    def _cut(self, size: int) -> None:
        """Take back what was written in part; where that fails too, go on in a new segment."""
        try:
            os.ftruncate(self._file, size)
        except OSError:
            with contextlib.suppress(OSError):
                self._open_next()

    def _sync(self) -> None:
        began = time.perf_counter()
        os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)
        self._synced = self._size
        self.syncs += 1
        seconds = time.perf_counter() - began
        self.sync_seconds += seconds
        if self.observe is not None:
            self.observe(seconds)


def _tell(waiting: list[asyncio.Future[None]], problem: OSError | None) -> None:
    for done in waiting:
        if not done.done():
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(FullError(problem.errno, problem.strerror))


def _sound(path: Path) -> tuple[int, int]:
    """Return how many bytes stand before a last line that is torn; and a bad line that others follow, 0 if none is."""
    size = bad = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if bad:
                return size, bad
            if opened(line) is None:
                bad = number
            else:
                size += len(line)
    return size, 0
