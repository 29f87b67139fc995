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
