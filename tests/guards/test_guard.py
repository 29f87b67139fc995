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
from mlwild.guards.fences import Runs, longest_runs
from mlwild.guards.outcomes import likely_of, scores_of
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


def test_an_interval_holds_as_many_outcomes_as_it_says(stream):
    watch, parts = stream.guard.watch(), []
    for at in range(0, len(stream.live), 20):
        parts.append(stream.guard.answer(stream.live.iloc[at : at + 20], stream.predict, watch))
    low, high = (np.concatenate([getattr(part, end) for part in parts]) for end in ("low", "high"))
    held = (low <= stream.labels) & (stream.labels <= high)
    # 2,000 outcomes, 500 that widths come from: four standard errors of both.
    assert abs(held.mean() - 0.9) < 4 * np.sqrt(0.09 / 500 + 0.09 / 2000)


def test_an_interval_is_as_wide_as_its_row_is_hard():
    """Noise that grows with a feature: rows of each third are held as often, and one width for all would not do."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 4, size=6000)
    y = x + (0.2 + x) * rng.normal(size=6000)
    table = pa.table({"x": x, "word": rng.choice(["a", "b"], size=6000)})
    known = Known(table.slice(0, 1000), y[:1000], table.slice(1000, 2000), y[1000:3000], "pandas", named("absolute"), "value", 0)  # fmt: skip

    def predict(X):
        return X["x"].to_numpy()

    guard = learn_guard(known, [Candidate("model", "1", predict)])
    found = guard.answer(table.slice(3000).to_pandas(), [predict], guard.watch())
    held = (found.low <= y[3000:]) & (y[3000:] <= found.high)
    thirds = np.array_split(np.argsort(x[3000:]), 3)
    assert max(abs(held[part].mean() - 0.9) for part in thirds) < 4 * np.sqrt(0.09 / 1000 + 0.09 / 170) / 2 + 0.02
    wide = found.high - found.low
    assert np.median(wide[thirds[2]]) > 2.5 * np.median(wide[thirds[0]])
    # Rows that lack the feature are alike: nobody knows which of them are hard.
    gaps = guard.answer(pd.DataFrame({"x": [np.nan] * 3000, "word": ["a"] * 3000}), [predict], guard.watch())
    assert len(set((gaps.high - gaps.low).tolist())) == 1
    assert abs(((gaps.low <= y[3000:]) & (y[3000:] <= gaps.high)).mean() - 0.9) < 4 * np.sqrt(0.09 / 500)


@pytest.mark.parametrize("gone", [["hard"], ["x"], ["plain"], ["x", "hard"]])
def test_an_interval_without_features_holds_as_many_outcomes_as_it_says(gone):
    """What is gone looks as the middle does, where rows are easy: it is not to make intervals narrow."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(7000, 3)), columns=["x", "hard", "plain"])
    y = 2 * frame["x"].to_numpy() + (0.3 + 2 * np.abs(frame["hard"].to_numpy())) * rng.normal(size=7000)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    known = Known(table.slice(0, 2000), y[:2000], table.slice(2000, 2000), y[2000:4000], "pandas", named("absolute"), "value", 0)  # fmt: skip

    def predict(X):
        return 2 * X["x"].fillna(0.0).to_numpy()

    guard = learn_guard(known, [Candidate("model", "1", predict)])
    found = guard.answer(frame[4000:].assign(**dict.fromkeys(gone, 1e9)), [predict], guard.watch())
    assert set(found.words) <= {"degraded", "fallback"}
    held = (found.low <= y[4000:]) & (y[4000:] <= found.high)
    # 3,000 outcomes, 500 that widths come from: four standard errors of both.
    assert held.mean() > 0.9 - 4 * np.sqrt(0.09 / 500 + 0.09 / 3000)
    if gone == ["plain"]:  # what is still seen tells hard rows from easy ones
        wide = found.high - found.low
        assert wide[np.abs(frame["hard"][4000:]) > 2].mean() > 1.3 * wide[np.abs(frame["hard"][4000:]) < 1].mean()


