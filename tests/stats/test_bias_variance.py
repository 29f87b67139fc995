"""Bias and variance: by plain loops as mlxtend defines them, and parts that always add up."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.bias_variance import ambiguity, squared_bias_variance, zero_one_bias_variance

SEEDS = st.integers(0, 2**32 - 1)


def _mlxtend(predictions, labels, loss):
    """Expected loss, bias and variance as bias_variance_decomp of mlxtend computes them, in plain loops."""
    rounds, n = len(predictions), len(labels)
    if loss == "mse":
        main = [sum(row[i] for row in predictions) / rounds for i in range(n)]
        expected = sum(sum((row[i] - labels[i]) ** 2 for i in range(n)) / n for row in predictions) / rounds
        bias = sum((main[i] - labels[i]) ** 2 for i in range(n)) / n
        variance = sum(sum((row[i] - main[i]) ** 2 for i in range(n)) / n for row in predictions) / rounds
        return expected, bias, variance
    main = []
    for i in range(n):
        counts = Counter(int(row[i]) for row in predictions)
        main.append(min(counts, key=lambda c: (-counts[c], c)))  # argmax of bincount: the first of equals
    expected = sum(sum(row[i] != labels[i] for i in range(n)) / n for row in predictions) / rounds
    bias = sum(main[i] != labels[i] for i in range(n)) / n
    variance = sum(sum(row[i] != main[i] for row in predictions) / rounds for i in range(n)) / n
    return expected, bias, variance


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, refits=st.integers(2, 9), n=st.integers(1, 12), classes=st.integers(2, 4))
def test_zero_one_parts_are_mlxtends_and_add_up(seed, refits, n, classes):
    rng = np.random.default_rng(seed)
    predictions, labels = rng.integers(0, classes, size=(refits, n)), rng.integers(0, classes, size=n)
    found = zero_one_bias_variance(predictions, labels)
    assert (found.loss, found.bias, found.variance) == pytest.approx(_mlxtend(predictions, labels, "0-1"))
    assert found.loss == pytest.approx(found.bias + found.harm - found.help)
    assert found.variance >= found.harm + found.help - 1e-12
    if classes == 2:
        assert found.variance == pytest.approx(found.harm + found.help)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, refits=st.integers(2, 9), n=st.integers(1, 12), scale=st.floats(1e-3, 1e3))
def test_squared_parts_are_mlxtends_and_add_up(seed, refits, n, scale):
    rng = np.random.default_rng(seed)
    predictions, labels = scale * rng.normal(size=(refits, n)), scale * rng.normal(size=n)
    found = squared_bias_variance(predictions, labels)
    assert (found.loss, found.bias, found.variance) == pytest.approx(_mlxtend(predictions, labels, "mse"))
    assert found.loss == pytest.approx(found.bias + found.harm - found.help)
    assert (found.harm, found.help) == (found.variance, 0.0)


def test_domingos_two_classes_follow_his_theorem():
    # Domingos (2000): a row's loss is bias + (1 - 2 bias) variance.
    predictions = np.array([[0, 1, 1], [0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 0, 1]])
    labels = np.array([0, 1, 0])
    found = zero_one_bias_variance(predictions, labels)
    strays, bias = np.array([1, 1, 1]) / 5, np.array([0, 1, 1])
    assert found.loss == pytest.approx((bias + (1 - 2 * bias) * strays).mean())
    assert (found.bias, found.harm, found.help) == pytest.approx((2 / 3, 1 / 15, 2 / 15))


def test_estimates_reach_the_true_bias_and_variance():
    # Predictions of mean 0.5 above the label and standard deviation 2.
    predictions = np.random.default_rng(0).normal(0.5, 2.0, size=(2000, 50))
    found = squared_bias_variance(predictions, np.zeros(50))
    assert found.bias == pytest.approx(0.25 + 4 / 2000, abs=0.03)
    assert found.variance == pytest.approx(4 * (1 - 1 / 2000), rel=0.02)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, members=st.integers(2, 8), n=st.integers(1, 12), weighted=st.booleans())
def test_ensembles_loss_is_its_members_less_their_ambiguity(seed, members, n, weighted):
    rng = np.random.default_rng(seed)
    predictions, labels = rng.normal(size=(members, n)), rng.normal(size=n)
    weights = rng.random(members) + 0.01 if weighted else None
    found = ambiguity(predictions, labels, weights=weights)
    whole = np.average(predictions, axis=0, weights=weights)
    assert found.ensemble == pytest.approx(((whole - labels) ** 2).mean())
    assert found.ensemble == pytest.approx(found.members - found.ambiguity)
    assert found.ambiguity >= 0
    assert found.best <= found.members + 1e-12


def test_equal_members_have_no_ambiguity_and_no_label_changes_it():
    same = np.tile(np.arange(4.0), (3, 1))
    assert ambiguity(same, np.zeros(4)).ambiguity == 0.0
    predictions = np.random.default_rng(0).normal(size=(3, 20))
    assert ambiguity(predictions, np.zeros(20)).ambiguity == ambiguity(predictions, np.full(20, 9.0)).ambiguity


def test_bad_predictions_are_refused():
    good, labels = np.zeros((3, 4)), np.zeros(4)
    for split in (squared_bias_variance, zero_one_bias_variance, ambiguity):
        with pytest.raises(DataError, match="at least 2 refits"):
            split(good[:1], labels)
        with pytest.raises(DataError, match=r"labels \(3,\)"):
            split(good, labels[:3])
    broken = np.where(np.arange(12).reshape(3, 4) == 6, np.nan, good)
    with pytest.raises(DataError, match=r"prediction \[1, 2\] is nan"):
        squared_bias_variance(broken, labels)
    with pytest.raises(DataError, match=r"no class at \[1, 2\]"):
        zero_one_bias_variance(broken, labels)
    with pytest.raises(DataError, match=r"no class at \[2\]"):
        zero_one_bias_variance(np.full((2, 3), "a", dtype=object), np.array(["a", "b", None], dtype=object))
    for weights in ([1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0], [1.0, np.nan, 1.0]):
        with pytest.raises(DataError, match="weights are"):
            ambiguity(good, labels, weights=np.array(weights))
