"""A table in bins, slices of it in words, and where they hold on new rows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlwild import frames
from mlwild.errors import DataError
from mlwild.slicing import binned
from mlwild.stats.slices import found_slices, members


def _flights(seed, n=4000):
    rng = np.random.default_rng(seed)
    hour = rng.integers(5, 24, n)
    wind = np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2.0, 5.0, n))
    carrier = rng.choice(["B6", "UA", "DL", "AA", "EV"], n)
    late = rng.random(n) < 0.5
    table = pa.table(
        {
            "dep_hour": hour,
            "wind": pa.array(wind, from_pandas=True),
            "carrier": pa.array(carrier, mask=rng.random(n) < 0.02),
            "late_before": late,
            "at": pa.array(np.datetime64("2013-01-01") + np.sort(rng.integers(0, 365, n))),
        }
    )
    return table, hour, wind, carrier


def test_a_planted_slice_comes_back_in_words_and_holds_on_new_rows():
    table, hour, _, carrier = _flights(0)
    worse = (carrier == "B6") & (hour < 10)
    made = binned(table)
    losses = np.where(worse, 0.9, 0.1) + np.random.default_rng(1).normal(0, 0.05, len(hour))
    best = found_slices(made.codes, losses).confirmed[0]
    said = made.condition(best.conditions)
    assert 'carrier = "B6"' in said
    assert "dep_hour" in said
    new, new_hour, *_ = _flights(2)
    held = made.holds(best.conditions, new)
    # The quantile next to 10 o'clock is where the condition says.
    clause = next(part for part in said.split(" and ") if "dep_hour" in part).replace(" = ", " == ")
    wanted = [bool(eval(clause, {}, {"dep_hour": one})) for one in new_hour]
    carriers = np.array(new.column("carrier").to_pylist(), dtype=object)
    assert held.tolist() == (np.array(wanted) & (carriers == "B6")).tolist()
    assert held.sum() > 50


def test_codes_are_what_holds_says_of_the_same_rows():
    table, *_ = _flights(3)
    made = binned(table, bins=7, words=3)
    assert made.codes.dtype == np.uint8
    for column, bins in enumerate(made.columns):
        seen = np.zeros(table.num_rows, dtype=int)
        for code in range(bins.missing + 1):
            held = made.holds([(column, code)], table)
            assert (held == members(made.codes, [(column, code)])).all()
            seen += held
        assert (seen == 1).all()
    assert made.holds([], table).all()


def test_each_kind_of_column_is_read():
    columns = {
        "number": pa.array([0.5, None, float("nan")]),
        "whole": pa.array([1, 2, None]),
        "big": pa.array([1, 2, 3], pa.uint64()),
        "decimal": pa.array([1, 2, None], pa.decimal128(5, 1)),
        "day": pa.array([dt.date(2020, 1, 1), dt.date(2021, 1, 1), None]),
        "at": pa.array(["2020-01-01 07:00Z", "2020-01-02 00:00Z", None]).cast(pa.timestamp("us", "UTC")),
        "wait": pa.array([dt.timedelta(seconds=5), dt.timedelta(minutes=2), None]),
        "clock": pa.array([dt.time(7), dt.time(9), None]),
        "word": pa.array(["a", "b", None]),
        "coded": pa.array(["a", "b", None]).dictionary_encode(),
        "sure": pa.array([True, False, None]),
        "nothing": pa.nulls(3),
    }
    made = binned(pa.table(columns))
    said = {
        bins.name: [bins.condition(int(code)) for code in made.codes[:, place]]
        for place, bins in enumerate(made.columns)
    }
    assert said == {
        "number": ["number is known", "number is missing", "number is missing"],
        "whole": ["whole < 2", "whole >= 2", "whole is missing"],
        "big": ["big < 2", "2 <= big < 3", "big >= 3"],
        "decimal": ["decimal < 2", "decimal >= 2", "decimal is missing"],
        "day": ["day < 2021-01-01", "day >= 2021-01-01", "day is missing"],
        "at": ["at < 2020-01-02", "at >= 2020-01-02", "at is missing"],
        "wait": ["wait < 100 s", "wait >= 100 s", "wait is missing"],
        "clock": ["clock < 30000 s", "clock >= 30000 s", "clock is missing"],
        "word": ['word = "a"', 'word = "b"', "word is missing"],
        "coded": ['coded = "a"', 'coded = "b"', "coded is missing"],
        "sure": ['sure = "true"', 'sure = "false"', "sure is missing"],
        "nothing": ["nothing is missing"] * 3,
    }


def test_frames_of_all_kinds_give_the_same_bins():
    table, *_ = _flights(4, 500)
    plain = binned(table)
    frame = table.to_pandas()
    frame["carrier"] = frame["carrier"].astype("category")
    for other in (frame, table.to_pandas(types_mapper=pd.ArrowDtype)):
        again = binned(frames.to_arrow(other, "features")[0])
        assert (again.codes == plain.codes).all()
        assert again.condition([(2, 0)]) == plain.condition([(2, 0)])


def test_units_of_time_and_widths_of_numbers_may_differ_on_new_rows():
    days = np.datetime64("2020-01-01") + np.arange(40)
    made = binned(pa.table({"at": pa.array(days.astype("M8[ns]")), "n": np.arange(40)}), bins=4)
    fresh = pa.table({"n": np.arange(40).astype(np.float32), "at": pa.array(days.astype("M8[s]"))})
    for conditions in ([(0, 2)], [(1, 0)], [(0, 1), (1, 1)]):
        assert (made.holds(conditions, fresh) == members(made.codes, conditions)).all()


def test_a_column_of_gaps_is_missing_everywhere():
    made = binned(pa.table({"x": [1.0, 2.0], "word": ["a", "b"]}))
    gaps = pa.table({"x": pa.nulls(3), "word": pa.nulls(3)})
    assert made.holds([(0, made.columns[0].missing), (1, made.columns[1].missing)], gaps).all()
    assert not made.holds([(1, 0)], gaps).any()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"y": [1]}, "table: has no column 'x'"),
        ({"x": ["one"]}, "table: column 'x' holds string, and held numbers where the slice was found"),
        ({"x": [dt.date(2020, 1, 1)]}, r"table: column 'x' holds date32\[day\], and held numbers"),
    ],
)
def test_other_columns_than_before_are_refused(table, message):
    made = binned(pa.table({"x": [1.0, 2.0]}))
    with pytest.raises(DataError, match=message):
        made.holds([(0, 0)], pa.table(table))


def test_numbers_where_words_were_are_refused():
    made = binned(pa.table({"x": ["a", "b"]}))
    with pytest.raises(DataError, match="column 'x' holds int64, and held words"):
        made.holds([(0, 0)], pa.table({"x": [1]}))
