"""Three streams with a champion, the previous one, a simple model and the constant; and the faults that befall them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlwild.guards import Candidate, Guard, Guarded, Known, learn_guard
from mlwild.losses import named

LEARNED, HELD, LIVE = 4000, 1500, 2000
#: Rows that the champion learned from and the previous one did not.
VINTAGE = 1000
#: Where a fault begins in the live rows, and where it ends.
BEGINS, ENDS = 400, 1600


@dataclass(frozen=True)
class Stream:
    guard: Guarded
    predict: list
    live: pd.DataFrame
    labels: np.ndarray
    scale: float
    more: pd.DataFrame
    codes: tuple[str, ...] = ()

    def losses(self, labels, values):
        return self.guard.sample.loss.rows(labels, values) / self.scale


def _table(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


def _columns(rng, n, phase):
    """Return eight features that move together, as sensors of one plant do, and drift a little with time."""
    t = np.arange(n) + phase
    load = np.sin(2 * np.pi * t / 480) + 0.6 * rng.normal(size=n) + 0.1 * np.sin(2 * np.pi * t / 9000)
    heat = 0.8 * load + 0.4 * rng.normal(size=n)
    frame = {
        "load": 60 + 15 * load,
        "heat": 320 + 20 * heat,
        "flow": 12 + 3 * load - 2 * heat + 0.5 * rng.normal(size=n),
        "pressure": 5 + heat + 0.3 * rng.normal(size=n),
        "humidity": 60 + 8 * rng.normal(size=n),
        "speed": 100 + 20 * load + 4 * rng.normal(size=n),
        "offset": 2 * rng.normal(size=n) + heat,
        "shift": rng.integers(0, 3, size=n).astype(float),
    }
    return pd.DataFrame(frame), load, heat


def regression_rows(seed, n):
    rng = np.random.default_rng(seed)
    frame, load, heat = _columns(rng, n, 0)
    return frame, 5 * load + 4 * heat**2 + 3 * frame["shift"].to_numpy() + rng.normal(size=n)


def regression(seed):
    frame, y = regression_rows(seed, LEARNED + HELD + 2 * LIVE)
    champion = HistGradientBoostingRegressor(max_iter=40, random_state=0)
    simple = make_pipeline(StandardScaler(), Ridge())
    return _made(frame, y, (champion, simple), "absolute", "value", 0)


def classes_rows(seed, n):
    rng = np.random.default_rng(seed)
    frame, load, heat = _columns(rng, n, 100)
    frame["site"] = np.array(["north", "south", "east"])[frame["shift"].to_numpy().astype(int)]
    odds = 2.5 * load * np.where(frame["site"] == "north", -1.0, 1.0) + 1.5 * heat
    y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    frame["site"] = frame["site"].astype(pd.CategoricalDtype(["east", "north", "south"]))
    return frame, y


def classes(seed):
    frame, y = classes_rows(seed, LEARNED + HELD + 2 * LIVE)
    champion = HistGradientBoostingClassifier(max_iter=40, random_state=0, categorical_features="from_dtype")
    simple = _Numbers(make_pipeline(StandardScaler(), LogisticRegression()))
    return _made(frame, y, (champion, simple), "brier", "probability", 2)


def gaps_rows(seed, n):
    """Features that are often missing, and a label that follows the sum of few."""
    rng = np.random.default_rng(seed)
    frame, load, heat = _columns(rng, n, 200)
    for name in ("humidity", "offset"):
        frame[name] = frame[name].where(rng.random(n) > 0.2)
    return frame, np.exp(0.4 * load) * 10 + 2 * heat + rng.normal(size=n)


def gaps(seed):
    frame, y = gaps_rows(seed, LEARNED + HELD + 2 * LIVE)
    champion = HistGradientBoostingRegressor(max_iter=40, random_state=0)
    simple = HistGradientBoostingRegressor(max_iter=4, max_depth=2, random_state=0)
    return _made(frame, y, (champion, simple), "absolute", "value", 0)


class _Numbers:
    """A simple model that leaves words out."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        self.model.fit(X.select_dtypes("number"), y)
        return self

    def predict_proba(self, X):
        return self.model.predict_proba(X.select_dtypes("number"))


STREAMS: dict[str, Callable[[int], Stream]] = {"regression": regression, "classes": classes, "gaps": gaps}
#: The rows of each by seed and number: a frame of features, and labels.
ROWS = {"regression": regression_rows, "classes": classes_rows, "gaps": gaps_rows}


def _made(frame, y, models, loss, ask, n):
    learned, held = slice(0, LEARNED), slice(LEARNED, LEARNED + HELD)
    live, more = slice(LEARNED + HELD, LEARNED + HELD + LIVE), slice(LEARNED + HELD + LIVE, None)
    earlier = slice(0, LEARNED - VINTAGE)
    fitted = [
        models[0].fit(frame[learned], y[learned]),
        clone(models[0]).fit(frame[earlier], y[earlier]),
        models[1].fit(frame[learned], y[learned]),
    ]
    ask_of = {
        "value": lambda model: model.predict,
        "probability": lambda model: lambda X: model.predict_proba(X)[:, 1],
    }[ask]
    chain = [
        Candidate(name, str(place), ask_of(model))
        for place, (name, model) in enumerate(zip(("champion", "previous", "simple"), fitted, strict=True))
    ]
    known = Known(_table(frame[learned]), y[learned], _table(frame[held]), y[held], "pandas", named(loss), ask, n)
    guard = learn_guard(known, chain, Guard())
    scale = 1.0 if ask == "probability" else float(np.quantile(np.abs(y[held] - np.median(y[held])), 0.99))
    predict = [one.predict for one in chain]
    rows = frame[live].reset_index(drop=True)
    return Stream(guard, predict, rows, y[live], scale, frame[more].reset_index(drop=True))


