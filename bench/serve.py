"""
What serving costs: one-row requests, against a bare FastAPI handler that calls the same model.

Asked: 80 % of the throughput of the bare handler, which has no guard and no log, and p99 within twice its. The model
is a boosting of 100 trees on twenty features; the client is a process of its own that asks again once it is answered.
All of them share the machine's cores. Rivals: `mlflow models serve` and BentoML (in an environment of its own).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve()
FEATURES, N, SECONDS, ROUNDS = 20, 4000, 4.0, 3
CONNECTIONS = (1, 8)
#: Seconds that a rival may take to start.
WAIT = 60

APP = """
import numpy as np, pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
import mlwild as wild

def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=({n}, {features}))
    frame = pd.DataFrame(X, columns=[f"x{{k}}" for k in range({features})])
    frame["when"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange({n}), unit="min")
    frame["y"] = X[:, 0] + np.sin(X[:, 1]) + 0.1 * rng.normal(size={n})
    return frame

def features(frame):
    return frame[[f"x{{k}}" for k in range({features})]]

app = wild.App(
    name="bench", data=rows, time="when", label="y", delay="1min", features=features,
    models={{"boosting": HistGradientBoostingRegressor(max_iter=100, early_stopping=False)}},
    loss="absolute", every="12h", start="2026-01-01T12:00Z", prices=wild.Prices(loss=1.0, retrain=0.0),
)
"""

BARE = """
import json, pickle, sys
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import create_model

model = pickle.load(open(sys.argv[1], "rb"))
names = [f"x{{k}}" for k in range({features})]
Row = create_model("Row", when=(str, ...), **{{name: (float, ...) for name in names}})
Batch = create_model("Batch", rows=(list[Row], ...))
app = FastAPI()

@app.post("/predict")
async def predict(batch: Batch):
    frame = pd.DataFrame([one.model_dump() for one in batch.rows], columns=names)
    return {{"predictions": model.predict(frame).tolist()}}

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

Server(uvicorn.Config(app, port=0, log_level="error", access_log=False)).run()
"""


#: Pages of the rivals, and how they are given rows.
PAGES = {"": ("/predict", "rows"), "mlflow": ("/invocations", "dataframe_records"), "bentoml": ("/predict", "rows")}


def requests(kind: str = "") -> list[bytes]:
    """Return some requests of one row, as bytes."""
    import numpy as np

    page, name = PAGES[kind]

    rng, made = np.random.default_rng(1), []
    for _ in range(200):
        row: dict[str, object] = {f"x{k}": float(x) for k, x in enumerate(rng.normal(size=FEATURES))}
        if not kind:
            row["when"] = "2026-01-02T00:00:00Z"
        body = json.dumps({name: [row]}).encode()
        lines = [f"POST {page} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}"])
        made.append(head.encode() + b"\r\n\r\n" + body)
    return made


def ask(port: int, connections: int, seconds: float, kind: str = "") -> dict[str, float]:
    """Ask on some connections, each again as soon as it is answered; return requests a second and milliseconds."""
    chooser, asked, told = selectors.DefaultSelector(), requests(kind), []
    began: dict[socket.socket, float] = {}
    held: dict[socket.socket, bytes] = {}
    number = 0
    for _ in range(connections):
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chooser.register(line, selectors.EVENT_READ)
        held[line] = b""
        began[line] = time.perf_counter()
        line.sendall(asked[number % len(asked)])
        number += 1
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in chooser.select():
            line = key.fileobj
            held[line] += line.recv(1 << 16)
            head, found, body = held[line].partition(b"\r\n\r\n")
            if not found:
                continue
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(body) < length:
                continue
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(body.decode())
            now = time.perf_counter()
            told.append(now - began[line])
            held[line], began[line] = b"", now
            line.sendall(asked[number % len(asked)])
            number += 1
    told.sort()
    return {
        "rate": len(told) / seconds,
        "p50": 1000 * told[len(told) // 2],
        "p99": 1000 * told[int(0.99 * (len(told) - 1))],
    }


def measured(port: int, connections: int, seconds: float = SECONDS, kind: str = "") -> dict[str, float]:
    """Do the same in a process of its own."""
    out = subprocess.run(
        [sys.executable, HERE, "--ask", str(port), str(connections), str(seconds), kind],
        capture_output=True,
        text=True,
        check=False,
    )
    if out.returncode:
        raise SystemExit(out.stderr)
    return dict(json.loads(out.stdout))


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[int]:
    """Run a server, and yield the port that it says."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield int(said.split(":")[-1].split()[0])
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def rival(kind: str, model: Path, folder: Path) -> Iterator[int | None]:
    """Run a rival's server, and yield its port once it answers; None where it cannot be installed."""
    from peers import python_of

    # MLflow serves with what is installed here already.
    python = Path(sys.executable) if kind == "mlflow" else python_of(kind)
    if python is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / kind
    home.mkdir(exist_ok=True)
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            [python, HERE.parent / f"serve_peer_{kind}.py", model, home, str(port)],
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={
                **os.environ,
                "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
            },  # MLflow calls uvicorn
        )
    try:
        for _ in range(WAIT):
            time.sleep(1)
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        else:
            print(f"{kind} did not answer within {WAIT} seconds and is left out: {(home / 'said').read_text()[-300:]}")
            yield None
            return
        time.sleep(2)
        yield port
    finally:
        process.terminate()  # who ends by himself ends his workers, that are in groups of their own
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def put_into_operation(folder: Path) -> Path:
    """Write the app, put it into operation, and return the file of the model that is live."""
    import mlwild as wild
    from mlwild.rules import Every

    file = folder / "bench_app.py"
    file.write_text(APP.format(n=N, features=FEATURES))
    app = wild.load_app(file)
    wild.operate(app, rule=Every(1), store=folder / ".mlwild", jobs=1)
    root = folder / ".mlwild" / "operate" / "bench"
    live = json.loads((root / "live.json").read_text())
    return root / "memo" / live["key"][:2] / f"{live['key']}.model"


