"""Going back by hand: the life goes on as if the rule had fallen back itself, and nothing is lost on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import mlwild as wild
from mlwild import rules
from mlwild.errors import AppError, DataError, StoreError
from mlwild.ledger import Ledger
from mlwild.lives import fold
from mlwild.operating import challenge, rollback, status
from mlwild.operating.lived import lived
from mlwild.records import FallBack, Vintage
from mlwild.rules.view import Decision
from mlwild.show.operation import came_said, promise_said, show_rollback
from mlwild.stats.paired import fixed_b
from mlwild.triangle import build
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey
from mlwild.web.words import promise
from tests.operating.worlds import ledger_of, tick_by_tick, world


@dataclass(frozen=True)
class Overruled:
    """A rule that is overruled once: what a person does by hand, as a rule would do it."""

    rule: Any
    at: int
    to: Vintage
    name: str = "overruled"

    def decide(self, view, memory):
        """Say what the rule says, but fall back once."""
        said = self.rule.decide(view, memory)
        if view.cutoff != self.at:
            return said
        return Decision(FallBack(self.to), said.reason, memory=said.memory, shadows=said.shadows)


def live_json(made, folder):
    return json.loads((folder / "operate" / made.app.name / "live.json").read_text())


RULES = [rules.Every(3), rules.BreakEven(), rules.CumulativeThreshold(0.3), rules.LossThreshold(0.1)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_life_goes_on_as_if_the_rule_had_fallen_back_itself(rule, tmp_path):
    made = world()
    tick_by_tick(made, tmp_path, rule, moments=[*range(251, 700, 50)])
    before = lived(ledger_of(made, tmp_path))
    assert len(set(before.path)) > 1
    made.now = 651
    done = rollback(made.app, why="broken feed", store=tmp_path)
    assert done.live == str(before.path[-1])
    assert live_json(made, tmp_path)["live"] == done.to
    card = (tmp_path / "operate" / made.app.name / "card.html").read_text()
    assert f"vintage <b>{done.to}</b> is live" in card
    assert f"After the tick of {done.at} vintage {done.to} was put back: rolled back by hand: broken feed." in card
    tick_by_tick(made, tmp_path, None, begin=None, moments=[701, 751, 801, 851, 900])
    life = lived(ledger_of(made, tmp_path))
    ordered = life.orders[0]
    assert ordered.body["why"] == "rolled back by hand: broken feed"
    to = next(one for one in before.path if str(one) == done.to)
    made.now = None
    triangle = build(survey(made.app), Store(tmp_path / "whole"), jobs=1)[0]
    overruled = fold(Overruled(rule, ordered.cutoff, to), triangle, Vintage(3, "all"))
    assert life.path == overruled.live
    for ours, theirs in zip(life.decided, overruled.facts, strict=True):
        assert (ours.cutoff, ours.at, ours.live) == (theirs.cutoff, theirs.at, theirs.live)
        if ours.cutoff != ordered.cutoff:
            assert (ours.action, ours.reason, ours.price) == (theirs.action, theirs.reason, theirs.price)
    told = {one["period"]: one for fact in life.facts if fact.kind == "scored" for one in fact.body["periods"]}
    assert told[ordered.cutoff]["kept"] is None
    assert told[ordered.cutoff]["replaced"] == done.live
    assert came_said(told[ordered.cutoff]).endswith(f", not judged, as {done.live} was replaced")
    assert [one["kept"] for period, one in told.items() if period > ordered.cutoff].count(None) == 0


def test_what_going_back_would_have_cost_is_what_plain_loops_give(tmp_path):
    made = world(drift=0.0)
    tick_by_tick(made, tmp_path, rules.Every(4), moments=[900])
    found = rollback(made.app, to="8", dry=True, store=tmp_path)
    assert (found.dry, found.live, found.to) == (True, "12", "8")
    assert [way.vintage for way in found.ways] == ["8", "4", "3"]
    made.now = None
    read = survey(made.app)
    triangle = build(read, Store(tmp_path / "whole"), jobs=1)[0]
    life = lived(ledger_of(made, tmp_path))
    assert not life.orders  # nothing was done
    end = int(read.grid.edges[life.ticked])
    rows = [row for row in range(len(read.time)) if read.grid.edges[12] <= read.time[row] < end]
    rows = np.array([row for row in rows if read.known_at[row] <= end])
    way = next(one for one in found.ways if one.vintage == "8")
    ours, theirs = (triangle.row_losses(Vintage(k, "all"), rows) for k in (12, 8))
    assert way.n == len(rows) > 0
    assert way.gain == pytest.approx(float((ours - theirs).mean()))
    want = fixed_b(ours, theirs)
    assert (way.low, way.high) == (pytest.approx(want.low), pytest.approx(want.high))


def _ranked(loss="auc", n=900, **fields):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"when": np.arange(n), "a": rng.normal(size=n)})
    slope = np.where(rows["when"] < n // 2, 1.5, -1.5)
    rows["y"] = (rng.random(n) < 1 / (1 + np.exp(-slope * rows["a"]))).astype(float)
    rows["p"] = np.clip(1 / (1 + np.exp(-1.5 * rows["a"])), 0.1, 1.0)
    if "propensity" in fields:
        rows.loc[rng.random(n) > rows["p"], "y"] = np.nan
    app = wild.App(
        name="ranked", data=lambda: rows, time="when", label="y", delay=0, features=lambda rows: rows[["a"]],
        models={"logit": LogisticRegression(), "rate": DummyClassifier()}, loss=loss, every=50, start=100, **fields,
    )  # fmt: skip
    return rows, app


def test_of_a_loss_of_sets_periods_are_counted_and_said(tmp_path, capsys):
    """Three numbers, one a period, are not three rows."""
    rows, app = _ranked()
    done = wild.operate(app, rule=rules.Every(4), begin=300, store=tmp_path)
    since = max(int(tick.at) for tick in done.ticks if tick.action == "retrain")
    found = rollback(app, dry=True, store=tmp_path)
    way = found.ways[0]
    earlier = next(one for one in reversed(done.ticks) if one.facts["decided"]["live"] == way.vintage)
    learned = 100 + 50 * int(way.vintage)
    model = LogisticRegression().fit(rows[["a"]][:learned], rows["y"][:learned])
    lost = []
    for begins in range(since, int(done.until), 50):
        part = rows[rows["when"].between(begins, begins + 49)]
        lost.append(1 - roc_auc_score(part["y"], model.predict_proba(part[["a"]])[:, 1]))
    assert earlier.cutoff >= int(way.vintage)
    assert (way.n, way.loss) == (len(lost), pytest.approx(np.mean(lost), abs=1e-6))
    assert way.n > 1
    show_rollback(found)
    said = capsys.readouterr().out
    assert "periods since" in said
    assert "its 1 - auc" in said
    assert "On the labelled periods since" in said
    assert "rows" not in said
    with pytest.raises(DataError, match=r"There are \d+ labelled periods that both models answer; a plan takes 30"):
        challenge(app, "rate", store=tmp_path)


def test_rows_that_stand_for_others_count_for_them_in_a_rollback_too(tmp_path):
    """A label that is seen one time in ten stands for ten: so say the life's periods, and so does going back."""
    rows, app = _ranked("brier", 2400, feedback="selective", propensity="p")
    done = wild.operate(app, rule=rules.Every(20), begin=1200, store=tmp_path)
    live, other = int(done.live), 22
    way = next(one for one in rollback(app, dry=True, store=tmp_path).ways if one.vintage == str(other))
    since = next(int(tick.at) for tick in done.ticks if tick.action == "retrain")
    part = rows[rows["when"].between(since, int(done.until) - 1) & rows["y"].notna()]
    weight, lost = 1 / part["p"], {}
    for vintage in (live, other):
        learned = rows[: 100 + 50 * vintage].dropna(subset="y")
        made = LogisticRegression().fit(learned[["a"]], learned["y"]).predict_proba(part[["a"]])[:, 1]
        lost[vintage] = (made - part["y"]) ** 2
    ours, theirs = (float(np.average(lost[one], weights=weight)) for one in (live, other))
    assert abs(theirs - lost[other].mean()) > 0.01
    assert (way.n, way.live_loss, way.loss) == (
        len(part),
        pytest.approx(ours, abs=1e-6),
        pytest.approx(theirs, abs=1e-6),
    )
    assert way.gain == pytest.approx(ours - theirs, abs=1e-6)
    assert way.low < way.gain < way.high
    told = [one for tick in done.ticks for one in tick.facts["scored"]["periods"] if int(one["from"]) >= since]
    assert np.average([one["loss"] for one in told], weights=[one["n"] for one in told]) == pytest.approx(
        ours, abs=1e-6
    )


