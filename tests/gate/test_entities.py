"""Bounds know that rows of one entity resemble each other, however far apart they lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from mlwild.gate import ready
from mlwild.gate.bounds import ALPHA, FEWEST_ENTITIES, at_most, bounds_of
from mlwild.stressors.situation import Situation
from mlwild.worstcase.curves import loss_bounds
from mlwild.worstcase.live import Live
from mlwild.worstcase.skill import skills
from tests.gate.made import click_app, clicks, trial_of


def misses(n, entities, apart, *, reps, hits=False, seed=0):
    """Share of upper bounds at 5 % below the mean: bounds that do not know the entities, and those that do."""
    rng, missed = np.random.default_rng(seed), np.zeros(2)
    for _ in range(reps):
        whom = rng.integers(0, entities, n)
        drawn = rng.normal(size=n) + apart * rng.normal(size=entities)[whom]
        # Of hits the mean is one half, whatever the entities.
        values, mean = ((drawn > 0).astype(float), 0.5) if hits else (drawn, 0.0)
        missed += [bounds_of(values).high < mean, bounds_of(values, entities=whom).high < mean]
    return missed / reps


CASES = [(400, 40, False), (2000, 100, False), (2000, 500, False), (2000, 100, True), (400, 12, False)]


def _held(n, entities, hits, reps):
    plain, known = misses(n, entities, 0.5, reps=reps, hits=hits)
    assert known <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / reps)
    assert plain > known + 0.02


@pytest.mark.parametrize(("n", "entities", "hits"), CASES[::2])
def test_means_over_entities_are_missed_in_one_of_twenty_draws(n, entities, hits):
    _held(n, entities, hits, 500)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "entities", "hits"), CASES)
def test_means_over_entities_are_missed_in_one_of_twenty_draws_at_length(n, entities, hits):
    _held(n, entities, hits, 4000)


def test_the_variance_is_that_of_two_way_clusters():
    """Against the published estimator, written out in loops: entities, less what a batch and an entity share."""
    rng = np.random.default_rng(2)
    values, whom = rng.normal(size=600), np.repeat(np.arange(30), 20)[rng.permutation(600)]
    values += 0.8 * rng.normal(size=30)[whom]
    off = values - values.mean()
    by_entity = sum(off[whom == one].sum() ** 2 for one in range(30))
    batch = np.arange(600) // 10
    by_both = sum(off[(whom == one) & (batch == part)].sum() ** 2 for one in range(30) for part in range(60))
    plain, known = bounds_of(values), bounds_of(values, entities=whom)
    added = t.ppf(0.95, 29) ** 2 * (by_entity * 30 / 29 - by_both) / 600**2
    radius = [one.error * norm.ppf(0.95) for one in (plain, known)]
    assert radius[1] ** 2 - radius[0] ** 2 == pytest.approx(added)


def test_few_entities_are_the_whole_and_single_rows_add_nothing():
    rng = np.random.default_rng(3)
    values = rng.normal(size=900)
    few = np.arange(900) % (FEWEST_ENTITIES - 1)
    assert bounds_of(values, entities=few) == bounds_of(values)
    assert bounds_of(values, entities=np.arange(900)) == bounds_of(values)


def test_a_verdict_that_entities_could_turn_is_not_green():
    """Half of 20 customers are always wrong: with 2,000 rows the share looks sure, with 20 customers it is not."""
    whom = np.random.default_rng(0).integers(0, 20, 2000)
    wrong = (whom % 2 == 0).astype(float)
    words = {"margin": 0.05, "what": "share of wrong answers"}
    assert at_most(wrong, 0.56, **words).verdict == "pass"
    assert at_most(wrong, 0.56, entities=whom, **words).verdict == "underpowered"


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Trials of one app that names whom its rows are about, and one that does not: 40 customers unlike each other."""
    rng = np.random.default_rng(7)
    rows = clicks(6_000)
    whom = rng.integers(0, 40, len(rows))
    likes = 3 * rng.normal(size=40)[whom] + rows["a"] + 0.5 * rows["b"]
    rows = rows.assign(who=whom, y=(rng.random(len(rows)) < 1 / (1 + np.exp(-likes))).astype(int))
    words = {"features": lambda frame: frame[["a", "b"]]}
    folder = tmp_path_factory.mktemp("entities")
    return [trial_of(click_app(rows, entity=name, **words), folder / str(name), periods=16) for name in ("who", None)]


def test_rows_carry_whom_they_are_about(trials):
    known, plain = (trial.events for trial in trials)
    assert plain.entity is None
    assert np.array_equal(np.unique(known.entity, return_inverse=True)[1], known.raw["who"].to_numpy())
    assert np.array_equal(known.where([3, 5]).entity, known.entity[[3, 5]])
    with pytest.raises(ValueError, match="read-only"):
        known.entity[0] = 1


@pytest.mark.parametrize(
    "test",
    [
        ready.GroupsNotWorse(than=2.0),
        ready.Calibrated(),
        ready.NotWorse(),
        ready.Churn(),
        ready.StaleFeatures(1.0),
    ],
    ids=lambda test: test.name,
)
def test_ready_tests_know_whom_rows_are_about(trials, test):
    known, plain = (test.judge(trial) for trial in trials)
    for one, other in zip(known.parts, plain.parts, strict=True) if known.parts else [(None, None)]:
        high = (one["high"], other["high"]) if one else (known.high, plain.high)
        assert high[0] > high[1]
    assert known.estimate == pytest.approx(plain.estimate)


def test_the_worst_case_and_skill_know_whom_rows_are_about(trials):
    bounds = []
    for trial in trials:
        live = Live(trial.replay)
        skill = next(one for one in skills(live, 100) if one.group == "all rows" and one.baseline == "a constant")
        calm = loss_bounds(Situation(trial, trial.model, trial.events))
        bounds.append((calm.high - calm.estimate, skill.skill.high - skill.skill.low))
    assert np.all(np.divide(*bounds) > 1.1)
