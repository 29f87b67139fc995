"""The door for tables: every kind of frame says the same, and what is no table of times says so."""

from __future__ import annotations

import builtins
import gzip
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlwild import frames
from mlwild.clock import NEVER, Clock
from mlwild.errors import AppError, DataError, MissingPackageError
from mlwild.events import gather

DAY = 86_400 * 10**9


def _table():
    start = datetime(2020, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "t": pa.array([start + timedelta(hours=h) for h in (5, 1, 3)], pa.timestamp("us", "UTC")),
            "k": pa.array([start + timedelta(hours=h) for h in (9, 9, 9)], pa.timestamp("us", "UTC")),
            "y": pa.array([1.0, None, 0.0]),
            "who": pa.array(["a", "b", None]),
            "n": pa.array([1, 2, 3]),
        }
    )


def _duckdb(table):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("rows", table)
    connection.execute("CREATE TABLE kept AS SELECT * FROM rows")
    return connection.table("kept")


MAKERS = {
    "pandas": lambda table: table.to_pandas(),
    "pandas arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "lazy polars": lambda table: pl.from_arrow(table).lazy(),
    "pyarrow": lambda table: table,
    "chunked pyarrow": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1, 2)]),
    "duckdb": _duckdb,
}


def _eager(**columns):
    return frames.eager(pd.DataFrame(columns), "data")


# -- kinds of frames -----------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
def test_every_kind_of_frame_gives_the_same_events(maker):
    native = MAKERS[maker](_table())
    frame = frames.load(lambda: native, "data", root=None, kind="pandas")
    events = gather(frame, time="t", label="y", known_at="k", delay=None, key="n", entity="who")
    hour = 3_600 * 10**9
    begin = pd.Timestamp("2020-01-01").as_unit("ns").value
    assert events.time.tolist() == [begin + h * hour for h in (1, 3, 5)]
    assert events.known_at.tolist() == [NEVER, begin + 9 * hour, begin + 9 * hour]
    assert events.label[1:].tolist() == [0.0, 1.0]
    assert events.clock.kind == "instant"
    assert events.clock.show(int(events.time[0])) == "2020-01-01 01:00"
    assert events.frame["n"].to_list() == [2, 3, 1]
    assert events.frame["who"].to_list()[::2] == ["b", "a"]


@pytest.mark.parametrize(
    ("maker", "kind"), [("pandas", pd.DataFrame), ("lazy polars", pl.DataFrame), ("duckdb", pa.Table)]
)
def test_frame_keeps_its_kind_and_lazy_ones_are_collected(maker, kind):
    assert isinstance(frames.eager(MAKERS[maker](_table()), "data").to_native(), kind)


@pytest.mark.parametrize("native", [None, [1, 2], {"t": [1]}, np.zeros((2, 2)), pd.Series([1]), "rows", 7])
def test_what_is_no_table_is_refused_with_its_type(native):
    name = type(native).__name__
    with pytest.raises(DataError, match=rf"^data: got {name}, which is not a table\. Return a pandas, Polars or Arrow"):
        frames.load(lambda: native, "data", root=None, kind="pandas")


@pytest.mark.parametrize("native", [pd.DataFrame({"t": []}), pl.DataFrame({"t": []}), pa.table({"t": pa.nulls(0)})])
def test_table_without_a_row_is_refused(native):
    with pytest.raises(DataError, match=r"^data: the table has no row\. Point it at data that hold events"):
        frames.load(lambda: native, "data", root=None, kind="pandas")


@pytest.mark.parametrize("source", [None, 7, ["a.csv"]])
def test_source_that_is_neither_function_nor_path_is_refused(source, tmp_path):
    with pytest.raises(AppError, match=r"^data: .* is neither a function that returns a table nor a path"):
        frames.load(source, "data", root=tmp_path, kind="pandas")


