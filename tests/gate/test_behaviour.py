"""Behaviour when inputs change: edits, directions, faults of single columns, gaps, age, churn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlwild.errors import AppError
from mlwild.gate import ready
from mlwild.gate.run import judged
from mlwild.records import Vintage
from mlwild.stressors import Outliers
from tests.gate.made import Logit, click_app, clicks, replay_of, trial_of


class NoGaps(Logit):
    """A model that refuses gaps."""

    def predict_proba(self, X):
        if X.isna().to_numpy().any():
            raise ValueError("Input X contains NaN.")
        return super().predict_proba(X)


class Filled(Logit):
    """A model that takes gaps for nothing."""

    def fit(self, X, y):
        return super().fit(X.fillna(0.0), y)

    def predict_proba(self, X):
        return super().predict_proba(X.fillna(0.0))


@pytest.fixture(scope="module")
def strong(tmp_path_factory):
    """A model whose answers rise with a and b, and know no idle."""
    rows = clicks(8_000, effect=2.0)
    rows["idle"] = np.random.default_rng(1).normal(size=len(rows))

    class Two(Logit):
        def fit(self, X, y):
            return super().fit(X[["a", "b"]], y)

        def predict_proba(self, X):
            return super().predict_proba(X[["a", "b"]])

    app = click_app(rows, features=lambda frame: frame[["a", "b", "idle"]], models={"two": Two()})
    return trial_of(app, tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        (ready.Invariant(lambda X: X.assign(idle=X["idle"] + 5), name="idle does not matter"), "pass"),
        (ready.Invariant(lambda X: X.assign(a=X["a"] + 5), name="a does not matter"), "fail"),
        (ready.Directional(lambda X: X.assign(a=X["a"] + 1), sign=1), "pass"),
        (ready.Directional(lambda X: X.assign(a=X["a"] + 1), sign=-1), "fail"),
        (ready.Directional(lambda X: X.assign(idle=X["idle"] + 1), sign=-1), "pass"),
        (ready.Monotone("a", sign=1), "pass"),
        (ready.Monotone("a", sign=-1), "fail"),
        (ready.Monotone("idle", sign=-1), "pass"),
        (ready.Monotone("gone", sign=1), "error"),
    ],
)
def test_edits_tell_what_the_model_knows(test, verdict, strong):
    assert judged(test, strong).verdict == verdict


def test_a_hump_is_not_monotone_whatever_its_ends(tmp_path):
    class Hump(Logit):
        """Answers that rise, then fall."""

        def predict_proba(self, X):
            up = np.exp(-np.square(X["a"].to_numpy())) / 2
            return np.column_stack([1 - up, up])

    trial = trial_of(click_app(models={"hump": Hump()}), tmp_path)
    assert judged(ready.Monotone("a", sign=1), trial).verdict == "fail"
    assert judged(ready.Monotone("a", sign=-1), trial).verdict == "fail"


def test_a_wrong_sign_is_refused():
    with pytest.raises(AppError, match="neither 1 nor -1"):
        ready.Directional(lambda X: X, sign=0)


# -- faults of single columns ----------------------------------------------------------------------


def test_a_model_that_leans_on_many_columns_bears_mild_faults(strong):
    found = judged(ready.Corruption(), strong)
    assert found.verdict == "pass", found.said
    cases = {(part["stressor"], part["case"]) for part in found.parts}
    assert {("noise", "a"), ("noise", "idle"), ("outliers", "b")} <= cases
    by = {(part["stressor"], part["case"]): part["rise"] for part in found.parts}
    assert by["noise", "a"] > by["noise", "b"] > abs(by["noise", "idle"])


def test_a_model_that_breaks_at_the_least_outlier_is_red(tmp_path):
    rows = clicks(8_000, effect=2.0)

    class Brittle(Logit):
        """Says the opposite, and is sure of it, wherever a value is far off."""

        def predict_proba(self, X):
            made = super().predict_proba(X)
            far = (np.abs(X["b"].to_numpy()) > 4.5).astype(float)[:, None]
            return (1 - far) * made + far * np.where(made > 0.5, 1e-12, 1 - 1e-12)

    trial = trial_of(click_app(rows, models={"brittle": Brittle()}), tmp_path)
    found = judged(ready.Corruption(stressors=(Outliers((0.1,)),)), trial)
    assert found.verdict == "fail", found.said
    assert "outliers" in found.said
    assert next(part["rise"] for part in found.parts if part["case"] == "b") > 0.5


def test_features_of_long_ago_cost_what_they_carry(strong):
    assert judged(ready.StaleFeatures(0.5, ["idle"]), strong).verdict == "pass"
    assert judged(ready.StaleFeatures(0.5), strong).verdict == "fail"


@pytest.mark.parametrize(("model", "verdict"), [(NoGaps(), "fail"), (Filled(), "pass")])
def test_gaps_that_may_come_are_answered(model, verdict, tmp_path):
    trial = trial_of(click_app(models={"model": model}), tmp_path)
    assert ready.AnswersGaps().objection(trial) == "no feature was ever missing"
    found = judged(ready.AnswersGaps(["a"]), trial)
    assert found.verdict == verdict
    assert verdict == "pass" or "with 'a' missing it gives no answer" in found.said


def test_columns_that_were_missing_before_are_found(tmp_path):
    rows = clicks()
    rows.loc[rows["when"] % 50 == 0, "b"] = np.nan
    trial = trial_of(click_app(rows, models={"filled": Filled()}), tmp_path)
    found = judged(ready.AnswersGaps(), trial)
    assert found.said == "it answers with its one feature missing"


# -- churn -----------------------------------------------------------------------------------------


def test_churn_counts_answers_that_were_right_and_are_wrong(tmp_path):
    trial = trial_of(click_app(clicks(8_000, effect=2.0)), tmp_path)
    found = judged(ready.Churn(), trial)
    assert found.verdict == "pass"
    rows = trial.events
    ours, theirs = ((one.predictions(rows) > 0.5) == (rows.labels > 0.5) for one in (trial.model, trial.champion))
    assert found.estimate == pytest.approx((theirs & ~ours).mean())


def test_a_model_that_turned_round_churns(tmp_path):
    rows = clicks(8_000, effect=2.0)
    rows.loc[rows["when"] >= 4_000, "a"] *= -1  # the sensor was mounted the other way
    replay = replay_of(click_app(rows, windows=[600]), tmp_path)
    turn = int(np.searchsorted(replay.survey.grid.edges, 4_000))
    late = replace(replay.trial(turn + 9), candidate=Vintage(turn + 4, "600"))
    late.__dict__["champion"] = replace(late, candidate=Vintage(turn, "600")).model
    found = judged(ready.Churn(), late)
    # The newer model is right where the older one is wrong: the few cases that the older had right are lost.
    assert found.verdict == "fail"
    assert late.model.mean_loss(late.events) < late.champion.mean_loss(late.events)
    assert found.estimate < 0.4


# -- rows without an answer ------------------------------------------------------------------------


def test_a_row_that_is_refused_is_red_and_named(tmp_path):
    rows = clicks(4_000)
    rows.loc[3_950, "a"] = np.nan  # one row of the last period
    trial = trial_of(click_app(rows, models={"nogaps": NoGaps()}), tmp_path)
    assert len(trial.unanswered) > 1  # the whole batch that it came with
    assert "more got no answer and are left out" in trial.said
    found = judged(ready.AnswersAll(), trial)
    assert found.verdict == "fail"
    assert found.rows == (3_950,)
    assert f"1 of {len(trial.known)} rows get no answer (ValueError: Input X contains NaN.)" in found.said
    assert judged(ready.AnswersAll(at_most=0.01), trial).verdict == "pass"


def test_a_model_that_answers_everything_does(strong):
    found = judged(ready.AnswersAll(), strong)
    assert (found.verdict, found.said) == ("pass", f"all but 0 of {len(strong.events):,} rows get an answer")
