"""The clock: durations, days of 23 and 25 hours, ends of months, and the cutoffs of a history."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mlwild.clock import NEVER, WARM_UP, Clock, Duration, delay_of, fits
from mlwild.errors import AppError, DataError

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
NAIVE = Clock("naive")
NEW_YORK = Clock("instant", "America/New_York")
BERLIN = Clock("instant", "Europe/Berlin")
TICK = Clock("tick")
# Midnight exists on every day of these.
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Sydney", "+02:00", "-03:30"]


def _ns(text, zone=None):
    return pd.Timestamp(text, tz=zone).as_unit("ns").value


# -- durations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count", "unit", "exact"),
    [
        ("7D", 7, "D", 7 * DAY),
        ("36h", 36, "h", 36 * HOUR),
        (" 15 min ", 15, "min", HOUR // 4),
        ("D", 1, "D", DAY),
        ("2W", 2, "W", 14 * DAY),
        ("1M", 1, "M", 30 * DAY),
        ("1Y", 1, "Y", 365 * DAY),
        ("250ms", 250, "ms", 250 * 10**6),
        ("3us", 3, "us", 3_000),
        ("5ns", 5, "ns", 5),
        ("90s", 90, "s", 90 * 10**9),
    ],
)
def test_duration_is_read_as_written(text, count, unit, exact):
    duration = Duration.parse(text)
    assert (duration.count, duration.unit, duration.exact) == (count, unit, exact)
    assert Duration.parse(str(duration)) == duration


def test_int_counts_ticks():
    assert str(Duration.parse(500)) == "500 ticks"
    assert str(Duration.parse(np.int64(1))) == "1 tick"
    assert Duration.parse(500).exact == 500


def test_timedelta_is_an_exact_span_and_not_a_calendar_day():
    day = Duration.parse(timedelta(days=1))
    assert day.exact == DAY
    noon = _ns("2013-03-09 12:00", "America/New_York")
    assert NEW_YORK.add(noon, day) == _ns("2013-03-10 13:00", "America/New_York")
    assert NEW_YORK.add(noon, Duration.parse("1D")) == _ns("2013-03-10 12:00", "America/New_York")


@pytest.mark.parametrize("value", ["", "7", "7 days", "-1D", "0D", "1.5h", "D7", "1m", 1.5, None, True, timedelta(0)])
def test_what_is_no_duration_is_refused_with_the_units(value):
    with pytest.raises(AppError, match=r"^every: .* is not a duration\. Write a number and a unit of s, min, h, D"):
        Duration.parse(value, "every")


@pytest.mark.parametrize("value", [0, -3, np.int64(0)])
def test_ticks_are_positive(value):
    with pytest.raises(AppError, match=rf"^windows: {value} ticks is not a positive duration"):
        Duration.parse(value, "windows")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (np.int64(0), 0), (timedelta(0), 0), ("0h", 0), ("1h", HOUR), (3, 3), (timedelta(minutes=1), HOUR // 60)],
)
def test_delay_may_be_nothing(value, expected):
    assert delay_of(value) == expected


@pytest.mark.parametrize("value", [0, "0D", "0h", "00 min", timedelta(0)])
@pytest.mark.parametrize("clock", [NAIVE, TICK], ids=["dates", "ticks"])
def test_no_delay_at_all_fits_every_clock(value, clock):
    fits(clock, value, "delay")
    with pytest.raises(AppError, match="delay"):
        fits(clock, 7 if clock is NAIVE else "7D", "delay")


@pytest.mark.parametrize("value", ["soon", -1, False, "-1h"])
def test_what_is_no_delay_is_refused(value):
    with pytest.raises(AppError, match=r"^tables\.delay: .* is not a (positive )?duration"):
        delay_of(value, "tables.delay")


@pytest.mark.parametrize("value", ["2013-02-19T00:00Z", datetime(2013, 2, 19, tzinfo=UTC)])
def test_a_zone_is_refused_where_times_have_none(value):
    with pytest.raises(AppError, match=r"start: '2013-02-19.*' has a time zone, and the times of the data have none"):
        NAIVE.parse(value, "start")
    assert NEW_YORK.parse(value, "start") == NAIVE.parse("2013-02-19", "start")


# -- walls and instants --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "before", "after", "hours"),
    [
        (NEW_YORK, "2013-03-10", "2013-03-11", 23),
        (NEW_YORK, "2013-11-03", "2013-11-04", 25),
        (BERLIN, "2013-03-31", "2013-04-01", 23),
        (BERLIN, "2013-10-27", "2013-10-28", 25),
        (Clock("instant", "Australia/Lord_Howe"), "2013-10-06", "2013-10-07", 23.5),
        (NEW_YORK, "2013-06-10", "2013-06-11", 24),
        (Clock("instant", "+02:00"), "2013-03-31", "2013-04-01", 24),
        (NAIVE, "2013-03-10", "2013-03-11", 24),
    ],
)
def test_day_is_as_long_as_the_wall_clock_says(clock, before, after, hours):
    begin = clock.parse(before, "start")
    end = clock.add(begin, Duration.parse("1D"))
    assert end == clock.parse(after, "start")
    assert (end - begin) / HOUR == hours
    assert clock.add(begin, Duration.parse("24h")) - begin == 24 * HOUR
    assert clock.floor(begin + 20 * HOUR, Duration.parse("1D")) == begin
    assert clock.floor(end - 1, Duration.parse("1D")) == begin


def test_hour_that_comes_twice_is_the_first_and_one_that_never_comes_is_moved_on():
    assert NEW_YORK.parse("2013-11-03 01:30", "start") == _ns("2013-11-03 05:30", "UTC")
    assert NEW_YORK.parse("2013-03-10 02:30", "start") == _ns("2013-03-10 07:30", "UTC")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("1h", "14:00"), ("6h", "14:00"), ("1min", "14:45"), ("1s", "14:45:07"), ("1D", "00:00"), ("2W", "00:00")],
)
@pytest.mark.parametrize("zone", [None, "Asia/Kolkata", "America/St_Johns", "+05:45", "-03:30", "Europe/Berlin"])
def test_floor_is_the_begin_of_the_unit_on_the_wall(zone, unit, expected):
    clock = Clock("instant", zone) if zone else NAIVE
    at = clock.parse("2013-07-17 14:45:07.500", "start")
    begin = clock.parse(f"2013-07-17 {expected}", "start")
    assert clock.floor(at, Duration.parse(unit)) == begin


@pytest.mark.parametrize(("unit", "expected"), [("1M", "2013-07-01"), ("3M", "2013-07-01"), ("1Y", "2013-01-01")])
def test_floor_of_months_and_years_is_their_first_day(unit, expected):
    at = NEW_YORK.parse("2013-07-17 14:45", "start")
    assert NEW_YORK.show(NEW_YORK.floor(at, Duration.parse(unit))) == expected


def test_floor_of_ticks_is_the_tick():
    assert TICK.floor(17, Duration.parse(10)) == 17


@pytest.mark.parametrize("unit", ["D", "W", "M", "Y"])
def test_calendar_spans_keep_nanoseconds(unit):
    begin = NAIVE.parse("2013-01-31 10:00", "start")
    there = NAIVE.add(begin, Duration(1, unit))
    assert NAIVE.add(begin + 1, Duration(1, unit)) == there + 1
    assert NAIVE.add(begin - 1, Duration(1, unit)) == there - 1


def test_month_after_the_31st_is_the_last_day_and_the_31st_comes_back():
    begin = NAIVE.parse("2015-12-31", "start")
    month = Duration.parse("1M")
    dates = [NAIVE.show(NAIVE.add(begin, month, k)) for k in range(5)]
    assert dates == ["2015-12-31", "2016-01-31", "2016-02-29", "2016-03-31", "2016-04-30"]
    assert NAIVE.show(NAIVE.add(begin, month, -1)) == "2015-11-30"
    leap = NAIVE.parse("2016-02-29", "start")
    assert NAIVE.show(NAIVE.add(leap, Duration.parse("1Y"))) == "2017-02-28"
    assert NAIVE.show(NAIVE.add(leap, Duration.parse("4Y"))) == "2020-02-29"


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(1990, 1, 1), date(2030, 12, 31)),
    count=st.integers(1, 40),
    unit=st.sampled_from(["D", "W", "M", "Y"]),
    times=st.integers(-20, 20),
)
def test_calendar_spans_are_those_of_pandas(zone, day, count, unit, times):
    clock = Clock("instant", zone)
    begin = pd.Timestamp(day).tz_localize(zone if "/" in zone or zone == "UTC" else f"UTC{zone}")
    word = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}[unit]
    end = begin + pd.DateOffset(**{word: count * times})
    assume(1700 < begin.year + (count * times if unit == "Y" else 0) < 2200)
    assert clock.add(begin.as_unit("ns").value, Duration(count, unit), times) == end.as_unit("ns").value


@pytest.mark.parametrize("zone", ["Mars/Olympus", "not a zone", "../../etc/passwd"])
def test_zone_that_is_not_known_is_named(zone):
    with pytest.raises(DataError, match=rf"time: the time zone '{zone}' is not known here"):
        Clock("instant", zone).local(0)


# -- reading and showing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2013-02-19", "2013-02-19 00:00"),
        ("2013-02-19T06:30", "2013-02-19 06:30"),
        (date(2013, 2, 19), "2013-02-19 00:00"),
        (datetime(2013, 2, 19, 6, 30), "2013-02-19 06:30"),  # noqa: DTZ001  a wall clock
        (pd.Timestamp("2013-02-19 06:30"), "2013-02-19 06:30"),
    ],
)
def test_point_in_time_is_read_on_the_wall_of_the_clock(value, expected):
    assert NEW_YORK.parse(value, "start") == _ns(expected, "America/New_York")
    assert NAIVE.parse(value, "start") == _ns(expected)


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        ("+02:00", "2013-02-18 22:00"),
        ("-03:30", "2013-02-19 03:30"),
        ("+0545", "2013-02-18 18:15"),
        ("utc", "2013-02-19"),
    ],
)
def test_fixed_offset_is_east_when_positive(zone, utc):
    assert Clock("instant", zone).parse("2013-02-19", "start") == _ns(utc, "UTC")


def test_point_in_time_with_a_zone_keeps_it():
    for value in ("2013-02-19T12:00+01:00", datetime(2013, 2, 19, 11, tzinfo=UTC)):
        assert NEW_YORK.parse(value, "start") == _ns("2013-02-19 11:00", "UTC")
    aware = datetime(2013, 2, 19, 12, tzinfo=timezone(timedelta(hours=1)))
    assert BERLIN.parse(aware, "start") == _ns("2013-02-19 11:00", "UTC")


@pytest.mark.parametrize("value", ["yesterday", "19.02.2013", "2013-02-30", 20130219.5, None])
def test_what_is_no_date_is_refused(value):
    with pytest.raises(AppError, match=r"^start: .* is not a date such as '2013-02-19'"):
        NAIVE.parse(value, "start")


@pytest.mark.parametrize("value", ["2013-02-19", 1.0, True, None])
def test_tick_clock_wants_ints(value):
    with pytest.raises(AppError, match=r"^start: .* is not an int, and the time column holds ints"):
        TICK.parse(value, "start")


def test_ticks_are_read_and_shown_as_they_are():
    assert TICK.parse(np.int32(12), "start") == 12
    assert TICK.show(12) == "12"
    assert TICK.span(1500.0) == "1500 ticks"


def test_midnight_is_shown_as_a_date_in_the_zone_of_the_data():
    midnight = _ns("2013-02-19", "America/New_York")
    assert NEW_YORK.show(midnight) == "2013-02-19"
    assert NEW_YORK.show(midnight, seconds=True) == "2013-02-19 00:00:00"
    assert NEW_YORK.show(midnight + 90 * 10**9) == "2013-02-19 00:01"
    assert Clock("instant", "UTC").show(midnight) == "2013-02-19 05:00"
    assert Clock("instant", "+02:00").show(midnight) == "2013-02-19 07:00"
    assert NAIVE.show(NEVER) == TICK.show(NEVER) == "never"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (3 * DAY, "3 days"),
        (36 * HOUR, "1.5 days"),
        (90 * 60 * 10**9, "1.5 hours"),
        (10**8, "0.1 seconds"),
        (-DAY, "-1 days"),
    ],
)
def test_span_is_told_in_the_largest_unit_that_suits(length, text):
    assert NAIVE.span(length) == text


@pytest.mark.parametrize(("clock", "every", "have"), [(TICK, "7D", "ints"), (NAIVE, 10, "dates")])
def test_cadence_of_the_other_kind_is_refused(clock, every, have):
    with pytest.raises(AppError, match=rf"^every: '.*' does not fit a time column of {have}\. Use "):
        clock.add(0, Duration.parse(every))


# -- cutoffs -------------------------------------------------------------------------------------


def test_weekly_cutoffs_in_new_york_stay_at_midnight_over_both_jumps():
    first, last = NEW_YORK.parse("2013-01-01 05:15", "x"), NEW_YORK.parse("2013-12-31 23:00", "x")
    start = NEW_YORK.parse("2013-02-19", "start")
    edges = NEW_YORK.cutoffs(first, last, Duration.parse("7D"), start)
    expected = pd.date_range("2013-02-19", "2013-12-31", freq="7D", tz="America/New_York").as_unit("ns")
    assert edges.tolist() == expected.asi8.tolist()
    hours = np.diff(edges) // HOUR
    assert sorted(set(hours)) == [167, 168, 169]
    assert (hours == 167).sum() == (hours == 169).sum() == 1


def test_cutoffs_begin_after_the_warm_up_wherever_the_history_ends():
    every = Duration.parse("1D")
    first = NAIVE.parse("2013-01-01 17:00", "x")
    for days in (20, 40, 400):
        edges = NAIVE.cutoffs(first, first + days * DAY, every)
        assert NAIVE.show(int(edges[0])) == "2013-01-09"  # eight days after the day of the first event
        assert WARM_UP == 8
        assert len(edges) == days - 7


def test_monthly_cutoffs_are_the_first_of_each_month():
    first, last = BERLIN.parse("2013-01-17", "x"), BERLIN.parse("2014-03-02", "x")
    shown = [BERLIN.show(int(edge)) for edge in BERLIN.cutoffs(first, last, Duration.parse("1M"))]
    assert shown == ["2013-09-01", "2013-10-01", "2013-11-01", "2013-12-01", "2014-01-01", "2014-02-01", "2014-03-01"]


def test_last_period_counts_only_if_the_data_fill_it():
    every, start = Duration.parse(10), 100
    assert TICK.cutoffs(0, 129, every, start).tolist() == [100, 110, 120, 130]  # 129 is its last tick
    assert TICK.cutoffs(0, 128, every, start).tolist() == [100, 110, 120]
    day, begin = Duration.parse("1D"), NAIVE.parse("2013-01-10", "x")
    for last, count in (("2013-01-13 23:50", 5), ("2013-01-13 23:40", 4), ("2013-01-13 12:00", 4), ("2013-01-14", 5)):
        assert len(NAIVE.cutoffs(0, NAIVE.parse(last, "x"), day, begin)) == count, last


def test_usual_gap_between_events_may_be_missing_at_the_end_but_no_more_than_half_a_period():
    every = Duration.parse(10)
    for last, gap, end in ((126, 3, 120), (127, 3, 130), (124, 9, 120), (125, 9, 130)):
        assert TICK.cutoffs(0, last, every, 100, gap=gap)[-1] == end


def test_start_is_the_first_cutoff_or_the_origin_of_those_after_the_first_event():
    every = Duration.parse(10)
    assert TICK.cutoffs(0, 60, every, 25).tolist() == [25, 35, 45, 55]
    assert TICK.cutoffs(50, 99, every, 25).tolist() == [55, 65, 75, 85, 95]
    assert TICK.cutoffs(0, 60, every, 500).tolist() == []


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from([None, *ZONES, "America/Sao_Paulo", "Africa/Cairo", "Australia/Lord_Howe"]),
    first=st.integers(0, 50 * 365 * DAY),
    periods=st.integers(0, 60),
    count=st.integers(1, 9),
    unit=st.sampled_from(["min", "h", "D", "W", "M", "Y"]),
    started=st.booleans(),
)
@example(zone="America/New_York", first=0, periods=30, count=1, unit="D", started=False)
def test_cutoffs_grow_without_gaps_and_end_with_the_data(zone, first, periods, count, unit, started):
    clock = Clock("instant", zone) if zone else NAIVE
    every = Duration(count, unit)
    last = first + periods * every.exact + every.exact // 2
    assume(last < 200 * 365 * DAY)  # nanoseconds end in 2262
    start = first + every.exact // 3 if started else None
    assume(start is None or clock.add(start, every, 0) == start)  # not the second of an hour that comes twice
    edges = clock.cutoffs(first, last, every, start).tolist()
    assert all(a < b for a, b in itertools.pairwise(edges))
    assert all(edge > first for edge in edges)
    assert not edges or edges[-1] <= last + every.exact // 100
    if not edges:
        return
    # Each is the next one of the cadence, counted from one origin: nothing is left out.
    origin = start if started else clock.floor(first, every)
    begin = 0 if started else WARM_UP
    assert edges == [clock.add(origin, every, begin + k) for k in range(len(edges))]
    assert clock.add(origin, every, begin + len(edges)) > last + every.exact // 100
    if unit in ("h", "min"):
        assert set(np.diff(edges)) <= {every.exact}
