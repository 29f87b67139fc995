"""Planted slices, over draws: what can be mended is, what is noise is seldom taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tests.remedies.planted import history, rehearsed

NAMES = ["slice x4", "balanced", "group DRO", "JTT", "last layer", "augmented"]


def effects(draws, slice_, loss):
    """Return the effect of each remedy by draw, in the slice and elsewhere, and how often some remedy is recommended."""
    inside, elsewhere, recommended = {}, {}, 0
    for seed in range(draws):
        records = rehearsed(history(seed), slice_, loss)
        recommended += any(record["verdict"] == "recommended" for record in records)
        for record in records:
            inside.setdefault(record["name"], []).append(record["slice"]["estimate"])
            elsewhere.setdefault(record["name"], []).append(record["elsewhere"]["estimate"])
    return *({name: np.array(values) for name, values in part.items()} for part in (inside, elsewhere)), recommended


def test_a_slice_whose_effect_is_turned_is_mended():
    inside, _, recommended = effects(2, "turned", "brier")
    assert [name for name in inside if name != "recalibrated"] == NAMES
    assert recommended >= 1
    for values in inside.values():
        assert values.mean() < 0
    assert inside["last layer"].mean() < -0.1
    assert inside["recalibrated"].mean() < -0.1


@pytest.mark.slow
def test_a_slice_whose_effect_is_turned_is_mended_over_draws():
    """20 draws: mean effect in the slice, in standard errors; and what two cheap remedies cost elsewhere."""
    inside, elsewhere, recommended = effects(20, "turned", "brier")
    assert recommended >= binom.ppf(0.001, 20, 0.6)
    for name, values in inside.items():
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert values.mean() < -3 * error, name
    assert inside["recalibrated"].mean() < inside["slice x4"].mean() < 0
    assert (elsewhere["recalibrated"] == 0).all()
    for name in ("balanced", "group DRO"):  # a straight line cannot suit both: what one gains the other pays
        assert elsewhere[name].mean() > 0.03


@pytest.mark.slow
def test_noise_is_seldom_taken_for_a_remedy():
    """100 draws, seven remedies each, decisions on coin flips: one is recommended in at most 5 % of draws."""
    draws = 100
    inside, _, recommended = effects(draws, "noisy", "zero_one")
    assert recommended <= binom.ppf(0.999, draws, 0.05), recommended
    for name, values in inside.items():
        error = values.std(ddof=1) / np.sqrt(draws)
        assert abs(values.mean()) < 4 * error, name  # nothing helps, nothing harms
