"""Runs x tasks: by hand, by plain resampling, on the Atari curves, and the coverage of the intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, trim_mean

from mlwild.errors import DataError
from mlwild.stats.run_draws import METRICS, Scores
from mlwild.stats.runs import (
    aggregate,
    aggregate_intervals,
    performance_profile,
    probability_of_improvement,
    sign_table,
)

#: Published scores of a random agent and of a human tester (Mnih et al. 2015; Wang et al. 2016).
RANDOM_AND_HUMAN = """
alien 227.8 7127.7 amidar 5.8 1719.5 assault 222.4 742.0 asterix 210.0 8503.3 asteroids 719.1 47388.7
atlantis 12850.0 29028.1 bankheist 14.2 753.1 battlezone 2360.0 37187.5 beamrider 363.9 16926.5
berzerk 123.7 2630.4 bowling 23.1 160.7 boxing 0.1 12.1 breakout 1.7 30.5 centipede 2090.9 12017.0
choppercommand 811.0 7387.8 crazyclimber 10780.5 35829.4 demonattack 152.1 1971.0 doubledunk -18.6 -16.4
enduro 0.0 860.5 fishingderby -91.7 -38.7 freeway 0.0 29.6 frostbite 65.2 4334.7 gopher 257.6 2412.5
gravitar 173.0 3351.4 hero 1027.0 30826.4 icehockey -11.2 0.9 jamesbond 29.0 302.8 kangaroo 52.0 3035.0
krull 1598.0 2665.5 kungfumaster 258.5 22736.3 montezumarevenge 0.0 4753.3 mspacman 307.3 6951.6
namethisgame 2292.3 8049.0 phoenix 761.4 7242.6 pitfall -229.4 6463.7 pong -20.7 14.6
privateeye 24.9 69571.3 qbert 163.9 13455.0 riverraid 1338.5 17118.0 roadrunner 11.5 7845.0
robotank 2.2 11.9 seaquest 68.4 42054.7 skiing -17098.1 -4336.9 solaris 1236.3 12326.7
spaceinvaders 148.0 1668.7 stargunner 664.0 10250.0 tennis -23.8 -8.3 timepilot 3568.0 5229.2
tutankham 11.4 167.6 upndown 533.4 11693.2 venture 0.0 1187.5 videopinball 0.0 17667.9
wizardofwor 563.5 4756.5 yarsrevenge 3092.9 54576.9 zaxxon 32.5 9173.3
"""

finite = st.floats(-100, 100).map(lambda value: round(value, 3))
tables = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda shape: arrays(float, shape, elements=finite))


def _errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


# -- aggregates ----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(scores=tables)
def test_aggregates_by_their_definitions(scores):
    flat = np.sort(scores.ravel())
    expected = {
        "iqm": trim_mean(scores, 0.25, axis=None),
        "mean": scores.mean(),
        "median": np.median(scores.mean(axis=0)),
        "worst_quartile": flat[: max(1, len(flat) // 4)].mean(),
        "optimality_gap": 1 - np.minimum(scores, 1).mean(),
    }
    for metric in METRICS:
        assert aggregate(scores, metric) == pytest.approx(expected[metric], abs=1e-9)


@pytest.mark.parametrize("tasks", [False, True])
def test_replicates_are_the_metrics_of_resampled_runs(tasks):
    scores = np.random.default_rng(0).lognormal(size=(4, 9))
    rng, mirror = np.random.default_rng(5), np.random.default_rng(5)
    found = Scores(scores).replicates(50, rng, METRICS, tasks=tasks)
    which = mirror.integers(0, 9, size=(50, 9)) if tasks else np.tile(np.arange(9), (50, 1))
    picks = mirror.integers(0, 4, size=(50, 9, 4))
    for rep in range(50):
        table = scores[picks[rep].T, which[rep]]  # (runs, tasks)
        for metric in METRICS:
            assert found[metric][rep] == pytest.approx(aggregate(table, metric))


def test_interval_is_the_stretched_percentile_interval():
    scores = np.random.default_rng(0).normal(size=(5, 40))
    found = aggregate_intervals(scores, metrics=("mean",), reps=20_000)["mean"]
    half = 1.96 * math.sqrt(scores.var(axis=0, ddof=1).mean() / 200)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.03)


def test_one_run_has_an_estimate_but_no_interval():
    found = aggregate_intervals(np.ones((1, 4)))["iqm"]
    assert found.estimate == 1.0
    assert math.isnan(found.low)


def test_resampled_tasks_widen_the_interval():
    scores = np.random.default_rng(0).normal(size=(5, 30)) * 0.1 + np.arange(30)
    narrow, wide = (aggregate_intervals(scores, metrics=("iqm",), tasks=tasks)["iqm"] for tasks in (False, True))
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)


def test_bad_scores_are_refused():
    with pytest.raises(DataError, match="run 1 of task 0 has score nan"):
        aggregate(np.array([[1.0], [np.nan]]))
    with pytest.raises(DataError, match=r"shape \(3,\), need \(n_runs, n_tasks\)"):
        aggregate(np.ones(3))
    with pytest.raises(DataError, match="metric 'mode' is unknown"):
        aggregate(np.ones((2, 2)), "mode")
    with pytest.raises(DataError, match="A has 3 tasks, B has 2"):
        sign_table(np.ones((2, 3)), np.ones((2, 2)))


# -- profile and probability of improvement ------------------------------------------------------


def test_profile_falls_and_its_band_holds_it():
    scores = np.random.default_rng(0).normal(size=(5, 20))
    found = performance_profile(scores, np.linspace(-4, 4, 30))
    assert found.share == pytest.approx([(scores > t).mean() for t in found.thresholds])
    assert (np.diff(found.share) <= 0).all()
    assert ((found.low <= found.share) & (found.share <= found.high)).all()
    assert found.low.min() >= 0
    assert found.high.max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    pair=st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            *[
                st.integers(1, 6).flatmap(lambda runs: arrays(float, (runs, n), elements=st.integers(0, 5)))
                for _ in "ab"
            ]
        )
    )
)
def test_probability_of_improvement_is_mann_whitneys(pair):
    a, b = pair
    u = [mannwhitneyu(a[:, k], b[:, k]).statistic / (len(a) * len(b)) for k in range(a.shape[1])]
    found = probability_of_improvement(a, b, reps=20)
    assert found.estimate == pytest.approx(np.mean(u))
    assert probability_of_improvement(b, a, reps=20).estimate == pytest.approx(1 - np.mean(u))


def test_spread_of_probability_is_that_of_plain_resampling():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 1, size=(6, 8)), rng.normal(size=(5, 8))
    plain = []
    for _ in range(4000):
        x = np.take_along_axis(a, rng.integers(0, 6, size=(6, 8)), axis=0)
        y = np.take_along_axis(b, rng.integers(0, 5, size=(5, 8)), axis=0)
        plain.append((x[:, None] > y[None, :]).mean())
    found = probability_of_improvement(a, b, reps=4000)
    low, high = np.quantile(plain, [0.025, 0.975])
    factor = (found.high - found.low) / (high - low)
    assert factor == pytest.approx(math.sqrt(5 / 4) * 1.015, rel=0.04)


# -- the sign table ------------------------------------------------------------------------------


def test_sign_table_names_what_decides():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 0.05, size=(2, 8, 12))
    a[:, 0] += 30.0  # one task makes the mean
    b[:, 1:] += 0.2
    found = sign_table(a, b)
    assert found.best is None
    assert found.deciding == ("mean",)
    assert {row.metric: row.favours for row in found.rows}["iqm"] == "b"


def test_swap_mirrors_the_table():
    a, b = np.random.default_rng(0).normal(size=(2, 6, 9))
    there, back = sign_table(a, b), sign_table(b, a)
    for row, other in zip(there.rows, back.rows, strict=True):
        assert row.difference.estimate == pytest.approx(-other.difference.estimate)
        assert {row.favours, other.favours} == {"a", "b"}


def test_equal_scores_favour_neither():
    found = sign_table(np.ones((4, 5)), np.ones((4, 5)))
    assert {row.favours for row in found.rows} == {"neither"}
    assert found.best is None


# -- rates ---------------------------------------------------------------------------------------


def _called_better(draws, runs, n_tasks):
    rng = np.random.default_rng(7)
    named = 0
    for i in range(draws):
        tasks = rng.lognormal(size=n_tasks)
        a, b = tasks * np.exp(rng.normal(0, 0.2, size=(2, runs, n_tasks)))
        named += sign_table(a, b, reps=200, seed=i).best is not None
    return named / draws


def test_same_agent_is_called_better_than_itself_at_most_one_time_in_twenty():
    assert _called_better(300, 5, 12) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "n_tasks"), [(3, 10), (5, 30), (10, 5)])
def test_same_agent_is_called_better_than_itself_at_most_one_time_in_twenty_long(runs, n_tasks):
    assert _called_better(2000, runs, n_tasks) <= 0.05


def _coverage(draws, runs, n_tasks):
    rng = np.random.default_rng(8)
    inside = dict.fromkeys(METRICS, 0)
    for i in range(draws):
        if i % 5 == 0:
            tasks = rng.lognormal(size=n_tasks)
            truth = {
                metric: aggregate(tasks * np.exp(rng.normal(0, 0.2, size=(2000, n_tasks))), metric)
                for metric in METRICS
            }
        scores = tasks * np.exp(rng.normal(0, 0.2, size=(runs, n_tasks)))
        for metric, found in aggregate_intervals(scores, reps=300, seed=i).items():
            inside[metric] += found.low <= truth[metric] <= found.high
    return {metric: count / draws for metric, count in inside.items()}


def test_intervals_cover():
    found = _coverage(200, 5, 20)
    for metric in ("iqm", "mean", "optimality_gap"):
        assert found[metric] >= 0.93 - _errors(0.93, 200)
    for metric in ("median", "worst_quartile"):  # measured 0.90: selection makes both one-sided
        assert found[metric] >= 0.88 - _errors(0.88, 200)


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "n_tasks"), [(5, 20), (5, 55), (10, 10)])
def test_intervals_cover_long(runs, n_tasks):
    found = _coverage(2000, runs, n_tasks)
    for metric in ("iqm", "mean", "optimality_gap"):
        assert found[metric] >= 0.93 - _errors(0.93, 2000)
    for metric in ("median", "worst_quartile"):
        assert found[metric] >= 0.87 - _errors(0.87, 2000)


# -- published runs ------------------------------------------------------------------------------


@pytest.fixture
def atari(shared):
    """Scores (5 runs, games) of each agent, mean of the last five iterations."""
    pd = pytest.importorskip("pandas")
    table = pd.read_parquet(shared / "atari_learning_curves" / "returns.parquet")
    last = table[table.iteration > table.iteration.max() - 5]
    return last.groupby(["agent", "seed", "game"]).mean_return.mean().unstack("game")


def test_atari_table_comes_out_under_published_human_scores(atari):
    words = RANDOM_AND_HUMAN.split()
    games = words[::3]
    low, high = (np.array(words[k::3], dtype=float) for k in (1, 2))
    scores = {agent: (atari.loc[agent][games].to_numpy() - low) / (high - low) for agent in atari.index.levels[0]}
    assert len(games) == 55
    published = {  # IQM, its interval, median, mean, optimality gap
        "DQN": (0.748, 0.726, 0.769, 0.650, 2.31, 0.416),
        "Quantile (JAX)": (1.137, 1.083, 1.194, 0.891, 3.35, 0.344),
        "C51": (1.275, 1.255, 1.295, 1.091, 3.12, 0.277),
        "DQN (Adam + MSE in JAX)": (1.356, 1.331, 1.379, 0.975, 3.14, 0.288),
        "Rainbow": (1.701, 1.652, 1.759, 1.484, 3.75, 0.218),
        "IQN": (1.753, 1.707, 1.796, 1.249, 4.16, 0.208),
    }
    for agent, (iqm, low_, high_, median, mean, gap) in published.items():
        found = aggregate_intervals(scores[agent])
        assert found["iqm"].estimate == pytest.approx(iqm, abs=0.0006)
        # Theirs are plain percentiles: with five runs, 1 - sqrt(4 / 5) = 11 % too narrow.
        assert found["iqm"].high - found["iqm"].low == pytest.approx((high_ - low_) * math.sqrt(5 / 4), rel=0.15)
        assert found["median"].estimate == pytest.approx(median, abs=0.0006)
        assert found["mean"].estimate == pytest.approx(mean, abs=0.006)
        assert found["optimality_gap"].estimate == pytest.approx(gap, abs=0.0006)
    assert probability_of_improvement(scores["IQN"], scores["Rainbow"]).estimate == pytest.approx(0.489, abs=0.0006)
    verdict = sign_table(scores["IQN"], scores["Rainbow"])
    assert verdict.best is None
    assert "median" in verdict.deciding
    assert sign_table(scores["Rainbow"], scores["DQN"]).best == "a"


def test_iqn_and_rainbow_cannot_be_told_apart_when_scores_are_parts_of_the_best_mean(atari):
    means = atari.groupby("agent").mean()
    floor = np.minimum(means.min(), 0)
    scores = {a: ((atari.loc[a] - floor) / (means.max() - floor)).to_numpy() for a in ("IQN", "Rainbow", "DQN")}
    verdict = sign_table(scores["IQN"], scores["Rainbow"])
    assert verdict.best is None
    assert sign_table(scores["IQN"], scores["DQN"]).best == "a"
