"""Events and side tables: their order, when labels were known, and that the future never enters."""

from __future__ import annotations

from datetime import date

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild import frames
from mlwild.clock import NEVER
from mlwild.errors import DataError
from mlwild.events import gather
from mlwild.side_tables import Table, side_table

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def _frame(columns, kind="pandas"):
    return nw.from_native(KINDS[kind](columns), eager_only=True)


def _gather(columns, *, kind="pandas", delay=0, **settings_):
    return gather(
        _frame(columns, kind),
        **{"time": "t", "label": "y", "known_at": None, "delay": delay, **settings_},
    )


def _column(frame, name):
    return nw.from_native(frame, eager_only=True)[name].to_list()


# -- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_sorted_by_time_and_ties_keep_their_order(kind):
    events = _gather({"t": [3, 1, 3, 1, 2], "y": [0, 1, 2, 3, 4], "row": ["a", "b", "c", "d", "e"]}, kind=kind)
    assert events.time.tolist() == [1, 1, 2, 3, 3]
    assert events.label.tolist() == [1, 3, 4, 0, 2]
    assert events.frame["row"].to_list() == ["b", "d", "e", "a", "c"]
    assert len(events) == 5
    assert isinstance(events.frame.to_native(), KINDS[kind] if kind != "pyarrow" else pa.Table)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_sorting_is_stable_and_moves_whole_rows(rows):
    asked, waits, labelled = (np.array(column) for column in zip(*rows, strict=True))
    labelled[0] = True
    events = _gather(
        {
            "t": asked,
            "y": np.where(labelled, np.arange(len(rows), dtype=float), np.nan),
            "k": asked + waits,
            "p": 1.0 / (1 + np.arange(len(rows))),
            "row": np.arange(len(rows)),
        },
        known_at="k",
        delay=None,
        propensity="p",
    )
    order = sorted(range(len(rows)), key=lambda i: asked[i])  # Python's sort is stable
    assert events.frame["row"].to_list() == order
    assert events.time.tolist() == asked[order].tolist()
    assert events.labelled.tolist() == labelled[order].tolist()
    assert events.label[events.labelled].tolist() == [i for i in order if labelled[i]]
    assert events.known_at.tolist() == [asked[i] + waits[i] if labelled[i] else NEVER for i in order]
    assert events.weight == pytest.approx([1 + i if labelled[i] else 1.0 for i in order])


def test_index_of_a_pandas_frame_does_not_matter():
    frame = pd.DataFrame({"t": [2, 1], "y": [0, 1]}, index=[7, 7])
    events = gather(nw.from_native(frame), time="t", label="y", known_at=None, delay=0)
    assert events.frame.to_native().index.tolist() == [0, 1]
    assert events.label.tolist() == [1, 0]


# -- when labels were known ----------------------------------------------------------------------


def test_label_known_at_the_cutoff_counts_and_a_row_asked_at_it_does_not():
    events = _gather({"t": [8, 9, 10, 10], "y": [0, 1, 0, 1], "k": [9, 10, 10, 11]}, known_at="k", delay=None)
    assert events.known(10).tolist() == [True, True, False, False]
    assert events.known(9).tolist() == [True, False, False, False]
    assert events.known(11).tolist() == [True, True, True, True]
    assert events.known(8).tolist() == [False] * 4


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20),
    cutoffs=st.tuples(st.integers(-1, 20), st.integers(-1, 20)),
)
def test_what_is_known_only_grows(rows, cutoffs):
    asked, waits = np.array(rows).T
    events = _gather({"t": asked, "y": asked * 0, "k": asked + waits}, known_at="k", delay=None)
    early, late = sorted(cutoffs)
    assert (events.known(early) <= events.known(late)).all()
    assert not events.known(early)[(events.time >= early) | (events.known_at > early)].any()


def test_fixed_delay_is_added_to_the_time_asked():
    events = _gather({"t": [1, 5], "y": [0.0, np.nan]}, delay=3)
    assert events.known_at.tolist() == [4, NEVER]
    assert events.labelled.tolist() == [True, False]


