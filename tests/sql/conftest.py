"""A real PostgreSQL, started for the tests and stopped after them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Server:
    """A server in a folder of its own."""

    def __init__(self, bin_: Path, folder: Path) -> None:
        self.bin, self.folder = bin_, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    @property
    def url(self) -> str:
        return f"postgresql://tester:word@127.0.0.1:{self.port}/postgres"

    def _as(self, *words):
        """Run as somebody who is not root: PostgreSQL refuses root."""
        if os.geteuid() != 0:
            return list(words)
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *words]

    def make(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        word = self.folder / "word"
        word.write_text("word")
        word.chmod(0o644)
        command = [str(self.bin / "initdb"), "-D", str(self.folder / "data"), "-U", "tester", "-A", "scram-sha-256"]
        command += ["--pwfile", str(word), "--no-sync", "-E", "UTF8", "--locale", "C"]
        subprocess.run(self._as(*command), check=True, capture_output=True, cwd=self.folder)

    def start(self) -> None:
        import psycopg

        command = [str(self.bin / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-F"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "timezone=Asia/Tokyo"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(self._as(*command), stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(psycopg.OperationalError):  # not yet
                self.run("SELECT 1")
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # fast: open sessions are ended
            self.process.wait(30)
            self.process = None

    def run(self, *queries, rows=None):
        """Run queries; the last one perhaps for many rows."""
        import psycopg

        with psycopg.connect(self.url, connect_timeout=5) as connection, connection.cursor() as cursor:
            for query in queries[:-1]:
                cursor.execute(query)
            if rows is None:
                cursor.execute(queries[-1])
            else:
                cursor.executemany(queries[-1], rows)


@pytest.fixture(scope="session")
def database():
    """Return a running server."""
    pytest.importorskip("ibis", reason="mlwild[sql] is not installed")
    found = next((folder for folder in FOLDERS if (folder / "initdb").exists()), None)
    if found is None:
        pytest.skip("there is no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="mlwild-pg-"))
    folder.chmod(0o755)
    server = Server(found, folder)
    server.make()
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
