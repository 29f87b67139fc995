"""Frames of any kind, and what is odd in them: cells, gaps, words, times."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild import frames
from mlwild.errors import DataError
from mlwild.guards import Candidate, Known, learn_guard
from mlwild.guards import encoding as encoding_module
from mlwild.guards.encoding import Encoding
from mlwild.guards.runs import Runs, longest_runs
from mlwild.losses import named
from tests.guards.small import N, made, two
from tests.guards.streams import classes

_CELLS = st.one_of(
    st.floats(), st.none(), st.integers(-(2**62), 2**62), st.text(max_size=3), st.booleans(), st.dates().map(str)
)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "numpy"])
def test_other_kinds_of_frames_are_looked_at_alike(kind):
    table, a = two(np.random.default_rng(0))
    if kind == "numpy":
        table = table.rename_columns(["x0", "x1"])
    predict = {
        "polars": lambda X: X["a"].to_numpy(),
        "pyarrow": lambda X: X.column("a").to_numpy(),
        "numpy": lambda X: X[:, 0],
    }[kind]
    known = Known(table.slice(0, 600), a[:600], table.slice(600), a[600:], kind, named("absolute"), "value", 0)
    guard = learn_guard(known, [Candidate("model", "1", predict)])
    rows = {"a": [0.5, 900.0, None], "b": [0.5, 0.1, 0.1]}
    native = {
        "polars": pl.DataFrame(rows),
        "pyarrow": pa.table(rows),
        "numpy": np.array([[0.5, 0.5], [900.0, 0.1], [np.nan, 0.1]]),
    }[kind]
    found = guard.answer(native, [predict], guard.watch())
    assert found.words[0] == "normal"
    first = table.column_names[0]
    assert f"{first} is 900, above" in found.cause[1]
    assert found.cause[2].startswith(f"{first} is missing")
    assert np.isfinite(found.value).all()


def test_an_unknown_word_is_told_and_does_without_the_column():
    stream = classes(2)
    rows = stream.live.iloc[:3].copy()
    rows["site"] = ["west", "north", None]
    found = stream.guard.answer(rows, stream.predict, stream.guard.watch())
    assert found.cause[0].startswith("site holds a value that was never learned from")
    assert found.cause[2].startswith("site is missing")
    assert np.isfinite(found.value).all()


def test_a_first_row_without_any_value_is_a_row():
    nothing = np.full((3, 2), np.nan)
    assert longest_runs(nothing).tolist() == [1.0, 1.0]  # the same request again makes no run longer
    together, alone = Runs.of(2), Runs.of(2)
    together.feed(nothing, np.full(2, 9.0))
    for row in nothing:
        alone.feed(row[None], np.full(2, 9.0))
    assert together.length.tolist() == alone.length.tolist() == [1.0, 1.0]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_row_is_so_odd_that_it_gets_no_answer(stream, data):
    n = data.draw(st.integers(1, 4))
    names = data.draw(st.lists(st.sampled_from([*stream.live.columns, "strange"]), unique=True))
    columns = {}
    for name in names:
        kind = data.draw(st.sampled_from([st.floats(), st.none(), st.integers(-9, 9), st.text(max_size=3), _CELLS]))
        cells = data.draw(st.lists(kind, min_size=n, max_size=n))
        try:
            columns[name] = pa.array(cells)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[name] = pa.array([str(cell) for cell in cells])
    table = pa.table(columns) if columns else pa.table({"strange": pa.nulls(n)})
    found = stream.guard.answer(table, stream.predict, stream.guard.watch())
    assert np.isfinite(found.value).all()
    assert ((found.cause != "") == (found.status > 0)).all()


def _strange(base):
    return {
        "cells of two kinds": base.assign(load=pd.Series([60.0, "x", 61.0], dtype=object)),
        "a column more": base.assign(extra=1),
        "another order": base[base.columns[::-1]],
        "a name twice": pd.concat([base, base[["load"]]], axis=1),
        "lists": base.assign(load=pd.Series([[1], [2], [3]], dtype=object)),
        "times": base.assign(load=pd.to_datetime(["2024-01-01"] * 3)),
        "text": base.assign(load=["60.1", "59.0", "61"]),
        "infinite": base.assign(load=[np.inf, -np.inf, 60.0]),
        "huge": base.assign(load=[1e300, -1e300, 60.0]),
        "gaps of pandas": base.assign(load=pd.array([None, 60.0, None], dtype="Float64")),
    }


def test_whatever_a_frame_holds_each_row_is_answered_and_told_why(stream):
    for said, rows in _strange(stream.live.iloc[:3]).items():
        found = stream.guard.answer(rows, stream.predict, stream.guard.watch())
        assert np.isfinite(found.value).all(), said
        assert (found.status < 3).all(), said
        assert ((found.cause != "") == (found.status > 0)).all(), said
        assert max(map(len, found.cause)) < 200, said  # no number of three hundred digits


def test_a_bad_cell_does_not_spoil_its_neighbours(stream):
    base = stream.live.iloc[:3]
    plain = stream.guard.answer(base, stream.predict, stream.guard.watch())
    assert plain.words == ["normal"] * 3
    rows = base.assign(load=pd.Series([base["load"].iloc[0], "x", base["load"].iloc[2]], dtype=object))
    found = stream.guard.answer(rows, stream.predict, stream.guard.watch())
    assert found.words == ["normal", "degraded", "normal"]
    assert found.value[[0, 2]].tolist() == plain.value[[0, 2]].tolist()


@pytest.mark.parametrize("said", ["a column more", "another order"])
def test_more_columns_or_another_order_do_no_harm(stream, said):
    base = stream.live.iloc[:3]
    plain = stream.guard.answer(base, stream.predict, stream.guard.watch())
    found = stream.guard.answer(_strange(base)[said], stream.predict, stream.guard.watch())
    assert found.words == plain.words == ["normal"] * 3
    assert found.value.tolist() == plain.value.tolist()


def test_one_row_with_a_gap_of_pandas_is_a_gap(stream):
    row = stream.live.iloc[:1].assign(load=pd.array([None], dtype="Float64"))
    found = stream.guard.answer(row, stream.predict, stream.guard.watch())
    assert found.cause[0].startswith("load is missing")


def test_gaps_of_pandas_beside_a_column_of_several_kinds_are_gaps():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"n": pd.array(rng.integers(0, 9, N), dtype="Int64"), "a": rng.normal(size=N)})
    predict = lambda X: X["a"].astype(float).to_numpy()  # noqa: E731
    guard = made(pa.Table.from_pandas(frame, preserve_index=False), frame["a"].to_numpy(), predict)
    rows = pd.DataFrame(
        {"n": pd.array([None, 3, 4], dtype="Int64"), "a": pd.Series([0.5, "high", 10**400], dtype=object)}
    )
    found = guard.answer(rows, [predict], guard.watch())
    assert found.cause[0] == "n is missing"
    assert all(cause.startswith("a holds a value that was never learned from") for cause in found.cause[1:])
    assert np.isfinite(found.value).all()


def test_numbers_that_are_next_to_nothing_are_looked_at_as_nothing():
    """Likelihoods that run below what a number can hold: a line between two of them would be infinitely steep."""
    rng = np.random.default_rng(0)
    small = np.where(rng.random(N) < 0.5, rng.integers(0, 9, N) * 5e-324, 10.0 ** rng.uniform(-320, 0, N))
    table, predict = pa.table({"p": small, "a": rng.normal(size=N)}), lambda X: X["a"].to_numpy()
    guard = made(table, table["a"].to_numpy(), predict)
    rows = pa.table({"p": [5e-324, 1e-322, 1e-300, 0.0], "a": [0.1, 0.2, 0.3, 0.4]})
    found = guard.answer(rows, [predict], guard.watch())
    assert found.words == ["normal"] * 4


def test_times_are_compared_in_the_unit_that_was_learned():
    at = pd.date_range("2024-01-01", periods=N, freq="h")
    table = pa.table({"at": pa.array(at.astype("datetime64[us]")), "a": np.random.default_rng(0).normal(size=N)})
    guard = made(table, np.arange(N, dtype=float), lambda X: np.zeros(len(X)))
    for unit in ("s", "us", "ns"):
        rows = pa.table({"at": pa.array(at[900:903].astype(f"datetime64[{unit}]")), "a": [0.1, 0.2, 0.3]})
        found = guard.answer(rows, [lambda X: np.zeros(len(X))], guard.watch())
        assert found.words == ["normal"] * 3, (unit, found.cause)


def test_times_and_durations_of_another_unit_are_what_they_are_however_far():
    """In nanoseconds the year 9999 is beyond whole numbers: it was told as 1816."""
    at = pd.date_range("2024-01-01", periods=N, freq="h", unit="ns")
    since = pd.to_timedelta(np.random.default_rng(0).uniform(1, 90, N), unit="D").as_unit("ns")
    table = pa.table({"at": at, "since": since, "a": np.random.default_rng(1).normal(size=N)})
    guard = made(table, np.arange(N, dtype=float), lambda X: np.zeros(len(X)))
    for unit in ("s", "us", "ns"):
        rows = pa.table({"at": at[900:903].as_unit(unit), "since": since[900:903].as_unit(unit), "a": [0.1, 0.2, 0.3]})
        found = guard.answer(rows, [lambda X: np.zeros(len(X))], guard.watch())
        assert found.words == ["normal"] * 3, (unit, found.cause)
    far = pa.table({"at": pa.array([253402214400], pa.timestamp("s")), "since": since[:1], "a": [0.1]})
    found = guard.answer(far, [lambda X: np.zeros(len(X))], guard.watch())
    assert ", after 20" in found.cause[0]
    long = pa.table({"at": at[:1], "since": pa.array([10**12], pa.duration("s")), "a": [0.1]})
    found = guard.answer(long, [lambda X: np.zeros(len(X))], guard.watch())
    assert found.cause[0] == "since does not fit the other features"


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_one_row_with_times_is_read_as_it_is_among_others(unit, zone, monkeypatch):
    """In the tenth of the time, too: not through Arrow."""
    at = pd.date_range("1969-12-30", periods=9, freq="7h", tz=zone).as_unit(unit)
    frame = pd.DataFrame({"at": at, "word": list("abcabcabc"), "a": np.arange(9.0), "n": pd.array([1, None, 3] * 3)})
    frame.loc[[3, 6], "at"] = pd.NaT
    encoding = Encoding.of(pa.Table.from_pandas(frame, preserve_index=False), "pandas")
    whole, unread = encoding.matrix(encoding.read(frame)[0])
    assert not unread
    monkeypatch.setattr(encoding_module.frames, "to_arrow", None)
    one_by_one = [encoding.numbers(frame.iloc[[place]]) for place in range(len(frame))]
    np.testing.assert_array_equal(np.vstack(one_by_one), whole)


@pytest.mark.parametrize(
    ("learned", "given"),
    [
        (pd.Timestamp("2024-01-02 03:04:05.678"), 1704164645678),
        (pd.Timestamp("2024-01-02 03:04:05.678"), "2024-01-02"),
        (pd.Timestamp("2024-01-02 03:04:05.678"), datetime(2024, 1, 2, tzinfo=UTC)),
        (pd.Timestamp("2024-01-02 03:04:05.678"), date(2024, 1, 2)),
        (date(2024, 1, 2), 19724),
        (date(2024, 1, 2), pd.Timestamp("2024-01-02 03:04:05.678")),
        (7.0, pd.Timestamp("2024-01-02 03:04:05.678")),
    ],
    ids=str,
)
def test_a_cell_of_another_kind_than_was_learned_is_not_read_the_quick_way(learned, given):
    encoding = Encoding.of(pa.Table.from_pandas(pd.DataFrame({"at": [learned] * 3, "a": 1.0})), "pandas")
    assert encoding.numbers(pd.DataFrame({"at": [given], "a": [2.0]})) is None
    assert encoding.numbers(pd.DataFrame({"at": [given] * 2, "a": [2.0] * 2})) is None


def test_numbers_where_words_were_learned_are_no_places_of_words():
    encoding = Encoding.of(pa.table({"x0": ["a", "b"], "x1": [1.0, 2.0]}), "numpy")
    assert encoding.numbers(np.array([[1.0, 2.0]])) is None


def test_a_word_that_may_be_new_is_no_strange_row():
    """Ids: every row brings a new one, and that it does says nothing."""
    rng = np.random.default_rng(0)
    table = pa.table({"id": [f"order {k}" for k in range(N)], "a": rng.normal(size=N), "b": rng.normal(size=N)})
    guard = made(table, np.asarray(table.column("a")), lambda X: X["a"].to_numpy())
    rows = pd.DataFrame({"id": [f"new {k}" for k in range(500)], "a": rng.normal(size=500), "b": rng.normal(size=500)})
    found = guard.answer(rows, [lambda X: X["a"].to_numpy()], guard.watch())
    assert found.words.count("normal") >= 499


@pytest.mark.parametrize("kind", [object, str])
def test_a_word_in_an_array_of_numbers_is_one_bad_cell(kind):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, 3))
    table = pa.table({f"x{place}": column for place, column in enumerate(rows.T.copy())})
    known = Known(
        table.slice(0, 600), rows[:600, 0], table.slice(600), rows[600:, 0], "numpy", named("absolute"), "value", 0
    )

    def predict(X):
        return np.nan_to_num(X[:, 0])

    guard = learn_guard(known, [Candidate("model", "1", predict)])
    bad = rows[:3].astype(object)
    bad[1, 2] = "4.0 kW"
    found = guard.answer(bad.astype(kind), [predict], guard.watch())
    assert found.words == ["normal", "degraded", "normal"]
    assert found.cause[1] == "x2 holds a value that was never learned from"
    assert found.value[[0, 2]] == pytest.approx(rows[[0, 2], 0])


def test_what_is_no_table_is_refused_in_a_sentence(stream):
    for wrong in ({"load": [1.0]}, np.zeros(3), None, 3):
        with pytest.raises(DataError, match="^features: "):
            stream.guard.answer(wrong, stream.predict, stream.guard.watch())


def test_a_gap_is_told_as_missing_however_long_it_lasts():
    """Not as a value that stands still; where gaps are usual, it is their length that is not."""
    rng = np.random.default_rng(2)
    table, a = two(rng)
    guard = made(table, a, lambda X: X["b"].to_numpy())
    rows = table.slice(0, 400).to_pandas().assign(a=np.nan)
    found = guard.answer(rows, [lambda X: X["b"].to_numpy()], guard.watch())
    assert set(found.cause) == {"a is missing"}
    holes = pa.table({"a": np.where(rng.random(N) < 0.3, np.nan, a), "b": table["b"]})
    guard = made(holes, a, lambda X: X["b"].to_numpy())
    found = guard.answer(rows, [lambda X: X["b"].to_numpy()], guard.watch())
    assert not [one for one in found.cause if "stood still" in one]
    longest = guard.fences.longest[0]
    assert found.cause[-1] == f"a has been missing for more than {longest:,.0f} rows"


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ([10**400, 1, 2], ["number", "holds a value that was never learned from"]),
        ([2**64, 1, 2], ["number", "is 1.845e+19, above"]),
        ([1 + 2j, 0, 0], ["number", "holds a value that was never learned from"]),
        (["high", 1, 2], ["number", "holds"]),
    ],
    ids=["beyond floats", "beyond 64 bits", "complex", "word"],
)
def test_times_beside_a_column_that_no_table_holds_are_times(n, odd, told):
    rng = np.random.default_rng(0)
    when = np.datetime64("2026-01-01", "us") + rng.integers(0, 86_400, 800) * np.timedelta64(1, "s")
    table = pa.table({"number": rng.normal(size=800), "when": when})
    guard = learn_guard(
        Known(
            table.slice(0, 400), np.zeros(400), table.slice(400), rng.normal(size=400), "pandas", named("absolute"), "value", 0
        ),
        [Candidate("model", "1", lambda X: np.zeros(len(X)))],
    )  # fmt: skip
    rows = pd.DataFrame({"number": pd.Series(odd[:n], dtype=object), "when": when[:n]})
    found = guard.answer(rows, [lambda X: np.zeros(len(X))], guard.watch())
    assert found.cause[0].startswith(" ".join(told))
    assert "when" not in "".join(found.cause)
    assert "number" not in "".join(found.cause[1:])


@pytest.mark.parametrize("kind", ["Sparse[float64]", "complex128"])
def test_a_column_of_a_kind_that_arrow_lacks_is_told_in_a_sentence(kind):
    with pytest.raises(DataError, match="features: a column holds"):
        frames.to_arrow(pd.DataFrame({"x": np.zeros(3)}).astype(kind), "features")
