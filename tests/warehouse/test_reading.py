"""What was known when: reads against a plain loop, and an app that lives on a stored table."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlwild as wild
from mlwild import rules
from mlwild.errors import DataError
from mlwild.warehouse import StoredTable, add
from tests.operating.worlds import ledger_of, operated
from tests.support import drifting, small_app


@pytest.mark.parametrize(
    "folder", ["My orders", "Aufträge 東", "it's", "a#b", "100%", "{x}", "a?b*", '"q"', "<b>", "a:b", "~"]
)
def test_a_table_is_kept_and_read_in_a_folder_of_any_name(tmp_path, folder):
    home, rows = tmp_path / folder, pa.table({"id": [1, 2], "at": [1, 2], "x": [0.5, 1.5]})
    add("t", rows, key="id", time="at", warehouse=home)
    add("t", pa.table({"id": [3], "at": [3], "x": [2.5]}), warehouse=home)
    assert StoredTable(home / "t").read()["x"].to_pylist() == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("folder", ["old [1]", "a|b", "a^b", "a%20b", "a\\b", "a\tb"])
def test_a_folder_that_the_library_reads_as_another_is_refused(tmp_path, folder):
    with pytest.raises(DataError, match=r"data: 't' cannot be kept in .*in the name of a folder"):
        add("t", pa.table({"id": [1], "at": [1]}), key="id", time="at", warehouse=tmp_path / folder)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"lock"}


ROW = st.tuples(st.integers(0, 8), st.integers(0, 30), st.integers(0, 3), st.integers(0, 40))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(files=st.lists(st.lists(ROW, min_size=1, max_size=6, unique_by=lambda row: row[0]), min_size=1, max_size=5))
def test_reads_are_what_a_loop_over_all_rows_ever_added_finds(files, tmp_path_factory):
    home, kept, versions = tmp_path_factory.mktemp("home"), [], []
    for rows in files:
        key, time, value, known = (list(column) for column in zip(*rows, strict=True))
        table = pa.table({"id": key, "at": time, "x": value, "known": known})
        add("t", table, key="id", time="at", known="known", correct=True, warehouse=home)
        version = StoredTable(home / "t").version
        latest = {}
        for row in sorted(kept, key=lambda one: (one[0][3], one[1])):
            latest[row[0][0]] = row[0]
        kept += [(row, version) for row in rows if latest.get(row[0]) != row]
        versions.append(version)

    def found(**words):
        read = StoredTable(home / "t").read(**words)
        return list(zip(*(column.to_pylist() for column in read.columns), strict=True))

    def expected(as_of=None, version=None, since=None, until=None):
        latest = {}
        for row, number in sorted(kept, key=lambda one: (one[0][3], one[1])):
            if (as_of is None or row[3] <= as_of) and (version is None or number <= version):
                latest[row[0]] = row
        return {
            row for row in latest.values() if (since is None or row[1] >= since) and (until is None or row[1] < until)
        }

    for words in (
        {},
        {"as_of": 10},
        {"as_of": 25},
        {"version": versions[0]},
        {"since": 10, "until": 20},
        {"as_of": 20, "since": 5},
    ):
        rows = found(**words)
        assert set(rows) == expected(**words)
        assert len(rows) == len(set(rows))
        assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def test_times_bound_what_is_read_in_every_kind_of_clock(tmp_path):
    for name, times in (
        ("zoned", pa.array([0, 3_600_000_000, 7_200_000_000], pa.timestamp("us", "Europe/Paris"))),
        ("naive", pa.array([0, 3_600_000_000, 7_200_000_000], pa.timestamp("us"))),
        ("days", pa.array([0, 1, 2], pa.int32()).cast(pa.date32())),
    ):
        add(name, pa.table({"id": [1, 2, 3], "at": times}), key="id", time="at", warehouse=tmp_path)
        table = StoredTable(tmp_path / name)
        unit = 86_400_000_000_000 if name == "days" else 3_600_000_000_000
        assert table.read(["id"], since=unit, until=2 * unit).column(0).to_pylist() == [2]
        assert table.read(["id"], as_of=unit).column(0).to_pylist() == [1, 2]


def test_a_wrong_wish_says_what_there_is(tmp_path):
    add("t", pa.table({"id": [1], "at": [5]}), key="id", time="at", warehouse=tmp_path)
    table = StoredTable(tmp_path / "t")
    with pytest.raises(DataError, match="has no column 'x'. It has id, at"):
        table.read(["x"])
    with pytest.raises(DataError, match="has no version 2; it has 1 to 1"):
        table.read(version=2)


def _app(home, **fields):
    return small_app(data=wild.Stored("rows", home), **({"every": 50, "start": 100, "frame": "pandas"} | fields))


def test_an_app_on_a_stored_table_is_the_app_on_its_rows(tmp_path):
    rows = drifting(600, 0, 1.5, 60)
    add("rows", rows.assign(id=np.arange(600)), key="id", time="when", warehouse=tmp_path / "home")
    stored = _app(tmp_path / "home")
    wild.operate(stored, rule=rules.BreakEven(0.5), begin=250, store=tmp_path / "a")
    wild.operate(small_app(rows, every=50, start=100), rule=rules.BreakEven(0.5), begin=250, store=tmp_path / "b")
    ours, theirs = (operated(ledger_of(SimpleNamespace(app=stored), tmp_path / name)) for name in ("a", "b"))
    assert ours == theirs


def test_a_correction_changes_later_ticks_only(tmp_path):
    """Ticked before and after a correction, or all at once when it is there: the same ledger, as of each tick's time."""
    rows = drifting(600, 0, 1.5, 0).assign(id=np.arange(600))
    wrong = rows.copy()
    wrong.loc[100:199, "y"] += 3.0
    homes = [tmp_path / "live", tmp_path / "late"]
    for home in homes:
        add("rows", wrong[:400], key="id", time="when", warehouse=home)
    words = {"rule": rules.BreakEven(0.5), "begin": 250}
    wild.operate(_app(homes[0]), **words, at=350, store=tmp_path / "a")
    for home in homes:
        add("rows", rows[100:200], correct=True, warehouse=home)  # known from tick 399 on
        add("rows", rows[400:], known="time", warehouse=home)
    wild.operate(_app(homes[0]), store=tmp_path / "a")
    wild.operate(_app(homes[1]), **words, store=tmp_path / "b")
    ledgers = [ledger_of(SimpleNamespace(app=_app(homes[0])), tmp_path / name) for name in ("a", "b")]
    assert operated(ledgers[0]) == operated(ledgers[1])
    observed = [[fact.body["tables"]["rows"] for fact in one.facts if fact.kind == "observed"] for one in ledgers]
    assert observed[0] == [1] * 3 + [3] * (len(observed[1]) - 3)


