"""Checks find planted leaks, name them, and stay silent on honest features."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import CensoredData, ecdf

import mlwild as wild
from mlwild.models import Forecast
from tests.support import Logit, small_app


def payments(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Card payments; a chargeback arrives 5 to 60 days later, or (for one in fifty) never is heard of."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.uniform(0, 400, n))
    risky = rng.random(40) < 0.25
    card = rng.integers(0, 40, n)
    amount = rng.gamma(2.0, 40.0, n)
    fraud = rng.random(n) < np.where(risky[card], 0.25, 0.03)
    paid_at = pd.Timestamp("2024-01-01", tz="Europe/Paris") + pd.to_timedelta(day, unit="D")
    known_at = pd.Series(paid_at + pd.to_timedelta(rng.uniform(5, 60, n), unit="D"))
    known_at[rng.random(n) < 0.02] = pd.NaT
    return pd.DataFrame(
        {
            "paid_at": paid_at,
            "charged_back_at": known_at,
            "card": card,
            "amount": amount,
            "charged_back": fraud.astype(float),
        }
    )


def charged_back_before(rows: pd.DataFrame, *, honest: bool) -> np.ndarray:
    """Sum each card's chargebacks of the 90 days before a payment; honestly, of those known by then."""
    out = np.zeros(len(rows))
    window = pd.Timedelta("90D")
    for _, group in rows.groupby("card"):
        at, known = group["paid_at"].to_numpy(), group["charged_back_at"].to_numpy()
        amounts = (group["charged_back"].fillna(0) * group["amount"]).to_numpy()
        for place, index in enumerate(group.index):
            past = (at < at[place]) & (at >= at[place] - window)
            if honest:
                past &= known <= at[place]
            out[index] = amounts[past].sum()
    return out


def payments_app(*, honest: bool, rows: pd.DataFrame | None = None, **changes):
    data = payments() if rows is None else rows

    def features(rows):
        return pd.DataFrame({"amount": rows["amount"], "charged_back_90d": charged_back_before(rows, honest=honest)})

    fields = {
        "name": "payments",
        "data": lambda: data,
        "time": "paid_at",
        "label": "charged_back",
        "known_at": "charged_back_at",
        "features": features,
        "models": {"logit": Logit()},
        "loss": "log_loss",
        "every": "14D",
    }
    return wild.App(**(fields | changes))


def test_the_point_in_time_sum_and_the_leaky_sum_differ():
    rows = payments()
    honest, leaky = charged_back_before(rows, honest=True), charged_back_before(rows, honest=False)
    assert (leaky >= honest - 1e-9).all()
    assert (leaky > honest).mean() > 0.2


def test_check_names_the_leak_with_column_row_and_both_values():
    report = wild.check(payments_app(honest=False))
    assert not report.passed
    (leak,) = report.leaks
    assert leak.column == "charged_back_90d"
    with_future, without = (float(value) for value in leak.values)
    rows = payments()
    assert with_future == charged_back_before(rows, honest=False)[leak.row]
    assert without < with_future
    assert f"row {leak.row}" in leak.said
    assert "'charged_back_90d' knows the future" in leak.said


def test_check_is_silent_on_the_honest_sum():
    report = wild.check(payments_app(honest=True), cutoffs=8)
    assert report.passed, [finding.said for finding in report.findings if finding.verdict == "fail"]


LEAKS = {
    "mean of everything": lambda rows: rows["a"] - rows["a"].mean(),
    "next row": lambda rows: rows["a"].shift(-1),
    "its own label": lambda rows: rows["y"],
    "its own outcome": lambda rows: rows["cost"],
    "its own arrival": lambda rows: rows["known"] - rows["when"],
    "rank in everything": lambda rows: rows["a"].rank(),
    "category codes": lambda rows: rows["b"].round(1).astype(str).astype("category").cat.codes,
    "labels up to now, known or not": lambda rows: rows["y"].shift(1).expanding().mean(),
    "number of rows": lambda rows: pd.Series(len(rows), index=rows.index),
    "missing when unknown": lambda rows: rows["y"].isna(),
}


