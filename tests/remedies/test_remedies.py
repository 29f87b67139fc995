"""Remedies are models: cloned, pickled, fitted on any frame, rehearsed like any other; and do what they say."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild
from mlwild import models
from mlwild.errors import AppError, DataError
from mlwild.monitors.labelled import Age
from mlwild.remedies import (
    JTT,
    Abstaining,
    Augmented,
    GroupDRO,
    LastLayer,
    Recalibrated,
    Recombined,
    Reweighted,
    Spliced,
    Where,
    fits,
)
from mlwild.remedies.layers import Hidden
from tests.remedies.planted import history

INSIDE = Where.parse("turned = 1")


def data(n=1200, seed=0):
    """Return features (the slice among them as a number) and labels."""
    frame = history(seed, n=n)
    return frame[["a", "b", "c", "turned"]].astype(float), frame["y"].to_numpy()


def everyone(base, slice_=INSIDE):
    """Return one remedy of each kind."""
    return {
        "reweighted": Reweighted(base, slice_, weight=3.0),
        "balanced": Reweighted(base, slice_),
        "resampled": Reweighted(base, slice_, way="resample"),
        "group DRO": GroupDRO(base, slice_, rounds=2),
        "JTT": JTT(base, slice_),
        "JTT, all rows": JTT(base, upweight="balanced"),
        "last layer": LastLayer(base, slice_),
        "spliced": Augmented(base, slice_, only_slice=True),
        "recombined": Augmented(base, transform=[Recombined(2), Spliced()], donors="others", consistency=0.5),
        "platt": Recalibrated(base, slice_),
        "isotonic": Recalibrated(base, slice_, how="isotonic"),
        "threshold": Recalibrated(base, slice_, how="threshold"),
        "abstaining": Abstaining(base, slice_, risk=0.2),
        "priced": Abstaining(base, price=0.2),
    }


NAMES = list(everyone(LogisticRegression()))


class Counting:
    """A base model that counts its fits."""

    made = 0

    def __init__(self, C=1.0):
        self.C = C

    def get_params(self, deep=True):
        return {"C": self.C}

    def set_params(self, **params):
        return self

    def fit(self, X, y, sample_weight=None):
        type(self).made += 1
        self.inner = LogisticRegression(C=self.C).fit(X, y, sample_weight)
        self.classes_ = self.inner.classes_
        return self

    def predict_proba(self, X):
        return self.inner.predict_proba(X)

    def predict(self, X):
        return self.inner.predict(X)


# -- as models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_remedy_is_cloned_pickled_and_repeated(name):
    X, y = data()
    remedy = everyone(LogisticRegression())[name]
    before = repr(remedy)
    models.check(remedy, "models['x']", "probability", None)
    first, again = models.fit(remedy, X, y, 3), models.fit(clone(remedy), X, y, 3)
    assert first.random_state == 3
    assert repr(remedy) == before
    assert not hasattr(remedy, "model_")
    asked = X[:50]
    assert (first.predict_proba(asked) == again.predict_proba(asked)).all()
    copy = pickle.loads(pickle.dumps(first))
    assert (copy.predict_proba(asked) == first.predict_proba(asked)).all()
    assert (copy.predict(asked) == first.predict(asked)).all()
    assert is_classifier(remedy)


@pytest.mark.parametrize("name", NAMES)
def test_frames_of_all_kinds_give_the_same(name):
    X, y = data(600)
    slice_ = {"array": Where.parse("x3 = 1")}
    given = {"pandas": X, "polars": pl.DataFrame(X.to_dict("list")), "arrow": pa.table(X), "array": X.to_numpy()}
    made = {}
    for kind, frame in given.items():
        base = make_pipeline(Plain(), LogisticRegression())
        remedy = everyone(base, slice_.get(kind, INSIDE))[name]
        made[kind] = models.fit(remedy, frame, y, 0).predict_proba(frame)
    for kind in given:
        assert made[kind] == pytest.approx(made["pandas"], abs=1e-9), kind


class Plain(StandardScaler):
    """A step that takes any kind of frame."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(np.column_stack([np.asarray(X[name]) for name in X.column_names]) if _arrow(X) else X)

    def transform(self, X, copy=None):
        return super().transform(np.column_stack([np.asarray(X[name]) for name in X.column_names]) if _arrow(X) else X)

    def fit_transform(self, X, y=None, **params):
        return self.fit(X).transform(X)


