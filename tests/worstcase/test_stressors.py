"""Stressors: what each does to a column, to labels and to weights; nothing that it was not asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlwild import stressors as st
from mlwild.errors import AppError
from mlwild.stressors.situation import Situation
from tests.gate.made import Line, click_app, clicks, small_app, trial_of

#: What changes no column by itself.
OF_MORE = (
    "label flips",
    "label delay",
    "population tilt",
    "feed stops",
    "missing feed",
    "repeated batch",
    "out of order",
)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """Return a situation with a column of numbers, one of whole numbers and one of words."""
    rows = clicks()
    rows["whole"] = (10 * rows["a"]).round().astype(int)

    class Numbers(Line):
        """What reads the numbers only."""

        def fit(self, X, y):
            return super().fit(X[["a", "b"]].fillna(0.0), y)

        def predict(self, X):
            return super().predict(X[["a", "b"]].fillna(0.0))

    app = small_app(
        rows.assign(y=rows["a"] + 0.1 * rows["b"]),
        features=lambda frame: frame[["a", "b", "whole", "shop"]],
        models={"line": Numbers()},
        every=200,
        start=400,
    )
    trial = trial_of(app, tmp_path_factory.mktemp("store"))
    return Situation(trial, trial.model, trial.events)


def column(situation, name):
    return situation.held.table.column(name).to_pandas()


def under(stressor, calm, case, severity, seed=0):
    return stressor.apply(calm, case, severity, np.random.default_rng(seed))


@pytest.mark.parametrize("stressor", st.standard(), ids=lambda one: one.name)
def test_it_leaves_what_it_was_given_as_it_was_and_does_the_same_twice(stressor, calm):
    before = calm.held.table.to_pandas()
    for case in list(stressor.cases(calm))[:3]:
        once, again = (under(stressor, calm, case, stressor.severities[-1]) for _ in range(2))
        pd.testing.assert_frame_equal(once.held.table.to_pandas(), again.held.table.to_pandas())
        assert len(once.held) == len(calm.held)
        assert (once.held.labels == calm.held.labels).all()
    pd.testing.assert_frame_equal(calm.held.table.to_pandas(), before)


@pytest.mark.parametrize(
    "stressor",
    [one for one in st.standard() if one.name not in OF_MORE],
    ids=lambda one: one.name,
)
def test_only_the_columns_of_the_case_change(stressor, calm):
    case = next(iter(stressor.cases(calm)))
    made = under(stressor, calm, case, stressor.severities[-1])
    named = case.split(" and ") if " and " in case else [case]
    for name in calm.held.columns:
        if name not in named:
            assert column(made, name).equals(column(calm, name))


def test_noise_has_the_size_that_is_asked_for(calm):
    moved = column(under(st.Noise(), calm, "a", 0.5), "a") - column(calm, "a")
    assert moved.std() == pytest.approx(0.5 * column(calm, "a").std(ddof=0), rel=0.1)


def test_missing_hides_the_share_and_a_greater_one_hides_those_too(calm):
    few, many = (column(under(st.Missing(), calm, "a", share), "a").isna() for share in (0.1, 0.5))
    assert few.sum() == round(0.1 * len(few))
    assert (few <= many).all()
    assert column(under(st.Missing(), calm, "shop", 1.0), "shop").isna().all()


def test_units_and_signs(calm):
    assert np.allclose(column(under(st.UnitSlip(), calm, "a", 1000.0), "a"), 1000 * column(calm, "a"))
    assert np.allclose(column(under(st.SignFlip(), calm, "a", 1.0), "a"), -column(calm, "a"))
    whole = under(st.UnitSlip(), calm, "whole", 10.0)
    assert str(whole.held.table.schema.field("whole").type) == "int64"


def test_swapped_columns_change_places(calm):
    made = under(st.Swapped(), calm, "a and b", 1.0)
    assert column(made, "a").equals(column(calm, "b").rename("a"))
    assert column(made, "b").equals(column(calm, "a").rename("b"))


def test_a_stuck_value_is_one_run(calm):
    held = column(under(st.Stuck(), calm, "a", 0.25), "a")
    runs = (held != held.shift()).cumsum().value_counts()
    assert runs.max() == round(0.25 * len(held))


def test_stale_values_are_those_of_a_while_ago(calm):
    n, periods = len(calm.held), len(np.unique(calm.held.period))
    back = round(n / periods)
    made = column(under(st.Stale(), calm, "a", 1.0), "a")
    assert made.iloc[back:].reset_index(drop=True).equals(column(calm, "a").iloc[: n - back].reset_index(drop=True))


def test_a_new_category_is_put_into_words_only(calm):
    assert list(st.NewCategory().cases(calm)) == ["shop"]
    made = column(under(st.NewCategory(), calm, "shop", 0.1), "shop")
    assert (made == "never seen before").mean() == pytest.approx(0.1, abs=0.001)


def test_outliers_are_far_and_as_many_as_asked(calm):
    old = column(calm, "a")
    made = column(under(st.Outliers(), calm, "a", 0.05), "a")
    far = (made - old.mean()).abs() > 9 * old.std()
    assert far.mean() == pytest.approx(0.05, abs=0.001)


def test_quantised_values_are_few(calm):
    assert column(under(st.Quantised(), calm, "a", 1.0), "a").nunique() < 12


def test_a_tilt_moves_the_mean_by_its_severity(calm):
    made = under(st.Tilt(), calm, "more a", 0.5)
    old = column(calm, "a")
    mean = np.average(old, weights=made.held.weight)
    assert mean - old.mean() == pytest.approx(0.5 * old.std(), rel=0.15)
    assert made.held.table is calm.held.table


def test_a_regime_gets_its_share_of_the_weight(calm):
    first = int(calm.held.period.min())
    only = st.Only([("first", (first,)), ("none", (10**6,))])
    assert list(only.cases(calm)) == ["first"]
    made = under(only, calm, "first", 0.9)
    inside = calm.held.period == first
    assert made.held.weight[inside].sum() / made.held.weight.sum() == pytest.approx(0.9)


def test_flipped_labels_make_a_worse_model(tmp_path):
    trial = trial_of(click_app(clicks(effect=2.0)), tmp_path)
    calm = Situation(trial, trial.model, trial.events)
    lost = [under(st.LabelFlips(), calm, "labels", share).model.mean_loss(trial.events) for share in (0.1, 0.3)]
    assert trial.model.mean_loss(trial.events) < lost[0] < lost[1]


def test_late_labels_leave_the_newest_rows_out(tmp_path):
    trial = trial_of(click_app(), tmp_path)
    calm = Situation(trial, trial.model, trial.events)
    seen = []
    fit = type(trial).fit

    def spy(self, learned=None, **given):
        seen.append(learned)
        return fit(self, learned, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(trial), "fit", spy)
        under(st.LabelDelay(), calm, "labels", 4.0)
    newest = seen[0].period.max()
    assert newest == trial.learned.period.max() - 4


def test_your_own_is_one_function(calm):
    def heat(features, degrees, rng):
        return features.assign(a=features["a"] + degrees)

    made = under(st.Own(heat, (1.0, 2.0), unit="degrees"), calm, "all rows", 2.0)
    assert np.allclose(column(made, "a"), column(calm, "a") + 2.0)
    assert made.model.predict(made.held.features).mean() != pytest.approx(calm.model.predict(calm.held.features).mean())


def test_one_that_loses_rows_is_refused(calm):
    short = st.Own(lambda features, severity, rng: features.iloc[:5], (1.0,), name="short")
    with pytest.raises(AppError, match="5 rows for"):
        under(short, calm, "all rows", 1.0)


def test_what_is_no_function_is_refused():
    with pytest.raises(AppError, match="is not a function"):
        st.Own("heat", (1.0,))
    with pytest.raises(AppError, match="give one at least"):
        st.Own(lambda features, severity, rng: features, ())


def test_two_are_one_after_the_other(calm):
    both = st.Both(st.UnitSlip((10.0,)), st.SignFlip((1.0,)))
    made = under(both, calm, "a", both.severities[-1])
    assert np.allclose(column(made, "a"), -10 * column(calm, "a"))
