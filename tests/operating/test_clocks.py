"""Clocks: daylight saving, a machine's clock that goes back or is far ahead, machine and data in other zones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.clock import Clock
from mlwild.errors import AppError, DataError
from mlwild.operating import status
from mlwild.warehouse import Stored, StoredTable, add
from tests.operating.test_durability import PATHS
from tests.operating.worlds import World, bodies, ledger_of, operated, rehearsed
from tests.support import small_app

BERLIN = "Europe/Berlin"
#: Both jumps of a year, and a leap day: the first day of a history of 24 days.
SPRING, AUTUMN, LEAP = "2024-03-12", "2024-10-08", "2024-02-12"


def hourly(first, zone=BERLIN, *, days=24, every="1h"):
    """Return a row an hour from a day on; an answer takes half an hour."""
    when = pd.date_range(first, periods=days * 24, freq=every, tz=zone)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(when), 2))
    y = x[:, 0] * np.where(np.arange(len(when)) < len(when) // 2, 1.0, -0.5) + 0.5 * rng.normal(size=len(when))
    return pd.DataFrame({"when": when, "known": when + pd.Timedelta("30min"), "a": x[:, 0], "b": x[:, 1], "y": y})


def app_on(rows, **changes):
    fields = {"data": rows if callable(rows) else lambda: rows, "every": "1D", "start": None}
    return wild.App(**{**vars(small_app()), **fields, **changes})


def observed(found):
    return {one.at: one.facts["observed"]["rows"] for one in found.ticks}


@pytest.mark.parametrize(
    ("first", "odd", "hours"),
    [(SPRING, "2024-03-31", 23), (AUTUMN, "2024-10-27", 25), (LEAP, "2024-02-29", 24)],
    ids=["spring", "autumn", "leap day"],
)
def test_days_begin_at_local_midnight_and_have_as_many_hours_as_the_wall_clock_says(first, odd, hours, tmp_path):
    rows = hourly(first)
    made = World(app_on(rows))
    found = wild.operate(made.app, rule=rules.BreakEven(), begin=str(pd.Timestamp(odd).date()), store=tmp_path)
    days = observed(found)
    following = str((pd.Timestamp(odd) + pd.Timedelta("1D")).date())
    assert list(days)[:3] == [odd, following, str((pd.Timestamp(odd) + pd.Timedelta("2D")).date())]
    assert days[following] == hours  # of the odd day; a tick tells of the day that is over
    assert {n for at, n in days.items() if at != following} == {24}
    edges = [one.facts["decided"]["at"] for one in found.ticks]
    walls = [pd.Timestamp(edge, tz="UTC").tz_convert(BERLIN) for edge in edges]
    assert all(wall.time() == pd.Timestamp("00:00").time() for wall in walls)


@pytest.mark.parametrize("first", [SPRING, AUTUMN])
def test_over_both_jumps_a_life_is_the_one_that_was_rehearsed(first, tmp_path):
    made = World(app_on(hourly(first)))
    made.now = made.whole["when"].iloc[-1] - pd.Timedelta("9D")
    begin = str(made.whole["when"].iloc[12 * 24].date())
    wild.operate(made.app, rule=rules.BreakEven(0.5), begin=begin, store=tmp_path)
    for hours in range(9 * 24, 0, -13):  # at odd hours, those that come twice or never among them
        made.now = made.whole["when"].iloc[-1] - pd.Timedelta(hours=hours)
        wild.operate(made.app, store=tmp_path)
    made.now = None
    wild.operate(made.app, store=tmp_path)
    ours = operated(ledger_of(made, tmp_path))
    theirs = rehearsed(made, tmp_path, rules.BreakEven(0.5), first=ours[0][0][0])
    n = len(theirs[0])  # the last tick opens a period that the history does not fill
    assert n >= 11
    assert ours[0][:n] == theirs[0]
    assert {cutoff: ours[1][cutoff] for cutoff in theirs[1]} == theirs[1]


def test_weeks_of_a_zone_begin_at_its_midnight(tmp_path):
    rows = hourly("2024-01-08", days=100, every="1h")
    found = wild.operate(
        app_on(rows, every="7D", start="2024-02-05"), rule=rules.Never(), begin="2024-03-18", store=tmp_path
    )
    assert observed(found) == {
        "2024-03-18": 168,
        "2024-03-25": 168,
        "2024-04-01": 167,
        "2024-04-08": 168,
        "2024-04-15": 168,
    }


def test_months_end_on_their_last_day_and_years_on_the_leap_day(tmp_path):
    rows = hourly("2022-12-01", days=40, every="24h")
    found = wild.operate(
        app_on(rows, every="1M", start="2023-10-31"), rule=rules.Never(), begin="2024-01-31", store=tmp_path / "m"
    )
    assert list(observed(found))[:5] == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]
    assert list(observed(found).values())[1:5] == [29, 31, 30, 31]
    long = hourly("2011-01-01", days=230, every="24h")
    found = wild.operate(
        app_on(long, every="1Y", start="2012-02-29"), rule=rules.Never(), begin="2015-01-01", store=tmp_path / "y"
    )
    days = list(observed(found))
    assert days[:6] == ["2015-02-28", "2016-02-29", "2017-02-28", "2018-02-28", "2019-02-28", "2020-02-29"]
    assert days[9] == "2024-02-29"


def test_a_server_is_told_of_both_ticks_in_the_hour_that_comes_twice(tmp_path):
    """They read alike, and so did what is live: it went on by what was known at the first of them."""
    first, later = pd.Timestamp("2024-10-27 00:00Z"), pd.Timestamp("2024-10-27 01:00Z")
    rows, now = hourly("2024-10-25", every="20min", days=9), [first]
    app = app_on(lambda: rows[rows["when"] <= now[0]], every="1h")
    told, done = [], []
    for now[0] in (first, later):
        done += wild.operate(app, rule=None if done else rules.Never(), store=tmp_path).ticks
        told.append(json.loads((tmp_path / "operate" / app.name / "live.json").read_text()))
    assert len(done) == 2
    assert done[0].at == done[1].at == told[0]["at"] == told[1]["at"]
    assert told[0] != told[1]
    wild.operate(app, store=tmp_path)  # nothing is due, and nothing is told anew
    assert json.loads((tmp_path / "operate" / app.name / "live.json").read_text()) == told[1]


def test_local_times_without_a_zone_over_the_hour_that_comes_twice(tmp_path):
    """They cannot be told apart; a label that seems to come before its event is refused, and the sentence says why."""
    aware = hourly(AUTUMN, every="20min", days=72)
    naive = aware.assign(when=aware["when"].dt.tz_localize(None), known=aware["known"].dt.tz_localize(None))
    with pytest.raises(
        DataError, match=r"before their event.*clocks go back, local times come twice: give them a time zone"
    ):
        wild.operate(app_on(naive), rule=rules.Never(), begin="2024-10-25", store=tmp_path / "known")
    # With a fixed delay there is nothing to contradict: days of 24 hours, of which one has 25 hours of rows.
    found = wild.operate(
        app_on(naive, known_at=None, delay="30min"), rule=rules.Never(), begin="2024-10-26", store=tmp_path / "delay"
    )
    assert list(observed(found).items())[:4] == [
        ("2024-10-26", 72),
        ("2024-10-27", 72),
        ("2024-10-28", 75),
        ("2024-10-29", 72),
    ]
    ahead = hourly(SPRING, every="20min", days=72)
    ahead = ahead.assign(when=ahead["when"].dt.tz_localize(None), known=ahead["known"].dt.tz_localize(None))
    found = wild.operate(app_on(ahead), rule=rules.Never(), begin="2024-03-31", store=tmp_path / "spring")
    assert list(observed(found).values())[:3] == [72, 69, 72]


@pytest.mark.parametrize(
    "at",
    ["2024-04-01", "2024-04-01T00:00+02:00", "2024-03-31T22:00Z", "2024-04-01 06:59", "2024-03-31T18:00-04:00"],
)
def test_at_is_read_in_its_own_zone_or_in_that_of_the_data(at, tmp_path):
    found = wild.operate(app_on(hourly(SPRING)), rule=rules.Never(), begin="2024-03-31", at=at, store=tmp_path)
    assert list(observed(found)) == ["2024-03-31", "2024-04-01"]


def test_at_with_a_zone_says_nothing_of_times_that_have_none(tmp_path):
    with pytest.raises(AppError, match=r"at: '2024-04-01T00:00\+02:00' has a time zone, and the times of the data"):
        wild.operate(app_on(hourly(SPRING, zone=None)), rule=rules.Never(), at="2024-04-01T00:00+02:00", store=tmp_path)


# -- the machine's clock ---------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """Set this machine's clock: to an instant, in a zone."""

    def set_to(text, zone="UTC"):
        at = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))

        class Faked(datetime):
            @classmethod
            def now(cls, tz=None):
                return at.astimezone(tz) if tz is not None else at.replace(tzinfo=None)

        class Day(date):
            @classmethod
            def today(cls):
                return at.date()

        monkeypatch.setattr("mlwild.clock.datetime", Faked)
        monkeypatch.setattr("mlwild.clock.date", Day)

    return set_to


