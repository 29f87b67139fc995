"""Ticks that are missed, killed, repeated, planned, refused or that fail: each is finished once, and nothing is lost."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import mlwild as wild
from mlwild import rules
from mlwild.errors import AppError, BlockedError, DataError, StoreError
from mlwild.ledger import Ledger
from mlwild.operating import standing_gate, status
from mlwild.operating.lived import lived
from tests.operating.worlds import bodies, ledger_of, tick_by_tick, world
from tests.support import Line, drifting, small_app

RULE = rules.BreakEven(0.5)
SHORT = {"n": 600}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The ledger of a life that nothing disturbed."""
    made = world(**SHORT)
    return bodies(tick_by_tick(made, tmp_path_factory.mktemp("undisturbed"), RULE))


def test_the_life_retrains(undisturbed):
    assert sum(body["action"] == "retrain" for kind, _, body in undisturbed if kind == "decided") >= 1


@pytest.mark.parametrize("moments", [[599], [251, 252, 420, 421, 422, 599], [260, 333, 599, 599]])
def test_missed_ticks_are_caught_up_in_order_as_of_their_own_time(moments, undisturbed, tmp_path):
    made = world(**SHORT)
    assert bodies(tick_by_tick(made, tmp_path, RULE, moments=moments)) == undisturbed


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


@pytest.mark.parametrize("written", [True, False], ids=["after the fact was written", "before"])
def test_a_life_killed_at_every_fact_is_finished_once(written, undisturbed, tmp_path, monkeypatch):
    made, whole = world(**SHORT), Ledger._write
    made.now = 599
    seen = set()

    def dies_once(self, data):
        if self._size in seen:
            whole(self, data)
            return
        seen.add(self._size)
        if written:
            whole(self, data)
        raise Killed

    monkeypatch.setattr(Ledger, "_write", dies_once)
    deaths = 0
    for _ in range(500):
        try:
            wild.operate(made.app, rule=None if ledger_of(made, tmp_path).facts else RULE, begin=250, store=tmp_path)
        except Killed:
            deaths += 1
        else:
            break
    assert bodies(ledger_of(made, tmp_path)) == undisturbed
    assert deaths >= len(undisturbed) - 1


def test_a_repeated_tick_adds_no_fact(tmp_path):
    made = world(**SHORT)
    made.now = 401
    first = wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    before = ledger_of(made, tmp_path).path.read_bytes()
    again = wild.operate(made.app, store=tmp_path)
    assert again.ticks == ()
    assert again.live == first.live
    assert again.following == "450"
    assert ledger_of(made, tmp_path).path.read_bytes() == before


def test_of_a_life_that_never_began_nothing_is_said_to_be_live(tmp_path):
    made = world(**SHORT)
    made.now = 401
    with pytest.raises(DataError, match=r"nothing is live\. See: mlwild gate APP\.py"):
        wild.operate(
            made.app, rule=RULE, begin=250, gate=lambda app, day: "the gate blocks it: size red", store=tmp_path
        )
    other = wild.App(**{**vars(made.app), "features": lambda rows: rows[["a"]]})
    with pytest.raises(AppError, match=r"Nothing is live: open a new life with --reopen\.$"):
        wild.operate(other, store=tmp_path)
    assert wild.operate(other, rule=RULE, begin=250, reopen=True, store=tmp_path).live


def test_a_plan_writes_no_fact_and_is_what_comes(tmp_path):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    before = ledger_of(made, tmp_path).path.read_bytes()
    published = (tmp_path / "operate" / "small" / "live.json").read_bytes()
    made.now = 599
    plan = wild.operate(made.app, store=tmp_path, dry=True)
    assert plan.dry
    assert ledger_of(made, tmp_path).path.read_bytes() == before
    assert (tmp_path / "operate" / "small" / "live.json").read_bytes() == published
    done = wild.operate(made.app, store=tmp_path)
    assert [one.facts for one in plan.ticks] == [one.facts for one in done.ticks]


def test_what_is_live_is_published_with_the_digest_of_its_artefact(tmp_path):
    made = world(**SHORT)
    made.now = 599
    found = wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    told = json.loads((tmp_path / "operate" / "small" / "live.json").read_text())
    assert told["live"] == found.live
    note = next((tmp_path / "operate" / "small" / "memo").rglob(f"{told['key']}.model.json"))
    assert json.loads(note.read_text())["digest"] == told["digest"]


