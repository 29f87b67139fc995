"""Trials of small apps, for tests of the gate."""

from __future__ import annotations

import numpy as np
import pandas as pd

import mlwild as wild
from mlwild.lives import first_vintage, fold
from mlwild.rules import BreakEven
from mlwild.trials import Replay
from mlwild.triangle import build
from mlwild.triangle.store import Store
from mlwild.triangle.survey import lay_survey, read_events
from tests.support import Line, Logit, small_app


def replay_of(app, store, periods: int = 4) -> Replay:
    """Return the replay of an app under break-even, without the rest of a rehearsal."""
    events, tables = read_events(app)
    read = lay_survey(app, events, tables)
    triangle = build(read, Store(store), jobs=1)[0]
    life = fold(BreakEven(), triangle, first_vintage(triangle))
    return Replay(triangle, life, events, tables, periods)


def trial_of(app, store, periods: int = 4):
    """Return the trial of an app at the end of its history."""
    return replay_of(app, store, periods).now


def clicks(n: int = 4_000, seed: int = 0, *, effect: float = 1.0, flipped: str | None = None) -> pd.DataFrame:
    """Return rows with a class as label; in one group the effect of a feature is turned round."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    shop = rng.choice(["east", "north", "south"], n, p=[0.5, 0.3, 0.2])
    slope = np.where(shop == flipped, -effect, effect)
    chance = 1 / (1 + np.exp(-(slope * a + 0.5 * effect * b - 0.3)))
    when = np.arange(n)
    clicked = (rng.random(n) < chance).astype(int)
    return pd.DataFrame(
        {"when": when, "known": when + rng.integers(0, 20, n), "a": a, "b": b, "shop": shop, "y": clicked}
    )


def click_app(rows: pd.DataFrame | None = None, **changes) -> wild.App:
    """Return an app with two classes that is rehearsed in a blink."""
    data = clicks() if rows is None else rows
    fields = {"models": {"logit": Logit()}, "loss": "log_loss", "every": 200, "start": 400, "groups": ["shop"]}
    return small_app(data, **(fields | changes))


__all__ = ["Line", "Logit", "click_app", "clicks", "small_app", "trial_of"]
