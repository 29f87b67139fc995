"""Strange rows and streams: who is to blame, from when on, until when; and the slack that honest spells ask for."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge

from mlwild.guards import Candidate, Known, learn_guard
from mlwild.guards.blame import MOST_PAIRS, MOST_VAIN, blamed_for
from mlwild.guards.watch import CALM, KEPT, Recent, Stream
from mlwild.losses import named
from mlwild.stats.support import learn_support
from tests.guards.streams import BEGINS, regression, under

N = 4000


@pytest.fixture(scope="module")
def stream():
    return regression(1)


def _guard(frame, y):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    half = len(y) // 2
    parts = table.slice(0, half), y[:half], table.slice(half), y[half:]
    first = frame.columns[0]
    chain = [Candidate("model", "1", lambda X: X[first].fillna(0.0).to_numpy())]
    return learn_guard(Known(*parts, "pandas", named("absolute"), "value", 0), chain), [chain[0].predict]


def test_of_two_features_that_say_the_same_both_are_to_blame():
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    frame = pd.DataFrame({"x": x, "z": x + 0.1 * rng.normal(size=N), "other": rng.normal(size=N)})
    guard, predict = _guard(frame, x)
    found = guard.answer(pd.DataFrame({"x": [2.0], "z": [-2.0], "other": [0.0]}), predict, guard.watch())
    assert found.cause[0].startswith("x does not fit the other features; z does not fit the other features")


def _mixed(rng, n, fault=None):
    """Eight columns that go along, one of which is off; and labels of the rows as they were."""
    mixed = np.random.default_rng(7).normal(size=(8, 8)) * 0.5 + np.eye(8)
    rows = rng.normal(size=(n, 8)) @ mixed
    labels = rows @ np.random.default_rng(8).normal(size=8) + rng.normal(size=n)
    if fault is not None:
        column = int(rng.integers(8))
        rows[:, column] = {
            "shift": rows[:, column] + 1.2 * rows[:, column].std(),
            "stale": np.roll(rows[:, column], 9),
        }[fault]
        return rows, labels, column
    return rows, labels, None


@pytest.fixture(scope="module")
def linear():
    rng = np.random.default_rng(0)
    (learned, past, _), (held, labels, _) = _mixed(rng, 4000), _mixed(rng, 2000)
    model = Ridge(alpha=1.0).fit(learned, past)
    names = [f"x{place}" for place in range(8)]
    tables = [pa.table(dict(zip(names, rows.T.copy(), strict=True))) for rows in (learned, held)]
    chain = [Candidate("model", "1", lambda X: model.predict(np.nan_to_num(X)))]
    return learn_guard(Known(tables[0], past, tables[1], labels, "numpy", named("absolute"), "value", 0), chain), chain


@pytest.mark.parametrize("fault", ["shift", "stale"])
@pytest.mark.parametrize("size", [1, 50])
def test_a_stream_is_blamed_on_its_rows_together_however_they_come(linear, fault, size):
    """Of one row nobody knows what is wrong with it, of fifty one does: the loss is that of who is told, or nearly."""
    guard, chain = linear
    lost, told, constant, bare = [], [], [], []
    for seed in range(4):
        rows, labels, column = _mixed(np.random.default_rng(seed), 800, fault)
        watch = guard.watch()
        made = [guard.answer(rows[at : at + size], [chain[0].predict], watch).value for at in range(0, 800, size)]
        broken = np.tile(np.arange(8) == column, (800, 1))
        best = guard.knowing(rows, [chain[0].predict], guard.watch(), broken).value
        # What goes before the alarm cannot be had back.
        lost.append(np.abs(np.concatenate(made) - labels)[200:].mean())
        told.append(np.abs(best - labels)[200:].mean())
        constant.append(np.abs(guard.stages[-1].constant - labels)[200:].mean())
        bare.append(np.abs(chain[0].predict(rows) - labels)[200:].mean())
    assert np.mean(lost) < np.mean(bare)
    assert np.mean(lost) < np.mean(told) + 0.2 * (np.mean(constant) - np.mean(told))


def test_of_two_features_that_nothing_tells_apart_neither_is_blamed():
    """One of them is another row's: to leave out the wrong one would be worse than the constant."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=N)
    frame = pd.DataFrame({"x": x, "z": x + 0.3 * rng.normal(size=N)})
    guard, predict = _guard(frame, x)
    live = rng.normal(size=2000)
    stale = pd.DataFrame({"x": rng.normal(size=2000), "z": live + 0.3 * rng.normal(size=2000)})
    watch = guard.watch()
    made = np.concatenate([guard.answer(stale[at : at + 20], predict, watch).value for at in range(0, 2000, 20)])
    lost, constant = np.abs(made - live), np.abs(float(guard.stages[-1].constant) - live)
    assert lost[100:].mean() < 1.05 * constant[100:].mean()


