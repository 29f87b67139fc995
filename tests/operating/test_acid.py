"""The acid test: operate, ticked through a history, leaves the ledger that rehearse says it would."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlwild as wild
from mlwild import rules
from mlwild.ledger import Ledger
from tests.operating.worlds import ledger_of, operated, rehearsed, tick_by_tick, world

#: Rules of every kind: by price, by schedule, by loss, by sequential test, by a detector, by a monitor before labels.
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


@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_life_however_it_was_interrupted_is_the_one_that_was_rehearsed(data, tmp_path_factory):
    _interrupted(data, tmp_path_factory.mktemp("acid"))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_of_many_lives_is_the_one_that_was_rehearsed(data, tmp_path_factory):
    _interrupted(data, tmp_path_factory.mktemp("acid"))


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


def _interrupted(data, folder):
    """Draw a history, a rule, the moments at which somebody operates, and the facts at which he is killed."""
    fields = {
        "seed": data.draw(st.integers(0, 10**6), "seed"),
        "drift": data.draw(st.sampled_from([0.0, 1.0, 2.0]), "drift"),
        "delay": data.draw(st.sampled_from([0, 30, 120]), "delay"),
        "windows": data.draw(st.sampled_from([("all",), (150, "all")]), "windows"),
        "groups": data.draw(st.sampled_from([(), ("a",)]), "groups"),
    }
    rule = data.draw(st.sampled_from(RULES), "rule")
    moments = data.draw(st.lists(st.integers(251, 598), max_size=6), "moments")
    deaths = data.draw(st.sets(st.integers(0, 60), max_size=8), "deaths")
    made = world(n=600, **fields)
    write, written = Ledger._write, [0]

    def dies(self, data):
        write(self, data)
        written[0] += 1
        if written[0] in deaths:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "_write", dies)
        for moment in (*sorted(moments), 599):
            made.now = moment
            while True:
                try:
                    known = ledger_of(made, folder).facts
                    wild.operate(made.app, rule=None if known else rule, begin=250, store=folder)
                except Killed:
                    continue
                break
    made.now = None
    agree(operated(ledger_of(made, folder)), rehearsed(made, folder, rule, first=3))