def test_errors_of_the_users_function_pass_through(tmp_path):
    def broken():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        frames.load(broken, "data", root=tmp_path, kind="pandas")


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", frames.KINDS)
@pytest.mark.parametrize("pattern", ["part-*.parquet", "deep/**/*.csv", "one.csv.gz"])
def test_globs_are_read_in_order_of_name(kind, pattern, tmp_path):
    for i in (2, 0, 1):
        part = pa.table({"t": [3 * i, 3 * i + 1, 3 * i + 2], "word": ["a", "b", "c"]})
        pq.write_table(part, tmp_path / f"part-{i}.parquet")
        folder = tmp_path / "deep" / str(i)
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_text("t,word\n" + "".join(f"{3 * i + k},{'abc'[k]}\n" for k in range(3)))
    lines = "t,word\n" + "".join(f"{k},{'abc'[k % 3]}\n" for k in range(9))
    (tmp_path / "one.csv.gz").write_bytes(gzip.compress(lines.encode()))
    for source in (pattern, tmp_path / pattern, str(tmp_path / pattern)):
        frame = frames.load(source, "data", root=tmp_path, kind=kind)
        assert str(frame.implementation) == kind
        assert frame["t"].to_list() == list(range(9))
        assert frame["word"].to_list() == ["a", "b", "c"] * 3


