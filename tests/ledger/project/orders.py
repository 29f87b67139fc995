"""Will this order come back? Asked when it is placed; known when the parcel is back, or the time for it is over."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild

SEED = 0
SHOPS, CATEGORIES = ["north", "south", "outlet"], ["coat", "dress", "hat", "shoes"]


def orders() -> pd.DataFrame:
    """One row an order. Of cheap parcels only some are opened when they come back: the others have no label."""
    rng = np.random.default_rng(SEED)
    n = 3_600
    day = np.sort(rng.uniform(0, 7 * 28, n))
    shop, category = rng.choice(SHOPS, n, p=[0.42, 0.33, 0.25]), rng.choice(CATEGORIES, n, p=[0.2, 0.3, 0.2, 0.3])
    price = rng.gamma(4.0, 12.0, n).round(2)
    # In the outlet it is the cheap things that come back.
    slope = np.where(shop == "outlet", -2.0, 2.0) * (price - 48) / 24
    score = slope + pd.Series(category).map({"coat": 0.2, "dress": 0.6, "hat": -0.8, "shoes": 0.0}).to_numpy() - 0.4
    returned = rng.random(n) < 1 / (1 + np.exp(-score))
    opened = np.where(price > 30, 1.0, 0.7)
    seen = rng.random(n) < opened
    ordered_at = pd.Series(pd.Timestamp("2025-01-06", tz="Europe/Paris") + pd.to_timedelta(day, unit="D")).dt.round("s")
    known_at = ordered_at + pd.Series(pd.to_timedelta(rng.uniform(3, 14, n), unit="D")).dt.round("s")
    return pd.DataFrame(
        {
            "order": np.arange(n),
            "ordered_at": ordered_at,
            "known_at": known_at.where(seen),
            "customer": rng.integers(0, 900, n),
            "shop": shop,
            "category": pd.Series(category).where(rng.random(n) > 0.03),
            "price": price,
            "weight": np.where(rng.random(n) > 0.08, rng.gamma(3.0, 0.4, n).round(3), np.nan),
            "opened": opened,
            "refund": np.where(seen, np.where(returned, price, 0.0), np.nan),
            "returned": np.where(seen, returned.astype(float), np.nan),
        }
    )


def answers() -> pd.DataFrame:
    """What came back and what did not, as it became known."""
    return orders()[["category", "known_at", "returned"]].dropna(subset=["known_at"])


def placed() -> pd.DataFrame:
    """Who ordered when."""
    return orders()[["customer", "ordered_at"]]


def visits() -> pd.DataFrame:
    """Pages that were looked at: some before each order, and after it where somebody means to send it back."""
    rng, known = np.random.default_rng(SEED + 1), orders()
    before = known.loc[known.index.repeat(rng.poisson(1.5, len(known))), ["order", "ordered_at"]]
    after = known.loc[known["returned"] == 1, ["order", "ordered_at"]]
    hours = np.concatenate([-rng.uniform(0.1, 48, len(before)), rng.uniform(20, 60, len(after))])
    looked = pd.concat([before, after], ignore_index=True)
    looked["visited_at"] = looked["ordered_at"] + pd.Series(pd.to_timedelta(hours, unit="h")).dt.round("s")
    return looked[["order", "visited_at"]]


def features(orders: pd.DataFrame, tables) -> pd.DataFrame:
    """The same rows; only what was known when each order was placed."""
    made = pd.DataFrame({"price": orders["price"], "weight": orders["weight"]})
    made["outlet_price"] = made["price"].where(orders["shop"] == "outlet", 0.0)
    made["earlier"] = earlier(orders, tables["placed"].table, "customer", "ordered_at")
    made["visits"] = earlier(orders, tables["visits"].table, "order", "visited_at")
    made["rate"] = rate(orders, tables["answers"].table)
    for shop in SHOPS:
        made[f"shop_{shop}"] = (orders["shop"] == shop).astype(float)
    for category in CATEGORIES:
        made[f"category_{category}"] = (orders["category"] == category).astype(float)
    made["category_missing"] = orders["category"].isna().astype(float)
    return made


def earlier(orders: pd.DataFrame, rows: pd.DataFrame, whom: str, at: str):
    """Return how many rows of the same customer, or of the order itself, there were before each order."""
    # One number for whom and when, so that one search finds the place among all.
    key = np.sort(10**11 * rows[whom].to_numpy() + seconds(rows[at]))
    mine = 10**11 * orders[whom].to_numpy()
    return np.searchsorted(key, mine + seconds(orders["ordered_at"])) - np.searchsorted(key, mine)


def rate(orders: pd.DataFrame, answers: pd.DataFrame):
    """Return the share of the category that came back, of the answers that were known."""
    made, when = np.full(len(orders), np.nan), seconds(orders["ordered_at"])
    for category in CATEGORIES:
        mine, past = (orders["category"] == category).to_numpy(), answers[answers["category"] == category]
        n = np.searchsorted(seconds(past["known_at"]), when[mine], side="right")
        made[mine] = (np.append(0.0, past["returned"].cumsum())[n] + 1) / (n + 2)
    return made


def seconds(times: pd.Series):
    """Return times as whole seconds since 1970."""
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)


def served(order: pd.DataFrame, tables) -> pd.DataFrame:
    """The features of one order as the service computes them."""
    one = order.iloc[0]
    made = {"price": one["price"], "weight": one["weight"]}
    made["outlet_price"] = one["price"] if one["shop"] == "outlet" else 0.0
    made["earlier"] = earlier(order, tables["placed"].table, "customer", "ordered_at")[0]
    made["visits"] = earlier(order, tables["visits"].table, "order", "visited_at")[0]
    made["rate"] = rate(order, tables["answers"].table)[0]
    made |= {f"shop_{shop}": float(one["shop"] == shop) for shop in SHOPS}
    made |= {f"category_{category}": float(one["category"] == category) for category in CATEGORIES}
    made["category_missing"] = float(pd.isna(one["category"]))
    return pd.DataFrame([made])


def answer(model, features: pd.DataFrame):
    """The chance that the service states."""
    return model.predict_proba(features)[:, 1]


app = wild.App(
    name="orders",
    data=orders,
    tables={
        "placed": wild.Table(placed, time="ordered_at", delay=0),
        "visits": wild.Table(visits, time="visited_at", delay=0),
        "answers": wild.Table(answers, time="known_at", delay=0),
    },
    key="order",
    time="ordered_at",
    known_at="known_at",
    label="returned",
    outcomes=["refund"],
    groups=["shop"],
    feedback="selective",
    propensity="opened",
    features=features,
    models={"logistic": make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression())},
    serving=wild.Serving(features=served, predict=answer),
    loss="brier",
    every="7D",
    prices=wild.Prices(loss=5.0, retrain=20.0, unit="EUR"),
    owner="ana",
)