def written(ledger):
    return [json.loads(line)["written"] for line in ledger.path.read_text().splitlines()]


@pytest.mark.parametrize(
    "moments",
    [
        ["2024-10-20", "2024-10-10", "2024-10-10", "2023-01-01", "1970-01-02"],
        ["2099-01-01", "2024-10-20", "9999-12-30", "2024-10-20", "2024-10-21"],
    ],
    ids=["set back", "far ahead"],
)
def test_a_machine_whose_clock_is_wrong_leaves_the_same_life(moments, machine, tmp_path):
    left = []
    for name in ("wrong", "right"):
        made = World(app_on(hourly(AUTUMN)))
        for place, moment in enumerate(moments):
            machine(moment if name == "wrong" else "2024-11-01")
            made.now = made.whole["when"].iloc[0] + pd.Timedelta(days=14 + 2 * place)
            begin = "2024-10-20" if place == 0 else None
            rule = rules.BreakEven(0.5) if place == 0 else None
            wild.operate(made.app, rule=rule, begin=begin, store=tmp_path / name)
            again = wild.operate(made.app, store=tmp_path / name)
            assert again.ticks == ()
        left.append((bodies(ledger_of(made, tmp_path / name)), status(tmp_path / name)))
        if name == "wrong":
            stamps = written(ledger_of(made, tmp_path / name))
            assert stamps != sorted(stamps)  # what is told of the machine is what it said
    assert left[0] == left[1]
    assert len({cutoff for kind, cutoff, _ in left[0][0] if kind == "ticked"}) >= 8


