"""Limits of single features: dates have them as numbers do, and rows may come in another order than the history's."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from mlwild.contracts import infer
from mlwild.contracts.column import Column
from mlwild.guards.encoding import Encoding
from mlwild.guards.fences import Fences, learn_fences
from tests.guards.small import N, made

KINDS = [
    pa.date32(),
    pa.date64(),
    *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    pa.timestamp("us", "Asia/Tokyo"),
]


def _guard(born, kind, **more):
    x = np.random.default_rng(0).normal(size=N)
    table = pa.table({"born": born.cast(kind), "x": x})
    return made(table, x, lambda X: X["x"].to_numpy(), **more)


def _asked(days, kind):
    return pa.table({"born": pa.array(days).cast(pa.timestamp("us")).cast(kind), "x": [0.1] * len(days)})


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_date_far_from_all_others_is_told_as_that(kind):
    days = 700_000 + np.random.default_rng(1).integers(0, 20_000, N)  # 1917 to 1972
    born = pa.array([date.fromordinal(int(day)) for day in days]).cast(pa.timestamp("us"))
    guard = _guard(born, kind)
    found = guard.answer(
        _asked([date(1703, 5, 31), date(1955, 1, 1), date(2199, 1, 1)], kind),
        [lambda X: X["x"].to_numpy()],
        guard.watch(),
    )
    assert found.words == ["degraded", "normal", "degraded"]
    assert found.cause[0].startswith("born is 1703-05-3")
    assert ", before 18" in found.cause[0]
    assert ", after 20" in found.cause[2]


def test_a_date_that_no_calendar_has_is_told():
    born = pa.array([date(2000 + place % 20, 1, 1 + place % 28) for place in range(N)]).cast(pa.timestamp("us"))
    guard = _guard(born, pa.timestamp("us", "Asia/Tokyo"))
    far = pa.array([2**62, -(2**62)]).cast(pa.timestamp("us", "Asia/Tokyo"))
    found = guard.answer(pa.table({"born": far, "x": [0.1, 0.2]}), [lambda X: X["x"].to_numpy()], guard.watch())
    assert found.cause[0].startswith("born is beyond all dates, after 20")
    assert found.cause[1].startswith("born is beyond all dates, before 19")
    assert np.isfinite(found.value).all()


def test_the_limits_of_a_contract_for_dates_are_kept():
    born = pa.array([date(2000 + place % 20, 1, 1 + place % 28) for place in range(N)]).cast(pa.timestamp("us"))
    term = Column("time", low=date(2005, 1, 1), high=date(2010, 12, 31))
    guard = _guard(born, pa.timestamp("us"), terms={"born": term})
    rows = _asked([date(2004, 12, 31), date(2005, 1, 1), date(2010, 12, 31), date(2011, 1, 1)], pa.timestamp("us"))
    found = guard.answer(rows, [lambda X: X["x"].to_numpy()], guard.watch())
    assert found.words == ["degraded", "normal", "normal", "degraded"]
    assert found.cause[0] == "born is 2004-12-31, before 2005-01-01"


def test_rows_of_a_history_in_another_order_stand_still_nowhere():
    """An hour of the day and one of five stations, which change from row to row; the live rows are sorted by them."""
    rng = np.random.default_rng(0)
    hour, station, x = np.arange(N) // 3 % 24, np.arange(N) % 5, rng.normal(size=N)
    table = pa.table({"hour": hour, "station": station, "level": np.round(x, 1), "x": x})
    guard = made(table, x, lambda X: X["x"].to_numpy())
    for by in ("hour", "station", "level"):
        rows = table.sort_by(by)
        found = guard.answer(rows, [lambda X: X["x"].to_numpy()], guard.watch())
        assert not [cause for cause in found.cause if "stood still" in cause]
    contract = infer(
        pa.table({"t": np.arange(N), **{name: table.column(name) for name in table.column_names}}), time="t", every=100
    )
    columns = contract.contract.data.columns
    assert all(
        one.longest_run is None or one.longest_run >= 50 for name, one in columns.items() if name in ("hour", "level")
    )


def test_as_many_may_stand_on_end_as_the_history_has_of_a_value():
    table = pa.table({"slot": np.arange(6000) % 60, "x": np.random.default_rng(0).normal(size=6000)})
    found = learn_fences(table, Encoding.of(table, "pandas"))
    assert found.longest.tolist() == [100.0, 20.0]


def test_a_sensor_that_stands_still_is_told_all_the_same():
    x = np.random.default_rng(0).normal(size=N)
    table = pa.table({"x": x, "z": x + 1})
    guard = made(table, x, lambda X: X["x"].fillna(0.0).to_numpy())
    rows = table.slice(0, 60).set_column(1, "z", pa.array([1.5] * 60)).to_pandas()
    found = guard.answer(rows, [lambda X: X["x"].fillna(0.0).to_numpy()], guard.watch())
    assert [place for place, cause in enumerate(found.cause) if "stood still" in cause] == list(range(20, 60))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5400.0, "wait is 5,400, above 5,100"),  # 3.79 times the usual, as a gallon is of a litre
        (1.5, "wait is 1.5, below 5: perhaps one part in 1,000 (such as kilo) of its unit"),
    ],
)
def test_a_unit_is_only_guessed_where_growth_alone_does_not_reach(value, said):
    one = np.ones(1)
    fences = Fences(("wait",), 5 * one, 5100 * one, one < 0, one > 0, np.inf * one, 1425 * one)
    assert fences.why(0, value) == said
