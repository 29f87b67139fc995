"""Legal splits: rows on both sides, folds out of order, train functions that look at the data by themselves."""

from __future__ import annotations

import functools
import types
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from mlwild.gate.ready.splits import LegalSplits
from mlwild.gate.ready.splits.lint import calls_of
from mlwild.gate.ready.splits.validation import disorder
from tests.gate.bench import Bench, table

ROWS = table(1500)
TEST = LegalSplits()


def bench(recipe=None, rows=ROWS, **changes):
    return Bench(rows, LogisticRegression() if recipe is None else recipe, **changes)


def shown(recipe, **changes):
    """Return a trial of a recipe that is read only: what was fitted is another model."""
    trial = bench(recipe, **changes)
    trial.__dict__["model"] = FITTED
    return trial


FITTED = bench().model


def red(trial, test=TEST):
    found = test.judge(trial)
    assert found.verdict == "fail", found.said
    return found.said


def green(trial, test=TEST):
    found = test.judge(trial)
    assert found.verdict == "pass", found.said
    return found.said


# -- rows ------------------------------------------------------------------------------------------


def test_rows_that_lie_apart_are_legal_over_seeds():
    for seed in range(20):
        green(bench(rows=table(800, seed=seed)))


def test_rows_on_both_sides_are_seen():
    trial = bench()
    trial.__dict__["learned"] = trial.everything.where(np.arange(1010))
    assert red(trial).startswith("10 rows were learned from and tried on, first row 1000 (4 offences in all)")


def test_labels_that_were_not_known_in_time_are_seen():
    trial = bench(delay=50)
    assert green(trial)
    trial.__dict__["learned"] = trial.everything.where(np.arange(960))
    assert "9 of 960 rows that it learned from had no label yet at 1000, when it was made, first row 951" in red(trial)


def test_copies_across_the_split_are_seen():
    rows = ROWS.copy()
    names = [name for name in rows if name != "when"]
    rows.loc[1000:1019, names] = rows.loc[100:119, names].to_numpy()
    rows["y"] = rows["y"].astype(int)
    said = red(bench(rows=rows))
    assert said.startswith("20 of 500 rows that it is tried on are copies of rows that it learned from")
    assert "LegalSplits(allow=('copies',))" in said
    green(bench(rows=rows), LegalSplits(allow=("copies",)))
    green(bench(rows=rows), LegalSplits(copies=0.05))
    keyed = bench(rows=rows.assign(order=np.arange(len(rows))), options={"key": "order"}, features=numbers)
    green(keyed)


def numbers(rows):
    return rows[[name for name in rows if name.startswith("x")]]


def test_coarse_rows_that_coincide_are_no_copies():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"when": np.arange(2000), "a": rng.integers(0, 3, 2000), "b": rng.integers(0, 2, 2000) / 2.0})
    rows["y"] = rng.integers(0, 2, 2000)
    green(bench(rows=rows))


def test_later_rows_of_one_entity_are_legal():
    """A shop's place is the same in every row, to the last digit; two shops in one place are not."""
    rng = np.random.default_rng(0)
    shop = np.tile(np.arange(500), 2)
    place = rng.normal(size=(500, 3))[shop]
    rows = pd.DataFrame({"when": np.arange(1000), "shop": shop, "lat": place[:, 0], "lon": place[:, 1], "y": shop % 2})

    class Shops(Bench):
        @property
        def timeline(self):
            return replace(super().timeline, entity=self.raw["shop"].to_numpy())

    features = lambda rows: rows[["lat", "lon"]]  # noqa: E731
    trial = Shops(rows, LogisticRegression(), features=features, options={"entity": "shop"})
    green(trial)
    moved = rows.assign(shop=np.where(rows["when"] >= 500, (shop + 2) % 500, shop))
    assert "copies" in red(Shops(moved, LogisticRegression(), features=features, options={"entity": "shop"}))


