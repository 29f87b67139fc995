"""Of use: better than nothing, over all and in every group; not worse than the champion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlwild.gate import baselines
from mlwild.gate.ready.useful import BeatsBaselines, NotWorse, baselines_of
from mlwild.losses import named
from mlwild.wording import number
from tests.gate.made import Logit, click_app, clicks, trial_of


class Shrunk(Logit):
    """A logistic regression that says less than it knows."""

    def __init__(self, by: float = 0.8) -> None:
        self.by = by

    def predict_proba(self, X):
        return 0.5 + self.by * (super().predict_proba(X) - 0.5)


class Contrary(Logit):
    """A model that says the opposite of what it learned."""

    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class Assumes(Logit):
    """A model that takes the effect of `a` to be what it is in the north."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        chance = 1 / (1 + np.exp(-1.2 * X["a"].to_numpy()))
        return np.column_stack([1 - chance, chance])


def test_a_model_with_signal_beats_the_baselines(tmp_path):
    found = BeatsBaselines().judge(trial_of(click_app(), tmp_path))
    assert found.verdict == "pass", found.said
    assert found.high < 0


def test_the_sentence_and_the_numbers_are_of_the_same_baseline(tmp_path):
    """They are those of the baseline that comes nearest; the sentence was of the constant, whichever that was."""
    rows = clicks(4_000, effect=2.0)
    rows["mood"] = np.arange(len(rows)) // 1_000 % 2  # what is usual changes: the last labels know, a constant does not
    rows["y"] = np.where(np.random.default_rng(1).random(len(rows)) < 0.5, rows["mood"], rows["y"])
    trial = trial_of(click_app(rows, features=lambda frame: frame[["a", "b", "mood"]]), tmp_path)
    found, held = BeatsBaselines().judge(trial), trial.events
    truth, ours = held.labels, trial.model.predictions(held)

    def lost(p):
        return float(-np.log(np.where(truth == 1, p, 1 - p)).mean())

    gaps = {f"{name} is": lost(ours) - lost(theirs) for name, theirs in baselines_of(trial).items()}
    assert found.verdict == "pass", found.said
    assert found.estimate == pytest.approx(max(gaps.values()), rel=1e-5)
    nearest = max(gaps, key=gaps.get)
    assert nearest != "a constant is"
    assert f"its loss less that of {nearest} {number(found.estimate, 3)}" in found.said


def test_a_model_that_says_the_opposite_is_red(tmp_path):
    found = BeatsBaselines().judge(trial_of(click_app(models={"contrary": Contrary()}), tmp_path))
    assert found.verdict == "fail"
    assert "a constant" in found.said


def test_a_good_mean_does_not_hide_a_group_that_is_worse_than_nothing(tmp_path):
    rows = clicks(8_000, effect=2.0, flipped="south")
    app = click_app(rows, features=lambda frame: frame[["a", "b"]])
    trial = trial_of(app, tmp_path)
    assert trial.model.mean_loss(trial.events) < 0.6
    found = BeatsBaselines().judge(trial)
    assert found.verdict == "fail"
    assert "shop=south" in found.said


def test_a_group_that_is_worse_for_certain_does_not_wait_for_the_mean(tmp_path):
    """The gain of one group and the loss of the other nearly cancel: the mean cannot tell, and the group can."""
    rows = clicks(8_000, effect=2.0, flipped="east")  # half of the rows
    share = np.where(rows["shop"] == "east", 0.35, 1.0)
    some = (
        rows[np.random.default_rng(0).random(len(rows)) < share].reset_index(drop=True).assign(when=lambda r: r.index)
    )
    app = click_app(some, features=lambda frame: frame[["a"]], models={"assumes": Assumes()}, delay=20, known_at=None)
    trial = trial_of(app, tmp_path)
    rows, ours, theirs = trial.events, trial.model.predictions(trial.events), baselines_of(trial)["a constant"]
    assert BeatsBaselines()._against(trial, rows, ours, theirs, "a constant").verdict == "underpowered"
    found = BeatsBaselines().judge(trial)
    assert found.verdict == "fail"
    assert "shop=east" in found.said