def test_what_is_held_stays_for_so_many_ticks(tmp_path):
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(1), moments=[451])
    made.now = 451
    done = rollback(made.app, hold=2, store=tmp_path)
    tick_by_tick(made, tmp_path, None, begin=None, moments=[501, 551, 601])
    after = lived(ledger_of(made, tmp_path)).decided[-3:]
    assert [one.action for one in after] == ["keep", "keep", "retrain"]
    assert str(after[1].live) == done.to
    assert after[0].reason == "held by hand until cutoff 9; the rule would retrain (the schedule says so)"
    assert not status(tmp_path)[0].alarm


def test_one_that_died_before_it_published_is_published_by_the_next_call(tmp_path, monkeypatch):
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(2), moments=[451])
    made.now = 451
    was = live_json(made, tmp_path)["live"]
    with monkeypatch.context() as patch:
        patch.setattr("mlwild.operating.going_back.publish_again", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rollback(made.app, store=tmp_path)
    assert live_json(made, tmp_path)["live"] == was
    done = wild.operate(made.app, store=tmp_path)
    assert not done.ticks
    assert live_json(made, tmp_path)["live"] == done.live != was


def test_two_rollbacks_in_one_period(tmp_path):
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(2), moments=[601])
    made.now = 601
    first = rollback(made.app, store=tmp_path)
    second = rollback(made.app, to="3", store=tmp_path)
    assert second.live == first.to
    assert live_json(made, tmp_path)["live"] == "3"
    tick_by_tick(made, tmp_path, None, begin=None, moments=[651])
    assert str(lived(ledger_of(made, tmp_path)).replaced(10)) == first.live


