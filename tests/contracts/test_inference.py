"""What is inferred holds on its own history, is seldom broken by an honest next period, and is by a fault."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.contracts import Column, from_toml, infer, to_toml, violations
from mlwild.errors import DataError


def stream(rng, periods, rows):
    """Return a stationary stream of many laws; `t` counts rows."""
    n = periods * rows

    def gaps(values, share):
        return np.where(rng.random(n) < share, np.nan, values)

    noise = rng.normal(size=n)
    slow = np.empty(n)  # an autoregression, 0.9
    slow[0] = rng.normal()
    for row in range(1, n):
        slow[row] = 0.9 * slow[row - 1] + math.sqrt(1 - 0.81) * noise[row]
    level = np.repeat(rng.normal(size=periods), rows)
    columns = {
        "t": np.arange(n),
        "normal": rng.normal(50, 5, n),
        "lognormal": np.exp(rng.normal(size=n)),
        "lognormal 2": np.exp(2 * rng.normal(size=n)),
        "zero-inflated": np.where(rng.random(n) < 0.7, 0.0, np.exp(rng.normal(size=n))),
        "student 3": rng.standard_t(3, n),
        "uniform": rng.random(n),
        "exponential": rng.exponential(10, n),
        "autoregression": slow,
        "level by period": 20 + 3 * level + rng.normal(size=n),
        "poisson": rng.poisson(3, n),
        "stars": rng.integers(1, 6, n),
        "flag": (rng.random(n) < 0.1).astype(int),
        "five": rng.choice(list("abcde"), n, p=[0.5, 0.3, 0.1, 0.06, 0.04]),
        "long tail": [f"c{k}" for k in np.minimum(rng.zipf(2.2, n), 10**6)],
        "gaps": gaps(rng.normal(size=n), 0.02),
        "gaps by period": np.where(rng.random(n) < np.repeat(rng.uniform(0.05, 0.15, periods), rows), np.nan, noise),
        "truth": rng.random(n) < 0.3,
        "label": np.exp(rng.normal(size=n)),
    }
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def broken(periods, rows, draws, seed):
    """Return in how many draws the next period broke the contract, and by which columns."""
    rng, count, why = np.random.default_rng(seed), 0, []
    for _ in range(draws):
        table = stream(rng, periods + 1, rows)
        history = table.slice(0, periods * rows)
        contract = infer(history, time="t", every=rows, start=0, label="label", rate=0.05).contract
        assert [one.said for one in violations(contract, history)] == []
        made = violations(contract, table.slice(periods * rows))
        count += bool(made)
        why += [(one.column, one.rule) for one in made]
    return count, why


def test_the_honest_next_period_passes():
    """40 draws of 12 periods of 60 rows; the rate is 5 %."""
    count, why = broken(12, 60, 40, 0)
    assert count / 40 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 40), why


@pytest.mark.slow
@pytest.mark.parametrize(("periods", "rows", "draws"), [(8, 100, 400), (24, 500, 300), (52, 100, 300)])
def test_the_honest_next_period_passes_over_many_draws(periods, rows, draws):
    count, why = broken(periods, rows, draws, periods)
    assert count / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws), why


def test_what_never_happened_breaks_the_contract_once_in_so_many_periods_at_most():
    """A gap and a value so rare that they come about once in a history: 400 draws of 8 periods of 50 rows."""
    rng, draws, broke = np.random.default_rng(0), 400, 0
    for _ in range(draws):
        rare = rng.random(9 * 50) < 1 / (8 * 50)
        table = pa.table(
            {"t": np.arange(450), "x": pa.array(np.where(rare, np.nan, rng.normal(size=450)), from_pandas=True)}
        )
        contract = infer(table.slice(0, 400), time="t", every=50, start=0).contract
        broke += any(one.rule == "most_missing" for one in violations(contract, table.slice(400)))
    assert broke / draws <= 1 / 9 + 3 * math.sqrt(8 / 81 / draws)
    assert broke  # the promise is not kept by never looking


def history(n=2400, seed=0, **more):
    """Return an hourly table of 100 days."""
    rng = np.random.default_rng(seed)
    at = np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(3600, "s")
    columns = {
        "at": at,
        "load": rng.normal(50, 5, n),
        "site": rng.choice(["north", "south"], n),
        "starts": rng.poisson(2, n),
        "cost": np.exp(rng.normal(size=n)),
    }
    return pd.DataFrame(columns | {name: make(rng, n) for name, make in more.items()})


def columns(frame, **options):
    """Return the terms of the columns that were inferred."""
    return infer(frame, time="at", every="5D", **options).contract.data.columns


def test_a_gross_fault_of_the_next_period_breaks_it():
    frame = history(2520)
    contract = infer(frame[:2400], time="at", every="5D", label="cost").contract
    later = frame[2400:].reset_index(drop=True)

    def rules(**changes):
        changed = later.assign(**changes)
        return {(one.column, one.rule) for one in violations(contract, changed)}

    assert rules() == set()
    assert rules(load=later["load"] * 1000) == {("load", "unit"), ("load", "high")}
    assert rules(load=later["load"] / 1000) == {("load", "unit"), ("load", "low")}
    assert rules(load=later["load"].where(later.index != 50, -999.0)) == {("load", "low")}
    assert rules(load=later["load"].where(later.index != 50)) == {("load", "most_missing")}
    assert rules(load=later["load"].where(later.index > 40, 51.5)) == {("load", "longest_run")}
    assert rules(site=later["site"].where(later.index != 50, "North")) == {("site", "allowed")}
    assert rules(starts=-later["starts"]) == {("starts", "low")}
    assert rules(cost=later["cost"].clip(upper=1.5)) == {("cost", "statistic")}
    kept = later[later["cost"] < 2.0].reset_index(drop=True)
    assert {(one.column, one.rule) for one in violations(contract, kept)} == {
        (None, "statistic"),
        ("cost", "statistic"),
    }


def test_slack_lies_beyond_the_extremes_and_is_written_in_few_digits():
    frame = history()
    load = columns(frame)["load"]
    assert load.low < frame["load"].min()
    assert load.high > frame["load"].max()
    assert all(end == float(f"{end:.2g}") for end in (load.low, load.high, load.most_missing))
    assert load.typical[0] < 50 < load.typical[1]


def test_more_history_gives_tighter_limits():
    short, long = (columns(history(n))["load"] for n in (8 * 120, 60 * 120))
    assert long.high - long.low < short.high - short.low


def test_kinds():
    frame = history(
        constant=lambda rng, n: np.full(n, 7),
        empty=lambda rng, n: np.full(n, np.nan),
        nothing=lambda rng, n: [None] * n,
        counter=lambda rng, n: np.arange(n) + 17,
        stars=lambda rng, n: rng.integers(1, 6, n),
        whole=lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 9, n)),
        flag=lambda rng, n: rng.integers(0, 2, n),
        truth=lambda rng, n: rng.random(n) < 0.5,
        name=lambda rng, n: [f"guest {k}" for k in range(n)],
        due=lambda rng, n: np.datetime64("2024-02-01", "us") + rng.integers(0, 99, n) * np.timedelta64(1, "D"),
        infinite=lambda rng, n: np.where(rng.random(n) < 0.01, np.inf, rng.normal(size=n)),
    )
    made = columns(frame)
    assert made["at"] == Column("time", low=dt.date(2014, 1, 1), high=dt.date(2034, 1, 1))
    assert made["due"].low == dt.date(2014, 1, 1)
    assert made["constant"] == Column("integer")
    assert made["empty"] == Column("number", most_missing=1.0)
    assert made["nothing"] == Column("text", most_missing=1.0)
    assert (made["counter"].kind, made["counter"].high, made["counter"].typical) == ("integer", None, None)
    assert (made["stars"].low, made["stars"].high) == (1, 5)
    assert made["whole"].kind == "number"
    assert made["flag"] == Column("integer", low=0, high=1)
    assert made["truth"] == Column("boolean")
    assert made["name"] == Column("text")
    assert made["site"] == Column("category", allowed=("north", "south"))
    assert made["starts"].low == 0
    assert np.isfinite(made["infinite"].high)
    rules = {(one.column, one.rule) for one in violations(infer(frame, time="at", every="5D").contract, frame)}
    assert rules == {("infinite", "finite")}


def test_zero_is_an_end_where_it_was_never_passed():
    made = columns(
        history(
            rain=lambda rng, n: np.where(rng.random(n) < 0.8, 0.0, rng.exponential(3, n)),
            price=lambda rng, n: rng.gamma(2.0, 30.0, n),
            height=lambda rng, n: rng.normal(180, 8, n),
            degrees=lambda rng, n: rng.normal(15, 8, n),
            debt=lambda rng, n: -rng.exponential(3, n),
        )
    )
    assert [made[name].low for name in ("rain", "price")] == [0.0, 0.0]
    assert made["height"].low > 90
    assert made["degrees"].low < -15
    assert made["debt"].high == 0.0


def test_sets_are_open_if_new_categories_came():
    def growing(rng, n):
        return [f"w{k}" for k in np.minimum((np.arange(n) / 100 + 3) * rng.random(n), 40).astype(int)]

    made = columns(history(maker=growing, tail=lambda rng, n: [f"c{k}" for k in np.minimum(rng.zipf(2.5, n), 9999)]))
    assert 0 < made["maker"].most_new < 0.3
    assert 0 < made["tail"].most_new < 0.2
    assert made["maker"].allowed == tuple(sorted(made["maker"].allowed))


def test_a_word_that_came_in_one_row_foretells_more_of_its_kind():
    def with_one(rng, n):
        return np.where(np.arange(n) == 5, "odd", rng.choice(["a", "b"], n))

    made = columns(history(often=lambda rng, n: rng.choice(["a", "b"], n), once=with_one))
    assert made["often"].most_new == 0.0
    assert made["once"].most_new == pytest.approx(0.025, abs=0.02)  # a few of 120 rows


def test_a_column_of_a_hundred_thousand_categories_is_text():
    table = pa.table({"word": [f"w{k}" for k in range(100_000)], "x": np.random.default_rng(0).normal(size=100_000)})
    made = infer(table)
    assert made.contract.data.columns["word"] == Column("text")
    assert made.notes["data", "word"] == "100,000 values"
    assert len(to_toml(made.contract, made.notes)) < 1000


def test_the_label_is_held_by_its_mean_its_tail_and_its_greatest():
    frame = history()
    frame.loc[2200:, "cost"] = np.nan  # not known yet
    made = infer(frame, time="at", every="5D", label="cost", late=["cost"])
    assert [one.name for one in made.contract.data.statistics] == [
        "rows_per_period", "mean of cost", "quantile_0.99 of cost", "quantile_1 of cost",
    ]  # fmt: skip
    assert made.contract.data.columns["cost"].most_missing == 1.0
    assert all(one.most_missing == 0.1 for one in made.contract.data.statistics[1:])
    assert violations(made.contract, frame) == ()
    zeros = infer(history(paid=lambda rng, n: rng.integers(0, 2, n)), time="at", every="5D", label="paid").contract
    mean = zeros.data.statistics[1]
    assert (mean.measure, 0 <= mean.low < 0.5 < mean.high <= 1) == ("mean", True)


def ids(n=5_000, seed=0):
    """Return names of several kinds, in order of time."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    return pd.DataFrame(
        {
            "t": t,
            "id": 1_000 + t,
            "id with gaps": pd.Series(np.where(t % 10 == 0, np.nan, t)),
            "nearly in order": t + rng.integers(-60, 60, n),
            "customer": rng.integers(0, 50 + t // 4),  # old ones, and new ones all the time
            "batch": t // 400,  # over several periods the same
            "visits": rng.poisson(3, n),
            "drawn": rng.permutation(10 * n)[:n],
        }
    )


