"""An app is checked when it is made, and the error names the field."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild
from mlwild import models
from mlwild.errors import AppError, MlwildError
from mlwild.rules import Every, Never
from tests.support import Line, small_app

WRONG = [
    ({"name": "a/b"}, "name: 'a/b'"),
    ({"time": ""}, "time: ''"),
    ({"label": "when"}, "label: 'when' is the time column"),
    ({"data": 3}, "data: int is neither"),
    ({"frame": "dask"}, "frame: 'dask' is not one of pandas"),
    ({"known_at": None}, "known_at: neither is given"),
    ({"delay": "1D"}, "known_at: both are given"),
    ({"known_at": None, "delay": "soon"}, "delay: 'soon' is not a duration"),
    ({"every": "7 fortnights"}, "every: '7 fortnights' is not a duration"),
    ({"every": 0}, "every: 0 ticks"),
    ({"features": 3}, "features: 3 is not a function"),
    ({"features": lambda a, b, c: a}, "features: takes 3 arguments"),
    ({"tables": {"w": 3}}, r"tables\['w'\]: int is not a Table"),
    (
        {"tables": {"w": wild.Table("w.csv", time="t")}, "features": lambda rows, tables: rows},
        r"tables\['w'\]: say when its rows could be read",
    ),
    (
        {"tables": {"w": wild.Table("w.csv", time="t", delay=0)}},
        "features: takes one argument, but there are tables",
    ),
    ({"models": {}}, "models: name at least one"),
    ({"models": {"m": LinearRegression}}, r"models\['m'\]: LinearRegression is a class"),
    ({"models": {"m": 3}}, r"models\['m'\]: int has no fit"),
    ({"loss": "log_loss"}, r"models\['line'\]: Line has no predict_proba"),
    ({"loss": "accuracy"}, "loss: 'accuracy' is not known. Name one of log_loss"),
    ({"loss": "pinball_1.5"}, "loss: the quantile 1.5"),
    ({"update": "again"}, "update: 'again' is not"),
    ({"update": "partial_fit", "models": {"m": LinearRegression()}}, r"update: models\['m'\] .* no partial_fit"),
    ({"update": "warm_start", "models": {"m": LinearRegression()}}, "no parameter warm_start"),
    ({"windows": []}, "windows: name at least one"),
    ({"windows": "all"}, "windows: 'all' is not a list"),
    ({"windows": ["all", "all"]}, "windows: one is named twice"),
    ({"seeds": [-1]}, "seeds: -1 is not"),
    ({"seeds": []}, "seeds: give at least one"),
    ({"min_rows": 0}, "min_rows: 0 is not"),
    ({"prices": 3}, "prices: is not a Prices"),
    ({"prices": wild.Prices(loss=0, retrain=1)}, "prices.loss: is 0"),
    ({"prices": wild.Prices(loss=1, retrain=-1)}, "prices.retrain: -1"),
    ({"prices": wild.Prices(loss=1, retrain=float("nan"))}, "prices.retrain: nan"),
    ({"feedback": "some"}, "feedback: 'some' is not one of none"),
    ({"feedback": "selective"}, "propensity: feedback='selective' needs"),
    ({"propensity": "p"}, "feedback: a propensity is given"),
    ({"feedback": "bandit", "propensity": "p", "loss": "rmse"}, "loss: 'rmse' is a loss of a set"),
    ({"rules": [Never(), Never()]}, "rules: never named twice"),
    ({"rules": [Every(2, window="30")]}, r"rules: 'every 2 \(30\)' trains on the window '30', which is not among"),
    ({"rules": [3]}, "rules: one has no name"),
    ({"guard": wild.Guard(risk=0.1)}, "guard.risk: the loss 'squared' asks for no probabilities"),
    (
        {"guard": wild.Guard(high=1), "loss": "log_loss", "models": {"m": LogisticRegression()}},
        "guard.low, high: the loss 'log_loss' asks for classes",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"), WRONG, ids=[next(iter(change)) + str(i) for i, (change, _) in enumerate(WRONG)]
)
def test_a_wrong_field_is_named_in_the_error(change, message):
    with pytest.raises(AppError, match=message):
        small_app(**change)


def test_errors_are_value_errors_and_ours():
    with pytest.raises(ValueError, match="name"):
        small_app(name="")
    assert issubclass(AppError, MlwildError)


def test_a_variant_is_made_by_replace_and_checked_again():
    app = replace(small_app(), rules=[Every(4)])
    assert [rule.name for rule in app.rules] == ["every 4"]
    with pytest.raises(AppError, match="name"):
        replace(app, name="?")


def test_an_estimator_a_callable_and_a_forecast_are_models():
    app = small_app(
        models={"a": SGDRegressor(), "b": lambda X, y: lambda X: X["a"] * 0.0, "c": wild.Forecast("b")},
        update="partial_fit",
    )
    assert app.live == "a"
    assert "b" in app.not_features


def test_the_first_model_lives():
    assert small_app(models={"x": Line(), "y": Line()}).live == "x"


OF_A_FUNCTION = """
def mean(X, y):
    said = {'kind': 'a mean of some kind', 'mean': y.mean()}

    def predict(X):
        return [said['mean'] for _ in X if said['kind'] == 'a mean of some kind']

    return predict
