"""The shift report: values against scipy, level across columns, every kind of frame, odd columns survived."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

from mlwild.errors import DataError, MlwildError
from mlwild.monitors.shifts import classifier_test, shift


def _record(report, name):
    return next(row for row in report.columns if row["name"] == name)


def test_statistics_are_scipys():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=1500).astype(np.float32), rng.normal(0.2, 1.1, size=900).astype(np.float32)
    row = _record(shift(pa.table({"x": old}), pa.table({"x": new})), "x")
    ks = stats.ks_2samp(old, new, method="asymp")
    assert row["ks"] == pytest.approx(ks.statistic, rel=1e-6)
    assert row["wasserstein"] == pytest.approx(stats.wasserstein_distance(old, new), rel=1e-5)
    cuts = np.quantile(old, np.linspace(0, 1, 11)[1:-1], method="inverted_cdf")
    a, b = (np.bincount(np.searchsorted(cuts, side), minlength=10) / len(side) for side in (old, new))
    assert row["psi"] == pytest.approx(
        float(((b - a) * np.log(b / a)).sum()), rel=0.01
    )  # the highest value has a cell of its own


def test_categories_gaps_and_new_ones_are_told():
    old = pa.table({"c": ["a"] * 500 + ["b"] * 500})
    new = pa.table({"c": ["a"] * 300 + ["b"] * 100 + ["z"] * 50 + [None] * 50})
    report = shift(old, new)
    row = _record(report, "c")
    assert row["new_categories"] == ("z",)
    assert row["new_share"] == pytest.approx(50 / 450)
    assert row["missing_window"] == row["missing_change"] == 0.1
    # Newcombe's interval of 50 / 500 against 0 / 1000, by hand from Wilson's.
    assert (row["missing_low"], row["missing_high"]) == pytest.approx((0.0764, 0.1294), abs=5e-4)
    table = np.array([[500, 500, 0], [300, 100, 50]])
    assert row["chi_square"] == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)
    assert any("new: 'z'" in said for said in report.said)


@pytest.mark.parametrize("kind", ["pandas", "polars", "duckdb"])
def test_every_kind_of_frame_gives_the_same_answer(kind):
    rng = np.random.default_rng(1)
    frames = [
        pd.DataFrame({"x": rng.normal(move, 1, 400), "n": rng.integers(0, 9, 400), "c": rng.choice(["a", "b"], 400)})
        for move in (0.0, 0.5)
    ]
    expected = shift(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in frames)).as_dict()
    turned = {
        "pandas": lambda frame: frame,
        "polars": pl.from_pandas,
        "duckdb": lambda frame: duckdb.sql("select * from frame"),
    }[kind]
    assert shift(*map(turned, frames)).as_dict() == expected


def test_integers_against_floats_and_categories_against_words_just_work():
    old = pa.table({"n": pa.array([1, 2, 3, 4] * 50), "c": pa.array(["a", "b"] * 100).dictionary_encode()})
    new = pa.table({"n": pa.array([1.0, 2.0, 3.0, None] * 50), "c": pa.array(["a", "b"] * 100)})
    report = shift(old, new)
    assert _record(report, "n")["missing_window"] == 0.25
    assert _record(report, "c")["chi_square_p"] == 1.0


def test_odd_columns_are_survived_and_said():
    n = 2000
    rng = np.random.default_rng(2)
    old = pd.DataFrame(
        {
            "constant": 1.0,
            "gone": np.full(n, np.nan),
            "went": rng.normal(size=n),
            "key": [f"k{i}" for i in range(n)],
            "infinite": np.where(np.arange(n) % 100 == 0, np.inf, rng.normal(size=n)),
            "when": pd.date_range("2026-01-01", periods=n, freq="h", tz="Europe/Paris"),
        }
    )
    new = old.assign(went=np.nan, key=[f"q{i}" for i in range(n)])
    report = shift(old, new)
    assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["kind"] == "undecided"
    assert _record(report, "went")["missing_window"] == 1.0
    assert _record(report, "went")["moved"]
    assert not any(_record(report, name)["moved"] for name in ("constant", "gone", "infinite", "when"))
    assert "no value in both tables" in _record(report, "gone")["note"]


def test_a_hundred_thousand_categories_are_a_key_and_no_alarm():
    n = 100_000
    old, new = (pa.table({"key": [f"{side}{i}" for i in range(n)]}) for side in "ab")
    report = shift(old, new)
    assert not report.columns[0]["moved"]
    assert "200,000 categories: a key rather than a feature" in report.columns[0]["note"]
    assert len(report.columns[0]["new_categories"]) == 20


@pytest.mark.parametrize("draws", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_columns_that_did_not_move_are_called_moved_as_seldom_as_stated(draws):
    # Under no shift at all a false discovery is any discovery: at most .05 of the draws, and three standard errors.
    rng = np.random.default_rng(3)
    named = 0
    for _ in range(draws):
        old, new = (
            pa.table({**{f"x{i}": rng.normal(size=300) for i in range(6)}, "c": rng.choice(["a", "b", "c"], 300)})
            for _ in range(2)
        )
        report = shift(old, new)
        named += bool(report.carried_by)
        assert report.kind in ("none seen", "undecided")
    assert named / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ({"x": [1.0]}, {"y": [1.0]}, "window: column 'x' is missing (1 in all). Give both the same columns."),
        ({"x": [1.0]}, {"x": []}, "window: has no rows. Give a time in which there were some."),
        ({"x": [1.0]}, {"x": ["a"]}, "window: column 'x' holds double in the reference and string in the window."),
    ],
)
def test_tables_that_do_not_match_are_refused(old, new, message):
    with pytest.raises(DataError) as caught:
        shift(pa.table(old), pa.table(new))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 0.0}, "level: 0.0 must lie in (0, 1)."),
        ({"labels": ([1], [1])}, "labels: the reference has 1 for 300 rows. Give one a row."),
        ({"labels": ([1] * 300, [1] * 300), "losses": ([1.0] * 300, [1.0] * 300)}, "losses: given beside labels."),
        ({"losses": ([1.0], [1.0])}, "losses: the reference has 1 for 300 rows. Give one a row."),
        ({"losses": ([np.inf] * 300, [1.0] * 300)}, "losses: one is infinite."),
        ({"predictions": ([0.5], [0.5])}, "predictions: the reference has shape (1,)"),
        (
            {"labels": (["a", "b"] * 150, ["a", "b"] * 150), "predictions": (np.full(300, 0.5), np.full(300, 1.5))},
            "predictions: hold 1.5 to 1.5; probabilities lie in [0, 1].",
        ),
        ({"predictions": (np.full(300, 0.5), np.full(300, np.nan))}, "predictions: one of the window is missing or"),
    ],
)
def test_wrong_settings_are_refused(change, message):
    rows = pa.table({"x": np.random.default_rng(0).normal(size=300)})
    with pytest.raises(MlwildError) as caught:
        shift(rows, rows, **change)
    assert str(caught.value).startswith(message)


def test_slices_are_confirmed_on_the_other_half():
    rng = np.random.default_rng(4)
    old = pa.table({"x": rng.normal(size=4000), "c": rng.choice(["a", "b"], 4000)})
    new = pa.table({"x": rng.normal(size=4000), "c": rng.choice(["a", "b"], 4000, p=[0.8, 0.2])})
    report = shift(old, new)
    assert report.carried_by == ("c",)
    found = report.slices[0]
    assert found.column == "c"
    assert abs(found.share_window - found.share_reference) == pytest.approx(0.3, abs=0.06)
    assert found.low < found.share_window - found.share_reference < found.high


@pytest.mark.parametrize("blank", ["both", "reference", "window"])
def test_a_column_without_a_single_number_is_survived(blank):
    rng = np.random.default_rng(8)
    sides = []
    for name in ("reference", "window"):
        x, gone = rng.normal(size=800), np.full(800, np.nan)
        sides.append(pa.table({"x": x, "asked": gone if blank in ("both", name) else x + rng.normal(size=800)}))
    report = shift(*sides, labels=tuple(side["x"].to_numpy() + rng.normal(size=800) for side in sides))
    assert {row["name"] for row in report.columns} == {"x", "asked"}
    found = classifier_test(*sides)
    assert (found.found_at is None) == (blank == "both")
