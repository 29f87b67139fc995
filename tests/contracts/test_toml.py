"""What is written is read back the same; every error names the file, the table and the key."""

from __future__ import annotations

import datetime as dt
import string
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.contracts import Column, Contract, Statistic, Terms, from_toml, read, to_toml
from mlwild.errors import AppError

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARE = st.floats(0, 1)
NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
DAY = st.dates()
INSTANT = st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=-3, minutes=-30))]))


@st.composite
def columns(draw):
    kind = draw(st.sampled_from(["number", "integer", "category", "text", "boolean", "time"]))
    made = {"kind": kind, "unit": draw(st.just("") | NAME), "most_missing": draw(SHARE), "unique": draw(st.booleans())}
    made["rising"] = draw(st.booleans())
    made["longest_run"] = draw(st.none() | st.integers(1, 10**12))
    if kind in ("number", "integer"):
        low, high = sorted((draw(FINITE), draw(FINITE)))
        made |= {"low": draw(st.sampled_from([None, low])), "high": draw(st.sampled_from([None, high]))}
        made["typical"] = draw(st.sampled_from([None, (low, high)]))
    if kind == "time":
        made["low"] = draw(st.none() | DAY | INSTANT)
    if kind == "category":
        made["allowed"] = draw(st.none() | st.lists(NAME, unique=True, max_size=40).map(tuple))
        made["most_new"] = draw(SHARE) if made["allowed"] is not None else 0.0
    return Column(**made)


@st.composite
def terms(draw):
    given_ = draw(st.dictionaries(NAME, columns(), max_size=4))
    numbers = [name for name, column in given_.items() if column.kind in ("number", "integer", "boolean")]
    made = [Statistic("rows_per_period", low=draw(FINITE))] if draw(st.booleans()) else []
    for name in numbers:
        measure = draw(st.sampled_from(["mean", "std", "quantile_0.99", "quantile_1", "share_zero", "share_distinct"]))
        made.append(Statistic(measure, of=name, high=draw(FINITE), most_missing=draw(SHARE)))
    key = tuple(draw(st.lists(st.sampled_from(sorted(given_)), unique=True))) if given_ else ()
    return Terms(given_, tuple(made), key, draw(st.sampled_from(["refuse", "allow"])))


@st.composite
def contracts(draw):
    data = draw(terms())
    features = draw(st.none() | terms())
    if features is not None and draw(st.booleans()):
        features = Terms(dict(data.columns) | dict(features.columns))
    made = {"data": data, "features": features, "min_rows": draw(st.integers(1, 10**6))}
    if data.columns and draw(st.booleans()):
        made |= {"time": draw(st.sampled_from(sorted(data.columns))), "every": draw(st.sampled_from(["7D", "1M", 500]))}
        made["start"] = draw(st.none() | DAY | st.integers(-(10**9), 10**9))
    return Contract(**made)


@settings(max_examples=100, deadline=None)
@given(contract=contracts(), note=st.text(string.printable, max_size=30).map(lambda text: " ".join(text.split())))
def test_what_is_written_is_read_back_the_same(contract, note):
    notes = {(table, name): note for table in ("data", "features") for name in contract.data.columns}
    text = to_toml(contract, notes)
    assert from_toml(text) == contract
    assert to_toml(from_toml(text), notes) == text
    assert tomllib.loads(text)


def test_a_written_contract_is_short_and_says_what_was_seen():
    data = Terms(
        {
            "at": Column("time", low=dt.date(2020, 1, 1)),
            "load": Column("number", unit="kW", low=0.0, high=50.0, most_missing=0.02, typical=(12.0, 15.0)),
            "wind dir °": Column("category", allowed=("N", "E", "S", "W"), most_new=0.01),
        },
        (Statistic("rows_per_period", low=160, high=170),),
        ("at", "wind dir °"),
    )
    features = Terms({"load": data.columns["load"], "ratio": Column("number")})
    contract = Contract(data, features, "at", "7D", dt.date(2024, 1, 1))
    text = to_toml(contract, {("data", "load"): "0.3 to 41, median 13"})
    assert (
        text.split("\n\n", 1)[1]
        == """\
time = "at"
every = "7D"
start = 2024-01-01

[data]
extra = "refuse"
key = ["at", "wind dir °"]
statistics = [
  { measure = "rows_per_period", low = 160, high = 170 },
]

[data.columns.at]
kind = "time"
low = 2020-01-01

[data.columns.load]  # 0.3 to 41, median 13
kind = "number"
unit = "kW"
low = 0.0
high = 50.0
most_missing = 0.02
typical = [12.0, 15.0]

[data.columns."wind dir °"]
kind = "category"
allowed = ["N", "E", "S", "W"]
most_new = 0.01

[features]
extra = "refuse"
as_data = ["load"]

[features.columns.ratio]
kind = "number"
"""
    )
    assert from_toml(text) == contract


GOOD = """
time = "at"
every = "7D"

[data]
statistics = [
  { measure = "mean", of = "x", low = 0 },
]

[data.columns.at]
kind = "time"

[data.columns.x]
kind = "number"
high = 5

[features]
as_data = ["x"]
"""

