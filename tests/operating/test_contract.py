"""A tick holds what is known against the contract, also where nothing goes live and no gate asks."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlwild as wild
from mlwild import rules
from mlwild.answering import bundle
from mlwild.checks import write_contract
from mlwild.errors import DataError, users_place
from mlwild.gate.ready import KeepsContract
from mlwild.gate.waivers import signed
from mlwild.operating import opening, standing_gate, status
from tests.operating.worlds import World
from tests.support import Logit, drifting, small_app
from tests.test_cli import MLWILD, run, write

#: When the rows go wrong.
BAD = 500


def steady(folder, **fields):
    """Return a world whose contract was written from sound rows."""
    app = small_app(drifting(900, 0, 0.0, 20), every=50, start=100, **fields)
    path = folder / "small.contract.toml"
    write_contract(app, path)
    return World(replace(app, contract=path))


def operated(world, store, until, **words):
    """Operate with a rule that never lets anything go live after the first."""
    world.now = until
    return wild.operate(world.app, rule=rules.Never(), begin=300, store=store, **words)


def spoil(world, column, value):
    """Make a column other from then on."""
    rows = world.whole
    rows[column] = rows[column].where(rows["when"] < BAD, value(rows[column]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda x: 1000 * x, "column 'a' is "),
        (lambda x: x * np.nan, "column 'a' is missing in row 500"),
    ],
)
def test_rows_that_break_the_contract_are_told_though_nothing_goes_live(tmp_path, value, said):
    world = steady(tmp_path)
    spoil(world, "a", value)
    sound = operated(world, tmp_path / "s", BAD)
    assert not sound.alarms
    done = operated(world, tmp_path / "s", 601)
    assert [one.action for one in done.ticks] == ["keep"] * 3  # at 500, 550 and 600
    assert [at for at, _ in done.alarms] == ["550", "600"]
    why = done.alarms[0][1]
    assert why.startswith(f"the data break small.contract.toml: data: {said}")
    assert "[data.columns.a]" in why
    assert status(tmp_path / "s")[0].alarm == done.alarms[-1][1]


def test_a_waiver_of_the_gate_answers_for_the_contract_too(tmp_path):
    (tmp_path / "small.py").write_text("")
    world = steady(tmp_path)
    world.app = replace(world.app, file=tmp_path / "small.py")
    spoil(world, "a", lambda x: 1000 * x)
    on, until = date(2026, 1, 1), date(2026, 2, 1)
    waiver = signed("small", "keeps its contract", "Ada", on, until, "mended in March")
    (tmp_path / "small.waivers.toml").write_text(waiver.text())
    assert not operated(world, tmp_path / "waived", 601, today=on).alarms
    assert len(operated(world, tmp_path / "late", 601, today=date(2026, 2, 2)).alarms) == 2


def test_code_that_raises_over_a_column_that_is_gone_is_told_with_the_contract(tmp_path):
    world = steady(tmp_path)
    operated(world, tmp_path / "s", BAD)
    world.whole = world.whole.drop(columns="a")
    with pytest.raises(DataError, match=r"^the data break small\.contract\.toml: data: column 'a' is gone\. Bring it"):
        operated(world, tmp_path / "s", 551)
    assert "'a' is gone" in status(tmp_path / "s")[0].alarm


def test_code_that_raises_over_sound_data_is_told_as_it_is(tmp_path):
    world = steady(tmp_path)

    def features(rows):
        if len(rows) > BAD:
            raise KeyError("not of the data")
        return rows[["a", "b"]]

    with pytest.raises(KeyError, match="not of the data"):
        wild.operate(replace(world.app, features=features), rule=rules.Never(), begin=550, store=tmp_path / "other")


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_labels_that_are_truth_values_keep_their_contract_before_all_are_known(tmp_path, kind):
    rows = drifting(900, 0, 0.0, 20)
    rows["y"] = rows["y"] > 0
    make = {"pandas": lambda: rows, "polars": lambda: pl.from_pandas(rows), "pyarrow": lambda: pa.table(rows)}[kind]

    def features(given):
        return pd.DataFrame({"a": given["a"].to_numpy(), "b": given["b"].to_numpy()})

    asked = {"models": {"logit": Logit()}, "loss": "log_loss", "every": 50, "start": 100, "tests": [KeepsContract()]}
    app = small_app(rows, data=make, features=features, **asked)
    path = tmp_path / "small.contract.toml"
    write_contract(app, path)
    assert 'kind = "boolean"' in path.read_text()
    gate = standing_gate(store=tmp_path / "s")
    done = wild.operate(replace(app, contract=path), rule=rules.Never(), begin=700, gate=gate, store=tmp_path / "s")
    assert not done.alarms


def test_the_command_says_it_and_ends_with_exit_code_1(tmp_path):
    write(tmp_path)
    run("check", "app.py", "--write-contract", cwd=tmp_path)
    begin = ("operate", "app.py", "--rule", "never", "--begin", "400", "--at", "500", "--no-gate")
    run(*begin, cwd=tmp_path)
    write(tmp_path, "frame.loc[frame['when'] >= 500, 'x'] *= 1000")
    done = run("operate", "app.py", "--no-gate", cwd=tmp_path, code=1)
    said = " ".join(done.stdout.split())
    assert "550: the data break app.contract.toml: data: column 'x'" in said
    assert "of [data.columns.x]" in said


def test_a_running_operator_that_told_of_it_ends_with_exit_code_1_when_it_is_stopped(tmp_path):
    write(tmp_path)
    run("check", "app.py", "--write-contract", cwd=tmp_path)
    write(tmp_path, "frame.loc[frame['when'] >= 500, 'x'] *= 1000")
    command = [*MLWILD, "operate", "app.py", "--rule", "never", "--begin", "500", "--no-gate", "--every", "1h"]
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as going:
        next(line for line in going.stdout if "Next tick" in line)
        going.send_signal(signal.SIGINT)
        said = going.communicate(timeout=60)
    assert going.returncode == 1, said
    assert "Stopped, after alarms" in said[1]


def test_the_place_of_a_problem_is_in_the_users_code_and_not_in_a_compiled_package():
    with pytest.raises(KeyError) as raised:
        pa.table({"x": [1]})["y"]
    assert users_place(raised.value).startswith("test_contract.py, line ")


def test_an_app_is_the_same_where_its_contract_is_written_later_and_where_it_is_moved_with_it(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    write(here, "frame = frame[frame['when'] < int(__import__('pathlib').Path(__file__ + '.now').read_text())]")
    (here / "app.py.now").write_text("520")
    run("operate", "app.py", "--rule", "every 2", "--begin", "450", "--no-gate", cwd=here)
    run("check", "app.py", "--write-contract", cwd=here)
    assert "nothing is due" in run("operate", "app.py", "--no-gate", cwd=here).stdout
    there = here.rename(tmp_path / "there")
    (there / "app.py.now").write_text("600")
    assert "nothing is due" not in run("operate", "app.py", "--no-gate", cwd=there).stdout
    bundle(there / "app.py", store=there / ".mlwild")


def test_a_life_that_an_older_version_opened_goes_on(tmp_path, monkeypatch):
    world, real = steady(tmp_path), opening.code_of
    monkeypatch.setattr(opening, "code_of", lambda app: opening._code(app, app.contract))
    operated(world, tmp_path, 401)
    monkeypatch.setattr(opening, "code_of", real)
    assert real(world.app) != opening._code(world.app, world.app.contract)
    world.now = 501
    assert len(wild.operate(world.app, store=tmp_path).ticks) == 2
