"""Radii that differ from row to row: what they promise, what they cost, and what they are good for."""

import math

import numpy as np
import pytest

from mlwild.guards.following import follow
from mlwild.stats.local_radii import FEWEST, LocalRadii, Radii
from mlwild.stats.tracked import Tracked
from tests.stats.test_tracked import CALIBRATION, STILL, _errors, _prices, _worst

N, KNOWN = 8000, 1000


def _run(rows, scores, known, *, late=1, **how):
    """Return which scores were missed and the radii of all rows after the known ones, asked one by one."""
    local = LocalRadii(lag=late, **how)
    local.learn(rows[:known], scores[:known].tolist())
    radii = np.zeros(len(rows))
    for row in range(known, len(rows)):
        radii[row] = local.radii(rows[row : row + 1])[0]
        told = row - late + 1
        if told >= known:
            local.feed(rows[told : told + 1], [scores[told]], [radii[told]])
    return (scores > radii)[known:], radii[known:]


def _plain(scores, known, *, late=1):
    tracked, radii = Tracked(scores[:known].tolist(), lag=late), np.zeros(len(scores))
    for row in range(known, len(scores)):
        radii[row] = tracked.radius()
        told = row - late + 1
        if told >= known:
            tracked.feed(float(scores[told]), float(radii[told]))
    return (scores > radii)[known:], radii[known:]


def _interval_score(scores, radii, level=0.9):
    """Mean width, and what lies outside of it at its price (Gneiting and Raftery 2007)."""
    return float((2 * radii + 2 / (1 - level) * np.maximum(scores - radii, 0)).mean())


def _scales(kind, rows):
    x = rows[:, 0]
    return {"even": np.ones(len(x)), "far": 1 + np.abs(x), "level": np.exp(x)}[kind]


@pytest.mark.parametrize("kind", ["even", "far", "level"])
def test_easy_and_hard_rows_are_covered_as_stated(kind):
    """7,000 outcomes, 1,400 a fifth: within four standard errors, and .02 for what a block mixes where it is linear."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(N, 3))
    scale = _scales(kind, rows)
    missed, _ = _run(rows, np.abs(rng.normal(size=N) * scale), KNOWN)
    assert abs(missed.mean() - 0.1) < 4 * math.sqrt(0.09 / 7000)
    fifths = np.array_split(np.argsort(scale[KNOWN:], kind="stable"), 5)
    shares = np.array([missed[part].mean() for part in fifths])
    flat, _ = _plain(np.abs(rng.normal(size=N) * scale), KNOWN)
    away = max(abs(flat[part].mean() - 0.1) for part in fifths)
    if kind == "level":  # an exponential is no line: nearer than one radius for all, and not even
        assert np.abs(shares - 0.1).max() < 0.5 * away
    else:
        assert np.abs(shares - 0.1).max() < 4 * math.sqrt(0.09 / 1400) + 0.02
    if kind != "even":  # where all rows count alike, hard ones pay for easy ones
        assert away > 0.1


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("even", -0.02, 0.02), ("far", -0.2, -0.06), ("level", -0.5, -0.3)]
)
@pytest.mark.parametrize("columns", [3, 20])
def test_what_it_costs_where_all_rows_are_alike_and_brings_where_they_are_not(kind, columns, least, most):
    """Interval scores over 7,000 outcomes, against one radius for all rows: +1 to +1.5 %, -8 to -10 %, -38 to -41 %."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, columns))
    scores = np.abs(rng.normal(size=N) * _scales(kind, rows))
    ours = _interval_score(scores[KNOWN:], _run(rows, scores, KNOWN, late=48)[1])
    flat = _interval_score(scores[KNOWN:], _plain(scores, KNOWN, late=48)[1])
    assert least < ours / flat - 1 < most


@pytest.mark.parametrize(("columns", "most"), [(60, 0.07), (200, 0.11)])
def test_what_many_columns_that_tell_nothing_cost(columns, most):
    """Interval scores over 7,000 outcomes, widths fixed every 48 rows: measured +5 % with 60 columns, +8 % with 200."""
    rng = np.random.default_rng(0)
    rows, scores, at = rng.normal(size=(N, columns)), np.abs(rng.normal(size=N)), np.arange(N) // 48
    ours, flat = (follow(one, scores, at, at + 1, level=0.9)[1][KNOWN:] for one in (rows, np.full((N, 1), np.nan)))
    assert 0 < _interval_score(scores[KNOWN:], ours) / _interval_score(scores[KNOWN:], flat) - 1 < most