def main() -> None:
    """Measure both in turn, some times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = put_into_operation(folder)
        (folder / "bare.py").write_text(BARE.format(features=FEATURES))
        ours = [sys.executable, "-m", "mlwild.cli", "serve", "bench_app.py", "--port", "0"]
        servers = {
            "a bare FastAPI handler": [sys.executable, "bare.py", str(model)],
            "mlwild serve": ours,
            "mlwild serve, synced once in 50 ms": [*ours, "--log-window", "0.05"],
        }
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(ROUNDS):
            for said, command in servers.items():
                with running(command, folder) as port:
                    measured(port, 2, 1.0)
                    for connections in CONNECTIONS:
                        found.setdefault((said, connections), []).append(measured(port, connections))
        for kind in ("mlflow", "bentoml"):
            with rival(kind, model, folder) as there:
                if there is None:
                    continue
                measured(there, 2, 1.0, kind)
                for connections in CONNECTIONS:
                    for _ in range(ROUNDS):
                        found.setdefault((kind, connections), []).append(measured(there, connections, SECONDS, kind))
        print(f"{os.cpu_count()} cores, shared by client and server; median of {ROUNDS} rounds of {SECONDS:.0f} s")
        bare = "a bare FastAPI handler"
        for connections in CONNECTIONS:
            print(
                f"\n{connections} connection(s){'requests/s':>34}{'of bare':>9}{'p50 ms':>9}{'p99 ms':>9}{'of bare':>9}"
            )
            base = {k: median(one[k] for one in found[bare, connections]) for k in ("rate", "p50", "p99")}
            for said in dict.fromkeys(name for name, _ in found):
                at = {k: median(one[k] for one in found[said, connections]) for k in ("rate", "p50", "p99")}
                share, tail = at["rate"] / base["rate"], at["p99"] / base["p99"]
                print(f"{said:<36}{at['rate']:>13,.0f}{share:>9.0%}{at['p50']:>9.2f}{at['p99']:>9.2f}{tail:>9.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        print(json.dumps(ask(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])))
    else:
        main()
