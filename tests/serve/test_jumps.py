"""The machine's own clock jumps: what is asked goes on being answered, and nothing that was known is lost."""

from __future__ import annotations

import ast
import json
import os
import random
import struct
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

import mlwild as wild
from mlwild import clock
from mlwild.answering import bundle
from mlwild.answering.bundle import load_bundle
from mlwild.answering.tables import KIND, load_tables, refreshed
from mlwild.columns import Column
from mlwild.rules import Every
from mlwild.serve import read_log
from mlwild.serve.drift import Drift
from mlwild.serve.drill.clients import Crowd, Manner
from mlwild.serve.drill.place import Running
from mlwild.serve.drill.rows import DAY, Rows
from mlwild.serve.meters import Meters
from mlwild.serve.requests import FutureError, Reader
from mlwild.served import sealed
from tests.answering.test_ages import APP
from tests.serve.servers import MOVED, Server
from tests.serve.test_front import run
from tests.serve.test_parser import CLOCKED, NOW, READERS, TICKED


def here():
    """Return this machine's time."""
    return datetime.fromtimestamp(clock.now_seconds(), UTC)


def move(offset, hours):
    with offset.open("rb+" if offset.exists() else "wb") as file:  # in place: others look at it
        file.write(struct.pack("q", round(hours * 3_600_000_000)))


@pytest.fixture
def jump(monkeypatch):
    """Return what moves the clock of this process."""
    plain = clock._wall

    def jumped(hours):
        monkeypatch.setattr(clock, "_wall", lambda: plain() + timedelta(hours=hours))

    return jumped


def come(file, *readings):
    """Let readings come that became available each minute, the last a minute ago: after those of the history."""
    last, part = here().replace(tzinfo=None) - timedelta(minutes=11), file.with_name("new.csv")
    at = [last - timedelta(minutes=one) for one in reversed(range(len(readings)))]
    pd.DataFrame({"at": at, "z": readings}).to_csv(part, index=False)
    return part.replace(file.with_name("more.csv"))


@pytest.fixture(scope="module")
def current(tmp_path_factory):
    """Return the file of an app in operation whose history ends now; what a test changes of it, it puts back."""
    file = tmp_path_factory.mktemp("current") / "aged.py"
    began = here().replace(minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(hours=1199)
    start = (began + timedelta(days=10)).date().isoformat()
    file.write_text(APP.replace('"2026-01-01"', f'"{began}"').replace("2026-01-11", start))
    wild.operate(wild.load_app(file), rule=Every(1), store=file.parent / ".mlwild", jobs=1)
    return file


# -- the clock that the drill moves --------------------------------------------------------------


def test_wall_clocks_are_moved_while_a_process_and_those_it_starts_run_and_monotonic_ones_are_not(tmp_path):
    said = """
import json, sys, time
from datetime import datetime
from mlwild import clock
from mlwild.clock import Clock
from mlwild.serve import process

def off():
    return [round((clock.now_seconds() - time.time()) / 3600, 3),
            round((Clock("instant").now() / 1e9 - time.time()) / 3600, 3),
            round((Clock("naive").now() - Clock("naive").instant(datetime.now())) / 3.6e12, 3),
            round((datetime.fromisoformat(clock.now_text()).timestamp() - time.time()) / 3600, 2),
            clock.today() != datetime.now().date()]

began, before = time.monotonic(), off()
with open(sys.argv[1], "rb+") as file:
    file.write((-48 * 3600 * 10**6).to_bytes(8, "little", signed=True))
after, took = off(), time.monotonic() - began
print(json.dumps([before, after, took < 60, sys.argv[2:], list(process.ENTRY)]))
"""
    offset = tmp_path / "clock"
    move(offset, 36)
    command = [sys.executable, "-P", str(MOVED), str(offset), "-c", said, str(offset), "word"]
    env = os.environ | {"TZ": "UTC"}  # elsewhere the days that it jumps over may have other hours
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    before, after, steady, words, entry = json.loads(done.stdout)
    assert before == [36.0, 36.0, 36.0, 36.0, True]
    assert after == [-48.0, -48.0, -48.0, -48.0, True]
    assert (steady, words, entry) == (True, ["word"], [str(MOVED), str(offset)])


def test_a_server_that_the_drill_did_not_start_has_a_clock_that_nothing_moves():
    texts = {path: path.read_text() for path in MOVED.parents[2].rglob("*.py")}
    sources = {path: ast.parse(text) for path, text in texts.items() if "moved" in text or path == MOVED}
    imported = [
        path
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.ImportFrom)
            and f"{node.module}.{node.names[0].name}".startswith("mlwild.serve.drill.moved")
        )
        or (isinstance(node, ast.Import) and any(one.name.endswith("drill.moved") for one in node.names))
    ]
    assert imported == []
    started = {path.name for path, tree in sources.items() for node in ast.walk(tree)
               if isinstance(node, ast.Constant) and node.value == "moved.py"}  # fmt: skip
    assert started == {"place.py"}
    words = {node.attr for node in ast.walk(sources[MOVED]) if isinstance(node, ast.Attribute)}
    assert "argv" in words
    assert not words & {"environ", "getenv"}
    said = "from mlwild import clock; from mlwild.serve import process; print(process.ENTRY, clock._wall.__module__)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["()", "mlwild.clock"]


