"""Worst subpopulation: by hand, with learners that know everything, nothing or too much, and its promise on a grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from mlwild.errors import DataError
from mlwild.stats.gaffke import gaffke_upper
from mlwild.stats.worst import subpopulation, worst_subpopulation

SHARES = (0.05, 0.1, 0.2)


# -- designs and learners ------------------------------------------------------------------------


def _mean(design, z):
    """The true mean loss at attributes."""
    if design == "null":
        return np.full(len(z), 0.1)
    return 0.1 + 0.4 * (z[:, 0] > 0.8) if design == "planted" else 0.05 + 0.3 * z[:, 0]


def _worst_mean(design, share):
    """The mean loss of the worst share, for shares up to 0.2."""
    return {"null": 0.1, "planted": 0.5, "slope": 0.05 + 0.3 * (1 - share / 2)}[design]


def _oracle_width(design, n, share):
    """Distance of the normal bound from the truth where mu and eta are known and just the share is chosen."""
    z = (np.arange(100_000) + 0.5)[:, None] / 100_000
    mean = np.sort(_mean(design, z))[::-1][: round(share * len(z))]
    eta = mean[-1]
    first, second = (mean - eta).mean(), (mean * (1 - eta) ** 2 + (1 - mean) * eta**2).mean() / share
    return 1.6449 * math.sqrt((second - first**2) / n)


def forest(z, losses):
    """The forest of the pilot."""
    model = RandomForestRegressor(60, min_samples_leaf=max(20, len(z) // 60), random_state=0)
    return model.fit(z, losses).predict


def boosting(z, losses):
    """Shallow boosted trees, for many rows."""
    model = HistGradientBoostingRegressor(
        max_iter=40, max_leaf_nodes=8, min_samples_leaf=max(20, len(z) // 60), random_state=0
    )
    return model.fit(z, losses).predict


def _remembered(fit_mean):
    """The same learner, which fits and predicts once for the same rows: shares of one draw have fits in common."""
    fits = {}

    def fit(z, losses):
        key = losses.tobytes()
        if key not in fits:
            predict, seen = fit_mean(z, losses), {}
            fits[key] = lambda rows: seen.setdefault(len(rows), predict(rows))
        return fits[key]

    return fit


def grid(design, n, d, learner, draws):
    """For each share: coverage, the bound's mean distance from the truth over the oracle's, and the estimate's bias."""
    found = {share: [] for share in SHARES}
    for i in range(draws):
        rng = np.random.default_rng([i, n, d])
        z = rng.random((n, d))
        losses = (rng.random(n) < _mean(design, z)).astype(float)
        fit_mean = _remembered(learner)
        for share in SHARES:
            one = worst_subpopulation(losses, z, share=share, fit_mean=fit_mean, seed=i)
            found[share].append((one.estimate, one.high))
    table = {}
    for share, rows in found.items():
        (estimate, high), truth = np.mean(rows, axis=0), _worst_mean(design, share)
        held = np.mean([row[1] >= truth for row in rows])
        table[share] = (held, (high - truth) / _oracle_width(design, n, share), estimate - truth)
    return table


# -- the promise ---------------------------------------------------------------------------------


def test_bounds_hold_and_are_short_on_few_draws():
    least = 0.95 - 2 * math.sqrt(0.95 * 0.05 / 10)
    for design in ("null", "planted"):
        for held, width, _ in grid(design, 1000, 2, boosting, 10).values():
            assert held >= least
            assert width <= 2.5  # a mean of ten


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 8])
@pytest.mark.parametrize(("n", "learner"), [(500, forest), (1000, forest), (4000, boosting)])
@pytest.mark.parametrize("design", ["null", "planted"])
def test_bounds_hold_and_are_about_twice_as_far_as_the_oracles_at_most(design, n, learner, d):
    least = 0.95 - 2 * math.sqrt(0.95 * 0.05 / 200)
    table = grid(design, n, d, learner, 200)
    assert min(held for held, _, _ in table.values()) >= least, table
    for share, (_, width, _) in table.items():
        # A share of 25 rows is the least that may be asked for: measured 2.1.
        assert width <= (2.0 if share * n > 25 else 2.2), table


# -- what it is made of --------------------------------------------------------------------------


def _knowing(design):
    return lambda z, losses: lambda rows: _mean(design, rows)


@pytest.mark.parametrize("design", ["planted", "slope"])
def test_estimate_with_the_true_means_is_unbiased(design):
    draws = [
        worst_subpopulation(
            (rng.random(800) < _mean(design, z)).astype(float), z, share=0.1, fit_mean=_knowing(design), seed=i
        )
        for i in range(60)
        for rng in [np.random.default_rng([3, i])]
        for z in [rng.random((800, 1))]
    ]
    estimates = np.array([found.estimate for found in draws])
    assert estimates.mean() == pytest.approx(_worst_mean(design, 0.1), abs=3 * estimates.std() / math.sqrt(60))
    assert np.mean([found.members.mean() for found in draws]) == pytest.approx(0.1, abs=0.005)