def test_label_or_its_time_may_be_missing_and_then_it_never_arrived():
    days = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
    events = _gather({"t": days, "y": [1.0, None, 0.0], "k": [days[1], days[2], pd.NaT]}, known_at="k", delay=None)
    assert events.labelled.tolist() == [True, False, False]
    assert events.known(NEVER - 1).tolist() == [True, False, False]


def test_label_known_before_its_event_is_an_error_that_names_the_first():
    days = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
    early = days - pd.to_timedelta([0, 3600, 60], unit="s")
    expected = (
        r"^known_at: 2 labels are known before their event, first in row 1: "
        r"k 2020-01-01 23:00:00 < t 2020-01-02 00:00:00\. Correct the column or give a delay\."
    )
    with pytest.raises(DataError, match=expected):
        _gather({"t": days, "y": [1, 0, 1], "k": early}, known_at="k", delay=None)


@pytest.mark.parametrize(
    ("asked", "known", "words"),
    [
        ([1, 2], pd.to_datetime(["2020-01-01"] * 2), r"'k' holds times without a zone and 't' holds integers"),
        (pd.to_datetime(["2020-01-01"] * 2), [1, 2], r"'k' holds integers and 't' holds times without a zone"),
        (
            pd.to_datetime(["2020-01-01"] * 2),
            pd.to_datetime(["2020-01-02"] * 2, utc=True),
            r"'k' holds times with a zone and 't' holds times without a zone",
        ),
    ],
)
def test_times_of_two_kinds_are_refused(asked, known, words):
    with pytest.raises(DataError, match=rf"^known_at: column {words}\. Give both of them the same kind"):
        _gather({"t": asked, "y": [0, 1], "k": known}, known_at="k", delay=None)


def test_two_zones_in_two_columns_are_the_same_instants():
    asked = pd.to_datetime(["2020-06-01 12:00"]).tz_localize("Europe/Berlin")
    known = pd.to_datetime(["2020-06-01 06:30"]).tz_localize("America/New_York")
    events = _gather({"t": asked, "y": [1], "k": known}, known_at="k", delay=None)
    assert events.known_at[0] - events.time[0] == 30 * 60 * 10**9
    assert events.clock.zone == "Europe/Berlin"


# -- what cannot be used -------------------------------------------------------------------------


def test_missing_time_is_an_error_that_names_the_row():
    days = [pd.Timestamp("2020-01-01"), pd.NaT, pd.NaT]
    with pytest.raises(DataError, match=r"^time: column 't' is missing in 2 of 3 rows, first in row 1\. Drop these"):
        _gather({"t": days, "y": [1, 0, 1]})


@pytest.mark.parametrize("label", [[None, None], [np.nan, np.nan], [pd.NaT, pd.NaT]])
def test_history_without_a_label_is_refused(label):
    with pytest.raises(DataError, match=r"^label: no row has a label: all 2 values of 'y' are missing or never known"):
        _gather({"t": [1, 2], "y": label})


def test_history_of_which_no_label_ever_arrived_is_refused():
    known = pd.Series([None, None], dtype="Int64")
    with pytest.raises(DataError, match=r"^label: no row has a label"):
        _gather({"t": [1, 2], "y": [0, 1], "k": known}, known_at="k", delay=None)


def test_infinite_label_is_refused():
    with pytest.raises(DataError, match=r"^label: column 'y' is infinite in row 2\. Make it missing or finite"):
        _gather({"t": [1, 2, 3], "y": [0.0, 1.0, -np.inf]})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("keys", "shown"), [([1, 2, 1, 1], "1"), (["a", "b", "a", "a"], "'a'"), ([0.5, 2.0, 0.5, 0.5], "0.5")]
)
def test_key_that_occurs_twice_is_refused(keys, shown, kind):
    expected = rf"^key: key=(np\.\w+\()?{shown}\)? occurs twice, in rows 0 and 2 \(2 repeats in all\)\. Keep one"
    with pytest.raises(DataError, match=expected):
        _gather({"t": [1, 2, 3, 4], "y": [0, 1, 0, 1], "key": keys}, key="key", kind=kind)


