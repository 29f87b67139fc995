"""Files that are added once, corrected aloud, and refused whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlwild import frames
from mlwild.errors import AppError, DataError
from mlwild.warehouse import StoredTable, add, describe, differences, tables

WORDS = {"key": "id", "time": "at"}


def orders(first=0, last=100, **changes):
    """Return orders with all kinds of columns."""
    number = np.arange(first, last)
    frame = pd.DataFrame(
        {
            "id": number,
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(number, unit="h"),
            "price": number * 1.5,
            "kind": np.where(number % 2 == 0, "a", None),
            "paid": number % 3 == 0,
        }
    )
    return frame.assign(**changes)


def everything(folder):
    """Return all bytes of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_file_twice_adds_nothing(tmp_path):
    home, file = tmp_path / "home", tmp_path / "orders.parquet"
    orders().to_parquet(file)
    first = add("orders", file, **WORDS, warehouse=home)
    before = everything(home)
    again = add("orders", file, warehouse=home)
    assert (first.new, again.new, again.same) == (100, 0, 100)
    assert everything(home) == before
    assert "nothing was added" in again.said


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas", "polars", "pyarrow", "csv.gz"])
def test_the_same_rows_are_the_same_from_any_file(kind, tmp_path):
    home = tmp_path / "home"
    add("orders", orders(), **WORDS, warehouse=home)
    rows = orders(50, 150)
    made = {"pandas": rows, "polars": pl.from_pandas(rows), "pyarrow": pa.Table.from_pandas(rows)}.get(kind)
    if made is None:
        made = tmp_path / f"more.{kind}"
        rows.to_parquet(made) if kind == "parquet" else rows.to_csv(made, index=False)
    found = add("orders", made, warehouse=home)
    assert (found.new, found.same) == (50, 50)
    read = StoredTable(home / "orders").read().to_pandas()
    pd.testing.assert_frame_equal(read, orders(0, 150).astype({"at": "datetime64[us]"}), check_dtype=False)


def test_words_of_a_csv_are_what_they_say_and_only_an_empty_one_is_missing(tmp_path):
    file = tmp_path / "one.csv"
    file.write_text(
        "id,at,country,price\n1,2026-01-01,NA,1.5\n2,2026-01-02,,NA\n3,2026-01-03,null,\n5,2026-01-05,DE,\n"
    )
    add("t", file, key="id", time="at", warehouse=tmp_path)
    file.write_text("id,at,country,price\n4,2026-01-04,NA,2\n")
    add("t", file, warehouse=tmp_path)
    read = StoredTable(tmp_path / "t").read().to_pydict()
    assert read["country"] == ["NA", None, "null", "NA", "DE"]
    assert read["price"] == [1.5, None, None, 2.0, None]


def test_periods_of_pandas_are_not_kept_as_whole_numbers(tmp_path):
    orders().assign(at=orders()["at"].dt.to_period("h")).to_parquet(tmp_path / "one.parquet")
    with pytest.raises(DataError, match="one.parquet: column 'at' holds periods of pandas"):
        add("orders", tmp_path / "one.parquet", **WORDS, warehouse=tmp_path)
    assert tables(tmp_path) == []


