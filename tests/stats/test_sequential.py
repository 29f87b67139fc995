"""Anytime-valid comparisons: their formulas in plain loops, and what they promise however often one looks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammainc, gammaln

from mlwild.errors import DataError
from mlwild.stats.sequential import (
    STAKES,
    betting,
    confidence_sequence,
    lag_factor,
    risk_violation,
    running_difference,
)


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def _three_points(rng, n, disagreement, difference):
    """Return differences of losses of 0 and 1, with mean `difference`."""
    u = rng.random(n)
    return (u < (disagreement + difference) / 2).astype(float) - (
        (u >= (disagreement + difference) / 2) & (u < disagreement)
    )


def _brier(rng, n):
    """Return Brier losses of a calibrated forecaster and of one that strays, with the true mean difference."""
    chance = rng.beta(8, 7, n)
    strayed = np.clip(chance + 0.06 * rng.standard_normal(n), 0, 1)
    won = rng.random(n) < chance
    gap = (chance - chance**2) - (chance - 2 * chance * strayed + strayed**2)
    return (chance - won) ** 2, (strayed - won) ** 2, gap


# -- the confidence sequence ---------------------------------------------------------------------


def _log_mixture(s, v, rho, c):
    r, shape, k = rho / c**2, (v + rho) / c**2, (c * s + v + rho) / c**2
    return (
        r * math.log(r)
        - gammaln(r)
        - math.log(gammainc(r, r))
        + gammaln(shape)
        + math.log(gammainc(shape, k))
        - shape * math.log(k)
        + (c * s + v) / c**2
    )


def _slow_radius(gaps, level, v_opt):
    """The radius after the last row: the sum in a loop, the root by bisection."""
    alpha, v, total = 1 - level, 0.0, 0.0
    for t, gap in enumerate(gaps):
        v += (gap - (total / t if t else 0.0)) ** 2
        total += gap
    v = max(1.0, v)
    rho = v_opt / (2 * math.log(1 / alpha) + math.log(1 + 2 * math.log(1 / alpha)))
    low, high = 0.0, 20.0 * len(gaps) + 100
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _log_mixture(middle, v, rho, 2.0) < math.log(2 / alpha) else (low, middle)
    return high / len(gaps)


@pytest.mark.parametrize(("n", "rho"), [(10, 3.0), (400, 25.0), (25_165, 60.0)])
def test_mixture_is_the_integral_over_a_truncated_gamma(n, rho):
    # The mixture over lambda in [0, 1/c): density of 1 - c lambda ~ Gamma(rho/c^2, rate rho/c^2) cut at 1,
    # of exp(lambda s - psi(lambda) v) with psi(lambda) = (-log(1 - c lambda) - c lambda) / c^2.
    c, v = 2.0, 0.1 * n
    s = 2.5 * math.sqrt(v)
    r = rho / c**2
    closed = _log_mixture(s, v, rho, c)

    def integrand(u):  # u = 1 - c lambda
        log_density = r * math.log(r) - gammaln(r) - math.log(gammainc(r, r)) + (r - 1) * math.log(u) - r * u
        lam = (1 - u) / c
        return math.exp(log_density + lam * s - (-math.log(u) - (1 - u)) / c**2 * v - closed)

    peaks = sorted({max(1e-9, 1 - c * s / v * share) for share in (0.5, 1.0, 1.5)})
    assert quad(integrand, 1e-12, 1, points=peaks, limit=500)[0] == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 10, 300, 25_165])
@pytest.mark.parametrize(("level", "v_opt"), [(0.95, 100.0), (0.8, 5.0)])
def test_radius_is_that_of_loops_and_bisection(n, level, v_opt):
    a, b, _ = _brier(np.random.default_rng(n), n)
    found = running_difference(a, b, level=level, v_opt=v_opt)
    radius = _slow_radius((a - b).tolist(), level, v_opt)
    assert found.estimate == pytest.approx(np.mean(a - b))
    assert found.low == pytest.approx(max(-1.0, found.estimate - radius), abs=1e-8)
    assert found.high == pytest.approx(min(1.0, found.estimate + radius), abs=1e-8)
    assert (found.n, found.level, found.undecided) == (n, level, False)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), scale=st.floats(1e-3, 1e3))
def test_each_interval_is_the_last_one_of_the_rows_so_far_in_any_unit(seed, n, scale):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n), rng.random(n)
    path = confidence_sequence(scale * a, scale * b, bound=scale)
    row = int(rng.integers(n))
    last = running_difference(a[: row + 1], b[: row + 1])
    assert path.estimate[row] / scale == pytest.approx(last.estimate, abs=1e-9)
    assert path.low[row] / scale == pytest.approx(last.low, abs=1e-7)
    assert path.high[row] / scale == pytest.approx(last.high, abs=1e-7)
    assert path.p_value[row] == pytest.approx(last.p_value, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 600), mean=st.floats(-0.5, 0.5))
def test_interval_leaves_out_zero_just_where_the_p_value_says(seed, n, mean):
    gap = np.clip(np.random.default_rng(seed).normal(mean, 0.3, n), -1, 1)
    found = running_difference(gap, np.zeros(n))
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)
    mirrored = running_difference(np.zeros(n), gap)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def _leaning(rng, n):
    """Return differences whose expectation and spread follow their past."""
    gaps, means, last = np.empty(n), np.empty(n), 0.0
    signs = rng.choice([-1.0, 1.0], n)
    for t in range(n):
        means[t] = 0.4 * last
        gaps[t] = last = means[t] + (0.5 if last > 0 else 0.1) * signs[t]
    return gaps, means


def _law(name, rng, n):
    if name == "leaning on the past":
        return _leaning(rng, n)
    if name == "brier":
        a, b, gap = _brier(rng, n)
        return a - b, gap
    drift = 0.2 * np.sin(np.arange(n) / 300)
    return _three_points(rng, n, 1.0, 0.0) * 0.7 + drift, drift


@pytest.mark.parametrize(("draws", "n"), [(200, 2_000), pytest.param(2_000, 5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("law", ["brier", "leaning on the past", "fair signs on a wave"])
def test_all_intervals_hold_at_once_as_often_as_promised(law, draws, n):
    misses = 0
    for i in range(draws):
        gaps, means = _law(law, np.random.default_rng([21, i]), n)
        found = confidence_sequence(gaps, np.zeros(n))
        truth = np.cumsum(means) / np.arange(1, n + 1)
        misses += bool(((found.low > truth) | (found.high < truth)).any())
    assert misses / draws <= 0.05 + _errors(0.05, draws)


@pytest.mark.parametrize("draws", [6, pytest.param(300, marks=pytest.mark.slow)])
def test_a_decade_of_games_tells_two_forecasters_apart_with_intervals_right_at_every_game(draws):
    # In place of the published forecasts of 25,165 baseball games: two forecasters of as many games.
    n, misses, told = 25_165, 0, 0
    for i in range(draws):
        a, b, gap = _brier(np.random.default_rng([22, i]), n)
        found = confidence_sequence(a, b)
        truth = np.cumsum(gap) / np.arange(1, n + 1)
        misses += bool(((found.low > truth) | (found.high < truth)).any())
        told += found.high[-1] < 0
        assert 0.0005 < (found.high[-1] - found.low[-1]) / 2 < 0.003
    assert misses / draws <= 0.05 + _errors(0.05, draws)
    assert told / draws >= 0.9


# -- bets ----------------------------------------------------------------------------------------


def _wealth(gaps, lag, sign=None):
    """The average of the capitals of all bets, row by row, with one sequence for each remainder."""
    signs = (-1, 1) if sign is None else (sign,)
    capital = [[1.0] * (len(STAKES) * len(signs)) for _ in range(lag)]
    peaks, averages, ends = [1.0] * lag, [], []
    for t, gap in enumerate(gaps):
        j = t % lag
        bets = [s * stake for s in signs for stake in STAKES]
        capital[j] = [value * (1 + bet * gap) for value, bet in zip(capital[j], bets, strict=True)]
        peaks[j] = max(peaks[j], sum(capital[j]) / len(bets))
        averages.append(sum(peaks) / lag)
        ends.append(sum(sum(values) / len(values) for values in capital) / lag)
    return averages, ends


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), lag=st.integers(1, 9), mean=st.floats(-0.6, 0.6))
def test_bets_are_those_of_plain_loops(seed, n, lag, mean):
    gaps = np.clip(np.random.default_rng(seed).normal(mean, 0.4, n), -1, 1)
    found = betting(gaps, np.zeros(n), lag=lag)
    averages, ends = _wealth(gaps, lag)
    threshold = lag_factor(lag) / 0.05
    over = [t for t, value in enumerate(averages) if value >= threshold]
    assert found.threshold == threshold
    assert found.log_e == pytest.approx(math.log(ends[-1]), abs=1e-9)
    assert found.stopped_at == (over[0] if over else None)
    if over:
        assert found.finding == ("a" if _wealth(gaps, lag, -1)[0][over[0]] > _wealth(gaps, lag, 1)[0][over[0]] else "b")
        assert {found.finding, betting(np.zeros(n), gaps, lag=lag).finding} == {"a", "b"}
    else:
        assert found.finding is None


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_capital_has_mean_one_for_fair_signs(lag):
    # All 2^9 sequences, so nothing is drawn.
    runs = [betting(np.array(signs), np.zeros(9), lag=lag) for signs in itertools.product([-1.0, 1.0], repeat=9)]
    assert np.mean([math.exp(run.log_e) for run in runs]) == pytest.approx(1.0, abs=1e-12)


def test_scaled_losses_with_their_bound_give_the_same_bets():
    gaps = _three_points(np.random.default_rng(0), 500, 0.4, 0.1)
    assert betting(1000 * gaps, np.zeros(500), bound=1000.0).log_e == pytest.approx(betting(gaps, np.zeros(500)).log_e)


@pytest.mark.parametrize("draws", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_peeking_fools_the_z_test_and_not_the_bets(draws):
    # 2,000 rows of two equal models that disagree on one row in ten, looked at every 10 rows.
    n, fooled_bets, fooled_z = 2_000, 0, 0
    looks = np.arange(99, n, 10)
    steps = np.arange(1, n + 1)
    for i in range(draws):
        gaps = _three_points(np.random.default_rng([23, i]), n, 0.1, 0.0)
        fooled_bets += betting(gaps, np.zeros(n)).finding is not None
        total, squares = np.cumsum(gaps), np.cumsum(gaps**2)
        spread = np.sqrt(np.maximum(squares - total**2 / steps, 1e-9))
        fooled_z += bool((np.abs(total / spread)[looks] > 1.96).any())
    assert fooled_bets / draws == pytest.approx(0.014, abs=_errors(0.014, draws) + _errors(0.014, 4_000))
    assert fooled_z / draws == pytest.approx(0.326, abs=_errors(0.326, draws) + _errors(0.326, 4_000))


#: Difference, share of runs of 2,000 rows decided for A, and median row of the decision.
POWERS = [(0.03, 0.92, 835), (0.02, 0.49, None), (0.01, 0.095, None)]


@pytest.mark.parametrize("draws", [500, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("difference", "share", "median"), POWERS)
def test_bets_find_a_difference_as_often_as_stated(difference, share, median, draws):
    stops, false = [], 0
    for i in range(draws):
        found = betting(_three_points(np.random.default_rng([24, i]), 2_000, 0.1, -difference), np.zeros(2_000))
        false += found.finding == "b"
        if found.finding == "a":
            stops.append(found.stopped_at + 1)
    assert len(stops) / draws == pytest.approx(share, abs=_errors(share, draws) + _errors(share, 8_000))
    assert false / draws <= 0.005 + _errors(0.005, draws)
    if median:
        # Three standard errors of a median of stops that scatter by about 400 rows, and as much for the one stated.
        assert np.median(stops) == pytest.approx(median, abs=1_500 * (1 / math.sqrt(draws) + 1 / math.sqrt(8_000)))


# -- delayed labels ------------------------------------------------------------------------------


def _overlapping(rng, n, lag):
    """Return differences that are fair given what was known `lag` rows before, and shared by neighbours."""
    shocks = rng.choice([-1.0, 1.0], n // lag + 2)
    turn = int(rng.integers(lag))
    return 0.9 * shocks[(np.arange(n) + turn) // lag]


@pytest.mark.parametrize("draws", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_delayed_labels_fool_bets_row_by_row_and_not_bets_with_their_lag(draws):
    # n = 700, labels 7 rows late: neighbours share their difference.
    n, lag, naive, ours = 700, 7, 0, 0
    for i in range(draws):
        gaps = _overlapping(np.random.default_rng([25, i]), n, lag)
        naive += betting(gaps, np.zeros(n)).finding is not None
        ours += betting(gaps, np.zeros(n), lag=lag).finding is not None
    assert naive / draws > 0.3
    assert ours / draws <= 0.05 + _errors(0.05, draws)


@pytest.mark.parametrize("k", [3, 7])
def test_lag_factor_is_the_worst_case_of_a_mean_of_peaks(k):
    # Rearrangement: the upper tails of 1 / U are laid side by side so that their sums come out even.
    size, share = 2_000, 0.05
    rng = np.random.default_rng(0)
    tails = np.stack([rng.permutation(size / (np.arange(size) + 1) / share) for _ in range(k)], axis=1)
    for _, j in itertools.product(range(40), range(k)):
        tails[np.argsort(-(tails.sum(axis=1) - tails[:, j])), j] = np.sort(tails[:, j])
    assert lag_factor(k) == pytest.approx(share * tails.mean(axis=1).min(), rel=0.005)
    assert lag_factor(1) == 1.0


def test_lag_beyond_the_rows_bets_once_on_each():
    found = betting(np.ones(3), np.zeros(3), lag=5)
    assert found.finding is None
    assert math.exp(found.log_e) == pytest.approx(1.0)  # both signs cancel on one bet


# -- risk ----------------------------------------------------------------------------------------


def _risk(losses, limit):
    """The capital row by row, from the stake's formula; one row at the limit stands before the first."""
    capital, values, seen = 1.0, [], [limit]
    for loss in losses:
        mean = sum(seen) / len(seen)
        spread = (0.25 + sum((x - mean) ** 2 for x in seen)) / len(seen)
        stake = min(max((mean - limit) / (spread + (mean - limit) ** 2), 0.0), 0.5 / limit)
        capital *= 1 + stake * (loss - limit)
        values.append(capital)
        seen.append(loss)
    return values


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200), limit=st.floats(0.02, 0.9))
def test_risk_bets_are_those_of_plain_loops(seed, n, limit):
    losses = np.random.default_rng(seed).random(n) ** 2
    values = _risk(losses, limit)
    found = risk_violation(losses, limit)
    over = [t for t, value in enumerate(values) if value >= 20]
    assert found.log_e == pytest.approx(math.log(values[-1]), abs=1e-8)
    assert found.stopped_at == (over[0] if over else None)
    assert found.finding == ("above" if over else None)


