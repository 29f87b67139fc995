"""The guard, piece by piece."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import AppError, DataError
from mlwild.guards import Candidate, Guard, Known, learn_guard
from mlwild.guards.fences import Runs
from mlwild.losses import named
from tests.guards.streams import classes, regression

N = 1200


@pytest.fixture(scope="module")
def stream():
    return regression(1)


def _made(table, labels, predict, loss="absolute", **more):
    known = Known(
        table.slice(0, N // 2),
        labels[: N // 2],
        table.slice(N // 2),
        labels[N // 2 :],
        "pandas",
        named(loss),
        "value",
        0,
    )
    return learn_guard(known, [Candidate("model", "1", predict)], **more)


def _two(rng):
    a = rng.normal(size=N)
    return pa.table({"a": a, "b": a + 0.1 * rng.normal(size=N)}), a


def test_a_row_alone_and_in_a_batch_gets_the_same_answer(stream):
    live = stream.live.iloc[:300]
    batch = stream.guard.answer(live, stream.predict, stream.guard.watch())
    watch = stream.guard.watch()
    alone = [stream.guard.answer(live.iloc[at : at + 1], stream.predict, watch) for at in range(300)]
    assert [one.value[0] for one in alone] == batch.value.tolist()
    assert [one.words[0] for one in alone] == batch.words


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "numpy"])
def test_other_kinds_of_frames_are_looked_at_alike(kind):
    table, a = _two(np.random.default_rng(0))
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


def test_two_features_that_say_the_same_are_missed_only_together():
    rng = np.random.default_rng(0)
    table, a = _two(rng)

    def predict(X):
        return X[["a", "b"]].mean(axis=1).fillna(50.0).to_numpy()

    guard = _made(table, a, predict)
    model = guard.stages[0]
    assert max(gone.loss for gone in model.gone.values()) < 0.3
    watch = guard.watch()
    together = guard.without(0, ("a", "b"), [predict], watch)
    assert together.loss > 0.6
    found = guard.answer(pd.DataFrame({"a": [np.nan], "b": [np.nan]}), [predict], watch)
    assert found.words == ["degraded"] or found.stage[0] == 1
    assert len(watch.measured) == 1


def test_an_interval_holds_as_many_outcomes_as_it_says_and_learns_from_misses(stream):
    watch, held, n = stream.guard.watch(), 0, len(stream.live)
    for at in range(0, n, 20):
        part = stream.guard.answer(stream.live.iloc[at : at + 20], stream.predict, watch)
        labels = stream.labels[at : at + 20]
        held += int(((part.low <= labels) & (labels <= part.high)).sum())
        for row, label in enumerate(labels):
            watch.learn(int(part.stage[row]), abs(label - part.value[row]), float(part.high[row] - part.value[row]))
    # 2,000 outcomes: four standard errors and the reach of the steps, (a1 + g) / (g T).
    assert abs(held / n - 0.9) < 4 * np.sqrt(0.09 / n) + 0.003


def test_sets_of_classes_hold_as_many_outcomes_as_they_say():
    stream = classes(1)
    found = stream.guard.answer(stream.live, stream.predict, stream.guard.watch())
    held = found.likely[np.arange(len(stream.labels)), stream.labels].mean()
    assert held > 0.9 - 4 * np.sqrt(0.09 / 1500 + 0.09 / 2000)
    assert found.likely.sum(axis=1).min() == 1


def test_an_unknown_word_is_told_and_does_without_the_column():
    stream = classes(2)
    rows = stream.live.iloc[:3].copy()
    rows["site"] = ["west", "north", None]
    found = stream.guard.answer(rows, stream.predict, stream.guard.watch())
    assert found.cause[0].startswith("site holds a value that was never learned from")
    assert found.cause[2].startswith("site is missing")
    assert np.isfinite(found.value).all()


def test_a_model_that_raises_is_left_alone_for_a_while_and_comes_back(stream):
    calls = {"n": 0, "bad": True}

    def champion(X):
        calls["n"] += 1
        if calls["bad"]:
            raise RuntimeError("secret/path")
        return stream.predict[0](X)

    predict, watch = [champion, stream.predict[1]], stream.guard.watch()
    row = stream.live.iloc[:1]
    said = [stream.guard.answer(row, predict, watch, now=0.1 * k) for k in range(10)]
    assert all(one.words == ["fallback"] for one in said)
    assert "champion raised RuntimeError" in said[0].cause[0]
    assert "secret" not in said[0].cause[0]
    assert calls["n"] == 5  # then the breaker is open
    assert "rests" in said[-1].cause[0]
    calls["bad"] = False
    later = [stream.guard.answer(row, predict, watch, now=60.0 + k) for k in range(8)]
    assert later[0].words == ["normal"]
    assert calls["n"] == 13


def test_answers_that_stand_still_are_not_given():
    rng = np.random.default_rng(0)
    table, a = _two(rng)
    calls = {"stuck": False}

    def predict(X):
        return np.full(len(X), 0.25) if calls["stuck"] else X["a"].fillna(0.0).to_numpy()

    guard = _made(table, a, predict)
    calls["stuck"] = True
    rows = table.slice(0, 400).to_pandas()
    found = guard.answer(rows, [predict], guard.watch())
    assert set(found.words[:100]) == {"normal"}
    assert set(found.words[101:]) == {"fallback"}
    assert "gave no sane answer" in found.cause[-1]


def test_a_repeated_request_is_no_stuck_sensor(stream):
    row, watch = stream.live.iloc[[5]], stream.guard.watch()
    words = [stream.guard.answer(row, stream.predict, watch).words[0] for _ in range(200)]
    # The stream may find that strange, but no feature is called stuck.
    assert words[0] == "normal"
    runs = Runs.of(2)
    assert runs.feed(np.ones((500, 2)), np.array([20.0, 20.0])) is None


@given(
    rows=st.lists(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=2, max_size=2), min_size=1, max_size=40),
    cuts=st.lists(st.integers(1, 39), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_runs_are_the_same_however_rows_are_cut_into_batches(rows, cuts):
    whole, parts = Runs.of(2), Runs.of(2)
    table, most = np.array(rows), np.array([3.0, 3.0])
    one = whole.feed(table, most)
    edges = [0, *sorted({cut for cut in cuts if cut < len(rows)}), len(rows)]
    found = [parts.feed(table[low:high], most) for low, high in itertools.pairwise(edges)]
    marks = [np.zeros((high - low, 2), bool) for low, high in itertools.pairwise(edges)]
    joined = np.vstack([mark if got is None else got for mark, got in zip(marks, found, strict=True)])
    assert np.array_equal(joined, np.zeros_like(joined) if one is None else one)
    assert np.array_equal(whole.length, parts.length)


_CELLS = st.one_of(
    st.floats(), st.none(), st.integers(-(2**62), 2**62), st.text(max_size=3), st.booleans(), st.dates().map(str)
)


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


def test_it_refuses_where_the_user_says_so(stream):
    strict = replace(stream.guard, settings=Guard(refuse=1e-9))
    found = strict.answer(stream.live.iloc[:2], stream.predict, strict.watch())
    assert found.words == ["refused"] * 2
    assert np.isnan(found.value).all()
    assert "the expected loss of champion is above" in found.cause[0]


def test_contracts_come_before_what_was_inferred():
    from mlwild.contracts import Column

    table, a = _two(np.random.default_rng(0))
    guard = _made(table, a, lambda X: X["a"].fillna(0).to_numpy(), terms={"a": Column("number", low=-1.0, high=1.0)})
    assert (guard.fences.low[0], guard.fences.high[0]) == (-1.0, 1.0)


def test_a_guard_needs_rows_that_were_not_learned_from():
    table, a = _two(np.random.default_rng(0))
    known = Known(table, a, table.slice(0, 0), a[:0], "pandas", named("absolute"), "value", 0)
    with pytest.raises(DataError, match="no labelled row"):
        learn_guard(known, [Candidate("model", "1", lambda X: X["a"].to_numpy())])


@pytest.mark.parametrize(
    "wrong", [{"level": 1.0}, {"fdr": 0}, {"run_length": 1}, {"stuck": 1}, {"refuse": float("nan")}, {"level": True}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(AppError, match=rf"^guard\.{next(iter(wrong))}: "):
        Guard(**wrong)


def test_the_loss_that_is_told_of_each_stage_is_what_it_loses_later(stream):
    """Of 2,000 later rows, within five standard errors and a tenth for drift."""
    asked = [*stream.predict, lambda X: np.full(len(X), float(stream.guard.stages[-1].constant))]
    for stage, predict in zip(stream.guard.stages, asked, strict=True):
        lost = np.abs(stream.labels - predict(stream.live))
        assert abs(lost.mean() - stage.loss) < 5 * lost.std() * np.sqrt(1 / 2000 + 1 / stage.n) + 0.1 * stage.loss
