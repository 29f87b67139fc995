"""Planted faults are each named with column, row and value; honest data pass."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlwild.contracts import Column, Contract, Statistic, Terms, hold, violations
from mlwild.errors import AppError, DataError

DAY = np.datetime64("2024-01-01", "us")


def wind(n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Readings of a wind park, one an hour."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "at": DAY + np.arange(n) * np.timedelta64(3600, "s"),
            "power": rng.normal(30, 3, n),
            "outside": rng.normal(12, 2, n),
            "starts": rng.poisson(3, n),
            "site": rng.choice(["north", "south", "west"], n),
            "maker": rng.choice([f"m{k}" for k in range(40)], n),
            "open": rng.random(n) < 0.4,
            "note": [f"note {k}" for k in range(n)],
            "cost": np.exp(rng.normal(size=n)),
        }
    )


TERMS = Terms(
    {
        "id": Column("integer", low=0, unique=True, rising=True),
        "at": Column("time", low=dt.date(2020, 1, 1), high=dt.datetime(2030, 1, 1, 12, tzinfo=None)),  # noqa: DTZ001
        "power": Column("number", unit="kW", low=0.0, high=60.0, longest_run=20, typical=(29.0, 31.0)),
        "outside": Column("number", unit="°C", low=-30.0, high=60.0, typical=(11.0, 13.0)),
        "starts": Column("integer", low=0, high=30, most_missing=0.02),
        "site": Column("category", allowed=("north", "south", "west")),
        "maker": Column("category", allowed=tuple(f"m{k}" for k in range(40)), most_new=0.01),
        "open": Column("boolean"),
        "note": Column("text"),
        "cost": Column("number", low=0.0, most_missing=1.0),
    },
    (
        Statistic("rows_per_period", low=168, high=168),
        Statistic("mean", of="cost", low=1.0, high=3.0, most_missing=0.2),
        Statistic("quantile_0.99", of="cost", low=5.0, high=40.0, most_missing=0.2),
        Statistic("quantile_1", of="cost", low=5.0, most_missing=0.2),
        Statistic("share_distinct", of="site", high=0.05),
    ),
)
CONTRACT = Contract(TERMS, time="at", every="7D", start=dt.date(2024, 1, 1))


def found(frame, contract=CONTRACT, features=None):
    """Return what breaks, as (column, rule)."""
    return [(one.column, one.rule) for one in violations(contract, frame, features)]


def only(frame, contract=CONTRACT):
    """Return the one violation that there is."""
    made = violations(contract, frame)
    assert len(made) == 1, [one.said for one in made]
    assert made[0].share == pytest.approx(made[0].count / len(frame)) or made[0].rule == "statistic"
    return made[0]


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "chunked"])
def test_honest_data_pass(kind):
    rows = wind(5 * 168)
    made = {
        "pandas": lambda: rows,
        "polars": lambda: pl.from_pandas(rows),
        "pyarrow": lambda: pa.Table.from_pandas(rows, preserve_index=False),
        "chunked": lambda: pa.concat_tables(
            [pa.Table.from_pandas(rows[i : i + 100]) for i in range(0, len(rows), 100)]
        ),
    }[kind]()
    if kind == "chunked":
        made = made.select(rows.columns.to_list())
    held = hold(CONTRACT, made)
    assert [one.said for one in held.violations] == []
    assert (held.rows, held.periods) == (840, 5)


def test_a_column_that_is_gone_is_named_and_so_is_its_new_name():
    rows = wind().rename(columns={"power": "Power"})
    gone, extra = violations(CONTRACT, rows)
    assert (gone.column, gone.rule, extra.column, extra.rule) == ("power", "gone", "Power", "extra")
    assert gone.said == (
        "data: column 'power' is gone. Is it 'Power' now? Bring it back, or take [data.columns.power] out."
    )


def test_an_extra_column_is_refused_unless_allowed():
    rows = wind().assign(shiny=1)
    assert only(rows).said == (
        "data: column 'shiny' is not in the contract. Add it there, drop it, or write extra = \"allow\" in [data]."
    )
    assert not found(rows, Contract(Terms(TERMS.columns, extra="allow")))


def test_a_column_that_may_be_all_missing_may_be_absent():
    assert not found(wind().drop(columns="cost"))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("power", ["x"] * 1000, "holds text ('x' in row 0), not numbers"),
        ("site", list(range(1000)), "holds whole numbers (0 in row 0), not categories"),
        ("note", [1.5] * 1000, "holds numbers (1.5 in row 0), not text"),
        ("open", [0, 1] * 500, "holds whole numbers (0 in row 0), not truth values"),
        ("at", [f"{k}" for k in range(1000)], "holds text ('0' in row 0), not times"),
        ("starts", [True] * 1000, "holds truth values (True in row 0), not whole numbers"),
    ],
)
def test_a_wrong_type_is_named_with_its_first_value(column, value, said):
    one = next(one for one in violations(CONTRACT, wind().assign(**{column: value})) if one.rule == "kind")
    assert (one.column, one.count, one.row) == (column, 1000, 0)
    assert said in one.said


def test_truth_values_with_gaps_are_floats_in_pandas_and_still_truth_values():
    rows = wind().astype({"open": float})
    rows.loc[5, "open"] = np.nan
    contract = Contract(Terms(TERMS.columns | {"open": Column("boolean", most_missing=0.01)}))
    assert not found(rows, contract)
    rows.loc[[7, 9], "open"] = 0.5
    one = only(rows, contract)
    assert (one.rule, one.count, one.row) == ("kind", 2, 7)
    assert "is 0.5 in row 7, which is neither true nor false; 2 of 1,000 rows. Correct them, or" in one.said


def test_a_column_of_mixed_kinds_is_named_with_the_odd_value():
    rows = wind()
    rows["site"] = rows["site"].astype(object)
    rows.loc[17, "site"] = 3.5
    one = only(rows)
    assert (one.column, one.rule, one.row, one.value) == ("site", "kind", 17, "3.5")
    assert "holds values of several kinds (float and str), 3.5 in row 17" in one.said


def test_whole_numbers_that_came_as_floats_pass_and_fractions_do_not():
    rows = wind()
    rows["starts"] = rows["starts"].astype(float)
    assert not found(rows)
    rows.loc[41, "starts"] = 2.5
    one = only(rows)
    assert (one.column, one.rule, one.row, one.value, one.count) == ("starts", "kind", 41, "2.5", 1)


@pytest.mark.parametrize(("value", "rule"), [(-7.0, "low"), (61.0, "high")])
def test_out_of_range_is_named_with_row_value_and_what_to_do(value, rule):
    rows = wind()
    rows.loc[[123, 500], "power"] = value
    one = only(rows)
    assert (one.column, one.rule, one.row, one.value, one.count) == ("power", rule, 123, f"{value:g}", 2)
    assert f"2 of 1,000 rows. Correct them, or change `{rule}` of [data.columns.power]." in one.said


def test_times_out_of_range_are_named():
    rows = wind()
    rows.loc[9, "at"] = pd.Timestamp("1970-01-01")
    rows.loc[999, "at"] = pd.Timestamp("2262-01-01")
    contract = Contract(Terms({"at": TERMS.columns["at"]}, extra="allow"))
    low, high = violations(contract, rows)
    assert (low.rule, low.row, low.value) == ("low", 9, "1970-01-01 00:00:00")
    assert (high.rule, high.row) == ("high", 999)


def test_limits_of_times_are_read_in_the_columns_zone():
    at = pd.to_datetime(["2019-12-31T23:30Z", "2020-01-01T00:30Z"]).tz_convert("Europe/Paris")
    assert not found(pd.DataFrame({"at": at}), Contract(Terms({"at": Column("time", low=dt.date(2020, 1, 1))})))
    one = only(
        pd.DataFrame({"at": at.tz_convert("UTC")}), Contract(Terms({"at": Column("time", low=dt.date(2020, 1, 1))}))
    )
    assert (one.row, one.count) == (0, 1)


def test_a_column_in_another_unit_is_told_by_its_factor():
    rows = wind()
    rows["power"] *= 1000
    unit, high = violations(CONTRACT, rows)
    assert (unit.rule, high.rule, high.count) == ("unit", "high", 1000)
    assert (
        "where 29 to 31 kW is typical: it seems to be 1,000 (such as kilo) times its old unit. Convert it" in unit.said
    )


def test_a_column_that_shrank_by_a_unit_is_told_though_it_stays_in_range():
    rows = wind()
    rows["power"] /= 60
    one = only(rows)
    assert (one.rule, one.row) == ("unit", 0)
    assert "one part in 60 (seconds and minutes) of its old unit" in one.said


def test_a_unit_that_slips_in_one_period_is_told_with_the_period():
    rows = wind()
    rows.loc[336:503, "power"] /= 100
    one = only(rows)
    assert (one.rule, one.row, one.period) == ("unit", 336, "2024-01-15")


def test_some_rows_in_another_unit_are_told():
    rows = wind()
    rows.loc[rows.index % 10 == 3, "power"] *= 1000
    one = only(rows)
    assert (one.rule, one.row, one.count) == ("high", 3, 100)
    assert "They seem to be 1,000 (such as kilo) times the old unit kW." in one.said


def test_fahrenheit_is_told_where_the_unit_is_celsius_and_drift_is_no_slip():
    rows = wind().assign(outside=lambda rows: rows["outside"] * 1.8 + 32)
    assert "in Fahrenheit in place of Celsius" in next(
        one.said for one in violations(CONTRACT, rows) if one.rule == "unit"
    )
    for shift in np.linspace(1.5, 40, 40):
        if 51 < 12 + shift < 56:  # what 11 to 13 degrees Celsius are in Fahrenheit
            continue
        assert not found(wind().assign(outside=lambda rows, shift=shift: rows["outside"] + shift)), shift


def test_growth_is_no_slip_of_units_where_the_unit_has_no_such_factor():
    """A factor of 1.61 is miles for kilometres, and growth for euros."""
    for factor in np.exp(np.linspace(np.log(1.1), np.log(7), 60)):
        grown = pd.DataFrame({"x": wind()["power"] * factor})
        euros, km = (
            Contract(Terms({"x": Column("number", unit=unit, typical=(29.0, 31.0))})) for unit in ("EUR", "km")
        )
        assert not found(grown, euros), factor
        assert bool(found(grown, km)) == (29 < grown["x"].median() / 1.609344 < 31), factor


def test_a_value_that_stands_still_is_told():
    rows = wind()
    rows.loc[200:220, "power"] = 31.25
    one = only(rows)
    assert (one.rule, one.row, one.count, one.value) == ("longest_run", 200, 21, "31.25")


def test_new_categories_of_an_open_set_are_counted():
    rows = wind()
    rows.loc[[5, 7], "maker"] = "m99"
    assert not found(rows)
    rows.loc[100:114, "maker"] = "other"
    one = only(rows)
    assert (one.column, one.rule, one.row, one.value, one.count) == ("maker", "allowed", 5, "'m99'", 17)
    assert "(and 'other'), which is new; 17 of 1,000 rows (1.7 %), at most 1 % may be." in one.said


@pytest.mark.parametrize("categorical", [False, True])
def test_a_closed_set_is_broken_by_one_row(categorical):
    rows = wind()
    rows.loc[77, "site"] = "North"
    if categorical:
        rows["site"] = rows["site"].astype("category")
    one = only(rows)
    assert (one.column, one.rule, one.row, one.value, one.count) == ("site", "allowed", 77, "'North'", 1)


def test_sets_of_whole_numbers():
    contract = Contract(Terms({"stars": Column("integer", allowed=(1, 2, 3, 4, 5))}))
    assert not found(pd.DataFrame({"stars": np.array([1, 5, 3], np.int8)}), contract)
    one = only(pd.DataFrame({"stars": [1, 6, 3]}), contract)
    assert (one.rule, one.row, one.value) == ("allowed", 1, "6")


def test_sets_of_whole_numbers_that_came_as_floats():
    contract = Contract(Terms({"stars": Column("integer", allowed=(1, 2, 3), most_missing=0.5)}))
    assert not found(pd.DataFrame({"stars": [1.0, np.nan, 3.0]}), contract)
    assert only(pd.DataFrame({"stars": [1.0, np.nan, 4.0]}), contract).value == "4"
    assert found(pd.DataFrame({"stars": [1.0, np.nan, 2.5]}), contract) == [("stars", "kind"), ("stars", "allowed")]


def test_anything_else_is_looked_at_for_its_gaps():
    rows = pd.DataFrame({"bag": [[1, 2], None, [3]], "span": pd.to_timedelta([1, 2, 3], unit="s")})
    contract = Contract(Terms({"bag": Column("other"), "span": Column("other")}))
    assert [(one.column, one.rule, one.row) for one in violations(contract, rows)] == [("bag", "most_missing", 1)]


def test_periods_that_do_not_fit_the_times_are_said():
    contract = Contract(Terms({"at": Column("integer")}), time="at", every="7D")
    with pytest.raises(AppError, match="contract: every: '7D' has a unit, and the time column holds integers"):
        violations(contract, pd.DataFrame({"at": [1, 2, 3]}))


@pytest.mark.parametrize("gap", [None, np.nan])
def test_a_gap_where_none_may_be_is_named(gap):
    rows = wind()
    rows.loc[64, "power"] = gap
    one = only(rows)
    assert (one.rule, one.row, one.value, one.count) == ("most_missing", 64, "missing", 1)
    assert one.said == (
        "data: column 'power' is missing in row 64; 1 of 1,000 rows (0.1 %), none may be. Fill it, or change "
        "`most_missing` of [data.columns.power]."
    )


def test_a_nan_of_arrow_is_missing_and_never_passes():
    table = pa.table({"x": pa.array([1.0, float("nan"), 2.0])})
    assert table["x"].null_count == 0
    one = only(table.to_pandas(), Contract(Terms({"x": Column("number", low=0.0)})))
    assert found(table, Contract(Terms({"x": Column("number", low=0.0)}))) == [("x", "most_missing")]
    assert (one.rule, one.row) == ("most_missing", 1)


def test_a_share_of_gaps_that_is_up_is_named():
    rows = wind()
    rows["starts"] = rows["starts"].astype(float)
    rows.loc[100:119, "starts"] = np.nan
    assert found(rows) == [("starts", "most_missing")]  # 20 of 168 in one week, 2 % of all
    one = only(rows)
    assert (one.period, one.row, one.count) == ("2024-01-01", 100, 20)
    rows.loc[100:200, "starts"] = np.nan
    assert only(rows).count == 101


@pytest.mark.parametrize("values", [pa.nulls(1000), pa.array([None] * 1000, pa.float64()), pa.array([np.nan] * 1000)])
def test_a_column_without_a_value_is_missing_not_of_a_wrong_kind(values):
    table = pa.Table.from_pandas(wind())
    table = table.set_column(table.column_names.index("power"), "power", values)
    one = violations(CONTRACT, table)
    assert [(each.rule, each.row, each.count) for each in one] == [("most_missing", 0, 1000)]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_never_passes(value):
    rows = wind()
    rows.loc[3, "cost"] = value
    assert ("cost", "finite") in found(rows)
    contract = Contract(Terms({"x": Column("number", low=0.0, high=1.0)}))
    one = only(pd.DataFrame({"x": [0.5, value]}), contract)
    assert (one.rule, one.row, one.value) == ("finite", 1, f"{value:g}")


def test_a_key_that_comes_twice_is_named_with_both_rows():
    rows = wind()
    rows.loc[900, "id"] = 12
    contract = Contract(Terms({"id": Column("integer", unique=True)}, extra="allow"))
    one = only(rows, contract)
    assert (one.rule, one.row, one.count) == ("unique", 900, 1)
    assert "has in row 900 what it has in row 12; 1 of 1,000 rows repeat another" in one.said


def test_a_key_of_two_columns():
    rows = pd.DataFrame({"site": ["a", "a", "b", "a"], "hour": [1, 2, 1, 2]})
    contract = Contract(Terms({"site": Column("text"), "hour": Column("integer")}, key=("site", "hour")))
    one = only(rows, contract)
    assert (one.column, one.rule, one.row) == ("site + hour", "key", 3)
    assert "has in row 3 what it has in row 1" in one.said
    assert not found(rows[:3], contract)


def test_gaps_repeat_nothing():
    contract = Contract(Terms({"id": Column("number", unique=True, most_missing=0.9)}))
    assert not found(pd.DataFrame({"id": [1.0, np.nan, np.nan, 2.0]}), contract)


def test_a_counter_that_falls_is_named():
    rows = wind()
    rows.loc[500, "id"] = 3_000
    one = violations(CONTRACT, rows)[0]
    assert (one.column, one.rule, one.row, one.value) == ("id", "rising", 501, "501")


def test_a_label_whose_tail_was_cut_off_is_noticed():
    """Outliers of the target dropped from the last two weeks: no row is wrong, the statistic is."""
    rows = wind(5 * 168)
    late = rows["at"] >= "2024-01-22"
    kept = rows[~(late & (rows["cost"] > 4.0))].reset_index(drop=True)
    made = violations(
        Contract(Terms(TERMS.columns, TERMS.statistics[1:]), time="at", every="7D", start=dt.date(2024, 1, 1)), kept
    )
    assert [(one.rule, one.period, one.count) for one in made] == [("statistic", "2024-01-22", 2)] * 2
    assert made[0].said.startswith("data: quantile_0.99 of cost is 3.")
    assert made[1].said.startswith("data: quantile_1 of cost is 3.8")


def test_missing_rows_of_a_period_are_noticed():
    rows = wind(5 * 168).drop(index=range(400, 420)).reset_index(drop=True)
    one = only(rows)
    assert (one.rule, one.period, one.count) == ("statistic", "2024-01-15", 1)
    assert "rows_per_period is 148, below 168 in the period from 2024-01-15; 1 of 5 periods." in one.said


def test_labels_that_have_not_come_are_not_judged_and_a_statistic_of_nothing_never_passes():
    rows = wind(5 * 168)
    rows.loc[rows["at"] >= "2024-01-29", "cost"] = np.nan
    assert not found(rows)
    strict = Contract(
        Terms(TERMS.columns, (Statistic("mean", of="cost", low=1.0, high=3.0),)),
        time="at",
        every="7D",
        start=dt.date(2024, 1, 1),
    )
    one = only(rows, strict)
    assert (one.rule, one.value) == ("statistic", "not known")
    assert "mean of cost cannot be made: there is no value in the period from 2024-01-29" in one.said


def test_a_part_of_a_period_is_not_judged_by_its_number_of_rows():
    rows = wind(5 * 168)[100:-60].reset_index(drop=True)
    held = hold(CONTRACT, rows)
    assert (held.violations, held.periods) == ((), 3)


def test_periods_with_few_rows_are_not_judged_by_shares():
    rows = pd.DataFrame(
        {
            "at": DAY + np.array([0, 1, 7, 8, 14, 15, 21]) * np.timedelta64(86_400, "s"),
            "x": [1, 2, np.nan, np.nan, 5, 6, 7.0],
        }
    )
    terms = Terms(
        {"at": Column("time"), "x": Column("number", most_missing=0.2)}, (Statistic("mean", of="x", high=3.0),)
    )
    loose, strict = (Contract(terms, time="at", every="7D", start=dt.date(2024, 1, 1), min_rows=n) for n in (30, 1))
    assert not found(rows, loose)
    assert [(one.rule, one.period) for one in violations(strict, rows)] == [
        ("most_missing", "2024-01-08"),
        ("statistic", "2024-01-08"),
    ]


def own(values):
    """Return the span of some values."""
    return float(values.max() - values.min())


def night(table):
    """Return the share of rows before six."""
    return float((table["at"].to_pandas().dt.hour < 6).mean())


def test_functions_of_ones_own():
    here = "tests.contracts.test_violations"
    terms = Terms(TERMS.columns, (Statistic(f"{here}:own", of="power", high=10.0), Statistic(f"{here}:night", low=0.3)))
    span, share = violations(Contract(terms), wind())
    assert "own of power is" in span.said
    assert "night is 0.252, below 0.3" in share.said
    with pytest.raises(AppError, match="has no function 'nope'"):
        violations(Contract(Terms(TERMS.columns, (Statistic(f"{here}:nope", of="power", high=1.0),))), wind())


def test_features_are_held_row_for_row_with_the_data():
    rows = wind()
    contract = Contract(
        Terms({"at": Column("time")}, extra="allow"),
        Terms(
            {"x0": Column("number", high=60.0), "x1": Column("number")}, (Statistic("std", of="x0", low=2.5, high=3.5),)
        ),
        time="at",
        every="7D",
        start=dt.date(2024, 1, 1),
    )
    made = rows[["power", "cost"]].to_numpy().copy()
    assert not found(rows, contract, made)
    made[18, 0] = 99.0
    assert [(one.table, one.column, one.row) for one in violations(contract, rows, made)] == [
        ("features", "x0", 18),
        ("features", "x0", None),
    ]
    with pytest.raises(DataError, match="features: there are 999 rows, and 1000 of the data"):
        violations(contract, rows, made[:-1])


def test_an_empty_table_is_one_sentence():
    one = violations(CONTRACT, wind()[:0])
    assert [(each.column, each.rule, each.said) for each in one] == [
        (None, "rows", "data: the table has no row. Point it at data that hold some.")
    ]


def test_a_time_column_that_cannot_be_read_is_one_violation_not_an_end():
    rows = wind().assign(at="yesterday")
    assert found(rows) == [("at", "kind")]


def test_not_a_table():
    with pytest.raises(DataError, match="data: got int, which is not a table"):
        violations(CONTRACT, 3)


def test_a_hundred_thousand_categories_are_quick_and_counted():
    words = [f"w{k}" for k in range(100_000)]
    contract = Contract(Terms({"word": Column("category", allowed=tuple(words), most_new=0.5)}))
    table = pa.table({"word": words * 3})
    assert not found(table, contract)
    contract = Contract(Terms({"word": Column("category", allowed=tuple(words[1:]))}))
    one = only(table.to_pandas(), contract)
    assert (one.row, one.count, one.value) == (0, 3, "'w0'")


def test_the_order_of_rows_does_not_matter_to_periods():
    rows = wind(5 * 168)
    rows.loc[336:503, "power"] /= 100
    mixed = rows.sample(frac=1.0, random_state=0).reset_index(drop=True)
    contract = Contract(
        Terms(TERMS.columns | {"id": Column("integer")}, TERMS.statistics),
        time="at",
        every="7D",
        start=dt.date(2024, 1, 1),
    )
    one = only(mixed, contract)
    assert (one.rule, one.period, one.count) == ("unit", "2024-01-15", 168)
