"""A table with planted failing slices: one that a model can be taught, and one of labels that are noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from mlwild import models
from mlwild.comparisons.remedied import judge, parted
from mlwild.losses import named
from mlwild.remedies import standard

PERIOD = 150


def history(seed: int, *, n: int = 4500, effect: float = 2.0) -> pd.DataFrame:
    """
    Return rows of which one in twenty is `turned` (one effect has the other sign) and one in ten `noisy`.

    Labels of noisy rows are coin flips: half of all decisions on them are wrong, whatever decides. (Probabilities
    can be mended: to one half.)
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    kind = rng.choice(["plain", "turned", "noisy"], n, p=[0.85, 0.05, 0.10])
    score = np.where(kind == "turned", -effect, effect) * x[:, 0] + x[:, 1]
    chance = np.where(kind == "noisy", 0.5, 1 / (1 + np.exp(-score)))
    return pd.DataFrame(
        {
            "when": np.arange(n),
            "a": x[:, 0],
            "b": x[:, 1],
            "c": x[:, 2],
            "turned": kind == "turned",
            "noisy": kind == "noisy",
            "y": (rng.random(n) < chance).astype(int),
        }
    )


def rehearsed(frame: pd.DataFrame, slice_: str, loss: str, *, cutoffs: int = 8) -> list[dict]:
    """
    Return the verdicts on all standard remedies for a slice, without a store: plain loops over cutoffs.

    The base model sees a, b and c, and not which slice a row belongs to.
    """
    base, scored = LogisticRegression(), named(loss)
    remedies, _ = standard(base, slice_, scored)
    X, y = frame[["a", "b", "c", slice_]], frame["y"].to_numpy()
    periods = len(frame) // PERIOD
    chosen = np.unique(np.linspace(periods // 3, periods - 1, cutoffs).round().astype(int))
    classes = np.array([0, 1])
    lost = {name: [] for name in (*remedies, None)}
    tested = []
    for k in chosen:
        known, nxt = slice(0, k * PERIOD), slice(k * PERIOD, (k + 1) * PERIOD)
        tested.append(np.arange(nxt.start, nxt.stop))
        for name, losses in lost.items():
            hide = name is None
            model = models.fit(base if hide else remedies[name], _seen(X, known, hide), y[known], 0)
            given = models.predict(model, _seen(X, nxt, hide), scored.predicts, classes)
            losses.append(scored.rows(y[nxt].astype(float), given))
    rows = np.concatenate(tested)
    before, inside, period = np.concatenate(lost[None]), frame[slice_].to_numpy()[rows], rows // PERIOD
    return [
        judge(name, *parted(before, np.concatenate(lost[name]), inside, period), tries=len(remedies))
        for name in remedies
    ]


def _seen(X: pd.DataFrame, rows: slice, hide: bool) -> pd.DataFrame:
    return X.iloc[rows, :3] if hide else X.iloc[rows]