def test_ids_that_rise_have_no_limit_above_and_their_next_rows_keep_the_contract():
    rows = ids()
    made = infer(rows[:4_000], features=rows[["id", "visits"]][:4_000], time="t", every=100, key=["id"])
    columns = made.contract.data.columns
    names = ("id with gaps", "nearly in order", "customer", "batch")
    assert [columns[name].high for name in names] == [None] * 4
    assert [columns[name].typical for name in names] == [None] * 4
    assert columns["visits"].high is not None
    assert made.notes["data", "customer"].endswith("rises all the time")
    assert made.contract.features.columns["id"].high is None
    assert [one.said for one in violations(made.contract, rows, rows[["id", "visits"]]) if one.column in names] == []


def test_a_column_that_names_rows_has_no_limits_however_its_names_are_drawn():
    rows = ids()
    for key in (["drawn"], ["drawn", "t"]):
        column = infer(rows, time="t", every=100, key=key).contract.data.columns["drawn"]
        assert (column.low, column.high, column.typical, column.longest_run) == (None, None, None, None)
    assert infer(rows, time="t", every=100).contract.data.columns["drawn"].high > 0


def test_whole_numbers_without_a_trend_keep_their_limit_above():
    kept = [infer(ids(2_000, seed), time="t", every=100).contract.data.columns["visits"].high for seed in range(20)]
    assert None not in kept


