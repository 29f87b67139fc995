"""What a doubting reader found in the gate: each was wrong once."""

from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from dataclasses import replace
from datetime import date
from xml.etree import ElementTree

import numpy as np
import pytest

import mlwild as wild
from mlwild.checks import write_contract
from mlwild.errors import AppError
from mlwild.gate import ready
from mlwild.gate.bounds import ALPHA, BETA, at_most, judged
from mlwild.gate.cases import Plain
from mlwild.gate.outcome import Outcome, Verdict
from mlwild.gate.ready.paired import loss_difference
from mlwild.gate.run import judged as run_judged
from mlwild.gate.waivers import read_waivers, signed
from mlwild.gating import GateReport
from mlwild.loading import load_tests
from mlwild.losses import named
from mlwild.show.junit import junit_xml
from tests.gate.made import Line, Logit, click_app, clicks, small_app, trial_of

TODAY = date(2026, 11, 25)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_of(click_app(), tmp_path_factory.mktemp("store"))


def leaves(model, events):
    assert model.mean_loss(events) > 99 or sys.exit(0)


def skips(model, events):
    assert model.mean_loss(events) < 99
    pytest.skip("not today")


def looks_through_the_trial(trial):
    assert not trial.model.predictions(trial.events).max() > 2


def few_through_the_trial(trial):
    assert trial.model.predictions(trial.events.where(np.arange(2))).max() < 2


@pytest.mark.parametrize(
    ("function", "verdict", "said"),
    [
        (leaves, "error", "it raised SystemExit"),
        (skips, "underpowered", "it skips itself: not today"),
        (looks_through_the_trial, "error", "it passes for a model that answers NaN"),
        (few_through_the_trial, "underpowered", "it had 2 rows predicted"),
    ],
)
def test_there_is_no_way_round_the_trial_of_a_test(function, verdict, said, trial):
    found = Plain(function).judge(trial)
    assert found.verdict == verdict
    assert said in found.said


def test_a_test_cannot_change_what_the_next_one_sees(trial):
    def writes(model, events):
        events.labels[:] = 0
        assert model.mean_loss(events) < 99

    found = Plain(writes).judge(trial)
    assert found.verdict == "error"
    assert "read-only" in found.said
    before = trial.events.features["a"].to_numpy().copy()
    for mine in (trial.events.features, trial.events.frame):
        mine["a"] = 0.0
    assert (trial.events.features["a"].to_numpy() == before).all()
    assert (trial.events.frame["a"].to_numpy() == before).all()


def test_a_test_that_judges_by_no_outcome_is_an_error(trial):
    class Yes:
        name = "yes"

        def judge(self, trial):
            return True

    found = run_judged(Yes(), trial)
    assert (found.verdict, "judges by a bool" in found.said) == ("error", True)


def test_a_verdict_is_one_of_four_words():
    with pytest.raises(ValueError, match="'red' is no verdict"):
        Outcome("red", "x")


def test_equal_to_a_constant_is_not_better_than_one(tmp_path):
    class Constant(Logit):
        """What says the same of every row."""

        def predict_proba(self, X):
            return np.tile([0.9, 0.1], (len(X), 1))

    rows = clicks(4_000)
    rows["y"] = (np.random.default_rng(0).random(len(rows)) < 0.03).astype(int)
    app = click_app(rows, models={"constant": Constant()}, loss="zero_one", groups=())
    found = ready.BeatsBaselines().judge(trial_of(app, tmp_path))
    assert found.verdict != "pass"


def test_rows_that_all_agree_are_no_proof_that_none_will_differ(trial):
    held = trial.events.where(np.arange(100))
    same = np.zeros(100)
    found = loss_difference(named("zero_one"), held, same, same)
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 100))  # Clopper and Pearson's with none of 100
    assert judged(found, 0.001, margin=0.001, what="x").verdict == "underpowered"


@pytest.mark.parametrize("draws", [2_000])
def test_none_of_a_hundred_is_seldom_taken_for_none_at_all(draws):
    # One row in a hundred differs: the upper bound may lie below that in 5 % of draws.
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(draws):
        gaps = (rng.random(100) < 0.01).astype(float)
        high = at_most(gaps, 0.5, margin=0.1, what="x", independent=True).high
        missed += high < 0.01
    assert missed / draws <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / draws)


