"""Histories with a planted shift, and triangles made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import mlwild as wild
from mlwild.triangle import build, survey
from mlwild.triangle.store import Store
from tests.support import Line, Logit

ROWS, PERIODS = 300, 14


def history(
    kind: str, seed: int = 0, *, rows: int = ROWS, periods: int = PERIODS, delay: int = 0, at: int | None = None
):
    """
    Return labelled rows, `rows` a period; in the second half (from period `at`) something shifts.

    covariate: rows come from where the label is a coin. concept: features as before, the label turns round.
    """
    rng = np.random.default_rng(seed)
    n = rows * periods
    when = np.arange(n)
    late = when >= rows * (periods // 2 if at is None else at)
    x = rng.normal(size=(n, 2))
    slope = np.full(n, 2.0)
    if kind == "covariate":
        x[late, 0] *= 0.25
    elif kind == "concept":
        slope[late] = -1.0
    elif kind != "none":
        raise ValueError(kind)
    chance = 1 / (1 + np.exp(-slope * x[:, 0]))
    words = rng.choice(["red", "green", "blue"], n)
    return pd.DataFrame(
        {
            "when": when,
            "known": when + delay,
            "a": x[:, 0],
            "b": x[:, 1],
            "word": words,
            "y": (rng.random(n) < chance).astype(int),
            "value": slope * x[:, 0] + rng.normal(size=n) * np.where(np.abs(x[:, 0]) < 0.5, 2.0, 0.5),
        }
    )


def numbers(frame):
    """Return two features."""
    return frame[["a", "b"]]


def app_of(frame: pd.DataFrame, **changes) -> wild.App:
    """Return an app on a planted history; its first vintage learns from two periods."""
    rows = int(changes.pop("rows", ROWS))
    fields = {
        "name": "planted", "data": lambda: frame, "time": "when", "label": "y", "known_at": "known", "features": numbers,
        "models": {"logit": Logit()}, "loss": "log_loss", "every": rows, "start": 2 * rows,
    }  # fmt: skip
    fields.update(changes)
    return wild.App(**fields)


def triangles_of(app: wild.App, folder: Path):
    """Return the triangles of an app."""
    return build(survey(app), Store(folder), jobs=1)


def regression(frame: pd.DataFrame, **changes) -> wild.App:
    """Return an app that predicts the value."""
    return app_of(frame, **{"label": "value", "models": {"line": Line()}, "loss": "squared", **changes})
