"""Declared randomisation in fallback: the draws are what they are said to be, and the next model learns from them."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.tree import DecisionTreeClassifier

import mlwild as wild
from mlwild.auditions import declared_losses
from mlwild.drilling import drill
from mlwild.errors import AppError
from mlwild.guards import Candidate, Explore, Guard, Known, learn_guard
from mlwild.guards.answers import DRAWN, FALLBACK, no_answers
from mlwild.guards.exploring import Draws
from mlwild.losses import named
from mlwild.records import Vintage
from mlwild.show import show_sheet
from mlwild.triangle import build
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey

N = 1200
#: Standard errors that a mean may be off by.
FAR = 4.5


def _surprise(label, chance):
    with np.errstate(divide="ignore"):
        return -np.log(np.where(label == 1, chance, 1 - chance))


UNBOUNDED = wild.Loss(_surprise, name="surprise", predicts="probability")


def broken(X):
    raise RuntimeError("gone")


def _guard(loss="absolute", ask="value", classes=0, seed=0, **more):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    y = x + 3.0 if not classes else (x + 0.5 * rng.normal(size=N) > 0).astype(np.int64) + (classes > 2) * (x > 1)
    of = loss if isinstance(loss, wild.Loss) else named(loss)
    table, half = pa.table({"x": x, "z": rng.normal(size=N)}), N // 2
    known = Known(table.slice(0, half), y[:half], table.slice(half), y[half:], "numpy", of, ask, classes)

    def predict(X):
        made = X[:, 0] + 3.0
        if ask == "probabilities":
            return np.full((len(X), classes), 1 / classes)
        return np.full(len(X), 0.6) if ask == "probability" else (X[:, 0] > 0).astype(float) if classes else made

    return learn_guard(known, [Candidate("model", "1", predict)], Guard(**more)), predict


def _rows(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 2)).clip(-2, 2)


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_each_answer_is_given_as_often_as_its_chance_says(share):
    guard, _ = _guard("zero_one", "class", 3, explore=Explore(share))
    n = 20_000
    said = guard.answer(_rows(n), [broken], guard.watch())
    assert (said.status == FALLBACK).all()
    constant = float(guard.stages[-1].constant)
    chances = np.array([(1 - share) * (one == constant) + share / 3 for one in range(3)])
    counts = np.bincount(said.value.astype(int), minlength=3)
    assert (np.abs(counts - n * chances) <= FAR * np.sqrt(n * chances * (1 - chances))).all()
    np.testing.assert_allclose(said.chance, chances[said.value.astype(int)])
    drawn = (said.stage == DRAWN).mean()
    assert abs(drawn - share) <= FAR * np.sqrt(share * (1 - share) / n)


def test_draws_know_nothing_of_the_row():
    guard, _ = _guard("zero_one", "class", 2, explore=Explore(0.5))
    rows = _rows(20_000)
    said = guard.answer(rows, [broken], guard.watch())
    for of in (said.stage == DRAWN, said.value == 1.0):
        for column in rows.T:
            assert abs(np.corrcoef(column, of)[0, 1]) < FAR / np.sqrt(len(rows))
        assert abs(np.corrcoef(of[1:], of[:-1])[0, 1]) < FAR / np.sqrt(len(rows))


def test_weighted_by_their_chance_outcomes_tell_what_each_answer_does():
    guard, _ = _guard("zero_one", "class", 3, explore=Explore(0.2))
    rows, worth = _rows(20_000), np.array([0.2, 0.5, 0.9])
    said = guard.answer(rows, [broken], guard.watch())
    came = np.random.default_rng(2).random(len(rows)) < worth[said.value.astype(int)]
    for answer, truth in enumerate(worth):
        weighted = (said.value == answer) * came / said.chance
        assert abs(weighted.mean() - truth) <= FAR * weighted.std() / np.sqrt(len(rows))


def _after_a_change(seed, explore):
    """
    A world that turned round, in which an outcome is seen for the answer that was given alone.

    Returns
    -------
    float
        Share of right answers of the next model, learned from what was collected in fallback.
    """
    guard, _ = _guard("zero_one", "class", 3, seed=seed, explore=explore)
    rows = _rows(3000, seed)
    said = guard.answer(rows, [broken], guard.watch())
    right = np.digitize(rows[:, 1], [-0.5, 0.5]).astype(float)  # it used to hang on the other feature
    won = said.value == right
    worth = np.full((3, len(rows)), 1 / 3)
    for answer in range(3):
        at = said.value == answer
        if at.any():  # one model an answer, of the rows that were given it
            model = DecisionTreeClassifier(max_leaf_nodes=4, random_state=0)
            model.fit(rows[at], won[at], sample_weight=1 / said.chance[at])
            worth[answer] = model.predict_proba(rows) @ model.classes_
    return float((worth.argmax(axis=0) == right).mean())


def test_after_a_sudden_change_the_next_model_can_be_learned_from_what_was_drawn():
    with_draws = [_after_a_change(seed, Explore(0.2)) for seed in range(10)]
    without = [_after_a_change(seed, None) for seed in range(10)]
    assert min(with_draws) > 0.95
    assert max(without) < 0.75  # of the two other answers nothing was ever seen


@pytest.mark.parametrize(
    ("loss", "ask", "classes", "values"),
    [
        ("absolute", "value", 0, (1.0, 5.0)),
        ("brier", "probability", 2, (0.2, 0.8)),
        ("log_loss", "probabilities", 3, ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))),
        ("zero_one", "class", 3, ()),
    ],
    ids=["numbers", "probability", "probabilities", "classes"],
)
def test_the_loss_of_draws_is_known_beforehand(loss, ask, classes, values):
    guard, predict = _guard(loss, ask, classes, explore=Explore(0.5, values))
    rng = np.random.default_rng(5)
    x = rng.normal(size=5000)
    y = x + 3.0 if not classes else (x + 0.5 * rng.normal(size=5000) > 0).astype(np.int64) + (classes > 2) * (x > 1)
    rows = np.column_stack([x, rng.normal(size=5000)])
    said = guard.answer(rows, [broken], guard.watch())
    at = (said.stage == DRAWN) & (said.status == FALLBACK)
    assert at.mean() > 0.4
    lost = named(loss).rows(y[at], said.value[at])
    known = len(guard.sample.labels)
    assert abs(lost.mean() - said.expected[at][0]) <= FAR * lost.std() * np.sqrt(1 / at.sum() + 1 / known)
    assert all("drawn at random, as a share of 0.5 of fallbacks is" in cause for cause in said.cause[at])
    # What the model answers itself is left as it is.
    fine = guard.answer(rows[:50], [predict], guard.watch())
    normal = fine.status != FALLBACK
    assert normal.sum() > 40
    np.testing.assert_array_equal(fine.value[normal], predict(rows[:50])[normal])
    assert (fine.chance[normal] == 1.0).all()


def test_rows_alone_are_drawn_as_in_a_batch_and_a_replay_is_the_same():
    guard, _ = _guard(explore=Explore(0.3, (1.0, 5.0)))
    rows = _rows(200)
    whole = guard.answer(rows, [broken], guard.watch())
    again = guard.answer(rows, [broken], guard.watch())
    watch = guard.watch()
    alone = [guard.answer(rows[at : at + 1], [broken], watch).value[0] for at in range(200)]
    assert whole.value.tolist() == again.value.tolist() == alone
    assert watch.drawn == 200
    assert len({guard.answer(rows[:1], [broken], watch).value[0] for _ in range(60)}) == 3  # the same row, other draws


def test_without_a_declaration_nothing_is_drawn_and_what_is_refused_stays_refused():
    plain, _ = _guard()
    said = plain.answer(_rows(500), [broken], plain.watch())
    assert plain.draws is None
    assert len(set(said.value)) == 1
    assert (said.chance == 1.0).all()
    made = no_answers(50, 0, matrix=False)
    said = Draws(1.0, np.array([1.0, 5.0]), 2.0).among(made, _rows(50), plain.watch())
    assert set(said.words) == {"refused"}
    assert np.isnan(said.value).all()


def test_two_who_salt_their_draws_draw_apart():
    guard, _ = _guard(explore=Explore(0.5, (1.0, 5.0)))
    rows = np.zeros((400, 2))
    one, other = guard.watch(), guard.watch()
    other.salt = b"other"
    first, second = (guard.answer(rows, [broken], watch).stage == DRAWN for watch in (one, other))
    assert abs((first == second).mean() - 0.5) < FAR * 0.5 / 20


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Explore(0), "explore.share"),
        (lambda: Explore(1.5), "explore.share"),
        (lambda: Explore(True), "explore.share"),
        (lambda: Explore("a lot"), "explore.share"),
        (lambda: Explore(0.1, (1.0,)), "explore.values"),
        (lambda: Explore(0.1, (1.0, 1.0)), "explore.values"),
        (lambda: Explore(0.1, (1.0, float("nan"))), "explore.values"),
        (lambda: Explore(0.1, ("no", "yes")), "explore.values"),
        (lambda: Explore(0.1, ((0.5, 0.5), (1.0,))), "explore.values"),
        (lambda: Guard(explore=0.1), "guard.explore"),
        (lambda: Guard(explore=Explore(0.1), risk=0.1), "guard.explore"),
        (lambda: _guard(explore=Explore(0.1, (-5.0, 11.0)), refuse=1.0), "above refuse=1"),
        (lambda: _guard(explore=Explore(0.1)), "explore.values"),
        (lambda: _guard("zero_one", "class", 2, explore=Explore(0.1, (0.0, 1.0))), "explore.values"),
        (lambda: _guard("brier", "probability", 2, explore=Explore(0.1, (0.5, 1.5))), "explore.values"),
        (lambda: _guard("brier", "probability", 2, explore=Explore(0.1, ((0.5, 0.5), (0.1, 0.9)))), "explore.values"),
        (lambda: _guard(UNBOUNDED, "probability", 2, explore=Explore(0.1, (0.0, 1.0))), "surprise is infinite"),
    ],
)
def test_a_wrong_declaration_is_refused_in_a_sentence(make, said):
    with pytest.raises(AppError, match=said) as caught:
        make()
    assert str(caught.value).endswith(".")


DEAR = """
import numpy as np, pandas as pd
import mlwild as wild
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(0)
rows = pd.DataFrame({"when": np.arange(3000), "x": rng.normal(size=3000)})
rows["y"] = rows["x"]
app = wild.App(
    name="sum", data=lambda: rows, time="when", label="y", delay=0, every=300, start=300, loss="absolute",
    models={"line": LinearRegression()}, guard=wild.Guard(refuse=1.0, explore=wild.Explore(0.1, (-4.0, 4.0))),
    prices=wild.Prices(loss=1.0, retrain=1.0),
)
"""


def _app(**more):
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 3000))
    rows = pd.DataFrame({"when": np.arange(3000), "x": x, "z": z, "y": x + z + 0.1 * rng.normal(size=3000)})

    def line(X, y):
        return lambda X: X["x"].to_numpy() + X["z"].to_numpy()

    fields = {"name": "sum", "data": lambda: rows, "time": "when", "label": "y", "delay": 0, "every": 300, "start": 300}
    return wild.App(models={"line": line}, loss="absolute", **fields, **more)


def test_a_rehearsal_shows_what_draws_lose_beside_the_stages(tmp_path, capsys):
    app = _app(guard=Guard(explore=Explore(0.25, (-4.0, 4.0))))
    (triangle,) = build(survey(app), Store(tmp_path))
    found = declared_losses([triangle], [Vintage(k, "all") for k in range(1, triangle.survey.grid.periods)], 1)
    assert found["share"] == 0.25
    *_, constant, drawn = found["stages"]
    assert (constant["stage"], drawn["stage"], drawn["vintage"]) == ("constant", "at random", "")
    y = app.data()["y"].to_numpy()[300:]
    half = np.abs(y[:, None] - np.array([-4.0, 4.0]))
    assert drawn["loss"] == pytest.approx(
        half.mean(), abs=FAR * np.abs(half[:, 0] - half[:, 1]).std() / 2 / len(y) ** 0.5
    )
    assert drawn["low"] < drawn["loss"] < drawn["high"]
    sheet = wild.rehearse(app, store=tmp_path).sheet
    show_sheet(sheet)
    assert "At random: 25% of fallbacks" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [wild.rehearse, partial(wild.operate, rule="break-even")])
def test_draws_that_no_answer_may_lose_are_refused_before_anything_goes_live(verb, tmp_path):
    """They were refused by the server alone, after a rehearsal and ticks had let them pass."""
    file = tmp_path / "sum.py"
    file.write_text(DEAR)
    with pytest.raises(AppError, match=r"^explore\.values: what is drawn loses 4\.\d+ on average, .* refuse=1\."):
        verb(wild.load_app(file), store=tmp_path / "store")
    assert not (tmp_path / "store" / "operate" / "sum" / "ledger.jsonl").exists()


def test_a_drill_asks_without_draws(tmp_path):
    clean = drill(_app(), seeds=1, cutoffs=1, store=tmp_path / "a")
    drawn = drill(_app(guard=Guard(explore=Explore(1.0, (-9.0, 9.0)))), seeds=1, cutoffs=1, store=tmp_path / "b")
    assert [(one.fault, one.severity, one.loss) for one in clean.cells] == [
        (one.fault, one.severity, one.loss) for one in drawn.cells
    ]
