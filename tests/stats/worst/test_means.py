"""Bounds of means in time order: Gaffke's where neighbours are not alike, stretched where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from mlwild.stats.bootstrap import autocorrelation
from mlwild.stats.gaffke import gaffke_upper
from mlwild.stats.worst import serial_interval, serial_upper


def test_bound_is_gaffkes_where_neighbours_are_not_alike():
    series = np.tile([0.0, 1.0, 0.2], 20)
    assert autocorrelation(series) == 0.0
    assert serial_upper(series, 0.05) == gaffke_upper(series, greatest=1.0, delta=0.05)


def test_bound_is_stretched_by_the_long_run_variance_of_an_ar1():
    series = lfilter([1.0], [1.0, -0.6], np.random.default_rng(0).normal(size=80))
    rho, mean = autocorrelation(series), series.mean()
    plain = gaffke_upper(series, greatest=series.max(), delta=0.05)
    assert serial_upper(series, 0.05) - mean == pytest.approx(math.sqrt((1 + rho) / (1 - rho)) * (plain - mean))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_interval_holds_the_mean_and_is_mirrored_with_the_series(seed):
    series = np.random.default_rng(seed).exponential(size=30)
    found, turned = serial_interval(series, 0.9), serial_interval(-series, 0.9)
    assert found.low < found.estimate < found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("draws", [100, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("law", ["normal", "exponential", "ar"])
def test_upper_bound_holds_at_its_level(law, draws):
    misses = 0
    for i in range(draws):
        rng = np.random.default_rng([i, 3])
        series = rng.exponential(size=40) - 1 if law == "exponential" else rng.normal(size=90)
        series = lfilter([1.0], [1.0, -0.5], series)[50:] if law == "ar" else series[:40]
        misses += serial_upper(series, 0.1) < 0
    assert misses / draws <= 0.1 + 2 * math.sqrt(0.09 / draws)