def test_texts_of_several_lines_are_read_whole_and_what_is_no_utf_8_is_told(tmp_path):
    n = 50_000  # more than is read at a time
    rows = pd.DataFrame({"id": range(n), "at": range(n), "note": [f"one,\n{'x' * (k % 50)}" for k in range(n)]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    read = frames.load("rows.csv", "data", root=tmp_path, kind="pandas")
    assert read["note"].to_list() == rows["note"].to_list()
    assert add("t", tmp_path / "rows.csv", key="id", time="at", warehouse=tmp_path).new == n
    assert StoredTable(tmp_path / "t").read(["note"]).column(0).to_pylist() == rows["note"].to_list()
    for place in (0, n - 1):  # at the beginning, and where it is seen late
        other = rows.assign(note=np.where(rows["id"] == place, "Zürich", "Bern"))
        other.to_csv(tmp_path / "other.csv", index=False, encoding="latin1")
        with pytest.raises(DataError, match=r"other.csv' holds no UTF-8 in column 'note'\. Write it as UTF-8"):
            frames.load("other.csv", "data", root=tmp_path, kind="pandas")
        with pytest.raises(DataError, match=r"other.csv holds no UTF-8 in column 'note'\. Write it as UTF-8"):
            add("other", tmp_path / "other.csv", key="id", time="at", warehouse=tmp_path)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_that_would_lose_their_nanoseconds_are_told_with_what_to_do(tmp_path, zone):
    when = pd.Series(pd.date_range("2026-01-01", periods=3, tz=zone)).dt.as_unit("ns") + pd.Timedelta(1, "ns")
    rows = pd.DataFrame({"id": range(3), "at": when})
    with pytest.raises(DataError, match=r"'at' of a table has times of parts of a microsecond .* \.dt\.floor"):
        add("t", rows, key="id", time="at", warehouse=tmp_path)
    assert add("t", rows.assign(at=when.dt.floor("us")), key="id", time="at", warehouse=tmp_path).new == 3


def test_columns_of_a_csv_are_what_all_of_its_rows_fit(tmp_path):
    n = 100_000  # more than is read at a time
    rows = pd.DataFrame({"id": range(n), "at": pd.date_range("2026-01-01", periods=n, freq="min")})
    rows["whole"], rows["late"] = rows["id"].astype(object), None
    rows.loc[n - 1, ["whole", "late"]] = 1.5, "word"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert add("t", tmp_path / "rows.csv", key="id", time="at", warehouse=tmp_path).new == n
    read = StoredTable(tmp_path / "t").read()
    assert (read["whole"][0].as_py(), read["whole"][n - 1].as_py()) == (0.0, 1.5)
    assert (read["late"].null_count, read["late"][n - 1].as_py()) == (n - 1, "word")


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2026-03-29", periods=6, freq="1h", tz="Europe/Paris"),
        pd.date_range("2026-03-29", periods=6, freq="1h", tz="UTC"),
        pd.date_range("2026-03-29", periods=6, freq="1D"),
        pd.Series(pd.date_range("2026-03-29", periods=6)).dt.date,
        np.arange(6),
    ],
    ids=["zone", "UTC", "naive", "dates", "ticks"],
)
def test_times_come_back_as_they_were(times, tmp_path):
    rows = pa.Table.from_pandas(pd.DataFrame({"id": range(6), "at": times}))
    add("t", rows, **WORDS, warehouse=tmp_path)
    read = StoredTable(tmp_path / "t").read()
    kept = rows.schema.field("at").type
    kept = pa.timestamp("us", kept.tz) if pa.types.is_timestamp(kept) else kept
    assert read.schema.field("at").type == kept
    assert read.column("at").to_pylist() == rows.column("at").cast(kept).to_pylist()


def test_a_contradiction_is_told_and_nothing_is_added(tmp_path):
    add("orders", orders(), **WORDS, warehouse=tmp_path)
    before = everything(tmp_path)
    wrong = orders(90, 120)
    wrong.loc[5, "price"] = 7.0
    with pytest.raises(
        DataError, match=r"1 row contradicts one that is there: id=95 has price=7\.0, and 142\.5 before"
    ):
        add("orders", wrong, warehouse=tmp_path)
    assert everything(tmp_path) == before
    made = add("orders", wrong, correct=True, warehouse=tmp_path)
    assert (made.new, made.corrected, made.same) == (20, 1, 9)
    table = StoredTable(tmp_path / "orders")
    price = dict(zip(*(table.read([name]).column(0).to_pylist() for name in ("id", "price")), strict=True))
    assert (price[95], price[94], len(price)) == (7.0, 141.0, 120)
    old = table.read(["price"], version=1).column(0).to_pylist()
    assert old == orders()["price"].tolist()
    found = differences(table, 1, 2)
    assert (found.added, found.corrected, found.columns) == (20, 1, {"price": 1})
    assert found.examples == ({"id": 95, "column": "price", "old": 142.5, "new": 7.0},)
    assert differences(table, 2, 1) == found  # rows are only ever added
    # To put it back is a correction too; both are kept.
    assert add("orders", orders(95, 96), correct=True, warehouse=tmp_path).corrected == 1
    assert table.__class__(table.folder).read(["price"]).column(0).to_pylist()[95] == 142.5


