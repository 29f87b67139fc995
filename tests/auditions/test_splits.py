"""Split schemes on the triangle: right by plain loops, blind to the future, free of fits, honest about coverage."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

import mlwild as wild
from mlwild import splits
from mlwild.auditions import audit_splits
from mlwild.auditions.past import procedures
from mlwild.auditions.promises import promises
from mlwild.errors import AppError
from mlwild.records import Vintage
from tests.support import columns, drifting, small_app

READS = splits.standard()


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    app = small_app(models={"line": LinearRegression(), "flat": LinearRegression(fit_intercept=False)})
    return wild.rehearse(app, store=tmp_path_factory.mktemp("store"))


def _known_rows(survey, k, cutoff):
    """Rows of period k whose label was known at a cutoff."""
    edges = survey.grid.edges
    inside = (survey.time >= edges[k]) & (survey.time < edges[k + 1])
    # a label known at the very end of its period counts from the next cutoff on
    return np.flatnonzero(inside & (survey.known_at <= edges[cutoff]))


def _diagonal(rehearsal, cutoff, gap=0):
    """Loss sums and counts of settled periods, by plain loops over rows."""
    triangle, survey = rehearsal.triangles[0], rehearsal.survey
    made = []
    shares = []
    for k in range(cutoff):
        rows = _known_rows(survey, k, cutoff)
        shares.append(len(rows) / survey.grid.rows[k])
    for k in range(gap, cutoff):
        rows = _known_rows(survey, k, cutoff)
        if len(rows) and shares[k] >= 0.9 * max(shares):
            made.append((triangle.row_losses(Vintage(k - gap), rows).sum(), len(rows)))
    return np.array(made)


@pytest.mark.parametrize("cutoff", [3, 6, 9])
def test_reads_are_those_of_plain_loops_over_rows(rehearsal, cutoff):
    past = procedures(rehearsal.triangles)[0].at(cutoff)
    sums = _diagonal(rehearsal, cutoff)

    def mean(part):
        return part[:, 0].sum() / part[:, 1].sum()

    assert splits.LastLive().promise(past) == pytest.approx(mean(sums[-1:]))
    assert splits.PastMean().promise(past) == pytest.approx(mean(sums))
    assert splits.PastMean(periods=2).promise(past) == pytest.approx(mean(sums[-2:]))
    fade = 0.6 ** np.arange(len(sums) - 1, -1, -1.0)
    assert splits.PastMean(fading=0.6).promise(past) == pytest.approx(mean(sums * fade[:, None]))
    assert splits.PastMean(gap=1).promise(past) == pytest.approx(mean(_diagonal(rehearsal, cutoff, 1)))
    # holdout: the vintage nearest 80 % of the rows, on all known labels that follow
    survey, triangle = rehearsal.survey, rehearsal.triangles[0]
    start = survey.grid.row_start
    at = int(np.argmin(np.abs(start[:cutoff] - 0.8 * start[cutoff])))
    rows = np.concatenate([_known_rows(survey, k, cutoff) for k in range(at, cutoff)])
    assert splits.PastHoldout(0.2).promise(past) == pytest.approx(triangle.row_losses(Vintage(at), rows).mean())


@pytest.mark.parametrize("cutoff", [3, 9])
def test_noise_is_that_of_plain_loops_over_rows(rehearsal, cutoff):
    survey, triangle = rehearsal.survey, rehearsal.triangles[0]
    known = [_known_rows(survey, k, cutoff) for k in range(cutoff)]
    share = np.array([len(rows) / survey.grid.rows[k] for k, rows in enumerate(known)])
    lost = [triangle.row_losses(Vintage(k), known[k]) for k in np.flatnonzero(share >= 0.9 * share.max())]
    within = np.concatenate([one - one.mean() for one in lost])
    expected = within.std() / np.sqrt(np.mean([len(one) for one in lost[-4:]]))
    assert procedures(rehearsal.triangles)[0].at(cutoff).noise == pytest.approx(expected)


def _weighted(propensity):
    rows = drifting(900).assign(p=propensity)
    prices = wild.Prices(loss=1.0, retrain=20.0)
    return small_app(rows, feedback="selective", propensity="p", prices=prices)


def test_a_weight_is_no_number_of_rows(tmp_path):
    """Propensities that are all alike tell no mean anything: nor how far back the adaptive window looks."""
    seen = [
        audit_splits(wild.rehearse(_weighted(p), store=tmp_path / str(p), jobs=1).triangles, READS) for p in (1.0, 0.05)
    ]
    for key in ("promised", "promised_low", "promised_high"):
        ours, theirs = (np.array(one["split_audition"]["promise"][key], dtype=float) for one in seen)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_chance_goes_by_the_rows_that_the_weights_leave(tmp_path):
    rng = np.random.default_rng(0)
    rehearsal = wild.rehearse(_weighted(rng.choice([0.05, 1.0], 900)), store=tmp_path, jobs=1)
    survey, triangle = rehearsal.survey, rehearsal.triangles[0]
    floor = procedures(rehearsal.triangles)[0].floor
    for k in range(survey.grid.periods):
        rows = np.flatnonzero((survey.time >= survey.grid.edges[k]) & (survey.time < survey.grid.edges[k + 1]))
        lost, weight = triangle.row_losses(Vintage(k), rows), survey.grid.weight[rows]
        spread = np.sqrt(np.average((lost - np.average(lost, weights=weight)) ** 2, weights=weight))
        left = weight.sum() ** 2 / (weight**2).sum()
        assert floor[k] == pytest.approx(np.sqrt(2 / np.pi) * spread / np.sqrt(left))


def test_off_the_diagonal_is_the_fresh_loss_where_age_costs_nothing():
    class Flat:
        cutoff = 6
        settled = np.ones(6, bool)

        def live(self, gap=0):
            weight = np.where(np.arange(6) >= gap, 10.0, 0.0)
            return weight * (2.0 + 0.5 * gap), weight, np.full(6, np.nan)

    assert splits.OffDiagonal().promise(Flat()) == pytest.approx(2.0)


def test_reads_cost_no_fit(rehearsal):
    before = rehearsal.triangles[0].tally.made
    audit_splits(rehearsal.triangles, READS)
    assert rehearsal.triangles[0].tally.made == before
    assert not any(scheme.fits for scheme in READS)


@pytest.mark.parametrize("kind", ["shuffled", "blocked", "purged", "combinatorial"])
def test_folds_are_fitted_once_and_found_again(kind, tmp_path):
    rehearsal = wild.rehearse(small_app(), store=tmp_path)
    tally = rehearsal.triangles[0].tally
    scheme = splits.OfFolds(kind, 3)
    found = procedures(rehearsal.triangles)
    before = tally.made
    first = promises(found, [scheme], fold_cutoffs=2)
    assert tally.made - before == 2 * 3  # two cutoffs, three folds (or choices of two blocks of three)
    again = promises(found, [scheme, splits.OfFolds(kind, 3, weighted=True)], fold_cutoffs=2)
    assert tally.made - before == 2 * 3
    np.testing.assert_array_equal(first.made[0], again.made[0])


def test_blocked_folds_are_scikit_learns(tmp_path):
    rows = drifting(600, delay=0)
    app = small_app(rows, delay=0, known_at=None, models={"line": LinearRegression()}, every=100, start=200)
    rehearsal = wild.rehearse(app, store=tmp_path)
    made = promises(procedures(rehearsal.triangles), [splits.OfFolds("blocked", 4)], fold_cutoffs=1)
    column = int(np.flatnonzero(~np.isnan(made.made[0, 0]))[0])
    edge = int(rehearsal.survey.grid.edges[made.cutoffs[column]])
    known = rows[rows["when"] < edge]
    dated = splits.Rows(known["when"].to_numpy())
    scores = cross_val_score(
        LinearRegression(),
        columns(known),
        known["y"],
        cv=splits.Blocked(dated, 4),
        scoring="neg_mean_squared_error",
    )
    assert made.made[0, 0, column] == pytest.approx(-scores.mean(), rel=1e-5)  # folds of equal size; float32


@pytest.mark.parametrize("how", ["change", "delete"])
@pytest.mark.parametrize("seed", range(4))
def test_no_promise_sees_what_was_not_known(how, seed, tmp_path):
    rows = drifting(700, seed=seed, delay=150)
    cutoff = 500
    changed = rows.copy()
    late = (changed["known"] > cutoff).to_numpy()
    if how == "change":
        changed.loc[late, "y"] = 100.0
        changed.loc[changed["when"] >= cutoff, ["a", "b"]] = 7.0
    else:
        changed["y"] = changed["y"].mask(late)
    made = []
    for name, data in (("before", rows), ("after", changed)):
        app = small_app(data, every=50, start=100, models={"line": LinearRegression()})
        rehearsal = wild.rehearse(app, store=tmp_path / name)
        table = audit_splits(rehearsal.triangles, READS)["split_audition"]["promise"]
        found = promises(procedures(rehearsal.triangles), READS)
        edges = rehearsal.survey.grid.edges
        until = [place for place, k in enumerate(found.cutoffs) if edges[k] <= cutoff]
        made.append((found.made[:, :, until], [table[key][: len(until)] for key in ("promised", "promised_low")]))
    assert made[0][0].shape[2] >= 6
    np.testing.assert_array_equal(made[0][0], made[1][0])
    assert made[0][1] == made[1][1]


def _steady(n_periods, seed, *, spread=1.0):
    """Rows of a world that does not change, in periods of 25."""
    rng = np.random.default_rng(seed)
    n = 25 * (n_periods + 8)
    x = rng.normal(size=(n, 2))
    return pd.DataFrame(
        {
            "when": np.arange(n),
            "known": np.arange(n) + 3,
            "a": x[:, 0],
            "b": x[:, 1],
            "y": x[:, 0] + spread * rng.normal(size=n),
        }
    )


def test_promised_intervals_hold_as_often_as_stated(tmp_path):
    # 12 histories of 60 periods: about 12 x 55 promises; three standard errors of .9 are .035.
    kept = judged = 0
    for seed in range(12):
        app = small_app(_steady(60, seed), every=25, start=200, models={"line": LinearRegression()})
        rehearsal = wild.rehearse(app, rules=[wild.rules.Never()], store=tmp_path / str(seed))
        promise = rehearsal.sheet["split_audition"]["promise"]
        kept, judged = kept + promise["kept"], judged + promise["n"]
    assert judged > 600
    assert 0.865 < kept / judged < 0.955


def test_schemes_of_a_steady_world_are_not_called_different_more_often_than_stated(tmp_path):
    # Exchangeable schemes: means over three halves of independent noise; 60 draws at level .9,
    # so at most .1 + 3 standard errors (.116) may name a best one.
    from mlwild.auditions.verdicts import best_scheme

    class Made:
        schemes = splits.standard()[:3]

    rng = np.random.default_rng(0)
    named = [
        best_scheme(np.abs(rng.normal(size=(3, 40))), Made(), 0.9, "estimating")["name"] is not None for _ in range(60)
    ]
    assert np.mean(named) <= 0.216


def test_a_scheme_that_is_off_is_told_from_one_that_is_not():
    from mlwild.auditions.verdicts import best_scheme

    class Made:
        schemes = splits.standard()[:3]

    rng = np.random.default_rng(1)
    errors = np.abs(rng.normal(size=(3, 60)) * np.array([[0.3], [1.0], [1.0]]))
    found = best_scheme(errors, Made(), 0.9, "estimating")
    assert found["name"] == Made.schemes[0].name
    assert found["among"] == [Made.schemes[0].name]


def test_too_few_cutoffs_that_do_not_resemble_each_other_are_told_as_cutoffs():
    """There are no rows, and no block that a reader could state."""
    from mlwild.auditions.verdicts import best_scheme

    class Made:
        schemes = splits.standard()[:3]

    slow = 2.0 + np.sin(np.arange(20) / 3.0 + 2.0 * np.arange(3)[:, None])
    found = best_scheme(slow, Made(), 0.9, "estimating")
    assert found["name"] is None
    said = (
        r"they cannot be told apart: 20 cutoffs that resemble their neighbours tell as much as \d\.\d that do not, and "
        "it takes 8; rehearse a longer history"
    )
    assert re.fullmatch(said, found["why"])


def test_leak_meter_is_near_zero_without_drift_and_positive_where_neighbours_resemble_each_other(tmp_path):
    steady = _steady(30, 0)
    rng = np.random.default_rng(0)
    n = len(steady)
    level = np.repeat(rng.normal(scale=3.0, size=n // 25 + 1), 25)[:n]
    # a column that names the week lets shuffled folds learn each week's level
    weekly = steady.assign(b=np.repeat(rng.permutation(n // 25 + 1), 25)[:n].astype(float), y=level + steady["y"])
    from sklearn.tree import DecisionTreeRegressor

    leaks = []
    for name, rows in (("steady", steady), ("weekly", weekly)):
        app = small_app(rows, every=25, start=200, models={"tree": DecisionTreeRegressor(min_samples_leaf=5)})
        rehearsal = wild.rehearse(app, rules=[wild.rules.Never()], splits="all", store=tmp_path / name)
        leaks.append(rehearsal.sheet["split_audition"]["leak_meter"])
    assert abs(leaks[0]["estimate"]) < 0.5
    assert leaks[1]["estimate"] > 5.0
    shuffled = next(row for row in rehearsal.splits if row["name"] == "shuffled 5-fold")
    assert shuffled["bias_high"] < 0  # it promised too little loss


def test_several_models_windows_and_seeds_are_procedures(tmp_path):
    app = small_app(
        models={"line": LinearRegression(), "other": LinearRegression(fit_intercept=False)},
        windows=["all", 300],
        seeds=[0, 1],
    )
    rehearsal = wild.rehearse(app, store=tmp_path)
    audition = rehearsal.sheet["split_audition"]
    assert audition["procedures"] == ["line (all)", "line (300)", "other"]
    assert audition["choosing"]["n"] > 0
    assert all(-1 <= row["rank_models"] <= 1 for row in rehearsal.splits if row["rank_models"] is not None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("some", "splits: 'some' is not 'free', 'all' or a list of schemes."),
        ([], "splits: name at least one scheme, or say 'free' or 'all'."),
        ([splits.LastLive(), splits.LastLive()], "splits: 'last live period' is named twice."),
    ],
)
def test_wrong_splits_are_refused(given, message, tmp_path):
    with pytest.raises(AppError, match=message):
        wild.rehearse(small_app(), splits=given, store=tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: splits.PastMean(periods=0), "splits: periods=0 must be at least 1."),
        (lambda: splits.PastMean(fading=1.5), "splits: fading=1.5 must lie in (0, 1]."),
        (lambda: splits.PastMean(gap=-1), "splits: gap=-1 must be at least 0."),
        (lambda: splits.PastHoldout(1.0), "splits: share=1.0 must lie in (0, 1)."),
        (lambda: splits.OfFolds("random"), "splits: 'random' is not one of shuffled, blocked, purged, combinatorial."),
        (lambda: splits.OfFolds("blocked", 1), "splits: 1 folds are too few for 'blocked'."),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(AppError) as caught:
        make()
    assert str(caught.value) == message


def test_published_forecasts_and_losses_of_sets_are_auditioned(tmp_path):
    rows = drifting(900)
    rows["published"] = rows["a"]
    app = small_app(rows, models={"published": wild.Forecast("published")}, loss="rmse", features=None)
    sheet = wild.rehearse(app, splits="all", store=tmp_path).sheet
    assert all(row["error"] is not None for row in sheet["splits"] if not row["fits"])
    assert all(row["n"] == 0 for row in sheet["splits"] if row["fits"])
    assert sheet["split_audition"]["leak_meter"] is None


def _late(seed, *, until):
    """Return a history of 25 periods: outcomes beyond 2 are told 2.6 periods late; what is told after an instant is not."""
    rng = np.random.default_rng(seed)
    n, every = 2500, 100
    x, t = rng.normal(size=n), np.arange(n)
    y = x + 1.4 * rng.normal(size=n)
    rows = pd.DataFrame({"t": t, "x": x, "y": y, "known": t + np.where(np.abs(y) > 2, 260.0, 10.0)})
    rows.loc[rows["known"] > until, ["y", "known"]] = np.nan
    rows["known"] = rows["known"].astype("Int64")
    return wild.App(
        name="late", data=lambda: rows, time="t", label="y", known_at="known", features=lambda rows: rows[["x"]],
        models={"line": LinearRegression()}, loss="absolute", every=every, start=200, fallback=[],
    )  # fmt: skip


def test_periods_whose_late_labels_are_still_to_come_neither_keep_nor_break_a_promise(tmp_path):
    """Of their labels the early ones are there, which are the easy ones: 28 % of such promises were told as kept."""
    told, whole = np.zeros(2), np.zeros(2)
    for seed in range(2):
        made = wild.rehearse(_late(seed, until=2499), store=tmp_path / str(seed), jobs=1).sheet
        full = wild.rehearse(_late(seed, until=np.inf), store=tmp_path / f"{seed} whole", jobs=1).sheet
        for promise, record in (
            (made["split_audition"]["promise"], made["split_audition"]["promise"]),
            (made["fallback"]["stages"][0], made["fallback"]["stages"][0]["record"]),
        ):
            assert record["came"][-2:] == [None, None]
            assert None not in record["came"][:-3]
            n = sum(
                low is not None and came is not None
                for low, came in zip(record["promised_low"], record["came"], strict=True)
            )
            assert promise.get("of", promise.get("n")) == n
        told += made["fallback"]["stages"][0]["kept"], made["fallback"]["stages"][0]["of"]
        record = full["fallback"]["stages"][0]["record"]
        assert None not in record["came"]  # that no cutoff knew of them is no reason to leave them out
        whole += full["fallback"]["stages"][0]["kept"], full["fallback"]["stages"][0]["of"]
    assert told[1] < whole[1]
    assert told[0] / told[1] == pytest.approx(whole[0] / whole[1], abs=0.06)