# -- the model's own folds --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}), "GridSearchCV(cv=None) validates on folds in which later"),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=KFold(3, shuffle=True)), "on folds drawn at random"),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=ShuffleSplit(3)), "on folds drawn at random"),
        (LogisticRegressionCV(cv=StratifiedKFold(3)), "later rows train for earlier ones"),
        (
            make_pipeline(StandardScaler(), CalibratedClassifierCV(LogisticRegression())),
            "CalibratedClassifierCV(cv=None)",
        ),
        (StackingClassifier([("one", LogisticRegression())], cv=GroupKFold(3)), "later rows train"),
        (TransformedTargetRegressor(RidgeCV(cv=LeaveOneOut())), "RidgeCV(cv=LeaveOneOut())"),
        (GridSearchCV(Ridge(), {}, cv=[(np.arange(50), np.arange(40, 60))]), "later rows train"),
    ],
)
def test_folds_out_of_order_are_red(recipe, why):
    assert why in red(shown(recipe))
    green(shown(recipe), LegalSplits(allow=("cv",)))


@pytest.mark.parametrize(
    "recipe",
    [
        GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=TimeSeriesSplit(3)),
        LogisticRegressionCV(cv=TimeSeriesSplit(3)),
        CalibratedClassifierCV(LogisticRegression(), cv=TimeSeriesSplit(3, gap=5)),
        make_pipeline(TargetEncoder(), LogisticRegression()),
        ClassifierChain(LogisticRegression()),
        RandomForestClassifier(),
        GridSearchCV(Ridge(), {}, cv=[(np.arange(40), np.arange(40, 60))]),
    ],
)
def test_folds_in_order_are_green(recipe):
    green(shown(recipe))


def test_a_splitter_for_rows_of_its_own_cannot_be_tried():
    class Own:
        def split(self, X, y=None, groups=None):
            raise ValueError("only for my rows")

    assert disorder(Own()) == ""


def test_early_stopping_is_a_remark():
    said = green(shown(HistGradientBoostingClassifier(early_stopping=True, validation_fraction=0.2)))
    assert "HistGradientBoostingClassifier stops by 0.2 of its rows, held out at random" in said
    assert "held out at random" not in green(shown(HistGradientBoostingClassifier(early_stopping=False)))
    assert "held out at random" not in green(shown(HistGradientBoostingClassifier()))  # auto, few rows


# -- what a train function sees ---------------------------------------------------------------------

HISTORY = table(1500)
LATER = HISTORY["x0"].to_numpy()
SMALL = pd.DataFrame({"x0": np.arange(20.0), "weight": 1.0})
EMBEDDING = np.zeros((40_000, 8))


def orders():
    return HISTORY


@functools.cache
def cached_orders():
    return HISTORY


def load_all():
    return orders()


def level_of(frame):
    return float(frame["x0"].mean())


def constant(X):
    return np.full(len(X), 0.5)


def train_by_itself(X, y):
    level = level_of(load_all())
    return lambda X: constant(X) + 0 * level


def train_from_cache(X, y):
    cached_orders()
    return constant


def train_on_a_table(X, y):
    HISTORY.mean()
    return constant


def train_on_an_array(X, y):
    LATER.mean()
    return constant


def train_with_a_default(X, y, seen=HISTORY):
    return constant


def train_from_file(X, y):
    pd.read_csv("data/orders.csv")
    return constant


def train_honestly(X, y):
    level = level_of(X) + SMALL["weight"].mean() + EMBEDDING[0, 0]
    return lambda X: constant(X) + 0 * level


class Reads:
    """An estimator of one's own that reads the data."""

    def __init__(self, more=None):
        self.more = more

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.level = level_of(self.helper())
        return self

    def helper(self):
        return load_all()

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


class Holds(Reads):
    """One that is handed the data when it is made."""

    def helper(self):
        return SMALL


def closure(frame):
    def train(X, y):
        level_of(frame)
        return constant

    return train


