"""Who reads a column is found by trying without it."""

from __future__ import annotations

import numpy as np
import pandas as pd

import mlwild as wild
from mlwild.checks.readers import reader_of
from mlwild.warehouse import add
from tests.support import Line, drifting, small_app
from tests.test_cli import run


def rows(n=300):
    return drifting(n, 0).assign(id=np.arange(n), idle=1.0, shop="a")


def test_an_app_reads_what_its_features_need_and_what_it_names(tmp_path):
    add("rows", rows(), key="id", time="when", warehouse=tmp_path)

    def features(frame):
        # A column that is only looked for is read too, if the features are others without it.
        return frame[["a"]].assign(more=frame.get("b", 0.0))

    app = small_app(data=wild.Stored("rows", tmp_path), features=features, groups=["shop"])
    found = reader_of(app, "rows")
    assert found.app == "small"
    assert found.columns == {
        "when": "time", "y": "label", "known": "known_at", "shop": "group", "a": "feature", "b": "feature"
    }  # fmt: skip
    assert reader_of(app, "others") is None
    whole = small_app(data=wild.Stored("rows", tmp_path), features=None, models={"line": Line()})
    assert {name for name, role in reader_of(whole, "rows").columns.items() if role == "feature"} == {
        "a", "b", "idle", "id", "shop"
    }  # fmt: skip


def test_side_tables_are_read_through_their_join(tmp_path):
    weather = pd.DataFrame({"hour": range(0, 300, 5), "wind": 1.0, "rain": 2.0, "row": range(60)})
    weather["wind"] = np.random.default_rng(0).normal(size=60)
    add("weather", weather, key="row", time="hour", warehouse=tmp_path)
    app = small_app(
        drifting(300, 0),
        tables={"sky": wild.Table(wild.Stored("weather", tmp_path), time="hour", delay=0)},
        features=lambda frame, tables: frame[["a"]].assign(wind=tables["sky"].asof(frame)["wind"].fillna(0.0)),
    )
    assert reader_of(app, "weather").columns == {"hour": "time", "wind": "feature"}


def test_the_catalogue_shows_who_reads_what(tmp_path):
    rows().to_parquet(tmp_path / "rows.parquet")
    run("data", "add", "rows", "rows.parquet", "--key", "id", "--time", "when", cwd=tmp_path)
    (tmp_path / "app.py").write_text(
        "import mlwild as wild\n"
        "from sklearn.linear_model import LinearRegression\n"
        "app = wild.App(name='reads', data=wild.Stored('rows'), time='when', label='y', known_at='known',\n"
        "    features=lambda rows: rows[['a']], models={'line': LinearRegression()}, loss='squared', every=50)\n"
    )
    shown = run("data", "show", "rows", "--app", "app.py", cwd=tmp_path).stdout
    line = next(one for one in shown.splitlines() if one.startswith("a "))
    assert line.split()[-1] == "feature"
    assert "reads" in shown
    assert "name the table too" in run("data", "show", "--app", "app.py", cwd=tmp_path, code=2).stderr