def _arrow(X):
    return hasattr(X, "column_names")


@pytest.mark.parametrize("name", NAMES)
def test_as_many_fits_as_it_says(name):
    X, y = data()
    remedy = everyone(Counting())[name]
    Counting.made = 0
    remedy.fit(X, y)
    assert Counting.made == remedy.fits


@pytest.mark.parametrize("name", NAMES)
def test_the_slice_as_a_column_is_hidden_from_the_base(name):
    X, y = data(600)
    X = X.assign(turned=X["turned"].astype(bool))
    model = everyone(LogisticRegression(), "turned")[name].fit(X, y)
    if name not in ("JTT, all rows", "recombined", "priced"):  # those have no slice
        assert model.model_.n_features_in_ == 3


def test_functions_that_train_are_base_models_too():
    X, y = data()

    def train(X, y, seed=0):
        fitted = LogisticRegression().fit(X, y)
        return lambda X: fitted.predict_proba(X)[:, 1]

    plain = train(X, y)(X)
    for name, remedy in everyone(train).items():
        if name == "threshold":
            continue
        models.check(remedy, "models['x']", "probability", None)
        made = models.predict(models.fit(remedy, X, y, 0), X, "probability", np.array([0, 1]))
        assert np.abs(made - plain).mean() < 0.35, name


@pytest.mark.parametrize("name", ["reweighted", "group DRO", "JTT", "spliced", "recombined", "platt", "isotonic"])
def test_models_of_numbers_are_mended_too(name):
    X, _ = data()
    y = np.where(X["turned"] == 1, 3.0, 0.0) + X["a"].to_numpy()
    inside = X["turned"].to_numpy() == 1
    plain = LinearRegression().fit(X[["a", "b", "c"]], y).predict(X[["a", "b", "c"]])
    X = X.assign(turned=inside)
    remedy = everyone(LinearRegression(), "turned")[name]
    if name == "recombined":
        X = X[["a", "b", "c"]]
    made = models.fit(remedy, X, y, 0).predict(X)
    assert not hasattr(remedy, "classes_")
    if name != "recombined":
        assert ((made - y)[inside] ** 2).mean() < ((plain - y)[inside] ** 2).mean()


def test_remedies_are_rehearsed_like_any_other_model(tmp_path):
    frame = history(0, n=1500)
    app = wild.App(
        name="planted",
        data=lambda: frame,
        time="when",
        label="y",
        delay=0,
        features=lambda rows: rows[["a", "b", "c", "turned"]].astype(float),
        models={"plain": LogisticRegression()} | everyone(LogisticRegression()),
        loss="log_loss",
        every=250,
        start=750,
        monitors=[Age()],
    )
    made = wild.rehearse(app, rules=[wild.rules.Never()], store=tmp_path, jobs=1)
    assert made.sheet["fits"]["made"] == 3 * (1 + len(NAMES))
    assert not any(triangle.failed for triangle in made.triangles)
    again = wild.rehearse(app, rules=[wild.rules.Never()], store=tmp_path, jobs=1)
    assert again.sheet["fits"]["made"] == 0


# -- reweighting -------------------------------------------------------------------------------------


def test_weights_are_those_one_would_write_by_hand():
    X, y = data()
    inside = X["turned"].to_numpy() == 1
    made = Reweighted(LogisticRegression(), INSIDE, weight=5.0).fit(X, y).model_.coef_
    weights = np.where(inside, 5.0, 1.0)
    assert made == pytest.approx(LogisticRegression().fit(X, y, weights / weights.mean()).coef_)
    codes = 2 * y + inside
    even = 1.0 / np.bincount(codes)[codes]
    balanced = Reweighted(LogisticRegression(), INSIDE).fit(X, y).model_.coef_
    assert balanced == pytest.approx(LogisticRegression().fit(X, y, even / even.mean()).coef_, rel=1e-4)