def test_the_gate_sees_the_app_as_it_was_and_what_it_blocks_does_not_go_live(tmp_path):
    made, seen = world(**SHORT), []
    made.now = None

    def gate(app, today):
        rows = app.data()
        seen.append((int(rows["when"].max()), int(rows.loc[rows["y"].notna(), "known"].max()), today))
        return "" if len(seen) == 1 else "the gate blocks it: churn red"

    words = {"gate": gate, "today": date(2026, 1, 1)}
    found = wild.operate(made.app, rule=rules.Every(3), begin=250, at=520, store=tmp_path, **words)
    assert [one.action for one in found.ticks] == ["start", "keep", "keep", "refused", "keep", "keep"]
    assert found.live == "3"
    assert seen[0] == (249, 250, date(2026, 1, 1))
    assert [one[0] for one in seen] == [249, 399]
    assert all(known <= when + 1 for when, known, _ in seen)
    assert found.alarms[0] == ("400", "the gate blocks it: churn red")


def test_nothing_begins_with_a_model_that_the_gate_blocks(tmp_path):
    made = world(**SHORT)
    with pytest.raises(DataError, match="A life begins with a model that passes"):
        wild.operate(
            made.app, rule=RULE, begin=250, store=tmp_path, gate=lambda app, today: "red", today=date(2026, 1, 1)
        )


def test_a_gate_that_has_too_little_to_judge_by_blocks_and_later_ticks_are_done(tmp_path):
    """A tick is judged by what was known at its cutoff: where it cannot be, more history would never end it."""
    made = world(**SHORT)
    asked = {"rule": rules.Every(1), "begin": 250, "store": tmp_path, "gate": standing_gate(store=tmp_path)}
    said = "cannot judge it yet: fewer than 4 periods have their labels since the first vintage, at"
    for at in (251, 599):
        with pytest.raises(BlockedError, match=f"{said} 250. It is judged as of 250, .* begin later, with --begin"):
            wild.operate(made.app, at=at, **asked)
    wild.operate(made.app, at=251, **asked | {"gate": None})
    found = wild.operate(made.app, at=599, store=tmp_path, gate=asked["gate"])
    assert [(one.at, one.action) for one in found.ticks][:2] == [("300", "refused"), ("350", "retrain")]
    assert found.alarms[0] == ("300", f"the gate {said} 300")
    assert found.until == "550"


def test_a_part_that_fails_is_a_fact_and_the_tick_stays_open(tmp_path, undisturbed, monkeypatch):
    made = world(**SHORT)
    made.now = 599

    def fails(*args, **words):
        raise DataError("the splits are away")

    with monkeypatch.context() as broken:
        broken.setattr("mlwild.operating.promises.promised_of_life", fails)
        for _ in range(2):
            with pytest.raises(DataError, match="splits are away"):
                wild.operate(
                    made.app, rule=None if ledger_of(made, tmp_path).facts else RULE, begin=250, store=tmp_path
                )
    facts = ledger_of(made, tmp_path).facts
    assert [fact.kind for fact in facts] == ["opened", "observed", "decided", "fitted", "scored", "failed"]
    assert facts[-1].body == {"part": "promised", "why": "DataError: the splits are away", "at": "250"}
    found = wild.operate(made.app, store=tmp_path)
    assert found.ticks[0].facts["ticked"] == {"at": "250", "next": "300"}
    assert bodies(ledger_of(made, tmp_path)) == undisturbed


def test_data_that_cannot_be_read_leave_no_half_tick(tmp_path, undisturbed):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    before = ledger_of(made, tmp_path).path.read_bytes()
    read, made.read = made.read, None
    away = wild.App(**{**vars(made.app), "data": lambda: (_ for _ in ()).throw(OSError("the database is away"))})
    with pytest.raises(OSError, match="database is away"):
        wild.operate(away, store=tmp_path)
    assert ledger_of(made, tmp_path).path.read_bytes() == before
    made.read, made.now = read, 599
    wild.operate(made.app, store=tmp_path)
    assert bodies(ledger_of(made, tmp_path)) == undisturbed


def test_an_artefact_that_was_damaged_is_made_again_before_anything_goes_on(tmp_path, undisturbed):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    root = tmp_path / "operate" / "small"
    told = json.loads((root / "live.json").read_text())
    next((root / "memo").rglob(f"{told['key']}.model")).write_bytes(b"other weights")
    made.now = 599
    wild.operate(made.app, store=tmp_path)
    assert bodies(ledger_of(made, tmp_path)) == undisturbed


