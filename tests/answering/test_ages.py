"""A feature that is made of rows that are too old is found by their time stamps, whatever its value looks like."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild import frames
from mlwild.answering import bundle, service_of
from mlwild.answering.ages import OLDER, Limit, learn_limits, overdue
from mlwild.answering.batch import asked, run
from mlwild.answering.bundle import load_bundle
from mlwild.answering.tables import KIND, load_tables, refreshed
from mlwild.errors import StoreError
from mlwild.rules import Every
from mlwild.side_tables import Table, side_table
from mlwild.triangle.survey import Tables

HOUR = 3_600_000_000  # in microseconds, as requests have times

APP = """
from pathlib import Path
import numpy as np, pandas as pd
import mlwild as wild
from sklearn.ensemble import HistGradientBoostingRegressor

N = 1200
rng = np.random.default_rng(0)
x, z = rng.normal(size=(2, N))
when = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(N), unit="h")

def rows():
    return pd.DataFrame({"when": when, "x": x, "y": x + z + 0.1 * rng.normal(size=N)})

def weather():
    more = Path(__file__).with_name("more.csv")
    known = pd.DataFrame({"at": when - pd.Timedelta("30min"), "z": z})
    return pd.concat([known, pd.read_csv(more, parse_dates=["at"])]) if more.exists() else known

def features(frame, tables):
    return pd.DataFrame({"x": frame["x"], "z": tables["weather"].asof(frame)["z"].to_numpy()})

