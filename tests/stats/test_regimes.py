"""Regimes: planted ones are found, and noise has none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mlwild.errors import DataError
from mlwild.stats.regimes import regimes


def planted(seed, distance=3.0, d=2):
    """Return periods of three stretches, of which the second is another regime."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 0], [25, 15, 20])
    return rng.normal(size=(60, d)) + distance * truth[:, None], truth


def test_planted_regimes_are_found():
    scores = [adjusted_rand_score(truth, regimes(values).label) for values, truth in map(planted, range(30))]
    assert np.mean(scores) >= 0.9


def test_noise_has_one_regime():
    """40 draws: at least 90 % say so, less 2.5 standard errors."""
    found = [regimes(np.random.default_rng(seed).normal(size=(60, 2))).number for seed in range(40)]
    assert np.mean(np.array(found) == 1) >= 0.78


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 4])
def test_noise_has_one_regime_long(d):
    """400 draws."""
    found = [regimes(np.random.default_rng(seed).normal(size=(60, d))).number for seed in range(400)]
    assert np.mean(np.array(found) == 1) >= 0.9 - 2 * 0.015


def test_the_likelihood_is_that_of_brute_force():
    from mlwild.stats.regimes import _smoothed

    rng = np.random.default_rng(0)
    density = np.log(rng.random((6, 2)))
    moves, begin = np.array([[0.7, 0.3], [0.4, 0.6]]), np.array([0.5, 0.5])
    total, first = 0.0, 0.0
    for path in np.ndindex(*[2] * 6):
        chance = begin[path[0]] * np.exp(density[0, path[0]])
        for k in range(1, 6):
            chance *= moves[path[k - 1], path[k]] * np.exp(density[k, path[k]])
        total += chance
        first += chance * (path[2] == 0)
    shares, pairs, likelihood = _smoothed(density, moves, begin)
    assert likelihood == pytest.approx(np.log(total))
    assert shares[2, 0] == pytest.approx(first / total)
    assert pairs.sum() == pytest.approx(5)


def test_short_and_constant_histories_have_one():
    assert regimes(np.zeros((40, 2))).number == 1
    assert regimes(np.random.default_rng(0).normal(size=(6, 1))).number == 1


def test_a_gap_is_refused():
    with pytest.raises(DataError, match="column 1 in period 3"):
        regimes(np.where(np.arange(20).reshape(10, 2) == 7, np.nan, 1.0))