"""
OF_A_CLASS = """
import enum
from dataclasses import dataclass
from sklearn.base import BaseEstimator

class Kind(enum.Enum):
    MEAN = "a mean of some kind"

@dataclass
class Mean(BaseEstimator):
    kind: Kind = Kind.MEAN

    class Held:
        mean = 0.0

    def fit(self, X, y):
        self.held_ = self.Held()
        self.held_.mean = y.mean()
        return self

    def predict(self, X):
        return [self.held_.mean for _ in X]

def mean(X, y):
    return Mean().fit(X, y)
"""


@pytest.mark.parametrize("model", [OF_A_FUNCTION, OF_A_CLASS], ids=["function", "class"])
def test_an_app_is_pickled_the_same_by_every_process_whatever_python_has_cached(tmp_path, model):
    """What travels by value comes of its code: read from a cache, its constants are other objects."""
    (tmp_path / "app.py").write_text(
        f"import mlwild as wild\n\n{model}\n"
        "app = wild.App(name='app', data='rows.csv', time='when', label='y', models={'mean': mean}, loss='absolute',\n"
        "               delay=0, every='1D')\n"
    )
    code = (
        "import hashlib, sys, cloudpickle, numpy as np, mlwild as wild\n"
        "made = wild.load_app(sys.argv[1]).models['mean'](None, np.arange(3.0))\n"
        "print(hashlib.sha256(cloudpickle.dumps(made)).hexdigest())"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [sys.executable, "-c", code, str(tmp_path / "app.py")]
    said = [subprocess.run(words, capture_output=True, text=True, check=True, env=plain).stdout for _ in range(2)]
    assert said[0] == said[1]
    assert len(said[0].strip()) == 64


def test_an_estimator_whose_constructor_copies_what_it_is_given_is_fitted():
    """CatBoost's does so with the names of its categories; scikit-learn's clone takes that for a mistake."""

    class Copies(BaseEstimator):
        def __init__(self, columns=None):
            self.columns = list(columns)

        def fit(self, X, y):
            self.mean_ = y.mean()
            return self

        def predict(self, X):
            return np.full(len(X), self.mean_)

    model = Copies(["city"])
    made = models.fit(model, np.zeros((4, 1)), np.arange(4.0), 0)
    assert models.predict(made, np.zeros((2, 1)), "value", None).tolist() == [1.5, 1.5]
    assert not hasattr(model, "mean_")


class Given:
    """Tells of those parameters only that it was given, as CatBoost does."""

    def __init__(self, random_seed=None, random_state=None):
        self.given = {"random_seed": random_seed, "random_state": random_state}

    def get_params(self, deep=True):
        return {name: one for name, one in self.given.items() if one is not None}

    def set_params(self, **given):
        self.given |= given
        return self

    def fit(self, X, y):
        [self.seed_] = self.get_params().values()  # two at once are refused
        return self


@pytest.mark.parametrize("given", [{}, {"random_seed": 5}, {"random_state": 5}], ids=["none", "seed", "state"])
def test_an_estimator_that_tells_only_what_it_was_given_is_seeded(given):
    assert [models.fit(Given(**given), None, None, seed).seed_ for seed in (0, 3)] == [0, 3]
    piped = make_pipeline(StandardScaler(), Given(**given))
    assert models.fit(piped, np.eye(3), np.arange(3), 7)[-1].seed_ == 7


class Squeezed:
    """Answers as `squeeze` leaves them: a row that is alone is none any more."""

    def __init__(self, answer, classes=None):
        self.answer = np.array(answer)
        self.classes_ = None if classes is None else np.array(classes)

    def predict(self, X):
        return np.repeat(self.answer[None], len(X), axis=0).squeeze()

    predict_proba = predict


@pytest.mark.parametrize(
    ("ask", "answer", "classes", "known", "said"),
    [
        ("value", [2.5], None, None, 2.5),
        ("probability", 0.25, "ab", "ab", 0.25),
        ("probability", [0.75, 0.25], "ab", "ab", 0.25),
        ("probabilities", [0.5, 0.2, 0.3], "abc", "abc", [0.5, 0.2, 0.3]),
        ("probabilities", [0.5, 0.5], "ac", "abc", [0.5, 0.0, 0.5]),
        ("class", ["b"], "ab", "ab", 1.0),
    ],
)
def test_a_row_alone_is_answered_as_among_others(ask, answer, classes, known, said):
    """Where a model takes its only row away, rehearsals and files were answered, and requests of one row were not."""
    model = Squeezed(answer, None if classes is None else list(classes))
    known = None if known is None else np.array(list(known))
    for n in (1, 4):
        found = models.predict(model, np.zeros((n, 2)), ask, known)
        assert found.tolist() == np.repeat(np.array([said], dtype=np.float32), n, axis=0).tolist()
    with pytest.raises(models.PredictionError, match="shape"):
        models.predict(Squeezed([1.0, 2.0, 3.0, 4.0]), np.zeros((1, 2)), "value", None)