def test_missing_keys_do_not_repeat():
    events = _gather({"t": [1, 2, 3], "y": [0, 1, 0], "key": [None, None, "a"], "who": [np.nan, np.nan, 1]}, key="key")
    assert len(events) == 3
    assert len(_gather({"t": [1, 1], "y": [0, 1], "who": [np.nan, np.nan]}, entity="who")) == 2


def test_entity_has_one_event_at_a_time():
    columns = {"t": [5, 1, 5, 5], "y": [0, 1, 0, 1], "who": ["a", "a", "b", "a"]}
    with pytest.raises(DataError, match=r"^entity: who='a' occurs twice at the same time, in rows 0 and 3 \(1 rep"):
        _gather(columns, entity="who")
    columns["t"] = [5, 1, 5, 6]
    assert len(_gather(columns, entity="who")) == 4


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, np.nan])
def test_propensity_out_of_range_is_refused_where_the_label_is_known(bad):
    columns = {"t": [1, 2, 3], "y": [1.0, 0.0, np.nan], "p": [0.5, bad, 0.2]}
    with pytest.raises(DataError, match=rf"^propensity: column 'p' is {bad} in row 1, which has a label; it must lie"):
        _gather(columns, propensity="p")


@pytest.mark.parametrize("unseen", [0.0, np.nan, 7.0])
def test_propensity_of_rows_without_a_label_does_not_matter(unseen):
    events = _gather({"t": [1, 2, 3], "y": [1.0, 0.0, np.nan], "p": [0.5, 0.25, unseen]}, propensity="p")
    assert events.weight.tolist() == [2.0, 4.0, 1.0]


def test_propensity_that_is_no_number_is_refused():
    with pytest.raises(DataError, match=r"^propensity: column 'p' holds 'often', which is not a number"):
        _gather({"t": [1, 2], "y": [1, 0], "p": ["often", "rare"]}, propensity="p")


def test_without_propensity_every_row_weighs_one():
    assert _gather({"t": [1, 2], "y": [1, 0]}).weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("settings_", "field"),
    [
        ({"time": "when"}, "time"),
        ({"label": "when"}, "label"),
        ({"known_at": "when", "delay": None}, "known_at"),
        ({"key": "when"}, "key"),
        ({"entity": "when"}, "entity"),
        ({"propensity": "when"}, "propensity"),
    ],
)
def test_column_that_does_not_exist_is_named_with_those_that_do(settings_, field):
    with pytest.raises(DataError, match=rf"^{field}: the table has no column 'when'\. It has t, y\."):
        _gather({"t": [1, 2], "y": [0, 1]}, **settings_)


# -- side tables ---------------------------------------------------------------------------------


def _side(columns, *, kind="pandas", delay=0, event_time="t", **settings_):
    table = Table(dict, **{"time": "t", "delay": delay, **settings_})
    return side_table(table, _frame(columns, kind), delay, event_time, "tables['side']")


def test_newest_row_that_was_available_by_hand():
    side = _side({"t": [10, 20, 30], "rain": [1.0, 2.0, 3.0]}, delay=5)
    found = side.asof(pd.DataFrame({"t": [14, 15, 24, 25, 99]}))
    assert found["t"].tolist()[1:] == [10, 10, 20, 30]
    assert np.isnan(found["rain"][0])
    assert found["rain"].tolist()[1:] == [1.0, 1.0, 2.0, 3.0]


def test_of_rows_available_at_once_the_later_time_counts_and_of_equals_the_last():
    side = _side(
        {"t": [3, 1, 3, 2], "a": [9, 9, 9, 9], "v": ["first three", "one", "last three", "two"]},
        available_at="a",
        delay=None,
    )
    assert side.asof(pd.DataFrame({"t": [9]}))["v"].tolist() == ["last three"]
    assert side.asof(pd.DataFrame({"t": [8]}))["v"].isna().all()


def test_row_that_never_became_available_is_never_found():
    side = _side({"t": [1, 2], "a": pd.Series([1, None], dtype="Int64"), "v": [10, 20]}, available_at="a", delay=None)
    assert side.asof(pd.DataFrame({"t": [5, NEVER - 1]}))["v"].tolist() == [10, 10]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 4), st.sampled_from(["a", "b", "None"]), st.sampled_from([1, 2, None])
    ),
    max_size=25,
)
ASKED = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(["a", "b", "c", "None"]), st.sampled_from([1, 2, 3, None])),
    min_size=1,
    max_size=25,
)


