"""Trailing windows: a plain loop, another library, and that no other row or event has a say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import AppError, DataError
from tests.features.tables import ASKED, KINDS, ROWS, added_up, bits, column, drawn, side, visible

AGGREGATES = {kind: ("v", kind) for kind in ("sum", "count", "mean", "std", "min", "max", "last", "nunique")}
ALL = AGGREGATES | {
    "rows": "rows",
    "ones": ("word", "share", "1"),
    "first_word": ("word", "min"),
    "words": ("word", "nunique"),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(
    rows=ROWS,
    asked=ASKED,
    by=st.sampled_from([(), ("shop",), ("shop", "size")]),
    window=st.sampled_from([1, 3, 8, "all"]),
    corrected=st.booleans(),
)
def test_a_window_is_what_a_plain_loop_over_rows_says(kind, rows, asked, by, window, corrected):
    table, events, rows, asked = drawn(rows, asked, kind, by)
    found = table.trailing(events, window, ALL, corrected=corrected)
    span = None if window == "all" else window
    seen = [visible(rows, event, by, span, corrected) for event in asked]
    for name in AGGREGATES:
        expected = [added_up([row["v"] for row in one], name) for one in seen]
        got = column(found, name)
        if name == "std":
            assert [value is None for value in got] == [value is None for value in expected]
            pairs = [(a, b) for a, b in zip(got, expected, strict=True) if b is not None]
            assert [a for a, _ in pairs] == pytest.approx([b for _, b in pairs], rel=1e-15)
        else:
            assert got == expected, name
    assert column(found, "rows") == [len(one) for one in seen]
    assert column(found, "ones") == [sum(r["word"] == "1" for r in one) / len(one) if one else None for one in seen]
    assert column(found, "first_word") == [min((r["word"] for r in one), default=None) for one in seen]
    assert column(found, "words") == [len({r["word"] for r in one}) for one in seen]


@settings(max_examples=25, deadline=None)
@given(
    rows=ROWS, asked=ASKED, window=st.sampled_from([2, 7, "all"]), corrected=st.booleans(), cutoff=st.integers(0, 20)
)
def test_neither_other_events_nor_what_came_later_change_a_bit(rows, asked, window, corrected, cutoff):
    table, events, _, _ = drawn(rows, asked, "pyarrow")
    whole = table.trailing(events, window, AGGREGATES, corrected=corrected)
    place = np.flatnonzero(np.array(events["t"]) <= cutoff)
    cut = table.before(cutoff).trailing(events.take(place), window, AGGREGATES, corrected=corrected)
    for name in AGGREGATES:
        expected = bits(whole, name)
        assert bits(cut, name) == [expected[row] for row in place]
        alone = [
            bits(
                table.before(events["t"][row].as_py()).trailing(
                    events.slice(row, 1), window, AGGREGATES, corrected=corrected
                ),
                name,
            )
            for row in range(len(events))
        ]
        assert [one[0] for one in alone] == expected


def _many(n, m, keys, seed=0):
    rng = np.random.default_rng(seed)
    events = {"t": rng.integers(0, 10**9, n), "shop": rng.integers(0, keys, n)}
    values = rng.normal(size=m) * 10.0 ** rng.integers(-3, 9, m)
    at = np.sort(rng.choice(10**9, m, replace=False))
    return events, {"t": at, "shop": rng.integers(0, keys, m), "v": values, "word": rng.integers(0, 5, m)}


def test_an_event_among_many_in_a_few_and_alone_has_the_same_bits():
    events, rows = _many(60_000, 40_000, 300)
    table = side(rows, kind="pyarrow", time="t", delay=1000, by="shop")
    events = pa.table(events)
    whole = table.trailing(events, 50_000_000, AGGREGATES)
    rng = np.random.default_rng(1)
    few = rng.choice(len(events), 400, replace=False)
    for name in AGGREGATES:
        assert bits(table.trailing(events.take(few), 50_000_000, {name: ("v", name)}), name) == bits(
            whole.take(few), name
        )
    for row in few[:20]:
        alone = table.before(int(events["t"][int(row)].as_py())).trailing(events.slice(row, 1), 50_000_000, AGGREGATES)
        assert all(bits(alone, name) == bits(whole.slice(row, 1), name) for name in AGGREGATES)


def test_where_rows_are_at_hand_at_once_it_is_the_rolling_of_polars():
    rng = np.random.default_rng(3)
    m = 30_000
    at, shop = np.sort(rng.choice(10**7, m, replace=False)), rng.integers(0, 200, m)
    frame = pl.DataFrame({"t": at, "shop": shop, "v": rng.normal(size=m), "word": rng.integers(0, 5, m)})
    table = side(frame, kind="polars", time="t", delay=0, by="shop")
    # Every row asks at its own time: polars rolls over the rows themselves.
    ours = table.trailing(frame, 200_000, AGGREGATES | {"word": ("word", "nunique")})
    rolled = frame.rolling("t", period="200000i", group_by="shop").agg(
        sum=pl.col("v").sum(),
        count=pl.col("v").count(),
        mean=pl.col("v").mean(),
        std=pl.col("v").std(),
        min=pl.col("v").min(),
        max=pl.col("v").max(),
        last=pl.col("v").last(),
        nunique=pl.col("v").n_unique(),
        word=pl.col("word").n_unique(),
    )
    theirs = frame.select("t", "shop").join(rolled, on=["t", "shop"], how="left", maintain_order="left")
    for name in ("count", "min", "max", "last", "nunique", "word"):
        assert ours[name].to_list() == theirs[name].to_list()
    for name in ("sum", "mean", "std"):
        assert ours[name].to_numpy() == pytest.approx(theirs[name].to_numpy(), rel=1e-9, abs=1e-12, nan_ok=True)


def test_late_rows_are_not_seen_before_they_came_and_corrections_count_from_then_on():
    readings = {"at": [10, 12, 10], "ready": [11, 13, 20], "mm": [5.0, 1.0, 7.0]}
    table = side(readings, time="at", available_at="ready")
    events = pd.DataFrame({"t": [10, 11, 13, 19, 20, 21]})
    asked = {"mm": ("mm", "sum"), "n": "rows"}
    assert table.trailing(events, 20, asked)["mm"].tolist() == [0.0, 5.0, 6.0, 6.0, 13.0, 13.0]
    mended = table.trailing(events, 20, asked, corrected=True)
    assert mended["mm"].tolist() == [0.0, 5.0, 6.0, 6.0, 8.0, 8.0]
    assert mended["n"].tolist() == [0, 1, 2, 2, 2, 2]


def test_a_correction_to_nothing_takes_the_value_back():
    table = side({"at": [1, 1], "ready": [1, 5], "mm": [3.0, None]}, time="at", available_at="ready")
    found = table.trailing(pd.DataFrame({"t": [4, 5]}), "all", {"last": ("mm", "last"), "n": "rows"}, corrected=True)
    assert column(found, "last") == [3.0, None]
    assert found["n"].tolist() == [1, 1]


def test_what_becomes_of_nothing_is_said_and_kinds_of_values_are_kept():
    days = pd.to_datetime(["2020-01-01", "2020-01-02"])
    rows = pd.DataFrame({"t": days, "when": days, "ok": [True, False], "name": ["x", "y"], "n": [2**60 + 1, 2**60]})
    table = side(rows, time="t", delay=0)
    asked = {name: (name, "max") for name in ("when", "name", "n")} | {"ok": ("ok", "share"), "sum": ("ok", "sum")}
    found = table.trailing(pd.DataFrame({"t": pd.to_datetime(["2019-01-01", "2020-01-02"])}, index=[7, 3]), "7D", asked)
    assert found.index.tolist() == [7, 3]
    assert found.loc[3, "when"] == days[1]
    assert (found.loc[3, "name"], found.loc[3, "ok"], found.loc[3, "sum"]) == ("y", 0.5, 1.0)
    assert found.loc[7, ["when", "name", "ok"]].isna().all()
    assert found.loc[7, "sum"] == 0.0


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({}, AppError, r"^trailing: name at least one column"),
        ({"x": ("v", "median")}, AppError, r"^trailing: 'x' is \('v', 'median'\)\. Write \(column, what\)"),
        ({"x": "sum"}, AppError, r"^trailing: 'x' is 'sum'"),
        ({"x": ("v", "sum", 3)}, AppError, r"^trailing: 'x' is"),
        ({"x": ("w", "sum")}, DataError, r"^trailing: the table has no column 'w'\. It has t, v, word"),
        (
            {"x": ("word", "sum")},
            DataError,
            r"^trailing: column 'word' holds (large_)?string, of which there is no sum",
        ),
        ({"x": ("word", "share")}, AppError, r"^trailing: the share of what\? 'word' holds"),
        ({"x": ("v", "share", "a")}, AppError, r"^trailing: 'v' holds double, and never is 'a'"),
    ],
)
def test_what_cannot_be_made_is_told(asked, error, words):
    table = side({"t": [1, 2], "v": [0.5, 1.5], "word": ["a", "b"]}, time="t", delay=0)
    with pytest.raises(error, match=words):
        table.trailing(pd.DataFrame({"t": [3]}), 5, asked)


def test_a_window_that_does_not_fit_the_times_is_refused():
    table = side({"t": [1, 2], "v": [0.5, 1.5]}, time="t", delay=0)
    with pytest.raises(AppError, match=r"^trailing: '7D' has a unit, and the time column holds integers"):
        table.trailing(pd.DataFrame({"t": [3]}), "7D", {"n": "rows"})
    with pytest.raises(AppError, match=r"^trailing: 0 ticks is not a positive duration"):
        table.trailing(pd.DataFrame({"t": [3]}), 0, {"n": "rows"})
    with pytest.raises(DataError, match=r"^trailing: 't' is missing in row 1 of the events"):
        table.trailing(pd.DataFrame({"t": pd.array([3, None], dtype="Int64")}), 5, {"n": "rows"})
