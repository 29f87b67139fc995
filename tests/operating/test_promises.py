"""The alarm that promises are not kept: how often it errs, with labels at once and late."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import mlwild as wild
from mlwild import rules
from mlwild.ledger import Fact
from mlwild.operating import promises, status
from mlwild.operating.promises import ALPHA, LEVEL
from mlwild.show.operation import came_said
from mlwild.stats.sequential import risk_violation
from tests.operating.worlds import World, world
from tests.support import drifting, small_app


def false_alarms(delay, lag, *, lives, periods=104, seed=0):
    """Share of lives with an alarm though every interval is exact, given what was known when it was promised."""
    rng, alarms = np.random.default_rng(seed), 0
    for _ in range(lives):
        loss = np.cumsum(rng.normal(size=periods + delay + 1))
        gap = loss[delay + 1 :] - loss[: -delay - 1]  # a random walk: the last outcome that was known is the best guess
        missed = (np.abs(gap) > 1.6448536269514722 * np.sqrt(delay + 1)).astype(float)
        alarms += risk_violation(missed, 1 - LEVEL, alpha=ALPHA, lag=lag).stopped_at is not None
    return alarms / lives


def _held(lives):
    slack = 3 * np.sqrt(ALPHA * (1 - ALPHA) / lives)
    for delay in (0, 4, 8):
        assert false_alarms(delay, delay + 1, lives=lives) <= ALPHA + slack
    # What bets on overlapping promises as if they followed one another errs far more often.
    assert false_alarms(8, 1, lives=lives) > 2 * ALPHA


def test_kept_promises_are_seldom_taken_for_broken_ones_however_late_labels_are():
    _held(400)


@pytest.mark.slow
def test_kept_promises_are_seldom_taken_for_broken_ones_in_many_lives():
    _held(4000)


@pytest.mark.parametrize(("delay", "lag"), [(0, 1), (60, 2), (120, 3)])
def test_promises_made_before_an_outcome_is_known_are_bet_on_apart(delay, lag, tmp_path, monkeypatch):
    asked = []

    def spied(missed, limit, **words):
        asked.append((limit, words["lag"]))
        return risk_violation(missed, limit, **words)

    monkeypatch.setattr("mlwild.operating.promises.risk_violation", spied)
    made = world(n=900, delay=delay)
    wild.operate(made.app, rule=rules.Never(), begin=600, store=tmp_path)
    assert {one[1] for one in asked} == {lag}
    assert [one[0] for one in asked] == pytest.approx([1 - LEVEL] * len(asked))


def test_promises_that_are_broken_are_an_alarm(tmp_path, monkeypatch):
    """Whoever promises that nothing is ever lost is found out, and not at the first miss."""
    nothing = {"split": "wishes", "estimate": 0.0, "low": 0.0, "high": 0.0}
    monkeypatch.setattr("mlwild.operating.promises.promised_of_life", lambda *args, **words: nothing)
    made = world(n=900, delay=0)
    found = wild.operate(made.app, rule=rules.Never(), begin=250, store=tmp_path)
    alarms = [(int(at), why) for at, why in found.alarms]
    assert 300 < alarms[0][0] < 600
    assert [at for at, _ in alarms] == list(range(alarms[0][0], 900, 50))
    assert all("rehearsal no longer describes reality" in why for _, why in alarms)
    assert status(tmp_path)[0].alarm == alarms[-1][1]


def test_a_promise_is_kept_at_both_its_ends(tmp_path, monkeypatch):
    """Who loses nothing, and promised to, keeps it."""
    nothing = {"split": "wishes", "estimate": 0.0, "low": 0.0, "high": 0.0}
    monkeypatch.setattr("mlwild.operating.promises.promised_of_life", lambda *args, **words: nothing)
    models = {"zero": lambda X, y: lambda X: np.zeros(len(X))}
    made = World(small_app(drifting(600, 0, 0.0, 0).assign(y=0.0), every=50, start=100, models=models))
    done = wild.operate(made.app, rule=rules.Never(), begin=250, store=tmp_path)
    told = [one for tick in done.ticks for one in tick.facts["scored"]["periods"]]
    assert len(told) >= 5
    assert all(one["loss"] == 0.0 and one["kept"] is True for one in told)


def test_a_period_whose_loss_is_not_defined_breaks_no_promise(tmp_path):
    """Of one class alone there is no AUC: every row was answered, and nothing came that could lie outside."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"when": np.arange(1200), "a": rng.normal(size=1200)})
    rows["y"] = (rng.random(1200) < 1 / (1 + np.exp(1.5 - rows["a"]))).astype(float)
    rows.loc[rows["when"].between(900, 949) | rows["when"].between(1050, 1099), "y"] = 0.0
    app = wild.App(
        name="seldom", data=lambda: rows, time="when", label="y", delay=0, features=lambda rows: rows[["a"]],
        models={"logit": LogisticRegression()}, loss="auc", every=50, start=100,
    )  # fmt: skip
    done = wild.operate(app, rule=rules.Never(), begin=800, store=tmp_path)
    told = {int(one["from"]): one for tick in done.ticks for one in tick.facts["scored"]["periods"]}
    model, kept, judged = LogisticRegression().fit(rows[["a"]][:800], rows["y"][:800]), 0, 0
    for at, one in told.items():
        part = rows[rows["when"].between(at, at + 49)]
        if not part["y"].any():
            assert (one["loss"], one["kept"], one.get("undefined")) == (None, None, 50)
            continue
        lost = 1 - roc_auc_score(part["y"], model.predict_proba(part[["a"]])[:, 1])
        assert one["loss"] == pytest.approx(lost, abs=1e-6)
        if one["kept"] is not None:
            judged, kept = judged + 1, kept + (one["low"] <= lost <= one["high"])
    assert {900, 1050} < set(told)
    found = status(tmp_path)[0]
    assert (found.kept, found.of) == (kept, judged)
    assert "not defined on 50 labels, not judged" in came_said(told[900])


@pytest.mark.parametrize(("losses", "kept"), [([1.0, 3.0, 2.0, 1.0], False), ([1.0, 2.0, 2.5, 1.0], True)])
def test_the_worst_period_of_a_horizon_is_held_against_its_bound_wherever_it_lies(losses, kept):
    bound = {"horizon": 4, "level": 0.95, "high": 2.5}
    life = SimpleNamespace(facts=[Fact("promised", 7, {"worst": bound})])
    outcomes = [{"period": 7 + place, "loss": loss} for place, loss in enumerate(losses)]
    came = promises._worst_that_came
    assert came(life, outcomes, []) == [{"period": 7, "high": 2.5, "came": max(losses), "kept": kept}]
    assert came(life, outcomes[:3], []) == []
    assert came(life, outcomes, [{"worst": [{"period": 7}]}]) == []
