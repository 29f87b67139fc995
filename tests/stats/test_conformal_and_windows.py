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
