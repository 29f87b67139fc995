"""Differences over clusters: the paired t test where they are alike, the sandwich elsewhere, and the level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, ttest_rel

from mlwild.errors import DataError
from mlwild.stats.clusters import clustered


def test_clusters_of_one_size_are_a_paired_t_test_on_their_means():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 9, 20)) + rng.normal(size=(1, 9, 1))
    found = clustered(a.ravel(), b.ravel(), np.repeat(np.arange(9), 20), level=0.9)
    theirs = ttest_rel(a.mean(axis=1), b.mean(axis=1))
    low, high = theirs.confidence_interval(0.9)
    assert (found.low, found.high, found.p_value) == pytest.approx((low, high, theirs.pvalue))
    assert found.n == 180


def test_unequal_clusters_have_the_variance_of_the_sandwich():
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(1)
    sizes = np.array([5, 9, 14, 30, 22, 17, 8])
    cluster = np.repeat(np.arange(7), sizes)
    gap = rng.normal(size=7)[cluster] + rng.normal(size=len(cluster))
    weights = rng.uniform(0.5, 2.0, len(gap))
    fit = api.WLS(gap, np.ones(len(gap)), weights=weights).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    found = clustered(gap, np.zeros(len(gap)), cluster, weights=weights)
    mass = np.bincount(cluster, weights)
    effective = mass.sum() ** 2 / (mass**2).sum()
    from scipy.stats import t

    radius = t.ppf(0.975, effective - 1) * fit.bse[0] * np.sqrt(effective / (effective - 1))
    assert found.estimate == pytest.approx(fit.params[0])
    assert found.high - found.estimate == pytest.approx(radius)


def test_weights_are_rows():
    rng = np.random.default_rng(2)
    gap, cluster, often = rng.normal(size=40), np.repeat(np.arange(8), 5), rng.integers(1, 5, 40)
    weighted = clustered(gap, np.zeros(40), cluster, weights=often)
    repeated = clustered(np.repeat(gap, often), np.zeros(often.sum()), np.repeat(cluster, often))
    assert (weighted.estimate, weighted.low) == pytest.approx((repeated.estimate, repeated.low))


def _false(draws, *, level, sizes):
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(draws):
        own = sizes(rng)
        cluster = np.repeat(np.arange(len(own)), own)
        gap = 0.3 * rng.normal(size=len(own))[cluster] + rng.normal(size=len(cluster))
        found = clustered(gap, np.zeros(len(gap)), cluster, level=level)
        wrong += not found.undecided and (found.low > 0 or found.high < 0)
    return wrong


SIZES = {
    "alike": lambda rng: np.full(8, 30),
    "5 to 100": lambda rng: rng.integers(5, 101, 8),
    "growing": lambda rng: np.round(10 * 1.5 ** np.arange(8)).astype(int),
}


@pytest.mark.parametrize("kind", SIZES)
def test_false_findings_keep_to_the_level(kind):
    draws = 1000
    assert _false(draws, level=0.95, sizes=SIZES[kind]) <= binom.ppf(0.999, draws, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.95, 1 - 0.05 / 7])
@pytest.mark.parametrize("kind", SIZES)
def test_false_findings_keep_to_the_level_over_many_draws(kind, level):
    draws = 20_000
    wrong = _false(draws, level=level, sizes=SIZES[kind])
    # Student's t with effective clusters is an approximation where sizes differ: a tenth more is allowed.
    share = (1 - level) * (1.0 if kind == "alike" else 1.1)
    assert wrong <= binom.ppf(0.999, draws, share), wrong / draws


def test_too_few_effective_clusters_are_undecided():
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(6), [500, 2, 2, 2, 2, 2])
    found = clustered(rng.normal(size=510), np.zeros(510), cluster)
    assert found.undecided
    assert "6 clusters count as 1.0 of one size" in found.reason
    same = clustered(np.ones(20), np.zeros(20), np.arange(20))
    assert same.undecided
    assert same.estimate == 1.0
    assert clustered([], [], []).undecided


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="need one of each a row"):
        clustered([1.0, 2.0], [0.0, 0.0], [0])
    with pytest.raises(DataError, match="weights above 0"):
        clustered([1.0, 2.0], [0.0, 0.0], [0, 1], weights=[1.0, 0.0])
    with pytest.raises(DataError, match="loss_a is nan in row 1"):
        clustered([1.0, np.nan], [0.0, 0.0], [0, 1])