def test_an_alarm_looks_at_all_rows_since_it_began_in_whatever_requests_they_came(linear, monkeypatch):
    guard, _ = linear
    rows = _mixed(np.random.default_rng(11), 600)[0]
    rows[300:, 2] += 0.9 * rows[:, 2].std()
    seen, real = [], Stream._blame
    monkeypatch.setattr(Stream, "_blame", lambda self, some: (seen.append(some.copy()), real(self, some))[1])
    first = []
    for size in (1, 3, 7, 600):
        seen.clear()
        stream = guard.watch().stream
        for at in range(0, 600, size):
            if stream.blamed is None or size == 600:
                stream.feed(rows[at : at + size])
        first.append(seen[0])
    assert len(first[0]) > 7  # of several requests
    for one in first[1:]:
        assert np.array_equal(one, first[0])


def test_what_is_remembered_is_little_while_nothing_is_strange(linear):
    """It is written down after every thousand rows of a file."""
    guard, chain = linear
    watch, sizes = guard.watch(), []
    for seed in range(20):
        guard.answer(_mixed(np.random.default_rng(seed), 1000)[0], [chain[0].predict], watch)
        sizes.append(len(watch.stream._recent.last()))
    assert np.median(sizes) < KEPT / 4
    assert watch.stream.detector.rows > 19_000


def test_what_was_strange_long_ago_is_not_blamed_for_what_is_now(linear):
    guard, chain = linear
    rows, _, _ = _mixed(np.random.default_rng(3), 2 * CALM + 40)
    far = 6.0 * rows.std(axis=0)
    rows[:20, 1] += far[1]
    rows[-20:, 6] += far[6]
    watch, causes = guard.watch(), []
    for at in range(len(rows)):
        causes.extend(guard.answer(rows[[at]], [chain[0].predict], watch).cause)
    named_ = [{word.split(" ")[0] for word in cause.split("; ") if " does not fit" in word} for cause in causes]
    assert all(one == {"x1"} for one in named_[1:20])
    assert all(one == {"x6"} for one in named_[-19:])


def _blamed(cause):
    return tuple(sorted(word.split(" ")[0] for word in cause.split("; ") if " does not fit" in word))


@pytest.mark.parametrize("spells", [((1, 200, 230), (6, 600, 630)), ((1, 100, 600), (6, 665, 1165))])
def test_two_faults_in_one_request_are_told_apart_as_in_several(linear, spells):
    """Strange by themselves, with more than `CALM` usual rows between: few rows of each, and more than are kept."""
    guard, chain = linear
    rows, _, _ = _mixed(np.random.default_rng(3), 1200)
    wanted = [()] * len(rows)
    for column, low, high in spells:
        rows[low:high, column] += 6.0 * rows[:, column].std()
        wanted[low:high] = [(f"x{column}",)] * (high - low)
    for size in (64, 400, 1200):
        watch, causes = guard.watch(), []
        for at in range(0, len(rows), size):
            causes.extend(guard.answer(rows[at : at + size], [chain[0].predict], watch).cause)
        told = [_blamed(cause) for cause in causes]
        # In few rows another one fits by chance.
        assert np.mean([one == other for one, other in zip(told, wanted, strict=True)]) > 0.98


