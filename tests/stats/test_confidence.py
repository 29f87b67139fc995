"""Estimates from estimated losses, confidences and disagreement: by hand, and covering where assumed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mlwild.errors import DataError
from mlwild.stats.confidence import confidence_difference, direct_loss, disagreement, thresholded_confidence


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
    assert direct_loss(constant, reference_estimated=constant, reference_losses=constant).low == pytest.approx(0.7)
    perfect = thresholded_confidence(constant, reference_confidence=constant, reference_correct=np.ones(200))
    assert perfect.estimate == 1.0
    wrong = thresholded_confidence(constant, reference_confidence=constant, reference_correct=np.zeros(200))
    assert wrong.estimate == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
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
