"""`mlwild check` writes a contract, holds the data against it, and says what is wrong with it in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mlwild as wild
from mlwild.checks import write_contract
from mlwild.checks.contract import held
from mlwild.cli import cli
from mlwild.contracts import read
from mlwild.errors import AppError, DataError
from mlwild.models import Forecast
from mlwild.triangle.survey import make_features, read_events
from tests.real import air_quality, hotel
from tests.support import drifting, small_app
from tests.test_cli import GOOD, write


def contract_findings(app, path):
    """Return the findings of the contract alone."""
    app = replace(app, contract=path)
    events, tables = read_events(app)
    return list(held(app, events, make_features(app, events.frame, tables)[0]))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return how to run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == code, (done.exit_code, done.stdout, done.stderr)
        return done

    return call


def test_a_contract_is_written_read_and_kept(run, tmp_path):
    write(tmp_path)
    out = run("check", "app.py", "--write-contract").stdout
    assert out.startswith("Wrote app.contract.toml: 4 columns and 1 feature, from 12 periods. It is yours now: read it")
    text = (tmp_path / "app.contract.toml").read_text()
    assert 'time = "when"\nevery = 50\nstart = 100' in text
    assert 'as_data = ["x"]' in text
    out = run("check", "app.py").stdout
    assert "contract: 600 rows keep app.contract.toml: 5 columns, 12 whole periods" in out
    done = run("check", "app.py", "--write-contract", code=2)
    assert (
        done.stderr
        == "mlwild: contract: 'app.contract.toml' exists already; nothing was written. --force writes it anew.\n"
    )
    assert (tmp_path / "app.contract.toml").read_text() == text
    run("check", "app.py", "--write-contract", "--force")
    assert (tmp_path / "app.contract.toml").read_text() == text


def test_another_file_may_be_named(run, tmp_path):
    write(tmp_path)
    assert "Wrote rules.toml" in run("check", "app.py", "--write-contract", "--contract", "rules.toml").stdout
    assert not (tmp_path / "app.contract.toml").exists()
    assert "contract:" not in run("check", "app.py").stdout
    assert "keep rules.toml" in run("check", "app.py", "--contract", "rules.toml").stdout
    (tmp_path / "app.py").write_text(GOOD.replace('loss="squared"', 'loss="squared", contract="rules.toml"'))
    assert "keep rules.toml" in run("check", "app.py").stdout


def test_a_broken_contract_exits_1_and_names_column_row_and_value(run, tmp_path):
    write(tmp_path)
    run("check", "app.py", "--write-contract")
    write(tmp_path, "frame.loc[412, 'x'] = 1000.0")
    done = run("check", "app.py", "--json", "found.json", code=1)
    assert "fail       contract: data: column 'x' is 1000 in row 412, above" in done.stdout
    found = [one for one in json.loads((tmp_path / "found.json").read_text())["findings"] if one["check"] == "contract"]
    assert [(one["column"], one["row"], one["verdict"]) for one in found] == [("x", 412, "fail")] * 2
    assert [one["said"].split(":")[0] for one in found] == ["data", "features"]


def test_a_bad_contract_is_one_sentence_exit_2_and_nothing_written(run, tmp_path):
    write(tmp_path, "raise ValueError('the data were read')")
    for text, said in {
        "[data.columns.x]\nkid = 1": "mlwild: contract: app.contract.toml: [data.columns.x] kid: there is no such key. Did you mean 'kind'?\n",
        "[data": "mlwild: contract: app.contract.toml: this is no TOML: ",
        "": "mlwild: contract: app.contract.toml: [data] is missing: it says what the table must look like.\n",
    }.items():
        (tmp_path / "app.contract.toml").write_text(text)
        done = run("check", "app.py", "--json", "found.json", code=2)
        assert done.stderr.startswith(said)
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "found.json").exists()
    done = run("check", "app.py", "--contract", "none.toml", code=2)
    assert "mlwild: contract: there is no file" in done.stderr
    assert (
        "there is no folder 'no'"
        in run("check", "app.py", "--write-contract", "--contract", "no/x.toml", code=2).stderr
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("frame = frame[:0]", "data: the table has no row"),
        ("frame = frame[:300]", "the history has 6 whole periods of 50 ticks, and 8 are"),
    ],
)
def test_too_little_data_writes_nothing(run, tmp_path, more, said):
    write(tmp_path, more)
    done = run("check", "app.py", "--write-contract", code=4)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "app.contract.toml").exists()


def test_keys_outcomes_and_late_labels_are_taken_from_the_app(tmp_path):
    rows = drifting().assign(id=np.arange(1200), paid=np.arange(1200.0))
    rows.loc[1100:, ["y", "paid"]] = np.nan
    app = small_app(rows, key="id", outcomes=["paid"])
    made = write_contract(app, tmp_path / "small.toml").contract
    assert made.data.columns["id"].unique
    assert [made.data.columns[name].most_missing for name in ("y", "known", "paid", "a")] == [1.0, 1.0, 1.0, 0.0]
    assert read(tmp_path / "small.toml") == made
    assert [one.verdict for one in contract_findings(app, tmp_path / "small.toml")] == ["pass"]
    by_entity = small_app(rows, entity="id")
    assert write_contract(by_entity, tmp_path / "entity.toml").contract.data.key == ("id", "when")


def test_an_app_without_features_of_its_own_has_no_terms_for_them(tmp_path):
    made = write_contract(small_app(features=None), tmp_path / "plain.toml").contract
    assert made.features is None
    app = small_app(models={"published": Forecast("a")}, features=None)
    assert write_contract(app, tmp_path / "published.toml").contract.features is None
    assert [one.verdict for one in contract_findings(app, tmp_path / "published.toml")] == ["pass"]


def test_a_contract_is_looked_for_beside_the_app(tmp_path):
    write(tmp_path)
    assert wild.load_app(tmp_path / "app.py").contract is None
    (tmp_path / "app.contract.toml").write_text('[data]\nextra = "allow"\n')
    assert wild.load_app(tmp_path / "app.py").contract == tmp_path / "app.contract.toml"


def test_a_field_that_is_no_path_is_refused():
    with pytest.raises(AppError, match="contract: 5 is not a path"):
        small_app(contract=5)


def test_a_function_of_the_app_file_is_not_run_twice(run, tmp_path):
    """`shop:span` in the contract is the function of the app file that was loaded, not of a second copy."""
    text = GOOD + "\nprint('run')\ndef span(values):\n    return values.max() - values.min()\n"
    (tmp_path / "shop.py").write_text(text)
    (tmp_path / "shop.contract.toml").write_text(
        '[data]\nextra = "allow"\nstatistics = [{ measure = "shop:span", of = "x", high = 1.0 }]\n[data.columns.x]\nkind = "number"\n'
    )
    done = run("check", "shop.py", code=1)
    assert done.stdout.count("run") == 1
    assert "data: shop:span of x is 6." in done.stdout


def test_real_apps_write_contracts_that_they_keep(shared, tmp_path):
    for app in (hotel(shared), air_quality(shared)):
        path = tmp_path / f"{app.name}.toml"
        written = write_contract(app, path)
        assert written.periods > 10
        assert [one.said for one in contract_findings(app, path) if one.verdict != "pass"] == []


def test_an_empty_table_is_an_error_of_the_data():
    with pytest.raises(DataError, match="the table has no row"):
        write_contract(small_app(pd.DataFrame({"when": [], "known": [], "a": [], "b": [], "y": []})), "never.toml")
