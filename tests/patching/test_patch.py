"""mlwild patch: as many fits as promised, none the second time, and what the slice may be."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import mlwild as wild
from mlwild.cli import cli
from mlwild.errors import AppError, DataError
from mlwild.monitors.labelled import Age
from mlwild.patching import patch
from mlwild.patching.patch import _cutoffs
from mlwild.records import Vintage
from mlwild.remedies import Abstaining, Recalibrated, Reweighted
from mlwild.triangle import survey
from mlwild.wording import number
from tests.remedies.planted import history

COLUMNS = ["a", "b", "c"]
TWO = {"heavier": Reweighted(LogisticRegression(), "in_slice", weight=4.0)}


def planted(n=3000, **changes) -> wild.App:
    """Return an app whose model fails on the rows that are `turned`, which no feature tells."""
    frame = history(0, n=n)
    frame["known"] = frame["when"] + 30
    frame["kind"] = np.where(frame["turned"], "odd", "even")
    made = wild.App(
        name="planted",
        data=lambda: frame,
        time="when",
        label="y",
        known_at="known",
        outcomes=["noisy"],
        features=lambda rows: rows[COLUMNS],
        models={"logistic": LogisticRegression()},
        loss="brier",
        every=100,
        monitors=[Age()],
    )
    return replace(made, **changes)


def test_every_remedy_is_fitted_once_a_cutoff_and_never_again(tmp_path):
    first = patch(planted(), "kind = 'odd'", store=tmp_path, jobs=1)
    remedies = len(first["remedies"])
    assert remedies == 7
    n = len(first["cutoffs"])
    assert n == 7  # 22 periods, of which the later two thirds hold 14 that can be scored: seven that lie apart
    assert first["fits"] == {"made": n * (1 + remedies), "reused": 0}
    again = patch(planted(), "kind = 'odd'", store=tmp_path, jobs=1)
    assert again["fits"] == {"made": 0, "reused": n * (1 + remedies)}
    assert _stable(again) == _stable(first)
    json.dumps(first, allow_nan=False)


def _stable(sheet):
    return {key: value for key, value in sheet.items() if key not in ("seconds", "fits")}


def test_another_slice_or_remedy_is_another_fit(tmp_path):
    first = patch(planted(), "kind = 'odd'", remedies=TWO, store=tmp_path, jobs=1)
    n = len(first["cutoffs"])
    other = patch(planted(), "kind = 'odd' and a > 0", remedies=TWO, store=tmp_path, jobs=1)
    assert other["fits"] == {"made": n, "reused": n}
    heavier = {"heavier": Reweighted(LogisticRegression(), "in_slice", weight=5.0)}
    assert patch(planted(), "kind = 'odd'", remedies=heavier, store=tmp_path, jobs=1)["fits"]["made"] == n


def test_a_longer_history_fits_no_cutoff_again(tmp_path):
    long = planted(n=4600).data()
    first = patch(planted(data=lambda: long[:4500]), "kind = 'odd'", remedies=TWO, cutoffs=60, store=tmp_path, jobs=1)
    n = len(first["cutoffs"])
    later = patch(planted(data=lambda: long), "kind = 'odd'", remedies=TWO, cutoffs=60, store=tmp_path, jobs=1)
    assert later["fits"]["made"] == 2 * len(set(later["cutoffs"]) - set(first["cutoffs"])) == 2
    assert later["fits"]["reused"] == 2 * n


def test_the_models_own_vintages_are_those_of_the_rehearsal(tmp_path):
    app = planted()
    wild.rehearse(app, rules=[wild.rules.Never()], store=tmp_path, jobs=1)
    found = patch(app, "kind = 'odd'", remedies=TWO, store=tmp_path, jobs=1)
    n = len(found["cutoffs"])
    assert found["fits"] == {"made": n, "reused": n}
    back = wild.rehearse(app, rules=[wild.rules.Never()], store=tmp_path, jobs=1)
    assert back.sheet["fits"]["made"] == 0


def test_losses_are_those_of_a_plain_loop(tmp_path):
    app = planted()
    found = patch(app, "kind = 'odd'", remedies=TWO, store=tmp_path, jobs=1)
    record = found["remedies"][0]
    read = survey(app)
    frame, grid = app.data(), read.grid
    cutoffs = [k for k in range(grid.periods) if read.clock.show(int(grid.edges[k])) in found["cutoffs"]]
    sums = {"before": [], "after": []}
    for k in cutoffs:
        known = frame[(frame["known"] <= grid.edges[k])]
        tested = frame.iloc[grid.row_start[k] : grid.row_start[k + 1]]
        tested = tested[tested["turned"]]
        weights = np.where(known["turned"], 4.0, 1.0)
        for side, weight in (("before", None), ("after", weights / weights.mean())):
            model = LogisticRegression().fit(known[COLUMNS], known["y"], weight)
            sums[side].append((model.predict_proba(tested[COLUMNS])[:, 1] - tested["y"]) ** 2)
    for side, losses in sums.items():
        assert record["slice"][side] == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)
    assert record["slice"]["n"] == len(np.concatenate(sums["after"]))


def test_workers_or_none_find_the_same(tmp_path, monkeypatch):
    from mlwild.triangle import parallel

    alone = patch(planted(), "kind = 'odd'", remedies=TWO, store=tmp_path / "alone", jobs=1)
    monkeypatch.setattr(parallel, "ALONE", 0.0)
    together = patch(planted(), "kind = 'odd'", remedies=TWO, store=tmp_path / "together", jobs=2)
    for sheet in (alone, together):
        del sheet["remedies"][0]["seconds"]
    assert _stable(alone) == _stable(together)


def test_what_the_features_tell_needs_no_column_beside_them(tmp_path):
    told = patch(planted(), "a > 1", remedies={"x": Reweighted(LogisticRegression(), lambda X: X["a"] > 1)},
                 store=tmp_path, jobs=1)  # fmt: skip
    assert told["slice"] == {
        "said": "a > 1",
        "rows": told["slice"]["rows"],
        "share": told["slice"]["share"],
        "marker": False,
    }
    beside = patch(planted(), "kind = 'odd' and a > 0", store=tmp_path, remedies=TWO, jobs=1)
    assert beside["slice"]["marker"] is True

    def recoded(rows):
        return rows[COLUMNS].assign(kind=(rows["kind"] == "odd").astype(float))

    other = patch(planted(features=recoded), "kind = 'odd'", store=tmp_path, remedies=TWO, jobs=1)
    assert other["slice"]["marker"] is True  # the feature of that name holds numbers

    def high(X):
        return X["a"] > 1

    function = patch(planted(), high, store=tmp_path, jobs=1, remedies={"x": Reweighted(LogisticRegression(), high)})
    assert (function["slice"]["said"], function["slice"]["rows"]) == ("high", told["slice"]["rows"])


@pytest.mark.parametrize("kind", ["polars", "numpy", "pyarrow"])
def test_other_kinds_of_frames_find_the_same(tmp_path, kind):
    import pyarrow as pa

    turned = {
        "polars": lambda rows: pl.DataFrame(rows[COLUMNS].to_dict("list")),
        "numpy": lambda rows: rows[COLUMNS].to_numpy(),
        "pyarrow": lambda rows: pa.table(rows[COLUMNS].reset_index(drop=True)),
    }[kind]
    name = "x3" if kind == "numpy" else "in_slice"
    remedies = {"platt": Recalibrated(_Columns(), name)}
    models = {"own": _Columns()}
    found = patch(
        planted(features=turned, models=models), "kind = 'odd'", remedies=remedies, store=tmp_path / kind, jobs=1
    )
    plain = patch(
        planted(models=models),
        "kind = 'odd'",
        remedies={"platt": Recalibrated(_Columns(), "in_slice")},
        store=tmp_path,
        jobs=1,
    )
    assert found["remedies"][0]["slice"]["after"] == pytest.approx(plain["remedies"][0]["slice"]["after"])


class _Columns:
    """A logistic regression of any kind of frame."""

    def fit(self, X, y):
        self.inner = LogisticRegression().fit(_array(X), y)
        self.classes_ = self.inner.classes_
        return self

    def predict_proba(self, X):
        return self.inner.predict_proba(_array(X))


def _array(X):
    return (
        np.column_stack([np.asarray(X[name]) for name in X.column_names])
        if hasattr(X, "column_names")
        else np.asarray(X)
    )


# -- remedies ----------------------------------------------------------------------------------------


def test_a_remedy_of_which_nothing_can_be_told_is_not_one_that_fails(tmp_path):
    """Four neighbouring periods are too few: what seems to be gained is named, and why it is not shown."""
    app = planted(n=1500, known_at=None, delay=0)
    found = patch(app, "kind = 'odd'", remedies=TWO, cutoffs=8, store=tmp_path, jobs=1)
    assert found["recommended"] is None
    frame, gains = app.data(), []
    for cutoff in found["cutoffs"]:
        known = frame[frame["when"] < int(cutoff)]
        model = LogisticRegression().fit(known[COLUMNS], known["y"])
        heavy = LogisticRegression().fit(known[COLUMNS], known["y"], np.where(known["kind"] == "odd", 4.0, 1.0))
        rows = frame[(frame["when"] >= int(cutoff)) & (frame["when"] < int(cutoff) + 100) & (frame["kind"] == "odd")]
        lost = [(one.predict_proba(rows[COLUMNS])[:, 1] - rows["y"]) ** 2 for one in (model, heavy)]
        gains.append(lost[0] - lost[1])
    (record,) = found["remedies"]
    assert record["slice"]["estimate"] == pytest.approx(-np.concatenate(gains).mean(), abs=1e-3)
    assert record["slice"]["low"] is None
    seems = f"'heavier' seems to gain {number(-record['slice']['estimate'], 2)}"
    assert found["said"].endswith(f"{seems}, and whether it does cannot be told: {record['slice']['why']}.")


def test_abstaining_has_its_price(tmp_path):
    found = patch(planted(), "kind = 'odd'", abstain=0.2, cutoffs=4, store=tmp_path, jobs=1)
    record = next(one for one in found["remedies"] if one["name"] == "abstaining")
    assert 0 <= record["answered"] < 0.7
    assert found["price_of_abstaining"] == 0.2
    assert record["slice"]["after"] < record["slice"]["before"]
    free = patch(planted(), "kind = 'odd'", remedies={"none": Abstaining(LogisticRegression(), "in_slice", price=0.0)},
                 abstain=0.0, store=tmp_path, jobs=1)  # fmt: skip
    assert free["remedies"][0]["slice"]["after"] == pytest.approx(0.0, abs=0.02)
    dear = {"dear": Abstaining(LogisticRegression(), "in_slice", price=0.1)}
    with pytest.raises(AppError, match="abstain: a remedy may leave rows unanswered"):
        patch(planted(), "kind = 'odd'", remedies=dear, store=tmp_path, jobs=1)
    unasked = patch(planted(), "kind = 'odd'", cutoffs=4, store=tmp_path, jobs=1)
    assert {"name": "abstaining", "why": "it needs a price: what a row costs that is not answered"} in unasked[
        "left_out"
    ]


def test_a_remedy_that_fails_is_said_and_the_others_are_not_harmed(tmp_path):
    def train(X, y):
        raise ValueError("no such luck")

    found = patch(planted(), "kind = 'odd'", remedies={"broken": train, **TWO}, store=tmp_path, jobs=1)
    broken = found["remedies"][-1]
    assert broken["verdict"] == "failed"
    assert broken["said"] == "'broken' could not be made: ValueError: no such luck."
    assert found["remedies"][0]["tries"] == 2  # it was tried


def test_losses_of_sets_and_of_many_classes(tmp_path):
    found = patch(planted(loss="auc"), "kind = 'odd'", cutoffs=4, store=tmp_path, jobs=1)
    assert {record["verdict"] for record in found["remedies"]} <= {"recommended", "no difference", "harmful"}
    assert found["remedies"][0]["slice"]["n"] <= 4  # one a period

    def three():
        frame = planted().data()
        return frame.assign(y=np.where(frame["c"] > 1, 2, frame["y"]))

    many = patch(planted(data=three, loss="log_loss"), "kind = 'odd'", abstain=1.0, cutoffs=4, store=tmp_path, jobs=1)
    assert not [record for record in many["remedies"] if record["verdict"] == "failed"]
    decided = patch(planted(loss="zero_one"), "kind = 'odd'", cutoffs=4, store=tmp_path, jobs=1)
    assert "threshold" in [record["name"] for record in decided["remedies"]]


def test_rows_that_were_let_through_count_by_their_propensity(tmp_path):
    def selective():
        frame = planted().data()
        return frame.assign(chance=np.where(frame["a"] > 0, 1.0, 0.5))

    app = planted(data=selective, feedback="selective", propensity="chance")
    found = patch(app, "kind = 'odd'", remedies=TWO, store=tmp_path, jobs=1)
    plain = patch(planted(), "kind = 'odd'", remedies=TWO, store=tmp_path, jobs=1)
    assert found["remedies"][0]["slice"]["before"] != plain["remedies"][0]["slice"]["before"]


# -- where -------------------------------------------------------------------------------------------


def test_cutoffs_lie_apart_in_the_later_two_thirds():
    read = survey(planted(n=6000))
    chosen = _cutoffs(read, 8)
    assert len(chosen) == 8
    assert chosen[0] == -(-read.grid.periods // 3)
    assert chosen[-1] == read.grid.periods - 1 - read.grid.usual_delay
    assert min(np.diff(chosen)) >= 2
    assert len(_cutoffs(read, 30)) == 30
    short = survey(planted(n=2200))
    assert min(np.diff(_cutoffs(short, 8))) == 1  # nine periods: rather eight neighbours than five apart
    with pytest.raises(AppError, match="cutoffs: 3 are too few"):
        _cutoffs(read, 3)
    with pytest.raises(DataError, match="hold 3 periods whose labels have come; it takes 4"):
        _cutoffs(survey(planted(n=1300)), 8)


def test_no_slice_is_refused_unless_something_finds_one(tmp_path):
    with pytest.raises(AppError, match="slice: say which rows the model fails on"):
        patch(planted(), store=tmp_path)
    assert not list(tmp_path.iterdir())

    def worst(read, triangle, cutoff):
        assert cutoff == _cutoffs(read, 8)[0]
        assert triangle.ensure(Vintage(cutoff - 1))
        return "kind = 'odd'"

    found = patch(planted(), worst=worst, remedies=TWO, store=tmp_path, jobs=1)
    assert found["slice"]["said"] == "kind = 'odd'"


@pytest.mark.parametrize(
    ("slice_", "error", "said"),
    [
        ("y = 1", AppError, "column 'y' is known only with the label"),
        ("noisy = true", AppError, "column 'noisy' is known only with the label"),
        ("known > 5", AppError, "column 'known' is known only with the label"),
        ("gone = 1", AppError, "there is no column 'gone'; there is when, a"),
        ("kind = 'none'", DataError, "holds none of 3,000 rows"),
        ("when >= 0", DataError, "holds all of 3,000 rows"),
        ("when < 200", DataError, "no scored row lies in it"),
        (lambda X: X["a"], DataError, "slice: the function gave float64"),
    ],
)
def test_slices_that_cannot_serve_are_refused(tmp_path, slice_, error, said):
    with pytest.raises(error, match=said):
        patch(planted(), slice_, store=tmp_path, jobs=1)


def test_settings_that_cannot_serve_are_refused(tmp_path):
    with pytest.raises(AppError, match="model: there is no 'other'; there is 'logistic'"):
        patch(planted(), "kind = 'odd'", model="other", store=tmp_path)
    published = planted(models={"published": wild.Forecast("a")}, loss="squared")
    with pytest.raises(AppError, match="'published' is a published forecast"):
        patch(published, "kind = 'odd'", store=tmp_path)
    with pytest.raises(AppError, match="remedies: name at least one"):
        patch(planted(), "kind = 'odd'", remedies={}, store=tmp_path)
    with pytest.raises(AppError, match="remedies\\['x'\\]: LogisticRegression is a class"):
        patch(planted(), "kind = 'odd'", remedies={"x": LogisticRegression}, store=tmp_path)
    with pytest.raises(AppError, match="abstain: -1 is not"):
        patch(planted(), "kind = 'odd'", abstain=-1, store=tmp_path)


# -- the command -------------------------------------------------------------------------------------

APP = """
from sklearn.linear_model import LogisticRegression
import mlwild as wild
from tests.patching.test_patch import planted