def _lags(prices):
    return np.column_stack([prices[2:-1], prices[1:-2], prices[:-3]])


def _woken(seed, late, still=1000):
    """Return what was missed once a feed has woken, its lags being the features; most of the standing rows left out."""
    prices = _prices(seed)
    known, scores = _errors(prices)
    cut = STILL - CALIBRATION - still
    rows, scores = _lags(prices), np.array([*known, *scores])
    keep = np.r_[0 : len(known), len(known) + cut : len(scores)]
    missed, radii = _run(rows[keep], scores[keep], len(known), late=late)
    return missed, radii, still


@pytest.mark.parametrize(("seed", "late"), [(0, 1), (0, 48), (3, 48)])
def test_a_feed_that_wakes_is_covered_in_its_worst_rows_too_whether_labels_come_at_once_or_late(seed, late):
    missed, radii, wakes = _woken(seed, late)
    assert not missed[:wakes].any()
    assert 1 - missed[wakes:].mean() == pytest.approx(0.9, abs=0.005)
    assert _worst(missed) >= 0.8
    assert np.isfinite(radii).all()


@pytest.mark.slow
def test_a_feed_that_wakes_is_covered_in_its_worst_rows_over_more_seeds():
    # Twelve seeds, labels 48 rows late (nobody knows of the change before: 48 of 500 rows are lost in any case).
    # Measured: .794 to .844, .83 in the median, eleven of them above .80; one radius for all rows has .70 to .78.
    ours, flat = [], []
    for seed in range(12):
        missed, radii, wakes = _woken(seed, 48)
        ours.append(_worst(missed))
        assert 1 - missed[wakes:].mean() == pytest.approx(0.9, abs=0.005)
        prices = _prices(seed)
        known, scores = _errors(prices)
        other, wide = _plain(np.array([*known, *scores]), len(known), late=48)
        flat.append(_worst(other))
        assert radii[wakes:].mean() < 0.8 * wide[STILL - CALIBRATION :].mean()
    assert np.median(ours) >= 0.81
    assert min(ours) >= 0.78
    assert sum(one >= 0.8 for one in ours) >= 10
    assert max(flat) < 0.8
    assert all(one > other + 0.02 for one, other in zip(ours, flat, strict=True))


def test_late_by_a_week_it_loses_the_week_and_is_ahead_of_one_radius_after_it():
    missed, radii, wakes = _woken(0, 336)
    assert 1 - missed[wakes:].mean() == pytest.approx(0.9, abs=0.005)
    assert _worst(missed[wakes + 1000 :]) >= 0.7  # measured .70 to .80 over eight seeds; one radius has .58 to .66
    assert np.isfinite(radii).all()


@pytest.mark.parametrize("late", [1, 20])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_scores_do_no_more_are_missed_than_promised(seed, late):
    """The bound of `Tracked`, of scores that jump by up to a thousandfold and of rows that lie about them."""
    rng = np.random.default_rng(seed)
    n = 3000
    scores = np.exp(np.cumsum(rng.normal(size=n)) % 7) * np.where(rng.random(n) < 0.01, 100.0, 1.0)
    rows = np.column_stack([-scores, rng.permutation(scores)])
    missed, _ = _run(rows, scores, 300, late=late)
    step = min(0.02 / math.sqrt(late), 1 / math.e / late)
    reach = math.log2(scores.max() / scores.min())
    assert missed.sum() <= 0.1 * len(missed) + 0.1 / step + late * (reach + 2)


def test_while_little_is_known_or_more_is_asked_than_was_seen_all_rows_count_alike():
    rng = np.random.default_rng(0)
    rows, scores = rng.normal(size=(400, 2)), rng.exponential(size=400)
    local, tracked = LocalRadii(rate=0.3), Tracked(rate=0.3)
    assert np.isinf(local.radii(rows[:2])).all()
    for at in range(FEWEST - 1):
        local.learn(rows[at : at + 1], [scores[at]])
        tracked.take(scores[at])
        assert local.radii(rows[:3]).tolist() == [tracked.radius()] * 3
    assert isinstance(local.fixed(), Radii)
    assert local.fixed().difficulty is None
    local.learn(rows[FEWEST - 1 : 300], scores[FEWEST - 1 : 300].tolist())
    assert len(set(local.radii(rows[:50]).tolist())) > 40
    local.feed(rows[300:301], [1e6], [1.0])
    assert local.tracked.missed < 0
    assert set(local.radii(rows[:5]).tolist()) == {local.tracked.radius()}


