"""Weighted means and Mandoline: closed forms, coverage, support, and the figures of its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mlwild.errors import DataError
from mlwild.stats.mandoline import log_linear, mandoline, mandoline_noisy
from mlwild.stats.reweighting import clipped, effective_sample_size, weighted_mean


def _slice(rng, n, rate):
    return np.where(rng.random(n) < rate, 1, -1)[:, None]


def _errors(rng, slices, inside=0.35, outside=0.05):
    return (rng.random(len(slices)) < np.where(slices[:, 0] == 1, inside, outside)).astype(float)


# -- exact -----------------------------------------------------------------------------------------


def test_effective_sample_size_and_clipping_by_hand():
    assert effective_sample_size(np.array([2.0, 1.0, 1.0])) == pytest.approx(16 / 6)
    assert effective_sample_size(np.zeros(3)) == 0.0
    weights = np.random.default_rng(0).pareto(1.0, 1_000)
    assert clipped(weights).max() == pytest.approx(np.quantile(weights, 0.99))
    assert clipped(weights, quantile=1.0) == pytest.approx(weights)
    assert effective_sample_size(clipped(weights)) > effective_sample_size(weights)


def test_equal_weights_give_the_plain_mean_and_student_interval():
    losses = np.random.default_rng(1).normal(size=200)
    found = weighted_mean(losses, np.full(200, 3.0))
    from scipy.stats import t

    low, high = t.interval(0.95, 199, losses.mean(), losses.std(ddof=1) / math.sqrt(200))
    assert found.estimate == pytest.approx(losses.mean())
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_slice_is_post_stratification(seed):
    rng = np.random.default_rng(seed)
    source, target = _slice(rng, 500, 0.3), _slice(rng, 400, 0.6)
    losses = rng.normal(size=500)
    share = (target == 1).mean()
    strata = share * losses[source[:, 0] == 1].mean() + (1 - share) * losses[source[:, 0] == -1].mean()
    assert mandoline(losses, source, target).estimate == pytest.approx(strata, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), edges=st.sampled_from([(), ((0, 1),), ((0, 1), (1, 2), (0, 2))]))
def test_weights_match_slices_and_edges_and_a_general_optimiser_agrees(seed, edges):
    rng = np.random.default_rng(seed)
    source, target = (rng.choice([-1, 0, 1], (600, 3), p=p) for p in ([0.4, 0.3, 0.3], [0.2, 0.3, 0.5]))
    found = mandoline(rng.normal(size=600), source, target, edges=edges)

    def features(slices):
        return np.column_stack([slices, *(slices[:, i] * slices[:, j] for i, j in edges)]).astype(float)

    assert found.weights @ features(source) == pytest.approx(features(target).mean(axis=0), abs=1e-5)
    peer = minimize(
        lambda theta: np.log(np.exp(features(source) @ theta).mean()) - theta @ features(target).mean(axis=0),
        np.zeros(3 + len(edges)),
        method="BFGS",
    )
    assert found.coefficients == pytest.approx(peer.x, abs=2e-3)
    assert found.support == "supported"


def test_booleans_and_zero_one_and_signs_of_one_slice_agree():
    rng = np.random.default_rng(2)
    source, target = _slice(rng, 500, 0.3), _slice(rng, 400, 0.6)
    losses = rng.normal(size=500)
    signs = mandoline(losses, source, target)
    assert mandoline(losses, source == 1, target == 1).estimate == signs.estimate
    coded = mandoline(losses, (source + 1) // 2, (target + 1) // 2)
    assert (coded.estimate, coded.low) == pytest.approx((signs.estimate, signs.low), abs=1e-4)


def test_same_input_gives_the_same_output():
    rng = np.random.default_rng(3)
    source, target = rng.choice([-1, 1], (300, 4)), rng.choice([-1, 1], (300, 4))
    losses = rng.normal(size=300)
    assert mandoline(losses, source, target).weights.tolist() == mandoline(losses, source, target).weights.tolist()


def test_newton_finds_means_close_to_what_cannot_be_reached():
    features = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    wanted = np.array([0.999, -0.999])
    _, shares = log_linear(features, np.array([0.97, 0.01, 0.01, 0.01]), wanted)
    assert shares @ features == pytest.approx(wanted, abs=1e-4)


def test_no_noise_is_plain_mandoline():
    rng = np.random.default_rng(4)
    source, target = rng.choice([-1, 1], (800, 3), p=[0.6, 0.4]), rng.choice([-1, 1], (700, 3), p=[0.4, 0.6])
    losses = rng.normal(size=800)
    plain = mandoline(losses, source, target, edges=[(0, 1)], of="population")
    noisy = mandoline_noisy(losses, source, target, noise=np.tile(np.eye(2), (3, 1, 1)), edges=[(0, 1)])
    assert noisy.estimate == pytest.approx(plain.estimate, abs=1e-6)
    assert noisy.high - noisy.low == pytest.approx(plain.high - plain.low, rel=0.2)


# -- promises --------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [400, pytest.param(4_000, marks=pytest.mark.slow)])
def test_weighted_mean_covers(draws):
    inside = []
    for i in range(draws):
        rng = np.random.default_rng([1, i])
        x = rng.normal(size=1_000)
        losses = x**2 + rng.normal(size=1_000)
        weights = np.exp(0.5 * x - 0.125)  # from N(0, 1) to N(0.5, 1), where the mean is 1.25
        found = weighted_mean(losses, weights)
        inside.append(found.low <= 1.25 <= found.high)
    assert 0.92 - 3 * math.sqrt(0.05 * 0.95 / draws) <= np.mean(inside) <= 0.98, np.mean(inside)


@pytest.mark.parametrize("draws", [20, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("spurious", [0.5, 0.1, 0.01, 0.001])
def test_figure_2a_error_does_not_grow_with_a_spurious_column(spurious, draws):
    # The user's slice is what shifts; the spurious column is 1 in all new rows and is no slice.
    relative, rival, inside, truth = [], [], [], 0.7 * 0.65 + 0.3 * 0.95
    for seed in range(draws):
        rng = np.random.default_rng([2, seed])
        source, target = _slice(rng, 10_000, 0.2), _slice(rng, 10_000, 0.7)
        losses = _errors(rng, source)
        found = mandoline(losses, source, target, of="population")
        relative.append(abs(found.estimate - (1 - truth)) / truth)
        inside.append(found.low <= 1 - truth <= found.high)
        # Density ratio of both columns: rows without the spurious one have none.
        column = rng.random(10_000) < spurious
        weights = column * np.where(source[:, 0] == 1, 0.7 / 0.2, 0.3 / 0.8)
        if weights.any():
            rival.append(abs(weighted_mean(losses, weights).estimate - (1 - truth)) / truth)
    assert np.mean(relative) < 0.011  # 0.007 expected
    if spurious <= 0.01:
        assert np.mean(rival) > 4 * np.mean(relative)
    assert np.mean(inside) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("draws", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_spurious_column_given_as_a_slice_is_refused_once_it_has_no_support(draws):
    verdicts = []
    for seed in range(draws):
        rng = np.random.default_rng([3, seed])
        source = np.column_stack([_slice(rng, 10_000, 0.2), _slice(rng, 10_000, 0.0003)])
        target = np.column_stack([_slice(rng, 10_000, 0.7), np.ones(10_000, dtype=int)])
        found = mandoline(_errors(rng, source), source, target)
        verdicts.append(found.support)
        assert math.isnan(found.estimate)
        assert "slice 1 = 1" in found.why
    assert set(verdicts) == {"none"}


@pytest.mark.parametrize("draws", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_celeba_as_arithmetic(draws):
    # 1 % blurry pictures in source and 30 % in target, wrong 9 % and 2.5 % of the time.
    error, plain, inside, shown = [], [], [], []
    for seed in range(draws):
        rng = np.random.default_rng([4, seed])
        source, target = _slice(rng, 19_867, 0.01), _slice(rng, 19_962, 0.3)
        losses, hidden = (_errors(rng, side, 0.09, 0.025) for side in (source, target))
        found = mandoline(losses, source, target)
        error.append(abs(found.estimate - hidden.mean()))
        plain.append(abs(losses.mean() - hidden.mean()))
        inside.append(found.low <= hidden.mean() <= found.high)
        shown.append(found.support)
    assert np.mean(plain) == pytest.approx(0.0188, abs=0.001)
    assert np.mean(error) == pytest.approx(0.0051, abs=0.001)
    assert np.mean(inside) >= 0.93 - 3 * math.sqrt(0.05 * 0.95 / draws), np.mean(inside)
    assert set(shown) == {"supported"}


@pytest.mark.parametrize("draws", [300, pytest.param(3_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("of", ["rows", "population"])
def test_mandoline_covers_what_it_is_of(of, draws):
    inside = []
    rates = np.array([0.2, 0.5, 0.3]), np.array([0.5, 0.6, 0.2])
    for seed in range(draws):
        rng = np.random.default_rng([5, seed])
        source, target = (
            np.where(rng.random((n, 3)) < rate, 1, -1) for n, rate in zip((1_500, 800), rates, strict=True)
        )
        losses, hidden = (side @ [0.5, -0.2, 0.1] + rng.normal(size=len(side)) for side in (source, target))
        found = mandoline(losses, source, target, of=of)
        truth = hidden.mean() if of == "rows" else float((2 * rates[1] - 1) @ [0.5, -0.2, 0.1])
        inside.append(found.low <= truth <= found.high)
    assert abs(np.mean(inside) - 0.95) <= 0.01 + 3 * math.sqrt(0.05 * 0.95 / draws), np.mean(inside)


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_noise_correction_covers_where_noisy_slices_mislead(draws):
    # Slices are seen wrongly in 10 to 25 % of rows; the plain version under-corrects.
    noise = np.array([[[0.9, 0.2], [0.1, 0.8]], [[0.75, 0.1], [0.25, 0.9]]])
    inside, corrected, plain, truth = [], [], [], 0.05 + 0.3 * 0.7 + 0.2 * 0.5
    for seed in range(draws):
        rng = np.random.default_rng([6, seed])
        true = [np.where(rng.random((3_000, 2)) < rate, 1, -1) for rate in ([0.2, 0.4], [0.7, 0.5])]
        seen = [
            np.column_stack([np.where(rng.random(3_000) < noise[k, 1, (side[:, k] + 1) // 2], 1, -1) for k in range(2)])
            for side in true
        ]
        chance = 0.05 + 0.3 * (true[0][:, 0] == 1) + 0.2 * (true[0][:, 1] == 1)
        losses = (rng.random(3_000) < chance).astype(float)
        found = mandoline_noisy(losses, *seen, noise=noise, reps=100)
        inside.append(found.low <= truth <= found.high)
        corrected.append(found.estimate - truth)
        plain.append(mandoline(losses, *seen).estimate - truth)
    assert abs(np.mean(corrected)) < 0.004 + 3 * np.std(corrected) / math.sqrt(draws)
    assert abs(np.mean(plain)) > 0.03
    assert abs(np.mean(inside) - 0.95) <= 0.02 + 3 * math.sqrt(0.05 * 0.95 / draws), np.mean(inside)


def test_three_hundred_random_valid_inputs_do_not_crash():
    for seed in range(300):
        rng = np.random.default_rng([7, seed])
        n, m = rng.integers(50, 3_000, 2)
        source, target = (np.where(rng.random((k, 3)) < rate, 1, -1) for k, rate in ((n, 0.3), (m, 0.6)))
        found = mandoline(rng.normal(size=n) * 10.0 ** rng.integers(-6, 6), source, target)
        assert found.weights.sum() == pytest.approx(1.0)
        assert found.low <= found.estimate <= found.high


# -- support and bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_slice_without_support_is_refused(rows):
    source, target = np.full((2_000, 1), -1), np.full((1_000, 1), -1)
    source[:rows], target[:300] = 1, 1
    found = mandoline(np.ones(2_000), source, target)
    assert (found.support, found.effective_n) == ("none", 0.0)
    assert math.isnan(found.estimate)
    assert found.why == f"slice 0 = 1: 30% of the new rows, {rows} labelled rows; need 10"
    noisy = mandoline_noisy(np.ones(2_000), source, target, noise=np.eye(2)[None])
    assert noisy.support == "none"


def test_sides_that_new_rows_hardly_have_are_no_reason_to_refuse():
    source, target = np.full((2_000, 2), -1), np.full((1_000, 2), -1)
    source[:800, 0], target[:500, 0] = 1, 1
    source[::2], target[:3, 1] = -source[::2], 1
    source[:, 1] = -1
    assert mandoline(np.arange(2_000.0), source, target).support == "supported"


def test_pair_of_slices_without_support_is_refused():
    rng = np.random.default_rng(8)
    first = rng.choice([-1, 1], 2_000)
    source = np.column_stack([first, -first])  # never alike
    target = rng.choice([-1, 1], (1_000, 2))
    assert "slices 0 x 1 = 1" in mandoline(np.ones(2_000), source, target, edges=[(0, 1)]).why


def test_slices_that_no_weights_can_match_are_refused_as_such():
    source = np.repeat([[1, -1], [-1, 1], [-1, -1]], 500, axis=0)
    target = np.full((1_000, 2), 1)  # both at once, which no labelled row is
    found = mandoline(np.ones(1_500), source, target)
    assert found.support == "none"
    assert "no weights match" in found.why


def test_few_effective_rows_are_weak_or_none():
    losses = np.tile([0.0, 1.0], 5_000)
    for rows, support in ((15, "none"), (60, "weak"), (500, "supported")):
        source, target = np.full((10_000, 1), -1), np.full((1_000, 1), 1)
        source[:rows] = 1
        assert mandoline(losses, source, target).support == support


def test_more_slices_than_codes_fit_in_a_word():
    rng = np.random.default_rng(9)
    source, target = rng.choice([-1, 1], (3_000, 45)), rng.choice([-1, 1], (3_000, 45), p=[0.45, 0.55])
    found = mandoline(rng.normal(size=3_000), source, target)
    assert found.weights @ source == pytest.approx(target.mean(axis=0), abs=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mandoline(np.array([np.nan]), np.ones((1, 1)), np.ones((1, 1))), "must be finite"),
        (lambda: mandoline(np.ones(2), np.full((2, 1), 2), np.ones((1, 1))), "table of -1, 0 and 1"),
        (lambda: mandoline(np.ones(2), np.ones((2, 1)), np.ones((1, 2))), "the same slices"),
        (lambda: mandoline(np.ones(3), np.ones((2, 1)), np.ones((1, 1))), "with 3 losses"),
        (lambda: weighted_mean(np.ones(2), np.array([1.0, -1.0])), "0 or more"),
        (lambda: weighted_mean(np.ones(2), np.zeros(2)), "0 or more"),
        (lambda: mandoline_noisy(np.ones(2), np.zeros((2, 1)), np.ones((1, 1)), noise=np.eye(2)[None]), "abstentions"),
        (
            lambda: mandoline_noisy(np.ones(2), np.ones((2, 1)), np.ones((1, 1)), noise=np.full((1, 2, 2), 0.5)),
            "chance",
        ),
        (lambda: mandoline_noisy(np.ones(2), np.ones((2, 1)), np.ones((1, 1)), noise=np.ones((1, 2, 2))), "sum to 1"),
    ],
)
def test_input_that_cannot_be_used_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()