@pytest.mark.parametrize("kind", frames.KINDS)
def test_dates_and_times_of_files_are_times(kind, tmp_path):
    (tmp_path / "days.csv").write_text("day,at\n2020-01-02,2020-01-02 06:00:00\n2020-01-03,2020-01-03 18:30:00\n")
    frame = frames.load("days.csv", "data", root=tmp_path, kind=kind)
    begin = pd.Timestamp("2020-01-02").as_unit("ns").value
    days, clock = frames.times(frame, "day", "time")
    assert (days - begin).tolist() == [0, DAY]
    assert clock == Clock("naive")
    assert (frames.times(frame, "at", "time")[0] - begin).tolist() == [DAY // 4, DAY + DAY * 37 // 48]


def test_files_whose_columns_are_whole_in_one_and_fractions_in_the_next_fit_together(tmp_path):
    (tmp_path / "a.csv").write_text("t,y,z\n1,1,\n")
    (tmp_path / "b.csv").write_text("t,y,z\n2,1.5,7\n")
    frame = frames.load("*.csv", "data", root=tmp_path, kind="pyarrow")
    assert frame["y"].to_list() == [1.0, 1.5]
    assert frame["z"].to_list() == [None, 7]


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_an_empty_text_of_a_csv_file_is_missing_and_na_is_a_text(kind, tmp_path):
    (tmp_path / "a.csv").write_text('t,who,y\n1,,yes\n2,NA,\n3,"",no\n4,ann,yes\n')
    frame = frames.load("a.csv", "data", root=tmp_path, kind=kind)
    assert frame["who"].is_null().to_list() == [True, False, True, False]
    assert frame["who"].to_list()[1] == "NA"
    assert frame["y"].is_null().to_list() == [False, True, False, False]


def test_files_that_do_not_fit_together_say_which_column(tmp_path):
    pq.write_table(pa.table({"t": [1], "y": [True]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"t": [1], "y": [["a"]]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"^data: the files of '.*\*\.parquet' do not fit together: .*y"):
        frames.load("*.parquet", "data", root=tmp_path, kind="pandas")


@pytest.mark.parametrize("pattern", ["missing.parquet", "*.csv", "no/**/folder.csv"])
def test_path_that_matches_nothing_is_told(pattern, tmp_path):
    with pytest.raises(
        DataError, match=r"^data: no file matches '.*(parquet|csv)'\. Check the path; globs are allowed"
    ):
        frames.load(pattern, "data", root=tmp_path, kind="pandas")


@pytest.mark.parametrize("sign", [";", "\t", "|"])
@pytest.mark.parametrize("number", ["1", "1,5"])  # a comma within a number makes the row longer than the header
@pytest.mark.parametrize(("name", "opened"), [("rows.csv", open), ("rows.csv.gz", gzip.open)])
def test_columns_that_are_not_separated_by_commas_are_told(sign, number, name, opened, tmp_path):
    with opened(tmp_path / name, "wt", encoding="utf-8") as file:
        file.write(f"when{sign}x\n2024-01-01{sign}{number}\n")
    with pytest.raises(DataError, match=rf"{name}' has columns separated by '.*', and is read by commas"):
        frames.load(name, "data", root=tmp_path, kind="pandas")


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "rows.xlsx").write_text("t")
    with pytest.raises(AppError, match=r"^data: '.*rows\.xlsx' is neither \.parquet nor \.csv"):
        frames.load("rows.xlsx", "data", root=tmp_path, kind="pandas")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_empty_file_cannot_be_read_and_says_so(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"^data: '.*{name}' cannot be read: "):
        frames.load(name, "data", root=tmp_path, kind="pandas")


def test_file_with_a_header_only_has_no_row(tmp_path):
    (tmp_path / "rows.csv").write_text("t,y\n")
    with pytest.raises(DataError, match=r"^data: the table has no row"):
        frames.load("rows.csv", "data", root=tmp_path, kind="pandas")


def test_file_that_is_no_parquet_cannot_be_read(tmp_path):
    (tmp_path / "rows.parquet").write_text("t,y\n1,2\n")
    with pytest.raises(DataError, match=r"^data: '.*rows\.parquet' cannot be read: .*[Pp]arquet"):
        frames.load("rows.parquet", "data", root=tmp_path, kind="pandas")


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_package_that_is_missing_is_named_with_the_way_out(kind, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] == kind:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    expected = rf"^data: '{kind}' frames are asked for and {kind} is not installed\. Hint: pip install {kind}, or App"
    with pytest.raises(MissingPackageError, match=expected):
        frames.from_arrow(pa.table({"t": [1]}), kind, "data")


def test_kind_that_is_not_known_is_refused():
    with pytest.raises(AppError, match=r"^frame: 'dask' is not one of pandas, polars, pyarrow"):
        frames.from_arrow(pa.table({"t": [1]}), "dask")


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_of_every_unit_are_nanoseconds(unit, zone):
    array = pa.array([0, 1, None, -1], pa.timestamp(unit, zone))
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    for frame in (pa.table({"t": array}), pl.from_arrow(pa.table({"t": array})), pa.table({"t": array}).to_pandas()):
        times, clock = frames.times(frames.eager(frame, "data"), "t", "time")
        assert times.tolist() == [0, scale, NEVER, -scale]
        assert clock == (Clock("instant", zone) if zone else Clock("naive"))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 20_000, None], pa.date32()),
        pa.array([0, 20_000 * 86_400_000, None], pa.date64()),
    ],
    ids=["date32", "date64"],
)
def test_dates_are_midnights_without_a_zone(column):
    for frame in (pa.table({"t": column}), pl.from_arrow(pa.table({"t": column})), pa.table({"t": column}).to_pandas()):
        times, clock = frames.times(frames.eager(frame, "data"), "t", "time")
        assert times.tolist() == [0, 20_000 * DAY, NEVER]
        assert clock == Clock("naive")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([3, 1, 2]), [3, 1, 2]),
        (pd.Series([3, 1, 2], dtype="int8"), [3, 1, 2]),
        (pd.Series([3, None, 2], dtype="Int64"), [3, NEVER, 2]),
        (pd.Series([3, None, 2], dtype=object), [3, NEVER, 2]),
        (pd.Series([3, 1, 3], dtype="category"), [3, 1, 3]),
    ],
)
def test_integers_are_ticks(column, expected):
    times, clock = frames.times(_eager(t=column), "t", "time")
    assert times.tolist() == expected
    assert times.dtype == np.int64
    assert clock == Clock("tick")


