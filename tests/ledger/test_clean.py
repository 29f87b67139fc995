"""The clean project: let through at every door, and never red, whatever its data draw."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mlwild.stats.proportions import clopper_pearson
from tests.ledger.doors import checked, compared, gated, judged
from tests.ledger.mutation import APP, CLEAN, Edit, Mutation
from tests.ledger.mutations import MUTATIONS

#: It is timed, and other work on this machine would be taken for the model's.
TIMED = ("latency",)


def drawn(seed: int) -> Mutation:
    """Return the clean project on other data."""
    edits = (Edit(APP, "\nSEED = 0\n", f"\nSEED = {seed}\n"),) if seed else ()
    return Mutation(f"seed {seed}", "", "", "", "", (), edits)


def red_of(seed: int) -> tuple[dict[str, str], float, int]:
    """Return what is red on one draw, the chance of that which the armed tests state, and how many tests there are."""
    with tempfile.TemporaryDirectory() as folder:
        drawn(seed).write(Path(folder))
        verdicts = judged(Path(folder), Path(folder) / "store", without=TIMED)
        red = {one.test: one.outcome.said for one in verdicts if one.blocks}
        for door in (checked, compared):
            answer = door(Path(folder))
            red |= {f"{door.__name__}: {name}": said for name, said in answer.said.items() if answer.code == 1}
    stated = [one.outcome.blocks_good for one in verdicts]
    return red, sum(chance for chance in stated if not math.isnan(chance)), len(verdicts)


def test_the_clean_project_is_let_through_at_every_door(tmp_path):
    CLEAN.write(tmp_path)
    assert checked(tmp_path).said == {}
    assert compared(tmp_path).said == {}
    asked = {one.test for one in MUTATIONS if one.door == "gate"}
    assert gated(tmp_path, tmp_path / "store", asked).said == {}


def test_the_clean_project_is_not_red_on_other_data():
    assert red_of(1)[0] == {}


@pytest.mark.slow
def test_the_clean_project_is_red_no_more_often_than_is_promised():
    """100 draws; the promise is the sum of the chances that armed tests state, each at most .5 %."""
    found = [red_of(seed) for seed in range(100)]
    red = [said for said, _, _ in found if said]
    promised = float(np.mean([chance for _, chance, _ in found]))
    assert clopper_pearson(len(red), len(found)).low <= promised, red
    assert promised < 0.1
