"""Transforms keep kinds and gaps; augmentation stays within class and slice, and makes predictions consistent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mlwild.errors import DataError
from mlwild.remedies import Augmented, Recombined, Spliced, Where, rows
from mlwild.remedies.transforms import _components

MIXED = pd.DataFrame(
    {
        "kind": pd.Categorical(list("abcab")),
        "word": ["x", "y", "z", "x", None],
        "when": pd.date_range("2025-01-01", periods=5, tz="UTC"),
        "whole": pd.array([1, 2, None, 4, 5], dtype="Int64"),
        "part": [0.1, 0.2, np.nan, 0.4, 0.5],
        "small": np.array([1, 2, 3, 4, 5], dtype=np.float32),
        "truth": [True, False, True, False, True],
    },
    index=[9, 8, 7, 6, 5],
)
KINDS = {
    "pandas": lambda: MIXED,
    "polars": lambda: pl.from_pandas(MIXED),
    "arrow": lambda: pa.Table.from_pandas(MIXED, preserve_index=False),
}


def _types(frame):
    return list(frame.dtypes) if isinstance(frame, pd.DataFrame) else list(frame.schema)


@pytest.mark.parametrize("transform", [Spliced(0.3, 0.6), Recombined(1)])
@pytest.mark.parametrize("kind", KINDS)
def test_columns_keep_their_kind(kind, transform):
    frame = KINDS[kind]()
    made = transform(frame, np.random.default_rng(1))
    assert _types(made) == _types(frame)
    assert _types(rows.stack([frame, made])) == _types(frame)
    assert rows.count(rows.stack([frame, made])) == 10
    if kind == "pandas":
        assert made["truth"].notna().all()
    marked = rows.with_column(frame, "inside", np.array([True, False, True, True, False]))
    assert rows.column(marked, "inside", "x")[0].tolist() == [True, False, True, True, False]


def test_a_block_of_neighbours_comes_from_one_donor():
    X, donors = np.zeros((500, 20)), np.tile(np.arange(1.0, 8.0)[:, None], (1, 20))
    made = Spliced(0.2, 0.5)(X, np.random.default_rng(0), donors=donors)
    width = (made > 0).sum(axis=1)
    assert width.min() == 4
    assert width.max() == 10
    for row in made:
        inside = np.flatnonzero(row)
        assert (np.diff(inside) == 1).all()
        assert len(np.unique(row[inside])) == 1
    assert (made > 0).any(axis=0).all()  # no column is spared
    frame = Spliced(0.2, 0.5)(pd.DataFrame(X), np.random.default_rng(0), donors=pd.DataFrame(donors))
    assert (frame.to_numpy() == made).all()


def test_recombined_rows_have_their_own_shape_and_foreign_details():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(2, 12))
    X = 10 * rng.normal(size=(300, 2)) @ shapes + rng.normal(size=(300, 12))
    made = Recombined(2)(X, np.random.default_rng(1))
    lent = X[np.random.default_rng(1).integers(0, 300, 300)]
    both = np.concatenate([X, lent])
    axes = _components(both - both.mean(axis=0), 2)
    centre = both.mean(axis=0)
    within = (made > X.min(axis=0)).all(axis=1) & (made < X.max(axis=0)).all(axis=1)  # not clipped
    assert within.mean() > 0.9
    assert ((made - centre) @ axes.T)[within] == pytest.approx(((X - centre) @ axes.T)[within])
    rest = np.eye(12) - axes.T @ axes
    assert ((made - centre) @ rest)[within] == pytest.approx(((lent - centre) @ rest)[within])


def test_gaps_stay_gaps_and_values_within_their_range():
    rng = np.random.default_rng(0)
    X = rng.random((100, 6)).astype(np.float32)
    X[3, 2] = np.nan
    made = Recombined(2)(X, rng)
    assert np.argwhere(np.isnan(made)).tolist() == [[3, 2]]
    assert np.nanmin(made) >= 0
    assert made.dtype == np.float32
    whole = np.arange(12).reshape(4, 3)
    assert (Recombined(2)(whole, rng) == whole).all()


def test_a_transform_sees_one_class_and_one_side_at_a_time():
    seen = []

    def watch(X, rng):
        seen.append((X["y"].unique().tolist(), (X["z"] > 0).unique().tolist(), len(X)))
        return X

    X = pd.DataFrame({"y": [0, 1, 0, 1, 0], "z": [1.0, 1.0, -1.0, -1.0, 2.0]})
    model = Augmented(LogisticRegression(), Where.parse("z > 0"), transform=watch, copies=2).fit(X, X["y"])
    assert sorted(seen[::2]) == [([0], [False], 1), ([0], [True], 2), ([1], [False], 1), ([1], [True], 1)]
    assert len(seen) == 8
    assert model.n_copies_ == 10
    seen.clear()
    only = Augmented(LogisticRegression(), Where.parse("z > 0"), transform=watch, only_slice=True).fit(X, X["y"])
    assert all(side == [True] for _, side, _ in seen)
    assert only.n_copies_ == 3


@pytest.mark.parametrize(
    ("donors", "wanted"),
    [("same", {(0, True)}), ("across", {(0, False)}), ("others", {(1, True), (1, False)}),
     ("all", {(0, True), (0, False), (1, True), (1, False)})],
)  # fmt: skip
def test_rows_are_borrowed_where_it_is_said(donors, wanted):
    lent = {}

    def borrow(X, rng, donors):
        own = (int(X[0, 0]), bool(X[0, 1] > 0))
        lent[own] = {(int(one[0]), bool(one[1] > 0)) for one in donors}
        return X

    X = np.array([[0, 1.0], [0, -1.0], [1, 1.0], [1, -1.0]])
    Augmented(LogisticRegression(), lambda X: X[:, 1] > 0, transform=borrow, donors=donors).fit(X, X[:, 0].astype(int))
    assert lent[0, True] == wanted


def test_where_there_is_nobody_to_borrow_from_the_own_group_lends():
    def borrow(X, rng, donors):
        assert len(donors) == len(X)
        return X

    X = np.array([[0.0], [1.0]])
    Augmented(LogisticRegression(), transform=borrow, donors="across").fit(X, np.array([0, 1]))


def test_consistency_brings_a_row_and_its_copy_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = (X[:, 0] + 0.3 * rng.normal(size=400) > 0).astype(int)

    def flip(X, rng):
        return X * [1.0, -1.0]

    class Local(KNeighborsClassifier):
        """Remembers rows, weights and all."""

        def fit(self, X, y, sample_weight=None):
            share = np.ones(len(y)) if sample_weight is None else sample_weight
            self.rows, self.labels, self.share = X, y, share
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X):
            near = np.exp(-20 * ((X[:, None, :] - self.rows[None]) ** 2).sum(axis=2)) * self.share
            upper = (near @ (self.labels == 1) + 1e-9) / (near.sum(axis=1) + 2e-9)
            return np.column_stack([1 - upper, upper])

    def gap(share):
        model = Augmented(Local(), lambda X: X[:, 1] > 0, transform=flip, only_slice=True, consistency=share).fit(X, y)
        return np.abs(model.predict_proba(X)[:, 1] - model.predict_proba(flip(X, rng))[:, 1]).mean()

    assert gap(0.9) < gap(0.0)
    numbers = Augmented(_Mean(), transform=flip, consistency=0.5).fit(X, X[:, 0])
    assert numbers.fits == 2
    assert numbers.predict(X) == pytest.approx(X[:, 0].mean())


def test_soft_labels_are_the_row_once_for_each_class():
    """Two rows, one copy each; the first fit says 0.6 of every row: labels move by a half towards that."""
    given = []

    class Records:
        classes_ = np.array(["no", "yes"])

        def fit(self, X, y, sample_weight=None):
            given.append((X[:, 0].tolist(), list(y), None if sample_weight is None else sample_weight.tolist()))
            return self

        def predict_proba(self, X):
            return np.tile([0.4, 0.6], (len(X), 1))

    X, y = np.array([[1.0], [2.0]]), np.array(["no", "yes"])
    Augmented(Records(), transform=lambda X, rng: X + 10, consistency=0.5).fit(X, y)
    assert given[0] == ([1.0, 2.0, 11.0, 12.0], ["no", "yes", "no", "yes"], None)
    rows_, labels, weights = given[1]
    assert rows_ == [1, 1, 2, 2, 11, 11, 12, 12]
    assert labels == ["no", "yes"] * 4
    scale = 8 / 4  # eight rows stand for four
    assert weights == pytest.approx([scale * one for one in [0.7, 0.3, 0.2, 0.8] * 2])


class _Mean:
    def fit(self, X, y):
        self.mean = y.mean()
        return self

    def predict(self, X):
        return np.full(len(X), self.mean)


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_columns_that_a_transform_widened_are_stacked(kind):
    whole, parts = {"a": [1, 2], "b": ["x", "y"]}, {"a": [1.5, 2.5], "b": ["x", "y"]}
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}[kind]
    assert rows.column(rows.stack([make(whole), make(parts)]), "a", "x")[0].tolist() == [1.0, 2.0, 1.5, 2.5]


def test_a_transform_that_loses_rows_is_refused():
    with pytest.raises(DataError, match="transform: gave 1 rows for 2"):
        Augmented(LogisticRegression(), transform=lambda X, rng: X[:1]).fit(np.zeros((4, 1)), np.array([0, 0, 1, 1]))
