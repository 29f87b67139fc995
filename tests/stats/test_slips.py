"""Factors between units, and runs of equal values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.stats.slips import DEGREES, UNITS, fits_unit, likely_units, longest_run


@pytest.mark.parametrize("factor", UNITS)
@pytest.mark.parametrize("power", [1, -1])
def test_a_ratio_near_a_factor_names_it_first(factor, power):
    for off in (0.95, 1.0, 1.05):
        assert likely_units(factor**power * off)[0][0] == pytest.approx(factor**power)


def test_ratios_far_from_every_factor_name_none():
    for ratio in (0.9, 1.0, 1.3, 1.9, 5.5, 400.0, 3e7, 0.0, -10.0, math.inf, math.nan):
        assert likely_units(ratio) == ()


def test_degrees_are_read_back():
    celsius = np.array([-40.0, 0.0, 37.0])
    fahrenheit = celsius * 1.8 + 32
    for (_, shift, slope), given_, back in zip(DEGREES, (fahrenheit, celsius), (celsius, fahrenheit), strict=True):
        assert (given_ + shift) * slope == pytest.approx(back)


def test_small_factors_need_a_unit_that_has_them():
    assert [fits_unit(2.54, unit) for unit in ("cm", "EUR", "")] == [True, False, False]
    assert all(fits_unit(factor, "") for factor in UNITS if factor >= 10)


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.0, 2.0, math.nan]), max_size=30))
def test_the_longest_run_is_that_of_a_plain_loop(values):
    best, place = 0, 0
    for start in range(len(values)):
        length = 1
        while start + length < len(values) and values[start + length] == values[start]:
            length += 1
        if length > best:
            best, place = length, start
    assert longest_run(np.array(values, dtype=float)) == (best, place)
