"""A small app at the scale of a public case: right in .73 of the rows as rehearsed, in about .60 as served."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild

CITIES = np.array(["Basel", "Genoa", "Lyon", "Trier", "Ulm"])
CODES = {name: code for code, name in enumerate(CITIES)}
#: A service that was written by somebody else, with a list of cities of its own.
CODES_SERVED = {name: code for code, name in enumerate(CITIES[[3, 0, 4, 1, 2]])}


def loans(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """One row a loan: will it be paid back late?"""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10.3, 0.5, n)
    frame = pd.DataFrame(
        {
            "when": np.arange(n),
            "amount": rng.lognormal(8.5, 0.8, n).round(2),
            "income": np.where(rng.random(n) < 0.25, np.nan, income.round(2)),
            "balance": rng.normal(0, 1000, n).round(2),
            "age": rng.integers(18, 80, n),
            "months": rng.integers(6, 60, n),
            "city": CITIES[rng.integers(0, 5, n)],
            "rate": rng.uniform(0.01, 0.2, n).round(4),
        }
    )
    signal = (
        0.9 * (np.log(frame["amount"]) - 8.5)
        - 0.9 * (np.log(income) - 10.3) / 0.5
        - 0.35 * frame["balance"] / 1000
        + 0.4 * (frame["months"] - 33) / 15
        + 0.25 * (frame["city"].map(CODES) - 2)
    )
    frame["late"] = (signal + 0.75 * rng.logistic(size=n) > 0).astype(int)
    return frame


def features(loans: pd.DataFrame) -> pd.DataFrame:
    """As they are learned."""
    return pd.DataFrame(
        {
            "amount": loans["amount"],
            "income": loans["income"],
            "balance": loans["balance"],
            "age": loans["age"],
            "months": loans["months"],
            "city": loans["city"].map(CODES),
            "rate": loans["rate"],
        }
    )


def served(request: pd.DataFrame) -> pd.DataFrame:
    """As the service computes them: five columns are another thing there."""
    made = features(request)
    made["income"] = made["income"].fillna(0.0)
    made["balance"] = -made["balance"]  # what is owed, not what is owned
    made["months"] = request["age"]
    made["city"] = request["city"].map(CODES_SERVED)
    made["rate"] = made["rate"].round(2)
    return made


def app(**changes) -> wild.App:
    """Return the app."""
    fields = {
        "name": "loans",
        "data": loans,
        "time": "when",
        "label": "late",
        "delay": 10,
        "features": features,
        "models": {
            "logistic": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        },
        "loss": "log_loss",
        "every": 250,
        "serving": wild.Serving(features=served),
    }
    fields.update(changes)
    return wild.App(**fields)
