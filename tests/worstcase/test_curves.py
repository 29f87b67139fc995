"""Severity curves: searched on one half, confirmed on the other; faults are told; the limit is found."""

from __future__ import annotations

import numpy as np
import pytest

from mlwild import stressors as st
from mlwild.worstcase.curves import stressed
from mlwild.worstcase.often import often
from tests.gate.made import Logit, click_app, clicks, trial_of


class NoGaps(Logit):
    """A model that refuses gaps, as many do."""

    def predict_proba(self, X):
        if X.isna().to_numpy().any():
            raise ValueError("Input X contains NaN.")
        return super().predict_proba(X)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_of(click_app(clicks(8_000, effect=2.0), models={"logit": NoGaps()}), tmp_path_factory.mktemp("store"))


def test_the_column_that_matters_is_found_and_the_curve_rises(trial):
    found = stressed(trial, [st.Noise()], limit=0.6, limit_is="a test")
    curve = found.curves[0]
    assert curve.case == "a"
    losses = [point.loss for point in curve.points]
    assert found.clean.loss < losses[0] < losses[-1]
    assert curve.fails_at in st.Noise().severities
    assert found.searched == 2 * 5


def test_what_the_model_cannot_answer_is_told_not_raised(trial):
    found = stressed(trial, [st.Missing()], limit=0.6, limit_is="a test")
    assert "ValueError: Input X contains NaN." in found.curves[0].worst.fault
    assert found.worst is None
    assert found.curves[0].fails_at == 0.1


def test_the_worst_of_many_that_do_nothing_is_no_worse_than_calm(trial):
    """Forty cases without effect: the loss that is shown of the worst is that of calm rows, not the luckiest of forty."""

    class Nothing(st.Own):
        """Forty cases that leave the features as they are, on rows that are weighted at random."""

        def cases(self, situation):
            return [str(case) for case in range(40)]

        def apply(self, situation, case, severity, rng):
            from dataclasses import replace

            held = situation.held
            weight = rng.gamma(2.0, size=len(held))
            return situation.with_held(replace(held, weight=weight))

    found = stressed(
        trial, [Nothing(lambda features, severity, rng: features, (1.0,))], limit=9.0, limit_is="a test", rows=2_000
    )
    gap = found.curves[0].points[0].loss - found.clean.loss
    lost = trial.model.losses(trial.events)
    assert abs(gap) < 3.5 * lost.std() / np.sqrt(500)


def test_few_effective_rows_have_no_bound(trial):
    found = stressed(trial, [st.Tilt((8.0,))], limit=0.6, limit_is="a test", rows=600)
    assert np.isnan(found.curves[0].points[0].high)


def test_how_often_is_read_from_the_history(trial):
    learned = trial.learned
    assert often(st.Missing(), "a", 0.5, learned).startswith("never in")
    assert "cannot tell" in often(st.Noise(), "a", 0.5, learned)
    n = len(np.unique(learned.period[learned.period >= 0]))
    assert often(st.Tilt(), "more a", 0.01, learned).startswith("in ")
    assert str(n) in often(st.Stuck(), "a", 0.5, learned)


def test_nothing_that_applies_is_told(trial):
    assert stressed(trial, [st.NewCategory()], limit=1.0, limit_is="a test").left_out == (
        ("new category", "there is nothing that it applies to"),
    )
