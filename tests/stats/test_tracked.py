"""Tracked radii: the paper's recursion, the long-run promise for any sequence, late labels, and a feed that wakes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwild.errors import DataError
from mlwild.stats.tracked import Tracked


def _run(tracked, scores, late=1):
    """Return which were missed and the radii; every label comes `late` - 1 rows after its row."""
    promised, missed = [], []
    for row, score in enumerate(scores):
        promised.append(tracked.radius())
        missed.append(score > promised[-1])
        if row - late + 1 >= 0:
            tracked.feed(scores[row - late + 1], promised[row - late + 1])
    return np.array(missed), np.array(promised)


def _worst(missed, window=500):
    sums = np.cumsum(np.concatenate([[0], missed]))
    return 1 - (sums[window:] - sums[:-window]).max() / window


def test_while_the_window_can_show_what_is_asked_it_is_the_paper_in_a_plain_loop():
    rng = np.random.default_rng(0)
    scores = rng.exponential(size=2300)
    tracked, a, window = Tracked(scores[:300], window=300), 0.1, list(scores[:300])
    for score in scores[300:]:
        assert 0 < a < 1
        expected = np.sort(window)[math.ceil(301 * (1 - a) - 1e-9) - 1] if 301 * (1 - a) <= 300 else max(window)
        promised = tracked.radius()
        assert promised == expected
        assert tracked.feed(score, promised) == (score <= promised)
        a += 0.02 * (0.1 - (score > promised))
        window = [*window[1:], score]
        assert tracked.missed == pytest.approx(a, abs=1e-12)


def test_beyond_what_the_window_can_show_the_radius_doubles_and_halves():
    tracked = Tracked([1.0, 2.0, 4.0], rate=0.02)
    tracked.missed = -0.04
    assert tracked.radius() == pytest.approx(16.0)  # two steps below: 4 x 2 x 2
    tracked.missed = 1.06
    assert tracked.radius() == pytest.approx(1 / 8)
    late = Tracked([1.0, 2.0, 4.0], rate=0.02, lag=4)  # a step of .01, told of four times before it has shown
    late.missed = -0.04
    assert late.radius() == pytest.approx(8.0)
    assert Tracked().radius() == math.inf
    huge = Tracked([1e300])
    huge.missed = -20.0
    assert huge.radius() == np.finfo(float).max
    huge.missed = 30.0
    assert huge.radius() == 0.0
    still = Tracked([0.0, 0.0, 3.0, 0.0, 0.0], window=2)
    still.missed = -0.02
    assert still.radius() == pytest.approx(6.0)  # of a window of zeros, the last score above 0


def test_worst_and_mean_are_those_of_all_that_was_fed():
    rng = np.random.default_rng(1)
    scores = np.abs(np.cumsum(rng.normal(size=1500)))
    tracked = Tracked(np.arange(1.0, 51.0), window=50)
    assert math.isnan(tracked.mean)
    missed = []
    for row, score in enumerate(scores):
        promised = tracked.radius()
        missed.append(not tracked.feed(score, promised))
        assert tracked.mean == pytest.approx(1 - np.mean(missed))
        assert math.isnan(tracked.worst) if row < 49 else tracked.worst == pytest.approx(_worst(missed, 50))


# -- the promise, for any sequence --------------------------------------------------------------------------------


def _allowed(tracked, outcomes, least, greatest):
    span = math.log2(greatest / least) + 2
    step = tracked.rate / math.sqrt(tracked.lag)
    over = 0.1 * outcomes + 0.1 / step + tracked.lag * span
    return over, 0.1 * outcomes - 0.9 / step - tracked.lag * span


def _greedy(tracked, rng, n, least, greatest):
    """An adversary who sees each radius: just outside as long as it can, else as small as can be."""
    for _ in range(n):
        promised = tracked.radius()
        outside = math.nextafter(promised, math.inf)
        tracked.feed(float(outside if least <= outside <= greatest else least), promised)


def _hiding(tracked, rng, n, least, greatest):
    """Small until the window has forgotten all else, then as far out as can be, over and over."""
    for row in range(n):
        small = row % (tracked.window + 40) < tracked.window
        tracked.feed(least if small else greatest, tracked.radius())


def _falling(tracked, rng, n, least, greatest):
    """Ever smaller, so that each lies within all that was seen."""
    for score in np.geomspace(greatest, least, n):
        tracked.feed(float(score), tracked.radius())


def _rising(tracked, rng, n, least, greatest):
    for score in np.geomspace(least, greatest, n):
        tracked.feed(float(score), tracked.radius())


def _wild(tracked, rng, n, least, greatest):
    for score in np.exp(rng.uniform(math.log(least), math.log(greatest), n) * (rng.random(n) < rng.random())):
        tracked.feed(float(min(max(score, least), greatest)), tracked.radius())


@pytest.mark.parametrize("window", [20, 500])
@pytest.mark.parametrize("foe", [_greedy, _hiding, _falling, _rising, _wild])
def test_misses_are_as_promised_whatever_comes(foe, window):
    rng = np.random.default_rng(2)
    for least, greatest in ((1.0, 8.0), (1e-9, 1.0), (1e-300, 1e300)):
        for n in (100, 3000):
            tracked = Tracked(rng.uniform(least, min(greatest, 2 * least), 5), window=window)
            foe(tracked, rng, n, least, greatest)
            most, fewest = _allowed(tracked, n, least, greatest)
            assert tracked.misses <= most
            if foe in {_falling, _rising}:  # no score ties with its radius or fills the window
                assert tracked.misses >= fewest
            assert -0.02 * (math.log2(greatest / least) + 2) <= tracked.missed


@settings(max_examples=80, deadline=None)
@given(
    scores=st.lists(st.sampled_from([0.0, 0.0, 1.0, 1.5, 8.0]) | st.floats(1, 8), min_size=1, max_size=400),
    lag=st.integers(1, 40),
    seed=st.integers(0, 10**6),
)
def test_late_labels_in_any_order_with_zeros_keep_the_promise_at_every_time(scores, lag, seed):
    rng = np.random.default_rng(seed)
    tracked, waiting = Tracked([1.0], lag=lag, window=30), []
    for row, score in enumerate(scores):
        waiting.append((score, tracked.radius(), row))
        # At most lag - 1 others between a radius and its own outcome: the oldest goes when it must, else any.
        if len(waiting) >= (lag + 1) // 2:
            place = 0 if row - waiting[0][2] >= lag - 1 else int(rng.integers(len(waiting)))
            fed, promised, _ = waiting.pop(place)
            assert tracked.feed(fed, promised) == (fed <= promised)
        assert tracked.misses <= _allowed(tracked, tracked.outcomes, 1.0, 8.0)[0]


@settings(max_examples=80, deadline=None)
@given(
    scores=st.lists(st.sampled_from([1.0, 1.5, 8.0]) | st.floats(1, 8), min_size=100, max_size=600),
    lags=st.lists(st.integers(1, 40), min_size=1, max_size=6),
)
def test_labels_that_come_ever_later_keep_the_promise_of_the_last_step(scores, lags):
    tracked, waiting = Tracked([1.0], window=30), []
    for row, score in enumerate(scores):
        tracked.wait(lags[row * len(lags) // len(scores)])
        waiting.append((score, tracked.radius()))
        while len(waiting) >= tracked.lag:
            tracked.feed(*waiting.pop(0))
        step = min(tracked.rate / math.sqrt(tracked.lag), 1 / math.e / tracked.lag)
        assert tracked.misses <= 0.1 * tracked.outcomes + 0.1 / step + tracked.lag * (math.log2(8.0) + 2)
    assert tracked.lag == max(lags)


def test_what_waits_for_later_labels_is_where_it_would_be_had_they_always_been_as_late():
    tracked, other = Tracked([1.0, 2.0, 4.0], lag=3), Tracked([1.0, 2.0, 4.0], lag=30)
    for at in range(20):
        for one in (tracked, other):
            one.feed(9.0 if at % 6 == 0 else 1.0, 4.0)
    tracked.wait(30)
    tracked.wait(7)
    assert (tracked.lag, tracked.missed) == (30, pytest.approx(other.missed))
    assert (tracked.radius(), tracked.mean) == (other.radius(), other.mean)
    before = other.missed
    for one in (tracked, other):
        one.feed(9.0, 4.0)
    assert tracked.missed == pytest.approx(other.missed)
    assert other.missed == pytest.approx(before - 0.9 * 0.02 / math.sqrt(30))


def test_a_burst_after_zeros_with_late_labels_is_not_missed_over_and_over():
    # A window of zeros cannot be widened; the last score above 0 can.
    scores = ([0.0] * 60 + [1.0] * 30) * 40
    missed, radii = _run(Tracked([0.0] * 50, window=50, lag=30), scores, late=30)
    assert missed.mean() <= 0.1 + 0.1 / (0.02 / math.sqrt(30)) / 3600 + 30 * 2 / 3600
    assert np.isfinite(radii).all()


def test_steady_scores_are_covered_as_stated_and_scores_in_sets_too():
    # 20 runs of 4,000 rows; a run's share is off by a / (g T) = .0125 at most, and by far less in the mean.
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(20):
        tracked = Tracked(rng.beta(1, 4, 500))  # such as 1 - p(y)
        _run(tracked, rng.beta(1, 4, 4000))
        shares.append(tracked.mean)
        assert tracked.worst > 0.85
    assert np.mean(shares) == pytest.approx(0.9, abs=0.003)


def test_what_cannot_be_is_refused():
    for wrong in ({"level": 1.0}, {"rate": 0.0}):
        with pytest.raises(DataError, match="between 0 and 1"):
            Tracked(**wrong)
    for wrong in ({"window": 0}, {"lag": 0}):
        with pytest.raises(DataError, match="need 1 at least"):
            Tracked(**wrong)
    for score in (-1.0, math.nan, math.inf):
        with pytest.raises(DataError, match="a score is"):
            Tracked([score])
        with pytest.raises(DataError, match="a score is"):
            Tracked().feed(score, 1.0)
    for promised in (-1.0, math.nan):
        with pytest.raises(DataError, match="promised is"):
            Tracked().feed(1.0, promised)


# -- a feed that stands still and wakes ---------------------------------------------------------------------------

STILL, ROWS, CALIBRATION = 17_424, 45_312, 3_000


def _prices(seed):
    """
    Return half-hourly prices with the trait of Elec2's VIC price: constant for 17,424 of 45,312 rows, then moving.

    Then the logarithm is an AR(1) with volatility that clusters, a daily cycle and a drift; 1 row in 500 is a spike.
    """
    rng = np.random.default_rng(seed)
    n = ROWS - STILL
    noise, x, variance = rng.normal(size=n), np.zeros(n), 1.0
    for i in range(2, n):
        variance = 0.02 + 0.18 * (x[i - 1] - 0.97 * x[i - 2]) ** 2 + 0.8 * variance
        x[i] = 0.97 * x[i - 1] + 0.3 * math.sqrt(min(variance, 25.0)) * noise[i]
    drift = np.cumsum(rng.normal(size=n)) * 0.002
    price = 0.0038 * np.exp(0.5 * x / x.std() + 0.3 * np.sin(np.arange(n) * np.pi / 24) + drift)
    price *= np.where(rng.random(n) < 0.002, rng.uniform(3, 30, n), 1.0)
    return np.concatenate([np.full(STILL, 0.003467), price])


def _errors(prices):
    """Return absolute errors of an AR(3) by least squares on the first 3,000 rows: of those, and of the others."""
    past = np.column_stack([np.ones(len(prices) - 3), prices[2:-1], prices[1:-2], prices[:-3]])
    known = CALIBRATION - 3
    weights, *_ = np.linalg.lstsq(past[:known], prices[3:CALIBRATION], rcond=None)
    errors = np.abs(prices[3:] - past @ weights)
    return errors[:known].tolist(), errors[known:].tolist()


def _split_conformal(calibration, scores):
    radius = np.sort(calibration)[math.ceil((len(calibration) + 1) * 0.9) - 1]
    return np.asarray(scores) > radius


def _quantile_pi(scores, rate=0.1, memory=500):
    """
    Quantile tracking with an integral term (Angelopoulos et al. 2023), in units of the last scores' greatest.

    The saturation is the paper's, with the constants of its guidance for miscoverage within .01 after 20,000 rows.
    """
    saturation = 2 / math.pi * (math.ceil(math.log(20_000) * 0.01) - 1 / math.log(20_000))
    radius, owed, missed, promises = 0.0, 0.0, [], []
    for row, score in enumerate(scores):
        unit = max(scores[max(0, row - memory) : row], default=0.0)
        argument = owed * math.log(row + 1) / (saturation * (row + 1))
        push = math.tan(argument) if abs(argument) < math.pi / 2 else math.copysign(1e6, argument)
        promises.append(radius + unit * push)
        missed.append(score > promises[-1])
        radius += rate * unit * (missed[-1] - 0.1)
        owed += missed[-1] - 0.1
    return np.array(missed), np.array(promises)


def _dtaci(calibration, scores, window=500):
    """Dynamically tuned ACI (Gibbs and Candes 2024): eight rates, exponential weights on the pinball loss."""
    rates = 0.001 * 2.0 ** np.arange(8)
    horizon, share = 100, 1 / 200
    spread = (0.9**2 * 0.1**3 + 0.1**2 * 0.9**3) / 3
    eta = math.sqrt(3 / horizon) * math.sqrt((math.log(8 * horizon) + 2) / spread)
    a, weights, seen, missed, promises = np.full(8, 0.1), np.full(8, 1 / 8), list(calibration[-window:]), [], []
    for score in scores:
        rows = np.sort(seen)
        mean = float(weights @ a)
        radius = math.inf if mean <= 0 else rows[min(math.ceil((window + 1) * (1 - min(mean, 1.0))), window) - 1]
        missed.append(score > radius)
        promises.append(radius)
        beta = (rows >= score).mean()  # the greatest miscoverage that would have covered
        loss = 0.1 * (beta - a) - np.minimum(beta - a, 0.0)
        weights = weights * np.exp(-eta * loss)
        weights = (1 - share) * weights / weights.sum() + share / 8
        a = a + rates * (0.1 - (a > beta))
        seen = [*seen[1:], score]
    return np.array(missed), np.array(promises)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_feed_that_wakes_breaks_a_fixed_radius_and_not_a_tracked_one(seed):
    calibration, scores = _errors(_prices(seed))
    fixed = _split_conformal(calibration, scores)
    assert 1 - fixed.mean() == pytest.approx(0.341, abs=0.001)  # the 14,424 rows that stand still, and no other
    assert _worst(fixed) == 0.0
    tracked = Tracked(calibration)
    missed, radii = _run(tracked, scores)
    still, moving = missed[: STILL - CALIBRATION], missed[STILL - CALIBRATION :]
    assert not still.any()  # a width of nothing is right there, and none is missed to make up the average
    assert 1 - moving.mean() == pytest.approx(0.9, abs=0.005)
    assert tracked.worst == pytest.approx(_worst(missed))
    assert tracked.worst >= 0.8
    assert np.isfinite(radii).all()


@pytest.mark.parametrize("late", [48, 336])
def test_a_feed_that_wakes_with_late_labels_is_covered_as_stated_too(late):
    calibration, scores = _errors(_prices(0))
    tracked = Tracked(calibration, lag=late)
    missed, radii = _run(tracked, scores, late=late)
    moving = missed[STILL - CALIBRATION :]
    assert 1 - moving.mean() == pytest.approx(0.9, abs=0.005)
    # Nobody knows of the change before the first label comes: so many rows of some window are lost in any case.
    assert _worst(missed) >= 1 - late / 500 - 0.2
    assert _worst(moving[1000:]) >= 0.6
    assert np.isfinite(radii).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rivals_pay_for_their_worst_window_with_sets_that_say_nothing(seed):
    # Coverage once the feed moves, worst window, radius in the median (in thousandths), over seeds 0, 1 and 2:
    # tracked .900, .852-.860, 2.3-2.4; DtACI .906-.908, .870-.880, 2.0-2.1 and 5 % of sets infinite; quantile PI with
    # the paper's rate .896-.898, .860-.872, 2.6-2.8, 1 % of sets empty, and 10 % missed while nothing moves.
    calibration, scores = _errors(_prices(seed))
    moving = slice(STILL - CALIBRATION, None)
    ours, radii = _run(Tracked(calibration), scores)
    tuned, tuned_radii = _dtaci(calibration, scores)
    tracking, tracking_radii = _quantile_pi(scores)
    assert _worst(ours) >= max(_worst(tuned), _worst(tracking)) - 0.04
    assert abs(ours[moving].mean() - 0.1) <= min(abs(found[moving].mean() - 0.1) for found in (tuned, tracking))
    assert np.isinf(tuned_radii[moving]).mean() > 0.03
    assert (tracking_radii[moving] < 0).mean() > 0.003
    assert tracking[: moving.start].mean() > 0.08
    assert np.median(radii[moving]) < np.median(tracking_radii[moving])