def strange(X):
    return X["a"] > 1

def jitter(X, rng):
    return X + 0.1 * rng.normal(size=X.shape)

app = planted(n=8000, every=250)
"""


def _run(folder, *arguments, code=0):
    done = CliRunner().invoke(cli, ["patch", str(folder / "app.py"), *arguments, "--jobs", "1"])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_the_command_prints_and_writes_what_was_found(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    out = _run(tmp_path, "--slice", "kind = 'odd'", "--abstain", "0.2", "--json", str(tmp_path / "out.json"))
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["said"] in out
    assert "To have it: " in out
    assert "with the slice as a column of truth values among the features" in out
    for record in found["remedies"]:
        assert f"{record['name']} {record['verdict']}" in out
    named = _run(tmp_path, "--slice", "strange", "--transform", "jitter", "--cutoffs", "5")
    assert "Slice strange: " in named
    assert "fitted at 5 cutoffs" in named


def test_the_command_searches_a_slice_where_none_is_named(tmp_path):
    told = 'lambda rows: rows[["a", "b", "c"]].assign(odd=rows["turned"].astype(float))'
    (tmp_path / "app.py").write_text(APP.replace("every=250", f"every=250, features={told}"))
    found = _run(tmp_path, "--cutoffs", "4")
    assert "Slice odd" in found


def test_the_command_refuses_in_one_sentence(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    assert "--slice: app.py has no function 'strang'. Did you mean 'strange'?" in _run(
        tmp_path, "--slice", "strang", code=2
    )
    assert "cannot be read" in _run(tmp_path, "--slice", "kind ~ 'odd'", code=2)
    assert not (tmp_path / ".mlwild").exists()
    assert isinstance(planted().data(), pd.DataFrame)
