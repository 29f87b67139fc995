"""One app on a file, on a stored table and on PostgreSQL is one app: the same sheet, the same life, whatever went away."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.errors import DataError
from mlwild.ledger import Ledger
from mlwild.operating import operate, status
from mlwild.warehouse import Sql, Stored, add
from tests.support import Line
from tests.test_cli import run

DAY = pd.Timedelta("1D")


def history(n=1200, seed=0):
    """Return rows with the time at which each form of them was known: labels come later, some are corrected."""
    rng = np.random.default_rng(seed)
    when = pd.Timestamp("2026-01-01", tz="UTC") + np.sort(rng.uniform(0, 120, n)) * DAY
    a, b = rng.normal(size=(2, n))
    slope = np.where(np.arange(n) < n // 2, 1.0, 2.5)
    label = slope * a + 0.3 * rng.normal(size=n)
    rows = pd.DataFrame({"id": np.arange(n), "when": when, "a": a, "b": b, "y": label})
    rows["y_at"] = rows["when"] + 3 * DAY
    asked = rows.assign(y=np.nan, y_at=pd.Series(pd.NaT, rows.index, rows["y_at"].dtype), loaded=rows["when"])
    told = rows.assign(loaded=rows["y_at"])
    mended = rows.sample(60, random_state=1).assign(y=lambda r: r["y"] + 1.0)
    mended = mended.assign(y_at=mended["y_at"] + 6 * DAY, loaded=mended["y_at"] + 6 * DAY)
    forms = pd.concat([asked, told, mended]).sort_values("loaded", kind="stable", ignore_index=True)
    for name in ("when", "y_at", "loaded"):
        forms[name] = forms[name].dt.floor("us")
    return forms


def app_on(source, name="shop", root=None):
    return wild.App(
        name=name, data=source, time="when", label="y", known_at="y_at", key="id", models={"line": Line()},
        features=lambda rows: rows[["a", "b"]], loss="squared", every="7D", start="2026-01-15",
        prices=wild.Prices(loss=1.0, retrain=20.0), **({} if root is None else {"root": root}),
    )  # fmt: skip


def fill(database, forms, table="shop"):
    database.run(
        f"DROP TABLE IF EXISTS {table}",
        f'CREATE TABLE {table} (id bigint, "when" timestamptz, a float8, b float8, y float8, y_at timestamptz, '
        "loaded timestamptz)",
        f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s, %s, %s)",
        rows=[tuple(None if pd.isna(value) else value for value in row) for row in forms.itertuples(index=False)],
    )


COLUMNS = ["id", "when", "a", "b", "y", "y_at", "loaded"]


@pytest.fixture(scope="module")
def sources(database, tmp_path_factory):
    """Return the same rows in three places."""
    forms = history()[COLUMNS]
    folder = tmp_path_factory.mktemp("places")
    fill(database, forms)
    form = forms.sort_values("loaded", kind="stable").groupby("id").cumcount()
    for number in range(3):
        part = pa.Table.from_pandas(forms[form.reindex(forms.index) == number], preserve_index=False)
        add("shop", part, key="id", time="when", known="loaded", correct=number > 0, warehouse=folder)
    last = forms.sort_values(["when", "id", "loaded"]).drop_duplicates("id", keep="last")
    pq.write_table(pa.Table.from_pandas(last.drop(columns="loaded"), preserve_index=False), folder / "shop.parquet")
    sql = Sql(database.url, "shop", key="id", known="loaded", order=["when", "id"])
    columns = ["id", "when", "a", "b", "y", "y_at"]
    return {"file": str(folder / "shop.parquet"), "stored": Stored("shop", folder), "sql": sql, "columns": columns}


BESIDE = ("seconds", "fits", "made_of")


def test_three_places_give_one_sheet(sources, tmp_path):
    sheets = {}
    for place in ("file", "stored", "sql"):
        made = wild.rehearse(app_on(sources[place]), store=tmp_path / place, jobs=1).sheet
        sheets[place] = json.dumps({name: value for name, value in made.items() if name not in BESIDE})
    assert sheets["sql"] == sheets["file"]
    assert sheets["sql"] == sheets["stored"]


def bodies(folder):
    facts = Ledger(folder / "operate" / "shop" / "ledger.jsonl").facts
    kept = []
    for fact in facts:
        body = {name: value for name, value in dict(fact.body).items() if name not in ("made_of", "tables")}
        if fact.kind != "failed":
            kept.append((fact.kind, fact.cutoff, body))
    return kept


def test_a_life_on_a_database_is_the_life_on_stored_tables(sources, tmp_path):
    for place in ("stored", "sql"):
        operate(app_on(sources[place]), rule=rules.BreakEven(), begin="2026-02-20", store=tmp_path / place)
    sql, stored = bodies(tmp_path / "sql"), bodies(tmp_path / "stored")
    assert sql == stored
    assert sum(kind == "ticked" for kind, *_ in sql) > 8


def test_a_database_that_is_away_fails_the_tick_and_the_next_one_catches_up(database, sources, tmp_path):
    app = app_on(sources["sql"])
    operate(app, rule=rules.Every(3), begin="2026-02-20", at="2026-03-10", store=tmp_path / "a")
    database.stop()
    try:
        with pytest.raises(DataError, match="the database is away or refuses") as told:
            operate(app, store=tmp_path / "a")
    finally:
        database.start()
    assert "word" not in str(told.value)
    assert "away or refuses" in status(tmp_path / "a")[0].alarm
    operate(app, store=tmp_path / "a")
    assert not status(tmp_path / "a")[0].alarm
    operate(app, rule=rules.Every(3), begin="2026-02-20", store=tmp_path / "b")
    assert bodies(tmp_path / "a") == bodies(tmp_path / "b")
    for path in (tmp_path / "a").rglob("*"):
        assert not path.is_file() or b":word@" not in path.read_bytes()


def test_without_a_time_of_knowledge_it_is_read_as_it_is(database, sources, tmp_path):
    database.run(
        "DROP VIEW IF EXISTS shop_now",
        'CREATE VIEW shop_now AS SELECT DISTINCT ON (id) id, "when", a, b, y, y_at FROM shop ORDER BY id, loaded DESC',
    )
    app = app_on(Sql(database.url, "shop_now", order=["when", "id"]))
    operate(app, rule=rules.Every(3), begin="2026-02-20", store=tmp_path / "view")
    operate(app_on(sources["file"]), rule=rules.Every(3), begin="2026-02-20", store=tmp_path / "file")
    assert bodies(tmp_path / "view") == bodies(tmp_path / "file")


def test_a_side_table_may_lie_in_the_database(database, sources, tmp_path):
    side = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=130, tz="UTC"), "k": np.arange(130.0)})
    database.run(
        "DROP TABLE IF EXISTS side",
        "CREATE TABLE side (day timestamptz, k float8)",
        "INSERT INTO side VALUES (%s, %s)",
        rows=[tuple(row) for row in side.itertuples(index=False)],
    )

    def features(rows, tables):
        return rows[["a", "b"]].assign(k=np.nan_to_num(tables["side"].asof(rows)["k"]))

    app = app_on(sources["file"])
    sheets = []
    for source in (lambda: side, Sql(database.url, "side", order=["day"])):
        tables = {"side": wild.Table(source, time="day", delay=0)}
        made = wild.rehearse(replace(app, tables=tables, features=features), store=tmp_path / str(len(sheets)), jobs=1)
        sheets.append(made.sheet["data"]["digest"])
    assert sheets[0] == sheets[1]


def test_a_person_asks_what_a_read_would_scan(database, sources, tmp_path):
    (tmp_path / "shop.py").write_text(
        "import mlwild as wild\n"
        "def train(X, y):\n"
        "    return lambda X: X['a'].to_numpy()\n"
        "app = wild.App(name='shop', data=wild.Sql('$SHOP', 'shop', key='id', known='loaded', order=['when', 'id']), "
        "time='when', label='y', known_at='y_at', models={'line': train}, loss='squared', every='7D')\n"
    )
    env = dict(os.environ) | {"SHOP": database.url}
    done = run("data", "estimate", "shop.py", "--sql", "--json", "e.json", cwd=tmp_path, env=env)
    assert "data: " in done.stdout
    assert "RANK() OVER" in done.stdout
    assert "word@" not in done.stdout
    assert json.loads((tmp_path / "e.json").read_text())["data"]["bytes"] > 100_000
    away = run(
        "data", "estimate", "shop.py", cwd=tmp_path, env=env | {"SHOP": "postgresql://x:pw1@127.0.0.1:9/a"}, code=4
    )
    assert "away or refuses" in away.stderr
    assert "pw1" not in away.stderr
    assert "Traceback" not in away.stderr
