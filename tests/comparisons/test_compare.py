"""One call: which procedure it picks for what, which it refuses, and what it says."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

import mlwild as wild
from mlwild.comparisons import Counts, Folds, Losses, Runs, Strategies, compare_models, how_long
from mlwild.comparisons.procedures import KNOWN, SITUATIONS, situation_of
from mlwild.errors import AppError, DataError
from mlwild.stats.many import model_confidence_set, step_m
from mlwild.stats.paired import fixed_b
from tests.comparisons.support import autoregressive, right_or_wrong

RNG = np.random.default_rng(0)
TWO = {"a": RNG.random(200), "b": RNG.random(200) + 0.5}
MANY = Losses(["a", "b", "c", "d"], np.random.default_rng(1).random((300, 4)) + np.array([0.0, 0.0, 0.3, 0.6]))
ROUND = right_or_wrong(20, 5, 25, 50)


def _given(situation):
    rng = np.random.default_rng(2)
    three = {**ROUND, "c": ROUND["a"][::-1].copy()}
    return {
        "two in time": (TWO, {}),
        "many in time": (MANY, {}),
        "two running": ({name: np.clip(one, 0, 1) for name, one in TWO.items()}, {"looking": "while running"}),
        "many running": (
            Losses(MANY.names, np.clip(MANY.losses, 0, 1), bound=1.0),
            {"looking": "while running"},
        ),
        "two right or wrong": (ROUND, {"order": "independent"}),
        "many right or wrong": (three, {"order": "independent"}),
        "two independent": (TWO, {"order": "independent"}),
        "many independent": (MANY, {"order": "independent"}),
        "folds": (Folds(["a", "b", "c"], rng.random((10, 3)), 0.1), {}),
        "5x2 folds": (Folds(["a", "b"], rng.random((10, 2)), 0.5, "5x2"), {}),
        "runs": (Runs({name: rng.random((5, 6)) for name in "abc"}), {}),
        "seeds": (Runs({name: rng.random((5, 1)) for name in "abc"}), {}),
        "strategies": (Strategies(["a", "b"], rng.normal(0.01, 0.1, (200, 2))), {}),
        "counts": (Counts({"a": 16, "b": 8}, {"a": 100, "b": 100}), {}),
    }[situation]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_is_recognised_answered_and_written_as_json(situation):
    given, settings = _given(situation)
    found = wild.compare(given, **settings)
    assert found.situation == situation
    assert found.said[0].endswith(".")
    assert set(found.best_set) <= set(found.names)
    assert found.best is None or found.best_set == (found.best,)
    for record in found.records:
        assert {"name", "estimate", "low", "high", "n", "method", "why", "p", "in_best_set", "difference"} <= set(
            record
        )
        assert record["in_best_set"] == (record["name"] in found.best_set)
        assert math.isnan(record["low"]) or record["low"] <= record["estimate"] <= record["high"]
    text = json.dumps(found.as_dict(), allow_nan=False)
    assert json.loads(text)["best_set"]["models"] == list(found.best_set)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_procedures_that_suit_are_taken_and_all_others_refused_with_the_reason(situation):
    given, settings = _given(situation)
    for procedure in KNOWN:
        if procedure in SITUATIONS[situation].suits:
            assert wild.compare(given, procedure=procedure, **settings).said
        else:
            with pytest.raises(AppError, match=f"{procedure!r} is wrong for .*: .*Leave it out and"):
                wild.compare(given, procedure=procedure, **settings)


def test_a_plain_t_on_rows_in_order_of_time_is_refused():
    with pytest.raises(AppError, match="resemble their neighbours"):
        wild.compare(TWO, procedure="plain t")
    with pytest.raises(AppError, match="'chi' is not known"):
        wild.compare(TWO, procedure="chi")


def test_diebold_mariano_is_refused_where_differences_are_autocorrelated():
    series = autoregressive(np.random.default_rng(3), 300, 0.8, 2)
    with pytest.raises(AppError, match="takes differences 1 rows apart for independent; here 300 of them count as"):
        wild.compare(Losses("ab", series), procedure="Diebold-Mariano")
    calm = wild.compare(Losses("ab", np.random.default_rng(3).normal(size=(300, 2))), procedure="Diebold-Mariano")
    assert calm.method == "Diebold-Mariano"


def test_two_models_get_the_interval_of_fixed_b_and_many_the_confidence_set():
    found, direct = wild.compare(TWO), fixed_b(TWO["a"], TWO["b"])
    assert found.best == "a"
    assert found.pairs[0]["low"] == direct.low
    assert found.records[1]["difference_low"] == pytest.approx(-direct.high)
    several = wild.compare(MANY, benchmark="d")
    kept = model_confidence_set(MANY.losses).included
    assert set(several.best_set) == {MANY.names[place] for place in kept} == {"a", "b"}
    better = step_m(MANY.losses[:, 3], MANY.losses[:, :3]).better
    assert several.tables["benchmark"]["better"] == [MANY.names[place] for place in better]


def test_a_better_model_that_is_seen_and_cannot_be_named_is_said_so():
    """Poor models beside it cost one test its power, and not the other: its p-value stood behind "none is shown to be"."""
    rng = np.random.default_rng(3)
    old = rng.normal(size=60)
    new = old - 0.026 + 0.1 * rng.normal(size=60)
    poor = {f"poor{k}": old + 0.5 * k + 0.3 * rng.normal(size=60) for k in (1, 2)}
    found = wild.compare({"old": old, "new": new} | poor, benchmark="old")
    held = found.tables["benchmark"]
    assert held["better"] == []
    by_itself = stats.ttest_1samp(new - old, 0.0, alternative="less").pvalue
    assert held["p"] == pytest.approx(by_itself, abs=0.02)
    assert held["p"] < 0.05
    said = next(one for one in found.said if "narrower question" in one)
    assert "yes (SPA, p" in said
    assert "cannot be told which (StepM)" in said


def test_periods_and_groups_are_the_unit_where_they_are_known():
    rng = np.random.default_rng(4)
    shock = np.repeat(rng.normal(size=(40, 2)), 25, axis=0)
    rows = Losses(["a", "b"], shock + 0.1 * rng.normal(size=(1000, 2)), period=np.repeat(np.arange(40), 25), lag=60)
    found = wild.compare(rows)
    assert found.n == 40
    assert "40 periods" in found.why
    grouped = Losses(["a", "b"], rows.losses, group=np.repeat([f"g{k}" for k in range(40)], 25))
    assert wild.compare(grouped).situation == "two independent"
    assert wild.compare(grouped).n == 40


def test_weighted_periods_have_the_mean_over_events():
    rng = np.random.default_rng(5)
    losses, weights = rng.random((60, 2)), rng.integers(1, 50, 60)
    records, _ = compare_models(["a", "b"], losses, weights)
    expected = (weights @ losses) / weights.sum()
    assert [record["estimate"] for record in records] == pytest.approx(list(expected))
    assert records[1]["difference"] == pytest.approx(expected[1] - expected[0])


def test_very_many_rows_are_added_up_to_blocks_with_the_same_answer():
    rng = np.random.default_rng(6)
    losses = autoregressive(rng, 30_000, 0.5, 2) + np.array([0.0, 0.05])
    found, direct = wild.compare(Losses("ab", losses)), fixed_b(*losses.T)
    assert found.n == 30_000
    assert found.pairs[0]["estimate"] == pytest.approx(direct.estimate)
    assert found.pairs[0]["high"] - found.pairs[0]["low"] == pytest.approx(direct.high - direct.low, rel=0.05)


def test_the_second_rule_chooses_within_the_set_only():
    alike = Losses(["a", "b", "c"], np.random.default_rng(7).random((200, 3)) + np.array([0.0, 0.0, 2.0]))
    assert wild.compare(alike, prefer={"a": 5.0, "b": 1.0, "c": 0.0}).choice["name"] == "b"
    assert wild.compare(alike, prefer=["c", "b", "a"]).choice["name"] == "b"
    spiky = alike.losses.copy()
    spiky[-20:, 0], spiky[:20, 0] = spiky[-20:, 0] + 3, spiky[:20, 0] - 3
    assert wild.compare(Losses(alike.names, spiky), prefer="worst_case").choice["name"] == "b"
    with pytest.raises(AppError, match="says nothing of 'b'"):
        wild.compare(alike, prefer=["a"])
    with pytest.raises(AppError, match="is not 'worst_case'"):
        wild.compare(alike, prefer="speed")


def test_how_long_needs_no_label_and_is_longer_for_less():
    plan = how_long(0.1, 0.03)
    assert plan.fixed == math.ceil((1.959964 + 0.841621) ** 2 * 0.1 / 0.03**2)
    assert plan.fixed < plan.betting_typical < plan.betting
    assert how_long(0.1, 0.02).betting > plan.betting
    assert how_long(0.1, 0.03, autocorrelation=0.5).fixed == pytest.approx(3 * plan.fixed, abs=3)


def test_a_run_says_when_it_was_settled_and_waits_longer_for_late_labels():
    rng = np.random.default_rng(8)
    a, b = (rng.random(3000) < 0.1).astype(float), (rng.random(3000) < 0.2).astype(float)
    found = wild.compare({"a": a, "b": b}, looking="while running")
    assert found.best == "a"
    assert found.pairs[0]["settled_at"] < 3000
    late = wild.compare(Losses("ab", np.column_stack([a, b]), lag=5), looking="while running")
    assert late.pairs[0]["settled_at"] is None or late.pairs[0]["settled_at"] > found.pairs[0]["settled_at"]
    assert late.pairs[0]["threshold"] > 60
    short = wild.compare({"a": a[:50], "b": b[:50]}, looking="while running")
    assert short.best is None
    assert "Not settled after 50 rows" in short.said[0]


def test_a_run_with_next_to_no_difference_is_answered():
    gap = np.tile([1.0, -1.0], 100)
    gap[0] = 0.0  # a difference of 1 on 199 rows that disagree
    a, b = np.zeros(2000), np.zeros(2000)
    a[::10], b[::10] = np.maximum(gap, 0), np.maximum(-gap, 0)
    found = wild.compare({"a": a, "b": b}, looking="while running")
    assert found.best is None
    assert "no run in reach would settle it" in found.said[1]


def test_anything_with_comparable_is_compared():
    class Made:
        def comparable(self):
            return MANY

    assert set(wild.compare(Made()).best_set) == {"a", "b"}


def test_the_632_bootstrap_and_own_folds():
    rng = np.random.default_rng(9)
    left = np.column_stack([0.2 + 0.02 * rng.normal(size=50), 0.3 + 0.02 * rng.normal(size=50)])
    given = Folds(["a", "b"], left, 0.368, "bootstrap", np.array([0.1, 0.0]), np.array([0.5, 0.5]))
    found = wild.compare(given)
    assert found.best == "a"
    overfitting = (left[:, 1].mean() - 0) / 0.5
    weight = 0.632 / (1 - 0.368 * overfitting)
    assert found.records[1]["estimate"] == pytest.approx(weight * left[:, 1].mean())


# -- bad input -----------------------------------------------------------------------------------


def test_one_model_is_nothing_to_compare():
    with pytest.raises(AppError, match="there is one only, 'a': nothing to compare it"):
        wild.compare({"a": [0.1, 0.2]})
    with pytest.raises(AppError, match="there is none"):
        wild.compare({})


@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize("order", ["time", "independent"])
def test_identical_models_are_said_to_be_so(models, order):
    losses = np.repeat(np.random.default_rng(0).random((50, 1)), models, axis=1)
    found = wild.compare(Losses("abc"[:models], losses), order=order)
    assert found.best is None
    assert len(found.best_set) == models
    assert "lose the same on every row" in found.said[0]
    right = wild.compare(Losses("abc"[:models], (losses > 0.5).astype(float)), order="independent")
    assert right.best is None


def test_twins_among_many_and_constant_losses_are_named():
    losses = np.random.default_rng(0).random((100, 3))
    losses[:, 2] = losses[:, 1]
    assert any("'b' and 'c' lose the same" in said for said in wild.compare(Losses("abc", losses)).said)
    losses[:, 2] = 0.3
    assert any("'c' loses 0.3 on every row" in said for said in wild.compare(Losses("abc", losses)).said)
    steady = wild.compare({"a": np.full(50, 0.2), "b": np.full(50, 0.3)})
    assert steady.best is None
    assert "alike, which leaves no spread" in steady.said[0]


def test_bad_losses_are_refused_with_row_and_model():
    with pytest.raises(DataError, match="the loss of 'b' is nan in row 2 \\(1 such value in all\\)"):
        wild.compare({"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2, float("nan")]})
    with pytest.raises(DataError, match="'a' has 2 rows and 'b' 3: they are not of the same rows"):
        wild.compare({"a": [0.1, 0.2], "b": [0.1, 0.2, 0.3]})
    with pytest.raises(DataError, match="losses of 'a': hold something that is no number"):
        wild.compare({"a": ["x", 0.2], "b": [0.1, 0.2]})
    with pytest.raises(DataError, match="there is no row"):
        wild.compare({"a": [], "b": []})
    with pytest.raises(AppError, match="'a' is there twice"):
        Losses(["a", "a"], np.zeros((3, 2)))
    with pytest.raises(DataError, match="period: falls"):
        Losses("ab", np.zeros((3, 2)), period=np.array([0, 2, 1]))
    with pytest.raises(DataError, match="weights: need numbers above 0"):
        Losses("ab", np.zeros((3, 2)), weights=np.array([0.0, 2, 1]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"level": 0.3}, "level: 0.3 must lie in"),
        ({"order": "random"}, "order: 'random' is not"),
        ({"looking": "daily"}, "looking: 'daily' is not"),
        ({"benchmark": "a"}, "it is for three or more models"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(AppError, match=said):
        wild.compare(TWO, **settings)


def test_a_run_needs_the_bound_of_its_losses():
    with pytest.raises(AppError, match="bound: losses reach"):
        wild.compare(TWO, looking="while running")
    with pytest.raises(DataError, match="losses differ by .* more than the bound of 0.1"):
        wild.compare(Losses(["a", "b"], np.column_stack(list(TWO.values())), bound=0.1), looking="while running")
    with pytest.raises(AppError, match="only losses by row"):
        wild.compare(Runs({"a": np.ones((2, 2)), "b": np.ones((2, 2))}), looking="while running")


@pytest.mark.parametrize("models", [2, 5])
def test_below_eight_effective_blocks_it_cannot_tell_and_says_how_much_more(models):
    losses = autoregressive(np.random.default_rng(1), 30, 0.95, models) + np.arange(models)
    found = wild.compare(Losses("abcde"[:models], losses))
    assert found.best is None
    assert len(found.best_set) == models
    assert "It cannot be told which" in found.said[0]
    assert "At this rate it takes about" in found.said[1]


def test_bad_runs_folds_strategies_and_counts_are_refused():
    with pytest.raises(DataError, match="'a' in run 1 of task 'pong' is nan"):
        Runs({"a": np.array([[1.0], [np.nan]])}, ["pong"])
    with pytest.raises(DataError, match="have \\[2, 3\\] tasks"):
        Runs({"a": np.ones((2, 3)), "b": np.ones((2, 2))})
    with pytest.raises(DataError, match="has one run, which shows no spread"):
        wild.compare(Runs({"a": np.ones((1, 3)), "b": np.ones((2, 3))}))
    with pytest.raises(DataError, match="has 10 folds, not 4"):
        Folds("ab", np.ones((4, 2)), 0.5, "5x2")
    with pytest.raises(DataError, match="the same in every period"):
        Strategies("ab", np.column_stack([np.ones(5), np.arange(5.0)]))
    with pytest.raises(AppError, match="tries: 1 is fewer"):
        Strategies("ab", np.random.default_rng(0).normal(size=(9, 2)), tries=1)
    with pytest.raises(DataError, match="has 5 errors of 4 rows"):
        Counts({"a": 5, "b": 1}, {"a": 4, "b": 4})


def test_runs_come_from_a_long_table():
    import pyarrow as pa

    rows = [("x", game, seed, seed + len(game)) for game in ("go", "pong") for seed in range(3)]
    table = pa.table(dict(zip(("agent", "task", "seed", "score"), zip(*rows, strict=True), strict=True)))
    assert Runs.from_table(table).scores["x"].tolist() == [[2, 4], [3, 5], [4, 6]]
    assert Runs.from_table(table, better="lower").scores["x"][0].tolist() == [-2, -4]
    with pytest.raises(DataError, match="'x' has 2 runs of task 'go' and 3"):
        Runs.from_table(table.slice(1))
    with pytest.raises(AppError, match="no column 'game'"):
        Runs.from_table(table, task="game")


def test_situations_know_what_they_are_for():
    assert situation_of(MANY, "once") == "many in time"


def test_the_reason_counts_independent_rows_as_the_verdict_does():
    when = np.arange(13.0)
    found = wild.compare({"a": np.cumsum(np.sin(when / 3)), "b": 2 * np.cos(when / 9)})
    (worth,) = re.findall(r"13 rows count as (\d+\.\d) independent ones", found.said[0])
    assert float(worth) < 1
    assert f"count as {worth} independent ones" in found.why
