"""CBPE and PAPE: exact against brute force, covering where assumed, wrong where not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from mlwild.errors import DataError
from mlwild.stats.calibration import isotonic
from mlwild.stats.cbpe import cbpe, cbpe_metrics, confusion, pape

METRICS = ["accuracy", "brier", "log_loss", "auc"]


def _realised(metric, scores, labels):
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    if metric == "accuracy":
        return float(((scores >= 0.5) == labels).mean())
    if metric == "brier":
        return float(((scores - labels) ** 2).mean())
    if metric == "log_loss":
        return float(-np.where(labels == 1, np.log(clipped), np.log1p(-clipped)).mean())
    return float(roc_auc_score(labels, scores))


# -- exact -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["accuracy", "brier", "log_loss"])
def test_cbpe_is_the_mean_over_all_labellings(metric):
    scores = np.random.default_rng(3).random(9)
    total = 0.0
    for labels in itertools.product([0, 1], repeat=9):
        chance = np.prod(np.where(labels, scores, 1 - scores))
        total += chance * _realised(metric, scores, np.array(labels))
    assert cbpe(scores, metric=metric).estimate == pytest.approx(total)


def test_cbpe_auc_is_the_ratio_over_all_pairs():
    rng = np.random.default_rng(4)
    scores = rng.integers(1, 9, 60) / 10  # ties count half
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    pairs = scores[:, None] * (1 - scores)
    np.fill_diagonal(pairs, 0)
    assert cbpe(scores, metric="auc").estimate == pytest.approx((pairs * above).sum() / pairs.sum())


def test_cells_add_up_to_the_rows_and_to_accuracy():
    rng = np.random.default_rng(5)
    scores, predicted = rng.random(400), (rng.random(400) < 0.4).astype(float)
    curve = isotonic(rng.random(900), (rng.random(900) < 0.5).astype(float))
    cells = confusion(scores, predicted, curve=curve)
    assert sum(cell.estimate for cell in cells.values()) == pytest.approx(400)
    right = cells["tp"].estimate + cells["tn"].estimate
    assert right / 400 == pytest.approx(cbpe(scores, predicted, curve=curve).estimate)


def test_accuracy_of_coins_has_the_binomial_interval():
    found = cbpe(np.full(500, 0.8))
    assert (found.low * 500, found.high * 500) == binom.interval(0.95, 500, 0.8)


def test_pape_of_equal_weights_is_cbpe():
    rng = np.random.default_rng(6)
    scores, outcomes = rng.random(500), (rng.random(500) < 0.5).astype(float)
    new = rng.random(200)
    weighted = pape(new, reference_scores=scores, reference_outcomes=outcomes, weights=np.full(500, 2.5))
    plain = cbpe(new, curve=isotonic(scores, outcomes))
    assert (weighted.estimate, weighted.low) == pytest.approx((plain.estimate, plain.low))
    assert weighted.effective_n == pytest.approx(plain.effective_n)


@pytest.mark.parametrize("grid", [9, 10**9])
def test_all_metrics_at_once_are_each_alone(grid):
    rng = np.random.default_rng(13)
    scores, predicted = (rng.random(700) * grid).round() / grid, rng.integers(0, 2, 700)
    curve = isotonic(rng.random(900), (rng.random(900) < 0.5).astype(float))
    together = cbpe_metrics(scores, predicted, curve=curve, metrics=METRICS)
    assert together == {metric: cbpe(scores, predicted, curve=curve, metric=metric) for metric in METRICS}
    shuffled = rng.permutation(700)
    again = cbpe_metrics(scores[shuffled], predicted[shuffled], curve=curve, metrics=METRICS)
    assert [one.estimate for one in again.values()] == pytest.approx([one.estimate for one in together.values()])


# -- promises --------------------------------------------------------------------------------------


def _world(rng, n, shift):
    """A score that is miscalibrated the same way everywhere; covariates move by `shift`."""
    x = rng.normal(shift, 1.0, n)
    return expit(2 * x), (rng.random(n) < expit(1.2 * x - 0.3)).astype(float)


@pytest.mark.parametrize("draws", [250, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_cbpe_intervals_cover_where_calibration_survives(draws, shift):
    inside = {metric: [] for metric in [*METRICS, "tp", "fn"]}
    for i in range(draws):
        rng = np.random.default_rng([1, i])
        curve = isotonic(*_world(rng, 2_000, 0.0))
        scores, labels = _world(rng, 1_000, shift)
        for metric in METRICS:
            found = cbpe(scores, curve=curve, metric=metric)
            inside[metric].append(found.low <= _realised(metric, scores, labels) <= found.high)
        cells = confusion(scores, curve=curve)
        for name, side, label in (("tp", True, 1), ("fn", False, 1)):
            count = int((((scores >= 0.5) == side) & (labels == label)).sum())
            inside[name].append(cells[name].low <= count <= cells[name].high)
    rates = {metric: float(np.mean(hits)) for metric, hits in inside.items()}
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    assert all(0.94 - slack <= rate <= 0.965 + slack for rate in rates.values()), rates


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_cbpe_is_wrong_under_concept_shift_and_does_not_say_so(draws):
    inside, errors = [], []
    for i in range(draws):
        rng = np.random.default_rng([2, i])
        curve = isotonic(*_world(rng, 2_000, 0.0))
        x = rng.normal(size=1_000)
        labels = (rng.random(1_000) < expit(0.2 * x - 0.3)).astype(float)  # the same x, another law of y
        found = cbpe(expit(2 * x), curve=curve)
        inside.append(found.low <= _realised("accuracy", expit(2 * x), labels) <= found.high)
        errors.append(found.estimate - _realised("accuracy", expit(2 * x), labels))
        assert found.support == "supported"
    assert np.mean(inside) < 0.05
    assert np.mean(errors) > 0.1  # too hopeful


def _two_features(rng, n, rate):
    """The score sees x only; z moves the label and is common in new rows."""
    x, z = rng.normal(size=n), (rng.random(n) < rate).astype(float)
    return expit(1.5 * x), (rng.random(n) < expit(1.5 * x - 2.5 * z)).astype(float), z


@pytest.mark.parametrize("draws", [250, pytest.param(2_000, marks=pytest.mark.slow)])
def test_pape_covers_where_cbpe_fails(draws):
    inside = {"pape": [], "cbpe": []}
    for i in range(draws):
        rng = np.random.default_rng([3, i])
        old, outcomes, z = _two_features(rng, 3_000, 0.2)
        scores, labels, _ = _two_features(rng, 1_000, 0.7)
        weights = np.where(z == 1, 0.7 / 0.2, 0.3 / 0.8)
        truth = _realised("accuracy", scores, labels)
        for name, found in (
            ("pape", pape(scores, reference_scores=old, reference_outcomes=outcomes, weights=weights)),
            ("cbpe", cbpe(scores, curve=isotonic(old, outcomes))),
        ):
            inside[name].append(found.low <= truth <= found.high)
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    assert 0.93 - slack <= np.mean(inside["pape"]) <= 0.975 + slack, np.mean(inside["pape"])
    assert np.mean(inside["cbpe"]) < 0.2


# -- support and bad input -------------------------------------------------------------------------


def test_support_falls_as_new_rows_leave_the_reference():
    rng = np.random.default_rng(10)
    curve = isotonic(*_world(rng, 2_000, 0.0))
    near, mid, far = (cbpe(_world(rng, 1_000, shift)[0], curve=curve) for shift in (0.0, 2.0, 6.0))
    assert near.support == "supported"
    assert near.effective_n > mid.effective_n
    assert far.support == "none"
    assert far.outside > 0.5
    small = isotonic(*_world(rng, 20, 0.0))
    assert cbpe(near_scores := _world(rng, 1_000, 0.0)[0], curve=small).support == "none"
    assert cbpe(near_scores).support == "weak"  # nothing to compare with


def test_heavy_weights_are_few_effective_rows():
    rng = np.random.default_rng(11)
    scores, outcomes = _world(rng, 2_000, 0.0)
    weights = np.full(2_000, 1e-6)
    weights[:15] = 1.0
    assert pape(scores, reference_scores=scores, reference_outcomes=outcomes, weights=weights).support == "none"


def test_a_window_of_sure_rows_has_no_area():
    assert cbpe(np.ones(50)).estimate == 1.0
    assert math.isnan(cbpe(np.ones(50), metric="auc").estimate)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cbpe(np.array([0.2, 1.2])), "go from 0.2 to 1.2"),
        (lambda: cbpe(np.array([0.2, np.nan])), "finite"),
        (lambda: cbpe(np.zeros(0)), "finite"),
        (lambda: cbpe(np.array([0.2]), np.array([2.0])), "zeros and ones"),
    ],
)
def test_input_that_cannot_be_used_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()
