"""Performance without labels: exact against brute force, covering where assumed, wrong where not."""

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
from mlwild.stats.confidence import confidence_difference, direct_loss, disagreement, thresholded_confidence
from mlwild.stats.cbpe import cbpe, confusion, pape
from mlwild.stats.labelfree import verdict
from mlwild.stats.poisson_binomial import poisson_binomial

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


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 10])
def test_poisson_binomial_is_that_of_all_outcomes(n):
    chances = np.random.default_rng(n).random(n)
    brute = np.zeros(n + 1)
    for flips in itertools.product([0, 1], repeat=n):
        brute[sum(flips)] += np.prod(np.where(flips, chances, 1 - chances))
    assert poisson_binomial(chances) == pytest.approx(brute, abs=1e-14)


def test_poisson_binomial_of_equal_chances_is_binomial():
    assert poisson_binomial(np.full(3_000, 0.13)) == pytest.approx(binom.pmf(np.arange(3_001), 3_000, 0.13), abs=1e-12)


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


def test_direct_loss_of_one_part_and_no_shift_is_the_reference_mean():
    rng = np.random.default_rng(7)
    guess, losses = rng.random(400), rng.exponential(size=400)
    found = direct_loss(guess, reference_estimated=guess, reference_losses=losses)
    assert found.estimate == pytest.approx(losses.mean())
    assert found.effective_n == pytest.approx(400, rel=0.01)


def test_atc_and_doc_without_shift_give_the_reference_accuracy():
    rng = np.random.default_rng(8)
    confidence = rng.uniform(0.5, 1, 1_000)
    correct = (rng.random(1_000) < confidence).astype(float)
    for method in (thresholded_confidence, confidence_difference):
        found = method(confidence, reference_confidence=confidence, reference_correct=correct)
        assert found.estimate == pytest.approx(correct.mean())
        assert found.support == "supported"


def test_disagreement_is_that_of_all_pairs():
    votes = np.random.default_rng(9).integers(0, 3, (5, 80))
    pairs = [np.mean(votes[i] != votes[j]) for i, j in itertools.combinations(range(5), 2)]
    assert disagreement(votes).estimate == pytest.approx(np.mean(pairs))


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


@pytest.mark.parametrize("draws", [400, pytest.param(4_000, marks=pytest.mark.slow)])
def test_intervals_of_losses_and_confidences_cover_under_their_assumptions(draws):
    inside = {"direct": [], "doc": [], "atc": [], "gde": []}
    for i in range(draws):
        rng = np.random.default_rng([4, i])
        # Direct: E[loss | estimate] stays, its noise grows with it, estimates move; biased regression.
        guess, new = rng.random(1_500), rng.random(800) ** 0.6
        losses, truth = (g**2 + rng.normal(0, 0.1 + g) for g in (guess, new))
        found = direct_loss(new, reference_estimated=guess, reference_losses=losses)
        inside["direct"].append(found.low <= truth.mean() <= found.high)
        # DoC: residuals as before on average, a little wider; confidence lower.
        old, fresh = rng.uniform(0.6, 1, 1_500), rng.uniform(0.55, 0.95, 800)
        marks, hidden = ((rng.random(len(c)) < c - 0.05).astype(float) for c in (old, fresh))
        doc = confidence_difference(fresh, reference_confidence=old, reference_correct=marks)
        inside["doc"].append(doc.low <= hidden.mean() <= doc.high)
        # ATC: nothing moved, the only case in which its equality is sure.
        same = rng.uniform(0.6, 1, 800)
        hidden = (rng.random(800) < same - 0.05).astype(float)
        atc = thresholded_confidence(same, reference_confidence=old, reference_correct=marks)
        inside["atc"].append(atc.low <= hidden.mean() <= atc.high)
        # GDE: label and five members are draws from one law a row.
        law = rng.beta(0.5, 0.5, 800)
        votes, labels = (rng.random((5, 800)) < law).astype(int), (rng.random(800) < law).astype(int)
        gde = disagreement(votes)
        inside["gde"].append(gde.low <= (votes != labels).mean() <= gde.high)
    rates = {name: float(np.mean(hits)) for name, hits in inside.items()}
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    assert all(0.925 - slack <= rate <= 0.985 + slack for rate in rates.values()), rates


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
    assert verdict(1e6, math.nan) == "weak"


def test_heavy_weights_are_few_effective_rows():
    rng = np.random.default_rng(11)
    scores, outcomes = _world(rng, 2_000, 0.0)
    weights = np.full(2_000, 1e-6)
    weights[:15] = 1.0
    assert pape(scores, reference_scores=scores, reference_outcomes=outcomes, weights=weights).support == "none"


def test_disagreement_is_not_trusted_where_votes_are_refuted():
    rng = np.random.default_rng(12)
    law = rng.beta(0.5, 0.5, 2_000)
    votes, labels = (rng.random((4, 2_000)) < law).astype(int), (rng.random(2_000) < law).astype(int)
    assert disagreement(votes, reference_predictions=votes, reference_labels=labels).support == "supported"
    alike = np.tile(votes[0], (4, 1))  # members that agree on their errors
    assert disagreement(votes, reference_predictions=alike, reference_labels=labels).support == "none"
    assert disagreement(votes).support == "weak"


def test_losses_of_degenerate_input_are_finite():
    constant = np.full(200, 0.7)
    assert cbpe(np.ones(50)).estimate == 1.0
    assert math.isnan(cbpe(np.ones(50), metric="auc").estimate)
    assert direct_loss(constant, reference_estimated=constant, reference_losses=constant).low == pytest.approx(0.7)
    perfect = thresholded_confidence(constant, reference_confidence=constant, reference_correct=np.ones(200))
    assert perfect.estimate == 1.0
    wrong = thresholded_confidence(constant, reference_confidence=constant, reference_correct=np.zeros(200))
    assert wrong.estimate == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cbpe(np.array([0.2, 1.2])), "go from 0.2 to 1.2"),
        (lambda: cbpe(np.array([0.2, np.nan])), "finite"),
        (lambda: cbpe(np.zeros(0)), "finite"),
        (lambda: cbpe(np.array([0.2]), np.array([2.0])), "zeros and ones"),
        (lambda: direct_loss(np.ones(3), reference_estimated=np.ones(3), reference_losses=np.ones(2)), "Hint"),
        (
            lambda: direct_loss(np.array([np.nan]), reference_estimated=np.ones(3), reference_losses=np.ones(3)),
            "estimated of",
        ),
        (
            lambda: thresholded_confidence(np.ones(3), reference_confidence=np.ones(3), reference_correct=np.ones(2)),
            "Hint",
        ),
        (lambda: disagreement(np.zeros((1, 4), dtype=int)), "at least 2 models"),
    ],
)
def test_input_that_cannot_be_used_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()