def test_how_far_off_an_answer_is_to_an_odd_row_is_not_told_by_its_features():
    """Rows that no feature is to blame for: nothing that reads the inputs is to be trusted, widths no more than models."""
    rng = np.random.default_rng(0)
    table, a = _two(rng)
    guard = _made(table, a + (0.1 + np.abs(a)) * rng.normal(size=N), lambda X: X["a"].to_numpy())
    odd = pd.DataFrame({"a": [2.0, -2.0, 1.5], "b": [-2.0, 2.0, -1.5]})
    found = [guard.answer(odd[at : at + 1], [lambda X: X["a"].to_numpy()], guard.watch()) for at in range(3)]
    assert [one.words[0] for one in found] == ["fallback"] * 3
    assert {one.cause[0] for one in found} == {"inputs are unlike those learned from"}
    assert [one.high[0] - one.low[0] for one in found] == pytest.approx([2 * guard.stages[-1].radii.fixed] * 3)


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
    # It is asked on trial first, and what it says then is not given.
    assert [one.words[0] for one in later] == ["fallback"] * 5 + ["normal"] * 3
    assert "on trial" in later[0].cause[0]
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


@pytest.mark.parametrize("alone", [False, True])
def test_rows_that_are_alike_get_the_same_answer_and_it_is_not_held_against_the_model(alone):
    rng = np.random.default_rng(0)
    table, a = _two(rng)

    def predict(X):  # coarse, as trees are
        return np.sign(X["a"].fillna(0.0).to_numpy()) * 2.0

    guard = _made(table, a, predict)
    watch = guard.watch()
    same = pd.DataFrame({"a": np.full(400, 0.5), "b": rng.permutation(np.linspace(0.4, 0.6, 400))})
    same["a"] += same["b"] / 1e3  # no request is exactly the one before, as where a time is now
    parts = [same.iloc[at : at + 1] for at in range(400)] if alone else [same]
    found = [word for part in parts for word in guard.answer(part, [predict], watch).words]
    assert "fallback" not in found
    # The model that dies afterwards is found out as before.
    dead = guard.answer(same, [lambda X: np.full(len(X), 2.0)], watch)
    assert dead.words[-1] == "fallback"


def test_a_first_row_without_any_value_is_a_row():
    nothing = np.full((3, 2), np.nan)
    assert longest_runs(nothing).tolist() == [1.0, 1.0]  # the same request again makes no run longer
    together, alone = Runs.of(2), Runs.of(2)
    together.feed(nothing, np.full(2, 9.0))
    for row in nothing:
        alone.feed(row[None], np.full(2, 9.0))
    assert together.length.tolist() == alone.length.tolist() == [1.0, 1.0]


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


def _sure(seed, risk, n=400):
    """Return how sure a model must be whose probabilities are right and spread evenly: its risk is known then."""
    rng = np.random.default_rng(seed)
    x = rng.random(2 * n)
    y = (rng.random(2 * n) < x).astype(np.int64)
    table = pa.table({"x": x})
    parts = table.slice(0, n), y[:n], table.slice(n), y[n:]
    known = Known(*parts, "numpy", named("brier"), "probability", 2)
    return learn_guard(known, [Candidate("model", "1", lambda X: X[:, 0])], Guard(risk=risk))


def _broken(draws):
    # Of rows with a confidence of at least t, evenly spread up to 1, (1 - t) / 2 are wrong.
    found = np.array([_sure(seed, 0.1, n=2000).stages[0].sure for seed in range(draws)])
    assert np.isfinite(found).mean() > 0.9  # a promise of no answers would be kept as well
    return int(((1 - np.minimum(found, 1.0)) / 2 > 0.1).sum())


def test_answers_are_wrong_no_more_often_than_the_user_says():
    # 60 draws; the promise may be broken in 5 %: more than 9 would come once in 1,000 times.
    assert _broken(60) <= 9


@pytest.mark.slow
def test_answers_are_wrong_no_more_often_than_the_user_says_in_many_histories():
    # 600 draws: 5 % and four standard errors.
    assert _broken(600) / 600 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)


def test_rows_of_which_a_model_is_not_sure_are_refused_and_only_they():
    guard = _sure(3, 0.15, n=2000)
    sure = guard.stages[0].sure
    assert 0.6 < sure < 0.95
    x = np.array([[0.01], [0.5], [0.99], [1 - sure + 0.001], [sure + 0.001]])
    found = guard.answer(x, [lambda X: X[:, 0]], guard.watch())
    assert found.words == ["normal", "refused", "normal", "refused", "normal"]
    assert np.isnan(found.value[[1, 3]]).all()
    assert found.cause[1] == "model is not sure enough for a risk of 0.15"
    assert (found.stage[[1, 3]] == -1).all()


def test_a_risk_that_nothing_keeps_refuses_all():
    guard = _sure(0, 0.001)
    assert guard.answer(np.array([[0.999]]), [lambda X: X[:, 0]], guard.watch()).words == ["refused"]