app = wild.App(
    name="aged", data=rows, time="when", label="y", delay="1h", features=features, loss="absolute", every="5D",
    start="2026-01-11", models={"trees": HistGradientBoostingRegressor(max_iter=20)},
    tables={"weather": wild.Table(weather, time="at", delay="10min")}, prices=wild.Prices(loss=1.0, retrain=0.0),
)
"""


@pytest.fixture(scope="module")
def aged(tmp_path_factory):
    file = tmp_path_factory.mktemp("aged") / "aged.py"
    file.write_text(APP)
    wild.operate(wild.load_app(file), rule=Every(1), store=file.parent / ".mlwild", jobs=1)
    return file


@pytest.fixture(scope="module")
def service(aged):
    store, key, mark = bundle(aged, store=aged.parent / ".mlwild")
    return service_of(store, load_bundle(store, key, mark))


def _last(service):
    table = service.bundle.tables["weather"]
    return int(table.time.max()) // 1000


def test_what_hangs_on_a_table_and_how_old_it_may_be_is_learned_from_the_history(service):
    # Each event found a row that was known for twenty minutes; the next one comes an hour later.
    assert service.bundle.limits == {"weather": Limit(2 * 20 * 60 * 10**9 + 3600 * 10**9, True, ("z",))}


def test_an_old_row_is_told_by_its_time_and_the_feature_left_out(service):
    last = _last(service)
    rows = {"when": [last + HOUR, last + 3 * HOUR // 2, last + 50 * HOUR], "x": [0.5, 0.5, 0.5]}
    said = service.answer(rows)
    assert said.status == ["normal", "normal", "degraded"]
    assert said.cause[2] == "z is made of weather, 2.08 days old, more than 1.67 hours"
    assert said.stage[2] == "champion"  # which copes with a gap
    assert said.expected[2] > said.expected[0]
    # As if z had been missing.
    gone = service.bundle.guard.stages[0].gone["z"]
    assert said.expected[2] == gone.loss
    # Alone as in a batch.
    alone = service.answer({name: column[2:] for name, column in rows.items()})
    assert (alone.cause, alone.value.tolist()) == (said.cause[2:], said.value[2:].tolist())


def test_each_row_is_told_its_own_age_and_not_that_of_the_oldest_beside_it(service):
    last = _last(service)
    rows = {"when": [last + HOUR, last + 3 * HOUR, last + 50 * HOUR], "x": [0.5, 0.4, 0.3]}
    said = service.answer(rows)
    assert said.cause == [
        "",
        "z is made of weather, 2.83 hours old, more than 1.67 hours",
        "z is made of weather, 2.08 days old, more than 1.67 hours",
    ]
    for row in (1, 2):
        alone = service.answer({name: column[row : row + 1] for name, column in rows.items()})
        assert alone.cause[0] == said.cause[row]


def test_a_file_tells_it_too(aged, service, tmp_path):
    last = _last(service)
    when = pd.to_datetime([last + HOUR, last + 50 * HOUR], unit="us")
    pd.DataFrame({"when": when, "x": [0.1, 0.1]}).to_csv(tmp_path / "in.csv", index=False)
    wild.predict(aged, tmp_path / "in.csv", tmp_path / "out.csv", store=aged.parent / ".mlwild")
    assert pd.read_csv(tmp_path / "out.csv")["status"].tolist() == ["normal", "degraded"]


def test_a_batch_reads_side_tables_anew_and_one_that_goes_on_keeps_those_it_was_begun_with(
    aged, service, tmp_path, monkeypatch
):
    last = _last(service)
    when = pd.to_datetime(last + HOUR * np.arange(40, 3_040), unit="us")
    x, z = np.random.default_rng(3).normal(size=(2, len(when)))
    pd.DataFrame({"when": when, "x": x}).to_csv(tmp_path / "in.csv", index=False)
    more = pd.DataFrame({"at": when - pd.Timedelta("30min"), "z": z})
    try:
        more.to_csv(aged.with_name("more.csv"), index=False)
        known = {"store": aged.parent / ".mlwild"}
        wild.predict(aged, tmp_path / "in.csv", tmp_path / "whole.csv", **known)
        whole = pd.read_csv(tmp_path / "whole.csv")
        assert (whole["status"] == "normal").mean() > 0.9
        calls, before = [], asked.sealed

        def cut(*args):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return before(*args)

        with monkeypatch.context() as patch:
            patch.setattr(run, "EVERY", 0.0)
            patch.setattr(asked, "sealed", cut)
            with pytest.raises(KeyboardInterrupt):
                wild.predict(aged, tmp_path / "in.csv", tmp_path / "cut.csv", **known)
        more.assign(z=-z).to_csv(aged.with_name("more.csv"), index=False)
        wild.predict(aged, tmp_path / "in.csv", tmp_path / "cut.csv", **known)
        assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        wild.predict(aged, tmp_path / "in.csv", tmp_path / "other.csv", **known)
        assert (pd.read_csv(tmp_path / "other.csv")["value"] != whole["value"]).mean() > 0.9
    finally:
        aged.with_name("more.csv").unlink()


def test_tables_that_stay_are_kept_once_and_old_ones_are_thrown_away(aged, service):
    app, (store, key, _) = wild.load_app(aged), bundle(aged, store=aged.parent / ".mlwild")
    own, mark = refreshed(app, store, key, service.bundle.tables)
    assert refreshed(app, store, key, service.bundle.tables) == (own, mark)
    assert len(load_tables(store, own, mark)["weather"].time) == 1200
    old, other = "ab" * 16, "cd" * 16
    for name, age in ((old, 100_000), (other, 1_000)):
        store.put(name, KIND, lambda file: file.write(b"0"))
        now = store.payload(name, KIND).stat().st_mtime
        os.utime(store.payload(name, KIND), (now - age, now - age))
    refreshed(app, store, key, service.bundle.tables)
    assert [store.get(name, KIND) is not None for name in (own, old, other)] == [True, False, True]
    store.payload(own, KIND).write_bytes(b"damaged")
    with pytest.raises(StoreError, match="another digest"):
        load_tables(store, own, mark)
    store.drop(own, KIND)
    store.drop(other, KIND)


def _app(function, **tables):
    rows = pd.DataFrame({"t": np.arange(50), "y": np.arange(50.0)})
    fields = {"name": "a", "data": lambda: rows, "time": "t", "label": "y", "delay": 1, "every": 10}
    return wild.App(models={"mean": lambda X, y: lambda X: np.zeros(len(X))}, loss="absolute", **fields,
                    features=function, tables=tables)  # fmt: skip


def _side(name, frame, event_time="t", by=()):
    table = Table(lambda: frame, "at", delay=0, by=by)
    return side_table(table, frames.eager(frame, name), 0, event_time, name)


def test_a_key_has_ages_and_gaps_of_its_own():
    frame = pd.DataFrame({"at": [0, 10, 20, 5], "shop": ["a", "a", "a", "b"], "v": [1.0, 2.0, 3.0, 4.0]})
    side = _side("v", frame, by="shop")
    events = pd.DataFrame({"t": [25, 25, 25, 3], "shop": ["a", "b", "c", "b"]})
    assert side.ages(events).tolist() == [5, 20, -1, -1]
    assert side.gaps().tolist() == [10, 10]
    assert side.where(np.zeros(4, dtype=bool)).ages(events).tolist() == [-1] * 4
    found = overdue({"v": Limit(10, False, ("f",))}, Tables({"v": side}), events)
    assert {name: (rows.tolist(), why) for name, (rows, why) in found.items()} == {
        "f": ([False, True, False, False], ["", "is made of v, 20 ticks old, more than 10 ticks", "", ""])
    }


def test_of_two_tables_each_row_is_told_the_one_that_is_too_old_for_it():
    sides = {name: _side(name, pd.DataFrame({"at": [at], name: [1.0]})) for name, at in (("a", 10), ("b", 200))}
    limits = {"a": Limit(300, False, ("f",)), "b": Limit(100, False, ("f",))}
    late, why = overdue(limits, Tables(sides), pd.DataFrame({"t": [250, 305, 400]}))["f"]
    assert late.tolist() == [False, True, True]
    assert why == [
        "",
        "is made of b, 105 ticks old, more than 100 ticks",
        "is made of a, 390 ticks old, more than 300 ticks",
    ]


def test_a_row_that_is_not_there_is_too_old_where_every_event_of_the_history_found_one():
    frame = pd.DataFrame({"at": [0, 10, 20], "shop": ["a", "a", "a"], "v": [1.0, 2.0, 3.0]})
    side = _side("v", frame, by="shop")
    events = pd.DataFrame({"t": [25, 25], "shop": ["a", "c"]})
    late = overdue({"v": Limit(10, True, ("f",))}, Tables({"v": side}), events)["f"]
    assert (late[0].tolist(), late[1]) == ([False, True], ["", "is made of v, which has no row for it"])
    empty = side.where(np.zeros(3, dtype=bool))
    assert overdue({"v": Limit(10, True, ("f",))}, Tables({"v": empty}), events)["f"][0].all()
    assert not overdue({"v": Limit(10, False, ("f",))}, Tables({"v": empty}), events)


def test_a_table_of_forecasts_is_as_old_as_what_was_issued_last():
    """Each 10 ticks a forecast of the 20 ahead is issued; then it is not."""
    issued = np.repeat(np.arange(0, 1000, 10), 20)
    frame = pd.DataFrame({"at": issued + np.tile(np.arange(20), 100), "known": issued, "v": np.arange(2000.0)})
    table = Table(lambda: frame, "at", available_at="known")
    side = side_table(table, frames.eager(frame, "v"), None, "t", "v")
    events = pd.DataFrame({"t": np.arange(50, 1000, 3)})

    def features(events, tables):
        return pd.DataFrame({"v": tables["v"].asof(events)["v"].to_numpy()})

    found = learn_limits(
        _app(features, v=table), frames.eager(events, "events"), Tables({"v": side}), events["t"].to_numpy()
    )
    assert found == {"v": Limit(2 * 9 + 10, True, ("v",))}
    later = pd.DataFrame({"t": [1005, 1018, 1019, 1100]})
    assert overdue(found, Tables({"v": side}), later)["v"][0].tolist() == [False, False, True, True]


def test_a_function_that_needs_a_table_hangs_on_it_whole_and_a_table_that_nothing_reads_has_no_limit():
    frame = pd.DataFrame({"at": np.arange(50), "v": np.arange(50.0)})

    def needs(events, tables):
        return pd.DataFrame({"a": events["t"], "v": tables["v"].table["v"].iloc[-1] + np.zeros(len(events))})

    events = pd.DataFrame({"t": np.arange(50)})
    tables = Tables({"v": _side("v", frame), "w": _side("w", frame)})
    table = Table(lambda: frame, "at", delay=0)
    found = learn_limits(_app(needs, v=table, w=table), frames.eager(events, "events"), tables, np.arange(50))
    assert {name: one.features for name, one in found.items()} == {"v": ("a", "v")}


@pytest.mark.parametrize("late", [0.0, 3.0, 30.0])
def test_honest_lateness_trips_as_seldom_as_it_is_meant_to_and_an_outage_always(late):
    """30 draws of 4,000 events; rows of the table come each 10 ticks, and are late by an exponential time."""
    tripped, looked = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        at = np.arange(0, 80_000, 10)
        frame = pd.DataFrame(
            {"at": at, "known": at + rng.exponential(late, len(at)).astype(int), "v": rng.normal(size=len(at))}
        )
        side = side_table(
            Table(lambda f=frame: f, "at", available_at="known"), frames.eager(frame, "v"), None, "t", "v"
        )
        events = pd.DataFrame({"t": np.sort(rng.integers(100, 80_000, 4_000))})

        def features(events, tables):
            return pd.DataFrame({"v": tables["v"].asof(events)["v"].to_numpy()})

        past, rest = events[:2000], events[2000:].reset_index(drop=True)
        tables = Tables({"v": side})
        app = _app(features, v=Table(lambda f=frame: f, "at", available_at="known"))
        limits = learn_limits(app, frames.eager(past, "events"), tables, past["t"].to_numpy())
        tripped += sum(int(rows.sum()) for rows, _ in overdue(limits, tables, rest).values())
        looked += len(rest)
        stands = side.where(side.time < int(rest["t"].iloc[0]) - 10)  # and then the feed is away
        ages = stands.ages(rest)
        found = overdue(limits, Tables({"v": stands}), rest)["v"][0]
        assert found[ages > limits["v"].oldest].all()
        assert found.mean() > 0.98
    assert tripped <= OLDER * looked


def test_tables_are_read_anew_by_a_process_that_says_where_they_are_or_why_not(aged, service):
    store, key, mark = bundle(aged, store=aged.parent / ".mlwild")

    def asked(**changed):
        order = json.dumps({"root": str(store.root.absolute()), "key": key, "digest": mark} | changed)
        line = [sys.executable, "-P", "-c", "from mlwild.answering.tables import main; main()", order]
        return json.loads(subprocess.run(line, capture_output=True, check=True, timeout=60, cwd=aged.parent).stdout)

    own, digest = asked()["tables"]
    assert len(load_tables(store, own, digest)["weather"].time) == 1200
    assert "another digest" in asked(digest="0" * 32)["why"]
    (aged.parent / "more.csv").write_text("at\n2026-01-01,2\n")
    try:
        assert asked()["why"]
    finally:
        (aged.parent / "more.csv").unlink()
