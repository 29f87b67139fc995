"""The histories of the contest: real ones and generated ones, each an app without prices."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlwild as wild

CHECKOUT = Path(__file__).resolve().parent.parent
#: Real histories stand in a folder beside the checkout; without it they are left out.
DATA = CHECKOUT.parent / "shared" / "data"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """
    A history to rehearse over.

    Parameters
    ----------
    name : str
    about : str
        What is known of its drift beforehand.
    make : callable
        Returns the app, without prices.
    needs : str
        File below `DATA` that it reads; empty if none.
    """

    name: str
    about: str
    make: Callable[[], wild.App]
    needs: str = ""

    def app(self, prices: wild.Prices | None = None) -> wild.App:
        """Return the app at some prices."""
        return replace(self.make(), prices=prices)


# -- real ------------------------------------------------------------------------------------------


@cache
def example(name: str) -> Any:
    """Return an example's module."""
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "examples" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _codes(words: pd.Series) -> pd.Series:
    """Turn words into numbers that do not depend on the words of other rows."""
    return words.map(lambda word: crc32(word.encode()))


def flights() -> wild.App:
    """All flights out of New York in a year, weekly, with a quick model."""
    model = HistGradientBoostingClassifier(max_iter=20, early_stopping=False)
    return replace(example("flights").app, models={"boosting": model}, prices=None)


def _shuffled_flights() -> pd.DataFrame:
    """Rows of 60,000 flights dealt out over the year: whatever drift there was is gone."""
    frame = example("flights").flights()
    frame = frame[frame["late"].notna()].sample(60_000, random_state=0).sort_values("departs_at")
    made = pd.DataFrame(
        {
            "hour": frame["departs_at"].dt.hour,
            "month": frame["departs_at"].dt.month,
            "distance": frame["distance"],
            "carrier": _codes(frame["carrier"]),
            "dest": _codes(frame["dest"]),
            "late": frame["late"].astype(int),
        }
    )
    made = made.sample(frac=1.0, random_state=1).reset_index(drop=True)
    return made.assign(departs_at=frame["departs_at"].to_numpy())


def shuffled_flights() -> wild.App:
    """The same flights in random order: no drift."""
    return wild.App(
        name="shuffled_flights",
        data=_shuffled_flights,
        time="departs_at",
        label="late",
        delay="6h",
        models={"boosting": HistGradientBoostingClassifier(max_iter=20, early_stopping=False)},
        loss="log_loss",
        every="7D",
    )


def _bookings() -> pd.DataFrame:
    """
    One row a booking, from July 2015 on: earlier ones are a biased sample, as the source says.

    The day on which an outcome was known is over before it counts as known.
    """
    frame = pd.read_parquet(DATA / "hotel_bookings" / "bookings.parquet")
    frame = frame[frame["booked_on"] >= "2015-07-01"].reset_index(drop=True)
    frame["known_at"] = frame["label_known_on"] + pd.Timedelta(days=1)
    return frame


def _booking_features(bookings: pd.DataFrame) -> pd.DataFrame:
    """What was known when the booking was made (see the leaks that the source names)."""
    numbers = [
        *("lead_time", "stays_in_weekend_nights", "stays_in_week_nights", "adults", "babies", "is_repeated_guest"),
        *("previous_cancellations", "previous_bookings_not_canceled", "adr", "total_of_special_requests"),
    ]
    words = ["hotel", "meal", "market_segment", "distribution_channel", "reserved_room_type"]
    words += ["deposit_type", "customer_type"]
    made = bookings[numbers].astype(float)
    return made.assign(**{name: _codes(bookings[name]) for name in words})


def hotel_bookings() -> wild.App:
    """Will a booking be cancelled? Cancellations become known early and stays late."""
    return wild.App(
        name="hotel_bookings",
        data=_bookings,
        time="booked_on",
        known_at="known_at",
        label="is_canceled",
        features=_booking_features,
        models={"boosting": HistGradientBoostingClassifier(max_iter=30, early_stopping=False)},
        loss="log_loss",
        every="10D",
    )


def _air() -> pd.DataFrame:
    frame = pd.read_parquet(DATA / "air_quality_sensors" / "hourly.parquet")
    return frame.drop(columns=["nmhc_ref", "benzene_ref", "nox_ref", "no2_ref"])


