"""The server that is drilled: a process of its own on a copy of the store, as the machine sees it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mlwild.errors import StoreError
from mlwild.served import SERVED

#: Seconds over which it is seen which worker is busy.
LOOK = 0.4
#: Python with a clock that can be moved: run as a file, so that workers import no more than they do without.
MOVED = Path(__file__).with_name("moved.py")


def copied(folder: Path, into: Path) -> None:
    """Copy an app in operation, without what was served: the drill has a log of its own."""
    shutil.copytree(folder, into, ignore=lambda path, _: {SERVED} if Path(path) == folder else set())


@contextlib.contextmanager
def told_to_end() -> Iterator[None]:
    """Be ended by SIGTERM as by Ctrl-C: what was started is ended too, and files are taken away."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Running:
    """
    A server process that can be killed and started again.

    Parameters
    ----------
    file : Path
        The app.
    store : Path
    deadline : float
    errors : Path
        File for what it says to the operator; beside it stands by how much its clock is off.
    key : str
        Of the champion's bundle: what its workers are told from those of a canary or a shadow by.
    """

    def __init__(self, file: Path, store: Path, deadline: float, errors: Path, key: str) -> None:
        self.file, self.store, self.deadline, self.errors, self.key = file, store, deadline, errors, key
        self.port = 0
        self._offset = errors.with_name("clock")
        self._offset.write_bytes(bytes(8))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """
        Start it, and wait until it answers.

        Raises
        ------
        StoreError
            With what it said, if it does not come up.
        """
        command = [sys.executable, "-P", str(MOVED), str(self._offset), "-m", "mlwild.cli", "serve", str(self.file)]
        command += ["--port", "0", "--store", str(self.store), "--deadline", str(self.deadline)]
        with self.errors.open("ab") as errors:
            process = subprocess.Popen(  # noqa: S603  our own command
                command, cwd=self.file.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        self._process = process
        assert process.stdout is not None
        found = re.search(rb":(\d+) answers", process.stdout.readline())
        if not found:
            process.kill()
            process.wait()
            last = self.errors.read_text(errors="replace").strip().splitlines()[-1:]
            raise StoreError(f"drill: the server did not start: {' '.join(last) or 'it said nothing'}")
        self.port = int(found[1])

    def move(self, hours: float) -> None:
        """Let its wall clock be some hours off from now on, of all its processes; 0 sets it right."""
        with self._offset.open("rb+") as file:  # eight bytes at once: nobody reads half of them
            file.write(struct.pack("q", round(hours * 3_600_000_000)))

    @property
    def pid(self) -> int:
        """Number of the front process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it; whoever asks finds nobody until it is started again."""
        self.port = 0
        self._end(signal.SIGKILL)

    def end(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
        self._process = None

    @property
    def workers(self) -> list[int]:
        """Numbers of the champion's worker processes, the oldest first; those that ended are left out."""
        found = []
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if path.name.isdigit():
                    state, parent = _state(int(path.name))[:2]
                    if int(parent) == self.pid and state != "Z" and self._works(_command(path)):
                        found.append(int(path.name))
        return sorted(found)

    def _works(self, command: bytes) -> bool:
        return b"mlwild.serve.worker" in command and b'"key": "' + self.key.encode() + b'"' in command

    def by_work(self) -> list[int]:
        """Return the workers, the busiest first: the one that answers before the one that stands by."""
        before = {pid: _ticks(pid) for pid in self.workers}
        time.sleep(LOOK)
        return sorted(before, key=lambda pid: before[pid] - _ticks(pid))

    @property
    def memory(self) -> float:
        """Megabytes that the front process holds."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise StoreError("drill: /proc does not say what memory the server holds.")


def signalled(pid: int, number: int) -> None:
    """Send a signal to a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _state(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _command(path: Path) -> bytes:
    return (path / "cmdline").read_bytes()


def _ticks(pid: int) -> int:
    try:
        said = _state(pid)
    except OSError:
        return 0
    return int(said[11]) + int(said[12])
