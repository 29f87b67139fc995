"""What `mlwild check` finds, as tests of the gate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlwild.checks import Finding, write_contract
from mlwild.gate.ready import Deterministic, KeepsContract, NoLeaks
from mlwild.gate.ready.paired import parts_of
from mlwild.gate.standard import standard
from mlwild.worstcase import ensembles
from mlwild.worstcase.ensembles import compared
from tests.gate.made import click_app, clicks, trial_of


@dataclass(frozen=True)
class Told:
    """A trial of which just the findings are known."""

    made: tuple[Finding, ...]

    def findings(self):
        return self.made


FINE = Finding("time travel", "pass", "nothing moved")
LEAK = Finding("time travel", "fail", "'a' is another number with the future cut off")
BLIND = Finding("target shuffle", "undecided", "fewer than 50 labels to learn from or to test on")
BROKEN = Finding("contract", "fail", "'a': row 3 is 7, above the highest, 5", "a", 3)


def test_a_leak_is_red_and_a_check_that_could_not_be_made_is_never_green():
    assert NoLeaks().judge(Told((FINE,))).verdict == "pass"
    assert NoLeaks().judge(Told((FINE, BLIND))).verdict == "underpowered"
    found = NoLeaks().judge(Told((FINE, BLIND, LEAK)))
    assert (found.verdict, found.said) == ("fail", f"time travel: {LEAK.said}")


def test_a_broken_contract_is_no_leak_and_a_leak_no_broken_contract():
    assert NoLeaks().judge(Told((FINE, BROKEN))).verdict == "pass"
    assert KeepsContract().judge(Told((FINE, BROKEN))).verdict == "fail"
    assert KeepsContract().judge(Told((LEAK,))).verdict == "underpowered"


def test_the_contract_of_an_app_is_held_and_an_edited_one_is_held_anew(tmp_path):
    app = click_app(root=tmp_path)
    assert "keeps its contract" not in [one.name for one in standard(app)]
    assert "write-contract" in KeepsContract().objection(trial_of(app, tmp_path / "store"))
    path = write_contract(app, tmp_path / "clicks.contract.toml").path
    app = replace(app, contract=path.name)
    assert "keeps its contract" in [one.name for one in standard(app)]
    kept = KeepsContract().judge(trial_of(app, tmp_path / "store"))
    assert kept.verdict == "pass", kept.said
    text = path.read_text()
    assert '"north"' in text
    path.write_text(text.replace('"north"', '"nowhere"'))
    broken = KeepsContract().judge(trial_of(app, tmp_path / "store"))
    assert broken.verdict == "fail"
    assert "shop" in broken.said
    assert "north" in broken.said


def test_a_column_without_a_value_is_the_same_each_time(tmp_path):
    rows = clicks(3_000).assign(shop=None)
    app = click_app(rows, features=lambda frame: frame[["a", "b"]])
    assert Deterministic().judge(trial_of(app, tmp_path)).verdict == "pass"


def test_groups_of_numbers_and_missing_ones_are_told_apart_everywhere(tmp_path):
    rows = clicks(6_000).assign(shop=lambda made: np.where(made["shop"] == "east", np.nan, 7.0))
    trial = trial_of(click_app(rows, features=lambda frame: frame[["a", "b"]]), tmp_path)
    assert {name for name, _ in parts_of(trial.events, 1)} == {"shop=7.0", "shop=(missing)"}
    found = compared("x", trial.loss, trial.events, {"one": trial.model.predictions(trial.events)} | {
        "two": trial.champion.predictions(trial.events)
    })  # fmt: skip
    assert found.ensemble.worst > 0
    named = {name for name, inside in ensembles._cells(trial.events) if inside.any()}
    assert {"shop = 7.0", "shop = (missing)"} <= named
