"""Rows on a curve: against the curve itself, and against a curve whose blocks are moved one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlwild.stats.calibration import calibrated, isotonic
from mlwild.stats.placed import place, tempered


def _curve(seed, n=300, grid=10**9):
    rng = np.random.default_rng(seed)
    scores = (rng.random(n) * grid).round() / grid
    return isotonic(scores, (rng.random(n) < scores).astype(float))


@pytest.mark.parametrize("grid", [8, 10**9])
@pytest.mark.parametrize("seed", range(5))
def test_chances_are_the_curve_in_any_order(seed, grid):
    curve = _curve(seed, grid=grid)
    scores = np.random.default_rng(99).uniform(-0.1, 1.1, 500)
    scores[:100] = curve.starts[np.arange(100) % len(curve.starts)]
    scores[100:200] = curve.ends[np.arange(100) % len(curve.ends)]
    placed = place(curve, scores)
    assert placed.chances() == pytest.approx(calibrated(curve, scores), abs=1e-12)
    assert placed.outside == np.mean((scores < curve.starts[0]) | (scores > curve.ends[-1]))
    order = np.argsort(scores)
    ascending = place(curve, scores[order], ascending=True)
    assert (ascending.left == placed.left[order]).all()
    assert (ascending.way == placed.way[order]).all()
    assert ascending.outside == placed.outside


def test_a_curve_of_one_block_is_flat():
    curve = isotonic(np.array([0.4, 0.6]), np.array([1.0, 0.0]))
    assert place(curve, np.array([0.0, 0.5, 1.0]), ascending=True).chances().tolist() == [0.5] * 3


def test_share_and_spread_are_those_of_moving_each_block():
    curve, rng = _curve(1), np.random.default_rng(2)
    scores, slope = rng.random(200), rng.normal(size=200)
    placed = place(curve, scores)
    size = len(curve.values)
    moved = [slope @ calibrated(replace(curve, values=np.eye(size)[k]), scores) for k in range(size)]
    assert placed.share(slope) == pytest.approx(moved, abs=1e-12)
    noise = curve.values * (1 - curve.values) / curve.rows
    assert placed.spread(slope) == pytest.approx(np.sqrt((np.square(moved) * noise).sum()))


def test_rows_like_the_reference_rest_on_about_all_of_it():
    rng = np.random.default_rng(3)
    scores = rng.random(4_000)
    curve = isotonic(scores, (rng.random(4_000) < scores).astype(float))
    assert place(curve, scores).effective_rows() == pytest.approx(4_000, rel=0.01)
    assert place(curve, scores[:1]).effective_rows() < 1_000


def test_tempered_curve_leaves_the_ends():
    curve = _curve(4)
    soft = tempered(curve).values
    assert soft[0] > curve.values[0]
    assert soft[-1] < curve.values[-1]
