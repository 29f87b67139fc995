"""Whom rows are about: no entity on both sides of a shuffled fold, and no flattery by what a model remembers of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor

import mlwild as wild
from mlwild import splits
from mlwild.auditions.past import procedures
from mlwild.auditions.promises import promises
from mlwild.errors import DataError
from mlwild.triangle.folds import cross_validate
from tests.support import small_app

PERIOD, PERIODS, LAST = 40, 24, 20


def _visits(life: float | None, seed: int) -> pd.DataFrame:
    """
    Return rows of entities that live so many periods (None: through all), each with a level of its own.

    The features name the entity, so that a model can remember it; nothing else can be learned.
    """
    rng = np.random.default_rng(seed)
    if life is None:
        when = [rng.uniform(0, PERIODS * PERIOD, 2 * PERIODS) for _ in range(20)]
    else:
        starts = rng.uniform(-life * PERIOD, PERIODS * PERIOD, 10 * PERIODS)
        when = [start + rng.uniform(0, life * PERIOD, rng.poisson(2 * life) + 1) for start in starts]
    whom = np.repeat(np.arange(len(when)), [len(one) for one in when])
    time = np.concatenate(when)
    inside = (time >= 0) & (time < PERIODS * PERIOD)
    whom, time = whom[inside], (1000 * time[inside]).astype(np.int64)
    order = np.lexsort((whom, time))
    whom, time = whom[order], time[order]
    level, place = rng.normal(size=len(when)), rng.uniform(0, 1000, (len(when), 2))
    y = level[whom] + 0.5 * rng.normal(size=len(whom))
    return pd.DataFrame({"when": time, "whom": whom, "a": place[whom, 0], "b": place[whom, 1], "y": y})


def _loss(rows: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    X, y = rows[["a", "b"]].to_numpy(), rows["y"].to_numpy()
    return (KNeighborsRegressor(3).fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2


def _losses(life: float | None, draws: int) -> dict[str, np.ndarray]:
    """Return what each kind of folds of the first 20 periods promised, and what the next four lost live."""
    made: dict[str, list[float]] = {"apart": [], "together": [], "blocked": [], "live": []}
    for seed in range(draws):
        rows = _visits(life, seed)
        time = rows["when"].to_numpy()
        known = np.flatnonzero(time < 1000 * LAST * PERIOD)
        dated = splits.Rows(time[known]), splits.Rows(time[known], entity=rows["whom"].to_numpy()[known])
        folds = {
            "apart": splits.ShuffledKFold(dated[0], allow="order"),
            "together": splits.ShuffledKFold(dated[1], allow="order"),
            "blocked": splits.Blocked(dated[1]),
        }
        for name, splitter in folds.items():
            made[name].append(np.concatenate([_loss(rows, *fold) for fold in splitter.split()]).mean())
        edges = 1000 * PERIOD * np.arange(LAST, PERIODS + 1)
        live = [
            _loss(rows, np.flatnonzero(time < low), np.flatnonzero((time >= low) & (time < high))).mean()
            for low, high in pairwise(edges)
        ]
        made["live"].append(np.mean(live))
    return {name: np.array(values) for name, values in made.items()}


def _margin(gaps: np.ndarray) -> float:
    return float(3 * gaps.std(ddof=1) / np.sqrt(len(gaps)))


def test_shuffled_rows_flatter_where_entities_come_and_go_and_shuffled_entities_do_not():
    # 20 histories; three standard errors of the mean gap. Measured: rows .80, entities 2.13, blocks 1.98, live 1.95.
    found = _losses(1.0, 20)
    for name in ("together", "blocked"):
        gaps = found["live"] - found[name]
        assert gaps.mean() < _margin(gaps), name  # it promises no less than came
    gaps = found["live"] - found["apart"]
    assert gaps.mean() > 10 * _margin(gaps) / 3
    assert found["apart"].mean() < 0.5 * found["live"].mean()


@pytest.mark.parametrize("life", [10.0, None])
def test_blocks_with_an_entity_on_both_sides_are_near_live_where_entities_stay_and_kept_apart_they_are_not(life):
    # 20 histories. Live knows an entity's past; blocks know that or its future, shuffled entities neither.
    # Measured at a life of ten periods: blocks .54, live .59, shuffled entities 2.36.
    found = _losses(life, 20)
    assert found["blocked"].mean() == pytest.approx(found["live"].mean(), rel=0.15)
    assert found["together"].mean() > 3 * found["live"].mean()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), entities=st.integers(5, 60), folds=st.integers(2, 5), by=st.sampled_from(["rows", "sk"])
)
def test_no_entity_is_on_both_sides_of_a_shuffled_fold(seed, entities, folds, by):
    rng = np.random.default_rng(seed)
    whom = np.concatenate([np.arange(entities), rng.integers(0, entities, 100)])
    time = np.sort(rng.integers(0, 50, len(whom)))
    rows = splits.Rows(time, entity=whom if by == "rows" else None)
    tested = []
    made = splits.ShuffledKFold(rows, folds, allow="order").split(groups=None if by == "rows" else whom)
    for train, test in made:
        assert not set(whom[train]) & set(whom[test])
        assert len(train) + len(test) == len(whom)
        tested += test.tolist()
    assert sorted(tested) == list(range(len(whom)))


def test_scikit_learn_passes_groups_through():
    rows = _visits(1.0, 0)
    splitter = splits.ShuffledKFold(splits.Rows(rows["when"].to_numpy()), allow="order")
    X, y = rows[["a", "b"]].to_numpy(), rows["y"].to_numpy()
    flattered, kept = (
        -cross_val_score(KNeighborsRegressor(3), X, y, cv=splitter, groups=groups, scoring="neg_mean_squared_error")
        for groups in (None, rows["whom"])
    )
    assert flattered.mean() < 0.5 * kept.mean()
    with pytest.raises(DataError, match="groups: 3 for"):
        next(splitter.split(X, y, groups=[1, 2, 3]))


def test_too_few_entities_are_refused():
    rows = splits.Rows(np.arange(40), entity=np.arange(40) % 3)
    with pytest.raises(DataError, match="3 entities cannot be dealt into 5 folds"):
        next(splits.ShuffledKFold(rows, allow="order").split())
    with pytest.raises(DataError, match="entity: 2 for 3 rows"):
        splits.Rows(np.arange(3), entity=np.arange(2))


def _app(rows: pd.DataFrame, **changes) -> wild.App:
    fields = {"known_at": None, "delay": 0, "every": 4000 * PERIOD, "start": 12000 * PERIOD, "min_rows": 1}
    return small_app(rows, models={"near": KNeighborsRegressor(3)}, **(fields | changes))


def test_the_audition_keeps_the_apps_entities_together(tmp_path):
    rows = _visits(1.0, 0)
    scheme = splits.OfFolds("shuffled")
    made = {}
    for name, entity in (("apart", None), ("together", "whom")):
        rehearsal = wild.rehearse(_app(rows, entity=entity), rules=[wild.rules.Never()], store=tmp_path / name)
        found = procedures(rehearsal.triangles)
        made[name] = promises(found, [scheme], fold_cutoffs=1)
        cutoff = made[name].cutoffs[int(np.flatnonzero(~np.isnan(made[name].made[0, 0]))[0])]
        (out,) = cross_validate([found[0].triangles[0]], [cutoff], scheme, windows=["all"]).values()
        tested = [set(rows["whom"].to_numpy()[part]) for part in out.rows]
        shared = [one & other for place, one in enumerate(tested) for other in tested[:place]]
        assert any(shared) == (entity is None)
    gain = [np.nanmean(one.made[0, 0]) for one in made.values()]
    assert gain[0] < 0.5 * gain[1]
    # the worker's folds are those of the splitter: by hand
    edge = int(rehearsal.survey.grid.edges[cutoff])
    known = rows[rows["when"] < edge]
    dated = splits.Rows(known["when"].to_numpy(), entity=known["whom"].to_numpy())
    by_hand = [_loss(known, *fold) for fold in splits.ShuffledKFold(dated, allow="order").split()]
    assert gain[1] == pytest.approx(np.concatenate(by_hand).mean(), rel=1e-5)


def test_rows_without_an_entity_are_entities_of_their_own_and_another_entity_is_another_estimate(tmp_path):
    rows = _visits(1.0, 0).assign(other=lambda rows: rows["whom"] // 2)
    rows["gaps"] = rows["whom"].astype("Float64").mask(np.arange(len(rows)) % 2 == 0)
    scheme, estimates = splits.OfFolds("shuffled"), {}
    for entity in ("whom", "other", "gaps"):
        rehearsal = wild.rehearse(_app(rows, entity=entity), rules=[wild.rules.Never()], store=tmp_path)
        estimates[entity] = np.nanmean(promises(procedures(rehearsal.triangles), [scheme], fold_cutoffs=1).made)
        codes = rehearsal.survey.entity
        assert len(np.unique(codes)) == rows[entity].nunique() + rows[entity].isna().sum()
    assert len(set(estimates.values())) == 3  # nothing stale is taken from the store
    # half of the rows have no entity: their folds may hold what others of theirs tell
    assert estimates["gaps"] < estimates["whom"]