def _with_cost(delay=30):
    from tests.support import drifting

    frame = drifting(delay=0)
    frame["known"] = frame["when"] + delay
    frame["cost"] = frame["y"] * 2
    return frame


@pytest.mark.parametrize("how", LEAKS)
def test_a_planted_leak_is_found(how):
    app = small_app(
        _with_cost(),
        outcomes=["cost"],
        features=lambda rows: pd.DataFrame({"a": rows["a"], "planted": LEAKS[how](rows)}),
        models={"mean": Constant()},
    )
    assert [leak.column for leak in wild.check(app).leaks] == ["planted"]


HONEST = {
    "last row": lambda rows: rows["a"].shift(1),
    "rolling": lambda rows: rows["a"].rolling(10, min_periods=1).max(),
    "expanding": lambda rows: rows["a"].expanding().mean(),
    "labels known by now": lambda rows: rows["y"].shift(30),
    "text": lambda rows: rows["b"].round().astype(str),
    "nothing": lambda rows: rows["a"] * np.nan,
}


@pytest.mark.parametrize("how", HONEST)
def test_an_honest_feature_passes(how):
    app = small_app(
        _with_cost(),
        outcomes=["cost"],
        features=lambda rows: pd.DataFrame({"a": rows["a"], "b": rows["b"], "h": HONEST[how](rows)}),
        models={"mean": Constant()},
    )
    assert not wild.check(app, cutoffs=8).leaks


class Constant:
    """Predicts the mean."""

    def fit(self, X, y):
        self.mean = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean)


def test_features_that_are_not_the_same_twice_are_named():
    rng = np.random.default_rng(0)
    app = small_app(features=lambda rows: pd.DataFrame({"a": rows["a"], "noise": rng.normal(size=len(rows))}))
    (finding,) = wild.check(app).leaks
    assert finding.column == "noise"
    assert "not the same twice" in finding.said


def test_a_side_table_that_is_read_too_early_is_found():
    rates = pd.DataFrame({"day": np.arange(0, 1200, 50), "rate": np.random.default_rng(0).normal(size=24)})
    table = wild.Table(lambda: rates, time="day", delay=200)
    honest = small_app(
        tables={"rates": table},
        features=lambda rows, tables: pd.DataFrame({"a": rows["a"], "r": tables["rates"].asof(rows)["rate"].fillna(0)}),
    )
    assert not wild.check(honest).leaks

    def early(rows, tables):
        found = np.searchsorted(tables["rates"].table["day"].to_numpy(), rows["when"].to_numpy(), side="right") - 1
        values = tables["rates"].table["rate"].to_numpy()
        return pd.DataFrame({"a": rows["a"], "r": values[found.clip(0)] if len(values) else np.zeros(len(rows))})

    assert [leak.column for leak in wild.check(small_app(tables={"rates": table}, features=early)).leaks] == ["r"]


def test_a_single_column_that_tells_the_label_is_named_and_so_is_its_missingness():
    frame = _with_cost()
    frame["y"] = (frame["y"] > 0).astype(int)
    frame["twin"] = frame["y"] + 0.001 * frame["a"]
    frame["gap"] = np.where(frame["y"] == 1, np.nan, 1.0)
    app = small_app(frame, models={"logit": Zero()}, loss="log_loss", features=lambda rows: rows[["a", "twin", "gap"]])
    found = [f for f in wild.check(app).findings if f.check == "single column" and f.verdict == "fail"]
    assert {finding.column for finding in found} == {"twin", "gap"}
    assert any("that 'gap' is missing" in finding.said for finding in found)


@pytest.mark.parametrize(
    ("features", "classes", "said"),
    [
        (["a"], True, r"the strongest is 'a' \(an AUC of 0\.\d\d, chance 0\.5\)$"),
        (["a"], False, r"the strongest is 'a' \(a rank correlation of 0\.\d\d, chance 0\)$"),
        (["still"], False, "^no feature alone tells the label$"),
    ],
)
def test_the_strongest_single_column_is_told_with_the_name_of_its_measure(features, classes, said):
    frame = _with_cost().assign(still=1.0)
    words = {}
    if classes:
        frame["y"] = (frame["y"] > 0).astype(int)
        words = {"models": {"logit": Zero()}, "loss": "log_loss"}
    found = wild.check(small_app(frame, features=lambda rows: rows[features], **words))
    assert re.search(said, _only(found, "single column").said)


