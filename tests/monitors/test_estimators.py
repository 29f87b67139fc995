"""Estimators of performance: against their statistics, and on planted shifts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import mlwild as wild
from mlwild import monitors
from mlwild.errors import AppError, DataError
from mlwild.losses import named
from mlwild.monitors.signal import objection
from mlwild.records import Vintage
from mlwild.stats.calibration import isotonic
from mlwild.stats.cbpe import cbpe
from mlwild.stats.confidence import confidence_difference, thresholded_confidence
from mlwild.stats.expected_loss import expected_loss
from tests.monitors.planted import ROWS, app_of, history, numbers, regression, triangles_of

LATE = Vintage(4)  # made before the shift, which comes with period 5 of 12
ESTIMATORS = (monitors.CBPE(), monitors.PAPE(), monitors.DoC(), monitors.DirectLoss(), monitors.ClassifierWeighting())


def _came(triangle, vintage, period):
    total, weight = triangle.matrix([vintage])
    return total[0, period] / weight[0, period]


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_expected_loss_of_two_classes_is_cbpe(metric):
    rng = np.random.default_rng(0)
    old, new = rng.random(3000), rng.random(1000)
    curve = isotonic(old, (rng.random(3000) < old**1.5).astype(float))
    loss = named(metric)
    table = np.stack([loss.rows(np.full(1000, k), new) for k in (0, 1)], axis=1)
    ours, theirs = expected_loss(new, table, [curve]), cbpe(new, curve=curve, metric=metric)
    for name in ("estimate", "low", "high", "effective_n", "outside"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-6)
    assert ours.support == theirs.support


@pytest.mark.parametrize("classes", [2, 4])
def test_intervals_of_expected_losses_hold_what_came(classes):
    # 300 draws under covariate shift: a nominal 95 %; its standard error is 1.3 %.
    rng = np.random.default_rng(1)
    loss, inside = named("log_loss"), 0

    def rows(n, shift):
        raw = np.exp(rng.normal(shift, 1, size=(n, classes)) * np.arange(1, classes + 1) / classes)
        truth = raw / raw.sum(axis=1, keepdims=True)
        labels = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, classes - 1)
        stated = truth**0.7 / (truth**0.7).sum(axis=1, keepdims=True)  # not calibrated
        return labels, stated

    for _ in range(300):
        (y, p), (z, q) = rows(2000, 0.0), rows(1000, 0.3)
        table = np.stack([loss.rows(np.full(1000, k), q) for k in range(classes)], axis=1)
        if classes == 2:
            found = expected_loss(q[:, 1], table, [isotonic(p[:, 1], (y == 1) * 1.0)])
        else:
            found = expected_loss(q, table, [isotonic(p[:, k], (y == k) * 1.0) for k in range(classes)])
        inside += found.low <= loss.rows(z, q).mean() <= found.high
    assert 0.90 <= inside / 300 <= 0.99


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(DataError, match="one curve for two classes"):
        expected_loss(np.full(4, 0.5), np.zeros((4, 3)), [isotonic(np.arange(4.0), np.arange(4.0))])


def test_covariate_shift_is_estimated_and_concept_shift_is_not(tmp_path):
    found = {}
    for kind in ("covariate", "concept"):
        frame = history(kind, 3, rows=1000)
        triangle = triangles_of(app_of(frame, rows=1000), tmp_path / kind)[0]
        before = triangle.tally.made
        came = _came(triangle, LATE, 6)
        for monitor in ESTIMATORS:
            signal = triangle.signal(LATE, 7, monitor)
            scene = triangle.scene(LATE, 7)
            found[kind, monitor.name] = signal, came, scene.reference_loss
        assert triangle.tally.made == before  # nothing was fitted
    for monitor in ESTIMATORS:
        signal, came, reference = found["covariate", monitor.name]
        assert came - reference > 0.15
        assert abs(signal.estimate - came) < 0.05, monitor.name
        assert signal.value == pytest.approx(signal.estimate - reference)
        signal, came, reference = found["concept", monitor.name]
        assert came - reference > 0.5
        assert abs(signal.value) < 0.05, monitor.name  # blind by its assumption


def test_pape_sees_a_shift_that_the_score_does_not_show(tmp_path):
    # The model reads a alone; the label also hangs on b, whose mix changes.
    rng = np.random.default_rng(5)
    frame = history("none", 5, rows=1000)
    late = frame["when"] >= 7000
    frame["b"] = np.where(rng.random(len(frame)) < np.where(late, 0.9, 0.3), 1.0, -1.0)
    slope = np.where(frame["b"] > 0, 0.3, 3.0)
    frame["y"] = (rng.random(len(frame)) < 1 / (1 + np.exp(-slope * frame["a"]))).astype(int)

    def train(X, y):
        model = LogisticRegression().fit(X[["a"]], y)
        return lambda X: model.predict_proba(X[["a"]])[:, 1]

    triangle = triangles_of(app_of(frame, rows=1000, models={"blind": train}), tmp_path)[0]
    came = _came(triangle, LATE, 6)
    off = {monitor.name: abs(triangle.signal(LATE, 7, monitor).estimate - came) for monitor in ESTIMATORS}
    assert off["CBPE"] > 0.08
    assert max(off["PAPE"], off["classifier weighting"], off["direct loss"]) < 0.05


def test_regression_is_estimated_from_features_alone(tmp_path):
    frame = history("covariate", 7, rows=1500)  # rows move to where the noise is
    triangle = triangles_of(regression(frame, rows=1500), tmp_path)[0]
    came = _came(triangle, LATE, 6)
    slices = {"noisy": lambda rows: rows["a"].abs() < 0.5}
    for monitor in (monitors.DirectLoss(), monitors.ClassifierWeighting(), monitors.Mandoline(slices)):
        signal = triangle.signal(LATE, 7, monitor)
        assert came - triangle.scene(LATE, 7).reference_loss > 1.0
        assert signal.estimate == pytest.approx(came, rel=0.15), monitor.name
    assert triangle.signal(LATE, 7, monitors.Disagreement()).value >= 0
    for monitor in (monitors.CBPE(), monitors.PAPE(), monitors.DoC(), monitors.ATC()):
        said = objection(monitor, named("squared"))
        assert said.endswith("and the loss 'squared' asks models for values."), said
        assert triangle.signal(LATE, 7, monitor).why == said


def test_noisy_slices_are_corrected(tmp_path):
    frame = history("covariate", 8, rows=1500)
    rng = np.random.default_rng(8)
    truly = frame["a"].abs() < 0.5
    frame["flag"] = truly ^ (rng.random(len(frame)) < 0.15)
    app = regression(frame, rows=1500, features=lambda rows: rows[["a", "b", "flag"]].astype(float))
    triangle = triangles_of(app, tmp_path)[0]
    seen = {"noisy": lambda rows: rows["flag"] > 0.5}
    came = _came(triangle, LATE, 6)
    plain = triangle.signal(LATE, 7, monitors.Mandoline(seen)).estimate
    mended = triangle.signal(LATE, 7, monitors.Mandoline(seen, noise={"noisy": (0.15, 0.15)})).estimate
    assert abs(mended - came) < abs(plain - came)
    assert mended == pytest.approx(came, rel=0.15)


def test_a_slice_without_support_is_refused_by_name(tmp_path):
    frame = history("none", 9)
    frame.loc[frame["when"] >= 7 * ROWS, "b"] += 100
    triangle = triangles_of(app_of(frame), tmp_path)[0]
    signal = triangle.signal(LATE, 7, monitors.Mandoline({"far": lambda rows: rows["b"] > 50}))
    assert np.isnan(signal.value)
    assert not signal.acts
    assert "'far' = 1: 100% of the new rows, 0 labelled rows" in signal.why


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda rows: rows["a"], "gave float64"),
        (lambda rows: [True], "for 300 rows"),
        (lambda rows: rows["a"] * 0 + 2, "boolean"),
    ],
)
def test_a_slice_function_that_gives_no_slice_is_refused(tmp_path, function, said):
    triangle = triangles_of(app_of(history("none", 9)), tmp_path)[0]
    with pytest.raises(DataError, match=said):
        triangle.signal(LATE, 7, monitors.Mandoline({"odd": function}))


def test_confidence_monitors_are_those_of_their_papers(tmp_path):
    triangle = triangles_of(app_of(history("covariate", 11)), tmp_path)[0]
    scene = triangle.scene(LATE, 7)
    p, y, q = scene.known.predictions, scene.known.labels, scene.window.predictions
    right = ((p >= 0.5) == y).astype(float)
    sure, fresh = np.maximum(p, 1 - p), np.maximum(q, 1 - q)
    atc = thresholded_confidence(fresh, reference_confidence=sure, reference_correct=right)
    score = triangle.signal(LATE, 7, monitors.ATC())
    assert score.value == pytest.approx(right.mean() - atc.estimate)
    assert np.isnan(score.estimate)  # the loss is another
    # With the error rate as the loss, DoC is Guillory's.
    loss = wild.Loss(lambda y, p: (y != (p >= 0.5)).astype(float), "errors", predicts="probability", bounds=(0, 1))
    doc = confidence_difference(fresh, reference_confidence=sure, reference_correct=right)
    other = triangles_of(app_of(history("covariate", 11), loss=loss), tmp_path / "errors")[0]
    assert other.signal(LATE, 7, monitors.DoC()).estimate == pytest.approx(1 - doc.estimate)
    rate = other.signal(LATE, 7, monitors.ATC())
    assert (rate.estimate, rate.low, rate.high) == pytest.approx((1 - atc.estimate, 1 - atc.high, 1 - atc.low))
    assert rate.value == pytest.approx(right.mean() - atc.estimate)
    assert rate.support == atc.support
    assert other.signal(LATE, 7, monitors.CBPE()).estimate == pytest.approx(
        1 - cbpe(q, curve=isotonic(p, y.astype(float))).estimate
    )


def _errors(better):
    """Return the rate of errors of the most probable class as a user writes it, or that of hits."""
    return wild.Loss(
        lambda y, p: ((y == p.argmax(axis=1)) == (better == "greater")).astype(float),
        "errors", predicts="probabilities", bounds=(0, 1), better=better,
    )  # fmt: skip


@pytest.mark.parametrize("better", ["lower", "greater"])
def test_atc_estimates_error_rates_of_many_classes(tmp_path, better):
    frame = history("none", 16, rows=1000)
    frame["y"] = frame["y"] + (np.random.default_rng(0).random(len(frame)) < 0.2)
    app = app_of(frame, rows=1000, models={"many": LogisticRegression()}, loss=_errors(better))
    triangle = triangles_of(app, tmp_path)[0]
    signal = triangle.signal(LATE, 7, monitors.ATC())
    assert signal.low < _came(triangle, LATE, 6) < signal.high
    assert signal.value == pytest.approx(signal.estimate - triangle.scene(LATE, 7).reference_loss)
    half = wild.Loss(lambda y, p: 0.5 * (y != p.argmax(axis=1)), "half", predicts="probabilities", bounds=(0, 1))
    other = triangles_of(app_of(frame, rows=1000, models={"many": LogisticRegression()}, loss=half), tmp_path / "half")
    assert np.isnan(other[0].signal(LATE, 7, monitors.ATC()).estimate)


def test_calibration_that_drifts_in_the_reference_widens_intervals(tmp_path):
    steady = history("none", 17, rows=1000)
    rng, slope = np.random.default_rng(17), np.exp(np.random.default_rng(18).normal(0, 0.6, 14))
    restless = steady.copy()
    chance = 1 / (1 + np.exp(-2 * slope[restless["when"] // 1000] * restless["a"]))
    restless["y"] = (rng.random(len(restless)) < chance).astype(int)
    width = {}
    for name, frame in (("steady", steady), ("restless", restless)):
        triangle = triangles_of(app_of(frame, rows=1000), tmp_path / name)[0]
        for monitor in (monitors.CBPE(), monitors.PAPE()):
            signal = triangle.signal(LATE, 7, monitor)
            width[name, monitor.name] = signal.high - signal.low
    for name in ("CBPE", "PAPE"):
        assert width["restless", name] > 2 * width["steady", name]


def test_disagreement_counts_rows_that_differ(tmp_path):
    def far(X, y):
        return lambda X: (X["a"] > 0.5).to_numpy().astype(int)

    def near(X, y):
        return lambda X: (X["a"] > 0.0).to_numpy().astype(int)

    app = app_of(history("none", 12), models={"near": near, "far": far}, loss="zero_one")
    triangle = triangles_of(app, tmp_path)[0]
    window = triangle.scene(LATE, 7).window.frame()["a"]
    share = float(((window > 0) & (window <= 0.5)).mean())
    signal = triangle.signal(LATE, 7, monitors.Disagreement("far"))
    assert signal.estimate == pytest.approx(share)
    assert signal.low < share < signal.high
    assert triangle.signal(LATE, 7, monitors.Disagreement()).value == 0.0
    assert "asks models for classes" in objection(monitors.CBPE(), named("zero_one"))
    with pytest.raises(AppError, match="no other model 'nobody'; there is 'far'"):
        triangle.signal(LATE, 7, monitors.Disagreement("nobody"))


def test_many_classes(tmp_path):
    frame = history("covariate", 13, rows=1000)
    frame["y"] = frame["y"] + (np.random.default_rng(0).random(len(frame)) < 0.2)
    app = app_of(frame, rows=1000, models={"many": LogisticRegression()})
    triangle = triangles_of(app, tmp_path)[0]
    came = _came(triangle, LATE, 6)
    for monitor in (*ESTIMATORS, monitors.ATC(), monitors.PredictionDrift(), monitors.Disagreement()):
        signal = triangle.signal(LATE, 7, monitor)
        assert np.isfinite(signal.value), monitor.name
        if np.isfinite(signal.estimate):
            assert abs(signal.estimate - came) < 0.08, monitor.name


def test_the_auc_is_estimated_and_other_sets_are_refused(tmp_path):
    frame = history("covariate", 14, rows=1000)
    triangle = triangles_of(app_of(frame, rows=1000, loss="auc"), tmp_path)[0]
    came = _came(triangle, LATE, 6)
    for monitor in (monitors.CBPE(), monitors.PAPE()):
        signal = triangle.signal(LATE, 7, monitor)
        assert signal.low < came < signal.high
        assert abs(signal.estimate - came) < 0.05
    assert "f1" not in [monitor.name for monitor in monitors.standard(named("f1"))]
    assert "'average_precision' is a loss of a set" in objection(monitors.CBPE(), named("average_precision"))
    assert "needs a loss by row" in objection(monitors.DirectLoss(), named("rmse"))
    # What needs no losses by row is left for every loss.
    kept = {monitor.name for monitor in monitors.standard(named("rmse"))}
    assert {"labelled loss", "known staleness", "age", "predictions (KS)", "worst feature (PSI)"} <= kept


def test_few_labels_and_selective_ones_are_said(tmp_path):
    frame = history("none", 15, delay=10**6)
    frame.loc[:650, "known"] = frame["when"]
    triangle = triangles_of(app_of(frame), tmp_path)[0]
    # Vintages learn from the first rows; the reference of this one has hardly a label.
    assert "labels of the reference are known; it takes 100" in triangle.signal(LATE, 7, monitors.CBPE()).why
    assert np.isfinite(triangle.signal(LATE, 7, monitors.PredictionDrift()).value)
    frame = history("none", 15)
    frame["chance"] = 0.9
    app = app_of(frame, feedback="selective", propensity="chance", features=numbers)
    triangle = triangles_of(app, tmp_path / "selective")[0]
    assert "labels depend on the model's decisions" in triangle.signal(LATE, 7, monitors.CBPE()).why
