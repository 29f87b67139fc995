"""A request cannot make the server open a file, load a module or reach a network: Python's own audit says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, since a hook cannot be taken out again. Front process and worker are one here: what either
# does is seen.
CHILD = r"""
import asyncio, json, os, pickle, sys
from pathlib import Path
from types import SimpleNamespace

from mlwild.answering import bundle, service_of
from mlwild.answering.bundle import load_bundle
from mlwild.columns import Columns
from mlwild.answering.live import Live
from mlwild.serve.arms import Standing
from mlwild.serve.door import Door
from mlwild.serve.front import Front, Limits, application
from mlwild.serve.log import Log
from mlwild.serve.messages import Box, packed
from mlwild.serve.tickets import reply_of
from mlwild.serve.worker import _answer

seen, listens = [], False
QUIET = ("object.__getattr__", "object.__setattr__", "sys._getframe", "builtins.id", "marshal.")


def hook(event, args):
    if listens and not event.startswith(QUIET):
        frame, where = sys._getframe(1), []
        while frame is not None and len(where) < 6:
            where.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
            frame = frame.f_back
        seen.append((event, repr(args)[:300], where))


sys.addaudithook(hook)


class Pair:
    # What answers, without a process between.
    def __init__(self, service):
        self.service, self.told, self.deadline, self.open_rows = service, service.bundle.told(), 0.5, 0
        self.workers, self.trouble, self.ready, self.counts, self.asking = [1, 2], "", True, {}, 0

    async def answer(self, columns, n, within=None):
        names = [one["name"] for one in self.told["columns"]["needed"]]
        (number, stage, lists), = Box().add(packed((1, 0, columns)))
        said = _answer(self.service, number, stage, dict(zip(names, lists, strict=True)))
        (said,) = Box().add(packed(said))
        assert said[1] is not None, said
        return reply_of(said[1], said[2])


async def ask(door, path, body, headers=(), method="POST"):
    sent = []
    told = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return told.pop() if told else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    given = [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode("utf-8", "replace"), "root_path": "",
             "query_string": b"file=/etc/passwd&url=http://127.0.0.1:9/", "headers": given, "http_version": "1.1",
             "scheme": "http", "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2)}
    await door(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)


def hostile():
    class Run:
        def __reduce__(self):
            return os.system, ("echo no",)

    texts = [
        "/etc/passwd", "../../../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x", "//127.0.0.1/share/x",
        "ftp://localhost/x.csv", "s3://bucket/key", "sqlite:////tmp/x.db", "jdbc:postgresql://127.0.0.1/x",
        "{0.__class__.__mro__}", "{x.__init__.__globals__}", "%s%s%s%n", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}",
        "__import__('os').system('id')", "eval(compile('1','x','exec'))", "$(id)", "`id`", "; id", "| id", "\u0000", "\x00/etc",
        "'; DROP TABLE rows; --", "!!python/object/apply:os.system ['id']", "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
        "Europe/../../../etc/passwd", "2026-01-12T10:00:00[Europe/Oslo]", "=cmd|'/c calc'!A0", "con", "-", "~", "*", "rome\n",
        "a" * 50_000, "\u202e", "\U0001f600" * 100, pickle.dumps(Run(), 0).decode("latin-1"),
    ]
    others = [9 * 10**399, -(10**300), 1.7976931348623157e308, 5e-324, -0.0, 2**63 - 1, True, [], {}, [[]], {"__class__": "x"},
              {"$ref": "file:///etc/passwd"}, {"py/object": "os.system"}, {"__reduce__": ["os.system", ["id"]]}]
    good = {"id": 7, "when": "2026-01-12T10:00:00Z", "x": 0.5, "n": 3, "city": "rome", "vip": True, "day": "2026-01-12T00:00:00"}
    for value in [*texts, *others]:
        for name in good:
            yield "/predict", json.dumps({"rows": [good | {name: value}]}).encode(), ()
        yield "/predict", json.dumps({"rows": [good], "id": value}).encode(), ()
        yield "/predict", json.dumps({"rows": value}).encode(), ()
        for form in ("dataframe_split", "dataframe_records", "instances", "inputs"):
            yield "/invocations", json.dumps({form: value}).encode(), ()
        yield "/invocations", json.dumps({"instances": [good], "params": value}).encode(), ()
        if isinstance(value, str):
            yield "/predict", json.dumps({"rows": [good | {value: 1}]}).encode(), ()
            yield "/predict", json.dumps({value: good}).encode(), ()
            line = value.encode("utf-8", "replace")[:2000]
            yield "/predict", json.dumps(good).encode(), [(b"x-request-id", line)]
            yield "/predict", json.dumps(good).encode(), [(b"content-encoding", line)]
            yield "/predict", json.dumps(good).encode(), [(b"authorization", b"Bearer " + line)]
            yield value, json.dumps(good).encode(), ()
    yield "/predict", b'{"rows":[{"x":' + b"9" * 10_000 + b"}]}", ()
    yield "/predict", b'{"rows":[{"x":0.' + b"9" * 10_000 + b"}]}", ()
    yield "/predict", pickle.dumps(Run()), ()
    yield "/predict", b"\x80\x04", [(b"content-type", b"application/x-python-pickle")]
    yield "/predict", "{}".encode("utf-16"), ()
    for x in (0.7021, 0.7031, 0.7051, 1e300):  # the model raises, answers NaN, ends, and what is far from all
        yield "/predict", json.dumps({"rows": [good | {"x": x}]}).encode(), ()


async def main():
    global listens
    store, key, digest = bundle(sys.argv[1])
    pair = Pair(service_of(store, load_bundle(store, key, digest)))
    log = Log(Path(sys.argv[2]))
    front = Front(SimpleNamespace(now=None, trouble="", swaps=0, counts=dict), log, Limits())
    front.follow(Standing(Live(pair.told["live"]), Columns.of(pair.told["columns"]), pair))
    door = Door(application(front), 1 << 20, front.meters.request)
    good = json.dumps({"x": 0.5, "city": "rome", "when": "2026-01-12T10:00:00Z"}).encode()
    broken = json.dumps({"x": 0.7021, "city": "rome"}).encode()
    pages = ("/ready", "/health", "/metrics", "/openapi.json", "/none")
    for _ in range(2):  # what is loaded when it is first used is loaded now
        for body in (good, broken, b"{", b'{"rows":[{"xx":1}]}'):
            await ask(door, "/predict", body)
        await ask(door, "/invocations", b'{"instances":[' + good + b"]}")
        for page in pages:
            await ask(door, page, b"", method="GET")
    codes = {}
    listens = True
    for path, body, headers in hostile():
        code, said = await ask(door, path, body, headers)
        codes[code] = codes.get(code, 0) + 1
    for page in pages:
        await ask(door, page, b"", method="GET")
    asked = sum(codes.values())
    found = list(seen)
    open("/dev/null").close()
    listens = False
    heard = len(seen) - len(found)
    await log.close()
    print(json.dumps({"codes": codes, "asked": asked, "seen": found, "heard": heard}))


asyncio.run(main())
"""


def test_no_request_opens_a_file_loads_a_module_runs_a_program_or_reaches_a_network(app_file, tmp_path):
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(app_file), str(tmp_path / "log")],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["heard"] >= 1  # the hook hears a file that is opened
    assert found["asked"] > 500
    assert set(found["codes"]) <= {"200", "400", "404", "405", "409", "413", "415", "422"}, found["codes"]
    assert found["codes"]["200"] > 50
    # The loop wakes itself and the log grows without an event: nothing else may be seen at all.
    assert not found["seen"], json.dumps(found["seen"][:10], indent=1)
