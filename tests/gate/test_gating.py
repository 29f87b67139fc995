"""The gate from the command line and under pytest: exit codes, JSON, JUnit XML, waivers."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from mlwild.cli import cli
from mlwild.clock import today
from mlwild.gate.waivers import signed
from mlwild.gating import judge, last_gate
from mlwild.loading import load_again, load_app

APP = """
import numpy as np, pandas as pd
import mlwild as wild

def events():
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    when = np.arange(800)
    return pd.DataFrame({"when": when, "known": when + 5, "x": x, "y": x + rng.normal(size=800)})

def train(X, y):
    slope = float((X["x"] * y).sum() / (X["x"] ** 2).sum())
    return lambda X: slope * X["x"].to_numpy()

app = wild.App(
    name="little", data=events, time="when", label="y", known_at="known", features=lambda rows: rows[["x"]],
    models={"line": train}, loss="squared", every=50, start=100, tests=[], owner="Ada",
    prices=wild.Prices(loss=1.0, retrain=10.0, unit="EUR"),
)
"""
TESTS = {
    "green": "def test_loss(model, events):\n    assert model.mean_loss(events) < 2\n",
    "red": "def test_loss(model, events):\n    loss = model.mean_loss(events)\n    assert loss < 0.1\n",
    "yellow": "def test_loss(model, events):\n    assert model.mean_loss(events.where(range(5))) < 9\n",
    "nan": "def test_loss(model, events):\n    assert not model.mean_loss(events) > 2\n",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a folder with the little app, rehearsed once."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "little.py").write_text(APP)
    return folder


def gate(shop, kind, *options, monkeypatch, code):
    (shop / "little_tests.py").write_text(TESTS[kind])
    monkeypatch.chdir(shop)
    done = CliRunner().invoke(cli, ["gate", "little.py", "--jobs", "1", "--no-past", *options])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_green_is_0_and_leaves_json_and_junit(shop, monkeypatch):
    gate(shop, "green", "--json", "gate.json", "--junit", "gate.xml", monkeypatch=monkeypatch, code=0)
    made = json.loads((shop / "gate.json").read_text())
    assert made["verdict"] == "passed"
    (one,) = made["tests"]
    assert (one["test"], one["verdict"], one["owner"], one["n"]) == ("loss", "pass", "Ada", 196)
    assert one["estimate"] is None  # a plain test measures nothing that we know of
    suite = ElementTree.parse(shop / "gate.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("1", "0", "0")
    assert last_gate(load_app(shop / "little.py"))["verdict"] == "passed"


def test_red_is_1(shop, monkeypatch):
    done = gate(shop, "red", "--json", "gate.json", "--junit", "gate.xml", monkeypatch=monkeypatch, code=1)
    assert "BLOCKED by 1 of 1 tests: loss" in done.output
    assert json.loads((shop / "gate.json").read_text())["verdict"] == "blocked"
    case = ElementTree.parse(shop / "gate.xml").getroot().find("testcase/failure")
    assert case.get("message").startswith("assert loss < 0.1: loss = ")


def test_a_test_that_passes_for_nan_is_an_error_and_1(shop, monkeypatch):
    done = gate(shop, "nan", "--json", "gate.json", "--junit", "gate.xml", monkeypatch=monkeypatch, code=1)
    assert json.loads((shop / "gate.json").read_text())["tests"][0]["verdict"] == "error"
    suite = ElementTree.parse(shop / "gate.xml").getroot()
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    assert "passes for a model that answers NaN" in " ".join(done.output.split())


def test_yellow_is_3_unless_it_may_pass(shop, monkeypatch):
    gate(shop, "yellow", "--json", "gate.json", monkeypatch=monkeypatch, code=3)
    assert json.loads((shop / "gate.json").read_text())["verdict"] == "undecided"
    gate(shop, "yellow", "--undecided-passes", monkeypatch=monkeypatch, code=0)


def test_a_waiver_lets_red_pass_until_its_day(shop, monkeypatch):
    (shop / "little_tests.py").write_text(TESTS["red"])
    monkeypatch.chdir(shop)
    until = (today() + timedelta(10)).isoformat()
    run = CliRunner().invoke
    done = run(cli, ["waive", "little.py", "los", "--by", "Ada", "--until", until, "--why", "known"])
    assert done.exit_code == 2
    done = run(cli, ["waive", "little.py", "loss", "--by", "Ada", "--until", until, "--why", "known"])
    assert done.exit_code == 0, done.output
    try:
        done = gate(shop, "red", "--json", "gate.json", "--junit", "gate.xml", monkeypatch=monkeypatch, code=0)
        (one,) = json.loads((shop / "gate.json").read_text())["tests"]
        assert (one["verdict"], one["waived"]["by"]) == ("fail", "Ada")
        skipped = ElementTree.parse(shop / "gate.xml").getroot().find("testcase/skipped")
        assert "waived by Ada until" in skipped.get("message")
        past = signed("little", "loss", "Ada", today() - timedelta(20), today() - timedelta(1), "known")
        (shop / "little.waivers.toml").write_text(past.text())
        assert "HAS EXPIRED" in " ".join(gate(shop, "red", monkeypatch=monkeypatch, code=1).output.split())
        (shop / "little.waivers.toml").write_text(past.text().replace("known", "minor"))
        gate(shop, "red", monkeypatch=monkeypatch, code=2)
        strange = signed("little", "size", "Ada", today(), today(), "known")
        (shop / "little.waivers.toml").write_text(strange.text())
        gate(shop, "red", monkeypatch=monkeypatch, code=2)
    finally:
        (shop / "little.waivers.toml").unlink()


def test_exit_codes_are_those_of_the_process(shop):
    (shop / "little_tests.py").write_text(TESTS["red"])
    command = [sys.executable, "-m", "mlwild.cli", "gate", "little.py", "--jobs", "1", "--no-past"]
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    (shop / "little_tests.py").write_text("x = 1\n")
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "has no name that begins with test_" in done.stderr


def test_past_champions_are_judged_and_kept(shop):
    def small(model, events):
        assert model.mean_loss(events) < 2

    app = load_app(shop / "little.py")
    said = []
    first = judge(app, tests=[small], today=today(), jobs=1, said=said.append)
    assert first.false_blocks.blocked == 0
    assert first.false_blocks.of >= 1
    assert not first.blocked
    again = judge(app, tests=[small], today=today(), jobs=1)
    assert again.false_blocks == first.false_blocks


def test_an_app_that_chooses_by_chance_is_told_when_its_file_runs_again(tmp_path, monkeypatch):
    chance = APP.replace('models={"line": train}', 'models={f"line {next(TURN)}": train}')
    chance = chance.replace("def events", 'TURN = iter(__import__("random").sample(range(1000), 2))\n\ndef events', 1)
    (tmp_path / "moving.py").write_text(chance)
    first = load_app(tmp_path / "moving.py")
    before = sys.modules["mlwild_app_moving"]
    lives = {load_again(first).live for _ in range(5)}
    assert len(lives) > 1
    assert sys.modules["mlwild_app_moving"] is before  # the module that the first app came from stays


# -- under pytest ----------------------------------------------------------------------------------

UNDER_PYTEST = """
import numpy as np
from mlwild.gate.ready.code import RowOrder

