"""Isotonic calibration: against scikit-learn and a hand-rolled pooling, and what it recovers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from mlwild.errors import DataError
from mlwild.stats.calibration import calibrated, calibration_error, isotonic


def _pooled(scores, outcomes, weights):
    """Pool adjacent violators one by one."""
    blocks = []
    for score in np.unique(scores):
        rows = scores == score
        blocks.append([np.average(outcomes[rows], weights=weights[rows]), weights[rows].sum(), 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, mass, size = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * mass) / (last[1] + mass)
            last[1], last[2] = last[1] + mass, last[2] + size
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), grid=st.sampled_from([3, 10, 1000]))
def test_curve_is_scikit_learns_and_that_of_pooling_by_hand(seed, n, grid):
    rng = np.random.default_rng(seed)
    scores, outcomes = rng.integers(0, grid, n) / grid, (rng.random(n) < 0.5).astype(float)
    weights = rng.uniform(0.1, 3.0, n)
    curve = isotonic(scores, outcomes, weights=weights)
    new = np.concatenate([np.unique(scores), rng.uniform(-0.2, 1.2, 30)])
    peer = IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes, sample_weight=weights)
    # scikit-learn keeps knots in single precision here and there
    assert calibrated(curve, new) == pytest.approx(peer.predict(new), abs=1e-6)
    assert calibrated(curve, np.unique(scores)) == pytest.approx(_pooled(scores, outcomes, weights), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200))
def test_curve_rises_and_keeps_the_mean_and_the_rows(seed, n):
    rng = np.random.default_rng(seed)
    scores, outcomes = rng.normal(size=n).round(1), (rng.random(n) < 0.3).astype(float)
    curve = isotonic(scores, outcomes)
    assert (np.diff(curve.values) > 0).all()
    assert (curve.starts <= curve.ends).all()
    assert (curve.starts[1:] > curve.ends[:-1]).all()
    assert curve.rows.sum() == pytest.approx(n)
    assert calibrated(curve, scores).mean() == pytest.approx(outcomes.mean())


def test_row_of_weight_two_is_two_rows_and_of_weight_zero_none():
    scores, outcomes = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 0.0, 0.0, 1.0])
    heavy = isotonic(scores, outcomes, weights=np.array([2.0, 1.0, 0.0, 1.0]))
    twice = isotonic(np.array([0.1, 0.1, 0.2, 0.4]), np.array([1.0, 1.0, 0.0, 1.0]))
    assert heavy.values == pytest.approx(twice.values)
    assert heavy.rows == pytest.approx([9 / 5, 1.0])  # weights 2 and 1 are worth 1.8 rows


def test_million_rows_take_seconds():
    rng = np.random.default_rng(0)
    scores = rng.random(1_000_000)
    curve = isotonic(scores, (rng.random(1_000_000) < scores**2).astype(float))
    grid = np.linspace(0.05, 0.95, 50)
    assert np.abs(calibrated(curve, grid) - grid**2).max() < 0.03


def test_calibration_error_by_hand():
    stated, outcomes = np.array([0.05, 0.15, 0.15, 0.95]), np.array([0.0, 1.0, 0.0, 1.0])
    found = calibration_error(stated, outcomes)
    assert found.error == pytest.approx((1 * 0.05 + 2 * 0.35 + 1 * 0.05) / 4)
    assert found.rows.tolist() == [1, 2, 1]


@pytest.mark.parametrize("draws", [300, pytest.param(5_000, marks=pytest.mark.slow)])
def test_right_probabilities_have_the_calibration_error_of_chance(draws):
    rng, ratio = np.random.default_rng(1), []
    for _ in range(draws):
        stated = rng.random(2_000)
        found = calibration_error(stated, (rng.random(2_000) < stated).astype(float))
        ratio.append(found.error / found.null)
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.02 + 3 * np.std(ratio) / draws**0.5)
    wrong = calibration_error(stated, (rng.random(2_000) < stated**2).astype(float))
    assert wrong.error > 3 * wrong.null


@pytest.mark.parametrize(
    ("scores", "outcomes", "weights", "message"),
    [
        ([0.1, 0.2], [1.0], None, "differ in shape"),
        ([0.1, np.nan], [1.0, 0.0], None, r"scores\[1\] is nan"),
        ([0.1, 0.2], [1.0, np.inf], None, r"outcomes\[1\] is inf"),
        ([0.1, 0.2], [1.0, 0.0], [1.0, -1.0], "weights go down to -1"),
        ([0.1, 0.2], [1.0, 0.0], [0.0, 0.0], "no row has weight"),
        ([], [], None, "no row has weight"),
    ],
)
def test_rows_that_cannot_be_used_are_named(scores, outcomes, weights, message):
    with pytest.raises(DataError, match=message):
        isotonic(np.array(scores), np.array(outcomes), weights=None if weights is None else np.array(weights))


def test_scores_that_are_no_probabilities_have_no_calibration_error():
    with pytest.raises(DataError, match="go from 0.5 to 1.5"):
        calibration_error(np.array([0.5, 1.5]), np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="NaN"):
        calibrated(isotonic(np.array([0.0]), np.array([1.0])), np.array([np.nan]))