def test_categories_of_times_are_times():
    days = pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02"])
    times, clock = frames.times(_eager(t=pd.Categorical(days)), "t", "time")
    assert times.tolist() == days.as_unit("ns").asi8.tolist()
    assert clock == Clock("naive")


@pytest.mark.parametrize(
    ("values", "clock"),
    [
        ([date(2020, 1, 1), None], Clock("naive")),
        ([pd.Timestamp("2020-01-01"), pd.NaT], Clock("naive")),
        ([datetime(2020, 1, 1, tzinfo=UTC), None], Clock("instant", "UTC")),
    ],
)
def test_pandas_objects_of_one_kind_are_read(values, clock):
    times, found = frames.times(_eager(t=pd.Series(values, dtype=object)), "t", "time")
    assert times.tolist() == [pd.Timestamp("2020-01-01").as_unit("ns").value, NEVER]
    assert found == clock


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=1)))],
            r"UTC.*UTC\+01",
        ),
        ([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC")], r"Timestamp.*UTC"),
        ([date(2020, 1, 1), 7], "date.*int"),
        ([date(2020, 1, 1), "2020-01-02"], "date.*str"),
        ([object(), object()], "object"),
    ],
)
def test_objects_of_several_zones_or_types_are_refused_with_them(values, words):
    with pytest.raises(DataError, match=rf"^time: column 't' mixes time zones or types \(.*{words}.*\)\. Convert it"):
        frames.times(_eager(t=pd.Series(values, dtype=object)), "t", "time")


@pytest.mark.parametrize(
    "native",
    [
        pd.DataFrame({"t": ["2020-01-01", None]}),
        pd.DataFrame({"t": pd.Series(["2020-01-01", None], dtype=object)}),
        pd.DataFrame({"t": pd.Categorical(["2020-01-01", "2020-01-02"])}),
        pl.DataFrame({"t": ["2020-01-01", None]}),
        pa.table({"t": ["2020-01-01", None]}),
        pa.table({"t": pa.array(["2020-01-01"], pa.large_string())}),
        pa.table({"t": pa.array(["2020-01-01"], pa.string_view())}),
    ],
)
def test_text_is_not_guessed_to_be_times(native):
    with pytest.raises(
        DataError, match=r"^time: column 't' holds text \('2020-01-01'\), not times\. Parse it in `data`"
    ):
        frames.times(frames.eager(native, "data"), "t", "time")


@pytest.mark.parametrize(
    ("column", "word"),
    [([1.0, 2.0], "double"), ([True, False], "bool"), (pd.to_timedelta([1, 2], unit="s"), r"duration\[\w+\]")],
)
def test_columns_that_hold_no_times_are_refused_with_what_they_hold(column, word):
    with pytest.raises(DataError, match=rf"^time: column 't' holds {word}, not times\. Give dates, datetimes or int"):
        frames.times(_eager(t=column), "t", "time")