def test_without_signal_nothing_is_green(tmp_path):
    """A model of pure noise breaks the requirement: over 40 draws it may pass with chance .05 each."""
    passed = 0
    for seed in range(40):
        app = click_app(clicks(2_500, seed, effect=0.0), name=f"noise{seed}", groups=())
        passed += BeatsBaselines().judge(trial_of(app, tmp_path)).verdict == "pass"
    assert passed <= 5  # chance of more than 5 of 40 at .05: 1.4 %


def test_a_twin_is_not_worse_and_a_shrunk_one_is(tmp_path):
    trial = trial_of(click_app(), tmp_path)
    assert NotWorse().judge(trial).verdict == "pass"
    worse = trial.fit()
    worse = type(worse)(
        "shrunk", Shrunk(0.2).fit(trial.learned.features, trial.learned.answers), worse.ask, worse.classes, worse.loss
    )
    found = NotWorse().judge(_with(trial, worse))
    assert found.verdict == "fail"
    ours, theirs = (one.losses(trial.events).mean() for one in (worse, trial.champion))
    # Of the difference, not of the limit, beside which it stood.
    assert f"; the difference is {number(100 * (ours / theirs - 1), 2)} % of the champion's loss" in found.said
    assert not found.said.partition("the limit is")[2].split(";")[0].endswith(")")


def test_improvement_has_to_be_shown(tmp_path):
    trial = trial_of(click_app(), tmp_path)
    assert NotWorse(than=-0.02).judge(trial).verdict != "pass"
    worse = type(trial.model)(
        "shrunk",
        Shrunk(0.2).fit(trial.learned.features, trial.learned.answers),
        "probability",
        trial.model.classes,
        trial.loss,
    )
    assert NotWorse(than=-0.02).judge(_with(trial, trial.model, champion=worse)).verdict == "pass"


def _with(trial, model, champion=None):
    """Return a trial of another model."""

    class Other:
        def __getattr__(self, name):
            return getattr(trial, name)

    made = Other()
    made.model, made.champion = model, champion or trial.champion
    return made


def test_persistence_and_seasons_know_only_what_had_arrived(tmp_path):
    trial = trial_of(click_app(), tmp_path)
    before = baselines_of(trial)
    survey = trial.survey
    late = survey.known_at > survey.grid.edges[trial.cutoff]
    assert not late[trial.events.rows].any()
    # By plain loops: the share among the last hundred labels known at each row's time.
    line, rows = trial.timeline, trial.events
    order = sorted(
        (k for k in range(len(line.time)) if line.known_at[k] < np.iinfo(np.int64).max),
        key=lambda k: (line.known_at[k], line.time[k]),
    )
    start = float(baselines.constant(trial.learned.labels, trial.learned.weight, 2, named("log_loss"), "probability"))
    for place in range(0, len(rows), 97):
        seen = [line.labels[k] for k in order if line.known_at[k] <= rows.time[place] and k != rows.rows[place]][-100:]
        assert before["the last labels known"][place] == pytest.approx((sum(seen) + start) / (len(seen) + 1))


def test_the_last_label_of_the_same_entity(tmp_path):
    rng = np.random.default_rng(0)
    n = 3_000
    who, when = rng.integers(0, 20, n), np.arange(n)
    y = who + 0.01 * rng.normal(size=n)
    rows = pd.DataFrame(
        {"when": when, "known": when + 30, "who": who, "a": rng.normal(size=n), "b": rng.normal(size=n), "y": y}
    )
    app = click_app(
        rows,
        models={"line": __import__("tests.support", fromlist=["Line"]).Line()},
        loss="squared",
        groups=(),
        entity="who",
    )
    trial = trial_of(app, tmp_path)
    predicted = baselines_of(trial)["the last labels known"]
    assert np.abs(predicted - trial.events.labels).max() < 0.2
    found = BeatsBaselines().judge(trial)
    assert found.verdict == "fail"
    assert "the last labels known" in found.said


def test_the_hour_of_the_week_follows_the_clocks_of_the_zone():
    summer, winter = (
        pd.Timestamp("2025-07-01 12:30", tz="Europe/Paris"),
        pd.Timestamp("2025-01-07 12:30", tz="Europe/Paris"),
    )
    hours = baselines.hour_of_week(np.array([summer.value, winter.value]), "Europe/Paris")
    assert hours.tolist() == [24 + 12, 24 + 12]
