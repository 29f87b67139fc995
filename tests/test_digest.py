"""Digests: every change that matters changes them, and no other does."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.digest import digest, file_digest, row_hashes

# -- digest --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab",)),
        (("a", 1), ("a", "1")),
        (("a", "b"), ("b", "a")),
        ((1,), (1.0,)),
        ((b"1",), ("1",)),
        ((None,), ("None",)),
        ((np.array([1, 2]),), (np.array([2, 1]),)),
        ((np.array([1, 2]),), (np.array([1, 2], np.int32),)),
        ((np.array([1, 2]),), (np.array([1.0, 2.0]),)),
        ((np.array([[1, 2]]),), (np.array([[1], [2]]),)),
        ((np.array([1, 2, 3, 4]),), (np.array([1, 2]), np.array([3, 4]))),
        ((np.zeros(0),), (np.zeros((0, 3)),)),
        ((np.array([0.0]),), (np.array([-0.0]),)),
    ],
)
def test_digest_tells_apart(one, other):
    assert digest(*one) == digest(*one)
    assert digest(*one) != digest(*other)


def test_digest_of_an_array_does_not_depend_on_its_layout():
    square = np.arange(12).reshape(3, 4)
    assert (
        digest(square) == digest(np.asfortranarray(square)) == digest(np.arange(24).reshape(3, 8)[:, :4] * 0 + square)
    )


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")


# -- rows ----------------------------------------------------------------------------------------


def _table():
    """A table with a column of each kind, missing values in each."""
    return pa.table(
        {
            "small": pa.array([1, 2, None, 4], pa.int8()),
            "whole": pa.array([1, 2, None, 2**62], pa.int64()),
            "unsigned": pa.array([1, 2, None, 2**64 - 1], pa.uint64()),
            "single": pa.array([0.5, math.nan, None, 1e30], pa.float32()),
            "double": pa.array([0.5, math.nan, None, 1e300], pa.float64()),
            "flag": pa.array([True, False, None, True]),
            "text": pa.array(["a", "", None, "ä"]),
            "large": pa.array(["a", "", None, "ä"], pa.large_string()),
            "word": pa.array(["a", "b", None, "a"]).dictionary_encode(),
            "bytes": pa.array([b"a", b"", None, b"b"]),
            "day": pa.array([0, 1, None, 20_000], pa.date32()),
            "clock": pa.array([0, 1, None, 3], pa.time64("us")),
            "short": pa.array([0, 1, None, 3], pa.time32("s")),
            "naive": pa.array([0, 1, None, 3], pa.timestamp("ns")),
            "instant": pa.array([0, 1, None, 3], pa.timestamp("us", "UTC")),
            "span": pa.array([0, 1, None, 3], pa.duration("ns")),
            "money": pa.array([Decimal("1.10"), Decimal("2.00"), None, Decimal("3.33")], pa.decimal128(9, 2)),
            "list": pa.array([[1], [], None, [1, 2]]),
            "pair": pa.array([{"a": 1}, {"a": None}, None, {"a": 2}]),
            "nothing": pa.nulls(4),
        }
    )


KINDS = _table().column_names


def test_rows_with_equal_cells_have_equal_hashes_and_others_do_not():
    table = pa.concat_tables([_table(), _table()])
    hashes = row_hashes(table)
    assert hashes.dtype == np.uint64
    assert np.array_equal(hashes[:4], hashes[4:])
    assert len(set(hashes.tolist())) == 4


@pytest.mark.parametrize("column", [name for name in KINDS if name != "nothing"])
@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_one_changed_cell_changes_its_row_and_no_other(column, row):
    table = _table()
    place = KINDS.index(column)
    others = [table[column][i] for i in range(4) if i != row and not table[column][i].equals(table[column][row])]
    before = row_hashes(table)
    for other in others:
        cells = [table[column][i] for i in range(4)]
        cells[row] = other
        changed = table.set_column(place, column, pa.array([cell.as_py() for cell in cells], table[column].type))
        assert (row_hashes(changed) != before).tolist() == [i == row for i in range(4)]


@settings(max_examples=200, deadline=None)
@given(
    one=st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.none()),
    other=st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.none()),
)
def test_hashes_of_two_cells_agree_just_as_the_cells_do(one, other):
    first, second = pa.table({"x": pa.array([one])}), pa.table({"x": pa.array([other])})
    same = first["x"].type == second["x"].type and (
        repr(one) == repr(other)  # nan is itself, and 0.0 is not -0.0
    )
    assert (row_hashes(first)[0] == row_hashes(second)[0]) == same


def test_names_types_and_order_of_columns_count():
    plain = pa.table({"x": pa.array([1, 2]), "y": pa.array([2, 1])})
    variants = [
        plain.rename_columns(["x", "z"]),
        plain.rename_columns(["y", "x"]),
        plain.select(["y", "x"]),
        plain.select(["x"]),
        plain.cast(pa.schema([("x", pa.int32()), ("y", pa.int64())])),
        plain.cast(pa.schema([("x", pa.float64()), ("y", pa.int64())])),
        plain.append_column("z", pa.array([0, 0])),
    ]
    for variant in variants:
        assert (row_hashes(variant) != row_hashes(plain)).all()


def test_missing_is_not_nan_nor_zero_nor_empty():
    for values, kind in (
        ([None, math.nan, 0.0], pa.float64()),
        ([None, "", "None"], pa.string()),
        ([None, 0, -1], pa.int64()),
    ):
        assert len(set(row_hashes(pa.table({"x": pa.array(values, kind)})).tolist())) == 3


def test_text_counts_as_the_type_that_arrow_gives_it():
    # Not told apart by their words, but by their types: plain, large and dictionary-encoded text.
    words = pa.array(["a", "b"])
    kinds = [words, words.cast(pa.large_string()), words.dictionary_encode()]
    hashes = [tuple(row_hashes(pa.table({"x": kind})).tolist()) for kind in kinds]
    assert len(set(hashes)) == 3


def test_order_of_a_dictionary_does_not_matter():
    one = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["a", "b"]))
    other = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), pa.array(["b", "a"]))
    unused = pa.DictionaryArray.from_arrays(pa.array([0, 2, 0]), pa.array(["a", "never", "b"]))
    hashes = [row_hashes(pa.table({"x": array})).tolist() for array in (one, other, unused)]
    assert hashes[0] == hashes[1] == hashes[2]


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, 40), max_size=5))
def test_hashes_do_not_depend_on_chunks(cuts):
    table = pa.concat_tables([_table()] * 10).combine_chunks()
    edges = [0, *sorted(cuts), 40]
    chunked = pa.concat_tables([table.slice(a, b - a) for a, b in itertools.pairwise(edges)])
    assert np.array_equal(row_hashes(chunked), row_hashes(table))


def test_chunks_with_dictionaries_of_their_own_are_one_column():
    parts = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", None, "c"]).dictionary_encode()]
    chunked = pa.table({"x": pa.chunked_array(parts)})
    whole = pa.table({"x": pa.array(["a", "b", "b", None, "c"]).dictionary_encode()})
    assert np.array_equal(row_hashes(chunked), row_hashes(whole))


def test_slice_has_the_hashes_of_its_rows():
    assert np.array_equal(row_hashes(_table().slice(1, 2)), row_hashes(_table())[1:3])


def test_empty_table_has_no_hash():
    assert row_hashes(_table().slice(0, 0)).shape == (0,)
    assert row_hashes(pa.table({"x": pa.chunked_array([], pa.string())})).shape == (0,)


def test_pandas_polars_and_arrow_agree_where_they_hold_the_same_arrow_columns():
    table = pa.table(
        {
            "whole": pa.array([1, 2, 3], pa.int64()),
            "single": pa.array([0.5, 1.5, -2.5], pa.float32()),
            "flag": pa.array([True, False, True]),
            "naive": pa.array([0, 1, None], pa.timestamp("ns")),
            "instant": pa.array([0, 1, None], pa.timestamp("ns", "UTC")),
            "text": pa.array(["a", None, "b"], pa.large_string()),
        }
    )
    expected = row_hashes(table)
    assert np.array_equal(row_hashes(pa.Table.from_pandas(table.to_pandas())), expected)
    assert np.array_equal(row_hashes(pl.from_arrow(table).to_arrow()), expected)