def test_column_of_which_every_value_is_missing_is_refused():
    for native in (pd.DataFrame({"t": [None, None]}), pa.table({"t": pa.nulls(2)}), pl.DataFrame({"t": [None, None]})):
        with pytest.raises(DataError, match=r"^time: column 't' is empty: every value is missing"):
            frames.times(frames.eager(native, "data"), "t", "time")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(9999, 12, 31)]),
        pa.array([datetime(9999, 12, 31, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        pa.array([2**64 - 1], pa.uint64()),
    ],
    ids=["date", "time", "tick"],
)
def test_time_beyond_what_nanoseconds_can_say_is_refused(column):
    with pytest.raises(DataError, match=r"^time: column 't' has a time out of range: "):
        frames.times(frames.eager(pa.table({"t": column}), "data"), "t", "time")


def test_column_that_does_not_exist_is_named_with_the_first_that_do():
    many = _eager(**{f"c{i}": [1] for i in range(20)})
    with pytest.raises(DataError, match=r"^time: the table has no column 't'\. It has c0, .*, c11, \.\.\.\."):
        frames.times(many, "t", "time")


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "data", "missing"),
    [
        (pa.array([1, 2, 3]), [1, 2, 3], [False] * 3),
        (pa.array([1.0, None, float("nan")]), [1.0, None, None], [False, True, True]),
        (pa.array([True, None, False]), [True, None, False], [False, True, False]),
        (pa.array(["a", None, ""]), ["a", None, ""], [False, True, False]),
        (pa.array(["a", None, "b"]).dictionary_encode(), ["a", None, "b"], [False, True, False]),
        (pa.array([date(2020, 1, 1), None]), [date(2020, 1, 1), None], [False, True]),
    ],
)
def test_values_come_with_where_they_are_missing(column, data, missing):
    found, gaps = frames.values(frames.eager(pa.table({"x": column}), "data"), "x", "label")
    assert gaps.tolist() == missing
    assert [value for value, gap in zip(found.tolist(), gaps, strict=True) if not gap] == [
        value for value, gap in zip(data, missing, strict=True) if not gap
    ]


@pytest.mark.parametrize("maker", ["pandas", "polars", "pyarrow"])
def test_rows_are_taken_by_position_or_mask_with_a_fresh_index(maker):
    frame = frames.eager(MAKERS[maker](_table()), "data")
    for rows in (np.array([2, 0]), np.array([True, False, True])):
        taken = frames.take(frame, rows)
        assert sorted(taken["n"].to_list()) == [1, 3]
    assert frames.take(frame, np.array([2, 0, 2]))["n"].to_list() == [3, 1, 3]
    if maker == "pandas":
        assert taken.to_native().index.tolist() == [0, 1]


@pytest.mark.parametrize("maker", ["pandas", "polars", "pyarrow"])
def test_rows_are_picked_and_minus_one_gives_missing_values(maker):
    picked = frames.pick(frames.eager(MAKERS[maker](_table()), "data"), np.array([1, -1, 0]))
    assert str(picked.implementation) == maker
    table = picked.to_arrow()
    assert table["n"].to_pylist() == [2, None, 1]
    assert table["who"].to_pylist() == ["b", None, "a"]
    assert table["y"].to_pylist() == [None, None, 1.0]


@pytest.mark.parametrize("maker", ["pandas", "polars", "pyarrow"])
def test_cells_are_blanked_in_the_columns_named_and_no_other(maker):
    frame = frames.eager(MAKERS[maker](_table()), "data")
    table = frames.blank(frame, ["n", "who", "k"], np.array([True, False, False])).to_arrow()
    assert table["n"].to_pylist() == [None, 2, 3]
    assert table["who"].to_pylist() == [None, "b", None]
    assert [value is None for value in table["k"].to_pylist()] == [True, False, False]
    assert [value is None for value in table["t"].to_pylist()] == [False] * 3


# -- to and from Arrow ---------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
def test_features_become_an_arrow_table_and_their_kind_is_named(maker):
    table, kind = frames.to_arrow(MAKERS[maker](_table()), "features")
    expected = {"pandas arrow": "pandas", "lazy polars": "polars", "chunked pyarrow": "pyarrow", "duckdb": "pyarrow"}
    assert kind == expected.get(maker, maker)
    assert table["n"].to_pylist() == [1, 2, 3]


def test_array_of_features_becomes_columns_and_comes_back():
    array = np.arange(6.0).reshape(3, 2)
    table, kind = frames.to_arrow(array, "features")
    assert (table.column_names, kind) == (["x0", "x1"], "numpy")
    assert np.array_equal(frames.from_arrow(table, "numpy"), array)
    with pytest.raises(DataError, match=r"^features: returned an array of shape \(3,\); need \(rows, columns\)"):
        frames.to_arrow(np.arange(3), "features")


