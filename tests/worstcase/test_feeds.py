"""Stressors of feeds: side tables that fail, batches that come twice or in disorder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild import stressors as st
from mlwild.stressors.situation import Situation
from mlwild.worstcase.curves import stressed
from tests.gate.made import Line, click_app, clicks, small_app, trial_of


class OfNumbers(Line):
    """A line through whatever it is given, gaps as nothing."""

    def fit(self, X, y):
        return super().fit(X.fillna(0.0), y)

    def predict(self, X):
        return super().predict(X.fillna(0.0))


def rows_and_rates():
    """Return rows whose label follows a rate that is published every ten instants, and the rates."""
    rows = clicks()
    rng = np.random.default_rng(1)
    rates = pd.DataFrame({"at": np.arange(0, 4_000, 10), "rate": np.cumsum(rng.normal(size=400)) / 3})
    rows["y"] = rates["rate"].to_numpy()[rows["when"] // 10] + 0.1 * rng.normal(size=len(rows))
    return rows, rates


def of_rate(frame, tables):
    """The newest rate."""
    return pd.DataFrame({"a": frame["a"], "rate": tables["rates"].asof(frame)["rate"]})


def with_count(frame, tables):
    """The newest rate, and the number of earlier rows of the shop as they came."""
    return of_rate(frame, tables).assign(earlier=frame.groupby("shop").cumcount().astype(float))


def calm_of(features, folder, **changes):
    rows, rates = rows_and_rates()
    app = small_app(
        rows,
        features=features,
        tables={"rates": wild.Table(lambda: rates, time="at", delay=0)},
        models={"line": OfNumbers()},
        every=200,
        start=400,
        **changes,
    )
    trial = trial_of(app, folder)
    return Situation(trial, trial.model, trial.events), rates


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return calm_of(of_rate, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    return calm_of(with_count, tmp_path_factory.mktemp("store"))


def column(situation, name):
    return situation.held.table.column(name).to_numpy()


def under(stressor, calm, severity):
    return stressor.apply(calm, next(iter(stressor.cases(calm))), severity, np.random.default_rng(0))


@pytest.mark.parametrize("which", ["calm", "counted"])
@pytest.mark.parametrize("back", [0, 2])
def test_a_feed_that_stops_leaves_its_last_value(which, back, request):
    calm, rates = request.getfixturevalue(which)
    made = under(st.FeedStops(), calm, float(back))
    last = int(calm.held.time[0]) - round(back * (calm.held.time[-1] - calm.held.time[0]) / 4)
    assert set(column(made, "rate")) == {rates["rate"][last // 10]}
    assert (column(made, "a") == column(calm, "a")).all()
    # What the feed says of earlier rows is as it was: only rows on trial are told of less.
    assert (column(calm, "rate") != column(made, "rate")).any()


def test_an_empty_feed_is_missing_everywhere_and_half_of_one_is_older(calm):
    situation, rates = calm
    assert np.isnan(column(under(st.MissingFeed(), situation, 1.0), "rate")).all()
    half = column(under(st.MissingFeed(), situation, 0.5), "rate")
    assert np.isin(half, rates["rate"]).all()
    assert 0.3 < (half != column(situation, "rate")).mean() < 0.7


def test_a_failing_feed_costs_what_it_carried(calm):
    situation, _ = calm
    found = stressed(situation.trial, [st.FeedStops(), st.MissingFeed()], limit=1.0, limit_is="asked")
    losses = {curve.stressor: [point.loss for point in curve.points] for curve in found.curves}
    assert losses["feed stops"][-1] > 10 * found.clean.loss
    assert losses["missing feed"][-1] > 10 * found.clean.loss
    assert losses["missing feed"][0] < losses["missing feed"][-1]
    assert found.left_out == ()


@pytest.mark.parametrize("stressor", [st.RepeatedBatch(), st.OutOfOrder()])
def test_features_of_single_rows_mind_neither_repetition_nor_order(stressor, calm):
    made = under(stressor, calm[0], 1.0)
    assert made.held.table.equals(calm[0].held.table)


def test_a_count_of_earlier_rows_counts_a_repeated_batch_twice(counted):
    situation, _ = counted
    held = situation.held
    shops = pd.Series(held.raw.get_column("shop").to_numpy())
    # All are delivered once more, in their order: before each there are all of its shop, too.
    expected = shops.groupby(shops).transform("size").to_numpy() + column(situation, "earlier")
    seen = column(under(st.RepeatedBatch(), situation, 1.0), "earlier")
    unlabelled = seen - expected  # rows of the shop between those on trial, which came before the batch
    assert (unlabelled >= 0).all()
    assert (seen > column(situation, "earlier")).all()
    half = column(under(st.RepeatedBatch(), situation, 0.5), "earlier")
    assert ((half - column(situation, "earlier")) > 30).mean() == pytest.approx(0.5, abs=0.1)


def test_a_count_of_earlier_rows_follows_the_order_of_delivery(counted):
    situation, _ = counted
    made = under(st.OutOfOrder(), situation, 1.0)
    before, after = column(situation, "earlier"), column(made, "earlier")
    assert (before != after).mean() > 0.9
    for shop in ("east", "north", "south"):
        mine = situation.held.raw.get_column("shop").to_numpy() == shop
        # The same numbers are given out, to others.
        assert len(np.unique(after[mine])) == mine.sum()
        assert abs(np.corrcoef(before[mine], after[mine])[0, 1]) < 0.3


def test_where_there_is_no_feed_and_each_request_is_alone_there_is_nothing_to_stress(tmp_path):
    plain = trial_of(click_app(), tmp_path / "plain")
    situation = Situation(plain, plain.model, plain.events)
    assert list(st.FeedStops().cases(situation)) == []
    assert list(st.MissingFeed().cases(situation)) == []

    def served(request, tables):
        return of_rate(request, tables)

    alone, _ = calm_of(of_rate, tmp_path / "alone", serving=wild.Serving(features=served))
    assert list(st.RepeatedBatch().cases(alone)) == []
    assert list(st.OutOfOrder().cases(alone)) == []
    few = Situation(alone.trial, alone.model, alone.held.where(np.arange(40)))
    stopped = under(st.FeedStops(), few, 0.0)
    assert len(set(column(stopped, "rate"))) == 1