def test_a_correction_of_a_side_table_changes_later_ticks_only(tmp_path):
    rows = drifting(600, 0, 1.5, 0)
    side = rows[["when"]].assign(id=np.arange(600), rain=rows["a"])
    wrong = side.assign(rain=side["rain"].where(~side["when"].between(100, 240), 9.0))
    homes = [tmp_path / "live", tmp_path / "late"]
    for home in homes:
        add("rain", wrong[:400], key="id", time="when", warehouse=home)

    def app(home):
        tables = {"rain": wild.Table(wild.Stored("rain", home), time="when", delay=0)}
        return small_app(rows, every=50, start=100, frame="pandas", tables=tables, features=_with_rain)

    words = {"rule": rules.BreakEven(0.5), "begin": 250}
    wild.operate(app(homes[0]), **words, at=350, store=tmp_path / "a")
    for home in homes:
        add("rain", side[100:241], correct=True, warehouse=home)
        add("rain", side[400:], known="time", warehouse=home)
    wild.operate(app(homes[0]), store=tmp_path / "a")
    wild.operate(app(homes[1]), **words, store=tmp_path / "b")
    ours, theirs = (operated(ledger_of(SimpleNamespace(app=app(homes[0])), tmp_path / name)) for name in ("a", "b"))
    assert ours == theirs


def _with_rain(rows, tables):
    return rows[["a", "b"]].assign(rain=tables["rain"].asof(rows)["rain"].fillna(0.0).to_numpy())