def _two_tables(rows, asked):
    left = pd.DataFrame(asked, columns=["t", "shop", "size"]).astype({"size": "float64"})
    right = pd.DataFrame(rows, columns=["at", "wait", "shop", "size"]).astype(
        {"at": "int64", "wait": "int64", "shop": "str", "size": "float64"}
    )
    right["v"] = np.arange(len(right))
    return left, right


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", [(), "shop", ("shop", "size")])
@settings(max_examples=60, deadline=None)
@given(rows=ROWS, asked=ASKED)
def test_asof_is_the_latest_time_among_the_available_rows(kind, by, rows, asked):
    left, right = _two_tables(rows, asked)
    right["ready"] = right["at"] + right["wait"]
    keys = [by] if isinstance(by, str) else list(by)
    side = _side(
        {name: right[name].to_numpy(dtype=object if name == "shop" else None) for name in right},
        kind=kind,
        time="at",
        available_at="ready",
        delay=None,
        by=by,
    )
    found = _column(side.asof(KINDS[kind]({n: left[n].to_numpy(object if n == "shop" else None) for n in left})), "v")
    expected = []
    for _, event in left.iterrows():
        # A missing key is a key of its own.
        same = [(right[key] == event[key]) | (right[key].isna() & pd.isna(event[key])) for key in keys]
        open_ = right[(right["ready"] <= event["t"]) & np.all(same, axis=0)]
        best = open_.sort_values(["at", "ready"], kind="stable")
        expected.append(best["v"].iloc[-1] if len(best) else np.nan)
    assert len(found) == len(left)
    for i, value in enumerate(found):
        missing = value is None or np.isnan(value)
        assert missing == np.isnan(expected[i])
        assert missing or value == expected[i]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, asked=ASKED, delay=st.integers(0, 5))
def test_fixed_delay_is_merge_asof_of_delayed_times(rows, asked, delay):
    left, right = _two_tables(rows, asked)
    left = left.sort_values("t", kind="stable").reset_index(drop=True)
    side = _side(right, time="at", delay=delay, by="shop")
    right["ready"] = right["at"] + delay
    theirs = pd.merge_asof(left, right.sort_values("ready", kind="stable"), left_on="t", right_on="ready", by="shop")
    pd.testing.assert_series_equal(side.asof(left)["v"], theirs["v"], check_dtype=False)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, asked=ASKED, cutoff=st.integers(-1, 20), seed=st.integers(0, 99))
def test_what_becomes_available_later_changes_nothing(rows, asked, cutoff, seed):
    left, right = _two_tables(rows, asked)
    left = left[left["t"] <= cutoff].reset_index(drop=True)
    right["ready"] = right["at"] + right["wait"]
    rng = np.random.default_rng(seed)
    later = right["ready"] > cutoff
    other = right.copy()
    other.loc[later, "v"] = -1 - rng.integers(0, 9, int(later.sum()))
    other.loc[later, "at"] = rng.integers(-50, 50, int(later.sum()))
    other.loc[later, "ready"] = rng.integers(cutoff + 1, 90, int(later.sum()))
    other.loc[later, "shop"] = rng.choice(["a", "b", "c"], int(later.sum()))
    given_ = {"time": "at", "available_at": "ready", "delay": None, "by": "shop"}
    one, two = _side(right, **given_), _side(other, **given_)
    three = _side(right[~later], **given_)
    for variant in (two, three, one.before(cutoff), two.before(cutoff)):
        pd.testing.assert_series_equal(variant.asof(left)["v"], one.asof(left)["v"], check_dtype=False)
    pd.testing.assert_frame_equal(one.before(cutoff).table, two.before(cutoff).table, check_dtype=False)


@pytest.mark.parametrize("kind", KINDS)
def test_asof_keeps_the_order_of_the_events_and_drops_the_keys(kind):
    side = _side({"t": [1, 2, 3], "shop": ["a", "b", "a"], "v": [10, 20, 30]}, kind=kind, by="shop")
    found = nw.from_native(side.asof(KINDS[kind]({"t": [9, 2, 1, 2], "shop": ["b", "b", "a", "a"]})), eager_only=True)
    assert found.columns == ["t", "v"]
    assert found["v"].to_list() == [20, 20, 10, 10]


