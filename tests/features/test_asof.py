"""The as-of join: a plain loop on small cases, polars on large ones."""

from __future__ import annotations

from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.joins import shared
from tests.features.tables import ASKED, KINDS, ROWS, column, drawn, side


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(rows=ROWS, asked=ASKED, by=st.sampled_from([(), ("size",), ("shop", "size")]))
def test_the_newest_row_at_hand_is_what_a_plain_loop_says(kind, rows, asked, by):
    table, events, rows, asked = drawn(rows, asked, kind, by)
    expected = []
    for event in asked:
        open_ = [r for r in rows if r["ready"] <= event["t"] and all(r[key] == event[key] for key in by)]
        best = max(open_, key=lambda r: (r["at"], r["ready"], r["row"]), default=None)
        expected.append(None if best is None else best["row"])
    assert column(table.asof(events), "row") == expected


@pytest.mark.parametrize("words", [False, True])
def test_among_many_rows_it_is_the_join_of_polars(words):
    rng = np.random.default_rng(0)
    n, m, keys = 200_000, 60_000, 3_000
    shop, other = rng.integers(0, keys, n), rng.integers(0, keys, m)
    name = (lambda codes: [f"shop {code}" for code in codes]) if words else (lambda codes: codes)
    # Times of rows are all different: of equal ones polars takes any.
    at = rng.choice(10**9, m, replace=False)
    rows = pl.DataFrame({"at": at, "shop": name(other), "size": other % 2, "v": np.arange(m)})
    events = pl.DataFrame({"t": rng.integers(0, 10**9, n), "shop": name(shop), "size": shop % 2})
    table = side(rows, kind="polars", time="at", delay=1_000, by=("shop", "size"))
    ready = rows.with_columns(ready=pl.col("at") + 1_000).sort("ready")
    theirs = (
        events.with_row_index()
        .sort("t")
        .join_asof(ready, left_on="t", right_on="ready", by=["shop", "size"], check_sortedness=False)
        .sort("index")
    )
    assert table.asof(events)["v"].to_list() == theirs["v"].to_list()
    # The order of the rows does not matter where no two are equal.
    mixed = side(
        rows.sample(fraction=1.0, shuffle=True, seed=1), kind="polars", time="at", delay=1_000, by=("shop", "size")
    )
    assert mixed.asof(events)["v"].to_list() == theirs["v"].to_list()


def test_a_row_without_a_time_is_never_found():
    table = side(
        {"at": np.array([1.0, np.nan, 2.0]), "ready": [1, 1, 2], "v": [1, 2, 3]}, time="at", available_at="ready"
    )
    assert table.asof(pd.DataFrame({"t": [1, 5]}))["v"].tolist() == [1, 3]


def test_keys_are_compared_as_what_they_are():
    left = [pa.array([1, 2, None]), pa.array(["a", "b", None]).dictionary_encode()]
    right = [pa.array([2.0, float("nan"), 1.0, 3.0]), pa.array(["b", None, "b", "a"])]
    assert [part.tolist() for part in shared(left, right, (3, 4))] == [[0, 1, 2], [1, 2, -1, -1]]
    assert shared([pa.array([0.0])], [pa.array([-0.0])], (1, 1))[1].tolist() == [0]
    great = 2**53
    assert shared([pa.array([great])], [pa.array([great + 1])], (1, 1))[1].tolist() == [-1]
    zoned = pa.array([0], pa.timestamp("s", "UTC")), pa.array([0], pa.timestamp("us", "UTC"))
    assert shared([zoned[0]], [zoned[1]], (1, 1))[1].tolist() == [0]
    days = pa.array([1, 2, None], pa.date32())
    for kind in (pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns")):
        assert [part.tolist() for part in shared([days], [days.cast(kind)], (3, 3))] == [[0, 1, 2], [0, 1, 2]]
    open_ended = pa.array([date(9999, 12, 31)])
    for kind in (pa.date32(), pa.timestamp("us")):
        assert shared([open_ended], [open_ended.cast(kind)], (1, 1))[1].tolist() == [0]
    assert shared([open_ended.cast(pa.timestamp("us"))], [open_ended.cast(pa.timestamp("us"))], (1, 1))[1].tolist() == [
        0
    ]
    assert shared([open_ended], [days.cast(pa.timestamp("ns"))], (1, 3))[1].tolist() == [-1, -1, -1]
    noon = pa.array([43_200], pa.timestamp("s"))
    assert shared([pa.array([0], pa.date32())], [noon], (1, 1))[1].tolist() == [-1]
    assert shared([pa.nulls(1)], [pa.array(["a", None])], (1, 2))[1].tolist() == [-1, 0]


#: Keys of one column that are the same: with gaps frames hold whole numbers as fractions, databases as decimals.
SAME = {
    "text": pa.array(["7", "-2", None, "0", "10000000000000000", "1.5"]),
    "text of fractions": pa.array(["7.0", "-2.0", None, "0.0", "10000000000000000", "1.5"]),
    "fractions": pa.array([7.0, -2.0, float("nan"), -0.0, 1e16, 1.5]),
    "decimals": pa.array(["7.00", "-2", None, "0", "1E+16", "1.50"]).cast(pa.decimal128(30, 2)),
}


#: Words beside words are compared as they are.
PAIRS = [pair for pair in product(SAME, SAME) if "fractions" in pair or "text of fractions" not in pair]


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_whole_numbers_are_the_same_key_however_a_frame_holds_them(left, right):
    ours, theirs = shared([SAME[left]], [SAME[right]], (6, 6))
    assert theirs.tolist() == ours.tolist() == list(range(6))


def test_whole_numbers_and_decimals_are_the_same_key():
    whole, decimals = pa.array([7, -2, None]), pa.array(["7.00", "-2.00", None]).cast(pa.decimal128(9, 2))
    assert shared([whole], [decimals], (3, 3))[1].tolist() == [0, 1, 2]
    assert shared([decimals], [whole], (3, 3))[1].tolist() == [0, 1, 2]
