"""What models are given in the place of values that cannot be used: of every kind of column, and what it is worth."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlwild.guards import Candidate, Known, learn_guard
from mlwild.guards.encoding import Encoding
from mlwild.guards.filling import FEWEST, FILLS, learn_filler
from mlwild.losses import named

N = 2000


def _table(n=N, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return pa.table(
        {
            "x": x,
            "single": pa.array((x + 0.01 * rng.normal(size=n)).astype(np.float32)),
            "whole": pa.array(np.round(100 * x).astype(np.int64)),
            "true": pa.array(x > 0),
            "word": pa.array(np.where(x > 0, "up", "down")).dictionary_encode(),
            "when": pa.array([day + dt.timedelta(hours=float(one)) for one in x]),
        }
    )


@pytest.fixture(scope="module")
def filler():
    table = _table()
    return learn_filler(Encoding.of(table, "pyarrow"), table)


def _filled(filler, table, names, fill):
    gaps = np.broadcast_to([name in names for name in table.column_names], (table.num_rows, table.num_columns))
    return filler.filled(table, filler.encoding.matrix(table)[0], gaps, fill)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("some", [True, False])
def test_columns_keep_their_kind_and_rows_without_a_fault_their_values(filler, fill, some):
    table = _table(200, seed=1)
    gaps = np.zeros((200, 6), dtype=bool)
    gaps[: 100 if some else 200] = True
    gaps[:, 0] = False
    made = filler.filled(table, filler.encoding.matrix(table)[0], gaps, fill)
    assert made.schema == table.schema
    assert made.column("x") == table.column("x")
    assert made.slice(100).to_pylist() == table.slice(100).to_pylist() or not some
    assert made.slice(0, 100).drop(["x"]).to_pylist() != table.slice(0, 100).drop(["x"]).to_pylist()


def test_what_the_others_say_stands_there(filler):
    table = _table(200, seed=1)
    made = _filled(filler, table, ["single", "whole", "true"], "imputed")
    x = table.column("x").to_numpy()
    np.testing.assert_allclose(made.column("single").to_numpy(), x, atol=0.1)
    inside = np.abs(x) < 2.5
    np.testing.assert_allclose(made.column("whole").to_numpy()[inside], 100 * x[inside], atol=10)
    assert (made.column("true").to_numpy() == (x > 0))[np.abs(x) > 0.1].all()


def test_a_word_is_the_likeliest_one(filler):
    """Of whole numbers and truth the other columns know the sign, and the word is what the sign says."""
    table = _table(400, seed=1)
    gaps = np.zeros((400, 6), dtype=bool)
    gaps[:300, 4] = True
    made = filler.filled(table, filler.encoding.matrix(table)[0], gaps, "imputed").column("word").to_pylist()
    x = table.column("x").to_numpy()
    wrong = [one != ("up" if value > 0 else "down") for one, value in zip(made, x, strict=True)]
    assert np.mean(wrong) < 0.02
    assert not any(wrong[300:])
    nothing = filler.filled(table, filler.encoding.matrix(table)[0], np.ones((400, 6), dtype=bool), "imputed")
    assert nothing.column("word").unique().to_pylist() == [filler.usual["word"]]


def test_times_are_not_guessed_nor_words_that_are_seldom_the_same(filler):
    table = _table(50, seed=1)
    for fill in ("usual", "imputed"):
        made = _filled(filler, table, ["when"], fill)
        assert made.column("when").unique().to_pylist() == [filler.usual["when"]]
    table = _table(200).append_column("id", pa.array([f"row {place}" for place in range(200)]))
    other = learn_filler(Encoding.of(table, "pyarrow"), table)
    assert set(other.words) == {"word"}
    assert _filled(other, table, ["id"], "imputed").column("id").unique().to_pylist() == [other.usual["id"]]


def test_a_value_that_was_never_known_stays_missing(filler):
    """It is the model's own matter, as it was when it learned."""
    table = _table(3, seed=1)
    table = table.set_column(0, "x", pa.array([None, 1.0, 2.0]))
    made = _filled(filler, table, ["single"], "imputed")
    assert made.column("x").to_pylist() == [None, 1.0, 2.0]
    assert made.column("single").null_count == 0


_SITE = pa.dictionary(pa.int8(), pa.int64())
_NUMBERS = {
    "category": lambda x: pa.array(np.round(x).astype(np.int64)).dictionary_encode().cast(_SITE),
    "decimal": lambda x: pa.array([decimal.Decimal(f"{one:.3f}") for one in x], pa.decimal128(9, 3)),
    "half": lambda x: pa.array(x.astype(np.float16)),
}


