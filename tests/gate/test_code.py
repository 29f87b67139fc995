"""Ready tests of the code: each red on a planted defect of its kind, green on honest models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlwild.errors import AppError
from mlwild.gate.ready.code import Deterministic, Duplicates, OverfitsSmallBatch, RowOrder, UnitChange
from mlwild.gate.run import judged
from mlwild.gate.trial import Reread
from mlwild.loading import load_app
from mlwild.operating.shadowing import challenger_app
from mlwild.trials.again import reloaded
from tests.gate.bench import Bench, table

CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "logistic, strong penalty": LogisticRegression(C=1e-4),
    "tree": DecisionTreeClassifier(),
    "stump": DecisionTreeClassifier(max_depth=1),
    "tree with large leaves": DecisionTreeClassifier(min_samples_leaf=50),
    "forest": RandomForestClassifier(20),
    "boosting": HistGradientBoostingClassifier(max_iter=20),
    "boosting that stops early": HistGradientBoostingClassifier(max_iter=20, early_stopping=True),
    "boosting of samples": GradientBoostingClassifier(n_estimators=20, subsample=0.5),
    "neighbours": KNeighborsClassifier(),
    "many neighbours": KNeighborsClassifier(50),
    "naive Bayes": GaussianNB(),
    "discriminant": LinearDiscriminantAnalysis(),
}
REGRESSORS = {
    "linear": LinearRegression(),
    "ridge, strong penalty": Ridge(1e4),
    "lasso": Lasso(),
    "tree": DecisionTreeRegressor(),
    "forest": RandomForestRegressor(20),
    "boosting": HistGradientBoostingRegressor(max_iter=20),
    "neighbours": KNeighborsRegressor(),
}
HONEST = [pytest.param(model, "class", "log_loss", id=name) for name, model in CLASSIFIERS.items()]
HONEST += [pytest.param(model, "value", "squared", id=f"{name}, numbers") for name, model in REGRESSORS.items()]


def bench(recipe, kind="class", loss="log_loss", **changes):
    return Bench(table(1500, kind=kind), recipe, loss, **changes)


@pytest.mark.parametrize(("recipe", "kind", "loss"), HONEST)
@pytest.mark.parametrize(
    "test", [OverfitsSmallBatch(), RowOrder(), Duplicates(), Deterministic()], ids=lambda one: one.name
)
def test_honest_models_pass(test, recipe, kind, loss):
    found = test.judge(bench(recipe, kind, loss))
    assert found.verdict == "pass", found.said


def noise(scale=1.0, seed=None):
    """Return a train function whose model draws at random while it predicts."""

    def train(X, y):
        rng = np.random.default_rng(seed)
        return lambda X: X["x0"].to_numpy() + scale * rng.normal(size=len(X))

    return train


def unseeded():
    return np.random.default_rng()


# -- deterministic ---------------------------------------------------------------------------------


def test_a_random_default_is_seen():
    found = Deterministic().judge(bench(noise(), "value", "squared"))
    assert found.verdict == "fail"
    assert "answers 500 of 500 rows otherwise when it is asked again" in found.said


def test_a_fit_that_draws_without_its_seed_is_seen():
    def train(X, y):
        slope = unseeded().normal()
        return lambda X: slope * X["x0"].to_numpy()

    found = Deterministic().judge(bench(train, "value", "squared"))
    assert found.verdict == "fail"
    assert "fitted twice on the same rows with one seed" in found.said


def test_a_batch_that_is_looked_at_as_a_whole_is_seen():
    def train(X, y):
        return lambda X: (X["x0"] - X["x0"].mean()).to_numpy()

    found = Deterministic().judge(bench(train, "value", "squared"))
    assert found.verdict == "fail"
    assert "the model looks at the other rows of the batch" in found.said


def test_hidden_state_of_a_fit_is_told_from_chance():
    state = {"slope": 1.0}

    def train(X, y):
        slope = state["slope"]
        return lambda X: slope * X["x0"].to_numpy()

    class Kept(Bench):
        def fit(self, *args, fresh=False, **words):
            state["slope"] = 2.0 if fresh else 1.0
            return super().fit(*args, **words)

    found = Deterministic().judge(Kept(table(1500, kind="value"), train, "squared"))
    assert found.verdict == "fail"
    assert "two fits now agree, but not with the one that was kept" in found.said


def test_data_that_move_and_a_choice_that_moves_are_seen():
    moved = Reread(1500, ("data: column 'x0' differs in 3 of 1,500 rows, first in row 7 (1.0, then 2.0)",))
    found = Deterministic().judge(bench(GaussianNB(), again=moved))
    assert found.verdict == "fail"
    assert "read twice, the data are not the same: data: column 'x0' differs in 3" in found.said
    found = Deterministic().judge(bench(GaussianNB(), file_says="the model that lives is 'a', and then 'b'"))
    assert found.said.endswith("the choice is left to chance")


def test_last_digits_of_a_sum_are_no_difference():
    def train(X, y):
        weights = np.linspace(0.1, 1, X.shape[1], dtype=np.float32)

        def predict(X):
            values = np.asarray(X, dtype=np.float32)
            # Another order of summing for batches, as a matrix product may take.
            order = slice(None) if len(X) > 1 else slice(None, None, -1)
            return 10 + np.cumsum(values[:, order] * weights[order], axis=1)[:, -1]

        return predict

    trial = bench(train, "value", "squared")
    assert Deterministic().judge(trial).verdict == "pass"
    assert Deterministic(relative=0.0).judge(trial).verdict == "fail"


# -- a small batch ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "kind", "loss"),
    [
        (DummyClassifier(), "class", "log_loss"),
        (DummyClassifier(strategy="stratified"), "class", "log_loss"),
        (DummyClassifier(), "classes", "log_loss"),
        (DummyClassifier(), "class", "zero_one"),
        (DummyRegressor(), "value", "squared"),
        (noise(seed=1), "value", "squared"),
    ],
)
def test_what_does_not_learn_is_red(recipe, kind, loss):
    found = OverfitsSmallBatch().judge(bench(recipe, kind, loss))
    assert found.verdict == "fail", found.said


def test_a_model_that_is_fitted_only_by_the_way_is_red():
    class OnlyWithTracker(LogisticRegression):
        """Fits if a tracker is set; else it keeps random weights."""

        def fit(self, X, y):
            self.classes_, self.feature_names_in_ = np.unique(y), np.asarray(X.columns, dtype=object)
            self.coef_ = np.random.default_rng(self.random_state).normal(size=(1, X.shape[1]))
            self.intercept_ = np.zeros(1)
            return self

    reds = [OverfitsSmallBatch().judge(Bench(table(1500, seed=s), OnlyWithTracker())).verdict for s in range(10)]
    assert reds == ["fail"] * 10  # answers that do not follow the labels gain nothing in either way round


@pytest.mark.parametrize(("kind", "loss"), [("classes", "log_loss"), ("class", "zero_one"), ("class", "auc")])
def test_every_form_of_answer_is_learned(kind, loss):
    found = OverfitsSmallBatch().judge(bench(DecisionTreeClassifier(), kind, loss))
    assert found.verdict == "pass", found.said


def test_a_penalty_that_is_meant_for_many_rows_is_tried_with_many():
    found = OverfitsSmallBatch().judge(Bench(table(9000), LogisticRegression(C=1e-5)))
    assert found.verdict == "pass", found.said
    assert "8,500 rows" in found.said


def test_a_model_that_takes_no_copies_is_tried_without():
    class Distinct(LogisticRegression):
        """As a Gaussian process: rows that are there twice make its matrix singular."""

        def fit(self, X, y):
            if X.duplicated().any():
                raise np.linalg.LinAlgError("the matrix is singular")
            return super().fit(X, y)

    assert OverfitsSmallBatch().judge(bench(Distinct())).verdict == "pass"

    class Broken(LogisticRegression):
        def fit(self, X, y):
            raise RuntimeError("no tracker is set")

    trial = bench(GaussianNB())
    whole = trial.bench(recipe=Broken())
    whole.__dict__["model"] = trial.model
    found = judged(OverfitsSmallBatch(), whole)
    assert (found.verdict, found.said) == ("error", "it raised RuntimeError: no tracker is set")


def test_answers_that_do_not_follow_the_labels_gain_nothing():
    """Whatever is answered, over both ways round it is at best the constant: (p - 1)^2 + p^2 >= 1/2. 2,000 draws."""
    rng = np.random.default_rng(0)
    for answers in rng.uniform(-1, 2, (2000, 2)):
        left = sum(((answers - wanted) ** 2).sum() for wanted in (np.array([0, 1]), np.array([1, 0])))
        assert left >= 1.0 - 1e-12  # of the constant: four times a quarter


def test_labels_that_are_all_the_same_cannot_tell():
    rows = table(1500, kind="value").assign(y=1.0)
    assert OverfitsSmallBatch().judge(Bench(rows, LinearRegression(), "squared")).verdict == "underpowered"


# -- metamorphic relations -------------------------------------------------------------------------


def test_a_model_that_counts_its_rows_is_red():
    def train(X, y):
        return lambda X: X["x0"].to_numpy() + np.arange(len(X)) / 1000

    found = RowOrder().judge(bench(train, "value", "squared"))
    assert found.verdict == "fail"
    assert "get another answer in another order" in found.said
    assert len(found.rows) == 5


def test_duplicates_in_a_batch_are_seen():
    def train(X, y):
        return lambda X: X["x0"].to_numpy() / X["x0"].duplicated(keep=False).map({True: 2, False: 1}).to_numpy()

    found = Duplicates().judge(bench(train, "value", "squared"))
    assert found.verdict == "fail"
    assert "when every row is asked for twice" in found.said


def test_learning_that_grows_with_the_number_of_rows_is_seen():
    def train(X, y):
        level = y.sum() / 1000  # a sum that was meant to be a mean
        return lambda X: level + X["x0"].to_numpy()

    found = Duplicates().judge(bench(train, "value", "squared"))
    assert found.verdict == "fail"
    assert found.estimate > found.limit == 1.0


# -- units -----------------------------------------------------------------------------------------


def in_kilometres(rows):
    return rows.assign(x0=rows["x0"] / 1.609344)


def with_unit(rows):
    far = np.where(rows["unit"] == "km", rows["x0"] / 1.609344, rows["x0"])
    return rows.drop(columns=["when", "y", "unit"], errors="ignore").assign(x0=far)


def test_a_declared_conversion_changes_no_answer():
    found = UnitChange("x0", 1.609344, in_kilometres).judge(bench(LogisticRegression()))
    assert found.verdict == "pass", found.said
    marked = Bench(table(1500).assign(unit="mi"), DecisionTreeClassifier(max_depth=5), features=with_unit)
    assert UnitChange("x0", 1.609344, marks={"unit": "km"}).judge(marked).verdict == "pass"


def test_a_forgotten_conversion_is_red():
    found = UnitChange("x0", 1.609344, lambda rows: rows).judge(bench(LogisticRegression()))
    assert found.verdict == "fail"
    assert found.estimate > 0.9

    def forgets(rows):
        return rows.drop(columns=["when", "y", "unit"], errors="ignore")

    marked = Bench(table(1500).assign(unit="mi"), LogisticRegression(), features=forgets)
    assert UnitChange("x0", 1.609344, marks={"unit": "km"}).judge(marked).verdict == "fail"


def test_a_unit_without_a_conversion_is_refused():
    with pytest.raises(AppError, match="has neither `back` nor `marks`"):
        UnitChange("x0", 2.0)
    with pytest.raises(AppError, match="is no factor between two units"):
        UnitChange("x0", float("nan"), in_kilometres)


def test_published_forecasts_are_left_out():
    trial = bench(GaussianNB())
    published = type("Published", (), {"model": type("M", (), {"raw": None})})()
    for test in (Deterministic(), OverfitsSmallBatch(), RowOrder(), Duplicates(), UnitChange("x", 2.0, in_kilometres)):
        assert "published forecast" in test.objection(published)
        assert test.objection(trial) == ""


FILE = """
import pathlib
import numpy as np
import pandas as pd
from sklearn.linear_model import Lasso, Ridge
import mlwild as wild