def test_whole_numbers_and_floats_name_the_same_shop():
    side = _side({"t": [1, 2, 3], "shop": [1.0, 2.0, np.nan], "v": [10, 20, 30]}, by="shop")
    assert side.asof(pd.DataFrame({"t": [9, 9], "shop": [2, 1]}))["v"].tolist() == [20, 10]


def test_missing_key_is_not_the_text_none():
    side = _side({"t": [1, 2], "shop": ["None", "nan"], "v": [10, 20]}, by="shop")
    assert side.asof(pd.DataFrame({"t": [9, 9], "shop": [None, "None"]}))["v"].tolist()[1] == 10
    assert side.asof(pd.DataFrame({"t": [9], "shop": [None]}))["v"].isna().all()


@pytest.mark.parametrize("kind", KINDS)
def test_table_of_which_nothing_is_available_gives_missing_values(kind):
    side = _side({"t": [5, 6], "v": [1, 2], "word": ["x", "y"]}, kind=kind).before(4)
    found = nw.from_native(side.asof(KINDS[kind]({"t": [9, 1]})), eager_only=True)
    assert found.shape == (2, 3)
    assert found["v"].is_null().all() or np.isnan(found["v"].to_list()).all()


def test_before_keeps_what_was_available_in_order_of_availability():
    side = _side({"t": [1, 2, 3, 4], "a": [9, 3, 5, 3]}, available_at="a", delay=None)
    assert side.table["t"].tolist() == [2, 4, 3, 1]
    assert side.before(5).table["t"].tolist() == [2, 4, 3]
    assert side.before(5).before(3).available.tolist() == [3, 3]
    assert side.before(2).table.shape == (0, 2)


def test_days_in_the_table_and_instants_in_the_events_are_both_naive_times():
    days = pa.table({"t": [date(2020, 1, 1), date(2020, 1, 2)], "v": [1, 2]})
    side = side_table(Table(dict, "t", delay="1D"), frames.eager(days, "x"), 86_400 * 10**9, "t", "tables['x']")
    asked = pa.table({"t": pa.array([pd.Timestamp("2020-01-02 12:00")], pa.timestamp("us"))})
    assert side.asof(asked)["v"].to_pylist() == [1]


def test_time_of_another_kind_is_refused():
    side = _side({"t": [1, 2], "v": [1, 2]})
    with pytest.raises(DataError, match=r"^asof: the table's time and the events' time are of different kinds"):
        side.asof(pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}))
    with pytest.raises(DataError, match=r"^tables\['side'\]\.available_at: not the same kind of time as 't'"):
        _side({"t": [1], "a": pd.to_datetime(["2020-01-01"])}, available_at="a", delay=None)


def test_key_that_either_side_lacks_is_named():
    with pytest.raises(DataError, match=r"^tables\['side'\]\.by: the table has no column 'shop'\. It has t, v\."):
        _side({"t": [1], "v": [1]}, by="shop")
    side = _side({"t": [1], "shop": ["a"], "v": [1]}, by="shop")
    with pytest.raises(DataError, match=r"^asof: the table has no column 'shop'\. It has t\."):
        side.asof(pd.DataFrame({"t": [1]}))


def test_keys_of_a_table_are_a_tuple():
    assert Table(dict, "t", delay=0).keys == ()
    assert Table(dict, "t", delay=0, by="shop").keys == ("shop",)
    assert Table(dict, "t", delay=0, by=["shop", "day"]).keys == ("shop", "day")


def test_a_late_correction_of_an_old_hour_does_not_hide_a_newer_reading():
    readings = {"at": [10, 11, 10], "ready": [11, 12, 20], "v": [1.0, 2.0, 1.5]}
    side = _side(readings, time="at", available_at="ready", delay=None)
    events = pd.DataFrame({"t": [10, 11, 12, 20]})
    found = side.asof(events)["v"].tolist()
    assert np.isnan(found[0])
    assert found[1:] == [1.0, 2.0, 2.0]
