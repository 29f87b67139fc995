"""A server whose operator is gone: nobody reads what is told, and all goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mlwild.answering.telling import tell
from tests.serve.servers import Server


class Unheard(Server):
    """A server that nobody hears."""

    def __init__(self, file):
        self.file, self.errors = file, file.parent / "stderr-none"
        self.errors.touch()
        ours, theirs = os.pipe()
        command = [sys.executable, "-m", "mlwild.cli", "serve", file.name, "--port", "0"]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as users have it
        self.process = subprocess.Popen(command, cwd=file.parent, env=env, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        self.wait()
        os.close(ours)  # from now on what is written there fails


def test_a_server_that_nobody_hears_follows_what_is_live_and_says_what_is_wrong(app_file):
    path = app_file.parent / ".mlwild" / "operate" / "faulty" / "live.json"
    body = json.loads(path.read_text())
    with Unheard(app_file) as server:
        row = {"id": 1, "when": None, "n": 1, "city": "rome", "vip": True, "day": None}
        workers = server.workers
        assert server.one(**row, x=0.7021)["cause"] == "champion raised RuntimeError"
        path.write_text("{")
        server.until(lambda: server.get("/ready")[2]["troubled"])
        path.write_text(json.dumps(body | {"at": "later"}))
        server.until(lambda: "mlwild_swaps_total 1.0" in server.get("/metrics")[2], 60)
        assert not server.get("/ready")[2]["troubled"]
        server.until(lambda: len(server.workers) == 2 and not set(workers) & set(server.workers))
        os.kill(server.workers[0], 9)
        server.until(lambda: "mlwild_worker_restarts_total 1.0" in server.get("/metrics")[2])
        server.until(lambda: server.get("/ready")[2]["workers"] == 2, 60)
        assert server.one(**row, x=0.5)["status"] == "normal"
        assert server.end() == 0


def test_to_tell_never_fails(monkeypatch, tmp_path):
    file = (tmp_path / "closed").open("w")
    file.close()
    monkeypatch.setattr(sys, "stderr", file)
    tell("something is wrong")
    assert (tmp_path / "closed").read_text() == ""


PRINTS = r"""
import os, sys
from mlwild.answering.telling import to_operator
answers = os.dup(1)
to_operator()
print("x" * 100_000)
print("\u043f", file=sys.stderr)
os.write(answers, b"an answer")
"""


@pytest.mark.parametrize("gone", [False, True])
def test_what_the_users_code_prints_is_for_the_operator_and_never_fails(tmp_path, gone):
    ours, theirs = os.pipe()
    heard = tmp_path / "heard"
    stderr = theirs if gone else os.open(heard, os.O_WRONLY | os.O_CREAT)
    os.close(ours)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    made = subprocess.run([sys.executable, "-c", PRINTS], env=env, stdout=subprocess.PIPE, stderr=stderr, check=False)
    assert (made.returncode, made.stdout) == (0, b"an answer")
    assert gone or heard.read_text() == "x" * 100_000 + "\n\u043f\n"
