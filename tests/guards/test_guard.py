"""The guard, piece by piece."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import AppError, DataError
from mlwild.guards import Candidate, Guard, Known, learn_guard
from mlwild.guards.runs import Runs
from mlwild.losses import named
from tests.guards.small import N, made, two


def test_a_row_alone_and_in_a_batch_gets_the_same_answer(stream):
    live = stream.live.iloc[:300]
    batch = stream.guard.answer(live, stream.predict, stream.guard.watch())
    watch = stream.guard.watch()
    alone = [stream.guard.answer(live.iloc[at : at + 1], stream.predict, watch) for at in range(300)]
    assert [one.value[0] for one in alone] == batch.value.tolist()
    assert [one.words[0] for one in alone] == batch.words


def test_two_features_that_say_the_same_are_missed_only_together():
    rng = np.random.default_rng(0)
    table, a = two(rng)

    def predict(X):
        return X[["a", "b"]].mean(axis=1).fillna(50.0).to_numpy()

    guard = made(table, a, predict)
    model = guard.stages[0]
    assert max(gone.loss for gone in model.gone.values()) < 0.3
    watch = guard.watch()
    together = guard.without(0, ("a", "b"), [predict], watch)
    assert together.loss > 0.6
    found = guard.answer(pd.DataFrame({"a": [np.nan], "b": [np.nan]}), [predict], watch)
    assert found.words == ["degraded"] or found.stage[0] == 1
    assert len(watch.measured) == 1


def test_a_model_that_raises_is_left_alone_for_a_while_and_comes_back(stream):
    calls = {"n": 0, "bad": True}

    def champion(X):
        calls["n"] += 1
        if calls["bad"]:
            raise RuntimeError("secret/path")
        return stream.predict[0](X)

    predict, watch = [champion, *stream.predict[1:]], stream.guard.watch()
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
    table, a = two(rng)
    calls = {"stuck": False}

    def predict(X):
        return np.full(len(X), 0.25) if calls["stuck"] else X["a"].fillna(0.0).to_numpy()

    guard = made(table, a, predict)
    calls["stuck"] = True
    rows = table.slice(0, 400).to_pandas()
    found = guard.answer(rows, [predict], guard.watch())
    assert set(found.words[:100]) == {"normal"}
    assert set(found.words[101:]) == {"fallback"}
    assert "gave no sane answer" in found.cause[-1]


@pytest.mark.parametrize("alone", [False, True])
def test_rows_that_are_alike_get_the_same_answer_and_it_is_not_held_against_the_model(alone):
    rng = np.random.default_rng(0)
    table, a = two(rng)

    def predict(X):  # coarse, as trees are
        return np.sign(X["a"].fillna(0.0).to_numpy()) * 2.0

    guard = made(table, a, predict)
    watch = guard.watch()
    same = pd.DataFrame({"a": np.full(400, 0.5), "b": rng.permutation(np.linspace(0.4, 0.6, 400))})
    same["a"] += same["b"] / 1e3  # no request is exactly the one before, as where a time is now
    parts = [same.iloc[at : at + 1] for at in range(400)] if alone else [same]
    found = [word for part in parts for word in guard.answer(part, [predict], watch).words]
    assert "fallback" not in found
    # The model that dies afterwards is found out as before.
    dead = guard.answer(same, [lambda X: np.full(len(X), 2.0)], watch)
    assert dead.words[-1] == "fallback"


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


def test_a_risk_needs_probabilities():
    table, a = two(np.random.default_rng(0))
    with pytest.raises(AppError, match=r"^guard\.risk: this loss asks for no probabilities"):
        made(table, a, lambda X: X["a"].to_numpy(), settings=Guard(risk=0.1))


def test_contracts_come_before_what_was_inferred():
    from mlwild.contracts import Column

    table, a = two(np.random.default_rng(0))
    guard = made(table, a, lambda X: X["a"].fillna(0).to_numpy(), terms={"a": Column("number", low=-1.0, high=1.0)})
    assert (guard.fences.low[0], guard.fences.high[0]) == (-1.0, 1.0)


def test_a_guard_needs_rows_that_were_not_learned_from():
    table, a = two(np.random.default_rng(0))
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


def test_features_of_which_one_cannot_be_missed_are_missed_together_too():
    """The model raises at any `b` but its own, and `a` was never there to have a usual value: nothing may break."""
    rng = np.random.default_rng(0)
    table = pa.table({"a": pa.nulls(N, pa.float64()), "b": rng.normal(size=N), "c": rng.normal(size=N)})

    own = set(table.column("b").to_pylist())

    def predict(X):
        if not own.issuperset(X["b"]) or (X["b"] == X["b"].iloc[0]).all():
            raise ValueError("no b")
        return X["c"].fillna(0.0).to_numpy()

    guard = made(table, np.asarray(table.column("c")), predict)
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
        found = stream.guard.answer(row, [champion, *stream.predict[1:]], watch, now=0.01 * k)
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

    guard = made(table, a, predict)
    found = guard.answer(pd.DataFrame({"a": [0.5], "b": [np.nan]}), [predict], guard.watch())
    assert found.words == ["degraded"]
    assert found.value[0] == pytest.approx(0.5, abs=0.02)


def test_settings_may_be_numbers_of_numpy():
    """The least of some labels is one."""
    assert Guard(low=np.array([3, 1]).min(), level=np.float32(0.75)).low == 1