def test_intervals_end_where_no_outcome_can_lie():
    rng = np.random.default_rng(0)
    table, a = _two(rng)
    labels = a + rng.normal(size=N)
    plain, ended = (
        _made(table, labels, lambda X: X["a"].to_numpy(), settings=how) for how in (Guard(), Guard(low=-1.0, high=1.5))
    )
    rows = table.slice(0, 300).to_pandas()
    predict = [lambda X: X["a"].to_numpy()]
    wide, cut = (one.answer(rows, predict, one.watch()) for one in (plain, ended))
    assert cut.value.tolist() == wide.value.tolist()
    low, high = np.maximum(wide.low, np.minimum(wide.value, -1.0)), np.minimum(wide.high, np.maximum(wide.value, 1.5))
    assert (cut.low.tolist(), cut.high.tolist()) == (low.tolist(), high.tolist())
    assert (cut.low > wide.low).any()
    assert (cut.high < wide.high).any()
    watch = ended.watch()
    alone = [ended.answer(rows[at : at + 1], predict, watch) for at in range(50)]
    assert [one.low[0] for one in alone] == cut.low[:50].tolist()


def test_ends_of_intervals_are_numbers_in_order_and_for_numbers():
    for how, said in (
        ({"low": np.nan}, "low: nan"),
        ({"high": "1"}, "high: '1'"),
        ({"low": 2, "high": 1}, "low: 2 is"),
    ):
        with pytest.raises(AppError, match=rf"^guard\.{said}"):
            Guard(**how)
    x = np.random.default_rng(0).random(400)
    table, y = pa.table({"x": x}), (x > 0.5).astype(np.int64)
    known = Known(table.slice(0, 200), y[:200], table.slice(200), y[200:], "numpy", named("brier"), "probability", 2)
    with pytest.raises(AppError, match=r"^guard\.low, high: this loss asks for classes"):
        learn_guard(known, [Candidate("model", "1", lambda X: X[:, 0])], Guard(low=0.0))


def test_a_risk_needs_probabilities():
    table, a = _two(np.random.default_rng(0))
    with pytest.raises(AppError, match=r"^guard\.risk: this loss asks for no probabilities"):
        _made(table, a, lambda X: X["a"].to_numpy(), settings=Guard(risk=0.1))


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
    "wrong",
    [
        {"level": 1.0},
        {"fdr": 0},
        {"run_length": 1},
        {"stuck": 1},
        {"refuse": float("nan")},
        {"level": True},
        {"risk": 1},
    ],
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


def test_times_are_compared_in_the_unit_that_was_learned():
    at = pd.date_range("2024-01-01", periods=N, freq="h")
    table = pa.table({"at": pa.array(at.astype("datetime64[us]")), "a": np.random.default_rng(0).normal(size=N)})
    guard = _made(table, np.arange(N, dtype=float), lambda X: np.zeros(len(X)))
    for unit in ("s", "us", "ns"):
        rows = pa.table({"at": pa.array(at[900:903].astype(f"datetime64[{unit}]")), "a": [0.1, 0.2, 0.3]})
        found = guard.answer(rows, [lambda X: np.zeros(len(X))], guard.watch())
        assert found.words == ["normal"] * 3, (unit, found.cause)


def test_a_word_that_may_be_new_is_no_strange_row():
    """Ids: every row brings a new one, and that it does says nothing."""
    rng = np.random.default_rng(0)
    table = pa.table({"id": [f"order {k}" for k in range(N)], "a": rng.normal(size=N), "b": rng.normal(size=N)})
    guard = _made(table, np.asarray(table.column("a")), lambda X: X["a"].to_numpy())
    rows = pd.DataFrame({"id": [f"new {k}" for k in range(500)], "a": rng.normal(size=500), "b": rng.normal(size=500)})
    found = guard.answer(rows, [lambda X: X["a"].to_numpy()], guard.watch())
    assert found.words.count("normal") >= 499


def test_features_of_which_one_cannot_be_missed_are_missed_together_too():
    """The model raises at any gap in `a`, and `a` was never there to have a usual value: nothing may break for it."""
    rng = np.random.default_rng(0)
    table = pa.table({"a": pa.nulls(N, pa.float64()), "b": rng.normal(size=N), "c": rng.normal(size=N)})

    def predict(X):
        if X["b"].isna().any() or (X["b"] == X["b"].iloc[0]).all():
            raise ValueError("no b")
        return X["c"].fillna(0.0).to_numpy()

    guard = _made(table, np.asarray(table.column("c")), predict)
    assert np.isinf(guard.stages[0].gone["b"].loss)
    rows = pd.DataFrame({"a": [np.nan] * 2, "b": [np.nan] * 2, "c": [np.nan] * 2})
    found = guard.answer(rows, [predict], guard.watch())
    assert found.stage.tolist() == [1, 1]


