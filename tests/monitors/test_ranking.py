"""Rankings under weights: against scikit-learn and SciPy on rows that are repeated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from mlwild.stats.ranking import weighted_auc, weighted_rank_correlation


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_figures_are_those_of_repeated_rows(ties):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 80))
    if ties:
        x, y = np.round(x), np.round(y)
    events = y > 0.4
    weights = rng.integers(0, 4, size=(20, 80)).astype(float)
    areas, ranks = weighted_auc(x, events, weights), weighted_rank_correlation(x, y, weights)
    for row, area, rank in zip(weights, areas, ranks, strict=True):
        rows = np.repeat(np.arange(80), row.astype(int))
        assert area == pytest.approx(roc_auc_score(events[rows], x[rows]), abs=1e-12)
        assert rank == pytest.approx(spearmanr(x[rows], y[rows]).statistic, abs=1e-12)


def test_what_cannot_be_ranked_is_nan():
    one = np.ones((1, 4))
    assert np.isnan(weighted_auc(np.arange(4.0), np.zeros(4, bool), one)).all()
    assert np.isnan(weighted_rank_correlation(np.ones(4), np.arange(4.0), one)).all()
    some = weighted_rank_correlation(np.arange(4.0), np.arange(4.0), np.vstack([one, 0 * one]))
    assert some[0] == pytest.approx(1)
    assert np.isnan(some[1])  # a draw in which no row counts