@pytest.mark.parametrize("kind", list(_NUMBERS))
@pytest.mark.parametrize("fill", FILLS)
def test_numbers_of_any_kind_are_looked_at_as_what_they_are_worth(kind, fill):
    x = np.random.default_rng(2).normal(size=N)
    column = _NUMBERS[kind](x)
    table = pa.table({"x": x, "other": column})
    filler = learn_filler(Encoding.of(table, "pyarrow"), table)
    worth = np.array([float(one) for one in column.to_pylist()])
    for part in (table, table.slice(N // 2), table.take(np.arange(N)[::-1])):
        rows = filler.encoding.matrix(part)[0]
        np.testing.assert_allclose(rows[:, 1], [float(one) for one in part.column("other").to_pylist()])
    gaps = np.zeros((N, 2), dtype=bool)
    gaps[::2, 1] = True
    made = filler.filled(table, filler.encoding.matrix(table)[0], gaps, fill)
    assert made.schema == table.schema
    there = made.column("other").to_pylist()
    assert there[1::2] == column.to_pylist()[1::2]
    if fill == "imputed":
        found = np.array([float(one) for one in there[::2]])
        np.testing.assert_allclose(found, worth[::2], atol=1.0 if kind == "category" else 0.6)
        assert np.abs(found - worth[::2]).mean() < 0.1


@pytest.mark.parametrize(("learned", "sent"), [(np.uint8, np.int64), (np.int8, np.uint16), (np.uint8, np.uint32)])
@pytest.mark.parametrize("fill", FILLS)
def test_whole_numbers_beyond_the_kind_that_was_learned_stay_beside_what_is_filled(learned, sent, fill):
    x = np.random.default_rng(5).normal(size=N)
    table = pa.table({"x": x, "whole": np.round(20 * np.clip(x, -3, 3) + 60).astype(learned)})
    filler = learn_filler(Encoding.of(table, "pyarrow"), table)
    live = pa.table({"x": [0.0, 0.0, 0.0], "whole": pa.array([300, 258, 7], pa.from_numpy_dtype(sent))})
    gaps = np.array([[False, True], [False, False], [False, False]])
    made = filler.filled(live, filler.encoding.matrix(live)[0], gaps, fill).column("whole").to_pylist()
    assert made[1:] == [258, 7]
    assert made[0] is None if fill == "missing" else 40 < made[0] < 80


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.uint8])
def test_the_greatest_whole_number_there_is_does_not_turn_round(kind):
    x, most = np.random.default_rng(4).normal(size=N), np.iinfo(kind).max
    table = pa.table({"x": x, "mark": np.where(x > 0, most, kind(7)).astype(kind)})
    filler = learn_filler(Encoding.of(table, "pyarrow"), table)
    gaps = np.broadcast_to([False, True], (N, 2))
    found = filler.filled(table, filler.encoding.matrix(table)[0], gaps, "imputed").column("mark").to_numpy()
    assert (found[x > 0.5] >= most - 2048).all()
    assert (found[x < -0.5] == 7).all()


def test_categories_of_numbers_are_the_same_alone_and_among_others():
    rng = np.random.default_rng(3)
    site = rng.integers(0, 5, size=2 * N)
    frame = pd.DataFrame({"site": pd.Categorical(site), "x": site + 0.2 * rng.normal(size=2 * N)})

    def predict(X):
        return X["site"].astype(float).fillna(0.0).to_numpy()

    guard = _guard(frame, site.astype(float), predict)
    some = frame[site > 2].iloc[:50].reset_index(drop=True)
    some["site"] = some["site"].cat.remove_unused_categories()
    assert set(guard.answer(some, [predict], guard.watch()).words) == {"normal"}
    watch = guard.watch()
    assert all(guard.answer(some.iloc[[row]], [predict], watch).words == ["normal"] for row in range(50))
    gone = frame.iloc[:50].assign(site=frame["site"].iloc[:50].where(frame["x"] < 2.0))
    found = guard.answer(gone, [predict], guard.watch())
    assert set(found.words) == {"normal", "degraded"}
    assert np.abs(found.value - site[:50]).mean() < 0.5


@pytest.mark.parametrize("fill", FILLS)
def test_words_among_numbers_go_and_gaps_beside_them_stay(filler, fill):
    table = _table(3, seed=1)
    words = table.set_column(1, "single", pa.array(["3.1 kW", None, "0.7 kW"]))
    gaps = np.zeros((3, 6), dtype=bool)
    gaps[[0, 2], 1] = True
    rows = filler.encoding.matrix(table)[0]
    rows[:, 1] = np.nan
    made = filler.filled(words, rows, gaps, fill).column("single")
    assert made.type == pa.float32()
    assert made.is_null().to_pylist() == ([True] * 3 if fill == "missing" else [False, True, False])


