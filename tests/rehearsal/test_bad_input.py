"""Bad input is one sentence; a model that fails is reported and survived."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild.errors import AppError, DataError
from mlwild.rules import Every
from tests.support import Line, Logit, drifting, small_app


class Moody(Line):
    """Raises at one cutoff."""

    def fit(self, X, y):
        if len(X) in range(480, 500):
            raise RuntimeError("the moon is full")
        return super().fit(X, y)


class Blank(Line):
    """Predicts NaN for one row, if it learned from few."""

    def fit(self, X, y):
        self.few = len(X) < 250
        return super().fit(X, y)

    def predict(self, X):
        out = super().predict(X)
        if self.few:
            out[5] = np.nan
        return out


class Picky(Line):
    """Raises on what it has not seen."""

    def predict(self, X):
        if (np.asarray(X)[:, 1] > 50).any():
            raise KeyError("never seen")
        return super().predict(X)


def test_a_model_that_raises_at_one_cutoff_does_not_stop_the_run(tmp_path):
    made = wild.rehearse(small_app(models={"moody": Moody()}), store=tmp_path)
    (failed,) = made.triangles[0].failed.values()
    assert failed.vintage.cutoff == 3
    assert any("RuntimeError: the moon is full" in said for said in made.sheet["unknown"])
    always = next(row for row in made.rules if row["name"] == "always")
    assert always["retrains"] == 8  # of nine cutoffs one was refused
    refused = [fact for fact in made.lives["always"][0].facts if fact.action == "refused"]
    assert [fact.cutoff for fact in refused] == [3]


def test_a_nan_prediction_never_passes(tmp_path):
    made = wild.rehearse(small_app(models={"blank": Blank()}), store=tmp_path)
    assert any("1 of 100 predictions are NaN or infinite, first at row 5" in said for said in made.sheet["unknown"])
    assert made.lives["never"][0].first == 1


def test_a_later_row_that_cannot_be_predicted_unmakes_no_earlier_vintage(tmp_path):
    """What happens in a later period could not be known before: it costs that period only."""
    frame = drifting()
    plain = wild.rehearse(small_app(frame, models={"picky": Picky()}), store=tmp_path)
    strange = frame.copy()
    strange.loc[1150, "b"] = 99.0
    made = wild.rehearse(small_app(strange, models={"picky": Picky()}), store=tmp_path)
    assert not [vintage for vintage in made.triangles[0].failed if vintage.cutoff < 9]
    for name, (life,) in made.lives.items():
        before = [fact for fact in plain.lives[name][0].facts if fact.cutoff < 9]
        assert [fact for fact in life.facts if fact.cutoff < 9] == before
        assert life.weight[-1] == 0
        assert np.isfinite(life.loss).all()
    said = " ".join(made.sheet["unknown"])
    assert "could not predict some later rows" in said
    assert "never seen" in said
    again = wild.rehearse(small_app(strange, models={"picky": Picky()}), store=tmp_path)
    assert again.sheet["rules"] == made.sheet["rules"]
    assert again.sheet["unknown"] == made.sheet["unknown"]


def test_a_model_that_never_works_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="'bad'.*no vintage could be made at any cutoff.*ValueError: no"):

        def train(X, y):
            raise ValueError("no")

        wild.rehearse(small_app(models={"bad": train}), store=tmp_path)


def test_one_class_in_a_window_is_said_and_survived(tmp_path):
    frame = drifting()
    frame["y"] = ((frame["y"] > 0) & (frame["when"] > 250)).astype(int)
    made = wild.rehearse(small_app(frame, models={"logit": Logit()}, loss="log_loss", windows=[100]), store=tmp_path)
    assert any("one class only: all" in said for said in made.sheet["unknown"])


def test_labels_that_never_arrive_are_counted(tmp_path):
    frame = drifting()
    frame.loc[::10, "y"] = np.nan
    made = wild.rehearse(small_app(frame), store=tmp_path)
    assert made.sheet["data"]["labelled"] == 1080
    assert made.sheet["unknown"][0].startswith("120 of 1,200 labels (10.0%) never arrived")


def test_a_rule_with_an_unknown_window_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not among windows"):
        wild.rehearse(small_app(), rules=[Every(2, window="28D")], store=tmp_path)


@pytest.mark.parametrize("change", [{"known_at": None, "delay": "14D"}, {"windows": ["all", "90D"]}, {"every": "7D"}])
def test_a_span_with_a_unit_is_refused_for_integer_times(tmp_path, change):
    field = "delay" if "delay" in change else next(iter(change))
    with pytest.raises(
        ValueError, match=f"{field}: .* has a unit, and the time column holds integers.*dates such as 2026"
    ):
        wild.rehearse(small_app(**change), store=tmp_path)


def test_a_span_without_a_unit_is_refused_for_dates(tmp_path):
    frame = drifting()
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["when"], unit="h")
    base = {"every": "4D", "start": None, "known_at": None}
    for change in ({"delay": 14}, {"delay": "1h", "windows": ["all", 90]}):
        with pytest.raises(ValueError, match=r"(delay: 14|windows: 90) has no unit, and the time column holds dates"):
            wild.rehearse(small_app(frame, **(base | change)), store=tmp_path)
    table = wild.Table(lambda: pd.DataFrame({"t": frame["when"][:3], "v": [1.0, 2.0, 3.0]}), time="t", delay=1)
    app = small_app(frame, **base, delay="1h", tables={"w": table}, features=lambda rows, tables: rows[["a"]])
    with pytest.raises(ValueError, match=r"tables\['w'\].delay: 1 has no unit"):
        wild.rehearse(app, store=tmp_path)
    assert not (tmp_path / "memo").exists()


def test_a_side_table_of_another_name_is_answered_with_the_right_one(tmp_path):
    table = wild.Table(lambda: pd.DataFrame({"t": [0], "v": [1.0]}), time="t", delay=0)
    app = small_app(tables={"prices": table}, features=lambda rows, tables: tables["price"].asof(rows))
    with pytest.raises(ValueError, match="tables: there is no table 'price'; there is 'prices'"):
        wild.rehearse(app, store=tmp_path)


def test_a_class_that_first_comes_later_changes_nothing_before(tmp_path):
    from sklearn.naive_bayes import GaussianNB

    frame = drifting(delay=0)
    frame["y"] = (frame["y"] > 0).astype(int)
    third = frame.copy()
    third.loc[1199, "y"] = 2
    known = []
    for data in (frame, third):
        made = wild.rehearse(small_app(data, models={"bayes": GaussianNB()}, loss="brier"), store=tmp_path)
        triangle = made.triangles[0]
        known.append([triangle.totals(vintage, 9)[0] for vintage in sorted(triangle.scores) if vintage.cutoff < 9])
    assert np.allclose(known[0], known[1], rtol=1e-5)


def test_a_start_after_the_last_event_is_refused(tmp_path):
    with pytest.raises(AppError, match="start: 5000 comes after the last event, 1199"):
        wild.rehearse(small_app(start=5000), store=tmp_path)