def test_the_drill_writes_what_a_moved_clock_reads(tmp_path):
    running = Running(tmp_path / "app.py", tmp_path, 0.5, tmp_path / "errors", "key")
    assert (tmp_path / "clock").read_bytes() == bytes(8)
    running.move(-1)
    assert struct.unpack("q", (tmp_path / "clock").read_bytes()) == (-3_600_000_000,)


def test_rows_of_now_say_so_or_say_no_time_and_ticks_stay_as_they_are():
    rows = Rows([{"x": 1.0}, {"x": 2.0}, {}], [0, 0, 0], Column("t", "time", zoned=True), lambda: DAY)
    assert [rows.row(place, present=True) for place in range(2)] == [
        {"x": 1.0, "t": "1970-01-02T00:00:00+00:00"},
        {"x": 2.0},
    ]
    ticks = Rows([{"x": 1.0}, {"x": 2.0}], [7, 8], Column("t", "integer"), lambda: None)
    assert [ticks.row(place, present=True) for place in range(2)] == [{"x": 1.0, "t": 7}, {"x": 2.0, "t": 8}]


def test_what_was_asked_before_a_manner_is_asked_again_with_its_id(monkeypatch):
    rows = Rows([{"x": 1.0}], [7], Column("t", "integer"), lambda: None)
    crowd, asked, ends = Crowd(lambda: 0, rows, "c"), [], SimpleNamespace(left=6)
    ends.is_set = lambda: ends.left == 0

    def wait(_):
        ends.left -= 1
        if ends.left == 4:
            crowd.manner = Manner(again="before")
        if ends.left == 2:
            crowd.manner = Manner(again="before", days=1)

    ends.wait = wait
    monkeypatch.setattr(crowd, "_ask", lambda line, request, name, places: asked.append((name, request)))
    crowd._run(1, ends)
    assert [name for name, _ in asked] == ["c-1", "c-2", "c-3", "c-2", "c-4", "c-2", "c-5", "c-4", "c-6", "c-4"]
    assert len({request for name, request in asked if name == "c-2"}) == 1


# -- what a request's time is held against -------------------------------------------------------


def test_a_clock_that_goes_back_is_known_by_the_one_that_cannot_and_is_told_once(capfd):
    shown = SimpleNamespace(wall=1000.0, count=0.0)
    drift = Drift(lambda: shown.wall, lambda: shown.count)

    def behind(wall, count):
        shown.wall, shown.count = wall, count
        return drift.behind()

    assert behind(1010.0, 10.0) == 0.0
    assert behind(1020.5, 20.0) == 0.0  # set right by half a second, as clocks are every day
    assert capfd.readouterr().err == ""
    assert behind(1030.5 - 172_800, 30.0) == 172_800.0
    assert behind(1040.5 - 172_800, 40.0) == 172_800.0
    assert capfd.readouterr().err.count("this machine's clock jumped 2 days back. Set it right if it is wrong") == 1
    assert behind(1050.5, 50.0) == 0.0
    assert capfd.readouterr().err.count("jumped 2 days ahead") == 1


def said_time(reader, at, kind="when"):
    wall = datetime.fromtimestamp(at / 1e6, UTC)
    return reader.predict(json.dumps({kind: wall.isoformat(), "x": 1}).encode(), None)


