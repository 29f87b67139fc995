"""What stands for a missing value: beside linear regression, by closed form, and never beyond what was learned."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

from mlwild.errors import DataError
from mlwild.stats.imputer import learn_imputer

K, N = 6, 4000


def _factor(rng, n=N):
    load = np.random.default_rng(1).normal(size=(2, K))
    return rng.normal(size=(n, 2)) @ load + 0.4 * rng.normal(size=(n, K))


@pytest.mark.parametrize("lost", [(0,), (1, 4), (0, 2, 3, 5)])
def test_of_normal_columns_it_is_as_good_as_the_regression_on_the_others(lost):
    """Of 4,000 rows: the mean squared error is that of least squares, but for ranks and a shrunk covariance."""
    learned, live = _factor(np.random.default_rng(2)), _factor(np.random.default_rng(3))
    rest, lost = [one for one in range(K) if one not in lost], list(lost)
    gaps = live.copy()
    gaps[:, lost] = np.nan
    found = learn_imputer(learned).filled(gaps)
    told = LinearRegression().fit(learned[:, rest], learned[:, lost]).predict(live[:, rest])
    assert np.array_equal(found[:, rest], live[:, rest])
    ours, theirs = (((made - live[:, lost]) ** 2).mean(axis=0) for made in (found[:, lost], told))
    assert (ours < 1.03 * theirs).all()


def test_of_columns_that_are_bent_it_is_the_conditional_median():
    """Exponentials of two normal numbers: the median of one given the other is known."""
    rng, r = np.random.default_rng(4), 0.8
    z = rng.normal(size=(20_000, 2)) @ np.linalg.cholesky(np.array([[1.0, r], [r, 1.0]])).T
    imputer = learn_imputer(np.exp(z))
    at = np.exp(np.linspace(-2.0, 2.0, 9))
    found = imputer.filled(np.column_stack([np.full(9, np.nan), at]))[:, 0]
    np.testing.assert_allclose(np.log(found), r * np.log(at), atol=0.05)  # 20,000 rows: some .02 at two deviations


def test_half_of_what_was_lost_lies_below():
    """Its promise, of a copula that is not the learned one but drawn: 4,000 rows, four deviations of a share."""
    rng = np.random.default_rng(5)
    learned, live = (norm.cdf(_factor(rng)) ** 3 for _ in range(2))
    gaps = live.copy()
    gaps[:, 2] = np.nan
    found = learn_imputer(learned).filled(gaps)[:, 2]
    assert abs((live[:, 2] < found).mean() - 0.5) < 4 * np.sqrt(0.25 / N) + 0.01


def test_nothing_lies_beyond_what_was_learned_and_few_values_stay_the_same_few():
    rng = np.random.default_rng(6)
    x = rng.normal(size=N)
    rows = np.column_stack([x, np.round(x), (x > 0).astype(float), np.full(N, 7.0)])
    imputer = learn_imputer(rows)
    for far in (1e3, 1e300, -1e9):
        found = imputer.filled(np.array([[far, np.nan, np.nan, np.nan], [np.nan, np.nan, 1.0, np.nan]]))
        assert set(found[:, 1]) <= set(rows[:, 1])
        assert set(found[:, 2]) <= {0.0, 1.0}
        assert (found[:, 3] == 7.0).all()
        assert rows[:, 0].min() <= found[1, 0] <= rows[:, 0].max()


def test_what_others_say_nothing_of_is_the_median():
    rng = np.random.default_rng(7)
    rows = rng.exponential(size=(N, 3))
    found = learn_imputer(rows).filled(np.array([[np.nan, 5.0, 0.1], [np.nan, np.nan, np.nan]]))
    # A correlation of independent columns is off by 1/63: two deviations of both, in a place where the slope is one.
    np.testing.assert_allclose(found[:, 0], np.median(rows[:, 0]), atol=0.15)


def test_only_what_is_wanted_is_filled_whatever_it_holds():
    rows = _factor(np.random.default_rng(8))
    imputer, live = learn_imputer(rows), rows[:5].copy()
    live[0, 1] = np.nan
    wanted = np.zeros((5, K), dtype=bool)
    wanted[:, 0] = True
    live[2, 0] = np.inf
    found = imputer.filled(live, wanted)
    assert np.isnan(found[0, 1])
    assert np.isfinite(found[:, 0]).all()
    assert np.array_equal(found[1:, 1:], live[1:, 1:])
    alone = np.concatenate([imputer.filled(live[[row]], wanted[[row]]) for row in range(5)])
    np.testing.assert_allclose(found, alone, rtol=1e-12)


def test_rows_with_gaps_are_learned_from_and_a_column_that_is_never_there_stays_missing():
    rng = np.random.default_rng(9)
    rows = _factor(rng)
    rows[rng.random((N, K)) < 0.1] = np.nan
    rows[:, 5] = np.nan
    found = learn_imputer(rows).filled(rows)
    assert np.isfinite(found[:, :5]).all()
    assert np.isnan(found[:, 5]).all()


@pytest.mark.parametrize("columns", [[0], list(range(K))])
def test_gaps_in_what_was_learned_from_draw_nothing_to_the_median(columns):
    """Three in ten values are missing, of one column or of all: what is imputed is as good as of whole rows, nearly."""
    rng = np.random.default_rng(11)
    rows, live = _factor(rng), _factor(rng)
    gappy = rows.copy()
    gappy[:, columns] = np.where(rng.random((N, len(columns))) < 0.3, np.nan, gappy[:, columns])
    gaps = live.copy()
    gaps[:, 0] = np.nan
    whole, found = (learn_imputer(one).filled(gaps)[:, 0] for one in (rows, gappy))
    assert np.polyfit(whole, found, 1)[0] == pytest.approx(1.0, abs=0.05)
    assert ((found - live[:, 0]) ** 2).mean() < 1.04 * ((whole - live[:, 0]) ** 2).mean()


def test_columns_that_are_never_there_together_tell_nothing_of_each_other():
    rng = np.random.default_rng(12)
    rows = _factor(rng)
    rows[::2, 0] = rows[1::2, 1:] = np.nan
    found = learn_imputer(rows).filled(np.array([[np.nan, 2.0, 2.0, 2.0, 2.0, 2.0], [2.0] + [np.nan] * 5]))
    np.testing.assert_allclose(found[0, 0], np.nanmedian(rows[:, 0]), atol=0.02)
    np.testing.assert_allclose(found[1, 1:], np.nanmedian(rows[:, 1:], axis=0), atol=0.02)


def test_what_is_lost_together_is_told_by_what_is_left():
    """Three readings of one number: without one the others say nearly all, without two the third says some less."""
    rng = np.random.default_rng(10)
    x = rng.normal(size=(20_000, 1)) + 0.3 * rng.normal(size=(20_000, 3))
    imputer = learn_imputer(x)
    one, two, three = (imputer.unsaid(range(n))[0] for n in (1, 2, 3))
    r = 1 / 1.09
    left = [np.sqrt(1 - 2 * r * r / (1 + r)), np.sqrt(1 - r * r), 1.0]
    np.testing.assert_allclose([one, two, three], [(s - left[0]) / (1 - left[0]) for s in left], atol=0.01)


def test_what_it_cannot_learn_from_is_said():
    for rows in (np.zeros((0, 2)), np.zeros(3), np.array([[1.0, np.inf]])):
        with pytest.raises(DataError):
            learn_imputer(rows)
    with pytest.raises(DataError, match="need 2 columns"):
        learn_imputer(np.random.default_rng(0).normal(size=(9, 2))).filled(np.zeros((1, 3)))
