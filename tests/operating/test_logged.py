"""A life whose side table is rewritten afterwards: what was logged is what was learned from, live and in rehearsal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.ledger import Ledger
from mlwild.operating import tick as ticking
from mlwild.operating.lived import lived
from mlwild.triangle import build
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey
from mlwild.warehouse import StoredTable
from tests.operating.test_acid import Killed, agree
from tests.operating.worlds import World, bodies, ledger_of, operated, rehearsed, tick_by_tick
from tests.support import drifting, small_app

BEGIN = 250


def features(rows, tables):
    """Return a column of the rows, and one of a side table."""
    return pd.DataFrame({"a": rows["a"], "b": tables["side"].asof(rows)["b"]})


class Rewritten(World):
    """A world whose side table says something else of a row when that is older than 120; it admits to nothing."""

    def __init__(self, folder, seed=0, n=700, logged=True):
        rows = drifting(n, seed, 1.5, 60)
        rows["id"] = [f"event {row}" for row in range(n)]
        super().__init__(small_app(rows, every=50, start=100, key="id"))
        log = wild.Stored("log", folder / "warehouse") if logged else None
        table = wild.Table(self.side, time="when", delay=0, by="id")
        self.app = replace(self.app, tables={"side": table}, features=features, logged=log)

    def side(self):
        """Return the side table as it is now."""
        rows = self.whole[["when", "id", "b"]].copy()
        now = 10**6 if self.now is None else self.now
        old = (rows["when"] >= BEGIN - 50) & (rows["when"] < now - 120)
        rows["b"] = np.where(old, rows["b"] + 1.0, rows["b"])
        return rows[rows["when"] < now]


def log_of(folder):
    """Return the log as a table of pandas."""
    return StoredTable(folder / "warehouse" / "log").read().to_pandas()


@pytest.mark.parametrize("rule", [rules.BreakEven(), rules.Every(3)], ids=lambda rule: rule.name)
def test_a_life_on_logged_features_is_the_one_that_was_rehearsed_on_them(rule, tmp_path):
    made = Rewritten(tmp_path)
    ledger = tick_by_tick(made, tmp_path, rule, begin=BEGIN)
    agree(operated(ledger), rehearsed(made, tmp_path, rule, first=3))
    logged = log_of(tmp_path)
    assert logged["_event"].is_unique
    # From the period before the first tick on: what was there earlier was not computed then.
    assert logged["_time"].tolist() == list(range(BEGIN - 50, 650))
    assert (logged["_logged"] - logged["_time"]).between(1, 50).all()
    assert logged["b"].to_numpy() == pytest.approx(made.whole["b"].to_numpy()[BEGIN - 50 : 650], abs=0)
    assert [fact.body["logged"] for fact in ledger.of("observed")] == [50] * len(ledger.of("observed"))
    assert ledger.of("observed")[-1].body["tables"] == {"log": len(ledger.of("observed"))}


def test_without_a_log_they_are_not_the_same(tmp_path):
    made = Rewritten(tmp_path, logged=False)
    found = operated(tick_by_tick(made, tmp_path, rules.BreakEven(), begin=BEGIN))
    with pytest.raises(AssertionError):
        agree(found, rehearsed(made, tmp_path, rules.BreakEven(), first=3))


def test_what_was_live_and_what_it_said_is_logged_with_the_features(tmp_path):
    made = Rewritten(tmp_path)
    ledger = tick_by_tick(made, tmp_path, rules.Every(2), begin=BEGIN)
    logged = log_of(tmp_path)
    decided = lived(ledger).decided
    path = {one.cutoff: str(one.live) for one in decided}
    before = logged["_time"] < BEGIN
    assert logged.loc[before, ["_vintage", "_prediction"]].isna().all(axis=None)
    assert logged.loc[~before, "_vintage"].tolist() == [path[(t - 100) // 50] for t in logged.loc[~before, "_time"]]
    read = survey(made.app)
    triangle = build(read, Store(tmp_path / "again"), jobs=1)[0]
    for vintage in {one.live for one in decided}:
        mine = logged[logged["_vintage"] == str(vintage)]
        rows = mine["_time"].to_numpy() - int(read.grid.row_start[vintage.cutoff])
        assert mine["_prediction"].to_numpy() == pytest.approx(triangle.predictions(vintage)[rows], abs=0)


@pytest.mark.parametrize("moment", ["after the log", "after the fact"])
def test_a_tick_that_is_killed_around_its_log_logs_once(tmp_path, monkeypatch, moment):
    whole = Rewritten(tmp_path / "whole")
    expected = tick_by_tick(whole, tmp_path / "whole", rules.BreakEven(), begin=BEGIN)
    made, deaths = Rewritten(tmp_path / "killed"), []
    write, note = Ledger._write, ticking.note_features

    def dies(*arguments):
        found = note(*arguments)
        if moment == "after the log" and len(deaths) < 4 and arguments[2] not in deaths:
            deaths.append(arguments[2])
            raise Killed
        return found

    def dies_later(self, data):
        write(self, data)
        if moment == "after the fact" and b'"kind": "observed"' in data and len(deaths) < 4:
            deaths.append(len(deaths))
            raise Killed

    monkeypatch.setattr(ticking, "note_features", dies)
    monkeypatch.setattr(Ledger, "_write", dies_later)
    rule, begin = rules.BreakEven(), BEGIN
    for now in range(BEGIN + 1, 700, 50):
        made.now = now
        while True:
            try:
                wild.operate(made.app, rule=rule, begin=begin, store=tmp_path / "killed")
            except Killed:
                rule = begin = None
                made.now += 7  # the world goes on, and the side table is rewritten
                continue
            rule = begin = None
            break
    made.now = None
    assert len(deaths) == 4
    found = ledger_of(made, tmp_path / "killed")
    assert bodies(found) == bodies(expected)
    same = [log_of(tmp_path / name).drop(columns="_logged") for name in ("whole", "killed")]
    pd.testing.assert_frame_equal(*same)


def test_a_plan_logs_nothing_and_a_row_that_comes_late_is_logged_when_it_is_there(tmp_path):
    made = Rewritten(tmp_path)
    late = made.whole["when"].isin([310, 311])
    whole = made.whole
    made.whole, made.known = whole[~late], made.known[~late]
    made.now = 401
    dry = wild.operate(made.app, rule=rules.BreakEven(), begin=300, store=tmp_path, dry=True)
    assert [one.facts["observed"]["logged"] for one in dry.ticks] == [50, 48, 50]
    assert not (tmp_path / "warehouse").exists()
    wild.operate(made.app, rule=rules.BreakEven(), begin=300, store=tmp_path)
    assert len(log_of(tmp_path)) == 148
    made.whole, made.known, made.now = whole, whole["known"], 451
    wild.operate(made.app, store=tmp_path)
    logged = log_of(tmp_path).set_index("_event")
    assert len(logged) == 200
    assert logged.loc[["event 310", "event 311"], "_logged"].tolist() == [450, 450]
    assert wild.operate(made.app, store=tmp_path).ticks == ()
    assert len(log_of(tmp_path)) == 200


def test_a_service_that_logged_first_is_believed_and_a_log_that_begins_later_reaches_no_further_back(tmp_path):
    made = Rewritten(tmp_path)
    plain = replace(made.app, logged=None)
    made.now = 401
    wild.operate(plain, rule=rules.BreakEven(), begin=300, store=tmp_path)
    request = made.whole[made.whole["id"] == "event 420"]
    assert wild.log_features(made.app, request, pd.DataFrame({"a": [9.0], "b": [8.0]})) == 1
    made.now = 451
    done = wild.operate(made.app, store=tmp_path)
    assert [one.facts["observed"]["logged"] for one in done.ticks] == [50]
    logged = log_of(tmp_path).set_index("_event")
    assert logged["_time"].tolist() == list(range(400, 450))
    assert logged.loc["event 420", ["a", "b", "_logged"]].tolist() == [9.0, 8.0, 420]
    made.now = None
    assert survey(made.app).features.to_pandas().loc[420].tolist() == [9.0, 8.0]
