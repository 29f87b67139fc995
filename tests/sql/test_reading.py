"""A table of a real PostgreSQL: as it was known at an instant, with exact types, and one sentence when it is away."""

from __future__ import annotations

import datetime as dt
import decimal
import types

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlglot

from mlwild.errors import AppError, DataError
from mlwild.warehouse import Sql
from mlwild.warehouse.sql import bigquery_estimate, bigquery_sql, estimate

UTC = dt.UTC
SCHEMA = {"id": "int64", "loaded_at": "timestamp('UTC')", "price": "float64"}


@pytest.fixture(scope="module")
def orders(database):
    """Return a table with corrections."""
    rng = np.random.default_rng(0)
    n = 3000
    day = dt.timedelta(days=1)
    rows = []
    for key in range(n):
        at = dt.datetime(2026, 1, 1, tzinfo=UTC) + float(rng.uniform(0, 100)) * day
        for form in range(int(rng.integers(1, 4))):
            rows.append((key, at, at + (form + float(rng.uniform(0, 5))) * day, float(rng.normal())))
    rng.shuffle(rows)
    database.run(
        "DROP TABLE IF EXISTS orders",
        "CREATE TABLE orders (id bigint, ordered_at timestamptz, loaded_at timestamptz, price float8)",
        "INSERT INTO orders VALUES (%s, %s, %s, %s)",
        rows=[tuple(row) for row in rows],
    )
    return pd.DataFrame(rows, columns=["id", "ordered_at", "loaded_at", "price"])


def test_a_read_as_of_an_instant_is_what_plain_pandas_gives(database, orders):
    source = Sql(database.url, "orders", key="id", known="loaded_at", order=["ordered_at", "id"])
    for day in (3, 40, 90, 300):
        at = dt.datetime(2026, 1, 1, tzinfo=UTC) + dt.timedelta(days=day)
        found = source.known_at(int(at.timestamp() * 1e9))().to_pandas()
        known = orders[pd.to_datetime(orders["loaded_at"], utc=True) <= at].sort_values("loaded_at")
        want = known.drop_duplicates("id", keep="last").sort_values(["ordered_at", "id"])
        assert found["id"].tolist() == want["id"].tolist()
        assert found["price"].tolist() == want["price"].tolist()
        assert list(found.columns) == ["id", "ordered_at", "price"]
    assert len(source()) == orders["id"].nunique()


def test_types_come_as_they_are(database):
    database.run(
        "DROP TABLE IF EXISTS kinds",
        "CREATE TABLE kinds (i int4, b boolean, t timestamptz, n timestamp, d date, s text, e numeric(10, 2), r real)",
        "INSERT INTO kinds VALUES (1, true, '2026-03-29 01:30+00', '2026-03-29 02:30', '2026-02-28', 'é''x', 1.10, 0.5), "
        "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    found = Sql(database.url, "kinds", order=["i"])()
    assert found.num_rows == 2
    first = found.slice(0, 1).to_pylist()[0]
    assert (first["i"], first["b"], first["s"], first["r"]) == (1, True, "é'x", 0.5)
    assert first["t"] == dt.datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert first["n"].isoformat() == "2026-03-29T02:30:00"  # no zone: it is nobody's
    assert first["d"] == dt.date(2026, 2, 28)
    assert first["e"] == decimal.Decimal("1.10")
    assert all(value is None for value in found.slice(1, 1).to_pylist()[0].values())
    assert pa.types.is_boolean(found.schema.field("b").type)


def test_only_the_columns_that_are_named_are_read(database, orders):
    source = Sql(database.url, "orders", key="id", known="loaded_at", columns=["price"])
    assert source().column_names == ["price"]
    assert "ordered_at" not in estimate(source).sql.rsplit("FROM (", 1)[0].split("SELECT", 2)[1]


def test_what_a_read_would_scan_is_told_before(database, orders):
    database.run("ANALYZE orders")
    source = Sql(database.url, "orders", key="id", known="loaded_at")
    found = estimate(source)
    assert found.rows == len(orders)
    assert 50 * len(orders) < found.bytes < 300 * len(orders)
    assert "word" not in found.source
    with pytest.raises(DataError, match="would scan .* bytes, and max_bytes is 1,000"):
        Sql(database.url, "orders", max_bytes=1_000)()
    assert len(Sql(database.url, "orders", max_bytes=10**9)()) == len(orders)


def test_two_forms_at_once_are_refused(database):
    database.run(
        "DROP TABLE IF EXISTS twice",
        "CREATE TABLE twice (id int, known timestamptz, x int)",
        "INSERT INTO twice VALUES (1, '2026-01-01Z', 1), (7, '2026-01-01Z', 1), (7, '2026-01-01Z', 2)",
    )
    with pytest.raises(DataError, match="2 forms of id=7 that were written down at once"):
        Sql(database.url, "twice", key="id", known="known")()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"table": "nothing"}, "there is no such table"),
        ({"table": "orders", "columns": ["prise"]}, "has no column 'prise'. It has id, ordered_at"),
        ({"table": "orders", "key": "id", "known": "price"}, "tells no time"),
        ({"table": "locked"}, "may not be read"),
    ],
)
def test_what_the_database_refuses_is_one_sentence(database, orders, words, said, monkeypatch):
    database.run(
        "DROP TABLE IF EXISTS locked",
        "CREATE TABLE locked (x int)",
        "DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD 'word'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT SELECT ON orders TO reader",
    )
    url = database.url.replace("tester", "reader")
    source = Sql(url, **words)
    with pytest.raises(DataError, match=said) as told:
        (source if words.get("known") != "price" else source.known_at(0))()
    assert "word" not in str(told.value).replace("password", "")
    monkeypatch.setenv("SHOP", url)
    with pytest.raises(DataError, match=said):
        Sql("$SHOP", **words).known_at(0)()


