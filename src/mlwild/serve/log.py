"""What was answered, on the disk before it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from mlwild.answering.telling import tell
from mlwild.disk import held, writing
from mlwild.served import SUFFIX, place, sealed, segments, sound

#: Bytes after which a new segment begins.
SEGMENT = 64 << 20
#: Seconds that a line may take to the disk: after them nobody waits any more, and the log is said to stall.
PATIENCE = 2.0
#: Seconds between two looks whether the file still stands where it was.
LOOK = 1.0
STALLS, GONE, MOVED = "the disk of the log stalls", "the log was deleted", "the log was moved"
#: Bytes that are written beside a log that failed, to see whether there is room again.
ROOM = 64 << 10


class FullError(OSError):
    """The log cannot be written to now."""


class StalledError(FullError):
    """
    Whether a line is in the log is not known yet.

    Parameters
    ----------
    fate : Future of int
        What `Log.add` would have returned or raised.
    """

    def __init__(self, fate: asyncio.Future[int]) -> None:
        super().__init__(errno.ETIMEDOUT, STALLS)
        self.fate = fate


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
        acknowledged was always given to the operating system first, so that it survives the end of the process. Once
        a sync has failed, what comes is acknowledged after a sync only, until one has succeeded.

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
        self._waiting: list[tuple[bytes, asyncio.Future[int]]] = []
        self._ends, self._over = False, asyncio.Event()
        self._busy: float | None = None
        self._gone = False
        self._failed = ""
        # Whether the last sync failed: lines that were acknowledged before it may not be on the disk.
        self._unsure = False
        # Whether bytes that were refused may stand behind the last line, and whether a whole line is among them.
        self._stray = self._stray_line = False
        try:
            with writing(folder):
                self._open_last()
        except BaseException:
            self._held.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why nothing can be written now, as far as that is known before it is tried; empty where it can."""
        if self._gone:
            return GONE
        busy = self._busy
        return STALLS if busy is not None and time.monotonic() - busy > PATIENCE else ""

    @property
    def failing(self) -> str:
        """Why nothing can be written now, or could be at the last try; empty where it can."""
        return self.trouble or self._failed

    async def add(self, text: str) -> int:
        """
        Write a line; when this returns it is kept.

        Returns
        -------
        int
            Its place, for `mlwild.served.read_at`.

        Raises
        ------
        FullError
            If it cannot be written: the disk is full, say. It is not in the log then.
        StalledError
            If that is not known in time.
        """
        if self.trouble:
            raise FullError(errno.EIO, self.trouble)
        done: asyncio.Future[int] = self._loop.create_future()
        done.add_done_callback(_seen)
        with self._lock:
            self._waiting.append((sealed(text), done))
        self._wake.set()
        # A client that goes away does not unwrite its line.
        await asyncio.wait([done], timeout=PATIENCE)
        if not done.done():
            raise StalledError(done)
        return done.result()

    async def close(self, seconds: float = 20.0) -> None:
        """Write what waits, sync, and give the folder free; a disk that stalls is not waited for any longer."""
        self._ends = True
        self._wake.set()
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:  # the thread still has the file, and the folder stays ours until the process ends
            tell(f"the log {self.folder} is not closed: its disk stalls. What was acknowledged is in it.")
            return
        if self._size > self._synced:
            tell(f"the last lines of {self._path} could not be synced: a power cut may still cost them.")
        os.close(self._file)
        self._held.close()

    def _open_last(self) -> None:
        """Open the last segment, without a last line that is cut short."""
        found = segments(self.folder)
        self._number, self._file = int(found[-1].stem) if found else 0, -1
        self._size = self._synced = 0
        if not found:
            self._open_next()
            return
        path = found[-1]
        size, damaged = sound(path)
        if damaged:  # lines that were acknowledged follow: nothing is cut, and `read_log` says which is bad
            tell(f"line {damaged} of {path} was changed or damaged. Restore the file from a copy; a new one is begun.")
            self._open_next()
            return
        with path.open("rb+") as file:
            file.seek(size)
            torn = file.read()
            if torn:  # it was never acknowledged; it is kept beside, since who cuts may be wrong
                beside = _kept_beside(path.with_suffix(f".torn-{size}"), torn)
                if torn.endswith(b"\n"):
                    tell(f"the last line of {path} was whole once, and was changed or damaged. It is now in {beside}.")
                file.truncate(size)
                os.fsync(file.fileno())
        self._stand(path, os.open(path, os.O_WRONLY | os.O_APPEND), size)

    def _open_next(self) -> None:
        """Begin a segment; where that fails, all is as before."""
        if self._size > self._synced:
            self._sync()
        # One that could not be taken back below is passed over.
        number = 1 + max([self._number, *(int(path.stem) for path in segments(self.folder)[-1:])])
        path = self.folder / f"{number:08d}{SUFFIX}"
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        try:
            handle = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError:
            os.close(fresh)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        before, self._number = self._file, number
        self._stand(path, fresh, 0)
        if before >= 0:
            os.close(before)

    def _stand(self, path: Path, file: int, size: int) -> None:
        """Write to a file from now on."""
        self._path = path
        self._file, self._size, self._synced = file, size, size

    def _look(self) -> None:
        """Note whether the file was deleted: what is written to it is lost then; in one that was moved it is kept."""
        gone = os.fstat(self._file).st_nlink == 0
        if gone and not self._gone:
            tell(f"{self._path} was deleted: nothing is acknowledged. Start the server again.")
        self._gone = gone

    def _rest(self) -> None:
        """See, while nothing is to be written, whether it could be."""
        try:
            self._look()
        except OSError as problem:  # a disk of another machine that is away: it may come back
            self._failed = problem.strerror or str(problem)
            return
        if self._failed and not self._unsure:
            self._retry()

    def _retry(self) -> None:
        """See whether there is room again: who is told that nothing can be logged may ask no more, and so never try."""
        beside = self.folder / "room"
        try:
            with beside.open("wb") as file:
                file.write(bytes(ROOM))
                file.flush()
                os.fsync(file.fileno())
            self._failed = ""
        except OSError as problem:
            self._failed = problem.strerror or self._failed
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _work(self) -> None:
        last = time.monotonic()
        while True:
            dirty = self._size > self._synced and not self._unsure
            patience = min(max(self.window - (time.monotonic() - last), 0.0), LOOK) if dirty else LOOK
            self._wake.wait(0.0 if self._ends else patience)
            self._wake.clear()
            ends = self._ends
            with self._lock:
                batch, self._waiting = self._waiting, []
            self._busy = time.monotonic()
            if batch:
                self._put(batch)
            else:
                self._rest()
            # After one that failed, each line that is written asks for a sync itself; where none is, it is tried here.
            late = not batch if self._unsure else time.monotonic() - last >= self.window
            if self._size > self._synced and (ends or late):
                self._sync_late()
                last = time.monotonic()
            self._busy = None
            if ends and not batch:
                self._call(self._over.set)
                return

    def _put(self, batch: list[tuple[bytes, asyncio.Future[int]]]) -> None:
        lines, waiting = zip(*batch, strict=True)
        places: list[int] = []
        problem: OSError | None = None
        try:
            at = self._write(lines)
            for line in lines:
                places.append(place(self._number, at))
                at += len(line)
            self.lines += len(batch)
            self._failed = ""
        except OSError as raised:
            problem = raised
            self._note(raised)
        self._call(_tell, waiting, places, problem)

    def _write(self, lines: Sequence[bytes]) -> int:
        """Write lines, and return where they begin; where that fails, none of them is in the log."""
        self._cut()
        # Behind what somebody else wrote or cut, lines would not be where they are said to be, and be cut with it.
        if self._size >= SEGMENT or os.fstat(self._file).st_size != self._size:
            self._open_next()
        before = self._size
        left = memoryview(b"".join(lines))
        whole = len(left)
        try:
            while left:
                left = left[os.write(self._file, left) :]
            self._size = before + whole
            if self._unsure or not self.window:
                self._sync()
            self._look()
            if self._gone:
                raise FileNotFoundError(errno.ENOENT, GONE)
        except OSError:
            self._size, self._synced = before, min(self._synced, before)
            self._unsure = self._unsure and self._size > self._synced  # of what was acknowledged alone
            self._stray, self._stray_line = True, whole - len(left) >= len(lines[0])
            with contextlib.suppress(OSError):  # tried again before the next line
                self._cut()
            raise
        return before

    def _cut(self) -> None:
        """Take back what was refused, or begin a new segment behind it; nothing is written before."""
        if not self._stray:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            if self._stray_line:  # it could be read, and would be there twice once it is asked again
                raise
            self._open_next()
        self._stray = False

    def _note(self, problem: OSError) -> None:
        self._failed = problem.strerror or "it cannot be written"
        self.failures += 1

    def _sync_late(self) -> None:
        """Sync what was acknowledged; where that fails, nothing more is until it has been done."""
        try:
            self._sync()
            self._failed = ""
        except OSError as problem:
            self._note(problem)

    def _sync(self) -> None:
        began = time.perf_counter()
        try:
            if self._unsure:
                self._write_again()
            os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)
        except OSError:
            self._unsure = True
            raise
        self._unsure = False
        self._synced = self._size
        self.syncs += 1
        seconds = time.perf_counter() - began
        self.sync_seconds += seconds
        if self.observe is not None:
            self.observe(seconds)

    def _write_again(self) -> None:
        """Write what is not synced once more: a system may take it for written once it told that it could not be."""
        file = os.open(self._path, os.O_RDWR)
        try:
            if not os.path.samestat(os.fstat(file), os.fstat(self._file)):
                raise FileNotFoundError(errno.ENOENT, MOVED)
            os.lseek(file, self._synced, os.SEEK_SET)
            left = memoryview(os.read(file, self._size - self._synced))
            os.lseek(file, self._synced, os.SEEK_SET)
            while left:
                left = left[os.write(file, left) :]
        finally:
            os.close(file)

    def _call(self, what: Callable[..., object], *words: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(what, *words)


def _kept_beside(path: Path, torn: bytes) -> Path:
    """Keep bytes in a file that is not there yet, and return which: at the same place another line may be torn."""
    for number in count(2):
        try:
            with path.open("xb") as file:
                file.write(torn)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            path = path.with_suffix(f"{path.suffix.partition('_')[0]}_{number}")
        else:
            break
    return path


def _seen(done: asyncio.Future[int]) -> None:
    """Take note of an error that nobody waits for any more: asyncio would write it to the terminal."""
    if not done.cancelled():
        done.exception()


def _tell(waiting: Sequence[asyncio.Future[int]], places: Sequence[int], problem: OSError | None) -> None:
    for number, done in enumerate(waiting):
        if not done.done():
            if problem is None:
                done.set_result(places[number])
            else:
                done.set_exception(FullError(problem.errno, problem.strerror))