def test_a_learner_that_remembers_finds_nothing_where_there_is_nothing():
    # On rows that it was fitted on, the nearest row's own loss would make the worst tenth lose 1.
    def nearest(z, losses):
        return lambda rows: losses[np.abs(rows[:, :1] - z[:, 0]).argmin(axis=1)]

    rng = np.random.default_rng(0)
    z, losses = rng.random((600, 1)), (rng.random(600) < 0.1).astype(float)
    found = worst_subpopulation(losses, z, share=0.1, fit_mean=nearest)
    assert found.estimate == pytest.approx(0.1, abs=0.1)


def test_no_row_is_judged_by_a_learner_that_has_seen_it():
    rng = np.random.default_rng(1)
    z, losses = rng.random((200, 1)), rng.random(200)
    fitted = []

    def spy(rows, values):
        fitted.append(set(rows[:, 0]))
        return lambda rows: np.full(len(rows), float(len(fitted)))

    worst_subpopulation(losses, z, share=0.2, fit_mean=spy, folds=4)
    assert len(fitted) == 8
    left_out = [set(z[:, 0]) - seen for seen in fitted[:4]]
    assert sum(len(part) for part in left_out) == 200
    assert set().union(*left_out) == set(z[:, 0])
    assert [set(z[:, 0]) - seen for seen in fitted[4:]] == left_out


def test_bound_is_gaffkes_of_the_influences_and_what_is_unfound():
    # A learner that knows nothing: calibration is flat, a random fifth is chosen, nothing can be unfound.
    rng = np.random.default_rng(2)
    losses = (rng.random(300) < 0.2).astype(float)
    found = worst_subpopulation(losses, np.zeros((300, 1)), share=0.2, fit_mean=lambda z, y: lambda z: np.zeros(len(z)))
    mean = losses.mean()
    influence = mean + found.members * (losses - mean) / 0.2
    assert found.estimate == pytest.approx(influence.mean())
    bound = gaffke_upper(influence, greatest=mean + (1 - mean) / 0.2, delta=0.025)
    assert found.high == pytest.approx(bound + found.unfound)
    assert found.mean == pytest.approx(mean)


def test_what_is_unfound_grows_as_the_learner_gets_worse():
    rng = np.random.default_rng(4)
    z = rng.random((1500, 6))
    losses = (rng.random(1500) < _mean("planted", z)).astype(float)

    def blurred(scale):
        noise = np.random.default_rng(0)
        return lambda z, y: lambda rows: _mean("planted", rows) + scale * noise.normal(size=len(rows))

    sharp, dull = (worst_subpopulation(losses, z, share=0.2, fit_mean=blurred(s)) for s in (0.01, 0.3))
    assert dull.estimate < sharp.estimate
    assert sharp.unfound < 0.05 < dull.unfound


def test_calibration_rises_with_the_predictions_and_keeps_the_mean():
    rng = np.random.default_rng(5)
    predicted = rng.random(300)
    losses = (rng.random(300) < predicted).astype(float)
    truth = subpopulation._calibrated(predicted, losses, rng.random(300))
    assert truth.mean() == pytest.approx(losses.mean())
    assert (np.diff(truth[np.argsort(predicted)]) >= -1e-12).all()


@pytest.mark.parametrize("binary", [True, False])
def test_drawn_losses_have_the_means_they_were_drawn_from(binary):
    rng = np.random.default_rng(6)
    truth = np.sort(rng.uniform(0.1, 0.9, size=4000))
    losses = (rng.random(4000) < truth).astype(float) if binary else truth * rng.exponential(size=4000)
    drawn = np.array([subpopulation._drawn(losses, truth, rng, binary=binary) for _ in range(60)])
    assert np.isin(drawn, (0.0, 1.0)).all() == binary
    halves = drawn.mean(axis=0).reshape(2, 2000).mean(axis=1)
    assert halves == pytest.approx(truth.reshape(2, 2000).mean(axis=1), abs=0.05)


def test_same_seed_same_answer_and_skewed_losses_have_a_bound():
    rng = np.random.default_rng(7)
    z = rng.random((400, 2))
    losses = np.where(z[:, 0] > 0.8, 2.0, 0.5) * rng.exponential(size=400)
    one, two = (worst_subpopulation(losses, z, share=0.1, fit_mean=_knowing("slope"), seed=3) for _ in range(2))
    assert (one.high, one.unfound) == (two.high, two.unfound)
    assert one.estimate < one.high <= losses.max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": np.where(np.arange(200) == 7, np.nan, 0.0)}, "row 7 has loss nan"),
        ({"attributes": np.zeros((199, 2))}, r"attributes \(199, 2\)"),
        ({"share": 0.04}, "need 50 rows and 10 in the share"),
        ({"share": 1.0}, "share is 1.0"),
        ({"level": 0.5}, "level 0.5"),
        ({"folds": 21}, "folds is 21, need 2 to 20"),
        ({"greatest": 0.5}, "above the greatest 0.5"),
        ({"fit_mean": lambda z, y: lambda z: np.full(len(z), np.nan)}, "fit_mean predicts nan for row 0"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"losses": np.tile([0.0, 1.0], 100), "attributes": np.zeros((200, 2)), "share": 0.1}
    given |= {"fit_mean": _knowing("null"), **change}
    with pytest.raises(DataError, match=message):
        worst_subpopulation(given.pop("losses"), given.pop("attributes"), **given)
