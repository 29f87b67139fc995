"""The guard of a life: which stages it has, who measured them, and whether what they were said to lose comes true."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.tree import DecisionTreeRegressor

from mlwild import App, Forecast, Guard
from mlwild.auditions import stage_losses
from mlwild.errors import AppError, DataError
from mlwild.guarding import answered, chain_of, followed
from mlwild.guards.following import looks, numbers_of
from mlwild.records import Vintage
from mlwild.triangle import build, growing
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey

PERIOD = 100


def _rows(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    return pd.DataFrame({"when": np.arange(n), "x": x, "z": z, "y": 2 * x + 0.5 * z + rng.normal(size=n)})


def _app(rows=None, **more):
    rows = _rows() if rows is None else rows
    fields = {
        "models": {"line": LinearRegression(), "mean": DummyRegressor()},
        "delay": 0,
        "loss": "absolute",
        "every": PERIOD,
        "start": 500,
    } | more
    return App(name="app", data=lambda: rows, time="when", label="y", **fields)


def _triangle(app, folder):
    return growing(survey(app), Store(folder), app.live, {})


def test_the_stages_are_those_of_the_app_in_order(tmp_path):
    triangle = _triangle(_app(), tmp_path)
    path = [Vintage(0), Vintage(3), Vintage(3)]
    made = chain_of(triangle, path, 20)
    assert [one["stage"] for one in made.losses()] == ["champion", "previous", "mean", "constant"]
    assert [one["vintage"] for one in made.losses()] == ["3", "0", "3", ""]
    triangle = _triangle(_app(fallback=["mean"]), tmp_path)
    assert [one["stage"] for one in chain_of(triangle, path, 20).losses()] == ["champion", "mean", "constant"]
    triangle = _triangle(_app(fallback=[]), tmp_path)
    assert [one["stage"] for one in chain_of(triangle, path, 20).losses()] == ["champion", "constant"]


def test_who_measures_did_not_learn_from_what_it_is_measured_on(tmp_path):
    """Labels of noise alone: a model that knew them by heart would lose nothing on them."""

    class Memory:
        def fit(self, X, y):
            self.seen = dict(zip(X["x"].tolist(), y.tolist(), strict=True))
            return self

        def predict(self, X):
            return np.array([self.seen.get(x, 0.0) for x in X["x"].tolist()])

    rows = _rows()
    rows["y"] = np.random.default_rng(1).normal(size=len(rows))
    triangle = _triangle(_app(rows, models={"memory": Memory(), "mean": DummyRegressor()}), tmp_path)
    made = chain_of(triangle, [Vintage(20)], 20)  # made at this very cutoff, from all that is known
    assert made.since == 10  # a thousand rows
    champion = made.guard.stages[0]
    assert champion.n == 1000
    assert champion.loss > 0.5
    assert len(made.guard.stages) == 3


class Neighbour:
    """Says what came of the row that is most like it in x and z: it is always right of rows that it learned from."""

    def fit(self, X, y):
        self.classes_, self.tree, self.y = np.array([0, 1]), KDTree(X[:, :2]), y
        return self

    def predict_proba(self, X):
        one = self.y[self.tree.query(np.nan_to_num(X[:, :2]))[1]].astype(float)
        return np.column_stack([1 - one, one])


def test_a_risk_is_kept_without_several_features_by_who_learned_from_all_that_is_known(tmp_path):
    """A fifth of its answers to rows that come are wrong; of those that it learned from it remembers each."""
    rows = _rows(4000).assign(
        a=np.random.default_rng(1).normal(size=4000), b=np.random.default_rng(2).normal(size=4000)
    )
    rows["y"] = (rows["y"] > 0).astype(int)
    app = _app(rows, models={"neighbour": Neighbour()}, loss="brier", guard=Guard(risk=0.05), fallback=[],
               features=lambda rows: rows[["x", "z", "a", "b"]].to_numpy())  # fmt: skip
    triangle = _triangle(app, tmp_path)
    later = slice(2500, 4000)
    live, came = rows[["x", "z", "a", "b"]].to_numpy()[later], rows["y"].to_numpy()[later]
    live[:, 2:] = np.nan
    made = chain_of(triangle, [Vintage(20)], 20)  # made at this very cutoff, from all rows before 2,500
    found = made.guard.answer(live, made.predict, made.guard.watch())
    given = found.status != 3
    assert not given.any() or ((found.value[given] > 0.5) != came[given]).mean() < 0.07
    # One that was made before the rows that it is measured by is as sure of those that come.
    assert [stage.apart for stage in chain_of(triangle, [Vintage(5)] * 16, 20).guard.stages] == [True, True]


@pytest.mark.parametrize(
    "model", [DecisionTreeRegressor(random_state=0), ExtraTreesRegressor(20, random_state=0)], ids=["tree", "trees"]
)
def test_what_gaps_cost_one_who_remembers_whole_rows_is_not_held_against_what_it_remembers(model, tmp_path):
    """2,000 rows without two features: of the trees a loss of 1.73 was told, where 0.94 came."""
    rows = _rows(4500).assign(a=np.random.default_rng(1).normal(size=4500))
    app = _app(rows, models={"model": model}, fallback=[], features=lambda rows: np.nan_to_num(rows[["x", "z", "a"]]))
    triangle = _triangle(app, tmp_path)
    live, came = rows[["x", "z", "a"]].to_numpy()[2500:], rows["y"].to_numpy()[2500:]
    live[:, 1:] = np.nan
    made = chain_of(triangle, [Vintage(20)], 20)
    found = made.guard.answer(live, made.predict, made.guard.watch())
    lost = np.abs(found.value - came)
    assert found.expected.mean() == pytest.approx(lost.mean(), rel=0.1)
    held = ((found.low <= came) & (came <= found.high)).mean()
    assert 0.9 - 4 * np.sqrt(0.09 / 1000) < held < 0.97  # a thousand rows say how wide
    assert np.median(found.high - found.low) < 2.5 * 2 * np.quantile(lost, 0.9)


def _same(radii, other):
    parts = (radii.difficulty.far, radii.difficulty.side, radii.difficulty.centre, radii.edges, radii.shares)
    others = (other.difficulty.far, other.difficulty.side, other.difficulty.centre, other.edges, other.shares)
    return radii.fixed == other.fixed and all(map(np.array_equal, parts, others))


def _turning(n=4000):
    """Errors that grow, so that what was missed before has a part in how wide intervals are."""
    rows = _rows(n, seed=7)
    rows["y"] += np.random.default_rng(7).normal(size=n) * np.abs(rows["x"]) * np.exp(rows["when"] / 1000)
    return rows


def _retrained(cutoff):
    return [Vintage(one // 4 * 4) for one in range(cutoff + 1)]


def _updated(cutoff):
    path = [Vintage(0)]
    while len(path) <= cutoff:
        path.append(path[-1].updated(len(path)))
    return path


@pytest.mark.parametrize("delay", [10, 450])
@pytest.mark.parametrize("lived", [_retrained, _updated])
def test_intervals_are_as_wide_as_a_rehearsal_says_they_are(tmp_path, lived, delay):
    """The radii at a cutoff are those of the rehearsed life in the next period, whatever came after it."""
    app = _app(_turning(), delay=delay, update="partial_fit", models={"line": SGDRegressor(random_state=0)})
    read = survey(app)
    (whole,) = build(read, Store(tmp_path))
    assert all(whole.ensure(one) for one in lived(read.grid.periods - 1))
    rows, value = answered(whole, lived(read.grid.periods - 1), 0)
    radii = followed(read, rows, value, 0.9)[2]
    period = np.searchsorted(read.grid.row_start, rows, side="right") - 1
    for cutoff in (20, 29):
        served = chain_of(growing(read, Store(tmp_path), app.live, {}), lived(cutoff), cutoff).guard.stages[0].radii
        now = period == cutoff
        seen = looks("value", numbers_of(read.features.take(rows[now])), value[now])
        assert now.sum() == PERIOD
        assert np.array_equal(served.of(seen), radii[now])


def test_what_a_life_was_off_by_counts_from_its_beginning_and_before_it_what_was_freshest(tmp_path):
    app = _app(_turning())
    read = survey(app)
    build(read, Store(tmp_path))

    def radii(path):
        return chain_of(growing(read, Store(tmp_path), app.live, {}), path, 20).guard.stages[0].radii

    longest = radii(_retrained(20))
    assert not _same(longest, radii(_retrained(20)[-15:]))
    assert _same(longest, radii([Vintage(0)] * 3 + _retrained(20)))  # nothing came before the first cutoff
    young = radii([Vintage(20)])
    rows, value = answered(build(read, Store(tmp_path))[0], [Vintage(one) for one in range(10, 20)], 10)
    assert _same(young, followed(read, rows, value, 0.9)[1].fixed())


def test_a_life_that_nobody_knows_the_answers_of_is_measured_by_its_stand_in(tmp_path):
    triangle = _triangle(_app(_turning()), tmp_path)
    found = chain_of(triangle, [*[Vintage(0)] * 18, Vintage(3), Vintage(5), Vintage(20)], 20).guard.stages[0].radii
    alone = chain_of(_triangle(_app(_turning()), tmp_path), [Vintage(20)], 20)
    assert alone.since == 10
    stand_in = triangle.predictions(Vintage(10))[:1000].astype(float)
    rows = np.arange(int(triangle.survey.grid.row_start[10]), int(triangle.survey.grid.row_start[20]))
    assert _same(found, followed(triangle.survey, rows, stand_in, 0.9)[1].fixed())


def test_only_labels_that_are_known_count(tmp_path):
    triangle = _triangle(_app(delay=250), tmp_path)
    made = chain_of(triangle, [Vintage(5)], 20)
    edges, since = triangle.survey.grid.edges, made.since
    known = (triangle.survey.time >= edges[since]) & (triangle.survey.known_at <= edges[20])
    assert made.guard.stages[0].n == int((known & (triangle.survey.time < edges[20])).sum())


def test_a_request_is_answered_as_the_model_would_and_with_what_it_loses(tmp_path):
    made = chain_of(_triangle(_app(), tmp_path), [Vintage(3), Vintage(10)], 20)
    rows = pd.DataFrame({"x": [0.5, 900.0, np.nan], "z": [0.1, 0.1, 0.1]})
    found = made.guard.answer(rows, made.predict, made.guard.watch())
    assert found.words[0] == "normal"
    assert found.value[0] == made.links[0].predict(rows[:1])[0]
    assert found.expected[0] == made.guard.stages[0].loss
    assert set(found.words[1:]) <= {"degraded", "fallback"}
    assert (found.expected[1:] > found.expected[0]).all()


def test_losses_that_were_told_come_true_in_the_next_period(tmp_path):
    """Fifteen cutoffs, four stages: mean loss of the next 100 rows, within three standard errors in 95 % at least."""
    rows = _rows(4000, seed=3)
    triangle = _triangle(_app(rows), tmp_path)
    kept = asked = 0
    for cutoff in range(15, 30):
        made = chain_of(triangle, [Vintage(4), Vintage(cutoff - 2)], cutoff)
        next_rows = rows.iloc[500 + PERIOD * cutoff : 500 + PERIOD * (cutoff + 1)]
        X, y = next_rows[["x", "z"]], next_rows["y"].to_numpy()
        answers = [*(link.predict(X) for link in made.links), np.full(len(y), float(made.guard.stages[-1].constant))]
        for stage, answer in zip(made.guard.stages, answers, strict=True):
            lost = np.abs(y - answer)
            asked += 1
            kept += abs(lost.mean() - stage.loss) < 3 * lost.std() * np.sqrt(1 / len(y) + 1 / stage.n)
    assert asked == 60
    assert kept >= 57


def test_a_contract_of_the_app_is_kept(tmp_path):
    (tmp_path / "app.contract.toml").write_text(
        '[data.columns.x]\nkind = "number"\nlow = -1.0\nhigh = 1.0\n\n[data.columns.z]\nkind = "number"\n'
    )
    app = _app(contract="app.contract.toml", root=tmp_path)
    made = chain_of(_triangle(app, tmp_path / "store"), [Vintage(3)], 20)
    found = made.guard.answer(pd.DataFrame({"x": [1.5], "z": [0.0]}), made.predict, made.guard.watch())
    assert found.cause[0].startswith("x is 1.5, above 1")


def test_without_labels_it_says_so(tmp_path):
    with pytest.raises(DataError, match=r"^guard: no labelled row has come"):
        chain_of(_triangle(_app(), tmp_path), [Vintage(0)], 0)


def test_a_published_forecast_has_no_guard(tmp_path):
    rows = _rows().assign(said=0.0)
    app = _app(rows, models={"said": Forecast("said")})
    with pytest.raises(AppError, match="is a published forecast"):
        chain_of(_triangle(app, tmp_path), [Vintage(3)], 20)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fallback": "mean"}, r"^fallback: 'mean' is not a list\. Write \['mean'\]"),
        ({"fallback": ["line"]}, r"^fallback: 'line' is not one of 'previous', 'mean'"),
        ({"fallback": ["mean", "mean"]}, r"^fallback: one is named twice"),
        ({"guard": "strict"}, r"^guard: is not a Guard"),
    ],
)
def test_what_an_app_declares_is_checked(wrong, said):
    with pytest.raises(AppError, match=said):
        _app(**wrong)


def test_settings_of_the_app_are_used(tmp_path):
    made = chain_of(_triangle(_app(guard=Guard(refuse=0.01)), tmp_path), [Vintage(3)], 20)
    found = made.guard.answer(pd.DataFrame({"x": [0.5], "z": [0.0]}), made.predict, made.guard.watch())
    assert found.words == ["refused"]


def test_a_declared_chain_neither_hinders_operation_nor_a_challenger(tmp_path):
    from mlwild import operate
    from mlwild.operating.shadowing import challenger_app
    from mlwild.rules import Every

    app = _app(fallback=["previous", "mean"])
    assert operate(app, rule=Every(1), begin=2700, store=tmp_path).ticks
    assert challenger_app(app, "mean").live == "mean"


def test_what_was_live_before_is_measured_by_an_older_stand_in(tmp_path):
    """The line turns with time: what is older loses more."""
    rows = _rows()
    rows["y"] = rows["x"] * rows["when"] / 500 + 0.1 * np.random.default_rng(2).normal(size=len(rows))
    triangle = _triangle(_app(rows, windows=[200]), tmp_path)
    champion, previous, *_ = chain_of(triangle, [Vintage(16, "200"), Vintage(20, "200")], 20).losses()
    assert previous["stage"] == "previous"
    assert previous["loss"] > 1.2 * champion["loss"]


def test_limits_are_learned_from_rows_before_those_that_losses_are_measured_on(tmp_path, monkeypatch):
    import mlwild.guarding as module

    seen = []
    plain = module.learn_guard
    monkeypatch.setattr(module, "learn_guard", lambda known, *more: seen.append(known) or plain(known, *more))
    triangle = _triangle(_app(), tmp_path)
    made = chain_of(triangle, [Vintage(3)], 20)
    (known,) = seen
    start = triangle.survey.grid.row_start
    assert known.learned.num_rows == len(known.past) == int(start[made.since])
    assert known.held.num_rows == int(start[20] - start[made.since])


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_where_labels_are_seen_selectively_losses_are_those_of_all_rows(tmp_path, loss):
    """Labels above 1 are seen one time in ten: 20,000 rows, of which some 14,000 have their label."""
    rng = np.random.default_rng(5)
    rows = _rows(20_000, seed=5).assign(when=lambda rows: rows["when"] // 10)
    rows["seen"] = np.where(rows["y"] > 1.0, 0.1, 1.0)
    whole = rows["y"].to_numpy().copy()
    rows.loc[rng.random(len(rows)) >= rows["seen"], "y"] = np.nan
    app = _app(rows, loss=loss, propensity="seen", models={"mean": DummyRegressor()}, start=1000, feedback="selective")
    triangle = _triangle(app, tmp_path)
    made = chain_of(triangle, [Vintage(0)], 10)
    champion, constant = made.guard.stages[0], made.guard.stages[-1]
    held = rows["when"].between(1000 + made.since * PERIOD, 2000 - 1).to_numpy()
    before = (rows["when"] < 1000 + made.since * PERIOD).to_numpy()
    best = np.median(whole[before]) if loss == "absolute" else whole[before].mean()
    assert abs(float(constant.constant) - best) < 0.15
    seen_mean = np.nanmean(rows["y"].to_numpy()[before])
    for stage, answer in ((champion, seen_mean), (constant, best)):
        lost = np.abs(whole[held] - answer)
        lost = (lost if loss == "absolute" else lost**2).mean()
        assert abs(stage.loss / lost - 1) < 0.08
    assert constant.loss < 0.95 * champion.loss
    path = [Vintage(0)] * (triangle.survey.grid.periods + 1)
    told = {one["stage"]: one["loss"] for one in stage_losses({"mean": triangle}, path, 0)}
    assert abs(told["constant"] / np.mean(lost) - 1) < 0.08
    assert told["constant"] < 0.95 * told["champion"]
