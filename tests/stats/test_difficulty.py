"""Difficulty of rows, against a ridge regression of another library, fitted anew without each row."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mlwild.errors import DataError
from mlwild.stats import difficulty
from mlwild.stats.difficulty import FLOOR, MOST_COLUMNS, PENALTY, learn_difficulty


def _stream(n, p, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, p))
    return rows, np.abs(rng.normal(size=n)) * (1 + np.abs(rows[:, 0]))


def _design(rows, centre):
    off = rows - centre
    return np.concatenate([np.abs(off), off], axis=1)


@pytest.mark.parametrize(("n", "p"), [(40, 3), (90, 1), (300, 7)])
def test_it_is_ridge_regression_and_no_row_has_a_part_in_its_own(n, p, monkeypatch):
    monkeypatch.setattr(difficulty, "CUT", 1.0)
    rows, scores = _stream(n, p, n)
    centre = np.median(rows, axis=0)
    found, hard = learn_difficulty(rows, scores, centre)
    every = _design(rows, centre)
    unit = (every - every.mean(axis=0)) / every.std(axis=0)
    whole = Ridge(alpha=PENALTY * n).fit(unit, scores)
    floor = FLOOR * scores.mean()
    assert found.of(rows) == pytest.approx(np.maximum(whole.predict(unit), 0) + floor)
    without = []
    for left in range(n):
        others = np.delete(np.arange(n), left)
        fitted = Ridge(alpha=PENALTY * n).fit(unit[others], scores[others])
        without.append(max(float(fitted.predict(unit[[left]])[0]), 0) + floor)
    assert hard == pytest.approx(np.array(without))
    assert np.abs(hard - found.of(rows)).max() > 0.01


def test_a_row_alone_is_as_hard_as_in_company_to_the_last_bit():
    rows, scores = _stream(500, 20, 0)
    found, _ = learn_difficulty(rows, scores, np.zeros(20))
    many = found.of(rows)
    assert [float(found.of(rows[at : at + 1])[0]) for at in range(500)] == many.tolist()
    assert found.of(np.asfortranarray(rows)).tolist() == many.tolist()
    assert [found.of_one(rows[at : at + 1, :7], rows[at : at + 1, 7:]) for at in range(500)] == many.tolist()
    for odd in (np.nan, np.inf, -np.inf, 1e308):
        spoilt = np.where(np.arange(20) == 3, odd, rows[:1])
        assert found.of_one(spoilt) == found.of(np.vstack([rows[:5], spoilt]))[5]
        all_of_it = np.full((1, 20), odd)
        assert found.of_one(all_of_it) == found.of(np.vstack([rows[:5], all_of_it]))[5]
    wide = np.vstack([rows, rows, rows])
    assert found.of(wide).tolist() == many.tolist() * 3
    for n in (2, 3, 8, 9, difficulty._CELLS // 20 + 1):  # the last leaves one row for a block of its own
        assert found.of(wide[:n]).tolist() == (many.tolist() * 3)[:n]
    assert found.of(rows[:, :13], rows[:, 13:]).tolist() == many.tolist()
    gaps = np.where(np.arange(500)[:, None] % 7, rows, np.nan)
    assert found.of(gaps)[1] == many[1]
    assert [float(found.of(gaps[at : at + 1])[0]) for at in range(500)] == found.of(gaps).tolist()


def test_what_is_missing_counts_as_the_middle_and_what_is_far_stays_a_number():
    rows, scores = _stream(200, 2, 1)
    centre = np.array([0.5, -0.5])
    found, _ = learn_difficulty(rows, scores, centre)
    assert found.of(np.array([[np.nan, np.nan]])) == found.of(centre[None])
    far = found.of(np.array([[np.inf, 0.0], [-1e308, 0.0], [1e308, 1e308]]))
    assert np.isfinite(far).all()
    assert (far > 0).all()
    gaps = np.where(np.random.default_rng(0).random(rows.shape) < 0.3, np.nan, rows)
    filled = np.where(np.isnan(gaps), centre, gaps)
    assert np.array_equal(learn_difficulty(gaps, scores, centre)[1], learn_difficulty(filled, scores, centre)[1])


def test_a_spike_in_a_column_is_no_lever():
    rows, scores = _stream(500, 1, 2)
    honest, _ = learn_difficulty(rows, scores, np.zeros(1))
    rows[7], scores[7] = 1e4, 0.0
    found, _ = learn_difficulty(rows, scores, np.zeros(1))
    assert found.far[0] == pytest.approx(honest.far[0], rel=0.15)


def test_of_many_columns_those_are_looked_at_that_go_along_with_scores():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 200))
    scores = np.abs(rng.normal(size=500)) * (1 + 2 * np.abs(rows[:, 150])) * np.exp(0.5 * rows[:, 170])
    found, _ = learn_difficulty(rows, scores, np.zeros(200))
    used = np.flatnonzero(found.far)
    assert len(used) == MOST_COLUMNS
    assert {150, 170} <= set(used.tolist())


def test_columns_that_stand_still_tell_nothing():
    rows = np.full((100, 2), 3.3)
    scores = np.abs(np.random.default_rng(0).normal(size=100))
    found, hard = learn_difficulty(rows, scores, np.array([3.3, 0.0]))
    assert found.far.tolist() == found.side.tolist() == [0.0, 0.0]
    assert found.of(np.array([[9.0, 9.0]]))[0] == pytest.approx((1 + FLOOR) * scores.mean())
    assert np.isfinite(hard).all()


@pytest.mark.parametrize(
    ("scores", "said"), [([1.0], "two at least"), ([1.0, np.nan], "not finite"), ([1.0, -1.0], "below 0")]
)
def test_what_is_no_score_is_refused(scores, said):
    with pytest.raises(DataError, match=said):
        learn_difficulty(np.zeros((len(scores), 1)), np.array(scores), np.zeros(1))
