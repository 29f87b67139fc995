"""What the chance that an order comes back must keep, besides what every model must."""

import operator

import numpy as np

from mlwild.gate import at_most

RULES = ["loss < 0.22", "worst < 1.0"]


def test_prices(events):
    assert not wrong_prices(events.frame)


def test_rules(model, events):
    losses = model.losses(events)
    measured = {"loss": np.average(losses, weights=events.weight), "worst": losses.max()}
    assert all(kept(rule, measured) for rule in RULES)


def test_mean(model, events):
    predicted = np.average(model.predictions(events), weights=events.weight)
    measured = {"gap": abs(predicted - np.average(events.labels, weights=events.weight))}
    assert measured["gap"] < 0.15


def test_a_little_dearer(model, events):
    rows = events.evenly(200)
    dearer = rows.features.assign(price=rows.features["price"] * 1.01)
    assert np.abs(model.predict(dearer) - model.predictions(rows)).max() < 0.05


def test_slices(model, events):
    price = events.frame["price"].to_numpy()
    for part in (price < 48, price >= 48):
        assert model.mean_loss(events.where(part)) < 0.25


def test_refunds(model, events):
    rows = events
    expected = model.predictions(rows) * rows.frame["price"].to_numpy()
    assert abs((expected - rows.frame["refund"].to_numpy()).mean()) < 10


def test_champion(model, champion, events):
    worse = model.losses(events) - champion.losses(events)
    return at_most(worse, 0.02, margin=0.02, what="loss less that of the champion")


def wrong_prices(orders):
    """Return what is wrong with the prices, in words."""
    price = orders["price"]
    return [f"row {row} costs {price.iloc[row]}" for row in np.flatnonzero(~(price > 0))]


def kept(rule, measured):
    """Say whether a rule such as "loss < 0.22" is kept."""
    name, sign, limit = rule.split()
    return {"<": operator.lt, ">": operator.gt}[sign](measured[name], float(limit))
