"""Stressors as transforms: the same rows under stress, in the same kind of frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from mlwild.errors import AppError
from mlwild.patching import Stressed, patch
from mlwild.remedies import Augmented
from mlwild.stressors import LabelFlips, Missing, Noise, Own, Tilt
from tests.patching.test_patch import planted

COLUMNS = {"a": [1.0, 2.0, 3.0, 4.0], "word": ["x", "y", "x", "y"], "n": [1, 2, 3, 4]}
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


@pytest.mark.parametrize("kind", KINDS)
def test_one_column_is_changed_and_the_frame_keeps_its_kind(kind):
    frame = KINDS[kind](COLUMNS)
    made = Stressed(Noise(), 0.5, case="a")(frame, np.random.default_rng(0))
    assert type(made) is type(frame)
    assert np.asarray(made["word"]).tolist() == COLUMNS["word"]
    assert (np.asarray(made["a"]) != COLUMNS["a"]).all()
    again = Stressed(Noise(), 0.5, case="a")(frame, np.random.default_rng(0))
    assert np.asarray(again["a"]).tolist() == np.asarray(made["a"]).tolist()


def test_cases_are_drawn_where_none_is_named():
    frame, rng = pd.DataFrame(COLUMNS), np.random.default_rng(0)
    blank = Stressed(Missing(), 1.0)
    seen = {tuple(blank(frame, rng).isna().all()) for _ in range(60)}
    assert len(seen) == 4  # each column, or all of them


def test_a_stressor_of_ones_own_augments_a_slice(tmp_path):
    def wobble(features, severity, rng):
        return features + severity * rng.normal(size=features.shape)

    transform = Stressed(Own(wobble, severities=(0.1, 0.5)), 0.1)
    remedy = Augmented(LogisticRegression(), "in_slice", transform=transform, only_slice=True)
    found = patch(planted(), "kind = 'odd'", remedies={"own": remedy}, cutoffs=4, store=tmp_path, jobs=1)
    assert found["remedies"][0]["verdict"] != "failed"
    standard = patch(planted(), "kind = 'odd'", transform=transform, cutoffs=4, store=tmp_path, jobs=1)
    made = {record["name"]: record for record in standard["remedies"]}
    assert made["augmented"]["slice"]["after"] == pytest.approx(found["remedies"][0]["slice"]["after"])


def test_what_cannot_serve_is_refused():
    frame = pd.DataFrame(COLUMNS)
    with pytest.raises(AppError, match="'noise' cannot be applied to 'word', but to a, n"):
        Stressed(Noise(), 1.0, case="word")(frame, np.random.default_rng(0))
    with pytest.raises(AppError, match="'noise' cannot be applied to these features"):
        Stressed(Noise(), 1.0)(frame[["word"]], np.random.default_rng(0))
    with pytest.raises(AppError, match="'population tilt' does not give the same rows with other features"):
        Stressed(Tilt(), 1.0)(frame, np.random.default_rng(0))
    with pytest.raises(AppError, match="'label flips' looks at more than the features"):
        Stressed(LabelFlips(), 0.1)(frame, np.random.default_rng(0))
