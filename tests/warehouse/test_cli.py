"""mlwild data as a person meets it."""

from __future__ import annotations

import json

import pytest

from tests.test_cli import run
from tests.warehouse.test_adding import orders


def test_a_table_from_its_first_file_to_its_history(tmp_path):
    orders(0, 60).to_parquet(tmp_path / "one.parquet")
    orders(50, 100).to_csv(tmp_path / "two.csv", index=False)
    orders(10, 12).assign(price=[1.0, 2.0]).to_parquet(tmp_path / "mend.parquet")
    words = ("--key", "id", "--time", "at", "--owner", "ana", "--unit", "price=EUR")
    assert "60 rows added" in run("data", "add", "orders", "one.parquet", *words, cwd=tmp_path).stdout
    assert "40 rows added, 10 were there already" in run("data", "add", "orders", "two.csv", cwd=tmp_path).stdout
    wrong = run("data", "add", "orders", "mend.parquet", cwd=tmp_path, code=4)
    assert "2 rows contradict some that are there: id=10 has price=1.0, and 15.0 before" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert "2 corrected" in run("data", "add", "orders", "mend.parquet", "--correct", cwd=tmp_path).stdout
    shown = run("data", "show", "orders", "--json", "orders.json", cwd=tmp_path).stdout
    assert "timestamp[us]" in shown
    assert "EUR" in shown
    entry = json.loads((tmp_path / "orders.json").read_text())[0]
    assert (entry["rows"], entry["version"], entry["owner"]) == (100, 3, "ana")
    assert "mend.parquet" in run("data", "history", "orders", cwd=tmp_path).stdout
    assert "2 others in another form" in run("data", "diff", "orders", "2", cwd=tmp_path).stdout
    orders(10, 11).assign(price=9.0).to_parquet(tmp_path / "again.parquet")
    run("data", "add", "orders", "again.parquet", "--correct", cwd=tmp_path)
    said = "version 4 has 0 rows more than version 3, and 1 other in another form"
    for words in (("3",), ("4", "3")):
        assert said in run("data", "diff", "orders", *words, cwd=tmp_path).stdout
    assert "orders" in run("data", "show", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("show", "orders"), "there is no table 'orders' in .mlwild/warehouse; there is none", 4),
        (("history", "orders"), "there is no table 'orders'", 4),
        (("diff", "orders", "1", "2"), "there is no table 'orders'", 4),
        (("add", "orders", "one.parquet"), "'orders' is a new table: name the column, such as --key order_id", 2),
        (("add", "orders", "none.parquet", "--key", "id", "--time", "at"), "there is no file", 4),
        (("add", "orders", "one.parquet", "--key", "id", "--time", "at", "--unit", "price"), "is not COLUMN=UNIT", 2),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(words, said, code, tmp_path):
    orders(0, 6).to_parquet(tmp_path / "one.parquet")
    done = run("data", *words, cwd=tmp_path, code=code)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["one.parquet"]
    assert not list(tmp_path.glob(".mlwild/warehouse/*"))
