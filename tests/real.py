"""Apps on the real data sets that lie beside a developer's checkout."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild

# What is filled in at check-in, or says how it ended, is no feature (the set's SOURCE.md names them).
HOTEL_LEAKS = [
    "reservation_status", "assigned_room_type", "booking_changes", "country",
    "required_car_parking_spaces", "days_in_waiting_list",
]  # fmt: skip


def hotel_features(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is known at booking, categories as hashes that no other row can change."""
    kept = rows.drop(columns=["booked_on", "arrival_on", "label_known_on", "is_canceled", *HOTEL_LEAKS])
    made = {}
    for name in kept:
        column = kept[name]
        if pd.api.types.is_numeric_dtype(column):
            made[name] = column.astype(float)
        else:
            words = column.astype("string").fillna("")
            codes = {word: int.from_bytes(word.encode()[:6], "big") % 10_007 for word in words.unique()}
            made[name] = words.map(codes).astype(float)
    # Days as numbers, as many people write them: with labels that arrive early when they are bad, a
    # model of the known labels learns "lately everybody cancels".
    for name in ("booked_on", "arrival_on"):
        made[name] = (rows[name] - pd.Timestamp("2013-01-01")).dt.days.astype(float)
    return pd.DataFrame(made)


def hotel(folder, **changes) -> wild.App:
    """Will this booking be cancelled? Cancellations are known early, stays late."""
    fields = {
        "name": "hotel",
        "data": str(folder / "hotel_bookings" / "bookings.parquet"),
        "time": "booked_on",
        "label": "is_canceled",
        "known_at": "label_known_on",
        "outcomes": HOTEL_LEAKS,
        "features": hotel_features,
        "models": {"boosting": HistGradientBoostingClassifier(max_iter=60, early_stopping=False)},
        "loss": "auc",
        "every": "28D",
        "start": "2016-01-04",
    }
    return wild.App(**(fields | changes))


def air_quality(folder, **changes) -> wild.App:
    """How much carbon monoxide is in the air? Cheap sensors that age, beside an analyser."""
    sensors = [
        "s1_tin_oxide",
        "s2_titania",
        "s3_tungsten_nox",
        "s4_tungsten_no2",
        "s5_indium_ozone",
        "temp_c",
        "rel_hum",
    ]
    fields = {
        "name": "air",
        "data": str(folder / "air_quality_sensors" / "hourly.parquet"),
        "time": "when",
        "label": "co_ref",
        "delay": "1D",
        "features": lambda rows: rows[sensors],
        "models": {"boosting": HistGradientBoostingRegressor(max_iter=60, early_stopping=False)},
        "loss": "absolute",
        "every": "7D",
        "start": "2004-04-10",
        "windows": ["60D", "all"],
        "prices": wild.Prices(loss=1.0, retrain=5.0, rollback=0.5, unit="EUR"),
    }
    return wild.App(**(fields | changes))


def gas_sensors(folder, **changes) -> wild.App:
    """Which gas is it? Sixteen sensors over 36 months; time is the number of the batch."""
    fields = {
        "name": "gas",
        "data": str(folder / "gas_sensor_drift" / "measurements.parquet"),
        "time": "batch",
        "label": "gas",
        "delay": 0,
        "features": lambda rows: rows[[name for name in rows if name.startswith("s") and "_f" in name]].astype(
            np.float32
        ),
        "models": {"logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))},
        "loss": "zero_one",
        "every": 1,
        "start": 2,
        "prices": wild.Prices(loss=1.0, retrain=50.0, unit="EUR"),
    }
    return wild.App(**(fields | changes))


def electricity(folder, market="DE", **changes) -> wild.App:
    """What will electricity cost tomorrow? Ten published forecasts of one market; the day is the unit."""
    path = folder / "electricity_price_forecasts" / "hourly.parquet"
    published = [name for name in pd.read_parquet(path).columns if name.startswith(("dnn_", "lear_"))]

    def rows():
        frame = pd.read_parquet(path)
        return frame[frame["market"] == market].sort_values("when").reset_index(drop=True)

    fields = {
        "name": f"electricity-{market}",
        "data": rows,
        "time": "when",
        "label": "real_price",
        "delay": "1D",
        "models": {name: wild.Forecast(name) for name in published},
        "loss": "absolute",
        "every": "14D",
    }
    return wild.App(**(fields | changes))


#: A label of solar power comes so late.
QUARTER = pd.Timedelta("15min")


def solar_data() -> Path:
    """Return the folder of public solar data in the wheel of pvanalytics, none of whose code is run."""
    found = util.find_spec("pvanalytics")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pvanalytics is not installed: pip install --no-deps pvanalytics==0.2.2 (its data are read only)")
    return Path(found.submodule_search_locations[0]) / "data"


def solar_rows(power: pd.Series) -> pd.DataFrame:
    """
    Return a row for each quarter of an hour of daylight: what the next one will give, and what the sky was like.

    The sky is told from the last hour's power over the best of the last ten days at these times of day.
    """
    asked, power = pd.Series(power.index), power.reset_index(drop=True)
    best = power.groupby(asked.dt.time).transform(lambda day: day.shift(1).rolling(10, min_periods=7).max())
    index = power.rolling(4).sum() / best.rolling(4).sum()
    made = pd.DataFrame(
        {
            "asked_at": asked,
            "next_kw": power.shift(-1),
            "known_at": asked + QUARTER,
            "hour": asked.dt.hour + asked.dt.minute / 60,
            "best now": best,
            "best next": best.shift(-1),
            "index": index,
            "sky": np.select([index > 0.9, index > 0.5], ["clear", "cloudy"], "overcast"),
            **{f"power {k}": power.shift(k) for k in range(5)},
        }
    )
    return made[(best > 0.2) & made.notna().all(axis=1)].reset_index(drop=True)


#: What a model that sees the sky knows, and what one knows that is told the last hour's power too.
SEES_SKY = ["hour", "best now", "best next", "index"]
SEES_POWER = [*SEES_SKY, *(f"power {k}" for k in range(5))]


def solar(rows: pd.DataFrame, features: list[str], **changes) -> wild.App:
    """How much power will the panels give in a quarter of an hour? By the sky of the last hour."""
    fields = {
        "name": "solar",
        "data": lambda: rows,
        "time": "asked_at",
        "label": "next_kw",
        "known_at": "known_at",
        "features": lambda asked: asked[features],
        "models": {"boosting": HistGradientBoostingRegressor(max_iter=60, early_stopping=False)},
        "loss": "squared",
        "every": "7D",
        "groups": ["sky"],
    }
    return wild.App(**(fields | changes))
