"""Whatever comes as a body is rows, or is refused in a sentence: bounded in time and memory, and nothing else."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlwild.columns import FURTHEST, Column, Columns
from mlwild.serve.requests import Asked, Reader, RefusedError, parsed

SECRET = "s3cr3t"
NOW = 1_790_000_000_000_000
CLOCKED = Columns(
    (
        Column("id", "integer", -(2**63), 2**63 - 1),
        Column("when", "time", zoned=True),
        Column("x", "number"),
        Column("city", "text"),
        Column("vip", "boolean"),
        Column("day", "date", far=FURTHEST),
        Column("bare", "time"),
        Column("tags", "other"),
    ),
    ("y",),
    "when",
    "id",
)
TICKED = Columns((Column("rows", "number"), Column("t", "integer", 0, 2**31)), (), "t", None)
READERS = {"clock": Reader(CLOCKED, 50, lambda: NOW), "ticks": Reader(TICKED, 50, lambda: None)}
NAMES = [*CLOCKED.names, *TICKED.names, "y", "id", "rows", "params", "columns", "data", "index", "__class__", "é", ""]
FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs"]
TYPES = {"number": float, "integer": int, "boolean": bool, "text": str, "time": int, "date": int}

texts = st.one_of(
    st.sampled_from(
        [SECRET, f"/etc/{SECRET}", "2026-01-01", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "\ud800"]
    ),
    st.text(max_size=10).map(lambda it: SECRET + it),
)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**450), 10**450), st.floats(), texts
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda one: st.one_of(st.lists(one, max_size=4), st.dictionaries(st.sampled_from(NAMES), one, max_size=5)),
    max_leaves=12,
)
rows = st.dictionaries(st.sampled_from(NAMES), leaves, max_size=8)
bodies = st.one_of(
    values,
    rows,
    st.fixed_dictionaries({"rows": st.lists(rows, max_size=4)}, optional={"id": leaves}),
    st.dictionaries(st.sampled_from(FORMS), st.one_of(st.lists(rows, max_size=3), values), min_size=1, max_size=2),
    st.fixed_dictionaries(
        {"dataframe_split": st.fixed_dictionaries({"columns": st.lists(st.sampled_from(NAMES)), "data": values})}
    ),
    st.fixed_dictionaries({"inputs": st.dictionaries(st.sampled_from(NAMES), st.one_of(leaves, st.lists(leaves)))}),
)


@st.composite
def near(draw):
    """Return JSON of about the right form, as bytes; in half of the cases some of them are others."""
    text = bytearray(json.dumps(draw(bodies)).encode())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 5]))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(text)


def held(reader, path, body, header=None):
    """Read a body, and hold what comes of it against what is promised."""
    refused = asked = None
    try:
        asked = getattr(reader, path)(body, header)
    except RefusedError as problem:
        refused = problem
    if refused is not None:
        assert 400 <= refused.code < 500
        said = refused.said
        assert said
        assert said.count(". ") <= 1
        assert "\n" not in said
        assert len(said) < 300
        assert SECRET not in said
        return None
    assert isinstance(asked, Asked)
    assert 1 <= asked.n <= reader.most
    assert [len(one) for one in asked.columns] == [asked.n] * len(reader.columns.needed)
    for column, made in zip(reader.columns.needed, asked.columns, strict=True):
        assert all(one is None or type(one) is TYPES[column.kind] for one in made)
    asked.digest("/predict")
    return asked


@pytest.mark.parametrize("path", ["predict", "invocations"])
@settings(max_examples=100, deadline=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(body=st.binary(max_size=300), kind=st.sampled_from(list(READERS)))
@example(body=b"", kind="clock")
@example(body=b"\xef\xbb\xbf{}", kind="clock")
@example(body=b"[" * 100_000, kind="clock")
def test_arbitrary_bytes_are_refused_in_a_sentence(path, body, kind):
    held(READERS[kind], path, body)


@pytest.mark.parametrize("path", ["predict", "invocations"])
@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(body=near(), kind=st.sampled_from(list(READERS)), header=st.one_of(st.none(), st.text(max_size=5)))
def test_what_is_nearly_a_request_is_read_or_refused_in_a_sentence(path, body, kind, header):
    held(READERS[kind], path, body, header)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["predict", "invocations"])
@settings(max_examples=20_000, deadline=2000, suppress_health_check=list(HealthCheck))
@given(body=near(), kind=st.sampled_from(list(READERS)), header=st.one_of(st.none(), st.text(max_size=5)))
def test_twenty_thousand_that_are_nearly_requests(path, body, kind, header):
    held(READERS[kind], path, body, header)


good = st.fixed_dictionaries(
    {"x": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53))},
    optional={
        "id": st.integers(-(2**63), 2**63 - 1),
        "city": st.one_of(st.none(), st.text(st.characters(codec="utf-8"))),
        "vip": st.one_of(st.none(), st.booleans()),
        "day": st.dates().map(str),
        "when": st.datetimes().filter(lambda it: 1700 < it.year < 2026).map(lambda it: it.isoformat() + "Z"),
        "y": leaves.filter(
            lambda it: it == it and abs(it if isinstance(it, int | float) else 0) < 1e300
        ),  # nobody looks at it
    },
)


@settings(max_examples=100, deadline=2000)
@given(st.lists(good, min_size=1, max_size=20))
def test_what_is_a_request_is_read(given_rows):
    asked = READERS["clock"].predict(json.dumps({"rows": given_rows}).encode(), None)
    place = CLOCKED.names.index("x")
    assert asked.columns[place] == [None if one["x"] is None else float(one["x"]) for one in given_rows]


MOST = 1 << 20  # bytes of a body: what a server takes by default
HEAVY = {
    "deep lists": b"[" * MOST,
    "deep objects": b'{"x":' * (MOST // 5),
    "empty objects": b'{"rows":[' + b"{}," * (MOST // 3 - 10) + b"{}]}",
    "lists of lists": b'{"rows":[' + b"[]," * (MOST // 3 - 10) + b"[]]}",
    "digits of a whole number": b'{"x":' + b"9" * (MOST - 10) + b"}",
    "digits of a fraction": b'{"x":0.' + b"1" * (MOST - 10) + b"}",
    "digits before a point": b'{"x":' + b"9" * (MOST - 12) + b".5}",
    "digits of an exponent": b'{"x":1e' + b"9" * (MOST - 10) + b"}",
    "numbers of 400 digits": b'{"rows":[' + b",".join([b"9" * 400] * (MOST // 401 - 1)) + b"]}",
    "escapes": b'{"city":"' + b"\\u00e9" * (MOST // 6 - 4) + b'"}',
    "half escapes": b'{"city":"' + b"\\ud800" * (MOST // 6 - 4) + b'"}',
    "a long time": b'{"when":"' + b"2" * (MOST - 20) + b'"}',
    "a long date": b'{"day":"' + b"2026-01-31T" * (MOST // 11 - 2) + b'"}',
    "a long name": b'{"' + b"n" * (MOST - 10) + b'":1}',
    "many names": b"{" + b",".join(b'"%x":1' % k for k in range(MOST // 10)) + b"}",
    "a split of many columns": b'{"dataframe_split":{"columns":["x"],"data":[' + b"[1]," * (MOST // 4 - 20) + b"[1]]}}",
    "blanks": b" " * MOST,
}


@pytest.mark.parametrize("path", ["predict", "invocations"])
@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
def test_a_body_as_large_as_is_taken_costs_little_time_and_memory(path, body):
    reader = Reader(CLOCKED, 10_000, lambda: NOW)
    # As the server does once it is ready: else what other tests left behind is searched for garbage, again and again.
    gc.collect()
    gc.freeze()
    try:
        began = time.process_time()
        held(reader, path, body)
        assert time.process_time() - began < 1.0  # a plain JSON text of that size takes about 0.02
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("kind", ["empty objects", "lists of lists", "many names", "deep lists"])
def test_a_body_as_large_as_is_taken_needs_no_more_than_a_hundred_times_its_size(kind):
    tracemalloc.start()
    try:
        held(Reader(CLOCKED, 10_000, lambda: NOW), "predict", HEAVY[kind])
        assert tracemalloc.get_traced_memory()[1] < 100 * MOST
    finally:
        tracemalloc.stop()


def test_a_text_that_is_json_is_read_as_json_reads_it():
    text = b'{"a":[1,-2.5,1e3,true,null,"\\u00e9\\n"],"b":{}}'
    assert parsed(text) == json.loads(text)


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        ({"rows": [{"rows": 3, "t": 1}, {"rows": 4, "t": 2}], "id": "mine"}, [3.0, 4.0]),
        ({"rows": 3, "t": 1}, [3.0]),
        ({"rows": None, "t": 1}, [None]),
    ],
)
def test_an_app_whose_column_is_called_rows_takes_many_rows_too(said, rows):
    asked = held(READERS["ticks"], "predict", json.dumps(said).encode())
    assert asked is not None
    assert asked.columns[0] == rows
    assert asked.id == said.get("id", "")


@pytest.mark.parametrize(
    "said",
    [
        {"instances": [[1, 2]]},
        {"inputs": [[1, 2]]},
        {"inputs": [{"rows": 1, "t": 2}, [1, 2]]},
        {"dataframe_split": {"data": [[1, 2]]}},
    ],
)
def test_values_without_names_are_refused_where_the_app_had_its_columns_in_another_order(said):
    body = json.dumps(said).encode()
    asked = held(READERS["ticks"], "invocations", body)
    assert asked is not None
    assert asked.columns[1][0] == 2
    reader = Reader(replace(TICKED, reordered=True), 50, lambda: None)
    with pytest.raises(RefusedError, match="Rows must name their columns"):
        reader.invocations(body, None)
    assert held(reader, "invocations", body) is None
    named = {"dataframe_split": {"columns": ["rows", "t"], "data": [[1, 2]]}}
    assert held(reader, "invocations", json.dumps(named).encode()) is not None
