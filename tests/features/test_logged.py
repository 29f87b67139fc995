"""Features as they were logged: which cells count, what is refused, and what `mlwild check` says of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlwild as wild
from mlwild.errors import AppError, BusyError, DataError
from mlwild.triangle.survey import survey
from mlwild.warehouse import StoredTable, add
from tests.support import drifting, small_app

N = 400


def made(folder, features=None, **fields):
    """Return an app with a log; its rows have keys."""
    rows = drifting(N)
    rows["id"] = np.arange(N)
    rows["word"] = np.where(rows["a"] > 0, "up", "down")
    chosen = features or (lambda rows: rows[["a", "b"]])
    log = wild.Stored("log", folder / "warehouse")
    return small_app(
        rows, **({"key": "id", "features": chosen, "logged": log, "every": 50, "start": 100} | fields)
    ), rows


def some(rows, *places):
    return rows.iloc[list(places)]


def hashes(app):
    return survey(app).hashes


def test_what_was_logged_is_trained_on_and_names_the_fits(tmp_path):
    app, rows = made(tmp_path)
    before = survey(app)
    assert wild.log_features(app, some(rows, 3, 7), pd.DataFrame({"a": [0.5, np.nan], "b": [1.0, 2.0]})) == 2
    after = survey(app)
    table = after.features.to_pandas()
    assert table.loc[3].tolist() == [0.5, 1.0]
    assert np.isnan(table.loc[7, "a"])
    assert table.drop([3, 7]).equals(before.features.to_pandas().drop([3, 7]))
    assert np.flatnonzero(before.hashes != after.hashes).tolist() == [3, 7]
    assert before.data_digest != after.data_digest
    assert after.features.schema.equals(before.features.schema)


def test_a_log_of_the_same_features_changes_no_bit(tmp_path):
    app, rows = made(tmp_path)
    before = survey(app)
    wild.log_features(app, rows, rows[["a", "b"]])
    after = survey(app)
    assert (before.hashes == after.hashes).all()
    assert before.data_digest == after.data_digest


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "numpy"])
def test_words_categories_truth_and_gaps_come_back_as_they_were(tmp_path, kind):
    def features(rows):
        words = rows["word"].astype("category") if kind == "pandas" else rows["word"]
        late = pd.to_datetime(rows["when"], unit="h").where(rows["a"] > -1)
        table = pd.DataFrame({"a": rows["a"], "n": rows["id"], "w": words, "t": rows["a"] > 0, "late": late})
        if kind == "numpy":
            return rows[["a", "b"]].to_numpy()
        return {
            "pandas": lambda: table,
            "polars": lambda: pl.from_pandas(table).with_columns(pl.col("w").cast(pl.Categorical)),
            "pyarrow": lambda: pa.Table.from_pandas(table),
        }[kind]()

    app, rows = made(tmp_path, features)
    before = survey(app)
    wild.log_features(app, rows, features(rows))
    after = survey(app)
    assert after.features.schema.equals(before.features.schema)
    assert (before.hashes == after.hashes).all()


def test_a_new_word_comes_last_and_gaps_make_fractions(tmp_path):
    app, rows = made(tmp_path, lambda rows: pd.DataFrame({"w": rows["word"].astype("category"), "n": rows["id"]}))
    wild.log_features(app, some(rows, 0, 1), pd.DataFrame({"w": ["aside", None], "n": [2.5, None]}))
    read = survey(app).features
    assert read.column("w").chunk(0).dictionary.to_pylist() == ["down", "up", "aside"]
    assert read.column("w").slice(0, 2).to_pylist() == ["aside", None]
    assert read.column("n").slice(0, 3).to_pylist() == [2.5, None, 2.0]


def test_a_feature_that_was_added_is_as_it_is_made_now_and_one_that_is_gone_is_left_out(tmp_path):
    app, rows = made(tmp_path, lambda rows: rows[["a", "b"]])
    wild.log_features(app, some(rows, 0, 1), pd.DataFrame({"a": [9.0, 9.0], "old": [1.0, 1.0]}))
    wild.log_features(app, some(rows, 2), pd.DataFrame({"a": [9.0], "b": [None]}, dtype=float))
    read = survey(app).features.to_pandas()
    assert read.columns.tolist() == ["a", "b"]
    assert read["a"].head(4).tolist() == [9.0, 9.0, 9.0, rows["a"][3]]
    assert read["b"].head(2).tolist() == rows["b"].head(2).tolist()
    assert np.isnan(read["b"][2])  # it was logged, as missing
    said = {(one.verdict, one.column): one.said for one in wild.check(app).findings if one.check == "logged features"}
    assert ("note", "old") in said
    assert "makes no more" in said["note", "old"]


def test_a_second_log_of_an_event_with_other_values_is_refused_with_both(tmp_path):
    app, rows = made(tmp_path)
    assert wild.log_features(app, some(rows, 1), pd.DataFrame({"a": [0.5], "b": [1.0]}), at=7) == 1
    assert wild.log_features(app, some(rows, 1), pd.DataFrame({"a": [0.5], "b": [1.0]}), at=9) == 0
    expected = r"^logged: event 1 was logged with 'b' = 1\.0, and is to be logged with 2\.0\. Nothing was logged"
    with pytest.raises(DataError, match=expected):
        wild.log_features(app, some(rows, 0, 1), pd.DataFrame({"a": [0.5, 0.5], "b": [2.0, 2.0]}))
    assert StoredTable(tmp_path / "warehouse" / "log").read()["_event"].to_pylist() == [1]


def test_a_correction_of_the_log_is_told_and_does_not_count(tmp_path):
    app, rows = made(tmp_path)
    wild.log_features(app, some(rows, 1), pd.DataFrame({"a": [0.5], "b": [1.0]}))
    log = StoredTable(tmp_path / "warehouse" / "log").read()
    mended = log.set_column(log.column_names.index("a"), "a", pa.array([0.75]))
    mended = mended.set_column(mended.column_names.index("_logged"), "_logged", pa.array([300]))
    add("log", mended, known="_logged", correct=True, warehouse=tmp_path / "warehouse")
    assert survey(app).features["a"][1].as_py() == 0.5
    assert any("corrected in version 2" in one.said for one in wild.check(app).findings)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"logged": ""}, AppError, r"^logged: '' is neither the name of a stored table nor"),
        ({"logged": 3}, AppError, r"^logged: 3 is neither"),
        ({"key": None}, AppError, r"^key: features are logged by it"),
    ],
)
def test_a_wrong_field_is_refused_when_the_app_is_made(tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        made(tmp_path, **change)


def test_what_cannot_be_logged_is_told(tmp_path):
    app, rows = made(tmp_path)
    two = pd.DataFrame({"a": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"^logged: 2 rows of features for 1 requests"):
        wild.log_features(app, some(rows, 1), two)
    with pytest.raises(DataError, match=r"^logged: key 'id' is missing in row 1 of the requests"):
        wild.log_features(app, some(rows, 1, 2).assign(id=[1.0, np.nan]), two)
    with pytest.raises(AppError, match=r"^logged: feature '_event' has a name that the log uses itself"):
        wild.log_features(app, some(rows, 1), pd.DataFrame({"_event": [1]}))
    with pytest.raises(AppError, match=r"^logged: the app names no log"):
        wild.log_features(small_app(), some(rows, 1), two)
    wild.log_features(app, some(rows, 1), pd.DataFrame({"a": ["word"], "b": [1.0]}))
    with pytest.raises(DataError, match=r"^logged: feature 'a' was logged as string and is made as double now"):
        survey(app)


def test_a_table_that_is_no_log_is_refused(tmp_path):
    app, _ = made(tmp_path)
    add("log", pa.table({"x": [1], "t": [1]}), key="x", time="t", warehouse=tmp_path / "warehouse")
    with pytest.raises(DataError, match=r"^logged: the table 'log' is no log of features: its key is 'x'"):
        survey(app)


def test_two_who_log_at_once_do_not_mix(tmp_path):
    app, rows = made(tmp_path)
    wild.log_features(app, some(rows, 1), pd.DataFrame({"a": [0.5]}))
    with StoredTable(tmp_path / "warehouse" / "log").lock(), pytest.raises(BusyError, match="is adding to 'log'"):
        wild.log_features(app, some(rows, 2), pd.DataFrame({"a": [0.5]}))
    assert wild.log_features(app, some(rows, 2), pd.DataFrame({"a": [0.5]})) == 1


# -- mlwild check ----------------------------------------------------------------------------------


def findings(app, name):
    return [one for one in wild.check(app).findings if one.check == name]


def test_check_holds_the_log_against_the_definition(tmp_path):
    app, rows = made(tmp_path)
    assert [one.said for one in findings(app, "logged features")] == ["nothing is logged in 'log' yet"]
    wild.log_features(app, rows.iloc[:50], rows[["a", "b"]].iloc[:50])
    (same,) = findings(app, "logged features")
    assert (same.verdict, same.said) == ("pass", "50 logged rows of 400 events are what the definition makes of them")
    later = rows[["a", "b"]].iloc[50:60].assign(b=lambda part: part["b"] + np.where(part.index == 57, 0.25, 0.125))
    wild.log_features(app, rows.iloc[50:60], later)
    (drift,) = findings(app, "logged features")
    assert (drift.verdict, drift.column, drift.row) == ("fail", "b", 50)
    assert "'b': 10 of 60 logged rows are not what the definition makes of them now, off by up to 0.25" in drift.said
    assert drift.values == (repr(float(rows["b"][50]) + 0.125), repr(float(rows["b"][50])))
    assert not wild.check(app).passed
    # What looks ahead is asked of the definition, not of the log.
    assert [one.verdict for one in findings(app, "future")] == ["pass"]


def test_check_replays_logged_rows_one_by_one(tmp_path):
    app, rows = made(tmp_path)
    wild.log_features(app, rows.iloc[:30], rows[["a", "b"]].iloc[:30].assign(b=0.0))
    (found,) = findings(app, "serving parity")
    assert (found.verdict, found.column) == ("fail", "b")
    assert found.row < 30
    assert found.values == ("0.0", repr(float(rows["b"][found.row])))


def test_check_tells_a_feature_that_looks_at_other_events(tmp_path):
    def counted(rows):
        return pd.DataFrame({"a": rows["a"], "n": np.arange(len(rows))})

    app, _ = made(tmp_path, counted, logged=None)
    (found,) = findings(app, "serving parity")
    assert (found.verdict, found.column) == ("note", "n")
    assert "past_events" in found.said
    assert wild.check(app).passed
    served, _ = made(tmp_path, counted)
    assert [one.verdict for one in findings(served, "serving parity")] == ["fail"]


def test_check_tells_features_that_come_back_in_another_order(tmp_path):
    """As the history is in order of time, what puts rows in that order looks right, and answers go to other rows live."""

    def in_order(rows):
        return rows.sort_values("when")[["a", "b"]]

    app, _ = made(tmp_path, in_order, logged=None)
    (found,) = findings(app, "serving parity")
    assert (found.verdict, found.said.partition(":")[0]) == (
        "fail",
        "features come back in another order than events are given",
    )

    def picky(rows):
        if not rows["when"].is_monotonic_increasing:
            raise ValueError("left keys must be sorted")
        return rows[["a", "b"]]

    app, _ = made(tmp_path, picky, logged=None)
    (found,) = findings(app, "serving parity")
    assert found.verdict == "note"
    assert found.said.endswith("ValueError: left keys must be sorted")


def test_check_sends_events_through_the_declared_service(tmp_path):
    good = wild.Serving(features=lambda request: request[["a", "b"]])
    app, _ = made(tmp_path, logged=None, serving=good)
    (found,) = findings(app, "serving parity")
    assert (found.verdict, found.said) == (
        "pass",
        "40 events have the same features one at a time, by the declared service, with what was known at their time",
    )
    bad = wild.Serving(features=lambda request: request[["a"]].assign(b=request["b"].round(2)))
    app, _ = made(tmp_path, logged=None, serving=bad)
    (found,) = findings(app, "serving parity")
    assert (found.verdict, found.column) == ("fail", "b")
    broken = wild.Serving(features=lambda request: request["nothing"])
    app, _ = made(tmp_path, logged=None, serving=broken)
    (found,) = findings(app, "serving parity")
    assert (found.verdict, "KeyError" in found.said) == ("fail", True)


def test_history_of_labels_is_honest_alone_and_among_many(tmp_path):
    def features(rows, tables):
        past = tables["labels"].trailing(rows, 100, {"mean": ("y", "mean"), "std": ("y", "std"), "n": "rows"})
        seen = tables["events"].trailing(rows, 100, {"seen": "rows", "a": ("a", "sum")})
        return pd.concat([rows[["a"]], past, seen.rename(columns={"a": "sum"})], axis=1)

    tables = {"labels": wild.past_events(by="word"), "events": wild.past_events(by="word", labels=False)}
    app, rows = made(tmp_path, features, tables=tables, logged=None)
    said = {one.check: one for one in wild.check(app).findings}
    assert said["future"].verdict == "pass"
    assert (said["serving parity"].verdict, said["label counts"].verdict) == ("pass", "pass")
    made_ = survey(app).features.to_pandas()
    for row in (50, 399):
        mine = rows[(rows["word"] == rows["word"][row]) & (rows["when"] < row) & (rows["when"] > row - 100)]
        known = mine[mine["known"] <= row]
        assert (made_["seen"][row], made_["n"][row]) == (len(mine), len(known))
        assert made_["mean"][row] == pytest.approx(known["y"].mean(), rel=1e-14)
        assert made_["std"][row] == pytest.approx(known["y"].std(), rel=1e-12)
        assert len(known) < len(mine)


def test_an_event_never_sees_its_own_label_even_if_that_is_known_at_once(tmp_path):
    def features(rows, tables):
        past = tables["past"].trailing(rows, "all", {"last": ("y", "last"), "n": "rows"})
        return past.assign(asof=tables["past"].asof(rows)["y"])

    rows = pd.DataFrame({"when": [0, 1, 1, 2] * 100, "y": np.arange(400.0)})
    rows["when"] += np.repeat(np.arange(100) * 3, 4)
    app = small_app(rows, features=features, tables={"past": wild.past_events()}, known_at=None, delay=0, every=20)
    table = survey(app).features.to_pandas()
    assert table["n"].head(6).tolist() == [0, 1, 1, 3, 4, 5]
    assert table["last"].head(5).tolist()[1:] == [0.0, 0.0, 2.0, 3.0]
    assert table["asof"].equals(table["last"])


def test_past_events_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match=r"^tables\['past'\]\.by: the table has no column 'whom'"):
        survey(small_app(features=lambda rows, tables: rows[["a"]], tables={"past": wild.past_events(by="whom")}))
    with pytest.raises(AppError, match=r"^tables\['past'\]\.by: 'y' is known only with the label"):
        survey(small_app(features=lambda rows, tables: rows[["a"]], tables={"past": wild.past_events(by="y")}))
    with pytest.raises(AppError, match=r"past_events\(\) has no data of its own"):
        wild.past_events().data()
