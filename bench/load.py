"""
The server under load: some minutes at 80 % of its capacity, a burst of ten times that, then 80 % again.

Asked: no acknowledged answer lost or logged twice, memory flat, the burst turned away or answered with a status rather
than collapsed under, and latency as before by itself. Requests come by the clock, whether the ones before them are
answered or not, and latency counts from when they were due. Client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path

HERE = Path(__file__).resolve()
if __package__ in (None, ""):
    sys.path.insert(0, str(HERE.parents[1]))

from bench.serve import put_into_operation, requests

MINUTES, BURST_SECONDS, SHARE, TIMES, LOOK = 10.0, 10.0, 0.8, 10, 4.0
CONNECTIONS, BURST_CONNECTIONS = 64, 1500
PATIENCE = 20.0


class Asker:
    """Asks by the clock, on as many connections as it takes, and counts what comes."""

    def __init__(self, port: int, connections: int, name: str) -> None:
        self.port, self.name = port, name
        self.chooser = selectors.DefaultSelector()
        self.held: dict[socket.socket, bytes] = {}
        self.due: dict[socket.socket, float] = {}
        self.ids: dict[socket.socket, str] = {}
        self.idle = [self._line() for _ in range(connections)]
        self.waiting: deque[float] = deque()
        self.requests = requests()
        self.sent = 0
        self.codes: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.told = self.broken = 0
        self.kept: list[str] = []
        self.took: list[tuple[float, float]] = []

    def _line(self) -> socket.socket:
        line = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setblocking(False)
        self.chooser.register(line, selectors.EVENT_READ)
        self.held[line] = b""
        return line

    def ask(self, rate: float, seconds: float) -> None:
        """Ask so many times a second; rate 0: again as soon as an answer is there."""
        began = time.perf_counter()
        end, number = began + seconds, 0
        while (now := time.perf_counter()) < end:
            if rate:
                while number < (now - began) * rate:
                    self.waiting.append(began + number / rate)
                    number += 1
            else:
                self.waiting.extend([now] * len(self.idle))
            self._send()
            self._take(0.0005)
        # Who was never asked is not counted: there were more than the client has connections for.
        self.unasked = len(self.waiting)
        self.waiting.clear()
        end = time.perf_counter() + PATIENCE
        while self.due and time.perf_counter() < end:
            self._take(0.05)
        self.broken += len(self.due)

    def _send(self) -> None:
        while self.waiting and self.idle:
            line, due = self.idle.pop(), self.waiting.popleft()
            name = f"{self.name}-{self.sent}"
            request = self.requests[self.sent % len(self.requests)]
            self.sent += 1
            self.due[line], self.ids[line] = due, name
            line.send(request.replace(b"\r\n", f"\r\nX-Request-Id: {name}\r\n".encode(), 1))

    def _take(self, wait: float) -> None:
        for key, _ in self.chooser.select(wait):
            line = key.fileobj
            try:
                got = line.recv(1 << 16)
            except OSError:
                got = b""
            if not got:
                self._lost(line)
                continue
            self.held[line] += got
            head, found, body = self.held[line].partition(b"\r\n\r\n")
            if not found or len(body) < int(re.search(rb"content-length: (\d+)", head)[1]):
                continue
            self._note(line, head, body)

    def _lost(self, line: socket.socket) -> None:
        self.broken += self.due.pop(line, None) is not None
        self.chooser.unregister(line)
        line.close()
        if line in self.idle:
            self.idle.remove(line)
        self.idle.append(self._line())

    def _note(self, line: socket.socket, head: bytes, body: bytes) -> None:
        now, due = time.perf_counter(), self.due.pop(line)
        code = head[9:12].decode()
        self.codes[code] += 1
        self.held[line] = b""
        if code == "200":
            self.kept.append(self.ids[line])
            self.statuses[json.loads(body)["predictions"][0]["status"]] += 1
            self.took.append((now, now - due))
        else:
            self.told += code in ("429", "503") and b"retry-after: " in head
        if b"connection: close" in head:
            self.chooser.unregister(line)
            line.close()
            line = self._line()
        self.idle.append(line)

    def found(self, keep: Path) -> dict:
        """Return the figures; ids of what was acknowledged are written to a file."""
        keep.write_text("\n".join(self.kept))
        took = sorted(one for _, one in self.took) or [float("nan")]
        seconds: dict[int, list[float]] = {}
        for at, one in self.took:
            seconds.setdefault(int(at - self.took[0][0]), []).append(one)
        tails = [1000 * sorted(some)[int(0.99 * (len(some) - 1))] for _, some in sorted(seconds.items())]
        return {
            "sent": self.sent, "unasked": self.unasked, "codes": self.codes, "statuses": self.statuses,
            "told": self.told, "broken": self.broken, "p50": 1000 * took[len(took) // 2],
            "p99": 1000 * took[int(0.99 * (len(took) - 1))], "slowest": 1000 * took[-1], "tails": tails,
        }  # fmt: skip


def asked(port: int, rate: float, seconds: float, connections: int, keep: Path) -> dict:
    """Ask in a process of its own."""
    command = [sys.executable, HERE, "--ask", str(port), str(rate), str(seconds), str(connections), str(keep)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    if out.returncode:
        raise SystemExit(out.stderr)
    return json.loads(out.stdout)


def memory(front: int) -> dict[str, float]:
    """Return megabytes of the front process and of its workers together."""
    pids = [int(one) for one in subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(front)], capture_output=True, text=True, check=False
    ).stdout.split()]  # fmt: skip

    def held(pid: int) -> float:
        try:
            return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
        except (OSError, TypeError):
            return 0.0

    return {"front": held(front), "workers": sum(held(pid) for pid in pids)}


def measure(port: int, front: int, folder: Path, minutes: float, burst: float) -> dict:
    """Load a server; return what came of each part, and memory after each."""
    keep = iter(folder / f"kept-{k}" for k in range(10_000))
    asked(port, 0, 2.0, CONNECTIONS, next(keep))
    parts: list[dict] = []
    pieces = max(round(minutes), 1)
    for _ in range(pieces):
        # Anew before each part: what else the machine does changes it.
        capacity = asked(port, 0, LOOK, CONNECTIONS, next(keep))["codes"]["200"] / LOOK
        rate = SHARE * capacity
        made = asked(port, rate, 60 * minutes / pieces, CONNECTIONS, next(keep))
        parts.append({"part": f"80 % of {capacity:,.0f}/s"} | made | memory(front))
    made = asked(port, TIMES * rate, burst, BURST_CONNECTIONS, next(keep))
    parts.append({"part": f"burst x{TIMES}"} | made | memory(front))
    made = asked(port, rate, 60 * minutes / pieces, CONNECTIONS, next(keep))
    parts.append({"part": "80 % again"} | made | memory(front))
    normal = 2 * parts[pieces - 1]["p99"]
    late = [second for second, tail in enumerate(made["tails"]) if tail > normal]
    return {
        "capacity": capacity, "rate": rate, "parts": parts,
        "recovered": 1 + late[-1] if late and late[-1] < len(made["tails"]) - 1 else 0 if not late else float("nan"),
        "kept": [name for path in sorted(folder.glob("kept-*")) for name in path.read_text().split()],
    }  # fmt: skip


def held_against(kept: list[str], log: Path) -> dict[str, int]:
    """Return how many acknowledged requests are not in the log, and how many are there more than once."""
    from mlwild.serve import read_log

    lines = Counter(str(line["id"]) for line in read_log(log))
    return {
        "acknowledged": len(kept),
        "lost": sum(name not in lines for name in kept),
        "doubled": sum(n > 1 for n in lines.values()),
    }


def main() -> None:
    """Put an app into operation, serve it, load it, and print what came."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--burst", type=float, default=BURST_SECONDS)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put_into_operation(folder)
        command = [sys.executable, "-m", "mlwild.cli", "serve", "bench_app.py", "--port", "0"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            port = int(process.stdout.readline().split(":")[-1].split()[0])
            before = memory(process.pid)
            found = measure(port, process.pid, folder, wanted.minutes, wanted.burst)
        finally:
            process.terminate()
            process.wait(60)
        found |= held_against(found.pop("kept"), folder / ".mlwild" / "operate" / "bench" / "served")
    print(
        f"{os.cpu_count()} cores, shared by client, server and what else runs; capacity as measured on {CONNECTIONS} "
        "lines before each part"
    )
    names = ("sent", "behind", "200", "told", "broken", "normal", "p50 ms", "p99", "slowest", "MB front", "workers")
    print(f"{'':<18}" + "".join(f"{name:>9}" for name in names))
    print(f"{'before':<18}{before['front']:>90,.0f}{before['workers']:>9,.0f}")
    for one in found["parts"]:
        answered = one["codes"].get("200", 0)
        cells = [f"{one['sent']:,}", f"{one['unasked']:,}", f"{answered:,}", f"{one['told']:,}", f"{one['broken']:,}"]
        cells.append(f"{one['statuses'].get('normal', 0) / max(answered, 1):.1%}")
        cells += [f"{one[name]:,.1f}" for name in ("p50", "p99", "slowest")]
        cells += [f"{one[name]:,.0f}" for name in ("front", "workers")]
        print(f"{one['part']:<18}" + "".join(f"{cell:>9}" for cell in cells))
    print(
        f"acknowledged {found['acknowledged']:,}; not in the log {found['lost']}; twice in it {found['doubled']}; "
        f"p99 within twice that of before after {found['recovered']} s"
    )
    if found["lost"] or found["doubled"]:
        raise SystemExit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        port, rate, seconds, connections, kept = sys.argv[2:]
        asker = Asker(int(port), int(connections), Path(kept).name)
        asker.ask(float(rate), float(seconds))
        print(json.dumps(asker.found(Path(kept))))
    else:
        main()
