"""Side tables that move on between two ticks: the server reads them anew, and goes on with the old where it cannot."""

from __future__ import annotations

import os
import signal

import pandas as pd
import pytest

import mlwild as wild
from mlwild.rules import Every
from tests.answering.test_ages import APP
from tests.serve.servers import Server

LAST = pd.Timestamp("2026-01-01") + pd.Timedelta(hours=1199)


@pytest.fixture
def aged(tmp_path):
    file = tmp_path / "aged.py"
    file.write_text(APP)
    wild.operate(wild.load_app(file), rule=Every(1), store=tmp_path / ".mlwild", jobs=1)
    return file


def come(file, hours, z=2.0):
    """Let readings come; written beside and moved, so that nobody reads half a file."""
    at = [LAST + pd.Timedelta(hours=one) - pd.Timedelta("30min") for one in range(1, hours + 1)]
    path = file.with_name("new.csv")
    pd.DataFrame({"at": at, "z": z}).to_csv(path, index=False)
    path.replace(file.with_name("more.csv"))


def at(server, hours):
    return server.one(when=(LAST + pd.Timedelta(hours=hours)).isoformat(), x=0.5)


def test_a_server_answers_by_side_tables_as_they_are_now(aged):
    with Server(aged, "--refresh", "0.3") as server:
        assert at(server, 1)["status"] == "normal"
        late = at(server, 10)
        assert (late["status"], late["cause"]) == ("degraded", "z is made of weather, 10.5 hours old, above 2 hours")
        come(aged, 10)
        server.until(lambda: at(server, 10)["status"] == "normal")
        high = at(server, 10)["value"]
        workers = server.workers
        # Readings that cannot be read: what is there goes on, and the operator is told.
        aged.with_name("more.csv").write_text("at\n2026-01-01,2\n")
        server.until(lambda: server.get("/ready")[2]["troubled"])
        assert at(server, 10)["status"] == "normal"
        assert server.errors.read_text().count("side tables cannot be read anew") == 1
        come(aged, 12, z=-2.0)
        server.until(lambda: not server.get("/ready")[2]["troubled"])
        server.until(lambda: at(server, 12)["status"] == "normal")
        low = at(server, 12)["value"]
        assert low < high - 2
        assert server.workers == workers
        # A worker that comes later begins with what is known by then.
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        server.until(lambda: server.get("/ready")[2]["workers"] == 2)
        server.until(lambda: at(server, 12)["stage"] == "champion")
        assert (at(server, 12)["status"], at(server, 12)["value"]) == ("normal", low)


def test_without_it_they_are_as_at_the_last_tick(aged):
    with Server(aged, "--refresh", "0") as server:
        come(aged, 10)
        assert at(server, 1)["status"] == "normal"
        assert at(server, 10)["status"] == "degraded"
    assert not list(aged.parent.glob(".mlwild/operate/*/memo/*/*.tables"))