def test_without_sample_weights_rows_are_drawn():
    X, _ = data(3000)

    class Means:
        """Predicts the mean of the labels that it was given."""

        def fit(self, X, y):
            self.mean = y.mean()
            return self

        def predict(self, X):
            return np.full(len(X), self.mean)

    labels = (X["turned"] == 1).to_numpy().astype(float)
    drawn = Reweighted(Means(), INSIDE, by_class=False).fit(X, labels).predict(X[:1])[0]
    assert drawn == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(3000))
    with pytest.raises(AppError, match="fit of Means takes no sample_weight"):
        Reweighted(Means(), INSIDE, way="weight").fit(X, labels)


def test_a_pipeline_passes_weights_to_its_last_step():
    X, y = data()
    one = Reweighted(make_pipeline(StandardScaler(), LogisticRegression()), INSIDE, weight=5.0).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    weights = np.where(X["turned"] == 1, 5.0, 1.0)
    by_hand = LogisticRegression().fit(scaled, y, weights / weights.mean())
    assert one.model_[-1].coef_ == pytest.approx(by_hand.coef_)


# -- group DRO ---------------------------------------------------------------------------------------


def test_group_dro_comes_near_the_minimax_of_a_convex_game():
    """Least squares on two groups that want other slopes: the minimax slope equalises the losses."""
    rng = np.random.default_rng(0)
    few = np.arange(4000) % 10 == 0
    x = rng.choice([-1.0, 1.0], 4000)
    y = np.where(few, -x, 2 * x) + np.where(few, 0.1, 0.3) * rng.normal(size=4000)
    slopes = np.linspace(-1, 2, 3001)
    losses = [[((y - s * x)[mask] ** 2).mean() for s in slopes] for mask in (few, ~few)]
    best = slopes[np.argmin(np.max(losses, axis=0))]
    X = np.column_stack([x, few])
    made = GroupDRO(LinearRegression(fit_intercept=False), "x1", rounds=200).fit(X, y)
    assert made.model_.coef_[0] == pytest.approx(best, abs=0.06)
    plain = LinearRegression(fit_intercept=False).fit(X[:, :1], y).coef_[0]
    assert abs(plain - best) > 1.0
    assert made.weights_.sum() == pytest.approx(1.0)
    assert made.weights_[1] > 0.4


# -- JTT ---------------------------------------------------------------------------------------------


def test_jtt_finds_the_rows_that_go_against_the_rule():
    X, y = data(4000)
    found = JTT(LogisticRegression()).fit(X[["a", "b", "c"]], y).errors_
    inside = X["turned"].to_numpy() == 1
    assert found[inside].mean() > 2 * found[~inside].mean()


def test_jtt_with_a_first_model_takes_its_errors_on_the_rows_it_saw():
    X, y = data()
    first = LogisticRegression(C=1e-4)
    made = JTT(LogisticRegression(), first=first, upweight=4.0).fit(X, y)
    wrong = clone(first).fit(X, y).predict(X) != y
    assert (made.errors_ == wrong).all()
    weights = np.where(wrong, 4.0, 1.0)
    assert made.model_.coef_ == pytest.approx(LogisticRegression().fit(X, y, weights / weights.mean()).coef_)
    within = JTT(LogisticRegression(), INSIDE, first=first).fit(X, y)
    weights = np.where(wrong & (X["turned"] == 1), 5.0, 1.0)
    assert within.model_.coef_ == pytest.approx(LogisticRegression().fit(X, y, weights / weights.mean()).coef_)


def test_balanced_errors_count_as_much_as_the_rest_of_their_class():
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    model = JTT(LogisticRegression(), upweight="balanced")
    model.classes_ = np.array([0, 1])
    errors = np.array([True, False, False, False, True, True, True, True])
    assert model._weights(y, errors).tolist() == [3, 1, 1, 1, 1, 1, 1, 1]