class Zero(Logit):
    """Ignores its features."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_a_model_that_saw_the_labels_another_way_fails_the_shuffled_target():
    frame = _with_cost()
    answers = dict(zip(frame["a"], frame["y"], strict=True))

    def cheating(X, y):
        return lambda X: np.array([answers[a] for a in X["a"]])

    finding = _only(wild.check(small_app(frame, models={"cheat": cheating})), "target shuffle")
    assert finding.verdict == "fail"


def test_shuffled_targets_raise_no_false_alarm_in_40_draws():
    from tests.support import drifting

    verdicts = [
        _only(
            wild.check(small_app(drifting(seed=draw), name=f"d{draw}"), cutoffs=1, seed=draw), "target shuffle"
        ).verdict
        for draw in range(40)
    ]
    # The level is .001 a draw; two false alarms among 40 would have a chance below one in a thousand.
    assert verdicts.count("fail") <= 1


def _only(report, name):
    (found,) = [finding for finding in report.findings if finding.check == name]
    return found


def test_label_maturity_is_kaplan_meiers():
    rows = payments()
    report = wild.check(payments_app(honest=True, rows=rows), cutoffs=1)
    delay = (rows["charged_back_at"] - rows["paid_at"]).dt.total_seconds() / 86_400
    seen = max(rows["paid_at"].max(), rows["charged_back_at"].max())
    waited = ((seen - rows["paid_at"]).dt.total_seconds() / 86_400)[delay.isna()]
    curve = ecdf(CensoredData(uncensored=delay.dropna().to_numpy(), right=waited.to_numpy())).cdf
    for share, days in report.maturity.items():
        wanted = float(share.rstrip("%")) / 100
        reached = curve.quantiles[curve.probabilities >= wanted]
        assert days == (pytest.approx(reached[0]) if len(reached) else None)
    assert report.maturity["50%"] == pytest.approx(33, abs=3)


def test_duplicates_are_counted():
    frame = _with_cost()
    twice = pd.concat([frame, frame[:5]], ignore_index=True)
    assert _only(wild.check(small_app(twice), cutoffs=1), "duplicates").said.startswith("5 of 1,205 events")


def test_a_column_without_a_zone_is_noted_and_one_with_a_zone_passes():
    rows = payments()
    zoned = _only(wild.check(payments_app(honest=True), cutoffs=1), "time zone")
    assert (zoned.verdict, "Europe/Paris" in zoned.said) == ("pass", True)
    naive = rows.assign(**{name: rows[name].dt.tz_localize(None) for name in ("paid_at", "charged_back_at")})
    assert _only(wild.check(payments_app(honest=True, rows=naive), cutoffs=1), "time zone").verdict == "note"


@pytest.mark.parametrize("written", ["%Y%m%d", "%Y%m", None])
def test_dates_that_are_written_as_numbers_are_noted(written):
    frame = _with_cost()
    n = len(frame)
    if written:
        days = pd.date_range("2022-11-20", periods=n, freq="D" if written == "%Y%m%d" else "12h")
        frame["when"] = days.strftime(written).astype(int)
        frame["known"] = frame["when"]
    found = _only(wild.check(small_app(frame, start=int(frame["when"].iloc[n // 4]), every=10), cutoffs=1), "time zone")
    assert (found.verdict, "read as dates, such as 20221" in found.said) == (
        ("note", True) if written else ("pass", False)
    )


def test_a_forecast_needs_no_features_and_no_shuffle():
    frame = _with_cost()
    report = wild.check(small_app(frame, models={"f": Forecast("b")}, features=None))
    assert report.passed
    assert _only(report, "target shuffle").verdict == "pass"


def test_the_report_is_plain_data():
    import json

    facts = wild.check(payments_app(honest=False), cutoffs=2).as_dict()
    assert json.loads(json.dumps(facts))["passed"] is False
    assert set(facts["label_maturity"]) == {"50%", "90%", "95%", "99%"}
