"""Train/serve skew at the scale of a public case: right in .73 of the rows as validated, in .60 as served."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwild.cli import cli

SKEWED = Path(__file__).parents[1] / "gate" / "skewed.py"
#: Requests that the service is asked for.
ROWS = 300


def gate(folder, monkeypatch, changes):
    """Run `mlwild gate` on the app of the public case; return the exit code and what was said of the served path."""
    tests = f"[ServingParity(rows={ROWS})]"
    text = (
        SKEWED.read_text() + f"\n\nfrom mlwild.gate.ready import ServingParity\n\napp = app(tests={tests}{changes})\n"
    )
    (folder / "loans.py").write_text(text)
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, ["gate", "loans.py", "--jobs", "1", "--no-past", "--json", "gate.json"])
    (one,) = json.loads((folder / "gate.json").read_text())["tests"]
    return done.exit_code, one


def test_the_public_case_is_blocked_with_its_columns_and_causes(tmp_path, monkeypatch):
    code, found = gate(tmp_path, monkeypatch, "")
    assert code == 1
    for words in (
        "5 of 7 columns differ",
        "'income': missing is served as 0",
        "'months': holds the values of 'age'",
        "'balance': its sign is turned",
        "'rate': rounded to 2 decimals",
        "'city': other codes, one for one",
    ):
        assert words in found["said"], found["said"]
    served, usual = (int(share) for share in re.search(r"(\d+)% are right rather than (\d+)%", found["said"]).groups())
    # two standard errors of a share of 300 rows are 5 points
    assert (usual, served) == (pytest.approx(73, abs=5), pytest.approx(60, abs=5))


def test_the_same_app_served_by_what_trained_it_is_let_through(tmp_path, monkeypatch):
    code, found = gate(tmp_path, monkeypatch, ", serving=None")
    assert (code, found["verdict"]) == (0, "pass")
