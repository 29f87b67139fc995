"""The e-detector: its recursion, its run length, and what a plug-in baseline does to it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.stats.bounds import clopper_pearson_upper
from mlwild.stats.edetector import TARGETS, EDetector


def _loop(losses, baseline, run_length):
    """S <- (S + 1) L for each bet; the mean of the bets is watched."""
    rates = [min(0.9 / baseline, d / (baseline * (1 - baseline))) for d in TARGETS]
    values = [0.0] * len(rates)
    for position, loss in enumerate(losses):
        values = [(s + 1) * (1 + rate * (loss - baseline)) for s, rate in zip(values, rates, strict=True)]
        if sum(values) / len(values) >= run_length:
            return values, position
    return values, None


def _coin(rng, rate, n):
    return (rng.random(n) < rate).astype(float)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    baseline=st.floats(0.02, 0.95),
    n=st.integers(1, 400),
    run_length=st.sampled_from([50.0, 1e3, 1e30]),
)
def test_detector_follows_the_recursion(seed, baseline, n, run_length):
    losses = np.random.default_rng(seed).random(n)
    values, position = _loop(losses, baseline, run_length)
    after, alarm = EDetector(baseline, run_length).feed(losses)
    assert alarm == position
    if alarm is None:
        assert after.log_value == pytest.approx(np.log(values), rel=1e-8, abs=1e-8)
    else:
        assert after == EDetector(baseline, run_length)  # as new


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_feeding_in_pieces_is_feeding_at_once(seed, cuts):
    losses = _coin(np.random.default_rng(seed), 0.3, 300)
    start = EDetector(0.2, 20_000.0)
    whole, alarm = start.feed(losses)
    detector, found, at = start, None, 0
    for begin, end in itertools.pairwise([0, *sorted(cuts), 300]):
        detector, position = detector.feed(losses[begin:end])
        at = begin
        if position is not None:
            found = at + position
            break
    assert found == alarm
    assert detector.log_value == pytest.approx(whole.log_value)


@pytest.mark.parametrize("baseline", [0.1, 0.2, 0.5])
def test_value_less_the_number_of_rows_is_a_martingale_at_the_baseline(baseline):
    # The promise of the run length rests on it. All 2^9 sequences of a coin, so nothing is drawn.
    n, mean = 9, 0.0
    for flips in itertools.product([0.0, 1.0], repeat=n):
        after, alarm = EDetector(baseline, 1e300).feed(np.array(flips))
        assert alarm is None
        ones = sum(flips)
        mean += baseline**ones * (1 - baseline) ** (n - ones) * np.exp(after.log_value)
    assert mean == pytest.approx(np.full(len(TARGETS), float(n)))


def test_long_calm_stretches_neither_overflow_nor_underflow():
    detector = EDetector(0.5, 1e5)
    calm, alarm = detector.feed(np.zeros(50_000))
    assert alarm is None
    assert np.isfinite(calm.log_value).all()
    _, alarm = calm.feed(np.ones(100))
    _, fresh = detector.feed(np.ones(100))
    assert alarm == pytest.approx(fresh, abs=2)  # a long calm does not make it sleepy


@pytest.mark.parametrize("baseline", [0.0, 1.0, -0.1, 1.2])
def test_baseline_outside_of_zero_and_one_never_alarms(baseline):
    detector = EDetector(baseline, 10.0)
    assert detector.feed(np.ones(100)) == (detector, None)


def test_no_rows_change_nothing():
    detector, _ = EDetector(0.2, 1e5).feed(np.array([1.0, 0.0, 1.0]))
    assert detector.feed(np.zeros(0)) == (detector, None)


# -- promises ------------------------------------------------------------------------------------


def _first_alarm(rng, law, detector):
    rows = 0
    while True:
        detector, alarm = detector.feed(law(rng, 4_000))
        if alarm is not None:
            return rows + alarm + 1
        rows += 4_000


@pytest.mark.parametrize("draws", [150, pytest.param(1_500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("law", "mean"),
    [
        (lambda rng, n: _coin(rng, 0.2, n), 0.2),
        (lambda rng, n: rng.beta(1, 4, n), 0.2),
        (lambda rng, n: np.where(rng.random(n) < 0.05, 1.0, 0.1), 0.145),
    ],
    ids=["coin", "beta", "skew"],
)
def test_mean_run_until_a_false_alarm_is_at_least_the_run_length(law, mean, draws):
    length = 1_000.0
    runs = [_first_alarm(np.random.default_rng([2, i]), law, EDetector(mean, length)) for i in range(draws)]
    error = np.std(runs) / math.sqrt(draws)
    assert np.mean(runs) >= length - 3 * error
    assert np.mean(runs) <= 1.5 * length  # and the detector is not simply deaf


def _false_alarms(rng, baseline, run_length, steps=10_000):
    detector, alarms = EDetector(baseline, run_length), 0
    losses = _coin(rng, 0.2, steps)
    while True:
        detector, alarm = detector.feed(losses)
        if alarm is None:
            return alarms
        alarms, losses = alarms + 1, losses[alarm + 1 :]


def _null(reference, draws, kind):
    """Return the mean number of false alarms in 10,000 rows, and its standard error."""
    counts = []
    for i in range(draws):
        rng = np.random.default_rng([3, i, reference])
        errors = int(_coin(rng, 0.2, reference).sum())
        baseline = errors / reference if kind == "plug-in" else clopper_pearson_upper(errors, reference)
        counts.append(_false_alarms(rng, baseline, 100_000))
    return float(np.mean(counts)), float(np.std(counts) / math.sqrt(draws))


@pytest.mark.parametrize("draws", [100, pytest.param(1_500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reference", [500, 2_000, 10_000])
def test_bound_as_baseline_keeps_false_alarms_below_a_tenth_in_ten_thousand_rows(reference, draws):
    mean, _ = _null(reference, draws, "bound")
    # A Poisson count of mean 0.1 a run has a standard error of sqrt(0.1 / draws).
    assert mean <= 0.1 + (3 * math.sqrt(0.1 / draws) if draws < 1_000 else 0.0)


@pytest.mark.parametrize("draws", [100, pytest.param(1_500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("reference", "published"), [(500, 0.947), (2_000, 0.293)])
def test_plug_in_baseline_breaks_the_promise_as_often_as_measured_before(reference, published, draws):
    mean, error = _null(reference, draws, "plug-in")
    before = error * math.sqrt(draws / 300)  # the published figures rest on 300 runs
    assert mean == pytest.approx(published, abs=3 * math.hypot(error, before))
    assert mean - 2 * error > 0.1


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("reference", "most"), [(None, 280), (500, 600), (2_000, 420), (10_000, 345)])
def test_median_delay_of_a_rise_from_two_to_three_tenths(reference, most, draws):
    # Published: 218 with a known baseline; 545, 378 and 309 with a bound from so many rows.
    delays = []
    for i in range(draws):
        rng = np.random.default_rng([4, i])
        baseline = 0.2
        if reference is not None:
            baseline = clopper_pearson_upper(int(_coin(rng, 0.2, reference).sum()), reference)
        detector, alarm = EDetector(baseline, 100_000), 0
        losses = _coin(rng, 0.2, 5_000)
        while alarm is not None:
            detector, alarm = detector.feed(losses)
            losses = losses[(alarm or 0) + 1 :]
        delays.append(_first_alarm(rng, lambda rng, n: _coin(rng, 0.3, n), detector))
    assert np.median(delays) <= most
