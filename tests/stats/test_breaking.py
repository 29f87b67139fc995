"""The breaker: its states, and how seldom it opens, closes and is sent back without cause."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.breaking import STAKES, Breaker


def _fed(breaker, failures, now=0.0):
    for failed in failures:
        breaker = breaker.feed(failed=bool(failed), now=now)
    return breaker


def _opened(breaker, draw, most=100_000):
    """Return the number of calls until it opens."""
    for call in range(most):
        breaker = breaker.feed(failed=bool(draw(call)), now=0.0)
        if breaker.state != "closed":
            return call + 1
    return most


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rate=st.floats(0, 0.3), tolerated=st.sampled_from([0.01, 0.05, 0.3]))
def test_it_opens_where_the_recursion_passes_the_run_length(seed, rate, tolerated):
    failures = np.random.default_rng(seed).random(200) < rate
    breaker, values = Breaker(tolerated=tolerated, run_length=500.0), np.zeros(len(STAKES))
    for call, failed in enumerate(failures):
        values = (values + 1) * (1 + np.array(STAKES) / tolerated * (failed - tolerated))
        breaker = breaker.feed(failed=bool(failed), now=float(call))
        if values.mean() >= 500:
            assert (breaker.state, breaker.since) == ("open", float(call))
            assert tolerated < breaker.rate <= 1
            return
        assert breaker.state == "closed"
        assert breaker.value == pytest.approx(values)


@pytest.mark.parametrize(
    ("tolerated", "run_length", "calls"), [(0.05, 1e5, 5), (0.01, 1e5, 3), (0.1, 1e4, 5), (0.02, 1e6, 4)]
)
@pytest.mark.parametrize("calm", [0, 10_000])
def test_failures_on_end_open_it_within_a_handful_of_calls(tolerated, run_length, calls, calm):
    breaker = _fed(Breaker(tolerated=tolerated, run_length=run_length), [False] * calm)
    assert breaker.state == "closed"
    found = _opened(breaker, lambda call: True)
    assert found <= calls
    assert found <= math.ceil(math.log(4 * run_length) / math.log(0.9 / tolerated))
    assert _fed(breaker, [True] * found).rate == 1.0


def test_states_follow_each_other_and_the_back_off_doubles_up_to_the_longest():
    breaker = Breaker(backoff=2.0, longest=10.0)
    breaker = _fed(breaker, [True] * 5, now=100.0)
    assert (breaker.state, breaker.retry_at) == ("open", 102.0)
    assert breaker.at(101.9) is breaker
    assert breaker.feed(failed=True, now=101.0) is breaker  # a call that was under way
    waits = []
    for _ in range(4):
        waits.append(breaker.wait)
        probing = breaker.at(breaker.retry_at)
        assert (probing.state, probing.retry_at) == ("half-open", None)
        breaker = _fed(probing, [True, True], now=probing.since)
        assert breaker.state == "open"
    assert waits == [2.0, 4.0, 8.0, 10.0]
    probing = breaker.at(breaker.retry_at)
    closed = _fed(probing, [False] * 6, now=500.0)
    assert closed.state == "closed"
    # It fails again at once: the back-off goes on doubling; after a long calm it starts anew.
    assert _fed(closed, [True] * 5, now=505.0).wait == 10.0
    assert _fed(closed, [True] * 5, now=511.0).wait == 2.0


@pytest.mark.parametrize(("rate", "probes"), [(1.0, 6), (0.5, 15), (0.2, 35)])
def test_the_worse_it_was_the_fewer_probes_close_it(rate, probes):
    breaker = Breaker(state="open", since=0.0, rate=rate).at(1.0)
    breaker = _fed(breaker, [False] * (probes - 1), now=1.0)
    assert breaker.state == "half-open"
    assert breaker.feed(failed=False, now=1.0).state == "closed"


def test_what_cannot_be_is_refused():
    for wrong in ({"tolerated": 0.0}, {"tolerated": 0.6}, {"alpha": 1.0}, {"run_length": 1.0}):
        with pytest.raises(DataError, match="they need"):
            Breaker(**wrong)
    for wrong in ({"backoff": 0.0}, {"backoff": 400.0}, {"longest": math.inf}):
        with pytest.raises(DataError, match="need seconds"):
            Breaker(**wrong)
    with pytest.raises(DataError, match="now is nan"):
        Breaker().feed(failed=True, now=math.nan)


# -- promises -----------------------------------------------------------------------------------------------------


def _clustered(rng):
    """Failures that call for failures, with a chance of .05 at most given the past: none for a while after a calm."""
    state = {"rest": 0}

    def draw(call):
        if state["rest"]:
            state["rest"] -= 1
            return False
        failed = rng.random() < 0.05
        state["rest"] = 0 if failed else int(rng.integers(3))
        return failed

    return draw


@pytest.mark.parametrize("draws", [60, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("world", ["steady", "clustered"])
def test_mean_calls_until_it_opens_without_cause_are_the_run_length_at_least(world, draws):
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(draws):
        draw = (lambda call: rng.random() < 0.05) if world == "steady" else _clustered(rng)
        runs.append(_opened(Breaker(run_length=500.0), draw, 20_000))
    assert np.mean(runs) >= 500 - 3 * np.std(runs) / math.sqrt(draws)
    if world == "steady":
        assert np.mean(runs) <= 3_000  # and it is not simply deaf


@pytest.mark.parametrize("draws", [400, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rate", [1.0, 0.5, 0.2])
def test_probes_mislead_as_seldom_as_set(rate, draws):
    # Three standard errors of 5 % are 3.3 % (400 draws) and .65 % (10,000).
    rng = np.random.default_rng(1)
    tolerance = 3 * math.sqrt(0.05 * 0.95 / draws)
    start = Breaker(state="open", since=0.0, rate=rate).at(1.0)
    ends = {}
    for chance in (start.tolerated, start.bar):
        closed = 0
        for _ in range(draws):
            breaker = start
            while breaker.state == "half-open":
                breaker = breaker.feed(failed=bool(rng.random() < chance), now=1.0)
            closed += breaker.state == "closed"
        ends[chance] = closed / draws
    assert ends[start.bar] <= 0.05 + tolerance  # still bad: closed by chance
    assert ends[start.tolerated] >= 0.95 - tolerance  # well again: sent back by chance


def test_a_rise_of_failures_is_found_and_a_life_loses_few_calls():
    rng = np.random.default_rng(2)
    delays = []
    for _ in range(40):  # from .01 to .3, tolerated .05
        breaker = _fed(Breaker(), rng.random(500) < 0.01)
        delays.append(_opened(breaker, lambda call: rng.random() < 0.3))
    assert 5 < np.median(delays) < 40
    # A call a tenth of a second; it fails altogether from 60 s to 120 s.
    breaker, lost, shut = Breaker(), 0, []
    for call in range(3_000):
        now = call / 10
        failed = bool(rng.random() < (1.0 if 60 <= now < 120 else 0.01))
        breaker = breaker.at(now)
        if breaker.state != "closed":
            shut.append(now)
        lost += breaker.state == "closed" and failed and 60 <= now < 120
        breaker = breaker.feed(failed=failed, now=now)
    assert lost <= 5
    assert min(shut) == pytest.approx(60.5, abs=0.2)
    assert 120 <= max(shut) <= 60 + 2 * 64 + 2  # the last back-off is shorter than the outage was
