"""Splitters: what may not be trained on is not, and scikit-learn takes them as its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlwild.errors import AppError, DataError
from mlwild.splits import (
    Blocked,
    CombinatorialPurged,
    Holdout,
    Prequential,
    Purged,
    RepeatedHoldout,
    Rows,
    ShuffledKFold,
    purge,
)


def _rows(seed=0, n=120, late=15, ties=True):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, n // 2 if ties else 10 * n, n))
    return Rows(time, time + rng.integers(0, late + 1, n), entity=rng.integers(0, 20, n))


WALKS = {
    "growing": lambda rows: Prequential(rows, blocks=5),
    "sliding": lambda rows: Prequential(rows, blocks=6, window=2),
    "gap": lambda rows: Prequential(rows, blocks=6, gap=1),
    "holdout": Holdout,
    "last tenth": lambda rows: Holdout(rows, share=0.1),
    "repeated": lambda rows: RepeatedHoldout(rows, repeats=5),
}
FOLDS = {
    "purged": lambda rows: Purged(rows, folds=4),
    "embargo": lambda rows: Purged(rows, folds=4, embargo=5),
    "combinatorial": lambda rows: CombinatorialPurged(rows, blocks=5, tested=2),
}


@pytest.mark.parametrize("name", WALKS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), late=st.sampled_from([0, 3, 30]))
def test_a_walk_trains_only_on_labels_that_were_known_when_its_test_rows_were_asked(name, seed, late):
    rows = _rows(seed, late=late)
    for train, test in WALKS[name](rows).split():
        assert len(test)
        if len(train):
            assert rows.known[train].max() <= rows.asked[test].min()
            # Rows of one instant are on one side.
            assert rows.asked[train].max() < rows.asked[test].min()


@pytest.mark.parametrize("name", FOLDS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), late=st.sampled_from([0, 3, 30]))
def test_a_purged_fold_shares_no_label_span_with_its_test_rows(name, seed, late):
    rows = _rows(seed, late=late)
    tested = []
    for train, test in FOLDS[name](rows).split():
        tested += test.tolist()
        for stretch in np.split(test, np.flatnonzero(np.diff(test) > 1) + 1):
            opens, closes = rows.asked[stretch].min(), rows.known[stretch].max()
            overlap = (rows.asked[train] <= closes) & (rows.known[train] >= opens)
            assert not overlap.any()
    assert set(tested) == set(range(len(rows)))


def test_embargo_leaves_out_what_features_look_back_over():
    rows = Rows(np.arange(100))
    plain = dict(enumerate(Purged(rows, folds=5).split()))
    apart = dict(enumerate(Purged(rows, folds=5, embargo=7).split()))
    # In the middle fold 20..39 the rows 40..46 are left out too.
    assert set(plain[1][0]) - set(apart[1][0]) == set(range(40, 47))


def test_purging_drops_just_what_overlaps_as_a_loop_finds():
    rows = _rows(3, late=10)
    test = np.arange(40, 60)
    train = np.setdiff1d(np.arange(len(rows)), test)
    kept = [
        row for row in train if rows.asked[row] > rows.known[test].max() or rows.known[row] < rows.asked[test].min()
    ]
    assert purge(rows, train, test).tolist() == kept


def test_without_delay_and_ties_they_are_scikit_learns():
    rows = Rows(np.arange(60))
    ours = [(train.tolist(), test.tolist()) for train, test in Blocked(rows, folds=5).split()]
    theirs = [(train.tolist(), test.tolist()) for train, test in KFold(5).split(np.zeros(60))]
    assert ours == theirs
    ours = [(train.tolist(), test.tolist()) for train, test in Prequential(rows, blocks=6).split()]
    theirs = [(train.tolist(), test.tolist()) for train, test in TimeSeriesSplit(5).split(np.zeros(60))]
    assert ours == theirs


def test_combinations_are_all_there_and_test_every_block_equally_often():
    splitter = CombinatorialPurged(Rows(np.arange(60)), blocks=6, tested=2)
    tests = [test for _, test in splitter.split()]
    assert len(tests) == splitter.get_n_splits() == 15
    assert set(np.bincount(np.concatenate(tests))) == {5}


def test_a_shuffled_split_of_dated_rows_is_refused_unless_named():
    with pytest.raises(AppError, match="shuffled folds train on rows that come after"):
        ShuffledKFold(_rows())
    rows = _rows()
    for train, test in ShuffledKFold(rows, allow="order").split():
        assert not set(rows.entity[train]) & set(rows.entity[test])


def test_blocks_beside_labels_that_come_late_are_refused_unless_named():
    with pytest.raises(AppError, match="labels come late"):
        Blocked(_rows())
    assert Blocked(_rows(), allow="delay").get_n_splits() == 5
    assert Blocked(Rows(np.arange(50))).get_n_splits() == 5


ALL = {**WALKS, **FOLDS, "shuffled": lambda rows: ShuffledKFold(rows, allow="order")}


@pytest.mark.parametrize("name", ALL)
def test_scikit_learn_takes_them_in_scores_searches_and_pipelines(name):
    rows = _rows(ties=False)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(len(rows), 3)), rng.normal(size=len(rows))
    splitter = ALL[name](rows)
    model = make_pipeline(StandardScaler(), Ridge())
    assert len(cross_val_score(model, X, y, cv=splitter)) == splitter.get_n_splits(X, y)
    search = GridSearchCV(model, {"ridge__alpha": [0.1, 10.0]}, cv=splitter).fit(X, y)
    assert search.n_splits_ == splitter.get_n_splits()


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_folds_and_other_rows_are_refused(name):
    splitter = ALL[name](_rows())
    one, two = ([(a.tolist(), b.tolist()) for a, b in splitter.split()] for _ in range(2))
    assert one == two
    with pytest.raises(DataError, match="X: has 7 rows and the times have 120"):
        next(splitter.split(np.zeros((7, 2))))


def test_times_are_checked():
    with pytest.raises(DataError, match="row 2 comes before row 1"):
        Rows(np.array([0, 3, 1]))
    with pytest.raises(DataError, match="label of row 1 is known before its time"):
        Rows(np.array([0, 3]), np.array([0, 2]))
    with pytest.raises(DataError, match="got float64, need integers or datetimes"):
        Rows(np.array([0.0, 1.0]))
    with pytest.raises(DataError, match="every row is of the same instant"):
        list(Purged(Rows(np.zeros(10, int))).split())
    days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")
    assert Rows(days).asked[1] - Rows(days).asked[0] == 86_400 * 10**9


def test_random_cv_flatters_where_neighbours_resemble_each_other_and_purged_does_not():
    """Labels that overlap: shuffled folds promise far less error than the next rows bring (50 draws)."""
    from sklearn.neighbors import KNeighborsRegressor

    gaps = []
    for draw in range(50):
        rng = np.random.default_rng(draw)
        n = 400
        y = np.cumsum(rng.normal(size=n))
        X = np.arange(n)[:, None].astype(float)
        rows = Rows(np.arange(n), np.arange(n) + 5)
        model = KNeighborsRegressor(3)
        scores = [
            -cross_val_score(model, X, y, cv=cv, scoring="neg_mean_absolute_error").mean()
            for cv in (ShuffledKFold(rows, allow="order"), Purged(rows))
        ]
        gaps.append(scores[1] - scores[0])
    assert np.mean(gaps) > 3 * np.std(gaps) / np.sqrt(50)
    assert np.mean(np.array(gaps) > 0) > 0.95