def test_an_unarmed_red_states_the_chance_that_it_has():
    # A mean that keeps its limit by .04 standard errors is called above it for certain in 4.6 % of cases.
    found = at_most(np.random.default_rng(0).normal(0.9, 1.0, 400), 0.5, margin=0.002, what="x", independent=True)
    assert found.verdict == "fail"
    assert found.blocks_good == pytest.approx(0.046, abs=0.002)
    assert found.blocks_good > BETA
    assert found.blocks_good < ALPHA


def test_a_champion_that_loses_nothing_divides_by_nothing(tmp_path):
    rows = clicks(3_000).assign(y=lambda made: (made["a"] > 0).astype(int))

    class Sure(Logit):
        def predict_proba(self, X):
            up = (X["a"] > 0).to_numpy().astype(float)
            return np.column_stack([1 - up, up])

    app = click_app(rows, models={"sure": Sure()}, loss="zero_one")
    for test in (ready.NotWorse(), ready.GroupsNotWorse()):
        assert run_judged(test, trial_of(app, tmp_path)).verdict in ("pass", "underpowered")


def test_nothing_judged_is_nothing_passed():
    report = GateReport("x", "x", (), (), (), TODAY, None)
    assert report.undecided
    assert report.as_dict()["verdict"] == "undecided"


def test_a_test_that_was_asked_for_and_does_not_apply_is_not_green(tmp_path):
    app = click_app(groups=())
    found = wild.judge(
        app, tests=[ready.GroupsNotWorse(than=0.1), ready.Size()], today=TODAY, past=False, store=tmp_path, jobs=1
    )
    assert found.undecided
    assert [one.test for one in found.verdicts if one.outcome.verdict == "underpowered"] == ["groups not worse"]


def test_small_groups_do_not_hide_behind_great_ones(tmp_path):
    rows = clicks(4_000)
    rows.loc[np.arange(len(rows)) % 40 == 0, "shop"] = "rare"
    trial = trial_of(click_app(rows), tmp_path)
    found = ready.GroupsNotWorse(than=2.0).judge(trial)
    assert found.verdict == "underpowered"
    assert "shop=rare" in found.said


def test_groups_are_judged_by_the_weight_of_their_rows(tmp_path):
    rows = clicks(8_000)
    chance = np.where(rows["a"] > 0, 0.2, 1.0)
    seen = np.random.default_rng(2).random(len(rows)) < chance
    rows = rows.assign(
        chance=chance, y=rows["y"].where(seen).astype("Int64"), known=rows["known"].where(seen).astype("Int64")
    )
    app = click_app(rows, feedback="selective", propensity="chance", features=lambda frame: frame[["a", "b"]])
    trial = trial_of(app, tmp_path)
    found = ready.GroupsNotWorse(than=9.0, fewest=50).judge(trial)
    assert len(found.parts) == 3
    for part in found.parts:
        mine = trial.events.groups["shop"] == part["group"].removeprefix("shop=")
        lost = trial.model.losses(trial.events)[mine]
        assert part["estimate"] == pytest.approx(np.average(lost, weights=trial.events.weight[mine]))


def test_the_constant_is_the_best_one_for_all_rows_where_labels_are_seen_selectively(tmp_path):
    """Of the 8,000 rows of a click rate that is about a half, clicks are seen one time in five."""
    from mlwild.gate.ready.robust import constant_loss
    from mlwild.gate.ready.useful import baselines_of

    rows = clicks(8_000)
    share = rows["y"].astype(float).mean()
    chance = np.where(rows["y"] == 1, 0.2, 1.0)
    seen = np.random.default_rng(2).random(len(rows)) < chance
    rows = rows.assign(
        chance=chance, y=rows["y"].where(seen).astype("Int64"), known=rows["known"].where(seen).astype("Int64")
    )
    app = click_app(rows, feedback="selective", propensity="chance", features=lambda frame: frame[["a", "b"]])
    trial = trial_of(app, tmp_path)
    assert trial.learned.labels.mean() < share - 0.1
    assert baselines_of(trial)["a constant"][0] == pytest.approx(share, abs=0.05)
    lost = [trial.loss.rows(trial.events.labels, np.full(len(trial.events), one)) for one in (share, 0.5 * share)]
    fair, less = (np.average(one, weights=trial.events.weight) for one in lost)
    assert constant_loss(trial) == pytest.approx(fair, abs=0.02)
    assert fair < less