@pytest.mark.parametrize("seed", range(4))
def test_where_rows_do_not_differ_radii_are_those_of_one_radius_for_all(seed):
    """Two scores, the greater in 3 %: a radius just below the smaller one would miss nearly all."""
    rng = np.random.default_rng(seed)
    small, great = np.sort(rng.lognormal(size=2))
    scores = np.where(rng.random(3000) < 0.03, great, small)
    missed, radii = _run(np.full((3000, 2), np.nan), scores, 200)
    flat, plain = _plain(scores, 200)
    assert radii.tolist() == plain.tolist()
    assert missed.tolist() == flat.tolist()


def test_a_feed_of_one_score_is_never_missed_whatever_its_rows_are():
    rng = np.random.default_rng(0)
    for score in rng.lognormal(sigma=5.0, size=40).tolist():
        local, rows = LocalRadii(), rng.normal(size=(80, 1))
        local.learn(rows, [score] * 80)
        assert local.radii(rows[:2]).tolist() == [score] * 2
        assert local.fixed().of(rows[:2]).tolist() == [score] * 2


def test_just_below_certain_misses_the_least_scores_are_asked_for_and_not_the_greatest():
    rng = np.random.default_rng(0)
    rows, scores = rng.normal(size=(200, 1)), rng.exponential(size=200)
    local = LocalRadii()
    local.learn(rows, scores.tolist())
    local.tracked.missed = 0.999
    least = local.radii(rows[:5])
    local.tracked.missed = 1 - 1e-13
    assert local.radii(rows[:5]).tolist() == least.tolist()
    assert local.tracked.radius() == scores.min()


@pytest.mark.parametrize("columns", [2, 40])
def test_fixed_radii_are_those_of_the_moment_for_one_row_and_for_many(columns):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(900, columns))
    scores = np.abs(rng.normal(size=900)) * (1 + np.abs(rows[:, 0]))
    local = LocalRadii()
    local.learn(rows[:600], scores[:600].tolist())
    fixed = local.fixed()
    many = local.radii(rows[600:])
    assert fixed.of(rows[600:]).tolist() == many.tolist()
    assert [float(fixed.of(rows[at : at + 1])[0]) for at in range(600, 900)] == many.tolist()
    assert [float(fixed.of(rows[at : at + 1, :1], rows[at : at + 1, 1:])[0]) for at in range(600, 900)] == many.tolist()
    assert [float(local.radii(rows[at : at + 1])[0]) for at in range(600, 900)] == many.tolist()
    local.feed(rows[600:], scores[600:].tolist(), many.tolist())
    assert fixed.of(rows[600:]).tolist() == many.tolist()  # a value: what comes later does not move it
    assert local.radii(rows[600:]).tolist() != many.tolist()


def test_a_score_without_a_promise_moves_nothing_but_the_window():
    local = LocalRadii()
    local.learn(np.zeros((100, 1)), [1.0] * 100)
    assert (local.tracked.missed, local.tracked.outcomes) == (pytest.approx(0.1), 0)
    assert local.feed(np.zeros((2, 1)), [1.0, 3.0], [2.0, 2.0]) == 1
    assert local.tracked.outcomes == 2


def _going(rng, kind):
    place = np.arange(N)
    return {
        "numbers": np.column_stack([np.cumsum(rng.integers(1, 4, N)), place // 100]),
        "months": (place // 700 % 12 + 1.0)[:, None],
    }[kind]


@pytest.mark.parametrize("kind", ["numbers", "months"])
@pytest.mark.parametrize("period", [400, 2000])
def test_what_only_goes_on_makes_no_radius_wide_or_narrow(kind, period):
    """
    Widths are fixed for a period, of which all rows lie beyond those that they were learned from.

    8,000 rows of five seeds each: on average they were off by 3 to 33 %, and are as without such columns.
    """
    at = np.arange(N) // period
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(N, 2))
        scores = np.abs(rng.normal(size=N) * (1 + np.abs(rows[:, 0])))
        with_it = np.column_stack([rows, _going(rng, kind)])
        ours, plain = (follow(one, scores, at, at + 1, level=0.9)[1][period:] for one in (with_it, rows))
        assert abs(np.log(ours / plain)).mean() < 0.005