def test_what_was_replaced_in_its_first_period_can_be_put_back(tmp_path, capsys):
    """It was said never to have been live: whoever went back by mistake could not undo it."""
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(3), moments=[*range(251, 560, 50)])
    made.now = 551
    before, promised = live_json(made, tmp_path), status(tmp_path)[0].promised
    back = rollback(made.app, store=tmp_path)
    assert (back.live, back.to) == ("9", "6")
    again = rollback(made.app, dry=True, store=tmp_path)
    assert ([way.vintage for way in again.ways], again.to) == (["9", "3"], "3")
    undone = rollback(made.app, to="9", store=tmp_path)
    assert (undone.live, undone.to) == ("6", "9")
    assert live_json(made, tmp_path) == before
    assert status(tmp_path)[0].promised == promised
    tick_by_tick(made, tmp_path, None, begin=None, moments=[601, 651, 701, 751])
    life = lived(ledger_of(made, tmp_path))
    assert [str(one) for one in life.path[-5:]] == ["9", "9", "9", "12", "12"]
    told = {one["period"]: one for fact in life.facts if fact.kind == "scored" for one in fact.body["periods"]}
    assert told[11]["kept"] is not None  # it was promised of what ended the period
    assert "replaced" not in told[11]


def test_rows_are_said_to_count_from_when_both_had_come_first(tmp_path, capsys):
    """After going back, what is live has come twice: rows of its first time count too, and it was said that they do not."""
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(3), moments=[*range(251, 620, 50)])
    made.now = 601
    rollback(made.app, store=tmp_path)
    show_rollback(rollback(made.app, to="3", dry=True, store=tmp_path))
    said = " ".join(capsys.readouterr().out.split())
    assert "On the labelled rows since both had come first." in said
    found = {way.vintage: way for way in rollback(made.app, dry=True, store=tmp_path).ways}
    read = survey(made.app)
    known = [row for row in range(len(read.time)) if read.known_at[row] <= read.grid.edges[10]]
    for name, cutoff in {"3": 6, "9": 9}.items():
        rows = [row for row in known if read.grid.edges[cutoff] <= read.time[row] < read.grid.edges[10]]
        assert found[name].n == len(rows)


def test_a_model_that_is_not_the_one_that_was_live_is_not_put_back(tmp_path):
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(2), moments=[451])
    made.now = 451
    life = lived(ledger_of(made, tmp_path))
    root = Store(tmp_path / "operate" / made.app.name)
    key = life.artefacts[list(dict.fromkeys(life.path))[-2]]
    root.put(key, "model", lambda file: file.write(b"another"))
    facts = len(ledger_of(made, tmp_path).facts)
    with pytest.raises(StoreError, match="missing, or is not the one that was live"):
        rollback(made.app, store=tmp_path)
    assert len(ledger_of(made, tmp_path).facts) == facts


def test_what_cannot_be_gone_back_to_is_said(tmp_path):
    made = world()
    with pytest.raises(AppError, match="not in operation"):
        rollback(made.app, store=tmp_path)
    tick_by_tick(made, tmp_path, rules.Never(), moments=[451])
    made.now = 451
    with pytest.raises(AppError, match="had one vintage only, 3"):
        rollback(made.app, store=tmp_path)
    other = world(seed=1)
    tick_by_tick(other, tmp_path / "b", rules.Every(2), moments=[451])
    other.now = 451
    with pytest.raises(AppError, match="vintage '99' was never live"):
        rollback(other.app, to="99", store=tmp_path / "b")
    with pytest.raises(AppError, match="below 0"):
        rollback(other.app, hold=-1, store=tmp_path / "b")
    path = tmp_path / "b" / "operate" / other.app.name / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))  # the last tick is not finished
    with pytest.raises(AppError, match="not finished"):
        rollback(other.app, store=tmp_path / "b")
    assert len(Ledger(path).facts) == len(lines) - 1


def test_after_a_rollback_status_shows_no_promise_of_what_was_replaced(tmp_path):
    made = world()
    tick_by_tick(made, tmp_path, rules.Every(3), moments=[*range(251, 700, 50)])
    made.now = 651
    promised = status(tmp_path)[0].promised
    assert promise_said(promised)[0].isdigit()
    done = rollback(made.app, store=tmp_path)
    found = status(tmp_path)[0]
    assert (found.live, found.promised) == (done.to, {"replaced": done.live})
    assert promise_said(found.promised) == f"none: it was for {done.live}"
    assert promise(found.promised) == ("none", f"it was for {done.live}")
    rollback(made.app, to=done.live, store=tmp_path)
    assert status(tmp_path)[0].promised == promised