test_order = RowOrder()
test_many = [RowOrder(name="again"), RowOrder(name="and again")]

def test_green(model, events):
    assert model.mean_loss(events) < 2

def test_red(model, events):
    assert model.mean_loss(events) < 0.1

def test_few(model, events):
    assert model.predictions(events.where(np.arange(5))).max() < 99

def test_nan(model, events):
    assert not model.mean_loss(events) > 2

def test_slice(model, events):
    assert model.mean_loss(events) + model.mean_loss(events.where(np.arange(9))) < 99

def test_spared(model, events):
    assert model.mean_loss(events.where(events.labels < np.quantile(events.labels, 0.9))) < 2

def test_history(history, champion, trial):
    assert len(history.period) > 3

def test_empty(model, events):
    model.predictions(events)

TURNS = []

def test_turns(model, events):
    TURNS.append(model.mean_loss(events))
    assert len(TURNS) % 2
"""


def test_a_module_of_tests_runs_under_pytest(shop):
    (shop / "test_little.py").write_text(UNDER_PYTEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "test_little.py",
        "--mlwild-app",
        "little.py",
    ]
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    for line in (
        "PASSED test_little.py::test_order",
        "PASSED test_little.py::test_many[and again]",
        "PASSED test_little.py::test_green",
        "PASSED test_little.py::test_history",
        "FAILED test_little.py::test_red",
        "FAILED test_little.py::test_nan",
        "FAILED test_little.py::test_spared",
        "FAILED test_little.py::test_empty",
        "FAILED test_little.py::test_turns",
        "underpowered: it had 5 rows predicted; 30 at least",
        "underpowered: it takes the mean loss of 9 rows; 30 at least",
        "5 failed, 5 passed, 2 skipped",
    ):
        assert line in done.stdout, (line, done.stdout)
    assert "passes for a model that answers NaN" in done.stdout
    assert "at fault: it asserts nothing" in done.stdout
    assert "run twice on the same rows, it passes, then fails" in done.stdout
    assert "it leaves out the 20 of 196 rows with the greatest 'y'" in done.stdout


def test_a_module_without_an_app_is_told_so(tmp_path):
    (tmp_path / "test_alone.py").write_text("def test_it(model):\n    assert model.size > 0\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_alone.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "there is no app alone.py beside it" in done.stdout + done.stderr
