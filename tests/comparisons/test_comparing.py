"""The models of an app, side by side on the rows of its rehearsal."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild.cli import cli
from mlwild.comparing import comparable, compare_app, left_out
from mlwild.errors import AppError
from mlwild.records import Vintage
from tests.support import Line, columns, drifting

APP = """
import numpy as np
import mlwild as wild
from tests.support import Line, columns, drifting

app = wild.App(
    name="two", data=drifting, time="when", label="y", known_at="known", loss="squared", every=50,
    features=columns, models={MODELS},
)
"""


def _app(**changes):
    made = wild.App(
        name="lines",
        data=drifting,
        time="when",
        label="y",
        known_at="known",
        features=columns,
        models={"line": Line(), "flat": Line(ridge=1e9)},
        loss="squared",
        every=50,
    )
    return replace(made, **changes)


def test_losses_are_those_of_the_freshest_vintage_of_each_row(tmp_path):
    rehearsal = wild.rehearse(_app(), store=tmp_path, jobs=1)
    losses = comparable(rehearsal)
    assert losses.names == ("line", "flat")
    triangle = next(one for one in rehearsal.triangles if one.model == "flat")
    grid = rehearsal.survey.grid
    total, weight = triangle.matrix([Vintage(k) for k in range(grid.periods)])
    by_period = np.bincount(losses.period, losses.losses[:, 1], grid.periods)
    assert by_period == pytest.approx(np.diag(total))
    assert np.bincount(losses.period, minlength=grid.periods) == pytest.approx(np.diag(weight))
    assert losses.lag > 1
    records = {record["name"]: record for record in rehearsal.models}
    assert losses.losses[:, 0].mean() == pytest.approx(records["line"]["fresh"])


def test_nothing_is_fitted_a_second_time(tmp_path):
    found, facts, findings = compare_app(_app(), store=tmp_path, jobs=1)
    again = wild.rehearse(_app(), store=tmp_path, jobs=1)
    assert again.sheet["fits"]["made"] == 0
    assert again.sheet["fits"]["reused"] > 0
    assert set(found.names) == {"line", "flat"}
    assert "each scored by the newest vintage" in facts
    assert findings == []


def test_losses_of_sets_are_compared_by_period(tmp_path):
    loss = wild.Loss(lambda y, p: float(np.sqrt(np.mean((y - p) ** 2))), name="rmse", per="set")
    losses = comparable(wild.rehearse(_app(loss=loss), store=tmp_path, jobs=1))
    assert losses.unit == "period"
    assert wild.compare(losses).records[0]["name"] == "line"


def test_a_model_that_cannot_be_made_is_left_out_and_said(tmp_path):
    class Broken:
        def fit(self, X, y):
            raise ValueError("no")

        def predict(self, X):
            return X

    app = _app(models={"line": Line(), "flat": Line(ridge=1e9), "broken": Broken()})
    rehearsal = wild.rehearse(app, store=tmp_path, jobs=1)
    assert left_out(rehearsal) == ["broken"]
    assert comparable(rehearsal).names == ("line", "flat")
    with pytest.raises(AppError, match="no vintage of 'broken' could be made"):
        comparable(wild.rehearse(_app(models={"line": Line(), "broken": Broken()}), store=tmp_path, jobs=1))


def test_one_model_is_said_before_anything_is_fitted(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(APP.replace("MODELS", '"line": Line()'))
    done = CliRunner().invoke(cli, ["compare", str(path), "--store", str(tmp_path / "store")])
    assert done.exit_code == 2
    assert "has one model, 'line': nothing to compare it with" in done.output
    assert not (tmp_path / "store").exists()


def test_the_command_compares_an_app(tmp_path):
    path, out = tmp_path / "app.py", tmp_path / "out.json"
    path.write_text(APP.replace("MODELS", '"line": Line(), "flat": Line(ridge=1e9), "stiff": Line(ridge=1e3)'))
    store = ["--store", str(tmp_path / "store"), "--jobs", "1"]
    done = CliRunner().invoke(cli, ["compare", str(path), "--json", str(out), "--prefer", "line,stiff,flat", *store])
    assert done.exit_code == 0, done.output
    assert "two: " in done.output
    assert "Why this procedure: model confidence set" in done.output
    made = json.loads(out.read_text())
    assert made["tables"]["benchmark"]["benchmark"] == "line"
    assert made["choice"]["name"] == "line"
    assert {record["name"] for record in made["models"]} == {"line", "flat", "stiff"}
    wrong = CliRunner().invoke(cli, ["compare", str(path), "--metric", "acc", *store])
    assert wrong.exit_code == 2
