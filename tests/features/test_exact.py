"""Exact sums: what math.fsum and fractions say, to the last bit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.joins.digits import Digits, places_of
from mlwild.joins.seen import Seen
from mlwild.joins.sums import deviations, sums

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MILD = st.floats(-1e140, 1e140, allow_nan=False)


def _one(values):
    n = len(values)
    return Seen(np.arange(n), np.zeros(n, np.int64), np.ones(n, np.int64), 1), np.array(values, dtype=np.float64)


@settings(max_examples=300, deadline=None)
@given(values=st.lists(FINITE, max_size=20))
def test_a_sum_is_that_of_fsum(values):
    try:
        expected = math.fsum(values) + 0.0
    except OverflowError:
        return
    if 0 < abs(expected) < 2.3e-308:
        return  # below the smallest normal number there are fewer bits to round to
    assert sums(*_one(values)).tolist() == [expected]


@settings(max_examples=200, deadline=None)
@given(values=st.lists(MILD, min_size=2, max_size=20))
def test_a_deviation_is_that_of_fractions(values):
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((one - mean) ** 2 for one in exact) / (len(exact) - 1)
    if 0 < variance < Fraction(1, 10**300):
        return
    assert deviations(*_one(values))[0] == pytest.approx(math.sqrt(variance), rel=1e-15)


@given(values=st.lists(FINITE, max_size=12))
def test_digits_are_the_numbers_and_their_squares(values):
    for power, squares in ((1, False), (2, True)):
        made = [Fraction(0)] * len(values)
        for place, digits in places_of(np.array(values, dtype=np.float64), squares=squares):
            assert np.abs(digits).max() < 2**34
            for i, digit in enumerate(digits.tolist()):
                made[i] += Fraction(digit) * Fraction(2) ** (32 * place)
        assert made == [Fraction(value) ** power for value in values]


@given(
    digits=st.lists(st.lists(st.integers(-(2**62), 2**62), min_size=3, max_size=3), min_size=1, max_size=5),
    first=st.integers(-4, 4),
)
def test_digits_of_any_sign_are_put_in_order_and_rounded_once(digits, first):
    made = Digits(first, np.array(digits, dtype=np.int64))
    exact = [
        sum(Fraction(d) * Fraction(2) ** (32 * (first + j)) for j, d in enumerate(column))
        for column in zip(*digits, strict=True)
    ]
    assert made.rounded().tolist() == [float(value) for value in exact]
    tidy, sign = made.tidy()
    assert ((tidy.digits >= 0) & (tidy.digits < 2**32)).all()
    whole = [sum(Fraction(int(d)) * Fraction(2) ** (32 * (first + j)) for j, d in enumerate(c)) for c in tidy.digits.T]
    assert [s * w for s, w in zip(sign.tolist(), whole, strict=True)] == exact


def test_what_was_taken_off_leaves_no_trace():
    values = np.array([1e300, 0.1, -1e300, 0.2, 1e-300])
    seen = Seen(np.arange(5), np.arange(5), np.array([1, 3, 3, 4, 5]), 5)
    assert sums(seen, values).tolist() == [1e300, 0.1, -1e300, 0.2, 1e-300]
    shifted = 1e15 + np.array([0.25, 0.5, 0.75])
    assert deviations(*_one(shifted)).tolist() == [0.25]


def test_infinite_values_are_infinite_only_where_they_are_seen():
    seen = Seen(np.arange(4), np.array([0, 1, 2, 3]), np.array([1, 3, 3, 5]), 5)
    found = sums(seen, np.array([1.0, np.inf, -np.inf, 2.0]))
    assert found[[0, 1, 3, 4]].tolist() == [1.0, np.inf, 2.0, 2.0]
    assert np.isnan(found[2])
    both = Seen(np.arange(2), np.array([0, 0]), np.array([2, 2]), 2)
    assert np.isnan(deviations(both, np.array([1.0, np.inf]))).all()