@pytest.mark.parametrize(
    ("recipe", "data", "why"),
    [
        (train_by_itself, orders, "load_all can see rows after the cutoff: orders is the app's data"),
        (
            train_from_cache,
            cached_orders,
            "train_from_cache can see rows after the cutoff: cached_orders is the app's data",
        ),
        (train_on_a_table, None, "HISTORY is a table of 1,500 rows with its column 'when'"),
        (train_on_an_array, None, "LATER is an array of 1,500 rows, and the history has 1,500"),
        (train_with_a_default, None, "a default is a table of 1,500 rows"),
        (train_from_file, "elsewhere/orders.csv", "'data/orders.csv' is the app's data (orders.csv)"),
        (closure(HISTORY), None, "frame is a table of 1,500 rows"),
        (functools.partial(closure(SMALL), more=HISTORY), None, "is a table of 1,500 rows"),
        (Reads(), orders, "orders is the app's data"),
        (Holds(more=HISTORY), None, "more is a table of 1,500 rows"),
        (make_pipeline(StandardScaler(), Reads()), orders, "orders is the app's data"),
    ],
)
def test_a_model_that_sees_the_data_by_itself_is_red(recipe, data, why):
    trial = shown(recipe, data=data)
    assert why in red(trial)


def test_what_came_out_of_a_pickle_is_seen_too():
    """A class of the user's that is read back by value gets methods whose names lead to copies."""
    copied = types.FunctionType(orders.__code__, {"np": np, "pd": pd, "HISTORY": HISTORY}, "orders")
    copied.__qualname__ = orders.__qualname__
    names = {"load_all": types.FunctionType(load_all.__code__, {"orders": copied}, "load_all"), "level_of": level_of}
    kind = type("Reads", (Reads,), {"helper": types.FunctionType(Reads.helper.__code__, names, "helper")})
    assert "orders is the app's data" in red(shown(kind(), data=orders))


def test_a_side_table_in_sight_is_red():
    trial = shown(train_by_itself, options={"tables": {"weather": SimpleNamespace(data=orders)}})
    assert "orders is the app's tables['weather']" in red(trial)


@pytest.mark.parametrize("recipe", [train_honestly, Holds(more=SMALL), closure(SMALL), LogisticRegression()])
def test_a_model_that_learns_from_what_it_is_given_is_green(recipe):
    green(shown(recipe, data=orders))


def test_what_is_meant_is_allowed_by_name():
    trial = shown(train_by_itself, data=orders)
    assert "LegalSplits(allow=('orders',))" in red(trial)
    found = LegalSplits(allow=("orders", "HISTORY")).judge(trial)
    assert found.verdict == "pass", found.said


# -- the source of a train function ------------------------------------------------------------------


def train_with_a_random_split(X, y):
    train_test_split(X, y)
    return constant


def train_with_a_cut(X, y):
    train_test_split(X, y, shuffle=False)
    return constant


def test_a_random_split_in_the_source_is_named_with_its_line():
    line = train_with_a_random_split.__code__.co_firstlineno + 1
    said = red(shown(train_with_a_random_split))
    assert f"test_splits.py, line {line}: train_test_split puts later rows among those that train" in said
    green(shown(train_with_a_cut))
    green(shown(train_with_a_random_split), LegalSplits(allow=("train_test_split",)))


@pytest.mark.parametrize(
    "source",
    [
        "a, b = sklearn.model_selection.train_test_split(X, shuffle=True)",
        "KFold(5, shuffle=True)",
        "StratifiedShuffleSplit(n_splits=3)",
        "RepeatedStratifiedKFold()",
        "rows.sample(frac=0.8)",
        "GridSearchCV(model, {})",
        "RandomizedSearchCV(model, {}, cv=5)",
        "cross_val_score(model, X, y, cv=3)",
    ],
)
def test_random_splits_are_read(source):
    assert len(list(calls_of(source, "app.py", 1))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "train_test_split(X, shuffle=False)",
        "TimeSeriesSplit(5)",
        "KFold(5)",
        "GridSearchCV(model, {}, cv=TimeSeriesSplit())",
        "cross_val_score(model, X, y, cv=folds)",
        "rng.sample(3)",
        "sample(frac=0.3)",
        "distribution.sample(n=10)",
    ],
)
def test_honest_source_is_not_accused(source):
    assert list(calls_of(source, "app.py", 1)) == []