@pytest.mark.parametrize("share", [0.004, 0.3, 0.998])
@pytest.mark.parametrize("kind", [int, float])
def test_labels_of_0_and_1_have_those_limits_exactly_however_seldom_they_are(share, kind):
    rows = pd.DataFrame({"t": np.arange(2_000), "y": (np.random.default_rng(1).random(2_000) < share).astype(kind)})
    if kind is float:
        rows.loc[1_900:, "y"] = np.nan  # labels that have not come
    made = infer(rows, time="t", every=100, label="y", late=["y"])
    assert (made.contract.data.columns["y"].low, made.contract.data.columns["y"].high) == (0, 1)
    assert made.notes["data", "y"].startswith("0 or 1, ")
    rows.loc[5, "y"] = 2
    assert ("y", "high") in [(one.column, one.rule) for one in violations(made.contract, rows)]


def test_keys_are_taken_as_given_and_never_guessed():
    frame = history(id=lambda rng, n: rng.permutation(n))
    assert not columns(frame)["id"].unique
    assert columns(frame, key=["id"])["id"].unique
    assert infer(frame, time="at", every="5D", key=["site", "at"]).contract.data.key == ("site", "at")


def test_features_are_inferred_too_and_equal_columns_written_once():
    frame = history()
    made = infer(frame, features=frame[["load"]].assign(ratio=frame["load"] / 50), time="at", every="5D")
    assert made.contract.features.columns["load"] == made.contract.data.columns["load"]
    text = to_toml(made.contract, made.notes)
    assert 'as_data = ["load"]' in text
    assert from_toml(text) == made.contract


