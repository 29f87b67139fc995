"""Columns in bins: even where values allow it, and in words that say exactly what is in a bin."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.bins import NumberBins, WordBins, number_bins, word_bins
from mlwild.wording import roundest

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


def _holds(condition, value):
    """Evaluate a condition on a number x."""
    if condition == "x is missing":
        return math.isnan(value)
    if condition == "x is known":
        return not math.isnan(value)
    return bool(eval(condition.replace(" = ", " == "), {"inf": math.inf}, {"x": value}))


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(FINITE | st.sampled_from([0.0, 1.0, 2.5, math.nan, math.inf, -math.inf]), max_size=60),
    bins=st.integers(1, 12),
)
def test_each_value_is_in_the_bin_whose_condition_it_meets_and_in_no_other(values, bins):
    column = np.array(values)
    made = number_bins("x", column, bins=bins)
    conditions = [made.condition(code) for code in range(made.missing + 1)]
    for value, code in zip(column, made.codes(column), strict=True):
        assert [place for place, condition in enumerate(conditions) if _holds(condition, float(value))] == [code]


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.integers(-30, 30), min_size=1, max_size=60), bins=st.integers(1, 12))
def test_whole_numbers_are_told_by_equality_where_a_bin_holds_one(values, bins):
    column = np.array(values)
    made = number_bins("x", column, bins=bins, kind="whole")
    conditions = [made.condition(code) for code in range(made.missing)]
    for value, code in zip(column, made.codes(column), strict=True):
        assert [place for place, condition in enumerate(conditions) if _holds(condition, int(value))] == [code]
    assert all(" = " not in one or "<" not in one for one in conditions)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(50, 400), bins=st.integers(2, 12))
def test_bins_hold_as_many_rows_as_ties_allow(seed, n, bins):
    column = np.random.default_rng(seed).normal(size=n)
    counts = np.bincount(number_bins("x", column, bins=bins).codes(column))
    assert len(counts) == bins
    assert np.ptp(counts) <= 1 + 1e-9 + n % bins


def test_a_value_that_fills_many_bins_has_one_of_its_own():
    column = np.concatenate([np.zeros(600), np.linspace(1, 2, 400)])
    made = number_bins("x", column, bins=10)
    counts = np.bincount(made.codes(column))
    assert counts[0] == 600
    assert made.condition(0) == "x < 1"
    assert len(counts) == 5


def test_few_values_have_a_bin_each():
    column = np.repeat([1, 2, 3, 9], [500, 1, 1, 498])
    made = number_bins("x", column, bins=10, kind="whole")
    assert np.bincount(made.codes(column)).tolist() == [500, 1, 1, 498]
    assert [made.condition(code) for code in range(4)] == ["x < 2", "x = 2", "3 <= x < 9", "x >= 9"]


def test_a_column_without_values_or_with_one_has_one_bin():
    for column in (np.zeros(0), np.full(5, math.nan), np.full(5, 3.0)):
        made = number_bins("x", column)
        assert made.missing == 1
        assert made.condition(0) == "x is known"
    assert number_bins("x", np.array([math.nan, 3.0])).codes(np.array([math.nan, 7.0])).tolist() == [1, 0]


def test_times_are_cut_at_round_ones():
    days = np.arange(0, 400).astype("M8[D]").astype("M8[ns]").astype(np.int64)
    made = number_bins("at", days, bins=4, kind="time", unit="ns")
    assert made.condition(1) == "1970-04-11 <= at < 1970-07-20"
    seconds = np.array([3600, 3601, 90_000, 90_001])
    fine = number_bins("at", seconds, bins=9, kind="time", unit="s")
    assert [fine.condition(code) for code in (0, 2, 3)] == [
        "at < 1970-01-01 01:00:01",
        "1970-01-02 <= at < 1970-01-02 01:00:01",
        "at >= 1970-01-02 01:00:01",
    ]


def test_great_whole_numbers_keep_their_digits():
    column = np.array([2**60, 2**60 + 1, 2**60 + 2])
    made = number_bins("id", column, kind="whole")
    assert made.codes(column).tolist() == [0, 1, 2]
    assert made.condition(1) == f"id = {2**60 + 1}"


def test_names_that_are_no_words_stand_in_backticks():
    assert NumberBins("dep hour", np.array([8.5])).condition(0) == "`dep hour` < 8.5"
    assert WordBins("Größe", ("L",)).condition(0) == 'Größe = "L"'


def test_words_beyond_the_commonest_share_a_bin_and_new_ones_join_it():
    words = ["a", "b", "c", "d"]
    made = word_bins("x", np.array([0, 1, 1, 2, 2, 2, -1]), words, most=2)
    assert made.words == ("c", "b")
    assert made.codes(np.array([0, 1, 2, -1]), words).tolist() == [2, 1, 0, 3]
    assert made.codes(np.array([0, 1]), ["never seen", "c"]).tolist() == [2, 0]
    assert made.condition(2) == "x is not among its 2 commonest"


@settings(max_examples=300, deadline=None)
@given(low=FINITE, high=FINITE)
def test_the_roundest_number_parts_the_same(low, high):
    low, high = min(low, high), max(low, high)
    if low < high:
        found = roundest(low, high)
        assert low < found <= high
        # The next coarser grid of decimals has no number there, up to that of a tenfold.
        coarse = int(Decimal(repr(found)).normalize().as_tuple().exponent) + 1
        if coarse <= Decimal(high).adjusted() + 1 and found:
            assert Decimal(high).quantize(Decimal(1).scaleb(coarse), ROUND_FLOOR) <= Decimal(low)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(8.5331, 8.5348, 8.534), (0.3, 0.99, 0.9), (-5.0, 3.0, 0.0), (999.0, 1001.0, 1000.0), (1.0, math.inf, math.inf)],
)
def test_roundest_numbers_worked_by_hand(low, high, found):
    assert roundest(low, high) == found