# -- faults ----------------------------------------------------------------------------------------------------------


def _hit(rng, severity):
    """Return the rows that a fault befalls: a share of those between its begin and its end."""
    rows = np.arange(BEGINS, ENDS)
    return rows if severity == 1 else np.sort(rng.choice(rows, int(severity * len(rows)), replace=False))


def _changed(frame, rows, column, new):
    made = frame.copy()
    made[column] = made[column].astype(object if made[column].dtype == object else float)
    made.loc[rows, column] = new
    return made


def _column(frame, rng, severity):
    names = [name for name in ("load", "heat", "speed", "pressure") if name in frame]
    return names[rng.integers(len(names))]


def missing_column(frame, rng, severity):
    return frame.drop(columns=["load", "heat", "speed"][: {0.1: 1, 0.5: 2, 1: 3}[severity]])


def empty_rows(frame, rng, severity):
    made = frame.copy()
    made.loc[_hit(rng, severity), [name for name in frame if frame[name].dtype != "category"]] = np.nan
    return made


def unit_slip(frame, rng, severity):
    column, rows = _column(frame, rng, severity), _hit(rng, severity)
    return _changed(frame, rows, column, frame.loc[rows, column] * 1000)


def sign_flip(frame, rng, severity):
    column, rows = _column(frame, rng, severity), _hit(rng, severity)
    return _changed(frame, rows, column, -frame.loc[rows, column])


def swapped(frame, rng, severity):
    rows, made = _hit(rng, severity), frame.copy()
    made.loc[rows, ["load", "speed"]] = frame.loc[rows, ["speed", "load"]].to_numpy()
    return made


def stuck(frame, rng, severity):
    column = _column(frame, rng, severity)
    rows = np.arange(BEGINS, BEGINS + int(severity * (ENDS - BEGINS)))
    return _changed(frame, rows, column, frame.loc[BEGINS, column])


def new_word(frame, rng, severity):
    rows = _hit(rng, severity)
    if "site" in frame:
        made = frame.copy()
        made["site"] = made["site"].astype(object)
        made.loc[rows, "site"] = "west"
        return made
    return _changed(frame, rows, "shift", 17.0)


def stale(frame, rng, severity):
    column = _column(frame, rng, severity)
    rows = np.arange(BEGINS, ENDS)
    lag = {0.1: 5, 0.5: 60, 1: 240}[severity]
    return _changed(frame, rows, column, frame.loc[rows - lag, column].to_numpy())


def text_for_numbers(frame, rng, severity):
    made = frame.copy()
    for name in ["load", "heat", "speed"][: {0.1: 1, 0.5: 2, 1: 3}[severity]]:
        made[name] = made[name].map("{:.3f} kW".format)
    return made


def _same(frame, rng, severity):
    return frame


def _some_calls(rng, severity):
    return rng.random() < severity


@dataclass(frozen=True)
class Broken:
    """A model that fails in a share of its calls."""

    predict: Callable
    rng: np.random.Generator
    severity: float
    how: str

    def __call__(self, X):
        if self.rng.random() >= self.severity:
            return self.predict(X)
        if self.how == "raises":
            raise ValueError("no such bin")
        if self.how == "hangs":
            raise TimeoutError
        return np.full(len(X), np.nan)


FAULTS = {
    "missing column": missing_column,
    "empty rows": empty_rows,
    "unit slip": unit_slip,
    "sign flip": sign_flip,
    "swapped columns": swapped,
    "stuck value": stuck,
    "new category": new_word,
    "stale feature": stale,
    "text for numbers": text_for_numbers,
    "model raises": "raises",
    "model hangs": "hangs",
    "model returns NaN": "returns NaN",
}
SEVERITIES = (0.1, 0.5, 1)


def under(stream: Stream, fault: str, severity: float, seed: int) -> Stream:
    """Return the stream with a fault in it."""
    rng, how = np.random.default_rng([seed, len(fault)]), FAULTS[fault]
    if isinstance(how, str):
        first, *rest = stream.predict
        return replace(stream, predict=[Broken(first, rng, severity, how), *rest])
    return replace(stream, live=how(stream.live, rng, severity))


def answered(stream: Stream, batch: int = 50):
    """Return the answers to the live rows, asked in batches as they come."""
    watch, parts = stream.guard.watch(), []
    for at in range(0, len(stream.live), batch):
        parts.append(
            stream.guard.answer(stream.live.iloc[at : at + batch].reset_index(drop=True), stream.predict, watch)
        )
    return parts


def refusing(stream: Stream, settings: Guard) -> Stream:
    """Return the stream with other settings of its guard."""
    return replace(stream, guard=replace(stream.guard, settings=settings))
