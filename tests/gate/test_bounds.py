"""The promise of a verdict on a mean: how often it passes what breaks the limit, and blocks what keeps it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri
from scipy.stats import skew

from mlwild.errors import DataError
from mlwild.gate.bounds import ALPHA, BETA, FEWEST_IN_ORDER, at_most, blocks_good, bounds_of, rows_for
from mlwild.stats.bounds import clopper_pearson_upper
from mlwild.stats.skewness import skewed_excess

#: Losses with a mean, made of a standard normal: errors, waiting times, and a longer tail.
SHAPES = {
    "errors": lambda z, mean: (z > ndtri(1 - mean)).astype(float),
    "exponential": lambda z, mean: -mean * np.log(np.clip(1 - ndtr(z), 1e-300, 1)),
    "log-normal": lambda z, mean: mean * np.exp(z - 0.5),
}


def draws(shape, mean, n, *, like=0.0, reps=1000, seed=0):
    """Yield losses in order of time; neighbours are alike by a coefficient."""
    rng = np.random.default_rng(seed)
    for _ in range(reps):
        made = lfilter([np.sqrt(1 - like**2)], [1, -like], rng.normal(size=n + 50))[50:]
        yield SHAPES[shape](made, mean)


def rates(shape, mean, n, *, limit, **words):
    independent = words.pop("independent", False)
    margin = 0.5 * limit
    made = [
        at_most(losses, limit, margin=margin, what="loss", independent=independent).verdict
        for losses in draws(shape, mean, n, **words)
    ]
    return {word: made.count(word) / len(made) for word in ("pass", "fail", "underpowered")}


#: Three standard errors of 1,000 draws.
SLACK = 3 * np.sqrt(ALPHA * (1 - ALPHA) / 1000)
CASES = [
    (shape, mean, n, like, independent)
    for shape, mean in (("errors", 0.1), ("errors", 0.02), ("exponential", 0.1), ("log-normal", 0.1))
    for n, like, independent in (
        (100, 0.0, True), (100, 0.0, False), (400, 0.5, False), (2000, 0.5, False), (400, 0.0, True), (2000, 0.0, False),
    )
    if shape != "log-normal" or n > 100  # its skewness of 6 takes some 200 rows to be seen
]  # fmt: skip


@pytest.mark.parametrize(("shape", "mean", "n", "like", "independent"), CASES[::4])
def test_what_is_at_its_limit_passes_in_one_of_twenty_draws(shape, mean, n, like, independent):
    found = rates(shape, mean, n, limit=mean, like=like, independent=independent)
    assert found["pass"] <= ALPHA + SLACK, found


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "mean", "n", "like", "independent"), CASES)
def test_what_is_at_its_limit_passes_in_one_of_twenty_draws_at_length(shape, mean, n, like, independent):
    """4,000 draws: at most 5 % and three standard errors, where neighbours are alike too."""
    found = rates(shape, mean, n, limit=mean, like=like, independent=independent, reps=4000, seed=1)
    assert found["pass"] <= ALPHA + SLACK / 2, found


@pytest.mark.parametrize(
    ("shape", "n", "like"), [("errors", 400, 0.0), ("exponential", 100, 0.0), ("log-normal", 400, 0.5)]
)
def test_what_is_better_by_the_margin_is_hardly_ever_red(shape, n, like):
    found = rates(shape, 0.05, n, limit=0.1, like=like, seed=2)
    # Three standard errors at half a per cent of 1,000 draws.
    assert found["fail"] <= BETA + 3 * np.sqrt(BETA / 1000), found


def test_what_breaks_the_limit_clearly_is_red():
    for shape in SHAPES:
        found = rates(shape, 0.3, 1000, limit=0.1, reps=200)
        assert found["fail"] == 1.0, (shape, found)


def test_nothing_seen_is_no_proof_of_nothing():
    """A hundred rows without an error may come of a share of 3 %: by the rule of three."""
    found = at_most(np.zeros(100), 0.02, margin=0.01, what="share")
    assert found.verdict == "underpowered"
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 100))
    assert at_most(np.zeros(1000), 0.02, margin=0.01, what="share").verdict == "pass"
    # Differences of a model from itself are no shares: they are zero.
    assert bounds_of(np.zeros(200)).high == 0.0


def test_shares_are_never_closer_than_exact_bounds():
    rng = np.random.default_rng(0)
    for share in (0.01, 0.05, 0.5, 0.97):
        hits = (rng.random(300) < share).astype(float)
        found = bounds_of(hits)
        wrong = int(hits.sum())
        assert found.high >= clopper_pearson_upper(wrong, 300, ALPHA) - 1e-12
        assert found.low <= 1 - clopper_pearson_upper(300 - wrong, 300, ALPHA) + 1e-12


def test_independent_shares_have_exact_bounds():
    found = bounds_of(np.repeat([1.0, 0.0], [7, 93]), independent=True)
    assert found.high == clopper_pearson_upper(7, 100, ALPHA)
    assert found.method == "Clopper-Pearson"


def test_excess_is_cornish_and_fishers():
    values = np.random.default_rng(0).exponential(size=50)
    wanted = skew(values, bias=False) / np.sqrt(50) * (2 * 1.645**2 + 1) / 6
    assert skewed_excess(values, 1.645) == pytest.approx(wanted)
    assert skewed_excess(-values, 1.645) == pytest.approx(-wanted)
    assert skewed_excess(np.ones(5), 1.645) == 0.0


def test_few_rows_are_underpowered_and_say_how_many_are_needed():
    rng = np.random.default_rng(0)
    found = at_most(rng.random(20), 0.9, margin=0.1, what="loss", independent=True)
    assert (found.verdict, found.said) == ("underpowered", "loss: 20 rows are too few (too few rows; need 30 at least)")
    found = at_most(rng.random(60), 0.9, margin=0.1, what="loss")
    assert found.said.endswith(f"need {FEWEST_IN_ORDER} at least)")
    near = at_most(rng.random(400), 0.51, margin=0.02, what="loss")
    assert near.verdict == "underpowered"
    assert "rows cannot tell, about" in near.said


def test_no_confidence_is_rounded_to_certainty():
    rows = np.random.default_rng(0).random(2000)
    for alpha, said in ((0.05, "95%"), (0.004, "99.6%"), (0.0005, "99.95%"), (1e-7, "99.99%")):
        assert f"with {said} confidence" in at_most(rows, 0.9, margin=0.2, what="loss", alpha=alpha).said


def test_nan_never_passes():
    found = at_most(np.array([0.0, np.nan] * 100), 1.0, margin=0.5, what="loss")
    assert found.verdict == "fail"
    assert found.said == "loss is NaN in 100 of 200 cases"
    assert found.rows == (1, 3, 5, 7, 9)
    with pytest.raises(DataError, match="that of case 1 is nan"):
        bounds_of(np.array([0.0, np.nan]))
    with pytest.raises(DataError, match="must be above 0"):
        at_most(np.zeros(100), 1.0, margin=float("nan"), what="loss")


def test_weights_make_a_ratio_of_means():
    rng = np.random.default_rng(0)
    values, weights = rng.random(2000), rng.random(2000) + 0.5
    found = bounds_of(values, weights=weights)
    assert found.estimate == pytest.approx(np.average(values, weights=weights))
    assert found.low < found.estimate < found.high
    few = np.where(np.arange(2000) % 20 == 0, 20.0, 0.1)  # a twentieth of the rows carry it: four times as wide
    ends = [(bounds_of(part, weights=few), bounds_of(part)) for part in rng.random((50, 2000))]
    ratio = np.mean([one.high - one.low for one, _ in ends]) / np.mean([one.high - one.low for _, one in ends])
    assert ratio == pytest.approx(np.sqrt(np.mean(few**2)) / np.mean(few), rel=0.15)


def test_weights_that_leave_few_rows_give_no_bound():
    """Among 600 draws whose weights leave 30 rows or more, the upper bound misses the mean in at most 5 %."""
    one = np.where(np.arange(400) == 7, 1e6, 1.0)
    found = at_most(np.linspace(0.2, 0.4, 400), 0.9, margin=0.1, what="loss", weights=one)
    assert found.verdict == "underpowered"
    assert found.said == "loss: 400 rows are too few (their weights leave an effective sample of 1)"
    rng = np.random.default_rng(0)
    missed, refused = [], 0
    while len(missed) < 600:
        weights, values = np.exp(1.6 * rng.normal(size=400)), rng.random(400)
        high = bounds_of(values, weights=weights).high
        enough = weights.sum() ** 2 / (weights**2).sum() >= 30
        assert np.isnan(high) == (not enough)
        refused += not enough
        missed += [high < 0.5] if enough else []
    assert refused > 50
    assert np.mean(missed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_chance_to_block_a_good_model_is_that_of_the_normal():
    rng = np.random.default_rng(0)
    missed = np.mean([bounds_of(rng.normal(0.9, 1.0, 400), independent=True).high > 1.0 for _ in range(2000)])
    promised = blocks_good(1 / 20, 0.1)
    assert missed == pytest.approx(promised, abs=3 * np.sqrt(promised * (1 - promised) / 2000) + 0.01)
    assert blocks_good(1.0, 4.2208) == pytest.approx(BETA, rel=0.01)
    assert rows_for(1 / 20, 400, 0.1) == pytest.approx(400 * (4.2208 / 2) ** 2, rel=0.01)


def test_levels_beyond_the_tables_are_wider():
    values = np.random.default_rng(0).random(500)
    ends = [bounds_of(values, alpha=alpha).high for alpha in (0.05, 0.0005, 0.0001, 1e-6)]
    assert ends == sorted(ends)
    assert len(set(ends)) == 4
