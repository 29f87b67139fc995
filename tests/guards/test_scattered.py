"""Faults of single rows and cells: they cost the rows that have them, and nobody else."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from mlwild.guards import Candidate, Guard, Known, learn_guard
from mlwild.guards.alike import groups_of
from mlwild.guards.encoding import Encoding
from mlwild.losses import named
from tests.guards.small import N, made, two
from tests.guards.streams import STREAMS, answered


class Counted:
    """A model that counts how often it is asked, and raises where a row has a 13."""

    def __init__(self, predict):
        self.predict, self.calls = predict, 0

    def __call__(self, X):
        self.calls += 1
        if (X.to_numpy() == 13.0).any():
            raise ValueError
        return self.predict(X)


def _holed(live, share, seed=0):
    return live.mask(np.random.default_rng(seed).random(live.shape) < share)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_scattered_gaps_ask_each_model_a_few_times_and_each_row_is_answered_as_alone(stream, share):
    rows = _holed(stream.live.iloc[:400], share)
    assert len(rows.isna().drop_duplicates()) > 20
    asked = [Counted(one) for one in stream.predict]
    found = stream.guard.answer(rows, asked, stream.guard.watch())
    # As many as there are orders of the stages and ways to fill gaps, and three to measure what many rows lack.
    assert max(one.calls for one in asked) <= 12 + 3 * 400 // 64
    assert np.isfinite(found.value).all()
    few = found.words.count("normal")
    assert few == int((~rows.isna().any(axis=1)).sum())
    # One that is seen for the first time is answered by what is foreseen, alone as well as beside others.
    watch = stream.guard.watch()
    for at in range(0, 400, 9):
        alone = stream.guard.answer(rows.iloc[at : at + 1], stream.predict, watch)
        if alone.stage[0] == found.stage[at] and found.words[at] != "normal":
            assert alone.value[0] == pytest.approx(found.value[at], rel=1e-9)
            assert alone.cause[0] == found.cause[at]
            assert alone.expected[0] == found.expected[at] or rows.iloc[at].isna().sum() > 1  # what is measured by then


def test_what_many_rows_lack_is_measured_and_only_that(stream):
    watch, rows = stream.guard.watch(), stream.live.iloc[:63].copy()
    rows[["load", "heat"]] = np.nan
    stream.guard.answer(rows, stream.predict, watch)
    assert watch.measured == {}
    stream.guard.answer(rows.iloc[:1], stream.predict, watch)  # the sixty-fourth
    assert set(watch.measured) == {(place, ("load", "heat")) for place in (0, 1, 2)}


def test_what_is_foreseen_is_near_what_is_measured(stream):
    """Of all pairs and some triples of eight features that move together; a loss is told beside that of the constant."""
    guard, watch, off = stream.guard, stream.guard.watch(), []
    names = guard.encoding.names
    for some in [*combinations(names, 2), *list(combinations(names, 3))[::7]]:
        for place, stage in enumerate(guard.stages[:-1]):
            said, is_ = (
                stage.foreseen(some, guard.sample.filler.unsaid(some)),
                guard.without(place, some, stream.predict, watch),
            )
            off.append((said.loss - is_.loss) / guard.stages[-1].loss)
    assert np.abs(off).mean() < 0.05
    assert min(off) > -0.2  # what is lost together is not passed over


def test_features_that_say_the_same_are_found():
    rng = np.random.default_rng(0)
    a, word = rng.normal(size=N), rng.integers(0, 5, N)
    table = pa.table(
        {
            "a": a,
            "cube": a**3,
            "turned": pa.array(np.where(rng.random(N) < 0.1, np.nan, -a), from_pandas=True),
            "other": rng.normal(size=N),
            "city": [f"c{one}" for one in word],
            "state": [f"s{one // 2}" for one in word],
            "mood": [f"m{one}" for one in rng.integers(0, 3, N)],
            "same": ["x"] * (N - 5) + ["y"] * 5,
            "flat": np.ones(N),
        }
    )
    found = groups_of(Encoding.of(table, "pandas"), table)
    assert found == [frozenset({"a", "cube", "turned"}), frozenset({"city", "state"})]


def test_two_that_say_the_same_are_foreseen_to_be_missed_together():
    table, a = two(np.random.default_rng(0))
    guard = made(table, a, lambda X: X[["a", "b"]].mean(axis=1).fillna(50.0).to_numpy())
    assert guard.stages[0].foreseen(["a", "b"]).loss > 5 * guard.stages[0].foreseen(["a"]).loss
    found = guard.answer(pd.DataFrame({"a": [np.nan], "b": [np.nan]}), [lambda X: np.full(len(X), 50.0)], guard.watch())
    assert abs(found.value[0]) < 5.0


def test_one_bad_row_in_a_thousand_is_held_against_no_model(stream):
    champion, guard = Counted(stream.predict[0]), _unfenced(stream)
    watch, rows = guard.watch(), stream.live.iloc[:200]
    for round_ in range(40):
        bad = rows.copy()
        bad.loc[bad.index[round_], "shift"] = 13.0
        found = guard.answer(bad, [champion, *stream.predict[1:]], watch, now=0.2 * round_)
        assert found.stage.tolist() == [0] * round_ + [1] + [0] * (199 - round_)
        assert found.cause[round_] == "champion raised ValueError"
    assert watch.breakers[0].state == "closed"


@pytest.mark.parametrize("bad", [3, 10, 30])
def test_rows_that_make_a_model_raise_are_found_among_many(stream, bad):
    rows = stream.live.iloc[:1000].copy()
    where = np.random.default_rng(bad).choice(1000, bad, replace=False)
    rows.iloc[where, list(rows.columns).index("shift")] = 13.0
    guard = _unfenced(stream)
    found = guard.answer(rows, [Counted(stream.predict[0]), *stream.predict[1:]], guard.watch())
    assert sorted(np.flatnonzero(found.stage != 0).tolist()) == sorted(where.tolist())


def test_a_model_that_always_raises_is_asked_a_few_times(stream):
    def never(X):
        calls.append(len(X))
        raise ValueError

    calls: list[int] = []
    watch = stream.guard.watch()
    found = stream.guard.answer(stream.live.iloc[:1000], [never, *stream.predict[1:]], watch)
    assert set(found.stage.tolist()) == {1}
    assert len(calls) <= 48


def test_a_model_that_raises_by_chance_is_found_out_and_left_alone(stream):
    """Half of its calls raise: no row is to blame, few calls are made, and before long it rests."""
    rng, calls = np.random.default_rng(0), []

    def by_chance(X):
        calls.append(len(X))
        if rng.random() < 0.5:
            raise ValueError
        return stream.predict[0](X)

    watch, asked = stream.guard.watch(), []
    for round_ in range(200):
        began = len(calls)
        found = stream.guard.answer(
            stream.live.iloc[:1000], [by_chance, *stream.predict[1:]], watch, now=0.001 * round_
        )
        assert np.isfinite(found.value).all()
        asked.append(len(calls) - began)
        if watch.breakers[0].state == "open":
            break
    assert watch.breakers[0].state == "open"
    assert round_ < 100
    assert np.median(asked) < 50  # as many as half of the rows if it were believed


def _unfenced(stream):
    """Return the guard without limits of single values, so that a 13 reaches the model."""
    fences = stream.guard.fences
    wide = replace(fences, high=np.full_like(fences.high, np.inf), longest=np.full_like(fences.longest, np.inf))
    return replace(stream.guard, fences=wide, stream=None)


def test_a_risk_is_kept_where_features_are_missing():
    """Of 4,000 answered rows; a share that is .05 lies above .07 with a chance below 1e-7."""
    rng = np.random.default_rng(0)

    def rows(n):
        X = pd.DataFrame({f"f{place}": rng.normal(size=n) for place in range(4)})
        chance = 1 / (1 + np.exp(-(4 * X["f0"] + 1.5 * X["f1"] + X["f2"]).to_numpy()))
        return X, (rng.random(n) < chance).astype(np.int64)

    X, y = rows(6000)
    model = LogisticRegression().fit(X[:4000], y[:4000])

    def predict(X):
        return model.predict_proba(X)[:, 1]

    table = pa.Table.from_pandas(X, preserve_index=False)
    parts = table.slice(0, 4000), y[:4000], table.slice(4000), y[4000:]
    guard = learn_guard(
        Known(*parts, "pandas", named("log_loss"), "probability", 2),
        [Candidate("model", "1", predict)],
        Guard(risk=0.05),
    )
    for missing in (["f1"], ["f0"], ["f1", "f2"]):
        live, outcome = rows(8000)
        live[missing] = np.nan
        found = guard.answer(live, [predict], guard.watch())
        given = found.status != 3
        wrong = (found.value[given] > 0.5) != outcome[given]
        assert not given.any() or wrong.mean() < 0.07
        if missing != ["f0"]:
            assert given.mean() > 0.2  # a promise of no answers would be kept as well
    # Of a few rows without several features nobody has measured how sure is sure enough.
    alone = guard.answer(live.iloc[:1], [predict], guard.watch())
    assert alone.words == ["refused"]
    assert alone.cause[0].endswith("model is not sure enough for a risk of 0.05")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("name", list(STREAMS))
def test_what_scattered_gaps_cost_is_known_beforehand(name, share):
    """Of 2,000 rows of three seeds: never more than the constant loses, and what was told is what is lost."""
    lost, told, same = [], [], []
    for seed in (1, 2, 3):
        one = STREAMS[name](seed)
        parts = answered(replace(one, live=_holed(one.live, share, seed)))
        lost.append(one.losses(one.labels, np.concatenate([part.value for part in parts])).mean())
        told.append(np.concatenate([part.expected for part in parts]).mean() / one.scale)
        same.append(one.losses(one.labels, np.full(len(one.labels), float(one.guard.stages[-1].constant))).mean())
    assert np.mean(lost) <= np.mean(same) + 0.005  # the issue allows .02
    assert abs(np.mean(told) - np.mean(lost)) < 0.04
