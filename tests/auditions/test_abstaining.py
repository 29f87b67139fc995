"""What abstaining at a stated risk is said to mean: counted again by hand, and true of rows that come as before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild import Guard
from mlwild.auditions.abstaining import abstained
from mlwild.records import Vintage
from mlwild.show import show_sheet
from mlwild.stats.selective import guaranteed_threshold
from mlwild.triangle import build
from mlwild.triangle.store import Store
from mlwild.triangle.survey import survey

N, PERIOD = 6000, 500


class Known:
    """Says the true probability, so that it is as sure as it should be."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-2 * X["x"].to_numpy()))
        return np.column_stack([1 - p, p])


def _app(seed, **more):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    y = (rng.random(N) < 1 / (1 + np.exp(-2 * x))).astype(int)
    rows = pd.DataFrame({"when": np.arange(N), "x": x, "y": y, "seen": np.where(np.abs(x) < 1, 0.5, 1.0)})
    fields = {"name": "sure", "data": lambda: rows, "time": "when", "label": "y", "delay": 10}
    return wild.App(models={"known": Known()}, loss="brier", every=PERIOD, start=PERIOD, **fields, **more)


def _built(app, folder):
    read = survey(app)
    (triangle,) = build(read, Store(folder))
    return triangle, [Vintage(k, "all") for k in range(1, read.grid.periods)]


@pytest.mark.parametrize("feedback", [{}, {"feedback": "selective", "propensity": "seen"}], ids=["", "weighted"])
def test_it_is_what_is_counted_by_hand(feedback, tmp_path):
    triangle, path = _built(_app(0, **feedback), tmp_path)
    found = abstained(triangle, path, 1, risk=0.1)
    rows = triangle.survey.app.data()
    x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
    p = (1 / (1 + np.exp(-2 * x))).astype(np.float32).astype(float)
    sure, fails = np.maximum(p, 1 - p), (p > 0.5) != y
    weight = 1 / rows["seen"].to_numpy() if feedback else np.ones(N)
    answered = wrong = n = told = 0
    worst = 0.0
    edges = triangle.survey.grid.edges
    for period in range(1, triangle.survey.grid.periods):
        begin, end = int(edges[period]), min(int(edges[period + 1]), N)
        # A thousand labelled rows, of four periods at least; labels come ten rows late.
        first = int(edges[max(period - 4, 0)])
        held = slice(first, begin - 9)
        limit = guaranteed_threshold(sure[held], fails[held].astype(float), risk=0.1, weights=weight[held]).value
        given, weighs = sure[begin:end] >= limit, weight[begin:end]
        missed = (weighs * fails[begin:end])[given].sum()
        worst = max(worst, missed / weighs[given].sum() if given.any() else 0.0)
        answered, wrong, n, told = answered + weighs[given].sum(), wrong + missed, n + end - begin, told + weighs.sum()
    assert found["periods"] == triangle.survey.grid.periods - 1
    assert abs(found["n"] - n) <= 10  # the last labels never came
    assert found["answered"] == pytest.approx(answered / told, abs=0.01)
    assert found["wrong"] == pytest.approx(wrong / answered, abs=0.005)
    assert found["worst"]["wrong"] == pytest.approx(worst, abs=0.01)
    assert found["worst"]["wrong"] > found["wrong"]


def test_the_risk_is_kept_in_almost_all_periods_and_most_of_what_can_be_is_answered(tmp_path):
    """10 draws of 10 periods of 500 rows: a promise may break in 5 % of them, and more by the noise of 500 rows."""
    kept = of = 0
    shares, wrongs = [], []
    for seed in range(10):
        triangle, path = _built(_app(seed), tmp_path / str(seed))
        found = abstained(triangle, path, 1, risk=0.1)
        kept, of = kept + found["kept"], of + found["of"]
        shares.append(found["answered"])
        wrongs.append(found["wrong"])
        assert found["worst"]["wrong"] < 0.1 + 4.5 * np.sqrt(0.09 / 300)
    assert of >= 85  # where few rows are behind it, nothing may be answered
    assert np.mean(wrongs) < 0.1
    assert kept / of >= 0.9
    assert 0.2 < np.mean(shares) < 0.5  # half of all rows have a mean risk of .1; a promise takes some of that


