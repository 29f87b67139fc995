"""Losses of rows, of sets, of classes, and those of selected labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import mlwild as wild
from mlwild import rules
from mlwild.card import card_html
from mlwild.comparing import measure_of
from mlwild.errors import DataError
from mlwild.records import Vintage
from mlwild.show.operation import show_operation
from mlwild.show.sheet import show_sheet
from tests.support import Line, Logit, drifting, small_app


class Foreign(Logit):
    """Encodes its classes inside and forgets to decode them."""

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = np.array(["a", "b"])
        return self


def test_bandit_feedback_without_propensities_is_not_ranked(tmp_path):
    sheet = wild.rehearse(small_app(feedback="bandit"), store=tmp_path).sheet
    assert sheet["recommended"]["rule"] is None
    assert any("cannot be ranked" in said for said in sheet["limits"])


def test_selective_labels_are_weighted_back_to_the_whole(tmp_path):
    """Rows with a large feature are labelled one time in five; weighting recovers their share of the loss."""
    frame = drifting(12_000, drift=0.0, delay=0)
    frame["y"] += 2.0 * (frame["a"] > 1) * np.random.default_rng(1).normal(size=len(frame))
    frame["p"] = np.where(frame["a"] > 1, 0.2, 1.0)
    whole = wild.rehearse(small_app(frame, every=1000, start=2000), store=tmp_path)
    seen = frame.copy()
    seen.loc[np.random.default_rng(0).random(len(frame)) > frame["p"], "y"] = np.nan
    app = small_app(seen, every=1000, start=2000, name="selected")
    naive = wild.rehearse(app, store=tmp_path)
    fair = wild.rehearse(replace(app, feedback="selective", propensity="p"), store=tmp_path)
    losses = [made.rules[0]["loss"] for made in (whole, naive, fair)]
    assert abs(losses[1] - losses[0]) > 0.15
    assert abs(losses[2] - losses[0]) < 0.06
    assert any("effective sample of" in said for said in fair.sheet["limits"])


def test_a_published_forecast_needs_no_fit(tmp_path):
    frame = drifting()
    frame["forecast"] = frame["a"]
    app = small_app(frame, models={"published": wild.Forecast("forecast"), "line": Line()})
    made = wild.rehearse(app, store=tmp_path)
    assert made.sheet["fits"]["made"] == 10  # all of them the line's
    assert made.sheet["retraining_made_it_worse"]["periods"] == 0
    direct = ((frame["y"] - frame["a"].astype("float32")) ** 2)[200:].mean()
    assert made.rules[0]["loss"] == pytest.approx(direct)


def test_a_loss_of_a_set_has_a_triangle_too(tmp_path):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int)
    made = wild.rehearse(small_app(frame, models={"logit": Logit()}, loss="auc"), store=tmp_path)
    first = made.triangles[0]
    vintage = next(iter(first.scores))
    total, weight = first.matrix([vintage])
    predicted = first.predictions(vintage)[:100]
    assert total[0, 0] / weight[0, 0] == pytest.approx(1 - roc_auc_score(frame["y"][200:300], predicted))
    assert made.sheet["worst_period"]["low"] < made.sheet["worst_period"]["loss"]


def test_a_metric_that_was_turned_round_is_named_as_what_is_shown(tmp_path, capsys):
    """One minus the AUC is not called the AUC, on any face; and no event has a share of it."""
    frame = drifting(900)
    frame["y"] = (frame["y"] > 0).astype(int)
    app = small_app(frame, models={"logit": Logit(), "line": Logit()}, loss="auc")
    made = wild.rehearse(app, store=tmp_path)
    done = wild.operate(app, rule=rules.Never(), begin=500, store=tmp_path)
    show_sheet(made.sheet)
    show_operation(done)
    said = " ".join(capsys.readouterr().out.split())
    assert "loss 1 - auc, a cutoff" in said
    assert "a mean 1 - auc more than" in said or "a mean 1 - auc above" in said
    assert "promised 1 - auc" in said
    assert "per event" not in said
    model = made.triangles[0].predictions(Vintage(int(done.live)))
    told = {int(one["from"]): one for tick in done.ticks for one in tick.facts["scored"]["periods"]}
    part = frame[frame["when"].between(500, 599) & (frame["known"] <= 600)]
    assert told[500]["loss"] == pytest.approx(1 - roc_auc_score(part["y"], model[part.index - 500]))
    page = (tmp_path / "operate" / app.name / "card.html").read_text(encoding="utf-8")
    assert "Mean 1 − auc by period" in page
    assert "promised 1 − auc" in page
    assert measure_of(app)["name"] == "mean loss (1 − auc)"


def test_a_metric_without_a_greatest_value_is_named_by_its_negative(tmp_path):
    """What is minimised of a gain is its negative; one minus it was said, which is another number."""
    gain = wild.Loss(lambda y, p: 3.0 - (y - p) ** 2, "gain", better="greater", bounds=(-np.inf, 3.0))
    frame = drifting(900)
    app = small_app(frame, models={"line": Line(), "other": Line()}, loss=gain)
    made = wild.rehearse(app, store=tmp_path)
    sheet, triangle = made.sheet, made.triangles[0]
    row = next(one for one in sheet["rules"] if one["name"] == "never")
    first = triangle.freshest("all", 0)
    rows = frame[200 : 200 + len(triangle.predictions(first))]
    made_of = (rows["y"] - triangle.predictions(first)) ** 2 - 3.0
    assert row["loss"] == pytest.approx(float(made_of.mean()), rel=1e-5)
    assert sheet["loss"]["title"] == "minus gain"
    html = card_html(sheet)
    assert "minus gain" in html
    assert "1 − gain" not in html
    assert measure_of(app)["name"] == "mean loss (minus gain)"


def test_several_classes_are_scored_by_their_probabilities(tmp_path):
    from sklearn.naive_bayes import GaussianNB

    frame = drifting()
    frame["y"] = pd.cut(frame["y"], 3, labels=["low", "middle", "high"]).astype(str)
    made = wild.rehearse(small_app(frame, models={"bayes": GaussianNB()}, loss="log_loss"), store=tmp_path)
    vintage = next(iter(made.triangles[0].scores))
    assert made.triangles[0].predictions(vintage).shape == (1000, 3)
    assert 0 < made.rules[0]["loss"] < 1.2


@pytest.mark.parametrize(
    ("column", "loss", "said"),
    [
        (lambda y: y * 50.0, "log_loss", "probabilities lie in"),
        (lambda y: y + 7, "zero_one", "not among the labels"),
        (lambda y: np.where(y == 1, np.inf, 0.5), "brier", "missing or infinite"),
        (lambda y: 0.1 + 0.8 * y, "zero_one", "not among the labels. The loss asks for a class"),
        (lambda y: 0.1 + 0.8 * y, "f1", "not among the labels. The loss asks for a class"),
    ],
)
def test_a_forecast_in_another_form_is_refused(tmp_path, column, loss, said):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int)
    frame["f"] = column(frame["y"].to_numpy())
    with pytest.raises(DataError, match=said):
        wild.rehearse(small_app(frame, models={"f": wild.Forecast("f")}, loss=loss), store=tmp_path)


def test_no_forecast_of_a_class_is_cut_off(tmp_path):
    """Words longer than any label were cut to its length, and matched."""
    frame = drifting()
    frame["f"] = np.where(frame["y"] > 0, "yesterday", "no")
    frame["y"] = np.where(frame["y"] > 0, "yes", "no")
    app = small_app(frame, models={"f": wild.Forecast("f")}, loss="zero_one")
    with pytest.raises(DataError, match="holds 'yesterday', which is not among the labels"):
        wild.rehearse(app, store=tmp_path)


def test_a_forecast_of_classes_is_compared_as_classes(tmp_path):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int) + 1
    frame["f"] = frame["y"]
    made = wild.rehearse(small_app(frame, models={"f": wild.Forecast("f")}, loss="zero_one"), store=tmp_path)
    assert made.rules[0]["loss"] == 0


def test_foreign_classes_and_wild_probabilities_are_refused(tmp_path):
    frame = drifting()
    frame["y"] = np.where(frame["y"] > 0, "yes", "no")
    with pytest.raises(DataError, match="classes_ hold 'a', which is not among the labels"):
        wild.rehearse(small_app(frame, models={"m": Foreign()}, loss="log_loss"), store=tmp_path)
    with pytest.raises(DataError, match=r"a probability is .* outside \[0, 1\]"):
        wild.rehearse(
            small_app(frame, models={"m": lambda X, y: lambda X: X["a"] * 9}, loss="log_loss"), store=tmp_path
        )


@pytest.mark.parametrize("loss", ["auc", "average_precision", "f1"])
def test_equal_vintages_have_no_regret_under_a_loss_of_sets(tmp_path, loss):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int)
    frame["f"] = (1 / (1 + np.exp(-frame["a"]))).round(2) if loss != "f1" else (frame["a"] > 0).astype(int)
    made = wild.rehearse(small_app(frame, models={"f": wild.Forecast("f")}, loss=loss), store=tmp_path)
    never = next(row for row in made.rules if row["name"] == "never")
    assert never["regret"] == pytest.approx(0, abs=1e-9)


def test_a_profit_turned_round_keeps_its_interval(tmp_path):
    profit = wild.Loss(lambda y, p: 5.0 - (y - p) ** 2, "profit", better="greater", bounds=(-1e9, 5.0))
    made = wild.rehearse(small_app(loss=profit), store=tmp_path)
    best = made.recommended
    assert best["low"] < best["cost"] < best["high"] < 0


def test_a_loss_that_is_not_finite_is_named_with_its_row(tmp_path):
    frame = drifting()
    frame.loc[400, "y"] = 0.0
    with pytest.raises(DataError, match="loss: 'mape' is inf for label 0.0"):

        def mape(y, p):
            with np.errstate(divide="ignore"):
                return np.abs(y - p) / np.abs(y)

        wild.rehearse(small_app(frame, loss=mape), store=tmp_path)
