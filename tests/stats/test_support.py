"""Does a row lie where rows lay: references, the p-values' promise, and what each fault does to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import covariance

from mlwild.errors import DataError
from mlwild.stats.p_values import outlying_rows
from mlwild.stats.shrinkage import ledoit_wolf
from mlwild.stats.support import SCORES, learn_support


@pytest.mark.parametrize(("n", "columns"), [(2, 3), (10, 30), (200, 5), (1000, 20)])
def test_shrinkage_is_that_of_scikit_learn(n, columns):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, columns)) @ rng.normal(size=(columns, columns)) + 3.0
    found, share = ledoit_wolf(rows)
    expected, expected_share = covariance.ledoit_wolf(rows)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert share == pytest.approx(expected_share, abs=1e-9)


def test_shrinkage_of_rows_that_do_not_differ_is_nothing_and_odd_rows_are_refused():
    assert ledoit_wolf(np.ones((5, 2))) == (pytest.approx(np.zeros((2, 2))), 0.0)
    for rows in (np.ones(3), np.ones((0, 2)), np.array([[1.0, np.nan]])):
        with pytest.raises(DataError, match="need two axes"):
            ledoit_wolf(rows)


# -- worlds: rows of six columns, in pairs that move together -----------------------------------------------------


def _pairs(rng, n, own=0.2):
    base = rng.normal(size=(n, 3))
    return np.column_stack([base, base + own * rng.normal(size=(n, 3))])


def _heavy(rng, n):
    return np.sinh(2 * _pairs(rng, n)) * np.array([1, 100, 1e6, 1, 1e-3, 1])


def _coarse(rng, n):
    """Whole numbers, a column that hardly ever moves and one that never does."""
    rows = np.round(_pairs(rng, n))
    rows[:, 4] = rng.random(n) < 0.02
    rows[:, 5] = 7.0
    return rows


def _holey(rng, n):
    rows = _pairs(rng, n)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[:, 1] = np.nan
    return rows


WORLDS = [_pairs, _heavy, _coarse, _holey]


@pytest.mark.parametrize("world", WORLDS)
def test_one_row_and_many_are_judged_alike_and_a_calibration_row_ties_with_itself(world):
    rng = np.random.default_rng(0)
    calibration = world(rng, 150)
    support = learn_support(world(rng, 100), calibration)
    rows = np.concatenate([world(rng, 100), calibration, 1e3 * world(rng, 20), np.full((1, 6), np.nan)])
    rows[0, 0], rows[1, 2] = np.inf, -np.inf
    judged = [support.judge(row) for row in rows.tolist()]
    assert support.p_values(rows).tolist() == pytest.approx([found.p for found in judged], abs=1e-12)
    # The rank by its definition: among the calibration rows their own p-values are (1 + #{at least}) / (n + 1).
    ranks = np.sort(support.p_values(calibration) * 151)
    assert (ranks >= 2 + np.arange(150) - 1e-6).all()


@pytest.mark.parametrize("draws", [60, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("world", WORLDS)
def test_p_values_of_rows_that_belong_are_at_most_u_with_a_chance_of_u(world, draws):
    # Each draw learns from 60 rows, calibrates on 79 and judges 80 new ones; the draws' shares are independent, so
    # that three of their standard errors are the tolerance. With 79 rows, u = .05 and .2 are attained exactly.
    rng = np.random.default_rng(1)
    together, alone = [], []
    for _ in range(draws):
        support = learn_support(world(rng, 60), world(rng, 79))
        rows = world(rng, 80)
        together.append([(support.p_values(rows) <= u).mean() for u in (0.05, 0.2, 0.5)])
        each = np.array([support.judge(row).by_score for row in rows[:20].tolist()])
        alone.append((each <= 0.2).mean(axis=0))
    together, alone = np.array(together), np.array(alone)
    error = together.std(axis=0) / math.sqrt(draws)
    assert (together.mean(axis=0) <= np.array([0.05, 0.2, 0.5]) + 3 * error).all()
    if world in {_pairs, _heavy}:  # continuous: no more careful than it must be
        assert (together.mean(axis=0) >= np.array([0.05, 0.2, 0.5]) - 3 * error).all()
    assert (alone.mean(axis=0) <= 0.2 + 3 * alone.std(axis=0) / math.sqrt(draws)).all()


# -- faults -------------------------------------------------------------------------------------------------------


def _turned(rows):
    rows[:, 1] *= -1
    return rows


def _swapped(rows):
    rows[:, [0, 1]] = rows[:, [1, 0]]
    return rows


def _scaled(rows):
    rows[:, 2] *= 1000
    return rows


def _lost(rows):
    rows[:, [2, 5]] = np.nan
    return rows


@pytest.mark.parametrize(
    ("fault", "least", "score", "columns"),
    [
        (_turned, 0.75, {"mismatch", "distance"}, {1, 4}),
        (_swapped, 0.75, {"mismatch", "distance"}, {0, 1, 3, 4}),
        (_scaled, 0.95, {"reach", "mismatch", "distance"}, {2, 5}),
        (_lost, 1.0, {"missing"}, {2, 5}),
    ],
)
def test_faults_are_seen_and_named(fault, least, score, columns):
    rng = np.random.default_rng(2)
    support = learn_support(_pairs(rng, 1000), _pairs(rng, 1000))
    judged = [support.judge(row) for row in fault(_pairs(rng, 2000)).tolist()]
    small = [found for found in judged if found.p <= 0.05]
    assert len(small) / 2000 >= least
    assert np.mean([found.score in score for found in small]) > 0.9
    assert np.mean([found.column in columns for found in small]) > 0.9


def test_only_a_score_that_knows_how_columns_move_together_sees_a_sign_that_was_turned():
    rng = np.random.default_rng(3)
    support = learn_support(_pairs(rng, 1000), _pairs(rng, 1000))
    each = np.array([support.judge(row).by_score for row in _turned(_pairs(rng, 2000)).tolist()])
    seen = dict(zip(SCORES, (each <= 0.05).mean(axis=0), strict=True))
    assert seen["mismatch"] > 0.75
    assert 0.65 < seen["distance"] < seen["mismatch"]  # one column of six: the sum is less sharp than the worst
    assert seen["reach"] < 0.05 + 0.02  # every value lies within its range: no more than chance
    assert seen["missing"] == 0.0


def test_a_column_that_never_moved_is_far_out_when_it_moves():
    rng = np.random.default_rng(4)
    support = learn_support(_coarse(rng, 300), _coarse(rng, 300))
    row = _coarse(rng, 1)[0]
    row[5] = 7.1
    found = support.judge(row.tolist())
    assert (found.p, found.column) == (pytest.approx(1 / 301), 5)


def test_wrong_shapes_are_refused():
    rows = np.zeros((5, 2))
    support = learn_support(rows, rows)
    with pytest.raises(DataError, match="the row has 3 values, needs one for each of 2 columns"):
        support.judge([1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="rows have 3 columns, need 2"):
        support.p_values(np.zeros((4, 3)))
    with pytest.raises(DataError, match="needs rows and columns"):
        support.p_values(np.zeros(2))
    with pytest.raises(DataError, match="calibration has 1 rows, needs two"):
        learn_support(rows, rows[:1])
    with pytest.raises(DataError, match="learning has 2 columns and calibration 1"):
        learn_support(rows, rows[:, :1])
    with pytest.raises(DataError, match="learning has an infinite value"):
        learn_support(np.full((5, 2), np.inf), rows)


# -- batches --------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_share_of_the_rows_that_are_named_belongs_at_most(draws):
    # 90 rows that belong and 10 with a turned sign, 400 calibration rows, rate .1. The draws' shares are
    # independent: three of their standard errors.
    rng = np.random.default_rng(6)
    false, found = [], []
    for _ in range(draws):
        support = learn_support(_pairs(rng, 200), _pairs(rng, 400))
        rows = np.concatenate([_turned(_pairs(rng, 10)), _pairs(rng, 90)])
        named = outlying_rows(support.p_values(rows), rate=0.1)
        false.append((named >= 10).sum() / max(len(named), 1))
        found.append((named < 10).sum() / 10)
    assert np.mean(false) <= 0.1 + 3 * np.std(false) / math.sqrt(draws)
    assert np.mean(found) > 0.4


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(DataError, match="rate is 1"):
        outlying_rows(np.array([0.5]), rate=1.0)


@pytest.mark.parametrize("rate", [1e-4, 0.05, 0.3])
def test_outlying_rows_are_those_of_benjamini_and_hochberg_with_or_without_any(rate):
    """200 batches of 40: the greatest k with p_(k) <= k rate / n, all up to it; in most batches none is."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        p = rng.random(40)
        p[: rng.integers(0, 4)] *= rate / 10
        ordered = np.sort(p)
        below = np.flatnonzero(ordered <= np.arange(1, 41) * rate / 40)
        wanted = np.flatnonzero(p <= ordered[below[-1]]) if len(below) else []
        found.append(len(wanted))
        assert outlying_rows(p, rate=rate).tolist() == list(wanted)
    assert 0 in found
    assert max(found) > 0
    assert outlying_rows(np.array([rate, rate]), rate=rate).tolist() == [0, 1]
    assert outlying_rows(np.zeros(0), rate=rate).tolist() == []


def test_a_p_value_beyond_the_calibration_rows_falls_as_the_tail_does_and_is_the_rank_before():
    rng = np.random.default_rng(7)
    support = learn_support(rng.normal(size=(2000, 2)), rng.normal(size=(500, 2)))
    asked = np.array([[0.1, 0.1], [2.0, 0.0], [6.0, 0.0], [8.0, 0.0], [12.0, 0.0]])
    p = support.tail(asked)
    assert p[:2].tolist() == support.p_values(asked[:2]).tolist()
    assert support.p_values(asked[2:]).tolist() == [1 / 501] * 3
    assert 1e-3 / 501 > p[2] > 1e3 * p[3] > 1e6 * p[4]
    assert support.tail(asked[:2]).tolist() == p[:2].tolist()  # whatever else is in the batch