CASES = {
    "no key": (
        orders(100, 110).assign(id=pd.array([*range(100, 109), None], "Int64")),
        {},
        r"key 'id' is missing in row 9",
    ),
    "no time": (orders(100, 110).assign(at=pd.NaT), {}, r"'at' is missing in row 0"),
    "twice": (orders(100, 110).assign(id=[*range(100, 109), 100]), {}, r"key 'id' is the same in rows 0 and 9"),
    "column gone": (orders(100, 110).drop(columns="kind"), {}, "has no column 'kind'"),
    "column more": (orders(100, 110, more=1), {}, "has a column 'more' that the table has not.*--new-columns"),
    "text": (orders(100, 110, price="dear"), {}, r"column 'price' of a table holds .*string.* the table has double"),
    "zone": (
        orders(100, 110).assign(at=lambda rows: rows["at"].dt.tz_localize("UTC")),
        {},
        "column 'at' of a table holds",
    ),
    "no row": (orders(100, 100), {}, "has no row"),
    "own name": (orders(100, 110, _key=1), {"new_columns": True}, "'_key' has a name that stored tables use"),
    "other key": (orders(100, 110), {"key": "price"}, "key: 'orders' has 'id', and a table's key cannot be changed"),
    "other known": (orders(100, 110), {"known": "then"}, "known: 'then' is neither 'time', 'now' nor a column"),
    "unit": (orders(100, 110), {"units": {"prise": "EUR"}}, "unit: 'orders' has no column 'prise'"),
}


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_what_does_not_fit_is_refused_with_its_row_and_nothing_is_added(case, tmp_path):
    rows, words, said = CASES[case]
    add("orders", orders(), **WORDS, warehouse=tmp_path)
    before = everything(tmp_path)
    with pytest.raises((AppError, DataError), match=said):
        add("orders", rows, **words, warehouse=tmp_path)
    assert everything(tmp_path) == before


def test_a_key_that_is_not_a_number_is_missing_and_clocks_do_not_mix(tmp_path):
    nan = pa.table({"id": [1.0, float("nan")], "at": [1, 2]})
    with pytest.raises(DataError, match="key 'id' is missing in row 1"):
        add("t", nan, key="id", time="at", warehouse=tmp_path)
    mixed = pa.table(
        {"id": [1], "at": pa.array([1], pa.timestamp("us", "UTC")), "then": pa.array([1], pa.timestamp("us"))}
    )
    with pytest.raises(DataError, match="'then' and 'at' are of different kinds"):
        add("t", mixed, key="id", time="at", known="then", warehouse=tmp_path)
    assert tables(tmp_path) == []
    assert "1 row added" in add("t", pa.table({"id": [1], "at": [1]}), key="id", time="at", warehouse=tmp_path).said


def test_a_file_that_is_cut_or_empty_or_absent_leaves_no_trace(tmp_path):
    home, whole, cut = tmp_path / "home", tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    orders().to_parquet(whole)
    cut.write_bytes(whole.read_bytes()[:-200])
    (tmp_path / "empty.csv").touch()
    (tmp_path / "ragged.csv").write_text("id,at\n1,2026-01-01\n2,2026-01-02,5\n")
    (tmp_path / "signs.csv").write_text("id;at\n1;2026-01-01\n")
    (tmp_path / "commas.csv").write_text("id;at;x\n1;2026-01-01;1,5\n")
    (tmp_path / "text.txt").write_text("x")
    for name, said in (
        ("cut.parquet", "cannot be read whole"),
        ("empty.csv", "is empty"),
        ("ragged.csv", "cannot be read whole"),
        ("signs.csv", "signs.csv has columns separated by ';', and is read by commas. Write it with commas"),
        ("commas.csv", "commas.csv has columns separated by ';'"),
        ("text.txt", "neither .parquet nor .csv"),
        ("none.csv", "there is no file"),
    ):
        with pytest.raises(DataError, match=said):
            add("orders", tmp_path / name, **WORDS, warehouse=home)
    with pytest.raises(AppError, match="key: 'orders' is a new table: name the column"):
        add("orders", whole, warehouse=home)
    with pytest.raises(DataError, match="time 'when' is no column"):
        add("orders", whole, key="id", time="when", warehouse=home)
    with pytest.raises(AppError, match="must be letters"):
        add("../orders", whole, **WORDS, warehouse=home)
    assert not everything(home)
    assert tables(home) == []


