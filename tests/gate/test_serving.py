"""What is served: parity with its causes, and categories that were never seen."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from mlwild.gate.ready.serving import ServingParity, UnknownCategories
from mlwild.gate.ready.serving.categories import unseen
from mlwild.gate.ready.serving.causes import alone, causes_of
from mlwild.gate.ready.serving.pairs import Pair
from mlwild.gate.ready.serving.units import unit_of
from mlwild.gating import replay_of
from mlwild.rehearsal import rehearse
from tests.gate import skewed
from tests.gate.bench import Bench, table

# -- the public case ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    made = rehearse(skewed.app(), store=tmp_path_factory.mktemp("store"), jobs=1, keep_rows=True)
    return replay_of(made).now


def test_the_public_case_is_red_with_its_columns_and_causes(loans):
    found = ServingParity(rows=300).judge(loans)
    assert found.verdict == "fail"
    causes = {part["column"]: part["why"] for part in found.parts}
    assert causes == {
        "income": "missing is served as 0",
        "months": "holds the values of 'age'",
        "balance": "its sign is turned",
        "rate": "rounded to 2 decimals",
        "city": causes["city"],
    }
    assert causes["city"].startswith("other codes, one for one: ")
    rises = [part["rise"] for part in found.parts]
    assert rises == sorted(rises, reverse=True)  # the column that does most harm comes first
    served, usual = (int(share) for share in re.search(r"(\d+)% are right rather than (\d+)%", found.said).groups())
    # 300 rows: two standard errors are 5 points
    assert usual == pytest.approx(73, abs=5)
    assert served == pytest.approx(60, abs=5)


def test_the_same_app_served_by_its_own_functions_is_green(tmp_path):
    made = rehearse(skewed.app(serving=None), store=tmp_path, jobs=1, keep_rows=True)
    found = ServingParity().judge(replay_of(made).now)
    assert found.verdict == "pass", found.said


# -- parity over planted skews -----------------------------------------------------------------------

ROWS = table(1500)


def features(rows):
    return rows[[f"x{i}" for i in range(6)]].assign(word=rows["x0"].gt(0).map({True: 1, False: 0}))


def parity(served, recipe=None, rows=ROWS, **changes):
    trial = Bench(
        rows, LogisticRegression() if recipe is None else recipe, features=features, serve_features=served, **changes
    )
    return ServingParity(rows=100).judge(trial)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"x0": lambda x: np.nan}, "x0': missing in every row"),
        ({"x1": lambda x: x * 100}, "x1': 100 times as great (per cent, cents"),
        ({"x1": lambda x: x / 1.609344}, "(miles for kilometres?)"),
        ({"x1": lambda x: -x}, "x1': its sign is turned"),
        ({"x1": lambda x: -2.0 * x}, "x1': -2 times as great"),
        ({"x1": lambda x: x.round(1)}, "x1': rounded to 1 decimals"),
        ({"x1": lambda x: x.astype("float32").astype("float64")}, "x1': the same in single precision only"),
        ({"x1": np.trunc}, "x1': cut to whole numbers"),
        ({"x1": lambda x: 0.0}, "x1': always 0"),
        ({"x1": lambda x: x + 273.15}, "kelvin for degrees Celsius?"),
        ({"x1": lambda x: 1.8 * x + 32}, "degrees Fahrenheit for Celsius"),
        ({"x1": np.exp}, "x1': its exponential"),
        ({"x1": np.abs}, "x1': its size, without the sign"),
        ({"word": lambda x: 1 - x}, "word': other codes, one for one"),
    ],
)
def test_each_cause_is_named(change, why):
    name, function = next(iter(change.items()))
    found = parity(lambda rows: features(rows).assign(**{name: function(features(rows)[name])}))
    assert found.verdict == "fail"
    assert why in found.said
    assert [part["column"] for part in found.parts] == [name]


def test_swapped_columns_are_named():
    found = parity(lambda rows: features(rows).rename(columns={"x0": "x2", "x2": "x0"})[list(features(rows))])
    assert "'x0': holds the values of 'x2'" in found.said
    assert "'x2': holds the values of 'x0'" in found.said


def test_a_column_that_is_not_served_is_named_though_the_model_cannot_answer():
    found = parity(lambda rows: features(rows).drop(columns="x3"))
    assert found.verdict == "fail"
    assert "the model cannot answer what is served: ValueError" in found.said
    assert "'x3': not served at all" in found.said


def test_stale_values_are_found_in_earlier_rows():
    rows = ROWS.assign(step=ROWS["x1"].gt(0).astype(int))

    def late(frame):
        at = int(frame["when"].iloc[0])
        return features(frame).assign(x1=rows["x1"].iloc[at - 7])

    found = parity(late, rows=ROWS)
    assert "'x1': stale: the value of an earlier row, 7 rows back at the median" in found.said

    def stepped(frame):
        return frame[["x0", "step"]]

    def stepped_late(frame):
        return frame[["x0", "step"]].assign(step=rows["step"].iloc[int(frame["when"].iloc[0]) - 3])

    trial = Bench(rows, LogisticRegression(), features=stepped, serve_features=stepped_late)
    assert "'step': stale: the value of 3 rows before" in ServingParity(rows=100).judge(trial).said


def test_equal_paths_are_green_over_seeds():
    for seed in range(5):
        rows = table(900, seed=seed)
        trial = Bench(rows, DecisionTreeClassifier(max_depth=6), features=features, serve_features=features)
        found = ServingParity(rows=50).judge(trial)
        assert found.verdict == "pass", found.said
        assert "50 requests got the answers of the rehearsal to the last bit" in found.said


def test_skew_that_moves_no_answer_is_red_unless_there_is_a_tolerance():
    class FirstOnly(LogisticRegression):
        def fit(self, X, y):
            return super().fit(X[["x0"]], y)

        def predict_proba(self, X):
            return super().predict_proba(X[["x0"]])

    def served(rows):
        return features(rows).assign(x5=0.0)

    assert parity(served, FirstOnly()).verdict == "fail"
    found = parity(served, FirstOnly(), tolerance=1e-9)
    assert found.verdict == "pass"
    assert "features that differ without moving an answer: x5" in found.said


def test_another_way_to_call_the_model_is_named():
    def other_class(model, X):
        return model.predict_proba(X)[:, 0]

    found = parity(features, serve_predict=other_class)
    assert found.verdict == "fail"
    assert "on the same features: each is one minus what it is: that of the other class or side" in found.said

    def hard(model, X):
        return model.predict(X)

    assert "rounded to 0 decimals" in parity(features, serve_predict=hard).said

    def dust(model, X):
        return model.predict_proba(X)[:, 1] + 1e-6

    found = parity(features, serve_predict=dust)
    assert "the last digits of a sum over one row and over many" in found.said
    assert parity(features, serve_predict=dust, tolerance=2e-6).verdict == "pass"


def test_answers_that_are_nan_never_pass():
    found = parity(features, serve_predict=lambda model, X: np.array([np.nan]), tolerance=1.0)
    assert found.verdict == "fail"


# -- causes by hand ----------------------------------------------------------------------------------


def why(trained, served):
    return ", ".join(causes_of(Pair("c", pa.chunked_array([trained]), pa.chunked_array([served])), alone()))


@pytest.mark.parametrize(
    ("trained", "served", "said"),
    [
        ([1.0, None, 3.0, 4.0], [1.0, -1.0, 3.0, 4.0], "missing is served as -1"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, None, None, 4.0], "missing in 50% of the rows that have a value otherwise"),
        ([0, 5, 22, 23, 11], [5, 10, 3, 4, 16], "5 more, round 24 (a time zone, or another first day?)"),
        (["a", "b", "c", "a", "b", "c"], ["A", "B", "C", "A", "B", "C"], "written otherwise: 'a' is served as 'A', 'b' is served as 'B'"),
        (["a", "b", "c", "a", "b", "c"], ["x", "x", "c", "x", "x", "c"], "several values become one: 'a' is served as 'x', 'b' is served as 'x'"),
        ([1, 2, 3, 1, 2, 3], ["1", "2", "3", "1", "2", "3"], "other codes, one for one: 1 is served as '1', 2 is served as '2'"),
        ([1.0, 10.0, 100.0, 1000.0], [0.0, 1.0, 2.0, 3.0], "its decimal logarithm"),
        ([0.0, 1.0, 2.0, 3.5], [0.0, np.e - 1, np.e**2 - 1, np.e**3.5 - 1], "not transformed: the rehearsal has the logarithm of one more"),
    ],
)  # fmt: skip
def test_causes_by_hand(trained, served, said):
    assert why(trained, served) == said


def test_times_of_another_zone_are_named():
    times = pd.Series(pd.date_range("2025-01-01", periods=6, freq="37min"))
    assert why(times, times + pd.Timedelta("2h")) == "7,200 more (2 hours of seconds: a time zone?)"


def test_what_has_no_cause_says_how_far_off_it_is():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    assert why(x, x + rng.normal(size=500)).endswith("standard deviations at the median, no cause found")


def test_units_are_known_both_ways():
    assert unit_of(3600) == "seconds for hours?"
    assert unit_of(1 / 3600) == "hours for seconds?"
    assert unit_of(1.2345) == ""


# -- categories that were never seen -----------------------------------------------------------------


def shops(seed=0, gaps=0.0):
    rng = np.random.default_rng(seed)
    rows = table(1500, seed=seed)[["when", "x0", "y"]]
    rows["town"] = rng.choice(["Basel", "Genoa", "Lyons"], 1500, p=[0.5, 0.3, 0.2])
    rows["town"] = rows["town"].where(rng.random(1500) >= gaps)
    return rows


CODES = {"Basel": 0, "Genoa": 1, "Lyons": 2}


def coded(default):
    def features(rows):
        made = rows["town"].map(lambda town: CODES.get(town, default) if isinstance(town, str) else -1)
        return rows[["x0"]].assign(town=made.astype(float))

    return features


def unknown(features, recipe=None, rows=None, **words):
    trial = Bench(
        shops() if rows is None else rows,
        DecisionTreeClassifier(max_depth=4) if recipe is None else recipe,
        features=features,
    )
    assert UnknownCategories(**words).objection(trial) == ""
    return UnknownCategories(**words).judge(trial)


def test_a_code_of_its_own_is_green_over_seeds():
    for seed in range(10):
        found = unknown(coded(3), rows=shops(seed, gaps=0.1))
        assert found.verdict == "pass", found.said
        assert "in 1 column: town" in found.said


def test_the_features_of_a_known_category_are_red():
    found = unknown(coded(1))
    assert found.verdict == "fail"
    assert "silently gets the features of 'Genoa'; give it its own, or say allowed={'town': 'Genoa'}" in found.said
    assert unknown(coded(1), allowed={"town": "Genoa"}).verdict == "pass"
    assert unknown(coded(1), allowed={"town": "Lyons"}).verdict == "fail"


def test_the_features_of_a_gap_are_red_where_gaps_were_learned():
    found = unknown(coded(-1), rows=shops(gaps=0.1))
    assert "silently gets the features of a missing value" in found.said
    assert unknown(coded(-1), rows=shops(gaps=0.1), allowed={"town": "missing"}).verdict == "pass"
    assert unknown(coded(-1)).verdict == "pass"  # no gap was learned from: -1 is a code of its own


def test_what_cannot_be_answered_is_red():
    strict = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough"), LogisticRegression()
    )
    found = unknown(lambda rows: rows[["x0", "town"]], strict)
    assert found.verdict == "fail"
    assert "is not answered: ValueError: Found unknown categories" in found.said

    def raises(rows):
        return rows[["x0"]].assign(town=[CODES[town] for town in rows["town"]])

    assert "is not answered: KeyError" in unknown(raises).said

    def gap(rows):
        return rows[["x0"]].assign(town=rows["town"].map(CODES).astype(float))

    # A line cannot answer NaN; trees can, and no gap was learned from.
    assert "is not answered" in unknown(gap, LogisticRegression()).said
    assert unknown(gap).verdict == "pass"


def test_pipelines_are_looked_into():
    def words(rows):
        return rows[["x0", "town"]]

    def piped(encoder):
        return make_pipeline(
            make_column_transformer((encoder, ["town"]), remainder="passthrough"), LogisticRegression()
        )

    assert unknown(words, piped(OneHotEncoder(handle_unknown="ignore"))).verdict == "pass"
    found = unknown(words, piped(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)))
    assert found.verdict == "pass", found.said
    dropped = piped(OneHotEncoder(handle_unknown="ignore", drop="first"))
    with pytest.warns(UserWarning, match="Found unknown categories"):
        found = unknown(words, dropped)
    assert "silently gets the features of 'Basel'" in found.said


def test_categorical_columns_are_tried():
    rows = shops()
    rows["town"] = rows["town"].astype("category")

    def known(rows):
        codes = rows["town"].astype("category").cat.set_categories(["Basel", "Genoa", "Lyons"]).cat.codes
        return rows[["x0"]].assign(town=codes.clip(lower=0))

    found = unknown(known, rows=rows)
    assert "silently gets the features of 'Basel'" in found.said
    boosted = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    found = unknown(lambda rows: rows[["x0", "town"]], boosted, rows=rows)
    assert found.verdict == "pass", found.said


def test_columns_that_features_do_not_use_are_not_counted():
    found = unknown(lambda rows: rows[["x0"]])
    assert found.verdict == "pass"
    assert "none is used by the features" in found.said
    numbers = Bench(table(800, kind="value"), LinearRegression(), "squared")
    assert UnknownCategories().objection(numbers) == "the app's rows have no column of categories"


@pytest.mark.parametrize("seen", [["AA", "B6"], ["a", "b", "c"], ["Basel", "Lyons"], ["12-a", "13-b"], ["-", "+"], list("abcdefghijklmnopqrstuvwxyz")])  # fmt: skip
def test_an_unseen_word_looks_like_the_others_and_is_none_of_them(seen):
    assert unseen(dict.fromkeys(seen, 1)) not in seen
