"""Grey of estimators of a loss of a set: intervals that miss more periods than they promise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mlwild import monitors
from mlwild.monitors.signal import Signal
from mlwild.records import Vintage
from tests.monitors.planted import ROWS, app_of, history, regression, triangles_of


def _never_fresh(X, y):
    """A model that stays what it is, so that a concept shift is not learned away."""
    return lambda X: 1 / (1 + np.exp(-2 * X["a"].to_numpy()))


def _record(kind, seed, folder, *, monitor=None, periods=22, **changes):
    frame = history(kind, seed, periods=periods, at=8, **changes)
    triangle = triangles_of(app_of(frame, models={"fixed": _never_fresh}, loss="auc"), folder)[0]
    record = triangle.refutation(monitor or monitors.CBPE(), "all")
    record.by(triangle.survey.grid.periods)
    return triangle, record


@dataclass(frozen=True)
class Sure:
    """A user's own estimate of a loss of a set, always the same."""

    low: float
    high: float
    name: str = "sure"

    def signal(self, scene):
        return Signal(0.0, (self.low + self.high) / 2, self.low, self.high, support="supported")


@pytest.mark.parametrize("monitor", [monitors.CBPE(), monitors.PAPE()])
def test_after_a_concept_shift_estimators_of_the_auc_know_nothing_or_are_grey(monitor, tmp_path):
    triangle, record = _record("concept", 0, tmp_path, monitor=monitor)
    # The shift comes with period 6: the first interval after it misses. From then on the reference periods of fresh
    # vintages disagree with each other, and the interval says so: it is as wide as the loss can be.
    assert record._missed[5:7] == [True, False]
    for cutoff in range(9, triangle.survey.grid.periods):
        signal = triangle.signal(Vintage(cutoff - 1), cutoff, monitor)
        assert signal.grey or signal.high - signal.low > 0.9
    # A vintage from before the shift has a reference that never saw it: its estimate stays sure, and turns grey.
    assert triangle.signal(Vintage(3), 9, monitor).grey == ""
    signal = triangle.signal(Vintage(3), 17, monitor)
    assert signal.high - signal.low < 0.2
    assert "periods came outside its 95% interval" in signal.grey
    assert not signal.acts


def test_a_concept_shift_refutes_what_stays_sure(tmp_path):
    monitor = Sure(0.0, 0.3)
    triangle, record = _record("concept", 0, tmp_path, monitor=monitor)
    # Six to eight misses in a row refute.
    assert record.at is not None
    assert 12 <= record.at <= 16
    assert "periods came outside its 95% interval" in record.why
    signal = triangle.signal(Vintage(3), record.at, monitor)
    assert signal.grey == record.why
    assert not signal.acts
    assert replace(signal, grey="").acts
    assert triangle.signal(Vintage(3), 9, monitor).grey == ""


def test_labels_that_come_late_refute_late(tmp_path):
    folders = {late: tmp_path / str(late) for late in (0, 3)}
    at = [_record("concept", 0, folders[late], monitor=Sure(0.0, 0.3), delay=late * ROWS)[1].at for late in folders]
    assert None not in at
    assert at[1] >= at[0] + 2  # what is late by three periods is settled before the next ends


@pytest.mark.parametrize(("low", "high", "grey"), [(0.0, 0.2, True), (9.0, 10.0, True), (0.0, 9.0, False)])
def test_any_estimator_of_any_loss_of_a_set_can_be_refuted_from_above_and_below(low, high, grey, tmp_path):
    app = regression(history("none", 1, periods=14), loss="rmse")
    triangle = triangles_of(app, tmp_path)[0]
    record = triangle.refutation(Sure(low, high), "all")
    why = record.by(triangle.survey.grid.periods)
    assert bool(why) == grey
    if grey:
        assert record.at == 7  # periods 1 to 6 missed; the first vintage has its own period 0 for a reference
        assert "6 of 6 periods came outside" in why


def _share_grey(draws, folder, seed):
    return sum(_record("none", seed + draw, folder / str(draw))[1].at is not None for draw in range(draws)) / draws


def test_without_shift_it_seldom_turns_grey(tmp_path):
    # 20 draws of twenty periods at a chance of 5 % at most: 4 or more have a probability of 1.6 %.
    assert _share_grey(20, tmp_path, 100) <= 3 / 20


@pytest.mark.slow
def test_without_shift_it_turns_grey_in_at_most_five_percent(tmp_path):
    # 400 draws of twenty periods; two standard errors of 1.1 %.
    assert _share_grey(400, tmp_path, 1000) <= 0.05 + 0.022
