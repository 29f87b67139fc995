"""A rival is called ahead as seldom as stated where it is not, and soon where it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from mlwild.stats.rivals import FEWEST, lead_by_chance


def test_bound_is_students_with_the_level_shared_among_rivals_and_looks():
    gaps = np.vstack([np.zeros(20), np.random.default_rng(0).normal(size=(3, 20))])
    level = 0.05 / 3 * 6 / (np.pi * 20) ** 2
    expected = student.isf(level, 19) * np.sqrt(20) * gaps.std(axis=1, ddof=1)
    assert lead_by_chance(gaps) == pytest.approx(expected)


def test_before_eight_looks_no_lead_counts():
    assert np.isinf(lead_by_chance(np.ones((3, FEWEST - 1)))).all()


def _first_call(gaps, alpha=0.05):
    """Return the look at which a rival is called ahead first, or None."""
    for looks in range(FEWEST, gaps.shape[1] + 1):
        seen = gaps[:, :looks]
        if (seen.sum(axis=1) > lead_by_chance(seen, alpha=alpha)).any():
            return looks
    return None


def test_none_is_called_ahead_more_often_than_stated_where_none_is():
    # 400 histories of 60 looks, five rivals as good as the one in charge, at .2 so that it can be seen:
    # at most .2 plus three standard errors (.06); shared among looks it is far below.
    rng = np.random.default_rng(1)
    called = 0
    for _ in range(400):
        losses = np.abs(rng.normal(size=(6, 60)))
        called += _first_call(losses[0] - losses, alpha=0.2) is not None
    assert called / 400 < 0.26


def test_a_rival_that_is_ahead_is_called_so():
    # 100 histories of 60 looks: the rival's errors are a third as large.
    rng = np.random.default_rng(2)
    found = []
    for _ in range(100):
        losses = np.abs(rng.normal(size=(2, 60))) * np.array([[1.0], [1 / 3]])
        found.append(_first_call(losses[0] - losses) is not None)
    assert np.mean(found) > 0.9