def test_risk_with_a_lag_averages_the_peaks_of_interleaved_runs():
    losses = (np.random.default_rng(1).random(400) < 0.35).astype(float)
    found = risk_violation(losses, 0.1, lag=4)
    parts = [_risk(losses[j::4], 0.1) for j in range(4)]
    average = [
        np.mean([max([1.0, *part[: len(range(j, t + 1, 4))]]) for j, part in enumerate(parts)]) for t in range(400)
    ]
    assert found.stopped_at == next(t for t, value in enumerate(average) if value >= found.threshold)
    assert found.log_e == pytest.approx(math.log(np.mean([part[-1] for part in parts])))


def _risky(name, rng, n, limit):
    if name == "coin":
        return (rng.random(n) < limit).astype(float)
    if name == "beta":
        return rng.beta(2, 2 / limit - 2, n)
    # The chance of a loss swings with the last one, its expectation given the past stays the limit.
    sizes = np.where(rng.random(n) < 0.5, 1.0, 0.5)
    return sizes * (rng.random(n) < limit / sizes)


@pytest.mark.parametrize("draws", [400, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("law", ["coin", "beta", "sizes"])
def test_risk_at_its_limit_raises_few_false_alarms_in_all_time(law, draws):
    n, limit = 2_000, 0.1
    alarms = sum(
        risk_violation(_risky(law, np.random.default_rng([26, i]), n, limit), limit).finding is not None
        for i in range(draws)
    )
    assert alarms / draws <= 0.05 + _errors(0.05, draws)


@pytest.mark.parametrize("draws", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_risk_of_twice_its_limit_is_found(draws):
    stops = []
    for i in range(draws):
        losses = (np.random.default_rng([27, i]).random(2_000) < 0.2).astype(float)
        found = risk_violation(losses, 0.1)
        stops.append(found.stopped_at if found.stopped_at is not None else 2_000)
    assert np.mean(np.array(stops) < 2_000) > 0.99
    assert np.median(stops) < 250


# -- bad input -----------------------------------------------------------------------------------


def test_nothing_seen_is_no_evidence():
    empty = np.zeros(0)
    assert running_difference(empty, empty).undecided
    assert len(confidence_sequence(empty, empty).low) == 0
    for found in (betting(empty, empty), betting(empty, empty, lag=3), risk_violation(empty, 0.1)):
        assert found.log_e == pytest.approx(0.0, abs=1e-12)
        assert (found.stopped_at, found.finding, found.n) == (None, None, 0)


def test_identical_models_gather_no_evidence():
    same = np.random.default_rng(0).random(1_000)
    assert betting(same, same).log_e == pytest.approx(0.0)
    found = running_difference(same, same)
    assert found.low < 0.0 < found.high
    assert found.p_value == 1.0


def test_endless_evidence_stays_a_number():
    found = betting(np.zeros(20_000), np.ones(20_000))
    assert found.finding == "a"
    assert found.log_e > 1_000
    assert math.isfinite(found.log_e)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: betting([0.0, 3.0], [0.0, 0.0]), "differ by 3 in row 1"),
        (lambda: betting([0.0], [0.0], bound=0.0), "bound is 0.0"),
        (lambda: betting([0.0], [0.0], alpha=1.0), "alpha is 1.0"),
        (lambda: betting([0.0], [0.0], lag=0), "lag 0"),
        (lambda: betting([0.0, np.nan], [0.0, 0.0]), "loss_a is nan in row 1"),
        (lambda: confidence_sequence([0.0], [0.0, 1.0]), "loss_a has 1 rows, loss_b 2"),
        (lambda: running_difference([0.0], [0.0], level=1.0), "level is 1.0"),
        (lambda: running_difference([0.0], [0.0], v_opt=0.0), "v_opt 0.0"),
        (lambda: risk_violation([0.5, 1.5], 0.1), "losses is 1.5 in row 1"),
        (lambda: risk_violation([0.5], 1.0), "limit is 1.0"),
        (lambda: risk_violation([[0.5]], 0.1), "has shape"),
    ],
)
def test_what_cannot_be_bet_on_is_said(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_the_threshold_of_a_risk_rises_with_the_lag():
    """Three runs that say the same: the mean of their peaks must reach three runs' threshold, not that of one."""
    losses = np.repeat(np.tile([0.0, 1.0, 1.0], 40), 3)
    found = risk_violation(losses, 0.3, alpha=0.05, lag=3)
    assert found.threshold == pytest.approx(lag_factor(3) / 0.05)
    # One of the runs alone reaches what they reach together when all three have come so far.
    alone = [risk_violation(losses[: 3 * n : 3], 0.3, alpha=0.05 / lag_factor(3)).stopped_at for n in range(1, 121)]
    reached = next(stop for stop in alone if stop is not None)
    assert 3 * reached <= found.stopped_at <= 3 * reached + 2
    assert risk_violation(losses[::3], 0.3, alpha=0.05).stopped_at < reached
