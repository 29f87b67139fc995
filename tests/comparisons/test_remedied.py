"""Is a remedy worth having: verdicts, tries counted, and how often chance is taken for a remedy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, t

from mlwild.comparisons.remedied import Paired, judge, parted
from mlwild.errors import DataError

APART = np.repeat(np.arange(0, 24, 3), 40)  # eight periods of forty rows


def _pairs(shift, *, seed=0, noise=0.1, period=APART):
    """Return losses that the remedy changes by `shift` on average."""
    rng = np.random.default_rng(seed)
    before = rng.random(len(period))
    return Paired(before, before + shift + noise * rng.normal(size=len(period)), period)


@pytest.mark.parametrize(
    ("inside", "elsewhere", "verdict"),
    [
        (-0.2, 0.0, "recommended"),
        (-0.2, -0.1, "recommended"),
        (0.0, 0.0, "no difference"),
        (0.0, -0.1, "no difference"),
        (0.2, -0.1, "harmful"),
        (0.0, 0.1, "harmful"),
        (-0.2, 0.1, "recommended"),  # all rows together gain
        (-0.1, 0.2, "harmful"),  # all rows together lose
        (-0.1, 0.1, "harmful"),  # nobody can tell of all rows
    ],
)
def test_the_verdict_follows_the_intervals(inside, elsewhere, verdict):
    found = judge("remedy", _pairs(inside), _pairs(elsewhere, seed=1), tries=4)
    assert found["verdict"] == verdict, found["said"]
    assert found["said"].startswith(verdict.capitalize())
    assert found["slice"]["periods"] == 8
    assert found["all"]["n"] == 640
    for part in ("slice", "elsewhere", "all"):
        assert found[part]["low"] < found[part]["estimate"] < found[part]["high"]
        assert found[part]["estimate"] == pytest.approx(found[part]["after"] - found[part]["before"])


def test_intervals_are_those_of_bonferroni():
    pairs = _pairs(-0.01)
    for tries in (1, 7):
        found = judge("remedy", pairs, _pairs(0.0, seed=1), tries=tries, level=0.9)["slice"]
        means = (pairs.after - pairs.before).reshape(8, 40).mean(axis=1)
        radius = t.ppf(1 - 0.1 / (2 * tries), 7) * means.std(ddof=1) / np.sqrt(8)
        assert found["high"] - found["estimate"] == pytest.approx(radius)


def test_a_cost_that_is_not_known_is_not_recommended():
    few = Paired(np.ones(40), np.ones(40) + 0.1 * np.arange(40), np.zeros(40, int))
    found = judge("remedy", _pairs(-0.3), few)
    assert found["verdict"] == "no difference"
    assert "what it costs elsewhere cannot be told" in found["said"]
    same = Paired(np.ones(40), np.ones(40), np.zeros(40, int))
    unchanged = judge("remedy", _pairs(-0.3), same)
    assert unchanged["verdict"] == "recommended"
    assert "elsewhere nothing changes" in unchanged["said"]


def test_one_period_tells_nothing():
    found = judge("remedy", _pairs(-0.3, period=np.zeros(320, int)), _pairs(0.0, seed=1))
    assert found["verdict"] == "no difference"
    assert found["slice"]["low"] is None
    assert "it cannot be told what 'remedy' does to the slice: 1 period counts as 1.0" in found["said"]


def test_neighbouring_periods_are_not_taken_for_independent():
    side = np.repeat(np.arange(60), 10)
    found = judge("remedy", _pairs(-0.2, period=side), _pairs(0.0, seed=1, period=side))
    assert found["verdict"] == "recommended"
    assert "fixed-b" in found["slice"]["method"]
    slow = np.repeat(np.sin(np.arange(60) / 12), 10)  # one swing and a half: no evidence
    swinging = Paired(np.ones(600), np.ones(600) - 0.2 + slow, side)
    assert judge("remedy", swinging, _pairs(0.0, seed=1, period=side))["verdict"] == "no difference"


def test_weights_stand_for_rows():
    rng = np.random.default_rng(0)
    often = rng.integers(1, 6, 8)
    short = Paired(rng.random(8), rng.random(8), np.arange(0, 16, 2), often.astype(float))
    long = Paired(*(np.repeat(values, often) for values in (short.before, short.after, short.period)))
    one, other = (judge("remedy", pairs, pairs)["slice"] for pairs in (short, long))
    assert (one["estimate"], one["low"], one["before"]) == pytest.approx(
        (other["estimate"], other["low"], other["before"])
    )


def _recommended(draws, *, tries=7):
    """Return how often one of several remedies is recommended where labels of the slice are coin flips."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(draws):
        period = np.repeat(np.arange(0, 16, 2), rng.poisson(12, 8) + 1)
        n = len(period)
        before = (rng.random(n) < 0.5).astype(float)
        # What a remedy predicts anew is right or wrong by chance.
        after = [np.where(rng.random(n) < 0.4, rng.random(n) < 0.5, before).astype(float) for _ in range(tries)]
        same = Paired(before, before, period)
        found = [judge("remedy", Paired(before, lost, period), same, tries=tries) for lost in after]
        wrong += any(record["verdict"] == "recommended" for record in found)
    return wrong


def test_chance_is_seldom_recommended():
    draws = 100
    assert _recommended(draws) <= binom.ppf(0.999, draws, 0.05)


@pytest.mark.slow
def test_chance_is_seldom_recommended_over_many_draws():
    draws = 2000
    assert _recommended(draws) <= binom.ppf(0.999, draws, 0.05)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="no scored row lies in it"):
        parted(np.ones(2), np.ones(2), np.zeros(2, bool), np.zeros(2, int))
    with pytest.raises(DataError, match="no scored row lies outside of it"):
        parted(np.ones(2), np.ones(2), np.ones(2, bool), np.zeros(2, int))
    with pytest.raises(DataError, match="have shapes"):
        parted(np.ones(2), np.ones(3), np.ones(2, bool), np.zeros(2, int))
    with pytest.raises(DataError, match="tries is 0"):
        judge("remedy", _pairs(0.0), _pairs(0.0), tries=0)
    with pytest.raises(DataError, match="nan in row 0"):
        judge("remedy", Paired(np.ones(40), np.full(40, np.nan), np.arange(40)), _pairs(0.0))
