"""Real server processes for tests, and a client that says exactly what is sent."""

from __future__ import annotations

import http.client
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
MOVED = HERE.parents[1] / "src/mlwild/serve/drill/moved.py"


def operated(folder: Path) -> Path:
    """Write the app into a folder and put it into operation."""
    import mlwild as wild
    from mlwild.rules import Every

    file = folder / "faulty.py"
    file.write_text((HERE / "app.py.txt").read_text())
    app = wild.load_app(file)
    wild.operate(app, rule=Every(1), at="2026-01-13", begin="2026-01-11", jobs=1)
    return file


class Server:
    """A server process."""

    def __init__(self, file: Path, *options: str, wait: bool = True, offset: Path | None = None) -> None:
        self.file = file
        moved = [] if offset is None else ["-P", str(MOVED), str(offset)]  # its clock is off by what stands there
        command = [sys.executable, *moved, "-m", "mlwild.cli", "serve", file.name, "--port", "0", *options]
        self.errors = file.parent / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, cwd=file.parent, stdout=subprocess.PIPE, stderr=errors)
        self.port = 0
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        said = self.process.stdout.readline().decode()
        found = re.search(r":(\d+) answers", said)
        assert found, said + self.errors.read_text()
        self.port = int(found[1])

    def ask(self, body, *, path="/predict", headers=None, method="POST", timeout=30):
        """Return code, headers and parsed body of one request on a connection of its own."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            line.request(method, path, data, {"Content-Type": "application/json"} | (headers or {}))
            answer = line.getresponse()
            text = answer.read().decode()
            kind = answer.headers.get("content-type", "")
            return answer.status, answer.headers, json.loads(text) if "json" in kind else text
        finally:
            line.close()

    def get(self, path, **words):
        """Return code, headers and body of a page."""
        return self.ask(None, path=path, method="GET", **words)

    def one(self, **row):
        """Return the answer to one row."""
        code, _, said = self.ask({"rows": [row]})
        assert code == 200, said
        return said["predictions"][0]

    @property
    def workers(self) -> list[int]:
        """Numbers of its worker processes, oldest first."""
        out = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout
        return sorted(int(one) for one in out.split())

    def until(self, true, seconds=30):
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if true():
                return
            time.sleep(0.05)
        raise AssertionError("it did not come about in time: " + self.errors.read_text()[-2000:])

    @property
    def served(self) -> Path:
        """Folder of the log."""
        return self.file.parent / ".mlwild" / "operate" / "faulty" / "served"

    def end(self, number=signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()


class Load:
    """Clients that ask one after the other, each request with an id of its own; what was acknowledged is noted."""

    def __init__(self, port: int, clients: int = 4, name: str = "r") -> None:
        self.port, self.name, self.stop = port, name, False
        self.answers: dict[str, dict] = {}
        self.refused: list[tuple[int, str]] = []
        self.broken = 0
        self._threads = [threading.Thread(target=self._run, args=(k,), daemon=True) for k in range(clients)]
        for one in self._threads:
            one.start()

    def _run(self, client: int) -> None:
        line, number, draw = None, 0, random.Random(client)
        while not self.stop:
            name = f"{self.name}-{client}-{number}"
            number += 1
            try:
                line = line or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                x, city = draw.gauss(0, 0.5), draw.choice(["oslo", "rome"])
                row = {"id": number, "when": None, "x": x, "city": city, "n": number % 7, "vip": x > 0, "day": None}
                body = json.dumps({"rows": [row]})
                headers = {"Content-Type": "application/json", "X-Request-Id": name}
                line.request("POST", "/predict", body, headers)
                answer = line.getresponse()
                said = answer.read()
                if answer.status == 200:
                    self.answers[name] = json.loads(said)
                else:
                    self.refused.append((answer.status, said.decode()))
            except (OSError, http.client.HTTPException):
                self.broken += 1
                if line is not None:
                    line.close()
                line = None
                time.sleep(0.01)
        if line is not None:
            line.close()

    def end(self) -> None:
        """Stop asking."""
        self.stop = True
        for one in self._threads:
            one.join(30)
