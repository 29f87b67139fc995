"""The sentence over a sign table: which choice of metric decides."""

from __future__ import annotations

import numpy as np
import pytest

import mlwild as wild
from mlwild.comparisons import Losses, compare_models
from mlwild.comparisons.signs import MOST_RIVALS, loss_signs

RNG = np.random.default_rng(0)
HARD = RNG.normal(1.0, 0.3, (80, 1))
ALIKE = HARD + 0.1 * RNG.normal(size=(80, 2))
BEHIND = np.array([0.3, 0.0])
SPIKY = ALIKE.copy()
SPIKY[:, 0] -= 0.15
SPIKY[::10, 0] += 2.0


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (ALIKE + BEHIND, "Whichever way days are added up, 'b' loses less than 'a', the mean by more than chance explains."),
        (SPIKY, "The choice of metric decides between 'a' and 'b': the mean favours 'b', the median and share of days won do not."),
        (np.repeat(HARD, 2, axis=1), "'a' and 'b' lose the same, whichever way days are added up."),
    ],
)  # fmt: skip
def test_the_sentence_says_whether_the_ways_agree(losses, said):
    assert loss_signs(Losses("ab", losses, unit="day"), 0.95)[0]["said"] == said


def test_a_lead_that_chance_explains_is_said_to_be_one():
    # Of 60 pairs of equal models those on which all ways agree, and those on which they do not.
    said = []
    for seed in range(60):
        table = loss_signs(Losses("ab", np.random.default_rng(seed).random((40, 2)), unit="day"), 0.99)[0]
        if not any(row["separable"] for row in table["rows"]):
            said.append((table["agree"], table["said"]))
    agree = [words for same, words in said if same]
    differ = [words for same, words in said if not same]
    assert len(agree) > 5
    assert len(differ) > 5
    assert all("though the mean by no more than chance explains." in words for words in agree)
    assert all(
        words.endswith("do not; none by more than chance explains.") or "does not; none" in words for words in differ
    )


def test_the_strongest_rival_comes_first_and_rows_become_blocks():
    rng = np.random.default_rng(2)
    losses = rng.random((1000, 12)) + np.r_[0.5, np.linspace(1.0, 0.0, 11)]
    tables = loss_signs(Losses([f"m{k}" for k in range(12)], losses), 0.95)
    assert len(tables) == MOST_RIVALS
    assert [table["b"] for table in tables[:3]] == ["m11", "m10", "m9"]
    assert {table["a"] for table in tables} == {"m0"}
    assert (tables[0]["n"], tables[0]["unit"]) == (100, "block of 10 rows")
    assert "blocks of 10 rows" in tables[0]["said"]


def test_the_sheet_and_the_comparison_hold_the_table():
    losses = ALIKE + BEHIND
    _, best_set = compare_models(["a", "b"], losses, np.ones(80), level=0.9)
    assert best_set["signs"][0]["best"] == "b"
    assert best_set["signs"][0]["level"] == 0.9
    found = wild.compare(Losses("ab", losses, unit="period"))
    assert found.tables["signs"][0]["said"] in found.said
    assert wild.compare({"a": losses[:, 0], "b": losses[:, 1]}, order="independent").tables == {}
