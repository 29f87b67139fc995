"""A candidate on trial made of a table, without a rehearsal: quick enough for simulations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from mlwild import frames, models
from mlwild.clock import Clock
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.trial import History, Reread, Served, Timeline
from mlwild.losses import named


@dataclass(frozen=True, eq=False)
class Bench:
    """
    Implements `mlwild.gate.Trial` over rows in order of time, of which the last are held out.

    `features` takes the raw rows and returns the same number of rows.
    """

    raw: pd.DataFrame
    recipe: object
    loss_name: str = "log_loss"
    label: str = "y"
    features: object = None
    held_out: int = 500
    serve_features: object = None
    serve_predict: object = None
    before: object = None
    again: Reread | None = None
    file_says: str = ""
    delay: int = 0
    found: tuple = ()
    data: object = None
    tolerance: float = 0.0
    options: dict = field(default_factory=dict)

    rehearsal = None
    seed = 0
    said = "a bench"

    @cached_property
    def app(self):
        serving = None
        if self.serve_features is not None or self.serve_predict is not None:
            serving = SimpleNamespace(
                features=self.serve_features, predict=self.serve_predict, tolerance=self.tolerance
            )
        declared = {
            "name": "bench",
            "live": "model",
            "models": {"model": self.recipe},
            "label": self.label,
            "time": "when",
            "known_at": None,
            "outcomes": (),
            "key": None,
            "entity": None,
            "not_features": ("when", self.label),
            "serving": serving,
            "contract": None,
            "data": self.data,
            "tables": {},
            "features": self.features,
            "seeds": (0,),
        }
        return SimpleNamespace(**declared | self.options)

    @property
    def loss(self):
        return named(self.loss_name)

    @cached_property
    def classes(self):
        return np.unique(self.raw[self.label].to_numpy()) if self.loss.classifies else None

    @cached_property
    def ask(self):
        ask = self.loss.predicts
        return "probabilities" if ask == "probability" and len(self.classes) > 2 else ask

    def _features(self, raw):
        function = self.features or (lambda rows: rows.drop(columns=[self.label, "when"], errors="ignore"))
        return frames.to_arrow(function(raw), "features")

    @cached_property
    def everything(self):
        table, kind = self._features(self.raw)
        answers = self.raw[self.label].to_numpy()
        labels = answers.astype(float) if self.classes is None else np.searchsorted(self.classes, answers)
        n = len(self.raw)
        when = np.arange(n)
        return Held(
            when,
            table,
            kind,
            labels,
            self.classes,
            when,
            when // 100,
            np.ones(n),
            {},
            nw.from_native(self.raw, eager_only=True),
        )

    @cached_property
    def learned(self):
        return self.everything.where(np.arange(len(self.raw) - self.held_out - self.delay))

    @cached_property
    def events(self):
        return self.everything.where(np.arange(len(self.raw) - self.held_out, len(self.raw)))

    @property
    def made_at(self):
        return len(self.raw) - self.held_out

    @property
    def timeline(self):
        when = np.arange(len(self.raw))
        return Timeline(when, when + self.delay, self.everything.labels, None, Clock("tick"))

    @property
    def history(self):
        none = np.zeros(0)
        return History(none.astype(int), none, none, none.astype(bool), [], [])

    @cached_property
    def model(self):
        return replace(self.fit(), name="model 1")

    @cached_property
    def champion(self):
        return None if self.before is None else replace(self.bench(recipe=self.before).model, name="model 0")

    def bench(self, **changes):
        return replace(self, **changes)

    def fit(self, learned=None, *, labels=None, seed=None, fresh=False):
        rows = self.learned if learned is None else learned
        numbers = rows.labels if labels is None else np.asarray(labels)
        answers = numbers if rows.classes is None else rows.classes[numbers.astype(int)]
        made = models.fit(self.recipe, rows.features, answers, self.seed if seed is None else seed)
        return Fitted("model again", made, self.ask, self.classes, self.loss)

    def changed(self, rows, raw):
        table, _ = self._features(raw.to_native())
        return replace(rows, raw=raw, table=table, changed=True)

    def reread(self):
        return self.again or Reread(len(self.raw), ())

    def reloaded(self):
        return self.file_says

    def findings(self):
        return self.found

    def served(self, most):
        import pyarrow as pa

        rows = self.events.evenly(most)
        function = (
            self.serve_features
            or self.features
            or (lambda raw: raw.drop(columns=[self.label, "when"], errors="ignore"))
        )
        parts = []
        for place in range(len(rows)):
            request = frames.take(rows.raw, np.array([place])).to_native().drop(columns=[self.label])
            parts.append(frames.to_arrow(function(request), "serving.features")[0])
        table = pa.concat_tables(parts, promote_options="permissive")
        made, why = [], ""
        for place in range(len(rows)):
            one = frames.from_arrow(table.slice(place, 1), rows.kind, "serving")
            try:
                if self.serve_predict is None:
                    made.append(np.asarray(models.predict(self.model.raw, one, self.ask, self.classes), dtype=float))
                else:
                    made.append(np.asarray(self.serve_predict(self.model.raw, one), dtype=float))
            except Exception as problem:  # noqa: BLE001  as the served path does
                why = why or f"{type(problem).__name__}: {problem}"
                made.append(np.array([np.nan]))
        return Served(rows, table, np.concatenate(made), declared=True, why=why)

    def earlier(self):
        return []

    def remember(self, key, make):
        return make()


def table(n=3000, seed=0, kind="class", noise=1.0, columns=6, strength=1.0):
    """Return rows with honest features: some tell the label, one is a word, one has gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns))
    signal = strength * (x[:, 0] - 0.7 * x[:, 1] + 0.5 * x[:, 2] * x[:, 3])
    made = {f"x{i}": x[:, i] for i in range(columns)}
    if kind == "value":
        made["y"] = 10 + 3 * signal + 3 * noise * rng.normal(size=n)
    elif kind == "class":
        made["y"] = (signal + noise * rng.logistic(size=n) > 0.3).astype(int)
    else:
        made["y"] = np.digitize(signal + noise * rng.logistic(size=n), [-1.0, 1.0])
    return pd.DataFrame({"when": np.arange(n), **made})
