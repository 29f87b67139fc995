"""Files that are there whole or not at all, and failures to write as one sentence."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from mlwild.errors import BusyError, StoreError

#: A lock may be held for a moment by who only looks whether it is: it is tried so often, so many seconds apart.
LOOKS, LOOK = 4, 0.05


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write into one sentence."""
    try:
        yield
    except OSError as problem:
        if isinstance(problem, StoreError | BusyError):
            raise
        if problem.errno == errno.ENOSPC:
            raise StoreError(
                f"store: the disk of {path.parent} is full. What was finished is kept; free some space and run "
                "the same command again."
            ) from problem
        raise StoreError(f"store: {path} cannot be written: {problem.strerror or problem}.") from problem


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], *, sync: bool = False) -> None:
    """Write a file so that it is there whole or not at all; with `sync`, when this returns it is on the disk."""
    with writing(path):
        if path.exists() and not path.is_file():  # a pipe, a device: written to, not replaced
            with path.open("wb") as file:
                write(file)
            return
        path = path.resolve()  # what a link points to is replaced, not the link
        path.parent.mkdir(parents=True, exist_ok=True)
        name = str(path.parent / f".part-{os.getpid()}-{path.name}")
        # The permissions that the user's umask gives, not those of a private temporary file.
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            Path(name).replace(path)
            if sync:
                synced(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def synced(path: Path) -> None:
    """Put a file, or a folder's list of files, on the disk: a new file is not there after a power cut otherwise."""
    with writing(path):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it; it goes with the process, however that ends."""
    import fcntl

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        _lock(file, fcntl.LOCK_EX, path)
        yield


def _lock(file: IO[Any], how: int, path: Path) -> None:
    """Take a lock, or say that where the file lies there are none."""
    import fcntl

    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        raise
    except OSError as problem:
        raise StoreError(
            f"store: {path} cannot be locked: {problem.strerror}. Two that write at once would do harm: name a folder "
            "on a file system that has locks."
        ) from problem


@contextmanager
def held(path: Path, refusal: Callable[[str], str]) -> Iterator[IO[bytes]]:
    """
    Hold a lock; it goes with the process, however that ends.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    refusal : callable
        Returns the sentence for who comes second, given who holds it.

    Yields
    ------
    file
        What is held: another may stand under its name by now.

    Raises
    ------
    BusyError
        If another process holds it.
    StoreError
        If it cannot be written, or its file system has no locks.
    """
    import fcntl

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+", buffering=0)
    with file:
        for left in reversed(range(LOOKS)):
            try:
                _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
                break
            except BlockingIOError:
                if not left:
                    file.seek(0)
                    raise BusyError(refusal(file.read().decode().strip() or "another process")) from None
                time.sleep(LOOK)
        with suppress(OSError):  # who holds it is told as a courtesy: on a full disk it is not
            file.truncate(0)
            file.write(f"process {os.getpid()}".encode())
        yield file


def is_held(path: Path) -> bool:
    """Say whether a process holds a lock; who asks holds it for a moment himself, which `held` waits for."""
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it is not there, may not be read, or there are no locks: then nobody has it
        return False
    return False
