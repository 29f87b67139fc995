"""Curves and thresholds of a slice, against other libraries and brute force; elsewhere nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlwild.errors import AppError
from mlwild.losses import Loss, named
from mlwild.remedies import Recalibrated, fits
from mlwild.remedies.curves import best_threshold, line, logit, platt
from tests.remedies.planted import history


def data(n=3000, seed=0):
    """Return features without the slice, labels and the slice."""
    frame = history(seed, n=n)
    return frame[["a", "b", "c"]], frame["y"].to_numpy(), frame["turned"].to_numpy()


def recalibrated(how, X, y, inside, **more):
    """Return the fitted remedy, and the frame with the slice in it."""
    X = X.assign(turned=inside)
    return Recalibrated(LogisticRegression(), "turned", how=how, **more).fit(X, y), X


def test_platt_without_pull_is_a_logistic_regression_on_platts_targets():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 4000)
    hit = rng.random(4000) < p**2
    curve = platt(p, hit, pull=0.0)
    high, low = (hit.sum() + 1) / (hit.sum() + 2), 1 / ((~hit).sum() + 2)
    # A soft target is the row twice, with the target as weight.
    target = np.where(hit, high, low)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.tile(logit(p), 2)[:, None], np.repeat([1, 0], 4000), np.concatenate([target, 1 - target])
    )
    assert (curve.slope, curve.shift) == pytest.approx((fitted.coef_[0, 0], fitted.intercept_[0]), abs=1e-3)


def test_a_few_rows_move_the_sigmoid_little():
    few = platt(np.array([0.5, 0.5]), np.array([True, True]))
    assert abs(few.shift) < 0.6
    assert few.slope == pytest.approx(1.0)


def test_the_isotonic_curve_is_that_of_the_slices_rows_out_of_fold():
    X, y, inside = data()
    made, X_in = recalibrated("isotonic", X, y, inside)
    apart = fits.out_of_fold(LogisticRegression(), X, y, classes=np.array([0, 1]), folds=3, seed=0)[inside, 1]
    theirs = IsotonicRegression(out_of_bounds="clip").fit(apart, y[inside])
    plain = fits.probabilities(LogisticRegression().fit(X, y), X, np.array([0, 1]))[:, 1]
    assert made.predict_proba(X_in)[inside, 1] == pytest.approx(theirs.predict(plain[inside]))


@pytest.mark.parametrize("how", ["platt", "isotonic", "threshold"])
def test_elsewhere_nothing_changes(how):
    X, y, inside = data()
    made, X_in = recalibrated(how, X, y, inside)
    plain = LogisticRegression().fit(X, y)
    assert made.predict_proba(X_in)[~inside] == pytest.approx(plain.predict_proba(X)[~inside], abs=1e-6)
    assert (made.predict(X_in)[~inside] == plain.predict(X)[~inside]).all()


@pytest.mark.parametrize("how", ["platt", "isotonic"])
def test_probabilities_of_the_slice_are_mended_on_fresh_rows(how):
    made, _ = recalibrated(how, *data())
    X, y, inside = data(seed=1)
    plain = LogisticRegression().fit(*data()[:2]).predict_proba(X)[inside, 1]
    given = made.predict_proba(X.assign(turned=inside))[inside, 1]
    assert ((given - y[inside]) ** 2).mean() < ((plain - y[inside]) ** 2).mean() - 0.1


def test_the_threshold_loses_least_on_the_slices_rows():
    X, y, inside = data()
    dear = Loss(lambda y, p: np.where(y > p, 5.0, 1.0) * (y != p), "missed", predicts="class")
    made, X_in = recalibrated("threshold", X, y, inside, loss=dear)
    apart = fits.out_of_fold(LogisticRegression(), X, y, classes=np.array([0, 1]), folds=3, seed=0)[inside, 1]

    def lost(cut):
        return dear.rows(y[inside].astype(float), (apart >= cut).astype(float)).sum()

    assert lost(made.threshold_) == min(lost(cut) for cut in [0.0, *apart, 1.1])
    assert made.threshold_ < 0.5  # a miss costs five times a false alarm
    over = made.predict_proba(X_in)[inside, 1] >= made.threshold_
    assert (made.predict(X_in)[inside] == over).all()


def test_the_best_threshold_is_found_by_brute_force():
    rng = np.random.default_rng(0)
    loss, classes = named("zero_one"), np.array(["no", "yes"])
    for _ in range(50):
        upper = rng.integers(0, 6, 12) / 5
        labels = classes[rng.integers(0, 2, 12)]
        cut = best_threshold(loss, labels, upper, classes)

        def errors(at, labels=labels, upper=upper):
            return (np.where(upper >= at, "yes", "no") != labels).sum()

        assert errors(cut) == min(errors(at) for at in [*upper, 2.0])
    yes, no = np.array(["yes", "yes"]), np.array(["no", "no"])
    assert best_threshold(loss, yes, np.array([0.6, 0.7]), classes) == 0.5  # of equals, nearest to a half
    assert best_threshold(loss, no, np.array([0.2, 0.3]), classes) == 0.5
    assert best_threshold(loss, no, np.array([0.2, 1.0]), classes) > 1.0


def test_many_classes_are_calibrated_against_the_rest():
    X, y, inside = data()
    y = np.where(X["c"] > 0.8, 2, y)
    for how in ("platt", "isotonic"):
        made, X_in = recalibrated(how, X, y, inside)
        given = made.predict_proba(X_in)
        assert len(made.curves_) == 3
        assert given.sum(axis=1) == pytest.approx(1.0)
        assert given[inside].mean(axis=0) == pytest.approx(np.bincount(y[inside]) / inside.sum(), abs=0.05)
    with pytest.raises(AppError, match="'threshold' is for two classes"):
        recalibrated("threshold", X, y, inside)


def test_numbers_go_through_a_line_that_never_falls():
    X, _, inside = data()
    y = np.where(inside, 2 * X["a"] + 1, X["a"])
    made = Recalibrated(LinearRegression(), "turned").fit(X.assign(turned=inside), y)
    gone = made.predict(X.assign(turned=inside)) - y
    assert (gone[inside] ** 2).mean() < 0.1
    falling = line(np.array([0.0, 1.0, 2.0]), np.array([2.0, 1.0, 0.0]))
    assert (falling.slope, falling.shift) == (0.0, 1.0)
    assert line(np.ones(3), np.array([1.0, 2.0, 3.0])).slope == 0.0
