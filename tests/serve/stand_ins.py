"""Worker processes that start in a moment and do what a cell of their first column says."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import uvloop

#: It says what a worker says; what it does is in the words of its rows, and in the root of what it is started with.
WORKER = r"""
import json, marshal, mmap, os, signal, socket, sys, time

signal.alarm(20)  # it ends, whatever becomes of the test
config = json.loads(sys.argv[1])
line = socket.socket(fileno=config["line"])
slate = memoryview(mmap.mmap(config["slate"], 8)).cast("Q")


def say(message):
    body = marshal.dumps(message, 2)
    line.sendall(len(body).to_bytes(4, "big") + body)


time.sleep(float(os.environ.get("MLWILD_TEST_LOADING", 0)))
say("loaded")
time.sleep(float(os.environ.get("MLWILD_TEST_WARMING", 0)))
columns = {"needed": [{"name": "word", "kind": "text"}], "hidden": [], "time": "when", "key": None, "past": []}
columns["reordered"] = False
live = json.loads(os.environ.get("MLWILD_TEST_LIVE", "{}"))
say({"vintage": config["key"], "constant": 0.0, "loss": None, "columns": columns, "classes": None, "unguarded": "",
     "live": live | {"live": config["key"]}})
if "MLWILD_TEST_DIES" in os.environ:
    os._exit(1)
held = b""
while data := line.recv(1 << 20):
    held += data
    while len(held) >= 4 and len(held) >= 4 + (size := int.from_bytes(held[:4], "big")):
        number, stage, (words,) = marshal.loads(held[4 : 4 + size])
        held = held[4 + size :]
        slate[0] = 4 * number + 1
        if "features end" in words:
            os._exit(1)
        if "features hang" in words:
            time.sleep(100)
        if "features wait" in words:
            time.sleep(0.3)
        slate[0] = 4 * number + 2
        if "model ends" in words and stage == 0:
            os._exit(1)
        if "model waits" in words and stage == 0:
            time.sleep(0.3)
        if config["key"] == "hangs":
            time.sleep(100)
        n = len(words)
        said = ["normal", "", "champion"] if stage == 0 else ["fallback", "", "flat"]
        lists = [[1.0] * n, [None] * n, [None] * n, [None] * n, *([one] * n for one in said), [config["key"]] * n,
                 [None] * n, [1.0] * n, [None] * n, ["null"] * n]
        say((number, lists, 0.001, ""))
"""


def stand_in(monkeypatch, environments=()):
    """Have workers be stand-ins, the first of them with these variables set; return their processes as they come."""
    real, made = subprocess.Popen, []

    def start(command, **words):
        if "mlwild.serve.worker" not in command:
            return real(command, **words)
        more = environments[len(made)] if len(made) < len(environments) else {}
        made.append(real([sys.executable, "-I", "-S", "-c", WORKER, command[-1]], env=more, **words))
        return made[-1]

    monkeypatch.setattr("mlwild.serve.process.subprocess.Popen", start)
    return made


def run(what):
    """Run it in the loop that the server runs in."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(what, 20))


async def until(true, seconds=5.0):
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  what is waited for tells nobody
            await asyncio.sleep(0.005)
