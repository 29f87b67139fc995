"""Latency and size: exact bounds, rates over draws, and a clock that does not depend on the machine."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import quantile_test
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB

from mlwild.gate.ready.operation import Latency, Size, latency
from mlwild.gate.ready.operation.latency import quantile_bounds
from tests.gate.bench import Bench, table

ROWS = table(900)


@pytest.mark.parametrize(("n", "alpha"), [(300, 0.05), (450, 0.0125), (1000, 0.025)])
def test_bounds_are_those_of_scipy(n, alpha):
    values = np.random.default_rng(n).exponential(size=n)
    less, greater = (
        quantile_test(values, p=0.99, alternative=side).confidence_interval(1 - alpha) for side in ("less", "greater")
    )
    assert quantile_bounds(values, alpha) == (greater.low, less.high)


def test_bounds_cover_as_they_promise():
    """10,000 draws of 450: each misses in at most 1.25 %, within what the draws tell (three standard errors)."""
    rng, true = np.random.default_rng(0), -np.log(0.01)
    found = np.array([quantile_bounds(rng.exponential(size=450), 0.0125) for _ in range(10_000)])
    slack = 3 * np.sqrt(0.0125 * 0.9875 / 10_000)
    assert (found[:, 0] > true).mean() <= 0.0125 + slack
    assert (found[:, 1] < true).mean() <= 0.0125 + slack


class Ticking:
    """A clock that models move: each call takes what is drawn for it."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


def timed(monkeypatch, ours, theirs=None, seed=0, **words):
    """Judge a candidate whose calls take milliseconds as drawn, against a champion or a limit."""
    clock, rng = Ticking(), np.random.default_rng(seed)
    monkeypatch.setattr(latency, "time", clock)

    def model(draw):
        def predict(frame):
            clock.now += draw(rng) / 1e3

        return SimpleNamespace(predict=predict, raw=object())

    rows = Bench(ROWS, GaussianNB()).events
    trial = SimpleNamespace(events=rows, model=model(ours), champion=None if theirs is None else model(theirs))
    return Latency(**words).judge(trial)


def log_normal(median):
    return lambda rng: median * rng.lognormal(0, 0.2)


def test_a_quick_model_passes_its_limit_and_a_slow_one_does_not(monkeypatch):
    # 99 % of a log-normal with spread .2 lie below 1.59 medians.
    assert timed(monkeypatch, log_normal(5), p99_ms=12).verdict == "pass"
    found = timed(monkeypatch, log_normal(5), p99_ms=7)
    assert found.verdict == "fail"
    assert found.said.startswith("99 of 100 rows are answered within 7.")
    near = timed(monkeypatch, log_normal(5), p99_ms=8.0)
    assert near.verdict == "underpowered"
    assert near.n == 900  # it was tried a second time
    assert near.said.endswith("900 calls cannot tell")


def test_a_tail_is_not_hidden_by_a_quick_median(monkeypatch):
    def draw(rng):
        return 100.0 if rng.random() < 0.03 else 1.0

    assert timed(monkeypatch, draw, p99_ms=50).verdict == "fail"


def test_a_candidate_is_held_against_the_champion(monkeypatch):
    assert timed(monkeypatch, log_normal(5), log_normal(5)).verdict == "pass"
    found = timed(monkeypatch, log_normal(15), log_normal(5))
    assert found.verdict == "fail"
    assert "the champion takes" in found.said


@pytest.mark.parametrize("seed", range(3))
def test_few_calls_are_never_green(monkeypatch, seed):
    assert timed(monkeypatch, log_normal(5), p99_ms=1000, rows=50, seed=seed).verdict == "underpowered"


def test_rates_of_latency(monkeypatch):
    """Just above the limit it passes in at most 5 %, well below it is hardly ever red; 1,000 draws each."""
    exact = 5 * np.exp(0.2 * 2.3263)
    test = Latency(p99_ms=exact * 0.999)
    rng = np.random.default_rng(0)
    passed = [test._judged(5 * rng.lognormal(0, 0.2, (1, 900))).verdict == "pass" for _ in range(1000)]
    assert sum(passed) <= 1000 * 0.05 + 3 * np.sqrt(1000 * 0.05 * 0.95)
    test = Latency(p99_ms=exact * 1.5)
    red = [test._judged(5 * rng.lognormal(0, 0.2, (1, 900))).verdict == "fail" for _ in range(1000)]
    assert sum(red) <= 5
    versus = Latency()
    pair = lambda: np.stack([2.001 * rng.lognormal(0, 0.2, 900), rng.lognormal(0, 0.2, 900)])  # noqa: E731
    passed = [versus._judged(pair()).verdict == "pass" for _ in range(1000)]
    assert sum(passed) <= 1000 * 0.05 + 3 * np.sqrt(1000 * 0.05 * 0.95)


def test_a_real_model_is_timed():
    found = Latency(p99_ms=60_000).judge(Bench(ROWS, GaussianNB()))
    assert found.verdict == "pass", found.said
    assert 0 < found.estimate < 60_000


def test_size_is_held_against_a_limit_or_the_champion():
    small, large = RandomForestClassifier(2, max_depth=3), RandomForestClassifier(40)
    assert Size(most_mb=0.1).judge(Bench(ROWS, small)).verdict == "pass"
    found = Size(most_mb=0.1).judge(Bench(ROWS, large))
    assert found.verdict == "fail"
    assert found.said.endswith("the limit is 0.1 MB")
    assert Size().judge(Bench(ROWS, small, before=small)).verdict == "pass"
    found = Size().judge(Bench(ROWS, large, before=small))
    assert found.verdict == "fail"
    assert "and the limit is 2 times that" in found.said


def test_without_a_limit_or_a_champion_there_is_nothing_to_say():
    trial = Bench(ROWS, GaussianNB())
    for test in (Latency(), Size()):
        assert test.objection(trial) == "no limit is given, and there is no champion to hold it against"
    assert Latency(p99_ms=5).objection(trial) == Size(most_mb=5).objection(trial) == ""
