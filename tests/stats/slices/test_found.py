"""Slices found on one half of the rows and confirmed on the other: few false ones, and the true one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwild.errors import DataError
from mlwild.stats.slices import found_slices, halves, members
from tests.stats.slices.planted import PLANTED, SKEWED, errors, losses, overlap


def _slow(*given):
    return pytest.param(*given, marks=pytest.mark.slow)


def _allowed(share, draws):
    """Return a share, and three standard errors of it."""
    return share + 3 * math.sqrt(share * (1 - share) / draws)


# -- the promises --------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "draws"), [(0.1, 40), _slow(0.05, 600), _slow(0.1, 600), _slow(0.3, 600)])
def test_where_no_slice_is_worse_one_is_called_so_in_at_most_5_of_100_tables_errors(base, draws):
    false = [bool(found_slices(*errors(seed, base, 0.0)[:2], seed=seed).confirmed) for seed in range(draws)]
    assert np.mean(false) <= _allowed(0.05, draws)


@pytest.mark.parametrize("law", sorted(SKEWED))
@pytest.mark.parametrize("draws", [8, _slow(200)])
def test_where_no_slice_is_worse_one_is_called_so_in_at_most_5_of_100_tables_skewed_losses(law, draws):
    false = [bool(found_slices(*losses(seed, law)[:2], seed=seed).confirmed) for seed in range(draws)]
    assert np.mean(false) <= _allowed(0.05, draws)


@pytest.mark.parametrize(
    ("base", "draws"), [(0.1, 20), (0.3, 20), _slow(0.1, 400), _slow(0.2, 400), _slow(0.3, 400), _slow(0.5, 400)]
)
def test_a_slice_of_5_percent_with_20_points_more_is_found_in_9_of_10_tables(base, draws):
    hits = []
    for seed in range(draws):
        codes, lost, _ = errors(seed, base)
        hits.append(
            any(overlap(codes, one.conditions) >= 0.5 for one in found_slices(codes, lost, seed=seed).confirmed)
        )
    least = 0.9 if draws >= 400 else 0.9 - 3 * math.sqrt(0.09 / draws)
    assert np.mean(hits) >= least


@pytest.mark.slow
@pytest.mark.parametrize("law", ["exponential", "log-normal"])
def test_a_slice_that_loses_twice_as_much_is_found_in_9_of_10_tables(law):
    hits = []
    for seed in range(200):
        codes, lost, _ = losses(seed, law, 2.0)
        hits.append(
            any(overlap(codes, one.conditions) >= 0.5 for one in found_slices(codes, lost, seed=seed).confirmed)
        )
    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize(
    ("make", "draws"),
    [
        (lambda seed: errors(seed, 0.2), 25),
        _slow(lambda seed: errors(seed, 0.2), 400),
        _slow(lambda seed: losses(seed, "exponential", 2.0), 200),
        _slow(lambda seed: losses(seed, "log-normal", 2.0), 200),
    ],
)
def test_all_bounds_of_a_table_hold_at_once_at_their_level(make, draws):
    low, high = [], []
    for seed in range(draws):
        codes, lost, mean = make(seed)
        slices = [(one, members(codes, one.conditions)) for one in found_slices(codes, lost, seed=seed).slices]
        low.append(all(one.low <= mean[rows].mean() - mean[~rows].mean() for one, rows in slices))
        high.append(all(one.high >= mean[rows].mean() for one, rows in slices))
    least = 0.95 - 3 * math.sqrt(0.05 * 0.95 / draws)
    assert np.mean(low) >= least
    assert np.mean(high) >= least


# -- what is said of a slice ---------------------------------------------------------------------


def test_numbers_are_those_of_plain_means():
    codes, lost, _ = errors(1, 0.1)
    half = np.arange(5000) < 2000
    found = found_slices(codes, lost, half=half)
    assert (found.found_n, found.n, found.mean) == (2000, 3000, lost[2000:].mean())
    best = found.slices[0]
    assert best.conditions == PLANTED
    rows = members(codes, PLANTED)
    assert (best.found_n, best.n) == ((rows & half).sum(), (rows & ~half).sum())
    assert best.found_mean == pytest.approx(lost[rows & half].mean())
    assert best.mean == pytest.approx(lost[rows & ~half].mean())
    assert best.rest == pytest.approx(lost[~rows & ~half].mean())
    assert best.excess == pytest.approx(best.mean - best.rest)
    assert best.confirmed
    assert 0 < best.low < best.excess
    assert best.mean < best.high < 1
    # Conjunctions of 1, 2 and 3 bins; all of the ten features' bins hold enough rows here.
    sizes = [len(np.unique(column)) for column in codes.T]
    pairs = sum(a * b for i, a in enumerate(sizes) for b in sizes[:i])
    assert found_slices(codes, lost, half=half, levels=2).searched == sum(sizes) + pairs


def test_the_confirming_half_has_no_say_in_what_is_proposed():
    codes, lost, _ = errors(2, 0.1)
    half = halves(5000)
    other = lost.copy()
    other[~half] = 1 - other[~half]
    plain, turned = (found_slices(codes, some, half=half) for some in (lost, other))
    assert {one.conditions for one in plain.slices} == {one.conditions for one in turned.slices}
    assert {one.conditions: one.found_mean for one in plain.slices} == {
        one.conditions: one.found_mean for one in turned.slices
    }
    assert plain.confirmed
    assert not any(one.conditions == PLANTED for one in turned.confirmed)


def test_confirmed_ones_come_first_by_their_lower_bound():
    codes, lost, _ = errors(3, 0.1)
    slices = found_slices(codes, lost, k=8).slices
    assert [one.confirmed for one in slices] == sorted((one.low > 0 for one in slices), reverse=True)
    assert [one.low for one in slices] == sorted((one.low for one in slices), reverse=True)


def test_of_slices_within_one_another_one_is_left():
    # Feature 2 is feature 0 again: the slice has many names, of which the shortest is given.
    codes, lost, _ = errors(4, 0.1, 0.5)
    doubled = np.column_stack([codes[:, :2], codes[:, :2], codes[:, 4:]])
    found = found_slices(doubled, lost).confirmed
    assert [one.conditions for one in found] == [PLANTED]


def test_a_slice_within_another_stays_where_it_is_bad_in_its_own_right():
    rng = np.random.default_rng(5)
    codes = np.column_stack([rng.integers(0, size, 20_000) for size in (4, 5, 6)])
    wide, deep = codes[:, 0] == 1, (codes[:, 0] == 1) & (codes[:, 1] == 2)
    lost = (rng.random(20_000) < 0.1 + 0.15 * wide + 0.4 * deep).astype(float)
    found = {one.conditions for one in found_slices(codes, lost).confirmed}
    assert {((0, 1),), ((0, 1), (1, 2))} <= found


def test_more_slices_asked_for_widen_the_bounds():
    codes, lost, _ = errors(6, 0.2)
    few, many = ({one.conditions: one for one in found_slices(codes, lost, k=k).slices} for k in (1, 10))
    assert few[PLANTED].low > many[PLANTED].low
    assert few[PLANTED].high < many[PLANTED].high


def test_losses_below_zero_are_searched_as_if_moved_up():
    codes, lost, _ = losses(7, "exponential", 2.0)
    plain, moved = (found_slices(codes, some) for some in (lost, lost - 3.0))
    assert [one.conditions for one in plain.slices] == [one.conditions for one in moved.slices]
    assert [one.low for one in plain.slices] == pytest.approx([one.low for one in moved.slices])
    assert [one.high for one in plain.slices] == pytest.approx([one.high + 3.0 for one in moved.slices])


def test_with_alpha_slices_are_ranked_by_slicelines_score():
    codes, lost, _ = errors(8, 0.1)
    assert found_slices(codes, lost, alpha=0.6).slices == ()  # a slice of 5 % holds no two thirds of all errors
    assert found_slices(codes, lost, alpha=0.97).slices[0].conditions == PLANTED


def test_equal_calls_give_equal_results_and_losses_alike_give_no_slice():
    codes, lost, _ = losses(9, "log-normal", 2.0)
    assert found_slices(codes, lost, seed=3) == found_slices(codes, lost, seed=3)
    assert found_slices(codes, np.full(5000, 0.1)).slices == ()
    half = np.arange(5000) < 2500
    assert found_slices(codes, np.where(half, lost, 0.1), half=half).confirmed == ()
    assert found_slices(codes, lost, support=5000).slices == ()


# -- halves --------------------------------------------------------------------------------------


def test_halves_share_every_period_and_every_two_neighbours():
    rng = np.random.default_rng(0)
    period = rng.integers(0, 7, 1001)
    first = halves(1001, period=period, seed=4)
    for one in range(7):
        rows = first[period == one]
        pairs = rows[: len(rows) // 2 * 2].reshape(-1, 2)
        assert (pairs.sum(axis=1) == 1).all()
        assert 0.2 < pairs[:, 0].mean() < 0.8  # by a coin, not by turns
    assert (first != halves(1001, period=period, seed=5)).any()
    assert halves(1).shape == (1,)


# -- what is refused -----------------------------------------------------------------------------

CODES, FINE = np.zeros((4, 2), dtype=int), np.array([0.0, 1.0, 0.5, 2.0])


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        ((CODES, FINE[:3]), {}, "losses has 3 rows, codes 4"),
        ((CODES, [0.0, np.nan, 1.0, 1.0]), {}, "losses is nan in row 1"),
        ((CODES, FINE), {"half": np.ones(4, bool)}, "half of shape"),
        ((CODES, FINE), {"half": np.array([1, 0, 1, 0])}, "holds int64, need True and False"),
        ((CODES, FINE), {"half": np.array([True, False])}, r"half of shape \(2,\)"),
        ((CODES, FINE), {"period": [1, 2]}, r"period has shape \(2,\)"),
        ((CODES, FINE), {"level": 1.0}, "level is 1.0"),
        ((CODES, FINE), {"alpha": 1.5}, "alpha is 1.5"),
        ((CODES, FINE - 1), {"alpha": 0.9}, "losses is -1 in row 0"),
        ((CODES, FINE), {"bound": 1.5}, "bound is 1.5 and losses 2 in row 3"),
        ((CODES, FINE), {"bound": np.inf}, "bound is inf"),
        ((CODES, FINE), {"bound": np.nan}, "bound is nan"),
        ((CODES, FINE), {"k": 0}, "k is 0"),
        ((CODES, FINE), {"levels": 0}, "levels is 0"),
        ((CODES, FINE), {"support": -1.0}, "support is -1"),
    ],
)
def test_wrong_input_is_refused(given, more, message):
    with pytest.raises(DataError, match=message):
        found_slices(*given, **more)
