"""Models that change what they are given: neither their intervals nor who answers after them goes by it."""

from __future__ import annotations

import numpy as np
import pytest

import mlwild as wild
from mlwild.answering import bundle, service_of
from mlwild.answering.bundle import load_bundle
from mlwild.rules import Every

APP = """
import numpy as np, pandas as pd, polars as pl
import mlwild as wild

N = 900
rng = np.random.default_rng(0)
x, z = rng.normal(size=(2, N))

def rows():
    when = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(N), unit="h")
    return pd.DataFrame({"when": when, "x": x, "z": z, "y": x + z + np.abs(x) * rng.normal(size=N)})

class Sum:
    def fit(self, X, y):
        return self

    def predict(self, X):
        was = np.array(X, dtype=float)
        CHANGE
        if (was[:, 1] == 0.125).any():
            raise ValueError
        return was.sum(axis=1)

class Kept(Sum):
    def predict(self, X):
        return np.asarray(X, dtype=float).sum(axis=1) / 2

def features(frame):
    FEATURES

app = wild.App(name="changing", data=rows, time="when", label="y", delay="1h", features=features,
               models={"sum": Sum(), "half": Kept()}, fallback=["half"], loss="squared", every="5D",
               start="2026-01-11", prices=wild.Prices(loss=1.0, retrain=0.0))
"""
#: How features are made, and how a model spoils them.
KINDS = {
    "numpy": ('return frame[["x", "z"]].to_numpy()', "X *= 0"),
    "pandas": ('return frame[["x", "z"]]', 'X["x"] = X["z"] = 0.0'),
    "pandas in place": ('return frame[["x", "z"]]', "X.iloc[:, :] = 0.0"),
    "polars": ('return pl.from_pandas(frame[["x", "z"]])', 'X.replace_column(0, pl.Series("x", 0 * was[:, 0]))'),
}


def answers(folder, features, change):
    """Return what is answered to rows of which one makes the model raise."""
    folder.mkdir()
    file = folder / "changing.py"
    file.write_text(APP.replace("FEATURES", features).replace("CHANGE", change))
    wild.operate(wild.load_app(file), rule=Every(1), store=folder / ".mlwild", jobs=1)
    store, key, digest = bundle(file, store=folder / ".mlwild")
    service = service_of(store, load_bundle(store, key, digest))
    x, z = np.linspace(-2, 2, 9).tolist(), [0.1 * place for place in range(8)] + [0.125]
    return service.answer({"when": [1_770_000_000_000_000] * 9, "x": x, "z": z})


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_may_change_what_it_is_given(kind, tmp_path):
    features, change = KINDS[kind]
    said, plain = answers(tmp_path / "changed", features, change), answers(tmp_path / "plain", features, "pass")
    assert np.ptp(plain.high - plain.low) > 0.1  # widths go by the rows
    assert plain.stage == ["champion"] * 8 + ["half"]  # which is asked for the rows after the champion was
    for name in ("value", "low", "high", "expected"):
        assert np.array_equal(getattr(said, name), getattr(plain, name)), name
    assert (said.status, said.cause, said.stage) == (plain.status, plain.cause, plain.stage)