def test_of_many_features_few_are_tried_where_none_explains_it(monkeypatch):
    """Each row is off elsewhere: a request of one row of 120 features is answered soon all the same."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 120))
    support = learn_support(rows[:1000], rows[1000:])
    strange = rows[:20].copy()
    strange[np.arange(20), np.arange(20) * 5] += 9.0
    looks, look = [], type(support).look
    monkeypatch.setattr(type(support), "look", lambda *args: looks.append(args) or look(*args))
    assert blamed_for(support, 1.0, strange) == ()
    assert len(looks) <= MOST_VAIN + MOST_PAIRS


def test_the_latest_rows_are_kept_in_order():
    kept, rows = Recent(2), np.arange(4000.0).reshape(-1, 2)
    place = 0
    for size in (1, 1, 3, KEPT - 1, 1, KEPT, KEPT + 7, 1, 2, 5):
        kept.add(rows[place : place + size])
        place += size
        for n in (1, 4, KEPT, KEPT + 1):
            assert kept.last(n).tolist() == rows[max(place - min(n, KEPT), 0) : place].tolist()
    again = pickle.loads(pickle.dumps(kept))
    kept.keep(3)
    assert kept.last().tolist() == rows[place - 3 : place].tolist()
    again.add(rows[place : place + 2])
    assert again.last(4).tolist() == rows[place - 2 : place + 2].tolist()
    kept.keep(0)
    assert kept.last().tolist() == []
    assert pickle.loads(pickle.dumps(kept)).last().tolist() == []


def test_rows_of_a_request_since_it_began_are_not_trusted(stream):
    rows = under(stream, "stale feature", 1, 3).live.iloc[BEGINS - 100 : BEGINS + 100]
    found = stream.guard.answer(rows, stream.predict, stream.guard.watch())
    assert (found.status[:95] == 0).all()
    assert (found.status[105:] > 0).all()
    assert (found.status[100:105] > 0).any()


def test_trust_comes_back_after_usual_rows_and_not_before(stream):
    watch = stream.guard.watch()
    bad = under(stream, "stale feature", 1, 3).live.iloc[BEGINS : BEGINS + 100]
    stream.guard.answer(bad, stream.predict, watch)
    assert watch.stream.blamed is not None
    more = under(stream, "stale feature", 1, 3).live.iloc[BEGINS + 100 : BEGINS + 100 + 3 * CALM]
    for at in range(0, len(more), 8):
        stream.guard.answer(more.iloc[at : at + 8], stream.predict, watch)
        assert watch.stream.blamed is not None
    stream.guard.answer(stream.live.iloc[: 2 * CALM], stream.predict, watch)
    assert watch.stream.blamed is None


def _weather(rng, n):
    """Four readings whose state lasts for some hundred rows, and now and then a rare one."""
    rare = np.repeat(rng.random(n // 100 + 1) < 0.04, 100)[:n]
    state = np.repeat(rng.normal(size=n // 100 + 1), 100)[:n] + 3.0 * rare
    return pd.DataFrame({name: state + 0.3 * rng.normal(size=n) for name in ("a", "b", "c", "d")})


def test_honest_spells_are_let_pass_as_the_history_showed_them():
    """Spells of a hundred rows: the e-detector's promise is for rows that come in any order, and would not hold."""
    rng = np.random.default_rng(3)
    frame = _weather(rng, 12_000)
    guard, predict = _guard(frame.iloc[:8000], frame["a"].to_numpy()[:8000])
    later = frame.iloc[8000:]
    assert guard.stream.slack > 2
    found = guard.answer(later, predict, guard.watch())
    assert (found.status == 0).mean() > 0.99
    bare = replace(guard, stream=replace(guard.stream, slack=1.0))
    assert (bare.answer(later, predict, bare.watch()).status == 0).mean() < 0.99


def test_what_happened_once_and_was_no_fault_is_not_strange_when_it_comes_again():
    rng = np.random.default_rng(4)
    x = rng.normal(size=N)
    frame = pd.DataFrame({"x": x, "z": x + 0.1 * rng.normal(size=N), "other": rng.normal(size=N)})
    again = pd.DataFrame({"x": [2.5], "z": [-2.4], "other": [0.0]})
    guard, predict = _guard(frame, x)
    assert guard.answer(again, predict, guard.watch()).words != ["normal"]
    frame.loc[N - 2500, ["x", "z"]] = [2.5, -2.5]
    guard, predict = _guard(frame, x)
    assert guard.answer(again, predict, guard.watch()).words == ["normal"]


def test_without_a_feature_intervals_are_wider_and_the_loss_is_as_told(stream):
    rows = stream.live.assign(shift=np.nan)  # of which the others say nothing
    found = stream.guard.answer(rows, stream.predict, stream.guard.watch())
    assert set(found.words) == {"degraded"}
    n, lost = len(rows), np.abs(stream.labels - found.value)
    assert found.expected[0] > 1.5 * stream.guard.stages[0].loss
    # 2,000 rows, and 1,000 that it was measured on; a tenth for drift.
    assert abs(lost.mean() - found.expected[0]) < 5 * lost.std() * np.sqrt(1 / n + 1 / 1000) + 0.1 * lost.mean()
    held = ((found.low <= stream.labels) & (stream.labels <= found.high)).mean()
    assert held > 0.9 - 4 * np.sqrt(0.09 / 500 + 0.09 / n)
