"""Side tables that move on between two ticks: the server reads them anew, and goes on with the old where it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

import mlwild as wild
from mlwild.answering.tables import KIND
from mlwild.errors import StoreError
from mlwild.rules import Every
from mlwild.serve import refreshing
from mlwild.serve.process import Kept
from mlwild.triangle.store import Store
from tests.answering.test_ages import APP
from tests.serve.servers import Server
from tests.serve.stand_ins import run, until

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
        assert (late["status"], late["cause"]) == (
            "degraded",
            "z is made of weather, 10.3 hours old, more than 1.67 hours",
        )
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


class StandIn:
    """A pair without workers."""

    def __init__(self, folder, name):
        self.kept, self.told = Kept(str(folder), name, "digest"), {"tables": True}
        self.starting = self.ended = False

    async def load(self, tables):
        """Take up tables."""
        self.kept = replace(self.kept, tables=tables)


class World:
    """What readings give by bundle: the key of tables, or what they raise."""

    def __init__(self, folder):
        self.store, self.now, self.reads, self.kept = Store(folder), {}, Counter(), []
        self.champion, self.canary = StandIn(folder, "champion"), StandIn(folder, "canary")
        self.arms = SimpleNamespace(stale="", now=None)
        self.stand(champion=self.champion, canary=self.canary)

    def stand(self, **pairs):
        """Say who answers."""
        self.arms.now = SimpleNamespace(pairs=pairs)

    async def read(self, kept, keep):
        """Stand in for the process that reads."""
        self.reads[kept.key] += 1
        self.kept.append(set(keep))
        found = self.now[kept.key]
        if isinstance(found, Exception):
            raise found
        if found is not None and self.store.get(found, KIND) is None:
            self.store.put(found, KIND, lambda file: file.write(b"0"))
        return None if found is None else (found, "digest")

    @property
    def there(self):
        """Which tables are kept."""
        return {key for key, _ in self.store.entries()}

    async def turns(self, n=2):
        """Wait until those that answer were read so many times more."""
        before = self.reads.copy()
        names = [pair.kept.key for pair in self.arms.now.pairs.values()]
        await until(lambda: all(self.reads[name] >= before[name] + n for name in names))


@pytest.fixture
def world(monkeypatch, tmp_path):
    made = World(tmp_path)
    monkeypatch.setattr(refreshing, "fresh_tables", made.read)
    monkeypatch.setattr(refreshing, "LOOK", 0.005)
    return made


def refreshed(world, what, every=0.01):
    """Run it while tables are read anew."""

    async def all_of_it():
        task = asyncio.create_task(refreshing.refresh(world.arms, every))
        try:
            await what()
            assert not task.done()
        finally:
            task.cancel()

    run(all_of_it())


def test_tables_that_were_replaced_go_at_once_but_none_that_a_worker_has_or_is_to_load(world):
    world.now = {"champion": "aa", "canary": "bb"}

    async def replaced():
        await world.turns()
        assert world.there == {"aa", "bb"}
        world.now["champion"] = "ac"
        await world.turns()
        assert world.there == {"ac", "bb"}
        world.champion.starting = True  # a worker, with those of now
        world.now["champion"] = "ad"
        await world.turns()
        world.now["champion"] = "ae"
        await world.turns()
        assert world.there == {"ac", "ad", "ae", "bb"} == world.kept[-1]
        world.now["champion"] = "ac"  # as it was before
        await world.turns()
        world.champion.starting = False
        await world.turns()
        assert world.there == {"ac", "bb"}
        # Another that has the same: it is dropped once neither has it.
        world.now["canary"] = "ac"
        await world.turns()
        world.now["champion"] = "af"
        await world.turns()
        assert world.there == {"ac", "af"}
        world.now["canary"] = "ba"
        await world.turns()
        assert world.there == {"af", "ba"}

    refreshed(world, replaced)


def test_tables_of_a_pair_that_answers_no_more_go_when_its_workers_have_ended(world):
    world.now = {"champion": "aa", "canary": "bb"}

    async def ends():
        await world.turns()
        world.stand(champion=world.champion)
        await world.turns()
        assert world.there == {"aa", "bb"}
        world.canary.ended = True
        await world.turns()
        assert world.there == {"aa"}

    refreshed(world, ends)


def test_tables_in_use_are_touched_between_readings_and_read_at_once_where_they_are_gone(world, monkeypatch):
    monkeypatch.setattr(refreshing, "TOUCH", 0.05)
    world.now = {"champion": "aa", "canary": None}

    async def touched():
        await until(lambda: world.champion.kept.tables)
        path = world.store.payload("aa", KIND)
        os.utime(path, (0, 0))
        await until(lambda: path.stat().st_mtime > 0)
        assert world.reads["champion"] == 1
        world.store.drop("aa", KIND)
        await until(lambda: world.there == {"aa"})
        assert world.reads == {"champion": 2, "canary": 1}
        assert world.canary.kept.tables is None  # its app has none

    refreshed(world, touched, every=90_000.0)


def test_trouble_of_one_pair_is_told_once_whatever_becomes_of_the_other(world, capfd):
    world.now = {"champion": StoreError("weather: away."), "canary": "bb"}

    async def troubled():
        await world.turns(4)
        assert "the champion's side tables cannot be read anew" in world.arms.stale
        world.now["canary"] = StoreError("rain: away.")
        await world.turns(4)
        world.now["champion"] = "aa"
        await world.turns(4)
        assert "the canary's side tables cannot be read anew" in world.arms.stale
        world.stand(champion=world.champion)
        await world.turns(2)
        assert world.arms.stale == ""

    refreshed(world, troubled)
    told = capfd.readouterr().err
    assert (told.count("weather: away."), told.count("rain: away.")) == (1, 1)


def test_whatever_a_reading_raises_it_is_told_and_the_next_one_comes(world, capfd):
    world.now = {"champion": KeyError("odd"), "canary": "bb"}

    async def odd():
        await world.turns(3)
        assert "those that are there go on: KeyError: 'odd'" in world.arms.stale
        world.now["champion"] = "aa"
        await until(lambda: world.champion.kept.tables == ("aa", "digest") and not world.arms.stale)

    refreshed(world, odd)
    assert capfd.readouterr().err.count("KeyError") == 1