# -- last layer --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_head_reads_the_hidden_layer_of_the_network():
    X, y = data()
    for activation in ("relu", "tanh", "logistic", "identity"):
        network = MLPClassifier((7, 5), activation=activation, max_iter=30, random_state=0, solver="lbfgs").fit(X, y)
        layer = Hidden(network)(X)
        assert layer.shape == (len(X), 5)
        score = layer @ network.coefs_[-1] + network.intercepts_[-1]
        assert 1 / (1 + np.exp(-score[:, 0])) == pytest.approx(network.predict_proba(X)[:, 1])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "base",
    [
        make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=60, solver="lbfgs")),
        RandomForestClassifier(20, min_samples_leaf=20),
        HistGradientBoostingClassifier(max_iter=15),
        LogisticRegression(),
    ],
    ids=["network", "forest", "boosting", "logistic"],
)
def test_the_refitted_head_helps_the_slice(base):
    X, y = data(3000)
    inside = X["turned"].to_numpy() == 1
    fresh, labels = data(3000, seed=1)
    asked = fresh["turned"].to_numpy() == 1
    X, fresh = X.assign(turned=inside), fresh.assign(turned=asked)
    plain = models.fit(base, X[["a", "b", "c"]], y, 0).predict(fresh[["a", "b", "c"]]) != labels
    made = models.fit(LastLayer(base, "turned"), X, y, 0).predict(fresh) != labels
    assert made[asked].mean() < plain[asked].mean() + 0.02


def test_your_own_layer_is_read():
    X, y = data()

    def layer(model, X):
        return X[["a", "b"]].to_numpy() * X[["turned"]].to_numpy()

    made = LastLayer(LogisticRegression(), INSIDE, layer=layer).fit(X, y)
    assert made.fits == 1
    assert made.head_[-1].coef_.shape == (1, 2)
    with pytest.raises(AppError, match="LogisticRegression has no layer to refit: name a slice"):
        LastLayer(LogisticRegression()).fit(X, y)
    with pytest.raises(AppError, match="this one predicts numbers"):
        LastLayer(LinearRegression(), INSIDE).fit(X, y)
    named = LastLayer(LogisticRegression(), columns=["a"]).fit(X, y)
    assert named.head_[-1].coef_.shape == (1, 2)


# -- abstaining --------------------------------------------------------------------------------------


def test_abstaining_promises_on_rows_that_were_not_learned_from():
    X, y = data(4000)
    made = Abstaining(LogisticRegression(), risk=0.2).fit(X, y)
    latest = X[3000:]
    by_hand = LogisticRegression().fit(X[:3000], y[:3000])
    sure = fits.probabilities(by_hand, latest, by_hand.classes_).max(axis=1) >= made.threshold_.value
    assert (made.accepts(latest) == sure).all()
    assert (by_hand.predict(latest) != y[3000:])[sure].mean() == pytest.approx(made.threshold_.risk)
    prediction, answered = made.decide(X)
    assert prediction.shape == answered.shape == (4000,)
    assert 0.2 < answered.mean() < 0.95


def test_outside_of_the_slice_everything_is_answered():
    X, y = data(4000)
    made = Abstaining(LogisticRegression(), INSIDE, risk=0.2).fit(X, y)
    inside = X["turned"].to_numpy() == 1
    assert made.accepts(X)[~inside].all()
    assert not made.accepts(X)[inside].all()


def test_a_price_sets_the_threshold_by_the_loss():
    X, y = data(4000)
    cheap, dear = (Abstaining(LogisticRegression(), price=price, loss="brier").fit(X, y) for price in (0.05, 0.3))
    assert cheap.accepts(X).mean() < 0.9 < 0.99 < dear.accepts(X).mean()
    with pytest.raises(AppError, match="risk, price: give one of them"):
        Abstaining(LogisticRegression())
    with pytest.raises(AppError, match="'auc' is not a loss of each row"):
        Abstaining(LogisticRegression(), price=0.1, loss="auc").fit(X, y)
    with pytest.raises(AppError, match="this one predicts numbers"):
        Abstaining(LinearRegression(), price=0.1).fit(X, y)
    early = X.assign(turned=np.arange(4000) < 10)
    with pytest.raises(DataError, match="none of the latest 25% of rows lies in it"):
        Abstaining(LogisticRegression(), "turned", risk=0.1).fit(early, y)