def test_a_wrong_password_is_not_shown(database):
    with pytest.raises(DataError, match="away or refuses") as told:
        Sql(database.url.replace(":word@", ":hush-hush@"), "orders")()
    assert "hush-hush" not in str(told.value)
    assert "hush-hush" not in repr(Sql(database.url.replace(":word@", ":hush-hush@"), "orders"))


def test_a_database_that_takes_too_long_is_said(database, orders):
    with pytest.raises(DataError, match="longer than the database allows"):
        Sql(database.url + "?options=-c%20statement_timeout%3D1", "slow")()


@pytest.fixture(autouse=True, scope="module")
def slow(database):
    """Make a view that takes its time."""
    database.run("CREATE OR REPLACE VIEW slow AS SELECT 1 AS x FROM pg_sleep(5)")


def test_what_is_declared_wrongly_is_said_at_once():
    with pytest.raises(AppError, match="`key` and `known` together"):
        Sql("$DB", "orders", key="id")
    with pytest.raises(AppError, match="'mysql://db/x' is no PostgreSQL address"):
        Sql("mysql://root:word@db/x", "orders")
    with pytest.raises(AppError, match="name of a table"):
        Sql("$DB", "")
    with pytest.raises(DataError, match="the variable NO_SUCH_VARIABLE is not set"):
        Sql("$NO_SUCH_VARIABLE", "orders")()


def test_bigquery_gets_the_same_expression():
    source = Sql("$DB", "shop.orders", key="id", known="loaded_at", as_of=1_767_225_600_000_000_000)
    text = bigquery_sql(source, SCHEMA)
    parsed = sqlglot.parse_one(text, read="bigquery")
    assert parsed.find(sqlglot.exp.Window) is not None
    assert "ASOF" not in text.upper()
    assert "TIMESTAMP('2026-01-01T00:00:00+00:00')" in text
    assert {column.name for column in parsed.selects} == {"id", "price"}


def test_a_dry_run_of_bigquery_is_asked_for_as_one(monkeypatch):
    """No BigQuery was ever called: what is shown is that it would be asked for a dry run of this very text."""
    import sys

    asked = []

    class Config:
        def __init__(self, **words):
            self.words = words

    class Client:
        def query(self, sql, job_config):
            asked.append((sql, job_config.words))
            return types.SimpleNamespace(total_bytes_processed=4096)

    fake = types.ModuleType("google.cloud.bigquery")
    fake.QueryJobConfig = Config
    for name in ("google.cloud", "google.cloud.bigquery"):
        monkeypatch.setitem(sys.modules, name, fake)
    source = Sql("$DB", "shop.orders", key="id", known="loaded_at")
    found = bigquery_estimate(source, SCHEMA, Client())
    assert (found.bytes, found.rows) == (4096, None)
    assert asked == [(bigquery_sql(source, SCHEMA), {"dry_run": True, "use_query_cache": False})]


@pytest.mark.parametrize("password", ["hush/hush2", "hush#4", "hu?sh", "hu@sh", "hu%2Fsh"])
def test_no_letter_of_a_password_makes_it_shown(password):
    source = Sql(f"postgresql://ana:{password}@127.0.0.1:9/shop", "orders")
    assert source.said == "table 'orders' at postgresql://127.0.0.1:9/shop"
    with pytest.raises(DataError) as told:
        source()
    for part in (password, password[:4] if "@" not in password else password):
        assert part not in str(told.value)


def test_a_table_beyond_the_search_path_is_estimated_too(database):
    database.run("CREATE SCHEMA IF NOT EXISTS sales", "DROP TABLE IF EXISTS sales.far",
                 "CREATE TABLE sales.far AS SELECT generate_series(1, 500) AS id")  # fmt: skip
    source = Sql(database.url, "sales.far", max_bytes=10**6)
    assert source().num_rows == 500
    assert 0 < estimate(source).bytes < 10**6


def test_rows_without_a_name_or_a_time_are_refused(database):
    database.run("DROP TABLE IF EXISTS nameless", "CREATE TABLE nameless (id int, known timestamptz)",
                 "INSERT INTO nameless VALUES (1, '2026-01-01Z'), (NULL, '2026-01-01Z'), (2, NULL)")  # fmt: skip
    with pytest.raises(DataError, match="2 rows of 'nameless' lack 'id' or 'known'"):
        Sql(database.url, "nameless", key="id", known="known")()


def test_columns_that_arrow_has_no_form_of_come_as_floats_and_text(database):
    database.run("DROP TABLE IF EXISTS odd", "CREATE TABLE odd (e numeric, u uuid)",
                 "INSERT INTO odd VALUES (1.123456789012345, '12345678-1234-5678-1234-567812345678')")  # fmt: skip
    (row,) = Sql(database.url, "odd")().to_pylist()
    assert row == {"e": 1.123456789012345, "u": "12345678-1234-5678-1234-567812345678"}