def test_another_code_or_rule_needs_a_new_life(tmp_path):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    before = ledger_of(made, tmp_path).path.read_bytes()
    other = wild.App(**{**vars(made.app), "features": lambda rows: rows[["a"]]})
    with pytest.raises(AppError, match="is not what it was when it was opened at 250"):
        wild.operate(other, store=tmp_path)
    with pytest.raises(AppError, match=r"runs under 'break-even x0\.5'"):
        wild.operate(made.app, rule="never", store=tmp_path)
    assert ledger_of(made, tmp_path).path.read_bytes() == before
    made.now = 599
    found = wild.operate(other, rule=rules.Never(), reopen=True, begin=450, store=tmp_path)
    assert [one.action for one in found.ticks] == ["start", "keep", "keep"]
    life = lived(ledger_of(made, tmp_path))
    assert (life.first, life.opened.body["rule"]["name"]) == (9 - 2, "never")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"rule": "breakeven"}, "rule: there is no 'breakeven'; there is break-even"),
        ({}, "rule: 'small' was not rehearsed"),
        ({"rule": RULE, "begin": 10_000}, "begin: no cutoff at or after 10000; the data reach 550"),
        ({"rule": RULE, "begin": 100}, "data: there are 0 periods before the first cutoff of operation; it takes 3"),
        ({"rule": RULE, "begin": "soon"}, "begin: 'soon' is not an int"),
        ({"rule": rules.Every(2, window="7")}, "rules: 'every 2 (7)' trains on the window '7'"),
    ],
)
def test_a_wrong_wish_gets_a_sentence_and_writes_nothing(words, said, tmp_path):
    made = world(**SHORT)
    with pytest.raises((AppError, DataError), match=re.escape(said)):
        wild.operate(made.app, store=tmp_path, **words)
    assert not ledger_of(made, tmp_path).facts


def test_the_calendar_of_a_life_stays_and_a_history_that_begins_after_it_is_refused(tmp_path):
    made = world(n=900, start=None)
    made.now = 651
    wild.operate(made.app, rule=RULE, begin=550, store=tmp_path)
    whole, known = made.whole, made.known
    made.whole, made.known, made.now = whole.iloc[75:], known.iloc[75:], 701
    assert [one.facts["observed"]["late"] for one in wild.operate(made.app, store=tmp_path).ticks] == [-75]
    made.whole, made.known, made.now = whole.iloc[520:], known.iloc[520:], 899
    with pytest.raises(DataError, match="the history begins elsewhere than before"):
        wild.operate(made.app, store=tmp_path)


def test_a_ledger_that_was_changed_is_not_built_upon(tmp_path):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    path = ledger_of(made, tmp_path).path
    path.write_text(path.read_text().replace('"keep"', '"kept"'))
    with pytest.raises(StoreError, match="does not agree with its digest"):
        wild.operate(made.app, store=tmp_path)


def _with_late_rows(made):
    """Return rows of long ago that come now, and labels of long ago that were corrected."""
    late = made.whole.iloc[40:60].assign(a=5.0)
    rows = pd.concat([made.whole, late]).sort_values("when", kind="stable").reset_index(drop=True)
    rows.loc[rows["when"].between(100, 120), "y"] += 2.0
    made.whole, made.known = rows, rows["known"]


def test_rows_that_come_late_are_counted_and_what_is_live_stays_what_it_is(tmp_path):
    made = world(**SHORT)
    made.now = 401
    before = wild.operate(made.app, rule=rules.Never(), begin=250, store=tmp_path)
    root = tmp_path / "operate" / "small"
    told = json.loads((root / "live.json").read_text())
    _with_late_rows(made)
    made.now = 599
    after = wild.operate(made.app, store=tmp_path)
    assert [one.facts["observed"]["late"] for one in before.ticks] == [0] * len(before.ticks)
    assert [one.facts["observed"]["late"] for one in after.ticks] == [20] + [0] * (len(after.ticks) - 1)
    assert {one.facts["fitted"]["digest"] for one in (*before.ticks, *after.ticks)} == {told["digest"]}
    assert json.loads((root / "live.json").read_text())["key"] == told["key"]


def test_an_artefact_that_was_lost_with_its_rows_is_not_replaced_by_another(tmp_path):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=rules.Never(), begin=250, store=tmp_path)
    _with_late_rows(made)
    root = tmp_path / "operate" / "small"
    told = json.loads((root / "live.json").read_text())
    for path in (root / "memo").rglob(f"{told['key']}.model*"):
        path.unlink()
    made.now = 599
    with pytest.raises(
        StoreError, match=r"was lost, and what was made again is not the same .*: its rows have changed"
    ):
        wild.operate(made.app, store=tmp_path)
    assert ledger_of(made, tmp_path).facts[-1].kind == "failed"