def air_quality() -> wild.App:
    """Carbon monoxide from cheap sensors that age; the analyser's reading is a day late."""
    return wild.App(
        name="air_quality",
        data=_air,
        time="when",
        label="co_ref",
        delay="1D",
        models={"ridge": make_pipeline(SimpleImputer(), StandardScaler(), Ridge())},
        loss="absolute",
        every="7D",
    )


def _gas() -> pd.DataFrame:
    """
    Exposures in order of batch, each batch cut into eight ticks.

    Inside a batch the order of time is not known (the lines come gas by gas), so it is drawn.
    """
    frame = pd.read_parquet(DATA / "gas_sensor_drift" / "measurements.parquet")
    frame = frame.sample(frac=1.0, random_state=0).sort_values("batch", kind="stable").reset_index(drop=True)
    place = frame.groupby("batch").cumcount() / frame.groupby("batch")["batch"].transform("size")
    order = frame["batch"].rank(method="dense").astype(int) - 1
    frame["tick"] = 8 * order + (8 * place).astype(int)
    return frame.drop(columns=["batch", "order_in_batch", "ppm"])


def gas_sensors() -> wild.App:
    """Which of six gases? Sensors age over three years; integer time."""
    return wild.App(
        name="gas_sensors",
        data=_gas,
        time="tick",
        label="gas",
        delay=1,
        models={"logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))},
        loss="zero_one",
        every=1,
    )


def _electricity() -> pd.DataFrame:
    """
    Tomorrow's hourly prices of one market, asked for at noon before the auction.

    At noon the prices until midnight are known: they were fixed the day before. The auction's
    result is out an hour later.
    """
    frame = pd.read_parquet(DATA / "electricity_price_forecasts" / "hourly.parquet")
    frame = frame[frame["market"] == "DE"].sort_values("when").reset_index(drop=True)
    price, day = frame["real_price"], frame["when"].dt.normalize()
    made = pd.DataFrame({"asked": day - pd.Timedelta(hours=12), "price": price})
    made["known_at"] = made["asked"] + pd.Timedelta(hours=1)
    made["hour"], made["weekday"] = frame["when"].dt.hour, day.dt.weekday
    for days in (1, 2, 7):
        made[f"price_{days}_days_before"] = price.shift(24 * days)
    made["mean_of_day_before"] = price.groupby(day).transform("mean").shift(24)
    return made.iloc[7 * 24 :]


def electricity() -> wild.App:
    """Day-ahead electricity prices from lagged prices."""
    return wild.App(
        name="electricity",
        data=_electricity,
        time="asked",
        known_at="known_at",
        label="price",
        models={"boosting": HistGradientBoostingRegressor(max_iter=40, early_stopping=False)},
        loss="absolute",
        every="7D",
    )


def _invoices() -> pd.DataFrame:
    """One row an invoice of a known customer, with what he had bought before; the last 90 days have no answer."""
    lines = pd.read_parquet(DATA / "online_retail" / "lines.parquet")
    lines = lines[lines["customer"].notna() & (lines["quantity"] > 0)].drop_duplicates()
    lines["spent"] = lines["quantity"] * lines["unit_price"]
    made = lines.groupby("invoice").agg(
        when=("when", "min"), customer=("customer", "first"), spent=("spent", "sum"), lines=("spent", "size")
    )
    made = made.sort_values(["when", "customer"]).reset_index(drop=True)
    customer = made.groupby("customer")
    made["earlier"] = customer.cumcount()
    made["spent_before"] = customer["spent"].cumsum() - made["spent"]
    made["days_since_last"] = customer["when"].diff().dt.days
    made["days_since_first"] = (made["when"] - customer["when"].transform("min")).dt.days
    ahead = (customer["when"].shift(-1) - made["when"]).dt.days
    made["again"] = (ahead < 90).astype(int)
    return made[made["when"] < made["when"].max() - pd.Timedelta(days=90)].drop(columns="customer")


def retail() -> wild.App:
    """Will this customer buy again within 90 days? The answer takes 90 days."""
    return wild.App(
        name="retail",
        data=_invoices,
        time="when",
        label="again",
        delay="90D",
        models={"boosting": HistGradientBoostingClassifier(max_iter=20, early_stopping=False)},
        loss="log_loss",
        every="7D",
    )


# -- generated -------------------------------------------------------------------------------------

#: Rows of a period and periods of a generated history; time is the number of the row.
ROWS, PERIODS = 500, 90

Answers = Callable[[Floats, Floats, np.random.Generator], Floats]


def _generate(answers: Answers, columns: int, seed: int, centre: float = 0.0) -> pd.DataFrame:
    """Draw features, uniform on (-1, 1) and moved by `centre` over the history, and answers."""
    rng = np.random.default_rng(seed)
    n = ROWS * PERIODS
    share = np.arange(n) / n
    x = rng.uniform(-1, 1, (n, columns)) + centre * share[:, None]
    made = pd.DataFrame(x, columns=[f"x{i}" for i in range(columns)])
    return made.assign(row=np.arange(n), y=answers(x, share, rng))


def _noisy(truth: NDArray[np.bool_], rng: np.random.Generator, flipped: float) -> Floats:
    return (truth ^ (rng.uniform(size=len(truth)) < flipped)).astype(float)


def _sea(x: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """Four concepts, one after the other (Street and Kim 2001): the sum of two features against a threshold."""
    threshold = np.array([-0.4, -0.2, -0.6, -0.1])[(4 * share).astype(int)]
    return _noisy(x[:, 0] + x[:, 1] <= threshold, rng, 0.1)


def _rotating(x: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """A hyperplane that turns by half a circle over the history."""
    return _noisy(x[:, 0] * np.cos(np.pi * share) + x[:, 1] * np.sin(np.pi * share) > 0, rng, 0.05)


def _recurring(x: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """Two concepts that take turns, fifteen periods each."""
    first = (share * PERIODS // 15).astype(int) % 2 == 0
    return _noisy(np.where(first, x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]) > 0, rng, 0.05)


def _stationary(x: Floats, _share: Floats, rng: np.random.Generator) -> Floats:
    """One concept."""
    return _noisy(x[:, 0] + x[:, 1] > 0, rng, 0.2)


def _bent(x: Floats, _share: Floats, rng: np.random.Generator) -> Floats:
    """One concept that a line cannot hold; the inputs move, so the best line does."""
    return (2 * np.sin(2 * x[:, 0]) + x[:, 1] + rng.logistic(size=len(x)) > 0).astype(float)


def _seasonal(x: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """A slope that swings with a year of 52 periods."""
    swing = np.sin(2 * np.pi * share * PERIODS / 52)
    return x[:, 0] + 0.5 * swing * x[:, 1] + 0.3 * rng.normal(size=len(x))


def _classes(name: str, answers: Answers, columns: int, seed: int, centre: float = 0.0) -> wild.App:
    """A logistic regression on the last four periods; labels come a period late."""
    return wild.App(
        name=name,
        data=partial(_generate, answers, columns, seed, centre),
        time="row",
        label="y",
        delay=ROWS,
        models={"logistic": make_pipeline(StandardScaler(), LogisticRegression())},
        loss="log_loss",
        every=ROWS,
        windows=[4 * ROWS],
    )


def seasonal() -> wild.App:
    """A regression on the last four periods; labels come a period late."""
    return replace(
        _classes("seasonal", _seasonal, 3, 5),
        models={"ridge": make_pipeline(StandardScaler(), Ridge())},
        loss="absolute",
    )


HISTORIES = (
    History("flights", "real, a year of weeks", flights),
    History("hotel_bookings", "real, labels up to two years late", hotel_bookings, "hotel_bookings/bookings.parquet"),
    History("air_quality", "real, sensors age", air_quality, "air_quality_sensors/hourly.parquet"),
    History("gas_sensors", "real, sensors age", gas_sensors, "gas_sensor_drift/measurements.parquet"),
    History("electricity", "real, prices", electricity, "electricity_price_forecasts/hourly.parquet"),
    History("retail", "real, labels 90 days late", retail, "online_retail/lines.parquet"),
    History("sea", "four concepts, abrupt", partial(_classes, "sea", _sea, 3, 0)),
    History("rotating", "gradual", partial(_classes, "rotating", _rotating, 10, 1)),
    History("recurring", "two concepts in turn", partial(_classes, "recurring", _recurring, 3, 2)),
    History("moving_inputs", "inputs move, concept stays", partial(_classes, "moving_inputs", _bent, 3, 4, 3.0)),
    History("seasonal", "a yearly swing", seasonal),
    History("stationary", "no drift", partial(_classes, "stationary", _stationary, 3, 3)),
    History("shuffled_flights", "no drift", shuffled_flights),
)


def available() -> Iterator[History]:
    """Yield the histories whose data are here; say in a line which are not."""
    for history in HISTORIES:
        if history.needs and not (DATA / history.needs).exists():
            print(f"left out: {history.name} (no shared/data/{history.needs} beside the checkout)")
        else:
            yield history
