"""Alarms: false ones no oftener than set, planted shifts found."""

from __future__ import annotations

import numpy as np
import pytest

from mlwild.errors import DataError
from mlwild.stats.alarms import ConformalAlarm, looks_between, loss_alarm


def _first_alarm(alarm, values):
    for look, value in enumerate(values):
        alarm, rung = alarm.feed(value)
        if rung:
            return look + 1
    return None


def _run_length(make, draw, draws, longest, seed):
    """Return looks watched in all over false alarms: the mean time between them, each run begun anew."""
    rng = np.random.default_rng(seed)
    watched = alarms = 0
    for _ in range(draws):
        at = _first_alarm(make(rng), draw(rng, longest))
        watched += longest if at is None else at
        alarms += at is not None
    return watched / max(alarms, 1), alarms


def _null(draws, seed):
    """Signals of no drift: exchangeable, with heavy tails, offset and scale of their own in each run."""

    def draw(rng, n):
        return (rng.normal() + rng.gamma(1.0) * rng.standard_t(3, n)).tolist()

    return _run_length(lambda rng: ConformalAlarm(52.0, seed=int(rng.integers(1 << 30))), draw, draws, 208, seed)


def test_false_alarms_on_signals_are_as_rare_as_set():
    # 200 runs of four years of weekly looks, one false alarm a year allowed: the mean run is at least 52.
    length, alarms = _null(200, 1)
    assert length >= 52
    assert alarms > 0  # the promise is not kept by never ringing


@pytest.mark.slow
def test_false_alarms_on_signals_are_as_rare_as_set_long():
    length, _ = _null(1000, 2)
    assert length >= 52


@pytest.mark.parametrize(("shift", "within"), [(3.0, 0.8), (1.5, 0.5)])
def test_a_planted_shift_of_a_signal_is_found(shift, within):
    # 200 runs; 40 calm looks, then 26 shifted by so many standard deviations.
    rng = np.random.default_rng(3)
    found = 0
    for run in range(200):
        values = np.concatenate([rng.normal(size=40), rng.normal(shift, 1, 26)])
        alarm, at = ConformalAlarm(52.0, seed=run), None
        for look, value in enumerate(values.tolist()):
            alarm, rung = alarm.feed(value)
            if rung and look >= 40 and at is None:
                at = look
        found += at is not None
    assert found / 200 >= within


def test_a_signal_that_falls_rings_no_alarm():
    assert _first_alarm(ConformalAlarm(52.0), np.linspace(1, 0, 100).tolist()) is None


def test_p_values_of_exchangeable_signals_are_uniform():
    rng = np.random.default_rng(5)
    found = []
    for run in range(400):
        alarm = ConformalAlarm(1e9, seed=run)
        for value in rng.integers(0, 3, 12).tolist():  # with ties
            p = alarm.p_value(value)
            alarm, _ = alarm.feed(value)
        found.append(p)
    ordered = np.sort(found)
    assert np.abs(ordered - np.arange(1, 401) / 400).max() < 1.63 / 20  # Kolmogorov, 1 %


@pytest.mark.parametrize("by_row", [True, False])
def test_false_alarms_on_losses_are_as_rare_as_set(by_row):
    # 200 runs of two years of weekly batches of 40 labels; the baseline is wrong in 5 % of runs at most.
    def make(rng):
        reference = (rng.random(1000) < 0.2).astype(float)
        return loss_alarm(reference, looks=52, batch=40, by_row=by_row)

    length, _ = _run_length(make, lambda rng, n: [(rng.random(40) < 0.2).astype(float) for _ in range(n)], 200, 104, 7)
    assert length >= 52


def test_a_rise_of_the_loss_is_found_sooner_by_row():
    rng = np.random.default_rng(8)
    found = {}
    for by_row in (True, False):
        looks = []
        for _ in range(40):
            alarm = loss_alarm((rng.random(2000) < 0.2).astype(float), looks=52, batch=100, by_row=by_row)
            batches = [(rng.random(100) < 0.35).astype(float) for _ in range(60)]
            looks.append(_first_alarm(alarm, batches) or 61)
        found[by_row] = np.median(looks)
    assert found[True] <= 6
    assert found[True] < found[False] <= 30


def test_losses_that_have_not_come_change_nothing():
    alarm = loss_alarm(np.tile([0.0, 1.0], 100), looks=10)
    assert alarm.feed(np.zeros(0)) == (alarm, False)


def test_unbounded_losses_are_scaled():
    rng = np.random.default_rng(9)
    alarm = loss_alarm(rng.gamma(1, 3, 2000), looks=52, batch=100)
    assert alarm.top > 1
    assert _first_alarm(alarm, [rng.gamma(1, 6, 100) for _ in range(30)]) is not None


def test_wrong_settings_are_refused():
    with pytest.raises(DataError, match="above 0"):
        looks_between(52, 0)
    with pytest.raises(DataError, match="1 at least"):
        ConformalAlarm(0.5)
    with pytest.raises(DataError, match="Hint: leave looks"):
        ConformalAlarm(5).feed(float("nan"))
    with pytest.raises(DataError, match="0 reference losses"):
        loss_alarm(np.zeros(0), looks=5)
    assert looks_between(0.5, 10) == 1.0