BAD = {
    "no TOML": ("high = 5", "high = 5,", "this is no TOML: ", "(at line 15, column 9)."),
    "a key twice": ("high = 5", "high = 5\nhigh = 6", "this is no TOML: Cannot overwrite a value", ""),
    "unknown key of a column": ("high = 5", "hgih = 5", "[data.columns.x] hgih: there is no such key. Did you mean 'high'?", ""),
    "unknown key of a table": ("statistics = [", "statistic = [", "[data] statistic: there is no such key. Did you mean 'statistics'?", ""),
    "unknown table": ("[features]", "[feature]", "top of the file, feature: there is no such key. Did you mean 'features'?", ""),
    "unknown key far from all": ('every = "7D"', "zzz = 1", "top of the file, zzz: there is no such key. There is data, features, time", ""),
    "unknown key of a statistic": ("low = 0 }", "lwo = 0 }", "[data] statistics, entry 1, lwo: there is no such key. Did you mean 'low'?", ""),
    "unknown kind": ('"number"', '"numbr"', "[data.columns.x] kind: 'numbr' is not one of number, integer", ""),
    "no kind": ('kind = "number"\n', "", "[data.columns.x] kind: is missing. Write kind = ", ""),
    "low above high": ("high = 5", "high = 5\nlow = 6", "[data.columns.x] low: 6 is above high = 5.", ""),
    "NaN": ("high = 5", "high = nan", "[data.columns.x] high: nan is not a finite number.", ""),
    "text for a number": ("high = 5", 'high = "5"', "[data.columns.x] high: '5' is not a finite number.", ""),
    "a date for a number": ("high = 5", "high = 2024-01-01", "[data.columns.x] high: datetime.date(2024, 1, 1) is not a finite", ""),
    "a number for a date": ('kind = "time"', 'kind = "time"\nlow = 5', "[data.columns.at] low: 5 is not a date such as 2024-01-31.", ""),
    "not a share": ("high = 5", "most_missing = 5", "[data.columns.x] most_missing: 5 is not a share from 0 to 1.", ""),
    "a share of new without a set": ("high = 5", "most_new = 0.5", "[data.columns.x] most_new: there is no list `allowed`", ""),
    "a set of numbers": ("high = 5", "allowed = [1]", "[data.columns.x] allowed: a column of kind 'number' has none", ""),
    "a set with a value twice": ('kind = "number"\nhigh = 5', 'kind = "category"\nallowed = ["a", "a"]', "[data.columns.x] allowed: a value stands there twice.", ""),
    "a truth value that is none": ("high = 5", "unique = 1", "[data.columns.x] unique: 1 is neither true nor false.", ""),
    "a run of none": ("high = 5", "longest_run = 0", "[data.columns.x] longest_run: 0 is not a whole number of at least 1.", ""),
    "half a typical": ("high = 5", "typical = [1]", "[data.columns.x] typical: (1,) is not [low, high].", ""),
    "a column that is a number": ('[data.columns.x]\nkind = "number"\nhigh = 5', "[data.columns]\nx = 5", "[data.columns.x] is 5, and should be a table of keys.", ""),
    "unknown measure": ('"mean"', '"maen"', "[data] statistics, entry 1, measure: 'maen' is not one of mean, std", ""),
    "no measure": ('measure = "mean", ', "", "[data] statistics, entry 1, measure: is missing.", ""),
    "a function that is not there": ('"mean"', '"math:nope"', "[data] statistics, entry 1, measure: 'math:nope': the module 'math' has no function", ""),
    "a module that is not there": ('"mean"', '"nowhere:f"', "[data] statistics, entry 1, measure: 'nowhere:f': the module 'nowhere' cannot be imported", ""),
    "a statistic without limits": (", low = 0", "", "[data] statistics, entry 1, low: give low, high or both.", ""),
    "a statistic of no column": ('of = "x"', 'of = "y"', "[data] statistics: mean of y: there is no column 'y'.", ""),
    "a mean of times": ('of = "x"', 'of = "at"', "[data] statistics: mean of at: that is for numbers, and the column's kind is 'time'.", ""),
    "statistics that are no list": ('statistics = [\n  { measure = "mean", of = "x", low = 0 },\n]', "statistics = 5", "[data] statistics: is no list.", ""),
    "a key of no column": ("statistics = [", 'key = ["y"]\nstatistics = [', "[data] key: there is no column 'y'.", ""),
    "a time of no column": ('time = "at"', 'time = "when"', "top of the file, time: the data have no column 'when'.", ""),
    "no duration": ('every = "7D"', 'every = "7 days"', "top of the file, every: '7 days' is not a duration.", ""),
    "no every": ('every = "7D"', "", "top of the file, every: say how long a period is", ""),
    "as_data of no column": ('as_data = ["x"]', 'as_data = ["xx"]', "[features] as_data: the data have no column 'xx'. Did you mean 'x'?", ""),
    "as_data of the data": ("statistics = [", 'as_data = ["x"]\nstatistics = [', "[data] as_data: there is no such key.", ""),
    "extra": ("[features]", '[features]\nextra = "maybe"', "[features] extra: 'maybe' is neither 'refuse' nor 'allow'.", ""),
    "no data": (GOOD, "[features]", "[data] is missing: it says what the table must look like.", ""),
}  # fmt: skip


def test_the_good_file_is_good():
    assert from_toml(GOOD).features.columns["x"].high == 5


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_sentence_with_file_table_and_key(case, tmp_path):
    old, new, said, end = BAD[case]
    assert GOOD.count(old) == 1
    path = tmp_path / "wind.contract.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(AppError) as problem:
        read(path)
    assert str(problem.value).startswith(f"contract: wind.contract.toml: {said}")
    assert str(problem.value).endswith(end)
    assert "\n" not in str(problem.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(AppError, match=r"contract: there is no file '.*none.toml'"):
        read(tmp_path / "none.toml")
    with pytest.raises(AppError, match=r"contract: '.*' cannot be read: Is a directory"):
        read(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"unit = '\xb0C'")
    with pytest.raises(AppError, match=r"contract: x.toml: byte 8 is not UTF-8 text"):
        read(tmp_path / "x.toml")
