"""Worst groups: exact bounds where they exist, and the chance that all bounds hold at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from mlwild.errors import DataError
from mlwild.stats.bounds import clopper_pearson_upper
from mlwild.stats.gaffke import gaffke_upper
from mlwild.stats.worst import worst_groups

SIZES = np.array([30, 30, 60, 120, 300, 700, 2000])
#: Laws of a loss, and their means.
LAWS = {
    "error 0.1": (lambda rng, n: (rng.random(n) < 0.1).astype(float), 0.1),
    "error 0.02": (lambda rng, n: (rng.random(n) < 0.02).astype(float), 0.02),
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal": (lambda rng, n: rng.lognormal(size=n), math.exp(0.5)),
    "beta": (lambda rng, n: rng.beta(0.5, 5, size=n), 1 / 11),
}


def _least(draws, level=0.95):
    """The level less two Monte Carlo standard errors."""
    return level - 2 * math.sqrt(level * (1 - level) / draws)


def all_hold(law, sizes, draws):
    """Share of draws in which the bounds of all groups hold."""
    make, mean = LAWS[law]
    group = np.repeat(np.arange(len(sizes)), sizes)
    held = 0
    for i in range(draws):
        found = worst_groups(make(np.random.default_rng([i, len(sizes)]), len(group)), group)
        held += (found.highs >= mean).all()
    return held / draws


@pytest.mark.parametrize("law", LAWS)
def test_all_bounds_hold_at_once(law):
    assert all_hold(law, SIZES[:5], 40) >= _least(40)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sizes", [SIZES, np.full(8, 30), np.array([30, 60])], ids=["mixed", "small", "two"])
def test_all_bounds_hold_at_once_long(law, sizes):
    assert all_hold(law, sizes, 500) >= _least(500)


def periods_hold(law, n_periods, rho, draws):
    """Share of draws in which all bounds hold where periods shock all groups alike and neighbours are alike."""
    shares = np.array([0.005, 0.01, 0.02, 0.05, 0.115, 0.3, 0.5])
    size, spread, held = 4000, 0.3, 0
    for i in range(draws):
        rng = np.random.default_rng([i, n_periods, int(10 * rho)])
        shock = lfilter([1.0], [1.0, -rho], rng.normal(size=n_periods + 50) * math.sqrt(1 - rho**2))[50:]
        group, period = rng.choice(7, size, p=shares), np.sort(rng.integers(0, n_periods, size))
        mean = 0.1 * np.exp(spread * shock)[period]
        losses = (rng.random(size) < mean).astype(float) if law == "error" else rng.exponential(size=size) * mean
        found = worst_groups(losses, group, blocks=period)
        held += (found.highs >= 0.1 * math.exp(spread**2 / 2)).all()
    return held / draws


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("law", ["error", "exponential"])
def test_all_bounds_hold_at_once_where_rows_of_a_period_share_a_shock(law, rho):
    assert periods_hold(law, 30, rho, 20) >= _least(20)


@pytest.mark.slow
@pytest.mark.parametrize("n_periods", [20, 50])
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("law", ["error", "exponential"])
def test_all_bounds_hold_at_once_where_rows_of_a_period_share_a_shock_long(law, rho, n_periods):
    assert periods_hold(law, n_periods, rho, 400) >= _least(400)


def test_without_blocks_shared_shocks_break_the_promise():
    # Why blocks are asked for: rows of a period are not independent.
    held = 0
    for i in range(60):
        rng = np.random.default_rng(i)
        period, group = np.repeat(np.arange(30), 200), np.tile([0, 1], 3000)
        mean = 0.1 * np.exp(0.4 * rng.normal(size=30))[period]
        found = worst_groups((rng.random(6000) < mean).astype(float), group)
        held += (found.highs >= 0.1 * math.exp(0.08)).all()
    assert held / 60 < 0.8


def test_bounds_are_clopper_and_pearsons_shared_among_the_groups():
    rng = np.random.default_rng(0)
    losses, group = (rng.random(400) < 0.2).astype(float), rng.integers(0, 5, 400)
    found = worst_groups(losses, group, level=0.9)
    for name, estimate, high, n in zip(found.names, found.estimates, found.highs, found.n, strict=True):
        rows = losses[group == name]
        assert (estimate, n) == (pytest.approx(rows.mean()), len(rows))
        assert high == pytest.approx(clopper_pearson_upper(int(rows.sum()), len(rows), 0.02))
    assert found.worst == int(np.argmax(found.highs))
    assert found.worst_seen == int(np.argmax(found.estimates))
    assert (found.searched, found.level) == (5, 0.9)


def test_other_losses_get_gaffkes_bound_with_the_greatest_loss_of_all_rows():
    rng = np.random.default_rng(1)
    losses, group = rng.exponential(size=90), np.repeat(["a", "b"], [30, 60])
    found = worst_groups(losses, group)
    assert found.names == ("a", "b")
    assert found.highs[0] == pytest.approx(gaffke_upper(losses[:30], greatest=losses.max(), delta=0.025))
    wider = worst_groups(losses, group, greatest=50.0)
    assert (wider.highs > found.highs).all()


def test_worst_by_bound_may_differ_from_worst_by_estimate():
    losses = np.repeat([1.0, 0.0, 1.0, 0.0], [400, 600, 3, 7])
    found = worst_groups(losses, np.repeat([0, 1], [1000, 10]))
    assert (found.worst_seen, found.worst) == (0, 1)


def test_overlapping_groups_are_those_of_their_rows():
    rng = np.random.default_rng(2)
    losses = (rng.random(300) < 0.3).astype(float)
    members = rng.random((300, 3)) < 0.4
    found = worst_groups(losses, members)
    for k in range(3):
        assert found.estimates[k] == pytest.approx(losses[members[:, k]].mean())
    assert (found.names, found.n.tolist()) == ((0, 1, 2), members.sum(axis=0).tolist())


def test_weights_move_the_estimate_and_widen_the_bound():
    losses, group = np.tile([0.0, 0.0, 1.0], 40), np.zeros(120)
    weights = np.tile([1.0, 3.0, 1.0], 40)
    found = worst_groups(losses, group, weights=weights)
    assert found.estimates[0] == pytest.approx(0.2)
    assert found.highs[0] == pytest.approx(gaffke_upper(losses, greatest=1.0, weights=weights))
    plain = worst_groups(np.repeat([1.0, 0.0], [24, 96]), group)
    assert found.highs[0] > plain.highs[0]


def test_blocks_of_equal_periods_change_little_and_shocked_ones_much():
    calm, wild = np.tile([0.0, 0.0, 1.0, 0.0], 300), np.repeat(np.tile([1.0, 0.0, 0.0, 0.0], 10), 30)
    periods, group = np.repeat(np.arange(40), 30), np.zeros(1200)
    alone = worst_groups(calm, group).highs[0]
    assert worst_groups(calm, group, blocks=periods).highs[0] == alone
    assert worst_groups(wild, group, blocks=periods).highs[0] > alone + 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": np.where(np.arange(40) == 3, np.nan, 0.0)}, "row 3 has loss nan"),
        ({"groups": np.zeros(39)}, r"groups have shape \(39,\) for 40 losses"),
        ({"weights": np.full(40, -1.0)}, "row 0 has weight -1.0"),
        ({"weights": np.repeat([1.0, 0.0], 20)}, "group 1 has no row with weight"),
        ({"groups": np.zeros((40, 2), dtype=bool)}, "group 0 has no row with weight"),
        ({"blocks": np.repeat(np.arange(4), 10)}, "blocks hold 4 periods, need 8"),
        ({"level": 0.3}, "level is 0.3"),
        ({"losses": np.full(40, 2.0), "greatest": 1.0}, "above the greatest value 1.0"),
        ({"losses": np.zeros(0)}, r"losses have shape \(0,\)"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"losses": np.zeros(40), "groups": np.repeat([0, 1], 20), **change}
    with pytest.raises(DataError, match=message):
        worst_groups(given.pop("losses"), given.pop("groups"), **given)