def test_features_of_mixed_objects_are_refused():
    with pytest.raises(DataError, match=r"^features: a column holds values of mixed kinds: "):
        frames.to_arrow(pd.DataFrame({"x": pd.Series([1, "a"], dtype=object)}), "features")


def test_features_that_are_no_table_are_refused():
    with pytest.raises(DataError, match=r"^features: got list, which is not a table"):
        frames.to_arrow([[1, 2]], "features")


def test_frame_passes_through_as_a_narwhals_frame():
    assert isinstance(frames.eager(pd.DataFrame({"t": [1]}), "data"), nw.DataFrame)


def test_whole_numbers_with_gaps_are_the_integers_that_pandas_could_not_hold():
    made = frames.eager(
        pd.DataFrame({"t": [3.0, np.nan, 5.0], "half": [3.0, np.nan, 5.5], "full": [1.0, 2.0, 3.0]}), "data"
    )
    times, clock = frames.times(made, "t", "known_at")
    assert times.tolist() == [3, NEVER, 5]
    assert clock.kind == "tick"
    for name in ("half", "full"):
        with pytest.raises(DataError, match="holds double, not times"):
            frames.times(made, name, "known_at")


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": [1]}), path)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pyarrow.parquet.read_table", refused)
    with pytest.raises(DataError, match=r"^data: '.*rows\.parquet' cannot be read: .*Permission denied"):
        frames.load("rows.parquet", "data", root=tmp_path, kind="pandas")


@pytest.mark.parametrize("kind", ["Int64", "boolean", "UInt8"])
def test_a_nullable_column_of_pandas_that_holds_fractions_by_now_is_one_of_fractions(kind):
    first = pd.DataFrame({"n": pd.array([1, 0, None], dtype=kind), "x": [0.5, 1.5, 2.5]}, index=[4, 5, 6])
    table, name = frames.to_arrow(first, "features")
    assert frames.from_arrow(table, name)["n"].dtype == kind
    back = frames.from_arrow(table.set_column(0, "n", pa.array([1.25, 0.0, None])), name)
    assert back["n"].dtype == "Float64"
    assert back["n"][:2].tolist() == [1.25, 0.0]
    assert back["n"].isna().tolist() == [False, False, True]
    assert back["x"].tolist() == first["x"].tolist()


@pytest.mark.parametrize("folder", ["old [1]", "a*", "what?"])
def test_the_folder_of_an_app_is_no_pattern(tmp_path, folder):
    root = tmp_path / folder
    (root / "parts").mkdir(parents=True)
    (root / "parts" / "a.csv").write_text("x\n1\n")
    (root / "parts" / "b.csv").write_text("x\n2\n")
    for source in ("parts/*.csv", Path("parts/*.csv"), "parts/[ab].csv", "**/*.csv"):
        assert frames.load(source, "data", root=root, kind="pandas")["x"].to_list() == [1, 2]
    with pytest.raises(DataError, match=r"no file matches .*none\.csv"):
        frames.load("none.csv", "data", root=root, kind="pandas")


@pytest.mark.parametrize("known", [False, True])
def test_periods_of_pandas_in_a_file_are_no_whole_numbers(tmp_path, known):
    rows = pd.DataFrame({"day": pd.period_range("2026-01-01", periods=3, freq="D"), "x": [1, 2, 3]})
    rows.to_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys; from pathlib import Path; from mlwild import frames; from mlwild.errors import DataError\n"
        f"if {known}:\n    import pandas; pandas.read_parquet('rows.parquet')\n"
        "try:\n    print(frames.times(frames.load('rows.parquet', 'data', root=Path(), kind='polars'), 'day', 'time'))\n"
        "except DataError as problem:\n    print(problem)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "rows.parquet': column 'day' holds periods of pandas" in said
    with pytest.raises(DataError, match="holds extension"):  # pandas itself takes them for what they are
        frames.times(frames.load("rows.parquet", "data", root=tmp_path, kind="pandas"), "day", "time")
