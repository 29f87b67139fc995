"""Rehearse: the sheet, the memo, the counts of fits, and what must be the same twice."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild.errors import DataError
from mlwild.rules import BreakEven, Every, Never, OnDetector, OnEDetector, standard
from tests.support import Line, Logit, drifting, small_app


def _stable(sheet):
    return {key: value for key, value in sheet.items() if key not in ("seconds", "fits")}


def test_the_sheet_holds_what_it_promises(tmp_path):
    sheet = wild.rehearse(small_app(), store=tmp_path).sheet
    assert {"rows", "from", "to", "labelled", "digest"} <= set(sheet["data"])
    assert set(sheet["fits"]) == {"made", "reused"}
    for row in sheet["rules"]:
        assert {"name", "cost", "regret", "regret_low", "regret_high", "retrains", "loss"} <= set(row)
    assert {"rule", "cost", "low", "high", "reason"} <= set(sheet["recommended"])
    assert {"age", "staleness", "low", "high"} <= set(sheet["ageing"][0])
    wanted = ("app", "cutoffs", "seconds", "oracle", "overfitting_probability", "worst_period", "unknown")
    assert all(sheet[key] is not None for key in wanted)
    json.dumps(sheet, allow_nan=False)


def test_a_second_rehearsal_and_one_with_another_rule_fit_nothing(tmp_path):
    app = small_app()
    first = wild.rehearse(app, store=tmp_path)
    assert first.sheet["fits"] == {"made": 10, "reused": 0}
    again = wild.rehearse(app, store=tmp_path)
    assert again.sheet["fits"] == {"made": 0, "reused": 10}
    assert _stable(again.sheet) == _stable(first.sheet)
    other = wild.rehearse(app, rules=[Every(5), Never()], store=tmp_path)
    assert other.sheet["fits"] == {"made": 0, "reused": 10}


def test_thirty_rules_cost_no_fit_more_than_one(tmp_path):
    rules = [*standard(), *(Every(n) for n in (5, 7, 9, 10))]
    assert len(rules) >= 30
    assert wild.rehearse(small_app(), rules=rules, store=tmp_path).sheet["fits"]["made"] == 10
    assert wild.rehearse(small_app(), rules=[Never()], store=tmp_path / "b").sheet["fits"]["made"] == 10


def test_workers_or_none_give_identical_sheets(tmp_path, monkeypatch):
    from mlwild.triangle import parallel

    alone = wild.rehearse(small_app(), store=tmp_path / "alone", jobs=1)
    monkeypatch.setattr(parallel, "ALONE", 0.0)
    together = wild.rehearse(small_app(), store=tmp_path / "together", jobs=2)
    assert _stable(alone.sheet) == _stable(together.sheet)
    for ours, theirs in zip(alone.triangles, together.triangles, strict=True):
        for vintage in ours.scores:
            assert ours.predictions(vintage).tobytes() == theirs.predictions(vintage).tobytes()


def test_a_new_row_of_history_refits_only_the_new_vintage(tmp_path):
    frame = drifting(1300, delay=0)
    wild.rehearse(small_app(frame[:1200]), store=tmp_path)
    assert wild.rehearse(small_app(frame), store=tmp_path).sheet["fits"] == {"made": 1, "reused": 10}


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"line": Line(ridge=1.0)}},
        {"seeds": [1]},
        {"features": lambda rows: rows[["a"]]},
        {"windows": [300]},
    ],
)
def test_what_determines_a_fit_makes_a_new_one(tmp_path, change):
    wild.rehearse(small_app(), store=tmp_path)
    assert wild.rehearse(small_app(**change), store=tmp_path).sheet["fits"]["made"] > 0


def test_what_does_not_determine_a_fit_makes_none(tmp_path):
    wild.rehearse(small_app(), store=tmp_path)
    for change in ({"prices": wild.Prices(loss=3.0, retrain=1.0)}, {"loss": "absolute"}, {"groups": ["b"]}):
        assert wild.rehearse(small_app(**change), store=tmp_path).sheet["fits"]["made"] == 0


def test_a_damaged_entry_is_found_by_its_digest_and_made_again(tmp_path):
    app = small_app()
    before = wild.rehearse(app, store=tmp_path)
    victim = sorted((tmp_path / "memo").rglob("*.arrow"))[3]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data))
    after = wild.rehearse(app, store=tmp_path)
    assert after.sheet["mended"] == 1
    assert after.sheet["rules"] == before.sheet["rules"]
    # The fitted model was sound: only its predictions were made again.
    assert after.sheet["fits"]["made"] == 0
    model = sorted((tmp_path / "memo").rglob("*.model"))[3]
    model.write_bytes(b"")
    model.with_suffix(".arrow").unlink(missing_ok=True)
    for arrow in (tmp_path / "memo").rglob("*.arrow"):
        arrow.unlink()
    assert wild.rehearse(app, store=tmp_path).sheet["fits"]["made"] == 1


def test_an_interrupted_run_resumes_where_it_stopped(tmp_path):
    calls = []

    def stop(ready, total, fitted):
        calls.append(fitted)
        if fitted == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wild.rehearse(small_app(), store=tmp_path, jobs=1, progress=stop)
    assert wild.rehearse(small_app(), store=tmp_path, jobs=1).sheet["fits"] == {"made": 6, "reused": 4}
    assert calls[-1] == 4


class Moody(Line):
    """Raises at one cutoff."""

    def fit(self, X, y):
        if len(X) in range(480, 500):
            raise RuntimeError("the moon is full")
        return super().fit(X, y)


def test_a_model_that_raises_at_one_cutoff_does_not_stop_the_run(tmp_path):
    made = wild.rehearse(small_app(models={"moody": Moody()}), store=tmp_path)
    (failed,) = made.triangles[0].failed.values()
    assert failed.vintage.cutoff == 3
    assert any("RuntimeError: the moon is full" in said for said in made.sheet["unknown"])
    always = next(row for row in made.rules if row["name"] == "always")
    assert always["retrains"] == 8  # of nine cutoffs one was refused
    refused = [fact for fact in made.lives["always"][0].facts if fact.action == "refused"]
    assert [fact.cutoff for fact in refused] == [3]


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


def test_a_nan_prediction_never_passes(tmp_path):
    made = wild.rehearse(small_app(models={"blank": Blank()}), store=tmp_path)
    assert any("1 of 100 predictions are NaN or infinite, first at row 5" in said for said in made.sheet["unknown"])
    assert made.lives["never"][0].first == 1


class Picky(Line):
    """Raises on what it has not seen."""

    def predict(self, X):
        if (np.asarray(X)[:, 1] > 50).any():
            raise KeyError("never seen")
        return super().predict(X)


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


def test_without_prices_there_is_a_frontier_and_no_recommendation(tmp_path):
    sheet = wild.rehearse(small_app(prices=None), store=tmp_path).sheet
    assert sheet["recommended"]["rule"] is None
    assert "frontier" in sheet["recommended"]["reason"]
    counts = [point["retrains"] for point in sheet["frontier"]]
    losses = [point["loss"] for point in sheet["frontier"]]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert losses == sorted(losses, reverse=True)
    assert any(row["name"].startswith("break-even, at") for row in sheet["rules"])
    assert all(row["cost"] is None for row in sheet["rules"])


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


def test_updates_are_vintages_of_their_own(tmp_path):
    made = wild.rehearse(small_app(update="partial_fit"), store=tmp_path)
    always = made.lives["always update"][0]
    assert always.updates == 9
    assert str(always.live[2]) == "0+1+2"
    # The chain of updates costs a fit each, once; every fourth is another chain, and so is break-even's.
    own = {life[0].live[-1] for name, life in made.lives.items() if "break-even update" in name}
    beyond = {vintage for vintage in made.triangles[0].scores if len(vintage.updates) and vintage.updates[0] > 1}
    assert made.sheet["fits"]["made"] == 10 + 9 + len(beyond)
    assert own <= set(made.triangles[0].scores)
    assert wild.rehearse(small_app(update="partial_fit"), store=tmp_path).sheet["fits"]["made"] == 0


def test_an_update_can_be_a_warm_start_or_the_users_function(tmp_path):
    from sklearn.linear_model import SGDRegressor

    frame = drifting(delay=0)
    X, y = frame[["a", "b"]], frame["y"].to_numpy()
    warm = wild.rehearse(
        small_app(frame, models={"m": SGDRegressor(warm_start=True)}, update="warm_start"), store=tmp_path
    )
    model = SGDRegressor(warm_start=True, random_state=0).fit(X[:200], y[:200]).fit(X[200:300], y[200:300])
    vintage = warm.lives["always update"][0].live[1]
    assert np.allclose(warm.triangles[0].predictions(vintage), model.predict(X[300:]), atol=1e-6)

    def nudge(model, X, y):
        model.weights = model.weights * 0.5
        return model

    mine = wild.rehearse(small_app(frame, update=nudge), store=tmp_path)
    first, then = mine.lives["always update"][0].live[:2]
    read = mine.triangles[0].predictions
    assert np.allclose(read(then), 0.5 * read(first)[100:], atol=1e-6)


def test_an_update_equals_what_the_model_would_do_by_hand(tmp_path):
    frame = drifting(delay=0)
    made = wild.rehearse(small_app(frame, update="partial_fit"), store=tmp_path)
    X, y = frame[["a", "b"]].to_numpy(), frame["y"].to_numpy()
    # At delay 0 a label is known at its own instant: rows before each cutoff.
    model = Line().fit(X[:200], y[:200])
    model.partial_fit(X[200:300], y[200:300])
    model.partial_fit(X[300:400], y[300:400])
    vintage = made.lives["always update"][0].live[2]
    assert np.allclose(made.triangles[0].predictions(vintage), model.predict(X[400:]), atol=1e-6)


def test_windows_and_seeds_multiply_the_triangle(tmp_path):
    made = wild.rehearse(small_app(windows=["all", 300], seeds=[0, 1]), store=tmp_path)
    # Both windows hold the same rows at the first cutoffs only where 300 rows reach back to the start.
    assert made.sheet["fits"]["made"] + made.sheet["fits"]["reused"] == 2 * 2 * 10
    assert {triangle.seed for triangle in made.triangles} == {0, 1}
    assert any(row["name"] == "break-even (300)" for row in made.rules)


def test_every_seed_reaches_the_model(tmp_path):
    from sklearn.linear_model import SGDRegressor

    made = wild.rehearse(small_app(models={"sgd": SGDRegressor()}, seeds=[0, 1]), store=tmp_path)
    one, two = made.triangles
    vintage = next(iter(one.scores))
    assert not np.array_equal(one.predictions(vintage), two.predictions(vintage))


def test_the_losses_are_left_on_disk_and_add_up(tmp_path):
    import duckdb

    made = wild.rehearse(small_app(), store=tmp_path)
    path = tmp_path / "losses" / "small.parquet"
    diagonal = duckdb.sql(f"select avg(loss) from '{path}' where cutoff = period and \"window\" = 'all'").fetchall()[0][
        0
    ]
    assert diagonal == pytest.approx(made.models[0]["fresh"], rel=0.01)
    assert made.losses().num_rows == 55


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "duckdb", "numpy"])
def test_every_kind_of_frame_gives_the_same_answer(tmp_path, kind):
    import duckdb
    import polars as pl
    import pyarrow as pa

    frame = drifting()
    make = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "pyarrow": lambda: pa.Table.from_pandas(frame),
        "duckdb": lambda: duckdb.connect().from_df(frame).order('"when" desc'),
        "numpy": lambda: frame,
    }[kind]
    got = []

    def features(rows):
        got.append(type(rows).__module__.split(".")[0])
        if kind == "numpy":
            return rows[["a", "b"]].to_numpy()
        return rows.select(["a", "b"]) if kind != "pandas" else rows[["a", "b"]]

    made = wild.rehearse(small_app(data=make, features=features), store=tmp_path)
    expected = wild.rehearse(small_app(), store=tmp_path / "pandas")
    assert got == [{"duckdb": "pyarrow", "numpy": "pandas"}.get(kind, kind)]
    assert made.recommended["cost"] == pytest.approx(expected.recommended["cost"], rel=1e-9)


def test_files_are_read_by_path_and_glob(tmp_path):
    frame = drifting()
    frame[:600].to_parquet(tmp_path / "part-1.parquet")
    frame[600:].to_parquet(tmp_path / "part-2.parquet")
    made = wild.rehearse(small_app(data="part-*.parquet", root=tmp_path), store="kept")
    assert made.sheet["data"]["rows"] == 1200
    assert (tmp_path / "kept" / "memo").is_dir()


def test_a_loss_of_a_set_has_a_triangle_too(tmp_path):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int)
    made = wild.rehearse(small_app(frame, models={"logit": Logit()}, loss="auc"), store=tmp_path)
    from sklearn.metrics import roc_auc_score

    first = made.triangles[0]
    vintage = next(iter(first.scores))
    total, weight = first.matrix([vintage])
    predicted = first.predictions(vintage)[:100]
    assert total[0, 0] / weight[0, 0] == pytest.approx(1 - roc_auc_score(frame["y"][200:300], predicted))
    assert made.sheet["worst_period"]["low"] < made.sheet["worst_period"]["loss"]


def test_several_classes_are_scored_by_their_probabilities(tmp_path):
    from sklearn.naive_bayes import GaussianNB

    frame = drifting()
    frame["y"] = pd.cut(frame["y"], 3, labels=["low", "middle", "high"]).astype(str)
    made = wild.rehearse(small_app(frame, models={"bayes": GaussianNB()}, loss="log_loss"), store=tmp_path)
    vintage = next(iter(made.triangles[0].scores))
    assert made.triangles[0].predictions(vintage).shape == (1000, 3)
    assert 0 < made.rules[0]["loss"] < 1.2


def test_detector_rules_run_beside_the_others(tmp_path):
    rules = [
        BreakEven(),
        OnEDetector(2000, reference=200),
        OnDetector("adwin"),
        OnDetector("page_hinkley"),
        OnDetector("ddm"),
    ]
    frame = drifting(6000, drift=4.0, delay=0)
    frame["y"] = (frame["y"] > 0).astype(int)
    app = small_app(frame, models={"logit": Logit()}, loss="zero_one", every=250, start=1000, windows=[500])
    made = wild.rehearse(app, rules=rules, store=tmp_path)
    retrains = {row["name"]: row["retrains"] for row in made.rules}
    # Everyone notices a slope that turns round.
    assert all(count >= 1 for count in retrains.values()), retrains
    first = {
        name: next(f.cutoff for f in lives[0].facts if f.action == "retrain") for name, lives in made.lives.items()
    }
    assert first["e-detector 2000"] > 8  # the change is at row 3000, cutoff 8: no false alarm before


def test_groups_are_shown_worst_first(tmp_path):
    frame = drifting()
    frame["shop"] = np.where(frame["when"] % 2, "odd", "even")
    frame.loc[frame["shop"] == "odd", "y"] += 3.0 * np.random.default_rng(0).normal(size=600)
    groups = wild.rehearse(small_app(frame, groups=["shop"]), store=tmp_path).sheet["groups"]
    assert [row["value"] for row in groups] == ["odd", "even"]
    assert groups[0]["low"] > groups[1]["high"]
    assert groups[0]["n"] + groups[1]["n"] == 1000


def test_worst_period_is_the_worst_and_dated(tmp_path):
    frame = drifting(drift=0.0)
    frame.loc[frame["when"].between(700, 799), "y"] += 10.0
    worst = wild.rehearse(small_app(frame), store=tmp_path).sheet["worst_period"]
    assert (worst["from"], worst["to"], worst["searched"]) == ("700", "800", 10)
    assert worst["low"] <= worst["loss"] <= worst["high"]


def test_ageing_costs_one_retrain_at_the_age_where_it_does(tmp_path):
    """With a slope that creeps, staleness grows with age; the break-even age follows from the price."""
    rng = np.random.default_rng(0)
    n = 6000
    x = rng.normal(size=n)
    frame = pd.DataFrame({"when": np.arange(n), "known": np.arange(n), "a": x, "b": rng.normal(size=n)})
    frame["y"] = (np.arange(n) / 500) * x + 0.1 * rng.normal(size=n)
    app = small_app(frame, windows=[100], prices=wild.Prices(loss=1.0, retrain=100.0))
    sheet = wild.rehearse(app, store=tmp_path).sheet
    # A model a periods old is off by 0.2 a, a fresh one by 0.1 at its own middle: (.2a+.2)^2 - .2^2 or so.
    staleness = [row["staleness"] for row in sheet["ageing"][:4]]
    assert staleness == sorted(staleness)
    spent = np.cumsum([row["staleness"] * 100 for row in sheet["ageing"]])
    assert sheet["ageing_costs_one_retrain_at"] == int(np.argmax(spent >= 100.0)) + 1


def test_a_rule_with_an_unknown_window_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not among windows"):
        wild.rehearse(small_app(), rules=[Every(2, window="28D")], store=tmp_path)


def test_the_regret_beside_the_verdict_is_that_of_what_is_recommended(tmp_path):
    made = wild.rehearse(small_app(), store=tmp_path)
    best, oracle = made.recommended, made.sheet["oracle"]["cost"]
    assert best["regret"] == pytest.approx(best["cost"] - oracle)
    row = next(row for row in made.rules if row["name"] == "never")
    assert row["difference"] == pytest.approx(row["cost"] - best["cost"])
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_a_worse_model_than_a_constant_is_remarked(tmp_path):
    from tests.checks.test_check import Constant

    class Wild(Line):
        def predict(self, X):
            return super().predict(X) + 5.0

    sheet = wild.rehearse(small_app(models={"wild": Wild(), "mean": Constant()}), store=tmp_path).sheet
    assert any("Model 'mean' lost less than 'wild'" in said for said in sheet["remarks"])
    good = wild.rehearse(small_app(models={"line": Line(), "mean": Constant()}), store=tmp_path).sheet
    assert not any("lost less" in said for said in good["remarks"])


@pytest.mark.parametrize("change", [{"known_at": None, "delay": "14D"}, {"windows": ["all", "90D"]}, {"every": "7D"}])
def test_a_span_with_a_unit_is_refused_for_integer_times(tmp_path, change):
    field = "delay" if "delay" in change else next(iter(change))
    with pytest.raises(ValueError, match=f"{field}: .* has a unit, and the time column holds integers"):
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


def test_dates_in_a_file_reach_the_features_as_dates(tmp_path):
    days = pd.date_range("2024-01-01", periods=600, freq="D")
    rng = np.random.default_rng(0)
    rows = [f"{day.date()},{value:.4f}" for day, value in zip(days, rng.normal(size=600), strict=True)]
    (tmp_path / "sales.csv").write_text("day,y\n" + "\n".join(rows))
    app = small_app(
        data="sales.csv", root=tmp_path, time="day", known_at=None, delay="1D", every="30D", start=None,
        features=lambda rows: pd.DataFrame({"a": rows["day"].dt.day, "b": rows["day"].dt.month}),
    )  # fmt: skip
    assert wild.rehearse(app, store=tmp_path).sheet["data"]["from"] == "2024-01-01"


def test_a_side_table_of_another_name_is_answered_with_the_right_one(tmp_path):
    table = wild.Table(lambda: pd.DataFrame({"t": [0], "v": [1.0]}), time="t", delay=0)
    app = small_app(tables={"prices": table}, features=lambda rows, tables: tables["price"].asof(rows))
    with pytest.raises(ValueError, match="tables: there is no table 'price'; there is 'prices'"):
        wild.rehearse(app, store=tmp_path)


def test_an_index_of_the_users_own_does_not_misalign_a_side_table(tmp_path):
    """events["x"] = asof(events)["x"] aligns by index in pandas: rows must not slip."""
    frame = drifting(delay=0)
    table = wild.Table(lambda: pd.DataFrame({"t": np.arange(1200), "v": np.arange(1200.0)}), time="t", delay=0)
    seen = {}

    def features(rows, tables):
        rows = rows.copy()
        rows["v"] = tables["v"].asof(rows)["v"]
        part = rows[rows["when"] > 900]
        assert (tables["v"].asof(part)["v"] == part["when"]).all()
        seen["gap"] = (rows["v"] - rows["when"]).abs().max()
        return rows[["a", "v"]]

    wild.rehearse(
        small_app(frame[frame.index >= 200], start=500, tables={"v": table}, features=features), store=tmp_path
    )
    assert seen["gap"] == 0


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


@pytest.mark.parametrize(
    ("column", "loss", "said"),
    [
        (lambda y: y * 50.0, "log_loss", "probabilities lie in"),
        (lambda y: y + 7, "zero_one", "not among the labels"),
        (lambda y: np.where(y == 1, np.inf, 0.5), "brier", "missing or infinite"),
    ],
)
def test_a_forecast_in_another_form_is_refused(tmp_path, column, loss, said):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int)
    frame["f"] = column(frame["y"].to_numpy())
    with pytest.raises(DataError, match=said):
        wild.rehearse(small_app(frame, models={"f": wild.Forecast("f")}, loss=loss), store=tmp_path)


def test_a_forecast_of_classes_is_compared_as_classes(tmp_path):
    frame = drifting()
    frame["y"] = (frame["y"] > 0).astype(int) + 1
    frame["f"] = frame["y"]
    made = wild.rehearse(small_app(frame, models={"f": wild.Forecast("f")}, loss="zero_one"), store=tmp_path)
    assert made.rules[0]["loss"] == 0


class Foreign(Logit):
    """Encodes its classes inside and forgets to decode them."""

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = np.array(["a", "b"])
        return self


def test_foreign_classes_and_wild_probabilities_are_refused(tmp_path):
    frame = drifting()
    frame["y"] = np.where(frame["y"] > 0, "yes", "no")
    with pytest.raises(DataError, match="classes_ hold 'a', which is not among the labels"):
        wild.rehearse(small_app(frame, models={"m": Foreign()}, loss="log_loss"), store=tmp_path)
    with pytest.raises(DataError, match=r"a probability is .* outside \[0, 1\]"):
        wild.rehearse(
            small_app(frame, models={"m": lambda X, y: lambda X: X["a"] * 9}, loss="log_loss"), store=tmp_path
        )


def test_a_damaged_parent_of_an_update_is_fitted_again(tmp_path):
    app = small_app(update="partial_fit")
    before = wild.rehearse(app, store=tmp_path)
    for model in (tmp_path / "memo").rglob("*.model"):
        model.write_bytes(model.read_bytes()[:20])
    for arrow in (tmp_path / "memo").rglob("*.arrow"):
        arrow.unlink()
    after = wild.rehearse(app, store=tmp_path)
    assert not after.triangles[0].failed
    assert after.sheet["rules"] == before.sheet["rules"]


def test_rows_on_disk_that_were_changed_are_written_again(tmp_path):
    before = wild.rehearse(small_app(), store=tmp_path)
    (label,) = (tmp_path / "rows").rglob("label.npy")
    data = bytearray(label.read_bytes())
    data[-1] ^= 64
    label.write_bytes(data)
    for entry in (tmp_path / "memo").rglob("*.model"):
        entry.unlink()
    for entry in (tmp_path / "memo").rglob("*.arrow"):
        entry.unlink()
    assert wild.rehearse(small_app(), store=tmp_path).sheet["rules"] == before.sheet["rules"]


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


def test_many_rows_in_a_group_take_bounded_memory():
    import tracemalloc

    from mlwild.stats.bootstrap import mean_interval

    noise = np.random.default_rng(0).normal(size=400_000)
    tracemalloc.start()
    wide = mean_interval(noise)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()
    assert wide.low < 0 < wide.high
    assert wide.high - wide.low == pytest.approx(2 * 1.645 / np.sqrt(400_000), rel=0.15)


def test_choosing_pays_for_the_fits_that_it_compares_by(tmp_path):
    app = small_app(prices=wild.Prices(loss=1.0, retrain=20.0, shadow=0.5))
    made = wild.rehearse(app, rules=[Never(), Every(2)], store=tmp_path)
    paid = sum(fact.price for fact in made.chosen[0].facts)
    assert paid == pytest.approx(0.5 * 9)


def test_the_second_run_says_all_that_the_first_said(tmp_path):
    import warnings

    def train(X, y):
        warnings.warn("it did not converge", UserWarning, stacklevel=1)
        return lambda X: X["a"].to_numpy()

    one, two = (wild.rehearse(small_app(models={"m": train}), store=tmp_path, jobs=1) for _ in range(2))
    assert any("it did not converge" in said for said in one.sheet["unknown"])
    assert _stable(one.sheet) == _stable(two.sheet)
