"""The acid test: operate, ticked through a history, leaves the ledger that rehearse says it would."""

from __future__ import annotations

import pytest

import mlwild as wild
from mlwild import rules
from tests.operating.worlds import operated, rehearsed, tick_by_tick, world

RULES = [
    rules.BreakEven(),
    rules.BreakEven(noise=0.0, rollback=True),
    rules.BreakEven(shadow_every=4),
    rules.Every(3),
    rules.Never(),
    rules.LossThreshold(0.1),
    rules.CumulativeThreshold(0.3),
    rules.OnEDetector(10_000),
    rules.OnLossAlarm(per_looks=10),
    rules.OnDetector("page_hinkley"),
    rules.OnSignal(wild.monitors.DirectLoss(), per_looks=10),
]


def agree(one, other):
    """Compare decisions and promises bit by bit; losses to the last bits of a sum in another order."""
    assert one[0] == other[0]
    assert one[1] == other[1]
    assert one[2].keys() == other[2].keys()
    for period, (cutoff, loss) in one[2].items():
        assert (cutoff, pytest.approx(loss, rel=1e-12)) == other[2][period]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_life_ticked_as_time_goes_by_is_the_one_that_was_rehearsed(rule, tmp_path):
    made = world()
    ledger = tick_by_tick(made, tmp_path, rule)
    found = operated(ledger)
    agree(found, rehearsed(made, tmp_path, rule, first=3))
    assert len(found[0]) == 13
    assert len(found[1]) == 13
    assert len(found[2]) > 8
