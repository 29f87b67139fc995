"""The next worst: the paths' parts against their laws, and how often the next horizon exceeds the bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import beta, kstest

from mlwild.errors import DataError
from mlwild.stats.worst import future_paths, futures, next_worst
from mlwild.stats.worst.history import rolling_means


def test_worst_window_seen_is_the_one_of_plain_loops():
    losses = np.random.default_rng(0).random(30)
    for window in (1, 3, 30):
        found = next_worst(losses, window=window, horizon=30)
        means = [sum(losses[i : i + window]) / window for i in range(31 - window)]
        assert found.seen == pytest.approx(max(means))
        assert found.start == int(np.argmax(means))


def test_blocks_are_of_geometric_length_and_of_neighbours():
    positions = futures._positions(50, 40, 4.0, 4000, np.random.default_rng(0))
    joined = np.diff(positions, axis=1) % 50 == 1
    # A block goes on with chance 3/4, or ends and the next starts just there.
    assert joined.mean() == pytest.approx(0.75 + 0.25 / 50, abs=3 * math.sqrt(0.19 / joined.size))
    assert np.bincount(positions.ravel(), minlength=50).min() > 0


def test_tail_exceeds_the_greatest_shock_as_often_as_a_new_value_does():
    # A new independent value is above the greatest of n with chance 1 / (n + 1), for any exponential tail.
    n, above, draws = 20, 0, 400
    for i in range(draws):
        shocks = np.random.default_rng([1, i]).exponential(size=n)
        drawn = futures._with_tail(shocks, np.tile(np.arange(n), (50, 1)), np.random.default_rng(i))
        above += (drawn > shocks.max()).mean()
    assert above / draws == pytest.approx(1 / (n + 1), abs=0.008)


def test_tail_mass_is_that_of_order_statistics():
    # The chance above the (k + 1)-th greatest of n uniform values is Beta(k + 1, n - k).
    values = np.sort(np.random.default_rng(0).random((5000, 20)), axis=1)
    found = kstest(1 - values[:, 20 - 4 - 1], beta(5, 16).cdf)
    assert found.statistic < 1.628 / math.sqrt(5000)  # exceeded by chance once in a hundred


def test_paths_go_on_from_the_last_block_and_forget_it():
    series = lfilter([1.0], [1.0, -0.8], np.random.default_rng(2).normal(size=300))
    series[-1] = series.mean() + 6.0
    found = future_paths(series, 40, reps=4000)
    middle = np.median(found.paths, axis=0) - series.mean()
    assert middle[0] == pytest.approx(6.0 * found.persistence, rel=0.1)
    assert abs(middle[-1]) < 0.5


def _losses(law, rng, n):
    if law == "ar":
        return lfilter([1.0], [1.0, -0.5], rng.normal(size=n + 50))[50:]
    if law == "seasonal":
        return 1.5 * np.sin(2 * np.pi * (np.arange(n) + rng.integers(13)) / 13) + rng.normal(size=n)
    if law == "skewed":
        return rng.lognormal(sigma=0.5, size=n)
    if law == "exponential":
        return rng.exponential(size=n)
    if law == "error rates":
        return rng.binomial(200, 0.1, size=n) / 200
    return rng.normal(size=n) + (np.arange(n) / 30 if law == "trend" else 0.0)


def exceeded(law, n, horizon, window, draws):
    """Shares of histories whose next horizon exceeded the bound, and that of a plain bootstrap."""
    ours = plain = 0
    for i in range(draws):
        rng = np.random.default_rng([i, n, horizon])
        losses = _losses(law, rng, n + horizon)
        past, worst = losses[:n], rolling_means(losses[n:], window).max()
        ours += worst > next_worst(past, window=window, horizon=horizon, reps=500, seed=i).high
        resampled = past[rng.integers(0, n, size=(300, horizon))]
        plain += worst > np.quantile(rolling_means(resampled, window).max(axis=1), 0.95)
    return ours / draws, plain / draws


TREND = 0.11
LAWS = ["normal", "ar", "seasonal", "skewed", "exponential", "error rates"]


@pytest.mark.parametrize(
    ("n", "draws"), [(20, 100), (50, 100), *(pytest.param(n, 1_000, marks=pytest.mark.slow) for n in (20, 50, 150))]
)
@pytest.mark.parametrize(("horizon", "window"), [(10, 1), (13, 4)])
@pytest.mark.parametrize("law", LAWS)
def test_next_horizon_exceeds_the_bound_no_more_often_than_stated(law, horizon, window, n, draws):
    stated = 0.06 if law == "exponential" else 0.05
    assert exceeded(law, n, horizon, window, draws)[0] <= stated + 2 * math.sqrt(stated * (1 - stated) / draws)


@pytest.mark.parametrize("draws", [300, pytest.param(2_000, marks=pytest.mark.slow)])
def test_what_is_not_known_yet_is_allowed_for(draws):
    # AR(0.9), the next value to be judged is the ninth: from where the series ends the path wanders off.
    late = near = 0
    for i in range(draws):
        rng = np.random.default_rng([i, 9])
        series = lfilter([1.0], [1.0, -0.9], rng.normal(size=160))[50:]
        past, came = series[:100], series[108]
        late += came > next_worst(past, horizon=1, ahead=8, reps=300, seed=i).high
        near += came > next_worst(past, horizon=1, reps=300, seed=i).high
    assert late / draws <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / draws)
    assert near > 2 * late


def test_a_plain_bootstrap_of_few_blocks_is_exceeded_far_too_often():
    assert exceeded("normal", 20, 10, 1, 100)[1] > 0.2


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_trend_breaks_the_promise_as_the_docstring_says(draws):
    share = exceeded("trend", 50, 10, 1, draws)[0]
    assert abs(share - TREND) <= 3 * math.sqrt(TREND * (1 - TREND) / draws) + 0.005


def test_bound_never_passes_the_greatest_loss_and_rises_with_level_and_horizon():
    losses = np.random.default_rng(0).beta(8, 2, size=30)
    assert next_worst(losses, horizon=20, greatest=1.0).high <= 1.0 < next_worst(losses, horizon=20).high
    bounds = [
        next_worst(losses, horizon=horizon, level=level).high for horizon, level in ((5, 0.9), (20, 0.9), (20, 0.99))
    ]
    assert bounds == sorted(bounds)


def test_same_seed_same_bound_and_constant_losses_stay():
    losses = np.random.default_rng(0).random(30)
    assert next_worst(losses, horizon=5, seed=3) == next_worst(losses, horizon=5, seed=3)
    assert next_worst(np.full(20, 0.3), horizon=5).high == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("losses", "more", "message"),
    [
        (np.zeros(11), {}, "need a series of at least 12"),
        (np.zeros(14), {"window": 15, "horizon": 20}, "need a series of at least 15"),
        (np.r_[np.zeros(12), math.nan], {}, "block 12 has loss nan"),
        (np.zeros(14), {"window": 6}, "window is 6 and horizon 5"),
        (np.zeros(14), {"level": 0.0}, "level is 0.0"),
    ],
)
def test_bad_losses_are_refused(losses, more, message):
    with pytest.raises(DataError, match=message):
        next_worst(losses, **{"horizon": 5, **more})
