"""What the sheet says, and that it is so."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor

import mlwild as wild
from mlwild.rules import BreakEven, Every, Never, OnDetector, OnEDetector
from mlwild.show import show_sheet
from mlwild.stats.paths import shortest_path
from mlwild.wording import number
from tests.support import Line, Logit, columns, drifting, small_app


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


def test_the_regret_beside_the_verdict_is_that_of_what_is_recommended(tmp_path):
    made = wild.rehearse(small_app(), store=tmp_path)
    best, oracle = made.recommended, made.sheet["oracle"]["cost"]
    assert best["regret"] == pytest.approx(best["cost"] - oracle)
    row = next(row for row in made.rules if row["name"] == "never")
    assert row["difference"] == pytest.approx(row["cost"] - best["cost"])
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_the_cost_of_the_best_in_hindsight_and_its_retrains_are_of_the_same_paths(tmp_path):
    """Of few rows one half chooses other retrains than all do, and a rule that never retrains may cost less."""
    prices = wild.Prices(loss=1.0, retrain=0.3, unit="EUR")
    app = small_app(drifting(600, 5, 0.0), every=25, start=100, prices=prices)
    made = wild.rehearse(app, store=tmp_path)
    oracle, triangle = made.sheet["oracle"], made.triangles[0]
    vintages = sorted(triangle.scores)
    halves = np.stack([np.stack([triangle.scores[one].half_total[side] for one in vintages]) for side in (0, 1)])
    first = vintages[0].cutoff
    born, periods = np.array([one.cutoff for one in vintages]) - first, np.arange(halves.shape[2] - first)
    cost, moves = 0.0, 0
    for chosen, paid in ((0, 1), (1, 0)):
        path = shortest_path(2 * halves[chosen][:, first:], born, start=0, retrain=0.3)
        moves += len(set(path.live)) - 1
        cost += 2 * halves[paid][:, first:][path.live, periods].sum() + 0.3 * (len(set(path.live)) - 1)
    assert oracle["retrains"] == moves / 2 > oracle["naive_retrains"]
    assert oracle["cost"] == pytest.approx(cost / 2)
    row = next(row for row in made.rules if row["name"] == "never")
    assert row["regret_high"] < 0
    (said,) = [one for one in made.sheet["remarks"] if "less than the best decisions in hindsight" in one]
    assert "chosen on half of the rows and paid on the other half" in said


def test_the_terminal_tells_an_interval_of_money_as_finely_as_its_middle(tmp_path, capsys):
    sheet = wild.rehearse(small_app(), store=tmp_path).sheet
    sheet["recommended"] |= {"cost": 3512.8, "low": 3221.4, "high": 3844.2}
    show_sheet(sheet)
    assert "it cost 3,513 EUR (90% interval 3,221 to 3,844;" in " ".join(capsys.readouterr().out.split())


def test_a_card_counts_the_periods_that_had_a_model(tmp_path):
    """Where the first labels come late, the first cutoffs have no vintage, and no interval is over their periods."""
    rows = drifting(900).assign(known=lambda rows: rows["when"] + 350)
    made = wild.rehearse(small_app(rows, every=50, start=100), store=tmp_path)
    edges = range(100, 900 + 1, 50)
    whole = [edge for edge in edges[:-1] if (rows["known"] <= edge).any()]
    assert len(whole) == made.recommended["n"] == len(made.sheet["cutoffs"]) - 5
    text = re.sub("<[^>]+>", "", made.card(tmp_path / "card.html").read_text())
    assert set(re.findall(r"over n\s=\s(\d+) periods", text)) == {str(len(whole))}
    assert f"{len(whole)} periods of 50 ticks (tick {whole[0]} to tick 900)" in text


def test_what_is_of_one_seed_alone_is_told_so(tmp_path, capsys):
    """Losses of rules are means over seeds; difficulty and staleness are of the first, and add up to another number."""

    class Lucky(BaseEstimator):
        def __init__(self, random_state: int = 0) -> None:
            self.random_state = random_state

        def fit(self, X, y):
            self.line_ = Line().fit(X, y)
            return self

        def predict(self, X):
            return self.line_.predict(X) + self.random_state / 2

    made = wild.rehearse(small_app(models={"lucky": Lucky()}, seeds=[0, 1, 2]), store=tmp_path)
    split = made.sheet["split"]
    row = next(row for row in made.rules if row["name"] == made.recommended["rule"])
    first = made.lives[row["name"]][0]
    assert split["difficulty"] + split["staleness"] == pytest.approx(first.mean_loss)
    assert row["loss"] > first.mean_loss + 0.1
    show_sheet(made.sheet)
    said = " ".join(capsys.readouterr().out.split())
    assert "of 3 seeds. Difficulty, staleness, worst period and groups: of the first of 3 seeds." in said


def test_who_promises_is_told_as_it_is(tmp_path):
    """The split that is followed need not be the one with the least error so far: it is left for a lead beyond chance."""
    made = wild.rehearse(small_app(drifting(1200, 3), every=40), store=tmp_path)
    promise = made.sheet["split_audition"]["promise"]
    assert promise["split"] != made.splits[0]["name"]
    text = made.card(tmp_path / "card.html").read_text()
    assert "off by least" not in text
    assert f"before it began, by {promise['why']}" in text


def test_a_worse_model_than_a_constant_is_remarked(tmp_path):
    from tests.checks.test_check import Constant

    class Wild(Line):
        def predict(self, X):
            return super().predict(X) + 5.0

    sheet = wild.rehearse(small_app(models={"wild": Wild(), "mean": Constant()}), store=tmp_path).sheet
    assert any("Model 'mean' lost less than 'wild'" in said for said in sheet["remarks"])
    good = wild.rehearse(small_app(models={"line": Line(), "mean": Constant()}), store=tmp_path).sheet
    assert not any("lost less" in said for said in good["remarks"])


def test_a_model_that_came_later_is_compared_on_the_periods_it_has(tmp_path, capsys):
    """It is the same model; only the hard periods, in which it could not be made yet, are not among its own."""

    class Late(Line):
        def fit(self, X, y):
            if len(X) < 700:
                raise ValueError("too few rows")
            return super().fit(X, y)

    rows = drifting(1500, drift=0.0)
    rows["y"] += np.where(rows["when"] < 700, 3.0, 0.0) * np.random.default_rng(1).normal(size=1500)
    made = wild.rehearse(small_app(rows, models={"line": Line(), "late": Late()}), store=tmp_path)
    fresh = {row["name"]: row["fresh"] for row in made.models}
    assert fresh["late"] < fresh["line"] / 2
    late, line = (triangle.scores for triangle in (made.triangles[1], made.triangles[0]))
    assert {one: late[one].half_total.tolist() for one in late} == {one: line[one].half_total.tolist() for one in late}
    assert not [said for said in made.sheet["remarks"] if "lost less than" in said]
    show_sheet(made.sheet)
    assert f"never, over {len(late)} periods." in " ".join(capsys.readouterr().out.split())

    class Off(Line):
        def predict(self, X):
            return super().predict(X) + 0.2

    made = wild.rehearse(small_app(rows, models={"off": Off(), "late": Late()}), store=tmp_path / "off")
    gains = []
    for cutoff in map(int, made.sheet["cutoffs"][-len(late) :]):
        known = rows[(rows["when"] < cutoff) & (rows["known"] <= cutoff)]
        asked = rows[(rows["when"] >= cutoff) & (rows["when"] < cutoff + 100)]
        gap = asked["y"] - Line().fit(columns(known), known["y"]).predict(columns(asked))
        gains.append(((gap - 0.2) ** 2 - gap**2).mean())
    (said,) = [said for said in made.sheet["remarks"] if "lost less than" in said]
    assert f"(by {number(np.mean(gains))} in the {len(late)} periods that all models have, both always retr" in said


def test_how_many_events_a_period_has_is_no_doubt_about_what_each_loses(tmp_path):
    """Half of the periods have ten times the rows of the others, and the model knows all but the noise."""
    rng = np.random.default_rng(0)
    sizes = rng.permutation(np.where(np.arange(30) % 2, 300, 30))
    when = np.concatenate([100 * k + np.sort(rng.choice(100, size, replace=True)) for k, size in enumerate(sizes)])
    x = rng.normal(size=(len(when), 2))
    rows = pd.DataFrame({"when": when, "known": when, "a": x[:, 0], "b": x[:, 1]})
    rows["y"] = rows["a"] + rng.normal(size=len(when))
    made = wild.rehearse(small_app(rows, start=400, min_rows=10), store=tmp_path)
    (model,) = made.models
    losses = []
    for cutoff in map(int, made.sheet["cutoffs"]):
        known = rows[(rows["when"] < cutoff) & (rows["known"] <= cutoff)]
        asked = rows[(rows["when"] >= cutoff) & (rows["when"] < cutoff + 100)]
        losses.append((asked["y"] - Line().fit(columns(known), known["y"]).predict(columns(asked))) ** 2)
    each = np.concatenate(losses)
    assert model["fresh"] == pytest.approx(each.mean(), rel=1e-5)
    error = each.std() / np.sqrt(len(each))
    assert 0.6 * 1.645 * error < (model["high"] - model["low"]) / 2 < 2 * 1.645 * error
    split = made.sheet["split"]
    assert split["staleness_high"] - split["staleness_low"] < 0.1 * split["difficulty"]


def _card(made, folder):
    """The card as words, the cells of its tables apart."""
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", made.card(folder / "card.html").read_text()))


def test_losses_without_an_interval_keep_their_digits(tmp_path, capsys):
    """Of three periods there is no interval; the card said that two models lose 0, and a regret of 0.6 was 1."""
    rows = drifting(500)
    rows["y"] *= 0.3
    prices = wild.Prices(loss=0.02, retrain=0.3, unit="EUR")
    models = {"line": Line(), "far": DummyRegressor()}
    made = wild.rehearse(small_app(rows, models=models, prices=prices), store=tmp_path)
    asked = rows[(rows["when"] >= 200) & (rows["when"] < 500)]
    lost = {"line": [], "far": []}
    for cutoff in (200, 300, 400):
        known = rows[(rows["when"] < cutoff) & (rows["known"] <= cutoff)]
        of = asked[(asked["when"] >= cutoff) & (asked["when"] < cutoff + 100)]
        lost["far"].append(((of["y"] - known["y"].mean()) ** 2).mean())
        lost["line"].append(((of["y"] - Line().fit(columns(known), known["y"]).predict(columns(of))) ** 2).mean())
    text = _card(made, tmp_path)
    for name, losses in lost.items():
        told = re.search(rf"{name} (?:in place )?([\d.]+) interval not known", text)
        assert float(told[1]) == pytest.approx(np.mean(losses), rel=0.02)
    always = next(row for row in made.rules if row["name"] == "always")
    assert 0.1 < always["difference"] < 1
    assert f"{always['difference']:.3f} interval not known 2" in text
    assert not re.search("interval (of )?interval", text)
    assert "EUR ; periods are too few for an interval" in text
    show_sheet(made.sheet)
    assert "interval no interval" not in " ".join(capsys.readouterr().out.split())


def test_difficulty_keeps_its_digits_where_nothing_is_stale(tmp_path):
    made = wild.rehearse(small_app(rules=[Every(1)]), store=tmp_path)
    split = made.sheet["split"]
    assert split["staleness"] == 0
    assert 0.1 < split["difficulty"] % 1 < 0.9
    assert f"{split['difficulty']:.2f} per event is difficulty" in _card(made, tmp_path)


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
