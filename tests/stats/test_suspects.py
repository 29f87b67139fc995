"""Which column is at fault: likelihoods against those of the normal law, and how often the right one is named."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mlwild.stats.suspects import PRIOR, column_gains, likeliest, pair_gains


def _factor(rng, k=6, noise=0.6):
    """Return the inverse covariance of columns that share a factor, and how to draw them."""
    load = rng.uniform(0.6, 1.0, size=k)
    covariance = np.outer(load, load) + noise**2 * np.eye(k)
    return np.linalg.inv(covariance), lambda n: rng.multivariate_normal(np.zeros(k), covariance, size=n)


def _apart(precision, rows):
    return (precision / np.sqrt(np.diag(precision))[:, None]) @ rows.T


def _along(precision, column):
    root = np.sqrt(np.diag(precision))
    return precision[:, column] / root / root[column]


def _normal(precision, rows, columns, centre, spread):
    """Return by how much likelier rows are where the columns' distances have another centre and spread."""
    root, some = np.diag(np.sqrt(np.diag(precision)[columns])), np.ix_(columns, columns)
    back = np.linalg.inv(precision[some]) @ root
    usual = np.linalg.inv(root) @ precision[some] @ np.linalg.inv(root)
    mean, covariance = np.zeros(len(precision)), np.linalg.inv(precision)
    before = multivariate_normal(mean, covariance).logpdf(rows)
    mean[columns] = back @ centre
    covariance[some] += back @ (spread - usual) @ back.T
    return multivariate_normal(mean, covariance).logpdf(rows) - before


def test_gains_are_likelihood_ratios_of_the_normal_law():
    rng = np.random.default_rng(0)
    precision, draw = _factor(rng)
    rows = draw(40)
    rows[:, 2] += 1.5 + rng.normal(size=40)
    apart = _apart(precision, rows)
    found = column_gains(apart)
    for column in (0, 2, 5):
        own = apart[column]
        spread = (40 * own.var() + PRIOR) / (40 + PRIOR)
        wanted = _normal(precision, rows, [column], np.array([own.mean()]), np.array([[spread]]))
        np.testing.assert_allclose(found[column], wanted, rtol=1e-9, atol=1e-9)


def test_gains_of_pairs_are_as_well():
    rng = np.random.default_rng(1)
    precision, draw = _factor(rng)
    rows = draw(40)
    rows[:, [1, 4]] += rng.normal(size=(40, 2)) - 1.0
    apart = _apart(precision, rows)
    found = pair_gains(apart, _along(precision, 1), 1)
    for other in (0, 4):
        both = apart[[1, other]]
        usual = np.array([[1.0, _along(precision, 1)[other]], [_along(precision, 1)[other], 1.0]])
        spread = (40 * np.cov(both, bias=True) + PRIOR * usual) / (40 + PRIOR)
        wanted = _normal(precision, rows, [1, other], both.mean(axis=1), spread)
        np.testing.assert_allclose(found[other], wanted, rtol=1e-9, atol=1e-9)
    assert not found[1].any()


@pytest.mark.parametrize("fault", ["shift", "stale", "spread"])
def test_the_column_at_fault_is_seldom_ruled_out(fault):
    """Of 400 draws of 50 rows, so many leave the column at fault out: three deviations, or one in twenty by odds."""
    rng = np.random.default_rng(2)
    missed = alone = 0
    for _ in range(400):
        precision, draw = _factor(rng)
        rows, column = draw(50), int(rng.integers(6))
        rows[:, column] = {
            "shift": rows[:, column] + 1.0,
            "stale": draw(50)[:, column],
            "spread": 2.0 * rows[:, column],
        }[fault]
        near = likeliest(column_gains(_apart(precision, rows)))[1]
        missed += not near[column]
        alone += bool(near[column]) and near.sum() == 1
    assert missed <= 8  # 2 %
    assert alone >= 40  # it is not that everybody is in question


def test_where_nothing_tells_two_columns_apart_neither_is_ruled_out():
    """One of two is another row's: the likelihoods of both differ by chance alone, and by much. 400 draws of 60 rows."""
    rng = np.random.default_rng(3)
    wrong = 0
    covariance = np.array([[1.0, 0.95], [0.95, 1.0]])
    for _ in range(400):
        apart = _apart(np.linalg.inv(covariance), rng.normal(size=(60, 2)))
        wrong += not likeliest(column_gains(apart))[1].all()
    # Three deviations of a mean of 60 squares: twice what the normal law has at most, and three deviations of 400 draws.
    assert wrong <= 400 * 0.0054 + 3 * np.sqrt(400 * 0.0054)


def test_far_off_rows_are_told_as_well():
    apart = np.full((3, 4), 0.1)
    apart[1] = 1e200
    assert likeliest(column_gains(apart))[1].tolist() == [False, True, False]
    assert np.isfinite(pair_gains(apart, np.array([0.1, 1.0, 0.2]), 1)).all()
