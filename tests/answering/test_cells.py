"""Cells of files and frames: read as a request reads them, or missing with a reason."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.answering.batch.cells import each, of_arrow, of_decimal, of_texts
from mlwild.answering.shapes import Shape
from mlwild.columns import Column, WrongValueError, learned
from mlwild.frames import from_arrow, to_arrow

NUMBER, WHOLE = Column("x", "number"), Column("n", "integer", -128, 127)
TRUTH, TEXT = Column("v", "boolean"), Column("t", "text")
ZONED, PLAIN, DAY = Column("at", "time", zoned=True), Column("at", "time"), Column("d", "date")


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        (NUMBER, "1e3", 1000.0),
        (NUMBER, " 2 ", 2.0),
        (WHOLE, "-7", -7),
        (WHOLE, "7.0", 7),
        (TRUTH, "True", True),
        (TRUTH, "0", False),
        (TRUTH, "1.0", True),
        (TRUTH, "0.0", False),
        (TEXT, "NA", "NA"),
        (ZONED, "1970-01-01 00:00:01+00:00", 1_000_000),
        (ZONED, "1970-01-01T01:00:00.000001+01:00", 1),
        (PLAIN, "1970-01-02", 86_400_000_000),
        (DAY, "1970-01-03", 2),
        *[(one, "", None) for one in (NUMBER, WHOLE, TRUTH, TEXT, ZONED, PLAIN, DAY)],
        *[(one, "NaN", None) for one in (NUMBER, WHOLE, TRUTH, ZONED, PLAIN, DAY)],
    ],
)
def test_a_text_is_read_as_what_its_column_holds(column, text, value):
    assert of_texts(column, [text]) == ([value], {})


@pytest.mark.parametrize(
    ("column", "text", "need"),
    [
        (NUMBER, "high", "a number"),
        (NUMBER, "inf", "a number"),
        (NUMBER, "1_0", "a number"),
        (NUMBER, "1,5", "a number"),
        (WHOLE, "128", "a whole number of -128 to 127"),
        (WHOLE, "-129", "a whole number of -128 to 127"),
        (WHOLE, "9" * 5000, "a whole number"),
        (TRUTH, "2", "true or false"),
        (ZONED, "2026-01-01T00:00:00", "with its zone"),
        (PLAIN, "2026-01-01T00:00:00Z", "without a zone"),
        (PLAIN, "2300-01-01T00:00:00", "between 1678 and 2262"),
        (DAY, "01/02/2026", "a date"),
    ],
)
def test_what_cannot_be_read_is_missing_and_told_and_its_neighbours_are_read(column, text, need):
    values, wrong = of_texts(column, ["", text, ""])
    assert values == [None, None, None]
    assert list(wrong) == [1]
    assert need in wrong[1]


@pytest.mark.parametrize("text", ["1.5", "two"])
def test_a_range_is_told_of_what_lies_outside_of_it_alone(text):
    assert of_texts(WHOLE, [text]) == ([None], {0: "needs a whole number"})


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.floats().map(repr), st.integers().map(str)), max_size=8))
@settings(max_examples=150, deadline=None)
def test_whatever_the_texts_every_cell_is_a_value_or_a_gap_with_a_reason(texts):
    for column in (NUMBER, WHOLE, TRUTH, TEXT, ZONED, PLAIN, DAY, Column("o", "other")):
        values, wrong = of_texts(column, texts)
        assert len(values) == len(texts)
        for row, value in enumerate(values):
            assert value is None or row not in wrong
            if value is not None:
                # What was read is what a request with that value would have given.
                plain = column.kind in ("number", "integer", "boolean", "text")
                assert not plain or column.read(json.loads(json.dumps(value))) == value


ZONE = dt.UTC
STAMP = pa.timestamp("us")
INSTANT = dt.datetime(2026, 1, 31, 12, 0, 0, 7, tzinfo=ZONE)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times_are_those_of_their_texts(unit):
    values = [INSTANT.replace(microsecond=0), None, dt.datetime(1969, 12, 31, tzinfo=ZONE)]
    typed = of_arrow(ZONED, pa.array(values, pa.timestamp(unit, "Europe/Oslo")))
    assert typed == of_texts(ZONED, [None if one is None else one.isoformat() for one in values])
    assert typed[1] == {}


@pytest.mark.parametrize(
    ("column", "array", "values", "wrong"),
    [
        (NUMBER, pa.array([1.5, float("nan"), None, float("inf")]), [1.5, None, None, None], {3}),
        (NUMBER, pa.array([1, 2], pa.int8()), [1.0, 2.0], set()),
        (NUMBER, pa.array(["1.5"]), [None], {0}),
        (NUMBER, pa.array([True]), [None], {0}),
        (WHOLE, pa.array([1.0, 1.5, float("nan")]), [1, None, None], {1}),
        (WHOLE, pa.array([1, 300]), [1, None], {1}),
        (TEXT, pa.array(["a", None, "b"]).dictionary_encode(), ["a", None, "b"], set()),
        (TEXT, pa.array([1]), [None], {0}),
        (TRUTH, pa.array([True, None]), [True, None], set()),
        (DAY, pa.array([dt.date(1970, 1, 2)]), [1], set()),
        (DAY, pa.array(["1970-01-02"]).cast(STAMP), [1], set()),
        (DAY, pa.array(["1970-01-02 01:00:00"]).cast(STAMP), [None], {0}),
        (PLAIN, pa.array([dt.date(1970, 1, 2)]), [86_400_000_000], set()),
        (ZONED, pa.array(["2026-01-01"]).cast(STAMP), [None], {0}),
        (ZONED, pa.nulls(2), [None, None], set()),
        (PLAIN, pa.array([5]), [None], {0}),
    ],
)
def test_typed_columns_are_read_or_told(column, array, values, wrong):
    found = of_arrow(column, pa.chunked_array([array]))
    assert found[0] == values
    assert set(found[1]) == wrong


@pytest.mark.parametrize("column", [PLAIN, DAY], ids=["time", "date"])
@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.date32()], ids=str)
def test_times_that_no_table_holds_are_missing(column, kind):
    far = 2**62 // 86_400 * 86_400 if kind == pa.timestamp("s") else 2**31 - 1
    values, wrong = of_arrow(
        column, pa.array([far, 0, -far], pa.int64()).cast(pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    )
    assert values == [None, 0, None]
    assert all("between 1678 and 2262" in wrong[row] for row in (0, 2))


@pytest.mark.parametrize("frame", ["pandas", "polars", "pyarrow"])
def test_a_time_or_date_without_end_is_read_as_the_history_holds_it(frame):
    us = pa.timestamp("us")
    schema = pa.schema({"when": us, "until": us, "day": pa.date32(), "fine": pa.timestamp("ns"), "x": pa.float64()})
    columns = {one.name: one for one in learned(schema, hidden=(), time="when", key=None).needed}
    end = dt.datetime.fromisoformat("9999-12-31T23:59:59")
    micros, days = columns["until"].read(end.isoformat()), columns["day"].read("9999-12-31")
    assert of_arrow(columns["until"], pa.array([end], us)) == ([micros], {})
    assert of_arrow(columns["day"], pa.array([end.date()])) == ([days], {})
    shape = Shape.of(schema.empty_table())
    made = from_arrow(shape.table({"until": [micros], "day": [days]}, 1), frame)
    found = to_arrow(made, "data")[0]
    assert found.column("until")[0].as_py() == end
    assert str(found.column("day")[0].as_py())[:10] == "9999-12-31"
    # Events are counted in nanoseconds, and so are columns that hold them.
    for name in ("when", "fine"):
        with pytest.raises(WrongValueError, match="needs a time between 1678 and 2262"):
            columns[name].read(end.isoformat())
    [day] = learned(pa.schema({"day": pa.date32()}), hidden=(), time="day", key=None).needed
    with pytest.raises(WrongValueError, match="needs a date between 1678 and 2262"):
        day.read("9999-12-31")
    with pytest.raises(pa.ArrowInvalid):
        shape.table({"fine": [micros]}, 1)


def test_nanoseconds_are_cut_as_a_text_would_be():
    counted = np.array([1_999, -1], dtype="datetime64[ns]")
    assert of_arrow(PLAIN, pa.array(counted)) == ([1, -1], {})


def test_values_of_json_are_read_as_a_request_reads_them():
    assert each(NUMBER, [1, float("nan"), "1", None]) == ([1.0, None, None, None], {2: "needs a number"})


@pytest.mark.parametrize(
    "array",
    [
        pa.array([0, 10**8, None], pa.int32()).cast(pa.date32()),
        pa.array([0, 2**60, None], pa.duration("s")),
        pa.array([0, 1, None], pa.time64("ns")),
        pa.array([[0], [10**8], None], pa.list_(pa.date32())),
    ],
    ids=["date", "span", "time of day", "list"],
)
@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "text", "time"])
def test_what_python_cannot_hold_is_a_cell_that_cannot_be_read(kind, array):
    values, wrong = of_arrow(Column("x", kind, -9, 9, zoned=True), array)
    assert (values, sorted(wrong)) == ([None] * 3, [0, 1])


WHOLES = [Decimal(7), Decimal("7.0"), Decimal(9007199254740993), None, Decimal("0.5"), Decimal(10) ** 30]


def test_a_decimal_is_a_number_whole_or_not_as_databases_write_them():
    wide = Column("n", "integer", -(2**63), 2**63 - 1)
    array = pa.array(WHOLES, pa.decimal128(38, 6))
    values, wrong = of_arrow(wide, array)
    assert (values, sorted(wrong)) == ([7, 7, 9007199254740993, None, None, None], [4, 5])
    assert of_arrow(NUMBER, array) == ([7.0, 7.0, 9007199254740992.0, None, 0.5, 1e30], {})
    assert sorted(of_arrow(TEXT, array)[1]) == [0, 1, 2, 4, 5]


def test_a_decimal_is_what_json_would_have_given():
    assert [of_decimal(Decimal(one)) for one in ("3", "-0.25", "1e3", "1e-400")] == [3, -0.25, 1000, 0.0]
    assert [repr(of_decimal(Decimal(one))) for one in ("NaN", "sNaN", "-Infinity", "1e999999")] == [
        "nan",
        "nan",
        "-inf",
        "inf",
    ]
