"""Intervals and sets: how much they hold, how wide they are, and where they end."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlwild.errors import AppError
from mlwild.guards import Candidate, Guard, Known, learn_guard
from mlwild.guards.outcomes import likely_of, scores_of
from mlwild.losses import named
from tests.guards.small import N, made, two
from tests.guards.streams import classes


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
    table, a = two(rng)
    guard = made(table, a + (0.1 + np.abs(a)) * rng.normal(size=N), lambda X: X["a"].to_numpy())
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


def test_intervals_end_where_no_outcome_can_lie():
    rng = np.random.default_rng(0)
    table, a = two(rng)
    labels = a + rng.normal(size=N)
    plain, ended = (
        made(table, labels, lambda X: X["a"].to_numpy(), settings=how) for how in (Guard(), Guard(low=-1.0, high=1.5))
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
