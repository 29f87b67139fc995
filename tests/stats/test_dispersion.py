"""Dispersion of estimates over blocks: closed forms, t intervals, cross-fitting, and coverage with and without drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import ndtri
from sklearn.metrics import roc_auc_score

from mlwild.stats.calibration import isotonic
from mlwild.stats.cbpe import cbpe, cbpe_metrics, pape
from mlwild.stats.cbpe_dispersion import cbpe_dispersions
from mlwild.stats.dispersion import Dispersion, block_edges, block_gaps, dispersion, widening
from mlwild.stats.expected_loss import expected_loss, loss_curves, loss_dispersion

METRICS = ("accuracy", "brier", "log_loss", "auc")
Z = float(ndtri(0.975))


# -- against closed forms --------------------------------------------------------------------------


def test_equal_noise_has_the_closed_form():
    rng = np.random.default_rng(0)
    gaps = rng.normal(size=12) * 2
    found = dispersion(gaps, np.full(12, 1.5))
    share = (np.arange(len(found.variances)) + 0.5) / len(found.variances)
    q = (gaps**2).sum()
    # Q / chi-square, less the noise.
    assert found.variances == pytest.approx(np.maximum(q / stats.chi2.isf(share, 12) - 1.5, 0), rel=1e-6, abs=1e-9)
    assert found.excess == pytest.approx(q / 12 / 1.5)
    assert found.blocks == 12


def test_unequal_noise_solves_q():
    rng = np.random.default_rng(1)
    gaps, noise = rng.normal(size=9) * 3, rng.uniform(0.2, 2.0, 9)
    found = dispersion(gaps, noise)
    share = (np.arange(len(found.variances)) + 0.5) / len(found.variances)
    for place in np.flatnonzero(found.variances > 0):
        q = (gaps**2 / (noise + found.variances[place])).sum()
        assert stats.chi2.sf(q, 9) == pytest.approx(share[place], abs=1e-6)


@pytest.mark.parametrize("blocks", [4, 8, 13, 40])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_where_drift_is_all_the_interval_is_students(blocks, level):
    gaps = np.random.default_rng(blocks).normal(size=blocks)
    found = dispersion(gaps, np.full(blocks, 1e-8))
    half = widening(1e-4, found, level) * -ndtri((1 - level) / 2) * 1e-4
    assert half == pytest.approx(stats.t.ppf((1 + level) / 2, blocks) * np.sqrt((gaps**2).mean()), rel=0.02)


def test_widening_is_that_of_the_integral():
    gaps = np.random.default_rng(3).normal(size=10) * 1.3
    found = dispersion(gaps, np.ones(10))
    half = widening(0.7, found, 0.95) * Z * 0.7
    q = (gaps**2).sum()

    def beyond(chi):
        spread = math.sqrt(0.49 + max(q / chi - 1, 0))
        return 2 * stats.norm.sf(half / spread) * stats.chi2.pdf(chi, 10)

    assert integrate.quad(beyond, 0, 200, limit=500)[0] == pytest.approx(0.05, abs=2e-4)


def test_without_dispersion_or_spread_nothing_widens():
    assert widening(1.0, None, 0.95) == 1.0
    assert widening(1.0, Dispersion(8, 0.0, np.zeros(4)), 0.95) == 1.0
    assert widening(0.0, dispersion(np.arange(8.0), np.ones(8)), 0.95) == 1.0
    assert widening(math.nan, dispersion(np.arange(8.0), np.ones(8)), 0.95) == 1.0


def test_blocks_without_an_error_or_without_noise():
    assert dispersion(np.full(5, math.nan), np.ones(5)).blocks == 0
    assert not dispersion(np.zeros(5), np.zeros(5)).variances.any()
    half_known = dispersion(np.array([1.0, math.nan, -1.0, 2.0]), np.ones(4))
    assert half_known.blocks == 3
    sure = dispersion(np.array([0.3, -0.2, 0.1, 0.0]), np.zeros(4))  # curves of one class are sure of themselves
    assert np.isfinite(sure.variances).all()
    assert np.median(sure.variances) == pytest.approx(0.14 / stats.chi2.median(4), rel=0.05)


# -- blocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "window", "blocks"), [(1_000, 100, 10), (1_000, 240, 4), (1_000, 5_000, 4), (3, 3, 3)])
def test_blocks_cut_all_rows(n, window, blocks):
    edges = block_edges(n, window)
    assert (edges[0], edges[-1], len(edges) - 1) == (0, n, blocks)
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize(("n", "judged"), [(94, 9), (50_000, 100)])
def test_no_block_is_judged_by_itself(n, judged):
    seen = []

    def judge(half, block):
        seen.append(block)
        assert half.stop <= block.start or block.stop <= half.start
        assert half.stop - half.start >= 0.4 * n
        return [(0.0, 1.0)]

    gaps, noise = block_gaps(n, 10, fit=lambda half: half, judge=judge)
    assert gaps.shape == noise.shape == (judged, 1)
    assert len({(block.start, block.stop) for block in seen}) == judged


def _realised(metric, scores, labels):
    if metric == "accuracy":
        return float(((scores >= 0.5) == labels).mean())
    if metric == "brier":
        return float(((scores - labels) ** 2).mean())
    if metric == "log_loss":
        return float(-np.where(labels == 1, np.log(scores), np.log1p(-scores)).mean())
    return float(roc_auc_score(labels, scores))


@pytest.mark.parametrize("metric", METRICS)
def test_gaps_are_realised_less_estimated_by_the_other_half(metric):
    rng = np.random.default_rng(4)
    scores = rng.uniform(0.02, 0.98, 4_000).round(2)  # with ties
    labels = (rng.random(4_000) < scores ** np.repeat(rng.uniform(0.5, 2.0, 8), 500)).astype(float)
    gaps = []
    for k in range(8):
        half, block = slice(2_000, None) if k < 4 else slice(0, 2_000), slice(500 * k, 500 * k + 500)
        found = cbpe(scores[block], curve=isotonic(scores[half], labels[half]), metric=metric, level=0.6)
        # A normal interval of this level has this half width.
        noise = ((found.high - found.low) / 2 / stats.norm.ppf(0.8)) ** 2
        gaps.append((_realised(metric, scores[block], labels[block]) - found.estimate) ** 2 / noise)
    made = cbpe_dispersions(scores, labels, window_rows=500, metrics=(metric,))[metric]
    assert made.excess == pytest.approx(np.mean(gaps), rel=0.05 if metric == "accuracy" else 1e-9)


def test_of_two_classes_any_loss_is_cbpe():
    rng = np.random.default_rng(5)
    scores = rng.uniform(0.02, 0.98, 4_000)
    labels = (rng.random(4_000) < scores * np.repeat(rng.uniform(0.5, 1.0, 8), 500)).astype(int)
    table = np.stack([scores**2, (1 - scores) ** 2], axis=1)
    ours = loss_dispersion(scores, labels, table, window_rows=500)
    theirs = cbpe_dispersions(scores, labels, window_rows=500, metrics=("brier",))["brier"]
    assert ours.excess == pytest.approx(theirs.excess)
    assert ours.variances == pytest.approx(theirs.variances)
    assert ours.excess > 3


# -- promises --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "wider"), [(4, 1.45), (13, 1.17), (100, 1.045)])
@pytest.mark.parametrize("draws", [1_000, pytest.param(5_000, marks=pytest.mark.slow)])
def test_intervals_hold_at_any_variance_between_blocks(draws, blocks, wider):
    rng = np.random.default_rng([6, blocks])
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    for variance in (0.0, 0.5, 2.0, 8.0):
        held, width = 0, []
        for _ in range(draws):
            found = dispersion(rng.normal(size=blocks) * math.sqrt(1 + variance), np.ones(blocks))
            width.append(widening(1.0, found, 0.95))
            held += abs(rng.normal()) * math.sqrt(1 + variance) <= Z * width[-1]
        assert held / draws >= 0.95 - slack, variance
        if variance == 0.0:
            assert held / draws <= 0.99
            assert np.mean(width) <= wider + 3 * np.std(width) / math.sqrt(draws)


def _drifting(rng, rows, sizes):
    """Scores that are too sure of themselves, and labels; the law of the label drifts from one window to the next."""
    x = rng.normal(size=rows * len(sizes[0]))
    bias, sharpness = (np.repeat(values, rows) for values in sizes)
    chance = 1 / (1 + np.exp(-(sharpness * x + bias)))
    return 1 / (1 + np.exp(-2 * x)), (rng.random(len(x)) < chance).astype(float)


def _coverage(draws, drift, *, windows=13, rows=600, seed=0):
    """Return coverage with and without dispersion of every metric, and the ratio of widths."""
    held, plain, width = ({metric: [] for metric in METRICS} for _ in range(3))
    for draw in range(draws):
        rng = np.random.default_rng([7, seed, draw])
        law = rng.normal(size=(2, windows + 1)) * drift
        scores, labels = _drifting(rng, rows, (law[0] - 0.3, np.exp(law[1]) * 1.2))
        known, fresh = slice(0, windows * rows), slice(windows * rows, None)
        curve = isotonic(scores[known], labels[known])
        spread = cbpe_dispersions(scores[known], labels[known], window_rows=rows, metrics=METRICS)
        narrow = cbpe_metrics(scores[fresh], curve=curve, metrics=METRICS)
        wide = cbpe_metrics(scores[fresh], curve=curve, metrics=METRICS, dispersions=spread)
        for metric in METRICS:
            came = _realised(metric, scores[fresh], labels[fresh])
            held[metric].append(wide[metric].low <= came <= wide[metric].high)
            plain[metric].append(narrow[metric].low <= came <= narrow[metric].high)
            ratio = (wide[metric].high - wide[metric].low) / (narrow[metric].high - narrow[metric].low)
            width[metric].append(ratio)
    return tuple({metric: float(np.mean(found[metric])) for metric in METRICS} for found in (held, plain, width))


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_without_drift_intervals_of_cbpe_are_little_wider(draws):
    held, plain, width = _coverage(draws, 0.0)
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    for metric in METRICS:
        assert 0.95 - slack <= held[metric] <= 0.98 + slack, (metric, held)
        assert held[metric] >= plain[metric]
        assert 1.0 <= width[metric] <= 1.17 + 0.9 / math.sqrt(draws), (metric, width)


@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_with_drift_intervals_of_cbpe_hold_what_they_say(draws):
    held, plain, width = _coverage(draws, np.array([[0.25], [0.3]]))
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    for metric in METRICS:
        assert 0.95 - slack <= held[metric] <= 0.98 + slack, (metric, held)
        assert plain[metric] < 0.85, (metric, plain)
        assert width[metric] > 1.3


@pytest.mark.parametrize("draws", [150, pytest.param(1_000, marks=pytest.mark.slow)])
def test_losses_of_many_classes_hold_with_and_without_drift(draws):
    slack = 3 * math.sqrt(0.05 * 0.95 / draws)
    for drift in (0.0, 0.3):
        held, plain = [], []
        for draw in range(draws):
            rng = np.random.default_rng([8, draw])
            raw = rng.normal(size=(14 * 400, 3))
            truth = np.exp(raw * np.exp(np.repeat(rng.normal(size=(14, 1)) * drift, 400, axis=0)))
            truth /= truth.sum(axis=1, keepdims=True)
            labels = (truth.cumsum(axis=1) < rng.random((len(raw), 1))).sum(axis=1).clip(0, 2)
            stated = np.exp(1.5 * raw) / np.exp(1.5 * raw).sum(axis=1, keepdims=True)
            table = -np.log(stated)
            known, fresh = slice(0, 13 * 400), slice(13 * 400, None)
            curves = loss_curves(stated[known], labels[known])
            spread = loss_dispersion(stated[known], labels[known], table[known], window_rows=400)
            came = table[fresh][np.arange(400), labels[fresh]].mean()
            for found, hits in ((spread, held), (None, plain)):
                made = expected_loss(stated[fresh], table[fresh], curves, dispersion=found)
                hits.append(made.low <= came <= made.high)
        assert 0.95 - slack <= np.mean(held) <= 0.985 + slack, (drift, np.mean(held))
        if drift:
            assert np.mean(plain) < 0.85


def test_pape_takes_the_dispersion_of_cbpe():
    rng = np.random.default_rng(9)
    scores, labels = _drifting(rng, 500, (rng.normal(size=8), np.full(8, 1.2)))
    known = {"reference_scores": scores, "reference_outcomes": labels, "weights": rng.uniform(0.5, 2.0, len(scores))}
    spread = cbpe_dispersions(scores, labels, window_rows=500, metrics=("brier",))["brier"]
    narrow, wide = (pape(scores[:500], metric="brier", dispersion=found, **known) for found in (None, spread))
    assert wide.estimate == narrow.estimate
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
