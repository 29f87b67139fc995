"""Whose promise is followed, and whether the intervals around it hold: histories made of numbers, no triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mlwild import splits
from mlwild.auditions.intervals import Learned, conformal_bounds
from mlwild.auditions.splits import _followed
from mlwild.stats.conformal import AdaptiveConformal

SCHEMES = splits.standard()
DEFAULT = [scheme.name for scheme in SCHEMES].index(splits.DEFAULT.name)


@dataclass
class Made:
    made: np.ndarray
    cutoffs: tuple[int, ...]
    schemes: tuple = SCHEMES


def _history(promised, came, delay=1):
    """Promises of one procedure by scheme and cutoff, and what was known of them `delay` cutoffs later."""
    n = len(came)
    known = np.arange(n)[None, :] <= np.arange(n + 1)[:, None] - delay
    outcomes = np.where(known, came, np.nan)
    return Made(promised[:, None, :], tuple(range(n))), Learned(outcomes, np.zeros(n + 1))


def _exchangeable(rng, n=40):
    """Schemes that are equally good, with errors of their own."""
    return 5.0 + rng.normal(size=(len(SCHEMES), n)), 5.0 + 0.5 * rng.normal(size=n)


def _kept(learned, promised, came):
    bounds = conformal_bounds(learned, promised, float("nan"), level=0.9, least=-np.inf)
    judged = ~np.isnan(bounds.low)
    return ((bounds.low <= came) & (came <= bounds.high))[judged]


def test_the_default_is_left_as_seldom_as_stated_where_no_scheme_is_better():
    # 100 histories of 40 cutoffs: at most .05 plus three standard errors (.065).
    rng = np.random.default_rng(0)
    left = 0
    for _ in range(100):
        made, learned = _history(*_exchangeable(rng))
        left += (_followed(made, learned) != DEFAULT).any()
    assert left / 100 <= 0.115


def test_a_better_scheme_is_followed_from_when_it_was_known_to_be_so():
    rng = np.random.default_rng(1)
    promised, came = _exchangeable(rng, 60)
    better = (DEFAULT + 3) % len(SCHEMES)
    promised[better] = came + 0.05 * rng.normal(size=60)
    made, learned = _history(promised, came, delay=5)
    followed = _followed(made, learned)
    assert (followed[:13] == DEFAULT).all()  # eight outcomes are known at cutoff 12 (of cutoffs 0 to 7)
    assert followed[-1] == better
    first = int(np.flatnonzero(followed == better)[0])
    assert (followed[first:] == better).all()
    # what comes later changes nothing that was decided earlier
    promised[:, 40:] += 100.0
    assert (_followed(*_history(promised, came, delay=5))[:45] == followed[:45]).all()


def test_schemes_that_never_promise_or_begin_late_do_not_stand_in_the_way():
    rng = np.random.default_rng(2)
    promised, came = _exchangeable(rng, 60)
    others = [place for place in range(len(SCHEMES)) if place != DEFAULT]
    promised[others[0]] = np.nan
    promised[others[1], :10] = np.nan
    promised[others[2]] = came + 0.05 * rng.normal(size=60)
    followed = _followed(*_history(promised, came))
    assert followed[-1] == others[2]


def test_intervals_of_what_is_followed_hold_and_those_of_the_luckiest_scheme_do_not():
    # 200 histories of 40 cutoffs, twelve schemes that are equally good: 200 x 36 intervals. They share nothing but
    # what came, so three standard errors are about .011. He who takes, at each cutoff, the scheme with the least
    # error so far and the interval of its own record is promised .9 and gets less: its errors were small by luck.
    rng = np.random.default_rng(3)
    ours, lucky = [], []
    for _ in range(200):
        promised, came = _exchangeable(rng)
        made, learned = _history(promised, came)
        at = _followed(made, learned)[:-1]
        ours.append(_kept(learned, promised[at, np.arange(40)], came))
        errors = came - promised
        for k in range(8, 40):
            best = int(np.abs(errors[:, :k]).mean(axis=1).argmin())
            low, high = AdaptiveConformal(0.9).around(promised[best, k], errors[best, :k])
            lucky.append(low <= came[k] <= high)
    assert np.concatenate(ours).mean() == pytest.approx(0.9, abs=0.02)
    assert np.mean(lucky) < 0.87


def test_a_promise_is_judged_by_what_its_period_came_to_when_it_had_settled():
    came = np.arange(12.0)
    _, learned = _history(np.zeros((len(SCHEMES), 12)), came, delay=2)
    bounds = conformal_bounds(learned, came - 0.1, 11.9, level=0.9, least=0.0)
    assert np.isnan(bounds.low[:5]).all()  # four outcomes are known at cutoff 5 (of cutoffs 0 to 3)
    assert bounds.low[5:] == pytest.approx(came[5:])
    assert (bounds.next_low, bounds.next_high) == pytest.approx((12.0, 12.0))