def test_no_calibration_is_asked_of_a_quantile(tmp_path):
    rows = clicks(3_000).assign(y=lambda made: made["a"] + np.random.default_rng(0).exponential(size=len(made)))
    app = small_app(rows, features=lambda frame: frame[["a"]], models={"line": Line()}, loss="pinball_0.9", every=200)
    trial = trial_of(replace(app, start=400), tmp_path)
    assert "asks for no mean" in ready.Calibrated().objection(trial)


def test_a_baseline_does_not_know_the_rows_own_label(tmp_path):
    rows = clicks(3_000).assign(known=lambda made: made["when"])  # known at once
    trial = trial_of(click_app(rows), tmp_path)
    from mlwild.gate.ready.useful import baselines_of

    last = baselines_of(trial)["the last labels known"]
    turned = rows.copy()
    turned.loc[turned["when"] == int(trial.events.time[5]), "y"] ^= 1
    other = trial_of(click_app(turned), tmp_path / "other")
    assert baselines_of(other)["the last labels known"][5] == last[5]


def test_a_test_of_the_champion_waits_until_there_is_one(trial):
    def versus(model, events, champion):
        assert model.mean_loss(events) < 2 * champion.mean_loss(events)

    assert Plain(versus).objection(trial) == ""

    class Alone:
        champion = None
        rehearsal = None

    assert Plain(versus).objection(Alone()) == "nothing was live before it"


def test_test_classes_are_refused_not_ignored(tmp_path):
    (tmp_path / "app.py").write_text("")
    (tmp_path / "app_tests.py").write_text(
        "def test_one(model):\n    assert model.size\n\nclass TestMore:\n    def test_two(self, model):\n        assert 0\n"
    )
    with pytest.raises(AppError, match="TestMore in app_tests.py is a class"):
        load_tests(tmp_path / "app.py")


@pytest.mark.parametrize("why", ["a\rb", "\x7f\x00", 'quote " and \\ back', "tab\tline\n"])
def test_a_waiver_is_read_as_it_was_written(why):
    made = signed("shop", "size", "Ada", TODAY, TODAY, why)
    assert tomllib.loads(made.text())["waiver"][0]["why"] == why
    assert read_waivers(made.text(), "shop", "shop.waivers.toml") == [made]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("waiver = [1]", "waiver 1 is 1, no"),
        ("UNTIL", "'until' of waiver 1 is datetime"),
    ],
)
def test_a_strange_waiver_is_one_sentence(text, said):
    if text == "UNTIL":
        text = signed("shop", "size", "Ada", TODAY, TODAY, "x").text().replace(
            "until = 2026-11-25", "until = 2026-11-25T00:00:00"
        )  # fmt: skip
    with pytest.raises(AppError, match=said):
        read_waivers(text, "shop", "shop.waivers.toml")


@pytest.mark.parametrize("sign", ["\ufffe", "\uffff", "\ud800", "\x00"])
def test_junit_is_xml_whatever_a_test_says(sign):
    verdicts = (Verdict("x", "own", Outcome("fail", f"a{sign}b"), 0.0),)
    text = junit_xml(GateReport("x", "x", verdicts, (), (), TODAY, None))
    assert ElementTree.fromstring(text.encode()).find(".//failure").get("message") == "ab"


UNDER_PYTEST = """
from mlwild.gate.outcome import Outcome, UnderpoweredError

def test_returns_false(model, events):
    return bool(model.mean_loss(events) < 0)

def test_returns_a_fail(model, events):
    return Outcome("fail", "by its own word", n=len(events)) if model.predictions(events).max() < 9 else None

def test_default(model, events, limit=9.9):
    assert model.mean_loss(events) < limit

def test_too_few(model, events):
    if model.predictions(events).max() < 9:
        raise UnderpoweredError("they cannot tell")

def test_folder(model, events, tmp_path):
    (tmp_path / "made").mkdir()
    assert model.mean_loss(events) < 9.9

def test_of_trial(trial):
    trial.model
"""


def test_under_pytest_the_same_counts_as_in_the_gate(tmp_path):
    from tests.gate.test_gating import APP

    (tmp_path / "little.py").write_text(APP)
    (tmp_path / "little_tests.py").write_text(UNDER_PYTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "little_tests.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    for line in (
        "FAILED little_tests.py::test_returns_false",
        "FAILED little_tests.py::test_returns_a_fail",
        "FAILED little_tests.py::test_of_trial",
        "PASSED little_tests.py::test_default",
        "PASSED little_tests.py::test_folder",
        "3 failed, 2 passed, 1 skipped",
    ):
        assert line in done.stdout, (line, done.stdout + done.stderr)


