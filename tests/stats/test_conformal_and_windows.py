"""Adaptive conformal intervals and the adaptive rolling window: references and promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from mlwild.stats.conformal import AdaptiveConformal
from mlwild.stats.windows import adaptive_rolling_window


def _run(outcomes, estimates, *, rate=0.04, level=0.9, keep=500):
    intervals, errors, kept = AdaptiveConformal(level, rate), [], []
    for outcome, estimate in zip(outcomes, estimates, strict=True):
        low, high = intervals.around(estimate, np.array(errors[-keep:]))
        if not np.isnan(low):
            kept.append(bool(low <= outcome <= high))
            intervals = intervals.after(covered=kept[-1])
        errors.append(outcome - estimate)
    return np.array(kept)


def test_half_width_is_the_conformal_quantile_of_errors_about_the_mean_of_the_others():
    errors = np.random.default_rng(0).normal(0.3, 1.0, 99)
    low, high = AdaptiveConformal(0.9).around(5.0, errors)
    spread = np.sort([abs(error - np.delete(errors, at).mean()) for at, error in enumerate(errors)])
    assert (low + high) / 2 == pytest.approx(5.0 + errors.mean())
    assert (high - low) / 2 == pytest.approx(spread[89])  # the 90th of 99: ceil(100 x .9)


def test_few_errors_give_students_prediction_interval():
    errors = np.array([0.1, -0.2, 0.4, 0.0, 0.3])
    low, high = AdaptiveConformal(0.9).around(0.0, errors)
    half = student.ppf(0.95, 4) * errors.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert (high - low) / 2 == pytest.approx(half)


def test_errors_of_few_rows_count_for_less_and_the_next_period_of_few_rows_gets_more_room():
    # By plain loops: weights by precision, each error about the weighted mean of the others, in units of its scale.
    rng = np.random.default_rng(3)
    noise = rng.uniform(0.2, 2.0, 40)
    errors = noise * rng.normal(size=40) + rng.normal(size=40)
    common = max(errors.var(ddof=1) - np.mean(noise**2), 0.0)
    scale = np.sqrt(common + noise**2)
    centre = np.average(errors, weights=1 / scale**2)
    spread = []
    for at, error in enumerate(errors):
        others = np.delete(np.arange(40), at)
        spread.append(abs(error - np.average(errors[others], weights=1 / scale[others] ** 2)) / scale[at])
    for following in (0.1, 3.0):
        low, high = AdaptiveConformal(0.9).around(5.0, errors, noise=noise, next_noise=following)
        half = np.sort(spread)[36] * np.sqrt(common + following**2)  # the 37th of 40: ceil(41 x .9)
        assert (low, high) == pytest.approx((5.0 + centre - half, 5.0 + centre + half))


def test_without_any_noise_all_errors_count_alike():
    errors = np.random.default_rng(4).normal(size=30)
    plain = AdaptiveConformal().around(1.0, errors)
    assert AdaptiveConformal().around(1.0, errors, noise=np.zeros(30)) == pytest.approx(plain)
    # and where errors and noise are all nothing, the interval is a point
    assert AdaptiveConformal().around(1.0, np.zeros(6), noise=np.zeros(6)) == (1.0, 1.0)


@pytest.mark.parametrize("grows", [True, False])
def test_intervals_hold_in_small_and_large_periods_alike(grows):
    # 300 histories of 60 periods whose rows go from 20 to 2,000, or back; a rate of errors of .2, estimated by the
    # mean of all earlier rows. Each half of a history: 300 x 28 intervals, standard error .003. If the noise is not
    # told, the halves hold in .979 and .995 of growing histories, in .858 and .852 of shrinking ones.
    rng = np.random.default_rng(5)
    sizes = np.geomspace(20, 2000, 60).astype(int)[:: 1 if grows else -1]
    held = []
    for _ in range(300):
        hits = rng.binomial(sizes, 0.2)
        outcomes = hits / sizes
        estimates = np.concatenate([[0.2], (np.cumsum(hits) / np.cumsum(sizes))[:-1]])
        noise = 0.4 / np.sqrt(sizes)
        intervals = AdaptiveConformal(0.9)
        for k in range(4, 60):
            known = outcomes[:k] - estimates[:k]
            low, high = intervals.around(estimates[k], known, noise=noise[:k], next_noise=noise[k])
            held.append(low <= outcomes[k] <= high)
            intervals = intervals.after(covered=held[-1])
    halves = np.array(held).reshape(300, 2, 28).mean(axis=(0, 2))
    assert ((halves > 0.87) & (halves < 0.945)).all(), halves


def test_an_outcome_that_comes_late_moves_the_working_miscoverage_by_its_share():
    after = AdaptiveConformal(0.9, rate=0.04).after(covered=False, lag=4)
    assert after.missed == pytest.approx(0.1 + 0.01 * (0.1 - 1))


def test_after_many_broken_promises_the_interval_grows_without_bound():
    errors = np.random.default_rng(6).normal(size=50)
    intervals, widths = AdaptiveConformal(0.9), []
    for _ in range(60):
        low, high = intervals.around(0.0, errors)
        widths.append(high - low)
        intervals = intervals.after(covered=False)
    assert (np.diff(widths) >= -1e-12).all()
    assert widths[-1] > 10 * widths[0]


def test_fewer_than_four_errors_give_none():
    assert all(np.isnan(AdaptiveConformal().around(1.0, np.array([0.1, 0.2, 0.3]))))


@pytest.mark.parametrize("law", ["still", "drift", "jumps", "heavy"])
def test_outcomes_are_missed_as_often_as_stated_whatever_they_do(law):
    # Gibbs and Candes, proposition 4.1: |mean error - alpha| <= (max(a1, 1 - a1) + g) / (g T) = .94 / 80 = .012
    # for infinite sets; ours stretch the widest error instead, which moves it a little: .02 is allowed.
    rng = np.random.default_rng(1)
    n = 2000
    noise = rng.normal(size=n)
    outcomes = {
        "still": noise,
        "drift": noise * np.linspace(0.2, 5, n),
        "jumps": noise + 10 * (np.arange(n) // 200 % 2),
        "heavy": rng.standard_t(2, n),
    }[law]
    kept = _run(outcomes, np.zeros(n))
    assert abs(kept.mean() - 0.9) < 0.02


def test_coverage_on_a_short_history():
    # 400 histories of 40 outcomes: 400 x 36 intervals; three standard errors within histories are about .01.
    rng = np.random.default_rng(2)
    kept = np.concatenate([_run(rng.normal(size=40), np.zeros(40)) for _ in range(400)])
    assert 0.88 < kept.mean() < 0.93


def test_level_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="must lie in"):
        AdaptiveConformal(1.0)


def _plain_window(means, spreads, sizes, delta):
    """Equations of METHODS 5.2 by plain loops."""
    n = len(means)
    mu, psi = [], []
    for k in range(1, n + 1):
        m, v, b = means[-k:], spreads[-k:], sizes[-k:]
        whole = (m * b).sum() / b.sum()
        variance = ((v**2 + m**2) * b).sum() / b.sum() - whole**2
        mu.append(whole)
        psi.append(np.sqrt(max(variance, 0.0)) * np.sqrt(2 * np.log(2 / delta) / b.sum()))
    total = []
    for k in range(n):
        phi = max(max(abs(mu[k] - mu[i]) - psi[i] - psi[k], 0.0) for i in range(k + 1))
        total.append(phi + psi[k])
    best = int(np.argmin(total))
    return mu[best], best + 1


@pytest.mark.parametrize("seed", range(5))
def test_window_is_that_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    means, spreads = np.cumsum(rng.normal(size=30) * 0.2), rng.uniform(0.5, 2, 30)
    sizes = rng.integers(5, 50, 30).astype(float)
    found = adaptive_rolling_window(means, spreads, sizes)
    assert (found.estimate, found.blocks) == pytest.approx(_plain_window(means, spreads, sizes, 0.1))


def _risk(estimate, truth):
    return float(np.mean((np.array(estimate) - truth) ** 2))


def test_window_is_near_the_best_fixed_one_without_knowing_the_drift():
    # 40 trials each. Steady: near the longest window. A jump every 25 blocks: better than all blocks, and
    # not much worse than the best fixed window.
    rng = np.random.default_rng(0)
    for world in ("steady", "jumps"):
        adaptive, fixed, truth = [], {1: [], 4: [], 16: [], 64: []}, []
        for _ in range(40):
            n = 100
            level = np.zeros(n) if world == "steady" else np.repeat(rng.normal(scale=2.0, size=4), 25)
            rows = level[:, None] + rng.normal(size=(n, 20))
            end = int(rng.integers(70, n))
            means, spreads = rows[:end].mean(axis=1), rows[:end].std(axis=1)
            adaptive.append(adaptive_rolling_window(means, spreads, np.full(end, 20.0)).estimate)
            truth.append(level[end - 1])
            for width, made in fixed.items():
                made.append(rows[end - width : end].mean())
        risks = {width: _risk(made, np.array(truth)) for width, made in fixed.items()}
        mine = _risk(adaptive, np.array(truth))
        assert mine < 3 * min(risks.values()), (world, mine, risks)
        assert mine < (risks[1] if world == "steady" else risks[64])


def test_block_without_rows_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        adaptive_rolling_window(np.zeros(2), np.ones(2), np.array([1.0, 0.0]))
