"""Groups and calibration."""

from __future__ import annotations

import numpy as np

from mlwild.gate.ready.slices import Calibrated, GroupsNotWorse
from tests.gate.made import click_app, clicks, trial_of
from tests.gate.test_useful import Shrunk, _with


def test_groups_like_the_champions_are_fine_and_few_rows_are_told(tmp_path):
    trial = trial_of(click_app(), tmp_path)
    found = GroupsNotWorse().judge(trial)
    assert found.verdict == "pass", found.said
    assert len(found.parts) == 3


def test_groups_with_too_few_rows_to_be_held_against_the_champion_are_told(tmp_path):
    rows = clicks()
    rows.loc[::40, "shop"] = "west"
    trial = trial_of(click_app(rows), tmp_path)
    many = {
        kind: int((rows.loc[trial.events.rows, "shop"] == kind).sum()) for kind in ("east", "north", "south", "west")
    }
    few = [kind for kind, n in many.items() if n < 100]
    found = GroupsNotWorse().judge(trial)
    assert few == ["west"]
    assert {part["group"] for part in found.parts} == {f"shop={kind}" for kind in many if kind != "west"}
    assert found.said == "none of 3 groups loses more than the champion allows; 1 more has fewer than 100 rows"


def test_a_group_left_behind_is_red_and_named(tmp_path):
    rows = clicks(8_000, effect=2.0, flipped="south")
    trial = trial_of(click_app(rows), tmp_path)
    south = rows["shop"].eq("south").to_numpy()

    champion = _of_group(trial, rows, south)
    found = GroupsNotWorse().judge(_with(trial, trial.model, champion=champion))
    assert found.verdict == "fail"
    assert "shop=south" in found.said


def _of_group(trial, rows, south):
    """Return a champion that knows both effects, as kept predictions."""
    chance = np.where(
        south,
        1 / (1 + np.exp(-(-2.0 * rows["a"] + rows["b"] - 0.3))),
        1 / (1 + np.exp(-(2.0 * rows["a"] + rows["b"] - 0.3))),
    )
    model = trial.model
    return type(model)("both", None, model.ask, model.classes, model.loss, lambda picked: chance[picked])


def test_a_stated_limit_is_held_to(tmp_path):
    trial = trial_of(click_app(clicks(8_000)), tmp_path)
    assert GroupsNotWorse(than=0.9).judge(trial).verdict == "pass"
    assert GroupsNotWorse(than=0.3).judge(trial).verdict == "fail"


def test_calibration_sees_what_says_too_little_and_leaves_the_honest_alone(tmp_path):
    trial = trial_of(click_app(clicks(12_000, effect=2.0), every=600), tmp_path)
    assert Calibrated(within=0.1).judge(trial).verdict == "pass"
    model = trial.model
    timid = type(model)(
        "timid", Shrunk(0.3).fit(trial.learned.features, trial.learned.answers), model.ask, model.classes, model.loss
    )
    found = Calibrated(within=0.1).judge(_with(trial, timid))
    assert found.verdict == "fail"
    assert found.estimate > 0.12


def test_the_gap_of_honest_probabilities_is_no_artefact_of_bins(tmp_path):
    """Signs from one half, gaps on the other: over 60 draws of exact probabilities the mean gap is about zero."""
    rng = np.random.default_rng(0)
    trial = trial_of(click_app(), tmp_path)
    gaps = []
    for _ in range(60):
        chance = rng.random(len(trial.events))
        labels = (rng.random(len(chance)) < chance).astype(int)
        events = type(trial.events)(
            **{**{name: getattr(trial.events, name) for name in trial.events.__dataclass_fields__}, "labels": labels}
        )
        model = type(trial.model)(
            "exact", None, "probability", trial.model.classes, trial.loss, lambda rows, chance=chance: chance
        )
        made = _with(trial, model)
        made.events = events
        gaps.append(Calibrated().judge(made).estimate)
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(len(gaps))