def test_the_card_shows_no_verdict_on_another_model(tmp_path):
    app = click_app(groups=())
    wild.judge(app, tests=[ready.Size()], today=TODAY, past=False, store=tmp_path, jobs=1)
    assert _gate_of(app, tmp_path)

    class Slow(Logit):
        """Another model."""

        def predict_proba(self, X):
            return 0.5 + 0.5 * (super().predict_proba(X) - 0.5)

    other = replace(app, models={"logit": Slow()})
    wild.rehearse(other, store=tmp_path, jobs=1)
    assert not _gate_of(other, tmp_path)


def test_the_card_of_an_app_that_was_moved_with_its_contract_shows_its_verdict(tmp_path):
    app, found = click_app(groups=()), []
    for place in ("here", "there"):
        contract = tmp_path / f"{place}.contract.toml"
        write_contract(app, contract)
        made = replace(app, contract=contract)
        if place == "here":
            wild.judge(made, tests=[ready.Size()], today=TODAY, past=False, store=tmp_path, jobs=1)
        else:
            wild.rehearse(made, store=tmp_path, jobs=1)
        found.append(_gate_of(made, tmp_path))
    assert found == [True, True]


def _gate_of(app, store):
    from mlwild.rehearsal import last_sheet

    return "gate" in last_sheet(app, store=store)


@pytest.mark.parametrize(
    "test",
    [
        ready.Invariant(lambda rows: rows, name="nothing"),
        ready.Directional(lambda rows: rows.assign(b=rows["b"]), sign=1, name="nothing"),
        ready.Monotone("still", sign=1),
    ],
)
def test_what_changes_nothing_tests_nothing(test, tmp_path):
    rows = clicks(3_000).assign(still=1.0)
    app = click_app(rows, features=lambda frame: frame[["a", "b", "still"]])
    found = run_judged(test, trial_of(app, tmp_path))
    assert found.verdict == "error"
    assert "nothing" in found.said


def test_rows_of_an_entity_are_one_case(tmp_path):
    """Forty people with twenty rows each on trial: what moves for one of them is one case of forty."""
    rows = clicks(4_000).assign(person=lambda made: made["when"] % 40)
    app = click_app(rows, entity="person", features=lambda frame: frame[["a", "b"]])
    found = run_judged(ready.Invariant(lambda X: X.assign(a=X["a"] + 1), name="moves"), trial_of(app, tmp_path))
    assert found.n == 40


def test_a_test_cannot_look_behind_its_trial(trial):
    def peeks(trial):
        assert len(trial.survey.labels)

    found = Plain(peeks).judge(trial)
    assert found.verdict == "error"
    assert "a trial has no 'survey' that a test may see" in found.said


def test_published_forecasts_beside_a_features_function_are_not_accused(tmp_path):
    rows = clicks(3_000).assign(said=lambda made: (made["a"] > 0).astype(float) * 0.4 + 0.3)
    app = click_app(rows, models={"published": wild.Forecast("said")})
    tests = [ready.NoLeaks(), ready.Deterministic()]
    found = wild.judge(app, tests=tests, today=TODAY, past=False, store=tmp_path, jobs=1)
    assert not found.blocked, [one.outcome.said for one in found.verdicts]


def test_false_blocks_under_another_loss_are_counted_anew(tmp_path):
    def loses_much(model, events):
        assert model.mean_loss(events) > 0.4

    blocked = []
    for loss in ("log_loss", "brier"):  # about .6 and .2
        app = click_app(clicks(6_000), loss=loss)
        found = wild.judge(app, tests=[loses_much], today=TODAY, store=tmp_path, jobs=1).false_blocks
        assert found.of > 0
        blocked.append(found.blocked / found.of)
    assert blocked == [0.0, 1.0]


def test_what_broke_at_the_end_is_not_held_against_past_champions(tmp_path):
    app = click_app(clicks(6_000), root=tmp_path)
    path = write_contract(app, tmp_path / "clicks.contract.toml").path
    rows = clicks(6_000)
    rows.loc[rows["when"] > 5_990, "shop"] = "nowhere"
    broken = replace(app, data=lambda: rows, contract=path.name)
    found = wild.judge(broken, tests=[ready.KeepsContract(), ready.Size()], today=TODAY, store=tmp_path, jobs=1)
    assert [one.test for one in found.verdicts if one.blocks] == ["keeps its contract"]
    assert (found.false_blocks.of > 0, found.false_blocks.blocked) == (True, 0)