def test_a_risk_that_cannot_be_had_answers_nothing(tmp_path):
    triangle, path = _built(_app(0), tmp_path)
    found = abstained(triangle, path, 1, risk=1e-6)
    assert (found["answered"], found["wrong"], found["of"], found["worst"]) == (0.0, None, 0, None)
    assert "none of" in found["said"]
    assert f"{found['n']:,} labelled rows of {found['periods']} periods" in found["said"]
    assert abstained(triangle, [], 1, risk=0.1) is None


def test_card_and_terminal_say_it(tmp_path, capsys):
    made = wild.rehearse(_app(1, guard=Guard(risk=0.1)), store=tmp_path / "store")
    said = made.sheet["fallback"]["abstains"]["said"]
    assert said.startswith("At a risk of 0.1, ")
    assert said.split("Worst")[0].strip() in made.card(tmp_path / "card.html").read_text()
    show_sheet(made.sheet)
    assert said[:60] in " ".join(capsys.readouterr().out.split())
    assert "abstains" not in wild.rehearse(_app(1, guard=Guard()), store=tmp_path / "store").sheet["fallback"]


class Turning(Known):
    """Learns which way the world goes, and is then as sure as it would be right to be."""

    def fit(self, X, y):
        self.way = np.sign(np.corrcoef(X["x"], y)[0, 1])
        return super().fit(X, y)

    def predict_proba(self, X):
        return super().predict_proba(X)[:, :: int(self.way)]


def test_of_a_champion_that_stays_it_is_its_own_answers_that_say_how_sure_it_must_be(tmp_path):
    """The world turns round and it stays: newer models, which turned too, keep the risk; it does not, and is silent."""
    plain = _app(3)
    rows = plain.data()
    rows["x"] *= np.where(rows["when"] < 2500, 1, -1)
    app = replace(plain, models={"turning": Turning()}, data=lambda: rows, windows=(600,))
    triangle, path = _built(app, tmp_path)
    stays = [Vintage(0, "600")] * len(path)
    found = abstained(triangle, stays, 1, risk=0.1)
    labels, edges = triangle.survey.labels, triangle.survey.grid.edges
    p = triangle.predictions(stays[0]).astype(float)
    first = len(labels) - len(p)
    sure, fails = np.maximum(p, 1 - p), (p > 0.5) != labels[first:]
    answered = wrong = 0
    for period in range(1, triangle.survey.grid.periods):
        begin, end = (int(one) - first for one in edges[period : period + 2])
        held = slice(int(edges[max(period - 4, 0)]) - first, begin - 9)
        given = sure[begin:end] >= guaranteed_threshold(sure[held], fails[held].astype(float), risk=0.1).value
        answered, wrong = answered + given.sum(), wrong + fails[begin:end][given].sum()
    assert found["answered"] == pytest.approx(answered / found["n"], abs=0.005)
    assert found["wrong"] == pytest.approx(wrong / answered, abs=0.005)


class Picky(Known):
    """Knows only the kinds that it has seen."""

    def fit(self, X, y):
        self.seen = set(X["kind"])
        return super().fit(X, y)

    def predict_proba(self, X):
        if not set(X["kind"]) <= self.seen:
            raise ValueError("never seen")
        return super().predict_proba(X)


def test_rows_that_the_model_cannot_answer_are_left_out(tmp_path):
    plain = _app(0)
    rows = plain.data().assign(kind=0)
    rows.loc[2600:, "kind"] = np.random.default_rng(1).integers(0, 2, N - 2600)
    app = replace(plain, models={"picky": Picky()}, data=lambda: rows, guard=Guard(risk=0.1))
    found = wild.rehearse(app, store=tmp_path, jobs=1).sheet["fallback"]["abstains"]
    assert 1000 < found["n"] < 4000  # rows that some vintage cannot answer count for none
    assert found["wrong"] < 0.1