def test_without_time_blocks_of_rows_stand_for_periods():
    frame = history().drop(columns="at")
    made = infer(frame)
    assert (made.contract.time, made.periods, made.contract.data.statistics) == (None, 24, ())
    assert violations(made.contract, frame) == ()


@pytest.mark.parametrize(
    ("every", "start"),
    [("1M", None), ("5D", dt.date(2023, 12, 27)), ("2D", dt.datetime(2024, 1, 1, 6))],  # noqa: DTZ001
)
def test_periods_begin_where_it_is_said(every, start):
    frame = history(24 * 300)
    made = infer(frame, time="at", every=every, start=start)
    assert made.contract.start == (start or dt.date(2024, 1, 1))
    assert violations(made.contract, frame) == ()
    assert from_toml(to_toml(made.contract)) == made.contract


def test_too_short_a_history_is_said():
    with pytest.raises(DataError, match="the history has 4 whole periods of 7D, and 8 are needed to see what is usual"):
        infer(history(24 * 30), time="at", every="7D")
    with pytest.raises(DataError, match="only 0 periods have 30 rows or more, and 8 are needed"):
        infer(history(), time="at", every="1D")
    with pytest.raises(DataError, match="7 rows are too few to infer from"):
        infer(history(7).drop(columns="at"))