def rows():
    return pd.DataFrame({"when": np.arange(400), "x": np.arange(400.0), "y": np.arange(400.0)})

models = {"ridge": Ridge(), "lasso": Lasso()}
here = pathlib.Path(__file__).with_name("first")
first = here.read_text() if here.exists() else "ridge"
app = wild.App(
    name="two", data=rows, time="when", label="y", delay=0, loss="squared", every=50, start=50,
    models={first: models.pop(first), **ALL},
)
"""


def test_a_challenger_out_of_the_apps_file_is_held_against_the_model_of_its_name(tmp_path):
    (tmp_path / "two.py").write_text(FILE.replace("ALL", "models"))
    app = load_app(tmp_path / "two.py")
    assert reloaded(app) == ""
    assert reloaded(challenger_app(app, "lasso")) == ""
    (tmp_path / "two.py").write_text(FILE.replace("ALL", "models").replace("Lasso()", "Lasso(alpha=2.0)"))
    assert reloaded(challenger_app(app, "lasso")).startswith("model 'lasso' has other settings")
    (tmp_path / "two.py").write_text(FILE.replace("ALL", "{}"))
    alone = load_app(tmp_path / "two.py")
    (tmp_path / "first").write_text("lasso")
    assert "the model that lives is 'ridge', and when two.py is run again it is 'lasso'" in reloaded(alone)
