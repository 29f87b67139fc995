"""Which column is at fault: likelihoods against those of the normal law, and how often the right one is named."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from mlwild.stats.suspects import PRIOR, Distances, column_gains, likeliest, pair_gains


def _factor(rng, k=6, noise=0.6):
    """Return the inverse covariance of columns that share a factor, and how to draw them."""
    load = rng.uniform(0.6, 1.0, size=k)
    covariance = np.outer(load, load) + noise**2 * np.eye(k)
    return np.linalg.inv(covariance), lambda n: rng.multivariate_normal(np.zeros(k), covariance, size=n)


def _of(precision, rows):
    return Distances.of(rows.T, precision)


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
    distances = _of(precision, rows)
    found = column_gains(distances)
    for column in (0, 2, 5):
        own = distances.apart[column]
        spread = (40 * own.var() + PRIOR) / (40 + PRIOR)
        wanted = _normal(precision, rows, [column], np.array([own.mean()]), np.array([[spread]])) - np.log(40) / 40
        np.testing.assert_allclose(found[column], wanted, rtol=1e-9, atol=1e-9)


def test_gains_of_pairs_are_as_well():
    rng = np.random.default_rng(1)
    precision, draw = _factor(rng)
    rows = draw(40)
    rows[:, [1, 4]] += rng.normal(size=(40, 2)) - 1.0
    distances = _of(precision, rows)
    found = pair_gains(distances, 1)
    for other in (0, 4):
        both, along = distances.apart[[1, other]], distances.along(1)[other, 0]
        usual = np.array([[1.0, along], [along, 1.0]])
        spread = (40 * np.cov(both, bias=True) + PRIOR * usual) / (40 + PRIOR)
        wanted = _normal(precision, rows, [1, other], both.mean(axis=1), spread) - 2.5 * np.log(40) / 40
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
        near = likeliest(column_gains(_of(precision, rows)))[1]
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
        rows = _of(np.linalg.inv(covariance), rng.normal(size=(60, 2)))
        wrong += not likeliest(column_gains(rows))[1].all()
    # Three deviations of a mean of 60 squares: twice what the normal law has at most, and three deviations of 400 draws.
    assert wrong <= 400 * 0.0054 + 3 * np.sqrt(400 * 0.0054)


def test_what_differs_by_its_own_noise_is_not_told_apart_and_what_differs_for_good_is():
    """Sums of 50 gains of deviation 3 differ by 30 by chance alone: 400 draws; and a row's share of .5 more is nothing yet."""
    rng = np.random.default_rng(5)
    apart = near = 0
    for _ in range(400):
        gains = 3.0 * rng.normal(size=(2, 50))
        apart += not likeliest(gains)[1].all()
        near += bool(likeliest(gains + np.array([[3.0], [0.0]]))[1][1])
    assert apart <= 400 * 0.0054 + 3 * np.sqrt(400 * 0.0054)  # three deviations, of a deviation that is estimated
    assert near < 40  # 150 more, five deviations


def test_far_off_rows_are_told_as_well():
    scores = np.full((3, 4), 0.1)
    scores[1] = 1e200
    rows = Distances.of(scores, np.linalg.inv(np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 1.0]])))
    assert likeliest(column_gains(rows))[1].tolist() == [False, True, False]
    assert np.isfinite(pair_gains(rows, 1)).all()


def test_gains_of_values_of_other_rows_are_those_of_the_marginal_law():
    """What counts there is the law of the value by itself beside its law given the others."""
    rng = np.random.default_rng(4)
    precision, draw = _factor(rng)
    covariance = np.linalg.inv(precision)
    root = np.sqrt(np.diag(covariance))
    precision, rows = np.linalg.inv(covariance / np.outer(root, root)), draw(200) / root
    rows[:, 3] = draw(200)[:, 3] / root[3]
    found, law = column_gains(_of(precision, rows)), np.linalg.inv(precision)
    rest = [0, 1, 2, 4, 5]
    apart = multivariate_normal(np.zeros(5), law[np.ix_(rest, rest)]).logpdf(rows[:, rest]) + norm.logpdf(rows[:, 3])
    wanted = apart - multivariate_normal(np.zeros(6), law).logpdf(rows)
    np.testing.assert_allclose(found[3], wanted, rtol=1e-9, atol=1e-9)
    rows[:, 0] = draw(200)[:, 0] / root[0]
    pairs = pair_gains(_of(precision, rows), 3)[0]
    rest = [1, 2, 4, 5]
    apart = multivariate_normal(np.zeros(4), law[np.ix_(rest, rest)]).logpdf(rows[:, rest])
    wanted = apart + norm.logpdf(rows[:, [0, 3]]).sum(axis=1) - multivariate_normal(np.zeros(6), law).logpdf(rows)
    np.testing.assert_allclose(pairs, wanted, rtol=1e-9, atol=1e-9)