# -- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda base: Reweighted(base, INSIDE, weight=0), "weight: 0 is neither"),
        (lambda base: Reweighted(base, INSIDE, weight="heavy"), "weight: 'heavy' is neither"),
        (lambda base: Reweighted(base, INSIDE, way="guess"), "way: 'guess' is not one of"),
        (lambda base: GroupDRO(base, INSIDE, rounds=0), "rounds: 0 is not"),
        (lambda base: GroupDRO(base, INSIDE, step=-1), "step: -1 is not"),
        (lambda base: JTT(base, upweight=0.5), "upweight: 0.5 is neither"),
        (lambda base: JTT(base, folds=1), "folds: 1 is not"),
        (lambda base: LastLayer(base, INSIDE, held=0.9), "held: 0.9 does not lie"),
        (lambda base: LastLayer(base, INSIDE, strengths=[]), "strengths: "),
        (lambda base: Augmented(base, copies=0), "copies: 0 is not"),
        (lambda base: Augmented(base, donors="rich"), "donors: 'rich' is not one of"),
        (lambda base: Augmented(base, only_slice=True), "slice: only_slice=True needs one"),
        (lambda base: Augmented(base, transform="flip"), "transform: 'flip' cannot be called"),
        (lambda base: Recalibrated(base, INSIDE, how="magic"), "how: 'magic' is not one of"),
        (lambda base: Abstaining(base, risk=1.5), "risk: 1.5 does not lie"),
        (lambda base: Spliced(0.5, 0.2), "low, high: 0.5 and 0.2"),
        (lambda base: Recombined(0), "components: 0"),
    ],
)
def test_wrong_settings_are_refused_when_made(make, said):
    with pytest.raises(AppError, match=said):
        make(LogisticRegression())


def test_rows_that_do_not_suit_are_refused():
    X, y = data(200)
    nowhere = Where.parse("a > 1000")
    for remedy in (Reweighted(LogisticRegression(), nowhere), JTT(LogisticRegression(), nowhere)):
        with pytest.raises(DataError, match="slice: holds none of the rows to learn from"):
            remedy.fit(X, y)
    with pytest.raises(AppError, match="slice: GroupDRO needs one"):
        GroupDRO(LogisticRegression()).fit(X, y)
    with pytest.raises(DataError, match="need one label for each of 200 rows"):
        JTT(LogisticRegression()).fit(X, y[:10])
    with pytest.raises(DataError, match="has no column 'gone'"):
        Reweighted(LogisticRegression(), "gone").fit(X, y)


def test_out_of_fold_predictions_are_of_neighbouring_spans():
    class Remember:
        """Predicts the greatest row that it saw."""

        def fit(self, X, y):
            self.seen = X[:, 0].max()
            return self

        def predict(self, X):
            return np.full(len(X), self.seen)

    X = np.arange(9.0)[:, None]
    made = fits.out_of_fold(Remember(), X, X[:, 0], classes=None, folds=3, seed=0)
    assert made[:, 0].tolist() == [8, 8, 8, 8, 8, 8, 5, 5, 5]


def test_pandas_rows_keep_their_order_whatever_their_index():
    X, y = data(600)
    shuffled = X.set_index(np.random.default_rng(0).permutation(600))
    for remedy in everyone(LogisticRegression()).values():
        straight = models.fit(remedy, X, y, 0).predict_proba(X)
        assert models.fit(remedy, shuffled, y, 0).predict_proba(shuffled) == pytest.approx(straight)


def test_the_planted_frame_is_as_described():
    frame = history(0, n=20_000)
    assert frame["turned"].mean() == pytest.approx(0.05, abs=0.01)
    assert isinstance(frame, pd.DataFrame)
    noisy = frame[frame["noisy"]]
    assert abs(np.corrcoef(noisy["a"], noisy["y"])[0, 1]) < 0.1