def rows_of(first, n=4, value=0.0):
    when = pd.date_range(first, periods=n, freq="1h", tz=BERLIN)
    return pd.DataFrame({"id": np.arange(n), "when": when, "value": value})


@pytest.mark.parametrize("zone", [BERLIN, None], ids=["with a zone", "without"])
def test_what_comes_after_the_clock_was_set_back_counts_as_known_after_what_came_before(zone, machine, tmp_path):
    def rows(value):
        made = rows_of("2024-10-01", value=value)
        return made if zone else made.assign(when=made["when"].dt.tz_localize(None))

    add("rows", rows(0.0), key="id", time="when", warehouse=tmp_path)
    machine("2024-10-20 12:00")
    assert add("rows", rows(1.0), correct=True, warehouse=tmp_path).since == ""
    machine("2024-10-13 12:00")
    third = add("rows", rows(2.0), correct=True, warehouse=tmp_path)
    shown = "2024-10-20 14:00" if zone else "2024-10-20 12:00"
    assert f"known from {shown} on, when rows came last: this machine's clock is behind that" in third.said
    machine("2024-10-20 11:59:30")  # so little is no news
    assert add("rows", rows(3.0), correct=True, warehouse=tmp_path).since == ""
    table = StoredTable(tmp_path / "rows")
    assert set(table.read().column("value").to_pylist()) == {3.0}
    clock = Clock("instant", BERLIN) if zone else Clock("naive")
    before = table.read(as_of=clock.parse("2024-10-20 11:59", "as_of")).column("value").to_pylist()
    assert set(before) == {0.0}
    assert [set(table.read(version=k).column("value").to_pylist()) for k in (1, 2, 3, 4)] == [
        {0.0},
        {1.0},
        {2.0},
        {3.0},
    ]


def test_in_the_hour_that_comes_twice_a_wall_clock_goes_back_and_what_is_known_does_not(machine, tmp_path):
    naive = [rows_of("2024-10-01", value=float(k)) for k in range(3)]
    naive = [one.assign(when=one["when"].dt.tz_localize(None)) for one in naive]
    add("rows", naive[0], key="id", time="when", warehouse=tmp_path)
    machine("2024-10-27 02:50")  # in summer time
    add("rows", naive[1], correct=True, warehouse=tmp_path)
    machine("2024-10-27 02:05")  # a quarter of an hour later, in winter time
    add("rows", naive[2], correct=True, warehouse=tmp_path)
    assert set(StoredTable(tmp_path / "rows").read().column("value").to_pylist()) == {2.0}


