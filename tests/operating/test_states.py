"""What is left beside a ledger, and a ledger that is harmed or gone: who looks is told, and nothing begins in silence."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.clock import text_of
from mlwild.errors import DataError, StoreError
from mlwild.ledger import Fact, Ledger
from mlwild.operating import Status, rollback, status
from mlwild.show import show_status
from mlwild.triangle.store import Store
from tests.operating.worlds import world

RULE = rules.BreakEven(0.5)
SHORT = {"n": 600}


def test_a_changed_byte_is_seen_though_the_ledger_is_as_long_as_it_was(tmp_path):
    wild.operate(world(**SHORT).app, rule=RULE, begin=450, store=tmp_path)
    path = tmp_path / "operate" / "small" / "ledger.jsonl"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"decided"', b'"decides"', 1))
    assert "does not agree with its digest" in status(tmp_path)[0].alarm
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # a disk that rots tells nobody
    with pytest.raises(StoreError, match="does not agree"):
        wild.operate(world(**SHORT).app, store=tmp_path)
    assert "does not agree with its digest" in status(tmp_path)[0].alarm


@pytest.mark.parametrize(
    "harm",
    [
        lambda _: b"[1]",
        lambda _: b"\xff\x00",
        lambda kept: kept[: len(kept) // 2],
        lambda kept: kept.replace(b'"app": "small"', b'"app": 5'),
        lambda kept: kept.replace(b'"alarm": ""', b'"alarm": "?"'),
    ],
    ids=["a list", "no text", "cut", "another type", "another value"],
)
def test_a_state_that_was_damaged_is_read_from_the_ledger(harm, tmp_path):
    wild.operate(world(**SHORT).app, rule=RULE, begin=450, store=tmp_path)
    path, whole = tmp_path / "operate" / "small" / "status.json", status(tmp_path)
    kept = path.read_bytes()
    path.write_bytes(harm(kept))
    assert path.read_bytes() != kept
    assert status(tmp_path) == whole


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_where_the_ledger_of_what_is_live_is_gone_no_other_life_begins_in_silence(harm, tmp_path):
    app = world(**SHORT).app
    wild.operate(app, rule=RULE, begin=450, store=tmp_path)
    path = tmp_path / "operate" / "small" / "ledger.jsonl"
    kept = path.read_bytes()
    harm(path)
    with pytest.raises(StoreError, match="is gone or empty, and live.json beside it says that something is live"):
        wild.operate(app, rule=RULE, begin=450, store=tmp_path)
    assert "is gone or empty" in status(tmp_path)[0].alarm
    path.write_bytes(kept)
    assert wild.operate(app, store=tmp_path).ticks == ()
    assert status(tmp_path)[0].alarm == ""
    harm(path)
    assert wild.operate(app, rule=RULE, begin=450, reopen=True, store=tmp_path).reopened


def test_data_that_end_before_the_last_tick_are_refused_and_an_earlier_at_does_nothing(tmp_path):
    made = world(**SHORT)
    wild.operate(made.app, rule=RULE, begin=450, store=tmp_path)
    live = tmp_path / "operate" / "small" / "live.json"
    kept = live.read_bytes()
    live.unlink()
    done = wild.operate(made.app, at=460, store=tmp_path)
    assert (done.ticks, live.read_bytes()) == ((), kept)
    live.unlink()
    made.now = 470
    for call in (wild.operate, rollback):
        with pytest.raises(DataError, match="rows at the end are gone"):
            call(made.app, store=tmp_path)
    made.now = None
    wild.operate(made.app, store=tmp_path)
    assert live.read_bytes() == kept


def test_a_tick_that_runs_says_since_when(tmp_path):
    app = world(**SHORT).app
    wild.operate(app, rule=RULE, begin=450, store=tmp_path)
    folder = tmp_path / "operate" / "small"
    whole = status(tmp_path)[0]
    ledger = Ledger(folder / "ledger.jsonl")
    with Store(folder).lock("small", life=True):
        assert status(tmp_path)[0] == replace(whole, running=text_of((folder / "tick.lock").stat().st_mtime))
        ledger.append(Fact("observed", 99, {"alarm": ""}))
        found = status(tmp_path)[0]
        assert (found.alarm, bool(found.running)) == ("", True)
    found = status(tmp_path)[0]
    assert "is not finished" in found.alarm
    assert not found.running


@pytest.mark.parametrize(
    "harm", [lambda b: b"", lambda b: b[:30], lambda b: b"garbage!", lambda b: b.replace(b"?\xe0", b"?\xf0")]
)
def test_a_rule_that_was_damaged_is_not_run(harm, tmp_path):
    """The last one would load, as a rule with another limit."""
    app = world(**SHORT).app
    wild.operate(app, rule=RULE, begin=450, store=tmp_path)
    path = next((tmp_path / "operate" / "small" / "rules").glob("*.pickle"))
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    assert path.read_bytes() != whole
    with pytest.raises(StoreError, match="the rule 'break-even x0.5' cannot be read"):
        wild.operate(app, store=tmp_path)
    path.write_bytes(whole)
    assert wild.operate(app, store=tmp_path).ticks == ()


def test_what_a_fact_speaks_of_is_on_the_disk_before_it(tmp_path, monkeypatch):
    """A power cut may take all that was not synced: no fact may outlive the rule or the artefact that it names."""
    synced, spoken = set(), []
    real = os.fsync

    def fsync(handle):
        place = Path(f"/proc/self/fd/{handle}").readlink()
        synced.add(place.name.removeprefix(f".part-{os.getpid()}-"))
        real(handle)

    append = Ledger.append

    def told(ledger, *facts):
        for fact in facts:
            if fact.kind == "opened":
                spoken.append(f"{fact.body['rule']['key']}.pickle")
            if fact.kind == "fitted":
                spoken.append(f"{fact.body['key']}.model")
            if fact.kind == "published":
                spoken.append("live.json")
        assert not set(spoken) - synced, (spoken, synced)
        append(ledger, *facts)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Ledger, "append", told)
    wild.operate(world(**SHORT).app, rule=RULE, begin=450, store=tmp_path)
    assert {name.rpartition(".")[2] for name in spoken} == {"pickle", "model", "json"}


def test_a_trouble_is_not_hidden_by_one_with_telling_of_it(tmp_path, monkeypatch):
    made = world(**SHORT)
    wild.operate(made.app, rule=RULE, begin=450, store=tmp_path)
    made.now = 0

    def refused(*_, **__):
        raise StoreError("store: the folder cannot be written.")

    monkeypatch.setattr("mlwild.operating.driver.keep_card", refused)
    monkeypatch.setattr(sys.modules["mlwild.operating.status"], "write_atomically", refused)
    with pytest.raises(DataError, match="no row") as found:
        wild.operate(made.app, store=tmp_path)
    assert "cannot be written" in " ".join(found.value.__notes__)


def test_where_no_vintage_can_be_made_the_reason_is_said(tmp_path):
    def train(X, y):
        raise ValueError("a column of text")

    with pytest.raises(DataError, match=r"no vintage could be made at any cutoff \(.*ValueError: a column of text\)"):
        wild.operate(world(**SHORT, models={"line": train}).app, rule="every 2", begin=450, store=tmp_path)
    assert not list(tmp_path.glob("operate/*/ledger.jsonl"))


def test_a_life_that_would_begin_before_a_model_can_be_made_is_told_that_it_may_begin_later(tmp_path):
    def train(X, y):
        if len(y) < 350:
            raise ValueError("too few rows")
        return lambda X: np.zeros(len(X))

    app = world(**SHORT, models={"line": train}).app
    with pytest.raises(DataError, match=r"\(0: .*too few rows\) before 300\. .* begin later, with --begin\."):
        wild.operate(app, rule="every 2", begin=300, at=599, store=tmp_path)
    assert wild.operate(app, rule="every 2", begin=500, at=599, store=tmp_path).ticks


def test_an_alarm_has_the_width_of_the_page(tmp_path, capsys):
    why = "the feature server is away, and nobody knows when it will be back: ask those who run it, before noon"
    show_status([Status(app="till", live="3", alarm=f"{why}."), Status(app="calm", live="4")], str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert f"till: {why}." in lines
    assert [line.split()[-1] for line in lines[1:3]] == ["alarm", "ok"]


def test_a_store_that_may_not_be_read_is_not_one_without_an_app(tmp_path, monkeypatch):
    wild.operate(world(**SHORT).app, rule=RULE, begin=450, store=tmp_path)

    def refuses(self, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(os, "scandir", refuses)
    monkeypatch.setattr(os, "listdir", refuses)
    with pytest.raises(StoreError, match=r"store: .*operate cannot be read: Permission denied"):
        status(tmp_path)
    monkeypatch.undo()
    assert [one.app for one in status(tmp_path)] == ["small"]
    assert status(tmp_path / "none") == []
