"""
Covariate shift induced in real bookings: Mandoline against its slices alone and a classifier's weights alone.

New rows are drawn by their features only, so that labels of like rows stay as they are, in 27 cells: shift along
the user's three slices, along columns that are no slices, or along both; three strengths; and a column without
meaning that is 1 in half, a tenth or a hundredth of the labelled rows and, but for the first, in all new ones.
Mandoline takes the user's slices and six buckets of the model's confidence, as its paper does where it knows no
better slices (tables 3 to 5).

How it came out over 540 draws (20 of each cell; 4,000 labelled and 2,000 new rows; the model errs in 19 %), mean
error and share of intervals of 95 % that held the truth:

    no weights 0.0231 · slices alone 0.0151, 0.77 · classifier alone 0.0202, 0.83 · Mandoline 0.0105, 0.88

so Mandoline's mean error is below both, and its interval is short of what it says where columns outside of all
slices shift. Bins of the classifier's score as more slices (also in the paper) were tried on other draws and did
not help here: 0.0149 without the buckets and 0.0119 with them, where the buckets alone gave 0.0097.
"""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlwild.stats.mandoline import mandoline
from mlwild.stats.reweighting import clipped, weighted_mean

NUMBERS = (
    "lead_time",
    "stays_in_weekend_nights",
    "stays_in_week_nights",
    "adults",
    "previous_cancellations",
    "adr",
    "total_of_special_requests",
    "is_repeated_guest",
)
WORDS = ("hotel", "deposit_type", "customer_type", "market_segment")
LABELLED, NEW = 4_000, 2_000
GRID = tuple(itertools.product(("slices", "other", "both"), (0.5, 1.0, 1.5), (0.5, 0.1, 0.01)))
WEIGHTED = ("slices alone", "classifier alone", "mandoline")


@pytest.fixture
def bookings(shared):
    """Return features, slices, confidence, whether the model errs, and rows that it was not fitted on."""
    table = pq.read_table(shared / "hotel_bookings" / "bookings.parquet")
    columns = {name: np.asarray(table[name].to_numpy(), np.float64) for name in NUMBERS}
    lead, requests = columns["lead_time"], columns["total_of_special_requests"]
    columns |= {"lead_time": np.log1p(lead), "adr": np.log1p(np.clip(columns["adr"], 0, 500))}
    words = {name: np.array(table[name].to_pylist(), dtype=str) for name in WORDS}
    for name, values in words.items():
        kinds, rows = np.unique(values, return_counts=True)
        columns |= {f"{name}={kind}": (values == kind).astype(float) for kind in kinds[rows > 1_000]}
    features = StandardScaler().fit_transform(np.stack(list(columns.values()), axis=1))
    slices = np.stack([lead > 60, requests == 0, words["market_segment"] == "Online TA"], axis=1)
    label = np.asarray(table["is_canceled"].to_numpy(), np.int64)
    order = np.random.default_rng(0).permutation(len(label))
    chance = (
        LogisticRegression(max_iter=500).fit(features[order[:10_000]], label[order[:10_000]]).predict_proba(features)
    )
    wrong = ((chance[:, 1] >= 0.5) != label).astype(float)
    return features, slices, np.abs(chance[:, 1] - 0.5), wrong, order[10_000:]


def _shifted(rng, bookings, along, strength):
    """Return labelled rows, and new ones drawn by what their features say."""
    features, slices, _, _, pool = bookings
    order = rng.permutation(pool)
    rest = order[LABELLED:]
    score = np.zeros(len(rest))
    if along != "other":
        score += (2 * slices[rest] - 1) @ [1.0, 0.7, -0.5]
    if along != "slices":
        score += features[rest][:, [NUMBERS.index("adr"), NUMBERS.index("stays_in_week_nights")]] @ [1.0, 0.7]
        score -= 0.5 * features[rest][:, NUMBERS.index("adults")]
    # Gumbel noise on log weights draws without replacement in proportion to them.
    keys = 0.8 * strength * score / score.std() + rng.gumbel(size=len(rest))
    return order[:LABELLED], rest[np.argsort(-keys)[:NEW]]


def _estimates(rng, bookings, old, new, meaningless):
    """Return what each way makes of the new rows' error, without their labels."""
    features, slices, confidence, wrong, _ = bookings
    column = rng.random(LABELLED) < meaningless, rng.random(NEW) < (0.5 if meaningless == 0.5 else 1.0)
    sides = [np.column_stack([features[rows], extra]) for rows, extra in zip((old, new), column, strict=True)]
    told = LogisticRegression(max_iter=300).fit(np.concatenate(sides), np.repeat([0, 1], [LABELLED, NEW]))
    cuts = np.quantile(confidence[new], np.arange(1, 6) / 6)
    more = [np.concatenate([slices[rows], confidence[rows][:, None] > cuts], axis=1) for rows in (old, new)]
    return {
        "slices alone": mandoline(wrong[old], slices[old], slices[new]),
        "classifier alone": weighted_mean(wrong[old], clipped(np.exp(told.decision_function(sides[0])))),
        "mandoline": mandoline(wrong[old], *more),
    }


# Means over 81 draws have a standard error of 0.001; 0.002 between the ways is twice that of their difference.
@pytest.mark.parametrize("draws", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_mandolines_mean_error_is_below_both_weightings_alone(bookings, draws):
    wrong = bookings[3]
    errors, inside = {name: [] for name in ("none", *WEIGHTED)}, {name: [] for name in WEIGHTED}
    for (place, (along, strength, meaningless)), draw in itertools.product(enumerate(GRID), range(draws)):
        rng = np.random.default_rng([100, place, draw])
        old, new = _shifted(rng, bookings, along, strength)
        truth = wrong[new].mean()
        errors["none"].append(abs(wrong[old].mean() - truth))
        for name, found in _estimates(rng, bookings, old, new, meaningless).items():
            errors[name].append(abs(found.estimate - truth))
            inside[name].append(found.low <= truth <= found.high)
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    covered = {name: float(np.mean(values)) for name, values in inside.items()}
    assert mean["mandoline"] < min(mean["slices alone"], mean["classifier alone"]) - 0.002, mean
    assert mean["mandoline"] < 0.6 * mean["none"], mean
    assert covered["mandoline"] > max(covered["slices alone"], covered["classifier alone"]), covered
    assert covered["mandoline"] >= 0.8, covered
