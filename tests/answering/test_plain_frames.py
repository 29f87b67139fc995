"""Frames that do not go through Arrow are those that do: cell by cell, type by type."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild import frames
from mlwild.answering.plain_frames import PlainFrames
from mlwild.answering.shapes import Shape
from mlwild.columns import FAR

NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.none() | st.integers(-FAR, FAR)
KINDS = [
    pa.float64(),
    *(pa.timestamp(unit, zone) for unit in ("us", "ns") for zone in (None, "UTC", "America/New_York")),
]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_they_are_what_arrow_makes(data):
    kinds = [pa.float64(), *data.draw(st.lists(st.sampled_from(KINDS), max_size=5))]
    kinds = data.draw(st.permutations(kinds))
    shape = Shape(pa.schema({f"c{place}": kind for place, kind in enumerate(kinds)}), {})
    made = PlainFrames.of(shape)
    assert made is not None
    n = data.draw(st.integers(1, 5))
    rows = {
        name: data.draw(st.lists(NUMBERS if kind == pa.float64() else TIMES, min_size=n, max_size=n))
        for name, kind in zip(shape.schema.names, kinds, strict=True)
        if data.draw(st.booleans())
    }
    expected = frames.from_arrow(shape.table(rows, n), "pandas", "data")
    pd.testing.assert_frame_equal(made.frame(rows, n), expected, check_exact=True)


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.string(), pa.bool_(), pa.float32(), pa.date32(), pa.dictionary(pa.int32(), pa.string())]
)
def test_of_other_kinds_none_are_made(kind):
    words = {"a": pa.array(["x"])} if pa.types.is_dictionary(kind) else {}
    assert PlainFrames.of(Shape(pa.schema({"a": kind, "b": pa.float64()}), words)) is None


def test_a_frame_with_an_index_of_its_own_goes_through_arrow():
    table = pa.Table.from_pandas(pd.DataFrame({"x": [0.5], "y": [1.0]}, index=pd.Index([3.0], name="of")))
    shape = Shape.of(table)
    assert PlainFrames.of(shape) is None


def test_what_is_made_is_the_callers_own():
    made = PlainFrames.of(Shape(pa.schema({"x": pa.float64(), "y": pa.float64()}), {}))
    given_ = {"x": [1.0, 2.0], "y": [3.0, None]}
    frame = made.frame(given_, 2)
    frame["x"] = 0.0
    frame.loc[0, "y"] = -1.0
    assert given_ == {"x": [1.0, 2.0], "y": [3.0, None]}
    again = made.frame(given_, 2)
    assert again["x"].tolist() == [1.0, 2.0]
    assert np.isnan(again["y"][1])
    assert again.columns is not frame.columns or list(again.columns) == ["x", "y"]
