"""What a doubting reader found in the stress of an app: each was wrong once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

import mlwild as wild
from mlwild import stressors as st
from mlwild.errors import AppError
from mlwild.stressing import _ordered
from mlwild.wording import number
from mlwild.worstcase.curves import Curve, Point, Stressed, stressed
from mlwild.worstcase.kept import hardest
from mlwild.worstcase.report import WorstCase
from mlwild.worstcase.searched import fit_mean
from mlwild.worstcase.vector import of_groups
from tests.gate.made import Line, click_app, clicks, replay_of, small_app, trial_of


class Cubes(Line):
    """A line through a, which cannot do without b and errs the more the greater a is."""

    def fit(self, X, y):
        return super().fit(X.fillna(0.0), y)

    def predict(self, X):
        if X["b"].isna().any():
            raise ValueError("b is missing.")
        return super().predict(X.fillna(5.0))


def values(n=4_000, seed=0):
    rows = clicks(n, seed)
    return rows.assign(y=rows["a"] + 0.1 * rows["b"])


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    app = small_app(
        values(),
        features=lambda frame: frame[["a", "b"]],
        models={"cubes": Cubes()},
        loss="squared",
        every=200,
        start=400,
    )
    return trial_of(app, tmp_path_factory.mktemp("store"))


def test_both_halves_hold_both_sensors_where_they_take_turns(tmp_path):
    rows = values()
    noisy = np.arange(len(rows)) % 2 == 0
    rows["y"] += np.where(noisy, 3.0, 0.01) * np.random.default_rng(1).normal(size=len(rows))
    app = small_app(
        rows, features=lambda frame: frame[["a", "b"]], models={"line": Line()}, loss="squared", every=200, start=400
    )
    sensors = trial_of(app, tmp_path)
    found = stressed(sensors, [st.Noise()], limit=99.0, limit_is="a test")
    lost = sensors.model.losses(sensors.events)
    assert found.clean.loss == pytest.approx(lost.mean(), rel=0.25)
    assert lost[::2].mean() > 100 * lost[1::2].mean()  # halves by turns would show one sensor


def test_a_case_without_an_answer_does_not_hide_the_worst_one_with_an_answer(trial):
    found = stressed(trial, [st.Missing()], limit=9.0, limit_is="a test")
    curve, point = found.worst
    assert curve.case == "a"
    assert point.loss > 10 * found.clean.loss
    assert [one.case for one, _ in found.mute] == ["b"]
    assert "b is missing" in found.mute[0][1].fault


def test_the_worst_severity_need_not_be_the_greatest(trial):
    def bump(features, severity, rng):
        return features.assign(a=features["a"] + (9.0 if severity == 2.0 else 0.0))

    found = stressed(trial, [st.Own(bump, (1.0, 2.0, 3.0))], limit=9.0, limit_is="a test")
    assert found.worst[1].severity == 2.0


def test_what_rests_on_few_rows_is_no_worst_case(trial):
    found = stressed(trial, [st.Tilt((8.0,)), st.Noise((0.1,))], limit=9.0, limit_is="a test", rows=600)
    assert found.worst[0].stressor == "noise"


def test_a_function_that_changes_its_argument_changes_no_other_run(trial):
    def in_place(features, severity, rng):
        features["a"] += severity
        return features

    pure = st.Own(lambda features, severity, rng: features.assign(a=features["a"] + severity), (1.0, 2.0), name="pure")
    before = stressed(trial, [pure], limit=9.0, limit_is="a test").curves[0]
    mine = stressed(trial, [st.Own(in_place, (1.0, 2.0))], limit=9.0, limit_is="a test").curves[0]
    after = stressed(trial, [pure], limit=9.0, limit_is="a test").curves[0]
    assert (
        [one.loss for one in before.points] == [one.loss for one in mine.points] == [one.loss for one in after.points]
    )


def test_what_a_users_function_raises_is_its_own_fault(trial):
    def heat_wave(features, severity, rng):
        return features.assign(temperature=features["temp"] + severity)

    with pytest.raises(AppError, match="'heat wave' raised KeyError"):
        stressed(trial, [st.Own(heat_wave, (1.0,))], limit=9.0, limit_is="a test")


@dataclass(frozen=True)
class Other:
    """A stressor that returns other rows."""

    severities: tuple[float, ...] = (1.0,)
    name: str = "other"

    def cases(self, situation):
        return ["all"]

    def apply(self, situation, case, severity, rng):
        return situation.with_held(situation.held.where(np.arange(len(situation.held) - 1)))


def test_other_rows_are_refused(trial):
    with pytest.raises(AppError, match="'other' returned 79[0-9] rows for [78][0-9][0-9], or others"):
        stressed(trial, [Other()], limit=9.0, limit_is="a test")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda features: features, "is no stressor"),
        (st.Noise, "is no stressor"),
        (st.Noise(severities=()), "'noise' has no severity"),
        (st.Noise(severities=3.0), "Give a sequence of numbers"),
        (st.Noise(severities=(1.0, float("nan"))), "no finite number"),
        (st.Own(lambda f, s, r: f, (1.0,), name="noise"), "'noise' is there twice"),
    ],
)
def test_what_cannot_be_run_is_told_before_the_work(bad, said, tmp_path):
    with pytest.raises(AppError, match=said):
        wild.stress(click_app(), stressors=[st.Noise(), bad], store=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [float("nan"), float("inf")])
def test_a_limit_that_nothing_can_be_above_is_refused(limit, tmp_path):
    with pytest.raises(AppError, match="no finite loss"):
        wild.stress(click_app(), limit=limit, store=tmp_path)


def test_past_trials_know_no_regime_of_the_whole_history():
    regimes = st.Only([("regime 1", (1, 2)), ("regime 2", (3,))])
    assert [one.name for one in hardest([st.Noise(), regimes])] == ["noise"]


def test_a_short_history_names_what_was_not_judged_and_claims_no_bound(tmp_path):
    # Ten settled periods: no bound for periods (12 at least), a window of four all the same.
    app = click_app(clicks(2_400), groups=())
    report = wild.stress(app, stressors=[st.Noise((1.0,))], store=tmp_path, jobs=1)
    reasons = dict(report.not_judged)
    assert reasons["group"] == "the app declares no groups"
    worst = {one.kind: one for one in report.worst}
    assert np.isnan(worst["window"].high)
    assert worst["window"].loss < worst["period"].loss
    assert "the bound is" not in worst["window"].often


def test_why_no_stress_is_a_worst_case_is_said_of_what_was_answered():
    """A table of stresses that were answered stood below the sentence that none was."""

    def under(*points):
        curves = (Curve("noise", "", "a", points, math.nan, 1),) if points else ()
        return Stressed(Point(0.0, 0.5, 0.4, 0.6, 80), 0.6, "a test", curves, len(points), ())

    mute = Point(1.0, math.nan, math.nan, math.nan, 80, "ValueError: no")
    few, unbounded = (Point(1.0, 0.5, math.nan, math.nan, n) for n in (83, 1_500))
    assert under(Point(1.0, 0.5, 0.4, 0.6, 80)).why_no_worst == ""
    assert under().why_no_worst == "no stress applies"
    assert under(mute).why_no_worst == "the model answers under none that applies"
    assert under(mute, few).why_no_worst == "none was answered on more than 83 rows, and a bound takes 100"
    assert under(few, unbounded).why_no_worst == "no loss under stress has a bound, on 1,500 rows at most"


def test_of_a_short_history_the_stress_that_was_answered_is_not_said_to_be_none(tmp_path):
    report = wild.stress(
        click_app(clicks(300), every=20, start=100), stressors=[st.Noise((1.0,))], store=tmp_path, jobs=1
    )
    assert report.stressed.worst is None
    (point,) = report.stressed.curves[0].points
    assert point.n >= 30
    assert not point.fault
    assert dict(report.not_judged)["stress"] == (
        f"none was answered on more than {point.n} rows, and a bound takes 100"
    )


def test_no_bound_passes_the_greatest_loss_there_is(tmp_path):
    rows = clicks(6_000, effect=0.3)
    report = wild.stress(click_app(rows, loss="zero_one"), stressors=[st.Noise((1.0,))], store=tmp_path, jobs=1)
    assert all(one.high <= 1.0 for one in (*report.worst, *report.next_) if np.isfinite(one.high))


def test_slices_are_not_searched_where_rows_weigh_differently(tmp_path):
    rows = clicks(4_000)
    chance = np.where(rows["a"] > 0, 0.3, 1.0)
    seen = np.random.default_rng(2).random(len(rows)) < chance
    rows = rows.assign(chance=chance, y=rows["y"].where(seen), known=rows["known"].where(seen).astype("Int64"))
    app = click_app(rows, feedback="selective", propensity="chance", features=lambda frame: frame[["a", "b"]])
    report = wild.stress(app, stressors=[st.Noise((1.0,))], store=tmp_path, jobs=1)
    assert "propensity" in dict(report.not_judged)["slice"]
    assert not {"slice", "subpopulation"} & {one.kind for one in report.worst}


def test_a_missing_group_is_not_the_word_for_it(tmp_path):
    from mlwild.worstcase.live import Live

    rows = clicks(3_000)
    rows["shop"] = rows["shop"].map({"east": "None", "north": "nan", "south": None}).astype(object)
    live = Live(replay_of(click_app(rows, features=lambda frame: frame[["a", "b"]]), tmp_path))
    assert {name for name, _ in live.groups} == {"shop = None", "shop = nan", "shop = (missing)"}


def test_an_app_that_never_errs_can_be_rehearsed(tmp_path):
    rows = values().assign(y=0.0)

    class Nothing(Line):
        def predict(self, X):
            return np.zeros(len(X))

    app = small_app(rows, features=lambda frame: frame[["a"]], models={"nothing": Nothing()}, every=200, start=400)
    assert wild.rehearse(replace(app, name="perfect"), store=tmp_path, jobs=1).sheet["rules"]


def test_expected_losses_are_learned_beside_a_feature_that_is_always_missing():
    x = np.random.default_rng(0).normal(size=400)
    expected = fit_mean(np.column_stack([x, np.full(400, np.nan)]), x**2)
    found = expected(np.column_stack([x, np.full(400, 7.0)]))
    assert np.corrcoef(found, x**2)[0, 1] > 0.7


def test_what_chance_explains_heads_no_page():
    slice_ = WorstCase("slice", "x < 1", 0.9, 2.0, 0.95, 40, "rows", 1000, "", confirmed=False)
    period = WorstCase("period", "one", 0.8, 1.0, 0.95, 40, "periods", 40, "")
    window = WorstCase("window", "four", 1.5, np.nan, 0.95, 4, "periods", 1, "")
    assert [one.kind for one in _ordered([slice_, period, window])] == ["window", "period", "slice"]


def test_where_another_group_lost_more_than_the_one_with_the_highest_bound_it_is_named():
    """The row of the worst group said 1.34 where another had lost 1.46: the one may lose more, the other did."""
    rng = np.random.default_rng(0)
    many, few = 1.0 + 0.1 * rng.normal(size=1600), np.where(np.arange(80) % 17 == 0, 12.0, 0.2)
    losses = np.concatenate([many, few])
    inside = np.arange(len(losses)) < len(many)
    live = SimpleNamespace(
        known=lambda cutoff: np.ones(len(losses), bool), groups=[("kind = many", inside), ("kind = few", ~inside)],
        period=np.arange(len(losses)) % 16, losses=losses, weight=np.ones(len(losses)),
    )  # fmt: skip
    found = of_groups(live, 16, 20)
    assert few.mean() < many.mean() < found.high
    assert (found.loss, found.n) == (pytest.approx(few.mean()), 80)
    assert found.what.startswith(f"kind = few (most was lost in kind = many: {number(many.mean())}, at most ")
    live.losses = np.concatenate([many, few + 3.0])
    assert of_groups(live, 16, 20).what == "kind = few"