def test_what_was_no_future_before_the_clock_went_back_is_none_after():
    past = NOW - 2 * DAY
    back, plain = Reader(CLOCKED, 50, lambda: past, lambda: 2 * DAY / 1e6), Reader(CLOCKED, 50, lambda: past)
    assert said_time(back, NOW + DAY).columns[1] == [NOW + DAY]
    for reader, at in ((back, NOW + DAY + 1), (plain, NOW)):
        with pytest.raises(FutureError) as problem:
            said_time(reader, at)
        assert problem.value.code == 422
        says = datetime.fromtimestamp(past / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
        assert problem.value.said == f"rows[0].when lies more than a day in the future: the clock here says {says}."
    one = back.predict(b'{"rows":[{"x":1},{"x":2,"when":"2026-01-01T00:00:00Z"},{"x":3}]}', None)
    assert (one.dated, one.columns[1][0], one.columns[1][2]) == ((0, 2), past, past)


def test_a_day_that_was_no_future_before_the_clock_went_back_is_none_after():
    days = CLOCKED.__class__(CLOCKED.needed, CLOCKED.hidden, "day", "id")
    today = NOW // DAY

    def read(day, reader):
        text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
        return reader.predict(json.dumps({"day": text, "x": 1}).encode(), None)

    back = Reader(days, 50, lambda: NOW - 2 * DAY, lambda: 2 * DAY / 1e6)
    assert read(today + 1, back).columns[5] == [today + 1]
    with pytest.raises(FutureError, match=r"rows\[0\].day lies more than a day in the future"):
        read(today + 2, back)


def test_integers_know_of_no_clock():
    def asked():
        raise AssertionError

    reader, body = Reader(TICKED, 50, lambda: None, asked), b'{"instances":[[1.0,2147483647],[2.0,0]]}'
    made, plain = reader.invocations(body, None), READERS["ticks"].invocations(body, None)
    assert (made.columns, made.dated) == (plain.columns, ())
    assert made.columns[1] == [2147483647, 0]


def test_an_answer_is_given_again_whatever_the_clock_says_by_then(tmp_path, jump):
    when = here().isoformat()
    bodies = {"said": {"rows": [{"when": when, "x": 1.0}]}, "unsaid": {"rows": [{"x": 1.0}]}}

    async def first(ask):
        return {name: await ask(body, name) for name, body in bodies.items()}

    async def again(ask):
        made = {name: await ask(body, name) for name, body in bodies.items()}
        new = await ask(bodies["said"], f"new-{here():%d}")
        return made, new, await ask(bodies["said"])

    before = run(tmp_path, first)
    for hours in (48, -48):
        jump(hours)
        made, *fresh = run(tmp_path, again)  # begun anew, so that it knows of no other time
        assert {name: (code, said) for name, (code, _, said) in made.items()} == {
            name: (200, said) for name, (_, _, said) in before.items()
        }
        assert [code for code, _, _ in fresh] == ([200, 200] if hours > 0 else [422, 422])
    names = [line["id"] for line in read_log(tmp_path)]
    assert names[:2] == ["said", "unsaid"]
    assert len(set(names)) == len(names) == 4  # and two that are new two days ahead


def test_an_id_whose_request_was_refused_for_its_time_can_be_used_when_the_clock_is_right(tmp_path, jump):
    body = {"rows": [{"when": here().isoformat(), "x": 1.0}]}

    async def work(ask):
        codes = [(await ask(body, "one"))[0]]
        jump(0)
        return [*codes, (await ask(body, "one"))[0]]

    jump(-48)
    assert run(tmp_path, work) == [422, 200]


def test_rows_that_a_clock_dates_which_is_behind_what_is_known_are_not_normal(tmp_path, jump):
    async def work(ask):
        told = ask.standing.champion.told = dict(ask.standing.champion.told)
        made = []
        for ago in (None, 3600, -3600):
            told["newest"] = None if ago is None else clock.now_seconds() - ago
            rows = [{"x": 1.0}, {"x": 1.0, "when": "2026-01-01T00:00:00Z"}]
            made.append([(one["status"], one["cause"]) for one in (await ask({"rows": rows}))[2]["predictions"]])
        return made

    none, fine, behind = run(tmp_path, work)
    assert none == fine == [("normal", "")] * 2
    assert behind[0][0] == "degraded"
    assert behind[0][1].startswith("its time is that of this machine's clock, 2")
    assert behind[0][1].endswith("UTC, before the newest label was known")
    assert behind[1] == ("normal", "")


# -- what is kept --------------------------------------------------------------------------------


def test_segments_are_read_that_a_clock_which_went_back_made_look_old(tmp_path):
    for number, at in enumerate((100, 900, 300), start=1):
        path = tmp_path / f"{number:08d}.jsonl"
        path.write_bytes(sealed(json.dumps({"id": str(number)})))
        os.utime(path, (at, at))
    assert [line["id"] for line in read_log(tmp_path, since=500.0)] == ["2", "3"]
    assert [line["id"] for line in read_log(tmp_path, since=1000.0)] == []


def test_side_tables_lose_nothing_to_a_clock_and_those_in_use_are_never_left_over(current, jump):
    app, (store, key, mark) = wild.load_app(current), bundle(current, store=current.parent / ".mlwild")
    before = load_bundle(store, key, mark).tables
    more = come(current, 3.0)
    try:
        own = refreshed(app, store, key, before)
        used = load_tables(store, *own)
        assert len(used["weather"].time) == len(before["weather"].time) + 1
        jump(-48)
        assert refreshed(app, store, key, before, used) == own
        assert len(load_tables(store, *refreshed(app, store, key, before))["weather"].time) == len(
            before["weather"].time
        )
        left = "ab" * 16
        store.put(left, KIND, lambda file: file.write(b"0"))
        jump(48)
        made = refreshed(app, store, key, before, used, keep=[left])
        assert {made[0], left} <= {one for one, kind in store.entries() if kind == KIND}
        refreshed(app, store, key, before, used)
        assert {one for one, kind in store.entries() if kind == KIND} == {made[0]}
    finally:
        more.unlink()
        for one, kind in store.entries():
            if kind == KIND:
                store.drop(one, kind)


def test_a_server_stands_a_clock_that_jumps_and_is_as_before_when_it_is_right(current, tmp_path):
    offset, now = tmp_path / "clock", here().replace(tzinfo=None, microsecond=0).isoformat()
    ahead, draw = "z is made of weather, 2", random.Random(0)
    move(offset, 0)

    def row(**more):
        return {"x": draw.gauss(0, 1), **more}

    def asked(server, one, name=None):
        return server.ask({"rows": [one]}, headers={"X-Request-Id": name} if name else None)

    with Server(current, "--refresh", "0.3", offset=offset) as server:
        kept = {"said": row(when=now), "unsaid": row()}
        first = {name: asked(server, one, name)[2] for name, one in kept.items()}
        assert [one["predictions"][0]["status"] for one in first.values()] == ["normal"] * 2
        server.until(lambda: len(tables(current)) == 1)
        keys, old = set(tables(current)), server.one(x=0.5, when=now)["value"]
        come(current, 3.0)
        server.until(lambda: set(tables(current)) - keys and not set(tables(current)) & keys)
        fresh = server.one(x=0.5, when=now)["value"]
        assert fresh > old + 0.5
        move(offset, 48)
        late = server.one(**row())
        assert (late["status"], late["cause"][: len(ahead)]) == ("degraded", ahead)
        assert late["age_seconds"] > 47 * 3600
        assert server.one(**row(when=now))["status"] == "normal"
        move(offset, 0)
        assert server.one(**row())["status"] == "normal"
        move(offset, -48)
        come(current, 3.0, -3.0)
        anew(server)
        # The time of a request is believed: the clock was right before. What was known then is known on, and no more.
        said = server.one(x=0.5, when=now)
        assert (said["status"], said["value"]) == ("normal", fresh)
        doubt = server.one(**row())
        assert (doubt["status"], "before the newest label was known" in doubt["cause"]) == ("degraded", True)
        assert {name: asked(server, one, name)[2] for name, one in kept.items()} == first
        assert server.get("/metrics")[0] == server.get("/ready")[0] == 200
        told = server.errors.read_text()
        assert [told.count(f"clock jumped 2 days {way}") for way in ("ahead", "back")] == [1, 2]
        assert "Traceback" not in told
        move(offset, 0)
        assert server.one(**row())["status"] == "normal"
        assert server.end() == 0
    lines = [line["id"] for line in read_log(current.parent / ".mlwild/operate/aged/served")]
    assert len(lines) == len(set(lines)) == 10


def tables(file):
    """Return the keys of the side tables that are kept for a server, and when each was touched."""
    return {path.stem: path.stat().st_mtime_ns for path in file.parent.glob(f".mlwild/operate/*/memo/*/*.{KIND}")}


def anew(server):
    """Wait until side tables were read of which the reading began after now."""
    for _ in range(2):
        before = tables(server.file)
        server.until(lambda before=before: tables(server.file) != before)


@pytest.mark.parametrize(("hours", "age"), [(0, 1800), (-1, 0)])
def test_the_age_of_the_data_in_the_figures_is_that_of_answers(jump, hours, age):
    champion = SimpleNamespace(told={"newest": clock.now_seconds() - 1800})
    arms = SimpleNamespace(now=SimpleNamespace(pairs={}, champion=champion), counts=Counter, swaps=0, trouble="")
    meters = Meters()
    meters.watch(arms, SimpleNamespace(lines=0, failures=0))
    jump(hours)
    (said,) = [line for line in meters.text().decode().splitlines() if line.startswith("mlwild_data_age_seconds ")]
    assert float(said.split()[1]) == pytest.approx(age, abs=60)
