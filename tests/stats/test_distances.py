"""Distances of samples: SciPy's values, their size by chance, and one pass over many columns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlwild.errors import DataError
from mlwild.stats.columns import compare_columns, presort
from mlwild.stats.distances import benjamini_hochberg, chi_square, compare_categories, jensen_shannon, mmd, psi
from mlwild.stats.sorted_columns import kolmogorov_smirnov, quantile_grid, wasserstein

# -- SciPy -----------------------------------------------------------------------------------------


def _pair(seed, n, m, ties):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(0.3, 1.5, size=m)
    return (np.sort(a.round(1)), np.sort(b.round(1))) if ties else (np.sort(a), np.sort(b))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 3_000), m=st.integers(3, 3_000), ties=st.booleans())
def test_ks_and_wasserstein_are_scipys(seed, n, m, ties):
    a, b = _pair(seed, n, m, ties)
    assert kolmogorov_smirnov(a, b)[0] == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.5])
def test_ks_of_many_rows_reads_few_and_stays_exact(shift):
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.normal(size=60_000)), np.sort(rng.normal(shift, 1, size=50_000))
    peer = stats.ks_2samp(a, b, method="asymp")
    statistic, p = kolmogorov_smirnov(a, b)
    assert statistic == pytest.approx(peer.statistic, abs=1e-12)
    assert p == pytest.approx(peer.pvalue, rel=0.02, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    old=st.lists(st.integers(0, 50), min_size=2, max_size=8),
    new=st.lists(st.integers(0, 50), min_size=2, max_size=8),
)
def test_chi_square_and_jensen_shannon_are_scipys(old, new):
    size = min(len(old), len(new))
    old, new = np.array(old[:size]), np.array(new[:size])
    if not old.sum() or not new.sum():
        return
    assert jensen_shannon(old, new) == pytest.approx(jensenshannon(old, new, base=2), abs=1e-7)
    used = (old + new) > 0
    found = chi_square(old, new)
    if used.sum() < 2:
        assert found.p == 1.0
        return
    table = np.stack([old[used], new[used]])
    peer = stats.chi2_contingency(table, correction=False)
    assert (found.statistic, found.p) == pytest.approx((peer.statistic, peer.pvalue), abs=1e-9)
    assert found.cramers_v == pytest.approx(stats.contingency.association(table, method="cramer"), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_is_scipys(p):
    assert benjamini_hochberg(np.array(p)) == pytest.approx(stats.false_discovery_control(p))
    holes = np.array([*p, np.nan])
    assert benjamini_hochberg(holes)[:-1] == pytest.approx(stats.false_discovery_control(p))
    assert math.isnan(benjamini_hochberg(holes)[-1])


def test_psi_by_hand_also_with_an_empty_cell():
    assert psi(np.array([30, 70]), np.array([60, 40])).value == pytest.approx(0.3 * math.log(2) + 0.3 * math.log(7 / 4))
    p, q = np.array([10.5, 0.5]) / 11, np.array([5.5, 5.5]) / 11
    assert psi(np.array([10, 0]), np.array([5, 5])).value == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert psi(np.array([4]), np.array([9])).p == 1.0


def test_mmd_of_one_block_pair_is_the_unbiased_sum():
    from mlwild.stats.distances import _block_mmd

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(1, 6, 2)), rng.normal(size=(1, 6, 2))

    def kernel(a, b):
        return math.exp(-((a - b) ** 2).sum() / (2 * 0.7**2))

    total = sum(
        kernel(x[0, i], x[0, j]) + kernel(y[0, i], y[0, j]) - kernel(x[0, i], y[0, j]) - kernel(x[0, j], y[0, i])
        for i in range(6)
        for j in range(6)
        if i != j
    )
    assert _block_mmd(x, y, 0.7) == pytest.approx(total / 30)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 60), m=st.integers(1, 60))
def test_quantile_grid_shares_out_all_of_the_mass(n, m):
    left, right, width = quantile_grid(n, m)
    assert np.bincount(left, width, n) == pytest.approx(np.full(n, 1 / n))
    assert np.bincount(right, width, m) == pytest.approx(np.full(m, 1 / m))


# -- promises --------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "m", "bins"), [(4_000, 1_000, 10), (1_000, 1_000, 20)])
def test_psi_of_no_shift_has_the_mean_and_size_that_are_said(n, m, bins, draws):
    rng, values, low = np.random.default_rng(2), [], []
    for _ in range(draws):
        (shift,) = compare_columns([presort(rng.normal(size=n), bins=bins)], [rng.normal(size=m)])
        values.append(shift.psi.value)
        low.append(shift.psi.p < 0.05)
    expected = (bins - 1) * (1 / n + 1 / m)
    assert shift.psi.null == pytest.approx(expected)
    # The next term of the expansion is of the order of bins / rows.
    assert np.mean(values) == pytest.approx(
        expected, rel=2 * bins / m + 0.01 + 4 * np.std(values) / expected / draws**0.5
    )
    assert abs(np.mean(low) - 0.05) <= 0.012 + 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("draws", [400, pytest.param(5_000, marks=pytest.mark.slow)])
def test_benjamini_hochberg_keeps_the_false_discovery_rate(draws):
    # 20 columns, 5 shifted by 0.25: at level 0.1 the rate is at most 0.1 x 15/20 with independent columns.
    rng, false, found = np.random.default_rng(3), [], []
    for _ in range(draws):
        reference = [presort(rng.normal(size=400)) for _ in range(20)]
        shifts = compare_columns(reference, [rng.normal(0.25 * (k < 5), 1, 400) for k in range(20)])
        hits = np.array([shift.adjusted <= 0.1 for shift in shifts])
        false.append(hits[5:].sum() / max(hits.sum(), 1))
        found.append(hits[:5].mean())
    assert np.mean(false) <= 0.075 + 3 * np.std(false) / math.sqrt(draws)
    assert np.mean(false) >= 0.03  # and it is not simply deaf
    assert np.mean(found) > 0.6


@pytest.mark.parametrize("draws", [200, pytest.param(4_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("block", [2, 16])
def test_mmd_has_its_size_and_sees_a_shift(block, draws):
    low, seen = [], []
    for seed in range(draws):
        rng = np.random.default_rng([4, seed])
        x, y = rng.normal(size=(800, 3)), rng.normal(size=(800, 3))
        low.append(mmd(x, y, block=block, seed=seed).p < 0.05)
        seen.append(mmd(x, y + 0.3, block=block, seed=seed).p < 0.05)
    # Larger blocks leave fewer of them: their mean is less normal, a little above its size.
    assert abs(np.mean(low) - 0.05) <= 0.02 + 3 * math.sqrt(0.05 * 0.95 / draws), np.mean(low)
    assert np.mean(seen) > (0.5 if block == 16 else 0.15), np.mean(seen)


@pytest.mark.parametrize("draws", [500, pytest.param(5_000, marks=pytest.mark.slow)])
def test_p_values_of_no_shift_keep_their_level(draws):
    rng, low = np.random.default_rng(5), {"ks": [], "chi": [], "missing": []}
    for _ in range(draws):
        old, new = rng.normal(size=600), rng.normal(size=400)
        old[rng.random(600) < 0.1], new[rng.random(400) < 0.1] = np.nan, np.nan
        (shift,) = compare_columns([presort(old)], [new])
        low["ks"].append(shift.ks_p < 0.05)
        low["missing"].append(shift.missing_p < 0.05)
        low["chi"].append(compare_categories(rng.integers(0, 6, 600), rng.integers(0, 6, 400)).test.p < 0.05)
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    assert all(0.03 - slack <= np.mean(hits) <= 0.06 + slack for hits in low.values()), {
        k: np.mean(v) for k, v in low.items()
    }


# -- one pass over columns -------------------------------------------------------------------------


def test_column_comparison_is_the_single_statistics():
    rng = np.random.default_rng(6)
    old, new = rng.normal(size=5_000), rng.normal(0.1, 1.2, size=3_000)
    old[:500], new[:90] = np.nan, np.nan
    (shift,) = compare_columns([presort(old.astype(np.float32))], [new.astype(np.float32)])
    a, b = (side[~np.isnan(side)].astype(np.float32) for side in (old, new))
    assert (shift.n_reference, shift.n_window) == (4_500, 2_910)
    assert shift.ks == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic)
    assert shift.wasserstein == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-6)
    assert shift.scaled == pytest.approx(shift.wasserstein / a.std(), rel=1e-5)
    assert (shift.missing_reference, shift.missing_window) == pytest.approx((0.1, 0.03))
    assert shift.outside == pytest.approx(((b < a.min()) | (b > a.max())).mean())
    edges = np.sort(a)[np.ceil(np.arange(1, 10) * len(a) / 10).astype(int) - 1]
    counts = [np.bincount(np.searchsorted(edges, side), minlength=10) for side in (a, b)]
    assert shift.psi == psi(*counts)
    assert shift.jensen_shannon == pytest.approx(jensenshannon(*counts, base=2))
    assert shift.missing_p < 1e-6


@pytest.mark.parametrize("rate", [0.02, 0.5, 0.98])
def test_columns_of_two_values_have_two_cells(rate):
    rng = np.random.default_rng(7)
    old = presort((rng.random(4_000) < rate).astype(float))
    assert len(old.counts) == 2
    (shift,) = compare_columns([old], [(rng.random(4_000) < 0.8 * rate + 0.05).astype(float)])
    assert shift.psi.p < 1e-4


def test_times_in_seconds_are_not_merged():
    old = 1.7e9 + np.arange(1_000.0)
    assert presort(old).values.dtype == np.float64
    assert presort(np.arange(1_000.0)).values.dtype == np.float32
    (shift,) = compare_columns([presort(old)], [old + 100])
    assert (shift.ks, shift.wasserstein) == pytest.approx((0.1, 100.0))


@pytest.mark.parametrize(
    "column", [np.full(50, 3.0), np.full(50, np.nan), np.array([1, 2, 3] * 9), np.array([True, False] * 9)]
)
def test_column_against_itself_has_not_moved(column):
    (shift,) = compare_columns([presort(column)], [column])
    assert shift.missing_p == 1.0
    if shift.n_window:
        assert (shift.ks, shift.wasserstein, shift.scaled, shift.psi.value, shift.outside) == (0.0, 0.0, 0.0, 0.0, 0.0)
    else:
        assert math.isnan(shift.ks)
        assert math.isnan(shift.adjusted)


def test_column_that_was_constant_or_infinite_is_compared():
    (moved,) = compare_columns([presort(np.full(50, 3.0))], [np.full(50, 4.0)])
    assert (moved.ks, moved.wasserstein, moved.scaled, moved.outside) == (1.0, 1.0, math.inf, 1.0)
    odd = np.array([0.0, 1.0, math.inf])
    (same,) = compare_columns([presort(odd)], [odd])
    assert (same.ks, same.wasserstein) == (0.0, 0.0)


def test_new_categories_are_named():
    shift = compare_categories(np.array([0] * 90 + [1] * 10), np.array([0] * 40 + [3] * 10 + [-1] * 50))
    assert shift.new == (3,)
    assert (shift.new_share, shift.missing_reference, shift.missing_window) == (0.2, 0.0, 0.5)
    many = np.random.default_rng(8).integers(0, 100_000, 50_000)
    assert compare_categories(many, many).test.p == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psi(np.array([1, 2]), np.array([1])), "same cells"),
        (lambda: psi(np.array([1, 2]), np.array([0, 0])), "sides that have rows"),
        (lambda: chi_square(np.array([1, -2]), np.array([1, 1])), "same cells"),
        (lambda: kolmogorov_smirnov(np.zeros(0), np.ones(3)), "0 reference and 3 new"),
        (lambda: wasserstein(np.ones(2), np.zeros(0)), "2 reference and 0 new"),
        (lambda: mmd(np.ones((100, 2)), np.ones((100, 3))), "same columns"),
        (lambda: mmd(np.ones((100, 2)), np.ones((100, 2))), "need the same columns and 8 blocks"),
        (lambda: compare_columns([], [np.ones(3)]), "0 reference and 1 new columns"),
        (lambda: compare_columns([presort(np.ones(3))], [np.zeros(0)]), "no rows"),
        (lambda: compare_categories(np.array([-1]), np.array([0])), "sides that have rows"),
    ],
)
def test_input_that_cannot_be_used_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()
