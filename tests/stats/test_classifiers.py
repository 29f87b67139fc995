"""Classifiers on independent rows: published fixtures, scipy, and how often equal ones are told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, chi2, f, ttest_1samp

from mlwild.errors import DataError
from mlwild.stats.classifiers import (
    bootstrap_632,
    cochran_q,
    corrected_resampled_t,
    five_by_two_f,
    mcnemar,
    no_information_error,
)


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def _table(neither, only_a, only_b, both):
    a = np.repeat([0, 1, 0, 1], [neither, only_a, only_b, both])
    b = np.repeat([0, 0, 1, 1], [neither, only_a, only_b, both])
    return a, b


# -- McNemar -------------------------------------------------------------------------------------


def test_raschkas_corrected_table():
    found = mcnemar(*_table(9945, 15, 25, 15))
    assert (found.statistic, found.p_value) == (pytest.approx(2.025), pytest.approx(0.1547, abs=5e-5))
    assert (found.method, found.n) == ("McNemar, corrected", 40)
    assert found.difference.estimate == pytest.approx(-0.001)


def test_raschkas_exact_table():
    found = mcnemar(*_table(9959, 1, 11, 29))
    assert found.p_value == pytest.approx(0.00635, abs=5e-6)
    assert found.method == "McNemar, exact"


@settings(max_examples=100, deadline=None)
@given(only_a=st.integers(0, 60), only_b=st.integers(0, 60))
def test_mcnemar_is_scipys_binomial_test_or_chi_square(only_a, only_b):
    pair = _table(30, only_a, only_b, 5)
    differ = only_a + only_b
    exact = mcnemar(*pair, exact=True)
    assert exact.p_value == pytest.approx(binomtest(only_a, differ).pvalue if differ else 1.0)
    if differ:
        statistic = max(abs(only_a - only_b) - 1, 0) ** 2 / differ
        assert mcnemar(*pair, exact=False).p_value == pytest.approx(chi2.sf(statistic, 1))
    chosen = mcnemar(*pair)
    assert chosen.p_value == mcnemar(*pair, exact=differ < 25).p_value
    assert -1 <= chosen.difference.low <= chosen.difference.estimate <= chosen.difference.high <= 1


@pytest.mark.parametrize("differ", [5, 24, 25, 40, 200])
def test_mcnemar_tells_equal_models_apart_at_most_one_time_in_twenty(differ):
    # No simulation: given the number of rows where they differ, A errs on a binomial share of them.
    p = np.array([mcnemar(*_table(0, k, differ - k, 0)).p_value for k in range(differ + 1)])
    assert binom.pmf(np.arange(differ + 1), differ, 0.5)[p <= 0.05].sum() <= 0.05


def test_identical_models_are_not_told_apart():
    a = np.array([0, 1, 1])
    assert mcnemar(a, a).p_value == 1.0
    assert cochran_q(np.stack([a, a, a], axis=1)).p_value == 1.0


def test_bad_errors_are_refused():
    with pytest.raises(DataError, match="neither 0 nor 1"):
        mcnemar(np.array([0.5]), np.array([1.0]))
    with pytest.raises(DataError, match="same rows"):
        mcnemar(np.zeros(3), np.zeros(4))
    with pytest.raises(DataError, match="same rows"):
        mcnemar(np.zeros(0), np.zeros(0))


# -- Cochran -------------------------------------------------------------------------------------


def test_cochran_of_two_models_is_mcnemar_without_correction():
    found = cochran_q(np.stack(_table(50, 12, 30, 8), axis=1))
    assert found.statistic == pytest.approx((12 - 30) ** 2 / 42)


def test_cochran_by_its_definition():
    errors = (np.random.default_rng(0).random((60, 4)) < [0.2, 0.3, 0.3, 0.5]).astype(float)
    g, rows = errors.sum(axis=0), errors.sum(axis=1)
    q = 4 * 3 * ((g - g.mean()) ** 2).sum() / (4 * rows.sum() - (rows**2).sum())
    found = cochran_q(errors)
    assert (found.statistic, found.p_value) == (pytest.approx(q), pytest.approx(chi2.sf(q, 3)))


@pytest.mark.parametrize("draws", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_cochran_tells_equal_models_apart_as_often_as_promised(draws):
    rng = np.random.default_rng(1)
    hard = rng.beta(1, 4, size=(draws, 200, 1))  # rows differ in how hard they are
    errors = (rng.random((draws, 200, 4)) < hard).astype(float)
    assert np.mean([cochran_q(e).p_value <= 0.05 for e in errors]) <= 0.05 + _errors(0.05, draws)


# -- resampling ----------------------------------------------------------------------------------


def test_five_by_two_by_hand():
    d = np.random.default_rng(0).normal(0.05, 0.02, size=(5, 2))
    s2 = ((d - d.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    found = five_by_two_f(d)
    assert found.statistic == pytest.approx((d**2).sum() / (2 * s2.sum()))
    assert found.p_value == pytest.approx(f.sf(found.statistic, 10, 5))
    # At the ends of the interval the shifted test is on its border.
    for end in (found.difference.low, found.difference.high):
        assert five_by_two_f(d - end).p_value == pytest.approx(0.05)


def test_five_by_two_edges():
    assert five_by_two_f(np.zeros((5, 2))).p_value == 1.0
    assert five_by_two_f(np.full((5, 2), 0.1)).p_value == 0.0
    with pytest.raises(DataError, match=r"need \(5, 2\)"):
        five_by_two_f(np.zeros((2, 5)))


def test_without_overlap_the_corrected_test_is_students():
    d = np.random.default_rng(0).normal(0.3, 1, size=30)
    found = corrected_resampled_t(d, test_share=1e-12)
    plain = ttest_1samp(d, 0)
    assert (found.statistic, found.p_value) == (pytest.approx(plain.statistic), pytest.approx(plain.pvalue))
    corrected = corrected_resampled_t(d, test_share=1 / 9)
    assert corrected.statistic == pytest.approx(plain.statistic * math.sqrt((1 / 30) / (1 / 30 + 1 / 9)))


def test_corrected_test_of_constant_differences():
    assert corrected_resampled_t(np.zeros(5), test_share=0.2).p_value == 1.0
    assert corrected_resampled_t(np.full(5, 0.1), test_share=0.2).p_value == 0.0
    with pytest.raises(DataError, match="2 or more"):
        corrected_resampled_t(np.zeros(1), test_share=0.2)


def _told_apart(draws):
    """Two rules that are equally good, fitted on parts of one data set: nearest mean by one of two features."""
    rng = np.random.default_rng(3)
    corrected = naive = folded = 0
    for _ in range(draws):
        y = rng.integers(0, 2, 100)
        x = rng.normal(size=(100, 2)) + 0.8 * y[:, None]

        def gap(train, test, x=x, y=y):
            up, down = x[train][y[train] == 1].mean(axis=0), x[train][y[train] == 0].mean(axis=0)
            wrong = (np.abs(x[test] - up) < np.abs(x[test] - down)) != y[test][:, None]
            return float(np.subtract(*wrong.mean(axis=0)))

        d = []
        for _ in range(15):
            turn = rng.permutation(100)
            d.append(gap(turn[20:], turn[:20]))
        corrected += corrected_resampled_t(np.array(d), test_share=0.25).p_value <= 0.05
        naive += ttest_1samp(d, 0).pvalue <= 0.05
        halves = [np.split(rng.permutation(100), 2) for _ in range(5)]
        folded += five_by_two_f(np.array([[gap(h[0], h[1]), gap(h[1], h[0])] for h in halves])).p_value <= 0.05
    return corrected / draws, naive / draws, folded / draws


@pytest.mark.parametrize("draws", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_overlapping_resamplings_fool_the_plain_test_only(draws):
    corrected, naive, folded = _told_apart(draws)
    assert corrected <= 0.05 + 0.02 + _errors(0.05, draws)
    assert folded <= 0.05 + _errors(0.05, draws)
    assert naive > 0.25


# -- the bootstrap of errors ---------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(training=st.floats(0, 0.6), out=st.lists(st.floats(0, 1), min_size=1, max_size=20), nothing=st.floats(0.05, 0.9))
def test_632_plus_by_efron_and_tibshiranis_equations(training, out, nothing):
    mean = float(np.mean(out))
    capped = min(mean, nothing)
    rate = (capped - training) / (nothing - training) if capped > training and nothing > training else 0.0
    plain = 0.368 * training + 0.632 * mean
    weight = 0.632 / (1 - 0.368 * rate)  # equations 29 to 31, where the error is capped
    expected = (1 - weight) * training + weight * capped + 0.632 * (mean - capped)
    found = bootstrap_632(training, np.array(out), nothing)
    assert found.plain == pytest.approx(plain)
    assert found.plus == pytest.approx(expected, abs=1e-12)
    assert found.overfitting == pytest.approx(rate)
    assert 0 <= found.overfitting <= 1


def test_no_information_error_is_the_mean_over_all_shufflings():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    assert no_information_error(labels, predictions) == pytest.approx((labels[:, None] != predictions).mean())
    with pytest.raises(DataError, match="pair them"):
        no_information_error(labels, predictions[:3])


def test_632_plus_is_nearer_the_truth_than_its_parts_for_a_model_that_learns_by_heart():
    # One nearest neighbour on labels of pure chance: the true error is 1/2, the training error 0.
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        x, y = rng.normal(size=60), rng.integers(0, 2, 60)
        out = []
        for _ in range(30):
            rows = rng.integers(0, 60, 60)
            left = np.setdiff1d(np.arange(60), rows)
            near = rows[np.abs(x[left][:, None] - x[rows]).argmin(axis=1)]
            out.append((y[near] != y[left]).mean())
        found.append(bootstrap_632(0.0, np.array(out), no_information_error(y, y)))
    assert np.mean([r.plain for r in found]) == pytest.approx(0.632 * 0.5, abs=0.03)
    assert np.mean([r.plus for r in found]) > 0.4
    assert all(r.low <= r.high for r in found)