def test_few_rows_and_a_single_feature_tell_nothing_of_others():
    table = _table(FEWEST - 1)
    assert learn_filler(Encoding.of(table, "pyarrow"), table).ways == FILLS[:2]
    table = _table().select(["x"])
    assert learn_filler(Encoding.of(table, "pyarrow"), table).ways == FILLS[:2]


def _guard(frame, y, predict):
    table, half = pa.Table.from_pandas(frame, preserve_index=False), len(y) // 2
    parts = table.slice(0, half), y[:half], table.slice(half), y[half:]
    return learn_guard(Known(*parts, "pandas", named("absolute"), "value", 0), [Candidate("model", "1", predict)])


def test_a_feature_that_others_tell_is_hardly_missed_and_one_that_stands_alone_is():
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(2, 2 * N))
    frame = pd.DataFrame({"a": a, "b": a + 0.1 * rng.normal(size=2 * N), "c": c})

    def predict(X):
        return (X["a"] + X["c"]).to_numpy()

    guard = _guard(frame, a + c, predict)
    stage = guard.stages[0]
    assert stage.gone["a"].fill == "imputed"
    assert stage.gone["a"].loss < 0.1
    # The expected absolute value of a normal number.
    assert stage.gone["c"].loss == pytest.approx(np.sqrt(2 / np.pi), abs=5 * 0.6 / np.sqrt(1000))
    live = frame.iloc[:500].assign(a=np.nan)
    found = guard.answer(live, [predict], guard.watch())
    assert set(found.words) == {"degraded"}
    lost = np.abs(found.value - (a + c)[:500])
    assert lost.mean() == pytest.approx(found.expected[0], abs=5 * lost.std() / np.sqrt(500))
    both = guard.answer(frame.iloc[:500].assign(a=np.nan, b=np.nan), [predict], guard.watch())
    assert both.expected[0] > 0.6  # nobody tells it then


def test_cells_are_guessed_by_what_is_left_of_their_own_row():
    rng = np.random.default_rng(1)
    a = rng.normal(size=2 * N)
    frame = pd.DataFrame({name: a + 0.05 * rng.normal(size=2 * N) for name in "abc"})

    def predict(X):
        return X.mean(axis=1, skipna=False).to_numpy()

    guard = _guard(frame, a, predict)
    live = frame.iloc[:300].copy()
    for place in range(3):
        live.iloc[place::3, place] = np.nan
    found = guard.answer(live, [predict], guard.watch())
    assert np.abs(found.value - a[:300]).mean() < 0.1


@pytest.mark.parametrize("fill", FILLS)
def test_categories_keep_their_places_beside_what_is_filled(fill):
    """Models that read the places of categories were given those in the order in which they came."""
    sorts = ["south", "north", "west", "east"]  # there is no west, and the order is nobody's alphabet
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"site": pd.Categorical(rng.choice(["east", "north", "south"], N), sorts), "x": rng.random(N)})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    filler = learn_filler(Encoding.of(table, "pandas"), table)
    for gone in (np.arange(N) % 3 == 0, np.ones(N, dtype=bool)):
        gaps = np.column_stack([gone, np.zeros(N, dtype=bool)])
        made = filler.filled(table, filler.encoding.matrix(table)[0], gaps, fill)
        found = made.column("site").to_pandas()
        assert found.cat.categories.tolist() == sorts
        assert found[~gone].equals(frame["site"][~gone])
        assert made.schema == table.schema


def test_an_unknown_category_costs_what_the_others_do_not_tell():
    """Of a model that reads places, and a site that a number tells nearly: ranks of neighbours touch at the edge."""
    rng = np.random.default_rng(3)
    site = rng.integers(0, 3, 2 * N)
    names = np.array(["north", "south", "east"])[site]
    frame = pd.DataFrame(
        {"site": pd.Categorical(names, ["south", "north", "east"]), "x": site + 0.1 * rng.normal(size=2 * N)}
    )

    def predict(X):
        return np.array([10.0, 0.0, 20.0, np.nan])[X["site"].cat.codes]

    guard = _guard(frame, 10.0 * site, predict)
    assert guard.stages[0].gone["site"].loss < 1.5  # a guess at random costs 9
    strange = frame.iloc[:300].copy()
    strange["site"] = strange["site"].cat.add_categories(["mars"])
    strange.loc[::3, "site"] = "mars"
    found = guard.answer(strange, [predict], guard.watch())
    off = np.abs(found.value - 10.0 * site[:300])
    assert off[::3].mean() < 1.5
    assert not off[1::3].any()
    assert not off[2::3].any()
