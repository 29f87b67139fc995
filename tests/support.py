"""Small apps, and triangles made of a matrix of losses, for tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

import mlwild as wild
from mlwild.monitors.signal import silent
from mlwild.records import Prices, Vintage
from mlwild.rules.view import View
from mlwild.step import begin, step


class Line:
    """A model that is quick: least squares through the origin."""

    def __init__(self, ridge: float = 1e-6) -> None:
        self.ridge = ridge

    def fit(self, X, y):
        X = np.asarray(X, dtype=float)
        self.weights = np.linalg.solve(X.T @ X + self.ridge * np.eye(X.shape[1]), X.T @ y)
        return self

    def predict(self, X):
        return np.asarray(X, dtype=float) @ self.weights

    def partial_fit(self, X, y):
        X = np.asarray(X, dtype=float)
        self.weights = self.weights + 0.1 * X.T @ (y - X @ self.weights) / max(len(y), 1)
        return self


class Logit:
    """A quick logistic regression by Newton's method."""

    def fit(self, X, y):
        X = np.column_stack([np.ones(len(X)), np.asarray(X, dtype=float)])
        self.classes_ = np.unique(y)
        target = (y == self.classes_[-1]).astype(float)
        weights = np.zeros(X.shape[1])
        for _ in range(8):
            p = 1 / (1 + np.exp(-np.clip(X @ weights, -30, 30)))
            hessian = X.T @ (X * (p * (1 - p) + 1e-3)[:, None]) + 1e-2 * np.eye(X.shape[1])
            weights = weights + np.linalg.solve(hessian, X.T @ (target - p) - 1e-2 * weights)
        self.weights = weights
        return self

    def predict_proba(self, X):
        X = np.column_stack([np.ones(len(X)), np.asarray(X, dtype=float)])
        p = 1 / (1 + np.exp(-np.clip(X @ self.weights, -30, 30)))
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]


def drifting(n: int = 1200, seed: int = 0, drift: float = 1.0, delay: int = 20) -> pd.DataFrame:
    """Return rows whose slope changes half way; the time is an integer, labels come late."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    slope = np.where(np.arange(n) < n // 2, 1.0, 1.0 - drift)
    y = slope * x[:, 0] + 0.5 * x[:, 1] + 0.5 * rng.normal(size=n)
    when = np.arange(n)
    return pd.DataFrame(
        {"when": when, "known": when + rng.integers(0, delay + 1, n), "a": x[:, 0], "b": x[:, 1], "y": y}
    )


def columns(frame):
    """Return the two features."""
    return frame[["a", "b"]]


def small_app(rows: pd.DataFrame | None = None, **changes) -> wild.App:
    """Return an app that is rehearsed in a blink."""
    data = drifting() if rows is None else rows
    fields = {
        "name": "small",
        "data": lambda: data,
        "time": "when",
        "label": "y",
        "known_at": "known",
        "features": columns,
        "models": {"line": Line()},
        "loss": "squared",
        "every": 100,
        "start": 200,
        "prices": Prices(loss=1.0, retrain=20.0, unit="EUR"),
    }
    fields.update(changes)
    return wild.App(**fields)


@dataclass
class MatrixKnown:
    """
    What is known of a triangle given as a matrix of losses by vintage and period.

    `delay` is the number of periods after which a period's labels are known.
    """

    loss: np.ndarray
    delay: int = 0
    variance: float = 0.0
    signals: np.ndarray | None = None

    def totals(self, vintage: Vintage, cutoff: int):
        seen = np.arange(cutoff) < cutoff - self.delay
        made = np.arange(cutoff) >= vintage.cutoff
        total = np.where(seen & made, self.loss[vintage.fitted, :cutoff], 0.0)
        return total, (seen & made).astype(float)

    def fresh_totals(self, window: str, cutoff: int, since: int, every: int):
        periods = np.arange(since, cutoff)
        fresh = since + (periods - since) // every * every
        seen = periods < cutoff - self.delay
        return np.where(seen, self.loss[fresh, periods], 0.0), seen.astype(float)

    def gap_squares(self, vintage, other, window, span):
        since, cutoff, _ = span
        seen = np.arange(since, cutoff) < cutoff - self.delay
        return np.where(seen, self.variance, 0.0)

    def arrivals(self, vintage, cutoff, since):
        return np.zeros(0)

    def signal(self, vintage, cutoff, monitor):
        return self.signals[vintage.fitted, cutoff - 1] if self.signals is not None else silent("no signal")

    def looks_per_year(self):
        return 52.0

    def usable(self, vintage):
        return True


def live_on_matrix(rule, loss: np.ndarray, prices: Prices, delay: int = 0, variance: float = 0.0, signals=None):
    """Return the cost of a rule on a matrix of losses, and its facts."""
    known = MatrixKnown(loss, delay, variance, signals)
    state, fact = begin(Vintage(0), 0)
    facts, cost = [fact], prices.loss * loss[0, 0]
    for k in range(1, loss.shape[1]):
        view = View(k, k, state.live, state.since, state.deployed, ("all",), False, prices, known)
        state, fact = step(rule, state, view)
        facts.append(fact)
        cost += prices.loss * loss[state.live.fitted, k] + fact.price
    return float(cost), facts
