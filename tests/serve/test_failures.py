"""What the server makes of workers that hang or die, of a full disk, and of its own end: each on a server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from mlwild.answering.bundle import load_bundle
from mlwild.errors import StoreError
from mlwild.serve import arms as arming
from mlwild.serve import read_log
from mlwild.serve.arms import Arms
from mlwild.serve.door import AT_ONCE, Door
from mlwild.serve.process import Kept, Order, Worker
from mlwild.triangle.store import Store
from tests.serve.servers import Load, Server
from tests.serve.stand_ins import until

DEADLINE = 0.5
HANGS, SPINS, DIES, SLOW, FEATURES_DIE = 0.7001, 0.7011, 0.7041, 0.7061, 0.7071


def row(x=0.5, number=1):
    return {"id": number, "when": "2026-01-12T10:00:00Z", "x": x, "n": 3, "city": "rome", "vip": True, "day": None}


def well(server):
    """Say whether the model answers again, with both workers."""
    said = server.get("/ready")[2]
    return said["ready"] and said["workers"] == 2 and server.one(**row())["status"] == "normal"


@pytest.mark.parametrize("x", [HANGS, pytest.param(SPINS, marks=pytest.mark.slow)], ids=["sleeps", "spins"])
def test_a_model_that_hangs_is_answered_for_in_time_and_killed(app_file, x):
    with Server(app_file) as server:
        before = server.workers
        others = Load(server.port, clients=2)
        time.sleep(0.3)
        began = time.monotonic()
        one = server.one(**row(x))
        took = time.monotonic() - began
        assert (one["status"], one["stage"]) == ("fallback", "flat")
        assert "in time" in one["cause"]
        assert one["expected_loss"] > 0
        assert took < 3 * DEADLINE  # the deadline and a busy machine
        server.until(lambda: len(server.workers) == 2 and server.workers != before)
        server.until(lambda: well(server))
        others.end()
        assert others.broken == 0
        assert not others.refused
        assert set(Counter(said["predictions"][0]["status"] for said in others.answers.values())) <= {
            "normal",
            "fallback",
        }
        assert "mlwild_worker_hung_total 1.0" in server.get("/metrics")[2]


def test_a_model_that_ends_its_process_loses_no_request_and_features_that_do_take_one_worker_only(app_file):
    with Server(app_file) as server:
        others = Load(server.port, clients=2)
        time.sleep(0.3)
        one = server.one(**row(DIES))
        assert (one["status"], one["stage"]) == ("fallback", "flat")
        server.until(lambda: well(server))
        assert "mlwild_worker_restarts_total 1.0" in server.get("/metrics")[2]
        before = set(server.workers)
        one = server.one(**row(FEATURES_DIE))
        assert (one["status"], one["stage"]) == ("fallback", "constant")
        assert len(before & set(server.workers)) == 1
        server.until(lambda: well(server))
        assert "mlwild_worker_restarts_total 2.0" in server.get("/metrics")[2]
        others.end()
        assert (others.broken, others.refused) == (0, [])
        assert len(others.answers) > 20
        causes = Counter(said["predictions"][0]["cause"] for said in others.answers.values())
        assert "no worker is ready" not in causes  # one was always left to ask


@pytest.mark.parametrize(
    "which", [pytest.param("first", marks=pytest.mark.slow), pytest.param("second", marks=pytest.mark.slow), "both"]
)
def test_workers_that_are_killed_lose_no_request(app_file, which):
    with Server(app_file) as server:
        others = Load(server.port, clients=3)
        time.sleep(0.3)
        pids = server.workers
        for pid in {"first": pids[:1], "second": pids[1:], "both": pids}[which]:
            os.kill(pid, signal.SIGKILL)
        server.until(lambda: not set(pids) <= set(server.workers))
        server.until(lambda: well(server))
        others.end()
        assert (others.broken, others.refused) == (0, [])
        values = Counter(said["predictions"][0]["status"] for said in others.answers.values())
        assert values["normal"] > 20


@pytest.mark.slow
def test_a_slow_model_is_waited_for(app_file):
    with Server(app_file) as server:
        one = server.one(**row(SLOW))  # .3 seconds of .5
        assert (one["status"], one["stage"]) == ("normal", "champion")


def kept(load, folder):
    """Hold what was acknowledged against the log: each once, with the same answer."""
    lines = Counter()
    said = {}
    for line in read_log(folder):
        lines[line["id"]] += 1
        said[line["id"]] = line["answer"]
    assert max(lines.values(), default=1) == 1
    missing = [name for name in load.answers if name not in lines]
    assert not missing
    assert all(said[name] == answer for name, answer in load.answers.items())


def _killed_again_and_again(file, times):
    acknowledged = 0
    for turn in range(times):
        with Server(file) as server:
            load = Load(server.port, clients=4, name=f"t{turn}")
            time.sleep(0.2 + 0.05 * (turn % 7))
            server.process.kill()
            server.process.wait()
            load.end()
        acknowledged += len(load.answers)
        kept(load, server.served)
    return acknowledged


def test_a_server_that_is_killed_has_logged_what_it_acknowledged_once(app_file):
    assert _killed_again_and_again(app_file, 2) > 20


@pytest.mark.slow
def test_a_server_that_is_killed_a_hundred_times_has_logged_all_that_it_acknowledged(app_file):
    assert _killed_again_and_again(app_file, 100) > 2000


def test_a_request_that_comes_again_after_a_restart_gets_its_answer_and_no_second_line(app_file):
    with Server(app_file) as server:
        first = server.ask({"rows": [row()]}, headers={"X-Request-Id": "again"})[2]
        server.process.kill()
    with Server(app_file) as server:
        assert server.ask({"rows": [row()]}, headers={"X-Request-Id": "again"})[2] == first
        assert server.ask({"rows": [row(0.6)]}, headers={"X-Request-Id": "again"})[0] == 409
        assert sum(line["id"] == "again" for line in read_log(server.served)) == 1


def test_workers_end_with_a_server_that_is_killed(app_file):
    with Server(app_file) as server:
        pids = server.workers
        assert len(pids) == 2
        server.process.kill()
        server.process.wait()
        end = time.monotonic() + 10
        while time.monotonic() < end and any(_lives(pid) for pid in pids):
            time.sleep(0.05)
        assert not any(_lives(pid) for pid in pids)


def _lives(pid):
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/stat").open() as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_server_that_is_told_to_end_answers_what_it_has_and_ends_with_0(app_file, number):
    with Server(app_file) as server:
        found = []
        asking = threading.Thread(target=lambda: found.append(server.one(**row(SLOW))))
        asking.start()
        time.sleep(0.15)
        assert server.end(number) == 0
        asking.join(10)
        assert found[0]["status"] == "normal"
        assert server.errors.read_text() == ""


def test_on_a_full_disk_nothing_is_acknowledged_and_it_goes_on_by_itself(app_file):
    with Server(app_file) as server:
        assert server.one(**row())["status"] == "normal"
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        size = sum(path.stat().st_size for path in server.served.glob("*.jsonl"))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size + 100, hard))
        code, headers, said = server.ask({"rows": [row()]}, headers={"X-Request-Id": "full"})
        assert code == 503
        assert int(headers["Retry-After"]) >= 1
        assert "logged" in said["error"]
        code, _, said = server.get("/ready")
        assert (code, said["ready"], said["log"]) == (503, False, os.strerror(errno.EFBIG))
        time.sleep(1.5)  # it looks whether there is room, and there is none
        assert server.get("/ready")[0] == 503
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        server.until(lambda: server.get("/ready")[0] == 200, 5)  # though nobody asks it for an answer
        assert list(server.served.glob("room")) == []
        assert server.ask({"rows": [row()]}, headers={"X-Request-Id": "full"})[0] == 200
        assert sum(line["id"] == "full" for line in read_log(server.served)) == 1


@pytest.mark.slow
def test_one_who_wants_answers_rather_than_a_log_gets_them_on_a_full_disk(app_file):
    with Server(app_file, "--unlogged") as server:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (10, hard))
        assert server.one(**row())["status"] == "normal"
        assert "mlwild_unlogged_rows_total 1.0" in server.get("/metrics")[2]
        assert list(read_log(server.served)) == []


@pytest.mark.slow
def test_a_second_server_on_the_same_log_is_refused(app_file):
    with Server(app_file), Server(app_file, wait=False) as second:
        assert second.process.wait(60) != 0
        said = second.errors.read_text()
        assert "already serves" in said
        assert "Traceback" not in said


def test_a_model_that_was_changed_is_not_loaded(app_file):
    import json

    live = json.loads((app_file.parent / ".mlwild/operate/faulty/live.json").read_text())
    path = app_file.parent / f".mlwild/operate/faulty/memo/{live['key'][:2]}/{live['key']}.model"
    path.write_bytes(path.read_bytes() + b"x")
    with Server(app_file, wait=False) as server:
        assert server.process.wait(60) != 0
        said = server.errors.read_text()
        assert "another digest" in said
        assert "Traceback" not in said


def test_a_model_of_the_chain_that_is_gone_keeps_no_worker_from_being_started_for_long(app_file, monkeypatch):
    monkeypatch.setattr(arming, "AGAIN", 0.5)
    real, made = arming.kept, []

    async def twice(order):
        if len(made) == 2:  # none is on its way when the test ends
            raise StoreError("enough")
        made.append(await real(order))
        return made[-1]

    monkeypatch.setattr(arming, "kept", twice)

    async def dies():
        arms = Arms(Order(str(app_file), ".mlwild", "champion"), 5.0, lambda _: None)
        champion = (await arms.start()).champion
        mends = asyncio.create_task(arms.mend())
        store = Store(arms.folder)
        parts = load_bundle(store, champion.kept.key, champion.kept.digest).parts
        flat = store.payload(next(part.key for part in parts if part.name == "flat"), "model")
        flat.unlink()
        champion.second.kill()
        try:
            await until(lambda: "the model of flat" in arms.trouble, 60)
            await until(lambda: len(made) == len(champion.workers) == 2 and not arms.trouble, 60)
            assert flat.exists()
            assert not mends.done()
        finally:
            mends.cancel()
            await arms.close(0.0)

    asyncio.run(dies())


def test_more_than_can_wait_is_turned_away_and_told_when_to_come_again(app_file):
    with Server(app_file, "--max-waiting", "40") as server:
        codes = Counter()
        retry = []

        def ask(number):
            code, headers, _ = server.ask({"rows": [row(SLOW, number * 30 + k) for k in range(30)]})
            codes[code] += 1
            if code == 503:
                retry.append(headers["Retry-After"])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        assert set(codes) == {200, 503}
        assert retry
        assert server.one(**row())["status"] == "normal"


@pytest.mark.parametrize("what", ["process.subprocess.Popen", "process.socket.socketpair", "messages.mmap.mmap"])
def test_who_has_no_room_for_a_worker_says_so_and_can_try_again(monkeypatch, what):
    def none(*_, **__):
        raise OSError(24, "Too many open files")

    def held():
        return {one.name: os.path.realpath(one) for one in Path("/proc/self/fd").iterdir() if one.exists()}

    async def started():
        before = held()
        monkeypatch.setattr(f"mlwild.serve.{what}", none)
        # A pair starts its workers again after a sentence; after anything else it never would.
        with pytest.raises(StoreError, match="no process can be started: Too many open files"):
            await Worker.start(Kept("root", "key", "digest"), lambda _: None)
        assert held() == before

    asyncio.run(started())


def test_more_requests_at_once_than_are_taken_are_turned_away_and_told_when_to_come_again():
    codes, retry = [], []

    async def run():
        goes_on = asyncio.Event()

        async def routes(scope, receive, send):
            await goes_on.wait()
            await JSONResponse({})(scope, receive, send)

        async def ask(path="/predict", method="POST"):
            async def receive():
                return {"type": "http.request", "body": b"{}"}

            async def send(message):
                if message["type"] == "http.response.start":
                    codes.append(message["status"])
                    retry.append(dict(message["headers"]).get(b"retry-after"))

            headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
            await door({"type": "http", "path": path, "method": method, "headers": headers}, receive, send)

        door = Door(routes, 100, lambda *_: None)
        inside = [asyncio.create_task(ask()) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.wait_for(ask(), 5)
        assert (codes, retry) == ([503] * 5, [b"1"] * 5)
        health = asyncio.create_task(ask("/health", "GET"))
        goes_on.set()
        await asyncio.gather(*inside, health)
        await ask()

    asyncio.run(run())
    assert codes == [503] * 5 + [200] * (AT_ONCE + 2)