@pytest.mark.parametrize(
    "change",
    [
        {"prices": wild.Prices(loss=1.0, retrain=2.0)},
        {"windows": (200,)},
        {"every": 100},
        {"update": "partial_fit"},
        {"seeds": (1,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_decision_rests_on_cannot_change_in_silence(change, tmp_path):
    made = world(**SHORT)
    made.now = 401
    wild.operate(made.app, rule=RULE, begin=250, store=tmp_path)
    with pytest.raises(AppError, match="is not what it was when it was opened"):
        wild.operate(wild.App(**{**vars(made.app), **change}), store=tmp_path)


class Bounded:
    """A model that raises on what is far from all it has seen, as many do."""

    def fit(self, X, y):
        self.most = float(np.abs(np.asarray(X)).max())
        return self

    def predict(self, X):
        if np.abs(np.asarray(X)).max() > 10 * self.most:
            raise ValueError("found unknown values")
        return np.zeros(len(X))


def test_a_model_that_gives_no_answer_is_an_alarm_and_its_promise_is_missed(tmp_path):
    made = world(n=1200, delay=0, models={"bounded": Bounded()})
    made.whole.loc[made.whole["when"].between(950, 999), "a"] = 1e6
    found = wild.operate(made.app, rule=rules.Never(), begin=800, store=tmp_path)
    ticks = {one.at: one for one in found.ticks}
    assert "vintage 14 gave no answer to 50 of 50 rows of the last period" in ticks["1000"].alarm
    assert "found unknown values" in ticks["1000"].alarm
    outcome = ticks["1000"].facts["scored"]["periods"][0]
    assert (outcome["loss"], outcome["kept"]) == (None, False)
    assert not ticks["950"].alarm


def test_a_cutoff_is_due_when_nothing_before_it_is_to_come(tmp_path):
    """Rows come in bursts: the last one before a cutoff, and the next one long after it."""
    made = world(**SHORT)
    made.whole = made.whole[made.whole["when"] % 25 < 5].reset_index(drop=True)
    made.known = made.whole["known"]
    for moment, reached in ((400, "350"), (401, "400"), (449, "400"), (451, "450")):
        made.now = moment
        known = ledger_of(made, tmp_path).facts
        wild.operate(made.app, rule=None if known else RULE, begin=None if known else 250, store=tmp_path)
        assert lived(ledger_of(made, tmp_path)).decided[-1].at == int(reached)


def test_a_new_class_does_not_change_what_older_models_said(tmp_path):
    rows = drifting(900, 0, 0.0, 0)
    rows["y"] = np.where(rows["a"] > 0.5, "d", np.where(rows["a"] < -0.5, "b", "c"))
    rows.loc[430, "y"] = "a"  # it sorts before all others
    app = small_app(
        rows, models={"tree": DecisionTreeClassifier(random_state=0)}, loss="zero_one", every=50, start=100, prices=None
    )
    found = wild.operate(app, rule=rules.Never(), begin=250, store=tmp_path)
    losses = [one["loss"] for tick in found.ticks for one in tick.facts["scored"]["periods"]]
    assert len(losses) > 8
    assert max(losses) <= 0.04  # the one row of the new class, and nothing else


def test_a_plan_or_a_kill_changes_nothing_that_is_decided_afterwards(tmp_path):
    """Labels of the past are corrected meanwhile: what a rule remembers is what it saw then."""
    decided = []
    for disturbed in (False, True):
        made = world(**SHORT, delay=0)
        made.now = 451
        store = tmp_path / str(disturbed)
        wild.operate(made.app, rule=rules.OnRiskLimit(0.5), begin=250, store=store)
        made.whole.loc[made.whole["when"].between(255, 300), "y"] -= 0.5
        made.now = 599
        if disturbed:
            wild.operate(made.app, store=store, dry=True)
        decided.append([one.facts["decided"] for one in wild.operate(made.app, store=store).ticks])
    assert decided[0] == decided[1]


def test_a_life_that_cannot_begin_may_begin_later_and_one_that_goes_on_may_not(tmp_path):
    made = world(**SHORT)
    words = {"store": tmp_path, "today": date(2026, 1, 1)}
    with pytest.raises(DataError, match="nothing is live"):
        wild.operate(made.app, rule=RULE, begin=250, gate=lambda app, today: "red", **words)
    found = wild.operate(made.app, begin=350, gate=lambda app, today: "", **words)
    assert found.ticks[0].at == "350"
    assert found.rule == RULE.name
    with pytest.raises(AppError, match="began at 350 and goes on"):
        wild.operate(made.app, begin=400, **words)
    with pytest.raises(AppError, match="is not an int"):
        wild.operate(made.app, begin="--5", **words)
    with pytest.raises(AppError, match="with other parameters"):
        _other_parameters(tmp_path / "named")


@dataclass(frozen=True)
class Named:
    """A rule whose name does not tell its parameter."""

    every: int
    name: str = "named"

    def decide(self, view, memory):
        return rules.Every(self.every).decide(view, memory)


def _other_parameters(store):
    made = world(**SHORT)
    wild.operate(made.app, rule=Named(5), begin=450, store=store)
    wild.operate(made.app, rule=Named(2), store=store)


def test_status_shows_what_could_not_be_operated_and_what_is_damaged(tmp_path):
    for name in ("one", "two"):
        wild.operate(world(**SHORT, name=name).app, rule=RULE, begin=450, store=tmp_path)
    assert [(one.app, one.alarm) for one in status(tmp_path)] == [("one", ""), ("two", "")]
    with pytest.raises(AppError):
        wild.operate(world(**SHORT, name="one", features=lambda rows: rows[["a"]]).app, store=tmp_path)
    assert "could not be operated: app: 'one' is not what it was" in status(tmp_path)[0].alarm
    wild.operate(world(**SHORT, name="one").app, store=tmp_path)
    assert status(tmp_path)[0].alarm == ""
    path = tmp_path / "operate" / "two" / "ledger.jsonl"
    path.write_text(path.read_text()[1:])
    assert [one.app for one in status(tmp_path)] == ["two", "one"]
    assert "does not agree with its digest" in status(tmp_path)[0].alarm


def test_the_next_tick_is_counted_from_the_first(tmp_path):
    rows = drifting(900, 0, 0.0, 0)
    rows["when"] = pd.Timestamp("2024-01-31") + pd.to_timedelta(np.arange(900) * 6, unit="h")
    rows["known"] = rows["when"]
    app = small_app(rows, every="1M", start="2024-01-31", prices=None, models={"line": Line()})
    found = wild.operate(app, rule=rules.Never(), begin="2024-05-01", at="2024-06-30", store=tmp_path)
    assert [one.facts["ticked"]["next"] for one in found.ticks] == ["2024-06-30", "2024-07-31"]


def test_rows_or_labels_that_stop_coming_are_an_alarm(tmp_path):
    def alarms(made, store):
        found = wild.operate(made.app, rule=rules.Never(), begin=250, store=store)
        return {int(one.at): one.alarm for one in found.ticks}, found

    gap = world(n=900)
    gap.whole = gap.whole[~gap.whole["when"].between(450, 549)]
    told, found = alarms(gap, tmp_path / "gap")
    assert [at for at, why in told.items() if "no row came in the last period" in why] == [500, 550]
    assert [at for at, why in told.items() if "no label came" in why] == []
    silent = world(n=900)  # a label takes up to 60 of a period's 50
    silent.whole.loc[silent.whole["when"] > 400, "y"] = np.nan
    told, found = alarms(silent, tmp_path / "silent")
    assert [at for at, why in told.items() if "no label came in the last 2 periods" in why] == list(range(550, 900, 50))
    assert "no label came" in status(tmp_path / "silent")[0].alarm
    # A single label of the period in which they stopped is not taken for its loss.
    assert {one.facts["promised"]["estimate"] for one in found.ticks[-5:]} == {
        found.ticks[-1].facts["promised"]["estimate"]
    }
    assert found.ticks[-1].facts["promised"]["estimate"] > 0.2


def _cut(rows):
    return rows[(rows["when"] < 50) | (rows["when"] >= 150)]


def _unlabelled(rows):
    return rows.assign(y=rows["y"].mask(rows["when"] < 150))


def _two_forgotten(rows):
    return rows.drop(rows.index[[7, 20]])


@pytest.mark.parametrize("change", [_cut, _unlabelled, _two_forgotten])
def test_rows_or_labels_of_before_that_are_gone_are_an_alarm(tmp_path, change):
    made = world(n=900)
    tick_by_tick(made, tmp_path, rules.Never(), moments=[401])
    before, more = (int((made.known <= moment).sum()) for moment in (400, 450))
    made.whole = change(made.whole)
    made.known, made.now = made.known[made.whole.index], 451
    [done] = wild.operate(made.app, store=tmp_path).ticks
    said = {
        _cut: "100 rows of the 400 of the last tick are gone: was the source cut, or emptied?",
        _unlabelled: f"{150 - (more - before)} labels of the {before} of the last tick are gone: was the source cut, or emptied?",
        _two_forgotten: "",
    }
    assert done.alarm == status(tmp_path)[0].alarm == said[change]