def test_new_columns_are_empty_in_earlier_rows(tmp_path):
    add("orders", orders(0, 3), **WORDS, warehouse=tmp_path)
    add("orders", orders(3, 5, tip=2.0), new_columns=True, warehouse=tmp_path)
    read = StoredTable(tmp_path / "orders").read()
    assert read.column("tip").to_pylist() == [None, None, None, 2.0, 2.0]
    add("orders", orders(5, 6, tip=None), warehouse=tmp_path)


def test_whole_numbers_fit_where_there_are_fractions(tmp_path):
    add("orders", orders(0, 3), **WORDS, warehouse=tmp_path)
    add("orders", orders(3, 5).assign(price=[4, 6]), warehouse=tmp_path)
    assert StoredTable(tmp_path / "orders").read(["price"]).column(0).to_pylist() == [0.0, 1.5, 3.0, 4.0, 6.0]


def test_a_file_larger_than_a_batch_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr("mlwild.warehouse.incoming.CHUNK", 7)
    file = tmp_path / "orders.parquet"
    orders().to_parquet(file)
    add("orders", file, **WORDS, warehouse=tmp_path / "home")
    add("orders", orders(95, 130), warehouse=tmp_path / "home")
    assert StoredTable(tmp_path / "home" / "orders").read(["id"]).column(0).to_pylist() == list(range(130))


def test_the_catalogue_says_whose_it_is_and_what_is_in_it(tmp_path):
    add("orders", orders(), **WORDS, owner="ana", units={"price": "EUR"}, warehouse=tmp_path)
    add("orders", orders(100, 110), owner="bo", units={"id": "number"}, warehouse=tmp_path)
    found = describe(StoredTable(tmp_path / "orders"))
    assert (found.owner, found.rows, found.version) == ("bo", 110, 2)
    columns = {one.name: one for one in found.columns}
    assert columns["price"].unit == "EUR"
    assert columns["id"].unit == "number"
    assert columns["price"].high == "163.5"
    assert columns["kind"].missing == 0.5
    with pytest.raises(DataError, match="there is no table 'order' in .*; there is orders"):
        describe(StoredTable(tmp_path / "order"))


def test_other_tools_read_the_rows(tmp_path):
    add("orders", orders(), **WORDS, warehouse=tmp_path)
    from deltalake import DeltaTable

    delta = DeltaTable(tmp_path / "orders" / "delta")
    assert delta.to_pyarrow_dataset().count_rows() == 100
    assert pq.read_table(delta.file_uris()[0].removeprefix("file://")).num_rows == 100
    with pytest.raises(Exception, match="append"):
        delta.delete("id = 3")


def test_a_unit_is_not_changed_in_silence(tmp_path):
    add("orders", orders(), **WORDS, units={"price": "EUR"}, warehouse=tmp_path)
    table = StoredTable(tmp_path / "orders")
    with pytest.raises(DataError, match="column 'price' is in EUR, and is said to be in USD now"):
        add("orders", orders(100, 110), units={"price": "USD"}, warehouse=tmp_path)
    assert (table.version, table.description.units) == (1, {"price": "EUR"})
    add("orders", orders(100, 110), units={"price": "USD"}, correct=True, warehouse=tmp_path)
    assert StoredTable(tmp_path / "orders").description.units == {"price": "USD"}


def test_an_owner_is_told_though_no_row_is_new(tmp_path):
    add("orders", orders(), **WORDS, owner="ana", warehouse=tmp_path)
    assert "nothing was added" in add("orders", orders(), owner="bo", warehouse=tmp_path).said
    table = StoredTable(tmp_path / "orders")
    assert (table.version, table.description.owner) == (1, "bo")
    add("orders", orders(), owner="bo", warehouse=tmp_path)
    assert len(table.ledger.facts) == len(StoredTable(tmp_path / "orders").ledger.facts)


@pytest.mark.parametrize("cut", [1, 2, 3, 9])
def test_a_csv_whose_last_row_is_cut_short_is_refused_though_what_is_left_is_a_number(cut, tmp_path):
    file = tmp_path / "orders.csv"
    orders().to_csv(file, index=False)
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(DataError, match="does not end with a line break|cannot be read whole"):
        add("orders", file, **WORDS, warehouse=tmp_path / "home")
    assert not list((tmp_path / "home").glob("*"))
    file.write_bytes(orders().to_csv(index=False).replace("\n", "\r\n").encode())
    assert add("orders", file, **WORDS, warehouse=tmp_path / "home").new == 100