def test_all_rows_of_a_file_are_known_at_one_instant(tmp_path, monkeypatch):
    """However long it takes to read: no read as of an instant finds a part of it."""
    monkeypatch.setattr("mlwild.warehouse.incoming.CHUNK", 10)
    ticking = iter(range(10**6))
    monkeypatch.setattr(Clock, "now", lambda self: 1_729_000_000 * 10**9 + next(ticking) * 10**9)
    add("rows", rows_of("2024-10-01", n=5), key="id", time="when", warehouse=tmp_path)
    many = rows_of("2024-10-02", n=200).assign(id=np.arange(100, 300))
    add("rows", many, warehouse=tmp_path)
    known = StoredTable(tmp_path / "rows")._scan(["_known"], None).column(0).to_pylist()
    assert len([at for at in known if at >= 1_729_000_000 * 10**9]) == 200
    assert len({at for at in known if at >= 1_729_000_000 * 10**9}) == 1


def test_a_feed_that_came_by_a_clock_far_ahead_is_told_of_when_it_is_added_and_when_it_is_missed(machine, tmp_path):
    """Rows that count as known in 75 years are not there at any tick before: an alarm says that none came."""
    rows = hourly(AUTUMN).assign(id=np.arange(24 * 24))
    home = tmp_path / "warehouse"
    add("rows", rows[:480], key="id", time="when", warehouse=home)
    machine("2099-01-01")
    add("rows", rows[480:530], known="now", warehouse=home)
    machine("2024-11-01")
    later = add("rows", rows[530:], warehouse=home)
    assert "known from 2099-01-01 01:00 on" in later.said
    app = app_on(Stored("rows", home))
    found = wild.operate(app, rule=rules.Never(), begin="2024-10-27", store=tmp_path)
    assert "no row came in the last period" in found.ticks[-1].alarm


# -- machine and data in other zones -----------------------------------------------------------------

PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import mlwild as wild
    from mlwild import rules
    from tests.operating.test_clocks import AUTUMN, app_on, hourly
    zone = None if sys.argv[2] == "none" else sys.argv[2]
    app = app_on(hourly(AUTUMN, zone=zone))
    wild.operate(app, rule=rules.BreakEven(0.5), begin="2024-10-22", at="2024-10-28", store=sys.argv[1])
    wild.operate(app, store=sys.argv[1])
    """
)
MACHINES = ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]


def test_the_zone_of_the_machine_changes_no_byte_but_when_it_was_written(tmp_path):
    _same_on_all(MACHINES[1::2], BERLIN, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("zone", [BERLIN, "Pacific/Apia", "none"])
def test_the_zone_of_no_machine_changes_a_byte_but_when_it_was_written(zone, tmp_path):
    _same_on_all(MACHINES, zone, tmp_path)


def _same_on_all(machines, zone, tmp_path):
    runs = []
    for machine in machines:
        environment = os.environ | {"TZ": machine, "PYTHONPATH": PATHS}
        store = tmp_path / machine.replace("/", "-")
        runs.append((store, subprocess.Popen([sys.executable, "-c", PROGRAM, str(store), zone], env=environment)))
    assert [run.wait() for _, run in runs] == [0] * len(runs)
    left = {_without_stamps(store) for store, _ in runs}
    assert len(left) == 1
    assert left.pop().count(b'"ticked"') >= 9


def _without_stamps(store):
    """Return the bytes of a ledger without when lines were written, and their seals, which cover that."""
    lines = (store / "operate" / "small" / "ledger.jsonl").read_text().splitlines()
    bare = [
        {name: value for name, value in json.loads(line).items() if name not in ("written", "seal")} for line in lines
    ]
    return "\n".join(map(json.dumps, bare)).encode()


@pytest.mark.parametrize(("year", "said"), [("2190", "between 2024-04-05 and 2190-01-01"), ("1970", "between 1970-")])
def test_one_wrong_year_makes_no_tick_due(year, said, tmp_path):
    rows = hourly(SPRING)
    at = pd.Timestamp(f"{year}-01-01", tz=BERLIN)
    wrong = pd.concat([rows, rows.iloc[-1:].assign(when=at, known=at)], ignore_index=True)
    with pytest.raises(DataError, match=f"time: no event lies {said}.*Is it a wrong date, or unit"):
        wild.operate(app_on(wrong), rule=rules.Never(), store=tmp_path)
    assert not list(tmp_path.glob("operate/*/ledger.jsonl"))
    begun = wild.operate(app_on(rows), rule=rules.Never(), begin="2024-04-01", at="2024-04-02", store=tmp_path)
    with pytest.raises(DataError, match="time: no event lies"):
        wild.operate(app_on(wrong), store=tmp_path)
    ticked = [fact for fact in ledger_of(World(app_on(rows)), tmp_path).facts if fact.kind == "ticked"]
    assert len(ticked) == len(begun.ticks)
