"""Kinds of shift and faults of data: each planted and found; honest draws are seldom given a wrong name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlwild.monitors.shifts import classifier_test, shift


def _world(rng, n, *, move=0.0, slope=1.0, share=None):
    """Rows of two features; the first decides the label, as does the slope."""
    if share is not None:  # label shift: features given the label stay as they are
        y = (rng.random(n) < share).astype(int)
        x = rng.normal(size=(n, 2)) + 1.5 * y[:, None] * [1, 0]
        return pa.table({"a": x[:, 0], "b": x[:, 1]}), y
    x = rng.normal(size=(n, 2)) + np.array([move, 0.0])
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * slope * x[:, 0]))).astype(int)
    return pa.table({"a": x[:, 0], "b": x[:, 1]}), y


KINDS = {
    "none seen": ({}, {}),
    "covariate": ({}, {"move": 0.7}),
    "label": ({"share": 0.3}, {"share": 0.6}),
    "concept": ({}, {"slope": -1.0}),
    "covariate and concept": ({}, {"move": 0.7, "slope": -1.0}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("draws", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_kinds_are_named_from_labels(kind, draws):
    # Each draw makes up to four tests at level .05; the right name must come in at least three of four draws.
    rng = np.random.default_rng(0)
    named = []
    for _ in range(draws):
        (old, y_old), (new, y_new) = (_world(rng, 2500, **side) for side in KINDS[kind])
        named.append(shift(old, new, labels=(y_old, y_new)).kind)
    assert named.count(kind) >= 0.75 * draws, named


def _worded(rng, n):
    """Rows of a number and a word, both of which the label hangs on."""
    word = rng.choice(["a", "b", "c", "d"], n, p=[0.4, 0.3, 0.2, 0.1])
    x = rng.normal(size=n)
    chance = 1 / (1 + np.exp(-x - np.select([word == "a", word == "b"], [1.0, 0.0], -1.0)))
    return pa.table({"x": x, "word": word}), (rng.random(n) < chance).astype(int)


@pytest.mark.parametrize("draws", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_words_come_in_another_order_without_being_taken_for_a_shift(draws):
    # Words have no order of their own: one that comes first in one table and last in the other is the same word.
    # Each draw makes six tests at .05, some of them of the same thing: a name in a quarter of the draws at most.
    rng = np.random.default_rng(7)
    named = []
    for _ in range(draws):
        (old, y_old), (new, y_new) = _worded(rng, 1500), _worded(rng, 1500)
        named.append(shift(old, new, labels=(y_old, y_new)).kind)
        assert classifier_test(old, new, alpha=0.001).found_at is None
    assert named.count("none seen") >= 0.75 * draws, named


SHIFTS = {
    "little covariate": ({}, {"move": 0.2}, {"covariate", "undecided", "none seen"}),
    "covariate": ({}, {"move": 1.0}, {"covariate", "undecided"}),
    "little label": ({"share": 0.4}, {"share": 0.45}, {"label", "undecided", "none seen"}),
    "label": ({"share": 0.4}, {"share": 0.6}, {"label", "undecided"}),
    "concept": ({}, {"slope": 0.5}, {"concept", "undecided", "none seen"}),
    "nothing": ({}, {}, {"none seen", "undecided"}),
}


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("draws", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kind_that_is_not_there_is_seldom_named(name, draws):
    # Up to three tests at .05 a draw can each put in a wrong word: .15, and three standard errors of the draws.
    old_side, new_side, right = SHIFTS[name]
    wrong = []
    for draw in range(draws):
        rng = np.random.default_rng([8, draw])
        (old, y_old), (new, y_new) = _world(rng, 1500, **old_side), _world(rng, 1500, **new_side)
        kind = shift(old, new, labels=(y_old, y_new)).kind
        wrong += [kind] * (kind not in right)
    assert len(wrong) / draws <= 0.15 + 3 * np.sqrt(0.15 * 0.85 / draws), wrong


def test_slices_that_carry_a_change_of_labels_are_named():
    rng = np.random.default_rng(9)
    x, z = rng.normal(size=(2, 8000)), rng.random(size=(2, 8000))
    chance = 1 / (1 + np.exp(-x))
    y = (rng.random((2, 8000)) < chance).astype(int)
    moved = (rng.random(8000) < np.where(z[1] > 0.75, 0.9 * chance[1] + 0.1, chance[1])).astype(int)
    old, new = (pa.table({"x": x[side], "z": z[side]}) for side in (0, 1))
    report = shift(old, new, labels=(y[0], np.where(z[1] > 0.75, 1, moved)))
    assert report.kind == "concept"
    first = report.label_slices[0]
    assert first.column == "z"
    assert first.condition.startswith("z >= 0.") or "<= z <" in first.condition
    # The reference's commonest class is 0 or 1 by chance; all rows of the slice are 1 now, half were.
    assert abs(first.change) == pytest.approx(0.5, abs=0.08)
    assert first.low < first.change < first.high
    assert first.said in report.said
    assert shift(old, new, labels=(y[0], y[1])).label_slices == ()


@pytest.mark.parametrize("draws", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_intervals_of_label_slices_cover(draws):
    # The slice is found on other rows than those its interval is of; one that is confirmed lies off zero, which
    # costs a little: .95 less .03, and three standard errors.
    inside = []
    for draw in range(draws):
        rng = np.random.default_rng([10, draw])
        z = rng.random(size=(2, 3000))
        y = rng.normal(size=(2, 3000)) + 2 * z + np.array([[0.0], [1.0]]) * (z > 0.75)
        tables = [pa.table({"z": side}) for side in z]
        found = [
            one for one in shift(*tables, labels=(y[0], y[1])).label_slices if one.condition.startswith("z >= 0.8")
        ]
        inside += [one.low <= 1.0 <= one.high for one in found]
    assert len(inside) >= 0.3 * draws
    assert np.mean(inside) >= 0.92 - 3 * np.sqrt(0.05 * 0.95 / len(inside)), np.mean(inside)


def test_losses_in_place_of_labels_tell_a_concept_and_no_more():
    rng = np.random.default_rng(11)
    x = rng.normal(size=(2, 3000))
    old, new = (pa.table({"x": side}) for side in x)
    losses = x**2 + rng.exponential(size=(2, 3000))
    assert shift(old, new, losses=(losses[0], losses[1])).kind == "none seen"
    report = shift(old, new, losses=(losses[0], losses[1] + 0.5 * (x[1] > 0)))
    assert report.kind == "concept"
    assert "losses of rows with the same features did" in report.why
    assert report.label_slices[0].said.startswith("Rows with 0.0")
    away = pa.table({"x": x[1] + 1.0})
    assert shift(old, away, losses=(losses[0], (x[1] + 1) ** 2 + rng.exponential(size=3000))).kind == "covariate"
    both = shift(old, away, losses=(losses[0], (x[1] + 1) ** 2 + 1 + rng.exponential(size=3000)))
    assert both.kind == "undecided"
    assert "which labels came would tell why" in both.why


def test_without_labels_a_shift_stays_undecided_and_is_information():
    rng = np.random.default_rng(1)
    (old, _), (new, _) = _world(rng, 2000), _world(rng, 2000, move=1.0)
    report = shift(old, new)
    assert report.kind == "undecided"
    assert "labels of both sides are not given" in report.why
    assert report.said[-1] == "Shift alone is information, not an alarm: look at the estimated or labelled loss."


def test_a_quantity_for_a_label_has_kinds_too():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, 3000))
    old, new = (pa.table({"x": side}) for side in x)
    y_old, y_new = 2 * x[0] + rng.normal(size=3000), -2 * x[1] + rng.normal(size=3000)
    assert shift(old, new, labels=(y_old, y_new)).kind == "concept"
    assert shift(old, new, labels=(y_old, 2 * x[1] + rng.normal(size=3000))).kind == "none seen"


def _sensors(rng, n):
    return {
        "temperature": rng.normal(15, 6, n),
        "load": rng.gamma(2.0, 30.0, n),
        "signed": rng.normal(2.0, 1.0, n),
        "level": rng.uniform(100, 200, n),
    }


FAULTS = {
    "x1000": ("unit slip", ("load",), lambda rows: rows | {"load": rows["load"] * 1000}),
    "/60": ("unit slip", ("level",), lambda rows: rows | {"level": rows["level"] / 60}),
    "fahrenheit": ("unit slip", ("temperature",), lambda rows: rows | {"temperature": rows["temperature"] * 1.8 + 32}),
    "part": (
        "unit slip",
        ("load",),
        lambda rows: (
            rows | {"load": np.where(np.arange(len(rows["load"])) % 5 == 0, rows["load"] * 1000, rows["load"])}
        ),
    ),
    "sign": ("sign flip", ("signed",), lambda rows: rows | {"signed": -rows["signed"]}),
    "stuck": (
        "stuck value",
        ("level",),
        lambda rows: rows | {"level": np.where(np.arange(len(rows["level"])) > 300, 150.0, rows["level"])},
    ),
    "swapped": (
        "columns swapped",
        ("level", "load"),
        lambda rows: rows | {"level": rows["load"], "load": rows["level"]},
    ),
    "doubled": (
        "rows doubled",
        (),
        lambda rows: {name: np.concatenate([values, values[:300]]) for name, values in rows.items()},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_named(name):
    fault, columns, plant = FAULTS[name]
    rng = np.random.default_rng(3)
    old, new = _sensors(rng, 2000), plant(_sensors(rng, 1000))
    report = shift(pa.table(old), pa.table(new))
    assert report.kind == "data fault", report.said
    assert [(one.fault, tuple(sorted(one.columns))) for one in report.faults] == [(fault, columns)]


@pytest.mark.parametrize("draws", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_honest_shifts_are_not_called_faults(draws):
    # Shifts of mean and spread of all columns: at most one in twenty draws may look like a fault.
    rng = np.random.default_rng(4)
    wrong = []
    for _ in range(draws):
        old, new = _sensors(rng, 1000), _sensors(rng, 1000)
        moved = {
            name: values * rng.uniform(0.8, 1.25) + rng.normal(0, 0.6) * values.std() for name, values in new.items()
        }
        report = shift(pa.table(old), pa.table(moved))
        wrong += [one.said for one in report.faults]
    assert len(wrong) <= 0.05 * draws, wrong


@pytest.mark.parametrize("draws", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_the_classifier_test_keeps_its_level_at_every_pair(draws):
    # alpha = .1, looked at after every pair: at most .1 and three standard errors of the draws.
    rng = np.random.default_rng(5)
    found = [
        classifier_test(
            *(pa.table({"x": rng.normal(size=400), "y": rng.normal(size=400)}) for _ in range(2)), alpha=0.1
        )
        for _ in range(draws)
    ]
    rate = np.mean([one.found_at is not None for one in found])
    assert rate <= 0.1 + 3 * np.sqrt(0.09 / draws)
    assert np.mean([one.accuracy for one in found]) == pytest.approx(0.5, abs=0.03)


def test_the_classifier_test_sees_what_no_single_column_shows():
    # The columns' own distributions do not move, what they are together does.
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 3000))
    old = pa.table({"x": x, "y": 0.8 * x + 0.6 * y, "z": rng.normal(size=3000)})
    x, y = rng.normal(size=(2, 3000))
    new = pa.table({"x": x, "y": -0.8 * x + 0.6 * y, "z": rng.normal(size=3000)})
    assert shift(old, new).kind == "none seen"
    found = classifier_test(old, new)
    assert found.found_at is not None
    assert found.found_at < 1000
    assert {name for name, _ in found.explained_by[:2]} == {"x", "y"}
