"""Slices: conditions on any kind of frame, columns that the base does not see, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlwild.errors import AppError, DataError
from mlwild.remedies import Where
from mlwild.remedies.slices import checked_mask, groups, split_off

COLUMNS = {
    "carrier": ["EV", "AA", None, "EV"],
    "distance": [100.0, 900.0, 300.0, None],
    "stops": [0, 1, 2, 0],
    "night": [True, False, True, False],
    "two words": ["a", "b", "a", "b"],
}
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("carrier = 'EV'", [0, 3]),
        ("carrier=EV", [0, 3]),
        ("carrier == 'EV'", [0, 3]),
        ("carrier != 'EV'", [1]),  # a missing value is in no slice
        ("distance > 200", [1, 2]),
        ("distance<=300 and stops >= 2", [2]),
        ("night = true", [0, 2]),
        ("night = 0", [1, 3]),
        ("\"two words\" = 'a' and carrier = 'EV'", [0]),
        ("carrier < 'B'", [1]),
    ],
)
def test_conditions_hold_where_they_should(kind, text, rows):
    condition = Where.parse(text)
    mask = condition(KINDS[kind](COLUMNS))
    assert np.flatnonzero(mask).tolist() == rows
    assert Where.parse(str(condition)) == condition


def test_text_with_and_in_quotes_is_text():
    assert Where.parse("name = 'salt and pepper' and n = 3").terms[0].value == "salt and pepper"


def test_categories_and_columns_of_arrays():
    frame = pd.DataFrame({"carrier": pd.Categorical(["EV", "AA"])})
    assert Where.parse("carrier = EV")(frame).tolist() == [True, False]
    assert Where.parse("x1 > 2")(np.array([[0.0, 3.0], [9.0, np.nan]])).tolist() == [True, False]


@pytest.mark.parametrize("text", ["carrier", "= 'EV'", "carrier ~ 'EV'", "", "a = 1 and", "carrier = 'EV"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(AppError, match="cannot be read"):
        Where.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone = 1", "has no column 'gone'"),
        ("distance = 'far'", "column 'distance' is compared with 'far' and holds numbers such as 100"),
        ("night = 'x'", "column 'night' is compared with 'x' and holds true and false"),
        ("when > 3", "holds datetime values; name a function"),
    ],
)
def test_columns_that_do_not_suit_are_named(text, said):
    frame = pd.DataFrame(COLUMNS).assign(when=pd.Timestamp("2025-01-01"))
    with pytest.raises(DataError, match=said):
        Where.parse(text)(frame)


@pytest.mark.parametrize("kind", [*KINDS, "numpy"])
def test_a_column_of_truth_is_taken_out(kind):
    table = {"a": [1.0, 2.0], "inside": [False, True]}
    X = np.array([[1.0, 0.0], [2.0, 1.0]]) if kind == "numpy" else KINDS[kind](table)
    seen, mask = split_off(X, "x1" if kind == "numpy" else "inside")
    assert mask.tolist() == [False, True]
    assert seen.shape == (2, 1)
    assert type(seen) is type(X)


def test_a_gap_is_neither_true_nor_false():
    with pytest.raises(DataError, match="must hold true or false in every row"):
        split_off(pd.DataFrame({"inside": [1.0, np.nan]}), "inside")
    with pytest.raises(DataError, match="a gap is neither"):
        checked_mask(pd.Series([True, None], dtype="boolean"), 2)
    with pytest.raises(DataError, match="gave float64"):
        checked_mask(np.array([0.0, 1.0]), 2)
    with pytest.raises(DataError, match="for 3 rows"):
        checked_mask(np.array([True, False]), 3)
    assert checked_mask(pd.Series([True, False], dtype="boolean"), 2).tolist() == [True, False]


def test_groups_are_sides_of_the_slice_within_classes():
    y, mask = np.array(["a", "b", "a", "b"]), np.array([True, True, False, False])
    assert groups(y, mask, classifies=True) == (pytest.approx([1, 3, 0, 2]), 4)
    assert groups(y, mask, classifies=False) == (pytest.approx([1, 1, 0, 0]), 2)
    assert groups(y, None, classifies=True)[1] == 2