def test_what_has_no_terms():
    frame = history()
    frame["bag"] = [[1, 2]] * len(frame)
    assert columns(frame)["bag"] == Column("other")
    mixed = history()
    mixed["site"] = mixed["site"].astype(object)
    mixed.loc[5, "site"] = 3
    with pytest.raises(DataError, match=r"column 'site' holds values of several kinds \(int and str\), 3 in row 5"):
        infer(mixed, time="at", every="5D")


REAL = {
    "hotel": ("hotel_bookings/bookings.parquet", "booked_on", "28D", "is_canceled", dt.datetime(2014, 10, 6)),  # noqa: DTZ001
    "air": ("air_quality_sensors/hourly.parquet", "when", "7D", "co_ref", None),
    "retail": ("online_retail/lines.parquet", "when", "28D", "quantity", None),
}


@pytest.mark.parametrize("name", REAL)
def test_real_histories_keep_what_two_thirds_of_them_foretold(name, shared):
    path, time, every, label, since = REAL[name]
    table = pq.read_table(shared / path)
    if since is not None:
        table = table.filter(pc.field(time) >= since)
    at = table[time].to_numpy()
    cut = at[0] + (at[-1] - at[0]) * 2 // 3
    made = infer(table.filter(pa.array(at < cut)), time=time, every=every, label=label)
    found = [(one.column, one.rule, one.count) for one in violations(made.contract, table)]
    # The sensors' history ends in November: it has seen no frost.
    assert found == ([("temp_c", "low", 13)] if name == "air" else [])
    assert from_toml(to_toml(made.contract, made.notes)) == made.contract


def test_the_sensors_code_for_missing_is_caught(shared):
    """The air quality set wrote -200 where a sensor was silent; one hour of it is enough."""
    frame = pq.read_table(shared / "air_quality_sensors" / "hourly.parquet").to_pandas()
    contract = infer(frame[:6000], time="when", every="7D").contract
    missed = []
    for name in frame.columns.drop(["when", "nmhc_ref"]):
        later = frame[6000:].reset_index(drop=True)
        later.loc[30, name] = -200.0
        if not any(one.column == name and one.row == 30 for one in violations(contract, later)):
            missed.append(name)
    assert missed == []


VALUES = {
    "float": st.floats(width=64) | st.none(),
    "tame": st.floats(-1e6, 1e6).map(lambda value: round(value, 3)) | st.none(),
    "int": st.integers(-(2**63), 2**63 - 1) | st.none(),
    "small": st.integers(-3, 3),
    "text": st.text(max_size=3) | st.none(),
    "bool": st.booleans() | st.none(),
    "time": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)) | st.none(),  # noqa: DTZ001
}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), names=st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
def test_whatever_the_history_it_keeps_what_it_foretells(data, names):
    """Unless it holds an infinite number; and the contract is read back as it was written."""
    pools = [data.draw(st.lists(VALUES[name], min_size=1, max_size=30)) for name in names]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    table = pa.table(
        {f"c{k}": pa.array([pool[i] for i in rng.integers(0, len(pool), 480)]) for k, pool in enumerate(pools)}
    )
    table = table.append_column("t", pa.array(np.arange(480)))
    made = infer(table, time="t", every=40, start=0, label=data.draw(st.sampled_from(["c0", None])))
    assert {one.rule for one in violations(made.contract, table)} <= {"finite"}
    assert from_toml(to_toml(made.contract, made.notes)) == made.contract
