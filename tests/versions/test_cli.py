"""mlwild history, show and reproduce as a person meets them."""

from __future__ import annotations

import json
import os
import re
from types import SimpleNamespace

import pytest

from mlwild.show.versions import main_number, show_reproduced
from tests.test_cli import GOOD
from tests.test_cli import run as plain


@pytest.fixture
def home(tmp_path):
    (tmp_path / "app.py").write_text(GOOD.replace("#MORE", ""))
    return tmp_path


def run(*words, cwd, code=0, **more):
    return plain(*words, cwd=cwd, code=code, env=dict(os.environ) | {"MLWILD_RECORD": "1"} | more)


def listed(cwd):
    run("history", "--json", "h.json", cwd=cwd)
    return json.loads((cwd / "h.json").read_text())


def test_a_rehearsal_is_found_shown_and_made_again(home):
    assert "No run is on record" in run("history", cwd=home).stdout
    done = run("rehearse", "app.py", cwd=home)
    assert "INFO" not in done.stderr
    found = listed(home)
    assert [one["kind"] for one in found] == ["rehearsal"]
    number = found[0]["id"][:8]
    assert f"Run {number} is on record" in done.stdout
    assert found[0]["params"]["rule"] == "break-even"
    shown = run("show", number, "--card", "card.html", cwd=home).stdout
    assert "It left app.py, card.html, packages.txt, sheet.json" in " ".join(shown.split())
    assert (home / "card.html").read_text().startswith("<!")
    assert run("show", number, "--file", "app.py", cwd=home).stdout == (home / "app.py").read_text()
    again = run("reproduce", number, cwd=home)
    assert "bit by bit" in again.stdout
    # Other code beside it: what is on record is run all the same.
    (home / "app.py").write_text((home / "app.py").read_text() + "\n# later\n")
    later = run("reproduce", number, cwd=home).stdout
    assert "bit by bit" in later
    assert "app.py is other than it was: the one on record is run" in " ".join(later.split())
    assert sorted(path.name for path in home.glob("*.py")) == ["app.py"]


def test_where_no_rule_is_recommended_none_is_on_record(home):
    text = (home / "app.py").read_text()
    (home / "app.py").write_text(re.sub(r"prices=.*?\),", "", text))
    assert "no rule is recommended" in run("rehearse", "app.py", cwd=home).stdout
    assert "rule" not in listed(home)[0]["params"]


def test_other_rows_are_said_with_what_they_change(home):
    run("rehearse", "app.py", cwd=home)
    number = listed(home)[0]["id"]
    text = (home / "app.py").read_text()
    changed = text.replace("default_rng(0)", "default_rng(1)")
    assert changed != text
    next(home.glob(f".mlwild/artifacts/user/*/{number}/artifacts/app.py")).write_text(changed)
    done = run("reproduce", number, "--json", "d.json", cwd=home, code=1)
    assert "values are others" in done.stdout
    assert "the rows are others" in " ".join(done.stdout.split())
    assert json.loads((home / "d.json").read_text())["differences"]


def test_numbers_of_runs_are_told_as_finely_as_those_of_rehearsals(capsys):
    run = SimpleNamespace(kind="rehearsal", id="0" * 32, metrics={"cost": 3585.4}, params={}, status="finished")
    assert main_number(run) == "cost 3,585"
    other = SimpleNamespace(where="recommended.cost", was=4037, now=5761, size=1724.0)
    show_reproduced(SimpleNamespace(run=run, same=False, compared=9, differences=[other], changed=[]))
    assert "1,724" in capsys.readouterr().out


def test_gate_stress_and_live_fits_are_on_record_too(home):
    (home / "app_tests.py").write_text("def test_never(events):\n    assert len(events) < 0, 'always red'\n")
    done = run("gate", "app.py", "--no-past", cwd=home, code=1)
    assert "is on record" in done.stdout
    run("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "440", "--no-gate", cwd=home)
    found = listed(home)
    assert {one["kind"] for one in found} >= {"gate", "fit"}
    assert {one["space"] for one in found if one["kind"] == "fit"} == {"production"}
    fit = next(one["id"] for one in found if one["kind"] == "fit")
    assert "bit by bit" in run("reproduce", fit, cwd=home).stdout
    gate = next(one["id"] for one in found if one["kind"] == "gate")
    assert "rests on a rehearsal" in run("reproduce", gate, cwd=home, code=2).stderr
    assert "fit, live" in run("history", "app.py", "--kind", "fit", cwd=home).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "zzzz"), "there is no run 'zzzz'"),
        (("reproduce", "zzzz"), "there is no run 'zzzz'"),
        (("history", "--kind", "tick"), "'tick' is not one of"),
    ],
)
def test_what_is_wrong_is_one_sentence(words, said, home):
    done = run(*words, cwd=home, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_that_cannot_be_written_is_said_and_the_result_is_shown(home):
    done = run("rehearse", "app.py", cwd=home, code=4, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "fits made" in done.stdout
    assert "cannot be reached or written" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_that_is_named_works_where_it_is_read(home):
    (home / "sub").mkdir()
    (home / "app.py").rename(home / "sub" / "app.py")
    said = run("rehearse", "sub/app.py", cwd=home).stdout
    (line,) = [line for line in said.splitlines() if "is on record" in line]
    words = line.partition("mlwild ")[2].split()
    assert words[2:3] == ["--store"]
    assert "It left app.py" in " ".join(run(*words, cwd=home).stdout.split())
