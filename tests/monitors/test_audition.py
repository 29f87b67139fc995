"""The audition of monitors: figures against simple counts, planted shifts, none, and odd apps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import mlwild as wild
from mlwild import monitors
from mlwild.auditions import audit_monitors
from mlwild.auditions.cells import Cells, cells_of, truth_of
from mlwild.auditions.foresight import draws_of, events_of, ranked
from mlwild.auditions.leads import lead_time
from mlwild.auditions.mixture import combination, combined
from mlwild.auditions.monitors import _event_words
from mlwild.records import Vintage
from tests.monitors.planted import app_of, history, regression, triangles_of
from tests.support import Logit


def _audit(app, folder, **settings):
    triangles = triangles_of(app, folder)
    start = next(v for v in sorted(triangles[0].scores))
    before = triangles[0].tally.made
    made = audit_monitors(triangles, app.monitors or monitors.standard(app.loss_), start=start, **settings)
    assert triangles[0].tally.made == before  # nothing is fitted
    json.dumps(made, allow_nan=False)
    return triangles, made, {record["name"]: record for record in made["monitors"]}


def _swings(seed, periods=30, rows=300):
    """Return rows whose difficulty swings with the features from period to period."""
    rng = np.random.default_rng(seed)
    frame = history("none", seed, rows=rows, periods=periods)
    scale = np.exp(rng.normal(0, 0.7, periods))[np.arange(len(frame)) // rows]
    frame["a"] *= scale
    frame["y"] = (rng.random(len(frame)) < 1 / (1 + np.exp(-2 * frame["a"]))).astype(int)
    return frame


def test_the_three_parts_add_up_and_are_means_of_rows(tmp_path):
    triangle = triangles_of(app_of(history("concept", 1)), tmp_path)[0]
    truth = truth_of(triangle, "all")
    cells = cells_of(triangle, "all", truth)
    assert np.allclose(cells.rise, cells.difficulty + cells.staleness)
    assert (cells.period >= cells.vintage).all()
    assert np.all(cells.staleness[cells.period == cells.vintage] == 0)
    at = int(np.flatnonzero((cells.vintage == 3) & (cells.period == 6))[0])
    grid, survey = triangle.survey.grid, triangle.survey

    def mean(vintage, periods):
        rows = [np.arange(*grid.row_start[k : k + 2]) for k in periods]
        losses = [triangle.row_losses(Vintage(v), r) for v, r in zip(vintage, rows, strict=True)]
        return np.concatenate(losses).mean()

    assert survey.grid.periods == 12
    reference = mean([0, 1, 2], [0, 1, 2])
    assert cells.rise[at] == pytest.approx(mean([3], [6]) - reference)
    assert cells.difficulty[at] == pytest.approx(mean([6], [6]) - reference)
    # The first vintage is held against its own first period, which is therefore not judged.
    first = cells.vintage == 0
    assert 0 not in cells.period[first]
    assert 1 in cells.period[first]


def test_cells_are_thinned_to_about_two_hundred(tmp_path):
    triangle = triangles_of(app_of(history("none", 2, rows=20, periods=62), rows=20, min_rows=5), tmp_path)[0]
    cells = cells_of(triangle, "all", truth_of(triangle, "all"))
    assert 150 <= len(cells) <= 250
    assert (cells.period - cells.vintage).max() == 20


def test_a_monitor_that_foresees_earns_its_place(tmp_path):
    _, made, records = _audit(app_of(_swings(3)), tmp_path)
    assert records["CBPE"]["earned"], records["CBPE"]["why"]
    assert records["CBPE"]["estimate"] > 0.85
    assert records["CBPE"]["against"]["difficulty"]["auc"] > 0.85
    assert "CBPE" in made["monitor_audition"]["default"]
    assert records["CBPE"]["grey"] is None
    for name in ("age", "inverted baseline"):
        assert records[name]["kind"] == "control"
        assert not records[name]["earned"]
    # Difficulty that comes and goes is not told by the loss of the period before.
    assert not records["labelled loss"]["earned"]
    lead = records["CBPE"]["lead"]
    assert lead["caught"] > 0.4
    assert lead["false_alarms_per_look"] <= 0.05
    assert lead["false_alarms_per_year"] is None  # times are integers
    assert records["CBPE"]["latest"]["support"] == "supported"
    assert len(records["CBPE"]["series"]) == len(records["CBPE"]["series_never"]) == 28
    assert records["CBPE"]["series_never"][0] is None  # its own reference
    assert [record["estimate"] for record in made["monitors"]] == sorted(
        [record["estimate"] for record in made["monitors"]], key=lambda value: (value is None, -(value or 0))
    )


def test_estimators_blind_to_concept_shift_turn_grey_and_staleness_is_told_by_a_challenger(tmp_path):
    frame = history("concept", 4, periods=26)
    _, _made, records = _audit(app_of(frame), tmp_path)
    assert records["CBPE"]["grey"]["cutoff"] >= 11
    assert "refute" in records["CBPE"]["grey"]["why"]
    stale = {name: record["against"]["staleness"]["auc"] for name, record in records.items()}
    assert stale["disagreement with a fresh one"] > 0.9
    assert stale["disagreement with a fresh one"] > stale["CBPE"]
    assert records["disagreement with a fresh one"]["shadows"]


def _earned_by_chance(draws, folder, seed):
    """Return the mean number of places earned where nothing but noise moves."""
    earned, judged = 0, 0
    quick = [monitors.FeatureDrift(), monitors.PredictionDrift(), monitors.Missingness(), monitors.LabelledLoss(),
             monitors.CBPE(), monitors.DoC(), monitors.KnownStaleness(), monitors.Disagreement()]  # fmt: skip
    for draw in range(draws):
        app = app_of(history("none", seed + draw, rows=150, periods=26), rows=150, monitors=quick)
        _, made, _ = _audit(app, folder / str(draw))
        earned += sum(record["earned"] for record in made["monitors"])
        judged += len(made["monitors"])
    return earned / judged


def test_without_drift_hardly_any_monitor_earns_a_place(tmp_path):
    # 5 draws of 8 monitors; nominal 5 % each, one-sided.
    assert _earned_by_chance(5, tmp_path, 50) <= 0.15


@pytest.mark.slow
def test_without_drift_few_monitors_earn_a_place_long(tmp_path):
    # 150 draws of 8 monitors.
    assert _earned_by_chance(150, tmp_path, 500) <= 0.08


def test_where_none_earned_it_the_labelled_loss_is_kept(tmp_path):
    app = app_of(history("none", 5, rows=100), rows=100, monitors=[monitors.Age(), monitors.ReferenceLoss()])
    _, made, _ = _audit(app, tmp_path)
    assert made["monitor_audition"]["default"] == ["labelled loss"]
    assert made["monitor_audition"]["why"].startswith("none of 2 earned it")


def _cells(values):
    n = len(values)
    return Cells(np.zeros(n, np.int64), np.arange(n), np.asarray(values, float), np.zeros(n), np.zeros(n))


def test_lead_times_are_counted_by_hand():
    events = np.zeros(30, bool)
    events[10:13], events[20:22] = True, True
    signal = np.zeros(30)
    signal[8] = signal[21] = 1.0  # two periods before the first; one after the second began
    found = lead_time(signal, events, _cells(events), 52.0)
    assert found["episodes"] == 2
    assert found["caught"] == 1.0
    assert found["periods"] == 0.5  # the median of 2 and -1
    assert found["false_alarms_per_year"] == 0.0
    signal[2] = 2.0  # a false alarm raises the threshold, and nothing is caught
    assert lead_time(signal, events, _cells(events), 52.0)["caught"] == 0.0
    assert lead_time(signal, np.zeros(30, bool), _cells(events), 52.0)["caught"] is None


def test_intervals_resample_periods_not_cells():
    # Every cell of a period tells the same: copies of cells must not narrow the interval.
    rng = np.random.default_rng(6)
    rise, signal = rng.normal(size=(2, 40))
    signal = signal + rise
    one = Cells(np.zeros(40, np.int64), np.arange(40), rise, rise, rise)
    many = Cells(np.repeat(np.arange(10), 40), np.tile(np.arange(40), 10), *(np.tile(rise, 10) for _ in range(3)))
    widths = []
    for cells, values in ((one, signal), (many, np.tile(signal, 10))):
        events, _ = events_of(cells.rise)
        area, _, _ = ranked(values, cells.rise, events, draws_of(cells, 0.9, 0))
        widths.append(area.high - area.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


@pytest.mark.slow
def test_intervals_of_the_area_hold_it():
    # 400 draws of 40 periods with 8 cells each: signal and rise share noise by period; nominal 90 %.
    rng = np.random.default_rng(7)

    def draw(periods):
        shared = rng.normal(size=(2, periods))
        period = np.repeat(np.arange(periods), 8)
        rise = shared[0, period] + 0.5 * rng.normal(size=len(period))
        signal = 0.8 * shared[0, period] + shared[1, period] + 0.5 * rng.normal(size=len(period))
        return Cells(np.tile(np.arange(8), periods), period, rise, rise, rise), signal

    cells, signal = draw(20_000)
    threshold = np.quantile(cells.rise, 0.75)
    one = draws_of(
        Cells(*(side[:8] for side in (cells.vintage, cells.period, cells.rise, cells.rise, cells.rise))), 0.9, 0
    )
    from mlwild.stats.ranking import weighted_auc

    truth = float(weighted_auc(signal, cells.rise > threshold, np.ones((1, len(signal))))[0])
    assert one.periods == 1
    inside = 0
    for _ in range(400):
        cells, signal = draw(40)
        area, _, _ = ranked(signal, cells.rise, cells.rise > threshold, draws_of(cells, 0.9, 0))
        inside += area.low <= truth <= area.high
    assert 0.83 <= inside / 400 <= 0.95


def _two_signals(seed, both):
    """Return cells, and signals of which either the first tells all, or each a half."""
    rng = np.random.default_rng(seed)
    n = 60
    period = np.repeat(np.arange(n), 6)
    parts = rng.normal(size=(2, n))[:, period]
    rise = parts[0] + parts[1] * both + 0.3 * rng.normal(size=len(period))
    return Cells(np.tile(np.arange(6), n), period, rise, rise, rise), parts


def test_a_combination_is_offered_only_if_it_wins():
    for both in (True, False):
        cells, signals = _two_signals(8, both)
        events, _ = events_of(cells.rise)
        found = combination(signals, ["first", "second"], cells, events, draws_of(cells, 0.9, 0), delay=1)
        assert found["offered"] is both, found["why"]
        assert (found["advantage_low"] > 0) is both
    assert found["best_single"] == "first"
    assert found["why"].endswith("not offered")


def test_a_combination_learns_from_the_past_alone():
    cells, signals = _two_signals(9, both=True)
    early = combined(signals, cells, delay=2)
    changed = Cells(cells.vintage, cells.period, np.where(cells.period >= 40, 99.0, cells.rise), cells.rise, cells.rise)
    late = combined(np.where(cells.period >= 42, 7.0, signals), changed, delay=2)
    same = (cells.period < 42) & np.isfinite(early)
    assert same.sum() > 50
    assert early[same].tobytes() == late[same].tobytes()


@pytest.mark.parametrize("kind", ["set", "classes", "many", "values", "forecast", "seeds", "dates", "tiny"])
def test_every_kind_of_app_is_judged_or_told_why_not(kind, tmp_path):
    frame = history("covariate", 10)
    if kind == "set":
        app = app_of(frame, loss="auc", monitors=[*monitors.standard(wild.losses.named("log_loss"))])
    elif kind == "classes":
        app = app_of(frame, loss="zero_one", models={"logit": Logit(), "other": LogisticRegression()},
                     monitors=[*monitors.standard(wild.losses.named("zero_one")), monitors.Disagreement("other")])  # fmt: skip
    elif kind == "many":
        frame["y"] += np.random.default_rng(0).random(len(frame)) < 0.2
        app = app_of(frame, models={"many": LogisticRegression()})
    elif kind == "values":
        app = regression(frame)
    elif kind == "forecast":
        frame["p"] = 1 / (1 + np.exp(-2 * frame["a"]))
        app = app_of(frame, models={"published": wild.Forecast("p")})
    elif kind == "seeds":
        app = app_of(frame, seeds=[0, 1])
    elif kind == "dates":
        frame["when"] = np.datetime64("2024-01-01", "ns") + frame["when"].to_numpy() * np.timedelta64(24, "m")
        frame["known"] = frame["when"]
        app = app_of(frame, rows=1, every="5D", start="2024-01-11")
    else:
        app = app_of(frame[: 300 * 6])
    _, made, records = _audit(app, tmp_path)
    facts = made["monitor_audition"]
    if kind == "tiny":
        assert made["monitors"] == []
        assert "too few to judge" in facts["why"]
        return
    assert facts["cells"] > 50
    if kind == "set":
        assert {one["name"] for one in facts["left_out"]} == {"DoC", "direct loss", "classifier weighting"}
        assert records["CBPE"]["estimate"] is not None
    if kind == "classes":
        assert records["disagreement with other"]["estimate"] is not None
        assert "CBPE" not in records
    if kind == "forecast":
        assert records["CBPE"]["estimate"] is not None
        assert records["CBPE"]["against"]["staleness"]["auc"] is None  # a published forecast does not go stale
        assert records["worst feature (PSI)"]["estimate"] is None
        assert records["disagreement with a fresh one"]["latest"]["value"] == 0.0
    if kind == "dates":
        assert facts["looks_per_year"] == pytest.approx(73)
        assert records["CBPE"]["lead"]["false_alarms_per_year"] is not None


def test_odd_features_are_said(tmp_path):
    frame = history("none", 12)

    def odd(rows):
        made = rows[["a", "b"]].copy()
        made["same"], made["empty"] = 1.0, np.nan
        made["id"] = [f"id{k}" for k in range(len(rows))]
        return made

    class First(Logit):
        def fit(self, X, y):
            return super().fit(X[["a"]], y)

        def predict_proba(self, X):
            return super().predict_proba(X[["a"]])

    _, made, records = _audit(app_of(frame, features=odd, models={"first": First()}), tmp_path)
    said = made["monitor_audition"]["remarks"]
    assert "same is constant before the first cutoff" in said
    assert "empty has no value before the first cutoff" in said
    assert any(text.startswith("id has 600 categories") for text in said)
    assert records["new categories"]["series"][5] == 1.0


def test_the_users_threshold_counts(tmp_path):
    _, made, _ = _audit(app_of(_swings(3)), tmp_path, above=0.02)
    facts = made["monitor_audition"]
    assert facts["threshold"] == 0.02
    assert "more than 0.02 above that of the reference, as you named it" in facts["event"]


def test_an_app_without_monitors_keeps_the_labelled_loss(tmp_path):
    sheet = wild.rehearse(app_of(history("none"), monitors=[]), store=tmp_path, jobs=1).sheet
    assert sheet["monitors"] == []
    assert sheet["monitor_audition"]["why"] == "the app names no monitor"
    assert sheet["monitor_audition"]["default"] == ["labelled loss"]


def test_a_threshold_below_the_reference_is_told_as_that():
    """A later period may be easier than the first: "more than -0.157 above" is no sentence."""
    assert _event_words(None, -0.157, "log_loss") == (
        "log_loss above that of the reference, or less than 0.157 below it: the upper 25% of the cells"
    )
    assert "more than 0.2 above that of the reference" in _event_words(None, 0.2, "log_loss")