def test_a_stretch_in_which_a_loss_is_not_defined_decides_nothing():
    """A loss of sets, and only the first stretch of the held rows has both classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    y = np.where(np.arange(N) < N * 5 // 8, (x > 0), 1).astype(np.int64)
    table = pa.table({"x": x, "z": rng.normal(size=N)})
    known = Known(
        table.slice(0, N // 2), y[: N // 2], table.slice(N // 2), y[N // 2 :], "pandas", named("auc"), "probability", 2
    )

    def predict(X):
        return (X["x"].fillna(0.0) > 0).to_numpy() * 0.8 + 0.1

    guard = learn_guard(known, [Candidate("model", "1", predict)])
    assert np.isinf(guard.stages[-1].blocks[1:]).all()
    found = guard.answer(pd.DataFrame({"x": [np.nan, 0.5], "z": [0.1, np.nan]}), [predict], guard.watch())
    # Without x the model ranks no better than the constant; without z as well as ever.
    assert found.words[1] == "degraded"
    assert np.isfinite(found.expected).all()


def test_a_constant_for_which_the_loss_is_infinite_is_not_chosen():
    from mlwild.losses import Loss

    rng = np.random.default_rng(0)
    y = np.abs(rng.normal(size=N)) * (rng.random(N) > 0.2)  # its least values are zero
    table = pa.table({"x": rng.normal(size=N), "z": rng.normal(size=N)})
    with np.errstate(divide="ignore"):
        loss = Loss(lambda y, p: np.abs(np.log1p(y) - np.log(p)), name="log", predicts="value")
        known = Known(table.slice(0, 600), y[:600], table.slice(600), y[600:], "pandas", loss, "value", 0)
        guard = learn_guard(known, [Candidate("model", "1", lambda X: np.full(len(X), 1.0))])
    assert float(guard.stages[-1].constant) > 0
    assert np.isfinite(guard.stages[-1].loss)


def test_a_model_that_answers_nothing_sane_rests_too(stream):
    calls = []

    def champion(X):
        calls.append(len(X))
        return np.full(len(X), np.nan)

    watch, row = stream.guard.watch(), stream.live.iloc[:1]
    for k in range(20):
        found = stream.guard.answer(row, [champion, stream.predict[1]], watch, now=0.01 * k)
        assert found.words == ["fallback"]
    assert len(calls) == 5


def test_a_model_that_minds_gaps_gets_the_usual_value():
    rng = np.random.default_rng(0)
    a = rng.normal(size=N)
    table = pa.table({"a": a, "b": rng.normal(3.0, 0.1, size=N)})

    def predict(X):
        if X.isna().any(axis=None):
            raise ValueError("gaps")
        return X["a"].to_numpy() + X["b"].to_numpy() - 3.0

    guard = _made(table, a, predict)
    found = guard.answer(pd.DataFrame({"a": [0.5], "b": [np.nan]}), [predict], guard.watch())
    assert found.words == ["degraded"]
    assert found.value[0] == pytest.approx(0.5, abs=0.02)


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
    table, a = _two(rng)
    made = _made(table, a, lambda X: X["b"].to_numpy())
    rows = table.slice(0, 400).to_pandas().assign(a=np.nan)
    found = made.answer(rows, [lambda X: X["b"].to_numpy()], made.watch())
    assert set(found.cause) == {"a is missing"}
    holes = pa.table({"a": np.where(rng.random(N) < 0.3, np.nan, a), "b": table["b"]})
    made = _made(holes, a, lambda X: X["b"].to_numpy())
    found = made.answer(rows, [lambda X: X["b"].to_numpy()], made.watch())
    assert not [one for one in found.cause if "stood still" in one]
    longest = made.fences.longest[0]
    assert found.cause[-1] == f"a has been missing for more than {longest:,.0f} rows"


@pytest.mark.parametrize("ask", ["probability", "probabilities"])
def test_a_class_that_is_just_as_far_off_as_the_radius_is_among_the_likely(ask):
    """A constant is as far off as one of its classes is: one bit less, and its sets hold the commonest class alone."""
    value = np.random.default_rng(0).uniform(0.05, 0.95, 2000)
    value = value if ask == "probability" else np.column_stack([value * 0.6, 1 - value, value * 0.4])
    n = 2 if ask == "probability" else 3
    for came in range(n):
        labels = np.full(len(value), came)
        likely = likely_of(ask, value, scores_of(ask, labels, value))
        assert likely[:, came].all()
